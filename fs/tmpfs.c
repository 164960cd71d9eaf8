/* SPDX-License-Identifier: MIT */
/* Files in memory. A regular file's page is, in this order: its own page in the index; the bytes of a built-in file
 * where they lie (in_place), as far as they reach; else zeros. Writing gives a page of its own.
 *
 * Transfers hold INODE, so writes are whole against each other. A copy from or to a program may fault, and the fault
 * may ask this very file for a page: fill() and peek() therefore take only PGCACHE. Names are all in the directory cache.
 *
 * I-TMPFS-1: behind the end of the file only who holds INODE puts pages into the index.
 * I-TMPFS-2: what is mapped is the page that lies in the index, or, when none does, the built-in one. */
#include "fs/tmpfs.h"
#include "fs/dcache.h"
#include "fs/devfs.h"
#include "fs/names.h"
#include "fs/pipe.h"
#include "fs/page_index.h"
#include "kernel/core/clock.h"
#include "kernel/core/panic.h"
#include "kernel/proc/signal.h"
#include "lib/string.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"
#include "mm/vm/space.h"
#include "sched/thread.h"

#define PAGE_BLOCKS (PAGE_SIZE / 512)
/* Linux's numbers. */
enum { FALLOC_PUNCH_HOLE = 2, SEEK_TO_DATA = 3, SEEK_TO_HOLE = 4 };
enum { SEAL_SEALS = 1, SEAL_SHRINK = 2, SEAL_GROW = 4, SEAL_WRITE = 8, SEAL_FUTURE_WRITE = 16 };
#define SEAL_WRITES (SEAL_WRITE | SEAL_FUTURE_WRITE)

struct tmpfs_file {
	spinlock_t lock;	 /* PGCACHE */
	struct page_index pages; /* [lock] each a reference */
	const uint8_t *in_place; /* [lock] NULL: none */
	uint64_t in_place_len;	 /* [lock] */
	char *target;		 /* [init] symbolic links */
	bool nameless;	 /* [init] shared memory of programs: not held to what files may have */
	uint32_t seals;	 /* [INODE] SEAL_* */
	uint32_t shared; /* [atomic, up under INODE] shared mappings that may be written to */
	struct vm_mapping mapping;
	struct pipe *fifo; /* [INODE] from the first open on; NULL */
};

/* One object; the inode's priv is the file. */
struct tmpfs_inode {
	struct inode inode;
	struct tmpfs_file file;
};

/* A name and its inode are about that part of a page; a target that is longer than that is a page of its own. */
enum { NAMES_A_PAGE = 4, TARGET_SHORT = PAGE_SIZE / NAMES_A_PAGE };

struct tmpfs {
	struct superblock sb;
	uint64_t pages; /* [atomic] of its files */
	uint64_t limit; /* [init] with those of its names */
};

static struct slab_cache *inodes;	 /* [init] */
static uint64_t nr_pages;		 /* [atomic] */
static uint64_t page_limit = UINT64_MAX; /* [init] */
static const uint8_t zeros[PAGE_SIZE];

static const struct inode_ops dir_ops, file_inode_ops, link_ops, special_ops;

uint64_t tmpfs_pages(void)
{
	return atomic_load_relaxed(&nr_pages);
}

/* What this one has left, and what all of them together have left. */
static void tmpfs_space(struct superblock *sb, uint64_t *total, uint64_t *left)
{
	const struct tmpfs *fs = container_of(sb, struct tmpfs, sb);
	uint64_t used = atomic_load_relaxed(&fs->pages) + READ_ONCE(sb->names) / NAMES_A_PAGE;
	uint64_t all = tmpfs_pages();

	*total = MIN(fs->limit, page_limit);
	*left = *total - MIN(used, *total);
	if (*left > page_limit - MIN(all, page_limit))
		*left = page_limit - MIN(all, page_limit);
}

static bool has_room(struct inode *i)
{
	uint64_t total, left;

	tmpfs_space(i->sb, &total, &left);
	return left > 0 || ((struct tmpfs_file *)i->priv)->nameless;
}

static void count_page(struct inode *i, uint64_t by)
{
	atomic_fetch_add(&nr_pages, by);
	atomic_fetch_add(&container_of(i->sb, struct tmpfs, sb)->pages, by);
}

void tmpfs_set_limit(uint64_t pages)
{
	page_limit = pages;
}

