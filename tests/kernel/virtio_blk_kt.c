/* SPDX-License-Identifier: MIT */
/* The disk driver on a disk made of code: answers in any order, none at all, errors and lies. PERF-007, I-BLOCK-1. */
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

#include "arch/aarch64/arch.h"
#include "drivers/virtio/virtio_blk.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "kernel/watchdog.h"
#include "lib/string.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/ktest.h"
#include "tests/kernel/virtio_model.h"

enum { SECTORS = 256, HELD = 64, WORKERS = 4 };

enum manner { HONEST, SHUFFLES, SILENT, LIES, ERRORS };

static struct disk {
	struct model m;
	struct virtio_blk *v;
	struct crew crew;
	struct waitq wq;
	uint32_t pending, stop, manner; /* [atomic] */
	uint64_t seed;
	uint8_t *data;
	struct model_buffer held[HELD];
	unsigned nr_held;
} disk;

static void on_notify(struct model *m, unsigned queue)
{
	atomic_store_release(&disk.pending, 1);
	wake_all(&disk.wq);
}

static void on_interrupt(void *arg)
{
	virtio_blk_interrupt(disk.v);
}

static void answer(struct model_buffer *b)
{
	struct {
		uint32_t type, ioprio;
		uint64_t sector;
	} head;
	uint8_t *status = b->piece[b->nr - 1].at, *at = b->nr == 3 ? b->piece[1].at : NULL;
	uint32_t len = b->nr == 3 ? b->piece[1].len : 0;
	bool fits;

	memcpy(&head, b->piece[0].at, sizeof(head));
	fits = head.sector * 512 + len <= SECTORS * 512 && (at || head.type == VIRTIO_BLK_T_FLUSH);
	if (!fits || atomic_load_relaxed(&disk.manner) == ERRORS) {
		*status = VIRTIO_BLK_S_IOERR;
	} else {
		if (at && head.type == VIRTIO_BLK_T_IN)
			memcpy(at, disk.data + head.sector * 512, len);
		else if (at && head.type == VIRTIO_BLK_T_OUT)
			memcpy(disk.data + head.sector * 512, at, len);
		*status = VIRTIO_BLK_S_OK;
	}
	if (atomic_load_relaxed(&disk.manner) == LIES) {
		atomic_store_relaxed(&disk.manner, HONEST);
		model_used_raw(&disk.m, 0, b->id, 1u << 30);
		return;
	}
	model_used(&disk.m, b, b->writable);
}

static void play(void)
{
	uint32_t manner;

	while (disk.nr_held < HELD && model_take(&disk.m, 0, &disk.held[disk.nr_held]))
		disk.nr_held++;
	/* after what was taken: what comes once the manner is another is answered in that */
	manner = atomic_load_relaxed(&disk.manner);
	if (manner == SILENT) {
		disk.nr_held = 0;
		return;
	}
	while (disk.nr_held) {
		unsigned i =
			manner == SHUFFLES ? (unsigned)(crew_random(&disk.seed) % disk.nr_held) : 0;

		answer(&disk.held[i]);
		disk.held[i] = disk.held[--disk.nr_held];
		if (crew_random(&disk.seed) % 3 == 0)
			model_signal(&disk.m, 0);
	}
	model_signal(&disk.m, 0);
}

static void player(void *arg)
{
	while (!atomic_load_acquire(&disk.stop)) {
		wait_event(&disk.wq,
			   atomic_load_relaxed(&disk.pending) || atomic_load_relaxed(&disk.stop));
		atomic_store_relaxed(&disk.pending, 0);
		play();
	}
}

static bool plug_in(void)
{
	struct virtio_blk_config c = { .capacity = SECTORS };

	memset(&disk, 0, sizeof(disk));
	waitq_init(&disk.wq);
	disk.seed = kt_seed() | 1;
	disk.data = kzalloc(SECTORS * 512);
	model_init(&disk.m, VIRTIO_ID_BLOCK, BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_RING_F_EVENT_IDX),
		   64);
	memcpy(disk.m.config, &c, MIN(sizeof(c), sizeof(disk.m.config)));
	disk.m.on_notify = on_notify;
	disk.m.interrupt = on_interrupt;
	disk.v = virtio_blk_create(&disk.m.dev);
	KT_CHECK(disk.data && disk.v);
	if (!disk.data || !disk.v)
		return false;
	KT_CHECK(disk.v->bd.sectors == SECTORS && disk.v->bd.block_size == 512);
	crew_add(&disk.crew, player, NULL, UINT64_MAX);
	return true;
}

