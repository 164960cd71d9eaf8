/* SPDX-License-Identifier: MIT */
/* Names: folders, hard and symbolic links, renaming, stat and its kin, permissions, listings, times of files, mounts. */
#include <pthread.h>
#include <dirent.h>
#include <limits.h>
#include <linux/stat.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include "tests/diff/lib/diff.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE	 2
#define RENAME_WHITEOUT	 4
#endif

/* The rest of a case as another user, whose child this is: root's rights pass every check. */
static bool as_user(void)
{
	pid_t pid = fork();

	if (pid == 0)
		return setgid(1000) == 0 && setuid(1000) == 0;
	REAP(pid);
	return false;
}

CASE(mkdir)
{
	R(mkdir("d", 0777));
	STAT("d");
	R(mkdir("d", 0777));
	R(mkdir("d/", 0777));
	R(mkdir("e/", 0700));
	STAT("e");
	R(mkdir("none/x", 0777));
	R(mkdir("", 0777));
	R(mkdir(".", 0777));
	R(mkdir("d/..", 0777));
	R(mkdir("/", 0777));
	put_file("f", "", 0644);
	R(mkdir("f", 0777));
	R(mkdir("f/x", 0777));
	R(mkdir(BAD, 0777));
	R(symlink("gone", "dangling"));
	R(mkdir("dangling", 0777));
	R(mkdir("dangling/", 0777));
	R(mkdir("s", 07777));
	STAT("s");
	umask(0);
	R(mkdir("u", 0777));
	STAT("u");
	LIST(".");
}

CASE(rmdir)
{
	mkdir("d", 0755);
	mkdir("d/e", 0755);
	put_file("f", "", 0644);
	symlink("d", "link");
	R(rmdir("d"));
	R(rmdir("f"));
	R(rmdir("link"));
	R(rmdir("link/"));
	R(rmdir("."));
	R(rmdir(".."));
	R(rmdir("d/."));
	R(rmdir("d/e/.."));
	R(rmdir("d/e/"));
	R(rmdir("d"));
	R(rmdir("d"));
	R(rmdir(""));
	R(rmdir("/"));
	R(rmdir(BAD));
	R(unlinkat(AT_FDCWD, "f", AT_REMOVEDIR));
	R(unlinkat(AT_FDCWD, "f", 5));
	mkdir("gone", 0755);
	R(chdir("gone"));
	R(rmdir("../gone"));
	R(open("x", O_CREAT | O_RDWR, 0600));
	R(mkdir("x", 0700));
	R(open(".", O_RDONLY) >= 0);
	R(open("..", O_RDONLY) >= 0);
	R(syscall(SYS_getcwd, (char[100]){ 0 }, 100L));
}

CASE(unlink)
{
	int fd;

	put_file("f", "text", 0644);
	mkdir("d", 0755);
	symlink("f", "link");
	fd = OK(open("f", O_RDWR));
	R(unlink("d"));
	R(unlink("f/"));
	R(unlink("none"));
	R(unlink("f/x"));
	R(unlink(""));
	R(unlink("."));
	R(unlink("link"));
	R(link("f", "hard"));
	R(unlink("f"));
	struct stat st;

	R(fstat(fd, &st));
	say("links %d", (int)st.st_nlink);
	R(unlink("hard"));
	R(fstat(fd, &st));
	say("links %d", (int)st.st_nlink);
	R(write(fd, "more", 4));
	R(lseek(fd, 0, SEEK_END));
	LIST(".");
}

CASE(links)
{
	int fd;

	put_file("f", "text", 0644);
	mkdir("d", 0755);
	symlink("f", "sym");
	symlink("gone", "dangling");
	R(link("f", "g"));
	STAT("g");
	R(link("f", "g"));
	R(link("d", "e"));
	R(link("none", "x"));
	R(link("f", "none/x"));
	R(link("f", "d/"));
	R(link("f", "x/"));
	R(link("f/", "x"));
	R(link("sym", "hard-of-sym"));
	STAT("hard-of-sym");
	R(linkat(AT_FDCWD, "sym", AT_FDCWD, "follow", AT_SYMLINK_FOLLOW));
	STAT("follow");
	R(linkat(AT_FDCWD, "f", AT_FDCWD, "x", 5));
	R(link("f", "dangling"));
	R(link("", "x"));
	R(link("f", ""));
	R(link("/dev/null", "x"));
	fd = open("f", O_RDONLY);
	R(linkat(fd, "", AT_FDCWD, "by-fd", AT_EMPTY_PATH));
	R(linkat(fd, "x", AT_FDCWD, "y", 0));
	LIST(".");
}

