/* SPDX-License-Identifier: MIT */
/* The listener, the list of connections, and the bound on those that are not logged in. All limits are global: behind
 * a forwarded port every client has one address. */
#include "ssh/server/server.h"
#include "kernel/core/clock.h"
#include "kernel/core/kcsan.h"
#include "kernel/core/log.h"
#include "kernel/core/machine.h"
#include "kernel/core/random.h"
#include "kernel/seed.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"
#include "ssh/server/server_priv.h"

#define TYPE_MASK   0170000
#define TYPE_FILE   0100000
#define LOG_BURST   20
#define LOG_EACH_NS (100 * NS_PER_MS)
#define BACKLOG	    128
#define AGAIN_NS    (100 * NS_PER_MS)
#define YOUNG_NS    (2 * NS_PER_S) /* a login takes less */
/* Newcomers at once: each costs at most this much until it is logged in, and all that are to stay a quarter of memory. */
#define NEWCOMER_BYTES (KSTACK_SIZE_LARGE + SSH_MEMORY_LOGIN)
#define NEWCOMERS_MIN  4u

static uint16_t port;	      /* [init] */
static struct file *listener; /* listen_thread()'s, and its reference */
static uint32_t crypto;	      /* [atomic] */
static struct waitq crypto_wq = WAITQ_INIT(crypto_wq);
enum { CRYPTO_UNTRIED, CRYPTO_GOOD, CRYPTO_BROKEN };
static unsigned newcomers_fit; /* [init] how many memory has room for */

static spinlock_t conns_lock = SPINLOCK_INIT(SSHCONN);
static struct list_head conns = LIST_HEAD_INIT(conns); /* [conns_lock] oldest first */
/* [conns_lock] Of newcomers, and of those that are logged in: none can hide what the others do. */
static struct log_budget {
	const char *about;
	uint64_t credit_at;
	unsigned lost;
} log_budgets[] = { { .about = "refusals" }, { .about = "newcomers" } };
/* Tells the listener that a newcomer is one no longer. */
static struct poll_source places = POLL_SOURCE_INIT(places);
static unsigned newcomers;     /* [conns_lock] */
static unsigned leaving;       /* [conns_lock] of them: evicted */
static unsigned newcomers_max; /* [conns_lock] */
static uint64_t displaced;     /* [conns_lock] newcomers, by newer ones */
static uint64_t refused;       /* [atomic] for lack of memory */

/* The oldest newcomer among those that have sent least, of which the young are not asked: who has just come has sent nothing yet. If
 * all are young, the oldest. */
static struct server_conn *least_worthy(void) __requires(conns_lock)
{
	struct server_conn *s, *least = NULL;
	uint64_t now = clock_now_ns();

	list_for_each (s, &conns, link) {
		if (s->stage != CONN_LOGIN || READ_ONCE(s->evicted))
			continue;
		if (!least || (now - s->accepted_ns >= YOUNG_NS &&
			       data_race(s->shown.bytes_in < least->shown.bytes_in)))
			least = s;
	}
	return least;
}

/* Displace until no more than room stay. */
static void make_room(unsigned room) __requires(conns_lock)
{
	struct server_conn *least;

	while (newcomers - leaving > room && (least = least_worthy())) {
		WRITE_ONCE(least->evicted, true);
		leaving++;
		displaced++;
		poll_notify(&least->kick, POLL_IN);
	}
}

void server_newcomers_bound(unsigned max)
{
	spin_lock(&conns_lock);
	newcomers_max = MIN(newcomers_fit, max);
	make_room(newcomers_max);
	spin_unlock(&conns_lock);
}

void server_conn_add(struct server_conn *s)
{
	spin_lock(&conns_lock);
	newcomers_max = MIN(newcomers_fit, s->cfg->ssh.max_newcomers);
	make_room(newcomers_max - 1);
	list_push_back(&s->link, &conns);
	s->stage = CONN_LOGIN;
	newcomers++;
	spin_unlock(&conns_lock);
}

/* It is a newcomer no longer. */
static void count_out(struct server_conn *s) __requires(conns_lock)
{
	newcomers--;
	if (!s->evicted)
		return;
	leaving--;
	/* if it has logged in, what was to make room has */
	WRITE_ONCE(s->evicted, false);
	poll_notify(&places, POLL_IN);
}

