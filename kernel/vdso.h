/* SPDX-License-Identifier: MIT */
/* The vDSO: two pages of the kernel's in every program, the clock's data and code that reads it (kernel/vdso/). */
#ifndef TERN_KERNEL_VDSO_H
#define TERN_KERNEL_VDSO_H

#include "mm/vm/space.h"

/* Where the signal trampoline lies in the code's page: kernel/vdso/vdso.lds. */
#define VDSO_SIGRETURN 0xff4

/* exec: into a new space; space->vdso becomes its address. 0 or -ENOMEM. */
int vdso_map(struct vm_space *space) __must_check;

static inline vaddr_t vdso_sigreturn(const struct vm_space *space)
{
	return space->vdso ? space->vdso + VDSO_SIGRETURN : 0;
}

void vdso_init(void); /* boot: no memory leaves programs without it */

/* build: the image's copy, on a page of its own. */
extern const char vdso_image[];

#endif
