/* SPDX-License-Identifier: MIT */
/* Stands in until the terminals land, which delete it: output to the log, no input. */
#include "drivers/tty/tty.h"
#include "drivers/chip/pl011.h"
#include "kernel/core/log.h"
#include "lib/errno.h"
static ssize_t w(struct file *f, struct io *io, off_t *pos)
{
	char b[128];
	ssize_t n = io_copy_from(io, b, 127);
	(void)f;
	(void)pos;
	if (n > 0) {
		b[n] = 0;
		log_info("console: %s", b);
	}
	return n;
}
static ssize_t r(struct file *f, struct io *io, off_t *pos)
{
	(void)f;
	(void)io;
	(void)pos;
	return 0;
}
static const struct file_ops ops = { .name = "stub", .read = r, .write = w };
int tty_init(void)
{
	return 0;
}
int tty_open_console(struct file **out)
{
	*out = file_create(&ops, FILE_RDWR, NULL, NULL);
	return *out ? 0 : -ENOMEM;
}
int pty_create(struct file **m, struct file **s, unsigned *n)
{
	(void)m;
	(void)s;
	(void)n;
	return -ENOSYS;
}
void tty_get_termios(struct file *f, struct tty_termios *t)
{
	(void)f;
	(void)t;
}
void tty_set_termios(struct file *f, const struct tty_termios *t)
{
	(void)f;
	(void)t;
}
void tty_set_size(struct file *f, const struct tty_size *s)
{
	(void)f;
	(void)s;
}
int tty_set_controlling(struct file *f, struct session *s)
{
	(void)f;
	(void)s;
	return 0;
}
void tty_session_end(struct tty *t, struct session *s)
{
	(void)t;
	(void)s;
}
