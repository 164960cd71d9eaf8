/* SPDX-License-Identifier: MIT */
/* sources: fs/blockfile.c fs/file.c tests/host/fs_nonames.c tests/host/shim/identity.c @tests/host/fs_env.sources */
/* A disk as a file, above a disk of memory, against an array of bytes. */
#include "drivers/blockdev.h"
#include "fs/file.h"
#include "fs/vfs.h"
#include "lib/errno.h"
#include "mm/phys/page.h"
#include "tests/host/fs_env.h"
#include "tests/host/test.h"
#include <string.h>

#define SIZE (256u * 1024)

static struct blockdev disk;
static uint8_t on_disk[SIZE], model[SIZE];
static uint64_t fails_from; /* the first byte of what the disk refuses */
static int flush_error;
static struct file *file;

int blockdev_do(struct blockdev *d, struct block_request *r)
{
	uint64_t at = r->sector * BLOCK_SECTOR;

	CHECK(r->len > 0 && r->len <= d->max_bytes && at + r->len <= SIZE);
	CHECK_EQ((at | r->len) % d->block_size, 0);
	if (at + r->len > fails_from)
		return -EIO;
	if (r->op == BLOCK_WRITE)
		memcpy(on_disk + at, phys_to_virt(r->data), r->len);
	else
		memcpy(phys_to_virt(r->data), on_disk + at, r->len);
	return 0;
}

int blockdev_flush(struct blockdev *d)
{
	(void)d;
	return flush_error;
}

void blockdev_for_each(void (*fn)(struct blockdev *d, void *arg), void *arg)
{
	fn(&disk, arg);
}

int devfs_add(const char *path, uint32_t mode, uint32_t rdev,
	      int (*open)(const struct device_node *n, uint32_t flags, struct file **out),
	      void *priv)
{
	const struct device_node n = { .priv = priv };

	(void)path;
	CHECK_EQ(mode, 0060600);
	CHECK_EQ(rdev, 254 << 8);
	return open(&n, FILE_RDWR, &file);
}

static void begin(uint32_t block_size)
{
	disk = (struct blockdev){ .sectors = SIZE / BLOCK_SECTOR,
				  .block_size = block_size,
				  .max_bytes = 65536 };
	mutex_init(&disk.write_lock, LOCK_BLOCK);
	fails_from = SIZE;
	if (!file)
		CHECK_EQ(file_init(), 0);
	for (size_t i = 0; i < SIZE; i++)
		on_disk[i] = model[i] = (uint8_t)test_random();
	CHECK_EQ(blockfile_init(), 0);
}

/* n bytes from buf, or into it, of which the last `bad` are of no memory. */
static ssize_t move_at(bool write, off_t pos, const uint8_t *buf, size_t n, size_t bad)
{
	const struct io_segment seg[] = { { (vaddr_t)buf, n - bad }, { ENV_BAD_ADDRESS, bad } };
	off_t at = pos;
	ssize_t ret;
	struct io io;

	io_init_segments(&io, seg, 2, write);
	ret = write ? file_write_at(file, &io, &at) : file_read_at(file, &io, &at);
	CHECK_EQ(at, pos + MAX(ret, (ssize_t)0));
	return ret;
}

static ssize_t write_at(off_t pos, const uint8_t *buf, size_t n, size_t bad)
{
	return move_at(true, pos, buf, n, bad);
}

/* I-BLOCK-2, X-14: what a write says it wrote is what changed, and nothing beside it, though memory ends in its midst. */
TEST(disk_changes_as_told)
{
	static uint8_t buf[150000];
	const uint64_t before = env_objects + env_pages;

	for (int i = 0; i < 300 * test_scale; i++) {
		size_t pos = test_below(SIZE), n = 1 + test_below(i % 2 ? 5000 : sizeof(buf));
		size_t room = MIN(n, SIZE - pos), bad = i % 3 ? 0 : test_below((uint32_t)n);

		begin(i % 4 ? 512 : 4096);
		memset(buf, i, n);
		room = MIN(room, n - bad);
		CHECK_EQ(write_at((off_t)pos, buf, n, bad), room);
		memcpy(model + pos, buf, room);
		CHECK(memcmp(on_disk, model, SIZE) == 0);
		CHECK_EQ(write_at((off_t)pos, buf, n, n), -EFAULT);
		CHECK(memcmp(on_disk, model, SIZE) == 0);
		file_put(file);
	}
	CHECK_EQ(env_objects + env_pages, before);
}

/* Of a write that the disk refuses in part, what is there is told. */
TEST(disk_refuses_the_end)
{
	static uint8_t buf[200000];

	begin(512);
	fails_from = 100000;
	CHECK_EQ(write_at(1000, buf, sizeof(buf), 0), 65048);
	CHECK_EQ(write_at(99900, buf, 1000, 0), -EIO);
	/* that it is not safe counts more than how much it is */
	file->flags |= VFS_O_DSYNC;
	flush_error = -EIO;
	CHECK_EQ(write_at(0, buf, 1000, 0), -EIO);
	flush_error = 0;
	CHECK_EQ(write_at(0, buf, 1000, 0), 1000);
	file_put(file);
}

TEST(reads_say_how_far_they_came)
{
	static uint8_t buf[200000];

	begin(512);
	CHECK_EQ(move_at(false, 1000, buf, sizeof(buf), 50000), 150000);
	CHECK(memcmp(buf, on_disk + 1000, 150000) == 0);
	CHECK_EQ(move_at(false, 1000, buf, 1000, 1000), -EFAULT);
	CHECK_EQ(move_at(false, SIZE - 10, buf, 1000, 0), 10);
	fails_from = 100000;
	CHECK_EQ(move_at(false, 1000, buf, sizeof(buf), 0), 65048);
	CHECK_EQ(move_at(false, 99900, buf, 1000, 0), -EIO);
	file_put(file);
}
