/* SPDX-License-Identifier: MIT */
/* Memory: mmap in its forms, munmap, mprotect, mremap, brk, madvise, msync, mincore, mlock, stacks and limits. */
#include <setjmp.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include "tests/diff/lib/diff.h"

#define PAGE 4096L
#define RW   (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

static sigjmp_buf back;

static void jump(int sig, siginfo_t *si, void *context)
{
	(void)context;
	siglongjmp(back, sig * 10 + si->si_code);
}

static void catch_faults(void)
{
	struct sigaction sa = { .sa_sigaction = jump, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
}

/* "ok", or the signal and its code. */
static const char *touch(volatile char *p, bool write)
{
	static char text[40];
	int got = sigsetjmp(back, 1);

	if (got) {
		snprintf(text, sizeof(text), "%s code %d", signal_name(got / 10), got % 10);
		return text;
	}
	if (write)
		*p = 'w';
	else
		*p;
	return "ok";
}
#define READ(p)	 say("read %s: %s", #p, touch(p, false))
#define WRITE(p) say("write %s: %s", #p, touch(p, true))

static char *map(void *at, size_t n, int prot, int flags, int fd, off_t off)
{
	return mmap(at, n, prot, flags, fd, off);
}

/* Only whether it worked, for the address is the kernel's to choose. */
#define MAP(...)                                                                                   \
	diff_success(__LINE__, "mmap(" #__VA_ARGS__ ")",                                           \
		     (errno = 0, map(__VA_ARGS__) == MAP_FAILED ? -1 : 0))

CASE(mmap_errors)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600)), ro = OK(open("f", O_RDONLY));
	int wo = OK(open("f", O_WRONLY)), p[2];

	R(ftruncate(fd, 3 * PAGE));
	R(pipe(p));
	MAP(NULL, 0, RW, ANON, -1, 0);
	MAP(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0);
	MAP(NULL, PAGE, RW, MAP_PRIVATE | MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MAP(NULL, -1UL, RW, ANON, -1, 0);
	MAP(NULL, 1UL << 47, RW, ANON, -1, 0);
	MAP(NULL, 1UL << 48, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
	MAP(NULL, PAGE, RW, MAP_PRIVATE, -1, 0);
	MAP(NULL, PAGE, RW, MAP_PRIVATE, fd, 1);
	MAP(NULL, PAGE, RW, MAP_PRIVATE, p[0], 0);
	MAP(NULL, PAGE, PROT_READ, MAP_PRIVATE, wo, 0);
	MAP(NULL, PAGE, PROT_WRITE, MAP_PRIVATE, wo, 0);
	MAP(NULL, PAGE, RW, MAP_SHARED, ro, 0);
	MAP(NULL, PAGE, RW, MAP_PRIVATE, ro, 0);
	MAP(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0);
	MAP((void *)(PAGE + 1), PAGE, RW, ANON | MAP_FIXED, -1, 0);
	MAP((void *)0x7000000001, PAGE, RW, ANON, -1, 0);
	MAP((void *)-PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0);
	MAP((void *)(1L << 48), PAGE, RW, ANON | MAP_FIXED, -1, 0);
	MAP((void *)((1L << 48) - PAGE), 2 * PAGE, RW, ANON | MAP_FIXED, -1, 0);
	MAP((void *)-PAGE, PAGE, RW, ANON, -1, 0);
	MAP(NULL, PAGE, 0x100, ANON, -1, 0);
	MAP(NULL, PAGE, RW, MAP_PRIVATE, open(".", O_RDONLY), 0);
	MAP(NULL, PAGE, RW, MAP_PRIVATE, open("/dev/zero", O_RDWR), 0);
	MAP(NULL, PAGE, RW, MAP_SHARED, open("/dev/zero", O_RDWR), 0);
	MAP(NULL, PAGE, RW, MAP_PRIVATE, open("/dev/null", O_RDWR), 0);
	MAP(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 1L << 62);
	MAP(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, -PAGE);
	MAP(NULL, PAGE, RW, ANON | MAP_STACK | MAP_GROWSDOWN | MAP_NORESERVE | MAP_POPULATE, -1, 0);
	MAP(NULL, PAGE, RW, 0x03 | MAP_ANONYMOUS, -1, 0);
}

CASE(populate)
{
	char *p = map(NULL, 4 * PAGE, RW, ANON, -1, 0);
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600));
	unsigned char in[4];
	char *f;

	R(madvise(p, 2 * PAGE, MADV_POPULATE_WRITE));
	R(mincore(p, 4 * PAGE, in));
	say("%d %d %d", in[0] & 1, in[1] & 1, in[2] & 1);
	R(mprotect(p + 2 * PAGE, PAGE, PROT_READ));
	R(madvise(p, 4 * PAGE, MADV_POPULATE_READ));
	R(madvise(p, 4 * PAGE, MADV_POPULATE_WRITE));
	R(mprotect(p + 2 * PAGE, PAGE, PROT_NONE));
	R(madvise(p, 4 * PAGE, MADV_POPULATE_READ));
	R(madvise(p, 4 * PAGE, MADV_POPULATE_WRITE));
	R(munmap(p + 2 * PAGE, PAGE));
	R(madvise(p, 4 * PAGE, MADV_POPULATE_READ));
	R(madvise(p + 1, PAGE, MADV_POPULATE_READ));
	R(madvise(p, 0, MADV_POPULATE_WRITE));
	R(ftruncate(fd, PAGE));
	f = map(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
	R(madvise(f, PAGE, MADV_POPULATE_WRITE));
	R(madvise(f, 2 * PAGE, MADV_POPULATE_READ));
	f = map(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	R(madvise(f, PAGE, MADV_POPULATE_READ));
	R(madvise(f, PAGE, MADV_POPULATE_WRITE));
	f = map(NULL, PAGE, PROT_WRITE, MAP_PRIVATE, fd, 0);
	R(madvise(f, PAGE, MADV_POPULATE_READ));
	R(madvise(f, PAGE, MADV_POPULATE_WRITE));
}

/* What one process has written into its private copy stays, whatever becomes of the file in front of its end. */
CASE(private_copies)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600));
	char *p, *s;

	catch_faults();
	R(ftruncate(fd, 8 * PAGE));
	for (int i = 0; i < 8; i++)
		pwrite(fd, "file", 4, i * PAGE);
	p = map(NULL, 8 * PAGE, RW, MAP_PRIVATE, fd, 0);
	s = map(NULL, 8 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	for (int i = 1; i < 8; i += 2)
		p[i * PAGE] = 'P';
	R(s[2 * PAGE]);
	R(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4 * PAGE));
	for (int i = 0; i < 8; i++)
		say("%d: private %d, shared %d", i, p[i * PAGE], s[i * PAGE]);
	R(ftruncate(fd, 6 * PAGE));
	R(ftruncate(fd, 8 * PAGE));
	for (int i = 0; i < 8; i++)
		say("%d: private %d, shared %d", i, p[i * PAGE], s[i * PAGE]);
}

