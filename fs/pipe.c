/* SPDX-License-Identifier: MIT */
/* Pipes. A ring of 64 KiB, unless another size is asked for (or of fewer, of a user who has many), whose pages are allocated when
 * the writer comes to them and freed when the reader leaves them, so an idle pipe holds at most one. head and tail run
 * freely; bytes [tail, head) are in the ring, the page of byte n is in slot n / PAGE_SIZE of as many as there are.
 *
 * Both ends change the ring under PIPE; poll reads the four words below without it, each change being announced
 * after it is stored. One poll source serves both ends.
 *
 * I-PIPE-1: head - tail <= size <= slots * PAGE_SIZE, and the page of every byte in the ring is present.
 * Sleeping readers want the ring not empty; sleeping writers want at most PIPE_ATOMIC bytes of room: so a reader need
 * announce room only if there was less than that before. */
#include "fs/pipe.h"
#include "fs/inode.h"
#include "kernel/core/clock.h"
#include "kernel/core/panic.h"
#include "kernel/proc/process.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"

#define PIPE_PAGES (PIPE_SIZE / PAGE_SIZE)
/* What a user's pipe holds when pipes could hold that part of memory already; and the most he may ask for. */
enum { PIPE_SMALL = 2 * PIPE_ATOMIC, MEMORY_PART = 8, USER_SIZE_MAX = 1 << 20 };
#define FIONREAD 0x541bu

struct pipe {
	struct mutex lock; /* PIPE */
	struct poll_source source;
	struct refcount ref;		  /* one for each end */
	struct page *few[PIPE_PAGES];	  /* [lock] the slots of most pipes */
	struct page **pages;		  /* [lock] the slots: few, or an allocation */
	uint32_t slots;			  /* [lock] a power of two, never fewer than before */
	uint32_t head;			  /* [lock], read anywhere: bytes ever written */
	uint32_t tail;			  /* [lock], read anywhere: bytes ever read */
	uint32_t readers;		  /* [lock], read anywhere */
	uint32_t writers;		  /* [lock], read anywhere */
	uint32_t read_opens, write_opens; /* [lock], read anywhere: ends there have been */
	uint32_t uid, gid;		  /* [init] */
	uint32_t size;			  /* [lock], read anywhere */
	uint64_t ino;			  /* [init] */
	uint64_t created_ns;		  /* [init] */
};

static uint64_t pipe_next_ino = 1; /* [atomic] */
static uint64_t nr_pages;	   /* [atomic] that all pipes could hold */

static uint32_t pipe_used(const struct pipe *p)
{
	return READ_ONCE(p->head) - READ_ONCE(p->tail);
}

static uint32_t pipe_room(const struct pipe *p)
{
	return READ_ONCE(p->size) - pipe_used(p);
}

static struct page **pipe_slot(struct pipe *p, uint32_t at)
{
	return &p->pages[at / PAGE_SIZE % p->slots];
}

static void pipe_free_pages(struct pipe *p)
{
	for (unsigned i = 0; i < p->slots; i++) {
		if (p->pages[i])
			page_put(p->pages[i]);
		p->pages[i] = NULL;
	}
}

/* Move out up to one page's worth. Bytes, or -EFAULT with nothing taken. */
static ssize_t pipe_take(struct pipe *p, struct io *io) __requires(p->lock)
{
	struct page **slot = pipe_slot(p, p->tail);
	uint32_t in_page = p->tail % PAGE_SIZE;
	size_t n = MIN((size_t)pipe_used(p), io->left);
	ssize_t moved;

	n = MIN(n, (size_t)(PAGE_SIZE - in_page));
	moved = io_copy_to(io, (char *)page_addr(*slot) + in_page, n);
	if (moved <= 0)
		return moved;
	WRITE_ONCE(p->tail, p->tail + (uint32_t)moved);
	/* the page may already hold the newest bytes, one lap ahead */
	if (p->tail % PAGE_SIZE == 0 && pipe_used(p) <= (p->slots - 1) * PAGE_SIZE) {
		page_put(*slot);
		*slot = NULL;
	}
	return moved;
}

