/* SPDX-License-Identifier: MIT */
/* The authorized_keys format (sshd(8)): a line is [options] type base64 [comment]. Options we do not know refuse
 * the whole line: they may be there to forbid something. */
#ifndef TERN_SSH_AUTHKEYS_H
#define TERN_SSH_AUTHKEYS_H

#include "ssh/ssh.h"

/* Is this key (a public key blob) on one of the lines? 0 and *grant, whose command and options point into text, the command
 * still quoted (\" for "), or -EACCES. */
int ssh_authkeys_find(struct bytes text, struct bytes key, struct ssh_grant *grant) __must_check;

/* Do the options of a grant have a permitopen, or permitlisten, of this host and port? */
bool ssh_authkeys_permit(struct bytes options, bool listen, struct bytes host, uint32_t port);

/* Call bad for each line that is no good. Returns the number of good ones. */
unsigned ssh_authkeys_check(struct bytes text,
			    void (*bad)(void *arg, unsigned line, const char *why), void *arg);

#endif
