/* SPDX-License-Identifier: MIT */
/* /etc/passwd and /etc/group: lines of fields with ':' between them. A line with too few fields or with a number that is
 * none is passed over. */
#ifndef TERN_LIB_PASSWD_H
#define TERN_LIB_PASSWD_H

#include "lib/cursor.h"

/* The strings lie in the text. */
struct passwd {
	uint32_t uid, gid;
	struct bytes home, shell;
	bool locked; /* the password field begins with '!': no login of any kind */
};

/* The first line of this name; false: there is none. */
bool passwd_find(struct bytes text, struct bytes name, struct passwd *out) __must_check;
/* The groups in whose list of members name is, at most max of them. Returns their number. */
unsigned group_list(struct bytes text, struct bytes name, uint32_t *gids, unsigned max);
/* The next group of which name is a member, or whose number is gid, taken off text with all before it. False: there is none. */
bool group_next(struct bytes *text, struct bytes name, uint32_t gid, struct bytes *group);

#endif
