/* SPDX-License-Identifier: MIT */
/* The runtime of the address sanitizer: what the compiler calls before each access, and the poison. A shadow byte says of
 * eight bytes how many may be touched from the first on: 0 all, 1 to 7 so many, else none (and why). Not instrumented
 * itself. */
#include "kernel/core/kasan.h"

#include "arch/aarch64/arch.h"
#include "arch/aarch64/image.h"
#include "kernel/core/current.h"
#include "kernel/core/log.h"
#include "kernel/core/machine.h"
#include "kernel/core/panic.h"
#include "lib/string.h"

#define POISON_FREED  0xfb
#define POISON_GLOBAL 0xf9
#define POISON_SCOPE  0xf8

/* How the compiler describes a global variable with its redzone. */
struct asan_global {
	uintptr_t start;
	size_t size;
	size_t size_with_redzone;
	const char *name;
	const char *module;
	uintptr_t has_init;
	void *location;
	uintptr_t odr;
};

static uintptr_t ram_lo, ram_hi; /* [init] linear addresses whose shadow is memory */
static size_t stacks_size;	 /* [init] from the bottom of the stack area so much has shadow */

/* Can the shadow of all of [p, p + n) be written? */
static bool has_shadow(uintptr_t p, size_t n)
{
	uintptr_t end = p + n;

	return (p >= ram_lo && end <= ram_hi) ||
	       (p >= KSTACK_AREA_BASE && end <= KSTACK_AREA_BASE + stacks_size) ||
	       (p >= (uintptr_t)image_start && end <= (uintptr_t)image_end);
}

static uint8_t *shadow_of(uintptr_t p)
{
	return (uint8_t *)SHADOW_OF(p);
}

/* The first n bytes from p may be touched; the rest of the last eight, and what value says, may not. */
static void set_range(uintptr_t p, size_t n, uint8_t value)
{
	if (!has_shadow(p, n))
		return;
	memset(shadow_of(p), value, n / 8);
	if (n % 8)
		*shadow_of(p + n) = value ? value : (uint8_t)(n % 8);
}

void kasan_poison(const void *p, size_t n)
{
	set_range((uintptr_t)p, n, POISON_FREED);
}

void kasan_unpoison(const void *p, size_t n)
{
	set_range((uintptr_t)p, n, 0);
}

static const char *poison_name(uint8_t s)
{
	switch (s) {
	case POISON_FREED:
		return "memory that is not given out";
	case POISON_GLOBAL:
		return "the end of a variable";
	case POISON_SCOPE:
		return "a variable out of scope";
	case 0xf1:
	case 0xf2:
	case 0xf3:
		return "the stack beside a variable";
	default:
		return s < 8 ? "the end of an object" : "poison";
	}
}

/* The first byte of [p, p + n) that may not be touched; 0: none. */
static uintptr_t first_bad(uintptr_t p, size_t n)
{
	uintptr_t a = p;

	while (a < p + n) {
		uint8_t s = *shadow_of(a);
		uintptr_t last = MIN(p + n - 1, ALIGN_DOWN(a, 8UL) + 7);

		/* long copies: eight bytes of shadow at a time */
		if (IS_ALIGNED(a, 64UL) && p + n - a >= 64 &&
		    *(const uint64_t *)(const void *)shadow_of(a) == 0) {
			a += 64;
			continue;
		}
		if (s && (s >= 8 || (last & 7) >= s))
			return a;
		a = ALIGN_DOWN(a, 8UL) + 8;
	}
	return 0;
}

static void check(uintptr_t p, size_t n, bool write, uintptr_t pc)
{
	uintptr_t bad;

	if (p < KERNEL_SPACE_BASE || p + n < p)
		return;
	bad = first_bad(p, n);
	if (bad)
		BUG("kasan: %s of %zu bytes at %p by %lx: %s (shadow %02x)",
		    write ? "write" : "read", n, (void *)p, pc, poison_name(*shadow_of(bad)),
		    *shadow_of(bad));
}

/* --- what the compiler calls -------------------------------------------------------------------------------- */

#define CALLER ((uintptr_t)__builtin_return_address(0))

#define CHECKER(kind, n, write)                                                                    \
	void __asan_##kind##n##_noabort(uintptr_t p);                                              \
	void __asan_##kind##n##_noabort(uintptr_t p)                                               \
	{                                                                                          \
		check(p, n, write, CALLER);                                                        \
	}

#define CHECKERS(n) CHECKER(load, n, false) CHECKER(store, n, true)

CHECKERS(1)
CHECKERS(2)
CHECKERS(4)
CHECKERS(8)
CHECKERS(16)

void __asan_loadN_noabort(uintptr_t p, size_t n);
void __asan_storeN_noabort(uintptr_t p, size_t n);
void __asan_handle_no_return(void);
void __asan_register_globals(const struct asan_global *g, size_t n);
void __asan_unregister_globals(const struct asan_global *g, size_t n);
void __asan_poison_stack_memory(uintptr_t p, size_t n);
void __asan_unpoison_stack_memory(uintptr_t p, size_t n);

void __asan_loadN_noabort(uintptr_t p, size_t n)
{
	check(p, n, false, CALLER);
}

void __asan_storeN_noabort(uintptr_t p, size_t n)
{
	check(p, n, true, CALLER);
}

/* The frames above will not be left one by one. On another stack than the thread's, all of its frames. */
void __asan_handle_no_return(void)
{
	const struct thread_base *t = current_base();
	uintptr_t sp = ALIGN_DOWN((uintptr_t)__builtin_frame_address(0), 8UL);

	if (sp < t->stack_lo || sp >= t->stack_hi)
		sp = t->stack_lo;
	set_range(sp, t->stack_hi - sp, 0);
}

void __asan_register_globals(const struct asan_global *g, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t whole = ALIGN_UP(g[i].size, 8UL);

		set_range(g[i].start, g[i].size, 0);
		set_range(g[i].start + whole, g[i].size_with_redzone - whole, POISON_GLOBAL);
	}
}

void __asan_unregister_globals(const struct asan_global *g, size_t n)
{
	for (size_t i = 0; i < n; i++)
		set_range(g[i].start, g[i].size_with_redzone, 0);
}

void __asan_poison_stack_memory(uintptr_t p, size_t n)
{
	set_range(p, ALIGN_UP(n, 8UL), POISON_SCOPE);
}

void __asan_unpoison_stack_memory(uintptr_t p, size_t n)
{
	set_range(p, n, 0);
}

/* --- boot --------------------------------------------------------------------------------------------------- */

/* The stack area has a shadow as far as mm/phys/kstack.c uses it in this image: half as much as there is RAM. */
#define STACKS_SHARE 2

void kasan_start(void *(*alloc)(size_t size, size_t align))
{
	const struct phys_range *last = &machine.ram[machine.nr_ram - 1];
	uintptr_t lo = LINEAR_BASE + (machine.ram[0].start - arch_linear_pa);
	uintptr_t hi = LINEAR_BASE + (last->start + last->size - arch_linear_pa);
	size_t stacks = MIN((hi - lo) / STACKS_SHARE, KSTACK_AREA_SIZE);

	arch_map_shadow(lo, hi, alloc);
	arch_map_shadow(KSTACK_AREA_BASE, KSTACK_AREA_BASE + stacks, alloc);
	ram_lo = lo;
	ram_hi = hi;
	stacks_size = stacks;
	for (void (*const *f)(void) = init_array_start; f < init_array_end; f++)
		(*f)();
	log_info("core: address sanitizer on, %lu KiB of shadow", (hi - lo + stacks) / 8 >> 10);
}
