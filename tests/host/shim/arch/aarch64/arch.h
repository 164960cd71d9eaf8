/* SPDX-License-Identifier: MIT */
/* The host's stand-in for the CPU's contract: each host thread is a CPU while it runs kernel code. RAM is an arena
 * of the host, page-table entries have a layout of their own, TLB operations go to hooks that a test may replace. */
#ifndef TERN_ARCH_AARCH64_ARCH_H
#define TERN_ARCH_AARCH64_ARCH_H

#include "lib/annotate.h"
#include "lib/types.h"
#include "arch/aarch64/frame.h"
#include <setjmp.h>

struct cpu;
struct thread;
struct thread_base;

#define PAGE_SHIFT 12
#undef PAGE_SIZE
#define PAGE_SIZE (1UL << PAGE_SHIFT)

extern uintptr_t shim_linear_base; /* where the arena begins */
extern uint64_t arch_linear_pa;	   /* its physical address */

#define LINEAR_BASE	  shim_linear_base
#define LINEAR_SIZE	  (256UL << 30)
#define KSTACK_AREA_BASE  0xffffffc000000000UL
#define KSTACK_AREA_SIZE  (64UL << 30)
#define DEVICE_AREA_BASE  0xffffffe000000000UL
#define DEVICE_AREA_SIZE  (1UL << 30)
#define KERNEL_IMAGE_BASE 0xfffffff000000000UL
#define USER_MIN	  0x1000UL
#define USER_MAX	  0x8000000000UL

extern __thread struct cpu *shim_cpu;
extern __thread void *shim_current;
extern __thread struct thread_base shim_nobody; /* current, where nobody was made so */
extern __thread bool shim_irqs_off;

static inline struct cpu *arch_cpu(void)
{
	return shim_cpu;
}

static inline struct thread *arch_current(void)
{
	return shim_current ? shim_current : (struct thread *)&shim_nobody;
}

typedef uint64_t irqflags_t;

static inline irqflags_t arch_irq_save(void)
{
	irqflags_t f = shim_irqs_off;

	shim_irqs_off = true;
	return f;
}

static inline void arch_irq_restore(irqflags_t f)
{
	shim_irqs_off = f;
}

static inline void arch_irq_enable(void)
{
	shim_irqs_off = false;
}

static inline void arch_irq_disable(void)
{
	shim_irqs_off = true;
}

static inline bool arch_irqs_off(void)
{
	return shim_irqs_off;
}

static inline void arch_wait_for_interrupt(void)
{
}

static inline void arch_spin_hint(void)
{
}

static inline void arch_dma_wmb(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void arch_dma_rmb(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void arch_dma_mb(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

uint64_t arch_counter(void);
uint64_t arch_counter_hz(void);

struct arch_thread {
	uintptr_t sp;
	uint64_t tpidr_el0;
	struct fpsimd_state {
		__uint128_t v[32];
		uint32_t fpsr;
		uint32_t fpcr;
	} fpsimd;
};

void arch_thread_init(struct arch_thread *at, void *stack_top, void (*entry)(void *), void *arg);
struct thread *arch_switch(struct thread *prev, struct arch_thread *prev_at, bool prev_user,
			   struct thread *next, struct arch_thread *next_at, bool next_user);

void arch_set_user_table(paddr_t root, uint16_t asid);
unsigned arch_asid_bits(void);
void arch_tlb_flush_page(vaddr_t va, uint16_t asid);
void arch_tlb_flush_page_local(vaddr_t va, uint16_t asid);
void arch_tlb_flush_asid(uint16_t asid);
void arch_tlb_flush_asid_local(uint16_t asid);
void arch_tlb_flush_all(void);
void arch_tlb_flush_all_local(void);
void arch_tlb_flush_kernel_page(vaddr_t va);
void arch_sync_icache(const void *va, size_t len);
void arch_zero_page(void *page);
void arch_copy_page(void *to, const void *from);

typedef uint64_t pte_t;
#undef PTE_WRITE
#define PTE_USER   BIT(0)
#define PTE_WRITE  BIT(1)
#define PTE_EXEC   BIT(2)
#define PTE_DEVICE BIT(3)
#define PTE_GLOBAL BIT(4)

pte_t arch_pte_leaf(paddr_t pa, unsigned level, unsigned prot);
pte_t arch_pte_table(paddr_t pa);
bool arch_pte_valid(pte_t e);
bool arch_pte_is_table(pte_t e, unsigned level);
paddr_t arch_pte_addr(pte_t e);
unsigned arch_pte_prot(pte_t e);
static inline bool arch_pte_writable(pte_t e)
{
	return arch_pte_prot(e) & PTE_WRITE;
}
static inline pte_t arch_pte_read_only(pte_t e)
{
	return e & ~((pte_t)PTE_WRITE << 2);
}
pte_t *arch_kernel_root(void);
void arch_pte_sync(void);

size_t arch_copy_from_user(void *dst, vaddr_t src, size_t n) __must_check;
size_t arch_copy_to_user(vaddr_t dst, const void *src, size_t n) __must_check;

static inline bool arch_put_user64(vaddr_t to, uint64_t v)
{
	return arch_copy_to_user(to, &v, sizeof(v)) == 0;
}

static inline bool arch_get_user64(uint64_t *v, vaddr_t from)
{
	return arch_copy_from_user(v, from, sizeof(*v)) == 0;
}

size_t arch_zero_user(vaddr_t dst, size_t n) __must_check;

struct arch_jump_buf {
	jmp_buf env;
};
#define arch_mark(b)	setjmp((b)->env)
#define arch_jump(b, v) longjmp((b)->env, (v))

/* What kernel/core/machine.c asks of the boot; tests/fuzz/machine_fuzz.c has them. */
const void *arch_map_tree(paddr_t pa, size_t size);
void arch_set_linear_base(uint64_t lowest_ram);
bool arch_map_ram(uint64_t start, uint64_t size);
void *arch_map_device(uint64_t start, uint64_t size);
paddr_t arch_image_start(void);
size_t arch_image_size(void);
uint64_t arch_mpidr(void);
void arch_set_psci_conduit(bool smc);

#endif
