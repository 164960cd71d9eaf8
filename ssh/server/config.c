/* SPDX-License-Identifier: MIT */
/* /etc/ssh/sshd_config and what it names, read at boot and when root asks. A file with an error changes nothing: at boot the
 * server then does not listen, for what it was told to forbid it does not know. */
#include "fs/vfs.h"
#include "kernel/core/log.h"
#include "kernel/core/random.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "sched/wait.h"
#include "ssh/authkeys.h"
#include "ssh/config.h"
#include "ssh/kem.h"
#include "ssh/pattern.h"
#include "ssh/server/server_priv.h"

#define CONFIG	     "/etc/ssh/sshd_config"
#define HOST_KEY     "/etc/ssh/ssh_host_ed25519_key"
#define HOST_KEY_RSA "/etc/ssh/ssh_host_rsa_key"
#define CONFIG_MAX   (64 * 1024)
#define BANNER_MAX   (16 * 1024)
#define KEY_FILE_MAX 4096
#define KEY_FILE     ".ssh/authorized_keys"
#define ROOT_KEYS    "/root/" KEY_FILE

static spinlock_t config_lock = SPINLOCK_INIT(SSHCONN);
static uint64_t asked; /* [config_lock] who asked later has read the newer file */
static struct waitq config_wq = WAITQ_INIT(config_wq);
/* Made where there is none in a file; the same until power is off. */
static uint8_t made_seed[SSH_HOSTKEY_SEED_BYTES]; /* [config_lock] */
static bool made;				  /* [config_lock] */

static int make_host_key(struct ssh_hostkey *key)
{
	uint8_t seed[SSH_HOSTKEY_SEED_BYTES];
	int err = random_bytes(seed, sizeof(seed));

	if (err)
		return err;
	spin_lock(&config_lock);
	if (!made)
		memcpy(made_seed, seed, sizeof(seed));
	made = true;
	memcpy(seed, made_seed, sizeof(seed));
	spin_unlock(&config_lock);
	ssh_hostkey_from_seed(key, seed);
	secure_zero(seed, sizeof(seed));
	return 0;
}

static char *path_text(struct bytes path)
{
	char *text = path.n < VFS_PATH_MAX ? kmalloc(path.n + 1) : NULL;

	if (text) {
		memcpy(text, path.p, path.n);
		text[path.n] = 0;
	}
	return text;
}

/* The text of a key file, for another stack; NULL: there is none, and the key is to be made. */
struct key_file {
	struct ssh_hostkey *key;
	char *text;
	size_t len;
	int err;
};

static void parse_or_make(void *arg)
{
	struct key_file *f = arg;

	f->err = f->text ? ssh_hostkey_parse(f->key, f->text, f->len) : make_host_key(f->key);
	/* the secret lay in its frames */
	ssh_kex_wipe_stack();
}

static int read_host_key(const char *path, struct ssh_hostkey *key, bool make)
{
	struct key_file f = { .key = key };
	int err = server_read(NULL, path, 0, KEY_FILE_MAX, &f.text, &f.len);

	/* a link to nowhere is no file, but somebody meant one */
	if (err == -ENOENT && server_is_there(path))
		err = -EINVAL;
	if (!err || (err == -ENOENT && make))
		err = server_deep(NULL, parse_or_make, &f);
	if (f.text)
		secure_zero(f.text, f.len);
	kfree(f.text);
	return err ? err : f.err;
}

static int take_host_key(struct server_config *c, struct ssh_hostkey *key)
{
	char print[SSH_FINGERPRINT_BYTES];

	if (c->ssh.hostkeys[key->kind])
		return -EEXIST;
	c->ssh.hostkeys[key->kind] = key;
	ssh_hostkey_fingerprint(key, print);
	log_info("ssh: host key %s%s", print, key->kind == SSH_HOSTKEY_RSA ? " (RSA)" : "");
	return 0;
}

/* The key of a file that the configuration names must be good; that of a usual one need not be there. */
static int load_host_key(struct server_config *c, struct bytes name, bool usual)
{
	struct ssh_hostkey *key = kzalloc(sizeof(*key));
	char *path = path_text(name);
	bool make = usual && bytes_is(name, HOST_KEY);
	int err = key && path ? read_host_key(path, key, make) : -ENOMEM;

	if (usual && err == -ENOENT)
		err = 1;
	else if (err == -ERANGE)
		log_warn("ssh: %s is an RSA key of less than 3072 bits, or more than 4096", path);
	else if (err)
		log_warn(
			"ssh: %s is no unencrypted ed25519 or RSA key that only root may write: error %d",
			path ?: "the host key", -err);
	if (!err) {
		err = take_host_key(c, key);
		if (err)
			log_warn("ssh: %s: there is a host key of its kind already", path);
	}
	if (err)
		server_host_key_free(key);
	kfree(path);
	return err < 0 ? err : 0;
}

