/* SPDX-License-Identifier: MIT */
/* Line discipline (POSIX General Terminal Interface, chapter 11 of the base definitions; Linux where that is silent). */
#include "drivers/tty/ldisc.h"
#include <asm/termbits.h>
#include "lib/string.h"

#define SIGNAL_INT  2
#define SIGNAL_QUIT 3
#define SIGNAL_TSTP 20
#define TAB_WIDTH   8
#define BELL	    '\a'

static bool iflag(const struct ldisc *l, uint32_t f)
{
	return l->t.iflag & f;
}

static bool lflag(const struct ldisc *l, uint32_t f)
{
	return l->t.lflag & f;
}

static bool oflag(const struct ldisc *l, uint32_t f)
{
	return l->t.oflag & f;
}

void ldisc_init(struct ldisc *l, const struct ldisc_ops *ops, void *arg)
{
	static const uint8_t cc[19] = {
		[VINTR] = 3,	 [VQUIT] = 28,	 [VERASE] = 127, [VKILL] = 21, [VEOF] = 4,
		[VMIN] = 1,	 [VSTART] = 17,	 [VSTOP] = 19,	 [VSUSP] = 26, [VREPRINT] = 18,
		[VDISCARD] = 15, [VWERASE] = 23, [VLNEXT] = 22,
	};

	memset(l, 0, sizeof(*l));
	l->ops = ops;
	l->arg = arg;
	l->ring = l->small;
	l->size = LDISC_SMALL;
	l->t.iflag = ICRNL | IXON | IUTF8;
	l->t.oflag = OPOST | ONLCR;
	l->t.cflag = B38400 | CS8 | CREAD;
	l->t.lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN;
	memcpy(l->t.cc, cc, sizeof(cc));
}

/* --- the input buffer --------------------------------------------------------------------------------------- */

static uint8_t at(const struct ldisc *l, uint32_t i)
{
	return l->ring[i % l->size];
}

static bool is_end(const struct ldisc *l, uint32_t i)
{
	return l->ring[l->size + i % l->size / 8] & BIT(i % 8);
}

static void put(uint8_t *ring, uint32_t size, uint32_t i, uint8_t c, bool end)
{
	uint8_t *ends = &ring[size + i % size / 8];

	ring[i % size] = c;
	if (end)
		*ends |= (uint8_t)BIT(i % 8);
	else
		*ends &= (uint8_t)~BIT(i % 8);
}

static void store(struct ldisc *l, uint8_t c, bool end)
{
	put(l->ring, l->size, l->tail++, c, end);
}

/* Before a byte is taken: the large ring if the small one gets tight. */
static void make_room(struct ldisc *l)
{
	uint8_t *large;

	if (l->size == LDISC_INPUT || l->tail - l->head < LDISC_SMALL / 2)
		return;
	large = l->ops->alloc(l->arg, LDISC_RING(LDISC_INPUT));
	if (!large)
		return;
	for (uint32_t i = l->head; i != l->tail; i++)
		put(large, LDISC_INPUT, i, at(l, i), is_end(l, i));
	l->ring = large;
	l->size = LDISC_INPUT;
}

/* The small ring again when nothing is left to read. What was typed may have been a password. */
static void shrink(struct ldisc *l)
{
	if (l->size == LDISC_SMALL || l->head != l->tail)
		return;
	secure_zero(l->ring, LDISC_RING(LDISC_INPUT));
	l->ops->free(l->arg, l->ring);
	l->ring = l->small;
	l->size = LDISC_SMALL;
}

void ldisc_fini(struct ldisc *l)
{
	ldisc_flush_input(l);
	secure_zero(l, sizeof(*l));
}

size_t ldisc_available(const struct ldisc *l)
{
	return (lflag(l, ICANON) ? l->line : l->tail) - l->head;
}

bool ldisc_readable(const struct ldisc *l)
{
	size_t n = ldisc_available(l);

	if (lflag(l, ICANON) || l->t.cc[VTIME] || l->t.cc[VMIN] == 0)
		return n > 0;
	return n >= l->t.cc[VMIN];
}

