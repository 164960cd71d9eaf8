/* SPDX-License-Identifier: MIT */
/* Terminals through the two ends of a pair: modes, the line discipline, sessions and job control, hang-up. */
#include <poll.h>
#include <termios.h>
#include "tests/diff/lib/terminal.h"

/* As the kernel has it: 36 bytes, no speeds. */
struct ktermios {
	unsigned iflag, oflag, cflag, lflag;
	unsigned char line, cc[19];
};

static void say_modes(int line, int fd)
{
	struct ktermios t;
	char text[200] = "";

	memset(&t, 0, sizeof(t));
	if (ioctl(fd, TCGETS, &t) < 0) {
		diff_say(line, "TCGETS: %s", errno_name(errno));
		return;
	}
	for (int i = 0; i < 19; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " %u", t.cc[i]);
	diff_say(line, "i %o o %o c %o l %o line %u cc%s", t.iflag, t.oflag, t.cflag, t.lflag,
		 t.line, text);
}
#define MODES(fd) say_modes(__LINE__, fd)

#define CHANGE(flags, clear, set)                                                                  \
	do {                                                                                       \
		struct ktermios k;                                                                 \
		ioctl(slave, TCGETS, &k);                                                          \
		k.flags = (k.flags & ~(unsigned)(clear)) | (set);                                  \
		ioctl(slave, TCSETS, &k);                                                          \
	} while (0)
#define change(clear, set)	  CHANGE(lflag, clear, set)
#define change_input(clear, set)  CHANGE(iflag, clear, set)
#define change_output(clear, set) CHANGE(oflag, clear, set)

/* What comes within some time, with what is not printable spelled. */
static void say_read(int line, const char *which, int fd, int ms)
{
	char buf[600], text[2000] = "";
	struct pollfd f = { fd, POLLIN, 0 };
	ssize_t n;

	settle();
	if (poll(&f, 1, ms) == 0) {
		diff_say(line, "%s: nothing", which);
		return;
	}
	n = read(fd, buf, sizeof(buf));
	if (n < 0) {
		diff_say(line, "%s: %s", which, errno_name(errno));
		return;
	}
	for (ssize_t i = 0; i < n; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 buf[i] >= 32 && buf[i] < 127 ? "%c" : "\\%03o", (unsigned char)buf[i]);
	diff_say(line, "%s: %zd '%s'", which, n, text);
}
#define FROM(fd)    say_read(__LINE__, #fd, fd, AWAIT_SECONDS * 1000)
#define NOTHING(fd) say_read(__LINE__, #fd, fd, 100)

CASE(pairs)
{
	struct stat st;
	char name[40];
	int n = -1, fd;

	fd = OK(open("/dev/ptmx", O_RDWR | O_NOCTTY));
	R(ioctl(fd, TIOCGPTN, &n));
	snprintf(name, sizeof(name), "/dev/pts/%d", n);
	R(stat(name, &st));
	say("%06o owner %d major %d", st.st_mode, (int)st.st_uid, (int)(st.st_rdev >> 8 & 0xfff));
	/* locked until it is unlocked */
	R(open(name, O_RDWR | O_NOCTTY));
	n = -1;
	R(ioctl(fd, TIOCGPTLCK, &n));
	say("%d", n);
	R(ioctl(fd, TIOCSPTLCK, &(int){ 0 }));
	OK(open(name, O_RDWR | O_NOCTTY));
	OK(ioctl(fd, TIOCGPTPEER, O_RDWR | O_NOCTTY));
	R(isatty(fd));
	R(close(fd));
	R(open(name, O_RDWR));
	R(stat(name, &st));
	if (!open_pair(O_NOCTTY))
		return;
	R(isatty(slave));
	MODES(slave);
	MODES(master);
	R(ioctl(slave, TIOCGPTN, &n));
	R(ioctl(slave, TIOCSPTLCK, &n));
	R(lseek(slave, 0, SEEK_SET));
	R(ftruncate(slave, 0));
}

