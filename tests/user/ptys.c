/* SPDX-License-Identifier: MIT */
/* ptys: take every pseudo-terminal there is, say why there is no more, and hold them until the input ends. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

int main(void)
{
	struct rlimit files = { 8192, 8192 };

	if (setrlimit(RLIMIT_NOFILE, &files)) {
		perror("ptys");
		return 1;
	}
	while (open("/dev/ptmx", O_RDWR | O_NOCTTY) >= 0)
		;
	puts(strerror(errno));
	fflush(stdout);
	getchar();
	return 0;
}
