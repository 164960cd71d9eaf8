/* SPDX-License-Identifier: MIT */
/* The terminal's ioctls, with the structures of the Linux arm64 ABI. */
#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <asm/termios.h>
#include "drivers/tty/tty_priv.h"
#include "kernel/proc/lifecycle.h"
#include "lib/errno.h"
#include "lib/string.h"

static_assert(sizeof(struct termios) == sizeof(struct tty_termios), "termios of the ABI");
static_assert(sizeof(struct winsize) == sizeof(struct tty_size), "winsize of the ABI");

static int64_t put_int(uint64_t arg, int v)
{
	return user_copy_to(arg, &v, sizeof(v));
}

static int64_t get_modes(struct tty *t, uint64_t arg)
{
	struct tty_termios modes;

	mutex_lock(&t->lock);
	modes = t->ld.t;
	mutex_unlock(&t->lock);
	return user_copy_to(arg, &modes, sizeof(modes));
}

static bool drained(struct tty *t)
{
	return t->hung || tty_out_used(t) == 0;
}

/* Wait until the far end has taken all output. */
static int wait_drained(struct tty *t) __requires(t->lock)
{
	return wait_event_mutex(&t->slave.wq, &t->lock, drained(t), WAIT_INTERRUPTIBLE,
				DEADLINE_NEVER);
}

static int64_t set_modes(struct tty *t, uint64_t arg, bool drain, bool flush)
{
	struct tty_termios modes;
	int err = user_copy_from(&modes, arg, sizeof(modes));

	if (err < 0)
		return err;
	mutex_lock(&t->lock);
	if (drain)
		err = wait_drained(t);
	if (err == 0) {
		if (flush)
			ldisc_flush_input(&t->ld);
		ldisc_set_termios(&t->ld, &modes);
		tty_update(t, POLL_IN | POLL_OUT, POLL_IN);
	}
	mutex_unlock(&t->lock);
	return err;
}

static int64_t flush(struct tty *t, uint64_t which)
{
	if (which > TCIOFLUSH)
		return -EINVAL;
	mutex_lock(&t->lock);
	if (which != TCOFLUSH)
		ldisc_flush_input(&t->ld);
	if (which != TCIFLUSH)
		tty_drop_output(t);
	tty_update(t, POLL_OUT, POLL_OUT);
	/* who waits for all to be taken: output that is stopped has no room to tell of */
	wake_all(&t->slave.wq);
	mutex_unlock(&t->lock);
	return 0;
}

static int64_t flow(struct tty *t, uint64_t action)
{
	if (action != TCOOFF && action != TCOON)
		return -EINVAL;
	mutex_lock(&t->lock);
	t->ld.stopped = action == TCOOFF;
	tty_update(t, POLL_OUT, POLL_IN);
	mutex_unlock(&t->lock);
	return 0;
}

static int64_t drain(struct tty *t)
{
	int err;

	mutex_lock(&t->lock);
	err = wait_drained(t);
	mutex_unlock(&t->lock);
	return err;
}

/* --- job control ------------------------------------------------------------------------------------------------ */

/* The caller's session if this is its terminal, with a reference; else NULL. */
static struct session *own_session(struct tty *t)
{
	struct session *s = session_of(current_process()), *of_tty;

	mutex_lock(&t->lock);
	of_tty = t->session;
	mutex_unlock(&t->lock);
	if (s && s != of_tty) {
		session_put(s);
		s = NULL;
	}
	return s;
}

static int64_t get_foreground(struct tty *t, uint64_t arg)
{
	struct session *s = own_session(t);
	struct pgroup *g;
	int id;

	if (!s)
		return -ENOTTY;
	g = session_foreground(s);
	id = g ? g->id : 0;
	if (g)
		pgroup_put(g);
	session_put(s);
	return put_int(arg, id);
}

static int64_t set_foreground(struct tty *t, uint64_t arg)
{
	struct session *s;
	int id, err = user_copy_from(&id, arg, sizeof(id));

	if (err < 0)
		return err;
	if (id < 0)
		return -EINVAL;
	s = own_session(t);
	if (!s)
		return -ENOTTY;
	err = session_set_foreground(s, id);
	session_put(s);
	return err;
}

static int64_t get_session(struct tty *t, uint64_t arg)
{
	struct session *s = own_session(t);
	int id;

	if (!s)
		return -ENOTTY;
	id = s->id;
	session_put(s);
	return put_int(arg, id);
}

static int64_t take_terminal(struct file *f)
{
	struct session *s;
	int err;

	if (!session_is_leader(current_process()))
		return -EPERM;
	s = session_of(current_process());
	err = tty_set_controlling(f, s);
	session_put(s);
	return err;
}

static int64_t give_up_terminal(struct tty *t)
{
	struct session *s = own_session(t);

	if (!s)
		return -ENOTTY;
	if (session_is_leader(current_process()))
		tty_session_end(s);
	session_put(s);
	return 0;
}

/* --- the rest ------------------------------------------------------------------------------------------------------- */

static int64_t set_size(struct file *f, uint64_t arg)
{
	struct tty_size size;
	int err = user_copy_from(&size, arg, sizeof(size));

	if (err == 0)
		tty_set_size(f, &size);
	return err;
}

static int64_t get_size(struct file *f, uint64_t arg)
{
	struct tty_size size;

	tty_get_size(f, &size);
	return user_copy_to(arg, &size, sizeof(size));
}

static int64_t count(struct tty *t, bool input, uint64_t arg)
{
	int n;

	mutex_lock(&t->lock);
	n = (int)(input ? ldisc_available(&t->ld) : tty_out_used(t));
	mutex_unlock(&t->lock);
	return put_int(arg, n);
}

int64_t tty_ioctl(struct tty *t, struct file *f, unsigned cmd, uint64_t arg)
{
	switch (cmd) {
	case TCGETS:
		return get_modes(t, arg);
	case TCSETS:
		return set_modes(t, arg, false, false);
	case TCSETSW:
		return set_modes(t, arg, true, false);
	case TCSETSF:
		return set_modes(t, arg, true, true);
	case TIOCGWINSZ:
		return get_size(f, arg);
	case TIOCSWINSZ:
		return set_size(f, arg);
	case TIOCGPGRP:
		return get_foreground(t, arg);
	case TIOCSPGRP:
		return set_foreground(t, arg);
	case TIOCGSID:
		return get_session(t, arg);
	case TIOCSCTTY:
		return take_terminal(f);
	case TIOCNOTTY:
		return give_up_terminal(t);
	case FIONREAD:
		return count(t, true, arg);
	case TIOCOUTQ:
		return count(t, false, arg);
	case TCFLSH:
		return flush(t, arg);
	case TCXONC:
		return flow(t, arg);
	case TCSBRK:
		return drain(t);
	default:
		return -ENOTTY;
	}
}
