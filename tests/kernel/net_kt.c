/* SPDX-License-Identifier: MIT */
/* Sockets between threads, over the loop-back: blocking, readiness, many at once. A1, A13, N11, N12. */
#include "net/socket.h"

#include "fs/file.h"
#include "kernel/core/clock.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"
#include "net/interface.h"
#include "net/net.h"
#include "sched/poll.h"
#include "sched/thread.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/ktest.h"

#define ALL_CPUS (~(cpumask_t)0)
#define PORT	 4007

static const struct socket_addr self = { .port = PORT, .addr = { 127, 0, 0, 1 } };

static void wait_ready(struct file *f, uint32_t events)
{
	struct poller poller;
	struct poll_watch w;
	uint32_t fired;
	int ret = 0;

	poller_init(&poller);
	poll_watch_add(&poller, &w, f->source, events, NULL);
	while (!(file_poll(f) & (events | POLL_ERR | POLL_HUP)) && ret == 0) {
		ret = poller_wait(&poller, WAIT_UNINTERRUPTIBLE, crew_deadline_ms(20000));
		while (poller_next(&poller, &fired))
			;
	}
	poll_watch_remove(&w);
	KT_CHECK(ret == 0);
}

static bool pair(struct file *listener, struct file **a, struct file **b)
{
	if (socket_connect_tcp(&self, a) < 0)
		return kt_fail(__FILE__, __LINE__, "cannot connect"), false;
	wait_ready(*a, POLL_OUT);
	wait_ready(listener, POLL_IN);
	if (socket_accept(listener, b, NULL) < 0) {
		file_put(*a);
		return kt_fail(__FILE__, __LINE__, "nothing to accept"), false;
	}
	KT_CHECK(socket_set_nodelay(*a, true) == 0 && socket_set_nodelay(*b, true) == 0);
	return true;
}

static struct file *listen_here(void)
{
	struct file *f = NULL;

	KT_CHECK(socket_listen_tcp(PORT, 32, &f) == 0);
	return f;
}

/* --- many short connections ------------------------------------------------------------------------------ */

struct town {
	struct file *listener;
	uint32_t stop;	   /* [atomic] */
	uint64_t served;   /* [atomic] */
	uint64_t wrong;	   /* [atomic] */
	uint32_t handlers; /* [atomic] running */
	uint64_t rounds;
	uint32_t next; /* [atomic] */
};
static struct town town;

static void handler(void *arg)
{
	struct file *f = arg;
	uint8_t *buf = kmalloc(4096);
	ssize_t n;

	while (buf && (n = file_read_kernel(f, buf, 4096)) > 0) {
		if (file_write_kernel(f, buf, (size_t)n) != n)
			break;
	}
	kfree(buf);
	file_put(f);
	atomic_fetch_add(&town.served, 1);
	atomic_fetch_sub(&town.handlers, 1);
}

static void accepter(void *arg)
{
	struct poller poller;
	struct poll_watch w;
	struct file *f;
	uint32_t fired;

	poller_init(&poller);
	poll_watch_add(&poller, &w, town.listener->source, POLL_IN, NULL);
	while (!atomic_load_relaxed(&town.stop)) {
		while (socket_accept(town.listener, &f, NULL) == 0) {
			atomic_fetch_add(&town.handlers, 1);
			if (thread_spawn("handler", handler, f) < 0)
				kt_fail(__FILE__, __LINE__, "no thread");
		}
		(void)!poller_wait(&poller, WAIT_UNINTERRUPTIBLE, crew_deadline_ms(100));
		while (poller_next(&poller, &fired))
			;
	}
	poll_watch_remove(&w);
}

static void visit(uint8_t *out, uint8_t *in, size_t n)
{
	struct file *f;
	size_t got = 0;
	ssize_t r = 0;

	if (socket_connect_tcp(&self, &f) < 0)
		return kt_fail(__FILE__, __LINE__, "cannot connect");
	if (file_write_kernel(f, out, n) != (ssize_t)n)
		kt_fail(__FILE__, __LINE__, "cannot write");
	KT_CHECK(socket_shutdown(f, SOCKET_SHUT_WR) == 0);
	while (got < n && (r = file_read_kernel(f, in + got, n - got)) > 0)
		got += (size_t)r;
	if (got != n || memcmp(in, out, n) != 0 || file_read_kernel(f, in, 1) != 0)
		atomic_fetch_add(&town.wrong, 1);
	file_put(f);
}

static void visitor(void *arg)
{
	uint64_t seed = kt_seed() + atomic_fetch_add(&town.next, 1);
	uint8_t *out = kmalloc(16384), *in = kmalloc(16384);

	for (uint64_t i = 0; out && in && i < town.rounds; i++) {
		size_t n = 1 + crew_random(&seed) % 16384;

		for (size_t k = 0; k < n; k++)
			out[k] = (uint8_t)(seed >> (k % 50));
		visit(out, in, n);
	}
	kfree(out);
	kfree(in);
}

