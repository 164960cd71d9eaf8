/* SPDX-License-Identifier: MIT */
/* The log: whole lines from everywhere, no allocation. Rows A10, X-23. */
#include "kernel/core/clock.h"
#include "kernel/core/current.h"
#include "kernel/core/log.h"
#include "kernel/core/percpu.h"
#include "lib/atomic.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/ktest.h"

#define LINES 40

static char ring[32768];

static void storm_line(char *buf, size_t size, unsigned who, unsigned i)
{
	size_t n = fmt_print(buf, size, "storm %u line %u ", who, i);

	while (n < 60)
		buf[n++] = (char)('a' + (who * 7 + i) % 26);
	buf[n] = '\0';
}

/* A console that is slow, notices a second writer inside, and keeps what it gets. */
static char seen[40000];
static size_t seen_len;
static uint32_t inside, entered_twice; /* [atomic] */
static uint32_t to_come;	       /* [atomic] threads that have not begun */
static uint32_t from_irq;	       /* [atomic] lines the interrupt has logged */
static uint32_t logged;		       /* [atomic] lines the threads have logged */
static uint32_t asked;		       /* [atomic] somebody waits for one of the interrupt */

static void slow_write(const char *s, size_t n)
{
	if (atomic_exchange(&inside, 1))
		atomic_fetch_add(&entered_twice, 1);
	clock_spin_ns(2000);
	if (n < sizeof(seen) - seen_len) {
		memcpy(seen + seen_len, s, n);
		seen_len += n;
	}
	atomic_exchange(&inside, 0);
}

/* Amid the storm, however rarely the host lets the timer run. */
static void await_irq_line(void)
{
	uint32_t was = READ_ONCE(from_irq);

	atomic_store_release(&asked, 1);
	while (READ_ONCE(from_irq) == was)
		sched_yield();
}

static void storm_fn(void *arg)
{
	char line[80];

	/* all at once */
	atomic_fetch_sub(&to_come, 1);
	while (READ_ONCE(to_come))
		sched_yield();
	current_base()->alloc_forbidden = true;
	for (unsigned i = 0; i < LINES; i++) {
		storm_line(line, sizeof(line), (unsigned)(uintptr_t)arg, i);
		log_info("%s", line);
		atomic_fetch_add(&logged, 1);
		if (i == LINES / 2)
			await_irq_line();
	}
	current_base()->alloc_forbidden = false;
}

static void log_from_irq(struct timer *t)
{
	static uint32_t told;
	uint32_t now = READ_ONCE(logged);

	/* a line to each of theirs at most: when the host halts the threads, more would push theirs out of the log */
	if (atomic_exchange(&asked, 0) || now != told) {
		told = now;
		log_info("storm from an interrupt");
		atomic_fetch_add(&from_irq, 1);
	}
	timer_arm(t, clock_now_ns() + 200000);
}

static bool find_line(const char *text, const char *line)
{
	size_t n = strlen(line);

	for (; *text; text++) {
		if (*text == ']' && strncmp(text + 2, line, n) == 0 && text[2 + n] < ' ')
			return true;
	}
	return false;
}

KTEST(log_storm)
{
	static const struct console_ops slow = { "slow", slow_write };
	const struct console_ops *real = log_console();
	struct crew crew = { 0 };
	struct timer t;
	uint64_t seq = 0;
	unsigned n = MIN(cpu_count(), 4u), missing = 0;
	size_t len;

	log_swap_console(&slow);
	/* skip what is there */
	while (log_read(&seq, ring, sizeof(ring) - 1))
		;
	seen_len = 0;
	entered_twice = 0;
	to_come = n;
	timer_init(&t, log_from_irq);
	timer_arm(&t, clock_now_ns());
	for (unsigned i = 0; i < n; i++)
		crew_add(&crew, storm_fn, (void *)(uintptr_t)i, BIT(i));
	crew_join(&crew);
	timer_cancel(&t);
	log_swap_console(real);
	len = log_read(&seq, ring, sizeof(ring) - 1);
	ring[len] = '\0';
	seen[seen_len] = '\0';
	for (unsigned who = 0; who < n; who++) {
		for (unsigned i = 0; i < LINES; i++) {
			char line[80];

			storm_line(line, sizeof(line), who, i);
			missing += !find_line(ring, line) || !find_line(seen, line);
		}
	}
	KT_CHECK(missing == 0);
	KT_CHECK(entered_twice == 0);
	KT_CHECK(find_line(ring, "storm from an interrupt"));
}

KTEST(log_long_line)
{
	uint64_t seq = 0;
	size_t len;
	char text[600];

	while (log_read(&seq, ring, sizeof(ring) - 1))
		;
	memset(text, 'y', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_info("test: %s", text);
	len = log_read(&seq, ring, sizeof(ring) - 1);
	KT_CHECK(len > 200 && len < 300 && ring[len - 1] == '\n');
	/* read in pieces */
	seq = 0;
	for (size_t part = 1; part; part = log_read(&seq, ring, 7))
		KT_CHECK(part <= 7);
}

static char captured[256];
static size_t captured_len;

static void capture(const char *s, size_t n)
{
	n = MIN(n, sizeof(captured) - 1 - captured_len);
	memcpy(captured + captured_len, s, n);
	captured_len += n;
}

/* What a program in raw mode writes reaches the device as it is; only our own lines get their carriage returns. */
KTEST(console_bytes_pass_untouched)
{
	static const struct console_ops taker = { "capture", capture };
	const struct console_ops *real = log_console();
	const char *stamp;

	captured_len = 0;
	log_swap_console(&taker);
	console_write("a\nb\r\n\n", 6);
	console_write("c", 1);
	log_info("line");
	log_swap_console(real);
	captured[captured_len] = '\0';
	KT_CHECK(strncmp(captured,
			 "a\nb\r\n\n"
			 "c\r\n[",
			 10) == 0);
	stamp = strchr(captured, ']');
	KT_CHECK(stamp && strcmp(stamp, "] line\r\n") == 0);
}
