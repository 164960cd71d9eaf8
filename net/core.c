/* SPDX-License-Identifier: MIT */
#include "net/core.h"

#include <stdarg.h>
#include <lwip/init.h>
#include <lwip/ip_addr.h>
#include <lwip/netif.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/sys.h>
#include <lwip/timeouts.h>

#include "kernel/core/clock.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "kernel/core/perturb.h"
#include "kernel/core/random.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "net/net.h"
#include "net/siphash.h"
#include "net/socket_impl.h"
#include "sched/thread.h"

struct mutex net_core = MUTEX_INIT(net_core, NET_CORE);
struct net_counters net_counters;

/* The network thread sleeps here; its condition is `kicked`. */
static struct waitq thread_wq = WAITQ_INIT(thread_wq);
static uint32_t kicked; /* [atomic] set by irq handlers and by who makes a deadline earlier */
static bool sleeping;	/* [NET_CORE] the thread; it wakes by itself for the timer of */
static struct net_timer sleeping_for; /* [NET_CORE] */
static uint8_t isn_key[16];	      /* [NET_CORE] */
static bool isn_key_good;	      /* [NET_CORE] from the seeded generator */

/* --- what lwIP calls ------------------------------------------------------------------------------------ */

/* In line, since each packet asks a dozen times. */
static inline void assert_core(void)
{
	ASSERT(READ_ONCE(net_core.owner) == current_thread());
}

void net_assert_core(void)
{
	assert_core();
}

/* Assertions of lwIP that a peer can break (tests/fuzz/frame_fuzz.c did), with why it is safe to go on. All others
 * are bugs and stop the machine. */
static const struct tolerated {
	const char *what;
	const char *why;
} tolerated[] = {
	{ "tcp_slowtimr: persist ticking with empty send buffer",
	  "tcp_zero_window_probe() and tcp_split_unsent_seg() look for themselves" },
	{ "tcp_slowtimr: persist ticking with in-flight data",
	  "what is in flight is not touched; the persist timer stops at the next acknowledgement" },
	{ "Can't split segment into length 0",
	  "a window of 64 KiB, scaled, taken for 16 bits: it returns an error, and the timer tries again" },
	{ "split <= mss",
	  "the segment was made before the peer asked for smaller ones, and is cut to its window at least" },
};

void net_assert_failed(const char *file, int line, const char *what)
{
	for (size_t i = 0; i < ARRAY_SIZE(tolerated); i++) {
		if (strcmp(what, tolerated[i].what) == 0) {
			net_counters.tolerated++;
			return;
		}
	}
	bug(file, line, "lwip: %s", what);
}

void net_diag(const char *fmt, ...)
{
	char text[160];
	va_list ap;

	va_start(ap, fmt);
	fmt_vprint(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_debug("net: lwip: %s", text);
}

uint32_t net_random(void)
{
	return random_u32();
}

/* I-NET-1 */
void *net_mem_alloc(size_t size)
{
	assert_core();
	return kmalloc(size);
}

void *net_mem_calloc(size_t n, size_t size)
{
	assert_core();
	return kcalloc(n, size);
}

void net_mem_free(void *p)
{
	assert_core();
	kfree(p);
}

u32_t sys_now(void)
{
	return (u32_t)(clock_now_ns() / NS_PER_MS);
}

uint32_t net_tcp_isn(const void *local_ip, size_t ip_size, uint16_t local_port,
		     const void *remote_ip, uint16_t remote_port)
{
	uint8_t text[2 * sizeof(ip_addr_t) + 4];
	size_t n = 0;

	ASSERT(2 * ip_size + 4 <= sizeof(text));
	/* until there is a seed: the weak key of net_init() */
	if (!isn_key_good)
		isn_key_good = random_bytes(isn_key, sizeof(isn_key)) == 0;
	memcpy(text, local_ip, ip_size);
	n += ip_size;
	memcpy(text + n, remote_ip, ip_size);
	n += ip_size;
	memcpy(text + n, &local_port, 2);
	memcpy(text + n + 2, &remote_port, 2);
	n += 4;
	/* a clock of 4 us steps, so that a port used again goes on above its old numbers */
	return (uint32_t)siphash(isn_key, text, n) + (uint32_t)(clock_now_ns() / 4096);
}

/* --- the lock --------------------------------------------------------------------------------------------- */

void net_lock(void) __no_lock_check
{
	mutex_lock(&net_core);
}

static uint64_t timers_deadline(void)
{
	uint64_t now_ms = clock_now_ns() / NS_PER_MS;
	u32_t ms = sys_timeouts_sleeptime();

	if (ms == SYS_TIMEOUTS_SLEEPTIME_INFINITE)
		return DEADLINE_NEVER;
	/* whole milliseconds, as lwIP counts: the same timer gives the same deadline whenever it is asked */
	return (now_ms + ms) * NS_PER_MS;
}

static bool looped(void) __requires(net_core)
{
	struct netif *n;

	NETIF_FOREACH(n)
	{
		if (n->loop_first)
			return true;
	}
	return false;
}

/* I-NET-3: what was sent to ourselves, and what that sends by another interface; then the devices, then whoever waits on a
 * socket. */
static void settle(void) __requires(net_core)
{
	net_if_loop_refill();
	while (looped())
		netif_poll_all();
	net_if_loop_refill();
	net_if_flush_all();
	net_socket_notify_all();
}

/* Does lwIP want its timers before the thread wakes? */
static bool timer_is_earlier(void) __requires(net_core)
{
	struct net_timer next = net_next_timer();

	return next.set && (!sleeping_for.set || (int32_t)(next.ms - sleeping_for.ms) < 0);
}

void net_unlock(void) __no_lock_check
{
	bool wake;

	settle();
	wake = sleeping && timer_is_earlier();
	if (wake) {
		sleeping = false;
		net_counters.wakes++;
	}
	mutex_unlock(&net_core);
	if (wake)
		net_kick_thread();
}

void net_kick_thread(void)
{
	/* pairs with the exchange in net_thread(): the reason to look comes before the flag */
	atomic_publish(&kicked, 1);
	wake_all(&thread_wq);
}

/* --- the thread ------------------------------------------------------------------------------------------------ */

/* One round under the lock. True: go on at once. Otherwise *deadline is when to look again. */
static bool work(uint64_t *deadline) __requires(net_core)
{
	bool more = net_if_poll_all();

	sys_check_timeouts();
	settle();
	net_counters.polls++;
	more |= net_if_arm_all();
	*deadline = timers_deadline();
	sleeping_for = net_next_timer();
	sleeping = !more;
	return more;
}

static void net_thread(void *arg)
{
	for (;;) {
		uint64_t deadline;
		bool more;

		/* pairs with the release in net_kick_thread() */
		atomic_exchange(&kicked, 0);
		mutex_lock(&net_core);
		sleeping = false;
		more = work(&deadline);
		mutex_unlock(&net_core);
		if (more)
			sched_yield();
		else
			(void)wait_event_mode(&thread_wq, atomic_load_acquire(&kicked),
					      WAIT_UNINTERRUPTIBLE, deadline);
	}
}

int net_init(void)
{
	uint32_t key[4] = { random_u32(), random_u32(), random_u32(), random_u32() };
	int err;

	memcpy(isn_key, key, sizeof(isn_key));
	mutex_lock(&net_core);
	lwip_init();
	err = socket_init();
	net_if_init();
	net_icmp_init();
	settle();
	mutex_unlock(&net_core);
	return err < 0 ? err : thread_spawn("net", net_thread, NULL);
}