CASE(symlinks)
{
	char buf[100], name[PATH_MAX + 10], *edge = page_before_hole();

	R(symlink("target", "link"));
	STAT("link");
	R(symlink("target", "link"));
	R(symlink("", "empty"));
	R(symlink("x", ""));
	R(symlink("x", "none/y"));
	R(symlink("x", "y/"));
	R(symlink(BAD, "y"));
	R(symlink("x", BAD));
	memset(buf, '#', sizeof(buf));
	R(readlink("link", buf, 100));
	say("%.8s", buf);
	R(readlink("link", buf, 3));
	R(syscall(SYS_readlinkat, AT_FDCWD, "link", buf, 0));
	R(syscall(SYS_readlinkat, AT_FDCWD, "link", buf, -1));
	R(readlink("link", BAD, 10));
	R(readlink("link", edge + 4093, 10));
	R(readlink("link", edge + 4090, 10));
	R(readlink("none", buf, 10));
	R(readlink(".", buf, 10));
	put_file("f", "", 0644);
	R(readlink("f", buf, 10));
	R(readlink("f/x", buf, 10));
	R(readlinkat(open("link", O_PATH | O_NOFOLLOW), "", buf, 100));
	R(readlinkat(open("f", O_RDONLY), "", buf, 100));
	memset(name, 'a', sizeof(name));
	name[4095] = 0;
	R(symlink(name, "long"));
	name[4096] = 0;
	name[4095] = 'a';
	R(symlink(name, "too-long"));
	STAT("long");
	/* in a chain of 40, and of 41 */
	R(symlink("f", "c0"));
	for (int i = 1; i < 42; i++) {
		char a[10], b[10];

		snprintf(a, sizeof(a), "c%d", i - 1);
		snprintf(b, sizeof(b), "c%d", i);
		symlink(a, b);
	}
	R(access("c39", F_OK));
	R(access("c40", F_OK));
	/* in the middle, with dots, absolute, through a file */
	mkdir("d", 0755);
	put_file("d/x", "here", 0644);
	symlink("../diff/d", "to-d");
	symlink("/tmp/diff/d/x", "to-x");
	symlink("f/", "to-slash");
	say("'%s' '%s'", slurp("to-d/x"), slurp("to-x"));
	R(access("to-slash", F_OK));
	R(access("to-d/../f", F_OK));
	R(unlink("to-d/x"));
	LIST("to-d/");
}

CASE(long_names)
{
	char name[300], path[5000];

	memset(name, 'n', sizeof(name));
	name[255] = 0;
	R(mkdir(name, 0755));
	name[255] = 'n';
	name[256] = 0;
	R(mkdir(name, 0755));
	R(access(name, F_OK));
	R(unlink(name));
	memset(path, '/', sizeof(path));
	strcpy(path + 4090, "tmp");
	R(access(path, F_OK));
	memset(path, '/', sizeof(path));
	strcpy(path + 4092, "tmp");
	R(access(path, F_OK));
	memset(path, '/', sizeof(path));
	strcpy(path + 4093, "tmp");
	R(access(path, F_OK));
	for (int i = 0; i < 4000; i += 2)
		memcpy(path + i, "./", 2);
	strcpy(path + 4000, "none");
	R(access(path, F_OK));
	R(access("a//..///./", F_OK));
	R(access("//tmp//./../tmp///diff", F_OK));
	R(mkdir("b\nc\377 \\", 0755));
	R(access("b\nc\377 \\", F_OK));
	R(rmdir("b\nc\377 \\"));
}

CASE(rename)
{
	int a, b;
	struct stat st;

	put_file("a", "A", 0644);
	put_file("b", "B", 0644);
	mkdir("d", 0755);
	mkdir("e", 0755);
	mkdir("d/sub", 0755);
	R(rename("a", "b"));
	say("'%s'", slurp("b"));
	R(rename("a", "c"));
	R(rename("b", "none/x"));
	R(rename("b", "d"));
	R(rename("d", "b"));
	R(rename("e", "d"));
	R(rename("d", "e"));
	LIST("e");
	R(rename("e", "e/sub/x"));
	R(rename("e", "e/x"));
	R(rename("e/sub", "e"));
	R(rename("e/sub", "e/sub"));
	R(rename("b", "b"));
	R(rename("b", "x/"));
	R(rename("b/", "x"));
	R(rename("e/", "f/"));
	R(rename(".", "x"));
	R(rename("f", "."));
	R(rename("..", "x"));
	R(rename("", "x"));
	R(rename("b", ""));
	R(rename("/", "x"));
	R(rename(BAD, "x"));
	/* two names of one file */
	R(link("b", "b2"));
	R(rename("b", "b2"));
	LIST(".");
	/* into another folder, and what is open stays what it was */
	a = open("b", O_RDONLY);
	R(rename("b", "f/sub/b"));
	R(fstat(a, &st));
	say("links %d", (int)st.st_nlink);
	put_file("new", "N", 0644);
	b = open("b2", O_RDONLY);
	R(rename("new", "b2"));
	R(fstat(b, &st));
	say("links %d", (int)st.st_nlink);
	R(symlink("b2", "link"));
	R(rename("link", "link2"));
	STAT("link2");
	R(rename("/dev/null", "null"));
	R(rename("f/sub", "moved"));
	LIST("moved");
	R(chdir("moved"));
	R(rename("../moved", "../again"));
	char cwd[100];

	say("%s", getcwd(cwd, sizeof(cwd)));
	LIST("..");
}

static long renameat2_(const char *a, const char *b, int flags)
{
	return syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, flags);
}

CASE(rename_flags)
{
	put_file("a", "A", 0644);
	put_file("b", "B", 0644);
	mkdir("d", 0755);
	mkdir("d/sub", 0755);
	R(renameat2_("a", "b", RENAME_NOREPLACE));
	R(renameat2_("a", "c", RENAME_NOREPLACE));
	R(renameat2_("c", "b", RENAME_EXCHANGE));
	say("'%s'", slurp("b"));
	R(renameat2_("c", "none", RENAME_EXCHANGE));
	R(renameat2_("c", "d", RENAME_EXCHANGE));
	STAT("c");
	STAT("d");
	R(renameat2_("c", "c/sub", RENAME_EXCHANGE));
	R(renameat2_("c/sub", "c", RENAME_EXCHANGE));
	R(renameat2_("b", "x", RENAME_EXCHANGE | RENAME_NOREPLACE));
	R(renameat2_("b", "x", 0x100));
	R(renameat2_("b", "b", RENAME_NOREPLACE));
	R(renameat2_("b", "b", RENAME_EXCHANGE));
	LIST(".");
}

