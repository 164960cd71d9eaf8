/* SPDX-License-Identifier: MIT */
/* For what root may and a user may not. */
#ifndef TERN_TESTS_USER_AS_USER_H
#define TERN_TESTS_USER_AS_USER_H

#include <grp.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/user/check.h"

/* fn in a child as user 1000 of group 100 and no other: what it gives is 0, or the number of the step that failed. */
static inline void check_as_user(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(setgroups(0, NULL) || setgid(100) || setuid(1000) ? 99 : fn());
	CHECK(waitpid(pid, &status, 0) == pid);
	if (status)
		printf("as user: step %d\n", WEXITSTATUS(status));
	CHECK(status == 0);
}

#endif
