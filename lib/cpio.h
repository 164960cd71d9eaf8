/* SPDX-License-Identifier: MIT */
/* Reader of cpio archives in the newc form (070701, and 070702 whose checksums are not looked at). Works on memory,
 * copies nothing, allocates nothing: the entries point into the archive. Every length in it is hostile. */
#ifndef TERN_LIB_CPIO_H
#define TERN_LIB_CPIO_H

#include "lib/types.h"

struct cpio {
	const uint8_t *start;
	size_t len;
	size_t at; /* offset of the next header */
};

struct cpio_entry {
	const char *name; /* NUL-terminated, inside the archive, not empty */
	size_t name_len;
	const uint8_t *data;
	size_t size;
	uint32_t ino, mode, uid, gid, nlink, mtime;
	uint32_t dev_major, dev_minor;	 /* of the file system archived */
	uint32_t rdev_major, rdev_minor; /* of a device node */
};

void cpio_init(struct cpio *c, const void *start, size_t len);
/* The next entry: 1 and *e; 0 at the end (the last trailer, or the end of the bytes between archives); -EINVAL for
 * anything else, and again for every later call. Archives may follow one another, with zero bytes between them. */
int cpio_next(struct cpio *c, struct cpio_entry *e) __must_check;

#endif
