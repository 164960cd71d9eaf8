/* SPDX-License-Identifier: MIT */
/* Terminals: a line discipline (canonical and raw modes, echo, erase, ISIG at input time, ICRNL, ONLCR, window size)
 * between a program's end (the slave: a struct file) and the far end (a pty master, or the console UART). */
#ifndef TERN_DRIVERS_TTY_TTY_H
#define TERN_DRIVERS_TTY_TTY_H

#include "drivers/tty/ldisc.h"
#include "fs/file.h"

struct tty;
struct session;

/* A pseudo-terminal: both files with a reference each. The master reads what programs write (through OPOST) and writes
 * what the user types. Closing the master hangs the slave up: SIGHUP and SIGCONT to the session, reads give 0, writes
 * -EIO. The master reads -EIO after the last slave closed. 0 or -ENOMEM. /dev/pts/N appears and goes. */
int pty_create(struct file **master, struct file **slave, unsigned *number) __must_check;

struct tty_size {
	uint16_t rows, cols, xpixel, ypixel;
};
/* By the master or the slave. A change sends SIGWINCH to the foreground group. */
void tty_set_size(struct file *f, const struct tty_size *size);
void tty_get_size(struct file *f, struct tty_size *size);

void tty_get_termios(struct file *f, struct tty_termios *t);
void tty_set_termios(struct file *f, const struct tty_termios *t);
/* In bauds; 0: as it was. */
void tty_set_speeds(struct file *f, uint32_t in, uint32_t out);

/* The far end sends a break. */
void tty_break(struct file *f);

/* Make f (a slave) the controlling terminal of session s, whose leader asks; its group becomes the foreground one.
 * -EPERM if either has another. */
int tty_set_controlling(struct file *f, struct session *s) __must_check;
struct tty *tty_of(struct file *f); /* NULL: not a terminal */
/* Its device number, as stat tells it. */
uint32_t tty_device(const struct tty *t);
/* The leader of s exits, or gives up its terminal: the foreground group gets SIGHUP and, unless the exit was the first to
 * tell it, SIGCONT. */
void tty_session_end(struct session *s, bool exits);

/* boot, in a thread: ptmx, pts, tty, console; the UART behind /dev/console. */
int tty_init(void);
/* The console terminal for init: a slave file with a reference. */
int tty_open_console(struct file **out) __must_check;

#endif