static ssize_t pipe_read(struct file *f, struct io *io, off_t *pos)
{
	struct pipe *p = f->priv;
	ssize_t done = 0, n = 0;
	bool was_short;
	int err;

	(void)pos;
	if (io->left == 0)
		return 0;
	mutex_lock(&p->lock);
	if (pipe_used(p) == 0 && p->writers > 0) {
		if (file_nonblocking(f)) {
			mutex_unlock(&p->lock);
			return -EAGAIN;
		}
		err = wait_event_mutex(&p->source.wq, &p->lock, pipe_used(p) > 0 || p->writers == 0,
				       WAIT_INTERRUPTIBLE, DEADLINE_NEVER);
		if (err) {
			mutex_unlock(&p->lock);
			return err;
		}
	}
	was_short = pipe_room(p) < PIPE_ATOMIC;
	while (io->left > 0 && pipe_used(p) > 0) {
		n = pipe_take(p, io);
		if (n <= 0)
			break;
		done += n;
	}
	mutex_unlock(&p->lock);
	if (done > 0 && was_short)
		poll_notify(&p->source, POLL_OUT);
	return done > 0 ? done : n;
}

static struct page *pipe_page(void)
{
	return page_alloc(0, caller_is_root() ? 0 : ALLOC_USER);
}

/* Make the page at the head present. */
static int pipe_reserve(struct pipe *p, uint32_t at) __requires(p->lock)
{
	struct page **slot = pipe_slot(p, at);

	if (!*slot)
		*slot = pipe_page();
	return *slot ? 0 : -ENOMEM;
}

/* Move in up to n bytes, n <= room. Published at the end, so a reader sees a small write whole. Bytes, or -EFAULT or
 * -ENOMEM with nothing moved. */
static ssize_t pipe_fill(struct pipe *p, struct io *io, size_t n) __requires(p->lock)
{
	uint32_t at = p->head;
	ssize_t moved = 0;
	size_t chunk;
	int err = 0;

	/* the pages of a small write before its first byte, so that it is not cut by want of memory */
	if (n > 0 && n <= PIPE_ATOMIC)
		err = pipe_reserve(p, at + (uint32_t)n - 1);
	while (n > 0 && !err) {
		err = pipe_reserve(p, at);
		if (err)
			break;
		chunk = MIN(n, (size_t)(PAGE_SIZE - at % PAGE_SIZE));
		moved = io_copy_from(io, (char *)page_addr(*pipe_slot(p, at)) + at % PAGE_SIZE,
				     chunk);
		if (moved <= 0) {
			err = (int)moved;
			break;
		}
		at += (uint32_t)moved;
		n -= (size_t)moved;
	}
	moved = at - p->head;
	WRITE_ONCE(p->head, at);
	return moved > 0 ? moved : err;
}

/* Wait until there is room for need bytes. 0, -EPIPE, -EAGAIN, -ERESTARTSYS. */
static int pipe_wait_room(struct pipe *p, struct file *f, uint32_t need) __requires(p->lock)
{
	int err = 0;

	if (p->readers > 0 && pipe_room(p) < need) {
		if (file_nonblocking(f))
			return -EAGAIN;
		err = wait_event_mutex(&p->source.wq, &p->lock,
				       pipe_room(p) >= need || p->readers == 0, WAIT_INTERRUPTIBLE,
				       DEADLINE_NEVER);
	}
	if (err)
		return err;
	return p->readers > 0 ? 0 : -EPIPE;
}

static ssize_t pipe_write(struct file *f, struct io *io, off_t *pos)
{
	struct pipe *p = f->priv;
	ssize_t done = 0, n = 0;
	uint32_t need = io->left <= PIPE_ATOMIC ? (uint32_t)io->left : 1;

	(void)pos;
	mutex_lock(&p->lock);
	while (io->left > 0) {
		n = pipe_wait_room(p, f, need);
		if (n < 0)
			break;
		n = pipe_fill(p, io, MIN(io->left, (size_t)pipe_room(p)));
		if (n <= 0)
			break;
		done += n;
		if (io->left == 0)
			break;
		/* more to come: let the reader start, and come back for a worthwhile piece */
		need = (uint32_t)MIN(io->left, (size_t)PIPE_ATOMIC);
		mutex_unlock(&p->lock);
		poll_notify(&p->source, POLL_IN);
		mutex_lock(&p->lock);
	}
	mutex_unlock(&p->lock);
	io->broken = n == -EPIPE;
	if (done > 0)
		poll_notify(&p->source, POLL_IN);
	return done > 0 ? done : n;
}

