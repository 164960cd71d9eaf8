/* SPDX-License-Identifier: MIT */
/* What is in files and behind descriptors: open's flags, sizes, holes, vectors, fcntl, locks, sendfile and its kin. */
#include <limits.h>
#include <linux/falloc.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include "tests/diff/lib/diff.h"

CASE(open_flags)
{
	struct {
		const char *name;
		int flags;
	} all[] = {
		{ "none O_RDONLY", O_RDONLY },
		{ "f O_RDONLY", O_RDONLY },
		{ "f O_CREAT|O_EXCL", O_CREAT | O_EXCL | O_RDWR },
		{ "f O_DIRECTORY", O_DIRECTORY },
		{ "d O_RDONLY", O_RDONLY },
		{ "d O_WRONLY", O_WRONLY },
		{ "d O_RDWR", O_RDWR },
		{ "d O_CREAT", O_CREAT | O_RDONLY },
		{ "d O_CREAT|O_DIRECTORY", O_CREAT | O_DIRECTORY },
		{ "none O_CREAT|O_DIRECTORY", O_CREAT | O_DIRECTORY },
		{ "d O_TRUNC", O_TRUNC },
		{ "d O_DIRECTORY|O_NOFOLLOW", O_DIRECTORY | O_NOFOLLOW },
		{ "link O_NOFOLLOW", O_NOFOLLOW },
		{ "link O_RDONLY", O_RDONLY },
		{ "dangling O_RDONLY", O_RDONLY },
		{ "dangling O_CREAT|O_EXCL", O_CREAT | O_EXCL | O_RDWR },
		{ "link O_PATH", O_PATH },
		{ "link O_PATH|O_NOFOLLOW", O_PATH | O_NOFOLLOW },
		{ "f O_WRONLY|O_RDWR", O_WRONLY | O_RDWR },
		{ "f/ O_RDONLY", O_RDONLY },
		{ "d/ O_RDONLY", O_RDONLY },
		{ "new/ O_CREAT", O_CREAT | O_RDWR },
		{ "f/x O_CREAT", O_CREAT | O_RDWR },
		{ "none/x O_CREAT", O_CREAT | O_RDWR },
		{ ". O_RDONLY", O_RDONLY },
		{ ". O_CREAT", O_CREAT | O_RDWR },
		{ ".. O_RDONLY", O_RDONLY },
		{ "loop O_RDONLY", O_RDONLY },
		{ "f O_DIRECT", O_RDONLY | O_DIRECT },
		{ "f O_NOATIME", O_RDONLY | O_NOATIME },
		{ "f O_SYNC", O_RDONLY | O_SYNC },
		{ "f O_NONBLOCK", O_RDONLY | O_NONBLOCK },
		{ "dangling O_CREAT", O_CREAT | O_RDWR },
	};
	char name[100];

	put_file("f", "text", 0644);
	mkdir("d", 0755);
	R(symlink("f", "link"));
	R(symlink("gone", "dangling"));
	R(symlink("loop", "loop"));
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		int fd;

		strcpy(name, all[i].name);
		*strchr(name, ' ') = 0;
		fd = open(name, all[i].flags, 0600);
		say("%s: %s", all[i].name, fd < 0 ? errno_name(errno) : "ok");
		if (fd >= 0)
			say("flags %o cloexec %d", fcntl(fd, F_GETFL), fcntl(fd, F_GETFD));
		close(fd);
	}
	LIST(".");
	R(open("", O_RDONLY));
	R(open(BAD, O_RDONLY));
	R(openat(-1, "f", O_RDONLY));
	R(openat(-1, "/none", O_RDONLY));
	R(openat(0, "f", O_RDONLY));
	R(syscall(SYS_openat, AT_FDCWD, "f", 0x80000000, 0));
	R(syscall(SYS_openat, AT_FDCWD, "new", O_CREAT | O_RDWR, 0177777));
	STAT("new");
}

CASE(tmpfile)
{
	int fd = R(open(".", O_TMPFILE | O_RDWR, 0600));

	if (fd >= 0) {
		char path[40];

		R(write(fd, "x", 1));
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		R(linkat(AT_FDCWD, path, AT_FDCWD, "made", AT_SYMLINK_FOLLOW));
		STAT("made");
	}
	R(open(".", O_TMPFILE | O_RDONLY, 0600));
	R(open("none", O_TMPFILE | O_RDWR, 0600));
}

