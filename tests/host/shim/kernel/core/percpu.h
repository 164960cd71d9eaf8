/* SPDX-License-Identifier: MIT */
/* The kernel's own header, but for the section's name: the host's linker marks the ends only of sections whose
 * names are identifiers. */
#ifndef TERN_TESTS_HOST_SHIM_PERCPU_H
#define TERN_TESTS_HOST_SHIM_PERCPU_H

/* by path: the rooted name is this file */
#include "../../../../../kernel/core/percpu.h"

extern char __start_percpu_host[] __attribute__((weak));
extern char __stop_percpu_host[] __attribute__((weak));

#undef DEFINE_PER_CPU
#define DEFINE_PER_CPU(type, name) __section("percpu_host") __typeof__(type) name

#endif
