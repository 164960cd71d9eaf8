/* SPDX-License-Identifier: MIT */
/* Files as a program sees them: open's flags, sizes and holes, names that come and go, listings, descriptors, pipes,
 * and hostile arguments to each. Leaves nothing behind. */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/user/as_user.h"
#include "tests/user/check.h"

#define FILE_NAME "/tmp/files-test"

extern char **environ;

static off_t size_of(const char *path)
{
	struct stat st;

	CHECK(stat(path, &st) == 0);
	return st.st_size;
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	CHECK(fd >= 0);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	CHECK(close(fd) == 0);
}

/* REL-006 and its neighbours. */
static void open_flags(void)
{
	struct stat st;
	char buf[20];
	int fd;

	put(FILE_NAME, "0123456789");
	CHECK_ERRNO(open(FILE_NAME, O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	CHECK_ERRNO(open(FILE_NAME, O_RDONLY | O_DIRECTORY), ENOTDIR);
	CHECK_ERRNO(open("/tmp", O_RDWR), EISDIR);
	CHECK_ERRNO(open("/tmp/none", O_RDONLY), ENOENT);
	CHECK_ERRNO(open(FILE_NAME "/x", O_RDONLY), ENOTDIR);
	CHECK_ERRNO(open("", O_RDONLY), ENOENT);
	CHECK_ERRNO(open((char *)1, O_RDONLY), EFAULT);
	fd = open(FILE_NAME, O_RDWR | O_APPEND);
	CHECK(fd >= 0);
	CHECK(write(fd, "ab", 2) == 2);
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	CHECK(write(fd, "cd", 2) == 2);
	CHECK(size_of(FILE_NAME) == 14);
	CHECK(close(fd) == 0);
	fd = open(FILE_NAME, O_WRONLY | O_TRUNC);
	CHECK(fd >= 0);
	CHECK(fstat(fd, &st) == 0 && st.st_size == 0 && st.st_blocks == 0);
	CHECK_ERRNO(read(fd, buf, 1), EBADF);
	CHECK(close(fd) == 0);
	CHECK_ERRNO(close(fd), EBADF);
	CHECK(unlink(FILE_NAME) == 0);
	CHECK_ERRNO(unlink(FILE_NAME), ENOENT);
}

static void sizes(void)
{
	char buf[100];
	int fd = open(FILE_NAME, O_RDWR | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0);
	CHECK(lseek(fd, 1L << 40, SEEK_SET) == 1L << 40);
	CHECK(write(fd, "end", 3) == 3);
	CHECK(lseek(fd, -13, SEEK_END) == (1L << 40) - 10);
	memset(buf, 1, sizeof(buf));
	CHECK(read(fd, buf, sizeof(buf)) == 13);
	CHECK(memcmp(buf, "\0\0\0\0\0\0\0\0\0\0end", 13) == 0);
	CHECK(read(fd, buf, sizeof(buf)) == 0);
	CHECK_ERRNO(lseek(fd, -1, SEEK_SET), EINVAL);
	CHECK_ERRNO(lseek(fd, 0, 77), EINVAL);
	CHECK(ftruncate(fd, 10) == 0);
	CHECK(size_of(FILE_NAME) == 10);
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	CHECK(read(fd, buf, sizeof(buf)) == 10);
	CHECK_ERRNO(write(fd, (void *)8, 100), EFAULT);
	CHECK_ERRNO(read(fd, (void *)-4096L, 100), EFAULT);
	CHECK(size_of(FILE_NAME) == 10);
	CHECK(close(fd) == 0);
	CHECK(unlink(FILE_NAME) == 0);
}

/* X-28 for one program: what is removed is gone at once, what is renamed is in one place. */
static void names(void)
{
	struct stat st;
	char name[40], text[10] = "";
	int fd;

	CHECK(mkdir("/tmp/files-dir", 0755) == 0);
	CHECK_ERRNO(mkdir("/tmp/files-dir", 0755), EEXIST);
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "/tmp/files-dir/%d", i % 7);
		CHECK_ERRNO(stat(name, &st), ENOENT);
		put(name, "x");
		CHECK(stat(name, &st) == 0);
		CHECK(rename(name, "/tmp/files-dir/moved") == 0);
		CHECK_ERRNO(stat(name, &st), ENOENT);
		CHECK(unlink("/tmp/files-dir/moved") == 0);
		CHECK_ERRNO(stat("/tmp/files-dir/moved", &st), ENOENT);
	}
	CHECK(chdir("/tmp/files-dir") == 0);
	put("here", "text");
	CHECK(symlink("here", "link") == 0);
	fd = open("../files-dir/./link", O_RDONLY);
	CHECK(fd >= 0);
	CHECK(unlink("here") == 0);
	CHECK(read(fd, text, sizeof(text)) == 4 && strcmp(text, "text") == 0);
	CHECK(close(fd) == 0);
	CHECK_ERRNO(open("link", O_RDONLY), ENOENT);
	CHECK(readlink("link", text, sizeof(text)) == 4);
	CHECK_ERRNO(rmdir("/tmp/files-dir"), ENOTEMPTY);
	CHECK(unlink("link") == 0);
	CHECK(rmdir("/tmp/files-dir") == 0);
	/* a working directory that is gone */
	CHECK_ERRNO(open("new", O_CREAT | O_RDWR, 0600), ENOENT);
	CHECK(!getcwd(name, sizeof(name)) && errno == ENOENT);
	CHECK(chdir("/") == 0);
	CHECK(getcwd(name, sizeof(name)) && strcmp(name, "/") == 0);
	CHECK(!getcwd(name, 1) && errno == ERANGE);
}