CASE(unnamed_files)
{
	int fd = R(open(".", O_TMPFILE | O_RDWR | O_EXCL, 0666));
	char path[40], target[200] = "";
	struct stat st;
	pid_t pid;

	R(fstat(fd, &st));
	say("mode %o links %d", st.st_mode, (int)st.st_nlink);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	R(linkat(AT_FDCWD, path, AT_FDCWD, "made", AT_SYMLINK_FOLLOW));
	R(linkat(fd, "", AT_FDCWD, "made", AT_EMPTY_PATH));
	OK(readlink(path, target, sizeof(target) - 1));
	Q(strstr(target, "/#") && strstr(target, " (deleted)"));
	fd = R(open(".", O_TMPFILE | O_WRONLY, 0600));
	R(linkat(fd, "", AT_FDCWD, "made", AT_EMPTY_PATH));
	STAT("made");
	R(unlink("made"));
	R(linkat(fd, "", AT_FDCWD, "again", AT_EMPTY_PATH));
	R(open(".", O_TMPFILE | O_RDWR | O_CREAT, 0600));
	R(open("made", O_TMPFILE | O_RDWR, 0600));
	OK(open("file", O_CREAT | O_RDWR, 0600));
	R(open("file", O_TMPFILE | O_RDWR, 0600));
	R(open(".", (O_TMPFILE & ~O_DIRECTORY) | O_RDWR, 0600));
	R(open("/proc", O_TMPFILE | O_RDWR, 0600));
	R(symlink(".", "here"));
	OK(open("here", O_TMPFILE | O_RDWR, 0600));
	R(open("here", O_TMPFILE | O_RDWR | O_NOFOLLOW, 0600));
	R(chmod(".", 0755));
	pid = fork();
	if (pid == 0) {
		R(setresuid(1000, 1000, 1000));
		fd = R(open(".", O_TMPFILE | O_RDWR, 0600));
		R(linkat(fd, "", AT_FDCWD, "mine", AT_EMPTY_PATH));
		R(linkat(AT_FDCWD, "file", AT_FDCWD, "mine", AT_EMPTY_PATH));
		_exit(0);
	}
	REAP(pid);
	LIST(".");
}

CASE(path_descriptors)
{
	char c;
	int fd, d;

	put_file("f", "text", 0644);
	mkdir("d", 0755);
	fd = OK(open("f", O_PATH));
	d = OK(open("d", O_PATH));
	R(read(fd, &c, 1));
	R(write(fd, &c, 1));
	R(lseek(fd, 0, SEEK_SET));
	R(fchmod(fd, 0600));
	R(ftruncate(fd, 0));
	R(syscall(SYS_fstat, fd, &(struct stat){ 0 }));
	R(fcntl(fd, F_GETFD));
	R(ioctl(fd, FIONREAD, &(int){ 0 }));
	R(openat(d, "x", O_CREAT | O_RDWR, 0600) >= 0);
	R(fchdir(d));
	LIST(".");
	R(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -1 : 0);
}

CASE(reads_and_writes)
{
	char buf[100] = "0123456789", *edge = page_before_hole();
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600));
	int ro = OK(open("f", O_RDONLY)), wo = OK(open("f", O_WRONLY));

	R(write(fd, buf, 10));
	R(read(fd, buf, 10));
	R(pread(fd, buf, 5, 3));
	R(pread(fd, buf, 50, 8));
	R(pread(fd, buf, 5, 10));
	R(pread(fd, buf, 5, 1000));
	R(pread(fd, buf, 5, -1));
	R(pwrite(fd, "ab", 2, 20));
	R(pwrite(fd, "ab", 2, -1));
	R(pwrite(fd, "ab", 2, LONG_MAX));
	R(pwrite(fd, "ab", 0, LONG_MAX));
	STAT("f");
	R(lseek(fd, 0, SEEK_CUR));
	R(read(wo, buf, 1));
	R(write(ro, buf, 1));
	R(read(wo, buf, 0));
	R(write(ro, buf, 0));
	R(read(-1, buf, 1));
	R(write(1 << 20, buf, 1));
	R(read(fd, buf, 0));
	R(read(fd, BAD, 0));
	R(read(fd, BAD, 5));
	R(write(fd, BAD, 0));
	R(write(fd, BAD, 5));
	R(lseek(fd, 0, SEEK_SET));
	/* what fits before the hole is done */
	R(read(fd, edge + 4090, 12));
	R(lseek(fd, 0, SEEK_CUR));
	R(lseek(fd, 0, SEEK_SET));
	R(write(fd, edge + 4090, 12));
	R(lseek(fd, 0, SEEK_CUR));
	R(syscall(SYS_read, ro, buf, -1L));
	R(syscall(SYS_write, fd, 0xffff000000001000, 1L));
	R(read(open(".", O_RDONLY), buf, 10));
	R(pread(open(".", O_RDONLY), buf, 10, 0));
}

CASE(seeks)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600)), p[2];

	R(write(fd, "0123456789", 10));
	R(lseek(fd, -3, SEEK_END));
	R(lseek(fd, -11, SEEK_END));
	R(lseek(fd, -1, SEEK_SET));
	R(lseek(fd, -8, SEEK_CUR));
	R(lseek(fd, 0, SEEK_CUR));
	R(lseek(fd, LONG_MAX, SEEK_SET));
	R(lseek(fd, 1, SEEK_CUR));
	R(lseek(fd, 1000, SEEK_END));
	R(lseek(fd, 0, 77));
	R(lseek(fd, 0, SEEK_DATA));
	R(lseek(fd, 3, SEEK_HOLE));
	R(lseek(fd, 10, SEEK_DATA));
	R(lseek(fd, -1, SEEK_DATA));
	R(lseek(fd, 10, SEEK_HOLE));
	R(lseek(-1, 0, SEEK_SET));
	R(pipe(p));
	R(lseek(p[0], 0, SEEK_SET));
	R(pread(p[0], &fd, 1, 0));
	R(pwrite(p[1], &fd, 1, 0));
	R(lseek(open("/dev/null", O_RDWR), 5, SEEK_SET));
	R(lseek(open("/dev/zero", O_RDWR), 5, SEEK_SET));
}

