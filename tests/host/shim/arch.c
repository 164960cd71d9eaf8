/* SPDX-License-Identifier: MIT */
/* Stand-ins for arch/aarch64: entries are valid | table << 1 | prot << 2 | address; TLB operations go to hooks. */
#include "tests/host/shim/shim.h"

#include "lib/atomic.h"

#include <string.h>

#define ENTRY_VALID BIT(0)
#define ENTRY_TABLE BIT(1)
#define ENTRY_ADDR  0x0000fffffffff000UL

void (*shim_on_tlb)(vaddr_t va, uint16_t asid, bool local);
void (*shim_on_user_table)(paddr_t root, uint16_t asid);
void (*shim_on_sync_icache)(const void *va, size_t len);
unsigned shim_asid_bits = 16;
uint64_t shim_syncs;

static __thread paddr_t user_table;
static pte_t kernel_root[PAGE_SIZE / sizeof(pte_t)] __aligned(4096);

uint64_t arch_counter_hz(void)
{
	return NS_PER_S;
}

void arch_set_user_table(paddr_t root, uint16_t asid)
{
	user_table = root;
	if (shim_on_user_table)
		shim_on_user_table(root, asid);
}

unsigned arch_asid_bits(void)
{
	return shim_asid_bits;
}

static void tlb(vaddr_t va, uint16_t asid, bool local)
{
	if (shim_on_tlb)
		shim_on_tlb(va, asid, local);
}

void arch_tlb_flush_page(vaddr_t va, uint16_t asid)
{
	tlb(va, asid, false);
}

void arch_tlb_flush_page_local(vaddr_t va, uint16_t asid)
{
	tlb(va, asid, true);
}

void arch_tlb_flush_asid(uint16_t asid)
{
	tlb(0, asid, false);
}

void arch_tlb_flush_asid_local(uint16_t asid)
{
	tlb(0, asid, true);
}

void arch_tlb_flush_all(void)
{
	tlb(0, 0, false);
}

void arch_tlb_flush_all_local(void)
{
	tlb(0, 0, true);
}

void arch_tlb_flush_kernel_page(vaddr_t va)
{
	tlb(va, 0, false);
}

void arch_zero_page(void *page)
{
	memset(page, 0, PAGE_SIZE);
}

void arch_copy_page(void *to, const void *from)
{
	memcpy(to, from, PAGE_SIZE);
}

void arch_sync_icache(const void *va, size_t len)
{
	shim_syncs++;
	if (shim_on_sync_icache)
		shim_on_sync_icache(va, len);
}

pte_t arch_pte_leaf(paddr_t pa, unsigned level, unsigned prot)
{
	(void)level;
	return pa.pa | (pte_t)prot << 2 | ENTRY_VALID;
}

pte_t arch_pte_table(paddr_t pa)
{
	return pa.pa | ENTRY_TABLE | ENTRY_VALID;
}

bool arch_pte_valid(pte_t e)
{
	return e & ENTRY_VALID;
}

bool arch_pte_is_table(pte_t e, unsigned level)
{
	return level < 3 && (e & (ENTRY_VALID | ENTRY_TABLE)) == (ENTRY_VALID | ENTRY_TABLE);
}

paddr_t arch_pte_addr(pte_t e)
{
	return paddr(e & ENTRY_ADDR);
}

unsigned arch_pte_prot(pte_t e)
{
	return (unsigned)(e >> 2) & 0x1f;
}

/* Not in the arena: a test that maps kernel pages copies it there or gives its own. */
__attribute__((weak)) pte_t *arch_kernel_root(void)
{
	return kernel_root;
}

void arch_pte_sync(void)
{
	atomic_fence();
}
