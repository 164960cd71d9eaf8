/* SPDX-License-Identifier: MIT */
/* ELF-64 little-endian, System V gABI chapters 4 and 5; AArch64 is machine 183. */
#include "lib/elf.h"
#include "lib/errno.h"
#include "lib/string.h"

enum { ET_EXEC = 2, ET_DYN = 3, EM_AARCH64 = 183 };
enum { PT_LOAD = 1, PT_INTERP = 3, PT_GNU_STACK = 0x6474e551 };

static uint64_t le(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | p[n];
	return v;
}

int elf_check_header(const uint8_t *hdr, size_t n, uint64_t *phoff, unsigned *phnum)
{
	static const uint8_t magic[] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };
	uint64_t type, count;

	if (n < ELF_HEADER_SIZE || memcmp(hdr, magic, sizeof(magic)) != 0)
		return -ENOEXEC;
	type = le(hdr + 16, 2);
	count = le(hdr + 56, 2);
	if ((type != ET_EXEC && type != ET_DYN) || le(hdr + 18, 2) != EM_AARCH64)
		return -ENOEXEC;
	if (le(hdr + 54, 2) != ELF_PHDR_SIZE || count == 0 || count > 64)
		return -ENOEXEC;
	*phoff = le(hdr + 32, 8);
	*phnum = (unsigned)count;
	return 0;
}

/* One PT_LOAD into *s. Sums are checked against wrapping by checking each part against its bound first. */
static int read_load(const uint8_t *ph, uint64_t file_size, uint64_t user_max, uint64_t page,
		     struct elf_segment *s)
{
	uint64_t offset = le(ph + 8, 8), vaddr = le(ph + 16, 8);
	uint64_t filesz = le(ph + 32, 8), memsz = le(ph + 40, 8);

	if (filesz > memsz || offset > file_size || filesz > file_size - offset)
		return -ENOEXEC;
	if (vaddr > user_max - page || memsz > user_max - page - vaddr)
		return -ENOEXEC;
	if ((vaddr & (page - 1)) != (offset & (page - 1)))
		return -ENOEXEC;
	s->vaddr = vaddr;
	s->offset = offset;
	s->file_len = filesz;
	s->mem_len = memsz;
	s->prot = (unsigned)le(ph + 4, 4) & (ELF_READ | ELF_WRITE | ELF_EXEC);
	return 0;
}

/* Where the file names the loader that it needs: a string with its zero. */
static int read_interp(const uint8_t *ph, uint64_t file_size, struct elf_image *img)
{
	uint64_t offset = le(ph + 8, 8), len = le(ph + 32, 8);

	if (len < 2 || len > ELF_INTERP_MAX || offset > file_size || len > file_size - offset)
		return -ENOEXEC;
	img->interp_offset = offset;
	img->interp_len = len;
	return 0;
}

/* Segments must come in order and share no page (gABI: ascending p_vaddr). */
static int add_segment(struct elf_image *out, const struct elf_segment *s, uint64_t page)
{
	uint64_t start = ALIGN_DOWN(s->vaddr, page);

	if (out->nr_segments == ELF_SEGMENTS_MAX || (out->nr_segments > 0 && start < out->highest))
		return -ENOEXEC;
	if (out->nr_segments == 0)
		out->lowest = start;
	out->highest = ALIGN_UP(s->vaddr + s->mem_len, page);
	out->segment[out->nr_segments++] = *s;
	return 0;
}

static bool segment_holds(const struct elf_segment *s, uint64_t offset, uint64_t len)
{
	return offset >= s->offset && len <= s->file_len && offset - s->offset <= s->file_len - len;
}

static bool entry_is_code(const struct elf_image *img)
{
	for (unsigned i = 0; i < img->nr_segments; i++) {
		const struct elf_segment *s = &img->segment[i];

		if ((s->prot & ELF_EXEC) && img->entry >= s->vaddr &&
		    img->entry - s->vaddr < s->file_len)
			return (img->entry & 3) == 0;
	}
	return false;
}

static void find_phdrs(struct elf_image *img, uint64_t phoff)
{
	for (unsigned i = 0; i < img->nr_segments; i++) {
		const struct elf_segment *s = &img->segment[i];

		if (segment_holds(s, phoff, (uint64_t)img->phnum * ELF_PHDR_SIZE))
			img->phdr_vaddr = s->vaddr + (phoff - s->offset);
	}
}

int elf_parse(const uint8_t *hdr, const uint8_t *phdrs, size_t n, uint64_t file_size,
	      uint64_t user_max, uint64_t page_size, struct elf_image *out)
{
	struct elf_image img = { 0 };
	uint64_t phoff;
	int err = elf_check_header(hdr, ELF_HEADER_SIZE, &phoff, &img.phnum);

	if (err < 0 || n < (size_t)img.phnum * ELF_PHDR_SIZE)
		return -ENOEXEC;
	img.pie = le(hdr + 16, 2) == ET_DYN;
	img.entry = le(hdr + 24, 8);
	for (unsigned i = 0; i < img.phnum; i++) {
		const uint8_t *ph = phdrs + (size_t)i * ELF_PHDR_SIZE;
		uint32_t type = (uint32_t)le(ph, 4);
		struct elf_segment s;

		if (type == PT_INTERP && img.interp_len == 0 &&
		    read_interp(ph, file_size, &img) < 0)
			return -ENOEXEC;
		if (type == PT_GNU_STACK)
			img.exec_stack = le(ph + 4, 4) & ELF_EXEC;
		if (type != PT_LOAD || le(ph + 40, 8) == 0)
			continue;
		if (read_load(ph, file_size, user_max, page_size, &s) < 0 ||
		    add_segment(&img, &s, page_size) < 0)
			return -ENOEXEC;
	}
	if (img.nr_segments == 0 || (!img.pie && img.lowest == 0) || !entry_is_code(&img))
		return -ENOEXEC;
	find_phdrs(&img, phoff);
	*out = img;
	return 0;
}
