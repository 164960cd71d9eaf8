/* SPDX-License-Identifier: MIT */
/* helper: where this program's text, heap, mappings and stack are, N times, each time started anew. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	void *m = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int n = argc > 1 ? atoi(argv[1]) : 1;
	char next[12];
	char *args[] = { argv[0], next, NULL };

	printf("%p %p %p %p\n", (void *)main, sbrk(0), m, (void *)&n);
	if (n <= 1)
		return 0;
	fflush(stdout);
	snprintf(next, sizeof(next), "%d", n - 1);
	execv(argv[0], args);
	return 1;
}