static const struct inode_ops *ops_for(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return &file_inode_ops;
	case S_IFDIR:
		return &dir_ops;
	case S_IFLNK:
		return &link_ops;
	default:
		return &special_ops;
	}
}

int tmpfs_create(struct superblock *sb, uint32_t mode, const char *target, struct inode **out)
{
	char *text = target ? kstrdup(target) : NULL;
	struct tmpfs_file *t;
	struct inode *i;

	if (target && !text)
		return -ENOMEM;
	i = inode_create(sb, ops_for(mode), mode, NULL);
	if (!i) {
		kfree(text);
		return -ENOMEM;
	}
	t = &container_of(i, struct tmpfs_inode, inode)->file;
	i->priv = t;
	spin_init(&t->lock, LOCK_PGCACHE);
	t->seals = SEAL_SEALS;
	vm_mapping_init(&t->mapping);
	t->target = text;
	i->size = text ? strlen(text) : 0;
	if (text && i->size > TARGET_SHORT)
		count_page(i, 1);
	*out = i;
	return 0;
}

static int create_in(struct inode *dir, uint32_t mode, const char *target, struct inode **out)
{
	return tmpfs_create(dir->sb, mode, target, out);
}

void tmpfs_set_in_place(struct inode *i, const void *data, size_t n)
{
	struct tmpfs_file *t = i->priv;

	t->in_place = data;
	t->in_place_len = n;
	WRITE_ONCE(i->size, n);
	WRITE_ONCE(i->blocks, DIV_ROUND_UP(n, PAGE_SIZE) * PAGE_BLOCKS);
}

static uint64_t pages_in_place(const struct tmpfs_file *t)
{
	return DIV_ROUND_UP(READ_ONCE(t->in_place_len), PAGE_SIZE);
}

/* Take the pages from number `from` on and below end out of the file. Returns how many of them stood for built-in ones. */
static uint64_t drop_pages(struct inode *i, uint64_t from, uint64_t end)
{
	struct tmpfs_file *t = i->priv;
	uint64_t number, in_place = 0;
	struct page *p;

	for (;;) {
		spin_lock(&t->lock);
		p = page_index_take(&t->pages, from, end, &number);
		spin_unlock(&t->lock);
		if (!p)
			return in_place;
		page_put(p);
		count_page(i, -1UL);
		in_place += number < pages_in_place(t);
		__atomic_fetch_sub(&i->blocks, PAGE_BLOCKS, __ATOMIC_RELAXED);
	}
}

static void release_inode(struct inode *i)
{
	struct tmpfs_file *t = i->priv;

	/* nobody else has it */
	if (t->pages.root)
		(void)drop_pages(i, 0, UINT64_MAX);
	if (t->target && i->size > TARGET_SHORT)
		count_page(i, -1UL);
	if (t->fifo)
		pipe_put(t->fifo);
	kfree(t->target);
}

/* --- pages ------------------------------------------------------------------------------------------------------ */

/* How many bytes of page `number` are built-in ones, and where they lie. */
static size_t bytes_in_place(const struct tmpfs_file *t, uint64_t number, const uint8_t **in_place)
	__requires(t->lock)
{
	uint64_t start = number * PAGE_SIZE;

	if (!t->in_place || start >= t->in_place_len)
		return 0;
	*in_place = t->in_place + start;
	return MIN(t->in_place_len - start, PAGE_SIZE);
}

/* The file's own page with a reference, or NULL; then *in_place says where its bytes lie and how many. */
static struct page *find_page(struct tmpfs_file *t, uint64_t number, const uint8_t **in_place,
			      size_t *in_place_len)
{
	struct page *p;

	spin_lock(&t->lock);
	p = page_index_get(&t->pages, number);
	if (p)
		page_get(p);
	*in_place_len = p ? 0 : bytes_in_place(t, number, in_place);
	spin_unlock(&t->lock);
	return p;
}

static bool in_file(const struct inode *i, uint64_t number)
{
	return number < DIV_ROUND_UP(READ_ONCE(i->size), PAGE_SIZE);
}

/* Pages that may be mapped as they were built in, while the file has others now: [from, end). */
struct replaced {
	uint64_t from, end;
};
#define NONE_REPLACED                                                                              \
	{                                                                                          \
		UINT64_MAX, 0                                                                      \
	}

/* Put p, which was filled from n built-in bytes, into the index, unless somebody was faster: *p is what lies there now, with
 * a reference. -EAGAIN: the file is no longer what p was made from. Under INODE (writer) it stays what it is. */
