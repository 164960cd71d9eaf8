/* SPDX-License-Identifier: MIT */
/* Pseudo-terminals, controlling terminals and job control, by their calls. Each case leads a session of its own. What the
 * line discipline makes of keys and output is tests/host/ldisc_linux_test.c's. */
#include <asm/ioctls.h>
#include <poll.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include "tests/diff/lib/terminal.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441
#endif
#define TIOCGPTLCK_ 0x80045439u
#define TIOCGPKT_   0x80045438u
#define TIOCGEXCL_  0x80045440u
#define TIOCSIG_    0x40045436u
#define TCGETS2_    0x802c542au
#define TCSETS2_    0x402c542bu

static void show_caught(int sig)
{
	say("%s caught: %d", signal_name(sig), caught[sig]);
	caught[sig] = 0;
}

static void change(int fd, tcflag_t set, tcflag_t clear)
{
	struct termios t;

	tcgetattr(fd, &t);
	t.c_lflag = (t.c_lflag | set) & ~clear;
	tcsetattr(fd, TCSANOW, &t);
}

static void set_raw(int min, int tenths)
{
	struct termios t;

	tcgetattr(slave, &t);
	cfmakeraw(&t);
	t.c_cc[VMIN] = (cc_t)min;
	t.c_cc[VTIME] = (cc_t)tenths;
	tcsetattr(slave, TCSANOW, &t);
}

/* One read, as text. */
static void show_read(int line, const char *what, int fd, size_t n)
{
	char buf[5000], text[300] = "";
	size_t at = 0;
	ssize_t got;

	settle();
	got = read(fd, buf, n);
	if (got < 0) {
		diff_say(line, "read %s: %s", what, errno_name(errno));
		return;
	}
	for (ssize_t i = 0; i < got && at < 200; i++)
		at += (size_t)sprintf(text + at, buf[i] >= ' ' && buf[i] < 127 ? "%c" : "\\%02x",
				      (unsigned char)buf[i]);
	diff_say(line, "read %s: %zd \"%s\"", what, got, text);
}
#define READ(fd, n) show_read(__LINE__, #fd, fd, n)

static void show_poll(int line, const char *what, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT | POLLPRI };
	int n;

	settle();
	n = poll(&p, 1, 0);

	diff_say(line, "poll %s: %d%s%s%s%s%s", what, n, p.revents & POLLIN ? " in" : "",
		 p.revents & POLLOUT ? " out" : "", p.revents & POLLPRI ? " pri" : "",
		 p.revents & POLLERR ? " err" : "", p.revents & POLLHUP ? " hup" : "");
}
#define POLL(fd) show_poll(__LINE__, #fd, fd)

