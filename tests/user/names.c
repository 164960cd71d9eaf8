/* SPDX-License-Identifier: MIT */
/* Names as a program sees them: links, renames, rights, times, and every *at call with hostile arguments. Runs as root
 * and, for what root may, in a child as somebody else. Leaves nothing behind. */
#include <fcntl.h>
#include <grp.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/user/as_user.h"
#include "tests/user/await.h"
#include "tests/user/check.h"

#define DIR_NAME "/tmp/names-test"
#define BAD	 ((char *)(uintptr_t)8)

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	CHECK(fd >= 0);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	CHECK(close(fd) == 0);
}

static struct stat of(const char *path)
{
	struct stat st;

	CHECK(lstat(path, &st) == 0);
	return st;
}

static long rename2(const char *from, const char *to, unsigned flags)
{
	return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void links(void)
{
	char buf[5];
	int fd;

	put("f", "one");
	CHECK(symlink("f", "s") == 0);
	CHECK(linkat(AT_FDCWD, "s", AT_FDCWD, "s2", 0) == 0);
	CHECK(S_ISLNK(of("s2").st_mode) && of("s").st_nlink == 2);
	CHECK(linkat(AT_FDCWD, "s", AT_FDCWD, "f2", AT_SYMLINK_FOLLOW) == 0);
	CHECK(of("f2").st_ino == of("f").st_ino && of("f").st_nlink == 2);
	fd = open("f", O_RDONLY);
	CHECK(linkat(fd, "", AT_FDCWD, "f3", AT_EMPTY_PATH) == 0);
	CHECK(unlink("f") == 0 && unlink("f2") == 0 && unlink("f3") == 0);
	CHECK_ERRNO(linkat(fd, "", AT_FDCWD, "f3", AT_EMPTY_PATH), ENOENT);
	CHECK(close(fd) == 0);
	CHECK_ERRNO(linkat(AT_FDCWD, "s", AT_FDCWD, "x", 0x8000), EINVAL);
	CHECK_ERRNO(link("s", "."), EEXIST);
	CHECK_ERRNO(link("s", "x/"), ENOENT);
	CHECK_ERRNO(link(".", "x"), EPERM);
	CHECK_ERRNO(link("s", "/dev/x"), EXDEV);
	CHECK_ERRNO(link(BAD, "x"), EFAULT);
	CHECK_ERRNO(link("s", BAD), EFAULT);
	CHECK(unlink("s") == 0 && unlink("s2") == 0);
	CHECK(symlink("loop", "loop") == 0);
	CHECK_ERRNO(open("loop", O_RDONLY), ELOOP);
	CHECK_ERRNO(mkdir("loop/", 0777), EEXIST);
	CHECK_ERRNO(rmdir("loop/"), ENOTDIR);
	CHECK_ERRNO(unlink("loop/"), ENOTDIR);
	CHECK(unlink("loop") == 0);
	CHECK_ERRNO(rmdir("."), EINVAL);
	CHECK_ERRNO(rmdir(".."), ENOTEMPTY);
	CHECK_ERRNO(rmdir("/"), EBUSY);
	CHECK_ERRNO(unlinkat(AT_FDCWD, "x", 1), EINVAL);
	CHECK_ERRNO(symlink("", "x"), ENOENT);
	CHECK_ERRNO(symlink("x", ""), ENOENT);
	CHECK_ERRNO(readlink(".", buf, 5), EINVAL);
}

static void renames(void)
{
	put("a", "A");
	put("b", "B");
	CHECK_ERRNO(rename2("a", "b", 1), EEXIST);
	CHECK(rename2("a", "b", 2) == 0 && of("a").st_size == 1);
	CHECK_ERRNO(rename2("a", "none", 2), ENOENT);
	CHECK_ERRNO(rename2("a", "b", 3), EINVAL);
	CHECK_ERRNO(rename2("a", "b", 4), EINVAL);
	CHECK_ERRNO(rename2("a", "b", 1u << 31), EINVAL);
	CHECK(mkdir("d", 0755) == 0 && mkdir("d/e", 0755) == 0);
	CHECK(rename2("a", "d/e", 2) == 0);
	CHECK(S_ISDIR(of("a").st_mode) && S_ISREG(of("d/e").st_mode));
	CHECK(of("d").st_nlink == 2 && of(".").st_nlink == 4);
	CHECK_ERRNO(rename2("d", "d/e", 2), EINVAL);
	CHECK_ERRNO(rename("d", "d/x"), EINVAL);
	CHECK_ERRNO(rename("d/e", "d"), ENOTEMPTY);
	CHECK_ERRNO(rename("d/.", "x"), EBUSY);
	CHECK_ERRNO(rename2("b", ".", 1), EEXIST);
	CHECK_ERRNO(rename("b", "x/"), ENOTDIR);
	CHECK_ERRNO(rename("b/", "x"), ENOTDIR);
	CHECK(rename("a", "x/") == 0 && rmdir("x") == 0);
	CHECK_ERRNO(rename(BAD, "x"), EFAULT);
	CHECK(unlink("b") == 0 && unlink("d/e") == 0 && rmdir("d") == 0);
}

static void rights(void)
{
	int fd;

	put("f", "x");
	CHECK(chown("f", 1000, 100) == 0 && chmod("f", 06755) == 0);
	CHECK(chown("f", 1000, 100) == 0 && of("f").st_mode == (S_IFREG | 0755));
	fd = open("f", O_RDWR);
	CHECK(fchmod(fd, 04711) == 0 && of("f").st_mode == (S_IFREG | 04711));
	CHECK(fchown(fd, 0, 0) == 0 && of("f").st_mode == (S_IFREG | 0711));
	CHECK(close(fd) == 0);
	fd = open("f", O_PATH);
	CHECK_ERRNO(syscall(SYS_fchmod, fd, 0), EBADF);
	CHECK_ERRNO(syscall(SYS_fchown, fd, 0, 0), EBADF);
	CHECK(fchownat(fd, "", 7, 8, AT_EMPTY_PATH) == 0);
	CHECK(of("f").st_uid == 7 && of("f").st_gid == 8);
	CHECK(close(fd) == 0);
	CHECK(faccessat(AT_FDCWD, "f", R_OK | W_OK | X_OK, 0) == 0);
	CHECK(chmod("f", 0600) == 0);
	CHECK_ERRNO(access("f", X_OK), EACCES);
	CHECK_ERRNO(access("f", 8), EINVAL);
	CHECK_ERRNO(syscall(SYS_faccessat2, AT_FDCWD, "f", 0, 0x8000), EINVAL);
	CHECK(syscall(SYS_faccessat2, AT_FDCWD, "f", 6, AT_EACCESS) == 0);
	CHECK_ERRNO(access(BAD, 0), EFAULT);
	CHECK_ERRNO(chmod("none", 0), ENOENT);
	CHECK_ERRNO(fchmod(99, 0), EBADF);
	CHECK_ERRNO(fchownat(AT_FDCWD, "f", 0, 0, 0x8000), EINVAL);
	CHECK(unlink("f") == 0);
	CHECK(mkdir("g", 0755) == 0 && chown("g", 0, 5) == 0 && chmod("g", 02755) == 0);
	CHECK(mkdir("g/d", 0755) == 0 && of("g/d").st_gid == 5 && (of("g/d").st_mode & S_ISGID));
	CHECK(rmdir("g/d") == 0 && rmdir("g") == 0);
	CHECK(umask(077) == 022 && mkdir("u", 0777) == 0 && of("u").st_mode == (S_IFDIR | 0700));
	CHECK(umask(01022) == 077 && umask(022) == 022 && rmdir("u") == 0);
}

static void times(void)
{
	struct timespec ts[2] = { { 100, 5 }, { 200, 6 } };
	struct stat st;
	char c;
	int fd;

	put("f", "x");
	CHECK(utimensat(AT_FDCWD, "f", ts, 0) == 0);
	st = of("f");
	CHECK(st.st_atim.tv_sec == 100 && st.st_atim.tv_nsec == 5 && st.st_mtim.tv_sec == 200);
	ts[0].tv_nsec = UTIME_OMIT;
	ts[1].tv_nsec = UTIME_NOW;
	CHECK(utimensat(AT_FDCWD, "f", ts, 0) == 0);
	st = of("f");
	CHECK(st.st_atim.tv_sec == 100 && st.st_mtim.tv_sec != 200);
	/* older than the last change: a read moves it, once */
	fd = open("f", O_RDONLY);
	CHECK(read(fd, &c, 1) == 1 && of("f").st_atim.tv_sec != 100);
	ts[0].tv_nsec = 0;
	ts[1].tv_nsec = UTIME_OMIT;
	CHECK(futimens(fd, ts) == 0 && of("f").st_atim.tv_sec == 100);
	CHECK(close(fd) == 0);
	fd = open("f", O_RDONLY | O_NOATIME);
	CHECK(read(fd, &c, 1) == 1 && of("f").st_atim.tv_sec == 100);
	CHECK(close(fd) == 0);
	ts[1].tv_nsec = 1000000000;
	CHECK_ERRNO(utimensat(AT_FDCWD, "f", ts, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_utimensat, AT_FDCWD, NULL, NULL, 0), EFAULT);
	CHECK_ERRNO(utimensat(AT_FDCWD, "f", NULL, 0x8000), EINVAL);
	CHECK_ERRNO(syscall(SYS_utimensat, AT_FDCWD, "f", BAD, 0), EFAULT);
	ts[0].tv_nsec = ts[1].tv_nsec = UTIME_OMIT;
	CHECK(utimensat(AT_FDCWD, "none", ts, 0) == 0);
	CHECK(unlink("f") == 0);
}

static void sizes(void)
{
	char buf[3000];
	struct statfs fs;
	struct iovec v[2] = { { buf, 10 }, { buf + 10, 20 } };
	int fd = open("f", O_RDWR | O_CREAT, 0600);

	CHECK(truncate("f", 1 << 20) == 0 && of("f").st_size == 1 << 20 && of("f").st_blocks == 0);
	CHECK_ERRNO(lseek(fd, 0, SEEK_DATA), ENXIO);
	CHECK(lseek(fd, 5, SEEK_HOLE) == 5);
	CHECK(pwritev(fd, v, 2, 8190) == 30);
	CHECK(lseek(fd, 0, SEEK_DATA) == 4096 && lseek(fd, 4100, SEEK_DATA) == 4100);
	CHECK(lseek(fd, 4096, SEEK_HOLE) == 12288 && lseek(fd, 0, SEEK_HOLE) == 0);
	CHECK_ERRNO(lseek(fd, 1 << 20, SEEK_HOLE), ENXIO);
	CHECK(fallocate(fd, 0, 0, 4096) == 0 && of("f").st_blocks == 24);
	CHECK(fallocate(fd, 1, 1 << 20, 4096) == 0 && of("f").st_size == 1 << 20);
	CHECK(fallocate(fd, 3, 100, 1 << 20) == 0 && of("f").st_size == 1 << 20);
	CHECK(preadv(fd, v, 2, 8190) == 30 && buf[0] == 0 && buf[29] == 0);
	CHECK_ERRNO(fallocate(fd, 0x10, 0, 1), EOPNOTSUPP);
	CHECK_ERRNO(fallocate(fd, 0, 0, 0), EINVAL);
	CHECK_ERRNO(fallocate(fd, 0, 0, 1L << 50), ENOSPC);
	CHECK_ERRNO(truncate(".", 0), EISDIR);
	CHECK_ERRNO(truncate("f", -1), EINVAL);
	CHECK_ERRNO(preadv(fd, v, 2, -1), EINVAL);
	CHECK_ERRNO(syscall(SYS_preadv2, fd, v, 2, 0L, 0L, 0x80), EOPNOTSUPP);
	CHECK_ERRNO(readv(fd, (struct iovec *)(uintptr_t)8, 1), EFAULT);
	CHECK(fstatfs(fd, &fs) == 0 && fs.f_type == 0x01021994 && fs.f_bavail > 0);
	CHECK(statfs("/proc", &fs) == 0 && fs.f_type == 0x9fa0);
	CHECK(fsync(fd) == 0 && fdatasync(fd) == 0 && syncfs(fd) == 0);
	CHECK(close(fd) == 0 && unlink("f") == 0);
}

/* Another user in a child of its own: statuses tell where it failed. */
static int as_user(void)
{
	struct timespec ts[2] = { { 1, 1 }, { 1, 1 } };

	if (access("secret/x", F_OK) != -1 || errno != EACCES)
		return 1;
	if (open("open/rootfile", O_WRONLY) != -1 || errno != EACCES)
		return 2;
	if (open("open/rootfile", O_RDONLY | O_NOATIME) != -1 || errno != EPERM)
		return 3;
	if (unlink("open/rootfile") != -1 || errno != EPERM)
		return 4;
	if (utimensat(AT_FDCWD, "open/rootfile", ts, 0) != -1 || errno != EPERM)
		return 5;
	if (utimensat(AT_FDCWD, "open/rootfile", NULL, 0) != -1 || errno != EACCES)
		return 6;
	if (chown("open/rootfile", 1000, -1) != -1 || errno != EPERM)
		return 7;
	if (chroot(".") != -1 || errno != EPERM)
		return 8;
	if (mknod("open/dev", S_IFCHR | 0666, 0x103) != -1 || errno != EPERM)
		return 9;
	return 0;
}

static void user_rights(void)
{
	CHECK(mkdir("secret", 0700) == 0 && mkdir("open", 0755) == 0 && chmod("open", 01777) == 0);
	put("open/rootfile", "x");
	check_as_user(as_user);
	CHECK(unlink("open/rootfile") == 0 && rmdir("open") == 0 && rmdir("secret") == 0);
}

static double now(void)
{
	struct timespec t;

	CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A file system with one name in the other, as deep as it goes: whether to take it apart took less time than to make it. */
static bool deep_tree_goes_at_once(void)
{
	double begin = now(), made;

	CHECK(mount("x", "m", "tmpfs", 0, NULL) == 0 && chdir("m") == 0);
	for (int k = 0; k < 8000; k++)
		CHECK(mkdir("d", 0755) == 0 && chdir("d") == 0);
	CHECK(chdir(DIR_NAME) == 0);
	made = now();
	CHECK(umount("m") == 0);
	return now() - made < made - begin;
}

/* What a link says counts: 256 pages are there, and no more than that of texts that nearly fill one. */
static void long_links(void)
{
	char text[4000], name[20];
	int n = 0;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	do {
		sprintf(name, "m/l%d", n);
	} while (n < 1000 && symlink(text, name) == 0 && ++n);
	CHECK(n > 100 && n <= 256 && errno == ENOSPC);
	while (n-- > 0) {
		sprintf(name, "m/l%d", n);
		CHECK(unlink(name) == 0);
	}
}

static void mounts(void)
{
	int fd;
	char c;

	CHECK(mkdir("m", 0755) == 0);
	put("m/below", "");
	CHECK(mount("x", "m", "tmpfs", MS_NODEV, "size=1m") == 0);
	CHECK_ERRNO(access("m/below", F_OK), ENOENT);
	long_links();
	put("m/f", "x");
	CHECK_ERRNO(rename("m/f", "f"), EXDEV);
	CHECK(mknod("m/null", S_IFCHR | 0666, 0x103) == 0);
	CHECK_ERRNO(open("m/null", O_RDWR), EACCES);
	CHECK_ERRNO(rmdir("m"), EBUSY);
	fd = open("m/f", O_RDONLY);
	CHECK_ERRNO(umount("m"), EBUSY);
	CHECK(umount2("m", MNT_DETACH) == 0);
	CHECK(access("m/below", F_OK) == 0);
	CHECK(read(fd, &c, 1) == 1 && close(fd) == 0);
	CHECK_ERRNO(umount("m"), EINVAL);
	CHECK_ERRNO(umount2("m", 0x100), EINVAL);
	/* one on top of another: the lower one cannot be reached but from within, and does not go first */
	CHECK(mount("x", "m", "tmpfs", 0, NULL) == 0 && chdir("m") == 0);
	CHECK(mount("x", "../m", "tmpfs", 0, NULL) == 0);
	CHECK_ERRNO(umount2(".", MNT_DETACH), EBUSY);
	CHECK(chdir("..") == 0 && umount("m") == 0 && umount("m") == 0);
	CHECK(access("m/below", F_OK) == 0);
	/* the host may halt us in the one or the other, not each time */
	CHECK(AWAIT(deep_tree_goes_at_once()));
	/* nothing is hung below itself */
	CHECK(mkdir("/dev/hung", 0755) == 0);
	fd = open("/dev", O_RDONLY | O_DIRECTORY);
	CHECK(umount2("/dev", MNT_DETACH) == 0 && fchdir(fd) == 0);
	CHECK_ERRNO(mount("x", "hung", "devtmpfs", 0, NULL), ELOOP);
	CHECK(mount("x", "/dev", "devtmpfs", 0, NULL) == 0 && rmdir("/dev/hung") == 0);
	CHECK(close(fd) == 0 && chdir(DIR_NAME) == 0);
	CHECK_ERRNO(umount("/"), EBUSY);
	CHECK_ERRNO(mount("x", "none", "tmpfs", 0, NULL), ENOENT);
	CHECK_ERRNO(mount("x", "m", "none", 0, NULL), ENODEV);
	CHECK_ERRNO(mount("x", "m", "proc", 0, NULL), EBUSY);
	CHECK_ERRNO(mount("x", "m", "tmpfs", MS_BIND, NULL), EINVAL);
	CHECK_ERRNO(mount("x", BAD, "tmpfs", 0, NULL), EFAULT);
	CHECK_ERRNO(mount("x", "m", BAD, 0, NULL), EFAULT);
	CHECK_ERRNO(mount("x", "m", "tmpfs", 0, BAD), EFAULT);
	CHECK(unlink("m/below") == 0 && rmdir("m") == 0);
	CHECK(mknod("null", S_IFCHR | 0666, 0x103) == 0);
	fd = open("null", O_RDWR);
	CHECK(fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0 && unlink("null") == 0);
	CHECK(mkfifo("p", 0600) == 0);
	CHECK_ERRNO(open("p", O_WRONLY | O_NONBLOCK), ENXIO);
	fd = open("p", O_RDWR);
	CHECK(fd >= 0 && write(fd, "x", 1) == 1 && read(fd, &c, 1) == 1 && close(fd) == 0);
	CHECK(unlink("p") == 0);
}

/* /proc/self through links that lead to objects. */
static void links_to_objects(void)
{
	char path[64], text[64];
	int fd, p[2];
	ssize_t n;

	put("f", "text");
	fd = open("f", O_RDONLY);
	CHECK(unlink("f") == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, text, sizeof(text));
	CHECK(n > 0 && strncmp(text, DIR_NAME "/f (deleted)", (size_t)n) == 0);
	CHECK(open(path, O_RDONLY) == fd + 1 && read(fd + 1, text, 4) == 4 && close(fd + 1) == 0);
	strcat(path, "/");
	CHECK_ERRNO(open(path, O_RDONLY), ENOTDIR);
	path[strlen(path) - 1] = '\0';
	CHECK(close(fd) == 0);
	CHECK_ERRNO(open(path, O_RDONLY), ENOENT);
	CHECK(pipe(p) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", p[1]);
	CHECK(readlink(path, text, sizeof(text)) > 6 && memcmp(text, "pipe:[", 6) == 0);
	fd = open(path, O_WRONLY);
	CHECK(fd >= 0 && write(fd, "x", 1) == 1 && read(p[0], text, 1) == 1);
	CHECK(close(fd) == 0 && close(p[0]) == 0 && close(p[1]) == 0);
	CHECK(chdir("/proc/self/cwd/..") == 0 && getcwd(text, sizeof(text)) &&
	      !strcmp(text, "/tmp"));
	CHECK(chdir(DIR_NAME) == 0);
	CHECK_ERRNO(open("/proc/0", O_RDONLY), ENOENT);
	CHECK_ERRNO(open("/proc/01", O_RDONLY), ENOENT);
	CHECK_ERRNO(open("/proc/self/task/1", O_RDONLY), ENOENT);
	CHECK_ERRNO(open("/proc/self/fd/4000000000", O_RDONLY), ENOENT);
	CHECK_ERRNO(mkdir("/proc/x", 0755), ENOENT);
	CHECK_ERRNO(unlink("/proc/self/stat"), EPERM);
}

static void hostile(void)
{
	long bad[] = { 0, 8, -4096, -1, 1L << 47, (long)0xffff800000000000UL };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_ERRNO(syscall(SYS_openat, AT_FDCWD, bad[i], 0, 0), EFAULT);
		CHECK_ERRNO(syscall(SYS_newfstatat, AT_FDCWD, bad[i], bad[i], 0), EFAULT);
		CHECK_ERRNO(syscall(SYS_newfstatat, AT_FDCWD, ".", bad[i], 0), EFAULT);
		CHECK_ERRNO(syscall(SYS_statx, AT_FDCWD, ".", 0, 0, bad[i]), EFAULT);
		CHECK_ERRNO(syscall(SYS_statfs, ".", bad[i]), EFAULT);
		CHECK_ERRNO(syscall(SYS_readlinkat, AT_FDCWD, bad[i], 0, 10), EFAULT);
		CHECK_ERRNO(syscall(SYS_mkdirat, AT_FDCWD, bad[i], 0), EFAULT);
		CHECK_ERRNO(syscall(SYS_mknodat, AT_FDCWD, bad[i], 0, 0), EFAULT);
		CHECK_ERRNO(syscall(SYS_truncate, bad[i], 0), EFAULT);
		CHECK_ERRNO(syscall(SYS_chdir, bad[i]), EFAULT);
		CHECK_ERRNO(syscall(SYS_chroot, bad[i]), EFAULT);
		CHECK_ERRNO(syscall(SYS_getcwd, bad[i], 100), EFAULT);
		CHECK_ERRNO(syscall(SYS_fchmodat, AT_FDCWD, bad[i], 0), EFAULT);
		CHECK_ERRNO(syscall(SYS_symlinkat, bad[i], AT_FDCWD, "x"), EFAULT);
	}
	CHECK_ERRNO(syscall(SYS_newfstatat, AT_FDCWD, ".", bad, 0x8000), EINVAL);
	CHECK_ERRNO(syscall(SYS_statx, AT_FDCWD, ".", 0x6000, 0, bad), EINVAL);
	CHECK_ERRNO(syscall(SYS_openat, 99, "x", 0, 0), EBADF);
	CHECK_ERRNO(syscall(SYS_close_range, 5, 4, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_close_range, 5, 6, 1), EINVAL);
	CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, ".", bad, 24), ENOSYS);
	CHECK_ERRNO(syscall(SYS_inotify_init1, 0), ENOSYS);
}

static void close_ranges(void)
{
	int fd = open("/dev/null", O_RDONLY);

	CHECK(dup2(fd, 70) == 70 && dup2(fd, 200) == 200);
	CHECK(syscall(SYS_close_range, 70, ~0u, 4) == 0 && fcntl(200, F_GETFD) == FD_CLOEXEC);
	CHECK(syscall(SYS_close_range, fd, 100, 0) == 0 && fcntl(200, F_GETFD) == FD_CLOEXEC);
	CHECK_ERRNO(close(fd), EBADF);
	CHECK_ERRNO(close(70), EBADF);
	CHECK(syscall(SYS_close_range, fd, ~0u, 2) == 0);
	CHECK_ERRNO(close(200), EBADF);
}

int main(void)
{
	CHECK(mkdir(DIR_NAME, 0755) == 0 && chdir(DIR_NAME) == 0);
	links();
	renames();
	rights();
	times();
	sizes();
	mounts();
	links_to_objects();
	hostile();
	user_rights();
	close_ranges();
	CHECK(chdir("/") == 0 && rmdir(DIR_NAME) == 0);
	return 0;
}
