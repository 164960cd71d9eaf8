/* SPDX-License-Identifier: MIT */
/* Terminals: the program's end, readiness, sessions. */
#include <asm/ioctls.h>
#include <asm/termbits.h>
#include "drivers/tty/tty_priv.h"
#include "fs/vfs.h"
#include "kernel/core/perturb.h"
#include "kernel/proc/lifecycle.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/slab.h"

#define CHUNK		  256u
#define TENTH_OF_A_SECOND (100 * NS_PER_MS)

/* --- what the line discipline needs ---------------------------------------------------------------------------- */

static uint32_t out_free(const struct tty *t)
{
	return t->out_size - tty_out_used(t);
}

/* Forget what is in the ring, and go back to the small one. */
void tty_drop_output(struct tty *t)
{
	if (t->out != t->out_small)
		kfree(t->out);
	t->out = t->out_small;
	t->out_size = TTY_OUT_SMALL;
	t->out_head = t->out_tail = 0;
}

/* Take the large ring where the small one gets tight. Without memory it stays small: back-pressure comes earlier. */
static void out_grow(struct tty *t)
{
	uint32_t used = tty_out_used(t);
	uint8_t *large;

	if (t->out != t->out_small || out_free(t) >= TTY_OUT_LOW)
		return;
	large = kmalloc(TTY_OUT_SIZE);
	if (!large)
		return;
	for (uint32_t i = 0; i < used; i++)
		large[i] = t->out[t->out_head++ % TTY_OUT_SMALL];
	t->out = large;
	t->out_size = TTY_OUT_SIZE;
	t->out_head = 0;
	t->out_tail = used;
}

static void out_put(struct tty *t, const char *s, size_t n)
{
	out_grow(t);
	for (size_t i = 0; i < n && out_free(t) > 0; i++)
		t->out[t->out_tail++ % t->out_size] = (uint8_t)s[i];
}

void tty_send(struct tty *t, char c)
{
	out_put(t, &c, 1);
}

void tty_tell_packet(struct tty *t, uint8_t what, uint8_t instead_of)
{
	if (t->packet)
		t->packet_status = (uint8_t)((t->packet_status & ~instead_of) | what);
}

void tty_flush_output(struct tty *t, uint32_t sent)
{
	sent = MIN(sent, TTY_OUT_SENT);
	if (!t->pty || sent == 0)
		tty_drop_output(t);
	else
		t->out_tail = t->out_head + MIN(tty_out_used(t), sent);
	tty_tell_packet(t, TIOCPKT_FLUSHWRITE, 0);
}

void tty_drop_input(struct tty *t)
{
	ldisc_flush_input(&t->ld);
	tty_tell_packet(t, TIOCPKT_FLUSHREAD, 0);
}

static void on_echo(void *arg, const char *s, size_t n)
{
	out_put(arg, s, n);
}

void tty_signal(struct tty *t, int sig)
{
	struct pgroup *g;

	assert_mutex_held(&t->lock);
	g = t->session ? session_foreground(t->session) : NULL;
	if (!g)
		return;
	signal_send_group(g, sig);
	pgroup_put(g);
}

static void on_signal(void *arg, int sig)
{
	struct tty *t = arg;

	assert_mutex_held(&t->lock);
	tty_signal(t, sig);
}

static void on_flush_output(void *arg)
{
	struct tty *t = arg;

	assert_mutex_held(&t->lock);
	tty_flush_output(t, t->out_before);
	tty_tell_packet(t, TIOCPKT_FLUSHREAD, 0);
}

static void *on_alloc(void *arg, size_t n)
{
	(void)arg;
	return kmalloc(n);
}

static void on_free(void *arg, void *p)
{
	(void)arg;
	kfree(p);
}

static const struct ldisc_ops ldisc_callbacks = { on_echo, on_signal, on_flush_output, on_alloc,
						  on_free };
static struct slab_cache *tty_cache; /* [init] */

/* --- life ----------------------------------------------------------------------------------------------------------- */

struct tty *tty_create(void)
{
	struct tty *t = slab_zalloc(tty_cache);

	if (!t)
		return NULL;
	t->out = t->out_small;
	t->out_size = TTY_OUT_SMALL;
	mutex_init(&t->lock, LOCK_TTY);
	refcount_init(&t->ref, 1);
	ldisc_init(&t->ld, &ldisc_callbacks, t);
	waitq_init(&t->writers);
	poll_source_init(&t->slave);
	poll_source_init(&t->master);
	t->slave_events = POLL_OUT;
	t->master_events = POLL_OUT;
	t->ispeed = t->ospeed = 38400;
	return t;
}

