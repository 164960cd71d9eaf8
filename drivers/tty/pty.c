/* SPDX-License-Identifier: MIT */
/* Pseudo-terminals: the master end, /dev/ptmx, /dev/pts, /dev/tty. */
#include <asm/fcntl.h>
#include <asm/ioctls.h>
#include <asm/resource.h>
#include <asm/termbits.h>
#include "drivers/tty/tty_priv.h"
#include "fs/fdtable.h"
#include "fs/vfs.h"
#include "kernel/proc/lifecycle.h"
#include "lib/errno.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mm/phys/slab.h"

#define CHUNK	  256u
#define PTS_MAJOR 136u
#define TTY_RDEV  (5u << 8 | 0)
#define PTMX_RDEV (5u << 8 | 2)
#define WORD_BITS 64u
#define PTYS_MAX  4096u /* as many as on Linux */

/* Every pseudo-terminal by number. The lowest free number is given out; the arrays grow. The lock is never held with a
 * terminal's. */
static struct mutex numbers_lock = MUTEX_INIT(numbers_lock, TTY);
static struct tty **ptys; /* [numbers_lock] */
static uint64_t *taken;	  /* [numbers_lock] a bit for each: its place is in use */
static unsigned nr_ptys;  /* [numbers_lock] places in the array */

static int numbers_grow(void) __requires(numbers_lock)
{
	unsigned more = nr_ptys ? 2 * nr_ptys : WORD_BITS;
	struct tty **bigger;
	uint64_t *words;

	if (more > PTYS_MAX)
		return -ENOSPC;
	bigger = krealloc(ptys, more * sizeof(struct tty *));
	if (!bigger)
		return -ENOMEM;
	ptys = bigger;
	words = krealloc(taken, more / 8);
	if (!words)
		return -ENOMEM;
	taken = words;
	memset(taken + nr_ptys / WORD_BITS, 0, (more - nr_ptys) / 8);
	nr_ptys = more;
	return 0;
}

static int number_take(struct tty *t)
{
	unsigned w = 0;
	int err = 0;

	mutex_lock(&numbers_lock);
	while (w < nr_ptys / WORD_BITS && taken[w] == UINT64_MAX)
		w++;
	if (w == nr_ptys / WORD_BITS)
		err = numbers_grow();
	if (err == 0) {
		t->number = w * WORD_BITS + (unsigned)__builtin_ctzll(~taken[w]);
		taken[w] |= BIT(t->number % WORD_BITS);
		ptys[t->number] = t;
	}
	mutex_unlock(&numbers_lock);
	return err;
}

static void number_give(unsigned n)
{
	mutex_lock(&numbers_lock);
	taken[n / WORD_BITS] &= ~BIT(n % WORD_BITS);
	mutex_unlock(&numbers_lock);
}

/* The terminal with this number, with a reference, or NULL. */
static struct tty *number_find(unsigned n)
{
	struct tty *t;

	mutex_lock(&numbers_lock);
	t = n < nr_ptys && (taken[n / WORD_BITS] & BIT(n % WORD_BITS)) ? ptys[n] : NULL;
	if (t)
		tty_get(t);
	mutex_unlock(&numbers_lock);
	return t;
}

static void pts_name(char *buf, size_t size, unsigned number)
{
	fmt_print(buf, size, "pts/%u", number);
}

/* Linux's device number: 8 bits of minor below the major, the rest above it. */
static uint32_t pts_rdev(unsigned number)
{
	return PTS_MAJOR << 8 | (number & 0xff) | (number >> 8) << 20;
}

uint32_t tty_device(const struct tty *t)
{
	return t->pty ? pts_rdev(t->number) : 5 << 8 | 1 /* the console */;
}

/* --- the master -------------------------------------------------------------------------------------------------- */

static bool has_output(const struct tty *t)
{
	return t->packet_status || (tty_out_used(t) && !t->ld.stopped) ||
	       (t->slave_seen && t->slaves == 0);
}

static ssize_t master_read(struct file *f, struct io *io, off_t *pos)
{
	struct tty *t = f->priv;
	ssize_t done = 0, ret = 0;
	uint8_t chunk[CHUNK];

	(void)pos;
	mutex_lock(&t->lock);
	if (!has_output(t))
		ret = file_nonblocking(f) ? -EAGAIN
					  : wait_event_mutex(&t->master.wq, &t->lock, has_output(t),
							     WAIT_INTERRUPTIBLE, DEADLINE_NEVER);
	if (ret == 0 && t->packet && io->left > 0 && (t->packet_status || tty_out_used(t))) {
		ret = io_copy_to(io, &t->packet_status, 1);
		done = ret > 0;
		if (t->packet_status)
			goto status_only;
	}
	while (ret >= 0 && io->left > 0) {
		size_t n = tty_take_output(t, chunk, MIN(io->left, sizeof(chunk)));

		if (n == 0) {
			ret = done ? 0 : -EIO;
			break;
		}
		ret = io_copy_to(io, chunk, n);
		if (ret > 0)
			done += ret;
	}
status_only:
	if (done) {
		t->packet_status = 0;
		tty_update(t, POLL_OUT, 0);
	}
	mutex_unlock(&t->lock);
	return done ? done : ret;
}

