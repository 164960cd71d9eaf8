/* SPDX-License-Identifier: MIT */
/* sources: lib/elf.c */
/* The ELF reader: good files give the plan expected, and every broken field is refused. */
#include <string.h>
#include "lib/elf.h"
#include "lib/errno.h"
#include "tests/host/test.h"

#define USER_TOP 0x8000000000UL
#define PAGE	 4096UL

struct file {
	uint8_t hdr[ELF_HEADER_SIZE];
	uint8_t ph[4 * ELF_PHDR_SIZE];
};

static void put(uint8_t *p, uint64_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static void set_load(struct file *f, unsigned i, uint32_t flags, uint64_t offset, uint64_t vaddr,
		     uint64_t filesz, uint64_t memsz)
{
	uint8_t *ph = f->ph + i * ELF_PHDR_SIZE;

	put(ph, 1, 4);
	put(ph + 4, flags, 4);
	put(ph + 8, offset, 8);
	put(ph + 16, vaddr, 8);
	put(ph + 32, filesz, 8);
	put(ph + 40, memsz, 8);
}

/* Text at 0x400000, data at 0x411000 with a bss tail. */
static void good(struct file *f)
{
	static const uint8_t ident[] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };

	memset(f, 0, sizeof(*f));
	memcpy(f->hdr, ident, sizeof(ident));
	put(f->hdr + 16, 2, 2);
	put(f->hdr + 18, 183, 2);
	put(f->hdr + 24, 0x400100, 8);
	put(f->hdr + 32, ELF_HEADER_SIZE, 8);
	put(f->hdr + 54, ELF_PHDR_SIZE, 2);
	put(f->hdr + 56, 2, 2);
	set_load(f, 0, 5, 0, 0x400000, 0x8000, 0x8000);
	set_load(f, 1, 6, 0x8800, 0x411800, 0x400, 0x3000);
}

static int parse(const struct file *f, struct elf_image *img)
{
	return elf_parse(f->hdr, f->ph, sizeof(f->ph), 0x10000, USER_TOP, PAGE, img);
}

TEST(elf_good_file)
{
	struct elf_image img;
	struct file f;

	good(&f);
	CHECK_EQ(parse(&f, &img), 0);
	CHECK_EQ(img.nr_segments, 2);
	CHECK_EQ(img.lowest, 0x400000);
	CHECK_EQ(img.highest, 0x415000);
	CHECK_EQ(img.phdr_vaddr, 0x400040);
	CHECK(!img.pie);
	CHECK_EQ(img.segment[1].mem_len, 0x3000);
}

/* Each row breaks one field of a good file. */
TEST(elf_each_broken_field_is_refused)
{
	static const struct {
		unsigned where, size; /* beyond 64: in the program headers */
		uint64_t value;
	} rows[] = {
		{ 0, 1, 0x7e },
		{ 4, 1, 1 },
		{ 5, 1, 2 },
		{ 16, 2, 1 },
		{ 18, 2, 62 },
		{ 24, 8, 0x411800 },
		{ 24, 8, 0x400102 },
		{ 24, 8, 0 },
		{ 54, 2, 55 },
		{ 56, 2, 0 },
		{ 56, 2, 65 },
		{ 64 + 8, 8, 0x10001 },
		{ 64 + 8, 8, UINT64_MAX },
		{ 64 + 16, 8, USER_TOP },
		{ 64 + 16, 8, UINT64_MAX - 4095 },
		{ 64 + 16, 8, 0x400010 },
		{ 64 + 32, 8, 0x10001 },
		{ 64 + 32, 8, UINT64_MAX },
		{ 64 + 40, 8, 0x7fff },
		{ 64 + 40, 8, UINT64_MAX },
		{ 64 + 40, 8, 0x12000 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct elf_image img;
		struct file f;

		good(&f);
		if (rows[i].where < 64)
			put(f.hdr + rows[i].where, rows[i].value, rows[i].size);
		else
			put(f.ph + rows[i].where - 64, rows[i].value, rows[i].size);
		if (parse(&f, &img) != -ENOEXEC)
			test_fail(__FILE__, __LINE__, "row %zu was accepted", i);
	}
}

/* The file's last bytes are the name; a longer, shorter or later one is refused. */
TEST(elf_loader_is_named)
{
	static const struct {
		uint64_t offset, len;
		int err;
	} rows[] = { { 0xfff0, 0x10, 0 },	  { 0xfff0, 0x11, -ENOEXEC },
		     { 0xfff0, 1, -ENOEXEC },	  { 0, 4096, 0 },
		     { 0, 4097, -ENOEXEC },	  { 0x10001, 2, -ENOEXEC },
		     { UINT64_MAX, 2, -ENOEXEC }, { 2, UINT64_MAX, -ENOEXEC } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct elf_image img;
		struct file f;

		good(&f);
		put(f.hdr + 56, 3, 2);
		set_load(&f, 2, 4, rows[i].offset, 0, rows[i].len, rows[i].len);
		put(f.ph + 2 * ELF_PHDR_SIZE, 3, 4);
		CHECK_EQ(parse(&f, &img), rows[i].err);
		if (rows[i].err == 0)
			CHECK(img.interp_offset == rows[i].offset && img.interp_len == rows[i].len);
	}
}

TEST(elf_short_headers)
{
	struct elf_image img;
	uint64_t phoff;
	unsigned n;
	struct file f;

	good(&f);
	CHECK_EQ(elf_check_header(f.hdr, ELF_HEADER_SIZE - 1, &phoff, &n), -ENOEXEC);
	CHECK_EQ(elf_parse(f.hdr, f.ph, ELF_PHDR_SIZE, 0x10000, USER_TOP, PAGE, &img), -ENOEXEC);
}

/* Whatever the bytes, an accepted plan keeps its promises. */
TEST(elf_random_bytes_keep_the_promises)
{
	for (int round = 0; round < 200000 * test_scale; round++) {
		struct elf_image img;
		struct file f;

		good(&f);
		for (int k = (int)test_below(4) + 1; k > 0; k--) {
			size_t at = test_below(sizeof(f));

			((uint8_t *)&f)[at] = (uint8_t)test_random();
		}
		if (parse(&f, &img) < 0)
			continue;
		CHECK(img.nr_segments > 0 && img.nr_segments <= ELF_SEGMENTS_MAX &&
		      img.highest < USER_TOP);
		for (unsigned i = 0; i < img.nr_segments; i++) {
			const struct elf_segment *s = &img.segment[i];

			CHECK(s->offset + s->file_len <= 0x10000 && s->file_len <= s->mem_len);
			CHECK(s->vaddr >= img.lowest && s->vaddr + s->mem_len <= img.highest);
		}
	}
}