/* Who opened a name before any writer did is not told that they have left. */
static uint32_t pipe_poll_read(struct file *f)
{
	struct pipe *p = f->priv;
	uint32_t events = 0;

	if (READ_ONCE(p->writers) == 0 && f->pos != (off_t)READ_ONCE(p->write_opens))
		events |= POLL_HUP;
	if (pipe_used(p) > 0)
		events |= POLL_IN;
	return events;
}

static uint32_t pipe_poll_write(struct file *f)
{
	struct pipe *p = f->priv;

	if (READ_ONCE(p->readers) == 0)
		return POLL_OUT | POLL_ERR;
	return pipe_room(p) >= PIPE_ATOMIC ? POLL_OUT : 0;
}

/* Half of it is the other end's. */
static uint64_t pipe_held(const struct file *f)
{
	const struct pipe *p = f->priv;

	/* both ends move while we look */
	return DIV_ROUND_UP(MIN(pipe_used(p), READ_ONCE(p->size)), 2 * PAGE_SIZE);
}

static int64_t pipe_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	const struct pipe *p = f->priv;
	/* both ends move while we look */
	int32_t n = (int32_t)MIN(pipe_used(p), READ_ONCE(p->size));

	if (cmd != FIONREAD)
		return -ENOTTY;
	return user_copy_to(arg, &n, sizeof(n));
}

static int pipe_stat(struct file *f, struct kstat *st)
{
	struct pipe *p = f->priv;

	if (f->inode) {
		inode_stat(f->inode, st);
		return 0;
	}
	*st = (struct kstat){
		.dev = VFS_DEV_PIPE,
		.ino = p->ino,
		.mode = S_IFIFO | 0600,
		.nlink = 1,
		.uid = p->uid,
		.gid = p->gid,
		.blksize = PAGE_SIZE,
		.atime_ns = p->created_ns,
		.mtime_ns = p->created_ns,
		.ctime_ns = p->created_ns,
	};
	return 0;
}

void pipe_put(struct pipe *p)
{
	if (!refcount_put(&p->ref))
		return;
	poll_source_check_idle(&p->source);
	pipe_free_pages(p);
	atomic_fetch_sub(&nr_pages, p->size / PAGE_SIZE);
	if (p->pages != p->few)
		kfree(p->pages);
	kfree(p);
}

/* One end less of the given kinds. When none is left, what nobody read is gone. */
static void pipe_close(struct pipe *p, bool read, bool write)
{
	mutex_lock(&p->lock);
	WRITE_ONCE(p->readers, p->readers - read);
	WRITE_ONCE(p->writers, p->writers - write);
	if (p->readers == 0 && p->writers == 0) {
		pipe_free_pages(p);
		WRITE_ONCE(p->tail, p->head);
	}
	mutex_unlock(&p->lock);
	if (read)
		poll_notify(&p->source, POLL_OUT | POLL_ERR);
	if (write)
		poll_notify(&p->source, POLL_IN | POLL_HUP);
	pipe_put(p);
}

static void pipe_release_read(struct file *f)
{
	pipe_close(f->priv, true, false);
}

static void pipe_release_write(struct file *f)
{
	pipe_close(f->priv, false, true);
}

static void pipe_release_both(struct file *f)
{
	pipe_close(f->priv, true, true);
}

static uint32_t pipe_poll_both(struct file *f)
{
	return (pipe_poll_read(f) | pipe_poll_write(f)) & ~(uint32_t)(POLL_HUP | POLL_ERR);
}

static const struct file_ops pipe_read_ops = {
	.name = "pipe",
	.read = pipe_read,
	.poll = pipe_poll_read,
	.ioctl = pipe_ioctl,
	.stat = pipe_stat,
	.held = pipe_held,
	.release = pipe_release_read,
};