CASE(holes)
{
	struct stat st;
	char buf[20];
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600));

	R(pwrite(fd, "end", 3, 1L << 30));
	R(fstat(fd, &st));
	say("size %ld blocks %ld", (long)st.st_size, (long)st.st_blocks);
	memset(buf, 1, sizeof(buf));
	R(pread(fd, buf, 20, 5000));
	Q(buf[0] == 0 && buf[19] == 0);
	R(lseek(fd, 0, SEEK_DATA));
	R(lseek(fd, 0, SEEK_HOLE));
	R(ftruncate(fd, (1L << 30) + 1));
	R(ftruncate(fd, (1L << 30) + 3));
	R(pread(fd, buf, 20, 1L << 30));
	say("%02x %02x %02x", buf[0], buf[1], buf[2]);
	R(ftruncate(fd, 0));
	R(fstat(fd, &st));
	say("size %ld blocks %ld", (long)st.st_size, (long)st.st_blocks);
	R(ftruncate(fd, 5));
	R(pread(fd, buf, 20, 0));
	say("%02x", buf[0]);
}

CASE(truncates)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600)), p[2];
	int ro = OK(open("f", O_RDONLY));

	R(write(fd, "0123456789", 10));
	R(ftruncate(ro, 0));
	R(ftruncate(fd, -1));
	R(truncate("f", -1));
	R(truncate("f", 4));
	STAT("f");
	R(truncate("f", 8));
	say("'%s'", slurp("f"));
	R(truncate("none", 4));
	R(truncate(".", 4));
	R(truncate("f/x", 4));
	R(truncate(BAD, 4));
	R(ftruncate(-1, 4));
	R(pipe(p));
	R(ftruncate(p[1], 0));
	R(ftruncate(open("/dev/null", O_RDWR), 0));
	R(ftruncate(open(".", O_RDONLY), 0));
	R(lseek(fd, 0, SEEK_CUR));
	R(write(fd, "x", 1));
	STAT("f");
}

CASE(fallocate)
{
	struct stat st;
	char buf[10];
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600)), ro = OK(open("f", O_RDONLY)), p[2];

	R(fallocate(fd, 0, 0, 8192));
	fstat(fd, &st);
	say("size %ld blocks %ld", (long)st.st_size, (long)st.st_blocks);
	R(fallocate(fd, FALLOC_FL_KEEP_SIZE, 8192, 4096));
	STAT("f");
	R(pwrite(fd, "0123456789", 10, 4090));
	R(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4092, 6));
	R(pread(fd, buf, 10, 4090));
	say("%02x %02x %02x %02x", buf[1], buf[2], buf[7], buf[8]);
	R(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 4096));
	R(fallocate(fd, 0, 0, 0));
	R(fallocate(fd, 0, -1, 5));
	R(fallocate(fd, 0, 5, -1));
	R(fallocate(fd, 0, LONG_MAX, 5));
	R(fallocate(fd, 0x1000, 0, 5));
	R(fallocate(ro, 0, 0, 5));
	R(fallocate(-1, 0, 0, 5));
	R(pipe(p));
	R(fallocate(p[1], 0, 0, 5));
	R(fallocate(open(".", O_RDONLY), 0, 0, 5));
}

CASE(append)
{
	int fd = OK(open("f", O_RDWR | O_CREAT | O_APPEND, 0600));

	R(write(fd, "01234", 5));
	R(lseek(fd, 0, SEEK_SET));
	R(write(fd, "56", 2));
	R(lseek(fd, 0, SEEK_CUR));
	R(pwrite(fd, "78", 2, 0));
	R(lseek(fd, 0, SEEK_CUR));
	say("'%s'", slurp("f"));
	R(fcntl(fd, F_SETFL, 0));
	R(pwrite(fd, "ab", 2, 0));
	say("'%s'", slurp("f"));
}

CASE(vectors)
{
	char a[4] = "", b[4] = "", *edge = page_before_hole();
	struct iovec v[3] = { { a, 3 }, { NULL, 0 }, { b, 3 } }, bad = { BAD, 3 }, big = { a, -1L };
	static struct iovec many[1025];
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600));

	R(write(fd, "0123456789", 10));
	R(preadv(fd, v, 3, 2));
	say("%s %s", a, b);
	R(lseek(fd, 0, SEEK_SET));
	R(readv(fd, v, 3));
	R(lseek(fd, 0, SEEK_CUR));
	R(writev(fd, v, 3));
	R(pwritev(fd, v, 3, 20));
	R(readv(fd, v, 0));
	R(readv(fd, v, -1));
	R(readv(fd, many, 1025));
	R(readv(fd, many, 1024));
	R(readv(fd, BAD, 1));
	R(readv(fd, &bad, 1));
	R(writev(fd, &bad, 1));
	R(readv(fd, &big, 1));
	v[1] = (struct iovec){ BAD, 3 };
	R(lseek(fd, 0, SEEK_SET));
	R(readv(fd, v, 3));
	R(lseek(fd, 0, SEEK_SET));
	R(writev(fd, v, 3));
	memcpy(edge + 4080, v, 16);
	R(readv(fd, (struct iovec *)(edge + 4080), 2));
	R(preadv(fd, v, 1, -1));
	R(pwritev(fd, v, 1, -1));
	/* -1 is the file's own place here */
	R(syscall(SYS_preadv2, fd, v, 1, -1L, 0, 0));
	R(syscall(SYS_pwritev2, fd, v, 1, 0L, 0, 0x80));
	R(syscall(SYS_preadv2, fd, v, 1, 0L, 0, 0x8000));
}

