/* SPDX-License-Identifier: MIT */
#ifndef TERN_TESTS_MODEL_RELACY_H
#define TERN_TESTS_MODEL_RELACY_H

#ifdef __cplusplus
extern "C" {
#endif
/* How many runs there were, all of them good; 0: one was not, and has been printed. */
unsigned long relacy_spinlock(void);
unsigned long relacy_refcount(void);
unsigned long relacy_wait(void);
unsigned long relacy_trace_ring(void);
unsigned long relacy_virtq_index(void);
#ifdef __cplusplus
}
#endif

#endif
