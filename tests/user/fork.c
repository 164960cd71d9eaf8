/* SPDX-License-Identifier: MIT */
/* fork, vfork and exec of plain processes: what is copied, what is shared, what waits tell, storms of them. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/user/await.h"
#include "tests/user/check.h"

static int data_word = 1;
static char *self;

static int code_of(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Code, data, heap, stack and mappings of the child are its own (X-04, MS-006). */
static void copies(void)
{
	size_t len = 1 << 20;
	volatile int stack_word = 2;
	unsigned char *heap = malloc(len), *map;
	pid_t pid;

	map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(heap && map != MAP_FAILED);
	memset(heap, 0x11, len);
	memset(map, 0x22, len);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(data_word == 1 && stack_word == 2 && heap[len - 1] == 0x11 && map[7] == 0x22);
		data_word = stack_word = 9;
		memset(heap, 0x33, len);
		memset(map, 0x44, len);
		for (size_t i = 0; i < len; i++)
			CHECK(heap[i] == 0x33 && map[i] == 0x44);
		_exit(5);
	}
	memset(map, 0x55, len / 2);
	CHECK(code_of(pid) == 5);
	CHECK(data_word == 1 && stack_word == 2);
	for (size_t i = 0; i < len; i++)
		CHECK(heap[i] == 0x11 && map[i] == (i < len / 2 ? 0x55 : 0x22));
	CHECK(munmap(map, len) == 0);
	free(heap);
}

/* Vector registers go with the child as they are. */
static void registers(void)
{
	static volatile double want = 1234.5;
	double out;
	pid_t pid;

	__asm__ volatile("fmov d9, %d0" : : "w"(want) : "d9");
	pid = (pid_t)raw_clone(SIGCHLD);
	__asm__ volatile("fmov %d0, d9" : "=w"(out));
	if (pid == 0)
		_exit(out == want ? 0 : 1);
	CHECK(pid > 0 && out == want && code_of(pid) == 0);
}

/* One offset for both; closing in one leaves the other's open. */
static void files(void)
{
	int fds[2];
	char c = 0;
	pid_t pid;

	CHECK(pipe(fds) == 0);
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		CHECK(write(fds[1], "x", 1) == 1);
		_exit(0);
	}
	close(fds[1]);
	CHECK(read(fds[0], &c, 1) == 1 && c == 'x');
	CHECK(read(fds[0], &c, 1) == 0);
	close(fds[0]);
	CHECK(code_of(pid) == 0);
}

static void numbers(void)
{
	pid_t me = getpid(), pid = fork();

	if (pid == 0) {
		CHECK(getppid() == me && getpid() != me && gettid() == getpid());
		CHECK(getpgrp() == getpgid(me) && getsid(0) == getsid(me));
		_exit(3);
	}
	CHECK(code_of(pid) == 3);
	CHECK_ERRNO(waitpid(pid, NULL, 0), ECHILD);
	CHECK_ERRNO(waitpid(-1, NULL, 0), ECHILD);
}

static void vforks(void)
{
	static volatile int seen;
	pid_t pid;

	for (int i = 0; i < 20; i++) {
		seen = 0;
		pid = (pid_t)raw_clone(CLONE_VM | CLONE_VFORK | SIGCHLD);
		if (pid == 0) {
			seen = 1;
			_exit(4);
		}
		CHECK(seen == 1 && code_of(pid) == 4);
		pid = (pid_t)raw_clone(CLONE_VM | CLONE_VFORK | SIGCHLD);
		if (pid == 0) {
			execl(self, self, "exit7", NULL);
			_exit(1);
		}
		CHECK(code_of(pid) == 7);
	}
}

static int exec_of(const char *path)
{
	pid_t pid = fork();

	if (pid == 0) {
		execl(path, path, "exit7", NULL);
		_exit(errno);
	}
	return code_of(pid);
}

/* This program with a loader named at its end: what Linux says while that is not there, and that one which is is not run. */
static void loaders(void)
{
	static const char loader[] = "/tmp/loader", dynamic[] = "/tmp/dynamic";
	int from = open(self, O_RDONLY), to = open(dynamic, O_RDWR | O_CREAT | O_TRUNC, 0755);
	off_t size = lseek(from, 0, SEEK_END);
	char *bytes = malloc((size_t)size + sizeof(loader));
	Elf64_Phdr *ph;

	CHECK(from >= 0 && to >= 0 && bytes && pread(from, bytes, (size_t)size, 0) == size);
	memcpy(bytes + size, loader, sizeof(loader));
	ph = (Elf64_Phdr *)(bytes + ((Elf64_Ehdr *)bytes)->e_phoff);
	while (ph->p_type != PT_GNU_STACK)
		ph++;
	CHECK(ph < (Elf64_Phdr *)(bytes + ((Elf64_Ehdr *)bytes)->e_phoff) +
			   ((Elf64_Ehdr *)bytes)->e_phnum);
	*ph = (Elf64_Phdr){ .p_type = PT_INTERP,
			    .p_offset = (Elf64_Off)size,
			    .p_filesz = sizeof(loader) };
	CHECK(write(to, bytes, (size_t)size + sizeof(loader)) == size + (ssize_t)sizeof(loader));
	CHECK(close(to) == 0 && close(from) == 0);
	CHECK(exec_of(dynamic) == ENOENT);
	to = open(loader, O_RDWR | O_CREAT, 0644);
	CHECK(to >= 0 && close(to) == 0);
	CHECK(exec_of(dynamic) == EACCES);
	CHECK(chmod(loader, 0755) == 0 && exec_of(dynamic) == ELIBACC);
	/* a name without its end */
	CHECK(truncate(dynamic, size + 6) == 0 && exec_of(dynamic) == ENOEXEC);
	CHECK(unlink(loader) == 0 && unlink(dynamic) == 0);
	free(bytes);
}