CASE(make)
{
	int one = 1, zero = 0, n = 7, peer;
	struct stat st;

	master = OK(open("/dev/ptmx", O_RDWR | O_NOCTTY));
	R(ioctl(master, TIOCGPTLCK_, &n));
	say("locked %d", n);
	R(open(slave_name(), O_RDWR | O_NOCTTY));
	R(ioctl(master, TIOCSPTLCK, &zero));
	R(ioctl(master, TIOCGPTLCK_, &n));
	say("locked %d", n);
	R(stat(slave_name(), &st));
	say("owner %d major %d is-number %d", st.st_uid, major(st.st_rdev),
	    minor(st.st_rdev) == (unsigned)atoi(slave_name() + 9));
	peer = OK(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
	say("close on exec %d, terminal %d", fcntl(peer, F_GETFD), isatty(peer));
	R(fstat(peer, &st));
	say("major %d", major(st.st_rdev));
	R(write(peer, "x", 1));
	READ(master, 10);
	R(ioctl(master, TIOCSPTLCK, &one));
	R(open(slave_name(), O_RDWR | O_NOCTTY));
	R(ioctl(peer, TIOCGPTN, &n));
	R(ioctl(peer, TIOCGPTPEER, O_RDWR));
	R(close(master));
	R(stat(slave_name(), &st));
}

CASE(first_modes)
{
	struct termios t;
	struct winsize w = { 1, 2, 3, 4 };
	uint32_t t2[11];

	open_pair(O_NOCTTY);
	R(tcgetattr(slave, &t));
	say("%x %x %x %x line %d", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag, t.c_line);
	for (int i = 0; i < 19; i += 4)
		say("%d %d %d %d", t.c_cc[i], t.c_cc[i + 1], t.c_cc[i + 2],
		    i + 3 < 19 ? t.c_cc[i + 3] : 0);
	R(ioctl(slave, TCGETS2_, t2));
	say("speeds %u %u", t2[9], t2[10]);
	R(ioctl(slave, TIOCGWINSZ, &w));
	say("%d %d %d %d", w.ws_row, w.ws_col, w.ws_xpixel, w.ws_ypixel);
}

CASE(speeds)
{
	static const tcflag_t codes[] = { B0, B50, B9600, B38400, B57600, B115200, B4000000 };
	struct termios t;
	uint32_t t2[11];

	open_pair(O_NOCTTY);
	tcgetattr(slave, &t);
	for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		t.c_cflag = (t.c_cflag & ~0x100fu) | codes[i];
		R(ioctl(slave, TCSETS, &t));
		ioctl(slave, TCGETS2_, t2);
		say("speeds %u %u flags %x", t2[9], t2[10], t2[2]);
	}
	t2[2] = (t2[2] & ~0x100fu) | 0x1000;
	t2[9] = 1234;
	t2[10] = 77777;
	R(ioctl(slave, TCSETS2_, t2));
	ioctl(slave, TCGETS2_, t2);
	say("speeds %u %u flags %x", t2[9], t2[10], t2[2]);
	/* the character size is the far end's */
	t.c_cflag = (t.c_cflag & ~(CSIZE | CREAD)) | CS5 | PARENB | CSTOPB;
	R(ioctl(slave, TCSETS, &t));
	tcgetattr(slave, &t);
	say("flags %x", t.c_cflag);
}

CASE(modes_of_both_ends)
{
	struct termios t;

	open_pair(O_NOCTTY);
	change(master, 0, ECHO);
	tcgetattr(slave, &t);
	Q(t.c_lflag & ECHO);
	R(ioctl(master, TCSETSW, &t));
	R(ioctl(master, TCSETSF, &t));
	R(ioctl(slave, TCSETSW, &t));
	R(ioctl(slave, TCSETSF, &t));
}

CASE(not_terminals)
{
	int null = open("/dev/null", O_RDWR), file = open("f", O_CREAT | O_RDWR, 0600), p[2], n;
	struct termios t;

	pipe(p);
	R(tcgetattr(null, &t));
	R(tcgetattr(file, &t));
	R(tcgetattr(p[0], &t));
	R(ioctl(null, TIOCGPGRP, &n));
	R(ioctl(file, TIOCSCTTY, 0));
	R(ioctl(p[0], TIOCGWINSZ, &t));
	open_pair(O_NOCTTY);
	R(ioctl(slave, 0x54ff, 0));
	R(ioctl(slave, 0x1234, 0));
	R(ioctl(slave, TCXONC, 4));
	R(ioctl(slave, TCFLSH, 3));
	R(ioctl(slave, TCSBRK, 0));
	R(ioctl(slave, TCSBRK, 1));
	R(ioctl(slave, TCSBRKP, 0));
	R(lseek(slave, 0, SEEK_CUR));
	R(lseek(master, 0, SEEK_SET));
}

CASE(bad_pointers)
{
	static const unsigned long on_slave[] = { TCGETS,    TCSETS,	TCSETSW,    TCSETSF,
						  TCGETS2_,  TCSETS2_,	TIOCGWINSZ, TIOCSWINSZ,
						  TIOCGPGRP, TIOCSPGRP, TIOCGSID,   FIONREAD,
						  TIOCOUTQ,  TIOCSTI,	TIOCGEXCL_ };
	static const unsigned long on_master[] = { TIOCGPTN,  TIOCSPTLCK, TIOCGPTLCK_, TIOCPKT,
						   TIOCGPKT_, TCGETS,	  TIOCGPGRP };

	open_pair(0);
	for (unsigned i = 0; i < sizeof(on_slave) / sizeof(on_slave[0]); i++) {
		say("slave %lx", on_slave[i] & 0xffff);
		R(ioctl(slave, on_slave[i], BAD));
	}
	for (unsigned i = 0; i < sizeof(on_master) / sizeof(on_master[0]); i++) {
		say("master %lx", on_master[i] & 0xffff);
		R(ioctl(master, on_master[i], BAD));
	}
	R(write(slave, BAD, 5));
	R(write(master, BAD, 5));
	type("a\n");
	R(read(slave, BAD, 5));
	R(read(master, BAD, 1));
}

