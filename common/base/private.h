/* SPDX-License-Identifier: Apache-2.0
 *
 * Are files with secrets kept from other users? Asked of the keyring and of CURVE keys before they are believed.
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

/* On a file system mounted read-only for us: nobody puts another file there, whatever the modes of its folders say. So
 * come the secrets of a service manager (systemd's credentials) or of a cluster (Kubernetes' volumes). */
bool file_is_sealed(int fd);

/* Its owner is who asks (root may ask for all), and nobody else reads it; a sealed one may also be root's, readable by a
 * group or an ACL that root chose for us. */
bool file_is_private(const struct stat *st, bool sealed);
