/* SPDX-License-Identifier: MIT */
/* RC-017, RC-015: who lists /proc while processes come and go finds whole ones, each once. */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/user/check.h"

enum { FORKERS = 3, ROUNDS = 300, MOST = 4096 };

static void come_and_go(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			prctl(PR_SET_NAME, i % 2 ? "comes" : "goes");
			_exit(i % 3 ? 0 : fork() == 0);
		}
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			_exit(1);
	}
	_exit(0);
}

/* "12 (name) S 1 ..."; it may be gone by now. */
static bool check_row(const char *number)
{
	char path[64], text[400], state;
	const char *name, *end;
	int fd, pid = atoi(number), ppid;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%s/stat", number);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	CHECK(close(fd) == 0);
	if (n < 0 && errno == ESRCH)
		return false;
	CHECK(n > 0);
	text[n] = 0;
	name = strchr(text, '(');
	end = strrchr(text, ')');
	CHECK(atoi(text) == pid && name && end && end > name + 1);
	for (const char *c = name + 1; c < end; c++)
		CHECK(isprint((unsigned char)*c));
	CHECK(sscanf(end + 1, " %c %d", &state, &ppid) == 2);
	if (!strchr("RSDTtZX", state) || ppid < 0 || ppid == pid) {
		printf("a row that cannot be: %s\n", text);
		exit(1);
	}
	return true;
}

/* The rows of one listing that were still there. */
static unsigned look(void)
{
	static int seen[MOST];
	DIR *d = opendir("/proc");
	unsigned n = 0, rows = 0;
	struct dirent *e;

	CHECK(d != NULL);
	while ((e = readdir(d))) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		CHECK(atoi(e->d_name) > 0 && n < MOST);
		for (unsigned i = 0; i < n; i++)
			CHECK(seen[i] != atoi(e->d_name));
		seen[n++] = atoi(e->d_name);
		rows += check_row(e->d_name);
	}
	CHECK(closedir(d) == 0);
	return rows;
}

int main(void)
{
	int status, left = FORKERS;
	unsigned rows = 0;

	for (int i = 0; i < FORKERS; i++) {
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (pid == 0)
			come_and_go();
	}
	while (left > 0) {
		rows += look();
		while (waitpid(-1, &status, WNOHANG) > 0) {
			CHECK(status == 0);
			left--;
		}
	}
	CHECK(rows > 0);
	return 0;
}
