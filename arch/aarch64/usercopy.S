/* SPDX-License-Identifier: MIT */
/* Copies between the kernel and a user's memory. The user side is accessed by LDTR and STTR, which the CPU checks
 * as if EL0 made them: so PAN stays set throughout, and CPUs without PAN are as strict. A fault in the wide steps
 * falls to the byte loop at the place reached, whose own fault ends the copy: the count is exact. A word of 4 or 8 bytes
 * that is aligned is moved in one access: futexes compare and clear theirs so. */
#include "arch/aarch64/asm.h"

/* Eight words of the user's at base, and what becomes of their faults. */
	.macro user_words op, base, a, b, c, d, e, f, g, h
20:	\op	\a, [\base, #0]
21:	\op	\b, [\base, #8]
22:	\op	\c, [\base, #16]
23:	\op	\d, [\base, #24]
24:	\op	\e, [\base, #32]
25:	\op	\f, [\base, #40]
26:	\op	\g, [\base, #48]
27:	\op	\h, [\base, #56]
	.endm

	.macro user_words_entries to
	ex_entry 20b, \to
	ex_entry 21b, \to
	ex_entry 22b, \to
	ex_entry 23b, \to
	ex_entry 24b, \to
	ex_entry 25b, \to
	ex_entry 26b, \to
	ex_entry 27b, \to
	.endm

/* Both copies number their accesses alike: 5 is the byte loop, 15 its access, 4 the end. */
	.macro copy_entries
	user_words_entries 5b
	ex_entry 10b, 5b
	ex_entry 11b, 5b
	ex_entry 12b, 5b
	ex_entry 13b, 5b
	ex_entry 17b, 5b
	ex_entry 18b, 5b
	ex_entry 14b, 5b
	ex_entry 15b, 4b
	ex_entry 16b, 5b
	ex_entry 19b, 5b
	.endm

/* size_t arch_copy_from_user(void *dst x0, vaddr_t src x1, size_t n x2): bytes not copied. */
FUNC(arch_copy_from_user)
	cmp	x2, #64
	b.lo	2f
1:	user_words ldtr, x1, x4, x5, x6, x7, x8, x9, x10, x11
	stp	x4, x5, [x0], #16
	stp	x6, x7, [x0], #16
	stp	x8, x9, [x0], #16
	stp	x10, x11, [x0], #16
	add	x1, x1, #64
	sub	x2, x2, #64
	cmp	x2, #64
	b.hs	1b
2:	tbz	x2, #5, 6f
10:	ldtr	x4, [x1, #0]
11:	ldtr	x5, [x1, #8]
12:	ldtr	x6, [x1, #16]
13:	ldtr	x7, [x1, #24]
	stp	x4, x5, [x0], #16
	stp	x6, x7, [x0], #16
	add	x1, x1, #32
	sub	x2, x2, #32
6:	tbz	x2, #4, 7f
17:	ldtr	x4, [x1, #0]
18:	ldtr	x5, [x1, #8]
	stp	x4, x5, [x0], #16
	add	x1, x1, #16
	sub	x2, x2, #16
7:	tbz	x2, #3, 3f
14:	ldtr	x4, [x1]
	str	x4, [x0], #8
	add	x1, x1, #8
	sub	x2, x2, #8
3:	tbz	x2, #2, 8f
16:	ldtr	w4, [x1]
	str	w4, [x0], #4
	add	x1, x1, #4
	sub	x2, x2, #4
8:	tbz	x2, #1, 5f
19:	ldtrh	w4, [x1]
	strh	w4, [x0], #2
	add	x1, x1, #2
	sub	x2, x2, #2
5:	cbz	x2, 4f
15:	ldtrb	w4, [x1]
	strb	w4, [x0], #1
	add	x1, x1, #1
	sub	x2, x2, #1
	b	5b
4:	mov	x0, x2
	ret
	copy_entries
END(arch_copy_from_user)

/* size_t arch_copy_to_user(vaddr_t dst x0, const void *src x1, size_t n x2): bytes not copied. */
FUNC(arch_copy_to_user)
	cmp	x2, #64
	b.lo	2f
1:	ldp	x4, x5, [x1, #0]
	ldp	x6, x7, [x1, #16]
	ldp	x8, x9, [x1, #32]
	ldp	x10, x11, [x1, #48]
	user_words sttr, x0, x4, x5, x6, x7, x8, x9, x10, x11
	add	x0, x0, #64
	add	x1, x1, #64
	sub	x2, x2, #64
	cmp	x2, #64
	b.hs	1b
2:	tbz	x2, #5, 6f
	ldp	x4, x5, [x1, #0]
	ldp	x6, x7, [x1, #16]
10:	sttr	x4, [x0, #0]
11:	sttr	x5, [x0, #8]
12:	sttr	x6, [x0, #16]
13:	sttr	x7, [x0, #24]
	add	x0, x0, #32
	add	x1, x1, #32
	sub	x2, x2, #32
6:	tbz	x2, #4, 7f
	ldp	x4, x5, [x1]
17:	sttr	x4, [x0, #0]
18:	sttr	x5, [x0, #8]
	add	x0, x0, #16
	add	x1, x1, #16
	sub	x2, x2, #16
7:	tbz	x2, #3, 3f
	ldr	x4, [x1]
14:	sttr	x4, [x0]
	add	x0, x0, #8
	add	x1, x1, #8
	sub	x2, x2, #8
3:	tbz	x2, #2, 8f
	ldr	w4, [x1]
16:	sttr	w4, [x0]
	add	x0, x0, #4
	add	x1, x1, #4
	sub	x2, x2, #4
8:	tbz	x2, #1, 5f
	ldrh	w4, [x1]
19:	sttrh	w4, [x0]
	add	x0, x0, #2
	add	x1, x1, #2
	sub	x2, x2, #2
5:	cbz	x2, 4f
	ldrb	w4, [x1]
15:	sttrb	w4, [x0]
	add	x0, x0, #1
	add	x1, x1, #1
	sub	x2, x2, #1
	b	5b
4:	mov	x0, x2
	ret
	copy_entries
END(arch_copy_to_user)

/* size_t arch_zero_user(vaddr_t dst x0, size_t n x1): bytes not zeroed. */
FUNC(arch_zero_user)
1:	cmp	x1, #64
	b.lo	3f
	user_words sttr, x0, xzr, xzr, xzr, xzr, xzr, xzr, xzr, xzr
	add	x0, x0, #64
	sub	x1, x1, #64
	b	1b
3:	cbz	x1, 4f
15:	sttrb	wzr, [x0]
	add	x0, x0, #1
	sub	x1, x1, #1
	b	3b
4:	mov	x0, x1
	ret
	user_words_entries 3b
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
