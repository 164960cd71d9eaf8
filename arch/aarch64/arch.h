/* SPDX-License-Identifier: MIT */
/* The contract of the CPU: every promise arch/aarch64 makes to the floors above. Nothing outside arch/ and
 * drivers/chip/ names a system register. */
#ifndef TERN_ARCH_AARCH64_ARCH_H
#define TERN_ARCH_AARCH64_ARCH_H

#include "lib/annotate.h"
#include "lib/types.h"
#include "arch/aarch64/frame.h"

struct cpu;
struct thread;

#define PAGE_SHIFT 12
#define PAGE_SIZE  (1UL << PAGE_SHIFT)

/* The kernel's half of the address space (TTBR1, 39 bits). RAM is reached through the linear map: physical
 * address pa is at LINEAR_BASE + (pa - arch_linear_pa). [init] by machine_init(): the lowest RAM address of the
 * device tree, rounded down to 1 GiB. */
extern uint64_t arch_linear_pa;
#define KERNEL_SPACE_BASE 0xffffff8000000000UL
#define LINEAR_BASE	  0xffffff8000000000UL
#define LINEAR_SIZE	  (256UL << 30)
#define KSTACK_AREA_BASE  0xffffffc000000000UL
#define KSTACK_AREA_SIZE  (64UL << 30)
#define DEVICE_AREA_BASE  0xffffffe000000000UL
#define DEVICE_AREA_SIZE  (1UL << 30)
#define KERNEL_IMAGE_BASE 0xfffffff000000000UL
/* The users' half (TTBR0, 39 bits): [USER_MIN, USER_MAX). The first page is never mapped. */
#define USER_MIN 0x1000UL
#define USER_MAX 0x8000000000UL

/* The physical address of the image's first byte. */
paddr_t arch_image_start(void);
/* The whole image, bss included, rounded up to pages. */
size_t arch_image_size(void);

/* boot, in this order, by machine_init(): show size bytes of device tree at pa (read-only, stays; NULL: they are more
 * than its window takes; again with a larger size is allowed); say where RAM begins; map each range of it (false: outside the linear map, or too many pieces). */
const void *arch_map_tree(paddr_t pa, size_t size) __must_check;
void arch_set_linear_base(uint64_t lowest_ram);
bool arch_map_ram(uint64_t start, uint64_t size) __must_check;
/* boot, on each CPU: forget the map of the image at its physical address, over which the MMU was turned on. */
void arch_leave_identity_map(void);
/* boot: map device registers for good; NULL if the area is used up. */
void *arch_map_device(uint64_t start, uint64_t size) __must_check;
/* SAN=address: the shadow of address a is at SHADOW_OF(a). boot: give memory to the shadow of [from, to). */
#define SHADOW_BASE  0xffffffd000000000UL
#define SHADOW_SIZE  (64UL << 30)
#define SHADOW_OF(a) (((uintptr_t)(a) >> 3) + 0xdfffffe000000000UL)
void arch_map_shadow(vaddr_t from, vaddr_t to, void *(*alloc)(size_t size, size_t align));
/* boot: is no page of the kernel writable and executable, or open to EL0? Needs the linear map. */
bool arch_kernel_map_is_safe(void);

/* --- this CPU and the current thread --------------------------------------------------------------- */

/* This CPU's data. Meaningful only while preemption or interrupts are off: this_cpu() in
 * kernel/core/percpu.h asserts that and is what everybody calls. */
static inline struct cpu *arch_cpu(void)
{
	struct cpu *c;

	__asm__ __volatile__("mrs %0, tpidr_el1" : "=r"(c));
	return c;
}

/* The current thread. It moves with the thread, so it may be kept across anything. */
static inline struct thread *arch_current(void)
{
	struct thread *t;

	__asm__("mrs %0, sp_el0" : "=r"(t));
	return t;
}

/* Become t without a switch: the scheduler, when the boot thread gets its struct thread. The caller sets
 * cpu->current. Context: irqs off. */
static inline void arch_set_current(struct thread *t)
{
	__asm__ __volatile__("msr sp_el0, %0" : : "r"(t) : "memory");
}

