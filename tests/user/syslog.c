/* SPDX-License-Identifier: MIT */
/* syslog(2), as dmesg uses it: whole lines, the newest that fit; what is cleared; who may. Others may log meanwhile. */
#include <sys/klog.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "tests/user/as_user.h"

enum { READ_ALL = 3, READ_CLEAR, CLEAR, SIZE = 10 };

static char all[1 << 16], some[1 << 16], later[1 << 16];

/* Lines alone, or nothing. */
static int whole(const char *text, int n)
{
	return n == 0 || (n > 0 && text[0] == '[' && text[n - 1] == '\n');
}

static int user(void)
{
	static const int denied[] = { 0, 1, 2, READ_CLEAR, CLEAR, 6, 7, 8, 9, 11, -1 };

	for (unsigned i = 0; i < sizeof(denied) / sizeof(denied[0]); i++)
		if (klogctl(denied[i], some, 100) != -1 || errno != EPERM)
			return 1;
	return klogctl(SIZE, NULL, 0) <= 0 ? 2 : klogctl(READ_ALL, some, sizeof(some)) < 0 ? 3 : 0;
}

/* Let the kernel log a line: a child ends by a fault. The name is another each time: of one name not all are told. */
static void log_a_line(int number)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		char name[16];

		snprintf(name, sizeof(name), "log%d", number);
		prctl(PR_SET_NAME, name);
		__builtin_trap();
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
}

/* Also when the oldest line kept is one that the ring has overwritten in part. */
static void ring_is_full(void)
{
	int n = klogctl(READ_ALL, some, sizeof(some)), after = 0;

	for (int number = 0; after < 30; number++) {
		CHECK(number < 5000);
		log_a_line(number);
		int m = klogctl(READ_ALL, all, sizeof(all));

		CHECK(m > 0 && whole(all, m) && m <= klogctl(SIZE, NULL, 0));
		after += m < 40 || n < 40 || memcmp(all, some, 40) != 0;
	}
}

int main(void)
{
	ring_is_full();

	int n = klogctl(READ_ALL, all, sizeof(all)), m;

	CHECK(n > 0 && whole(all, n) && n <= klogctl(SIZE, NULL, 0));
	for (int len = 1; len < 2000; len += 1 + len / 50) {
		memset(some, 0x5a, sizeof(some));
		m = klogctl(READ_ALL, some, len);
		CHECK(m >= 0 && m <= len && whole(some, m) && some[m] == 0x5a);
		n = klogctl(READ_ALL, later, sizeof(later));
		CHECK(n > 0 && memmem(later, (size_t)n, some, (size_t)m));
		/* what is left out had no room */
		CHECK(m + 256 + 32 > len || m == n);
	}
	CHECK(klogctl(READ_ALL, some, 0) == 0);
	CHECK_ERRNO(klogctl(READ_ALL, NULL, 100), EINVAL);
	CHECK_ERRNO(klogctl(READ_ALL, some, -1), EINVAL);
	CHECK_ERRNO(klogctl(READ_ALL, (char *)8, 1 << 16), EFAULT);
	CHECK_ERRNO(klogctl(11, some, 100), EINVAL);
	check_as_user(user);
	n = klogctl(READ_CLEAR, all, sizeof(all));
	CHECK(n > 0 && whole(all, n));
	m = klogctl(READ_ALL, some, sizeof(some));
	CHECK(whole(some, m) && m < n && (m == 0 || !memmem(all, (size_t)n, some, (size_t)m)));
	CHECK(klogctl(CLEAR, NULL, 0) == 0 && klogctl(0, NULL, 0) == 0 && klogctl(1, NULL, 0) == 0);
	return 0;
}