CASE(canonical)
{
	if (!open_pair(O_NOCTTY))
		return;
	type("hello");
	NOTHING(slave);
	FROM(master);
	type(" world\n");
	FROM(slave);
	FROM(master);
	type("abc\177\177X\n");
	FROM(slave);
	FROM(master);
	type("one two  three\027four\n");
	FROM(slave);
	FROM(master);
	type("killed\025kept\n");
	FROM(slave);
	FROM(master);
	type("a\026\003b\026\nc\n");
	FROM(slave);
	FROM(master);
	type("no newline\004");
	FROM(slave);
	type("\004");
	FROM(slave);
	type("two\nlines\n");
	FROM(slave);
	FROM(slave);
	type("\001\033[A\t\n");
	FROM(slave);
	FROM(master);
	type("again\022\n");
	FROM(slave);
	FROM(master);
	/* a short read leaves the rest */
	char c[3];

	type("abcdef\n");
	R(read(slave, c, 3));
	FROM(slave);
	int n = -1;

	type("count\nme\n");
	R(ioctl(slave, FIONREAD, &n));
	say("%d", n);
	R(ioctl(slave, TCFLSH, TCIFLUSH));
	R(ioctl(slave, FIONREAD, &n));
	say("%d", n);
}

CASE(long_lines)
{
	static char line[5000];
	ssize_t n;

	if (!open_pair(O_NOCTTY))
		return;
	change(ECHO, 0);
	memset(line, 'x', 4999);
	fcntl(master, F_SETFL, O_NONBLOCK);
	R(write(master, line, 4095));
	R(write(master, "\n", 1));
	n = read(slave, line, sizeof(line));
	say("%zd", n);
	memset(line, 'y', 4999);
	Q(write(master, line, 4999) > 4000);
	Q(write(master, "\n", 1) == 1);
	n = read(slave, line, sizeof(line));
	say("%zd, ends in %d", n, line[n - 1]);
}

CASE(raw)
{
	struct ktermios t;
	char c[10];

	if (!open_pair(O_NOCTTY))
		return;
	change(ICANON | ECHO | ISIG | IEXTEN, 0);
	type("a");
	FROM(slave);
	type("\003\004\177\026");
	FROM(slave);
	NOTHING(master);
	/* MIN and TIME */
	ioctl(slave, TCGETS, &t);
	t.cc[VMIN] = 3;
	t.cc[VTIME] = 0;
	R(ioctl(slave, TCSETS, &t));
	type("12");
	if (fork() == 0) {
		until_asleep(getppid());
		type("345");
		_exit(0);
	}
	R(read(slave, c, 10));
	wait(NULL);
	t.cc[VMIN] = 0;
	R(ioctl(slave, TCSETS, &t));
	R(read(slave, c, 10));
	t.cc[VTIME] = 1;
	R(ioctl(slave, TCSETS, &t));
	R(read(slave, c, 10));
	type("x");
	R(read(slave, c, 10));
	t.cc[VMIN] = 5;
	R(ioctl(slave, TCSETS, &t));
	type("yz");
	R(read(slave, c, 10));
	R(fcntl(slave, F_SETFL, O_NONBLOCK));
	R(read(slave, c, 10));
	/* back: what is there is a line from now on */
	type("raw");
	change(0, ICANON);
	FROM(slave);
	type("\n");
	FROM(slave);
}

CASE(echo_flags)
{
	if (!open_pair(O_NOCTTY))
		return;
	change(ECHO, 0);
	type("a\177b\n");
	NOTHING(master);
	FROM(slave);
	change(0, ECHONL);
	type("a\n");
	FROM(master);
	change(ECHONL, ECHO);
	change(ECHOE, 0);
	type("ab\177\n");
	FROM(master);
	change(ECHOK | ECHOKE, 0);
	type("ab\025c\n");
	FROM(master);
	change(0, ECHOK);
	type("ab\025c\n");
	FROM(master);
	change(0, ECHOE | ECHOKE);
	type("a\tb\177\177\177c\n");
	FROM(master);
	change(ECHOCTL, 0);
	type("\001\033\n");
	FROM(master);
	change(0, ECHOCTL | ECHOPRT);
	type("ab\177\177c\n");
	FROM(master);
}

