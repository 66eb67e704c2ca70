/* SPDX-License-Identifier: Apache-2.0
 *
 * The programmes and calendars that are shipped, one a file: what the care service does not know yet is added, and the first
 * version of a programme activated. A later version of a file stays a draft: whether new cases follow it is the association's
 * to say.
 */
#include "contract/care_v1.h"
#include "deploy/seed/seed.h"

#include "common/json/transcode.h"

#include <glob.h>
#include <stdio.h>

static int read_message(struct seed *s, const char *path, const struct contract_message *type, ProtobufCMessage **ret)
{
        struct violations violations = {0};
        struct str json;
        int r = seed_read(s, path, &json);
        if (r == 0 && transcode_from_json(s->arena, type, json, &violations, ret) != 0) {
                fprintf(stderr, "%s: %s: %s\n", path, violations.items[0].pointer, violations.items[0].detail);
                r = -EBADMSG;
        }
        return r;
}

static int put_calendar(struct seed *s, const char *path)
{
        SetWorkCalendarRequest q = NUANXIN__CARE__V1__SET_WORK_CALENDAR_REQUEST__INIT;
        GetWorkCalendarRequest get = NUANXIN__CARE__V1__GET_WORK_CALENDAR_REQUEST__INIT;
        ProtobufCMessage *calendar = NULL;
        void *response;
        int r = read_message(s, path, &care_v1_work_calendar_msg, &calendar);
        if (r != 0)
                return r;
        q.calendar = (WorkCalendar *)calendar;
        get.year = q.calendar->year;
        r = seed_call(s, "GetWorkCalendar", &get, "urn:nuanxin:problem:not-found", &response);
        return r == 1 ? seed_call(s, "SetWorkCalendar", &q, NULL, &response) : r; /* a change of somebody's stays */
}

static int put_programme(struct seed *s, const char *path)
{
        CreateProgrammeVersionRequest q = NUANXIN__CARE__V1__CREATE_PROGRAMME_VERSION_REQUEST__INIT;
        ActivateProgrammeVersionRequest activate = NUANXIN__CARE__V1__ACTIVATE_PROGRAMME_VERSION_REQUEST__INIT;
        ProtobufCMessage *document = NULL;
        const char *name = strrchr(path, '/') + 1;
        void *response;
        int r = read_message(s, path, &care_v1_programme_document_msg, &document);
        if (r != 0)
                return r;
        q.programme = arena_strndup(s->arena, name, strlen(name) - strlen(".json"));
        q.document = (ProgrammeDocument *)document;
        r = seed_call_once_known(s, "CreateProgrammeVersion", &q, &response);
        const Programme *made = response;
        if (r != 0 || made->version != 1 || made->activate_time)
                return r;
        activate.programme = q.programme;
        activate.version = made->version;
        return seed_call(s, "ActivateProgrammeVersion", &activate, NULL, &response);
}

static int each_file(struct seed *s, const char *folder, int (*put)(struct seed *s, const char *path))
{
        glob_t found = {0};
        int r = glob(arena_printf(s->arena, "%s/%s/*.json", s->care, folder), 0, NULL, &found);
        if (r != 0)
                fprintf(stderr, "there is nothing in %s/%s; give --care\n", s->care, folder);
        r = r != 0 ? -ENOENT : 0;
        for (size_t i = 0; r == 0 && i < found.gl_pathc; i++)
                r = put(s, found.gl_pathv[i]);
        globfree(&found);
        return r;
}

int care_keep(struct seed *s)
{
        int r = each_file(s, "calendar", put_calendar);
        return r == 0 ? each_file(s, "programmes", put_programme) : r;
}