CASE(own_terminal)
{
	int fd, n;

	R(open("/dev/tty", O_RDWR));
	open_pair(O_NOCTTY);
	R(open("/dev/tty", O_RDWR));
	R(tcgetpgrp(slave));
	R(tcgetsid(slave));
	R(ioctl(slave, TIOCNOTTY));
	fd = OK(open(slave_name(), O_WRONLY));
	R(open("/dev/tty", O_RDWR));
	close(fd);
	fd = OK(open(slave_name(), O_RDWR));
	Q(tcgetpgrp(slave) == getpid());
	Q(tcgetsid(fd) == getpid());
	n = -1;
	R(ioctl(master, TIOCGPGRP, &n));
	Q(n == getpid());
	Q(tcgetsid(master) == getpid());
	R(tcsetpgrp(slave, -1));
	R(tcsetpgrp(slave, 999999));
	R(tcsetpgrp(slave, getppid()));
	R(tcsetpgrp(master, getpid()));
	R(ioctl(slave, TIOCSCTTY, 0));
	fd = OK(open("/dev/tty", O_RDWR));
	Q(tcgetpgrp(fd) == getpid());
	R(write(fd, "tty", 3));
	READ(master, 10);
	/* another cannot be got */
	open_pair(0);
	R(tcgetpgrp(slave));
	R(ioctl(slave, TIOCSCTTY, 0));
}

static int other_session(void *arg)
{
	(void)arg;
	R(ioctl(slave, TIOCSCTTY, 0));
	setsid();
	R(open("/dev/tty", O_RDWR));
	R(ioctl(slave, TIOCSCTTY, 0));
	R(tcgetpgrp(slave));
	R(ioctl(slave, TIOCSCTTY, 1));
	Q(tcgetpgrp(slave) == getpid());
	return 0;
}

CASE(stolen)
{
	on(SIGHUP, count_signal);
	on(SIGCONT, count_signal);
	open_pair(0);
	REAP(start_child(other_session, NULL));
	show_caught(SIGHUP);
	show_caught(SIGCONT);
	R(open("/dev/tty", O_RDWR));
}

static int as_user(void *arg)
{
	char c = 'x';
	int fd;

	(void)arg;
	R(setresuid(1000, 1000, 1000));
	R(open(slave_name(), O_RDWR | O_NOCTTY));
	R(ioctl(slave, TIOCEXCL));
	R(ioctl(slave, TIOCNXCL));
	setsid();
	R(ioctl(slave, TIOCSTI, &c));
	R(ioctl(slave, TIOCSCTTY, 1));
	fd = OK(open("/dev/ptmx", O_RDWR | O_NOCTTY));
	close(master);
	master = fd;
	say("own: %s", access(slave_name(), R_OK | W_OK) == 0 ? "yes" : errno_name(errno));
	return 0;
}

CASE(users)
{
	int n = 9;
	char c = 'x';

	open_pair(O_NOCTTY);
	chmod(slave_name(), 0666);
	R(ioctl(slave, TIOCEXCL));
	R(ioctl(slave, TIOCGEXCL_, &n));
	say("exclusive %d", n);
	close(OK(open(slave_name(), O_RDWR | O_NOCTTY)));
	REAP(start_child(as_user, NULL));
	R(ioctl(slave, TIOCSTI, &c));
	READ(master, 10);
}

/* A child in a group of its own; the arg is what it does there. */
static int background(void *arg)
{
	setpgid(0, 0);
	return ((int (*)(void))arg)();
}

static int read_one(void)
{
	char c = 0;
	ssize_t n = read(slave, &c, 1);

	say("child read %zd %s", n, n < 0 ? errno_name(errno) : "");
	return c;
}

static int write_one(void)
{
	say("child wrote %s", write(slave, "w", 1) == 1 ? "1" : errno_name(errno));
	return 0;
}

