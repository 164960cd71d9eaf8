/* SPDX-License-Identifier: MIT */
/* brk, mmap, munmap, mprotect, mremap, madvise, msync, mincore, mlock: contents, zeros, limits, errors. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/user/await.h"
#include "tests/user/check.h"

#define PAGE 4096UL

static unsigned long break_at(unsigned long where)
{
	return (unsigned long)syscall(SYS_brk, where);
}

static void breaks(void)
{
	unsigned long base = break_at(0), top = base + 300 * PAGE + 123;
	unsigned char *p = (unsigned char *)base;

	CHECK(base != 0);
	CHECK(break_at(top) == top);
	for (unsigned long i = 0; i < 300 * PAGE; i += 97) {
		CHECK(p[i] == 0);
		p[i] = (unsigned char)i;
	}
	for (unsigned long i = 0; i < 300 * PAGE; i += 97)
		CHECK(p[i] == (unsigned char)i);
	CHECK(break_at(base) == base);
	CHECK(break_at(top) == top);
	for (unsigned long i = PAGE; i < 300 * PAGE; i += 97)
		CHECK(p[i] == 0);
	/* What cannot be had leaves the break where it was. */
	CHECK(break_at(1UL << 46) == top);
	CHECK(break_at(16) == top);
	CHECK(break_at(base) == base);
}

