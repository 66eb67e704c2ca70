/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening the bus for this host or for several.
 */
#include "common/service/outside.h"
#include "common/base/log.h"

#include <stdio.h>

static void on_notice(void *arg, const char *what, const char *detail)
{
        (void)arg;
        log_warn(what, "detail=\"%s\"", detail);
}

int outside_bus(const char *curve, const char *role, struct bus **ret_bus, const char **ret_error)
{
        char folder[4096];
        if (!curve)
                return bus_new(&(struct bus_options){0}, ret_bus, ret_error);
        if (snprintf(folder, sizeof(folder), "%s/%s", curve, role) >= (int)sizeof(folder)) {
                *ret_error = "the path of the CURVE keys is too long";
                return -ENAMETOOLONG;
        }
        return bus_new(&(struct bus_options){.curve_folder = folder, .on_notice = on_notice}, ret_bus, ret_error);
}

static bool is_for_everybody(const char *endpoint)
{
        struct str e = str_of(endpoint);
        return str_starts(e, STR("tcp://0.0.0.0:")) || str_starts(e, STR("tcp://[::]:")) || str_starts(e, STR("tcp://*:"));
}

int outside_endpoint(const char *bound, const char *advertise, char ret_endpoint[128], const char **ret_error)
{
        int n;
        if (!advertise && is_for_everybody(bound)) {
                *ret_error = "it is bound to every address of this host: give --advertise the one that others call, such as "
                             "tcp://10.0.0.2:7001";
                return -EINVAL;
        }
        size_t given = advertise ? strlen(advertise) : 0;
        const char *port = strrchr(bound, ':');
        if (given > 2 && strcmp(advertise + given - 2, ":*") == 0 && port)
                n = snprintf(ret_endpoint, 128, "%.*s%s", (int)given - 2, advertise, port);
        else
                n = snprintf(ret_endpoint, 128, "%s", advertise ? advertise : bound);
        if (n >= 128 || !strstr(ret_endpoint, "://") || is_for_everybody(ret_endpoint)) {
                *ret_error = "--advertise: give the endpoint that others call, such as tcp://10.0.0.2:7001";
                return -EINVAL;
        }
        return 0;
}

const char *outside_refusal(const char *endpoint, int error)
{
        if (!str_starts(str_of(endpoint), STR("tcp://")))
                return NULL;
        if (error == -EACCES)
                return "tcp:// beyond this host needs CURVE keys: make them with `nuanxin keys curve make`, copy the role's "
                       "folder here and give --curve";
        if (error == -ENOKEY)
                return "--curve has no key of that service: services/SERVICE.pub";
        return NULL;
}
