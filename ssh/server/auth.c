/* SPDX-License-Identifier: MIT */
/* Who may log in: root, with a key of /root/.ssh/authorized_keys. The file is read at each question, so a key added or
 * removed counts at once. */
#include "kernel/core/log.h"
#include "kernel/core/random.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "ssh/authkeys.h"
#include "ssh/server/server_priv.h"

#define AUTHORIZED_KEYS "/root/.ssh/authorized_keys"
#define KEYS_MAX	(256 * 1024)
#define FAIL_DELAY_NS	(300 * NS_PER_MS)
#define FAIL_JITTER_MS	50

/* The file is searched for an unknown user too, so that the time says nothing about names. */
int server_key_check(void *host, struct bytes user, struct bytes key, struct ssh_grant *grant)
{
	struct server_conn *s = host;
	size_t len = 0;
	int err;

	kfree(s->keys);
	s->keys = server_read_file(AUTHORIZED_KEYS, KEYS_MAX, &len);
	if (!s->keys)
		return -EACCES;
	err = ssh_authkeys_find((struct bytes){ (uint8_t *)s->keys, len }, key, grant);
	return bytes_is(user, "root") ? err : -EACCES;
}

uint64_t server_auth_failed(void *host, struct bytes user)
{
	return FAIL_DELAY_NS + random_u32() % FAIL_JITTER_MS * NS_PER_MS;
}

void server_auth_done(void *host, struct bytes user)
{
	struct server_conn *s = host;

	/* the grant has been copied */
	kfree(s->keys);
	s->keys = NULL;
	server_conn_opened(s, user);
}
