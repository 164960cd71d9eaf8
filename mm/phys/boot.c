/* SPDX-License-Identifier: MIT */
/* Boot memory: before there are pages, take bytes from RAM that nobody reserved. It bumps through one hole of the
 * memory map at a time and enters each piece taken into machine.reserved, so that all that is in use at
 * pages_init() is in one list, and an overlap in it is a bug of the boot (L7). Nothing is ever given back. */
#include "mm/phys/page_priv.h"

#include "lib/string.h"

static uint64_t hole_next; /* [boot] first free byte of the current hole */
static uint64_t hole_end;
static unsigned hole_entry; /* [boot] its growing entry of machine.reserved */
static bool closed;

static uint64_t range_end(const struct phys_range *r)
{
	return r->start + r->size;
}

/* The reservation that reaches furthest among those that meet [start, end), or NULL. */
static const struct phys_range *reserved_in(uint64_t start, uint64_t end)
{
	const struct phys_range *found = NULL;

	for (unsigned i = 0; i < machine.nr_reserved; i++) {
		const struct phys_range *r = &machine.reserved[i];

		if (r->size && r->start < end && start < range_end(r) &&
		    (!found || range_end(r) > range_end(found)))
			found = r;
	}
	return found;
}

static uint64_t next_reserved_after(uint64_t from, uint64_t limit)
{
	for (unsigned i = 0; i < machine.nr_reserved; i++)
		if (machine.reserved[i].size && machine.reserved[i].start >= from)
			limit = MIN(limit, machine.reserved[i].start);
	return limit;
}

static bool find_hole(size_t size, size_t align)
{
	for (unsigned i = 0; i < machine.nr_ram; i++) {
		const struct phys_range *ram = &machine.ram[i];
		uint64_t at = ALIGN_UP(ram->start, align);

		while (at >= ram->start && at + size > at && at + size <= range_end(ram)) {
			const struct phys_range *r = reserved_in(at, at + size);

			if (!r) {
				hole_next = at;
				hole_end = next_reserved_after(at, range_end(ram));
				return true;
			}
			at = ALIGN_UP(range_end(r), align);
		}
	}
	return false;
}

void *boot_alloc_raw(size_t size, size_t align)
{
	uint64_t at = ALIGN_UP(hole_next, align);

	ASSERT(!closed);
	ASSERT(size > 0 && align > 0 && (align & (align - 1)) == 0);
	if (at < hole_next || at + size < at || at + size > hole_end) {
		if (!find_hole(size, MAX(align, PAGE_SIZE)))
			panic("mm: no boot memory for %zu bytes", size);
		if (machine.nr_reserved == MACHINE_RANGES)
			panic("mm: too many memory reservations");
		at = hole_next;
		hole_entry = machine.nr_reserved++;
		machine.reserved[hole_entry] = (struct phys_range){ at, 0 };
	}
	hole_next = at + size;
	machine.reserved[hole_entry].size = hole_next - machine.reserved[hole_entry].start;
	return phys_to_virt(paddr(at));
}

void *boot_alloc(size_t size, size_t align)
{
	void *p = boot_alloc_raw(size, align);

	memset(p, 0, size);
	return p;
}

unsigned boot_finish(struct phys_range *out, unsigned max)
{
	unsigned n = 0;

	ASSERT(!closed && machine.nr_reserved <= max);
	closed = true;
	for (unsigned i = 0; i < machine.nr_reserved; i++) {
		struct phys_range r = machine.reserved[i];
		unsigned at = n;

		if (!r.size)
			continue;
		for (; at > 0 && out[at - 1].start > r.start; at--)
			out[at] = out[at - 1];
		out[at] = r;
		n++;
	}
	for (unsigned i = 1; i < n; i++)
		if (range_end(&out[i - 1]) > out[i].start)
			panic("mm: memory reservations overlap at %llx",
			      (unsigned long long)out[i].start);
	return n;
}
