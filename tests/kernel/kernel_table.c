/* SPDX-License-Identifier: MIT */
#include "tests/kernel/kernel_table.h"

#include "lib/errno.h"
#include "mm/phys/page.h"
#include "mm/phys/pgtable.h"

int kernel_translate(vaddr_t va, paddr_t *out)
{
	const pte_t *table = arch_kernel_root();
	int err = -ENOENT;

	for (unsigned level = 1; level <= 3; level++) {
		unsigned shift = PAGE_SHIFT + 9 * (3 - level);
		pte_t e = pte_get(&table[va >> shift & 511]);

		if (!arch_pte_valid(e))
			break;
		if (!arch_pte_is_table(e, level)) {
			*out = paddr(arch_pte_addr(e).pa + (va & (BIT(shift) - 1)));
			err = 0;
			break;
		}
		table = phys_to_virt(arch_pte_addr(e));
	}
	return err;
}