static void listings(void)
{
	char name[300], seen[300] = { 0 };
	struct dirent *e;
	int n = 0;
	DIR *d;

	CHECK(mkdir("/tmp/files-list", 0755) == 0);
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "/tmp/files-list/%d", i);
		put(name, "");
	}
	d = opendir("/tmp/files-list");
	CHECK(d);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		CHECK(e->d_type == DT_REG);
		CHECK(atoi(e->d_name) < 300 && !seen[atoi(e->d_name)]);
		seen[atoi(e->d_name)] = 1;
		snprintf(name, sizeof(name), "/tmp/files-list/%s", e->d_name);
		CHECK(unlink(name) == 0);
		n++;
	}
	CHECK(n == 300);
	closedir(d);
	CHECK(rmdir("/tmp/files-list") == 0);
}

/* PERF-008's first half and dup's rules. */
static void descriptors(void)
{
	int fd[200];

	for (int i = 0; i < 200; i++) {
		fd[i] = open("/dev/null", O_RDWR);
		CHECK(fd[i] == i + 3);
	}
	CHECK(close(50) == 0);
	CHECK(close(30) == 0);
	CHECK(open("/dev/null", O_RDWR) == 30);
	CHECK(dup(0) == 50);
	CHECK(fcntl(0, F_DUPFD, 100) == 203);
	CHECK(fcntl(0, F_DUPFD_CLOEXEC, 500) == 500);
	CHECK(fcntl(500, F_GETFD) == FD_CLOEXEC);
	CHECK(dup2(0, 600) == 600);
	CHECK_ERRNO(dup2(0, -1), EBADF);
	CHECK_ERRNO(dup2(999, 5), EBADF);
	CHECK_ERRNO(fcntl(999, F_GETFD), EBADF);
	CHECK_ERRNO(read(-1, fd, 1), EBADF);
	CHECK_ERRNO(read(1 << 30, fd, 1), EBADF);
	for (int i = 3; i <= 203; i++)
		CHECK(close(i) == 0);
	CHECK(close(500) == 0 && close(600) == 0);
}