CASE(duplicates)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600)), d;

	R(dup(fd));
	R(dup(-1));
	R(dup2(fd, fd));
	R(dup2(-1, -1));
	R(dup2(fd, -1));
	R(dup3(fd, fd, 0));
	R(dup3(fd, 10, O_CLOEXEC));
	R(fcntl(10, F_GETFD));
	R(dup3(fd, 10, O_APPEND));
	R(dup3(fd, 1 << 30, 0));
	R(dup3(99, 10, 0));
	R(fcntl(fd, F_DUPFD, 10));
	R(fcntl(fd, F_DUPFD_CLOEXEC, 10));
	R(fcntl(12, F_GETFD));
	R(fcntl(fd, F_DUPFD, -1));
	R(fcntl(fd, F_DUPFD, 1 << 30));
	d = dup(fd);
	R(write(fd, "abc", 3));
	R(lseek(d, 0, SEEK_CUR));
	R(fcntl(d, F_SETFL, O_APPEND | O_NONBLOCK | O_CREAT | O_RDONLY));
	say("%o", fcntl(fd, F_GETFL));
	R(close(d));
	R(close(d));
	R(close(-1));
	R(fcntl(d, F_GETFD));
	R(fcntl(fd, F_SETFD, 0xff));
	R(fcntl(fd, F_GETFD));
	R(fcntl(fd, 7777, 0));
	R(fcntl(99, 7777, 0));
}

CASE(close_range)
{
	for (int i = 3; i < 10; i++)
		open("/dev/null", O_RDONLY);
	R(syscall(SYS_close_range, 4, 6, 0));
	R(fcntl(3, F_GETFD));
	R(fcntl(4, F_GETFD));
	R(fcntl(6, F_GETFD));
	R(fcntl(7, F_GETFD));
	R(syscall(SYS_close_range, 6, 4, 0));
	R(syscall(SYS_close_range, 7, 8, 4));
	R(fcntl(7, F_GETFD));
	R(fcntl(9, F_GETFD));
	R(syscall(SYS_close_range, 7, ~0U, 8));
	R(syscall(SYS_close_range, 7, ~0U, 0));
	R(fcntl(9, F_GETFD));
}

CASE(pipes)
{
	static char buf[70000];
	int p[2];

	R(pipe2(p, 0x10));
	R(pipe2(BAD, 0));
	R(pipe2(p, O_NONBLOCK | O_CLOEXEC));
	say("%d %d", p[0], p[1]);
	say("%o %o %d", fcntl(p[0], F_GETFL), fcntl(p[1], F_GETFL), fcntl(p[1], F_GETFD));
	R(read(p[0], buf, 1));
	R(write(p[1], buf, 70000));
	R(write(p[1], buf, 1));
	R(read(p[0], buf, 4095));
	R(write(p[1], buf, 4096));
	R(read(p[0], buf, 1));
	R(write(p[1], buf, 4096));
	R(read(p[0], buf, 70000));
	R(ioctl(p[0], FIONREAD, &(int){ 0 }));
	R(write(p[1], buf, 10));
	int n = 0;

	R(ioctl(p[0], FIONREAD, &n));
	say("%d", n);
	R(write(p[0], buf, 1));
	R(read(p[1], buf, 1));
	R(fcntl(p[0], F_GETPIPE_SZ));
	R(fcntl(p[0], F_SETPIPE_SZ, 4096));
	R(fcntl(p[0], F_GETPIPE_SZ));
	R(fcntl(p[0], F_SETPIPE_SZ, 5000));
	R(fcntl(p[0], F_SETPIPE_SZ, 0));
	R(fcntl(0, F_GETPIPE_SZ));
	R(read(p[0], BAD, 5));
	R(read(p[0], buf, 100));
	R(write(p[1], BAD, 5));
	R(close(p[1]));
	R(read(p[0], buf, 1));
	R(fsync(p[0]));
}

CASE(fifos)
{
	int r, w;
	char c;

	R(mkfifo("fifo", 0600));
	R(mkfifo("fifo", 0600));
	STAT("fifo");
	R(open("fifo", O_WRONLY | O_NONBLOCK));
	r = OK(open("fifo", O_RDONLY | O_NONBLOCK));
	R(read(r, &c, 1));
	w = OK(open("fifo", O_WRONLY | O_NONBLOCK));
	R(read(r, &c, 1));
	R(write(w, "x", 1));
	R(read(r, &c, 1));
	R(close(w));
	R(read(r, &c, 1));
	close(r);
	if (fork() == 0) {
		w = open("fifo", O_WRONLY);
		if (write(w, "y", 1) != 1)
			_exit(1);
		_exit(0);
	}
	r = OK(open("fifo", O_RDONLY));
	R(read(r, &c, 1));
	R(read(r, &c, 1));
	OK(open("fifo", O_RDWR));
}

