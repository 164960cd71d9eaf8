/* SPDX-License-Identifier: MIT */
/* timerfd. When the timer fires it is counted once and announced; how often an interval has gone by since is reckoned when
 * somebody asks, and only then the timer is armed again: so a short interval costs nothing while nobody reads. */
#include "fs/event.h"
#include "kernel/core/clock.h"
#include "kernel/core/panic.h"
#include "lib/errno.h"
#include "mm/phys/slab.h"

struct timerfd {
	spinlock_t lock; /* TIMERFD */
	struct poll_source source;
	struct timer timer;
	bool wall;     /* [init] of the wall clock */
	bool armed;    /* [lock] next_ns is to come */
	bool absolute; /* [lock] and next_ns is a time of its own clock; else of the monotonic one */
	bool cancel_on_set;	    /* [lock] */
	bool cancelled;		    /* [lock] the clock has stepped: for the next read */
	uint64_t next_ns;	    /* [lock] */
	uint64_t interval_ns;	    /* [lock] 0: once */
	uint64_t ticks;		    /* [lock] expired, and not read yet */
	struct list_head wall_link; /* [TIMERFDS] in wall_timers, if wall */
};

static struct mutex wall_mutex = MUTEX_INIT(wall_mutex, TIMERFDS);
static struct list_head wall_timers = LIST_HEAD_INIT(wall_timers); /* [wall_mutex] */

static bool follows_wall(const struct timerfd *t)
{
	return t->wall && t->absolute;
}

static uint64_t now_of(const struct timerfd *t)
{
	return follows_wall(t) ? clock_wall_ns() : clock_now_ns();
}

/* Has it expired, and is not counted yet? */
static bool over(const struct timerfd *t, uint64_t now) __requires(t->lock)
{
	return t->armed && now >= t->next_ns;
}

/* Count what has expired until now. */
static void settle(struct timerfd *t) __requires(t->lock)
{
	uint64_t now = now_of(t), n = 1;

	if (!over(t, now))
		return;
	if (t->interval_ns)
		n += (now - t->next_ns) / t->interval_ns;
	t->ticks += n;
	t->next_ns += n * t->interval_ns;
	t->armed = t->interval_ns != 0;
}

static void arm(struct timerfd *t) __requires(t->lock)
{
	if (t->armed)
		timer_arm(&t->timer,
			  follows_wall(t) ? clock_wall_deadline(t->next_ns) : t->next_ns);
}

static void fired(struct timer *timer)
{
	struct timerfd *t = container_of(timer, struct timerfd, timer);
	bool ready;

	spin_lock(&t->lock);
	settle(t);
	ready = t->ticks > 0;
	/* the clock was set back meanwhile */
	if (!ready)
		arm(t);
	spin_unlock(&t->lock);
	if (ready)
		poll_notify(&t->source, POLL_IN);
}

/* What a read gives: true with the count, or 0 if the clock has stepped. */
static bool take(struct timerfd *t, uint64_t *ticks)
{
	irqflags_t f = spin_lock_irqsave(&t->lock);
	bool ready;

	settle(t);
	ready = t->ticks > 0 || t->cancelled;
	if (ready) {
		*ticks = t->cancelled ? 0 : t->ticks;
		t->ticks = 0;
		t->cancelled = false;
		arm(t);
	}
	spin_unlock_irqrestore(&t->lock, f);
	return ready;
}

static ssize_t timerfd_read(struct file *f, struct io *io, off_t *pos)
{
	struct timerfd *t = f->priv;
	uint64_t ticks = 0;
	int err;

	(void)pos;
	if (io->left < sizeof(ticks))
		return -EINVAL;
	err = file_wait(f, &t->source.wq, take(t, &ticks));
	if (err)
		return err;
	if (!ticks)
		return -ECANCELED;
	return io_copy_to(io, &ticks, sizeof(ticks)) == sizeof(ticks) ? (ssize_t)sizeof(ticks)
								      : -EFAULT;
}