static int add_page(struct inode *i, uint64_t number, size_t n, bool writer, struct page **p)
{
	struct tmpfs_file *t = i->priv;
	const uint8_t *in_place;
	struct page *there;
	int err = 0;

	spin_lock(&t->lock);
	there = page_index_get(&t->pages, number);
	/* pairs with tmpfs_truncate(), which stores the size and the end of the built-in bytes first */
	if (!there && !writer && (!in_file(i, number) || bytes_in_place(t, number, &in_place) != n))
		err = -EAGAIN;
	else if (!there)
		err = page_index_insert(&t->pages, number, *p);
	if (!err)
		page_get(there ? there : *p);
	spin_unlock(&t->lock);
	if (there || err) {
		page_put(*p);
		*p = there;
		return err;
	}
	count_page(i, 1);
	if (n == 0)
		__atomic_fetch_add(&i->blocks, PAGE_BLOCKS, __ATOMIC_RELAXED);
	return 0;
}

/* The file's own page, made from what the file shows there if need be. r: for show_replaced(), with INODE; NULL: a fault
 * asks, without it. 0 and a reference; -ENOMEM; -ENOSPC: files have their share of it; -EAGAIN: only a fault. */
static int make_own(struct inode *i, uint64_t number, struct replaced *r, struct page **out)
{
	const uint8_t *in_place = NULL;
	size_t n;
	int err;

	*out = find_page(i->priv, number, &in_place, &n);
	if (*out)
		return 0;
	/* Several writers may pass the limit by a page each. It is not for the ends of built-in programs: those must start
	 * when files have taken their share. */
	if (n == 0 && !has_room(i))
		return -ENOSPC;
	*out = page_alloc(0, ALLOC_ZERO | (n ? 0 : ALLOC_USER));
	if (!*out)
		return -ENOMEM;
	page_set_owner(*out, PAGE_USER);
	if (n > 0)
		memcpy(page_addr(*out), in_place, n);
	err = add_page(i, number, n, r != NULL, out);
	if (!err && r && n > 0) {
		r->from = MIN(r->from, number);
		r->end = MAX(r->end, number + 1);
	}
	return err;
}

/* For who holds INODE. NULL: there is none to be had. */
static struct page *own_page(struct inode *i, uint64_t number, struct replaced *r)
{
	struct page *p;

	return make_own(i, number, r, &p) ? NULL : p;
}

/* I-TMPFS-2: whoever has one of those mapped finds the file's own at the next touch. */
static void show_replaced(struct inode *i, const struct replaced *r)
{
	struct tmpfs_file *t = i->priv;

	assert_mutex_held(&i->lock);
	if (r->from < r->end)
		vm_mapping_trim(&t->mapping, r->from, r->end, false);
}

/* Give every page its own copy, before the file is mapped shared and writable. */
static int own_pages(struct inode *i)
{
	struct tmpfs_file *t = i->priv;
	struct replaced r = NONE_REPLACED;
	struct page *p;
	int err = 0;

	mutex_lock(&i->lock);
	for (uint64_t k = 0; k < pages_in_place(t) && !err; k++) {
		p = own_page(i, k, &r);
		if (p)
			page_put(p);
		else
			err = -ENOMEM;
	}
	show_replaced(i, &r);
	mutex_unlock(&i->lock);
	return err;
}

/* --- transfers ---------------------------------------------------------------------------------------------------- */

/* Up to the end of one page. */
static ssize_t read_piece(struct tmpfs_file *t, struct io *io, uint64_t pos, size_t n)
{
	size_t at = pos % PAGE_SIZE, in_place_len;
	const uint8_t *in_place = NULL;
	struct page *p = find_page(t, pos / PAGE_SIZE, &in_place, &in_place_len);
	ssize_t moved;

	n = MIN(n, PAGE_SIZE - at);
	if (p) {
		moved = io_copy_to(io, (uint8_t *)page_addr(p) + at, n);
		page_put(p);
	} else if (at < in_place_len) {
		moved = io_copy_to(io, in_place + at, MIN(n, in_place_len - at));
	} else {
		moved = io_copy_to(io, zeros, n);
	}
	return moved;
}

static ssize_t tmpfs_read(struct file *f, struct io *io, off_t *pos)
{
	struct inode *i = f->inode;
	ssize_t done = 0, n = 0;

	mutex_lock(&i->lock);
	while (io->left > 0 && (uint64_t)*pos < i->size) {
		n = read_piece(i->priv, io, (uint64_t)*pos,
			       MIN(io->left, i->size - (uint64_t)*pos));
		if (n <= 0)
			break;
		*pos += n;
		done += n;
	}
	mutex_unlock(&i->lock);
	inode_accessed(f);
	return done > 0 ? done : n;
}

