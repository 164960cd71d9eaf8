/* SPDX-License-Identifier: MIT */
/* The line discipline: what a terminal does to the bytes between a keyboard, a program and a screen. Pure: bytes in, bytes
 * out by callback; no locks, no waiting; builds hosted. The caller serialises. */
#ifndef TERN_DRIVERS_TTY_LDISC_H
#define TERN_DRIVERS_TTY_LDISC_H

#include "lib/types.h"

/* The kernel's struct termios of the Linux ABI: 36 bytes. */
struct tty_termios {
	uint32_t iflag, oflag, cflag, lflag;
	uint8_t line;
	uint8_t cc[19];
};
static_assert(sizeof(struct tty_termios) == 36, "termios of the ABI");

#define LDISC_INPUT 4096u /* bytes typed and not yet read: the longest line, as on Linux */
#define LDISC_SMALL                                                                                \
	256u	       /* ... that have their place in struct ldisc: as many as VMIN can ask for */
#define LDISC_WIDEST 8 /* most bytes that one byte of output becomes */

/* A ring of n bytes, and a bit for each of them. */
#define LDISC_RING(n) ((n) + (n) / 8)

struct ldisc_ops {
	/* Bytes for the screen, already processed. What there is no room for is lost. */
	void (*echo)(void *arg, const char *s, size_t n);
	/* A key of ISIG was typed; input (and output, unless NOFLSH) was flushed before. */
	void (*signal)(void *arg, int sig);
	void (*flush_output)(void *arg);
	/* Memory for the large ring; NULL: there is none, and the small one must do. */
	void *(*alloc)(void *arg, size_t n);
	void (*free)(void *arg, void *p);
};

/* Bytes [head, line) may be read in canonical mode: whole lines. [line, tail) is being edited. In raw mode line == tail.
 * Indices run free; `ends` marks the last byte of each line, and a marked 0 is an end of file.
 *
 * The ring is the small one until it is half full, then a large one until all is read: most terminals are quiet. Both are
 * indexed modulo their size, a power of two, so the indices stay. Without memory the small one must do: less is typed
 * ahead, and the longest line is shorter. */
struct ldisc {
	struct tty_termios t;
	const struct ldisc_ops *ops; /* [init] */
	void *arg;		     /* [init] */
	uint32_t head, line, tail;
	uint32_t size; /* of the ring: LDISC_SMALL or LDISC_INPUT */
	uint8_t *ring; /* small, or [alloc]: the bytes, then the bits */
	uint8_t small[LDISC_RING(LDISC_SMALL)];
	unsigned column;      /* of the screen */
	unsigned line_column; /* where the edited line began */
	bool literal;	      /* VLNEXT was typed */
	bool erasing;	      /* ECHOPRT: what was taken away is being shown */
	bool pushed; /* the first line ends for a change of mode: its last byte is no end of file */
	bool stopped; /* no output: VSTOP was typed, or ... */
	bool held;    /* ... a program stopped it, which no key undoes */
};

/* The modes a terminal starts with: canonical, echoing, 38400 baud. */
void ldisc_init(struct ldisc *l, const struct ldisc_ops *ops, void *arg);
/* Wipe it and give the large ring back. */
void ldisc_fini(struct ldisc *l);
void ldisc_set_termios(struct ldisc *l, const struct tty_termios *t);
/* A byte was typed. */
void ldisc_input(struct ldisc *l, uint8_t c);
/* The line was held low (RFC 4335): nothing, a signal or bytes, as the modes say. */
void ldisc_break(struct ldisc *l);
/* Bytes were typed. Returns how many were taken: fewer when the reader is behind. A key that sends a signal gets through
 * even then, for it discards what was typed before it. */
size_t ldisc_type(struct ldisc *l, const uint8_t *p, size_t n);
/* May another byte be typed without loss? A line without an end may always go on: what does not fit is refused with a
 * bell, for the reader waits for its end. */
bool ldisc_has_room(const struct ldisc *l);
/* Is there something for read() to give? */
bool ldisc_readable(const struct ldisc *l);
size_t ldisc_available(const struct ldisc *l);
/* The same without the ends of file: what FIONREAD tells. */
size_t ldisc_count(const struct ldisc *l);
/* Up to n bytes, at most one line in canonical mode. 0 when readable: end of file. *more: the same read() may go on. */
size_t ldisc_read(struct ldisc *l, uint8_t *dst, size_t n, bool *more);
void ldisc_flush_input(struct ldisc *l);
/* A program stops or restarts output (tcflow). */
void ldisc_hold(struct ldisc *l, bool on);
/* A program's byte on its way to the screen: what it becomes. Returns how many bytes. */
size_t ldisc_output(struct ldisc *l, uint8_t c, char out[LDISC_WIDEST]);

#endif
