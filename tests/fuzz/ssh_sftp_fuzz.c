/* SPDX-License-Identifier: MIT */
/* sources: @tests/fuzz/ssh_sftp.sources */
/* flags: -Iuser/openssh -Ideps/openssh/programs -fsanitize=undefined -Wno-macro-redefined -fno-builtin -D_GNU_SOURCE */
/* flags: -DHAVE_FD_MASK=1 -DHAVE_ATTRIBUTE__NONNULL__=1 -DHAVE_VA_COPY=1 */
/* What a client sends to OpenSSH's sftp-server: its own main loop, over a kernel made of answers. The input is
 *   0      which of options[]; with CUT stdin and stdout need answers too
 *   1      how many of the bytes at the end, in fours, are answers: each call takes some; without any left, it succeeds
 *   2...   what comes on stdin, by default a packet at a time
 * The files that make calls are included here, so that the calls are ours. Besides what sanitizers see:
 *   - a descriptor or directory is used only while it is open, and at the end those are open that a handle names;
 *   - it does not wait where nobody could wake it;
 *   - what it says is packets, of a length and a type that the protocol has. */
#include <sanitizer/allocator_interface.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <unistd.h>
#include "includes.h"

#define CUT	  0x80
#define FILES	  64
#define MAX_REPLY (256 * 1024)
#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))

static char *options[][4] = {
	{ "sftp-server" },
	{ "sftp-server", "-R" },
	{ "sftp-server", "-l", "DEBUG3" },
	{ "sftp-server", "-P", "write,rename,posix-rename" },
	{ "sftp-server", "-p", "open,read,readdir,realpath,limits" },
};

static const int errors[] = {
	ENOENT, EACCES,	      EPERM,  EEXIST,	 ENOTDIR, EISDIR, EINVAL,
	ENOSPC, ENAMETOOLONG, ELOOP,  EXDEV,	 ENOSYS,  EROFS,  EOPNOTSUPP,
	EDQUOT, EINTR,	      EAGAIN, ENOTEMPTY, EIO,	  EPIPE,  EMFILE,
};

enum { SHUT, IS_FILE, IS_DIR };

static const uint8_t *in, *answers, *answers_begin, *answers_end;
static bool cut;
static int files[FILES]; /* of descriptor 3 + i */
static uint64_t reply_head;
static size_t reply_left, reply_got;
static uint8_t sink[MAX_REPLY];
static const volatile void *blocks[65536];
static size_t block_count;
static bool recording;
static _Thread_local bool mine; /* libFuzzer has a thread that allocates too */
static jmp_buf over;

static void must(bool truth)
{
	if (!truth)
		abort();
}

/* ---- what an input has allocated goes when it ends: the server leaves that to exit ---- */

static void on_malloc(const volatile void *p, size_t n)
{
	if (mine && recording && p) {
		must(block_count < COUNT(blocks));
		blocks[block_count++] = p;
	}
}

/* ASan tells twice of what a realloc of nothing makes. */
static void on_free(const volatile void *p)
{
	for (size_t i = mine ? block_count : 0; i-- > 0;)
		if (blocks[i] == p)
			blocks[i] = blocks[--block_count];
}

/* process_read() keeps its buffer, and how large it is, for all of its life. */
static void *kept_realloc(void *p, size_t n)
{
	recording = false;
	p = realloc(p, n);
	recording = true;
	return p;
}

static _Noreturn void fuzz_exit(int status)
{
	longjmp(over, 1);
}

/* ---- the kernel ---- */

static unsigned answer(void)
{
	return answers < answers_end ? *answers++ : 0;
}

/* 0, or a number that the call makes something of; or -1, and errno. */
static int outcome(void)
{
	unsigned a = answer();

	if (a == 0 || a > COUNT(errors))
		return a == 0 ? 0 : (int)(a - COUNT(errors));
	errno = errors[a - 1];
	return -1;
}

static int plain(int outcome)
{
	return outcome < 0 ? -1 : 0;
}

static int of_path(const char *path)
{
	size_t n = strlen(path);

	if (n > 0 && n < PATH_MAX)
		return plain(outcome());
	errno = n > 0 ? ENAMETOOLONG : ENOENT;
	return -1;
}

static int of_fd(int fd)
{
	must(fd >= 3 && fd < 3 + FILES && files[fd - 3] == IS_FILE);
	return outcome();
}

/* n bytes of one to four that repeat. */
static void fill(char *p, size_t n, const char *alphabet)
{
	size_t letters = strlen(alphabet), period = 1 + answer() % 4;

	for (size_t i = 0; i < n; i++)
		p[i] = i < period ? alphabet[answer() % letters] : p[i - period];
}

static int new_file(const char *path, int kind)
{
	if (of_path(path) < 0)
		return -1;
	for (int i = 0; i < FILES; i++)
		if (files[i] == SHUT) {
			files[i] = kind;
			return 3 + i;
		}
	errno = EMFILE;
	return -1;
}

