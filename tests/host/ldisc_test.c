/* SPDX-License-Identifier: MIT */
/* The line discipline, fed key by key: what is read, what is shown, which signals come.
 * The kernel's own source. */
/* sources: drivers/tty/ldisc.c */
#include <asm/termbits.h>
#include "drivers/tty/ldisc.h"
#include "kernel/proc/signal.h"
#include "lib/string.h"
#include "tests/host/test.h"
#include <stdlib.h>
#include <string.h>

void secure_zero(void *p, size_t n)
{
	memset(p, 0, n);
}

static struct ldisc ld;
static char shown[200000];
static size_t shown_n;
static int last_signal, signals, flushes, rings;
static bool no_memory;

static void on_echo(void *arg, const char *s, size_t n)
{
	if (shown_n + n < sizeof(shown)) {
		memcpy(shown + shown_n, s, n);
		shown_n += n;
	}
}

static void on_signal(void *arg, int sig)
{
	last_signal = sig;
	signals++;
}

static void on_flush(void *arg)
{
	flushes++;
}

static void *on_alloc(void *arg, size_t n)
{
	if (no_memory)
		return NULL;
	rings++;
	return malloc(n);
}

static void on_free(void *arg, void *p)
{
	rings--;
	free(p);
}

static const struct ldisc_ops ops = { on_echo, on_signal, on_flush, on_alloc, on_free };

static void start(void)
{
	if (ld.ops)
		ldisc_fini(&ld);
	no_memory = false;
	ldisc_init(&ld, &ops, NULL);
}

static size_t type(const char *s)
{
	return ldisc_type(&ld, (const uint8_t *)s, strlen(s));
}

static void change(uint32_t set_l, uint32_t clear_l, uint32_t set_i, uint32_t clear_i)
{
	struct tty_termios t = ld.t;

	t.lflag = (t.lflag | set_l) & ~clear_l;
	t.iflag = (t.iflag | set_i) & ~clear_i;
	ldisc_set_termios(&ld, &t);
}

static size_t take(char *buf, size_t max)
{
	bool more;

	return ldisc_read(&ld, (uint8_t *)buf, max, &more);
}

static void reads(const char *want)
{
	char buf[5000];
	size_t n = take(buf, sizeof(buf) - 1);

	buf[n] = 0;
	CHECK_STR(buf, want);
}

static void shows(const char *want)
{
	shown[shown_n] = 0;
	CHECK_STR(shown, want);
	shown_n = 0;
}

TEST(ldisc_line_waits_for_its_end)
{
	start();
	type("hel");
	CHECK(!ldisc_readable(&ld));
	type("lo\r");
	CHECK(ldisc_readable(&ld));
	CHECK_EQ(ldisc_available(&ld), 6);
	reads("hello\n");
	shows("hello\r\n");
}

TEST(ldisc_break)
{
	char buf[8];

	start();
	signals = flushes = 0;
	type("a");
	ldisc_break(&ld);
	type("b\n");
	CHECK_EQ(take(buf, sizeof(buf)), 4);
	CHECK_MEM(buf, "a\0b\n", 4);
	change(0, ICANON, PARMRK, 0);
	ldisc_break(&ld);
	CHECK_EQ(take(buf, sizeof(buf)), 3);
	CHECK_MEM(buf, "\xff\0\0", 3);
	type("c");
	change(0, ISIG, BRKINT, 0);
	ldisc_break(&ld);
	CHECK_EQ(last_signal, SIG_INT);
	CHECK_EQ(signals, 1);
	CHECK_EQ(flushes, 1);
	CHECK(!ldisc_readable(&ld));
	type("d");
	change(0, 0, IGNBRK, 0);
	ldisc_break(&ld);
	CHECK_EQ(signals, 1);
	reads("d");
	/* nobody reads: what does not fit is lost */
	no_memory = true;
	change(0, 0, 0, IGNBRK | BRKINT);
	while (ldisc_has_room(&ld))
		ldisc_break(&ld);
	for (int i = 0; i < 4; i++)
		ldisc_break(&ld);
	CHECK(ldisc_available(&ld) <= LDISC_SMALL);
	start();
	shown_n = 0;
}

TEST(ldisc_two_lines_two_reads)
{
	char buf[10];

	start();
	type("one\rtwo\r");
	CHECK_EQ(take(buf, 2), 2);
	reads("e\n");
	reads("two\n");
	CHECK(!ldisc_readable(&ld));
}

TEST(ldisc_erase)
{
	start();
	type("ab\x7f\x7f\x7f"
	     "c\r");
	shows("ab\b \b\b \bc\r\n");
	reads("c\n");
}

TEST(ldisc_erase_tab_and_control)
{
	start();
	type("a\t\x7f");
	shows("a\t\b\b\b\b\b\b\b");
	type("\x01\x7f\r");
	shows("^A\b \b\b \b\r\n");
	reads("a\n");
}

