/* SPDX-License-Identifier: MIT */
/* The line discipline beside the one of the Linux that this test runs on: the same keys, modes, output and reads, by
 * chance, on a pseudo-terminal of the host and on the kernel's own source; what is shown and read must be equal. */
/* sources: drivers/tty/ldisc.c */
#define _GNU_SOURCE
#include <asm/termbits.h>
#include "drivers/tty/ldisc.h"
#include "lib/string.h"
#include "tests/host/test.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SHOWN 4096

void secure_zero(void *p, size_t n)
{
	memset(p, 0, n);
}

static struct ldisc ld;
static char shown[SHOWN], theirs[SHOWN], trail[4096];
static size_t shown_n, theirs_n;
static int master, slave;
static struct tty_termios first;

static void on_echo(void *arg, const char *s, size_t n)
{
	CHECK(shown_n + n <= sizeof(shown));
	memcpy(shown + shown_n, s, n);
	shown_n += n;
}

static void on_signal(void *arg, int sig)
{
}

static void on_flush(void *arg)
{
}

static void *on_alloc(void *arg, size_t n)
{
	return malloc(n);
}

static void on_free(void *arg, void *p)
{
	free(p);
}

static const struct ldisc_ops ops = { on_echo, on_signal, on_flush, on_alloc, on_free };

/* What was done, for who reads a failure. */
static void note(const char *what, const void *bytes, size_t n)
{
	size_t len = strlen(trail);

	if (len > sizeof(trail) - 500) {
		len -= 1000;
		memmove(trail, trail + 1000, len + 1);
	}
	len += (size_t)sprintf(trail + len, " %s:", what);
	for (size_t i = 0; i < n; i++)
		len += (size_t)sprintf(trail + len, "%02x", ((const uint8_t *)bytes)[i]);
}

/* Take what the host's terminal shows until it is as much as ours, and a moment longer. */
static void compare_shown(void)
{
	struct pollfd p = { .fd = master, .events = POLLIN };

	while (theirs_n < sizeof(theirs) && poll(&p, 1, theirs_n < shown_n ? 2000 : 0) == 1) {
		ssize_t n = read(master, theirs + theirs_n, sizeof(theirs) - theirs_n);

		CHECK(n > 0);
		theirs_n += (size_t)n;
	}
	if (shown_n != theirs_n || memcmp(shown, theirs, shown_n) != 0) {
		note("\nours", shown, shown_n);
		note("\nlinux", theirs, theirs_n);
		test_fail(__FILE__, __LINE__, "%s", trail);
	}
	shown_n = theirs_n = 0;
}

/* Straight to the host's line discipline. What is written to the master gets there by a worker, some time. */
static void type(uint8_t c)
{
	note("type", &c, 1);
	ldisc_type(&ld, &c, 1);
	CHECK_EQ(ioctl(slave, TIOCSTI, &c), 0);
}

static void print(uint8_t c)
{
	char out[LDISC_WIDEST];

	note("print", &c, 1);
	on_echo(NULL, out, ldisc_output(&ld, c, out));
	CHECK_EQ(write(slave, &c, 1), 1);
}

static void read_some(size_t n)
{
	uint8_t a[64], b[64];
	bool readable = ldisc_readable(&ld) || (!(ld.t.lflag & ICANON) && ldisc_available(&ld)),
	     more;
	ssize_t got = readable ? (ssize_t)ldisc_read(&ld, a, n, &more) : -1;
	ssize_t want = read(slave, b, n);

	if (want < 0 && errno != EAGAIN)
		CHECK_EQ(errno, 0);
	/* VMIN 0 and nothing there */
	if (!readable && !(ld.t.lflag & ICANON) && ld.t.cc[VMIN] == 0)
		got = 0;
	note("read", &n, 1);
	if (got != want || (got > 0 && memcmp(a, b, (size_t)got) != 0)) {
		note("\nours", a, got > 0 ? (size_t)got : 0);
		note("\nlinux", b, want > 0 ? (size_t)want : 0);
		test_fail(__FILE__, __LINE__, "read %d, on linux %d:%s", (int)got, (int)want,
			  trail);
	}
}

