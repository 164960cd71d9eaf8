/* SPDX-License-Identifier: MIT */
/* Who may log in: a user of /etc/passwd, with a key of ~/.ssh/authorized_keys, which nobody but that user and root may
 * write, nor the directories it lies in. The files are read at each question, so what is changed counts at once. */
#include "kernel/core/clock.h"
#include "kernel/core/log.h"
#include "kernel/core/random.h"
#include "lib/errno.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "ssh/authkeys.h"
#include "ssh/server/server_priv.h"

#define KEYS_MAX       (256 * 1024)
#define FAIL_DELAY_NS  (300 * NS_PER_MS)
#define FAIL_JITTER_MS 50

static char *read_keys(const char *home, uint32_t uid, size_t *len)
{
	static const char names[] = "/.ssh/authorized_keys";
	size_t n = strlen(home);
	char *path = kmalloc(n + sizeof(names)), *text = NULL;

	if (!path)
		return NULL;
	fmt_print(path, n + sizeof(names), "%s/.ssh", home);
	if (server_dir_is_of(home, uid) && server_dir_is_of(path, uid)) {
		fmt_print(path, n + sizeof(names), "%s%s", home, names);
		text = server_read_file(path, uid, KEYS_MAX, len);
	}
	kfree(path);
	return text;
}

static void line_refused(void *arg, unsigned line, const char *why)
{
	const struct server_conn *s = arg;

	if (server_may_log())
		log_info("ssh: %u: authorized_keys line %u: %s", s->number, line, why);
}

/* For an unknown user root's file is searched, so that the time says little about names. */
int server_key_check(void *host, struct bytes user, struct bytes key, struct ssh_grant *grant)
{
	struct server_conn *s = host;
	char from[SOCKET_ADDR_TEXT];
	struct ssh_login login = { .now = clock_wall_ns() / NS_PER_S,
				   .refused = line_refused,
				   .arg = s };
	struct account a;
	size_t len = 0;
	int err = account_find(user, &a);

	kfree(s->keys);
	s->keys = err ? read_keys("/root", 0, &len) : read_keys(a.home, a.uid, &len);
	if (!err)
		account_free(&a);
	if (!s->keys)
		return -EACCES;
	pump_address(from, sizeof(from), &s->peer);
	login.from = (struct bytes){ (uint8_t *)from, strlen(from) };
	if (ssh_authkeys_find((struct bytes){ (uint8_t *)s->keys, len }, key, &login, grant) < 0)
		return -EACCES;
	return err ? -EACCES : 0;
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