CASE(at_calls)
{
	int d, f;
	struct stat st;

	mkdir("d", 0755);
	put_file("f", "text", 0644);
	d = OK(open("d", O_RDONLY | O_DIRECTORY));
	f = OK(open("f", O_RDONLY));
	R(mkdirat(d, "x", 0755));
	R(mkdirat(f, "x", 0755));
	R(mkdirat(99, "x", 0755));
	R(mkdirat(99, "/tmp/diff/d/y", 0755));
	R(symlinkat("f", d, "link"));
	R(renameat(d, "x", AT_FDCWD, "z"));
	R(unlinkat(d, "y", 0));
	R(unlinkat(d, "y", AT_REMOVEDIR));
	R(fstatat(d, "link", &st, AT_SYMLINK_NOFOLLOW));
	R(fstatat(d, "link", &st, 0));
	R(fstatat(d, "", &st, 0));
	R(fstatat(d, "", &st, AT_EMPTY_PATH));
	R(fstatat(f, "", &st, AT_EMPTY_PATH));
	R(fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH));
	R(fstatat(99, "", &st, AT_EMPTY_PATH));
	R(syscall(SYS_newfstatat, d, "link", &st, 0x10));
	R(syscall(SYS_newfstatat, d, "link", 8, AT_SYMLINK_NOFOLLOW));
	R(fchmodat(d, "link", 0600, 0));
	R(fchownat(d, "link", 5, 6, AT_SYMLINK_NOFOLLOW));
	R(fstatat(d, "link", &st, AT_SYMLINK_NOFOLLOW));
	say("%d:%d", (int)st.st_uid, (int)st.st_gid);
	R(syscall(SYS_fchownat, f, "", 7, 8, AT_EMPTY_PATH));
	STAT("f");
	R(syscall(SYS_faccessat, d, "link", F_OK));
	R(syscall(SYS_faccessat2, d, "link", F_OK, AT_SYMLINK_NOFOLLOW));
	R(syscall(SYS_faccessat2, d, "link", F_OK, 0x8000));
	R(syscall(SYS_faccessat, d, "link", 99));
	R(linkat(AT_FDCWD, "f", d, "hard", 0));
	R(mknodat(d, "fifo", S_IFIFO | 0600, 0));
	LIST("d");
	R(rmdir("d/x"));
	R(unlinkat(d, "fifo", 0));
	R(unlinkat(d, "hard", 0));
	R(unlinkat(d, "link", 0));
	R(rmdir("d"));
	R(mkdirat(d, "x", 0755));
	R(openat(d, "x", O_CREAT | O_RDWR, 0600));
	R(openat(d, "..", O_RDONLY) >= 0);
}

CASE(mknod)
{
	R(mknod("plain", S_IFREG | 0640, 0));
	STAT("plain");
	R(mknod("zero", 0600, 0));
	STAT("zero");
	R(mknod("plain", S_IFREG | 0640, 0));
	R(mknod("dir", S_IFDIR | 0640, 0));
	R(mknod("link", S_IFLNK | 0640, 0));
	R(mknod("sock", S_IFSOCK | 0640, 0));
	STAT("sock");
	R(open("sock", O_RDONLY));
	R(mknod("bad", 0170000 | 0640, 0));
	R(mknod("none/x", S_IFREG | 0640, 0));
	if (as_user()) {
		R(mknod("char", S_IFCHR | 0640, 0x103));
		_exit(0);
	}
	chmod(".", 0777);
	if (as_user()) {
		R(mknod("char", S_IFCHR | 0640, 0x103));
		R(mknod("fifo", S_IFIFO | 0640, 0));
		_exit(0);
	}
}

CASE(working_folder)
{
	char cwd[200];
	int fd;

	R(syscall(SYS_getcwd, cwd, 200L));
	R(syscall(SYS_getcwd, cwd, 10L));
	R(syscall(SYS_getcwd, cwd, 9L));
	R(syscall(SYS_getcwd, cwd, 0L));
	R(syscall(SYS_getcwd, BAD, 200L));
	mkdir("d", 0755);
	put_file("f", "", 0644);
	R(chdir("f"));
	R(chdir("none"));
	R(chdir(""));
	R(chdir(BAD));
	fd = OK(open("d", O_RDONLY));
	R(fchdir(fd));
	say("%s", getcwd(cwd, sizeof(cwd)));
	R(fchdir(99));
	R(fchdir(0));
	R(chdir("/"));
	R(chdir(".."));
	say("%s", getcwd(cwd, sizeof(cwd)));
}

CASE(chroot)
{
	char cwd[200];
	pid_t pid = fork();

	if (pid == 0) {
		mkdir("root", 0755);
		put_file("root/f", "inside", 0644);
		symlink("/f", "root/abs");
		R(chroot("none"));
		R(chroot("root/f"));
		R(chroot("root"));
		R(chdir("/"));
		say("%s", getcwd(cwd, sizeof(cwd)));
		say("'%s' '%s' '%s'", slurp("/f"), slurp("/../f"), slurp("/abs"));
		R(access("/tmp", F_OK));
		LIST("..");
		_exit(0);
	}
	REAP(pid);
	pid = fork();
	if (pid == 0) {
		R(chroot("root"));
		R(syscall(SYS_getcwd, cwd, 200L));
		say("%.13s", cwd);
		_exit(0);
	}
	REAP(pid);
	if (as_user()) {
		R(chroot("root"));
		_exit(0);
	}
}

