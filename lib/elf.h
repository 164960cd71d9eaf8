/* SPDX-License-Identifier: MIT */
/* Reading an arm64 ELF executable. Pure: the caller gives bytes, gets a checked plan. Every field is checked before it
 * is used; a file that does not hold together is -ENOEXEC. */
#ifndef TERN_LIB_ELF_H
#define TERN_LIB_ELF_H

#include "lib/types.h"

#define ELF_SEGMENTS_MAX 16
#define ELF_HEADER_SIZE	 64
#define ELF_PHDR_SIZE	 56
#define ELF_INTERP_MAX	 4096

enum { ELF_READ = 4, ELF_WRITE = 2, ELF_EXEC = 1 };

/* One PT_LOAD, page aligned outward. [vaddr, vaddr + file_len) comes from the file at offset; up to mem_len zeros. */
struct elf_segment {
	uint64_t vaddr;
	uint64_t offset;
	uint64_t file_len;
	uint64_t mem_len;
	unsigned prot; /* ELF_* */
};

struct elf_image {
	bool pie; /* ET_DYN: add a bias of the loader's choice */
	uint64_t entry;
	uint64_t phdr_vaddr; /* where the program headers will be in memory; 0: in no segment */
	unsigned phnum;
	unsigned nr_segments; /* sorted by vaddr, page-disjoint */
	struct elf_segment segment[ELF_SEGMENTS_MAX];
	uint64_t lowest, highest; /* page-aligned span of all segments */
	bool exec_stack;
	uint64_t interp_offset,
		interp_len; /* the loader's name in the file; 0 bytes: a static program */
};

/* Check the file header (the first ELF_HEADER_SIZE bytes). Gives where the program headers are. */
int elf_check_header(const uint8_t *hdr, size_t n, uint64_t *phoff, unsigned *phnum) __must_check;
/* Read the program headers (phnum * ELF_PHDR_SIZE bytes) into *out. file_size bounds what segments may name; user_max is
 * the end of the address space; page_size a power of two. 0 or -ENOEXEC. */
int elf_parse(const uint8_t *hdr, const uint8_t *phdrs, size_t n, uint64_t file_size,
	      uint64_t user_max, uint64_t page_size, struct elf_image *out) __must_check;

#endif
