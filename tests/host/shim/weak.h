/* SPDX-License-Identifier: MIT */
/* Weak memory for a host whose own is strong. The flag "-include tests/host/shim/weak.h" puts it before every source of a
 * program; READ_ONCE, WRITE_ONCE and the dma barriers of the watched memory then go through a model: a store is a new
 * message of its word, a load may take any message that the reader is not yet bound to have seen, and only a barrier
 * after that load binds it to what the writer's barrier put before the message. Every way the loads can come out is
 * run, one after the other.
 *
 * What it cannot show: a load that takes a store of the other side's future (which needs no barrier but a broken
 * dependency), and words the sources share without READ_ONCE and WRITE_ONCE. */
#ifndef TERN_TESTS_HOST_SHIM_WEAK_H
#define TERN_TESTS_HOST_SHIM_WEAK_H

#include "arch/aarch64/arch.h"
#include "lib/types.h"

enum weak_agent { WEAK_DRIVER, WEAK_DEVICE };
enum weak_barrier { WEAK_NONE, WEAK_RMB = 1, WEAK_WMB = 2, WEAK_MB = 4 };

/* Run `run` once for each way its choices can come out, until it returns false. The number of runs, 0 if one was
 * false. The driver's barriers of the kinds in `without` do nothing: the mutant. */
unsigned weak_explore(bool (*run)(void), unsigned without);
/* In a run: the memory of the model; what it holds now is old, and known to both. */
void weak_watch(const void *at, size_t n);
/* Whose loads, stores and barriers come next. */
void weak_be(enum weak_agent who);
/* This agent sees every store so far, as after an interrupt or a notification. */
void weak_see_all(enum weak_agent who);
/* One of n ways to go on. */
unsigned weak_choose(unsigned n);

uint64_t weak_load(const volatile void *at, size_t n);
void weak_store(volatile void *at, size_t n, uint64_t value);
void weak_fence(enum weak_barrier kind);

#undef READ_ONCE
#undef WRITE_ONCE
#define READ_ONCE(x)	 ((__typeof__(x))weak_load(&(x), sizeof(x)))
#define WRITE_ONCE(x, v) weak_store(&(x), sizeof(x), (uint64_t)(v))
#define arch_dma_rmb()	 weak_fence(WEAK_RMB)
#define arch_dma_wmb()	 weak_fence(WEAK_WMB)
#define arch_dma_mb()	 weak_fence(WEAK_MB)

#endif