CASE(input_flags)
{
	if (!open_pair(O_NOCTTY))
		return;
	change(ECHO, 0);
	type("a\rb\n");
	FROM(slave);
	FROM(slave);
	change_input(ICRNL, 0);
	type("a\rb\n");
	FROM(slave);
	change_input(0, INLCR);
	type("a\nb\r\004");
	FROM(slave);
	change_input(INLCR, IGNCR);
	type("a\rb\n");
	FROM(slave);
	change_input(IGNCR, ISTRIP);
	type("\341\342\n");
	FROM(slave);
	change_input(ISTRIP, IUCLC);
	type("ABC\n");
	FROM(slave);
	change_input(IUCLC, IUTF8);
	change(0, ECHO);
	type("\303\244\177x\n");
	FROM(slave);
	FROM(master);
	change_input(IUTF8 | IXON, 0);
	type("\023\021\n");
	FROM(slave);
}

CASE(output_flags)
{
	if (!open_pair(O_NOCTTY))
		return;
	R(write(slave, "a\nb\tc\r\n", 7));
	FROM(master);
	change_output(ONLCR, 0);
	R(write(slave, "a\nb\r\n", 5));
	FROM(master);
	change_output(0, OCRNL);
	R(write(slave, "a\rb", 3));
	FROM(master);
	change_output(OCRNL, ONOCR);
	R(write(slave, "\r\ra\r\r", 5));
	FROM(master);
	change_output(ONOCR, OLCUC);
	R(write(slave, "abc", 3));
	FROM(master);
	change_output(OLCUC, XTABS | ONLCR);
	R(write(slave, "\nab\tc\td\n", 8));
	FROM(master);
	change_output(OPOST, 0);
	R(write(slave, "a\tb\n", 4));
	FROM(master);
}

static int write_held(void *arg)
{
	(void)arg;
	return write(slave, "held", 4) != 4;
}

CASE(flow)
{
	if (!open_pair(O_NOCTTY))
		return;
	type("\023");
	until_asleep(start_child(write_held, NULL));
	NOTHING(master);
	type("\021");
	FROM(master);
	wait(NULL);
	R(ioctl(slave, TCXONC, TCOOFF));
	until_asleep(start_child(write_held, NULL));
	NOTHING(master);
	R(ioctl(slave, TCXONC, TCOON));
	FROM(master);
	wait(NULL);
	R(ioctl(slave, TCXONC, TCIOFF));
	FROM(master);
	R(ioctl(slave, TCXONC, TCION));
	FROM(master);
	R(ioctl(slave, TCXONC, 77));
	R(ioctl(slave, TCFLSH, 77));
	int n = 0;

	R(ioctl(slave, TIOCOUTQ, &n));
	R(ioctl(slave, TCFLSH, TCOFLUSH));
	type("typed\n");
	FROM(master);
	R(ioctl(slave, TCFLSH, TCIOFLUSH));
	NOTHING(slave);
	R(ioctl(slave, TCSBRK, 1));
}

CASE(settings)
{
	struct ktermios t;
	struct winsize w = { 1, 2, 3, 4 };

	if (!open_pair(O_NOCTTY))
		return;
	ioctl(slave, TCGETS, &t);
	t.cc[VINTR] = 'q';
	t.iflag = 0177777;
	R(ioctl(slave, TCSETSF, &t));
	MODES(master);
	R(ioctl(slave, TCSETSW, &t));
	R(ioctl(slave, TCSETS, BAD));
	R(ioctl(slave, TCGETS, BAD));
	R(ioctl(slave, TIOCGWINSZ, &w));
	say("%d %d %d %d", w.ws_row, w.ws_col, w.ws_xpixel, w.ws_ypixel);
	w = (struct winsize){ 50, 100, 7, 8 };
	R(ioctl(master, TIOCSWINSZ, &w));
	memset(&w, 0, sizeof(w));
	R(ioctl(slave, TIOCGWINSZ, &w));
	say("%d %d %d %d", w.ws_row, w.ws_col, w.ws_xpixel, w.ws_ypixel);
	R(ioctl(slave, TIOCGWINSZ, BAD));
	R(ioctl(slave, TIOCSWINSZ, BAD));
	R(ioctl(slave, 0x5499, 0));
	R(ioctl(slave, TIOCNOTTY));
	R(ioctl(slave, TIOCGPGRP, &(int){ 0 }));
	R(ioctl(slave, TIOCGSID, &(int){ 0 }));
	R(ioctl(slave, TIOCSPGRP, &(int){ getpid() }));
	R(ioctl(slave, TIOCEXCL));
	R(ioctl(slave, TIOCNXCL));
	R(ioctl(slave, TIOCSTI, "x"));
	struct termios lib;

	R(tcgetattr(slave, &lib));
	cfmakeraw(&lib);
	R(tcsetattr(slave, TCSANOW, &lib));
	MODES(slave);
	Q(cfgetospeed(&lib) == B38400);
}

