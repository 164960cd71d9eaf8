/* SPDX-License-Identifier: MIT */
/* winsize: print the rows and columns of the terminal on the standard input. */
#include <stdio.h>
#include <sys/ioctl.h>

int main(void)
{
	struct winsize w;

	if (ioctl(0, TIOCGWINSZ, &w)) {
		perror("winsize");
		return 1;
	}
	printf("%u %u\n", w.ws_row, w.ws_col);
	return 0;
}