static uint32_t timerfd_poll(struct file *f)
{
	struct timerfd *t = f->priv;
	irqflags_t flags = spin_lock_irqsave(&t->lock);
	bool ready;

	/* counted by who reads, or by the interrupt, which tells of it: told twice it would be two edges */
	ready = t->ticks > 0 || t->cancelled || over(t, now_of(t));
	spin_unlock_irqrestore(&t->lock, flags);
	return ready ? POLL_IN : 0;
}

static void timerfd_release(struct file *f)
{
	struct timerfd *t = f->priv;

	mutex_lock(&wall_mutex);
	list_del(&t->wall_link);
	mutex_unlock(&wall_mutex);
	(void)timer_cancel(&t->timer);
	poll_source_check_idle(&t->source);
	kfree(t);
}

static const struct file_ops timerfd_ops = {
	.name = "timerfd",
	.read = timerfd_read,
	.poll = timerfd_poll,
	.stat = file_stat_anonymous,
	.release = timerfd_release,
};

static void setting_of(struct timerfd *t, struct timerfd_setting *out) __requires(t->lock)
{
	uint64_t now = now_of(t);

	settle(t);
	*out = (struct timerfd_setting){ 0, t->interval_ns };
	if (t->armed)
		out->value_ns = t->next_ns > now ? t->next_ns - now : 1;
}

int timerfd_get(struct file *f, struct timerfd_setting *out)
{
	struct timerfd *t = f->priv;
	irqflags_t flags;

	if (f->ops != &timerfd_ops)
		return -EINVAL;
	flags = spin_lock_irqsave(&t->lock);
	setting_of(t, out);
	arm(t);
	spin_unlock_irqrestore(&t->lock, flags);
	return 0;
}

int timerfd_set(struct file *f, const struct timerfd_setting *new, bool absolute,
		bool cancel_on_set, struct timerfd_setting *old)
{
	struct timerfd *t = f->priv;
	irqflags_t flags;

	if (f->ops != &timerfd_ops)
		return -EINVAL;
	(void)timer_cancel(&t->timer);
	flags = spin_lock_irqsave(&t->lock);
	setting_of(t, old);
	t->absolute = absolute;
	t->armed = new->value_ns != 0;
	t->next_ns = new->value_ns + (absolute ? 0 : clock_now_ns());
	t->interval_ns = new->interval_ns;
	t->ticks = 0;
	t->cancel_on_set = follows_wall(t) && cancel_on_set;
	t->cancelled = false;
	arm(t);
	spin_unlock_irqrestore(&t->lock, flags);
	return 0;
}

/* The wall clock was set: what waits for a time of it waits for another time now. */
static void wall_stepped(void)
{
	struct timerfd *t;

	mutex_lock(&wall_mutex);
	list_for_each (t, &wall_timers, wall_link) {
		irqflags_t f = spin_lock_irqsave(&t->lock);
		bool cancelled = t->cancel_on_set;

		t->cancelled |= cancelled;
		if (follows_wall(t))
			arm(t);
		spin_unlock_irqrestore(&t->lock, f);
		if (cancelled)
			poll_notify(&t->source, POLL_IN);
	}
	mutex_unlock(&wall_mutex);
}

int timerfd_create(bool wall, uint32_t flags, struct file **out)
{
	static struct wall_watcher watcher = { .stepped = wall_stepped };
	struct timerfd *t = kzalloc(sizeof(*t));

	if (!t)
		return -ENOMEM;
	spin_init(&t->lock, LOCK_TIMERFD);
	poll_source_init(&t->source);
	timer_init(&t->timer, fired);
	list_init(&t->wall_link);
	t->wall = wall;
	*out = file_create(&timerfd_ops, FILE_RDWR | flags, &t->source, t);
	if (!*out) {
		kfree(t);
		return -ENOMEM;
	}
	if (wall) {
		mutex_lock(&wall_mutex);
		list_push_back(&t->wall_link, &wall_timers);
		clock_watch_wall(&watcher);
		mutex_unlock(&wall_mutex);
	}
	return 0;
}