/* ---- sessions; the case leads one, without a terminal */

static bool take_terminal(void)
{
	return open_pair(O_NOCTTY) && R(ioctl(slave, TIOCSCTTY, 0)) == 0;
}

CASE(controlling)
{
	char name[40];
	int n = -1, fd;

	R(open("/dev/tty", O_RDWR));
	if (!open_pair(O_NOCTTY))
		return;
	R(open("/dev/tty", O_RDWR));
	R(ioctl(slave, TIOCSCTTY, 0));
	fd = OK(open("/dev/tty", O_RDWR));
	R(isatty(fd));
	R(ioctl(slave, TIOCGSID, &n));
	Q(n == getpid());
	R(ioctl(slave, TIOCGPGRP, &n));
	Q(n == getpid());
	R(ioctl(fd, TIOCGPGRP, &n));
	R(ioctl(master, TIOCGPGRP, &n));
	Q(n == getpid());
	R(ioctl(slave, TIOCSCTTY, 0));
	/* by opening one; a second is not taken */
	on(SIGHUP, count_signal);
	R(ioctl(fd, TIOCNOTTY));
	say("HUP %d", caught[SIGHUP]);
	R(open("/dev/tty", O_RDWR));
	R(ioctl(master, TIOCGPTN, &n));
	snprintf(name, sizeof(name), "/dev/pts/%d", n);
	OK(open(name, O_RDWR));
	OK(open("/dev/tty", O_RDWR));
	int first = slave;

	open_pair(O_NOCTTY);
	R(ioctl(slave, TIOCSCTTY, 0));
	if (fork() == 0) {
		R(ioctl(slave, TIOCSCTTY, 0));
		setsid();
		R(open("/dev/tty", O_RDWR));
		R(ioctl(first, TIOCSCTTY, 0));
		R(ioctl(first, TIOCGPGRP, &n));
		R(ioctl(first, TIOCSPGRP, &(int){ getpid() }));
		R(ioctl(slave, TIOCSCTTY, 0));
		OK(open("/dev/tty", O_RDWR));
		_exit(0);
	}
	wait(NULL);
}

CASE(foreground)
{
	pid_t pid;

	if (!take_terminal())
		return;
	on(SIGINT, count_signal);
	on(SIGQUIT, count_signal);
	on(SIGTSTP, count_signal);
	type("\003");
	type("\034");
	type("\032");
	say("INT %d QUIT %d TSTP %d", caught[SIGINT], caught[SIGQUIT], caught[SIGTSTP]);
	FROM(master);
	/* what was typed before is gone, unless NOFLSH */
	type("abc\003def\n");
	FROM(slave);
	change(0, NOFLSH);
	type("abc\003def\n");
	FROM(slave);
	change(ISIG, 0);
	type("a\003b\n");
	FROM(slave);
	change(0, ISIG);
	/* another group in front: it gets the signal */
	pid = fork();
	if (pid == 0) {
		on(SIGINT, SIG_DFL);
		for (;;)
			pause();
	}
	setpgid(pid, pid);
	until_asleep(pid);
	R(ioctl(slave, TIOCSPGRP, &pid));
	caught[SIGINT] = 0;
	type("\003");
	REAP(pid);
	say("INT %d", caught[SIGINT]);
	R(ioctl(slave, TIOCSPGRP, &(int){ 1 }));
	R(ioctl(slave, TIOCSPGRP, &(int){ -1 }));
	R(ioctl(slave, TIOCSPGRP, &(int){ 1 << 21 }));
	R(ioctl(slave, TIOCSPGRP, BAD));
}