static char *map(size_t n, int prot)
{
	char *m = mmap(NULL, n, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(m != MAP_FAILED);
	return m;
}

static void maps(void)
{
	char *m = map(16 * PAGE, PROT_READ | PROT_WRITE);

	for (int i = 0; i < 16; i++)
		m[i * PAGE] = (char)(i + 1);
	/* A hole in the middle, then something else in it. */
	CHECK(munmap(m + 4 * PAGE, 4 * PAGE) == 0);
	for (int i = 0; i < 16; i++)
		if (i < 4 || i >= 8)
			CHECK(m[i * PAGE] == i + 1);
	CHECK(mmap(m + 4 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == m + 4 * PAGE);
	CHECK(m[4 * PAGE] == 0 && m[3 * PAGE] == 4 && m[8 * PAGE] == 9);
	CHECK(mprotect(m, 2 * PAGE, PROT_READ) == 0);
	CHECK(m[0] == 1);
	CHECK(mprotect(m, 2 * PAGE, PROT_READ | PROT_WRITE) == 0);
	m[0] = 99;
	CHECK(madvise(m + 8 * PAGE, 8 * PAGE, MADV_DONTNEED) == 0);
	CHECK(m[9 * PAGE] == 0 && m[0] == 99);
	CHECK(munmap(m, 16 * PAGE) == 0);
	CHECK(munmap(m, 16 * PAGE) == 0);
}

static void errors(void)
{
	char *m = map(PAGE, PROT_READ);

	CHECK_ERRNO((long)mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL);
	CHECK_ERRNO((long)mmap(NULL, 1UL << 46, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
		    ENOMEM);
	CHECK_ERRNO((long)mmap((void *)123, PAGE, PROT_READ,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
		    EINVAL);
	CHECK_ERRNO((long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 999, 0), EBADF);
	CHECK_ERRNO(munmap(m + 1, PAGE), EINVAL);
	CHECK_ERRNO(syscall(SYS_mprotect, m + 1, PAGE, PROT_READ), EINVAL);
	CHECK(munmap(m, PAGE) == 0);
	CHECK_ERRNO(mprotect(m, PAGE, PROT_READ), ENOMEM);
	/* Wild pointers are the caller's fault, not the kernel's. */
	CHECK_ERRNO(write(1, (void *)8, 4), EFAULT);
	CHECK_ERRNO(write(1, m, 4), EFAULT);
	CHECK_ERRNO(write(1, (void *)0xffffff8000000000UL, 4), EFAULT);
	CHECK_ERRNO(syscall(SYS_uname, (void *)0xffffffc000000000UL), EFAULT);
	CHECK_ERRNO(syscall(SYS_clock_gettime, 0, (void *)(1UL << 39)), EFAULT);
}

/* Random blocks, each filled with a pattern of its own and checked before it goes. */
static void shuffle(void)
{
	static struct {
		uint32_t *p;
		size_t words;
		uint32_t seed;
	} block[64];
	uint64_t x = 88172645463325252UL;

	for (int n = 0; n < 4000; n++) {
		unsigned i;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		i = x % 64;
		if (block[i].p) {
			for (size_t w = 0; w < block[i].words; w += 61)
				CHECK(block[i].p[w] == block[i].seed + w);
			free(block[i].p);
			block[i].p = NULL;
			continue;
		}
		block[i].words = 1 + (x >> 32) % ((n % 16) ? 2000 : 60000);
		block[i].seed = (uint32_t)x;
		block[i].p = malloc(block[i].words * 4);
		CHECK(block[i].p);
		for (size_t w = 0; w < block[i].words; w += 61)
			block[i].p[w] = block[i].seed + (uint32_t)w;
	}
}

/* Two mappings of one file, and write(2) and read(2) on it, see the same bytes; a private one has its own. */
static void files(void)
{
	int fd = open("/tmp/memory-test", O_RDWR | O_CREAT | O_TRUNC, 0600), ro;
	char *a, *b, *c, byte;

	CHECK(fd >= 0 && unlink("/tmp/memory-test") == 0);
	CHECK(ftruncate(fd, 3 * PAGE) == 0);
	a = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	b = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, PAGE);
	c = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(a != MAP_FAILED && b != MAP_FAILED && c != MAP_FAILED);
	CHECK(a[PAGE] == 0 && c[PAGE] == 0);
	a[PAGE] = 'a';
	CHECK(b[0] == 'a' && c[PAGE] == 'a');
	c[PAGE] = 'c';
	b[0] = 'b';
	CHECK(a[PAGE] == 'b' && c[PAGE] == 'c');
	CHECK(pread(fd, &byte, 1, PAGE) == 1 && byte == 'b');
	CHECK(pwrite(fd, "w", 1, 2 * PAGE) == 1 && a[2 * PAGE] == 'w' && b[PAGE] == 'w');
	/* a read into the very page it is read from */
	CHECK(pread(fd, a + PAGE, 2 * PAGE, PAGE) == 2 * PAGE && a[PAGE] == 'b');
	CHECK(msync(a, 3 * PAGE, MS_SYNC) == 0 && msync(a, PAGE, MS_ASYNC) == 0);
	CHECK(msync(a, 3 * PAGE, MS_INVALIDATE) == 0);
	CHECK_ERRNO(msync(a, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
	CHECK_ERRNO(msync(a + 1, PAGE, MS_SYNC), EINVAL);
	CHECK(close(fd) == 0);
	CHECK(a[PAGE] == 'b');
	CHECK(munmap(a, 3 * PAGE) == 0 && b[0] == 'b');
	CHECK(munmap(b, 2 * PAGE) == 0 && munmap(c, 3 * PAGE) == 0);
	CHECK_ERRNO(msync(a, PAGE, MS_SYNC), ENOMEM);

	ro = open("/tests/memory", O_RDONLY);
	CHECK(ro >= 0);
	CHECK_ERRNO((long)mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0), EACCES);
	CHECK_ERRNO((long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, ro, 1), EINVAL);
	a = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0);
	CHECK(a != MAP_FAILED && a[1] == 'E');
	CHECK_ERRNO(mprotect(a, PAGE, PROT_READ | PROT_WRITE), EACCES);
	b = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, ro, 0);
	CHECK(b != MAP_FAILED);
	b[1] = 'x';
	CHECK(a[1] == 'E');
	CHECK(munmap(a, PAGE) == 0 && munmap(b, PAGE) == 0 && close(ro) == 0);
	ro = open("/dev/null", O_RDWR);
	CHECK_ERRNO((long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, ro, 0), ENODEV);
	CHECK(close(ro) == 0);
}

static void remaps(void)
{
	int rw = PROT_READ | PROT_WRITE;
	char *m = map(8 * PAGE, rw), *n;

	for (int i = 0; i < 8; i++)
		m[i * PAGE] = (char)(i + 1);
	CHECK(mremap(m, 8 * PAGE, 4 * PAGE, 0) == m);
	CHECK_ERRNO(mprotect(m + 4 * PAGE, PAGE, PROT_READ), ENOMEM);
	CHECK(mremap(m, 4 * PAGE, 8 * PAGE, 0) == m);
	CHECK(m[3 * PAGE] == 4 && m[4 * PAGE] == 0);
	CHECK_ERRNO((long)mremap(m, PAGE, 2 * PAGE, 0), ENOMEM);
	n = mremap(m, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE);
	CHECK(n != MAP_FAILED && n != m && n[0] == 1 && n[PAGE] == 2 && n[2 * PAGE] == 0);
	CHECK_ERRNO((long)mremap(m, PAGE, 2 * PAGE, 0), EFAULT);
	CHECK(mremap(n, 3 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, m + 4 * PAGE) ==
	      m + 4 * PAGE);
	CHECK(m[4 * PAGE] == 1 && m[5 * PAGE] == 2 && m[3 * PAGE] == 4);
	CHECK_ERRNO((long)mremap(m + 1, PAGE, PAGE, 0), EINVAL);
	CHECK_ERRNO((long)mremap(m, PAGE, 0, 0), EINVAL);
	CHECK_ERRNO((long)mremap(m, PAGE, PAGE, 64), EINVAL);
	CHECK_ERRNO((long)mremap(m, PAGE, PAGE, MREMAP_FIXED, m), EINVAL);
	CHECK(munmap(m, 8 * PAGE) == 0);
}

/* musl's look for the end of the main thread's stack must end. */
static void stack_probe(void)
{
	pthread_attr_t attr;
	size_t size;
	void *at;

	CHECK(pthread_getattr_np(pthread_self(), &attr) == 0);
	CHECK(pthread_attr_getstack(&attr, &at, &size) == 0);
	CHECK((char *)&attr > (char *)at && (char *)&attr < (char *)at + size);
}

static void advice(void)
{
	char *m = map(4 * PAGE, PROT_READ | PROT_WRITE);
	unsigned char seen[4];

	m[PAGE] = 1;
	CHECK(mincore(m, 4 * PAGE, seen) == 0);
	CHECK(seen[0] == 0 && seen[1] == 1 && seen[2] == 0);
	CHECK_ERRNO(mincore(m + 1, PAGE, seen), EINVAL);
	CHECK_ERRNO(mincore(m, PAGE, (void *)8), EFAULT);
	CHECK(madvise(m, 4 * PAGE, MADV_WILLNEED) == 0 && madvise(m, 0, MADV_NORMAL) == 0);
	CHECK_ERRNO(madvise(m, PAGE, 77), EINVAL);
	CHECK_ERRNO(madvise(m + 1, PAGE, MADV_DONTNEED), EINVAL);
	CHECK(mlock(m, 2 * PAGE) == 0);
	CHECK(mincore(m, 2 * PAGE, seen) == 0 && seen[0] == 1 && seen[1] == 1);
	CHECK_ERRNO(madvise(m, PAGE, MADV_DONTNEED), EINVAL);
	CHECK_ERRNO(msync(m, PAGE, MS_INVALIDATE), EBUSY);
	CHECK(munlock(m, 2 * PAGE) == 0 && madvise(m, 2 * PAGE, MADV_DONTNEED) == 0);
	CHECK(m[PAGE] == 0);
	CHECK(mlockall(MCL_CURRENT | MCL_FUTURE) == 0 && munlockall() == 0);
	CHECK_ERRNO(mlockall(0), EINVAL);
	CHECK(munmap(m + PAGE, PAGE) == 0);
	CHECK_ERRNO(madvise(m, 3 * PAGE, MADV_DONTNEED), ENOMEM);
	CHECK_ERRNO(mlock(m, 3 * PAGE), ENOMEM);
	CHECK_ERRNO(munlock(m, 3 * PAGE), ENOMEM);
	CHECK_ERRNO(mincore(m, 3 * PAGE, seen), ENOMEM);
	CHECK(munmap(m, 4 * PAGE) == 0);
	m = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
		 -1, 0);
	CHECK(m != MAP_FAILED && mincore(m, 4 * PAGE, seen) == 0 && seen[3] == 1);
	CHECK(munmap(m, 4 * PAGE) == 0);
	m = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(m != MAP_FAILED && m[PAGE] == 0);
	m[PAGE] = 7;
	/* shared memory keeps what it has */
	CHECK(madvise(m, 2 * PAGE, MADV_DONTNEED) == 0 && m[PAGE] == 7);
	CHECK_ERRNO(madvise(m, PAGE, MADV_FREE), EINVAL);
	CHECK(munmap(m, 2 * PAGE) == 0);
}

static void limits(void)
{
	struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY }, some = { 64 << 20, RLIM_INFINITY };
	int rw = PROT_READ | PROT_WRITE, anon = MAP_PRIVATE | MAP_ANONYMOUS;

	CHECK(setrlimit(RLIMIT_AS, &some) == 0);
	CHECK_ERRNO((long)mmap(NULL, 65 << 20, PROT_NONE, anon, -1, 0), ENOMEM);
	CHECK(setrlimit(RLIMIT_AS, &none) == 0 && setrlimit(RLIMIT_DATA, &some) == 0);
	CHECK_ERRNO((long)mmap(NULL, 65 << 20, rw, anon, -1, 0), ENOMEM);
	CHECK(munmap(mmap(NULL, 65 << 20, PROT_READ, anon, -1, 0), 65 << 20) == 0);
	CHECK(break_at(break_at(0) + (65 << 20)) == break_at(0));
	CHECK(setrlimit(RLIMIT_DATA, &none) == 0);
}