/* ---- locks */

static struct flock *lock(short type, short whence, off_t start, off_t len)
{
	static struct flock l;

	l = (struct flock){ .l_type = type, .l_whence = whence, .l_start = start, .l_len = len };
	return &l;
}

static void say_lock(int line, int fd, int cmd, struct flock l)
{
	int got = fcntl(fd, cmd, &l);

	if (got < 0)
		diff_say(line, "%s", errno_name(errno));
	else
		diff_say(line, "type %d whence %d start %ld len %ld pid %s", l.l_type, l.l_whence,
			 (long)l.l_start, (long)l.l_len, l.l_pid == -1 ? "-1" : who(l.l_pid));
}

CASE(record_locks)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600)), ro, other;

	R(write(fd, "0123456789", 10));
	ro = OK(open("f", O_RDONLY));
	R(fcntl(fd, F_SETLK, lock(F_WRLCK, SEEK_SET, 10, 20)));
	say_lock(__LINE__, fd, F_GETLK, *lock(F_WRLCK, SEEK_SET, 0, 100));
	R(fcntl(ro, F_SETLK, lock(F_WRLCK, SEEK_SET, 0, 1)));
	R(fcntl(ro, F_SETLK, lock(F_RDLCK, SEEK_SET, 0, 5)));
	if (fork() == 0) {
		say_lock(__LINE__, fd, F_GETLK, *lock(F_WRLCK, SEEK_SET, 0, 100));
		say_lock(__LINE__, fd, F_GETLK, *lock(F_RDLCK, SEEK_SET, 0, 5));
		say_lock(__LINE__, fd, F_GETLK, *lock(F_RDLCK, SEEK_SET, 5, 0));
		R(fcntl(fd, F_SETLK, lock(F_RDLCK, SEEK_SET, 29, 1)));
		R(fcntl(fd, F_SETLK, lock(F_RDLCK, SEEK_SET, 30, 1)));
		R(fcntl(fd, F_SETLK, lock(F_RDLCK, SEEK_SET, 0, 2)));
		_exit(0);
	}
	wait(NULL);
	/* split, join, change of kind */
	R(fcntl(fd, F_SETLK, lock(F_UNLCK, SEEK_SET, 15, 5)));
	R(fcntl(fd, F_SETLK, lock(F_RDLCK, SEEK_SET, 12, 1)));
	if (fork() == 0) {
		say_lock(__LINE__, fd, F_GETLK, *lock(F_WRLCK, SEEK_SET, 12, 0));
		say_lock(__LINE__, fd, F_GETLK, *lock(F_WRLCK, SEEK_SET, 13, 0));
		say_lock(__LINE__, fd, F_GETLK, *lock(F_WRLCK, SEEK_SET, 15, 5));
		say_lock(__LINE__, fd, F_GETLK, *lock(F_WRLCK, SEEK_SET, 16, 0));
		_exit(0);
	}
	wait(NULL);
	R(fcntl(fd, F_SETLK, lock(F_WRLCK, SEEK_END, -5, 5)));
	R(fcntl(fd, F_SETLK, lock(F_WRLCK, SEEK_CUR, 0, -3)));
	R(fcntl(fd, F_SETLK, lock(F_WRLCK, SEEK_SET, 0, -3)));
	R(fcntl(fd, F_SETLK, lock(F_WRLCK, SEEK_SET, -1, 1)));
	R(fcntl(fd, F_SETLK, lock(77, SEEK_SET, 0, 1)));
	R(fcntl(fd, F_SETLK, lock(F_WRLCK, 7, 0, 1)));
	R(fcntl(fd, F_SETLK, BAD));
	R(fcntl(fd, F_GETLK, lock(F_UNLCK, SEEK_SET, 0, 1)));
	R(fcntl(-1, F_SETLK, lock(F_WRLCK, SEEK_SET, 0, 1)));
	/* any close of the file lets go of all */
	other = open("f", O_RDONLY);
	close(other);
	if (fork() == 0) {
		say_lock(__LINE__, fd, F_GETLK, *lock(F_WRLCK, SEEK_SET, 0, 0));
		_exit(0);
	}
	wait(NULL);
}

static void nothing(int sig)
{
	(void)sig;
}

