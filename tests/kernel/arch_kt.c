/* SPDX-License-Identifier: MIT */
/* The CPU's promises: W^X, guard pages, fix-ups, frames. Rows H7, X-06, X-07, X-21, X-32, ARCH-001. */
#include "arch/aarch64/arch.h"
#include "arch/aarch64/image.h"
#include "arch/aarch64/shadow_priv.h"
#include "kernel/core/machine.h"
#include "kernel/core/panic.h"
#include "kernel/core/percpu.h"
#include "kernel/proc/process.h"
#include "kernel/spawn.h"
#include "lib/string.h"
#include "mm/phys/kstack.h"
#include "mm/phys/page.h"
#include "mm/phys/pgtable.h"
#include "mm/vm/space.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/ktest.h"

/* --- H7, I-BOOT-1: what is code cannot be written, what is data cannot be run ---------------------------------------- */

static const uint32_t constant = 0xd65f03c0; /* ret */
static uint32_t variable = 0xd65f03c0;

static void write_to(void *p)
{
	WRITE_ONCE(*(uint32_t *)p, 0);
}

static void run(void *p)
{
	((void (*)(void))p)();
}

static void *linear_alias(const void *image)
{
	return phys_to_virt(paddr((uintptr_t)image - KERNEL_IMAGE_BASE + arch_image_start().pa));
}

static const char data_abort[] = "data abort";

KTEST(wx_probes)
{
	struct page *p = page_alloc(0, 0);
	uint32_t *page = page_addr(p);
	char on_stack[8];

	*page = constant;
	kt_expect_bug(write_to, (void *)(uintptr_t)write_to, data_abort);
	kt_expect_bug(write_to, (void *)(uintptr_t)&constant, data_abort);
	kt_expect_bug(write_to, linear_alias((void *)(uintptr_t)write_to), data_abort);
	kt_expect_bug(write_to, linear_alias(&constant), data_abort);
	kt_expect_bug(run, &variable, "instruction abort");
	kt_expect_bug(run, page, "instruction abort");
	kt_expect_bug(run, on_stack, "instruction abort");
	kt_expect_bug(run, linear_alias((void *)(uintptr_t)write_to), "instruction abort");
	page_put(p);
	KT_CHECK(arch_kernel_map_is_safe());
	/* what may be written, may be written through both its addresses */
	*(uint32_t *)linear_alias(&variable) = 7;
	KT_CHECK(READ_ONCE(variable) == 7);
	variable = constant;
}

/* ARCH-001, I-BOOT-2: no physical address works as a pointer, and NULL is nobody's. */
static void read_from(void *p)
{
	KT_CHECK(READ_ONCE(*(uint32_t *)p) + 1 != 0);
}

KTEST(no_identity_map)
{
	kt_expect_bug(read_from, NULL, data_abort);
	kt_expect_bug(read_from, (void *)(uintptr_t)machine.ram[0].start, data_abort);
	kt_expect_bug(read_from, (void *)(uintptr_t)arch_image_start().pa, data_abort);
	kt_expect_bug(read_from, (void *)KERNEL_SPACE_BASE + LINEAR_SIZE - 8, data_abort);
}

static void unknown_instruction(void *unused)
{
	__asm__ __volatile__(".inst 0");
}

KTEST(unknown_instruction)
{
	kt_expect_bug(unknown_instruction, NULL, "unknown instruction");
	kt_expect_bug(unknown_instruction, NULL, "instruction 00000000");
}

/* --- X-32, I-TRAP-3: a stack that runs over is reported as that, on every CPU ------------------------------------------- */

static unsigned __noinline recurse(unsigned depth)
{
	char room[256];

	__asm__ __volatile__("" : : "r"(room) : "memory");
	if (depth == 1u << 30)
		return 0;
	return recurse(depth + 1) + (unsigned)(uintptr_t)room;
}

static void overflow(void *unused)
{
	KT_CHECK(recurse(0) != 1);
}

static void overflow_fn(void *unused)
{
	kt_expect_bug(overflow, NULL, "kernel stack overflow");
	/* and once more: the overflow stack can be used again */
	kt_expect_bug(overflow, NULL, "kernel stack overflow");
}

KTEST(stack_overflow)
{
	struct crew crew = { 0 };

	for (unsigned i = 0; i < MIN(cpu_count(), (unsigned)CREW_MAX); i++)
		crew_add(&crew, overflow_fn, NULL, BIT(i));
	crew_join(&crew);
}

