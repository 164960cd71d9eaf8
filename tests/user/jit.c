/* SPDX-License-Identifier: MIT */
/* Code written by one thread and run by another (L8): each call runs what was written before it. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include "tests/user/check.h"

#define ROUNDS 20000

static uint32_t *code;
static atomic_int written, called;

static void *caller(void *arg)
{
	(void)arg;
	for (int i = 1; i <= ROUNDS; i++) {
		while (atomic_load_explicit(&written, memory_order_acquire) < i)
			sched_yield();
		__asm__ volatile("isb" ::: "memory");
		CHECK(((int (*)(void))code)() == (i & 0xffff));
		atomic_store_explicit(&called, i, memory_order_release);
	}
	return NULL;
}

int main(void)
{
	pthread_t t;

	code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	CHECK(code != MAP_FAILED);
	CHECK(pthread_create(&t, NULL, caller, NULL) == 0);
	for (int i = 1; i <= ROUNDS; i++) {
		code[0] = 0x52800000 | (uint32_t)(i & 0xffff) << 5; /* mov w0, #i */
		code[1] = 0xd65f03c0;				    /* ret */
		__asm__ volatile("dc cvau, %0\n\tdsb ish\n\tic ivau, %0\n\tdsb ish\n\tisb"
				 :
				 : "r"(code)
				 : "memory");
		atomic_store_explicit(&written, i, memory_order_release);
		while (atomic_load_explicit(&called, memory_order_acquire) < i)
			sched_yield();
	}
	pthread_join(t, NULL);
	return 0;
}