/* Type n bytes, waiting for the reader unless the file must not. Bytes typed, or -errno if none. */
static ssize_t type_chunk(struct tty *t, struct file *f, const uint8_t *p, size_t n)
	__requires(t->lock)
{
	size_t took = tty_type(t, p, n);
	int err = 0;

	while (took < n && err == 0 && !file_nonblocking(f)) {
		err = wait_event_mutex(&t->master.wq, &t->lock, ldisc_has_room(&t->ld),
				       WAIT_INTERRUPTIBLE, DEADLINE_NEVER);
		if (err == 0)
			took += tty_type(t, p + took, n - took);
	}
	if (took)
		return (ssize_t)took;
	return err ? err : -EAGAIN;
}

/* What the io gave and the terminal did not take is the caller's still: the return value says how much that is. */
static ssize_t master_write(struct file *f, struct io *io, off_t *pos)
{
	struct tty *t = f->priv;
	ssize_t done = 0, got = 0, ret = 0;
	uint8_t chunk[CHUNK];

	(void)pos;
	mutex_lock(&t->lock);
	while (io->left > 0 && ret == got) {
		got = io_copy_from(io, chunk, sizeof(chunk));
		ret = got <= 0 ? got : type_chunk(t, f, chunk, (size_t)got);
		if (ret <= 0)
			break;
		done += ret;
	}
	mutex_unlock(&t->lock);
	secure_zero(chunk, sizeof(chunk));
	return done ? done : ret;
}

static uint32_t master_poll(struct file *f)
{
	struct tty *t = f->priv;

	return atomic_load_acquire(&t->master_events);
}

static int64_t master_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct tty *t = f->priv;
	int64_t ret = pty_master_ioctl(t, cmd, arg);

	return ret == -ENOTTY ? tty_ioctl(t, f, cmd, arg) : ret;
}

static void master_release(struct file *f)
{
	struct tty *t = f->priv;
	char name[24];

	pts_name(name, sizeof(name), t->number);
	devfs_remove(name);
	tty_hang_up(t);
	number_give(t->number);
	tty_put(t);
}

const struct file_ops tty_master_ops = {
	.name = "ptmx",
	.read = master_read,
	.write = master_write,
	.poll = master_poll,
	.ioctl = master_ioctl,
	.release = master_release,
};

static int open_slave(struct tty *t, uint32_t flags, struct file **out)
{
	char name[24];

	pts_name(name, sizeof(name), t->number);
	return tty_open_node(name, flags, out);
}

/* The slave of this very master, whatever is mounted where: a descriptor. flags are open's. */
/* TIOCSPTLCK, TIOCPKT: on or off. */
static int64_t set_switch(struct tty *t, unsigned cmd, uint64_t arg)
{
	int v, err = user_copy_from(&v, arg, sizeof(v));

	if (err < 0)
		return err;
	mutex_lock(&t->lock);
	if (cmd == TIOCSPTLCK)
		WRITE_ONCE(t->locked, v != 0);
	else
		WRITE_ONCE(t->packet, v != 0);
	t->packet_status &= t->packet ? 0xff : 0;
	mutex_unlock(&t->lock);
	return 0;
}

/* A signal for the foreground group, as if its key was typed: one that a key sends, for the group may be another user's. */
static int64_t send_signal(struct tty *t, uint64_t sig)
{
	if (sig != SIG_INT && sig != SIG_QUIT && sig != SIG_TSTP)
		return -EINVAL;
	mutex_lock(&t->lock);
	tty_signal(t, (int)sig);
	mutex_unlock(&t->lock);
	return 0;
}

static int64_t open_peer(struct tty *t, uint32_t flags)
{
	struct process *p = current_process();
	struct file *f;
	int fd = open_slave(t, flags & (FILE_ACCMODE | FILE_NONBLOCK), &f);

	if (fd < 0)
		return fd;
	fd = fdtable_install(p->files, f, 0, flags & O_CLOEXEC,
			     process_get_limit(p, RLIMIT_NOFILE).cur);
	if (fd < 0)
		file_put(f);
	return fd;
}

