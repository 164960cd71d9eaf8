/* SPDX-License-Identifier: MIT */
/* One terminal, for drivers/tty alone.
 *
 *	far end (pty master, UART)  -- tty_type() -->  line discipline  -- read() -->  slave, the program's end
 *	far end                     <-- out ring ---   line discipline  <-- write() -- slave
 *
 * I-TTY-1: everything of a terminal changes under its mutex; no wait for either end happens with it held.
 * I-TTY-2: readiness is published in slave_events and master_events before the sources are notified.
 * I-TTY-3: t->session and session->tty are set together; each holds a reference to the other; whoever clears one puts it. */
#ifndef TERN_DRIVERS_TTY_TTY_PRIV_H
#define TERN_DRIVERS_TTY_TTY_PRIV_H

#include "drivers/tty/tty.h"
#include "kernel/proc/process.h"
#include "lib/refcount.h"

#define TTY_OUT_SIZE  16384u /* processed output that the far end has not taken */
#define TTY_OUT_SMALL 1024u  /* ... as long as there is little of it */
#define TTY_OUT_SENT                                                                               \
	4096u		 /* as much of a pty's output is with the master, and no flush undoes it */
#define TTY_OUT_LOW 512u /* a writer goes on when this much is free */

struct tty {
	struct mutex lock; /* TTY */
	struct refcount ref;
	struct ldisc ld;   /* [lock] */
	uint8_t *out;	   /* [lock] ring: out_small, or TTY_OUT_SIZE bytes until it is empty */
	uint32_t out_size; /* [lock] a power of two */
	uint32_t out_head, out_tail; /* [lock] running free */
	uint32_t out_before;	     /* [lock] bytes of output when the keys at hand came */
	bool writing;		     /* [lock] a writer is in the midst of its bytes */
	bool hung;		     /* [lock], read anywhere: the far end is gone; for ever */
	bool slave_seen;	     /* [lock] a slave was open once */
	unsigned slaves;	     /* [lock] open slave files */
	struct tty_size size;	     /* [lock] */
	uint32_t ispeed, ospeed;     /* [lock] bauds, for who asks */
	bool packet;		 /* [lock] the master reads a byte of status before what it reads */
	uint8_t packet_status;	 /* [lock] TIOCPKT_* it has not read */
	bool was_stopped;	 /* [lock] as the master was told */
	bool paced;		 /* [lock] IXOFF: the far end was sent VSTOP, and no VSTART since */
	bool exclusive;		 /* [lock], read anywhere: only root opens it */
	bool locked;		 /* [lock] the slave cannot be opened yet */
	struct session *session; /* [lock] a reference; NULL: nobody's */
	struct waitq writers;	 /* for `writing` */
	struct poll_source slave;	  /* the program's end */
	struct poll_source master;	  /* the far end of a pty */
	uint32_t slave_events;		  /* [atomic] written under lock */
	uint32_t master_events;		  /* [atomic] written under lock */
	bool pty;			  /* [init] */
	unsigned number;		  /* [init] of /dev/pts */
	uintptr_t serial;		  /* [init] of a pty: no two ever have one */
	uint8_t out_small[TTY_OUT_SMALL]; /* [lock] */
	void (*drain)(
		struct tty *t); /* [init] a device's way to take output at once; NULL for a pty */
};

struct tty *tty_create(void) __must_check; /* one reference; NULL: no memory */
void tty_get(struct tty *t);
void tty_put(struct tty *t);
/* A file of the program's end. It counts as an open slave until released. 0 or -errno. */
int tty_open(struct tty *t, uint32_t flags, struct file **out) __must_check;
/* Open a node of devfs for the kernel, or for the master's owner: the file has a name and an inode. 0 or -errno. */
int tty_open_node(const char *name, uint32_t flags, struct file **out) __must_check;
/* New modes. lock held. */
void tty_change_termios(struct tty *t, const struct tty_termios *termios) __requires(t->lock);
/* A byte straight to the far end. lock held. */
void tty_send(struct tty *t, char c) __requires(t->lock);
/* To the foreground group. lock held. */
void tty_signal(struct tty *t, int sig) __requires(t->lock);
/* Take the terminal from whatever session has it, for s that has none. False: s has one. lock not held. */
bool tty_steal(struct tty *t, struct session *s);
/* TIOCPKT_* for the master, instead of some. lock held. */
void tty_tell_packet(struct tty *t, uint8_t what, uint8_t instead_of) __requires(t->lock);
/* Forget output, but for the first bytes of it that a master has been `sent`. lock held. */
void tty_flush_output(struct tty *t, uint32_t sent) __requires(t->lock);
/* Forget what was typed, or put out. lock held. */
void tty_drop_input(struct tty *t) __requires(t->lock);
void tty_drop_output(struct tty *t) __requires(t->lock);
extern const struct file_ops tty_slave_ops;
extern const struct file_ops tty_master_ops; /* pty.c */

/* Publish readiness after a change; `fresh` are events to announce even if they were true before. lock held. */
void tty_update(struct tty *t, uint32_t slave_fresh, uint32_t master_fresh) __requires(t->lock);
/* Bytes typed at the far end. How many were taken. lock held. */
size_t tty_type(struct tty *t, const uint8_t *p, size_t n) __requires(t->lock);
/* Take processed output. lock held. */
size_t tty_take_output(struct tty *t, uint8_t *dst, size_t n) __requires(t->lock);

static inline uint32_t tty_out_used(const struct tty *t)
{
	return t->out_tail - t->out_head;
}
/* The far end is gone: programs read 0, write -EIO, and their session is told. lock not held. */
void tty_hang_up(struct tty *t);
/* ioctl for both ends. */
int64_t tty_ioctl(struct tty *t, struct file *f, unsigned cmd, uint64_t arg);
/* What only a master answers: the number, the lock, the peer. pty.c */
int64_t pty_master_ioctl(struct tty *t, unsigned cmd, uint64_t arg);

int pty_init(void);
int console_init(void);

#endif
