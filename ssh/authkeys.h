/* SPDX-License-Identifier: MIT */
/* The authorized_keys format (sshd(8)): a line is [options] type base64 [comment]. A line with an option we do not know, or
 * whose form is wrong, counts as not there: it may be there to forbid something. */
#ifndef TERN_SSH_AUTHKEYS_H
#define TERN_SSH_AUTHKEYS_H

#include "ssh/ssh.h"

/* Who asks, and when. */
struct ssh_login {
	struct bytes from; /* the client's address */
	uint64_t now;	   /* seconds since 1970 */
	/* A line has the key, and is not taken. */
	void (*refused)(void *arg, unsigned line, const char *why);
	void *arg;
};

/* Is this key (a public key blob) on one of the lines? 0 and *grant, whose command and options point into text, the command
 * still quoted (\" for "), or -EACCES. */
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