CASE(locks_that_wait)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600)), p[2], q[2];
	char c;
	pid_t pid;

	R(pipe(p));
	R(pipe(q));
	R(fcntl(fd, F_SETLK, lock(F_WRLCK, SEEK_SET, 1, 1)));
	pid = fork();
	if (pid == 0) {
		fcntl(fd, F_SETLK, lock(F_WRLCK, SEEK_SET, 0, 1));
		if (write(p[1], "x", 1) != 1)
			_exit(1);
		R(fcntl(fd, F_SETLKW, lock(F_WRLCK, SEEK_SET, 1, 1)));
		say("got the second");
		_exit(0);
	}
	R(read(p[0], &c, 1));
	until_asleep(pid);
	R(fcntl(fd, F_SETLK, lock(F_RDLCK, SEEK_SET, 0, 1)));
	/* each would wait for the other */
	R(fcntl(fd, F_SETLKW, lock(F_RDLCK, SEEK_SET, 0, 1)));
	fcntl(fd, F_SETLK, lock(F_UNLCK, SEEK_SET, 1, 1));
	REAP(pid);
	R(fcntl(fd, F_SETLK, lock(F_WRLCK, SEEK_SET, 0, 1)));
	pid = fork();
	if (pid == 0) {
		struct sigaction sa = { .sa_handler = nothing };

		sigaction(SIGALRM, &sa, NULL);
		alarm(1);
		R(fcntl(fd, F_SETLKW, lock(F_WRLCK, SEEK_SET, 0, 1)));
		_exit(0);
	}
	REAP(pid);
	/* and with its owner's death a lock is gone */
	pid = fork();
	if (pid == 0) {
		fcntl(fd, F_SETLK, lock(F_WRLCK, SEEK_SET, 50, 1));
		_exit(0);
	}
	REAP(pid);
	R(fcntl(fd, F_SETLK, lock(F_WRLCK, SEEK_SET, 50, 1)));
}

#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#endif

CASE(open_file_locks)
{
	int a = OK(open("f", O_RDWR | O_CREAT, 0600)), b = OK(open("f", O_RDWR)), c;
	struct flock l = *lock(F_WRLCK, SEEK_SET, 5, 10);

	R(fcntl(a, F_OFD_SETLK, lock(F_WRLCK, SEEK_SET, 0, 10)));
	R(fcntl(b, F_OFD_SETLK, lock(F_WRLCK, SEEK_SET, 5, 10)));
	R(fcntl(b, F_SETLK, lock(F_WRLCK, SEEK_SET, 5, 10)));
	say_lock(__LINE__, b, F_OFD_GETLK, *lock(F_RDLCK, SEEK_SET, 0, 0));
	l.l_pid = 5;
	R(fcntl(b, F_OFD_SETLK, &l));
	c = dup(a);
	close(a);
	R(fcntl(b, F_OFD_SETLK, lock(F_WRLCK, SEEK_SET, 5, 10)));
	close(c);
	R(fcntl(b, F_OFD_SETLK, lock(F_WRLCK, SEEK_SET, 5, 10)));
}

CASE(flocks)
{
	int a = OK(open("f", O_RDWR | O_CREAT, 0600)), b = OK(open("f", O_RDONLY)), p[2];
	pid_t pid;

	R(flock(a, LOCK_SH));
	R(flock(b, LOCK_SH | LOCK_NB));
	R(flock(b, LOCK_EX | LOCK_NB));
	R(flock(a, LOCK_UN));
	R(flock(b, LOCK_EX | LOCK_NB));
	R(flock(a, LOCK_SH | LOCK_NB));
	R(flock(a, 0));
	R(flock(a, 77));
	R(flock(-1, LOCK_SH));
	R(flock(open(".", O_RDONLY), LOCK_EX));
	R(pipe(p));
	R(flock(p[0], LOCK_EX));
	/* the two kinds do not see each other */
	R(fcntl(a, F_SETLK, lock(F_WRLCK, SEEK_SET, 0, 0)));
	/* a child has the same open file */
	pid = fork();
	if (pid == 0) {
		R(flock(b, LOCK_UN));
		_exit(0);
	}
	REAP(pid);
	R(flock(a, LOCK_EX | LOCK_NB));
	pid = fork();
	if (pid == 0) {
		R(flock(open("f", O_RDONLY), LOCK_EX));
		say("after the other let go");
		_exit(0);
	}
	until_asleep(pid);
	flock(a, LOCK_UN);
	REAP(pid);
}

/* ---- copying in the kernel */

CASE(sendfile)
{
	int in = OK(open("in", O_RDWR | O_CREAT, 0600)),
	    out = OK(open("out", O_RDWR | O_CREAT, 0600));
	int p[2];
	off_t at = 3;

	R(write(in, "0123456789", 10));
	R(pipe(p));
	R(sendfile(p[1], in, &at, 4));
	say("at %ld", (long)at);
	R(lseek(in, 0, SEEK_CUR));
	R(lseek(in, 2, SEEK_SET));
	R(sendfile(p[1], in, NULL, 100));
	R(lseek(in, 0, SEEK_CUR));
	R(sendfile(p[1], in, NULL, 100));
	R(lseek(in, 0, SEEK_SET));
	R(sendfile(out, in, NULL, 1 << 24));
	say("'%s'", slurp("out"));
	R(sendfile(p[1], p[0], NULL, 5));
	R(sendfile(out, -1, NULL, 5));
	R(sendfile(-1, in, NULL, 5));
	R(sendfile(in, open("in", O_WRONLY), NULL, 5));
	R(sendfile(open("out", O_RDONLY), in, NULL, 5));
	R(sendfile(out, in, BAD, 5));
	at = -5;
	R(sendfile(out, in, &at, 5));
	R(sendfile(out, open(".", O_RDONLY), NULL, 5));
	R(sendfile(p[1], open("/dev/zero", O_RDONLY), NULL, 5));
}