/* Many at once: all are there, all are waited for, each once. */
static void storm(int many)
{
	int fds[2], left = many;
	char c;

	CHECK(pipe(fds) == 0);
	for (int i = 0; i < many; i++) {
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (pid == 0) {
			close(fds[1]);
			CHECK(read(fds[0], &c, 1) == 0);
			_exit(i % 200);
		}
	}
	CHECK(waitpid(-1, NULL, WNOHANG) == 0);
	close(fds[0]);
	close(fds[1]);
	while (left) {
		int status;

		CHECK(wait(&status) > 0 && WIFEXITED(status));
		left--;
	}
	CHECK_ERRNO(wait(NULL), ECHILD);
}

static void sequence(int many)
{
	for (int i = 0; i < many; i++) {
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (pid == 0) {
			data_word = i;
			_exit(i % 100);
		}
		CHECK(code_of(pid) == i % 100);
	}
}

/* Grandchildren whose parent is gone are waited for by who asked for it, else by init. */
static void orphans(void)
{
	int fds[2], status;
	pid_t pid, grandchild;

	CHECK(pipe(fds) == 0);
	pid = fork();
	if (pid == 0) {
		pid_t parent = getpid();

		pid = fork();
		if (pid == 0) {
			while (getppid() == parent)
				sched_yield();
			_exit(6);
		}
		CHECK(write(fds[1], &pid, sizeof(pid)) == sizeof(pid));
		_exit(0);
	}
	CHECK(read(fds[0], &grandchild, sizeof(grandchild)) == sizeof(grandchild));
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_ERRNO(waitpid(grandchild, &status, 0), ECHILD);
	close(fds[0]);
	close(fds[1]);
}

/* Forks for ever, but has no more than some at a time: however late the kill comes, there is room for all. */
static void breed(void)
{
	pid_t child[32] = { 0 };

	for (unsigned i = 0;; i = (i + 1) % 32) {
		if (child[i] > 0) {
			kill(child[i], SIGKILL);
			waitpid(child[i], NULL, 0);
		}
		child[i] = fork();
		if (child[i] == 0)
			for (;;)
				pause();
	}
}

/* A kill of a group in which one forks all the time leaves none: whoever lives keeps the pipe open. */
static void group_kill(int rounds)
{
	for (int i = 0; i < rounds; i++) {
		struct pollfd p = { .events = POLLIN };
		int fds[2];
		pid_t pid;

		CHECK(pipe(fds) == 0);
		pid = fork();
		if (pid == 0) {
			CHECK(setpgid(0, 0) == 0);
			close(fds[0]);
			CHECK(write(fds[1], "x", 1) == 1);
			breed();
		}
		close(fds[1]);
		CHECK(read(fds[0], &(char){ 0 }, 1) == 1);
		/* killed anywhere in it */
		let_pass_us(i * 173 % 5000);
		CHECK(kill(-pid, SIGKILL) == 0);
		p.fd = fds[0];
		CHECK(poll(&p, 1, AWAIT_SECONDS * 1000) == 1 && (p.revents & POLLHUP));
		close(fds[0]);
		CHECK(waitpid(pid, NULL, 0) == pid);
	}
}

/* Who shares its folder with its parent has its own groups, also when the parent is gone. */
static void groups_of_the_dead(void)
{
	int fd = open("/tmp/for-the-group", O_RDWR | O_CREAT, 0640), gone[2], told[2];
	gid_t group = 1234;
	pid_t pid;
	char c;

	CHECK(fd >= 0 && fchown(fd, 0, group) == 0 && pipe(gone) == 0 && pipe(told) == 0);
	close(fd);
	pid = fork();
	if (pid == 0) {
		CHECK(setgroups(1, &group) == 0 && setresgid(500, 500, 500) == 0);
		CHECK(setresuid(500, 500, 500) == 0);
		if (raw_clone(CLONE_FS | SIGCHLD) > 0)
			_exit(0);
		CHECK(read(gone[0], &c, 1) == 1);
		c = open("/tmp/for-the-group", O_RDONLY) >= 0;
		_exit(write(told[1], &c, 1) != 1);
	}
	CHECK(code_of(pid) == 0);
	/* others take its place */
	for (int i = 0; i < 20; i++) {
		pid = fork();
		if (pid == 0)
			_exit(0);
		CHECK(code_of(pid) == 0);
	}
	CHECK(write(gone[1], "x", 1) == 1 && read(told[0], &c, 1) == 1 && c == 1);
	for (int i = 0; i < 2; i++)
		CHECK(close(gone[i]) == 0 && close(told[i]) == 0);
	CHECK(unlink("/tmp/for-the-group") == 0);
}

int main(int argc, char **argv)
{
	const char *scale = getenv("SCALE");
	int n = scale ? atoi(scale) : 1;

	self = argv[0];
	if (argc > 1)
		return 7;
	copies();
	registers();
	files();
	numbers();
	vforks();
	loaders();
	orphans();
	groups_of_the_dead();
	group_kill(20 * n);
	storm(50 * n);
	sequence(n > 1 ? 1000 * n : 200);
	return 0;
}
