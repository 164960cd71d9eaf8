/* SPDX-License-Identifier: MIT */
/* every kind of bad pointer is -EFAULT, from every door to user memory. */
#include "tests/kernel/ktest.h"

#include "kernel/context.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/vm/space.h"
#include "mm/vm/user_copy.h"
#include "tests/kernel/crew.h"

static uint8_t kernel_bytes[64];

static void all_refuse(vaddr_t va, size_t n)
{
	uint8_t buf[64] = { 0 };
	struct io io;

	KT_CHECK(user_copy_from(buf, va, n) == -EFAULT);
	KT_CHECK(user_copy_to(va, buf, n) == -EFAULT);
	KT_CHECK(user_zero(va, n) == -EFAULT);
	KT_CHECK(user_copy_from_nofault(buf, va, n) == -EFAULT);
	KT_CHECK(user_copy_string((char *)buf, va, n) == -EFAULT);
	io_init_user(&io, va, n);
	KT_CHECK(io_copy_to(&io, buf, n) == -EFAULT);
	KT_CHECK(io_copy_from(&io, buf, n) == -EFAULT);
}

KTEST(user_copy_bad_pointers)
{
	struct vm_space *s = vm_space_create();
	uint8_t buf[64];
	vaddr_t at = 0;

	KT_CHECK(s != NULL);
	space_switch(s);
	KT_CHECK(vm_map(s, 0, PAGE_SIZE, VM_READ | VM_WRITE, NULL, 0, &at) == 0);
	KT_CHECK(user_zero(at, 8) == 0);
	all_refuse(0, 8);
	all_refuse(8, 8);
	all_refuse(0x10000000, 16);
	all_refuse(USER_MAX - 8, 8);
	all_refuse(USER_MAX - 4, 8);
	all_refuse(USER_MAX, 8);
	all_refuse((vaddr_t)kernel_bytes, 8);
	all_refuse((vaddr_t)buf, 8);
	all_refuse(LINEAR_BASE, 8);
	all_refuse(UINTPTR_MAX - 3, 8);
	KT_CHECK(user_copy_from(buf, 0x10000000, 0) == 0);
	KT_CHECK(!user_range_ok(0x1000, SIZE_MAX) && user_range_ok(USER_MAX, 0));
	/* a kernel thread has none, though TTBR0 may still hold s and the page is there */
	preempt_disable();
	space_switch(NULL);
	KT_CHECK(user_copy_from_nofault(buf, at, 8) == -EFAULT);
	preempt_enable();
	vm_space_put(s);
	vm_space_reap();
}

KTEST(user_copy_edges)
{
	struct vm_space *s = vm_space_create();
	char buf[200], back[200];
	vaddr_t at, edge;

	KT_CHECK(s != NULL);
	space_switch(s);
	KT_CHECK(vm_map(s, 0x20000000, 3 * PAGE_SIZE, VM_READ | VM_WRITE, NULL, 0, &at) == 0);
	KT_CHECK(vm_unmap(s, at + 2 * PAGE_SIZE, PAGE_SIZE) == 0);
	edge = at + 2 * PAGE_SIZE;
	for (unsigned i = 0; i < sizeof(buf); i++)
		buf[i] = (char)(i + 1);
	/* every alignment, over a page border that is not there yet */
	for (unsigned off = 0; off < 24; off++) {
		for (unsigned n = 0; n < 70; n++) {
			vaddr_t va = at + PAGE_SIZE - 30 + off;

			KT_CHECK(user_copy_to(va, buf + off % 8, n) == 0);
			memset(back, 0, sizeof(back));
			KT_CHECK(user_copy_from(back, va, n) == 0);
			KT_CHECK(memcmp(back, buf + off % 8, n) == 0 && back[n] == 0);
			KT_CHECK(user_zero(va, n) == 0);
			KT_CHECK(user_copy_from(back, va, n) == 0);
			for (unsigned k = 0; k < n; k++)
				KT_CHECK(back[k] == 0);
		}
	}
	/* over the edge of what is mapped, to the last byte */
	KT_CHECK(user_copy_to(edge - 10, buf, 10) == 0);
	KT_CHECK(user_copy_to(edge - 10, buf, 11) == -EFAULT);
	KT_CHECK(user_copy_from(back, edge - 10, 10) == 0);
	KT_CHECK(user_copy_from(back, edge - 10, 11) == -EFAULT);
	/* strings: the byte behind the end need not be there */
	KT_CHECK(user_copy_to(edge - 5, "tern", 5) == 0);
	KT_CHECK(user_copy_string(back, edge - 5, sizeof(back)) == 4);
	KT_CHECK(strcmp(back, "tern") == 0);
	KT_CHECK(user_copy_string(back, edge - 5, 4) == -ENAMETOOLONG);
	KT_CHECK(user_copy_string(back, edge - 5, 5) == 4);
	KT_CHECK(user_copy_to(edge - 4, "long", 4) == 0);
	KT_CHECK(user_copy_string(back, edge - 4, sizeof(back)) == -EFAULT);
	space_switch(NULL);
	vm_space_put(s);
	vm_space_reap();
}

