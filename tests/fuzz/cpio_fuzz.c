/* SPDX-License-Identifier: MIT */
/* sources: lib/cpio.c lib/fmt.c */
#include "lib/cpio.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cpio_entry e;
	struct cpio c;
	size_t bytes = 0;

	cpio_init(&c, data, size);
	while (cpio_next(&c, &e) > 0) {
		if (e.name[e.name_len] != '\0' || e.name_len == 0)
			abort();
		if (e.data < data || e.size > size || e.data + e.size > data + size)
			abort();
		/* entries do not overlap: together they are no larger than the input */
		bytes += e.size + e.name_len;
		if (bytes > size)
			abort();
	}
	return 0;
}