static int shut(int fd, int kind)
{
	must(fd >= 3 && fd < 3 + FILES && files[fd - 3] == kind);
	files[fd - 3] = SHUT;
	return plain(outcome());
}

static DIR *fuzz_opendir(const char *path)
{
	int fd = new_file(path, IS_DIR);

	return fd < 0 ? NULL : (DIR *)&files[fd - 3];
}

static struct dirent *fuzz_readdir(DIR *d)
{
	static struct dirent e;
	int n = outcome();

	must(*(int *)d == IS_DIR);
	if (n <= 0)
		return NULL;
	n = n > 200 ? 255 : n;
	fill(e.d_name, (size_t)n, "ab.\n\x80%");
	e.d_name[n] = '\0';
	return &e;
}

static int put(int outcome, void *p, size_t n)
{
	if (outcome >= 0)
		memset(p, (int)answer(), n);
	return plain(outcome);
}

static int put_stat(int outcome, struct stat *st)
{
	static const mode_t modes[] = { S_IFREG, S_IFDIR, S_IFLNK, S_IFCHR, S_IFMT };

	if (put(outcome, st, sizeof(*st)) < 0)
		return -1;
	st->st_mode = modes[answer() % COUNT(modes)] | (st->st_mode & 07777);
	return 0;
}

static ssize_t fuzz_readlink(const char *path, char *to, size_t room)
{
	size_t n;

	if (of_path(path) < 0)
		return -1;
	n = 1 + answer() * 17;
	n = n < room ? n : room;
	fill(to, n, "a./");
	return (ssize_t)n;
}

/* A path of up to PATH_MAX, as long as the outcome says. */
static char *put_path(int outcome, char *to)
{
	if (outcome < 0)
		return NULL;
	memset(to, 'd', PATH_MAX);
	to[0] = '/';
	to[1 + outcome * 17] = '\0';
	return to;
}

static off_t fuzz_lseek(int fd, off_t at, int whence)
{
	if (of_fd(fd) < 0)
		return -1;
	errno = EINVAL;
	return at < 0 ? -1 : at;
}

static size_t packet_length(size_t left)
{
	if (left < 4)
		return left;
	return 4 + ((size_t)in[0] << 24 | (size_t)in[1] << 16 | (size_t)in[2] << 8 | in[3]);
}

static ssize_t fuzz_read(int fd, void *p, size_t n)
{
	size_t left = (size_t)(answers_begin - in), most;
	int a = fd != STDIN_FILENO ? of_fd(fd) : cut ? outcome() : 0;

	if (a < 0 || (fd != STDIN_FILENO && a == 0))
		return a;
	most = a == 0 ? packet_length(left) : a < 200 ? (size_t)a : n;
	n = n < most ? n : most;
	if (fd != STDIN_FILENO) {
		memset(p, a, n);
	} else {
		n = n < left ? n : left;
		memcpy(p, in, n);
		in += n;
	}
	return (ssize_t)n;
}

static void check_reply(const uint8_t *p, size_t n)
{
	for (; n > 0; p++, n--) {
		size_t skip = reply_left < n ? reply_left : n;

		reply_left -= skip;
		p += skip;
		n -= skip;
		if (n == 0)
			return;
		reply_head = reply_head << 8 | *p;
		if (++reply_got == 5) {
			unsigned type = reply_head & 0xff;

			must(type == 2 || (type >= 101 && type <= 105) || type == 201);
			reply_left = (size_t)(reply_head >> 8) - 1;
			must(reply_left < MAX_REPLY);
			reply_head = reply_got = 0;
		}
	}
}

static ssize_t fuzz_write(int fd, const void *p, size_t n)
{
	int a = fd != STDOUT_FILENO ? of_fd(fd) : cut ? outcome() : 0;

	if (a < 0)
		return -1;
	n = n < MAX_REPLY ? n : MAX_REPLY;
	n = a == 0 || n < (size_t)(a - 1) ? n : (size_t)(a - 1);
	memcpy(sink, p, n);
	if (fd == STDOUT_FILENO)
		check_reply(sink, n);
	return (ssize_t)n;
}

static int fuzz_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	int a = cut ? outcome() : 0;
	bool waits = false;

	for (nfds_t i = 0; i < n; i++) {
		bool asked = fds[i].fd >= 0 && fds[i].events;

		waits |= asked;
		fds[i].revents = !asked || (a & 1 << i) ? 0 : a & 4 ? POLLHUP : fds[i].events;
	}
	must(waits);
	return a < 0 ? -1 : 1;
}

/* sftp_realpath() moves more than is left of the path: if its buffer is full, one byte from behind it, at which it never
 * looks. */
static void *move_inside(char *to, const char *from, size_t n)
{
	size_t most = (size_t)(to + PATH_MAX - from);

	must(n <= most + 1);
	return memmove(to, from, n < most ? n : most);
}

/* ---- users, and what else the files look for ---- */

static char home[PATH_MAX];
static struct passwd user = {
	.pw_name = "user", .pw_passwd = "", .pw_gecos = "", .pw_dir = home, .pw_shell = ""
};
static struct group group = { .gr_name = "group" };