static bool sealed_size(const struct inode *i, uint64_t end)
{
	return (((const struct tmpfs_file *)i->priv)->seals & SEAL_GROW) && end > i->size;
}

/* Is it sealed against being written to, up to `end`? */
static bool sealed(const struct inode *i, uint64_t end)
{
	uint32_t seals = ((const struct tmpfs_file *)i->priv)->seals;

	return (seals & SEAL_WRITES) || sealed_size(i, end);
}

static ssize_t write_piece(struct inode *i, struct io *io, uint64_t pos, struct replaced *r)
{
	size_t at = pos % PAGE_SIZE, room = PAGE_SIZE - at;
	struct page *p;
	ssize_t moved;

	if (sealed(i, pos + MIN(room, io->left)))
		return -EPERM;
	p = pos < io->end ? own_page(i, pos / PAGE_SIZE, r) : NULL;
	if (!p)
		return pos < io->end ? -ENOSPC : -EFBIG;
	room = MIN(room, io->end - pos);
	moved = io_copy_from(io, (uint8_t *)page_addr(p) + at, MIN(io->left, room));
	vm_page_written(p);
	page_put(p);
	return moved;
}

static ssize_t tmpfs_write(struct file *f, struct io *io, off_t *pos)
{
	struct replaced r = NONE_REPLACED;
	struct inode *i = f->inode;
	ssize_t done = 0, n = 0;

	mutex_lock(&f->inode->lock);
	if (READ_ONCE(f->flags) & FILE_APPEND)
		*pos = (off_t)i->size;
	if (io->left > (uint64_t)(INT64_MAX - *pos))
		n = -EFBIG;
	while (io->left > 0 && n >= 0) {
		n = write_piece(i, io, (uint64_t)*pos, &r);
		if (n <= 0)
			break;
		*pos += n;
		done += n;
		if ((uint64_t)*pos > i->size)
			WRITE_ONCE(i->size, (uint64_t)*pos);
	}
	show_replaced(i, &r);
	if (done > 0)
		inode_written(f);
	mutex_unlock(&f->inode->lock);
	return done > 0 ? done : n;
}

/* Set n bytes of the file from `at` on, all in one page, to zero. */
static int zero_piece(struct inode *i, uint64_t at, size_t n, struct replaced *r)
{
	struct page *p = own_page(i, at / PAGE_SIZE, r);

	if (!p)
		return -ENOSPC;
	memset((uint8_t *)page_addr(p) + at % PAGE_SIZE, 0, n);
	vm_page_written(p);
	page_put(p);
	return 0;
}

/* Drop what lies behind size, the built-in bytes too; both are counted as blocks. */
static void cut_pages(struct inode *i, uint64_t size)
{
	struct tmpfs_file *t = i->priv;
	uint64_t first = DIV_ROUND_UP(size, PAGE_SIZE), shown = pages_in_place(t);
	uint64_t own = drop_pages(i, first, UINT64_MAX);

	if (size >= t->in_place_len)
		return;
	spin_lock(&t->lock);
	WRITE_ONCE(t->in_place_len, size);
	spin_unlock(&t->lock);
	__atomic_fetch_sub(&i->blocks, (shown - first - own) * PAGE_BLOCKS, __ATOMIC_RELAXED);
}

/* Zero the end of the page in which a file that has become shorter ends, so that growing it again shows zeros. Built-in bytes
 * are cut off by their length. */
static void zero_tail(struct inode *i, uint64_t size)
{
	struct tmpfs_file *t = i->priv;
	const uint8_t *in_place;
	size_t at = size % PAGE_SIZE, n;
	uint64_t number = size / PAGE_SIZE;
	struct page *p = at ? find_page(t, number, &in_place, &n) : NULL;

	if (p) {
		memset((uint8_t *)page_addr(p) + at, 0, PAGE_SIZE - at);
		vm_page_written(p);
		page_put(p);
	} else if (at && n > 0) {
		vm_mapping_trim(&t->mapping, number, number + 1, false);
	}
}