/* I-SSH-28: those that were displaced have memory until they are gone, and others wait outside meanwhile. */
static bool has_place(void)
{
	bool has;

	spin_lock(&conns_lock);
	has = leaving <= newcomers_max / 4;
	spin_unlock(&conns_lock);
	return has;
}

void server_conn_opened(struct server_conn *s, struct bytes user)
{
	size_t n = MIN(user.n, sizeof(s->user) - 1);

	spin_lock(&conns_lock);
	s->stage = CONN_OPEN;
	count_out(s);
	memcpy(s->user, user.p, n);
	s->user[n] = 0;
	spin_unlock(&conns_lock);
}

void server_conn_remove(struct server_conn *s)
{
	spin_lock(&conns_lock);
	list_del(&s->link);
	if (s->stage == CONN_LOGIN)
		count_out(s);
	spin_unlock(&conns_lock);
}

/* LOG_BURST lines at once, then one each LOG_EACH_NS; those left out are counted in the next that is let through. */
bool server_may_log(bool newcomer)
{
	struct log_budget *b = &log_budgets[newcomer];
	uint64_t now = clock_now_ns();
	unsigned lost = 0;
	bool may;

	spin_lock(&conns_lock);
	b->credit_at = MAX(b->credit_at, now);
	may = b->credit_at <= now + LOG_BURST * LOG_EACH_NS;
	if (may) {
		b->credit_at += LOG_EACH_NS;
		lost = b->lost;
		b->lost = 0;
	} else {
		b->lost++;
	}
	spin_unlock(&conns_lock);
	if (lost > 0)
		log_info("ssh: %u lines about %s left out", lost, b->about);
	return may;
}

void server_get_counts(struct server_counts *c)
{
	spin_lock(&conns_lock);
	*c = (struct server_counts){ newcomers, newcomers_max, displaced,
				     atomic_load_relaxed(&refused) };
	spin_unlock(&conns_lock);
}

void server_conn_for_each(void (*fn)(struct server_conn *s, void *arg), void *arg)
{
	struct server_conn *s;

	spin_lock(&conns_lock);
	list_for_each (s, &conns, link)
		fn(s, arg);
	spin_unlock(&conns_lock);
}

static char *read_all(struct file *f, size_t size, size_t *len)
{
	char *text = kmalloc(size + 1);
	size_t have = 0;
	ssize_t n = 1;

	while (text && have < size && n > 0) {
		n = file_read_kernel(f, text + have, size - have);
		have += n > 0 ? (size_t)n : 0;
	}
	if (!text || n < 0) {
		/* it may be a host key */
		if (text)
			secure_zero(text, have);
		kfree(text);
		return NULL;
	}
	text[have] = 0;
	*len = have;
	return text;
}

/* I-SSH-9: a user may have put there what blocks when it is opened. */
int server_read(const char *home, const char *path, uint32_t uid, size_t max, char **text,
		size_t *len)
{
	struct vfs_context ctx = { .root = vfs_root(), .wary_of_all_but = uid };
	struct file *f = NULL;
	struct kstat st;
	int err = vfs_lookup_dir(&ctx, ctx.root, home ?: "/", &ctx.cwd);

	ctx.wary = home;
	if (!err)
		err = vfs_open(&ctx, NULL, path, FILE_RDONLY | FILE_NONBLOCK | VFS_O_NOCTTY, 0, &f);
	if (!err) {
		err = file_stat(f, &st);
		/* nobody may change it but uid and root */
		if (!err && ((st.mode & TYPE_MASK) != TYPE_FILE || (st.mode & 022) ||
			     (st.uid != 0 && st.uid != uid)))
			err = -EPERM;
		if (!err && st.size > max)
			err = -EFBIG;
		if (!err && !(*text = read_all(f, st.size, len)))
			err = -ENOMEM;
		file_put(f);
	}
	dentry_put(ctx.root);
	if (ctx.cwd)
		dentry_put(ctx.cwd);
	return err;
}

char *server_read_file(const char *path, uint32_t uid, size_t max, size_t *len)
{
	char *text = NULL;

	return server_read(NULL, path, uid, max, &text, len) ? NULL : text;
}

