/* SPDX-License-Identifier: MIT */
/* For the hosted tests of drivers/virtio and net/. Above tests/host/memory_env.c, and the shim's core.c and identity.c. */
#include "tests/host/memory_env.h"

#include "kernel/core/random.h"
#include "kernel/core/irq.h"
#include "lib/errno.h"
#include "mm/phys/page.h"
#include <string.h>

void page_stats(struct page_stats *out)
{
	memset(out, 0, sizeof(*out));
	out->total = 65536;
	out->free = 65536 - env_pages;
}

int random_bytes(void *buf, size_t n)
{
	memset(buf, 0x5a, n);
	return 0;
}

uint32_t random_u32(void)
{
	static uint64_t x = 0x9e3779b97f4a7c15u;

	x = x * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(x >> 32);
}

int irq_register(unsigned irq, enum irq_trigger trigger, irq_handler_t fn, void *arg,
		 const char *name)
{
	return -EINVAL;
}