CASE(permissions)
{
	chmod(".", 0777);
	put_file("owner", "x", 0600);
	put_file("all", "x", 0666);
	chmod("all", 0666);
	put_file("read", "x", 0644);
	put_file("group", "x", 0640);
	chown("group", 0, 1000);
	put_file("theirs", "x", 0000);
	chown("theirs", 1000, 0);
	chmod("theirs", 0070);
	mkdir("closed", 0700);
	put_file("closed/f", "x", 0666);
	mkdir("blind", 0711);
	put_file("blind/f", "x", 0644);
	mkdir("list", 0744);
	put_file("list/f", "x", 0644);
	/* root passes all but execution of what nobody may execute */
	R(access("owner", R_OK | W_OK));
	R(access("owner", X_OK));
	R(access("theirs", R_OK));
	R(access("closed", R_OK | W_OK | X_OK));
	if (!as_user())
		return;
	R(open("owner", O_RDONLY));
	R(open("all", O_RDWR));
	R(open("read", O_RDONLY));
	R(open("read", O_WRONLY));
	R(open("read", O_RDONLY | O_TRUNC));
	R(open("group", O_RDONLY));
	R(open("group", O_RDWR));
	R(open("theirs", O_RDONLY));
	R(access("read", W_OK));
	R(access("theirs", R_OK));
	R(open("closed/f", O_RDONLY));
	R(open("closed", O_RDONLY));
	R(chdir("closed"));
	R(open("blind/f", O_RDONLY));
	R(open("blind", O_RDONLY));
	R(open("blind/none", O_RDONLY));
	R(open("list/f", O_RDONLY));
	OK(open("list", O_RDONLY));
	R(access("list/f", F_OK));
	R(truncate("read", 0));
	R(chmod("read", 0777));
	R(chmod("theirs", 0600));
	R(open("theirs", O_RDONLY) >= 0);
	R(chown("theirs", 1001, -1));
	R(chown("theirs", -1, 1000));
	R(chown("theirs", -1, 1001));
	R(chown("theirs", 1000, 1000));
	R(open("blind/new", O_CREAT | O_RDWR, 0600));
	R(mkdir("blind/new", 0700));
	R(unlink("blind/f"));
	R(rename("read", "blind/read"));
	R(unlink("read"));
	R(rename("all", "all2"));
	R(link("owner", "owner2"));
	R(link("theirs", "theirs2"));
	R(symlink("x", "list/x"));
	R(open("/tmp/diff/owner", O_RDONLY | O_NOATIME));
	R(open("/etc/passwd", O_RDONLY | O_NOATIME));
	OK(open("mine", O_CREAT | O_RDWR, 0000));
	STAT("mine");
	R(open("mine", O_RDONLY));
	R(mkdir("mydir", 0755));
	STAT("mydir");
	R(sethostname("x", 1));
}

CASE(modes)
{
	struct stat st;
	int fd = OK(open("f", O_CREAT | O_RDWR, 07777));

	STAT("f");
	R(chmod("f", 07777));
	STAT("f");
	R(chmod("f", 0177777));
	STAT("f");
	R(fchmod(fd, 0123));
	STAT("f");
	R(fchmod(-1, 0123));
	R(chmod("none", 0644));
	R(chmod("", 0644));
	R(chmod(BAD, 0644));
	R(symlink("f", "link"));
	R(chmod("link", 0644));
	STAT("link");
	STAT("f");
	R(umask(0777));
	R(umask(01777));
	R(umask(022));
	/* what a write and a change of owner take away */
	R(chmod("f", 06777));
	R(chown("f", 1000, 1000));
	STAT("f");
	R(chmod("f", 06777));
	R(fchown(fd, -1, -1));
	STAT("f");
	R(chmod("f", 02644));
	R(chown("f", 0, 1000));
	STAT("f");
	chown("f", 1000, 1000);
	chmod("f", 06777);
	chmod(".", 0777);
	if (as_user()) {
		R(write(open("f", O_WRONLY), "x", 1));
		STAT("f");
		R(chmod("f", 06777));
		R(truncate("f", 0));
		STAT("f");
		_exit(0);
	}
	chown("f", 1000, 7);
	if (as_user()) {
		/* not a member of the file's group */
		R(chmod("f", 02755));
		STAT("f");
		_exit(0);
	}
	R(stat("f", &st));
	R(chown("none", 0, 0));
	R(lchown("link", 5, 5));
	STAT("link");
	R(fchown(-1, 0, 0));
}

CASE(folders_of_groups)
{
	mkdir("g", 0777);
	chown("g", 0, 1000);
	chmod("g", 02777);
	R(mkdir("g/d", 0755));
	STAT("g/d");
	put_file("g/f", "", 0644);
	STAT("g/f");
	/* a sticky folder */
	mkdir("t", 0777);
	chmod("t", 01777);
	put_file("t/root", "", 0666);
	put_file("t/theirs", "", 0666);
	chown("t/theirs", 1000, 0);
	if (as_user()) {
		R(unlink("t/root"));
		R(rename("t/root", "t/x"));
		R(rename("t/theirs", "t/root"));
		R(rename("t/theirs", "t/x"));
		R(unlink("t/x"));
		R(rmdir("t"));
		_exit(0);
	}
}

/* ---- what is known of a file */

