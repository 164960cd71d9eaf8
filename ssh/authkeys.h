/* SPDX-License-Identifier: MIT */
/* The authorized_keys format (sshd(8)): a line is [options] type base64 [comment]. A line with an option we do not know, or
 * whose form is wrong, counts as not there: it may be there to forbid something.
 *
 * Before a signature is good a line is split so far that its key can be compared (authkeys.c), and its options are skipped; they are
 * read behind it (keyopts.c). */
#ifndef TERN_SSH_AUTHKEYS_H
#define TERN_SSH_AUTHKEYS_H

#include "ssh/ssh.h"

struct ssh_key_line {
	struct bytes options, type, base64; /* type is empty: the line has nothing on it */
};

/* What is wrong with the line's form, or NULL; its options are not looked at. */
const char *ssh_authkeys_split(struct bytes line, struct ssh_key_line *k);
/* The next line with this key (a public key blob), taken off text with all before it; *number goes up by as many. False: there is
 * none. That there is one says nothing of what it is good for. */
bool ssh_authkeys_next(struct bytes *text, struct bytes key, unsigned *number,
		       struct ssh_key_line *k) __must_check;

/* keyopts.c */
/* Who asks, and when. */
struct ssh_login {
	struct bytes from; /* the client's address */
	uint64_t now;	   /* seconds since 1970 */
	/* A line has the key, and is not taken. */
	void (*refused)(void *arg, unsigned line, const char *why);
	void *arg;
};

/* Is one of the lines with this key good for this login? 0 and the first one's *grant, whose command and options point into text,
 * the command still quoted (\" for "), or -EACCES. */
int ssh_authkeys_find(struct bytes text, struct bytes key, const struct ssh_login *login,
		      struct ssh_grant *grant) __must_check;

/* Do the options of a grant have a permitopen, or permitlisten, of this host and port? */
bool ssh_authkeys_permit(struct bytes text, bool listen, struct bytes host, uint32_t port);
/* The i-th environment="NAME=VALUE" of the options of a grant; the value is still quoted. False: there are not so many. */
bool ssh_authkeys_variable(struct bytes text, unsigned i, struct bytes *name, struct bytes *value);

/* "host:port", "[address]:port", either may be "*"; to listen also "port" alone. A port of 0 is any. */
bool ssh_permit_parse(struct bytes value, bool listen, struct bytes *host, uint64_t *port);
bool ssh_permit_fits(struct bytes value, bool listen, struct bytes host, uint32_t port);

/* Call bad for each line that is no good. Returns the number of good ones. */
unsigned ssh_authkeys_check(struct bytes text,
			    void (*bad)(void *arg, unsigned line, const char *why), void *arg);

#endif
