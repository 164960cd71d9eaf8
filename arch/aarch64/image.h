/* SPDX-License-Identifier: MIT */
/* Places in the image that linker.ld and the assembly files name. */
#ifndef TERN_ARCH_AARCH64_IMAGE_H
#define TERN_ARCH_AARCH64_IMAGE_H

#include "lib/types.h"

/* linker.ld */
extern char image_start[], image_end[], text_end[], rodata_end[], data_end[];
extern char sched_text_start[], sched_text_end[];
extern char boot_stack_guard[];
extern void (*const init_array_start[])(void);
extern void (*const init_array_end[])(void);

/* Instruction and continuation, each relative to its own field's address. */
struct ex_entry {
	int32_t from;
	int32_t to;
};
extern const struct ex_entry ex_table_start[], ex_table_end[];

/* boot.S */
extern char boot_secondary[];

#endif