static int load_host_keys(struct server_config *c)
{
	struct ssh_words words = ssh_config_words(&c->ssh, "hostkey");
	struct bytes path;
	int err = 0;

	if (!c->ssh.hostkey_file.p) {
		err = load_host_key(c, BYTES_LIT(HOST_KEY), true);
		err = err ? err : load_host_key(c, BYTES_LIT(HOST_KEY_RSA), true);
	} else {
		while (!err && ssh_config_word(&words, &path))
			err = load_host_key(c, path, false);
	}
	if (!err && !ssh_hostkey_algs_of(&c->ssh)) {
		log_warn("ssh: HostKeyAlgorithms leaves no algorithm of a host key there is");
		err = -EINVAL;
	}
	return err;
}

static int load_banner(struct server_config *c)
{
	char *path;
	int err;

	if (!c->ssh.banner_file.p)
		return 0;
	path = path_text(c->ssh.banner_file);
	err = path ? server_read(NULL, path, 0, BANNER_MAX, &c->banner, &c->ssh.banner.n) : -ENOMEM;
	c->ssh.banner.p = (const uint8_t *)c->banner;
	if (err)
		log_warn("ssh: Banner %s: error %d", path ?: "", -err);
	kfree(path);
	return err;
}

static int load_text(struct server_config *c)
{
	struct ssh_config_error e;
	size_t len = 0;
	int err = server_read(NULL, CONFIG, 0, CONFIG_MAX, &c->text, &len);

	ssh_config_init(&c->ssh, NULL);
	if (err == -ENOENT && !server_is_there(CONFIG))
		return 0;
	if (err) {
		log_warn("ssh: " CONFIG " is no file that only root may write: error %d", -err);
		return err;
	}
	err = ssh_config_parse(&c->ssh, (struct bytes){ (const uint8_t *)c->text, len }, &e);
	if (err)
		log_warn("ssh: " CONFIG " line %u: %s: %s", e.line, e.word, e.why);
	return err;
}

/* Split now, and not when a stranger asks. */
static int load_key_files(struct server_config *c)
{
	struct ssh_words words = ssh_config_first_words(&c->ssh, "authorizedkeysfile");
	size_t room = c->ssh.text.n + sizeof(KEY_FILE) + 1;
	bool named = false;
	struct bytes path;
	struct wr w;

	c->key_files = kmalloc(room);
	if (!c->key_files)
		return -ENOMEM;
	w = wr_over(c->key_files, room);
	for (; ssh_config_word(&words, &path); named = true)
		if (!ssh_is_word(path, "none")) {
			wr_put(&w, path.p, path.n);
			wr_u8(&w, 0);
		}
	if (!named)
		wr_put(&w, KEY_FILE, sizeof(KEY_FILE));
	wr_u8(&w, 0);
	return w.bad ? -EMSGSIZE : 0;
}

static void bad_line(void *arg, unsigned line, const char *why)
{
	log_warn("ssh: %s line %u: %s", ROOT_KEYS, line, why);
}

static void check_authorized_keys(const struct server_config *c)
{
	struct bytes text = { NULL, 0 };
	unsigned good = 0;

	/* the first of several is not all */
	if (strcmp(c->key_files, KEY_FILE) != 0 || c->key_files[sizeof(KEY_FILE)])
		return;
	text.p = (uint8_t *)server_read_file(ROOT_KEYS, 0, SERVER_FILE_MAX, &text.n);
	if (text.p)
		good = ssh_authkeys_check(text, bad_line, NULL);
	if (good == 0)
		log_warn("ssh: no key in %s: nobody can log in", ROOT_KEYS);
	kfree((void *)text.p);
}

int server_config_load(void)
{
	struct server_config *c = kzalloc(sizeof(*c));
	unsigned newcomers;
	int err = -ENOMEM;
	uint64_t mine;

	spin_lock(&config_lock);
	mine = ++asked;
	spin_unlock(&config_lock);
	if (c) {
		refcount_init(&c->refs, 1);
		err = load_text(c);
		err = err ? err : load_key_files(c);
		err = err ? err : load_banner(c);
		err = err ? err : load_host_keys(c);
	}
	if (err) {
		server_config_put(c);
		return err;
	}
	check_authorized_keys(c);
	newcomers = c->ssh.max_newcomers;
	if (server_config_set(c, mine))
		server_newcomers_bound(newcomers);
	wake_all(&config_wq);
	return 0;
}

static bool is_loaded(void)
{
	struct server_config *c = server_config_get();
	bool loaded = c;

	server_config_put(c);
	return loaded;
}

int server_config_wait(void)
{
	return wait_event_killable(&config_wq, is_loaded());
}

int server_config_ask(char *line)
{
	int err;

	if (strcmp(line, "reload") != 0)
		return -EINVAL;
	err = server_config_load();
	if (err)
		log_warn("ssh: the configuration stays as it was");
	else
		log_info("ssh: the configuration is read again");
	return err;
}
