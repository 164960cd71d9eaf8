/* SPDX-License-Identifier: MIT */
/* The types and small macros every floor uses. Headers of the compiler only; builds hosted. */
#ifndef TERN_LIB_TYPES_H
#define TERN_LIB_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef HOSTED
typedef int64_t ssize_t;
typedef int64_t off_t;
#else
#include <sys/types.h>
#endif

typedef uintptr_t vaddr_t;

/* A physical address: a struct of its own, so that the compiler refuses to mix it with a virtual one. */
typedef struct {
	uint64_t pa;
} paddr_t;

static inline paddr_t paddr(uint64_t pa)
{
	return (paddr_t){ pa };
}

#define __must_check __attribute__((warn_unused_result))
/* A __must_check call whose result changes nothing here. */
#define IGNORE(call)	     ((void)!(call))
#define __noreturn	     __attribute__((noreturn))
#define __packed	     __attribute__((packed))
#define __aligned(n)	     __attribute__((aligned(n)))
#define __used		     __attribute__((used))
#define __unused	     __attribute__((unused))
#define __noinline	     __attribute__((noinline))
#define __section(s)	     __attribute__((section(s)))
#define __printf(fmt, first) __attribute__((format(printf, fmt, first)))
#define likely(x)	     __builtin_expect(!!(x), 1)
#define unlikely(x)	     __builtin_expect(!!(x), 0)

#ifndef static_assert
#define static_assert _Static_assert
#endif

#define ARRAY_SIZE(a)			(sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* One load or one store that the compiler may neither repeat nor tear: for words other CPUs write. */
#define READ_ONCE(x)	 __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)

#define MIN(a, b)                                                                                  \
	({                                                                                         \
		__typeof__(a) min_a = (a);                                                         \
		__typeof__(b) min_b = (b);                                                         \
		min_a < min_b ? min_a : min_b;                                                     \
	})
#define SWAP(a, b)                                                                                 \
	do {                                                                                       \
		__typeof__(a) swap_a = (a);                                                        \
		(a) = (b);                                                                         \
		(b) = swap_a;                                                                      \
	} while (0)
#define MAX(a, b)                                                                                  \
	({                                                                                         \
		__typeof__(a) max_a = (a);                                                         \
		__typeof__(b) max_b = (b);                                                         \
		max_a > max_b ? max_a : max_b;                                                     \
	})

#define ALIGN_DOWN(x, a)   ((x) & ~((__typeof__(x))(a)-1))
#define ALIGN_UP(x, a)	   ALIGN_DOWN((x) + ((__typeof__(x))(a)-1), (a))
#define IS_ALIGNED(x, a)   (((x) & ((__typeof__(x))(a)-1)) == 0)
#define DIV_ROUND_UP(n, d) (((n) + (d)-1) / (d))
#define BIT(n)		   (1UL << (n))

#define NS_PER_US	   1000UL
#define NS_PER_MS	   1000000UL
#define NS_PER_S	   1000000000UL
/* A deadline that never comes, in ns of clock_now_ns(). */
#define DEADLINE_NEVER UINT64_MAX

#endif
