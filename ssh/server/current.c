/* SPDX-License-Identifier: MIT */
/* The configuration that counts, for those who come: what config.c has read, and nothing of how it is read. */
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "ssh/server/server_priv.h"

static spinlock_t current_lock = SPINLOCK_INIT(SSHCONN);
static struct server_config
	*current_config; /* [current_lock] its reference; NULL: none was good yet */
static uint64_t
	current_age; /* [current_lock] who asked for it: later ones have read a newer file */

struct server_config *server_config_get(void)
{
	struct server_config *c;

	spin_lock(&current_lock);
	c = current_config;
	if (c && !refcount_get(&c->refs))
		c = NULL;
	spin_unlock(&current_lock);
	return c;
}

void server_host_key_free(struct ssh_hostkey *key)
{
	if (key)
		secure_zero(key, sizeof(*key));
	kfree(key);
}

void server_config_put(struct server_config *c)
{
	if (!c || !refcount_put(&c->refs))
		return;
	for (unsigned i = 0; i < SSH_HOSTKEY_KINDS; i++)
		server_host_key_free((struct ssh_hostkey *)c->ssh.hostkeys[i]);
	kfree(c->text);
	kfree(c->banner);
	kfree(c->key_files);
	kfree(c);
}

bool server_config_set(struct server_config *c, uint64_t age)
{
	struct server_config *old = c;
	bool counts;

	spin_lock(&current_lock);
	counts = age > current_age;
	if (counts) {
		old = current_config;
		current_config = c;
		current_age = age;
	}
	spin_unlock(&current_lock);
	server_config_put(old);
	return counts;
}