KTEST(net_many_short_connections)
{
	static struct crew visitors, accepters;
	struct net_usage before, after;
	uint64_t end;

	net_usage(&before);
	visitors.n = accepters.n = 0;
	memset(&town, 0, sizeof(town));
	town.rounds = 20 * kt_scale();
	town.listener = listen_here();
	crew_add(&accepters, accepter, NULL, ALL_CPUS);
	for (int i = 0; i < 6; i++)
		crew_add(&visitors, visitor, NULL, ALL_CPUS);
	crew_join(&visitors);
	end = crew_hang_deadline();
	while ((atomic_load_relaxed(&town.served) < 6 * town.rounds ||
		atomic_load_relaxed(&town.handlers)) &&
	       clock_now_ns() < end)
		sched_yield();
	atomic_store_relaxed(&town.stop, 1);
	crew_join(&accepters);
	KT_CHECK(town.served == 6 * town.rounds);
	KT_CHECK(town.wrong == 0);
	file_put(town.listener);
	net_forget_time_wait();
	net_usage(&after);
	KT_CHECK(after.sockets == before.sockets);
	KT_CHECK(after.tcp_active == before.tcp_active);
}

/* --- one byte to and fro ------------------------------------------------------------------------------------- */

struct game {
	struct file *f;
	uint64_t rounds;
	uint64_t slow; /* answers that took as long as a timer's would */
};

static void answerer(void *arg)
{
	struct game *g = arg;
	char c;

	for (uint64_t i = 0; i < g->rounds; i++) {
		wait_ready(g->f, POLL_IN);
		if (file_read_kernel(g->f, &c, 1) != 1 || file_write_kernel(g->f, &c, 1) != 1)
			return kt_fail(__FILE__, __LINE__, "the answer failed");
	}
}

KTEST(net_ping_pong)
{
	struct file *listener = listen_here(), *a, *b;
	struct crew crew = { 0 };
	struct game g = { .rounds = 300 * kt_scale() };
	char c;

	if (!pair(listener, &a, &b))
		return;
	g.f = b;
	crew_add(&crew, answerer, &g, ALL_CPUS);
	for (uint64_t i = 0; i < g.rounds; i++) {
		uint64_t sent = clock_now_ns();

		c = (char)i;
		KT_CHECK(file_write_kernel(a, &c, 1) == 1);
		KT_CHECK(file_read_kernel(a, &c, 1) == 1 && c == (char)i);
		g.slow += clock_now_ns() > sent + 200 * NS_PER_MS;
	}
	crew_join(&crew);
	/* N12: an answer never waits for a timer; what the host halts is not every second one */
	KT_CHECK(2 * g.slow < g.rounds);
	file_put(a);
	file_put(b);
	file_put(listener);
	net_forget_time_wait();
}

/* --- two readers of one socket ----------------------------------------------------------------------------------- */

struct share {
	struct file *f;
	uint64_t bytes, sum; /* [atomic] */
};

static void sharer(void *arg)
{
	struct share *s = arg;
	uint8_t buf[256];
	ssize_t n;

	while ((n = file_read_kernel(s->f, buf, sizeof(buf))) > 0) {
		uint64_t sum = 0;

		for (ssize_t i = 0; i < n; i++)
			sum += buf[i];
		atomic_fetch_add(&s->sum, sum);
		atomic_fetch_add(&s->bytes, (uint64_t)n);
	}
	KT_CHECK(n == 0);
}

KTEST(net_two_readers)
{
	struct file *listener = listen_here(), *a, *b;
	struct crew crew = { 0 };
	struct share s = { 0 };
	uint64_t seed = kt_seed(), sum = 0, total = 0;

	if (!pair(listener, &a, &b))
		return;
	s.f = b;
	for (int i = 0; i < 3; i++)
		crew_add(&crew, sharer, &s, ALL_CPUS);
	for (int i = 0; i < 600; i++) {
		uint8_t buf[300];
		size_t n = 1 + crew_random(&seed) % sizeof(buf);

		for (size_t k = 0; k < n; k++) {
			buf[k] = (uint8_t)crew_random(&seed);
			sum += buf[k];
		}
		total += n;
		KT_CHECK(file_write_kernel(a, buf, n) == (ssize_t)n);
	}
	KT_CHECK(socket_shutdown(a, SOCKET_SHUT_WR) == 0);
	crew_join(&crew);
	KT_CHECK(s.bytes == total && s.sum == sum);
	file_put(a);
	file_put(b);
	file_put(listener);
	net_forget_time_wait();
}