void tty_get(struct tty *t)
{
	ASSERT(refcount_get(&t->ref));
}

void tty_put(struct tty *t)
{
	if (!refcount_put(&t->ref))
		return;
	/* I-TTY-3: a session would hold a reference */
	ASSERT(!t->session && t->slaves == 0);
	poll_source_check_idle(&t->slave);
	poll_source_check_idle(&t->master);
	waitq_check_idle(&t->writers);
	ldisc_fini(&t->ld);
	if (t->out != t->out_small)
		kfree(t->out);
	slab_free(tty_cache, t);
}

/* May the far end stop and start output by itself with the usual keys? */
static bool usual_flow(const struct tty_termios *t)
{
	return (t->iflag & IXON) && t->cc[VSTART] == 17 && t->cc[VSTOP] == 19;
}

void tty_change_termios(struct tty *t, const struct tty_termios *termios)
{
	struct tty_termios now = *termios;

	if (usual_flow(&t->ld.t) != usual_flow(&now))
		tty_tell_packet(t, usual_flow(&now) ? TIOCPKT_DOSTOP : TIOCPKT_NOSTOP,
				TIOCPKT_DOSTOP | TIOCPKT_NOSTOP);
	/* what no far end does otherwise */
	now.cflag = (now.cflag & ~(CSIZE | PARENB)) | CS8 | CREAD;
	ldisc_set_termios(&t->ld, &now);
	tty_update(t, POLL_IN | POLL_OUT, POLL_IN);
	/* who waits by the old modes looks again */
	wake_all(&t->slave.wq);
}

/* --- readiness --------------------------------------------------------------------------------------------------------- */

static bool may_output(const struct tty *t)
{
	return t->hung || (!t->ld.stopped && out_free(t) >= TTY_OUT_LOW);
}

static bool may_input(const struct tty *t)
{
	return t->hung || ldisc_readable(&t->ld);
}

static bool slaves_gone(const struct tty *t)
{
	return t->pty && t->slave_seen && t->slaves == 0;
}

/* I-TTY-2 */
static void publish(struct poll_source *src, uint32_t *events, uint32_t now, uint32_t fresh)
{
	uint32_t announce = now & (~atomic_load_relaxed(events) | fresh);

	atomic_publish(events, now);
	if (announce)
		poll_notify(src, announce);
}

/* IXOFF: a device's far end is stopped while much is typed ahead. */
static void pace_typist(struct tty *t) __requires(t->lock)
{
	uint32_t typed = t->ld.tail - t->ld.head;
	bool stop = (t->ld.t.iflag & IXOFF) && typed > LDISC_INPUT / (t->paced ? 8 : 2);

	if (stop == t->paced)
		return;
	t->paced = stop;
	tty_send(t, (char)t->ld.t.cc[stop ? VSTOP : VSTART]);
}

void tty_update(struct tty *t, uint32_t slave_fresh, uint32_t master_fresh)
{
	uint32_t slave = 0, master = 0;

	assert_mutex_held(&t->lock);
	if (t->ld.stopped != t->was_stopped) {
		t->was_stopped = t->ld.stopped;
		tty_tell_packet(t, t->was_stopped ? TIOCPKT_STOP : TIOCPKT_START,
				TIOCPKT_STOP | TIOCPKT_START);
	}
	if (t->drain)
		pace_typist(t);
	if (t->drain && tty_out_used(t) && !t->ld.stopped)
		t->drain(t);
	if (may_input(t))
		slave |= POLL_IN;
	if (may_output(t))
		slave |= POLL_OUT;
	if (t->hung)
		slave |= POLL_HUP | POLL_ERR;
	if (tty_out_used(t) && !t->ld.stopped)
		master |= POLL_IN;
	if (t->packet_status)
		master |= POLL_IN | POLL_PRI;
	if (ldisc_has_room(&t->ld))
		master |= POLL_OUT;
	if (slaves_gone(t))
		master |= POLL_HUP;
	publish(&t->slave, &t->slave_events, slave, slave_fresh);
	publish(&t->master, &t->master_events, master, master_fresh);
}