/* --- interrupts ------------------------------------------------------------------------------------ */

typedef uint64_t irqflags_t;

static inline irqflags_t arch_irq_save(void)
{
	irqflags_t f;

	__asm__ __volatile__("mrs %0, daif\n\tmsr daifset, #3" : "=r"(f) : : "memory");
	return f;
}

static inline void arch_irq_restore(irqflags_t f)
{
	__asm__ __volatile__("msr daif, %0" : : "r"(f) : "memory");
}

static inline void arch_irq_enable(void)
{
	__asm__ __volatile__("msr daifclr, #3" : : : "memory");
}

static inline void arch_irq_disable(void)
{
	__asm__ __volatile__("msr daifset, #3" : : : "memory");
}

static inline bool arch_irqs_off(void)
{
	irqflags_t f;

	__asm__ __volatile__("mrs %0, daif" : "=r"(f));
	return f & 0x80;
}

/* Sleep until an interrupt is pending. Call with interrupts off; they are still off on return. */
void arch_wait_for_interrupt(void);

/* A hint in a spin loop: lets the emulator run another CPU. */
static inline void arch_spin_hint(void)
{
	__asm__ __volatile__("yield" : : : "memory");
}

/* --- barriers (the virtio queue names its partners) -------------------------------------------------- */

/* Earlier writes before later writes / earlier reads before later reads and writes / all before all,
 * in the outer shareable domain, as seen by a device that shares memory coherently. */
static inline void arch_dma_wmb(void)
{
	__asm__ __volatile__("dmb oshst" : : : "memory");
}

static inline void arch_dma_rmb(void)
{
	__asm__ __volatile__("dmb oshld" : : : "memory");
}

static inline void arch_dma_mb(void)
{
	__asm__ __volatile__("dmb osh" : : : "memory");
}

/* --- device registers: one instruction each, no write-back addressing, so that a hypervisor can decode them */

static inline uint8_t mmio_read8(const void *p)
{
	uint8_t v;

	__asm__ __volatile__("ldrb %w0, [%1]" : "=r"(v) : "r"(p) : "memory");
	return v;
}

static inline uint32_t mmio_read32(const void *p)
{
	uint32_t v;

	__asm__ __volatile__("ldr %w0, [%1]" : "=r"(v) : "r"(p) : "memory");
	return v;
}

static inline uint64_t mmio_read64(const void *p)
{
	uint64_t v;

	__asm__ __volatile__("ldr %0, [%1]" : "=r"(v) : "r"(p) : "memory");
	return v;
}

static inline void mmio_write8(void *p, uint8_t v)
{
	__asm__ __volatile__("strb %w0, [%1]" : : "r"(v), "r"(p) : "memory");
}

static inline void mmio_write32(void *p, uint32_t v)
{
	__asm__ __volatile__("str %w0, [%1]" : : "r"(v), "r"(p) : "memory");
}

static inline void mmio_write64(void *p, uint64_t v)
{
	__asm__ __volatile__("str %0, [%1]" : : "r"(v), "r"(p) : "memory");
}

/* --- the counter ------------------------------------------------------------------------------------- */

/* The virtual counter, ordered after all earlier instructions, and its frequency in Hz. */
static inline uint64_t arch_counter(void)
{
	uint64_t v;

	__asm__ __volatile__("isb\n\tmrs %0, cntvct_el0" : "=r"(v) : : "memory");
	return v;
}
uint64_t arch_counter_hz(void);
/* How long this CPU has been in user mode, in ns from wherever: its cycle counter, which stands still in the kernel. With
 * none, all time is taken for the user's: now_ns. Context: irqs off. */
uint64_t arch_user_ns(uint64_t now_ns);

/* --- threads: switch and first entry ------------------------------------------------------------------- */

/* What a thread keeps in its struct while it does not run. The vector registers live in fpsimd; x19-x30 are
 * on its kernel stack below sp. */
struct fpsimd_state {
	__uint128_t v[32];
	uint32_t fpsr;
	uint32_t fpcr;
};