static void pipes(void)
{
	static char buf[70000];
	volatile uintptr_t bad = 4;
	int p[2], child_status;
	ssize_t n, total = 0;
	pid_t pid;

	CHECK(pipe2(p, O_NONBLOCK) == 0);
	CHECK_ERRNO(read(p[0], buf, 1), EAGAIN);
	CHECK(write(p[1], buf, sizeof(buf)) == 65536);
	CHECK_ERRNO(write(p[1], buf, 1), EAGAIN);
	CHECK(read(p[0], buf, 4095) == 4095);
	CHECK_ERRNO(write(p[1], buf, 4096), EAGAIN);
	CHECK(read(p[0], buf, 1) == 1);
	CHECK(write(p[1], buf, 4096) == 4096);
	CHECK_ERRNO(lseek(p[0], 0, SEEK_SET), ESPIPE);
	CHECK_ERRNO(write(p[0], buf, 1), EBADF);
	CHECK(close(p[0]) == 0 && close(p[1]) == 0);
	CHECK_ERRNO(pipe2((int *)(uintptr_t)bad, 0), EFAULT);
	CHECK_ERRNO(pipe2(p, 0x80000000), EINVAL);
	/* another program's output, to its end */
	posix_spawn_file_actions_t actions;
	char name[] = "flood", count[] = "300000", seed[] = "7";
	char *argv[] = { name, count, seed, NULL };

	CHECK(pipe(p) == 0);
	CHECK(posix_spawn_file_actions_init(&actions) == 0);
	CHECK(posix_spawn_file_actions_adddup2(&actions, p[1], 1) == 0);
	CHECK(posix_spawn_file_actions_addclose(&actions, p[0]) == 0);
	CHECK(posix_spawn(&pid, "/bin/flood", &actions, NULL, argv, environ) == 0);
	CHECK(close(p[1]) == 0);
	while ((n = read(p[0], buf, sizeof(buf))) > 0)
		total += n;
	CHECK(n == 0 && total == 300000);
	CHECK(waitpid(pid, &child_status, 0) == pid && child_status == 0);
	CHECK(close(p[0]) == 0);
	posix_spawn_file_actions_destroy(&actions);
}

/* RC-020: a number means one thing; what is not open is said to be so. */
static void polls(void)
{
	struct pollfd f[3];
	int a[2], b[2];

	CHECK(pipe(a) == 0 && pipe(b) == 0);
	CHECK(write(b[1], "x", 1) == 1);
	f[0] = (struct pollfd){ .fd = a[0], .events = POLLIN };
	f[1] = (struct pollfd){ .fd = b[0], .events = POLLIN };
	f[2] = (struct pollfd){ .fd = 777, .events = POLLIN };
	CHECK(poll(f, 3, -1) == 2);
	CHECK(f[0].revents == 0 && f[1].revents == POLLIN && f[2].revents == POLLNVAL);
	CHECK(close(a[1]) == 0);
	CHECK(poll(f, 1, -1) == 1 && f[0].revents == POLLHUP);
	CHECK(close(a[0]) == 0);
	CHECK(poll(f, 1, 0) == 1 && f[0].revents == POLLNVAL);
	f[1].events = 0;
	CHECK(poll(f + 1, 1, 0) == 0);
	CHECK(close(b[0]) == 0 && close(b[1]) == 0);
}

static int become_true(void *arg)
{
	static char name[] = "true";
	char *args[] = { name, NULL };

	(void)arg;
	execve("/bin/true", args, environ);
	_exit(127);
}

/* A child that shares its parent's descriptors has its own from exec on: what exec closes stays open in the parent. */
static void shared_descriptors(void)
{
	static char stack[16384] __attribute__((aligned(16)));
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), status;
	pid_t pid;

	CHECK(fd >= 0);
	pid = clone(become_true, stack + sizeof(stack),
		    CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, NULL);
	CHECK(pid > 0);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	CHECK(close(fd) == 0);
}

/* What a program does once it is told to. */
static int run_on(void)
{
	char c;

	if (read(0, &c, 1) != 1)
		return 1;
	sizes();
	return 42;
}

static pid_t spawn_reading(const char *path, int from)
{
	char name[] = "copy", word[] = "run-on", *argv[] = { name, word, NULL };
	posix_spawn_file_actions_t actions;
	pid_t pid;

	CHECK(posix_spawn_file_actions_init(&actions) == 0);
	CHECK(posix_spawn_file_actions_adddup2(&actions, from, 0) == 0);
	CHECK(posix_spawn(&pid, path, &actions, NULL, argv, environ) == 0);
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

static void copy_program(const char *from, const char *to)
{
	static char buf[8192];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0755);
	ssize_t n;

	CHECK(in >= 0 && out >= 0);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		CHECK(write(out, buf, (size_t)n) == n);
	CHECK(n == 0 && close(in) == 0 && close(out) == 0);
}

