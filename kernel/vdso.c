/* SPDX-License-Identifier: MIT */
#include "kernel/vdso.h"
#include "kernel/core/clock.h"
#include "mm/phys/page.h"

static struct page *pages[2];	   /* [init] */
static struct vm_backing *backing; /* [init] NULL: no memory at boot */

static struct page *page_of_image(const void *p)
{
	return page_of_phys(paddr(arch_image_start().pa + ((uintptr_t)p - KERNEL_IMAGE_BASE)));
}

void vdso_init(void)
{
	pages[0] = page_of_image(clock_page());
	pages[1] = page_of_image(vdso_image);
	backing = vm_backing_kernel_pages("[vdso]", pages, ARRAY_SIZE(pages));
}

int vdso_map(struct vm_space *space)
{
	vaddr_t at;
	int err;

	if (!backing)
		return 0;
	err = vm_map(space, 0, ARRAY_SIZE(pages) * PAGE_SIZE, VM_READ | VM_EXEC | VM_NOWRITE,
		     backing, 0, &at);
	if (err == 0)
		space->vdso = at + PAGE_SIZE;
	return err;
}
