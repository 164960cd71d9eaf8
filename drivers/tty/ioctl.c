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

static const uint32_t speeds[] = { 0,	    50,	     75,      110,     134,	150,	 200,
				   300,	    600,     1200,    1800,    2400,	4800,	 9600,
				   19200,   38400,   57600,   115200,  230400,	460800,	 500000,
				   576000,  921600,  1000000, 1152000, 1500000, 2000000, 2500000,
				   3000000, 3500000, 4000000 };

/* What a CBAUD code means; `other` for the code that says: see the number. */
static uint32_t speed_of(uint32_t code, uint32_t other)
{
	return code == BOTHER ? other : speeds[(code & 15) + (code & CBAUDEX ? 15 : 0)];
}

static uint32_t code_of(uint32_t speed)
{
	for (uint32_t i = 1; i < ARRAY_SIZE(speeds); i++)
		if (speeds[i] == speed)
			return i < 16 ? i : CBAUDEX | (i - 15);
	return BOTHER;
}

void tty_set_speeds(struct file *f, uint32_t in, uint32_t out)
{
	struct tty *t = tty_of(f);
	uint32_t *cflag = &t->ld.t.cflag;

	mutex_lock(&t->lock);
	t->ispeed = in ? in : t->ispeed;
	t->ospeed = out ? out : t->ospeed;
	/* as in set_modes(): no code is the same both ways */
	*cflag = (*cflag & ~(CBAUD | CBAUD << IBSHIFT)) | code_of(t->ospeed);
	if (t->ispeed != t->ospeed)
		*cflag |= code_of(t->ispeed) << IBSHIFT;
	mutex_unlock(&t->lock);
}

/* The structure with speeds begins with the one without. */
static_assert(offsetof(struct termios2, c_ispeed) == sizeof(struct tty_termios),
	      "termios2 of the ABI");

static int64_t get_modes(struct tty *t, uint64_t arg, size_t size)
{
	struct termios2 modes;

	mutex_lock(&t->lock);
	memcpy(&modes, &t->ld.t, sizeof(t->ld.t));
	modes.c_ispeed = t->ispeed;
	modes.c_ospeed = t->ospeed;
	mutex_unlock(&t->lock);
	return user_copy_to(arg, &modes, size);
}

/* Output for a pty is where it goes at once; a device may be stopped. */
static bool drained(struct tty *t)
{
	return t->hung || t->pty || tty_out_used(t) == 0;
}

static int wait_drained(struct tty *t) __requires(t->lock)
{
	return wait_event_mutex(&t->slave.wq, &t->lock, drained(t), WAIT_INTERRUPTIBLE,
				DEADLINE_NEVER);
}

static int64_t set_modes(struct tty *t, uint64_t arg, size_t size, bool drain, bool flush)
{
	struct termios2 modes;
	struct tty_termios now;
	uint32_t in;
	int err = user_copy_from(&modes, arg, size);

	if (err < 0)
		return err;
	memcpy(&now, &modes, sizeof(now));
	in = now.cflag >> IBSHIFT & CBAUD;
	mutex_lock(&t->lock);
	if (size != sizeof(modes)) {
		modes.c_ispeed = t->ispeed;
		modes.c_ospeed = t->ospeed;
	}
	if (drain)
		err = wait_drained(t);
	if (err == 0) {
		if (flush)
			tty_drop_input(t);
		t->ospeed = speed_of(now.cflag & CBAUD, modes.c_ospeed);
		t->ispeed = in == B0 ? t->ospeed : speed_of(in, modes.c_ispeed);
		tty_change_termios(t, &now);
	}
	mutex_unlock(&t->lock);
	return err;
}

/* The two ends see input and output the other way round. */
static int64_t flush(struct tty *t, bool far, uint64_t which)
{
	if (which > TCIOFLUSH)
		return -EINVAL;
	mutex_lock(&t->lock);
	if (which != (far ? TCIFLUSH : TCOFLUSH))
		tty_drop_input(t);
	if (which != (far ? TCOFLUSH : TCIFLUSH))
		tty_flush_output(t, far ? 0 : TTY_OUT_SENT);
	tty_update(t, POLL_OUT, POLL_OUT);
	/* who waits for all to be taken: output that is stopped has no room to tell of */
	wake_all(&t->slave.wq);
	mutex_unlock(&t->lock);
	return 0;
}

static int64_t flow(struct tty *t, uint64_t action)
{
	char key;

	if (action > TCION)
		return -EINVAL;
	mutex_lock(&t->lock);
	key = (char)t->ld.t.cc[action == TCIOFF ? VSTOP : VSTART];
	if (action <= TCOON)
		ldisc_hold(&t->ld, action == TCOOFF);
	else if (key)
		tty_send(t, key);
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
	if (s && (s != of_tty || READ_ONCE(current_process()->left_tty))) {
		session_put(s);
		s = NULL;
	}
	return s;
}

/* The session that a question about the terminal is about: the master's owner need not be in it. */
static struct session *asked_session(struct tty *t, bool far)
{
	struct session *s;

	if (!far)
		return own_session(t);
	mutex_lock(&t->lock);
	s = t->session;
	if (s)
		ASSERT(refcount_get(&s->ref));
	mutex_unlock(&t->lock);
	return s;
}

