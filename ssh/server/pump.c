/* SPDX-License-Identifier: MIT */
/* Between files and channels, whatever the file is. */
#include "lib/errno.h"
#include "lib/string.h"
#include "ssh/server/server_priv.h"

void pump_nonblocking(struct file *f)
{
	atomic_fetch_or(&f->flags, FILE_KERNEL_NONBLOCK);
}

void pump_watch(struct server_conn *s, struct server_part *part, struct poll_watch *w,
		struct poll_source *src, uint32_t events)
{
	poll_watch_add(&s->poller, w, src, events, part);
	/* The first look: what is true already is not announced. */
	poll_watch_kick(w, events);
}

void pump_unwatch(struct poll_watch *w)
{
	if (w->poller)
		poll_watch_remove(w);
	w->poller = NULL;
}

void pump_close(struct file **f, struct poll_watch *w)
{
	if (w)
		pump_unwatch(w);
	if (*f)
		file_put(*f);
	*f = NULL;
}

ssize_t pump_write(struct file *f, struct poll_watch *w, uint32_t always, const void *p, size_t n)
{
	ssize_t took = file_write_kernel(f, p, n), more;

	if (took == -EAGAIN)
		took = 0;
	if (took < 0 || (size_t)took == n)
		return took;
	/* Ask to be told of room, then look again: it may have come in between. A part taken is no promise of an
	 * event for the rest. An error comes back with the next bytes. */
	if (w->poller)
		poll_watch_set(w, always | POLL_OUT);
	more = file_write_kernel(f, (const char *)p + took, n - (size_t)took);
	if (more > 0)
		return took + more;
	/* without memory and with nothing under way nobody would tell of room */
	return took == 0 && more < 0 && more != -EAGAIN ? more : took;
}

ssize_t pump_read(struct ssh_chan *ch, bool err, struct file *f, bool *ready)
{
	size_t room;
	ssize_t n;
	void *p = *ready ? ssh_chan_output_begin(ch, err, &room) : NULL;

	if (!p)
		return -EAGAIN;
	n = file_read_kernel(f, p, room);
	ssh_chan_output_end(ch, n > 0 ? (size_t)n : 0);
	if (n == -EAGAIN)
		*ready = false;
	return n;
}

void pump_address(char *buf, size_t size, const struct socket_addr *a)
{
	char *colon;

	socket_addr_format(buf, size, a);
	colon = strrchr(buf, ':');
	if (colon)
		*colon = 0;
	/* RFC 4254 s7.2 wants an address; brackets are a URL's */
	if (a->v6) {
		memmove(buf, buf + 1, strlen(buf));
		buf[strlen(buf) - 1] = 0;
	}
}
