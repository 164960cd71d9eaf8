/* SPDX-License-Identifier: MIT */
/* Who may log in: a user of /etc/passwd, with a key of the files that AuthorizedKeysFile names, which nobody but that user and root may
 * write, nor the directories it lies in. The files are read at each question, so what is changed counts at once. Whoever asks is told
 * whether the key is there; what its line and the configuration say of it is read when the key has signed (I-SSH-26). */
#include "kernel/core/clock.h"
#include "kernel/core/log.h"
#include "kernel/core/random.h"
#include "lib/errno.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "ssh/authkeys.h"
#include "ssh/config.h"
#include "ssh/server/server_priv.h"

#define FAIL_DELAY_NS  (300 * NS_PER_MS)
#define FAIL_JITTER_MS 50

/* t, a path of AuthorizedKeysFile, from the home on unless it begins with /, %h, %u and %U put in. NULL: too long, or no memory. */
static char *keys_path(const char *t, struct bytes user, const struct account *a)
{
	char *path = kmalloc(VFS_PATH_MAX), uid[12];
	struct wr w = wr_over(path, path ? VFS_PATH_MAX : 0);

	fmt_print(uid, sizeof(uid), "%u", a->uid);
	if (strncmp(t, "%h/", 3) == 0) {
		wr_u8(&w, '.');
		t += 2;
	}
	for (; *t; t++) {
		if (*t != '%')
			wr_u8(&w, (uint8_t)*t);
		else if (*++t == 'h')
			wr_put(&w, a->home, strlen(a->home));
		else if (*t == 'u')
			wr_put(&w, user.p, user.n);
		else if (*t == 'U')
			wr_put(&w, uid, strlen(uid));
		else
			wr_u8(&w, '%');
	}
	wr_u8(&w, 0);
	if (!w.bad)
		return path;
	kfree(path);
	return NULL;
}

static void keys_free(struct server_conn *s)
{
	kfree(s->keys);
	s->keys = NULL;
}

/* The text of the next of the user's files, which is s->keys; *path is then behind its path. False: there is none. */
static bool next_file(struct server_conn *s, struct bytes user, const struct account *a,
		      const char **path, struct bytes *text)
{
	keys_free(s);
	while (!s->keys && **path) {
		char *full = keys_path(*path, user, a);

		*path += strlen(*path) + 1;
		/* I-SSH-27 */
		if (full && server_read(a->home, full, a->uid, SERVER_FILE_MAX, &s->keys, &text->n))
			s->keys = NULL;
		kfree(full);
	}
	text->p = (const uint8_t *)s->keys;
	return s->keys;
}

/* any: there was a file to look in. */
static bool has_key(struct server_conn *s, struct bytes user, const struct account *a,
		    struct bytes key, bool *any)
{
	const char *path = s->cfg->key_files;
	struct ssh_key_line line;
	struct bytes text;
	unsigned number = 0;
	bool found = false;

	while (!found && next_file(s, user, a, &path, &text)) {
		found = ssh_authkeys_next(&text, key, &number, &line);
		*any = true;
	}
	keys_free(s);
	return found;
}

/* For a user who is unknown, or has no file, root's is searched, so that the time says little about names. */
int server_key_check(void *host, struct bytes user, struct bytes key, bool spoken)
{
	static char home[] = "/root";
	static const struct account root = { .home = home };
	struct server_conn *s = host;
	struct account a;
	bool known = account_find(user, &a) == 0, any = false;
	bool found = known && has_key(s, user, &a, key, &any);

	server_login_named(s, user, key);
	if (known)
		account_free(&a);
	if (!any)
		(void)has_key(s, BYTES_LIT("root"), &root, key, &any);
	if (!found)
		server_login_refused(s, known ? "no such key" : "no such user");
	else if (!spoken)
		server_login_refused(s, "key or algorithm not spoken");
	else if (s->login)
		s->login->why = NULL;
	return found ? 0 : -EACCES;
}

static void line_refused(void *arg, unsigned line, const char *why)
{
	struct server_conn *s = arg;
	char text[96];

	fmt_print(text, sizeof(text), "authorized_keys line %u: %s", line, why);
	server_log(s, SSH_LOG_INFO, "key refused", text);
	s->why = why;
}

/* What the first line that is good for this login grants; the files are read again, and as they are now they count. */
static int find_grant(struct server_conn *s, const struct ssh_user *u, const struct account *a,
		      struct bytes key, struct ssh_grant *grant)
{
	struct ssh_login login = { u->from, clock_wall_ns() / NS_PER_S, line_refused, s };
	const char *path = s->cfg->key_files;
	struct bytes text;
	int err = -EACCES;

	while (err && next_file(s, u->name, a, &path, &text))
		err = ssh_authkeys_find(text, key, &login, grant);
	return err;
}

/* What the configuration says of this user. */
static int ask_config(struct server_conn *s, struct ssh_user *u, const struct ssh_grant *grant)
{
	char *groups = server_read_file("/etc/group", 0, SERVER_FILE_MAX, &u->groups.n);
	const char *why;

	u->groups.p = (uint8_t *)groups;
	u->groups.n = groups ? u->groups.n : 0;
	why = ssh_config_refuses(&s->cfg->ssh, u, grant);
	if (why) {
		server_log(s, SSH_LOG_INFO, "key refused", why);
		s->why = why;
	}
	kfree(groups);
	return why ? -EACCES : 0;
}

int server_admit(void *host, struct bytes user, struct bytes key, struct ssh_grant *grant)
{
	struct server_conn *s = host;
	char from[SOCKET_ADDR_TEXT];
	struct ssh_user u = { .name = user };
	struct account a;
	int err = account_find(user, &a);

	s->why = "no such key";
	if (!err) {
		pump_address(from, sizeof(from), &s->peer);
		u.from = (struct bytes){ (uint8_t *)from, strlen(from) };
		u.uid = a.uid;
		u.gid = a.gid;
		err = find_grant(s, &u, &a, key, grant);
		err = err ? err : ask_config(s, &u, grant);
		account_free(&a);
	}
	if (err) {
		keys_free(s);
		server_login_refused(s, s->why);
		return -EACCES;
	}
	grant->chan_ops = &server_chan_ops;
	return 0;
}

uint64_t server_auth_failed(void *host, struct bytes user)
{
	struct server_conn *s = host;

	if (!s->login)
		server_login_named(s, user, BYTES_LIT(""));
	if (s->login && !s->login->why)
		server_login_refused(s, "no good signature");
	return FAIL_DELAY_NS + random_u32() % FAIL_JITTER_MS * NS_PER_MS;
}

void server_auth_done(void *host, struct bytes user)
{
	struct server_conn *s = host;

	/* the grant has been copied */
	keys_free(s);
	server_conn_opened(s, user);
}
