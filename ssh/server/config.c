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
#include "ssh/server/server_priv.h"

#define CONFIG	     "/etc/ssh/sshd_config"
#define HOST_KEY     "/etc/ssh/ssh_host_ed25519_key"
#define CONFIG_MAX   (64 * 1024)
#define BANNER_MAX   (16 * 1024)
#define KEY_FILE_MAX 4096
#define ROOT_KEYS    "/root/.ssh/authorized_keys"

static spinlock_t config_lock = SPINLOCK_INIT(SSHCONN);
static struct server_config
	*current_config;      /* [config_lock] its reference; NULL: none was good yet */
static uint64_t asked, taken; /* [config_lock] who asked later has read the newer file */
static struct waitq config_wq = WAITQ_INIT(config_wq);
/* Made where there is none in a file; the same until power is off. */
static uint8_t made_seed[SSH_HOSTKEY_SEED_BYTES]; /* [config_lock] */
static bool made;				  /* [config_lock] */

struct server_config *server_config_get(void)
{
	struct server_config *c;

	spin_lock(&config_lock);
	c = current_config;
	if (c && !refcount_get(&c->refs))
		c = NULL;
	spin_unlock(&config_lock);
	return c;
}

void server_config_put(struct server_config *c)
{
	if (!c || !refcount_put(&c->refs))
		return;
	secure_zero(&c->key, sizeof(c->key));
	kfree(c->text);
	kfree(c->banner);
	kfree(c);
}

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

/* The key of the file that the configuration names must be good; that of the usual one need not be there. */
static int load_host_key(struct server_config *c)
{
	struct bytes named = c->ssh.hostkey_file;
	char *path = path_text(named.p ? named : BYTES_LIT(HOST_KEY)), *text = NULL;
	char print[SSH_FINGERPRINT_BYTES];
	size_t len = 0;
	int err = path ? server_read(path, 0, KEY_FILE_MAX, &text, &len) : -ENOMEM;

	/* a link to nowhere is no file, but somebody meant one */
	if (err == -ENOENT && server_is_there(path))
		err = -EINVAL;
	if (!err && ssh_hostkey_parse(&c->key, text, len))
		err = -EINVAL;
	if (err && (err != -ENOENT || named.p))
		log_warn("ssh: %s is no unencrypted ed25519 key that only root may write: error %d",
			 path ?: "the host key", -err);
	if (text)
		secure_zero(text, len);
	kfree(text);
	kfree(path);
	if (err == -ENOENT && !named.p)
		err = make_host_key(&c->key);
	/* the seed lay in its frames */
	ssh_kex_wipe_stack();
	if (err)
		return err;
	ssh_hostkey_fingerprint(&c->key, print);
	log_info("ssh: host key %s", print);
	return 0;
}

static int load_banner(struct server_config *c)
{
	char *path;
	int err;

	if (!c->ssh.banner_file.p)
		return 0;
	path = path_text(c->ssh.banner_file);
	err = path ? server_read(path, 0, BANNER_MAX, &c->banner, &c->ssh.banner.n) : -ENOMEM;
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
	int err = server_read(CONFIG, 0, CONFIG_MAX, &c->text, &len);

	ssh_config_init(&c->ssh, &c->key);
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

static void bad_line(void *arg, unsigned line, const char *why)
{
	log_warn("ssh: %s line %u: %s", ROOT_KEYS, line, why);
}

static void check_authorized_keys(const struct server_config *c)
{
	struct ssh_words elsewhere = ssh_config_first_words(&c->ssh, "authorizedkeysfile");
	struct bytes word, text = { NULL, 0 };
	unsigned good = 0;

	if (ssh_config_word(&elsewhere, &word))
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
	struct server_config *c = kzalloc(sizeof(*c)), *old;
	int err = -ENOMEM;
	uint64_t mine;

	spin_lock(&config_lock);
	mine = ++asked;
	spin_unlock(&config_lock);
	if (c) {
		refcount_init(&c->refs, 1);
		err = load_text(c);
		err = err ? err : load_banner(c);
		err = err ? err : load_host_key(c);
	}
	if (err) {
		server_config_put(c);
		return err;
	}
	check_authorized_keys(c);
	server_newcomers_bound(c->ssh.max_newcomers);
	spin_lock(&config_lock);
	old = mine > taken ? current_config : c;
	if (mine > taken) {
		taken = mine;
		current_config = c;
	}
	spin_unlock(&config_lock);
	server_config_put(old);
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