struct arch_thread {
	uintptr_t sp;	    /* [runq] kernel stack pointer while switched out */
	uint64_t tpidr_el0; /* [self] user TLS pointer while switched out */
	struct fpsimd_state
		fpsimd; /* [self] while switched out; meaningful for user threads only */
};

/* Prepare a new thread's stack so that the first switch to it calls entry(arg) on it with interrupts off,
 * after arch_thread_start() has called sched_switched() (an up-call that finishes the switch). stack_top is
 * 16-byte aligned. entry must not return. */
void arch_thread_init(struct arch_thread *at, void *stack_top, void (*entry)(void *), void *arg);

/* Switch from one thread to the next: saves x19-x30 and sp of prev, loads those of next, sets SP_EL0 to next.
 * Vector registers and TPIDR_EL0 are saved and loaded by it when the respective thread has user state
 * (prev_user, next_user). Returns, in the context of next, the thread switched away from.
 * Context: atomic, irqs off, the run-queue lock held across. */
struct thread *arch_switch(struct thread *prev, struct arch_thread *prev_at, bool prev_user,
			   struct thread *next, struct arch_thread *next_at, bool next_user);

/* The frame pointer of a thread that is switched out, and is not switched in meanwhile. */
uintptr_t arch_thread_fp(const struct arch_thread *at);

/* What a user thread's vector registers, FPCR, FPSR and TPIDR_EL0 start with: zeros. Of the current one, for a new program; or
 * a copy of the current one's, but for tls, given to a thread that has not run. */
void arch_user_reset(void);
void arch_user_copy(struct arch_thread *to, uint64_t tls);

/* Enter user mode with the given frame (copied to the top of the current kernel stack). Does not return.
 * Context: thread. */
void arch_enter_user(const struct trap_frame *frame) __noreturn;

/* TPIDR_EL0 of the current thread: EL0 writes it without telling us. */
static inline uint64_t arch_user_tls(void)
{
	uint64_t v;

	__asm__ __volatile__("mrs %0, tpidr_el0" : "=r"(v));
	return v;
}

/* The vector registers as they are now, which in a system call are the user's: to s, and from it. */
void fpsimd_save(struct fpsimd_state *s);
void fpsimd_load(const struct fpsimd_state *s);

/* The user frame of the current thread: at the very top of its kernel stack. */
struct trap_frame *arch_user_frame(void);

/* --- address spaces --------------------------------------------------------------------------------------- */

/* TTBR0: the table at root with this ASID; a root of 0 is the empty table. Orders earlier table writes first.
 * Context: atomic, irqs off. */
void arch_set_user_table(paddr_t root, uint16_t asid);
unsigned arch_asid_bits(void);

/* Invalidate cached translations. _local: this CPU only. Each waits for completion. */
void arch_tlb_flush_page(vaddr_t va, uint16_t asid);
void arch_tlb_flush_page_local(vaddr_t va, uint16_t asid);
void arch_tlb_flush_asid(uint16_t asid);
void arch_tlb_flush_asid_local(uint16_t asid);
void arch_tlb_flush_all(void);
void arch_tlb_flush_all_local(void);
void arch_tlb_flush_kernel_page(vaddr_t va);

/* Make instructions written at [va, va + len) of the kernel's mapping executable at whatever address: clean D to PoU,
 * invalidate I (all CPUs). Sizes, and whether I is indexed by physical address, come from CTR_EL0. */
void arch_sync_icache(const void *va, size_t len);

/* Fill a page of the linear map with zeros, or with another's bytes: for that, preemption is off, since a switch keeps
 * only a user thread's vector registers. */
void arch_zero_page(void *page);
void arch_copy_page(void *to, const void *from);

/* Page-table entries (stage 1, 4 KiB granule, 39-bit addresses: levels 1 to 3). All normal memory is inner
 * shareable, write-back. A leaf's access is made of these. */
typedef uint64_t pte_t;
#define PTE_USER   BIT(0) /* EL0 may access */
#define PTE_WRITE  BIT(1)
#define PTE_EXEC   BIT(2) /* by EL0 if PTE_USER, else by EL1; never both */
#define PTE_DEVICE BIT(3) /* device-nGnRE */
#define PTE_GLOBAL BIT(4) /* the same in every ASID */

