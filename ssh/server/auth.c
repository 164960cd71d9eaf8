/* SPDX-License-Identifier: MIT */
/* Who may log in: a user of /etc/passwd, with a key of the files that AuthorizedKeysFile names, which nobody but that user and root may
 * write, nor the directories it lies in. The files are read at each question, so what is changed counts at once. */
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

/* A path of AuthorizedKeysFile, made absolute, %h, %u and %U put in. NULL: too long, or no memory. */
static char *keys_path(struct bytes template, struct bytes user, const struct account *a)
{
	char *path = kmalloc(VFS_PATH_MAX), uid[12];
	struct wr w = wr_over(path, path ? VFS_PATH_MAX : 0);

	fmt_print(uid, sizeof(uid), "%u", a->uid);
	if (*template.p != '/' && (template.n < 2 || memcmp(template.p, "%h", 2) != 0)) {
		wr_put(&w, a->home, strlen(a->home));
		wr_u8(&w, '/');
	}
	for (size_t i = 0; i < template.n; i++) {
		if (template.p[i] != '%')
			wr_u8(&w, template.p[i]);
		else if (template.p[++i] == 'h')
			wr_put(&w, a->home, strlen(a->home));
		else if (template.p[i] == 'u')
			wr_put(&w, user.p, user.n);
		else if (template.p[i] == 'U')
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

/* Are the directories above it, up to the home or /, such that nobody but uid and root may write? */
static bool dirs_are_of(char *path, const char *home, uint32_t uid)
{
	size_t n = strlen(path);
	bool good, last;

	do {
		char was;

		while (n > 0 && path[n - 1] != '/')
			n--;
		while (n > 1 && path[n - 1] == '/')
			n--;
		was = path[n];
		path[n] = 0;
		last = n <= 1 || strcmp(path, home) == 0;
		good = server_dir_is_of(path, uid);
		path[n] = was;
	} while (good && !last);
	return good;
}

static void line_refused(void *arg, unsigned line, const char *why)
{
	struct server_conn *s = arg;
	char text[96];

	fmt_print(text, sizeof(text), "authorized_keys line %u: %s", line, why);
	server_log(s, SSH_LOG_INFO, "key refused", text);
	s->why = why;
}

/* Is the key in this file? Its text is s->keys then. */
static int find_in(struct server_conn *s, struct bytes template, struct bytes user,
		   const struct account *a, struct bytes key, struct ssh_grant *grant)
{
	char from[SOCKET_ADDR_TEXT], *path = keys_path(template, user, a);
	struct ssh_login login = { .now = clock_wall_ns() / NS_PER_S,
				   .refused = line_refused,
				   .arg = s };
	size_t len = 0;

	kfree(s->keys);
	s->keys = NULL;
	if (path && dirs_are_of(path, a->home, a->uid))
		s->keys = server_read_file(path, a->uid, SERVER_FILE_MAX, &len);
	kfree(path);
	if (!s->keys)
		return -EACCES;
	pump_address(from, sizeof(from), &s->peer);
	login.from = (struct bytes){ (uint8_t *)from, strlen(from) };
	return ssh_authkeys_find((struct bytes){ (uint8_t *)s->keys, len }, key, &login, grant);
}

static int find_key(struct server_conn *s, struct bytes user, const struct account *a,
		    struct bytes key, struct ssh_grant *grant)
{
	struct ssh_words files = ssh_config_first_words(&s->cfg->ssh, "authorizedkeysfile");
	struct bytes file;
	bool named = false;
	int err = -EACCES;

	while (err && ssh_config_word(&files, &file)) {
		named = true;
		if (!bytes_is(file, "none"))
			err = find_in(s, file, user, a, key, grant);
	}
	return named ? err : find_in(s, BYTES_LIT(".ssh/authorized_keys"), user, a, key, grant);
}

/* What the configuration says of this user. */
static int admit(struct server_conn *s, struct bytes user, const struct account *a,
		 const struct ssh_grant *grant)
{
	char from[SOCKET_ADDR_TEXT];
	struct ssh_user u = { .name = user, .uid = a->uid, .gid = a->gid };
	char *groups = server_read_file("/etc/group", 0, SERVER_FILE_MAX, &u.groups.n);
	const char *why;

	pump_address(from, sizeof(from), &s->peer);
	u.from = (struct bytes){ (uint8_t *)from, strlen(from) };
	u.groups.p = (uint8_t *)groups;
	u.groups.n = groups ? u.groups.n : 0;
	why = ssh_config_refuses(&s->cfg->ssh, &u, grant);
	if (why) {
		server_log(s, SSH_LOG_INFO, "key refused", why);
		s->why = why;
	}
	kfree(groups);
	return why ? -EACCES : 0;
}

/* For an unknown user root's file is searched, so that the time says little about names. */
int server_key_check(void *host, struct bytes user, struct bytes key, struct ssh_grant *grant)
{
	static char home[] = "/root";
	static const struct account root = { .home = home };
	struct server_conn *s = host;
	struct ssh_grant unused, *found = grant ? grant : &unused;
	struct account a;
	int err;

	server_login_named(s, user, key);
	s->why = "no such key";
	if (account_find(user, &a)) {
		server_login_refused(s, "no such user");
		(void)find_key(s, BYTES_LIT("root"), &root, key, found);
		kfree(s->keys);
		s->keys = NULL;
		return -EACCES;
	}
	err = find_key(s, user, &a, key, found);
	err = err ? err : admit(s, user, &a, found);
	account_free(&a);
	if (err)
		server_login_refused(s, s->why);
	else if (s->login)
		s->login->why = NULL;
	/* who may come back does not keep it, nor who waits for the end */
	if (err || !grant) {
		kfree(s->keys);
		s->keys = NULL;
	}
	return err;
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
	kfree(s->keys);
	s->keys = NULL;
	server_conn_opened(s, user);
}
