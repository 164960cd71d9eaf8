/* SPDX-License-Identifier: MIT */
/* Code written by one thread and run by another (L8): each call runs what was written before it. They sleep until it is
 * their turn: two that spin wait for each other's slice of a busy host at each round. */
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <sys/mman.h>
#include "tests/user/check.h"

/* Two hand-overs each, which take a turn on the host's CPU: 20,000 took minutes beside others. */
#define ROUNDS 2000

static int rounds = ROUNDS;
static uint32_t *code;
static sem_t written, called;

static void *caller(void *arg)
{
	(void)arg;
	for (int i = 1; i <= rounds; i++) {
		CHECK(sem_wait(&written) == 0);
		__asm__ volatile("isb" ::: "memory");
		CHECK(((int (*)(void))code)() == (i & 0xffff));
		CHECK(sem_post(&called) == 0);
	}
	return NULL;
}

int main(void)
{
	const char *scale = getenv("SCALE");
	pthread_t t;

	if (scale)
		rounds *= atoi(scale);
	code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	CHECK(code != MAP_FAILED);
	CHECK(sem_init(&written, 0, 0) == 0 && sem_init(&called, 0, 0) == 0);
	CHECK(pthread_create(&t, NULL, caller, NULL) == 0);
	for (int i = 1; i <= rounds; i++) {
		code[0] = 0x52800000 | (uint32_t)(i & 0xffff) << 5; /* mov w0, #i */
		code[1] = 0xd65f03c0;				    /* ret */
		__asm__ volatile("dc cvau, %0\n\tdsb ish\n\tic ivau, %0\n\tdsb ish\n\tisb"
				 :
				 : "r"(code)
				 : "memory");
		CHECK(sem_post(&written) == 0);
		CHECK(sem_wait(&called) == 0);
	}
	pthread_join(t, NULL);
	return 0;
}