/* N14, I-EXEC-1: a program that runs is not written to, and replaced by name it goes on as it was. */
static void running_program(void)
{
	int p[2], status;
	pid_t pid;

	copy_program("/proc/self/exe", "/tmp/files-program");
	CHECK(pipe2(p, O_CLOEXEC) == 0);
	pid = spawn_reading("/tmp/files-program", p[0]);
	CHECK_ERRNO(open("/tmp/files-program", O_WRONLY), ETXTBSY);
	CHECK_ERRNO(open("/tmp/files-program", O_RDWR | O_TRUNC), ETXTBSY);
	CHECK_ERRNO(truncate("/tmp/files-program", 0), ETXTBSY);
	copy_program("/tests/crash", "/tmp/files-new");
	CHECK(rename("/tmp/files-new", "/tmp/files-program") == 0);
	CHECK(write(p[1], "x", 1) == 1);
	CHECK(waitpid(pid, &status, 0) == pid && status == 42 << 8);
	pid = spawn_reading("/tmp/files-program", p[0]);
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	CHECK(close(p[0]) == 0 && close(p[1]) == 0);
	/* nobody runs it now; and what is open for writing does not run */
	p[0] = open("/tmp/files-program", O_WRONLY);
	CHECK(p[0] >= 0);
	CHECK_ERRNO(execl("/tmp/files-program", "x", NULL), ETXTBSY);
	CHECK(close(p[0]) == 0 && unlink("/tmp/files-program") == 0);
}

static void devices(void)
{
	char buf[100];
	int fd = open("/dev/full", O_RDWR);
	struct stat st;

	/* before there is a terminal */
	CHECK(stat("/dev/pts", &st) == 0 && S_ISDIR(st.st_mode));
	CHECK(fd >= 0);
	CHECK_ERRNO(write(fd, "x", 1), ENOSPC);
	CHECK(read(fd, buf, sizeof(buf)) == sizeof(buf) && buf[0] == 0 && buf[99] == 0);
	CHECK(close(fd) == 0);
	fd = open("/dev/urandom", O_RDONLY);
	CHECK(fd >= 0 && read(fd, buf, sizeof(buf)) == sizeof(buf) && close(fd) == 0);
	fd = open("/proc/meminfo", O_RDONLY);
	CHECK(fd >= 0);
	CHECK(read(fd, buf, 9) == 9 && memcmp(buf, "MemTotal:", 9) == 0);
	CHECK(close(fd) == 0);
	CHECK_ERRNO(open("/proc/none", O_RDONLY), ENOENT);
	CHECK_ERRNO(open("/proc/none", O_RDWR | O_CREAT, 0600), ENOENT);
}

/* A name of a pipe whose reader came first: there is no writer to be missed yet. */
static void early_reader(void)
{
	struct pollfd f = { .events = POLLIN };
	int w;

	CHECK(mkfifo(FILE_NAME, 0600) == 0);
	f.fd = open(FILE_NAME, O_RDONLY | O_NONBLOCK);
	CHECK(f.fd >= 0 && poll(&f, 1, 0) == 0);
	w = open(FILE_NAME, O_WRONLY);
	CHECK(w >= 0 && poll(&f, 1, 0) == 0 && close(w) == 0);
	CHECK(poll(&f, 1, 0) == 1 && f.revents == POLLHUP);
	CHECK(close(f.fd) == 0 && unlink(FILE_NAME) == 0);
}

static int field_of_stat(const char *path, int field, char *out)
{
	char text[1024], *s = text;
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	if (n <= 0 || close(fd))
		return -1;
	text[n] = '\0';
	while (--field > 0 && (s = strchr(s, ' ')))
		s++;
	return s && sscanf(s, "%63s", out) == 1 ? 0 : -1;
}