struct passwd *getpwuid(uid_t uid)
{
	return put_path(outcome(), home) ? &user : NULL;
}

struct passwd *getpwnam(const char *name)
{
	return getpwuid(0);
}

struct group *getgrgid(gid_t gid)
{
	return outcome() < 0 ? NULL : &group;
}

char *user_from_uid(uid_t uid, int nouser)
{
	return outcome() < 0 ? "4294967295" : "user";
}

char *group_from_gid(gid_t gid, int nogroup)
{
	return user_from_uid(gid, nogroup);
}

int platform_sys_dir_uid(uid_t uid)
{
	return uid == 0;
}

void openlog(const char *ident, int option, int facility)
{
}

void closelog(void)
{
}

void syslog(int priority, const char *format, ...)
{
}

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Weverything"
#define _exit			     fuzz_exit
#define close(fd)		     shut(fd, IS_FILE)
#define closedir(d)		     shut(3 + (int)((int *)(d)-files), IS_DIR)
#define lseek			     fuzz_lseek
#define open(p, flags, mode)	     new_file(p, IS_FILE)
#define opendir			     fuzz_opendir
#define poll			     fuzz_poll
#define read			     fuzz_read
#define readdir			     fuzz_readdir
#define readlink		     fuzz_readlink
#define write			     fuzz_write
#define getcwd(to, room)	     put_path(outcome(), to)
#define stat(p, st)		     put_stat(of_path(p), st)
#define lstat(p, st)		     put_stat(of_path(p), st)
#define fstat(fd, st)		     put_stat(of_fd(fd), st)
#define statvfs(p, st)		     put(of_path(p), st, sizeof(*(st)))
#define fstatvfs(fd, st)	     put(of_fd(fd), st, sizeof(*(st)))
#define chmod(p, mode)		     of_path(p)
#define chown(p, u, g)		     of_path(p)
#define fchmodat(at, p, mode, flags) of_path(p)
#define fchownat(at, p, u, g, flags) of_path(p)
#define mkdir(p, mode)		     of_path(p)
#define rmdir(p)		     of_path(p)
#define truncate(p, size)	     of_path(p)
#define unlink(p)		     of_path(p)
#define utimensat(at, p, ts, flags)  of_path(p)
#define utimes(p, tv)		     of_path(p)
#define link(a, b)		     (of_path(a) < 0 ? -1 : of_path(b))
#define rename(a, b)		     link(a, b)
#define symlink(a, b)		     link(a, b)
#define fchmod(fd, mode)	     plain(of_fd(fd))
#define fchown(fd, u, g)	     plain(of_fd(fd))
#define fsync(fd)		     plain(of_fd(fd))
#define ftruncate(fd, size)	     plain(of_fd(fd))
#define futimes(fd, tv)		     plain(of_fd(fd))
#define platform_disable_tracing(strict)
#define platform_pledge_sftp_server()
#include "atomicio.c"
#define realloc kept_realloc
#include "sftp-server.c"
#define memmove move_inside
#include "sftp-realpath.c"
#pragma clang diagnostic pop

void cleanup_exit(int status)
{
	sftp_server_cleanup_exit(status);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	time_t now = 0;

	setenv("SSH_CONNECTION", "10.0.2.2 40000 10.0.2.15 22", 1);
	/* What the library allocates once is not an input's; without TZ it is not once. */
	setenv("TZ", "UTC0", 1);
	(void)localtime(&now);
	mine = true;
	must(__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) > 0);
	return 0;
}

/* All that the server has between two calls, as it is when it starts. */
static void start(const uint8_t *data, size_t n)
{
	in = data + 2;
	answers_end = data + n;
	answers_begin = answers = answers_end - (4u * data[1] < n - 2 ? 4u * data[1] : n - 2);
	cut = data[0] & CUT;
	memset(files, SHUT, sizeof(files));
	reply_head = reply_left = reply_got = 0;
	handles = NULL;
	num_handles = version = 0;
	first_unused_handle = -1;
	init_done = readonly = optind = 0;
	request_allowlist = request_denylist = NULL;
	log_level = SYSLOG_LEVEL_ERROR;
	put_path(0, home);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *program = program_invocation_short_name, **argv;
	int argc = 0, unnamed = 0;

	if (n < 2)
		return 0;
	start(data, n);
	argv = options[(data[0] & ~CUT) % COUNT(options)];
	while (argv[argc])
		argc++;
	recording = true;
	if (setjmp(over) == 0)
		sftp_server_main(argc, argv, &user);
	recording = false;
	for (int i = 0; i < FILES; i++)
		unnamed += files[i] != SHUT;
	for (u_int i = 0; i < num_handles; i++)
		unnamed -= handles[i].use != HANDLE_UNUSED;
	must(unnamed == 0);
	program_invocation_short_name = program;
	while (block_count > 0)
		free((void *)blocks[block_count - 1]);
	return 0;
}