CASE(stat)
{
	struct stat st, b;

	put_file("f", "12345", 0644);
	R(stat("f", &st));
	say("%06o %ld %ld %ld %ld", st.st_mode, (long)st.st_size, (long)st.st_nlink,
	    (long)st.st_blksize, (long)st.st_blocks);
	R(stat("f", &b));
	Q(st.st_ino == b.st_ino && st.st_dev == b.st_dev && st.st_ino != 0);
	R(link("f", "g"));
	R(stat("g", &b));
	Q(st.st_ino == b.st_ino);
	put_file("h", "", 0644);
	stat("h", &b);
	Q(st.st_ino != b.st_ino && st.st_dev == b.st_dev);
	stat(".", &st);
	stat("../diff", &b);
	Q(st.st_ino == b.st_ino);
	stat("/", &st);
	stat("/..", &b);
	Q(st.st_ino == b.st_ino);
	stat("/proc", &b);
	Q(st.st_dev != b.st_dev);
	R(stat("none", &st));
	R(stat("f/", &st));
	R(stat("f/.", &st));
	R(stat("", &st));
	R(stat(BAD, &st));
	R(syscall(SYS_newfstatat, AT_FDCWD, "f", BAD, 0));
	R(fstat(-1, &st));
	R(fstat(0, &st));
	int p[2];

	pipe(p);
	R(fstat(p[0], &st));
	say("%06o %ld", st.st_mode, (long)st.st_size);
	/* links of a folder: its own, its name, each subfolder's */
	mkdir("d", 0755);
	stat("d", &st);
	say("links %ld", (long)st.st_nlink);
	mkdir("d/x", 0755);
	mkdir("d/y", 0755);
	stat("d", &st);
	say("links %ld", (long)st.st_nlink);
	rmdir("d/x");
	stat("d", &st);
	say("links %ld", (long)st.st_nlink);
	rename("d/y", "y");
	stat("d", &st);
	say("links %ld", (long)st.st_nlink);
}

CASE(statx)
{
	struct statx x;
	int fd;

	put_file("f", "12345", 0644);
	symlink("f", "link");
	R(syscall(SYS_statx, AT_FDCWD, "f", 0, STATX_BASIC_STATS, &x));
	say("mask %x mode %06o size %ld links %u uid %u blksize %u", x.stx_mask & 0x7ff, x.stx_mode,
	    (long)x.stx_size, x.stx_nlink, x.stx_uid, x.stx_blksize);
	R(syscall(SYS_statx, AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &x));
	say("mode %06o size %ld", x.stx_mode, (long)x.stx_size);
	fd = open("f", O_RDONLY);
	R(syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &x));
	R(syscall(SYS_statx, fd, "", 0, STATX_BASIC_STATS, &x));
	R(syscall(SYS_statx, AT_FDCWD, "f", 0, 0x80000000, &x));
	R(syscall(SYS_statx, AT_FDCWD, "f", 0x6000, STATX_BASIC_STATS, &x));
	R(syscall(SYS_statx, AT_FDCWD, "f", 0x8, STATX_BASIC_STATS, &x));
	R(syscall(SYS_statx, AT_FDCWD, "none", 0, STATX_BASIC_STATS, &x));
	R(syscall(SYS_statx, AT_FDCWD, "f", 0, STATX_BASIC_STATS, BAD));
	R(syscall(SYS_statx, AT_FDCWD, "/dev/null", 0, STATX_BASIC_STATS, &x));
	say("%u:%u", x.stx_rdev_major, x.stx_rdev_minor);
}

static bool newer(const char *a, const struct timespec *than, bool ctime)
{
	struct stat st;
	struct timespec *t = ctime ? &st.st_ctim : &st.st_mtim;

	stat(a, &st);
	return t->tv_sec > than->tv_sec ||
	       (t->tv_sec == than->tv_sec && t->tv_nsec > than->tv_nsec);
}

static struct timespec mtime(const char *path)
{
	struct stat st;

	stat(path, &st);
	return st.st_mtim;
}

/* Until what changes now has another time than what has changed: files are stamped by the coarse clock. */
static void next_stamp(void)
{
	int64_t now = now_ns(CLOCK_REALTIME_COARSE);

	AWAIT(now_ns(CLOCK_REALTIME_COARSE) != now);
}

static struct timespec ctime_of(const char *path)
{
	struct stat st;

	stat(path, &st);
	return st.st_ctim;
}

CASE(times_change)
{
	struct timespec t, c, now;

	put_file("f", "x", 0644);
	clock_gettime(CLOCK_REALTIME, &now);
	t = mtime("f");
	Q(t.tv_sec <= now.tv_sec && t.tv_sec >= now.tv_sec - 10);
	next_stamp();
	c = ctime_of("f");
	chmod("f", 0600);
	Q(newer("f", &t, false));
	Q(newer("f", &c, true));
	next_stamp();
	truncate("f", 5);
	Q(newer("f", &t, false));
	t = mtime("f");
	next_stamp();
	int fd = open("f", O_RDWR);

	write(fd, "", 0);
	Q(newer("f", &t, false));
	write(fd, "y", 1);
	Q(newer("f", &t, false));
	c = ctime_of("f");
	t = mtime("f");
	next_stamp();
	link("f", "g");
	Q(newer("f", &c, true));
	Q(newer("f", &t, false));
	t = mtime(".");
	next_stamp();
	slurp("f");
	Q(newer(".", &t, false));
	mkdir("d", 0755);
	Q(newer(".", &t, false));
	t = mtime(".");
	next_stamp();
	unlink("g");
	Q(newer(".", &t, false));
	t = mtime(".");
	next_stamp();
	rename("f", "h");
	Q(newer(".", &t, false));
	t = mtime("h");
	next_stamp();
	open("h", O_WRONLY | O_TRUNC);
	Q(newer("h", &t, false));
}

static void say_times(int line, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		diff_say(line, "%s", errno_name(errno));
	else
		diff_say(line, "atime %ld.%09ld mtime %ld.%09ld", (long)st.st_atim.tv_sec,
			 (long)st.st_atim.tv_nsec, (long)st.st_mtim.tv_sec,
			 (long)st.st_mtim.tv_nsec);
}
#define TIMES(path) say_times(__LINE__, path)

