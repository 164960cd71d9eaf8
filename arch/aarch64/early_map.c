/* SPDX-License-Identifier: MIT */
/* The first page tables, made before the MMU is on. The code runs at its physical address: the compiler reaches
 * every symbol PC-relative (adrp), so an address taken here is a physical one. No absolute address may be stored
 * in data used here, and no sanitizer may instrument this file. */
#include "arch/aarch64/mmu_priv.h"
#include "arch/aarch64/shadow_priv.h"

struct boot_info boot_info __section(".bss.boot_scratch");
pte_t boot_tables[BOOT_TABLES][PTES] __section(".bss.boot_scratch") __aligned(4096);

static unsigned level_shift(unsigned level)
{
	return 39 - 9 * level;
}

/* The next table below e, made from the pool if there is none. NULL: the pool is used up, or a block is there. */
static pte_t *next_table(pte_t *e, uint64_t table_delta)
{
	pte_t *t;

	if (*e & PTE_VALID)
		return *e & PTE_TABLE ? (pte_t *)((*e & PTE_ADDR_MASK) + table_delta) : NULL;
	if (boot_info.tables_used == BOOT_TABLES)
		return NULL;
	t = boot_tables[boot_info.tables_used++];
	*e = arch_pte_table(paddr((uint64_t)t - table_delta));
	return t;
}

bool boot_map(pte_t *root, uint64_t table_delta, vaddr_t va, uint64_t pa, uint64_t size,
	      unsigned prot)
{
	while (size) {
		pte_t *table = root;
		unsigned level = 1;
		uint64_t block = BIT(level_shift(level));

		while (level < 3 && (((va | pa) & (block - 1)) || size < block)) {
			table = next_table(&table[va >> level_shift(level) & (PTES - 1)],
					   table_delta);
			if (!table)
				return false;
			block = BIT(level_shift(++level));
		}
		table[va >> level_shift(level) & (PTES - 1)] =
			arch_pte_leaf(paddr(pa), level, prot);
		va += block;
		pa += block;
		size -= block;
	}
	return true;
}

static void clear_table(pte_t *t)
{
	for (unsigned i = 0; i < PTES; i++)
		t[i] = 0;
}

/* One part of the image in the kernel's half; its symbols give physical addresses here. */
static bool map_part(uint64_t image_pa, const char *from, const char *to, unsigned prot)
{
	uint64_t pa = (uint64_t)from;

	return boot_map(kernel_root, 0, KERNEL_IMAGE_BASE + (pa - image_pa), pa,
			(uint64_t)(to - from), prot | PTE_GLOBAL);
}

void early_map(uint64_t image_pa)
{
	uint64_t size = (uint64_t)(image_end - image_start);
	bool ok;

	clear_table(kernel_root);
	clear_table(boot_identity_root);
	for (unsigned i = 0; i < BOOT_TABLES; i++)
		clear_table(boot_tables[i]);
	boot_info.image_pa = image_pa;
	boot_info.tables_used = 0;
	ok = map_part(image_pa, image_start, text_end, PTE_EXEC) &&
	     map_part(image_pa, text_end, rodata_end, 0) &&
	     map_part(image_pa, rodata_end, boot_stack_guard, PTE_WRITE) &&
	     map_part(image_pa, boot_stack_guard + PAGE_SIZE, image_end, PTE_WRITE);
	/* The step from physical to virtual: the image once more, where it is, for TTBR0. Never writable. */
	ok = ok &&
	     boot_map(boot_identity_root, 0, image_pa, image_pa, ALIGN_UP(size, BIT(21)), PTE_EXEC);
	shadow_early_map();
	if (ok)
		return;
	for (;;)
		__asm__ __volatile__("wfi");
}