bool server_is_there(const char *path)
{
	struct vfs_context ctx = { .root = vfs_root(), .cwd = vfs_root() };
	struct kstat st;
	bool there = vfs_stat(&ctx, NULL, path, 0, &st) == 0;

	dentry_put(ctx.root);
	dentry_put(ctx.cwd);
	return there;
}

/* I-SSH-12: when to look again untold: for want of memory one may be left, of which nobody tells a second time. */
static uint64_t accept_all(unsigned *number)
{
	struct socket_addr peer;
	struct file *sock;
	int err = 0;

	while (has_place() && (err = socket_accept(listener, &sock, &peer)) == 0)
		if (server_conn_start(sock, &peer, ++*number)) {
			atomic_add_relaxed(&refused, 1);
			log_warn("ssh: connection %u refused: out of memory", *number);
		}
	return err == -ENOMEM ? clock_now_ns() + AGAIN_NS : DEADLINE_NEVER;
}

/* Wrong crypto is worse than none: it would give keys away, or let anybody in. Beside the boot, for it takes some
 * milliseconds where code is translated at its first use; what needs random bytes (each key exchange) waits for it. */
static void selftest_thread(void *arg)
{
	struct file *ours = arg;
	char spoil[32] = "";
	const char *failed;

	if (cmdline_get("ssh_spoil", spoil, sizeof(spoil)) < 0)
		spoil[0] = 0;
	failed = ssh_selftest(spoil);
	if (failed)
		log_warn("ssh: self test of %s failed: the crypto is broken", failed);
	atomic_publish(&crypto, failed ? CRYPTO_BROKEN : CRYPTO_GOOD);
	wake_all(&crypto_wq);
	poll_notify(ours->source, POLL_IN);
	file_put(ours);
}

int server_crypto_wait(void)
{
	int err = wait_event_killable(&crypto_wq, atomic_load_acquire(&crypto) != CRYPTO_UNTRIED);

	if (err)
		return err;
	return atomic_load_acquire(&crypto) == CRYPTO_GOOD ? 0 : -EIO;
}

/* A file with an error leaves the server closed until root has mended it: what it forbids is not known. */
static int configure(void)
{
	int err = server_config_load();

	if (!err)
		return 0;
	file_put(listener);
	log_warn("ssh: not serving: mend what is wrong, then: echo reload >/proc/tern/ssh");
	err = server_config_wait();
	return err ? err : socket_listen_tcp(port, BACKLOG, &listener);
}

static void listen_thread(void *arg)
{
	struct poller poller;
	struct poll_watch watch, left;
	unsigned number = 0;
	uint32_t events;
	int err;

	if (random_wait() || configure()) {
		log_warn("ssh: not serving");
		return;
	}
	poller_init(&poller);
	poll_watch_add(&poller, &watch, listener->source, POLL_IN, NULL);
	poll_watch_add(&poller, &left, &places, POLL_IN, NULL);
	while (atomic_load_acquire(&crypto) != CRYPTO_BROKEN) {
		while (poller_next(&poller, &events))
			;
		err = poller_wait(&poller, WAIT_KILLABLE, accept_all(&number));
		if (err && err != -ETIMEDOUT)
			break;
	}
	poll_watch_remove(&watch);
	poll_watch_remove(&left);
	file_put(listener);
	log_warn("ssh: not serving");
}

int ssh_server_start(void)
{
	char word[8];
	int err;

	if (cmdline_get("ssh", word, sizeof(word)) == 0 && strcmp(word, "off") == 0)
		return 0;
	port = (uint16_t)cmdline_u64("ssh_port", 22);
	newcomers_fit = (unsigned)(pages_usable() * PAGE_SIZE / 4 / NEWCOMER_BYTES);
	newcomers_fit = MAX(newcomers_fit, NEWCOMERS_MIN);
	err = report_init();
	err = err ? err : logins_init();
	if (!err)
		err = socket_listen_tcp(port, BACKLOG, &listener);
	if (err) {
		log_warn("ssh: cannot listen on port %u: error %d", port, -err);
		return err;
	}
	err = thread_spawn_deep("ssh-selftest", selftest_thread, file_get(listener));
	if (err)
		file_put(listener);
	return err ? err : thread_spawn("ssh", listen_thread, NULL);
}