CASE(fixed)
{
	char *p = map(NULL, 10 * PAGE, RW, ANON, -1, 0);

	catch_faults();
	memset(p, 'a', 10 * PAGE);
	Q(map(p + 2 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0) == p + 2 * PAGE);
	say("%d %d %d", p[PAGE], p[2 * PAGE], p[3 * PAGE]);
	errno = 0;
	R(map(p + 2 * PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED ? -1 : 0);
	R(munmap(p + 4 * PAGE, PAGE));
	Q(map(p + 4 * PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == p + 4 * PAGE);
	R(munmap(p + 4 * PAGE, PAGE));
	/* a hint that is free is taken, one that is not is not */
	Q(map(p + 4 * PAGE, PAGE, RW, ANON, -1, 0) == p + 4 * PAGE);
	Q(map(p + 4 * PAGE, PAGE, RW, ANON, -1, 0) != p + 4 * PAGE);
	READ(p + 9 * PAGE);
	READ(p + 10 * PAGE - 1);
}

CASE(munmap)
{
	char *p = map(NULL, 10 * PAGE, RW, ANON, -1, 0);

	catch_faults();
	R(munmap(p + 1, PAGE));
	R(munmap(p, 0));
	R(munmap((void *)-PAGE, PAGE));
	R(munmap(p, -1UL));
	R(munmap(p + 3 * PAGE, 1));
	READ(p + 2 * PAGE);
	READ(p + 3 * PAGE);
	READ(p + 4 * PAGE);
	R(munmap(p + 3 * PAGE, PAGE));
	/* over the hole */
	R(munmap(p + 2 * PAGE, 4 * PAGE));
	WRITE(p + PAGE);
	WRITE(p + 5 * PAGE);
	WRITE(p + 6 * PAGE);
	R(munmap(p, 10 * PAGE));
	READ(p);
}

CASE(mprotect)
{
	char *p = map(NULL, 5 * PAGE, RW, ANON, -1, 0);

	catch_faults();
	memset(p, 'x', 5 * PAGE);
	R(mprotect(p + PAGE, PAGE, PROT_READ));
	READ(p + PAGE);
	WRITE(p + PAGE);
	WRITE(p + 2 * PAGE);
	R(mprotect(p + PAGE, 3 * PAGE, PROT_NONE));
	READ(p + 2 * PAGE);
	WRITE(p + 4 * PAGE);
	R(mprotect(p, 5 * PAGE, RW));
	say("%c %c %c", p[PAGE], p[2 * PAGE], p[4 * PAGE]);
	R(mprotect(p + 1, PAGE, PROT_READ));
	R(mprotect(p, 0, PROT_READ));
	R(mprotect(p, PAGE, 0x1000));
	R(mprotect(p, -1UL, PROT_READ));
	R(mprotect((void *)8192, PAGE, PROT_READ));
	munmap(p + 2 * PAGE, PAGE);
	/* up to the hole it is done */
	R(mprotect(p, 5 * PAGE, PROT_READ));
	WRITE(p);
	WRITE(p + PAGE);
	WRITE(p + 3 * PAGE);
	R(mprotect(p + 4 * PAGE, 1, PROT_READ));
	WRITE(p + 5 * PAGE - 1);
	int fd = open("f", O_RDWR | O_CREAT, 0600), ro = open("f", O_RDONLY);

	ftruncate(fd, PAGE);
	p = map(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0);
	R(mprotect(p, PAGE, RW));
	p = map(NULL, PAGE, PROT_READ, MAP_PRIVATE, ro, 0);
	R(mprotect(p, PAGE, RW));
	WRITE(p);
	say("%d", slurp("f")[0]);
}

CASE(executable)
{
	static const uint32_t code[] = { 0xd28000e0, 0xd65f03c0 }; /* mov x0, #7; ret */
	char *p = map(NULL, PAGE, RW, ANON, -1, 0);
	int (*fn)(void) = (int (*)(void))p;
	int got;

	catch_faults();
	memcpy(p, code, sizeof(code));
	got = sigsetjmp(back, 1);
	if (!got)
		fn();
	say("not executable: %d", got);
	R(mprotect(p, PAGE, PROT_READ | PROT_EXEC));
	__builtin___clear_cache(p, p + 8);
	say("%d", fn());
	R(mprotect(p, PAGE, RW | PROT_EXEC));
	*(uint32_t *)p = 0xd2800100; /* mov x0, #8 */
	__builtin___clear_cache(p, p + 8);
	say("%d", fn());
	/* for execution alone */
	R(mprotect(p, PAGE, PROT_EXEC));
	say("%d", fn());
	READ(p);
	/* no longer, though it has just been */
	R(mprotect(p, PAGE, RW));
	got = sigsetjmp(back, 1);
	if (!got)
		fn();
	say("not executable: %d", got);
}

CASE(private_files)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600));
	char *p;

	catch_faults();
	R(write(fd, "0123456789", 10));
	p = map(NULL, 3 * PAGE, RW, MAP_PRIVATE, fd, 0);
	say("%.10s", p);
	Q(p[10] == 0 && p[PAGE - 1] == 0);
	READ(p + PAGE);
	WRITE(p + PAGE);
	/* ours alone from the first write on */
	p[0] = 'X';
	say("'%s'", slurp("f"));
	R(pwrite(fd, "ab", 2, 1));
	say("%.3s", p);
	R(close(fd));
	READ(p);
	fd = OK(open("f", O_RDWR));
	R(ftruncate(fd, 2 * PAGE + 1));
	READ(p + PAGE);
	READ(p + 2 * PAGE);
	R(ftruncate(fd, 0));
	READ(p + PAGE);
	R(unlink("f"));
	if (fork() == 0) {
		WRITE(p);
		_exit(0);
	}
	wait(NULL);
	p = map(NULL, PAGE, RW, MAP_PRIVATE, open("/proc/self/exe", O_RDONLY), 0);
	say("%02x%c%c%c", p[0], p[1], p[2], p[3]);
}