bool ldisc_has_room(const struct ldisc *l)
{
	if (lflag(l, ICANON))
		return l->line == l->head || l->tail - l->head < l->size - 1;
	return l->tail - l->head < l->size;
}

void ldisc_flush_input(struct ldisc *l)
{
	l->head = l->line = l->tail;
	l->literal = false;
	shrink(l);
}

/* Ends of file mean nothing to raw reads. */
static void drop_ends(struct ldisc *l)
{
	uint32_t to = l->head;

	for (uint32_t i = l->head; i != l->tail; i++) {
		uint8_t c = at(l, i);

		if (!is_end(l, i) || c != 0)
			l->ring[to++ % l->size] = c;
	}
	l->tail = to;
	memset(l->ring + l->size, 0, l->size / 8);
}

void ldisc_set_termios(struct ldisc *l, const struct tty_termios *t)
{
	bool was_canonical = lflag(l, ICANON);

	l->t = *t;
	if (was_canonical && !lflag(l, ICANON))
		drop_ends(l);
	if (was_canonical != lflag(l, ICANON)) {
		l->line = l->tail;
		l->literal = false;
	}
	if (!iflag(l, IXON))
		l->stopped = false;
}

static size_t read_line(struct ldisc *l, uint8_t *dst, size_t n)
{
	size_t got = 0;

	while (got < n && l->head != l->line) {
		uint8_t c = at(l, l->head);
		bool end = is_end(l, l->head++);

		if (end && c == 0)
			return got;
		dst[got++] = c;
		if (end)
			return got;
	}
	/* an end of file right behind a full read belongs to it: it is no empty read of its own */
	if (got && l->head != l->line && is_end(l, l->head) && at(l, l->head) == 0)
		l->head++;
	return got;
}

size_t ldisc_read(struct ldisc *l, uint8_t *dst, size_t n)
{
	size_t got = 0;

	if (lflag(l, ICANON)) {
		got = read_line(l, dst, n);
	} else {
		for (n = MIN(n, ldisc_available(l)); got < n; got++)
			dst[got] = at(l, l->head++);
		l->line = l->tail;
	}
	shrink(l);
	return got;
}

/* --- output and echo -------------------------------------------------------------------------------------------- */

static bool is_continuation(const struct ldisc *l, uint8_t c)
{
	return iflag(l, IUTF8) && (c & 0xc0) == 0x80;
}

static size_t output_tab(struct ldisc *l, char *out)
{
	size_t n = TAB_WIDTH - l->column % TAB_WIDTH;

	l->column += (unsigned)n;
	if ((l->t.oflag & TABDLY) != XTABS) {
		out[0] = '\t';
		return 1;
	}
	memset(out, ' ', n);
	return n;
}

static size_t output_newline(struct ldisc *l, char *out)
{
	if (oflag(l, ONLCR)) {
		out[0] = '\r';
		out[1] = '\n';
		l->column = 0;
		return 2;
	}
	if (oflag(l, ONLRET))
		l->column = 0;
	out[0] = '\n';
	return 1;
}

size_t ldisc_output(struct ldisc *l, uint8_t c, char out[LDISC_WIDEST])
{
	out[0] = (char)c;
	if (!oflag(l, OPOST))
		return 1;
	switch (c) {
	case '\n':
		return output_newline(l, out);
	case '\r':
		if (oflag(l, ONOCR) && l->column == 0)
			return 0;
		l->column = 0;
		if (oflag(l, OCRNL))
			out[0] = '\n';
		return 1;
	case '\t':
		return output_tab(l, out);
	case '\b':
		if (l->column > 0)
			l->column--;
		return 1;
	default:
		if (oflag(l, OLCUC) && c >= 'a' && c <= 'z')
			out[0] = (char)(c - 'a' + 'A');
		if (c >= ' ' && c != 0x7f && !is_continuation(l, c))
			l->column++;
		return 1;
	}
}

static void echo_raw(struct ldisc *l, uint8_t c)
{
	char out[LDISC_WIDEST];
	size_t n = ldisc_output(l, c, out);

	if (n)
		l->ops->echo(l->arg, out, n);
}

static bool shown_as_caret(const struct ldisc *l, uint8_t c)
{
	return lflag(l, ECHOCTL) && (c < ' ' || c == 0x7f) && c != '\t' && c != '\n';
}