static int change_modes(void)
{
	struct termios t;
	int r;

	R(tcgetattr(slave, &t));
	r = tcsetattr(slave, TCSADRAIN, &t);
	say("child tcsetattr %s", r == 0 ? "0" : errno_name(errno));
	return 0;
}

static int take_foreground(void)
{
	int r = tcsetpgrp(slave, getpid());

	say("child tcsetpgrp %s", r == 0 ? "0" : errno_name(errno));
	Q(tcgetpgrp(slave) == getpid());
	return 0;
}

static int flush(void)
{
	int r = tcflush(slave, TCIFLUSH);

	say("child tcflush %s", r == 0 ? "0" : errno_name(errno));
	return 0;
}

/* Start it, see it stop, bring it to the foreground, let it go on, see it end. */
static void stop_and_go(int (*fn)(void))
{
	int status = 0;
	pid_t pid = start_child(background, fn);

	waitpid(pid, &status, WUNTRACED);
	STATUS(status);
	if (!WIFSTOPPED(status))
		return;
	R(tcsetpgrp(slave, pid));
	kill(-pid, SIGCONT);
	type("k\n");
	REAP(pid);
	signal(SIGTTOU, SIG_IGN);
	R(tcsetpgrp(slave, getpid()));
	signal(SIGTTOU, SIG_DFL);
}

CASE(background_read)
{
	open_pair(0);
	stop_and_go(read_one);
}

CASE(background_write)
{
	open_pair(0);
	stop_and_go(write_one);
	change(slave, TOSTOP, 0);
	stop_and_go(write_one);
}

CASE(background_changes)
{
	open_pair(0);
	stop_and_go(change_modes);
	stop_and_go(flush);
	stop_and_go(take_foreground);
}

static int ignoring(void)
{
	signal(SIGTTIN, SIG_IGN);
	signal(SIGTTOU, SIG_IGN);
	read_one();
	write_one();
	change_modes();
	return take_foreground();
}

static int blocking(void)
{
	sigset_t set;

	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	read_one();
	write_one();
	change_modes();
	return take_foreground();
}

CASE(background_ignoring)
{
	open_pair(0);
	change(slave, TOSTOP, 0);
	REAP(start_child(background, ignoring));
	REAP(start_child(background, blocking));
}

static int handling(void)
{
	on(SIGTTIN, count_signal);
	read_one();
	show_caught(SIGTTIN);
	return 0;
}

CASE(background_handling)
{
	open_pair(0);
	REAP(start_child(background, handling));
}

static int all_of_them(void)
{
	read_one();
	write_one();
	change_modes();
	return take_foreground();
}

static int reaped[2], ended[2];

/* For who outlives a child of the case: until the case has seen that end. */
static void until_reaped(void)
{
	char c;

	while (read(reaped[0], &c, 1) < 0 && errno == EINTR)
		;
}

static void reap_first(int (*fn)(void *))
{
	pipe(reaped);
	pipe(ended);
	REAP(start_child(fn, NULL));
	write(reaped[1], "r", 1);
}

/* See the child end, and then what it leaves behind. */
static void reap_both(int (*fn)(void *))
{
	char c;

	reap_first(fn);
	close(ended[1]);
	read(ended[0], &c, 1);
}

static int leave_orphan(void *arg)
{
	pid_t pid;

	/* a group whose parents are all in it, but one that goes */
	pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		until_reaped();
		all_of_them();
		_exit(0);
	}
	(void)arg;
	return 0;
}

CASE(background_orphan)
{
	open_pair(0);
	change(slave, TOSTOP, 0);
	reap_both(leave_orphan);
}

CASE(keys)
{
	static const int sigs[] = { SIGINT, SIGQUIT, SIGTSTP };

	for (int i = 0; i < 3; i++)
		on(sigs[i], count_signal);
	open_pair(0);
	type("gone\003kept\n");
	show_caught(SIGINT);
	READ(slave, 100);
	READ(master, 100);
	type("a\034");
	show_caught(SIGQUIT);
	type("b\032");
	show_caught(SIGTSTP);
	change(slave, NOFLSH, ISIG);
	type("c\003\n");
	READ(slave, 100);
	show_caught(SIGINT);
	change(slave, ISIG, 0);
	type("stays\003\n");
	READ(slave, 100);
	show_caught(SIGINT);
	R(ioctl(master, TIOCSIG_, SIGINT));
	show_caught(SIGINT);
	R(ioctl(master, TIOCSIG_, 99));
	R(ioctl(master, TIOCSIG_, SIGKILL));
	R(ioctl(master, TIOCSIG_, SIGHUP));
	R(ioctl(slave, TIOCSIG_, SIGINT));
}

