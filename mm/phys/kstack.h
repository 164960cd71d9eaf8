/* SPDX-License-Identifier: MIT */
/* Kernel stacks: mapped pages in the KSTACK area with an unmapped guard page below each, and the kernel's
 * page tables above the linear map. */
#ifndef TERN_MM_PHYS_KSTACK_H
#define TERN_MM_PHYS_KSTACK_H

#include "arch/aarch64/arch.h"

#define KSTACK_SIZE	  (16UL << 10)
#define KSTACK_SIZE_LARGE (64UL << 10) /* handshakes: ML-KEM and Ed25519 need 14 to 35 KiB */

struct kstack {
	uintptr_t lo; /* lowest usable byte; the page below is a hole */
	uintptr_t hi; /* one past the highest; 16-byte aligned */
};

/* 0 or -ENOMEM. size is KSTACK_SIZE or KSTACK_SIZE_LARGE. Freed ones are kept in a small cache. Context: thread. */
int kstack_alloc(struct kstack *out, size_t size) __must_check;
void kstack_free(struct kstack *s);

/* Map one page of the kernel's own space (device registers, stacks). 0, -ENOMEM, -EEXIST. */
int kernel_map_page(vaddr_t va, paddr_t pa, unsigned prot) __must_check;
/* 0 or -ENOENT if nothing was mapped. Flushes the TLB everywhere. */
int kernel_unmap_page(vaddr_t va) __must_check;

/* Where the kernel's table maps va to, block entries included. 0 or -ENOENT. */
int kernel_translate(vaddr_t va, paddr_t *out) __must_check;
/* boot, after pages_init(). */
void kstack_init(void);
/* Give the stacks kept for reuse back; returns pages freed. Context: thread. */
size_t kstack_reap(void);

#endif
