/* SPDX-License-Identifier: MIT */
/* What the compiler calls where it finds undefined behaviour (SAN=address builds with -fsanitize=undefined). Each handler
 * gets a description that begins with the place in the source; that and the kind of mistake are reported as a BUG. */
#include "kernel/core/panic.h"

struct place {
	const char *file;
	uint32_t line;
	uint32_t column;
};

#define REPORT(data, text) bug((data)->file, (int)(data)->line, "ubsan: %s", text)

/* The arguments after the description differ; what they hold is not shown. */
#define HANDLER(name, text)                                                                        \
	void __ubsan_handle_##name(const struct place *data);                                      \
	void __ubsan_handle_##name(const struct place *data)                                       \
	{                                                                                          \
		REPORT(data, text);                                                                \
	}

HANDLER(type_mismatch_v1, "NULL or misaligned pointer used")
HANDLER(add_overflow, "signed addition overflows")
HANDLER(sub_overflow, "signed subtraction overflows")
HANDLER(mul_overflow, "signed multiplication overflows")
HANDLER(negate_overflow, "signed negation overflows")
HANDLER(divrem_overflow, "division by zero, or overflow")
HANDLER(shift_out_of_bounds, "shift out of range")
HANDLER(out_of_bounds, "index out of bounds")
HANDLER(load_invalid_value, "value not valid for its type")
HANDLER(pointer_overflow, "pointer arithmetic overflows")
HANDLER(builtin_unreachable, "unreachable code reached")
HANDLER(missing_return, "function without return value")
HANDLER(vla_bound_not_positive, "array size not positive")
HANDLER(nonnull_arg, "NULL given for an argument that may not be NULL")
HANDLER(nonnull_return_v1, "NULL returned where none may be")
HANDLER(alignment_assumption, "alignment not as assumed")
HANDLER(invalid_builtin, "builtin called with an argument that is not valid")
HANDLER(float_cast_overflow, "conversion out of range")