static int wait_for_signal(void)
{
	on(SIGINT, count_signal);
	on(SIGWINCH, count_signal);
	pause();
	show_caught(SIGINT);
	show_caught(SIGWINCH);
	return 0;
}

CASE(keys_for_foreground)
{
	pid_t pid;

	on(SIGINT, count_signal);
	open_pair(0);
	pid = start_child(background, wait_for_signal);
	until_asleep(pid);
	type("\003");
	show_caught(SIGINT);
	R(tcsetpgrp(slave, pid));
	type("\003");
	REAP(pid);
	show_caught(SIGINT);
}

CASE(window)
{
	struct winsize w = { 30, 100, 5, 6 };

	on(SIGWINCH, count_signal);
	open_pair(0);
	R(ioctl(slave, TIOCSWINSZ, &w));
	show_caught(SIGWINCH);
	R(ioctl(master, TIOCSWINSZ, &w));
	show_caught(SIGWINCH);
	w.ws_row = 31;
	R(ioctl(master, TIOCSWINSZ, &w));
	show_caught(SIGWINCH);
	memset(&w, 0, sizeof(w));
	R(ioctl(master, TIOCGWINSZ, &w));
	say("%d %d %d %d", w.ws_row, w.ws_col, w.ws_xpixel, w.ws_ypixel);
}

CASE(hang_up)
{
	int n;

	on(SIGHUP, count_signal);
	on(SIGCONT, count_signal);
	open_pair(0);
	type("pending\n");
	POLL(slave);
	R(close(master));
	settle();
	show_caught(SIGHUP);
	show_caught(SIGCONT);
	POLL(slave);
	READ(slave, 10);
	R(write(slave, "x", 1));
	R(ioctl(slave, TIOCGWINSZ, &n));
	R(ioctl(slave, TIOCGPGRP, &n));
	R(ioctl(slave, TIOCSPGRP, &n));
	R(ioctl(slave, FIONREAD, &n));
	R(open("/dev/tty", O_RDWR));
	Q(isatty(slave));
}

static int blocked_read(void *arg)
{
	(void)arg;
	close(master);
	return read_one();
}

CASE(hang_up_of_a_reader)
{
	pid_t pid;

	signal(SIGHUP, SIG_IGN);
	open_pair(0);
	pid = start_child(blocked_read, NULL);
	until_asleep(pid);
	close(master);
	REAP(pid);
}

CASE(last_slave_closed)
{
	open_pair(O_NOCTTY);
	POLL(master);
	R(write(slave, "last", 4));
	R(close(slave));
	POLL(master);
	READ(master, 10);
	READ(master, 10);
	POLL(master);
	type("x");
	slave = OK(open(slave_name(), O_RDWR | O_NOCTTY));
	POLL(master);
	R(write(slave, "again", 5));
	READ(master, 10);
	POLL(slave);
}

static int lead_and_leave(void *arg)
{
	pid_t pid;
	int p[2];
	char c;

	(void)arg;
	setsid();
	open_pair(0);
	pipe(p);
	signal(SIGTTOU, SIG_IGN);
	pid = fork();
	if (pid == 0) {
		on(SIGHUP, count_signal);
		on(SIGCONT, count_signal);
		setpgid(0, 0);
		tcsetpgrp(slave, getpid());
		write(p[1], "r", 1);
		until_reaped();
		say("foreground: %s", caught[SIGHUP] == 1 ? "SIGHUP" : "none");
		say("own terminal: %s", open("/dev/tty", O_RDWR) >= 0 ? "yes" : errno_name(errno));
		_exit(0);
	}
	read(p[0], &c, 1);
	return 0;
}

CASE(leader_exits)
{
	reap_both(lead_and_leave);
}

static volatile int *shared;

