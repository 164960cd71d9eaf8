/* SPDX-License-Identifier: MIT */
/* Name-lists of RFC 4251 s5: names between commas, none of them empty. */
#ifndef TERN_SSH_NAMELIST_H
#define TERN_SSH_NAMELIST_H

#include "lib/cursor.h"

/* Take the first name off list. False at its end. */
bool ssh_namelist_next(struct bytes *list, struct bytes *name);
/* No empty name in it, no control or non-ASCII byte. A comma may be the last: libssh 0.10 ends its ciphers so. */
bool ssh_namelist_is_good(struct bytes list);
bool ssh_namelist_has(struct bytes list, const char *name);

#endif