int64_t pty_master_ioctl(struct tty *t, unsigned cmd, uint64_t arg)
{
	int v;

	switch (cmd) {
	case TIOCGPTN:
		v = (int)t->number;
		return user_copy_to(arg, &v, sizeof(v));
	case TIOCGPTLCK:
		v = READ_ONCE(t->locked);
		return user_copy_to(arg, &v, sizeof(v));
	case TIOCGPKT:
		v = READ_ONCE(t->packet);
		return user_copy_to(arg, &v, sizeof(v));
	case TIOCSPTLCK:
	case TIOCPKT:
		return set_switch(t, cmd, arg);
	case TIOCSIG:
		return send_signal(t, arg);
	case TIOCGPTPEER:
		return open_peer(t, (uint32_t)arg);
	default:
		return -ENOTTY;
	}
}

/* --- making one ------------------------------------------------------------------------------------------------------ */

/* The first terminal that a session's leader opens is its controlling one (POSIX leaves it open, Linux does it). */
static void become_controlling(struct file *f)
{
	struct process *p = current_process();
	struct session *s = p && session_is_leader(p) ? session_of(p) : NULL;
	int ignored;

	if (!s)
		return;
	/* it or the session may have another: then it is an open like any */
	ignored = tty_set_controlling(f, s);
	(void)ignored;
	session_put(s);
}

/* /dev/pts/N. The terminal may be gone when the open gets here, and its number be another's: who has kept the node, by a
 * descriptor with O_PATH, has no right to that one. */
static int pts_open(const struct device_node *d, uint32_t flags, struct file **out)
{
	struct tty *t = number_find((d->rdev & 0xff) | d->rdev >> 20 << 8);
	int err;

	if (!t)
		return -ENXIO;
	err = t->serial == (uintptr_t)d->priv ? tty_open(t, flags, out) : -ENXIO;
	tty_put(t);
	if (err == 0 && !(flags & VFS_O_NOCTTY) && (flags & FILE_ACCMODE) != FILE_WRONLY)
		become_controlling(*out);
	return err;
}

static int create_master(uint32_t flags, bool locked, struct file **out)
{
	static uint64_t serials; /* [atomic] */
	struct tty *t = tty_create();
	char name[24];
	int err;

	if (!t)
		return -ENOMEM;
	t->pty = true;
	t->serial = atomic_fetch_add(&serials, 1) + 1;
	WRITE_ONCE(t->locked, locked);
	err = number_take(t);
	if (err < 0)
		goto put;
	pts_name(name, sizeof(name), t->number);
	err = devfs_add(name, 0020600, pts_rdev(t->number), pts_open, (void *)t->serial);
	if (err < 0)
		goto give;
	*out = file_create(&tty_master_ops, flags, &t->master, t);
	if (*out)
		return 0;
	err = -ENOMEM;
	devfs_remove(name);
give:
	number_give(t->number);
put:
	tty_put(t);
	return err;
}

int pty_create(struct file **master, struct file **slave, unsigned *number)
{
	struct file *m;
	int err = create_master(FILE_RDWR, false, &m);

	if (err < 0)
		return err;
	err = open_slave(m->priv, FILE_RDWR, slave);
	if (err < 0) {
		file_put(m);
		return err;
	}
	*number = ((struct tty *)m->priv)->number;
	*master = m;
	return 0;
}

/* The slave's node belongs to who made it. */
static int give_away(const struct tty *t, uint32_t uid, uint32_t gid)
{
	struct vfs_context ctx = { .root = devfs_root() };
	char name[24];
	int err;

	pts_name(name, sizeof(name), t->number);
	err = vfs_chown(&ctx, ctx.root, name, 0, uid, gid);
	dentry_put(ctx.root);
	return err;
}

static int ptmx_open(const struct device_node *d, uint32_t flags, struct file **out)
{
	const struct process *p = current_process();
	struct file *f;
	int err = create_master(flags, true, &f);

	(void)d;
	if (err < 0)
		return err;
	err = give_away(f->priv, p ? READ_ONCE(p->cred.fsuid) : 0,
			p ? READ_ONCE(p->cred.fsgid) : 0);
	if (err < 0)
		file_put(f);
	else
		*out = f;
	return err;
}

/* /dev/tty: the caller's own terminal. */
static int own_open(const struct device_node *d, uint32_t flags, struct file **out)
{
	struct process *p = current_process();
	struct session *s = p && !READ_ONCE(p->left_tty) ? session_of(p) : NULL;
	struct tty *t = s ? session_get_tty(s, tty_get) : NULL;
	int err;

	(void)d;
	if (s)
		session_put(s);
	if (!t)
		return -ENXIO;
	err = tty_open(t, flags, out);
	tty_put(t);
	return err;
}

int pty_init(void)
{
	static const struct device_node ptmx = { "ptmx", 0020666, PTMX_RDEV, ptmx_open, NULL };
	static const struct device_node own = { "tty", 0020666, TTY_RDEV, own_open, NULL };
	int err = devfs_register(&ptmx);

	return err < 0 ? err : devfs_register(&own);
}
