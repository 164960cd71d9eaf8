/* SPDX-License-Identifier: MIT */
/* The names of the lock classes. */
#include "kernel/core/lock.h"

static const char *const names[LOCK_CLASSES] = {
#define LOCK_CLASS(name, kind, irq, floor, protects) [LOCK_##name] = #name,
#include "kernel/core/lock_ranks.def"
#undef LOCK_CLASS
};

const char *lock_class_name(enum lock_class cls)
{
	return cls < LOCK_CLASSES ? names[cls] : "?";
}
