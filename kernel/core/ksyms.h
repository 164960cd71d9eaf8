/* SPDX-License-Identifier: MIT */
/* The table that the build makes of the symbols (scripts/symbols.py). */
#ifndef TERN_KERNEL_CORE_KSYMS_H
#define TERN_KERNEL_CORE_KSYMS_H

#include "lib/types.h"

extern const uint64_t ksym_base;
extern const uint32_t ksym_count;
extern const uint32_t ksym_offsets[];
extern const char ksym_names[];

#endif
