/* SPDX-License-Identifier: MIT */
/* Lock contracts for clang's thread-safety analysis. gcc builds the kernel and sees nothing of them.
 * The lock is named by the same expression at lock, unlock and __requires. A member's guard
 * stands in its comment: clang cannot bind one to a sibling lock before version 22. */
#ifndef TERN_LIB_ANNOTATE_H
#define TERN_LIB_ANNOTATE_H

#if defined(__clang__)
#define TSA(x) __attribute__((x))
#else
#define TSA(x)
#endif

#define __capability(name)     TSA(capability(name))
#define __acquires(...)	       TSA(acquire_capability(__VA_ARGS__))
#define __releases(...)	       TSA(release_capability(__VA_ARGS__))
#define __acquires_shared(...) TSA(acquire_shared_capability(__VA_ARGS__))
#define __releases_shared(...) TSA(release_shared_capability(__VA_ARGS__))
#define __requires_shared(...) TSA(requires_shared_capability(__VA_ARGS__))
#define __try_acquires(...)    TSA(try_acquire_capability(__VA_ARGS__))
#define __requires(...)	       TSA(requires_capability(__VA_ARGS__))
#define __asserts_held(...)    TSA(assert_capability(__VA_ARGS__))
#define __no_lock_check	       TSA(no_thread_safety_analysis)

#endif
