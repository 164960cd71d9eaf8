/* SPDX-License-Identifier: MIT */
/* The log. A line is formatted on the caller's stack, then goes into the ring and to the console under LOG: so lines of
 * several CPUs stay whole (I-LOG-1) and in the order of their time stamps, and nothing is formatted with the lock held. */
#include "kernel/core/log.h"

#include "kernel/core/clock.h"
#include "kernel/core/spinlock.h"
#include "lib/fmt.h"
#include "lib/string.h"

#define RING_SIZE LOG_RING_SIZE
#define LINE_MAX  256
/* console_write() holds LOG, and interrupts off, for this many bytes at a time. */
#define CONSOLE_CHUNK 64

static spinlock_t lock = SPINLOCK_INIT(LOG);
static char ring[RING_SIZE];		  /* [lock] */
static uint64_t ring_end;		  /* [lock] bytes ever written; at seq % RING_SIZE */
static const struct console_ops *console; /* [lock] */
static bool panicking;			  /* [atomic] set once: LOG is no longer taken */
static bool at_line_start = true;	  /* [lock] the console's column is 0 */

static irqflags_t log_lock(void) __no_lock_check
{
	if (READ_ONCE(panicking))
		return arch_irq_save();
	return spin_lock_irqsave(&lock);
}

static void log_unlock(irqflags_t f) __no_lock_check
{
	if (READ_ONCE(panicking) && !spin_held(&lock))
		arch_irq_restore(f);
	else
		spin_unlock_irqrestore(&lock, f);
}

static void ring_put(const char *s, size_t n)
{
	while (n) {
		size_t at = ring_end % RING_SIZE;
		size_t part = MIN(n, RING_SIZE - at);

		memcpy(ring + at, s, part);
		ring_end += part;
		s += part;
		n -= part;
	}
}

static void console_put(const char *s, size_t n)
{
	if (!console || !n)
		return;
	console->write(s, n);
	at_line_start = s[n - 1] == '\n';
}

/* Lines of ours: nobody else gives them their carriage returns. */
static void console_put_lines(const char *s, size_t n)
{
	size_t from = 0;

	for (size_t i = 0; i < n; i++)
		if (s[i] == '\n') {
			console_put(s + from, i - from);
			console_put("\r\n", 2);
			from = i + 1;
		}
	console_put(s + from, n - from);
}

static void log_line(const char *text, size_t len)
{
	char stamp[32];
	irqflags_t f = log_lock();
	uint64_t us = clock_now_ns() / NS_PER_US;
	size_t n = fmt_print(stamp, sizeof(stamp), "[%5lu.%06lu] ", us / 1000000, us % 1000000);

	if (!at_line_start)
		console_put("\r\n", 2);
	ring_put(stamp, n);
	ring_put(text, len);
	console_put(stamp, n);
	console_put_lines(text, len);
	log_unlock(f);
}

static void log_format(const char *fmt, va_list ap)
{
	char line[LINE_MAX];
	size_t n = MIN(fmt_vprint(line, sizeof(line) - 1, fmt, ap), sizeof(line) - 2);

	line[n++] = '\n';
	log_line(line, n);
}

void log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_format(fmt, ap);
	va_end(ap);
}

void log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_format(fmt, ap);
	va_end(ap);
}

#ifdef DEBUG
void log_debug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_format(fmt, ap);
	va_end(ap);
}
#else
void log_debug(const char *fmt, ...)
{
	(void)fmt;
}
#endif

void log_set_console(const struct console_ops *ops)
{
	irqflags_t f = log_lock();
	uint64_t seq = ring_end > RING_SIZE ? ring_end - RING_SIZE : 0;

	/* what was said before anybody listened */
	console = ops;
	while (seq < ring_end) {
		size_t at = seq % RING_SIZE;
		size_t part = MIN(ring_end - seq, RING_SIZE - at);

		console_put_lines(ring + at, part);
		seq += part;
	}
	log_unlock(f);
}

void log_swap_console(const struct console_ops *ops)
{
	irqflags_t f = log_lock();

	console = ops;
	log_unlock(f);
}

const struct console_ops *log_console(void)
{
	return console;
}

void console_write(const char *s, size_t n)
{
	while (n) {
		size_t part = MIN(n, (size_t)CONSOLE_CHUNK);
		irqflags_t f = log_lock();

		console_put(s, part);
		log_unlock(f);
		s += part;
		n -= part;
	}
}

uint64_t log_end(void)
{
	irqflags_t f = log_lock();
	uint64_t end = ring_end;

	log_unlock(f);
	return end;
}

size_t log_read(uint64_t *seq, char *buf, size_t size)
{
	irqflags_t f = log_lock();
	uint64_t oldest = ring_end > RING_SIZE ? ring_end - RING_SIZE : 0;
	size_t done = 0;

	*seq = MAX(*seq, oldest);
	while (done < size && *seq < ring_end) {
		size_t at = *seq % RING_SIZE;
		size_t part = MIN(ring_end - *seq, RING_SIZE - at);

		part = MIN(part, size - done);

		memcpy(buf + done, ring + at, part);
		*seq += part;
		done += part;
	}
	log_unlock(f);
	return done;
}

void log_panic_mode(void)
{
	WRITE_ONCE(panicking, true);
}
