/* SPDX-License-Identifier: MIT */
/* sources: lib/elf.c */
/* The ELF reader on any bytes: the first 64 are the header, the rest program headers. */
#include <string.h>
#include "lib/elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf_image img;

	if (size < ELF_HEADER_SIZE)
		return 0;
	if (elf_parse(data, data + ELF_HEADER_SIZE, size - ELF_HEADER_SIZE, 1 << 20, 1UL << 39,
		      4096, &img) == 0)
		for (unsigned i = 0; i < img.nr_segments; i++)
			if (img.segment[i].vaddr + img.segment[i].mem_len > img.highest)
				__builtin_trap();
	return 0;
}