static void echo_char(struct ldisc *l, uint8_t c)
{
	if (shown_as_caret(l, c)) {
		echo_raw(l, '^');
		echo_raw(l, c ^ 0x40);
	} else {
		echo_raw(l, c);
	}
}

static void echo(struct ldisc *l, uint8_t c)
{
	if (lflag(l, ECHO) || (c == '\n' && lflag(l, ECHONL) && lflag(l, ICANON)))
		echo_char(l, c);
}

/* --- editing ------------------------------------------------------------------------------------------------------ */

/* The column the edited line reaches up to byte `to`. */
static unsigned column_at(const struct ldisc *l, uint32_t to)
{
	unsigned col = l->line_column;

	for (uint32_t i = l->line; i != to; i++) {
		uint8_t c = at(l, i);

		if (c == '\t')
			col += TAB_WIDTH - col % TAB_WIDTH;
		else if (shown_as_caret(l, c))
			col += 2;
		else if (c >= ' ' && !is_continuation(l, c))
			col++;
	}
	return col;
}

/* Take the last character away, from the buffer and from the screen. */
static void erase_one(struct ldisc *l)
{
	unsigned before = column_at(l, l->tail), after;
	bool tab = at(l, l->tail - 1) == '\t';

	do
		l->tail--;
	while (l->tail != l->line && is_continuation(l, at(l, l->tail)));
	after = column_at(l, l->tail);
	if (!lflag(l, ECHO))
		return;
	if (!lflag(l, ECHOE)) {
		echo_char(l, l->t.cc[VERASE]);
		return;
	}
	for (; before > after; before--) {
		echo_raw(l, '\b');
		if (tab)
			continue;
		echo_raw(l, ' ');
		echo_raw(l, '\b');
	}
}

static bool is_word(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '_' || c >= 0x80;
}

static void erase_word(struct ldisc *l)
{
	while (l->tail != l->line && !is_word(at(l, l->tail - 1)))
		erase_one(l);
	while (l->tail != l->line && is_word(at(l, l->tail - 1)))
		erase_one(l);
}

static void kill_line(struct ldisc *l)
{
	if (lflag(l, ECHOKE) && lflag(l, ECHOE)) {
		while (l->tail != l->line)
			erase_one(l);
		return;
	}
	l->tail = l->line;
	echo(l, l->t.cc[VKILL]);
	if (lflag(l, ECHOK) && lflag(l, ECHO))
		echo_raw(l, '\n');
}

static void reprint(struct ldisc *l)
{
	echo(l, l->t.cc[VREPRINT]);
	echo_raw(l, '\n');
	for (uint32_t i = l->line; i != l->tail; i++)
		echo_char(l, at(l, i));
}

/* --- input ----------------------------------------------------------------------------------------------------------- */

/* Is c this special character? 0 disables one. */
static bool is_key(const struct ldisc *l, unsigned which, uint8_t c)
{
	return l->t.cc[which] == c && c != 0;
}

static bool input_flow(struct ldisc *l, uint8_t c)
{
	if (!iflag(l, IXON))
		return false;
	if (is_key(l, VSTOP, c)) {
		l->stopped = true;
		return true;
	}
	if (is_key(l, VSTART, c)) {
		l->stopped = false;
		return true;
	}
	if (l->stopped && iflag(l, IXANY))
		l->stopped = false;
	return false;
}

/* The signal of this key; 0: none. */
static int signal_of(const struct ldisc *l, uint8_t c)
{
	if (!lflag(l, ISIG))
		return 0;
	if (is_key(l, VINTR, c))
		return SIGNAL_INT;
	if (is_key(l, VQUIT, c))
		return SIGNAL_QUIT;
	return is_key(l, VSUSP, c) ? SIGNAL_TSTP : 0;
}

static bool input_signal(struct ldisc *l, uint8_t c)
{
	int sig = signal_of(l, c);

	if (!sig)
		return false;
	if (!lflag(l, NOFLSH)) {
		ldisc_flush_input(l);
		l->ops->flush_output(l->arg);
	}
	l->stopped = false;
	echo(l, c);
	l->ops->signal(l->arg, sig);
	return true;
}

