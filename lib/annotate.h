/* SPDX-License-Identifier: MIT */
/* Lock contracts for clang's thread-safety analysis. gcc builds the kernel and sees nothing of them.
 * The lock is named by the same expression at lock, unlock and __requires. A member guarded by a
 * sibling lock cannot be bound by the analysis before clang 22: __member_of is documentation until then. */
#ifndef TERN_LIB_ANNOTATE_H
#define TERN_LIB_ANNOTATE_H

#if defined(__clang__)
#define TSA(x) __attribute__((x))
#else
#define TSA(x)
#endif

#define __capability(name)  TSA(capability(name))
#define __acquires(...)	    TSA(acquire_capability(__VA_ARGS__))
#define __releases(...)	    TSA(release_capability(__VA_ARGS__))
#define __try_acquires(...) TSA(try_acquire_capability(__VA_ARGS__))
#define __requires(...)	    TSA(requires_capability(__VA_ARGS__))
#define __excludes(...)	    TSA(locks_excluded(__VA_ARGS__))
#define __guarded_by(l)	    TSA(guarded_by(l))
#define __asserts_held(...) TSA(assert_capability(__VA_ARGS__))
#define __no_lock_check	    TSA(no_thread_safety_analysis)
#if defined(__clang__) && __clang_major__ >= 22
#define __member_of(l) TSA(guarded_by(l))
#else
#define __member_of(l)
#endif

#endif