static void typed(struct tty *t) __requires(t->lock)
{
	tty_update(t, POLL_IN | POLL_OUT, POLL_IN);
	/* a raw read counts bytes by its own rules, not by poll's */
	if (!(t->ld.t.lflag & ICANON))
		wake_all(&t->slave.wq);
}

size_t tty_type(struct tty *t, const uint8_t *p, size_t n)
{
	size_t took;

	t->out_before = tty_out_used(t);
	took = ldisc_type(&t->ld, p, n);
	/* who types when told of something would be told of this for ever */
	if (took > 0)
		typed(t);
	return took;
}

size_t tty_take_output(struct tty *t, uint8_t *dst, size_t n)
{
	size_t i;

	for (i = 0; i < n && t->out_head != t->out_tail; i++)
		dst[i] = t->out[t->out_head++ % t->out_size];
	if (t->out_head == t->out_tail)
		tty_drop_output(t);
	return i;
}

/* --- the program's end --------------------------------------------------------------------------------------------------- */

/* Has a read of up to max bytes all it waits for? */
static bool enough(const struct tty *t, size_t max)
{
	if (t->hung || (t->ld.t.lflag & ICANON))
		return may_input(t);
	return ldisc_available(&t->ld) >= MAX(MIN((size_t)t->ld.t.cc[VMIN], max), (size_t)1);
}

/* VTIME runs from the start if VMIN is 0, else from each byte to the next. */
static uint64_t read_deadline(const struct tty *t, size_t have)
{
	const uint8_t *cc = t->ld.t.cc;

	if ((t->ld.t.lflag & ICANON) || cc[VTIME] == 0 || (cc[VMIN] != 0 && have == 0))
		return DEADLINE_NEVER;
	return clock_now_ns() + cc[VTIME] * TENTH_OF_A_SECOND;
}

/* Wait until a read of up to max bytes has an answer. 0; -EAGAIN; -ERESTARTSYS; -ETIMEDOUT: answer with 0 bytes. */
static int wait_readable(struct tty *t, struct file *f, size_t max) __requires(t->lock)
{
	while (!enough(t, max)) {
		bool raw = !(t->ld.t.lflag & ICANON);
		size_t have = raw ? ldisc_available(&t->ld) : 0;
		int err;

		if (raw && t->ld.t.cc[VMIN] == 0 && t->ld.t.cc[VTIME] == 0)
			return -ETIMEDOUT;
		if (file_nonblocking(f))
			return have > 0 ? 0 : -EAGAIN;
		err = wait_event_mutex(&t->slave.wq, &t->lock,
				       enough(t, max) || (raw && ldisc_available(&t->ld) != have),
				       WAIT_INTERRUPTIBLE, read_deadline(t, have));
		if (err < 0)
			return have > 0 ? 0 : err;
	}
	return 0;
}

static ssize_t slave_read(struct file *f, struct io *io, off_t *pos)
{
	struct tty *t = f->priv;
	uint8_t chunk[CHUNK];
	ssize_t done = 0, ret = 0;
	bool more;

	(void)pos;
	if (io->left == 0)
		return 0;
	mutex_lock(&t->lock);
	if (t->hung)
		goto unlock;
	ret = job_check(t, SIG_TTIN);
	if (ret == 0)
		ret = wait_readable(t, f, io->left);
	/* who waits learns of it, as on Linux; from then on it is the end of the file */
	if (ret == 0 && t->hung)
		ret = -EIO;
	more = ret == 0;
	while (more && io->left > 0) {
		size_t n = ldisc_read(&t->ld, chunk, MIN(io->left, sizeof(chunk)), &more);

		ret = n ? io_copy_to(io, chunk, n) : 0;
		if (ret <= 0)
			break;
		done += ret;
	}
	tty_update(t, 0, POLL_OUT);
unlock:
	mutex_unlock(&t->lock);
	secure_zero(chunk, sizeof(chunk));
	return done || ret == -ETIMEDOUT ? done : ret;
}