/* A parent that stops a child's group, and goes. */
static int leave_stopped(void *arg)
{
	pid_t pid = fork();
	int status;

	(void)arg;
	if (pid == 0) {
		on(SIGHUP, count_signal);
		on(SIGCONT, count_signal);
		setpgid(0, 0);
		shared[0] = getpid();
		raise(SIGSTOP);
		until_reaped();
		show_caught(SIGHUP);
		show_caught(SIGCONT);
		shared[1] = 1;
		_exit(0);
	}
	waitpid(pid, &status, WUNTRACED);
	STATUS(status);
	return 0;
}

CASE(orphans_stopped)
{
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	reap_first(leave_stopped);
	AWAIT(shared[1]);
	Q(shared[1]);
	if (!shared[1])
		kill(shared[0], SIGKILL);
}

/* One that runs is left alone. */
static int leave_running(void *arg)
{
	int p[2];
	char c;

	(void)arg;
	pipe(p);
	if (fork() == 0) {
		on(SIGHUP, count_signal);
		on(SIGCONT, count_signal);
		setpgid(0, 0);
		write(p[1], "r", 1);
		until_reaped();
		show_caught(SIGHUP);
		show_caught(SIGCONT);
		_exit(0);
	}
	read(p[0], &c, 1);
	return 0;
}

CASE(orphans_running)
{
	reap_both(leave_running);
}

CASE(give_up)
{
	on(SIGHUP, count_signal);
	on(SIGCONT, count_signal);
	open_pair(0);
	R(ioctl(slave, TIOCNOTTY));
	show_caught(SIGHUP);
	show_caught(SIGCONT);
	R(open("/dev/tty", O_RDWR));
	R(ioctl(slave, TIOCSCTTY, 0));
	Q(tcgetpgrp(slave) == getpid());
}

static int leave_alone(void *arg)
{
	pid_t pid = getpid();

	(void)arg;
	R(ioctl(slave, TIOCNOTTY));
	R(open("/dev/tty", O_RDWR));
	R(tcgetpgrp(slave));
	R(ioctl(slave, TIOCNOTTY));
	pid = fork();
	if (pid == 0) {
		R(open("/dev/tty", O_RDWR));
		_exit(0);
	}
	REAP(pid);
	return 0;
}

CASE(one_gives_up)
{
	open_pair(0);
	REAP(start_child(leave_alone, NULL));
	OK(open("/dev/tty", O_RDWR));
	Q(tcgetpgrp(slave) == getpid());
}

CASE(lines)
{
	char line[1002];
	int n;

	open_pair(O_NOCTTY);
	memset(line, 'x', 1000);
	strcpy(line + 1000, "\n");
	type(line);
	R(ioctl(slave, FIONREAD, &n));
	say("%d", n);
	R(read(slave, line, 300));
	R(read(slave, line, 5000 > sizeof(line) ? sizeof(line) : 0));
	type("one\ntwo\n");
	READ(slave, 100);
	READ(slave, 100);
	type("abc\004\004");
	ioctl(slave, FIONREAD, &n);
	say("%d", n);
	READ(slave, 3);
	READ(slave, 3);
	R(read(slave, line, 0));
}

static void timed(int line, size_t n)
{
	int64_t begin = now_ns(CLOCK_MONOTONIC);
	char buf[10];
	ssize_t got = read(slave, buf, n);
	int64_t tenths = (now_ns(CLOCK_MONOTONIC) - begin) / 100000000;

	/* where there is a time it is a second: far more than the host halts us */
	diff_say(line, "read %zd %s after %s", got, got < 0 ? errno_name(errno) : "",
		 tenths >= 5 ? "some time" : "no time");
}

static int type_later(void *arg)
{
	until_asleep(getppid());
	/* so that the wait is seen to have taken time */
	let_pass(600);
	write(master, arg, strlen(arg));
	return 0;
}

