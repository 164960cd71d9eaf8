/* SPDX-License-Identifier: MIT */
/* See diff.h. program [CASE...]: runs the cases whose names are given, or all. */
#include "tests/diff/lib/diff.h"
#include <dirent.h>
#include <ftw.h>
#include <stdarg.h>

#define CASE_MAX     400
#define CASE_SECONDS 60
#define FOLDER	     "/tmp/diff"

static struct {
	const char *name;
	case_fn fn;
} cases[CASE_MAX];
static int case_count;
static pid_t last_child;
char diff_self[100];
volatile uintptr_t diff_bad = 8;

void diff_add_case(const char *name, case_fn fn)
{
	if (case_count == CASE_MAX)
		abort();
	cases[case_count].name = name;
	cases[case_count++].fn = fn;
}

/* ---- names */

/* clang-format off */
#define NAMES(X) \
	X(EPERM) X(ENOENT) X(ESRCH) X(EINTR) X(EIO) X(ENXIO) X(E2BIG) X(ENOEXEC) X(EBADF) \
	X(ECHILD) X(EAGAIN) X(ENOMEM) X(EACCES) X(EFAULT) X(ENOTBLK) X(EBUSY) X(EEXIST) \
	X(EXDEV) X(ENODEV) X(ENOTDIR) X(EISDIR) X(EINVAL) X(ENFILE) X(EMFILE) X(ENOTTY) \
	X(ETXTBSY) X(EFBIG) X(ENOSPC) X(ESPIPE) X(EROFS) X(EMLINK) X(EPIPE) X(EDOM) X(ERANGE) \
	X(EDEADLK) X(ENAMETOOLONG) X(ENOLCK) X(ENOSYS) X(ENOTEMPTY) X(ELOOP) X(ENODATA) \
	X(ETIME) X(EOVERFLOW) X(ENOTSOCK) X(EDESTADDRREQ) X(EMSGSIZE) X(EPROTOTYPE) \
	X(ENOPROTOOPT) X(EPROTONOSUPPORT) X(ESOCKTNOSUPPORT) X(EOPNOTSUPP) X(EAFNOSUPPORT) \
	X(EADDRINUSE) X(EADDRNOTAVAIL) X(ENETUNREACH) X(ECONNABORTED) X(ECONNRESET) X(ENOBUFS) \
	X(EISCONN) X(ENOTCONN) X(ETIMEDOUT) X(ECONNREFUSED) X(EALREADY) X(EINPROGRESS) \
	X(ECANCELED) X(EOWNERDEAD) X(ENOTRECOVERABLE) X(EUCLEAN) X(EBADFD) X(EBADE)
/* clang-format on */

const char *errno_name(int e)
{
	static char text[20];

	switch (e) {
#define NAME(x)                                                                                    \
	case x:                                                                                    \
		return #x;
		NAMES(NAME)
	}
	snprintf(text, sizeof(text), "errno%d", e);
	return text;
}

const char *signal_name(int sig)
{
	static const char *const names[] = {
		"0",	  "HUP",  "INT",    "QUIT", "ILL",   "TRAP", "ABRT", "BUS",
		"FPE",	  "KILL", "USR1",   "SEGV", "USR2",  "PIPE", "ALRM", "TERM",
		"STKFLT", "CHLD", "CONT",   "STOP", "TSTP",  "TTIN", "TTOU", "URG",
		"XCPU",	  "XFSZ", "VTALRM", "PROF", "WINCH", "IO",   "PWR",  "SYS",
	};
	static char text[20];

	if (sig >= 0 && sig < 32)
		return names[sig];
	snprintf(text, sizeof(text), "%d", sig);
	return text;
}

const char *who(pid_t pid)
{
	if (pid == getpid())
		return "self";
	if (pid == getppid())
		return "parent";
	if (pid == last_child && pid)
		return "child";
	return pid ? "other" : "0";
}

/* ---- lines */

static void put_line(int line, const char *text)
{
	char out[2100];
	int n = snprintf(out, sizeof(out), "%s\t%d\n", text, line);

	if (write(1, out, n) != n)
		_exit(99);
}

void diff_say(int line, const char *format, ...)
{
	int saved = errno;
	char text[2048];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	put_line(line, text);
	errno = saved;
}

long diff_result(int line, const char *text, long value)
{
	if (value == -1 && errno)
		diff_say(line, "%s = -1 %s", text, errno_name(errno));
	else
		diff_say(line, "%s = %ld", text, value);
	return value;
}

long diff_success(int line, const char *text, long value)
{
	if (value == -1)
		diff_say(line, "%s = -1 %s", text, errno_name(errno));
	else
		diff_say(line, "%s ok", text);
	return value;
}