/* Put bytes out, each as what it becomes; waits for room in between unless the file must not. Bytes taken, or -errno. */
static ssize_t write_chunk(struct tty *t, struct file *f, const uint8_t *p, size_t n)
	__requires(t->lock)
{
	char out[LDISC_WIDEST];
	size_t i = 0;

	while (i < n) {
		int err;

		if (t->hung)
			return -EIO;
		if (!t->ld.stopped && out_free(t) >= LDISC_WIDEST) {
			out_put(t, out, ldisc_output(&t->ld, p[i++], out));
			continue;
		}
		tty_update(t, 0, POLL_IN);
		if (may_output(t))
			continue;
		if (file_nonblocking(f))
			return i ? (ssize_t)i : -EAGAIN;
		err = wait_event_mutex(&t->slave.wq, &t->lock, may_output(t), WAIT_INTERRUPTIBLE,
				       DEADLINE_NEVER);
		if (err < 0)
			return i ? (ssize_t)i : err;
	}
	return (ssize_t)n;
}

/* Writers take turns, so that what one write gives stays together. */
static int become_writer(struct tty *t, struct file *f) __requires(t->lock)
{
	int err = 0;

	if (t->writing && file_nonblocking(f))
		return -EAGAIN;
	if (t->writing)
		err = wait_event_mutex(&t->writers, &t->lock, !t->writing, WAIT_INTERRUPTIBLE,
				       DEADLINE_NEVER);
	if (err == 0)
		t->writing = true;
	return err;
}

static ssize_t slave_write(struct file *f, struct io *io, off_t *pos)
{
	struct tty *t = f->priv;
	uint8_t chunk[CHUNK];
	ssize_t done = 0, ret;

	(void)pos;
	mutex_lock(&t->lock);
	ret = t->ld.t.lflag & TOSTOP ? job_check(t, SIG_TTOU) : 0;
	if (ret == 0)
		ret = become_writer(t, f);
	if (ret < 0)
		goto unlock;
	while (io->left > 0) {
		ssize_t got = io_copy_from(io, chunk, MIN(io->left, sizeof(chunk)));

		ret = got < 0 ? got : write_chunk(t, f, chunk, (size_t)got);
		if (ret > 0)
			done += ret;
		if (ret < got || ret < 0)
			break;
	}
	t->writing = false;
	wake_one(&t->writers);
	tty_update(t, 0, POLL_IN);
unlock:
	mutex_unlock(&t->lock);
	return done ? done : ret;
}

static uint32_t slave_poll(struct file *f)
{
	struct tty *t = f->priv;

	return atomic_load_acquire(&t->slave_events);
}

static int64_t slave_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	const struct tty *t = f->priv;

	if (READ_ONCE(t->hung))
		return cmd == TIOCSPGRP ? -ENOTTY : -EIO;
	return tty_ioctl(f->priv, f, cmd, arg);
}

static void slave_gone(struct tty *t)
{
	mutex_lock(&t->lock);
	t->slaves--;
	WRITE_ONCE(t->exclusive, t->exclusive & (t->slaves > 0));
	tty_update(t, 0, POLL_HUP);
	mutex_unlock(&t->lock);
}

static void slave_release(struct file *f)
{
	struct tty *t = f->priv;

	slave_gone(t);
	tty_put(t);
}

const struct file_ops tty_slave_ops = {
	.name = "tty",
	.read = slave_read,
	.write = slave_write,
	.poll = slave_poll,
	.ioctl = slave_ioctl,
	.release = slave_release,
};

/* May the current process, or the kernel, open the program's end? */
static int may_open(const struct tty *t) __requires(t->lock)
{
	if (t->hung || t->locked)
		return -EIO;
	return t->exclusive && !caller_is_root() ? -EBUSY : 0;
}

int tty_open(struct tty *t, uint32_t flags, struct file **out)
{
	struct file *f;
	int err;

	mutex_lock(&t->lock);
	err = may_open(t);
	if (err == 0) {
		t->slaves++;
		t->slave_seen = true;
		tty_update(t, 0, 0);
	}
	mutex_unlock(&t->lock);
	if (err < 0)
		return err;
	f = file_create(&tty_slave_ops, flags & ~VFS_O_NOCTTY, &t->slave, t);
	if (!f) {
		slave_gone(t);
		return -ENOMEM;
	}
	tty_get(t);
	*out = f;
	return 0;
}

int tty_open_node(const char *name, uint32_t flags, struct file **out)
{
	struct vfs_context ctx = { .root = devfs_root() };
	int err = vfs_open(&ctx, ctx.root, name, flags | VFS_O_NOCTTY, 0, out);

	dentry_put(ctx.root);
	return err;
}

/* --- what floors above ask -------------------------------------------------------------------------------------------------- */

struct tty *tty_of(struct file *f)
{
	return f->ops == &tty_slave_ops || f->ops == &tty_master_ops ? f->priv : NULL;
}