static void count(void)
{
	struct pollfd p = { .fd = slave, .events = POLLIN };
	int n;

	CHECK(ioctl(slave, FIONREAD, &n) == 0);
	if ((size_t)n != ldisc_count(&ld) || (poll(&p, 1, 0) == 1) != ldisc_readable(&ld))
		test_fail(__FILE__, __LINE__, "%zu to read, on linux %d:%s", ldisc_count(&ld), n,
			  trail);
}

static void set_modes(const struct tty_termios *t)
{
	note("modes", t, sizeof(*t));
	ldisc_set_termios(&ld, t);
	CHECK(ioctl(slave, TCSETS, t) == 0);
}

/* False if the host lets us type into no terminal: root may, or who has it as his own, since Linux 6.2 by dev.tty.legacy_tiocsti. */
static bool start(void)
{
	static const int keys[] = { SIGINT, SIGQUIT, SIGTSTP, SIGHUP }, unlock = 0;

	master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
	CHECK(master >= 0 && ioctl(master, TIOCSPTLCK, &unlock) == 0);
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK);
	CHECK(slave >= 0);
	ldisc_init(&ld, &ops, NULL);
	CHECK(ioctl(slave, TCGETS, &first) == 0);
	CHECK_MEM(&first, &ld.t, sizeof(first));
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		signal(keys[i], SIG_IGN);
	setsid();
	ioctl(slave, TIOCSCTTY, 0);
	return ioctl(slave, TIOCSTI, NULL) < 0 && errno == EFAULT;
}

static uint8_t any_key(void)
{
	static const char keys[] =
		"ab_9 \t\r\n\x01\x03\x04\x7f\x15\x16\x17\x12\x1a\x1c\xdf\xa9Z;\xff";

	return (uint8_t)keys[test_below(sizeof(keys) - 1)];
}

/* One of the flags of a set the other way round. What Linux does not implement is left out, and the keys and the text have
 * no letters but ASCII whose case Linux changes as if they were Latin-1. */
static void change_modes(void)
{
	static const uint32_t iflags[] = { ISTRIP, INLCR, IGNCR, ICRNL, IXON,
					   IXANY,  IUTF8, IUCLC, PARMRK };
	static const uint32_t oflags[] = { ONLCR, OCRNL, ONOCR, ONLRET, XTABS };
	static const uint32_t lflags[] = { ISIG,   ICANON,  ECHO,   ECHOE,  ECHOK, ECHONL,
					   NOFLSH, ECHOCTL, ECHOKE, IEXTEN, ICANON };
	static const uint8_t ccs[] = { VERASE,	VKILL,	VEOF,	  VEOL,	 VEOL2,
				       VWERASE, VLNEXT, VREPRINT, VINTR, VMIN };
	struct tty_termios t = ld.t;

	switch (test_below(4)) {
	case 0:
		t.iflag ^= iflags[test_below(sizeof(iflags) / 4)];
		break;
	case 1:
		t.oflag ^= oflags[test_below(sizeof(oflags) / 4)];
		break;
	case 2:
		t.lflag ^= lflags[test_below(sizeof(lflags) / 4)];
		break;
	default:
		t.cc[ccs[test_below(sizeof(ccs))]] =
			test_below(2) ? any_key() : (uint8_t)test_below(2);
	}
	/* one key for both, without IEXTEN, is not worth a rule */
	if (t.cc[VKILL] != t.cc[VWERASE])
		set_modes(&t);
}

TEST(ldisc_as_linux)
{
	static const char text[] = "xyz \t\b\r\n\x07\xc3\xa9";

	if (!start()) {
		printf("# this host lets nobody but root type into a terminal: skipped\n");
		return;
	}
	for (int i = 0; i < 5000 * test_scale; i++) {
		switch (test_below(8)) {
		case 0:
			change_modes();
			break;
		case 1:
			read_some(1 + test_below(63));
			break;
		case 2:
			print((uint8_t)text[test_below(sizeof(text) - 1)]);
			break;
		default:
			type(any_key());
		}
		compare_shown();
		count();
		if (test_below(500) == 0 || ldisc_available(&ld) > 3000) {
			ldisc_flush_input(&ld);
			CHECK(ioctl(slave, TCFLSH, TCIFLUSH) == 0);
			trail[0] = 0;
			set_modes(&(struct tty_termios){ .cflag = first.cflag });
			set_modes(&first);
		}
	}
}
