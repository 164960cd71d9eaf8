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
#define BREAK_ROOM  4 /* of a break with its mark, and the end of its line */

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

/* Output goes on, unless a program holds it. */
static void restart(struct ldisc *l)
{
	l->stopped = l->held;
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
	l->t.iflag = ICRNL | IXON;
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

size_t ldisc_count(const struct ldisc *l)
{
	size_t n = ldisc_available(l);

	if (lflag(l, ICANON))
		for (uint32_t i = l->head; i != l->line; i++)
			n -= is_end(l, i) && at(l, i) == 0;
	return n;
}

bool ldisc_readable(const struct ldisc *l)
{
	size_t n = ldisc_available(l);

	if (lflag(l, ICANON) || l->t.cc[VTIME] || l->t.cc[VMIN] == 0)
		return n > 0;
	return n >= l->t.cc[VMIN];
}

/* PARMRK marks what was received badly by a 0xff before it, so one that was typed comes twice. */
static uint32_t places(const struct ldisc *l, uint8_t c)
{
	return c == 0xff && iflag(l, PARMRK) ? 2 : 1;
}

static uint32_t room(const struct ldisc *l)
{
	return l->size - (l->tail - l->head);
}

bool ldisc_has_room(const struct ldisc *l)
{
	if (lflag(l, ICANON))
		return l->line == l->head || room(l) > places(l, 0xff);
	return room(l) >= places(l, 0xff);
}

void ldisc_flush_input(struct ldisc *l)
{
	l->head = l->line = l->tail;
	l->pushed = l->erasing = false;
	shrink(l);
}

/* What was typed in one mode and is read in the other: ends of file become 0, and what had no end is a line. */
static void change_mode(struct ldisc *l)
{
	memset(l->ring + l->size, 0, l->size / 8);
	l->pushed = lflag(l, ICANON) && l->tail != l->head;
	if (l->pushed)
		put(l->ring, l->size, l->tail - 1, at(l, l->tail - 1), true);
	l->line = l->tail;
	l->literal = l->erasing = false;
}

void ldisc_set_termios(struct ldisc *l, const struct tty_termios *t)
{
	bool canonical = lflag(l, ICANON), flow = iflag(l, IXON);

	l->t = *t;
	if (canonical != lflag(l, ICANON))
		change_mode(l);
	if (flow && !iflag(l, IXON))
		restart(l);
}

void ldisc_hold(struct ldisc *l, bool on)
{
	if (on != l->held)
		l->stopped = l->held = on;
}

/* Is byte i an end of file? */
static bool is_eof(const struct ldisc *l, uint32_t i)
{
	return is_end(l, i) && at(l, i) == 0 && !l->pushed;
}

static size_t read_line(struct ldisc *l, uint8_t *dst, size_t n, bool *more)
{
	size_t got = 0;
	bool end = false;

	while (got < n && !end && l->head != l->line) {
		end = is_end(l, l->head);
		if (is_eof(l, l->head))
			l->head++;
		else
			dst[got++] = at(l, l->head++);
		l->pushed &= !end;
	}
	/* an end of file right behind a full read belongs to it: it is no empty read of its own */
	if (!end && l->head != l->line && is_eof(l, l->head)) {
		end = true;
		l->head++;
	}
	*more = !end && l->head != l->line;
	return got;
}

size_t ldisc_read(struct ldisc *l, uint8_t *dst, size_t n, bool *more)
{
	size_t got = 0;

	if (lflag(l, ICANON)) {
		got = read_line(l, dst, n, more);
	} else {
		for (n = MIN(n, ldisc_available(l)); got < n; got++)
			dst[got] = at(l, l->head++);
		l->line = l->tail;
		*more = l->head != l->tail;
	}
	shrink(l);
	return got;
}

/* --- output and echo -------------------------------------------------------------------------------------------- */

static bool is_control(uint8_t c)
{
	return c < ' ' || c == 0x7f;
}

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
	bool both = oflag(l, ONLCR);

	if (both || oflag(l, ONLRET))
		l->column = 0;
	l->line_column = l->column;
	if (both)
		*out++ = '\r';
	*out = '\n';
	return both ? 2 : 1;
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
		if (oflag(l, OCRNL))
			out[0] = '\n';
		if (!oflag(l, OCRNL) || oflag(l, ONLRET))
			l->line_column = l->column = 0;
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
		if (!is_control(c) && !is_continuation(l, c))
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
	return lflag(l, ECHOCTL) && is_control(c) && c != '\t';
}

