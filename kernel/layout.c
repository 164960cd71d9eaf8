/* SPDX-License-Identifier: MIT */
/* Address-space layout. A table of the second level reaches 1 GiB. Few programs are large; so the stack of one ends in
 * the table that the program ends in, or at its end without randomness, and needs none for its own sake. A large program,
 * or a stack that may become large, has the whole space instead.
 *
 * Random: position-independent programs and the mappings' base within 1 GiB (18 bits), the stack within 256 MiB (16), the
 * break within 32 MiB (13), all by pages. */
#include "kernel/layout.h"
#include "kernel/core/log.h"
#include "kernel/core/machine.h"
#include "kernel/core/random.h"
#include "mm/vm/space.h"

#define PIE_BASE   0x5500000000UL
#define MMAP_GAP   (256UL << 20)
#define TABLE_SPAN (1UL << 30)
/* Between a program's end and its stack's at least, of which chance may take half. */
#define HEAP_LEAST (512UL << 20)

/* A large stack has its limit free below it, at most this. */
#define STACK_ROOM_MAX (USER_MAX / 8)

static bool fixed; /* [init] */

void layout_init(void)
{
	fixed = cmdline_has("norandom");
	if (fixed)
		log_info("kernel: norandom: programs are at the same addresses each time");
}

static vaddr_t chance(uint64_t bytes)
{
	return fixed ? 0 : random_u32() % (bytes / PAGE_SIZE) * PAGE_SIZE;
}

void layout_choose(const struct elf_image *elf, uint64_t stack_max, struct layout *out)
{
	uint64_t bias = elf->pie ? PIE_BASE - elf->lowest + chance(TABLE_SPAN) : 0;
	vaddr_t end = elf->highest + bias, top = ALIGN_UP(end + HEAP_LEAST, TABLE_SPAN);

	bool large = stack_max > VM_STACK_RESERVE || top > STACK_TOP;

	top = (large ? STACK_TOP : top) - chance(HEAP_LEAST / 2);
	*out = (struct layout){
		.bias = bias,
		.brk = end + chance(32UL << 20),
		.stack_top = top,
		.mmap_base = (large ? top - MIN(ALIGN_DOWN(stack_max, PAGE_SIZE), STACK_ROOM_MAX)
				    : USER_MAX) -
			     MMAP_GAP - chance(TABLE_SPAN),
	};
}
