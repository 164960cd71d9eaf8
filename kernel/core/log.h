/* SPDX-License-Identifier: MIT */
/* The log: a ring in memory, and the console. Any context, no allocation. A line goes to the ring under LOG
 * and is written out whole, so lines of several CPUs never mix. Format: "[    s.uuuuuu] text". Text begins
 * with the floor, as in "net: link up". */
#ifndef TERN_KERNEL_CORE_LOG_H
#define TERN_KERNEL_CORE_LOG_H

#include "lib/types.h"

void log_info(const char *fmt, ...) __printf(1, 2);
void log_warn(const char *fmt, ...) __printf(1, 2);
/* Debug images only. */
void log_debug(const char *fmt, ...) __printf(1, 2);

/* A console: where the log's lines go. write() is called with LOG held and irqs off, may not sleep, and may spin
 * only for the device's FIFO. drivers/chip registers the PL011; until then lines stay in the ring. */
struct console_ops {
	const char *name;
	void (*write)(const char *s, size_t n);
};
/* What the ring holds is written to it first. */
void log_set_console(const struct console_ops *ops);
const struct console_ops *log_console(void);
/* Tests: another console, without what the ring holds. */
void log_swap_console(const struct console_ops *ops);

/* Bytes for the console that are no log lines (the terminal's), as they are: written between lines, never within one.
 * Any context. */
void console_write(const char *s, size_t n);

#define LOG_RING_SIZE 32768
/* How many bytes were ever written: the end of a line. */
uint64_t log_end(void);
/* Read the ring from *seq on (0: the oldest kept) into buf; *seq advances. Returns bytes, 0 at the end. */
size_t log_read(uint64_t *seq, char *buf, size_t size);

/* Panic's way: break LOG if somebody holds it, and write directly from now on. */
void log_panic_mode(void);

#endif
