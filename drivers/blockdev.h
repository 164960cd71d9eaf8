/* SPDX-License-Identifier: MIT */
/* What a disk driver gives to files: runs of sectors by physical address. Everything is asynchronous below; who asks sleeps
 * in blockdev_do() until its request is done, or until the device has been given up.
 *
 * A request is the caller's, but for its memory (data and the request itself) the device's from blockdev_do() until that
 * returns: it returns no sooner, so it is not killable; instead, a device that gives nothing back for limit_ns is
 * reset, and everything it had ends with -EIO.
 *
 * An interrupt may get lost: who waits looks for himself each second.
 *
 *   I-BLOCK-1  a request ends exactly once: by the device's answer, or by the reset that takes its memory back. */
#ifndef TERN_DRIVERS_BLOCKDEV_H
#define TERN_DRIVERS_BLOCKDEV_H

#include "kernel/core/clock.h"
#include "lib/list.h"
#include "lib/types.h"
#include "sched/mutex.h"
#include "sched/wait.h"

#define BLOCK_SECTOR   512u
#define BLOCK_LIMIT_NS (30 * NS_PER_S)
#define BLOCK_LOOK_NS  NS_PER_S

enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH };

/* One transfer. In memory that is physically one piece (kmalloc, not a stack). */
struct block_request {
	enum block_op op;
	uint64_t sector; /* of BLOCK_SECTOR bytes, at a multiple of the device's block */
	paddr_t data;	 /* in one piece */
	uint32_t len;	 /* 1 to max_bytes, whole blocks; 0 for BLOCK_FLUSH */
	int error;	 /* valid when done */
	uint32_t done;	 /* [atomic] */
	struct {
		uint32_t type, ioprio;
		uint64_t sector;
		uint8_t status;
	} wire; /* the driver's, and the device's */
};

struct blockdev;

struct blockdev_ops {
	/* Give a request to the device; block_finish() comes later, from irq context. 0, -ENOBUFS (no room: try when one has
	 * come back), -EIO (broken, or dead). */
	int (*submit)(struct blockdev *d, struct block_request *r);
	/* Finish what is done, though nothing told of it. Context: thread. */
	void (*look)(struct blockdev *d);
	/* Does it need reset()? Also true when nothing has come back for limit_ns. */
	bool (*broken)(struct blockdev *d);
	/* Every request out ends with -EIO and the device starts anew, or stays dead; behind another's, nothing if that was enough.
	 * Context: thread. */
	void (*reset)(struct blockdev *d);
};

struct blockdev {
	struct list_head link;		/* [init] the registry's */
	const struct blockdev_ops *ops; /* [init] */
	char name[8];			/* [init] "vda" */
	unsigned number;		/* [init] of the registry, from 0 */
	uint64_t sectors;		/* [init] */
	uint32_t block_size;		/* [init] a power of two, BLOCK_SECTOR to a page */
	uint32_t max_bytes;		/* [init] a request's, a multiple of block_size */
	bool read_only;			/* [init] */
	bool flushes;			/* [init] has a cache of its own */
	uint64_t limit_ns;		/* [init] */
	uint64_t look_ns;		/* [init] who waits looks as often whether it came untold */
	struct mutex write_lock;	/* BLOCK: a write that has to read first is one step */
	struct mutex reset_lock;	/* BLOCKRESET */
	struct waitq wq;		/* who waits for a request or for room */
	uint32_t finished;		/* [atomic] requests that have ended: a change is room */
	uint32_t resets;		/* [atomic] */
};

/* Locks, queue and limit; what the driver knows is set. */
void blockdev_init(struct blockdev *d);
/* A driver has found a disk. It gets name and number here. Context: boot. */
void blockdev_register(struct blockdev *d);
/* In order of discovery. fn may sleep. */
void blockdev_for_each(void (*fn)(struct blockdev *d, void *arg), void *arg);

/* Do one request, whose op, sector, data and len are set, and wait for it. 0, -EIO. Context: thread, may sleep; write_lock
 * may be held. */
int blockdev_do(struct blockdev *d, struct block_request *r) __must_check;
/* What was written is on the disk. 0, -EIO, -ENOMEM. */
int blockdev_flush(struct blockdev *d) __must_check;

/* The driver's: r has ended. Context: any. */
void block_finish(struct blockdev *d, struct block_request *r, int error);

#endif