/* The hardware's format. X-21: all normal memory is inner shareable. */
#define PTE_VALID     BIT(0)
#define PTE_TABLE     BIT(1) /* levels 1 and 2: a table; level 3: a page */
#define PTE_ATTR(n)   ((uint64_t)(n) << 2)
#define PTE_AP_EL0    BIT(6)
#define PTE_AP_RO     BIT(7)
#define PTE_SH_INNER  (3UL << 8)
#define PTE_AF	      BIT(10)
#define PTE_NG	      BIT(11)
#define PTE_PXN	      BIT(53)
#define PTE_UXN	      BIT(54)
#define PTE_ADDR_MASK 0x0000fffffffff000UL

static inline pte_t arch_pte_leaf(paddr_t pa, unsigned level, unsigned prot)
{
	pte_t e = pa.pa | PTE_VALID | PTE_AF | PTE_SH_INNER;

	if (level == 3)
		e |= PTE_TABLE;
	if (prot & PTE_DEVICE)
		e |= PTE_ATTR(1);
	if (prot & PTE_USER)
		e |= PTE_AP_EL0;
	if (!(prot & PTE_WRITE))
		e |= PTE_AP_RO;
	if (!(prot & PTE_GLOBAL))
		e |= PTE_NG;
	if (!(prot & PTE_EXEC) || (prot & PTE_USER))
		e |= PTE_PXN;
	if (!(prot & PTE_EXEC) || !(prot & PTE_USER))
		e |= PTE_UXN;
	return e;
}

static inline pte_t arch_pte_table(paddr_t pa)
{
	return pa.pa | PTE_VALID | PTE_TABLE;
}

static inline bool arch_pte_valid(pte_t e)
{
	return e & PTE_VALID;
}

static inline bool arch_pte_is_table(pte_t e, unsigned level)
{
	return level < 3 && (e & (PTE_VALID | PTE_TABLE)) == (PTE_VALID | PTE_TABLE);
}

static inline paddr_t arch_pte_addr(pte_t e)
{
	return (paddr_t){ e & PTE_ADDR_MASK };
}

static inline bool arch_pte_writable(pte_t e)
{
	return !(e & PTE_AP_RO);
}

static inline pte_t arch_pte_read_only(pte_t e)
{
	return e | PTE_AP_RO;
}

unsigned arch_pte_prot(pte_t e);
/* The kernel's root table (TTBR1), in the linear map. */
pte_t *arch_kernel_root(void);
/* Order a store to a page table before later accesses that use it (dsb ishst; isb). */
void arch_pte_sync(void);

/* --- user memory, one primitive ----------------------------------------------------------------------------- */

/* Copy n bytes; a fault on the user side stops it. Returns the number of bytes NOT copied. PAN is lifted for
 * the copy where the CPU has it. May fault: the trap handler calls the fault up-call (which may sleep) unless
 * the caller disabled it (user_copy_nofault in mm/vm/user_copy.h). Addresses are range-checked by the caller. */
size_t arch_copy_from_user(void *dst, vaddr_t src, size_t n) __must_check;
size_t arch_copy_to_user(vaddr_t dst, const void *src, size_t n) __must_check;
size_t arch_zero_user(vaddr_t dst, size_t n) __must_check;

/* Store or load one word, aligned or not, under the same rules. False: a fault that could not be resolved. */
#define USER_ACCESS(insn)                                                                          \
	"1:	" insn "\n	.pushsection __ex_table, \"a\"\n	.balign	4\n"                           \
	"	.long	1b - ., %l2 - .\n	.popsection"

static inline __must_check bool arch_put_user16(vaddr_t to, uint16_t v)
{
	__asm__ goto(USER_ACCESS("sttrh	%w0, [%1]") : : "r"(v), "r"(to) : "memory" : fault);
	return true;
fault:
	return false;
}

