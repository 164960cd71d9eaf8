/* SPDX-License-Identifier: MIT */
/* Copies between the kernel and a user's memory. The user side is accessed by LDTR and STTR, which the CPU checks
 * as if EL0 made them: so PAN stays set throughout, and CPUs without PAN are as strict. A fault in the wide loop
 * falls to the byte loop at the place reached, whose own fault ends the copy: the count is exact. A word of 4 or 8 bytes
 * that is aligned is moved in one access: futexes compare and clear theirs so. */
#include "arch/aarch64/asm.h"

/* size_t arch_copy_from_user(void *dst x0, vaddr_t src x1, size_t n x2): bytes not copied. */
FUNC(arch_copy_from_user)
1:	cmp	x2, #32
	b.lo	2f
10:	ldtr	x4, [x1, #0]
11:	ldtr	x5, [x1, #8]
12:	ldtr	x6, [x1, #16]
13:	ldtr	x7, [x1, #24]
	stp	x4, x5, [x0], #16
	stp	x6, x7, [x0], #16
	add	x1, x1, #32
	sub	x2, x2, #32
	b	1b
2:	cmp	x2, #8
	b.lo	3f
14:	ldtr	x4, [x1]
	str	x4, [x0], #8
	add	x1, x1, #8
	sub	x2, x2, #8
	b	2b
3:	cmp	x2, #4
	b.ne	5f
16:	ldtr	w4, [x1]
	str	w4, [x0]
	mov	x0, #0
	ret
5:	cbz	x2, 4f
15:	ldtrb	w4, [x1]
	strb	w4, [x0], #1
	add	x1, x1, #1
	sub	x2, x2, #1
	b	5b
4:	mov	x0, x2
	ret
	ex_entry 10b, 5b
	ex_entry 11b, 5b
	ex_entry 12b, 5b
	ex_entry 13b, 5b
	ex_entry 14b, 5b
	ex_entry 15b, 4b
	ex_entry 16b, 5b
END(arch_copy_from_user)

/* size_t arch_copy_to_user(vaddr_t dst x0, const void *src x1, size_t n x2): bytes not copied. */
FUNC(arch_copy_to_user)
1:	cmp	x2, #32
	b.lo	2f
	ldp	x4, x5, [x1, #0]
	ldp	x6, x7, [x1, #16]
10:	sttr	x4, [x0, #0]
11:	sttr	x5, [x0, #8]
12:	sttr	x6, [x0, #16]
13:	sttr	x7, [x0, #24]
	add	x0, x0, #32
	add	x1, x1, #32
	sub	x2, x2, #32
	b	1b
2:	cmp	x2, #8
	b.lo	3f
	ldr	x4, [x1]
14:	sttr	x4, [x0]
	add	x0, x0, #8
	add	x1, x1, #8
	sub	x2, x2, #8
	b	2b
3:	cmp	x2, #4
	b.ne	5f
	ldr	w4, [x1]
16:	sttr	w4, [x0]
	mov	x0, #0
	ret
5:	cbz	x2, 4f
	ldrb	w4, [x1]
15:	sttrb	w4, [x0]
	add	x0, x0, #1
	add	x1, x1, #1
	sub	x2, x2, #1
	b	5b
4:	mov	x0, x2
	ret
	ex_entry 10b, 5b
	ex_entry 11b, 5b
	ex_entry 12b, 5b
	ex_entry 13b, 5b
	ex_entry 14b, 5b
	ex_entry 15b, 4b
	ex_entry 16b, 5b
END(arch_copy_to_user)

/* size_t arch_zero_user(vaddr_t dst x0, size_t n x1): bytes not zeroed. */
FUNC(arch_zero_user)
1:	cmp	x1, #32
	b.lo	3f
10:	sttr	xzr, [x0, #0]
11:	sttr	xzr, [x0, #8]
12:	sttr	xzr, [x0, #16]
13:	sttr	xzr, [x0, #24]
	add	x0, x0, #32
	sub	x1, x1, #32
	b	1b
3:	cbz	x1, 4f
15:	sttrb	wzr, [x0]
	add	x0, x0, #1
	sub	x1, x1, #1
	b	3b
4:	mov	x0, x1
	ret
	ex_entry 10b, 3b
	ex_entry 11b, 3b
	ex_entry 12b, 3b
	ex_entry 13b, 3b
	ex_entry 15b, 4b
END(arch_zero_user)

/* bool arch_probe_read64(const void *p x0, uint64_t *out x1): false if the kernel may not read there. A user's address
 * is not tried: that could bring a page in, and sleep. */
FUNC(arch_probe_read64)
	tbz	x0, #63, 3f
10:	ldr	x2, [x0]
	str	x2, [x1]
	mov	w0, #1
	ret
3:	mov	w0, #0
	ret
	ex_entry 10b, 3b
END(arch_probe_read64)

/* bool semihost_call(uint64_t op x0, const void *arg x1): false if nobody serves semihosting calls. */
FUNC(semihost_call)
10:	hlt	#0xf000
	mov	w0, #1
	ret
3:	mov	w0, #0
	ret
	ex_entry 10b, 3b
END(semihost_call)