static int tmpfs_truncate(struct inode *i, uint64_t size)
{
	struct tmpfs_file *t = i->priv;
	uint64_t before = i->size;

	assert_mutex_held(&i->lock);
	if (t->seals & (size < before ? SEAL_SHRINK : size > before ? SEAL_GROW : 0))
		return -EPERM;
	/* first of all, so that nobody maps what is to go */
	WRITE_ONCE(i->size, size);
	if (size < before) {
		cut_pages(i, size);
		zero_tail(i, size);
		vm_mapping_trim(&t->mapping, DIV_ROUND_UP(size, PAGE_SIZE), UINT64_MAX, true);
	}
	inode_touch(i);
	return 0;
}

static int tmpfs_file_truncate(struct file *f, off_t size)
{
	int err;

	mutex_lock(&f->inode->lock);
	err = tmpfs_truncate(f->inode, (uint64_t)size);
	if (!err)
		inode_written(f);
	mutex_unlock(&f->inode->lock);
	return err;
}

/* Pages of their own for [from, end). On failure those behind the end of the file go again. */
static int reserve_pages(struct inode *i, uint64_t from, uint64_t end)
{
	struct replaced r = NONE_REPLACED;
	uint64_t total, most;
	struct page *p;
	int err = 0;

	tmpfs_space(i->sb, &total, &most);
	if (DIV_ROUND_UP(end - from, PAGE_SIZE) > most + i->blocks / PAGE_BLOCKS)
		return -ENOSPC;
	for (uint64_t n = from / PAGE_SIZE; n * PAGE_SIZE < end && !err; n++) {
		p = own_page(i, n, &r);
		if (p)
			page_put(p);
		else
			err = -ENOSPC;
		cond_resched();
		if (!err && signal_pending_current())
			err = -EINTR;
	}
	show_replaced(i, &r);
	if (err)
		cut_pages(i, i->size);
	return err;
}

/* Make [from, end) read as zeros: whole pages go, the ends of others are cleared. */
static int punch_hole(struct inode *i, uint64_t from, uint64_t end)
{
	struct replaced r = NONE_REPLACED;
	struct tmpfs_file *t = i->priv;
	uint64_t at, next, number;
	int err = 0;
	size_t n;

	end = MIN(end, ALIGN_UP(i->size, PAGE_SIZE));
	for (at = from; at < end && !err; at = next) {
		next = MIN(ALIGN_DOWN(at, PAGE_SIZE) + PAGE_SIZE, end);
		number = at / PAGE_SIZE;
		n = next - at;
		if (n == PAGE_SIZE && number >= pages_in_place(t)) {
			/* nothing lies there: on to the next page of the file's own */
			spin_lock(&t->lock);
			if (!page_index_next(&t->pages, number, &number))
				number = end / PAGE_SIZE;
			spin_unlock(&t->lock);
			if (number * PAGE_SIZE > at) {
				next = MIN(number * PAGE_SIZE, end);
				continue;
			}
			(void)drop_pages(i, number, number + 1);
			continue;
		}
		err = zero_piece(i, at, n, &r);
	}
	/* who has it mapped finds what is there now */
	vm_mapping_trim(&t->mapping, from / PAGE_SIZE, DIV_ROUND_UP(end, PAGE_SIZE), false);
	return err;
}

static int tmpfs_allocate(struct file *f, int mode, off_t off, off_t len)
{
	struct inode *i = f->inode;
	uint64_t end = (uint64_t)off + (uint64_t)len;
	int err;

	mutex_lock(&f->inode->lock);
	if (mode & FALLOC_PUNCH_HOLE)
		err = sealed(i, 0) ? -EPERM : punch_hole(i, (uint64_t)off, end);
	else
		err = sealed_size(i, end) ? -EPERM : reserve_pages(i, (uint64_t)off, end);
	if (!err) {
		if (mode == 0 && end > i->size)
			WRITE_ONCE(i->size, end);
		inode_written(f);
	}
	mutex_unlock(&f->inode->lock);
	return err;
}

/* Where the next byte is that lies somewhere; UINT64_MAX: nowhere. */
static uint64_t next_data(struct tmpfs_file *t, uint64_t at)
{
	uint64_t number, found = UINT64_MAX;

	spin_lock(&t->lock);
	if (at < ALIGN_UP(t->in_place_len, PAGE_SIZE))
		found = at;
	else if (page_index_next(&t->pages, at / PAGE_SIZE, &number))
		found = MAX(at, number * PAGE_SIZE);
	spin_unlock(&t->lock);
	return found;
}

