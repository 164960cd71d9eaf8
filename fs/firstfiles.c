/* SPDX-License-Identifier: MIT */
/* Where the first files come from: the archive linked into the image, mapped where it lies, and the boot loader's
 * initrd, copied, whose memory is then given back. */
#include "fs/names.h"
#include "fs/tmpfs.h"
#include "fs/vfs.h"
#include "kernel/core/log.h"
#include "kernel/core/machine.h"
#include "mm/phys/page.h"

/* The image's own mapping is not the linear map, where pages are named. */
static const void *linear_address(const char *in_image)
{
	uint64_t offset = (uintptr_t)in_image - KERNEL_IMAGE_BASE;

	return phys_to_virt(paddr(arch_image_start().pa + offset));
}

static int unpack_initrd(void)
{
	struct phys_range r = machine.initrd;
	int err;

	if (r.size == 0)
		return 0;
	err = initramfs_unpack(phys_to_virt(paddr(r.start)), r.size, false);
	if (err)
		log_warn(
			"fs: the initrd is damaged or too large (error %d): what came before is kept",
			-err);
	pages_free_reserved(paddr(r.start), r.size);
	return 0;
}

int vfs_first_files(void)
{
	size_t n = (size_t)(initramfs_end - initramfs_start);
	int err = initramfs_unpack(linear_address(initramfs_start), n, true);

	if (!err)
		err = unpack_initrd();
	/* half of memory for files, so that one full of them can still be worked on */
	tmpfs_set_limit(tmpfs_pages() + pages_usable() / 2);
	return err;
}