static const struct file_ops pipe_write_ops = {
	.name = "pipe",
	.write = pipe_write,
	.poll = pipe_poll_write,
	.ioctl = pipe_ioctl,
	.stat = pipe_stat,
	.held = pipe_held,
	.release = pipe_release_write,
};

static const struct file_ops pipe_both_ops = {
	.name = "pipe",
	.read = pipe_read,
	.write = pipe_write,
	.poll = pipe_poll_both,
	.ioctl = pipe_ioctl,
	.stat = pipe_stat,
	.held = pipe_held,
	.release = pipe_release_both,
};

/* May all pipes hold `more` bytes more? */
static bool may_hold(uint64_t more)
{
	static uint64_t most; /* [atomic] pages */

	if (!READ_ONCE(most))
		WRITE_ONCE(most, pages_usable() / MEMORY_PART);
	return READ_ONCE(nr_pages) + more / PAGE_SIZE <= most || caller_is_root();
}

struct pipe *pipe_alloc(void)
{
	struct pipe *p = kzalloc(sizeof(*p));

	if (!p)
		return NULL;
	p->pages = p->few;
	p->slots = PIPE_PAGES;
	p->size = may_hold(PIPE_SIZE) ? PIPE_SIZE : PIPE_SMALL;
	atomic_fetch_add(&nr_pages, p->size / PAGE_SIZE);
	mutex_init(&p->lock, LOCK_PIPE);
	poll_source_init(&p->source);
	refcount_init(&p->ref, 1);
	p->ino = atomic_fetch_add(&pipe_next_ino, 1);
	p->created_ns = clock_wall_ns();
	return p;
}

struct pipe *pipe_of(struct file *f)
{
	if (f->ops != &pipe_read_ops && f->ops != &pipe_write_ops && f->ops != &pipe_both_ops)
		return NULL;
	ASSERT(refcount_get(&((struct pipe *)f->priv)->ref));
	return f->priv;
}

/* More slots, the pages in those they belong to now. The page that a full lap has both its ends in becomes two. */
static int pipe_add_slots(struct pipe *p, uint32_t slots) __requires(p->lock)
{
	uint32_t first = p->tail / PAGE_SIZE, n = p->slots;
	bool shared = p->tail % PAGE_SIZE + pipe_used(p) > n * PAGE_SIZE;
	struct page **pages = kcalloc(slots, sizeof(*pages));
	struct page *last = shared ? pipe_page() : NULL;

	ASSERT(n > 0);
	if (!pages || (shared && !last)) {
		kfree(pages);
		if (last)
			page_put(last);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < n; i++)
		pages[(first + i) % slots] = p->pages[(first + i) % n];
	if (last) {
		memcpy(page_addr(last), page_addr(p->pages[first % n]), PAGE_SIZE);
		pages[(first + n) % slots] = last;
	}
	if (p->pages != p->few)
		kfree(p->pages);
	p->pages = pages;
	p->slots = slots;
	return 0;
}

static int pipe_resize(struct pipe *p, uint32_t size) __requires(p->lock)
{
	int err = 0;

	if (size > p->size &&
	    ((size > USER_SIZE_MAX && !caller_is_root()) || !may_hold(size - p->size)))
		return -EPERM;
	if (pipe_used(p) > size)
		return -EBUSY;
	if (size / PAGE_SIZE > p->slots)
		err = pipe_add_slots(p, size / PAGE_SIZE);
	if (err)
		return err;
	atomic_fetch_add(&nr_pages, (uint64_t)size / PAGE_SIZE - p->size / PAGE_SIZE);
	WRITE_ONCE(p->size, size);
	return 0;
}

int64_t pipe_size(struct file *f)
{
	struct pipe *p = pipe_of(f);
	uint32_t size;

	if (!p)
		return -EBADF;
	size = READ_ONCE(p->size);
	pipe_put(p);
	return size;
}