static uint64_t next_hole(struct tmpfs_file *t, uint64_t at)
{
	uint64_t number = MAX(at / PAGE_SIZE, pages_in_place(t));
	bool data;

	do {
		spin_lock(&t->lock);
		data = page_index_get(&t->pages, number);
		spin_unlock(&t->lock);
		number += data;
	} while (data);
	return MAX(at, number * PAGE_SIZE);
}

static off_t tmpfs_seek(struct file *f, off_t offset, int whence)
{
	struct inode *i = f->inode;
	uint64_t size = READ_ONCE(i->size), at = (uint64_t)offset;

	if ((whence == SEEK_TO_DATA || whence == SEEK_TO_HOLE) && offset >= 0 && at < size) {
		at = whence == SEEK_TO_DATA ? next_data(i->priv, at) : next_hole(i->priv, at);
		if (whence == SEEK_TO_DATA && at >= size)
			return -ENXIO;
		offset = (off_t)MIN(at, size);
		whence = 0;
	}
	return file_seek_size(f, offset, whence, size);
}

/* --- mapping -------------------------------------------------------------------------------------------------------- */

struct tmpfs_backing {
	struct vm_backing b;
	struct inode *inode; /* a reference; the file has one too */
	bool writable;	     /* counted in shared */
};

/* The page itself if it lies in place whole and on a page of RAM. */
static struct page *page_in_place(const uint8_t *in_place, size_t n)
{
	struct page *p;

	if (n < PAGE_SIZE || !IS_ALIGNED((uintptr_t)in_place, PAGE_SIZE))
		return NULL;
	p = page_of_addr(in_place);
	page_get(p);
	return p;
}

static struct page *page_at_hand(const struct tmpfs_file *t, uint64_t number) __requires(t->lock)
{
	struct page *p = page_index_get(&t->pages, number);
	const uint8_t *in_place = NULL;
	size_t n;

	if (p) {
		page_get(p);
		return p;
	}
	n = bytes_in_place(t, number, &in_place);
	return page_in_place(in_place, n);
}

static void backing_peek(struct vm_backing *b, uint64_t number, unsigned n, struct page **out)
{
	const struct inode *i = container_of(b, struct tmpfs_backing, b)->inode;
	struct tmpfs_file *t = i->priv;

	spin_lock(&t->lock);
	for (unsigned k = 0; k < n; k++)
		out[k] = in_file(i, number + k) ? page_at_hand(t, number + k) : NULL;
	spin_unlock(&t->lock);
}

static int backing_fill(struct vm_backing *b, uint64_t number, struct page **out)
{
	struct inode *i = container_of(b, struct tmpfs_backing, b)->inode;
	int err;

	do {
		if (!in_file(i, number))
			return -EIO;
		*out = vm_backing_peek(b, number);
		err = *out ? 0 : make_own(i, number, NULL, out);
	} while (err == -EAGAIN);
	/* that files have their share is no want of memory, which somebody would have to die for */
	return err == -ENOSPC ? -EIO : err;
}

static void backing_release(struct vm_backing *b)
{
	struct tmpfs_backing *t = container_of(b, struct tmpfs_backing, b);

	if (t->writable)
		atomic_fetch_sub(&((struct tmpfs_file *)t->inode->priv)->shared, 1);
	inode_put(t->inode);
	if (b->file)
		file_put(b->file);
	kfree(t);
}

static int backing_create(struct inode *i, struct file *f, bool writable, struct vm_backing **out)
{
	struct tmpfs_backing *t = kzalloc(sizeof(*t));

	if (!t)
		return -ENOMEM;
	refcount_init(&t->b.ref, 1);
	t->b.fill = backing_fill;
	t->b.peek = backing_peek;
	t->b.release = backing_release;
	t->b.mapping = &((struct tmpfs_file *)i->priv)->mapping;
	t->b.file = f ? file_get(f) : NULL;
	t->inode = inode_get(i);
	t->writable = writable;
	if (writable)
		atomic_fetch_add(&((struct tmpfs_file *)i->priv)->shared, 1);
	*out = &t->b;
	return 0;
}

/* A writable file may come to be mapped shared: then no page may be the built-in one. */
static int tmpfs_mmap(struct file *f, unsigned *flags, struct vm_backing **out)
{
	bool writable = (*flags & (VM_SHARED | VM_NOWRITE)) == VM_SHARED;
	struct inode *i = f->inode;
	struct tmpfs_file *t = i->priv;
	int err = 0;

	if ((READ_ONCE(f->flags) & FILE_ACCMODE) == FILE_RDWR)
		err = own_pages(i);
	if (err)
		return err;
	mutex_lock(&i->lock);
	if (writable && (t->seals & SEAL_WRITES)) {
		if (*flags & VM_WRITE)
			err = -EPERM;
		*flags |= VM_NOWRITE;
		writable = false;
	}
	if (!err)
		err = backing_create(i, f, writable, out);
	mutex_unlock(&i->lock);
	return err;
}