static void unplug(void)
{
	atomic_store_release(&disk.stop, 1);
	wake_all(&disk.wq);
	crew_join(&disk.crew);
	if (disk.v)
		virtio_blk_destroy(disk.v);
	KT_CHECK(!disk.m.complaint);
	kfree(disk.data);
}

/* A request and a page for it. */
struct job {
	struct block_request r;
	struct page *page;
};

static struct job *job_new(void)
{
	struct job *j = kzalloc(sizeof(*j));

	KT_CHECK(j && (j->page = page_alloc(0, ALLOC_ZERO)));
	return j;
}

static int job_do(struct job *j, enum block_op op, uint64_t sector, uint32_t len)
{
	j->r.op = op;
	j->r.sector = sector;
	j->r.data = page_to_phys(j->page);
	j->r.len = len;
	return blockdev_do(&disk.v->bd, &j->r);
}

static void job_free(struct job *j)
{
	page_put(j->page);
	kfree(j);
}

KTEST(vblk_reads_and_writes)
{
	struct job *j;

	if (plug_in()) {
		j = job_new();
		memset(page_addr(j->page), 0x5a, 1024);
		KT_CHECK(job_do(j, BLOCK_WRITE, 10, 1024) == 0);
		KT_CHECK(disk.data[10 * 512] == 0x5a && disk.data[12 * 512] == 0);
		memset(page_addr(j->page), 0, PAGE_SIZE);
		KT_CHECK(job_do(j, BLOCK_READ, 11, 512) == 0);
		KT_CHECK(*(uint8_t *)page_addr(j->page) == 0x5a);
		KT_CHECK(job_do(j, BLOCK_READ, SECTORS, 512) == -EIO);
		KT_CHECK(blockdev_flush(&disk.v->bd) == 0);
		atomic_store_relaxed(&disk.manner, ERRORS);
		KT_CHECK(job_do(j, BLOCK_READ, 11, 512) == -EIO);
		KT_CHECK(blockdev_flush(&disk.v->bd) == -EIO);
		KT_CHECK(atomic_load_relaxed(&disk.v->bd.resets) == 0);
		job_free(j);
	}
	unplug();
}

/* Each worker has sectors of its own, and all of the ring is in use: what it wrote last it reads. */
static void worker(void *arg)
{
	uint64_t seed = kt_seed() + (uintptr_t)arg * 977 + 1;
	unsigned base = (unsigned)(uintptr_t)arg * (SECTORS / WORKERS);
	struct job *j = job_new();

	for (unsigned i = 0; i < 300 * kt_scale(); i++) {
		unsigned sector = base + crew_random(&seed) % (SECTORS / WORKERS - 8);
		uint32_t len = 512 * (uint32_t)(crew_random(&seed) % 8 + 1);
		uint8_t mark = (uint8_t)crew_random(&seed);

		memset(page_addr(j->page), mark, len);
		KT_CHECK(job_do(j, BLOCK_WRITE, sector, len) == 0);
		memset(page_addr(j->page), 0, len);
		KT_CHECK(job_do(j, BLOCK_READ, sector, len) == 0);
		for (uint32_t k = 0; k < len; k += 64)
			KT_CHECK(((uint8_t *)page_addr(j->page))[k] == mark);
	}
	job_free(j);
}

KTEST(vblk_out_of_order)
{
	struct crew c = { 0 };

	if (plug_in()) {
		/* nobody looks by himself: who is not woken hangs */
		disk.v->bd.limit_ns = disk.v->bd.look_ns = 3600 * NS_PER_S;
		atomic_store_relaxed(&disk.manner, SHUFFLES);
		/* one alone, whom no other's answer wakes; then all */
		worker(NULL);
		for (uintptr_t i = 0; i < WORKERS; i++)
			crew_add(&c, worker, (void *)i, UINT64_MAX);
		crew_join(&c);
		KT_CHECK(atomic_load_relaxed(&disk.v->bd.resets) == 0);
	}
	unplug();
}