static int background_read(void *arg)
{
	char c;

	(void)arg;
	setpgid(0, 0);
	R(read(slave, &c, 1));
	return 5;
}

static int background_write(void *arg)
{
	(void)arg;
	setpgid(0, 0);
	R(write(slave, "from behind\n", 12));
	return 6;
}

static int background_settings(void *arg)
{
	struct ktermios t;

	(void)arg;
	setpgid(0, 0);
	ioctl(slave, TCGETS, &t);
	R(ioctl(slave, TCSETS, &t));
	return 7;
}

static int background_front(void *arg)
{
	(void)arg;
	setpgid(0, 0);
	R(ioctl(slave, TIOCSPGRP, &(int){ getpid() }));
	return 8;
}

static void stop_and_end(int line, pid_t pid)
{
	int status;

	waitpid(pid, &status, WUNTRACED);
	diff_status(line, "child", status);
	if (!WIFSTOPPED(status))
		return;
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
}

static int ignoring(void *arg)
{
	on(SIGTTIN, SIG_IGN);
	on(SIGTTOU, SIG_IGN);
	return ((int (*)(void *))arg)(NULL);
}

static int blocking(void *arg)
{
	sigset_t set;

	sigfillset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	return ((int (*)(void *))arg)(NULL);
}

CASE(background)
{
	static int (*const all[])(void *) = { background_read, background_write,
					      background_settings, background_front };

	if (!take_terminal())
		return;
	for (int i = 0; i < 4; i++) {
		stop_and_end(__LINE__, start_child(all[i], NULL));
		stop_and_end(__LINE__, start_child(ignoring, (void *)all[i]));
		R(ioctl(slave, TIOCSPGRP, &(int){ getpid() }));
		stop_and_end(__LINE__, start_child(blocking, (void *)all[i]));
		on(SIGTTOU, SIG_IGN);
		R(ioctl(slave, TIOCSPGRP, &(int){ getpid() }));
		on(SIGTTOU, SIG_DFL);
	}
	change(0, TOSTOP);
	stop_and_end(__LINE__, start_child(background_write, NULL));
	stop_and_end(__LINE__, start_child(ignoring, (void *)background_write));
}

static int orphan(void *arg)
{
	pid_t middle = getpid();
	int *p = arg;

	setpgid(0, 0);
	if (fork() == 0) {
		char c;

		AWAIT(getppid() != middle);
		R(read(slave, &c, 1));
		R(ioctl(slave, TIOCSPGRP, &(int){ getpid() }));
		write(p[1], "x", 1);
		_exit(0);
	}
	return 0;
}

CASE(orphans)
{
	int p[2];
	char c;

	if (!take_terminal())
		return;
	pipe(p);
	pid_t pid = start_child(orphan, p);

	R(read(p[0], &c, 1));
	REAP(pid);
}

CASE(window)
{
	struct winsize w = { 10, 20, 0, 0 };

	if (!take_terminal())
		return;
	on(SIGWINCH, count_signal);
	R(ioctl(master, TIOCSWINSZ, &w));
	settle();
	say("WINCH %d", caught[SIGWINCH]);
	R(ioctl(master, TIOCSWINSZ, &w));
	settle();
	say("WINCH %d", caught[SIGWINCH]);
	w.ws_col = 30;
	R(ioctl(slave, TIOCSWINSZ, &w));
	settle();
	say("WINCH %d", caught[SIGWINCH]);
}