TEST(ldisc_erase_utf8)
{
	start();
	change(0, 0, IUTF8, 0);
	type("\xc3\xa9\x7f\r");
	shows("\xc3\xa9\b \b\r\n");
	reads("\n");
}

TEST(ldisc_erase_word_and_line)
{
	start();
	type("one two  \x17x\r");
	reads("one x\n");
	shown_n = 0;
	type("abc\x15z\r");
	shows("abc\b \b\b \b\b \bz\r\n");
	reads("z\n");
	change(0, ECHOKE, 0, 0);
	type("abc\x15z\r");
	shows("abc^U\r\nz\r\n");
}

TEST(ldisc_erase_on_paper)
{
	start();
	change(ECHOPRT, 0, 0, 0);
	type("abc\x7f\x7f"
	     "d\x7f\x7f\r");
	shows("abc\\cb/d\\da/\r\n");
	reads("\n");
}

TEST(ldisc_end_of_file)
{
	char buf[8];

	start();
	type("\x04");
	CHECK(ldisc_readable(&ld));
	CHECK_EQ(take(buf, 8), 0);
	CHECK(!ldisc_readable(&ld));
	/* in the middle of a line it only ends the line */
	type("abc\x04"
	     "d\r");
	CHECK_EQ(take(buf, 3), 3);
	reads("d\n");
}

TEST(ldisc_veol_delivers_and_echoes)
{
	struct tty_termios t;

	start();
	change(0, ISIG, 0, 0);
	t = ld.t;
	t.cc[VEOL] = 3;
	ldisc_set_termios(&ld, &t);
	type("ab\x03");
	shows("ab^C");
	CHECK_EQ(signals, 0);
	reads("ab\x03");
}

TEST(ldisc_signals)
{
	start();
	type("gone\x03"
	     "kept\r");
	CHECK_EQ(last_signal, SIG_INT);
	CHECK_EQ(flushes, 1);
	shows("gone^Ckept\r\n");
	reads("kept\n");
	type("\x1c");
	CHECK_EQ(last_signal, SIG_QUIT);
	type("\x1a");
	CHECK_EQ(last_signal, SIG_TSTP);
	change(NOFLSH, 0, 0, 0);
	type("stay\x03\r");
	CHECK_EQ(flushes, 3);
	reads("stay\n");
}

TEST(ldisc_literal_next)
{
	start();
	type("\x16\x03\r");
	CHECK_EQ(signals, 0);
	shows("^\b^C\r\n");
	reads("\x03\n");
}

TEST(ldisc_reprint)
{
	start();
	type("ab\x12"
	     "c\r");
	shows("ab^R\r\nabc\r\n");
}

TEST(ldisc_flow)
{
	start();
	type("\x13");
	CHECK(ld.stopped);
	type("x\x11");
	CHECK(!ld.stopped);
	change(0, 0, IXANY, 0);
	type("\x13z");
	CHECK(!ld.stopped);
	type("\x13");
	change(0, 0, 0, IXON);
	CHECK(!ld.stopped);
	type("\x13\r");
	reads("xz\x13\n");
}

TEST(ldisc_newline_modes)
{
	start();
	change(0, 0, INLCR, ICRNL);
	type("a\n\r");
	CHECK(!ldisc_readable(&ld));
	change(0, 0, IGNCR | ICRNL, INLCR);
	type("\r\xe1\n");
	reads("a\r\r\xe1\n");
	change(0, 0, ISTRIP, 0);
	type("\xe1\n");
	reads("a\n");
}

TEST(ldisc_raw)
{
	start();
	change(0, ICANON | ECHO | ISIG | IEXTEN, 0, ICRNL | IXON);
	type("a\x03\x04\r");
	CHECK(ldisc_readable(&ld));
	reads("a\x03\x04\r");
	shows("");
}

TEST(ldisc_mode_change_keeps_input)
{
	char buf[20];

	start();
	type("line\r\x04part");
	CHECK_EQ(ldisc_count(&ld), 5);
	change(0, ICANON, 0, 0);
	CHECK_EQ(take(buf, sizeof(buf)), 10);
	CHECK_MEM(buf, "line\n\0part", 10);
	type("xy");
	change(ICANON, 0, 0, 0);
	CHECK(ldisc_readable(&ld));
	type("z\r");
	reads("xy");
	reads("z\n");
}

TEST(ldisc_full)
{
	char buf[5000];

	start();
	/* a line that has no end is cut, its end still comes in */
	for (int i = 0; i < 5000; i++)
		CHECK_EQ(type("x"), 1);
	CHECK_EQ(type("\r"), 1);
	CHECK_EQ(type("y"), 0);
	/* a key that discards what is before it gets through */
	CHECK_EQ(type("yyy\x03z"), 5);
	CHECK_EQ(signals, 1);
	type("\r");
	reads("z\n");
	change(0, ICANON, 0, 0);
	for (int i = 0; i < 4096; i++)
		CHECK_EQ(type("r"), 1);
	CHECK_EQ(type("r"), 0);
	CHECK_EQ(take(buf, sizeof(buf)), 4096);
	CHECK_EQ(type("r"), 1);
}