CASE(shared_files)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600));
	char *p, *q, buf[10] = "";

	catch_faults();
	R(ftruncate(fd, 2 * PAGE));
	p = map(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
	q = map(NULL, PAGE, RW, MAP_SHARED, fd, PAGE);
	if (p == MAP_FAILED || q == MAP_FAILED) {
		say("no shared mapping of a file: %s", errno_name(errno));
		return;
	}
	p[PAGE] = 'x';
	say("%c", q[0]);
	R(pread(fd, buf, 1, PAGE));
	say("%s", buf);
	R(pwrite(fd, "y", 1, PAGE + 1));
	say("%c", q[1]);
	if (fork() == 0) {
		q[2] = 'z';
		_exit(0);
	}
	wait(NULL);
	say("%.3s", q);
	R(msync(p, 2 * PAGE, MS_SYNC));
	R(ftruncate(fd, PAGE));
	READ(q);
	READ(p);
	R(munmap(p, 2 * PAGE));
}

CASE(fork_copies)
{
	char *priv = map(NULL, 4 * PAGE, RW, ANON, -1, 0);
	char *shared = map(NULL, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *none = map(NULL, PAGE, PROT_NONE, ANON, -1, 0);
	char *wiped = map(NULL, PAGE, RW, ANON, -1, 0), *gone = map(NULL, PAGE, RW, ANON, -1, 0);
	pid_t pid;

	catch_faults();
	priv[0] = 'p';
	shared[0] = 's';
	wiped[0] = 'w';
	gone[0] = 'g';
	R(madvise(wiped, PAGE, 18 /* MADV_WIPEONFORK */));
	R(madvise(gone, PAGE, 10 /* MADV_DONTFORK */));
	pid = fork();
	if (pid == 0) {
		say("%c %c %d", priv[0], shared[0], wiped[0]);
		READ(gone);
		priv[0] = 'c';
		priv[PAGE] = 'n';
		shared[0] = 'c';
		shared[PAGE] = 'n';
		mprotect(none, PAGE, RW);
		munmap(shared, PAGE);
		_exit(0);
	}
	REAP(pid);
	say("%c %d %c %c %c", priv[0], priv[PAGE], shared[0], shared[PAGE], wiped[0]);
	READ(none);
	/* grandchildren of changes on both sides */
	for (int i = 0; i < 3; i++) {
		pid = fork();
		if (pid) {
			priv[0]++;
			REAP(pid);
			if (i)
				_exit(0);
			break;
		}
		priv[0] -= 10;
		say("%d", priv[0]);
	}
	say("%d", priv[0]);
}

CASE(mremap)
{
	char *p = map(NULL, 10 * PAGE, RW, ANON, -1, 0), *q;

	catch_faults();
	for (int i = 0; i < 10; i++)
		p[i * PAGE] = 'a' + i;
	Q(mremap(p, 10 * PAGE, 5 * PAGE, 0) == p);
	READ(p + 4 * PAGE);
	READ(p + 5 * PAGE);
	Q(mremap(p, 5 * PAGE, 7 * PAGE, 0) == p);
	say("%c %d", p[4 * PAGE], p[5 * PAGE]);
	q = map(p + 7 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0);
	Q(q == p + 7 * PAGE);
	R(mremap(p, 7 * PAGE, 9 * PAGE, 0) == MAP_FAILED ? -1 : 0);
	q = mremap(p, 7 * PAGE, 9 * PAGE, MREMAP_MAYMOVE);
	Q(q != MAP_FAILED && q != p);
	say("%c %c %d", q[0], q[4 * PAGE], q[8 * PAGE]);
	READ(p);
	READ(p + 7 * PAGE);
	/* a part of it, elsewhere */
	p = map(NULL, 4 * PAGE, RW, ANON, -1, 0);
	p[0] = 'o';
	Q(mremap(q + 2 * PAGE, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p);
	say("%c %c", p[0], p[PAGE]);
	READ(q + 2 * PAGE);
	READ(q + PAGE);
	R(mremap(q + 1, PAGE, PAGE, 0) == MAP_FAILED ? -1 : 0);
	R(mremap(q, PAGE, 0, 0) == MAP_FAILED ? -1 : 0);
	R(mremap(q, PAGE, PAGE, 0x10) == MAP_FAILED ? -1 : 0);
	R(mremap(q, PAGE, PAGE, MREMAP_FIXED, p) == MAP_FAILED ? -1 : 0);
	R(mremap(q, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == MAP_FAILED ? -1 : 0);
	R(mremap(q, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + 1) == MAP_FAILED ? -1 : 0);
	R(mremap(q + 2 * PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0);
	R(mremap(q + PAGE, 3 * PAGE, 4 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0);
	R(mremap(q, PAGE, 1UL << 50, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0);
	/* what the library does to find the end of its first stack */
	R(mremap((void *)((uintptr_t)&q & -PAGE), PAGE, 2 * PAGE, 0) == MAP_FAILED ? -1 : 0);
}

CASE(brk)
{
	long start = syscall(SYS_brk, 0), up;

	catch_faults();
	Q(start > 0);
	up = syscall(SYS_brk, start + 5 * PAGE + 7);
	Q(up == start + 5 * PAGE + 7);
	WRITE((char *)start);
	WRITE((char *)start + 5 * PAGE + 6);
	/* what fails leaves it where it is */
	Q(syscall(SYS_brk, 1) == up);
	Q(syscall(SYS_brk, -1L) == up);
	Q(syscall(SYS_brk, 1L << 47) == up);
	Q(syscall(SYS_brk, start + PAGE) == start + PAGE);
	READ((char *)((start + 3 * PAGE) & -PAGE));
	Q(syscall(SYS_brk, start + 5 * PAGE) == start + 5 * PAGE);
	say("%d", *(char *)((start + 3 * PAGE) & -PAGE));
	Q(syscall(SYS_brk, start) == start);
	Q(sbrk(0) != (void *)-1);
}

CASE(madvise)
{
	char *p = map(NULL, 4 * PAGE, RW, ANON, -1, 0);
	char *s = map(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	memset(p, 'a', 4 * PAGE);
	*s = 's';
	R(madvise(p + PAGE, PAGE, MADV_DONTNEED));
	say("%d %d %d", p[0], p[PAGE], p[2 * PAGE]);
	R(madvise(s, PAGE, MADV_DONTNEED));
	say("%d", *s);
	R(madvise(p, PAGE, MADV_NORMAL));
	R(madvise(p, PAGE, MADV_RANDOM));
	R(madvise(p, PAGE, MADV_SEQUENTIAL));
	R(madvise(p, PAGE, MADV_WILLNEED));
	R(madvise(p, PAGE, 8 /* MADV_FREE */));
	R(madvise(p, PAGE, 77));
	R(madvise(p + 1, PAGE, MADV_NORMAL));
	R(madvise(p, 0, MADV_DONTNEED));
	R(madvise(p, -1UL, MADV_DONTNEED));
	munmap(p + PAGE, PAGE);
	R(madvise(p, 4 * PAGE, MADV_DONTNEED));
	say("%d %d", p[0], p[3 * PAGE]);
	R(madvise((void *)8192, PAGE, MADV_DONTNEED));
}

CASE(others)
{
	char *p = map(NULL, 4 * PAGE, RW, ANON, -1, 0);
	unsigned char v[4] = { 77, 77, 77, 77 };

	p[0] = p[2 * PAGE] = 'x';
	R(mincore(p, 4 * PAGE, v));
	say("%d %d %d %d", v[0] & 1, v[1] & 1, v[2] & 1, v[3] & 1);
	R(mincore(p + 1, PAGE, v));
	R(mincore(p, PAGE, BAD));
	R(mincore((void *)8192, PAGE, v));
	R(mincore(p, 0, v));
	R(mlock(p, 2 * PAGE));
	R(munlock(p, 2 * PAGE));
	R(mlock((void *)8192, PAGE));
	R(syscall(SYS_mlock2, p, PAGE, 1));
	R(syscall(SYS_mlock2, p, PAGE, 2));
	R(mlockall(77));
	R(mlockall(0));
	R(munlockall());
	R(msync(p, PAGE, MS_SYNC));
	R(msync(p, PAGE, MS_ASYNC));
	R(msync(p, PAGE, MS_INVALIDATE));
	R(msync(p, PAGE, MS_SYNC | MS_ASYNC));
	R(msync(p, PAGE, 0x100));
	R(msync(p + 1, PAGE, MS_SYNC));
	R(msync((void *)8192, PAGE, MS_SYNC));
	munmap(p + PAGE, PAGE);
	R(mincore(p, 4 * PAGE, v));
	R(msync(p, 4 * PAGE, MS_SYNC));
	R(mlock(p, 4 * PAGE));
}

CASE(limits)
{
	struct rlimit r = { 64 << 20, 64 << 20 };

	if (fork() == 0) {
		R(setrlimit(RLIMIT_AS, &r));
		MAP(NULL, 100 << 20, RW, ANON, -1, 0);
		MAP(NULL, 1 << 20, RW, ANON, -1, 0);
		MAP(NULL, 100 << 20, PROT_NONE, ANON, -1, 0);
		long now = syscall(SYS_brk, 0);

		Q(syscall(SYS_brk, now + (100 << 20)) == now);
		_exit(0);
	}
	wait(NULL);
	if (fork() == 0) {
		R(setrlimit(RLIMIT_DATA, &r));
		MAP(NULL, 100 << 20, RW, ANON, -1, 0);
		MAP(NULL, 100 << 20, PROT_READ, ANON, -1, 0);
		MAP(NULL, 100 << 20, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		_exit(0);
	}
	wait(NULL);
}

static int volatile bottom;

static int dive(long left)
{
	volatile char here[8192];

	here[0] = (char)left;
	return left <= 0 || bottom ? here[0] : dive(left - 8192) + here[1];
}

static int dive_to(void *arg)
{
	dive((long)arg);
	return 3;
}

static int limited(void *arg)
{
	struct rlimit r = { 1 << 20, 8 << 20 };

	setrlimit(RLIMIT_STACK, &r);
	return dive_to(arg);
}

CASE(stacks)
{
	struct rlimit r;

	R(getrlimit(RLIMIT_STACK, &r));
	say("%ld", (long)r.rlim_cur);
	REAP(start_child(dive_to, (void *)(7L << 20)));
	REAP(start_child(dive_to, (void *)(9L << 20)));
	REAP(start_child(limited, (void *)(800L << 10)));
	REAP(start_child(limited, (void *)(2L << 20)));
	/* a gap stays to what lies below */
	char *sp = (char *)((uintptr_t)&r & -PAGE);

	MAP(sp - (1 << 20), PAGE, RW, ANON | MAP_FIXED, -1, 0);
	REAP(start_child(dive_to, (void *)(2L << 20)));
}

CASE(processes)
{
	char *p = map(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), buf[10] = "";
	struct iovec mine = { buf, 5 }, theirs = { p, 5 };
	pid_t pid;

	strcpy(p, "mine");
	pid = fork();
	if (pid == 0) {
		strcpy(p, "their");
		for (;;)
			pause();
	}
	until_asleep(pid);
	long got = syscall(SYS_process_vm_readv, pid, &mine, 1L, &theirs, 1L, 0L);

	/* the call may be missing: nothing here needs it */
	Q((got == 5 && !strncmp(buf, "their", 5)) || (got == -1 && errno == ENOSYS));
	kill(pid, SIGKILL);
	REAP(pid);
}

/* A call may be given memory that it is the first to touch. */
CASE(lazy_arguments)
{
	char *p = map(NULL, 20 * PAGE, RW, ANON, -1, 0);
	int fd = open("f", O_RDWR | O_CREAT, 0600), zero = open("/dev/zero", O_RDONLY);

	R(write(fd, p, 3 * PAGE));
	R(read(zero, p + 5 * PAGE + 100, 2 * PAGE));
	R(syscall(SYS_getcwd, p + 10 * PAGE - 3, 100L));
	say("%s", p + 10 * PAGE - 3);
	if (fork() == 0) {
		/* and shared with the parent until then */
		R(pread(fd, p, PAGE, 0));
		R(read(zero, p + 5 * PAGE, PAGE));
		_exit(0);
	}
	wait(NULL);
	R(mprotect(p, PAGE, PROT_READ));
	R(read(zero, p, 10));
	R(write(fd, p, 10));
	R(mprotect(p, PAGE, PROT_NONE));
	R(write(fd, p, 10));
	R(read(zero, p + PAGE - 5, 10));
	R(read(zero, p + PAGE, 10));
}