int tmpfs_seals(struct file *f)
{
	struct inode *i = f->inode;

	return i && tmpfs_is_file(i) ? (int)READ_ONCE(((struct tmpfs_file *)i->priv)->seals)
				     : -EINVAL;
}

int tmpfs_add_seals(struct file *f, uint32_t seals)
{
	uint32_t access = READ_ONCE(f->flags) & (FILE_ACCMODE | VFS_O_PATH);
	struct inode *i = f->inode;
	struct tmpfs_file *t;
	int err = 0;

	if (!i || !tmpfs_is_file(i))
		return -EINVAL;
	if (access != FILE_RDWR && access != FILE_WRONLY)
		return -EPERM;
	if (seals & ~(uint32_t)(SEAL_SEALS | SEAL_SHRINK | SEAL_GROW | SEAL_WRITES))
		return -EINVAL;
	t = i->priv;
	mutex_lock(&i->lock);
	if (t->seals & SEAL_SEALS)
		err = -EPERM;
	else if ((seals & SEAL_WRITE) && atomic_load_acquire(&t->shared))
		err = -EBUSY;
	else
		WRITE_ONCE(t->seals, t->seals | seals);
	mutex_unlock(&i->lock);
	return err;
}

int tmpfs_memory_create(size_t len, struct vm_backing **out)
{
	struct inode *i;
	int err = tmpfs_create(vfs_root_dentry->sb, S_IFREG | 0600, NULL, &i);

	if (err)
		return err;
	i->size = len;
	((struct tmpfs_file *)i->priv)->nameless = true;
	err = backing_create(i, NULL, false, out);
	inode_put(i);
	if (!err)
		(*out)->name = "/dev/zero (deleted)";
	return err;
}

static const struct file_ops tmpfs_file_ops = {
	.name = "tmpfs",
	.read = tmpfs_read,
	.write = tmpfs_write,
	.seek = tmpfs_seek,
	.mmap = tmpfs_mmap,
	.truncate = tmpfs_file_truncate,
	.allocate = tmpfs_allocate,
};

static int tmpfs_open(struct inode *i, uint32_t flags, struct file **out)
{
	*out = file_create(&tmpfs_file_ops, flags, NULL, NULL);
	return *out ? 0 : -ENOMEM;
}

int tmpfs_memfd_create(const char *name, bool sealable, const struct vfs_cred *cred,
		       struct file **out)
{
	struct dentry *d;
	struct inode *i;
	int err = tmpfs_create(vfs_root_dentry->sb, S_IFREG | 0777, NULL, &i);

	if (err)
		return err;
	i->uid = cred->uid;
	i->gid = cred->gid;
	i->nlink = 0;
	((struct tmpfs_file *)i->priv)->seals = sealable ? 0 : SEAL_SEALS;
	err = tmpfs_open(i, FILE_RDWR | (cred->uid ? FILE_UNPRIVILEGED : 0), out);
	if (err)
		goto put_inode;
	/* as unlinked files have one */
	d = dentry_create(vfs_root_dentry, name, strlen(name));
	if (!d) {
		file_put(*out);
		err = -ENOMEM;
		goto put_inode;
	}
	d->inode = i;
	WRITE_ONCE(d->dead, true);
	(*out)->dentry = d;
	(*out)->inode = i;
	(*out)->uses = inode_use(i, 1) == 0;
	return 0;

put_inode:
	inode_put(i);
	return err;
}

static ssize_t tmpfs_readlink(struct inode *i, char *buf, size_t size)
{
	struct tmpfs_file *t = i->priv;
	size_t n = MIN(strlen(t->target), size);

	memcpy(buf, t->target, n);
	return (ssize_t)n;
}

static const struct inode_ops dir_ops = {
	.create = create_in,
	.release = release_inode,
};
static const struct inode_ops file_inode_ops = {
	.open = tmpfs_open,
	.truncate = tmpfs_truncate,
	.release = release_inode,
};
/* The pipe of a name lives as long as the name's inode. */
static int fifo_open(struct inode *i, uint32_t flags, struct file **out)
{
	struct tmpfs_file *t = i->priv;

	mutex_lock(&i->lock);
	if (!t->fifo)
		t->fifo = pipe_alloc();
	mutex_unlock(&i->lock);
	return t->fifo ? pipe_open(t->fifo, flags, out) : -ENOMEM;
}