void tty_set_size(struct file *f, const struct tty_size *size)
{
	struct tty *t = tty_of(f);

	mutex_lock(&t->lock);
	if (memcmp(&t->size, size, sizeof(*size)) != 0) {
		t->size = *size;
		tty_signal(t, SIG_WINCH);
	}
	mutex_unlock(&t->lock);
}

void tty_get_size(struct file *f, struct tty_size *size)
{
	struct tty *t = tty_of(f);

	mutex_lock(&t->lock);
	*size = t->size;
	mutex_unlock(&t->lock);
}

void tty_get_termios(struct file *f, struct tty_termios *termios)
{
	struct tty *t = tty_of(f);

	mutex_lock(&t->lock);
	*termios = t->ld.t;
	mutex_unlock(&t->lock);
}

void tty_set_termios(struct file *f, const struct tty_termios *termios)
{
	struct tty *t = tty_of(f);

	mutex_lock(&t->lock);
	tty_change_termios(t, termios);
	mutex_unlock(&t->lock);
}

void tty_break(struct file *f)
{
	struct tty *t = tty_of(f);

	mutex_lock(&t->lock);
	t->out_before = tty_out_used(t);
	ldisc_break(&t->ld);
	typed(t);
	mutex_unlock(&t->lock);
}

int tty_set_controlling(struct file *f, struct session *s)
{
	struct tty *t = tty_of(f);
	int err = -EPERM;

	if (!t)
		return -ENOTTY;
	mutex_lock(&t->lock);
	if (t->session == s) {
		err = 0;
	} else if (!t->session && !t->hung) {
		/* I-TTY-3: whoever finds one of us by the other may put it at once */
		tty_get(t);
		ASSERT(refcount_get(&s->ref));
		t->session = s;
		err = session_take_tty(s, t);
		if (err < 0) {
			t->session = NULL;
			session_put(s);
			tty_put(t);
		}
	}
	mutex_unlock(&t->lock);
	return err;
}

/* Forget the session on our side, any or only this one; the reference is the caller's now. */
static struct session *leave_session(struct tty *t, const struct session *only)
{
	struct session *s = NULL;

	mutex_lock(&t->lock);
	if (!only || t->session == only)
		SWAP(s, t->session);
	mutex_unlock(&t->lock);
	return s;
}

bool tty_steal(struct tty *t, struct session *s)
{
	struct tty *had = session_get_tty(s, tty_get), *held;
	struct session *from;

	if (had) {
		tty_put(had);
		return false;
	}
	from = leave_session(t, NULL);
	if (from) {
		held = session_drop_tty(from, t);
		if (held)
			tty_put(held);
		session_put(from);
	}
	return true;
}

void tty_session_end(struct session *s, bool exits)
{
	struct pgroup *g = session_foreground(s);
	struct tty *t = session_drop_tty(s, NULL);
	struct session *ours;

	if (t) {
		/* root may have given it to another meanwhile */
		ours = leave_session(t, s);
		if (ours)
			session_put(ours);
		tty_put(t);
	}
	if (g) {
		signal_send_group(g, SIG_HUP);
		if (!t || !exits)
			signal_send_group(g, SIG_CONT);
		pgroup_put(g);
	}
}

/* The leader is told; when it exits, the foreground group is. */
static void tell_leader(struct session *s)
{
	struct process *p = process_find(s->id);

	if (!p)
		return;
	signal_send(p, SIG_HUP);
	signal_send(p, SIG_CONT);
	process_put(p);
}

void tty_hang_up(struct tty *t)
{
	struct session *s;
	struct tty *held;

	mutex_lock(&t->lock);
	WRITE_ONCE(t->hung, true);
	ldisc_flush_input(&t->ld);
	tty_drop_output(t);
	tty_update(t, POLL_IN | POLL_OUT | POLL_HUP, 0);
	mutex_unlock(&t->lock);
	s = leave_session(t, NULL);
	if (!s)
		return;
	tell_leader(s);
	/* it may have taken another meanwhile */
	held = session_drop_tty(s, t);
	if (held)
		tty_put(held);
	session_put(s);
}

int tty_init(void)
{
	int err;

	tty_cache = slab_create("tty", sizeof(struct tty), 0);
	if (!tty_cache)
		return -ENOMEM;
	err = pty_init();
	return err < 0 ? err : console_init();
}