TEST(ldisc_output)
{
	char out[LDISC_WIDEST];
	struct tty_termios t;

	start();
	CHECK_EQ(ldisc_output(&ld, '\n', out), 2);
	CHECK_MEM(out, "\r\n", 2);
	t = ld.t;
	t.oflag |= XTABS | ONOCR;
	ldisc_set_termios(&ld, &t);
	CHECK_EQ(ldisc_output(&ld, '\r', out), 0);
	CHECK_EQ(ldisc_output(&ld, 'a', out), 1);
	CHECK_EQ(ldisc_output(&ld, '\t', out), 7);
	CHECK_EQ(ldisc_output(&ld, '\r', out), 1);
	t.oflag = OPOST | OCRNL;
	ldisc_set_termios(&ld, &t);
	CHECK_EQ(ldisc_output(&ld, '\r', out), 1);
	CHECK_EQ(out[0], '\n');
	t.oflag = 0;
	ldisc_set_termios(&ld, &t);
	CHECK_EQ(ldisc_output(&ld, '\n', out), 1);
}

static void type_many(char c, int n)
{
	for (int i = 0; i < n; i++)
		CHECK_EQ(ldisc_type(&ld, (const uint8_t *)&c, 1), 1);
}

/* The large ring is there while there is much to read, and what is in the small one moves into it. */
TEST(ldisc_ring_on_demand)
{
	char buf[LDISC_INPUT];

	start();
	type_many('x', 1000);
	type("\x15one\rtwo\r");
	reads("one\n");
	CHECK_EQ(rings, 1);
	reads("two\n");
	CHECK_EQ(rings, 0);
	type_many('a', 100);
	type("\r");
	CHECK_EQ(rings, 0);
	type_many('b', 3000);
	CHECK_EQ(rings, 1);
	CHECK_EQ(take(buf, sizeof(buf)), 101);
	CHECK(buf[0] == 'a' && buf[99] == 'a' && buf[100] == '\n');
	type("\r");
	CHECK_EQ(take(buf, sizeof(buf)), 3001);
	CHECK(buf[0] == 'b' && buf[2999] == 'b' && buf[3000] == '\n');
	CHECK_EQ(rings, 0);
	type_many('c', 300);
	CHECK_EQ(rings, 1);
	ldisc_flush_input(&ld);
	CHECK_EQ(rings, 0);
	type_many('d', 300);
	ldisc_fini(&ld);
	CHECK_EQ(rings, 0);
}

/* Without memory less is typed ahead and the longest line is shorter, but nothing stands still. */
TEST(ldisc_no_memory_for_the_ring)
{
	char buf[1000];
	int lines = 0;

	start();
	no_memory = true;
	type_many('x', 500);
	type("\r");
	CHECK_EQ(take(buf, sizeof(buf)), LDISC_SMALL);
	CHECK(buf[LDISC_SMALL - 2] == 'x' && buf[LDISC_SMALL - 1] == '\n');
	while (lines < 100 && type("line\r") == 5)
		lines++;
	CHECK_EQ(lines, (LDISC_SMALL - 1) / 5);
	CHECK(!ldisc_has_room(&ld));
	reads("line\n");
	CHECK(ldisc_has_room(&ld));
	no_memory = false;
	type_many('y', 500);
	CHECK_EQ(rings, 1);
	ldisc_flush_input(&ld);
	no_memory = true;
	change(0, ICANON, 0, 0);
	ld.t.cc[VMIN] = 255;
	type_many('z', 255);
	CHECK(ldisc_readable(&ld));
}

/* Any keys, modes and reads: the invariants hold and nothing is touched that should not be. */
TEST(ldisc_random)
{
	static const char keys[] = "ab \t\r\n\x03\x04\x7f\x15\x16\x17\x12\x11\x13\x1a\xc3\xa9";
	char buf[300];

	start();
	for (int i = 0; i < 200000 * test_scale; i++) {
		struct tty_termios t = ld.t;
		uint8_t c = (uint8_t)keys[test_below(sizeof(keys) - 1)];

		no_memory = i >> 12 & 1;
		switch (test_below(40)) {
		case 0:
			t.lflag ^= 1u << test_below(16);
			ldisc_set_termios(&ld, &t);
			break;
		case 1:
			t.iflag ^= 1u << test_below(15);
			ldisc_set_termios(&ld, &t);
			break;
		case 2:
			if (ldisc_readable(&ld))
				take(buf, 1 + test_below(sizeof(buf)));
			break;
		default:
			ldisc_type(&ld, &c, 1);
		}
		shown_n = 0;
		CHECK(ld.line - ld.head <= ld.tail - ld.head);
		CHECK(ld.tail - ld.head <= ld.size);
		CHECK_EQ(rings, ld.size == LDISC_INPUT);
		CHECK((ld.t.lflag & ICANON) || ld.line == ld.tail);
	}
}
