/* SPDX-License-Identifier: MIT */
/* The serial console as a terminal. Received bytes go from the interrupt through a small ring to a thread that types them;
 * output goes to the UART between the log's lines. The ring has one writer (the interrupt) and one reader (the thread). */
#include <asm/termbits.h>
#include "drivers/chip/pl011.h"
#include "drivers/tty/tty_priv.h"
#include "fs/vfs.h"
#include "kernel/core/log.h"
#include "kernel/core/perturb.h"
#include "lib/atomic.h"
#include "lib/errno.h"

#define RX_SIZE	     1024u
#define CONSOLE_RDEV (5u << 8 | 1)
#define CHUNK	     256u

static struct tty *console; /* [init] */
static struct waitq rx_wq = WAITQ_INIT(rx_wq);
static uint8_t rx[RX_SIZE];
static uint32_t rx_head; /* [atomic] the thread's */
static uint32_t rx_tail; /* [atomic] the interrupt's */

static void on_byte(uint8_t c, void *arg)
{
	uint32_t tail = atomic_load_relaxed(&rx_tail);

	(void)arg;
	/* pairs with the release in type_what_came(): a place is reused when it was read; what does not fit is lost */
	if (tail - atomic_load_acquire(&rx_head) == RX_SIZE)
		return;
	rx[tail % RX_SIZE] = c;
	/* pairs with the acquire in have_bytes() */
	atomic_publish(&rx_tail, tail + 1);
	wake_one(&rx_wq);
}

static bool have_bytes(void)
{
	return atomic_load_acquire(&rx_tail) != atomic_load_relaxed(&rx_head);
}

static void type_what_came(void)
{
	while (have_bytes()) {
		uint32_t head = atomic_load_relaxed(&rx_head);
		uint8_t c = rx[head % RX_SIZE];

		atomic_publish(&rx_head, head + 1);
		mutex_lock(&console->lock);
		tty_type(console, &c, 1);
		mutex_unlock(&console->lock);
	}
}

static void input_thread(void *arg)
{
	(void)arg;
	for (;;) {
		wait_event(&rx_wq, have_bytes());
		type_what_came();
	}
}

static void drain(struct tty *t)
{
	uint8_t chunk[CHUNK];
	size_t n;

	assert_mutex_held(&t->lock);
	while ((n = tty_take_output(t, chunk, sizeof(chunk))) > 0)
		console_write((const char *)chunk, n);
}

int tty_open_console(struct file **out)
{
	return tty_open_node("console", FILE_RDWR, out);
}

static int node_open(const struct device_node *d, uint32_t flags, struct file **out)
{
	return tty_open(d->priv, flags, out);
}

int console_init(void)
{
	static struct device_node node = { "console", 0020600, CONSOLE_RDEV, node_open, NULL };
	int err;

	console = tty_create();
	if (!console)
		return -ENOMEM;
	console->drain = drain;
	console->ld.t.iflag |= IUTF8;
	node.priv = console;
	err = devfs_register(&node);
	if (err == 0)
		err = thread_spawn("console-in", input_thread, NULL);
	if (err == 0 && pl011_set_rx(on_byte, NULL) < 0)
		log_warn("tty: the console only prints: no UART that receives");
	return err;
}
