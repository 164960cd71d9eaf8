/* SPDX-License-Identifier: MIT */
/* Translation after boot: the linear map, the device area, the format of an entry, and invalidation. */
#include "arch/aarch64/mmu_priv.h"
#include "arch/aarch64/shadow_priv.h"
#include "arch/aarch64/sysreg.h"
#include "lib/string.h"

uint64_t arch_linear_pa; /* [init] */
/* What TTBR0 points at when there is no user space: nothing is mapped there. */
static const pte_t empty_table[PTES] __aligned(4096);

paddr_t arch_image_start(void)
{
	return paddr(boot_info.image_pa);
}

size_t arch_image_size(void)
{
	return (size_t)(image_end - image_start);
}

static uint64_t image_to_phys(const void *p)
{
	return (uintptr_t)p - KERNEL_IMAGE_BASE + boot_info.image_pa;
}

static bool map_kernel(vaddr_t va, uint64_t pa, uint64_t size, unsigned prot)
{
	bool ok = boot_map(kernel_root, KERNEL_IMAGE_BASE - boot_info.image_pa, va, pa, size,
			   prot | PTE_GLOBAL);

	arch_pte_sync();
	return ok;
}

void arch_set_linear_base(uint64_t lowest_ram)
{
	arch_linear_pa = ALIGN_DOWN(lowest_ram, BIT(30));
}

/* Map the part of [start, end) that lies in [lo, hi). */
static bool map_linear_part(uint64_t start, uint64_t end, uint64_t lo, uint64_t hi, unsigned prot)
{
	start = MAX(start, lo);
	end = MIN(end, hi);
	if (start >= end)
		return true;
	return map_kernel(LINEAR_BASE + (start - arch_linear_pa), start, end - start, prot);
}

bool arch_map_ram(uint64_t start, uint64_t size)
{
	uint64_t end = ALIGN_DOWN(start + size, PAGE_SIZE);
	uint64_t ro_start = boot_info.image_pa;
	uint64_t ro_end = image_to_phys(rodata_end);

	start = ALIGN_UP(start, PAGE_SIZE);
	if (start < arch_linear_pa || end - arch_linear_pa > LINEAR_SIZE)
		return false;
	/* The image's text and constants are not writable here either. */
	return map_linear_part(start, end, 0, ro_start, PTE_WRITE) &&
	       map_linear_part(start, end, ro_start, ro_end, 0) &&
	       map_linear_part(start, end, ro_end, UINT64_MAX, PTE_WRITE);
}

/* The device area is filled from its bottom in 2 MiB blocks; the last 64 MiB show the device tree. */
#define BLOCK	    BIT(21)
#define TREE_ROOM   (32 * BLOCK)
#define TREE_WINDOW (DEVICE_AREA_BASE + DEVICE_AREA_SIZE - TREE_ROOM)

const void *arch_map_tree(paddr_t pa, size_t size)
{
	uint64_t base = ALIGN_DOWN(pa.pa, BLOCK);

	if (size > TREE_ROOM - BLOCK ||
	    !map_kernel(TREE_WINDOW, base, ALIGN_UP(pa.pa + size, BLOCK) - base, 0))
		return NULL;
	return (const void *)(TREE_WINDOW + (pa.pa - base));
}

static vaddr_t device_next = DEVICE_AREA_BASE; /* [init] */

/* The existing mapping of a device block, or NULL. */
static void *device_find(uint64_t block_pa)
{
	const pte_t *table;
	pte_t e = kernel_root[DEVICE_AREA_BASE >> 30 & (PTES - 1)];

	if (!arch_pte_valid(e))
		return NULL;
	table = (const pte_t *)((e & PTE_ADDR_MASK) + KERNEL_IMAGE_BASE - boot_info.image_pa);
	for (vaddr_t va = DEVICE_AREA_BASE; va < device_next; va += BLOCK) {
		e = table[va >> 21 & (PTES - 1)];
		if (arch_pte_valid(e) && arch_pte_addr(e).pa == block_pa)
			return (void *)va;
	}
	return NULL;
}

void *arch_map_device(uint64_t start, uint64_t size)
{
	uint64_t base = ALIGN_DOWN(start, BLOCK);
	uint64_t len = ALIGN_UP(start + size, BLOCK) - base;
	char *va;

	if (len == BLOCK) {
		va = device_find(base);
		if (va)
			return va + (start - base);
	}
	if (!size || start + size < start || len > TREE_WINDOW - device_next)
		return NULL;
	va = (char *)device_next;
	if (!map_kernel(device_next, base, len, PTE_WRITE | PTE_DEVICE))
		return NULL;
	device_next += len;
	return va + (start - base);
}

/* Is any kernel page both writable and executable, or executable by EL0? W^X, asserted at boot. */
static bool table_is_safe(const pte_t *table, unsigned level)
{
	for (unsigned i = 0; i < PTES; i++) {
		pte_t e = table[i];

		if (!arch_pte_valid(e) || (level == 1 && shadow_root_index(i)))
			continue;
		if (arch_pte_is_table(e, level)) {
			uint64_t pa = arch_pte_addr(e).pa;

			if (!table_is_safe((const pte_t *)(LINEAR_BASE + (pa - arch_linear_pa)),
					   level + 1))
				return false;
		} else if (!(e & PTE_UXN) || (e & PTE_AP_EL0) ||
			   (!(e & PTE_AP_RO) && !(e & PTE_PXN))) {
			return false;
		}
	}
	return true;
}

bool arch_kernel_map_is_safe(void)
{
	return table_is_safe(kernel_root, 1);
}