CASE(utimensat)
{
	struct timespec t[2] = { { 100, 5 }, { 200, 6 } };
	struct timespec before;
	int fd;

	put_file("f", "x", 0644);
	symlink("f", "link");
	R(utimensat(AT_FDCWD, "f", t, 0));
	TIMES("f");
	t[0].tv_nsec = UTIME_OMIT;
	t[1] = (struct timespec){ -5, 999999999 };
	R(utimensat(AT_FDCWD, "link", t, 0));
	TIMES("f");
	t[1].tv_nsec = 1000000000;
	R(utimensat(AT_FDCWD, "f", t, 0));
	t[1].tv_nsec = UTIME_OMIT;
	R(utimensat(AT_FDCWD, "f", t, 0));
	R(utimensat(AT_FDCWD, "none", t, 0));
	TIMES("f");
	before = (struct timespec){ 300, 0 };
	t[1].tv_nsec = UTIME_NOW;
	R(utimensat(AT_FDCWD, "f", t, 0));
	Q(newer("f", &before, false));
	fd = open("f", O_RDONLY);
	t[0] = t[1] = (struct timespec){ 7, 8 };
	R(syscall(SYS_utimensat, fd, NULL, t, 0));
	TIMES("f");
	R(syscall(SYS_utimensat, -1, NULL, t, 0));
	R(syscall(SYS_utimensat, AT_FDCWD, NULL, t, 0));
	R(syscall(SYS_utimensat, AT_FDCWD, "f", 8, 0));
	R(syscall(SYS_utimensat, AT_FDCWD, "f", t, 5));
	R(utimensat(AT_FDCWD, "link", t, AT_SYMLINK_NOFOLLOW));
	R(utimensat(AT_FDCWD, "f", NULL, 0));
	Q(newer("f", &before, false));
	chmod("f", 0666);
	if (as_user()) {
		R(utimensat(AT_FDCWD, "f", NULL, 0));
		R(utimensat(AT_FDCWD, "f", t, 0));
		_exit(0);
	}
	chmod("f", 0644);
	if (as_user()) {
		R(utimensat(AT_FDCWD, "f", NULL, 0));
		_exit(0);
	}
}

CASE(listings)
{
	char buf[4096], *edge = page_before_hole();
	int fd, n, total = 0, types[16] = { 0 };

	for (int i = 0; i < 50; i++) {
		char name[20];

		snprintf(name, sizeof(name), "file%d", i);
		put_file(name, "", 0644);
	}
	mkdir("d", 0755);
	symlink("x", "link");
	mkfifo("fifo", 0600);
	fd = OK(open(".", O_RDONLY));
	R(syscall(SYS_getdents64, fd, buf, 10));
	R(syscall(SYS_getdents64, fd, BAD, 4096));
	while ((n = syscall(SYS_getdents64, fd, buf, 200)) > 0)
		for (int at = 0; at < n;) {
			struct dirent *e = (struct dirent *)(buf + at);

			total++;
			types[e->d_type & 15]++;
			if (e->d_reclen & 7)
				say("a record of %d bytes", e->d_reclen);
			at += e->d_reclen;
		}
	say("%d names: %d files, %d folders, %d links, %d fifos", total, types[DT_REG],
	    types[DT_DIR], types[DT_LNK], types[DT_FIFO]);
	R(syscall(SYS_getdents64, fd, buf, 4096));
	R(lseek(fd, 0, SEEK_SET));
	Q(syscall(SYS_getdents64, fd, buf, 200) > 0);
	say("%s", ((struct dirent *)buf)->d_name);
	R(lseek(fd, 0, SEEK_SET));
	/* into the last page before a hole: as many as fit */
	Q(syscall(SYS_getdents64, fd, edge + 4096 - 400, 4096) > 0);
	R(syscall(SYS_getdents64, open("file1", O_RDONLY), buf, 4096));
	R(syscall(SYS_getdents64, -1, buf, 4096));
	R(syscall(SYS_getdents64, 0, buf, 4096));
	mkdir("gone", 0755);
	fd = open("gone", O_RDONLY);
	rmdir("gone");
	R(syscall(SYS_getdents64, fd, buf, 4096));
}

/* What is removed while one lists is not shown again, and what stays is shown once. */
CASE(listing_and_removing)
{
	struct dirent *e;
	int n = 0;
	DIR *d;

	for (int i = 0; i < 300; i++) {
		char name[20];

		snprintf(name, sizeof(name), "file%d", i);
		put_file(name, "", 0644);
	}
	d = opendir(".");
	while ((e = readdir(d)))
		if (e->d_name[0] != '.' && ++n)
			unlink(e->d_name);
	say("%d", n);
	LIST(".");
}

CASE(statfs)
{
	struct statfs s;

	R(statfs("/tmp", &s));
	say("type %lx bsize %ld namelen %ld", (long)s.f_type, (long)s.f_bsize, (long)s.f_namelen);
	R(statfs("/proc", &s));
	say("type %lx bsize %ld namelen %ld", (long)s.f_type, (long)s.f_bsize, (long)s.f_namelen);
	R(statfs("none", &s));
	R(syscall(SYS_statfs, "/tmp", BAD));
	R(fstatfs(0, &s));
	R(fstatfs(-1, &s));
}

CASE(mount_sizes)
{
	static const char *const sizes[] = { "size=8k",	  "size=8K", "size=1m", "size=1M",
					     "size=8192", "size=8q", "size=" };
	struct statvfs s;

	mkdir("m", 0755);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		R(mount("none", "m", "tmpfs", 0, sizes[i]));
		if (statvfs("m", &s) == 0 && s.f_blocks < 1000)
			say("%ld blocks", (long)s.f_blocks);
		R(umount("m"));
	}
}