/* --- X-21 ------------------------------------------------------------------------------------------------------ */

KTEST(pte_attributes)
{
	const pte_t inner_shareable = 3UL << 8, access = BIT(10), pxn = BIT(53), uxn = BIT(54);

	for (unsigned prot = 0; prot < 32; prot++) {
		for (unsigned level = 1; level <= 3; level++) {
			pte_t e = arch_pte_leaf(paddr(1UL << 30), level, prot);

			KT_CHECK((e & inner_shareable) == inner_shareable);
			KT_CHECK(e & access);
			/* EL1 never runs a user's page, EL0 never one of the kernel's */
			KT_CHECK(!(prot & PTE_USER) || (e & pxn));
			KT_CHECK((prot & PTE_USER) || (e & uxn));
			KT_CHECK(arch_pte_valid(e) && !arch_pte_is_table(e, level));
			KT_CHECK(arch_pte_prot(e) == prot);
			KT_CHECK(arch_pte_addr(e).pa == 1UL << 30);
		}
	}
	KT_CHECK(arch_pte_is_table(arch_pte_table(paddr(4096)), 2));
}

/* The tables themselves, read bit by bit and not through the functions that made them. Bits from the architecture's manual. */
#define RAW_ATTR(e)  ((e) >> 2 & 7) /* 1: device, as arch_map_device() asks */
#define RAW_EL0	     BIT(6)
#define RAW_READONLY BIT(7)
#define RAW_INNER    (3UL << 8)
#define RAW_AF	     BIT(10)
#define RAW_NG	     BIT(11)
#define RAW_PXN	     BIT(53)
#define RAW_UXN	     BIT(54)

struct table_dump {
	uint64_t ro_start, ro_end;	  /* physical: text and constants */
	uint64_t leaves, device, runable; /* runable: bytes */
	uint64_t wrong;
};

static void dump_wrong(struct table_dump *d, vaddr_t va, pte_t e, const char *why)
{
	if (d->wrong++ == 0)
		log_info("ktest: entry %lx of %lx: %s", (unsigned long)e, (unsigned long)va, why);
}

static void dump_kernel_leaf(struct table_dump *d, vaddr_t va, pte_t e, uint64_t size)
{
	uint64_t pa = e & 0x0000fffffffff000UL;
	bool runs = !(e & RAW_PXN), device = RAW_ATTR(e) == 1;

	d->leaves++;
	d->device += device;
	d->runable += runs ? size : 0;
	if (!(e & RAW_AF) || (e & RAW_NG))
		dump_wrong(d, va, e, "not global, or no access flag");
	if (!device && (e & RAW_INNER) != RAW_INNER)
		dump_wrong(d, va, e, "normal memory that is not inner shareable");
	if ((e & RAW_EL0) || !(e & RAW_UXN))
		dump_wrong(d, va, e, "open to EL0");
	if (runs && (!(e & RAW_READONLY) || va < KERNEL_IMAGE_BASE || pa < d->ro_start ||
		     pa + size > d->ro_end))
		dump_wrong(d, va, e, "runs, and is writable or not the text");
	/* whatever its address: no way to write what is constant */
	if (!(e & RAW_READONLY) && pa < d->ro_end && pa + size > d->ro_start)
		dump_wrong(d, va, e, "a writable alias of text or constants");
}

static void dump_kernel(struct table_dump *d, const pte_t *table, unsigned level, vaddr_t va)
{
	unsigned shift = 39 - 9 * level;

	for (unsigned i = 0; i < 512; i++) {
		pte_t e = table[i];
		vaddr_t at = va + ((vaddr_t)i << shift);

		if (!(e & 1) || (level == 1 && shadow_root_index(i)))
			continue;
		if (level < 3 && (e & 2))
			dump_kernel(d, phys_to_virt(paddr(e & 0x0000fffffffff000UL)), level + 1,
				    at);
		else
			dump_kernel_leaf(d, at, e, 1UL << shift);
	}
}

KTEST(kernel_tables)
{
	uint64_t start = arch_image_start().pa;
	uint64_t text = (uint64_t)(text_end - image_start);
	struct table_dump d = { .ro_start = start,
				.ro_end = start + (uint64_t)(rodata_end - image_start) };

	dump_kernel(&d, arch_kernel_root(), 1, KERNEL_SPACE_BASE);
	KT_CHECK(d.wrong == 0);
	KT_CHECK(d.leaves > 10 && d.device > 0);
	KT_CHECK(d.runable == ALIGN_UP(text, PAGE_SIZE));
}