static void one_read(void *arg)
{
	struct job *j = job_new();

	*(int *)arg = job_do(j, BLOCK_READ, 1, 512);
	job_free(j);
}

/* A device that answers nobody: each ends with -EIO by one reset, and it serves again. */
KTEST(vblk_silent_device)
{
	int ret[WORKERS] = { 0 };
	struct crew c = { 0 };

	if (plug_in()) {
		disk.v->bd.limit_ns = 200 * NS_PER_MS;
		atomic_store_relaxed(&disk.manner, SILENT);
		for (int i = 0; i < WORKERS; i++)
			crew_add(&c, one_read, &ret[i], UINT64_MAX);
		crew_join(&c);
		for (int i = 0; i < WORKERS; i++)
			KT_CHECK(ret[i] == -EIO);
		KT_CHECK(atomic_load_relaxed(&disk.v->bd.resets) >= 1);
		atomic_store_relaxed(&disk.manner, HONEST);
		disk.v->bd.limit_ns = BLOCK_LIMIT_NS;
		one_read(&ret[0]);
		KT_CHECK(ret[0] == 0);
	}
	unplug();
}

static void unheard(void *arg)
{
}

/* I-IRQ-3: no interrupt tells of the answer; who waits for it looks, before the disk has had the time to be given up. */
KTEST(vblk_unheard)
{
	int ret = -1;

	if (plug_in()) {
		disk.m.interrupt = unheard;
		one_read(&ret);
		KT_CHECK(ret == 0 && !atomic_load_relaxed(&disk.v->bd.resets));
	}
	unplug();
}

static struct mutex writing, reading;
static uint32_t alarms; /* [atomic] */

/* Of threads: a CPU may well get no turn of the host's. */
static void note_alarm(const char *text)
{
	if (strncmp(text, "thread ", 7) == 0)
		atomic_fetch_add(&alarms, 1);
}

static void locked_read(void *arg)
{
	mutex_lock(&reading);
	one_read(arg);
	mutex_unlock(&reading);
}

static void lock_and_wait(void *arg)
{
	mutex_lock(&writing);
	locked_read(arg);
	mutex_unlock(&writing);
}

/* I-WATCH-2: a disk is given its time; who waits for it, and who waits for those, is no alarm meanwhile. Who waits for it wakes
 * more often than the watchdog looks, as with a second and six. */
KTEST(vblk_silent_device_is_no_hang)
{
	uint64_t limit = crew_hang_deadline(), before = watchdog_limit(), looks;
	struct crew c = { 0 };
	int ret[2];

	mutex_init(&writing, LOCK_INODE);
	mutex_init(&reading, LOCK_BLOCK);
	if (plug_in()) {
		disk.v->bd.look_ns = 2 * NS_PER_MS;
		atomic_store_relaxed(&disk.manner, SILENT);
		crew_add(&c, locked_read, &ret[0], UINT64_MAX);
		crew_await_asleep(c.thread[0]);
		crew_add(&c, lock_and_wait, &ret[1], UINT64_MAX);
		crew_await_asleep(c.thread[1]);
		alarms = 0;
		watchdog_set_hook(note_alarm);
		watchdog_set(100 * NS_PER_MS);
		looks = watchdog_looks() + 3 * WATCHDOG_TICKS;
		while (watchdog_looks() < looks && clock_now_ns() < limit)
			IGNORE(sleep_until(crew_deadline_ms(1), WAIT_UNINTERRUPTIBLE));
		KT_CHECK(watchdog_looks() >= looks && !atomic_load_relaxed(&alarms));
		watchdog_set(before);
		watchdog_set_hook(NULL);
		virtq_fail(&disk.v->vq, "the test has seen enough");
		atomic_store_relaxed(&disk.manner, HONEST);
		wake_all(&disk.v->bd.wq);
		crew_join(&c);
		KT_CHECK(ret[0] == -EIO && ret[1] == 0);
	}
	unplug();
}

