/* SPDX-License-Identifier: MIT */
/* What the device tree says of the machine. Filled once at boot by machine_init() through libfdt, read-only
 * afterwards. No address of any board is a constant in the code. */
#ifndef TERN_KERNEL_CORE_MACHINE_H
#define TERN_KERNEL_CORE_MACHINE_H

#include "lib/types.h"

struct phys_range {
	uint64_t start;
	uint64_t size;
};

#define MACHINE_RANGES 64

struct machine_gic {
	int version; /* 2 or 3 */
	struct phys_range dist;
	struct phys_range cpu_or_redist; /* v2: CPU interface; v3: first redistributor region */
};

struct machine_cpu {
	uint64_t mpidr;
};

struct machine {
	struct phys_range ram[MACHINE_RANGES]; /* sorted, disjoint */
	unsigned nr_ram;
	struct phys_range
		reserved[MACHINE_RANGES]; /* image, DTB, initrd, memreserve, /reserved-memory */
	unsigned nr_reserved;
	struct machine_cpu *cpus; /* boot memory, nr_cpus of them, boot CPU first */
	unsigned nr_cpus;
	struct machine_gic gic;
	unsigned timer_irq;	/* the EL1 virtual timer's PPI, as a GIC number */
	bool psci_smc;		/* conduit: smc, else hvc */
	struct phys_range uart; /* PL011, size 0 if none */
	unsigned uart_irq;
	struct phys_range rtc;	  /* PL031, size 0 if none */
	struct phys_range fw_cfg; /* size 0 if none */
	struct phys_range initrd; /* /chosen */
	const char *cmdline;	  /* /chosen bootargs; "" if none; kept in boot memory */
	uint8_t rng_seed[64];	  /* wiped once random has taken it */
	unsigned rng_seed_len;
};

extern struct machine machine; /* [init] */

/* boot: parse the tree at physical address tree and map all RAM. NULL, or what makes the machine undecodable; the UART
 * is known even then, if the tree has one. */
const char *machine_init(paddr_t tree) __must_check;

/* boot: keep [start, start + size) from the allocator. False if the table of reservations is full. */
bool machine_reserve(uint64_t start, uint64_t size) __must_check;

/* Each node compatible with name: its first reg range and first interrupt (GIC number, trigger), in order of the
 * tree. Used for virtio,mmio slots. Returns how many. Context: boot or thread. */
struct machine_device {
	struct phys_range reg;
	unsigned irq; /* 0: it has none */
	bool edge;
};
unsigned machine_for_each_device(const char *compatible,
				 void (*fn)(const struct machine_device *d, void *arg), void *arg);

/* Map device registers; the mapping stays. NULL if the area is used up. Context: boot or thread. */
void *device_map(struct phys_range r);

/* The kernel command line: words NAME or NAME=VALUE separated by blanks, quotes as in the shell.
 * cmdline_get copies the value of the last such word; 0, -ENOENT, or -E2BIG: cut to what fits. */
int cmdline_get(const char *name, char *value, size_t size) __must_check;
bool cmdline_has(const char *name);
uint64_t cmdline_u64(const char *name, uint64_t dflt);

#endif