/* A program's table while it runs: every page is the program's alone to run, and none both writable and executable. */
static uint64_t dump_user(const pte_t *table, unsigned level, uint64_t *wrong)
{
	uint64_t leaves = 0;

	for (unsigned i = 0; i < 512; i++) {
		pte_t e = table[i];

		if (!(e & 1))
			continue;
		if (level < 3) {
			*wrong += !(e & 2);
			leaves += dump_user(phys_to_virt(paddr(e & 0x0000fffffffff000UL)),
					    level + 1, wrong);
			continue;
		}
		leaves++;
		*wrong += !(e & RAW_EL0) || !(e & RAW_PXN) || !(e & RAW_NG) || !(e & RAW_AF);
		*wrong += (e & RAW_INNER) != RAW_INNER || RAW_ATTR(e) == 1;
		*wrong += !(e & RAW_READONLY) && !(e & RAW_UXN);
	}
	return leaves;
}

KTEST(user_tables)
{
	const char *argv[] = { "/bin/burn", NULL };
	const struct spawn_args args = { .path = argv[0], .argv = argv };
	uint64_t wrong = 0, leaves = 0, end = crew_hang_deadline();
	struct process *p;
	int status;

	if (process_spawn(&args, &p) < 0)
		return kt_fail(__FILE__, __LINE__, "no burn");
	while (leaves < 4 && clock_now_ns() < end) {
		(void)!sleep_until(crew_deadline_ms(5), WAIT_UNINTERRUPTIBLE);
		mutex_lock(&p->space->lock);
		leaves = dump_user(phys_to_virt(p->space->table.root), 1, &wrong);
		mutex_unlock(&p->space->lock);
	}
	KT_CHECK(leaves >= 4);
	KT_CHECK(wrong == 0);
	signal_send(p, SIG_KILL);
	wait_event(&p->exited.wq, process_exited(p, &status));
	process_put(p);
}

/* --- X-07, I-TRAP-4: user copies stop at the exact byte, whichever instruction meets the hole -------------------------------- */

#define USER_PAGE 0x10000000UL

struct user_pages {
	struct pgtable table;
	struct page *page; /* at USER_PAGE; the next page is a hole */
};

static void user_pages_map(struct user_pages *u, unsigned prot)
{
	pte_t *e = pgtable_leaf(&u->table, USER_PAGE, true);

	ASSERT(e);
	pte_set(e, arch_pte_leaf(page_to_phys(u->page), 3, prot));
	arch_tlb_flush_page(USER_PAGE, 0);
}

static void check_copies(const struct user_pages *u, unsigned in_page, unsigned n)
{
	vaddr_t user = USER_PAGE + PAGE_SIZE - in_page;
	uint8_t *there = (uint8_t *)page_addr(u->page) + PAGE_SIZE - in_page;
	unsigned good = MIN(in_page, n);
	uint8_t buf[160], want[160];
	bool same;

	for (unsigned i = 0; i < sizeof(buf); i++) {
		buf[i] = (uint8_t)(i * 7 + n);
		want[i] = (uint8_t)(i * 3 + in_page);
	}
	same = arch_copy_to_user(user, buf, n) == n - good && memcmp(there, buf, good) == 0;
	KT_CHECK(same);
	memcpy(there, want, good);
	memset(buf, 0, sizeof(buf));
	same = arch_copy_from_user(buf, user, n) == n - good && memcmp(buf, want, good) == 0;
	KT_CHECK(same);
	KT_CHECK(arch_zero_user(user, n) == n - good);
	memset(want, 0, sizeof(want));
	KT_CHECK(memcmp(there, want, good) == 0);
}