int64_t pipe_set_size(struct file *f, uint64_t want)
{
	struct pipe *p = pipe_of(f);
	uint32_t size = PAGE_SIZE;
	int err;

	if (!p)
		return -EBADF;
	while (size < want && size < PIPE_SIZE_MAX)
		size *= 2;
	mutex_lock(&p->lock);
	err = want > size ? -EINVAL : pipe_resize(p, size);
	mutex_unlock(&p->lock);
	if (!err)
		poll_notify(&p->source, POLL_OUT);
	pipe_put(p);
	return err ? err : (int64_t)size;
}

/* An end of its own reference, counted: what release takes back. Says whether the other side was missing as it came,
 * and how often that had been opened. NULL: no memory. */
static struct file *pipe_end(struct pipe *p, uint32_t flags, bool *alone, uint32_t *seen)
{
	static const struct file_ops *const ops[] = { &pipe_read_ops, &pipe_write_ops,
						      &pipe_both_ops };
	uint32_t access = flags & FILE_ACCMODE;
	struct file *f = access < 3 ? file_create(ops[access], flags, &p->source, p) : NULL;

	if (!f)
		return NULL;
	ASSERT(refcount_get(&p->ref));
	mutex_lock(&p->lock);
	WRITE_ONCE(p->readers, p->readers + (access != FILE_WRONLY));
	WRITE_ONCE(p->writers, p->writers + (access != FILE_RDONLY));
	WRITE_ONCE(p->read_opens, p->read_opens + (access != FILE_WRONLY));
	WRITE_ONCE(p->write_opens, p->write_opens + (access != FILE_RDONLY));
	*alone = access == FILE_RDONLY ? !p->writers : !p->readers;
	*seen = access == FILE_RDONLY ? p->write_opens : p->read_opens;
	/* a pipe has no position: the place is for what pipe_poll_read() needs to know */
	f->pos = *alone ? (off_t)*seen : -1;
	mutex_unlock(&p->lock);
	return f;
}

/* Wait until the other side is opened once more than it had been by then. */
static int pipe_wait_peer(struct pipe *p, const uint32_t *opens, uint32_t seen)
{
	int err = 0;

	mutex_lock(&p->lock);
	if (*opens == seen)
		err = wait_event_mutex(&p->source.wq, &p->lock, *opens != seen, WAIT_INTERRUPTIBLE,
				       DEADLINE_NEVER);
	mutex_unlock(&p->lock);
	return err;
}

/* An end waits for the other side unless that is there when it comes: who was may be gone again by the next look. */
int pipe_open(struct pipe *p, uint32_t flags, struct file **out)
{
	uint32_t access = flags & FILE_ACCMODE, seen;
	bool alone;
	struct file *f;
	int err = 0;

	if (access == 3)
		return -EINVAL;
	if (access == FILE_WRONLY && (flags & FILE_NONBLOCK) && READ_ONCE(p->readers) == 0)
		return -ENXIO;
	f = pipe_end(p, flags, &alone, &seen);
	if (!f)
		return -ENOMEM;
	poll_notify(&p->source, POLL_OUT);
	if (alone && !(flags & FILE_NONBLOCK))
		err = pipe_wait_peer(p, access == FILE_RDONLY ? &p->write_opens : &p->read_opens,
				     seen);
	if (err)
		file_put(f);
	else
		*out = f;
	return err;
}

void pipe_set_owner(struct file *end, uint32_t uid, uint32_t gid)
{
	struct pipe *p = end->priv;

	p->uid = uid;
	p->gid = gid;
}

int pipe_create(struct file **read_end, struct file **write_end, uint32_t flags)
{
	struct pipe *p = pipe_alloc();
	struct file *r, *w = NULL;
	uint32_t seen;
	bool alone;

	if (!p)
		return -ENOMEM;
	r = pipe_end(p, FILE_RDONLY | (flags & FILE_NONBLOCK), &alone, &seen);
	if (r)
		w = pipe_end(p, FILE_WRONLY | (flags & FILE_NONBLOCK), &alone, &seen);
	pipe_put(p);
	if (w) {
		*read_end = r;
		*write_end = w;
		return 0;
	}
	if (r)
		file_put(r);
	return -ENOMEM;
}