static bool input_edit(struct ldisc *l, uint8_t c)
{
	bool extended = lflag(l, IEXTEN);

	if (is_key(l, VERASE, c)) {
		if (l->tail != l->line)
			erase_one(l);
	} else if (is_key(l, VKILL, c)) {
		kill_line(l);
	} else if (extended && is_key(l, VWERASE, c)) {
		erase_word(l);
	} else if (extended && is_key(l, VREPRINT, c)) {
		if (lflag(l, ECHO))
			reprint(l);
	} else if (extended && is_key(l, VLNEXT, c)) {
		l->literal = true;
		if (lflag(l, ECHO) && lflag(l, ECHOCTL)) {
			echo_raw(l, '^');
			echo_raw(l, '\b');
		}
	} else {
		return false;
	}
	return true;
}

/* One place is kept for the end of the line, so that a line that is too long can still be ended. */
static bool line_has_room(const struct ldisc *l, bool end)
{
	return l->tail - l->head < l->size - (end ? 0 : 1);
}

static void take(struct ldisc *l, uint8_t c, bool end)
{
	make_room(l);
	if (!line_has_room(l, end)) {
		if (iflag(l, IMAXBEL))
			echo_raw(l, BELL);
		return;
	}
	if (l->tail == l->line)
		l->line_column = l->column;
	store(l, c, end);
	if (!end || c != 0)
		echo(l, c);
	if (end)
		l->line = l->tail;
}

static void input_canonical(struct ldisc *l, uint8_t c)
{
	if (input_edit(l, c))
		return;
	if (is_key(l, VEOF, c))
		take(l, 0, true);
	else
		take(l, c, c == '\n' || is_key(l, VEOL, c) || is_key(l, VEOL2, c));
}

static void input_raw(struct ldisc *l, uint8_t c)
{
	make_room(l);
	if (l->tail - l->head >= l->size)
		return;
	store(l, c, false);
	l->line = l->tail;
	echo(l, c);
}

void ldisc_input(struct ldisc *l, uint8_t c)
{
	if (iflag(l, ISTRIP))
		c &= 0x7f;
	if (l->literal) {
		l->literal = false;
		take(l, c, false);
		return;
	}
	if (input_flow(l, c) || input_signal(l, c))
		return;
	if (c == '\r') {
		if (iflag(l, IGNCR))
			return;
		if (iflag(l, ICRNL))
			c = '\n';
	} else if (c == '\n' && iflag(l, INLCR)) {
		c = '\r';
	}
	if (lflag(l, ICANON))
		input_canonical(l, c);
	else
		input_raw(l, c);
}

/* Does this byte need no place in the buffer? */
static bool needs_no_room(const struct ldisc *l, uint8_t c)
{
	if (iflag(l, ISTRIP))
		c &= 0x7f;
	if (l->literal)
		return false;
	if (iflag(l, IXON) && (is_key(l, VSTOP, c) || is_key(l, VSTART, c)))
		return true;
	return signal_of(l, c) != 0;
}

/* There is no room. How many of p does a key among them discard, that comes after them? */
static size_t discarded(const struct ldisc *l, const uint8_t *p, size_t n)
{
	bool literal = l->literal;

	if (lflag(l, NOFLSH))
		return 0;
	for (size_t i = 0; i < n; i++) {
		uint8_t c = iflag(l, ISTRIP) ? p[i] & 0x7f : p[i];

		if (literal)
			literal = false;
		else if (signal_of(l, c))
			return i;
		else
			literal = lflag(l, ICANON) && lflag(l, IEXTEN) && is_key(l, VLNEXT, c);
	}
	return 0;
}

size_t ldisc_type(struct ldisc *l, const uint8_t *p, size_t n)
{
	size_t i = 0;

	while (i < n) {
		size_t skip;

		if (ldisc_has_room(l) || needs_no_room(l, p[i])) {
			ldisc_input(l, p[i++]);
			continue;
		}
		skip = discarded(l, p + i, n - i);
		if (skip == 0)
			break;
		l->literal = false;
		i += skip;
	}
	return i;
}
