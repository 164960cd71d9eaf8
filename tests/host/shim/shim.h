/* SPDX-License-Identifier: MIT */
/* What a host unit test says to the stand-ins: how many CPUs and how much RAM, and which CPU this thread is.
 *
 *	sources: @tests/host/shim.sources (and tests/host/shim/mutex.c)
 *
 * tests/host/shim/base.c is of all hosted programs; shim/core.c is not of those that bring their own threads. */
#ifndef TERN_TESTS_HOST_SHIM_H
#define TERN_TESTS_HOST_SHIM_H

#include "kernel/core/percpu.h"

/* base.c: the CPUs, and that one of them begins, with its per-CPU variables there. */
void shim_cpus_are(struct cpu *all, unsigned n);
void shim_cpu_begin(unsigned id, void *percpu);
/* What a BUG() does. */
void shim_bug(const char *file, int line, const char *text) __noreturn;

/* nr_cpus CPUs; this thread is CPU 0. */
void shim_cpus_init(unsigned nr_cpus);
/* RAM of size bytes at physical address pa, one range in `machine`, nothing reserved. May be called again: the old
 * arena is dropped. The arena is page aligned and filled with junk. */
void shim_ram_init(uint64_t pa, size_t size);
/* This host thread is now CPU id, with a thread_base of its own. */
void shim_enter_cpu(unsigned id);
/* A host thread that starts as CPU id; join waits for it. */
void *shim_thread_start(unsigned id, void (*fn)(unsigned id));
void shim_thread_join(void *thread);
/* Make t (a struct thread_base first) the current thread of this host thread. */
void shim_set_current(void *t);

/* The text of the BUG that fn(arg) ends in, or NULL if it returned. Locks it left held are dropped. */
const char *shim_bug_text(void (*fn)(void *), void *arg);
/* Does fn(arg) end in a BUG whose text contains text? */
bool shim_expect_bug(void (*fn)(void *), void *arg, const char *text);

/* Called before a spinlock is let go. */
extern void (*shim_unlock_hook)(const void *lock);

/* What clock_now_ns() says; tests move it. */
extern uint64_t shim_now_ns;

/* What the TLB operations were: tests replace them (NULL: nothing happens). va 0 means the whole ASID, asid 0 with
 * va 0 everything. */
extern void (*shim_on_tlb)(vaddr_t va, uint16_t asid, bool local);
extern void (*shim_on_user_table)(paddr_t root, uint16_t asid);
extern uint64_t shim_syncs; /* of the instruction cache */
extern void (*shim_on_sync_icache)(const void *va, size_t len);
extern unsigned shim_asid_bits;
extern uint64_t shim_asid_bits_cmdline; /* what asid_bits= says */

#endif
