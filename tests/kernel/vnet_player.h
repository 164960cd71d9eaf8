/* SPDX-License-Identifier: MIT */
/* A thread that plays a virtio network device with the mirror behind it (mirror.h), and may play it badly. The real
 * driver and the real stack stand on it, beside the machine's own interface. */
#ifndef TERN_TESTS_KERNEL_VNET_PLAYER_H
#define TERN_TESTS_KERNEL_VNET_PLAYER_H

#include "drivers/virtio/virtio_net.h"
#include "net/socket.h"
#include "sched/wait.h"
#include "tests/kernel/virtio_model.h"

#define PLAYER_HELD 256

struct interface;
struct player_frame;

struct player {
	struct model m;
	struct virtio_net *v;
	struct interface *ifc;
	struct thread *thread;
	struct waitq wq;
	uint32_t pending; /* [atomic] */
	uint32_t stop;	  /* [atomic] */
	uint64_t seed;
	bool (*turn)(uint8_t *frame, size_t n); /* what comes back: mirror_frame() [atomic] */

	/* How it plays. [atomic] */
	uint32_t hold_tx; /* completes no transmit */
	uint32_t shuffle; /* completes transmits late, in any order */
	uint32_t lose;	  /* of a thousand frames */
	uint32_t silent;  /* sends nothing back */
	uint32_t mute;	  /* raises no interrupt for transmits */

	/* What it saw. */
	uint64_t frames, delivered, lost,
		changed; /* changed: memory altered while it was the device's */
	struct held {
		struct model_buffer b;
		uint32_t sum;
	} held[PLAYER_HELD];
	unsigned nr_held;
	struct player_frame *first, **last; /* the wire */
	unsigned on_wire;
};

/* Device, driver and interface, 10.9.0.1; the thread runs. False: no memory (the test has failed). */
bool player_start(struct player *p, uint64_t features);
void player_stop(struct player *p);
void player_poke(struct player *p);

/* A connection to ourselves through the device, both ends non-blocking for nobody: blocking files. */
bool player_connect(struct file *listener, struct file **client, struct file **server);
extern const struct socket_addr player_peer;
struct file *player_listen(void);

#endif