static int64_t get_foreground(struct tty *t, bool far, uint64_t arg)
{
	struct session *s = asked_session(t, far);
	int id = s ? READ_ONCE(s->foreground) : 0;

	if (!s && !far)
		return -ENOTTY;
	if (s)
		session_put(s);
	return put_int(arg, id);
}

static int64_t set_foreground(struct tty *t, uint64_t arg)
{
	struct session *s = own_session(t);
	int id, err;

	if (!s)
		return -ENOTTY;
	err = user_copy_from(&id, arg, sizeof(id));
	if (err == 0)
		err = id < 0 ? -EINVAL : session_set_foreground(s, id);
	session_put(s);
	return err;
}

static int64_t get_session(struct tty *t, bool far, uint64_t arg)
{
	struct session *s = asked_session(t, far);
	int id;

	if (!s)
		return -ENOTTY;
	id = s->id;
	session_put(s);
	return put_int(arg, id);
}

/* arg 1 is root's way to take it from another session. */
static int64_t take_terminal(struct tty *t, struct file *f, uint64_t arg)
{
	struct session *s;
	int err;

	if (!session_is_leader(current_process()))
		return -EPERM;
	if ((READ_ONCE(f->flags) & FILE_ACCMODE) == FILE_WRONLY && !caller_is_root())
		return -EPERM;
	s = session_of(current_process());
	err = tty_set_controlling(f, s);
	if (err == -EPERM && arg == 1 && caller_is_root() && tty_steal(t, s))
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
		tty_session_end(s, false);
	else
		WRITE_ONCE(current_process()->left_tty, true);
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
	n = (int)(input ? ldisc_count(&t->ld) : tty_out_used(t));
	mutex_unlock(&t->lock);
	return put_int(arg, n);
}

/* A byte as if typed. */
static int64_t type_byte(struct tty *t, uint64_t arg)
{
	uint8_t c;
	int err;

	if (!caller_is_root())
		return -EPERM;
	err = user_copy_from(&c, arg, sizeof(c));
	if (err < 0)
		return err;
	mutex_lock(&t->lock);
	tty_type(t, &c, 1);
	mutex_unlock(&t->lock);
	return 0;
}

static int64_t set_exclusive(struct tty *t, bool on)
{
	mutex_lock(&t->lock);
	WRITE_ONCE(t->exclusive, on);
	mutex_unlock(&t->lock);
	return 0;
}

/* Does it change what the foreground works with, so that the background must not? */
static bool is_change(unsigned cmd)
{
	switch (cmd) {
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
	case TCSETS2:
	case TCSETSW2:
	case TCSETSF2:
	case TCSBRK:
	case TCSBRKP:
	case TCXONC:
	case TCFLSH:
	case TIOCSPGRP:
		return true;
	default:
		return false;
	}
}

static int64_t modes_ioctl(struct tty *t, unsigned cmd, uint64_t arg)
{
	const size_t with = sizeof(struct termios2), without = sizeof(struct termios);

	switch (cmd) {
	case TCGETS:
		return get_modes(t, arg, without);
	case TCSETS:
		return set_modes(t, arg, without, false, false);
	case TCSETSW:
		return set_modes(t, arg, without, true, false);
	case TCSETSF:
		return set_modes(t, arg, without, true, true);
	case TCGETS2:
		return get_modes(t, arg, with);
	case TCSETS2:
		return set_modes(t, arg, with, false, false);
	case TCSETSW2:
		return set_modes(t, arg, with, true, false);
	case TCSETSF2:
		return set_modes(t, arg, with, true, true);
	default:
		return -ENOTTY;
	}
}

int64_t tty_ioctl(struct tty *t, struct file *f, unsigned cmd, uint64_t arg)
{
	bool far = f->ops == &tty_master_ops;
	int err = is_change(cmd) ? job_check(t, SIG_TTOU) : 0;

	if (err < 0)
		return err == -EIO && cmd == TIOCSPGRP ? -ENOTTY : err;
	switch (cmd) {
	case TIOCGWINSZ:
		return get_size(f, arg);
	case TIOCSWINSZ:
		return set_size(f, arg);
	case TIOCGPGRP:
		return get_foreground(t, far, arg);
	case TIOCSPGRP:
		return set_foreground(t, arg);
	case TIOCGSID:
		return get_session(t, far, arg);
	case TIOCSCTTY:
		return take_terminal(t, f, arg);
	case TIOCNOTTY:
		return give_up_terminal(t);
	case FIONREAD:
		return count(t, !far, arg);
	case TIOCOUTQ:
		return count(t, far, arg);
	case TCFLSH:
		return flush(t, far, arg);
	case TCXONC:
		return flow(t, arg);
	case TCSBRK:
	case TCSBRKP:
		return drain(t);
	case TIOCSTI:
		return type_byte(t, arg);
	case TIOCEXCL:
	case TIOCNXCL:
		return set_exclusive(t, cmd == TIOCEXCL);
	case TIOCGPTPEER:
		/* a slave has none: Linux's word for it */
		return -EIO;
	case TIOCGEXCL:
		return put_int(arg, READ_ONCE(t->exclusive));
	default:
		return modes_ioctl(t, cmd, arg);
	}
}