/* As many regions as there may be: what takes none more is still done. */
static void most_regions(void)
{
	size_t n = 70000, i = 0;
	struct sysinfo info;
	char *m;

	CHECK(sysinfo(&info) == 0);
	if (info.freeram < 64 << 20)
		return;
	m = mmap(NULL, n * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(m != MAP_FAILED);
	while (mprotect(m + (i + 1) * PAGE, PAGE, PROT_READ) == 0)
		i += 2;
	CHECK(errno == ENOMEM && i > 65000 && i < n - 10);
	CHECK(munmap(m, PAGE) == 0 && munmap(m + 2 * PAGE, 2 * PAGE) == 0);
	CHECK(munmap(m + PAGE, (n - 1) * PAGE) == 0);
}

#define WALK (64UL << 30)

/* The two numbers that the walkers tell: the length of a whole walk, and whether one has begun. */
static volatile long *walk_ns, *walk_begun;

static long clock_ns(clockid_t clock)
{
	struct timespec t;

	CHECK(clock_gettime(clock, &t) == 0);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

/* Its own CPU time is the measure: from the kill on it may wait for a CPU as long as it likes. */
static void walk(void)
{
	char *m = mmap(NULL, WALK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *one = mmap(NULL, WALK / PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open("/tmp/one-page", O_RDWR | O_CREAT, 0600);
	long begin;

	/* the answer is of one page's memory */
	CHECK(m != MAP_FAILED && fd >= 0 && ftruncate(fd, 64 * PAGE) == 0);
	for (size_t at = 0; at < WALK / PAGE; at += 64 * PAGE)
		CHECK(mmap(one + at, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
			   0) == one + at);
	begin = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	*walk_begun = 1;
	CHECK(mincore(m, WALK, (unsigned char *)one) == 0);
	*walk_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - begin;
	_exit(0);
}

/* Whether a process that is killed in its walk goes a small part of the way on. */
static bool walk_ends_with_its_process(void)
{
	struct rusage used;
	clockid_t clock;
	long at_kill;
	pid_t pid;

	*walk_begun = 0;
	pid = fork();
	if (pid == 0)
		walk();
	CHECK(AWAIT(*walk_begun) && clock_getcpuclockid(pid, &clock) == 0);
	at_kill = clock_ns(clock);
	CHECK(kill(pid, SIGKILL) == 0 && wait4(pid, NULL, 0, &used) == pid);
	return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000000L +
		       (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000L - at_kill <
	       *walk_ns / 4;
}

/* A walk over what takes seconds ends with its process; not each time if the host halts it just then. */
static void long_walk(void)
{
	pid_t pid;
	int status;

	walk_ns = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(walk_ns != MAP_FAILED);
	walk_begun = walk_ns + 1;
	pid = fork();
	if (pid == 0)
		walk();
	CHECK(waitpid(pid, &status, 0) == pid && status == 0 && *walk_ns > 0);
	CHECK(AWAIT(walk_ends_with_its_process()));
	CHECK(unlink("/tmp/one-page") == 0 && munmap((void *)walk_ns, PAGE) == 0);
}

int main(void)
{
	long_walk();
	most_regions();
	files();
	remaps();
	stack_probe();
	advice();
	limits();
	breaks();
	maps();
	errors();
	shuffle();
	return 0;
}
