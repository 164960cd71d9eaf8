/* SPDX-License-Identifier: MIT */
/* sshd_config(5): a keyword and its words to a line. Only what takes effect here is known; all else is an error, for it may be
 * there to forbid something. Of a keyword that takes one value the first line counts. */
#ifndef TERN_SSH_CONFIG_H
#define TERN_SSH_CONFIG_H

#include "ssh/ssh.h"

struct ssh_config_error {
	unsigned line;
	const char *why;
	char word[48]; /* printable */
};

/* Change what text names. cfg keeps text: lists are looked up in it at each question. 0, or -EINVAL and *e; then
 * cfg is of no use. */
int ssh_config_parse(struct ssh_config *cfg, struct bytes text,
		     struct ssh_config_error *e) __must_check;

/* The words behind a keyword (in lower case), of all its lines, or of the first. */
struct ssh_words {
	struct bytes text, line;
	const char *key;
	bool all;
};
struct ssh_words ssh_config_words(const struct ssh_config *cfg, const char *key);
struct ssh_words ssh_config_first_words(const struct ssh_config *cfg, const char *key);
bool ssh_config_word(struct ssh_words *w, struct bytes *word);

/* Who wants to log in. */
struct ssh_user {
	struct bytes name, from; /* from: the client's address */
	uint32_t uid, gid;
	struct bytes groups; /* /etc/group */
};
/* Why this user may not, with this key; NULL: may. */
const char *ssh_config_refuses(const struct ssh_config *cfg, const struct ssh_user *u,
			       const struct ssh_grant *grant);
/* May a channel lead there, or the client have us listen there? What a key says is asked besides. */
bool ssh_config_permits(const struct ssh_config *cfg, bool listen, struct bytes host,
			uint32_t port);
/* May a client set this variable? */
bool ssh_config_takes_variable(const struct ssh_config *cfg, struct bytes name);
/* The command of a subsystem. False: there is none of this name. */
bool ssh_config_subsystem(const struct ssh_config *cfg, struct bytes name, struct bytes *command);

#endif
