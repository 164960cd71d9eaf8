/* SPDX-License-Identifier: MIT */
/* What fork does to memory: copies that are private to each side, memory that stays shared, and what MADV_DONTFORK and
 * MADV_WIPEONFORK leave out (MS-006, X-03, X-04, PERF-006). */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/user/check.h"

#define PAGE 4096UL

static int status_of(pid_t pid)
{
	int status = -1;

	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

static void *map(size_t n, int flags)
{
	void *m = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0);

	CHECK(m != MAP_FAILED);
	return m;
}

static void fill(uint64_t *m, size_t words, uint64_t seed)
{
	for (size_t i = 0; i < words; i++)
		m[i] = seed * 0x9e3779b97f4a7c15 + i;
}

static int differs(const uint64_t *m, size_t words, uint64_t seed)
{
	for (size_t i = 0; i < words; i++)
		if (m[i] != seed * 0x9e3779b97f4a7c15 + i)
			return 1;
	return 0;
}

/* Both sides write other patterns at the same time; neither sees the other's. */
static void private_copies(void)
{
	size_t n = 3UL << 20, words = n / 8;
	uint64_t *m = map(n, MAP_PRIVATE);
	pid_t child, grandchild;

	fill(m, words, 1);
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		grandchild = fork();
		if (grandchild == 0)
			_exit(differs(m, words, 1));
		if (differs(m, words, 1) || grandchild < 0)
			_exit(1);
		fill(m, words / 2, 2);
		_exit(differs(m, words / 2, 2) || m[words - 1] != 0x9e3779b97f4a7c15 + words - 1 ||
		      status_of(grandchild) != 0);
	}
	fill(m, words, 3);
	CHECK(status_of(child) == 0);
	CHECK(!differs(m, words, 3));
	CHECK(munmap(m, n) == 0);
}

/* Anonymous, and of a file without a name: the same page for everybody. */
static void shared_memory(void)
{
	int fd = open("/tmp/fork-memory", O_RDWR | O_CREAT | O_TRUNC, 0600);
	uint64_t *a = map(4 * PAGE, MAP_SHARED), *b;

	CHECK(fd >= 0 && unlink("/tmp/fork-memory") == 0 && ftruncate(fd, PAGE) == 0);
	b = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(b != MAP_FAILED && close(fd) == 0);
	for (int i = 0; i < 4; i++) {
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (pid == 0) {
			for (int n = 0; n < 1000; n++) {
				/* a page that nobody had when it forked */
				__atomic_fetch_add(&a[3 * PAGE / 8], 1, __ATOMIC_RELAXED);
				__atomic_fetch_add(&b[7], 1, __ATOMIC_RELAXED);
			}
			_exit(0);
		}
	}
	for (int i = 0; i < 4; i++)
		CHECK(wait(NULL) > 0);
	CHECK(a[3 * PAGE / 8] == 4000 && b[7] == 4000 && a[0] == 0);
	CHECK(munmap(a, 4 * PAGE) == 0 && munmap(b, PAGE) == 0);
}

static int deep(volatile int n)
{
	volatile char hole[1024];

	hole[0] = (char)n;
	return n == 0 ? 0 : deep(n - 1) + hole[0] - (char)n;
}

static int data_word = 5;

/* Code, data, heap, stack and maps of the child work, at once and after growing. */
static void every_part(void)
{
	char *heap = malloc(100000), *m = map(PAGE, MAP_PRIVATE);
	pid_t pid;

	memset(heap, 7, 100000);
	m[0] = 9;
	pid = fork();
	if (pid == 0) {
		char *more = malloc(300000);

		memset(more, 1, 300000);
		_exit(deep(1000) || data_word != 5 || heap[99999] != 7 || m[0] != 9 ||
		      ((char *)map(PAGE, MAP_PRIVATE))[0] != 0);
	}
	data_word = 6;
	heap[99999] = 8;
	CHECK(status_of(pid) == 0);
	data_word = 5;
	free(heap);
	CHECK(munmap(m, PAGE) == 0);
}

