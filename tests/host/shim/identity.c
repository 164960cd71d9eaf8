/* SPDX-License-Identifier: MIT */
/* A physical address is the host's own; of a page, its bytes are in priv. */
#include "mm/phys/page.h"

paddr_t page_to_phys(const struct page *p)
{
	return paddr((uintptr_t)p->priv);
}

paddr_t virt_to_phys(const void *linear)
{
	return paddr((uintptr_t)linear);
}

void *phys_to_virt(paddr_t pa)
{
	return (void *)(uintptr_t)pa.pa;
}