CASE(mounts)
{
	struct stat a, b;

	mkdir("m", 0755);
	put_file("m/under", "", 0644);
	R(mount("none", "m", "nosuchfs", 0, NULL));
	R(mount("none", "none", "tmpfs", 0, NULL));
	R(mount("none", "m/under", "tmpfs", 0, NULL));
	R(mount("none", "m", "tmpfs", 0, NULL));
	LIST("m");
	put_file("m/over", "", 0644);
	stat(".", &a);
	stat("m", &b);
	Q(a.st_dev != b.st_dev);
	stat("m/..", &b);
	Q(a.st_dev == b.st_dev && a.st_ino == b.st_ino);
	R(rename("m/over", "over"));
	R(link("m/over", "over"));
	R(rmdir("m"));
	R(rename("m", "m2"));
	R(chdir("m"));
	R(umount("../m"));
	R(chdir(".."));
	R(umount("m"));
	LIST("m");
	R(umount("m"));
	R(umount("none"));
	R(mount("none", "m", "tmpfs", MS_RDONLY, NULL));
	R(open("m/x", O_CREAT | O_RDWR, 0600));
	R(mkdir("m/x", 0700));
	R(umount2("m", MNT_DETACH));
	R(umount2("m", 0x100));
	R(mount("none", "m", "proc", 0, NULL));
	R(access("m/self", F_OK));
	R(umount("m"));
	if (as_user()) {
		R(mount("none", "m", "tmpfs", 0, NULL));
		R(umount("m"));
		_exit(0);
	}
}

static int mounted(void)
{
	const char *text = slurp("/proc/mounts");
	int n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* Something is mounted over the folder that one is below, and something in that; both go at once. */
CASE(mounts_overhead)
{
	char path[100];
	int fd, before = mounted();

	mkdir("m", 0755);
	mkdir("m/d", 0755);
	R(chdir("m/d"));
	R(mount("none", "..", "tmpfs", 0, NULL));
	put_file("../over", "", 0644);
	LIST("..");
	R(access("../../m/over", F_OK));
	R(access("../d", F_OK));
	mkdir("../e", 0755);
	R(mount("none", "../e", "tmpfs", 0, NULL));
	R(umount(".."));
	R(umount2("..", MNT_DETACH));
	LIST("..");
	say("%d more mounts", mounted() - before);
	put_file("f", "", 0644);
	fd = open("f", O_RDONLY);
	snprintf(path, sizeof(path), "/proc/self/fd/%d/", fd);
	R(access(path, F_OK));
	R(chdir("../.."));
}

/* A place that something has been mounted over, and one whose tree has been taken off. */
CASE(mounts_by_place)
{
	int d, before = mounted();

	mkdir("m", 0755);
	R(chdir("m"));
	d = OK(open(".", O_RDONLY));
	R(mount("none", "../m", "tmpfs", 0, NULL));
	put_file("../m/first", "", 0644);
	LIST(".");
	LIST("../m");
	R(mount("none", ".", "tmpfs", 0, NULL));
	put_file("../m/second", "", 0644);
	LIST(".");
	LIST("../m");
	say("%d more mounts", mounted() - before);
	R(umount("../m"));
	LIST("../m");
	R(chdir("../m"));
	mkdir("d", 0755);
	R(umount2("../m", MNT_DETACH));
	R(mount("none", "d", "tmpfs", 0, NULL));
	R(mount("none", ".", "tmpfs", 0, NULL));
	LIST(".");
	R(fchdir(d));
	LIST(".");
	say("%d more mounts", mounted() - before);
}

/* Who may see a process's map is decided when it is opened. */
CASE(maps_by_opener)
{
	char path[40], c;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/maps", getpid());
	fd = OK(open(path, O_RDONLY));
	if (as_user()) {
		R(open(path, O_RDONLY));
		R(read(fd, &c, 1));
		_exit(0);
	}
}

/* A text of /proc is made anew by a read at the beginning, or elsewhere than where the last one ended. */
CASE(proc_anew)
{
	char buf[40] = "";
	int fd;

	prctl(PR_SET_NAME, "one");
	fd = OK(open("/proc/self/comm", O_RDONLY));
	prctl(PR_SET_NAME, "two");
	R(read(fd, buf, 2));
	prctl(PR_SET_NAME, "three");
	R(read(fd, buf + 2, 30));
	say("%s", buf);
	R(read(fd, buf, 30));
	R(pread(fd, buf, 30, 0));
	say("%s", buf);
	R(lseek(fd, 0, SEEK_SET));
	prctl(PR_SET_NAME, "four");
	R(read(fd, buf, 3));
	prctl(PR_SET_NAME, "other");
	R(pread(fd, buf, 1, 3));
	say("%.1s", buf);
	R(pread(fd, buf, 2, 1));
	say("%.2s", buf);
	R(read(fd, buf, 0));
	R(read(fd, buf, 3));
	say("%.3s", buf);
	R(read(fd, buf, 1));
	R(pread(fd, buf, 1, 100));
	R(lseek(fd, 0, SEEK_END));
	R(lseek(fd, 100, SEEK_CUR));
	R(read(fd, buf, 1));
	R(lseek(fd, 0, SEEK_SET));
	R(read(fd, NULL, 1));
	R(read(fd, buf, 1));
}

static const char *const texts[] = { "comm",	"stat", "statm",   "status", "limits",	    "wchan",
				     "cmdline", "maps", "environ", "mounts", "task/%d/comm" };
#define TEXTS (sizeof(texts) / sizeof(texts[0]))

static void open_texts(pid_t pid, int *fd)
{
	char path[60], last[40];

	for (size_t k = 0; k < TEXTS; k++) {
		snprintf(last, sizeof(last), texts[k], pid);
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, last);
		fd[k] = open(path, O_RDONLY);
	}
}

static void read_texts(const char *when, const int *fd)
{
	char c;

	for (size_t k = 0; k < TEXTS; k++) {
		long n = pread(fd[k], &c, 1, 0);

		say("%s, %s: %s", when, texts[k], n < 0 ? errno_name(errno) : n ? "text" : "none");
	}
}