CASE(copy_file_range)
{
	int in = OK(open("in", O_RDWR | O_CREAT, 0600)),
	    out = OK(open("out", O_RDWR | O_CREAT, 0600));
	long a = 2, b = 1;

	R(write(in, "0123456789", 10));
	R(syscall(SYS_copy_file_range, in, &a, out, &b, 4L, 0));
	say("%ld %ld", a, b);
	R(lseek(in, 0, SEEK_SET));
	R(syscall(SYS_copy_file_range, in, NULL, out, NULL, 100L, 0));
	R(lseek(in, 0, SEEK_CUR));
	STAT("out");
	R(syscall(SYS_copy_file_range, in, NULL, out, NULL, 5L, 1));
	R(syscall(SYS_copy_file_range, in, NULL, -1, NULL, 5L, 0));
	a = 0;
	b = 5;
	R(syscall(SYS_copy_file_range, in, &a, in, &b, 10L, 0));
}

CASE(syncs)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600)), p[2];

	R(pipe(p));
	R(fsync(fd));
	R(fdatasync(fd));
	R(fsync(-1));
	R(fdatasync(p[0]));
	R(fsync(open(".", O_RDONLY)));
	R(fsync(open("/dev/null", O_RDONLY)));
	R(syscall(SYS_syncfs, fd));
	R(syscall(SYS_sync));
}

CASE(ioctls)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600)), n = 1;
	char buf[100];

	R(ioctl(fd, TCGETS, buf));
	R(ioctl(fd, TIOCGWINSZ, buf));
	R(ioctl(fd, FIONREAD, &n));
	R(ioctl(fd, FIOCLEX));
	R(fcntl(fd, F_GETFD));
	R(ioctl(fd, FIONCLEX));
	R(fcntl(fd, F_GETFD));
	n = 1;
	R(ioctl(fd, FIONBIO, &n));
	say("%o", fcntl(fd, F_GETFL));
	R(ioctl(-1, TCGETS, buf));
	R(ioctl(fd, 0, 0));
	R(ioctl(open(".", O_RDONLY), TCGETS, buf));
	R(ioctl(open("/dev/null", O_RDWR), TCGETS, buf));
	R(ioctl(open("/dev/null", O_RDWR), FIONREAD, &n));
}

/* FIONBIO leaves the other flags alone. */
CASE(flags_by_ioctl)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600)), n = 1;

	R(fcntl(fd, F_SETFL, O_APPEND | O_NOATIME));
	R(ioctl(fd, FIONBIO, &n));
	say("%o", fcntl(fd, F_GETFL));
	n = 0;
	R(ioctl(fd, FIONBIO, &n));
	say("%o", fcntl(fd, F_GETFL));
}

CASE(devices)
{
	char buf[10] = "xxxxxxxxx";
	int null = OK(open("/dev/null", O_RDWR)), zero = OK(open("/dev/zero", O_RDWR));
	int full = OK(open("/dev/full", O_RDWR)), random = OK(open("/dev/urandom", O_RDWR));
	struct stat st;

	R(read(null, buf, 5));
	R(write(null, buf, 5));
	R(write(null, BAD, 5));
	R(read(zero, buf, 5));
	say("%d", buf[4]);
	R(read(zero, BAD, 5));
	R(write(zero, buf, 5));
	R(read(full, buf, 5));
	R(write(full, buf, 5));
	R(read(random, buf, 5));
	R(read(random, BAD, 5));
	R(write(random, buf, 5));
	R(stat("/dev/null", &st));
	say("%06o %x", st.st_mode, (unsigned)st.st_rdev);
	R(stat("/dev/zero", &st));
	say("%06o %x", st.st_mode, (unsigned)st.st_rdev);
	R(stat("/dev/full", &st));
	say("%06o %x", st.st_mode, (unsigned)st.st_rdev);
	R(stat("/dev/tty", &st));
	say("%06o %x", st.st_mode, (unsigned)st.st_rdev);
	R(open("/dev/tty", O_RDWR));
	R(open("/dev/none", O_RDWR));
	R(mknod("null", S_IFCHR | 0666, 0x103));
	R(write(open("null", O_WRONLY), buf, 5));
	R(mknod("nothing", S_IFCHR | 0666, 0xfff03));
	R(open("nothing", O_RDONLY));
	R(mknod("block", S_IFBLK | 0666, 0xfff03));
	R(open("block", O_RDONLY));
}

CASE(pipe_sizes)
{
	static char buf[200000];
	int p[2], fifo;
	pid_t pid;

	R(pipe2(p, O_NONBLOCK));
	R(fcntl(p[0], F_SETPIPE_SZ, 131072));
	R(write(p[1], buf, 200000));
	R(fcntl(p[1], F_SETPIPE_SZ, 65536));
	R(read(p[0], buf, 98304));
	R(fcntl(p[1], F_SETPIPE_SZ, 65536));
	R(write(p[1], buf, 200000));
	R(fcntl(p[1], F_SETPIPE_SZ, 1 << 20));
	R(write(p[1], buf, 200000));
	R(fcntl(p[1], F_SETPIPE_SZ, (1 << 20) + 1));
	R(fcntl(p[1], F_SETPIPE_SZ, 0x80000001));
	R(fcntl(p[1], F_SETPIPE_SZ, -1L));
	R(read(p[0], buf, 200000));
	R(mkfifo("fifo", 0600));
	fifo = R(open("fifo", O_RDWR));
	R(fcntl(fifo, F_GETPIPE_SZ));
	R(fcntl(fifo, F_SETPIPE_SZ, 8192));
	R(fcntl(OK(open("fifo", O_PATH)), F_GETPIPE_SZ));
	R(fcntl(OK(open("f", O_RDWR | O_CREAT, 0600)), F_SETPIPE_SZ, 4096));
	pid = fork();
	if (pid == 0) {
		R(setresuid(1000, 1000, 1000));
		R(pipe(p));
		R(fcntl(p[0], F_SETPIPE_SZ, 1 << 20));
		R(fcntl(p[0], F_SETPIPE_SZ, (1 << 20) + 1));
		R(fcntl(p[0], F_SETPIPE_SZ, 4096));
		R(fcntl(p[0], F_GETPIPE_SZ));
		_exit(0);
	}
	REAP(pid);
}

