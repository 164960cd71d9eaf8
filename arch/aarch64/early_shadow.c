/* SPDX-License-Identifier: MIT */
/* The shadow's page tables. Nothing here is instrumented: it runs before there is a shadow, or while its entries are
 * being exchanged. */
#include "arch/aarch64/shadow_priv.h"

/* Of an image of at most 16 MiB: one table. */
#define IMAGE_SHADOW_SIZE BIT(21)
#define IMAGE_SHADOW	  SHADOW_OF(KERNEL_IMAGE_BASE)
#define BLOCK		  BIT(21)

static pte_t zero_page[PTES] __section(".bss.boot_scratch") __aligned(4096);
static pte_t zero_l3[PTES] __section(".bss.boot_scratch") __aligned(4096);
static pte_t zero_l2[PTES] __section(".bss.boot_scratch") __aligned(4096);
static pte_t image_l2[PTES] __section(".bss.boot_scratch") __aligned(4096);
static pte_t image_l3[PTES] __section(".bss.boot_scratch") __aligned(4096);
static char image_shadow[IMAGE_SHADOW_SIZE] __section(".bss.boot_scratch") __aligned(4096);

static pte_t *entry(pte_t *table, vaddr_t va, unsigned level)
{
	return &table[va >> (39 - 9 * level) & (PTES - 1)];
}

void shadow_early_map(void)
{
	const unsigned prot = PTE_WRITE | PTE_GLOBAL;

	for (unsigned i = 0; i < PTES; i++) {
		zero_page[i] = 0;
		zero_l3[i] = arch_pte_leaf(paddr((uint64_t)zero_page), 3, PTE_GLOBAL);
		zero_l2[i] = arch_pte_table(paddr((uint64_t)zero_l3));
		image_l2[i] = zero_l2[i];
		image_l3[i] = zero_l3[i];
	}
	for (vaddr_t va = SHADOW_BASE; va < SHADOW_BASE + SHADOW_SIZE; va += BIT(30))
		*entry(kernel_root, va, 1) = arch_pte_table(paddr((uint64_t)zero_l2));
	*entry(kernel_root, IMAGE_SHADOW, 1) = arch_pte_table(paddr((uint64_t)image_l2));
	*entry(image_l2, IMAGE_SHADOW, 2) = arch_pte_table(paddr((uint64_t)image_l3));
	for (uint64_t off = 0; off < IMAGE_SHADOW_SIZE; off += PAGE_SIZE) {
		*entry(image_l3, IMAGE_SHADOW + off, 3) =
			arch_pte_leaf(paddr((uint64_t)image_shadow + off), 3, prot);
		for (unsigned i = 0; i < PAGE_SIZE; i++)
			image_shadow[off + i] = 0;
	}
}

static uint64_t linear_pa(const void *p)
{
	return (uintptr_t)p - LINEAR_BASE + arch_linear_pa;
}

static uint64_t image_pa(const void *p)
{
	return (uintptr_t)p - KERNEL_IMAGE_BASE + boot_info.image_pa;
}

/* The second-level table over va, made private if it is still the shared one. */
static pte_t *private_l2(vaddr_t va, void *(*alloc)(size_t size, size_t align))
{
	pte_t *e = entry(kernel_root, va, 1);
	pte_t *t;

	if ((*e & PTE_ADDR_MASK) != image_pa(zero_l2))
		return (pte_t *)(LINEAR_BASE + (*e & PTE_ADDR_MASK) - arch_linear_pa);
	t = alloc(PAGE_SIZE, PAGE_SIZE);
	for (unsigned i = 0; i < PTES; i++)
		t[i] = zero_l2[i];
	/* the same translations by another table: nothing has to be unmapped in between */
	*e = arch_pte_table(paddr(linear_pa(t)));
	return t;
}

void arch_map_shadow(vaddr_t from, vaddr_t to, void *(*alloc)(size_t size, size_t align))
{
	for (vaddr_t va = ALIGN_DOWN(SHADOW_OF(from), BLOCK); va < SHADOW_OF(to); va += BLOCK) {
		pte_t *e = entry(private_l2(va, alloc), va, 2);
		void *block;

		if (!arch_pte_is_table(*e, 2))
			continue;
		block = alloc(BLOCK, BLOCK);
		/* break before make: the entry changes from a table to a block */
		*e = 0;
		arch_tlb_flush_all();
		*e = arch_pte_leaf(paddr(linear_pa(block)), 2, PTE_WRITE | PTE_GLOBAL);
		arch_pte_sync();
	}
}