static void left_out(void)
{
	volatile char *m = map(2 * PAGE, MAP_PRIVATE);
	pid_t pid;

	m[0] = 1;
	m[PAGE] = 1;
	CHECK(madvise((void *)m, PAGE, MADV_WIPEONFORK) == 0);
	CHECK(madvise((void *)(m + PAGE), PAGE, MADV_DONTFORK) == 0);
	pid = fork();
	if (pid == 0) {
		if (m[0] != 0)
			_exit(1);
		m[PAGE] = 2;
		_exit(2);
	}
	CHECK(WTERMSIG(status_of(pid)) == SIGSEGV);
	CHECK(m[0] == 1 && m[PAGE] == 1);
	CHECK(munmap((void *)m, 2 * PAGE) == 0);
}

/* Four families fork, touch and exit side by side. */
static void storm(void)
{
	size_t n = 1UL << 20;
	char *m = map(n, MAP_PRIVATE);

	memset(m, 1, n);
	for (int family = 0; family < 4; family++) {
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (pid > 0)
			continue;
		for (int i = 0; i < 25; i++) {
			pid = fork();
			if (pid == 0) {
				for (size_t at = 0; at < n; at += PAGE)
					m[at] = (char)i;
				_exit(m[n - PAGE] != (char)i || m[n - 1] != 1);
			}
			if (pid < 0 || status_of(pid) != 0 || m[0] != 1)
				_exit(1);
			m[1] = (char)i;
		}
		_exit(0);
	}
	for (int family = 0; family < 4; family++) {
		int status = -1;

		CHECK(wait(&status) > 0 && status == 0);
	}
	CHECK(m[0] == 1 && m[1] == 1);
	CHECK(munmap(m, n) == 0);
}

#define ALL_VECTORS                                                                                \
	"0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31"

/* The kernel copies a page between two instructions of a program: none of its vector registers shows it. First the program
 * itself writes to the page, then the kernel for it. */
static void vector_registers(void)
{
	static uint64_t in[64], out[64];
	size_t n = 32 * PAGE;
	char *m = map(n, MAP_PRIVATE);
	int ends[2], hold[2];
	pid_t pid;
	char c;

	memset(m, 0x5a, n);
	CHECK(pipe(ends) == 0 && pipe(hold) == 0);
	pid = fork();
	if (pid == 0) {
		close(hold[1]);
		_exit((int)read(hold[0], &c, 1));
	}
	close(hold[0]);
	for (size_t at = 0; at < n; at += PAGE) {
		int by_kernel = at / PAGE % 2;
		long number = by_kernel ? SYS_read : SYS_getpid;

		CHECK(write(ends[1], "x", 1) == 1);
		fill(in, 64, at + 7);
		__asm__ volatile(
			".irp n, " ALL_VECTORS "\n\tldr q\\n, [%[in], #(16 * \\n)]\n\t.endr\n\t"
			"cbnz %w[by_kernel], 1f\n\tstrb %w[by_kernel], [%[page]]\n1:\t"
			"mov x8, %[number]\n\tmov x0, %[fd]\n\tmov x1, %[page]\n\tmov x2, #1\n\tsvc #0\n\t"
			".irp n, " ALL_VECTORS "\n\tstr q\\n, [%[out], #(16 * \\n)]\n\t.endr"
			:
			: [in] "r"(in), [out] "r"(out), [page] "r"(m + at),
			  [by_kernel] "r"(by_kernel), [number] "r"(number), [fd] "r"((long)ends[0])
			: "memory", "x0", "x1", "x2", "x8", "v0", "v1", "v2", "v3", "v4", "v5",
			  "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16",
			  "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26",
			  "v27", "v28", "v29", "v30", "v31");
		CHECK(memcmp(in, out, sizeof(in)) == 0);
		CHECK(m[at] == (by_kernel ? 'x' : 0) && m[at + 1] == 0x5a &&
		      m[at + PAGE - 1] == 0x5a);
		if (!by_kernel)
			CHECK(read(ends[0], &c, 1) == 1);
	}
	close(hold[1]);
	CHECK(status_of(pid) == 0);
	close(ends[0]);
	close(ends[1]);
	CHECK(munmap(m, n) == 0);
}

int main(void)
{
	private_copies();
	vector_registers();
	shared_memory();
	every_part();
	left_out();
	storm();
	return 0;
}
