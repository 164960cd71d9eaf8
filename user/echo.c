/* SPDX-License-Identifier: MIT */
/* echo [-n] [WORD]...: print the words, a space between, by one write where they fit. */
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	int first = 1;
	int newline = 1;

	if (argc > 1 && !strcmp(argv[1], "-n")) {
		newline = 0;
		first = 2;
	}
	for (int i = first; i < argc; i++) {
		if (i > first)
			putchar(' ');
		fputs(argv[i], stdout);
	}
	if (newline)
		putchar('\n');
	return fflush(stdout) ? 1 : 0;
}
