/* SPDX-License-Identifier: MIT */
/* cat [FILE]...: copy the files, or the standard input ("-" or no name), to the standard output. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "user/lib/say.h"

static char buffer[16384];

static int complain(const char *name)
{
	say(2, "cat: %s: %s\n", name, strerror(errno));
	return 1;
}

static int copy(int fd, const char *name)
{
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		if (write_all(1, buffer, n))
			return complain("standard output");
	return n < 0 ? complain(name) : 0;
}

int main(int argc, char **argv)
{
	int failed = 0;

	if (argc < 2)
		return copy(0, "standard input");
	for (int i = 1; i < argc; i++) {
		int fd;

		if (!strcmp(argv[i], "-")) {
			failed |= copy(0, "standard input");
			continue;
		}
		fd = open(argv[i], O_RDONLY);
		if (fd < 0) {
			failed |= complain(argv[i]);
			continue;
		}
		failed |= copy(fd, argv[i]);
		close(fd);
	}
	return failed;
}