KTEST(user_copy_forms)
{
	struct user_pages u;
	uint8_t buf[64] = { 0 };

	ASSERT(pgtable_create(&u.table) == 0);
	u.page = page_alloc(0, ALLOC_ZERO);
	ASSERT(u.page);
	preempt_disable();
	arch_set_user_table(u.table.root, 0);
	user_pages_map(&u, PTE_USER | PTE_WRITE);
	for (unsigned in_page = 0; in_page <= 70; in_page++) {
		for (unsigned n = 0; n <= 150; n += 1 + n / 40)
			check_copies(&u, in_page, n);
	}
	/* read-only: nothing is written; the kernel's own page: nothing at all */
	user_pages_map(&u, PTE_USER);
	KT_CHECK(arch_copy_to_user(USER_PAGE, buf, 64) == 64);
	KT_CHECK(arch_zero_user(USER_PAGE, 64) == 64);
	KT_CHECK(arch_copy_from_user(buf, USER_PAGE, 64) == 0);
	user_pages_map(&u, PTE_WRITE);
	KT_CHECK(arch_copy_from_user(buf, USER_PAGE, 64) == 64);
	KT_CHECK(arch_copy_to_user(USER_PAGE, buf, 64) == 64);
	arch_set_user_table(paddr(0), 0);
	arch_tlb_flush_asid(0);
	preempt_enable();
	pte_set(pgtable_leaf(&u.table, USER_PAGE, true), 0);
	pgtable_destroy(&u.table);
	page_put(u.page);
}

KTEST(probe_read)
{
	uint64_t word = 0x1234, out = 0;

	KT_CHECK(arch_probe_read64(&word, &out) && out == 0x1234);
	KT_CHECK(!arch_probe_read64(NULL, &out));
	KT_CHECK(!arch_probe_read64((void *)(DEVICE_AREA_BASE + DEVICE_AREA_SIZE - 64), &out) ||
		 out == 0);
	KT_CHECK(!arch_probe_read64((void *)(KSTACK_AREA_BASE + KSTACK_AREA_SIZE - 8), &out));
}

/* --- X-06, I-TRAP-1: every register survives interrupts taken at EL1 ---------------------------------------------------------- */

uint64_t regs_spin(uint64_t turns); /* tests/kernel/regs.S: bits of the registers that changed */

static void regs_fn(void *arg)
{
	uint64_t bad = 0;
	uint64_t end = clock_now_ns() + 50 * NS_PER_MS * kt_scale();

	while (clock_now_ns() < end)
		bad |= regs_spin(20000);
	KT_CHECK(bad == 0);
}

static void tick(struct timer *t)
{
	timer_arm(t, clock_now_ns() + 50000);
}

KTEST(registers_across_interrupts)
{
	struct crew crew = { 0 };
	struct timer t;
	uint64_t before = cpu_get(0)->irq_count;

	timer_init(&t, tick);
	/* two a CPU, so that they preempt each other as well */
	for (unsigned i = 0; i < 2 * MIN(cpu_count(), 4u); i++)
		crew_add(&crew, regs_fn, NULL, BIT(i / 2));
	timer_arm(&t, clock_now_ns());
	crew_join(&crew);
	timer_cancel(&t);
	KT_CHECK(cpu_get(0)->irq_count > before);
}

/* --- backtraces ------------------------------------------------------------------------------------------------------ */

static bool saw_here(uintptr_t pc, void *arg)
{
	size_t offset;

	if (strcmp(symbol_of(pc, &offset), "kt_backtrace") == 0)
		*(bool *)arg = true;
	return true;
}

static void __noinline trace(bool *seen)
{
	arch_backtrace(0, current_base()->stack_lo, current_base()->stack_hi, saw_here, seen);
	__asm__ __volatile__("" : : "r"(seen) : "memory");
}

KTEST(backtrace)
{
	bool seen = false;

	trace(&seen);
	KT_CHECK(seen);
	/* garbage for a frame pointer ends the walk */
	arch_backtrace(1, 0, UINTPTR_MAX - 16, saw_here, &seen);
	arch_backtrace(KSTACK_AREA_BASE + KSTACK_AREA_SIZE - 16, KSTACK_AREA_BASE,
		       KSTACK_AREA_BASE + KSTACK_AREA_SIZE, saw_here, &seen);
}

/* A11: an expected BUG comes back with the interrupt state and the preemption count of before. */
static void bug_with_all_off(void *unused)
{
	preempt_disable();
	arch_irq_disable();
	BUG("on purpose");
}

KTEST(expect_bug_restores)
{
	kt_expect_bug(bug_with_all_off, NULL, "on purpose");
	KT_CHECK(!arch_irqs_off());
	KT_CHECK(current_base()->preempt_depth == 0);
	KT_CHECK(current_base()->expect == NULL);
}