#define MFD_ALLOW 2
#define ADD_SEALS 1033
#define GET_SEALS 1034
static char buf250[251];
enum { SEALS = 1, SHRINKING = 2, GROWING = 4, WRITING = 8, WRITES_TO_COME = 16 };

CASE(seals)
{
	int fd = R(syscall(SYS_memfd_create, "name", MFD_ALLOW)), ro;
	char target[100] = "", *m;
	struct stat st;

	R(fstat(fd, &st));
	say("mode %o links %d size %d", st.st_mode, (int)st.st_nlink, (int)st.st_size);
	OK(readlink("/proc/self/fd/3", target, sizeof(target) - 1));
	say("%s", target);
	R(fcntl(fd, F_GETFL) & O_ACCMODE);
	R(ftruncate(fd, 8192));
	R(fcntl(fd, GET_SEALS));
	R(fcntl(fd, ADD_SEALS, 0x100));
	ro = R(open("/proc/self/fd/3", O_RDONLY));
	R(fcntl(ro, ADD_SEALS, SHRINKING));
	R(fcntl(ro, GET_SEALS));
	m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	m[1] = 'm';
	R(fcntl(fd, ADD_SEALS, WRITING));
	R(fcntl(fd, ADD_SEALS, SHRINKING));
	R(ftruncate(fd, 4096));
	R(ftruncate(fd, 12288));
	R(fcntl(fd, ADD_SEALS, GROWING));
	R(ftruncate(fd, 20000));
	R(pwrite(fd, "abc", 3, 12287));
	R(pwrite(fd, "abc", 3, 12288));
	R(fallocate(fd, 0, 0, 20000));
	R(munmap(m, 8192));
	R(fcntl(fd, ADD_SEALS, WRITES_TO_COME));
	R(fcntl(fd, ADD_SEALS, WRITING));
	R(fcntl(fd, GET_SEALS));
	R(pwrite(fd, "abc", 3, 0));
	R(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
	R(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
	m = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	say("%c", m[1]);
	R(mprotect(m, 4096, PROT_READ | PROT_WRITE));
	R(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -1 : 0);
	R(fcntl(fd, ADD_SEALS, SEALS));
	R(fcntl(fd, ADD_SEALS, GROWING));
	R(fcntl(fd, GET_SEALS));
	fd = R(syscall(SYS_memfd_create, "", 0));
	R(fcntl(fd, GET_SEALS));
	R(fcntl(fd, ADD_SEALS, GROWING));
	R(fcntl(0, GET_SEALS));
	R(fcntl(0, ADD_SEALS, GROWING));
	memset(buf250, 'n', 250);
	R(syscall(SYS_memfd_create, buf250 + 1, 0) >= 0);
	R(syscall(SYS_memfd_create, buf250, 0) >= 0);
}

CASE(memfd)
{
	int fd = R(syscall(SYS_memfd_create, "name", 0));

	R(write(fd, "abc", 3));
	R(fcntl(fd, F_GETFD));
	R(syscall(SYS_memfd_create, "name", 0x1000));
	R(syscall(SYS_memfd_create, BAD, 0));
	fd = R(syscall(SYS_memfd_create, "name", 3));
	R(fcntl(fd, F_GETFD));
	R(fcntl(fd, 1034 /* F_GET_SEALS */));
	R(fcntl(fd, 1033 /* F_ADD_SEALS */, 8));
	R(write(fd, "abc", 3));
}

CASE(random)
{
	char a[300];

	R(syscall(SYS_getrandom, a, 300L, 0));
	R(syscall(SYS_getrandom, a, 300L, 1));
	R(syscall(SYS_getrandom, a, 300L, 2));
	R(syscall(SYS_getrandom, a, 10L, 8));
	R(syscall(SYS_getrandom, a, 10L, 6));
	R(syscall(SYS_getrandom, BAD, 10L, 0));
	R(syscall(SYS_getrandom, BAD, 0L, 0));
}

CASE(advice)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600)), p[2];

	R(syscall(SYS_fadvise64, fd, 0L, 0L, 0));
	R(syscall(SYS_fadvise64, fd, 0L, 0L, 77));
	R(syscall(SYS_fadvise64, -1, 0L, 0L, 0));
	R(pipe(p));
	R(syscall(SYS_fadvise64, p[0], 0L, 0L, 0));
	R(syscall(SYS_readahead, fd, 0L, 10L));
}