/* ECHOPRT shows what is taken away between \ and /. */
static void end_erasing(struct ldisc *l)
{
	if (l->erasing && lflag(l, ECHO))
		echo_raw(l, '/');
	l->erasing &= !lflag(l, ECHO);
}

/* A key as it goes into the line: a newline that ends it is shown by echo_raw() instead. */
static void echo_char(struct ldisc *l, uint8_t c)
{
	if (!lflag(l, ECHO))
		return;
	if (shown_as_caret(l, c)) {
		echo_raw(l, '^');
		c ^= 0x40;
	}
	echo_raw(l, c);
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
		else if (!is_control(c) && !is_continuation(l, c))
			col++;
	}
	return col;
}

/* Where the last character of the edited line begins; its end if there is none. */
static uint32_t last_char(const struct ldisc *l)
{
	for (uint32_t i = l->tail; i != l->line;)
		if (!is_continuation(l, at(l, --i)))
			return i;
	return l->tail;
}

static void print_erased(struct ldisc *l, uint32_t from)
{
	if (!l->erasing && lflag(l, ECHO))
		echo_raw(l, '\\');
	l->erasing |= lflag(l, ECHO);
	for (uint32_t i = from; i != l->tail; i++)
		echo_char(l, at(l, i));
	l->tail = from;
	if (from == l->line)
		end_erasing(l);
}

/* Take the last character away, from the buffer and from the screen. False: there is none. */
static bool erase_one(struct ldisc *l, bool visibly)
{
	unsigned before = column_at(l, l->tail), after;
	uint32_t i = last_char(l);
	bool tab = i != l->tail && at(l, i) == '\t';

	if (i == l->tail)
		return false;
	if (lflag(l, ECHOPRT)) {
		print_erased(l, i);
		return true;
	}
	l->tail = i;
	after = column_at(l, i);
	if (!visibly)
		echo_char(l, l->t.cc[VERASE]);
	for (; visibly && lflag(l, ECHO) && before > after; before--) {
		echo_raw(l, '\b');
		if (tab)
			continue;
		echo_raw(l, ' ');
		echo_raw(l, '\b');
	}
	return true;
}

/* Letters that are not ASCII begin so, in Latin-1 and in UTF-8. */
static bool is_word(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '_' || c >= 0xc0;
}

static void erase_word(struct ldisc *l)
{
	bool seen = false, word;

	while (l->tail != l->line) {
		word = is_word(at(l, last_char(l)));
		if ((seen && !word) || !erase_one(l, true))
			return;
		seen |= word;
	}
}

static void kill_line(struct ldisc *l)
{
	if (l->tail == l->line)
		return;
	if (lflag(l, ECHO) && lflag(l, ECHOK) && lflag(l, ECHOKE) && lflag(l, ECHOE)) {
		while (erase_one(l, true))
			;
		return;
	}
	l->tail = l->line;
	end_erasing(l);
	echo_char(l, l->t.cc[VKILL]);
	if (lflag(l, ECHOK) && lflag(l, ECHO))
		echo_raw(l, '\n');
}