static void say_poll(int line, const char *which, int fd)
{
	struct pollfd f = { fd, POLLIN | POLLOUT, 0 };

	poll(&f, 1, 0);
	diff_say(line, "%s:%s%s%s%s", which, f.revents & POLLIN ? " IN" : "",
		 f.revents & POLLOUT ? " OUT" : "", f.revents & POLLHUP ? " HUP" : "",
		 f.revents & POLLERR ? " ERR" : "");
}
#define POLLED(fd) say_poll(__LINE__, #fd, fd)

CASE(hang_up)
{
	char c;

	if (!take_terminal())
		return;
	on(SIGHUP, count_signal);
	on(SIGCONT, count_signal);
	POLLED(slave);
	POLLED(master);
	R(close(master));
	settle();
	say("HUP %d CONT %d", caught[SIGHUP], caught[SIGCONT]);
	POLLED(slave);
	R(read(slave, &c, 1));
	R(write(slave, "x", 1));
	MODES(slave);
	R(ioctl(slave, TIOCGPGRP, &(int){ 0 }));
	R(open("/dev/tty", O_RDWR));
}

CASE(slave_closes)
{
	char name[40], c;
	int n;

	if (!open_pair(O_NOCTTY))
		return;
	R(write(slave, "last words", 10));
	R(close(slave));
	POLLED(master);
	FROM(master);
	R(read(master, &c, 1));
	POLLED(master);
	R(write(master, "into nothing", 12));
	/* it may be opened again */
	R(ioctl(master, TIOCGPTN, &n));
	snprintf(name, sizeof(name), "/dev/pts/%d", n);
	slave = OK(open(name, O_RDWR | O_NOCTTY));
	type("again\n");
	FROM(slave);
}

CASE(leader_exits)
{
	int p[2], reaped[2], status;
	char c;
	pid_t pid;

	if (!open_pair(O_NOCTTY))
		return;
	pipe(p);
	pipe(reaped);
	pid = fork();
	if (pid == 0) {
		pid_t leader = setsid();

		R(ioctl(slave, TIOCSCTTY, 0));
		if (fork() == 0) {
			on(SIGHUP, count_signal);
			on(SIGCONT, count_signal);
			write(p[1], "r", 1);
			AWAIT(caught[SIGHUP] && getppid() != leader);
			/* until the case has told of the leader's end */
			read(reaped[0], &c, 1);
			say("HUP %d CONT %d", caught[SIGHUP], caught[SIGCONT]);
			POLLED(slave);
			R(open("/dev/tty", O_RDWR));
			_exit(0);
		}
		read(p[0], &c, 1);
		_exit(3);
	}
	waitpid(pid, &status, 0);
	STATUS(status);
	write(reaped[1], "r", 1);
	close(p[1]);
	R(read(p[0], &c, 1));
	/* a pair is not hung up for who holds it otherwise */
	POLLED(slave);
	R(write(slave, "x", 1));
}

static int stopped_member(void *arg)
{
	int *p = arg;

	setpgid(0, 0);
	on(SIGHUP, count_signal);
	write(p[1], "r", 1);
	raise(SIGSTOP);
	/* continued by the hang-up of its orphaned group */
	say("HUP %d", caught[SIGHUP]);
	write(p[1], "d", 1);
	return 0;
}

CASE(stopped_orphans)
{
	int p[2], q[2];
	char c;

	pipe(p);
	pipe(q);
	if (fork() == 0) {
		pid_t pid = start_child(stopped_member, p);

		read(p[0], &c, 1);
		waitpid(pid, NULL, WUNTRACED);
		_exit(0);
	}
	wait(NULL);
	R(read(p[0], &c, 1));
	say("%c", c);
}

CASE(packets)
{
	char buf[20];

	if (!open_pair(O_NOCTTY))
		return;
	R(ioctl(master, TIOCPKT, &(int){ 1 }));
	R(write(slave, "data", 4));
	R(read(master, buf, 20));
	say("%d %c", buf[0], buf[1]);
	R(ioctl(slave, TCFLSH, TCIOFLUSH));
	R(read(master, buf, 20));
	say("%d", buf[0]);
	R(ioctl(slave, TIOCPKT, &(int){ 1 }));
}