/* --- waking who waits ----------------------------------------------------------------------------------------------- */

struct sleeper {
	struct file *f;
	bool writes;
	ssize_t result;
};

static void sleeper(void *arg)
{
	struct sleeper *s = arg;
	char c;
	static char block[32768];

	if (!s->writes) {
		s->result = file_read_kernel(s->f, &c, 1);
		return;
	}
	do
		s->result = file_write_kernel(s->f, block, sizeof(block));
	while (s->result == (ssize_t)sizeof(block));
}

static void nap(uint64_t ms)
{
	(void)!sleep_until(crew_deadline_ms(ms), WAIT_UNINTERRUPTIBLE);
}

/* The writer may be slow to fill what the peer has taken; then it is full. */
static bool becomes_full(struct file *f)
{
	uint64_t end = crew_hang_deadline();

	while ((file_poll(f) & POLL_OUT) && clock_now_ns() < end)
		nap(1);
	return !(file_poll(f) & POLL_OUT);
}

KTEST(net_blocked_are_woken)
{
	struct file *listener = listen_here(), *a, *b;

	for (int how = 0; how < 4; how++) {
		struct crew crew = { 0 };
		struct sleeper s = { .writes = how >= 2 };

		if (!pair(listener, &a, &b))
			return;
		s.f = a;
		crew_add(&crew, sleeper, &s, ALL_CPUS);
		if (s.writes)
			KT_CHECK(becomes_full(a));
		crew_await_asleep(crew.thread[0]);
		if (how == 0)
			KT_CHECK(socket_shutdown(a, SOCKET_SHUT_RD) == 0);
		else if (how == 1 || how == 2)
			KT_CHECK(socket_abort(a) == 0);
		else
			KT_CHECK(socket_abort(b) == 0);
		crew_join(&crew);
		KT_CHECK(how != 0 || s.result == 0);
		KT_CHECK(how != 1 || s.result == -ECONNABORTED);
		KT_CHECK(how < 2 || s.result < (ssize_t)32768);
		file_put(a);
		file_put(b);
	}
	file_put(listener);
	net_forget_time_wait();
}

/* A13: a peer that does not read stalls its own connection only. */
KTEST(net_stalled_peer)
{
	struct file *listener = listen_here(), *a, *b, *c, *d;
	struct crew crew = { 0 };
	struct sleeper s = { .writes = true };
	char byte = 'x';

	if (!pair(listener, &a, &b) || !pair(listener, &c, &d))
		return;
	s.f = a;
	crew_add(&crew, sleeper, &s, ALL_CPUS);
	KT_CHECK(becomes_full(a));
	for (int i = 0; i < 200; i++) {
		KT_CHECK(file_write_kernel(c, &byte, 1) == 1);
		KT_CHECK(file_read_kernel(d, &byte, 1) == 1);
	}
	KT_CHECK(becomes_full(a));
	KT_CHECK(socket_abort(b) == 0);
	crew_join(&crew);
	file_put(a);
	file_put(b);
	file_put(c);
	file_put(d);
	file_put(listener);
	net_forget_time_wait();
}

/* The least that the slab has given out while lwIP's timers go off several times. */
static uint64_t least_in_use(uint64_t fail_after)
{
	uint64_t least = UINT64_MAX;

	for (unsigned n = 0; n < 12; n++) {
		alloc_fail_after(fail_after);
		nap(50);
		least = MIN(least, slab_bytes_in_use());
	}
	alloc_fail_after(0);
	return least;
}

/* lwIP's timers go off and start anew with every allocation failing: none of them moves into the slab's account or out of
 * it. What a packet or a test before makes the network hold passes, a timer in the wrong place stays. */
KTEST(net_timers_have_their_pool)
{
	uint64_t before, now = least_in_use(0), end = crew_hang_deadline();

	do {
		before = now;
		now = least_in_use(0);
	} while (now != before && clock_now_ns() < end);
	KT_CHECK(least_in_use(1) == before);
	KT_CHECK(least_in_use(0) == before);
}

/* A text of the SSH server's clients: what is no address, or names an interface, is refused without a look at any. */
KTEST(net_address_has_no_zone)
{
	static const char *const none[] = { "::1%lo0",	   "fe80::1%e", "::1/64",
					    "127.0.0.1 x", "",		"lo0" };
	struct socket_addr a;

	for (unsigned i = 0; i < ARRAY_SIZE(none); i++)
		KT_CHECK(socket_addr_parse(&a, none[i]) == -EINVAL);
	KT_CHECK(socket_addr_parse(&a, "fe80::1") == 0 && a.v6);
	KT_CHECK(socket_addr_parse(&a, "127.0.0.1") == 0 && !a.v6);
}