void diff_status(int line, const char *text, int status)
{
	if (WIFEXITED(status))
		diff_say(line, "%s: exit %d", text, WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		diff_say(line, "%s: killed %s", text, signal_name(WTERMSIG(status)));
	else if (WIFSTOPPED(status))
		diff_say(line, "%s: stopped %s", text, signal_name(WSTOPSIG(status)));
	else if (WIFCONTINUED(status))
		diff_say(line, "%s: continued", text);
	else
		diff_say(line, "%s: status %x", text, (unsigned)status);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void diff_list(int line, const char *path)
{
	char *names[200], text[2000] = "";
	struct dirent *e;
	DIR *d = opendir(path);
	int n = 0;

	if (!d) {
		diff_say(line, "%s: %s", path, errno_name(errno));
		return;
	}
	while ((e = readdir(d)) && n < 200)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			names[n++] = strdup(e->d_name);
	closedir(d);
	qsort(names, n, sizeof(names[0]), compare_names);
	for (int i = 0; i < n; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " %s", names[i]);
	diff_say(line, "%s:%s", path, text);
}

void diff_stat(int line, const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0) {
		diff_say(line, "%s: %s", path, errno_name(errno));
		return;
	}
	diff_say(line, "%s: mode %06o owner %u:%u links %ld size %ld", path, st.st_mode, st.st_uid,
		 st.st_gid, S_ISDIR(st.st_mode) ? -1L : (long)st.st_nlink,
		 S_ISDIR(st.st_mode) ? -1L : (long)st.st_size);
}

/* ---- children and time */

pid_t start_child(int (*fn)(void *arg), void *arg)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn(arg));
	if (pid < 0)
		diff_say(__LINE__, "fork: %s", errno_name(errno));
	last_child = pid;
	return pid;
}

void diff_reap(int line, pid_t pid)
{
	int status;
	pid_t got = waitpid(pid, &status, 0);

	if (got != pid)
		diff_say(line, "waitpid: %s", got < 0 ? errno_name(errno) : "another");
	else
		diff_status(line, "child", status);
}

int64_t now_ns(clockid_t clock)
{
	struct timespec t = { 0, 0 };

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* ---- files */

const char *slurp(const char *path)
{
	static char text[8192];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n, have = 0;

	if (fd < 0)
		return "";
	while ((n = read(fd, text + have, sizeof(text) - 1 - have)) > 0)
		have += n;
	close(fd);
	text[have] = 0;
	return text;
}

void put_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		diff_say(__LINE__, "%s: %s", path, errno_name(errno));
	close(fd);
}

char *page_before_hole(void)
{
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p != MAP_FAILED)
		munmap(p + 4096, 4096);
	return p;
}

/* ---- running */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	return where->level ? remove(path) : 0;
}

/* What a case finds, whatever the program was started with. */
static void clean_start(void)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };
	sigset_t none;
	int fd;

	for (int sig = 1; sig < 65; sig++)
		sigaction(sig, &sa, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	umask(022);
	setsid();
	fd = open("/dev/null", O_RDWR);
	if (fd >= 0)
		dup2(fd, 0);
	dup2(1, 2);
	for (fd = 3; fd < 64; fd++)
		close(fd);
}

static void run_case(int i)
{
	int64_t deadline = now_ns(CLOCK_MONOTONIC) + CASE_SECONDS * 1000000000LL;
	int status = 0;
	pid_t pid, got;

	diff_say(0, "== %s", cases[i].name);
	chmod(FOLDER, 0755);
	pid = fork();
	if (pid == 0) {
		clean_start();
		cases[i].fn();
		_exit(0);
	}
	if (pid < 0) {
		diff_say(__LINE__, "fork: %s", errno_name(errno));
		return;
	}
	while ((got = waitpid(pid, &status, WNOHANG)) == 0 && now_ns(CLOCK_MONOTONIC) < deadline)
		/* nobody tells of a child by a deadline */
		let_pass(1);
	if (got == 0) {
		diff_say(__LINE__, "still running after %d s", CASE_SECONDS);
		kill(-pid, SIGKILL);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	} else if (status) {
		diff_status(__LINE__, "the case", status);
	}
	kill(-pid, SIGKILL);
}

void settle(void)
{
	const char *ms = getenv("SETTLE_MS");

	/* what Linux does in workers of its own, nobody tells of */
	let_pass(ms ? atoi(ms) : 0);
}

__attribute__((weak)) int diff_exec(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return -1;
}

int main(int argc, char **argv)
{
	if (diff_exec(argc, argv) == 0)
		return 0;
	snprintf(diff_self, sizeof(diff_self), "%s", argv[0]);
	mkdir(FOLDER, 0755);
	if (chdir(FOLDER) < 0) {
		diff_say(__LINE__, "no folder " FOLDER ": %s", errno_name(errno));
		return 1;
	}
	for (int i = 0; i < case_count; i++) {
		bool wanted = argc < 2;

		for (int k = 1; k < argc; k++)
			wanted |= !strcmp(argv[k], cases[i].name);
		if (!wanted)
			continue;
		run_case(i);
		nftw(FOLDER, remove_one, 10, FTW_DEPTH | FTW_PHYS);
	}
	diff_say(0, "== end");
	return 0;
}