/* What files of /proc that are kept open say of a process as it becomes another program, has ended, is waited for. */
CASE(proc_of_the_dead)
{
	int fd[TEXTS], go[2], ready[2];
	char c = 0, part[8];
	siginfo_t info;
	pid_t pid;

	R(pipe(go));
	R(pipe(ready));
	setenv("A", "b", 1);
	pid = fork();
	if (pid == 0) {
		dup2(go[0], 0);
		dup2(ready[1], 1);
		write(1, &c, 1);
		read(0, &c, 1);
		execl(diff_self, diff_self, "cat", NULL);
		_exit(1);
	}
	read(ready[0], &c, 1);
	open_texts(pid, fd);
	read_texts("before", fd);
	write(go[1], &c, 1);
	/* the new program is there when it answers */
	write(go[1], &c, 1);
	read(ready[0], &c, 1);
	read_texts("another program", fd);
	R(kill(pid, SIGKILL));
	waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
	read_texts("ended", fd);
	R(lseek(fd[0], 0, SEEK_SET));
	R(read(fd[0], part, 2));
	REAP(pid);
	R(read(fd[0], part, 2));
	read_texts("waited for", fd);
	R(read(fd[0], part, 0));
}

static void *rest_until_told(void *arg)
{
	char c;

	*(pid_t *)arg = (pid_t)syscall(SYS_gettid);
	write(((int *)arg)[1], &c, 1);
	read(((int *)arg)[2], &c, 1);
	return NULL;
}

/* The same of a thread. */
CASE(proc_of_a_dead_thread)
{
	int said[2], told[2], arg[3], fd;
	char path[40], c;
	pthread_t t;

	R(pipe(said));
	R(pipe(told));
	arg[1] = said[1];
	arg[2] = told[0];
	pthread_create(&t, NULL, rest_until_told, arg);
	read(said[0], &c, 1);
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", arg[0]);
	fd = OK(open(path, O_RDONLY));
	R(pread(fd, &c, 1, 0));
	write(told[1], &c, 1);
	pthread_join(t, NULL);
	AWAIT(access(path, F_OK) < 0);
	R(pread(fd, &c, 1, 0));
}

CASE(own_proc)
{
	char path[100], buf[200];
	int fd;

	put_file("f", "text", 0644);
	fd = open("f", O_RDWR);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	memset(buf, 0, sizeof(buf));
	R(readlink(path, buf, sizeof(buf)));
	say("%s", buf);
	say("'%s'", slurp(path));
	unlink("f");
	memset(buf, 0, sizeof(buf));
	R(readlink(path, buf, sizeof(buf)));
	say("%s", buf);
	say("'%s'", slurp(path));
	memset(buf, 0, sizeof(buf));
	OK(readlink("/proc/self/cwd", buf, sizeof(buf)));
	say("%s", buf);
	memset(buf, 0, sizeof(buf));
	OK(readlink("/proc/self/exe", buf, sizeof(buf)));
	say("%s", buf);
	say("%s", slurp("/proc/self/cmdline"));
	say("%s", slurp("/proc/self/comm"));
	LIST("/proc/self/fd");
	Q(atoi(slurp("/proc/self/stat")) == getpid());
	Q(strchr(slurp("/proc/self/stat"), '(') != NULL);
	Q(strstr(slurp("/proc/self/status"), "\nPPid:\t") != NULL);
	Q(strstr(slurp("/proc/self/maps"), "[stack]") != NULL);
	Q(strstr(slurp("/proc/meminfo"), "MemAvailable:") != NULL);
	Q(strstr(slurp("/proc/filesystems"), "tmpfs") != NULL);
	Q(strstr(slurp("/proc/mounts"), " /proc proc ") != NULL);
	R(open("/proc/self/none", O_RDONLY));
	R(open("/proc/99999999", O_RDONLY));
	R(mkdir("/proc/x", 0755));
	R(unlink("/proc/self/stat"));
	R(open("/proc/self/stat", O_CREAT | O_RDONLY, 0600) >= 0);
	R(open("/proc/newfile", O_CREAT | O_RDWR, 0600));
	int n = 0, dot = 0;

	for (const char *p = slurp("/proc/self/stat"); *p; p++) {
		dot |= *p == ')';
		n += dot && *p == ' ';
	}
	say("%d fields", n + 2);
}

/* What a process that gave up root finds of itself. */
CASE(own_proc_as_user)
{
	char target[100];
	int fd = OK(open("f", O_RDWR | O_CREAT, 0666));

	R(fchmod(fd, 0666));
	R(setresgid(1000, 1000, 1000));
	R(setresuid(1000, 1000, 1000));
	for (int dumpable = 0; dumpable < 2; dumpable++) {
		R(prctl(PR_GET_DUMPABLE));
		STAT("/proc/self/fd");
		R(access("/proc/self/fd", R_OK | X_OK));
		OK(open("/proc/self/fd", O_RDONLY));
		OK(readlink("/proc/self/fd/3", target, sizeof(target)));
		OK(open("/proc/self/fd/3", O_RDWR));
		OK(open("/proc/self/maps", O_RDONLY));
		OK(open("/proc/self/environ", O_RDONLY));
		OK(open("/proc/self/stat", O_RDONLY));
		OK(readlink("/proc/self/exe", target, sizeof(target)));
		OK(readlink("/proc/self/cwd", target, sizeof(target)));
		OK(open("/proc/self/task", O_RDONLY));
		R(prctl(PR_SET_DUMPABLE, 1));
	}
}

int diff_exec(int argc, char **argv)
{
	char c;

	if (argc != 2 || strcmp(argv[1], "cat"))
		return -1;
	while (read(0, &c, 1) == 1)
		write(1, &c, 1);
	return 0;
}