KTEST(user_copy_nofault)
{
	struct vm_space *s = vm_space_create();
	uint64_t v = 3;
	vaddr_t at;

	KT_CHECK(s != NULL);
	space_switch(s);
	KT_CHECK(vm_map(s, 0, PAGE_SIZE, VM_READ | VM_WRITE, NULL, 0, &at) == 0);
	/* it never brings a page in, and works where nothing may sleep */
	preempt_disable();
	KT_CHECK(user_copy_from_nofault(&v, at, 8) == -EFAULT);
	preempt_enable();
	KT_CHECK(user_copy_to(at, &v, 8) == 0);
	preempt_disable();
	v = 0;
	KT_CHECK(user_copy_from_nofault(&v, at, 8) == 0 && v == 3);
	preempt_enable();
	space_switch(NULL);
	vm_space_put(s);
	vm_space_reap();
}

KTEST(io_segments)
{
	struct vm_space *s = vm_space_create();
	struct io_segment seg[4];
	char buf[64], back[64] = { 0 };
	struct io io;
	vaddr_t at;

	KT_CHECK(s != NULL);
	space_switch(s);
	KT_CHECK(vm_map(s, 0, 2 * PAGE_SIZE, VM_READ | VM_WRITE, NULL, 0, &at) == 0);
	for (unsigned i = 0; i < sizeof(buf); i++)
		buf[i] = (char)i;
	seg[0] = (struct io_segment){ at + 10, 5 };
	seg[1] = (struct io_segment){ at + 100, 0 };
	seg[2] = (struct io_segment){ at + PAGE_SIZE - 7, 20 };
	seg[3] = (struct io_segment){ at + 2 * PAGE_SIZE - 3, 10 };
	io_init_segments(&io, seg, 4, true);
	KT_CHECK(io.left == 35);
	KT_CHECK(io_copy_to(&io, buf, 3) == 3);
	KT_CHECK(io_copy_to(&io, buf + 3, 15) == 15);
	/* the last segment ends behind the mapping: what fits counts */
	KT_CHECK(io_copy_to(&io, buf + 18, 60) == 10);
	KT_CHECK(io_copy_to(&io, buf, 1) == -EFAULT);
	KT_CHECK(io.left == 7);
	seg[3].len = 3;
	io_init_segments(&io, seg, 4, true);
	KT_CHECK(io_copy_from(&io, back, 64) == 28);
	KT_CHECK(memcmp(buf, back, 28) == 0);
	KT_CHECK(io_copy_from(&io, back, 64) == 0);
	io_init_kernel(&io, back, sizeof(back));
	KT_CHECK(io_copy_to(&io, "abc", 3) == 3 && io.left == sizeof(back) - 3);
	KT_CHECK(memcmp(back, "abc", 3) == 0);
	space_switch(NULL);
	vm_space_put(s);
	vm_space_reap();
}