/* A user gets as much of the kernel's memory by files, pipes and epolls as is meant for all users, and no more. */
static int too_much(void)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct rlimit limit = { 65536, 65536 };
	static char buf[65536];
	int p[2], n = 0, ep = 0;

	if (setrlimit(RLIMIT_NOFILE, &limit))
		return 10;
	/* many small pipes, but pipes */
	while (pipe2(p, O_NONBLOCK) == 0 && fcntl(p[1], F_GETPIPE_SZ) == 65536)
		if (++n == 4000)
			return 11;
	if (fcntl(p[1], F_GETPIPE_SZ) != 8192 || write(p[1], buf, sizeof(buf)) != 8192 ||
	    read(p[0], buf, 5000) != 5000 || write(p[1], buf, 5000) != 5000 ||
	    read(p[0], buf, sizeof(buf)) != 8192)
		return 12;
	/* one file watched under all numbers there are, by one epoll after the other */
	for (n = p[1] + 1; n < 4000 && dup2(p[0], n) == n; n++)
		;
	for (int k = 0; k < 100 && ep >= 0; k++) {
		ep = epoll_create1(0);
		for (int fd = p[1]; fd < n && !epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev); fd++)
			;
		if (errno == ENOMEM)
			break;
	}
	if (errno != ENOMEM)
		return 13;
	if (syscall(SYS_close_range, p[0], ~0u, 0))
		return 14;
	while (open("/dev/null", O_RDONLY) >= 0)
		;
	return errno == ENOMEM ? 0 : 15;
}

/* What a user may do with his own pipe, and may not see of others. */
static int as_user(void)
{
	char text[64];
	struct stat st;
	int p[2], fd;

	/* who has changed his user is not seen by others, nor by that user */
	if (prctl(PR_SET_DUMPABLE, 1) || pipe(p) || fstat(p[0], &st) || st.st_uid != 1000 ||
	    st.st_gid != 100)
		return 1;
	sprintf(text, "/proc/self/fd/%d", p[1]);
	fd = open(text, O_WRONLY);
	if (fd < 0 || write(fd, "x", 1) != 1 || read(p[0], text, 1) != 1)
		return 2;
	if (field_of_stat("/proc/self/stat", 48, text) || strcmp(text, "0") == 0)
		return 3;
	if (field_of_stat("/proc/1/stat", 48, text) || strcmp(text, "0") != 0)
		return 4;
	if (open("/proc/kmsg", O_RDONLY) >= 0 || errno != EACCES)
		return 5;
	if (open("/proc/1/maps", O_RDONLY) >= 0 || errno != EACCES)
		return 6;
	if (syscall(SYS_get_robust_list, 1, text, text + 8) != -1 || errno != EPERM)
		return 7;
	return too_much();
}

/* A node of /dev/pts that was kept is of no use when its number is another terminal's. */
static int new_pty(char *name)
{
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY), number, unlock = 0;

	CHECK(master >= 0 && ioctl(master, TIOCGPTN, &number) == 0);
	CHECK(ioctl(master, TIOCSPTLCK, &unlock) == 0);
	sprintf(name, "/dev/pts/%d", number);
	return master;
}

static void old_terminals(void)
{
	char name[32], again[32], link[32];
	int master = new_pty(name), kept = open(name, O_PATH), slave;

	CHECK(kept >= 0);
	sprintf(link, "/proc/self/fd/%d", kept);
	slave = open(link, O_RDWR | O_NOCTTY);
	CHECK(slave >= 0 && close(slave) == 0 && close(master) == 0);
	CHECK_ERRNO(open(link, O_RDWR | O_NOCTTY), ENXIO);
	master = new_pty(again);
	CHECK(strcmp(name, again) == 0);
	CHECK_ERRNO(open(link, O_RDWR | O_NOCTTY), ENXIO);
	slave = open(name, O_RDWR | O_NOCTTY);
	CHECK(slave >= 0 && close(slave) == 0 && close(master) == 0 && close(kept) == 0);
}

/* Positions whose sum with the length is no position. */
static void copies(void)
{
	off_t from = 0, to = INT64_MAX;
	int fd = open(FILE_NAME, O_RDWR | O_CREAT, 0600);

	CHECK(fd >= 0 && write(fd, "text", 4) == 4);
	CHECK_ERRNO(copy_file_range(fd, &from, fd, &to, 4, 0), EOVERFLOW);
	CHECK_ERRNO(copy_file_range(fd, &to, fd, &from, 4, 0), EOVERFLOW);
	CHECK(close(fd) == 0 && unlink(FILE_NAME) == 0);
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return run_on();
	open_flags();
	sizes();
	names();
	listings();
	descriptors();
	shared_descriptors();
	pipes();
	polls();
	running_program();
	devices();
	early_reader();
	check_as_user(as_user);
	copies();
	old_terminals();
	return 0;
}