/* As another CPU would between the queue and the device's start. */
static void ask_early(struct model *m, unsigned queue)
{
	KT_CHECK(disk.v->bd.ops->submit(&disk.v->bd, m->owner) == -EIO);
}

/* Who asks while the device is started again is refused: it would not hear of that, nor of all that comes behind. */
KTEST(vblk_reset_refuses_until_it_serves)
{
	int ret = 0;

	if (plug_in()) {
		struct job *early = job_new();

		early->r.op = BLOCK_FLUSH;
		disk.m.owner = &early->r;
		disk.m.on_enable = ask_early;
		atomic_store_relaxed(&disk.manner, LIES);
		one_read(&ret);
		KT_CHECK(ret == -EIO);
		one_read(&ret);
		KT_CHECK(ret == 0);
		KT_CHECK(atomic_load_relaxed(&disk.v->bd.resets) == 1);
		disk.m.on_enable = NULL;
		job_free(early);
	}
	unplug();
}

/* I-BLOCK-1: it asks for a reset while it has nothing. Who comes next does that first. */
KTEST(vblk_idle_device_asks_for_a_reset)
{
	int ret = -1;

	if (plug_in()) {
		model_need_reset(&disk.m);
		one_read(&ret);
		KT_CHECK(ret == 0);
		KT_CHECK(atomic_load_relaxed(&disk.v->bd.resets) == 1);
	}
	unplug();
}

static struct {
	struct crew crew;
	int ret;
} late;

/* While the device is started again, another comes. */
static void come_late(struct model *m, unsigned queue)
{
	m->on_enable = NULL;
	crew_add(&late.crew, one_read, &late.ret, UINT64_MAX);
	crew_await_asleep(late.crew.thread[0]);
}

KTEST(vblk_reset_costs_only_what_it_had)
{
	int ret = 0;

	if (plug_in()) {
		memset(&late, 0, sizeof(late));
		late.ret = -1;
		disk.m.on_enable = come_late;
		atomic_store_relaxed(&disk.manner, LIES);
		one_read(&ret);
		crew_join(&late.crew);
		KT_CHECK(ret == -EIO && late.ret == 0);
		KT_CHECK(atomic_load_relaxed(&disk.v->bd.resets) == 1);
	}
	unplug();
}

/* I-VIRTQ-4: it says it wrote more than there is room for. Who waits need not wait for the limit. */
KTEST(vblk_lying_device)
{
	int ret = 0;

	if (plug_in()) {
		atomic_store_relaxed(&disk.manner, LIES);
		one_read(&ret);
		KT_CHECK(ret == -EIO);
		KT_CHECK(atomic_load_relaxed(&disk.v->bd.resets) == 1);
		one_read(&ret);
		KT_CHECK(ret == 0);
	}
	unplug();
}

/* A disk without room for the first, to which all that was out comes back before it is told so. */
static struct {
	struct blockdev bd;
	struct block_request other;
	unsigned asked, looked;
} full;

static int submit_to_full(struct blockdev *d, struct block_request *r)
{
	bool first = full.asked++ == 0;

	block_finish(d, first ? &full.other : r, 0);
	return first ? -ENOBUFS : 0;
}

/* Who waits in vain goes on. */
static void look_at_full(struct blockdev *d)
{
	full.looked++;
	block_finish(d, &full.other, 0);
}

static bool never_broken(struct blockdev *d)
{
	return false;
}

/* RC-013: nothing is out that could tell it of room once more. */
KTEST(block_room_comes_before_the_wait)
{
	static const struct blockdev_ops ops = { .submit = submit_to_full,
						 .look = look_at_full,
						 .broken = never_broken };
	struct block_request r = { .op = BLOCK_FLUSH };

	memset(&full, 0, sizeof(full));
	blockdev_init(&full.bd);
	full.bd.ops = &ops;
	KT_CHECK(blockdev_do(&full.bd, &r) == 0);
	KT_CHECK(full.asked == 2 && full.looked == 0);
}