static inline __must_check bool arch_put_user64(vaddr_t to, uint64_t v)
{
	__asm__ goto(USER_ACCESS("sttr	%0, [%1]") : : "r"(v), "r"(to) : "memory" : fault);
	return true;
fault:
	return false;
}

static inline __must_check bool arch_get_user64(uint64_t *v, vaddr_t from)
{
	__asm__ goto(USER_ACCESS("ldtr	%0, [%1]") : "=r"(*v) : "r"(from) : "memory" : fault);
	return true;
fault:
	return false;
}

/* --- CPUs and the machine's end -------------------------------------------------------------------------------- */

uint64_t arch_mpidr(void);
/* Physical address at which a secondary CPU starts (PSCI CPU_ON entry point), with its struct cpu as context. */
paddr_t arch_secondary_entry(void);
/* Stop with an exit status: semihosting if it answers, else PSCI SYSTEM_OFF. Any context. Does not return. */
void arch_machine_exit(int status) __noreturn;
/* Start again from the firmware, by PSCI SYSTEM_RESET. Any context. Does not return. */
void arch_machine_restart(void) __noreturn;
/* Write by semihosting, if it answers: the last resort where there is no console. Any context. */
void arch_debug_write(const char *s, size_t n);

/* How firmware is called: told once by machine_init(). A call before that returns -1 (not supported). */
void arch_set_psci_conduit(bool smc);
int64_t arch_psci_call(uint64_t fn, uint64_t a1, uint64_t a2, uint64_t a3);
bool arch_has_pan(void);

/* One line for the log: the CPU's name and the features in use (PAN, LSE, RNDR ...). */
void arch_describe_cpu(char *buf, size_t size);
/* 64 random bits from the CPU (RNDR). False if it has none or it failed. */
bool arch_random64(uint64_t *out) __must_check;
/* AT_HWCAP of the Linux ABI: only what is context-switched. */
uint64_t arch_hwcap(void);

/* Walk the frame-pointer chain from fp (0: the caller's) and give each return address to fn until it says
 * false; stops at the end of the stack bounds given. Never faults. */
void arch_backtrace(uintptr_t fp, uintptr_t lo, uintptr_t hi, bool (*fn)(uintptr_t pc, void *arg),
		    void *arg);

/* Read 8 bytes of kernel memory. False if there is nothing to read at p. Any context. */
bool arch_probe_read64(const void *p, uint64_t *out) __must_check;

/* Save the point of the call and return 0; arch_jump() to it returns there again with v (not 0). For tests
 * that expect a BUG. */
struct arch_jump_buf {
	uint64_t reg[14];
};
int arch_mark(struct arch_jump_buf *b) __attribute__((returns_twice));
void arch_jump(struct arch_jump_buf *b, int v) __noreturn;

/* Up-calls: declared here, defined above. See docs/02-building.md. */
void kernel_main(paddr_t tree) __noreturn; /* kernel/main.c; the boot CPU, MMU on, irqs off */
void cpu_secondary_start(void) __noreturn; /* kernel/core/percpu.c; every other CPU */
void trap_irq(struct trap_frame *f);	   /* kernel/core/irq.c; irqs off */
/* kernel/syscall.c; a system call, up to the return to user mode. True: of the frame only x0 has changed. irqs on in, off out */
bool syscall_enter(struct trap_frame *f) __must_check;
void trap_sync_user(struct trap_frame *f, uint64_t esr,
		    uint64_t far); /* kernel/trap.c; all else; irqs on */
/* A fault at EL1: true if it was resolved (user page brought in); else the fix-up or the panic follows. */
bool trap_sync_kernel(struct trap_frame *f, uint64_t esr, uint64_t far); /* kernel/trap.c */
void trap_return_user(
	struct trap_frame *f); /* kernel/trap.c; signals, need_resched; irqs on in, off out */
/* kernel/core/panic.c: an exception nobody can resolve. */
void trap_fatal(const struct trap_frame *f, uint64_t esr, uint64_t far,
		const char *what) __noreturn;
void trap_preempt(void);		  /* sched/sched.c; irq return to EL1; irqs off */
void sched_switched(struct thread *prev); /* sched/sched.c; first code of a new thread */

#endif
