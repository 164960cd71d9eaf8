/* SPDX-License-Identifier: MIT */
/* What the code of the vDSO finds beside itself. */
#ifndef TERN_KERNEL_VDSO_PAGE_H
#define TERN_KERNEL_VDSO_PAGE_H

#include "kernel/core/clock_data.h"

/* vdso.lds: the page before the code. */
extern const struct clock_data clock_page __attribute__((visibility("hidden")));

#endif