/* A pipe, or a device by its number. */
static int special_open(struct inode *i, uint32_t flags, struct file **out)
{
	uint32_t type = READ_ONCE(i->mode) & S_IFMT;

	switch (type) {
	case S_IFCHR:
	case S_IFBLK:
		return devfs_open_number(type, i->rdev, flags, out);
	case S_IFIFO:
		return fifo_open(i, flags, out);
	default:
		return -ENXIO;
	}
}

static const struct inode_ops special_ops = {
	.open = special_open,
	.release = release_inode,
};
static const struct inode_ops link_ops = {
	.readlink = tmpfs_readlink,
	.release = release_inode,
};

bool tmpfs_is_file(const struct inode *i)
{
	return i->ops == &file_inode_ops;
}

/* --- file systems --------------------------------------------------------------------------------------------------- */

struct options {
	uint64_t size; /* pages */
	uint32_t mode, uid, gid;
};

/* The value of "name=" at s, or NULL. */
static const char *value_of(const char *s, const char *name)
{
	size_t n = strlen(name);

	return strncmp(s, name, n) == 0 && s[n] == '=' ? s + n + 1 : NULL;
}

/* A number in base, with k, m or g of either case behind it if it is a size; *end is behind it. */
static uint64_t number_of(const char *s, unsigned base, const char **end)
{
	uint64_t n = 0;

	for (; *s >= '0' && (unsigned)(*s - '0') < base && n < UINT64_MAX / 16; s++)
		n = n * base + (unsigned)(*s - '0');
	*end = s;
	return n;
}

static uint64_t size_of(const char *s, const char **end)
{
	uint64_t n = number_of(s, 10, end);
	char unit = **end | ('a' - 'A');
	unsigned shift = unit == 'k' ? 10 : unit == 'm' ? 20 : unit == 'g' ? 30 : 0;

	*end += shift > 0;
	return n > UINT64_MAX >> 32 ? UINT64_MAX : DIV_ROUND_UP(n << shift, PAGE_SIZE);
}

static int parse_options(const char *s, struct options *o)
{
	const char *v, *end;

	while (s && *s) {
		if ((v = value_of(s, "size")))
			o->size = size_of(v, &end);
		else if ((v = value_of(s, "mode")))
			o->mode = (uint32_t)number_of(v, 8, &end) & 07777;
		else if ((v = value_of(s, "uid")))
			o->uid = (uint32_t)number_of(v, 10, &end);
		else if ((v = value_of(s, "gid")))
			o->gid = (uint32_t)number_of(v, 10, &end);
		else
			return -EINVAL;
		if (end == v || (*end && *end != ','))
			return -EINVAL;
		s = *end ? end + 1 : end;
	}
	return 0;
}

static void tmpfs_destroy(struct superblock *sb)
{
	kfree(container_of(sb, struct tmpfs, sb));
}

int tmpfs_init(void)
{
	inodes = slab_create("tmpfs_inode", sizeof(struct tmpfs_inode), 0);
	return inodes ? 0 : -ENOMEM;
}

int tmpfs_make(const char *type, const char *options, struct superblock **out)
{
	struct options o = { .size = UINT64_MAX, .mode = 01777 };
	struct tmpfs *fs;
	struct inode *i;
	int err = parse_options(options, &o);

	if (err)
		return err;
	fs = kzalloc(sizeof(*fs));
	if (!fs)
		return -ENOMEM;
	fs->limit = o.size ? o.size : UINT64_MAX;
	fs->sb = (struct superblock){ .type = type,
				      .magic = 0x01021994,
				      .dev = superblock_next_dev(),
				      .inodes = inodes,
				      .space = tmpfs_space,
				      .destroy = tmpfs_destroy };
	refcount_init(&fs->sb.ref, 1);
	list_init(&fs->sb.mount_link);
	err = tmpfs_create(&fs->sb, S_IFDIR | o.mode, NULL, &i);
	if (!err) {
		i->uid = o.uid;
		i->gid = o.gid;
		err = superblock_set_root(&fs->sb, i);
		if (err)
			inode_put(i);
	}
	if (err)
		superblock_put(&fs->sb);
	else
		*out = &fs->sb;
	return err;
}