CASE(min_and_time)
{
	static char bc[] = "bc";
	pid_t pid;

	open_pair(O_NOCTTY);
	set_raw(0, 0);
	timed(__LINE__, 10);
	type("ab");
	timed(__LINE__, 10);
	set_raw(0, 10);
	timed(__LINE__, 10);
	type("ab");
	timed(__LINE__, 10);
	set_raw(3, 0);
	type("abc");
	timed(__LINE__, 10);
	type("ab");
	timed(__LINE__, 2);
	type("a");
	pid = start_child(type_later, bc);
	timed(__LINE__, 10);
	REAP(pid);
	set_raw(3, 10);
	type("ab");
	timed(__LINE__, 10);
	pid = start_child(type_later, bc + 1);
	timed(__LINE__, 10);
	REAP(pid);
	set_raw(200, 0);
	type("ab");
	POLL(slave);
	set_raw(2, 0);
	POLL(slave);
	fcntl(slave, F_SETFL, O_NONBLOCK);
	set_raw(3, 0);
	READ(slave, 10);
	READ(slave, 10);
	set_raw(0, 0);
	READ(slave, 10);
	change(slave, ICANON, 0);
	READ(slave, 10);
}

CASE(queues)
{
	int n = -1;

	open_pair(O_NOCTTY);
	change(slave, 0, ECHO);
	R(write(slave, "out", 3));
	settle();
	R(ioctl(master, FIONREAD, &n));
	say("master may read %d", n);
	type("in\n");
	R(ioctl(slave, FIONREAD, &n));
	say("slave may read %d", n);
	R(tcflush(slave, TCIFLUSH));
	R(ioctl(slave, FIONREAD, &n));
	say("slave may read %d", n);
	READ(master, 10);
	type("in2\n");
	R(tcflush(slave, TCIOFLUSH));
	fcntl(slave, F_SETFL, O_NONBLOCK);
	fcntl(master, F_SETFL, O_NONBLOCK);
	READ(slave, 10);
	READ(master, 10);
	write(slave, "out3", 4);
	R(tcdrain(slave));
	R(tcflow(slave, TCIOFF));
	R(tcflow(slave, TCION));
	READ(master, 10);
}

CASE(held)
{
	open_pair(O_NOCTTY);
	change(slave, 0, ECHO);
	fcntl(slave, F_SETFL, O_NONBLOCK);
	R(tcflow(slave, TCOOFF));
	R(write(slave, "x", 1));
	POLL(slave);
	type("\021");
	R(write(slave, "x", 1));
	R(tcflow(slave, TCOON));
	R(write(slave, "y", 1));
	READ(master, 10);
	type("\023");
	R(write(slave, "z", 1));
	type("\021");
	R(write(slave, "z", 1));
	READ(master, 10);
}

CASE(packets)
{
	int one = 1, zero = 0, n = 9;
	struct termios t;

	open_pair(O_NOCTTY);
	change(slave, 0, ECHO);
	R(ioctl(master, TIOCPKT, &one));
	R(ioctl(master, TIOCGPKT_, &n));
	say("packets %d", n);
	R(write(slave, "data", 4));
	READ(master, 10);
	R(tcflush(slave, TCIFLUSH));
	POLL(master);
	READ(master, 10);
	R(tcflush(slave, TCOFLUSH));
	READ(master, 10);
	R(tcflow(slave, TCOOFF));
	READ(master, 10);
	R(tcflow(slave, TCOON));
	READ(master, 10);
	tcgetattr(slave, &t);
	t.c_iflag &= ~(tcflag_t)IXON;
	R(tcsetattr(slave, TCSANOW, &t));
	READ(master, 10);
	t.c_iflag |= IXON;
	R(tcsetattr(slave, TCSANOW, &t));
	READ(master, 10);
	fcntl(master, F_SETFL, O_NONBLOCK);
	READ(master, 10);
	R(ioctl(master, TIOCPKT, &zero));
	R(write(slave, "data", 4));
	READ(master, 10);
	R(ioctl(slave, TIOCPKT, &one));
}

CASE(not_blocking)
{
	char buf[4096];
	long total = 0;
	ssize_t n;

	open_pair(O_NOCTTY | O_NONBLOCK);
	fcntl(master, F_SETFL, O_NONBLOCK);
	READ(slave, 10);
	READ(master, 10);
	memset(buf, 'x', sizeof(buf));
	while ((n = write(slave, buf, sizeof(buf))) > 0)
		total += n;
	say("full: %s, more than a page %d", errno_name(errno), total >= 4096);
	type("typed");
	READ(slave, 10);
}