static void reprint(struct ldisc *l)
{
	end_erasing(l);
	echo_char(l, l->t.cc[VREPRINT]);
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

static bool is_flow_key(const struct ldisc *l, uint8_t c)
{
	return iflag(l, IXON) && (is_key(l, VSTART, c) || is_key(l, VSTOP, c));
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

static void discard(struct ldisc *l)
{
	if (lflag(l, NOFLSH))
		return;
	ldisc_flush_input(l);
	l->ops->flush_output(l->arg);
}

static bool input_signal(struct ldisc *l, uint8_t c)
{
	int sig = signal_of(l, c);

	if (!sig)
		return false;
	discard(l);
	if (iflag(l, IXON))
		restart(l);
	echo_char(l, c);
	l->ops->signal(l->arg, sig);
	return true;
}

static bool input_edit(struct ldisc *l, uint8_t c)
{
	bool extended = lflag(l, IEXTEN);

	if (is_key(l, VERASE, c)) {
		erase_one(l, lflag(l, ECHOE));
	} else if (extended && is_key(l, VWERASE, c)) {
		erase_word(l);
	} else if (is_key(l, VKILL, c)) {
		kill_line(l);
	} else if (extended && is_key(l, VLNEXT, c)) {
		l->literal = true;
		end_erasing(l);
		if (lflag(l, ECHO) && lflag(l, ECHOCTL)) {
			echo_raw(l, '^');
			echo_raw(l, '\b');
		}
	} else if (extended && is_key(l, VREPRINT, c) && lflag(l, ECHO)) {
		reprint(l);
	} else {
		return false;
	}
	return true;
}

static void echo_typed(struct ldisc *l, uint8_t c)
{
	end_erasing(l);
	echo_char(l, c);
}

static void store_typed(struct ldisc *l, uint8_t c, bool end)
{
	if (places(l, c) == 2)
		store(l, c, false);
	store(l, c, end);
}

/* A byte of the edited line. One place is kept for its end, so that a line that is too long can still be ended. False:
 * there was no room. */
static bool take(struct ldisc *l, uint8_t c, bool end)
{
	make_room(l);
	if (room(l) < places(l, c) + !end) {
		if (iflag(l, IMAXBEL))
			echo_raw(l, BELL);
		return false;
	}
	if (l->tail == l->line)
		l->line_column = l->column;
	store_typed(l, c, end);
	if (end)
		l->line = l->tail;
	return true;
}

static void input_canonical(struct ldisc *l, uint8_t c)
{
	bool key_end = is_key(l, VEOL, c) || (lflag(l, IEXTEN) && is_key(l, VEOL2, c));

	if (input_edit(l, c))
		return;
	if (is_key(l, VEOF, c) && c != '\n') {
		take(l, 0, true);
		return;
	}
	if (!take(l, c, c == '\n' || key_end))
		return;
	if (c == '\n' && (lflag(l, ECHO) || lflag(l, ECHONL)))
		echo_raw(l, c);
	else if (key_end)
		echo_char(l, c);
	else if (c != '\n')
		echo_typed(l, c);
}

static void input_raw(struct ldisc *l, uint8_t c, bool newline)
{
	make_room(l);
	if (room(l) < places(l, c))
		return;
	store_typed(l, c, false);
	l->line = l->tail;
	if (!newline)
		echo_char(l, c);
	else if (lflag(l, ECHO))
		echo_raw(l, c);
}

static uint8_t fold(const struct ldisc *l, uint8_t c)
{
	if (iflag(l, ISTRIP))
		c &= 0x7f;
	if (iflag(l, IUCLC) && lflag(l, IEXTEN) && c >= 'A' && c <= 'Z')
		c += 'a' - 'A';
	return c;
}

void ldisc_input(struct ldisc *l, uint8_t c)
{
	bool literal = l->literal, cr;

	c = fold(l, c);
	l->literal = false;
	if (!literal && is_flow_key(l, c)) {
		if (is_key(l, VSTART, c))
			restart(l);
		else
			l->stopped = true;
		return;
	}
	if (!literal && input_signal(l, c))
		return;
	if (iflag(l, IXON) && iflag(l, IXANY))
		restart(l);
	if (literal) {
		if (take(l, c, false))
			echo_typed(l, c);
		return;
	}
	cr = c == '\r';
	if (cr && iflag(l, IGNCR))
		return;
	if (cr && iflag(l, ICRNL))
		c = '\n';
	else if (c == '\n' && iflag(l, INLCR))
		c = '\r';
	if (lflag(l, ICANON))
		input_canonical(l, c);
	else
		input_raw(l, c, cr && c == '\n');
}

void ldisc_break(struct ldisc *l)
{
	if (iflag(l, IGNBRK))
		return;
	if (iflag(l, BRKINT)) {
		discard(l);
		l->ops->signal(l->arg, SIGNAL_INT);
		return;
	}
	make_room(l);
	if (room(l) < BREAK_ROOM)
		return;
	if (iflag(l, PARMRK)) {
		store(l, 0xff, false);
		store(l, 0, false);
	}
	store(l, 0, false);
	if (!lflag(l, ICANON))
		l->line = l->tail;
}

/* Does this byte need no place in the buffer? */
static bool needs_no_room(const struct ldisc *l, uint8_t c)
{
	c = fold(l, c);
	return !l->literal && (is_flow_key(l, c) || signal_of(l, c) != 0);
}

/* There is no room. How many of p does a key among them discard, that comes after them? */
static size_t discarded(const struct ldisc *l, const uint8_t *p, size_t n)
{
	bool literal = l->literal;

	if (lflag(l, NOFLSH))
		return 0;
	for (size_t i = 0; i < n; i++) {
		uint8_t c = fold(l, p[i]);

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