/* --- entries --------------------------------------------------------------------------------------------- */

unsigned arch_pte_prot(pte_t e)
{
	unsigned prot = 0;

	if (e & PTE_AP_EL0)
		prot |= PTE_USER;
	if (!(e & PTE_AP_RO))
		prot |= PTE_WRITE;
	if (!(e & (e & PTE_AP_EL0 ? PTE_UXN : PTE_PXN)))
		prot |= PTE_EXEC;
	if ((e >> 2 & 7) == 1)
		prot |= PTE_DEVICE;
	if (!(e & PTE_NG))
		prot |= PTE_GLOBAL;
	return prot;
}

pte_t *arch_kernel_root(void)
{
	return (pte_t *)(LINEAR_BASE + (image_to_phys(kernel_root) - arch_linear_pa));
}

void arch_pte_sync(void)
{
	dsb(ishst);
	isb();
}

/* --- TTBR0 and invalidation -------------------------------------------------------------------------------- */

void arch_set_user_table(paddr_t root, uint16_t asid)
{
	uint64_t pa = root.pa ? root.pa : image_to_phys(empty_table);

	dsb(ishst);
	sysreg_write(ttbr0_el1, pa | (uint64_t)asid << 48);
	isb();
}

void arch_leave_identity_map(void)
{
	arch_set_user_table(paddr(0), 0);
	/* its entries were those of ASID 0, as the empty table's are */
	arch_tlb_flush_all_local();
}

unsigned arch_asid_bits(void)
{
	return field(sysreg_read(id_aa64mmfr0_el1), 4) == 2 ? 16 : 8;
}

/* Each: make earlier entry stores visible to the walkers, invalidate, wait until no walker uses the old. */
#define TLBI(op, arg)                                                                              \
	__asm__ __volatile__("dsb ishst\n\ttlbi " op ", %0\n\tdsb ish\n\tisb"                      \
			     :                                                                     \
			     : "r"(arg)                                                            \
			     : "memory")
#define TLBI_LOCAL(op, arg)                                                                        \
	__asm__ __volatile__("dsb nshst\n\ttlbi " op ", %0\n\tdsb nsh\n\tisb"                      \
			     :                                                                     \
			     : "r"(arg)                                                            \
			     : "memory")

static uint64_t tlbi_page(vaddr_t va, uint16_t asid)
{
	return (va >> 12 & (BIT(44) - 1)) | (uint64_t)asid << 48;
}

void arch_tlb_flush_page(vaddr_t va, uint16_t asid)
{
	TLBI("vae1is", tlbi_page(va, asid));
}

void arch_tlb_flush_page_local(vaddr_t va, uint16_t asid)
{
	TLBI_LOCAL("vae1", tlbi_page(va, asid));
}

void arch_tlb_flush_asid(uint16_t asid)
{
	TLBI("aside1is", (uint64_t)asid << 48);
}

void arch_tlb_flush_asid_local(uint16_t asid)
{
	TLBI_LOCAL("aside1", (uint64_t)asid << 48);
}

void arch_tlb_flush_all(void)
{
	__asm__ __volatile__("dsb ishst\n\ttlbi vmalle1is\n\tdsb ish\n\tisb" : : : "memory");
}

void arch_tlb_flush_all_local(void)
{
	__asm__ __volatile__("dsb nshst\n\ttlbi vmalle1\n\tdsb nsh\n\tisb" : : : "memory");
}

void arch_tlb_flush_kernel_page(vaddr_t va)
{
	TLBI("vaae1is", tlbi_page(va, 0));
}

/* CTR_EL0.L1Ip */
#define CTR_PIPT 3

void arch_sync_icache(const void *va, size_t len)
{
	uint64_t ctr = sysreg_read(ctr_el0);
	uintptr_t dline = 4UL << (ctr >> 16 & 0xf);
	uintptr_t iline = 4UL << (ctr & 0xf);
	uintptr_t end = (uintptr_t)va + len;

	/* CTR_EL0.IDC and .DIC say when the caches keep themselves coherent. */
	if (!(ctr & BIT(28))) {
		for (uintptr_t a = ALIGN_DOWN((uintptr_t)va, dline); a < end; a += dline)
			__asm__ __volatile__("dc cvau, %0" : : "r"(a) : "memory");
	}
	dsb(ish);
	if (!(ctr & BIT(29)) && (ctr >> 14 & 3) != CTR_PIPT) {
		/* indexed by virtual address: our alias says nothing about the lines of the user's */
		__asm__ __volatile__("ic ialluis" : : : "memory");
	} else if (!(ctr & BIT(29))) {
		for (uintptr_t a = ALIGN_DOWN((uintptr_t)va, iline); a < end; a += iline)
			__asm__ __volatile__("ic ivau, %0" : : "r"(a) : "memory");
	}
	dsb(ish);
	isb();
}

void arch_zero_page(void *page)
{
	uint64_t dczid = sysreg_read(dczid_el0);
	uintptr_t line = 4UL << (dczid & 0xf), at = (uintptr_t)page, end = at + PAGE_SIZE;

	/* DZP: not allowed, as a hypervisor may say */
	if ((dczid & BIT(4)) || line * 8 > PAGE_SIZE) {
		memset(page, 0, PAGE_SIZE);
		return;
	}
	__asm__ __volatile__("1:	.rept	8\n"
			     "	dc	zva, %0\n"
			     "	add	%0, %0, %1\n"
			     "	.endr\n"
			     "	cmp	%0, %2\n"
			     "	b.ne	1b"
			     : "+r"(at)
			     : "r"(line), "r"(end)
			     : "cc", "memory");
}
