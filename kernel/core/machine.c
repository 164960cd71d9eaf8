/* SPDX-License-Identifier: MIT */
/* The machine as its device tree describes it: one walk over the tree's nodes, and the one door to libfdt. The tree
 * comes from the firmware: what it says is checked, and what is missing is named. */
#include "kernel/core/machine.h"

#include <libfdt.h>

#include "arch/aarch64/arch.h"
#include "kernel/core/log.h"
#include "lib/string.h"

#define DEPTH_MAX 16
/* No CPU has wider physical addresses. */
#define PHYS_MAX BIT(52)

struct machine machine;

static const void *tree;		 /* [init] mapped for good; NULL: none */
static struct machine_cpu cpu_table[64]; /* [init] CPU_MAX */

/* A node during the walk. */
struct node {
	int off;
	int parent; /* -1 for the root */
};

/* --- properties ------------------------------------------------------------------------------------------- */

static uint64_t read_cells(const fdt32_t *p, int cells)
{
	uint64_t v = 0;

	for (int i = 0; i < cells; i++)
		v = v << 32 | fdt32_to_cpu(p[i]);
	return v;
}

/* The index-th range of the node's reg. */
static bool node_reg(const struct node *n, int index, struct phys_range *out)
{
	int ac = n->parent < 0 ? 2 : fdt_address_cells(tree, n->parent);
	int sc = n->parent < 0 ? 1 : fdt_size_cells(tree, n->parent);
	int len;
	const fdt32_t *p = fdt_getprop(tree, n->off, "reg", &len);

	if (!p || ac < 1 || ac > 2 || sc < 0 || sc > 2 ||
	    (index + 1) * (ac + sc) * (int)sizeof(fdt32_t) > len)
		return false;
	p += index * (ac + sc);
	out->start = read_cells(p, ac);
	out->size = read_cells(p + ac, sc);
	return out->start <= PHYS_MAX && out->size <= PHYS_MAX - out->start;
}

/* The index-th interrupt of the node, in the GIC's three cells. */
static bool node_irq(const struct node *n, int index, unsigned *irq, bool *edge)
{
	int len;
	const fdt32_t *p = fdt_getprop(tree, n->off, "interrupts", &len);

	if (!p || (index + 1) * 3 * (int)sizeof(fdt32_t) > len)
		return false;
	p += index * 3;
	/* cell 0: 0 shared, 1 private; cell 2: bits 0 and 1 are edges */
	*irq = fdt32_to_cpu(p[1]) + (fdt32_to_cpu(p[0]) ? 16 : 32);
	*edge = fdt32_to_cpu(p[2]) & 3;
	return *irq < 1020;
}

static const char *node_string(int off, const char *name)
{
	int len;
	const char *s = fdt_getprop(tree, off, name, &len);

	return s && len > 0 && !s[len - 1] ? s : NULL;
}

static bool node_enabled(int off)
{
	const char *status = node_string(off, "status");

	return !status || strcmp(status, "okay") == 0 || strcmp(status, "ok") == 0;
}

static bool node_name_is(int off, const char *name)
{
	int len;
	const char *s = fdt_get_name(tree, off, &len);
	size_t n = strlen(name);

	return s && strncmp(s, name, n) == 0 && (s[n] == '\0' || s[n] == '@');
}

/* Call fn for every enabled node, with its parent. */
static void walk(void (*fn)(const struct node *n, void *arg), void *arg)
{
	int parents[DEPTH_MAX];
	int depth = 0;

	for (int off = 0; off >= 0; off = fdt_next_node(tree, off, &depth)) {
		struct node n = { off, -1 };

		if (depth < 0)
			break;
		if (depth >= DEPTH_MAX)
			continue;
		parents[depth] = off;
		if (depth)
			n.parent = parents[depth - 1];
		if (node_enabled(off))
			fn(&n, arg);
	}
}

/* --- ranges ------------------------------------------------------------------------------------------------ */

static void range_remove(struct phys_range *r, unsigned *n, unsigned i)
{
	memmove(&r[i], &r[i + 1], (*n - i - 1) * sizeof(r[0]));
	(*n)--;
}

/* Keep the table sorted; ranges that touch become one. False if the table is full. */
static bool range_add(struct phys_range *r, unsigned *n, struct phys_range a)
{
	unsigned i = 0;

	if (!a.size)
		return true;
	while (i < *n) {
		if (a.start <= r[i].start + r[i].size && r[i].start <= a.start + a.size) {
			uint64_t end = MAX(a.start + a.size, r[i].start + r[i].size);

			a.start = MIN(a.start, r[i].start);
			a.size = end - a.start;
			range_remove(r, n, i);
		} else {
			i++;
		}
	}
	if (*n == MACHINE_RANGES)
		return false;
	for (i = 0; i < *n && r[i].start < a.start; i++)
		;
	memmove(&r[i + 1], &r[i], (*n - i) * sizeof(r[0]));
	r[i] = a;
	(*n)++;
	return true;
}

/* Take cut out of the ranges. */
static bool range_cut(struct phys_range *r, unsigned *n, struct phys_range cut)
{
	uint64_t cut_end = cut.start + cut.size;

	for (unsigned i = 0; i < *n;) {
		uint64_t start = r[i].start, end = start + r[i].size;

		if (cut.start >= end || cut_end <= start) {
			i++;
			continue;
		}
		range_remove(r, n, i);
		if (start < cut.start &&
		    !range_add(r, n, (struct phys_range){ start, cut.start - start }))
			return false;
		if (cut_end < end &&
		    !range_add(r, n, (struct phys_range){ cut_end, end - cut_end }))
			return false;
		i = 0;
	}
	return true;
}

bool machine_reserve(uint64_t start, uint64_t size)
{
	uint64_t end;

	start = MIN(start, PHYS_MAX);
	end = size > PHYS_MAX - start ? PHYS_MAX : ALIGN_UP(start + size, PAGE_SIZE);
	start = ALIGN_DOWN(start, PAGE_SIZE);
	return range_add(machine.reserved, &machine.nr_reserved,
			 (struct phys_range){ start, end - start });
}

/* --- what is looked for -------------------------------------------------------------------------------------- */

static void found_gic(const struct node *n, int version)
{
	if (machine.gic.version)
		return;
	if (node_reg(n, 0, &machine.gic.dist) && node_reg(n, 1, &machine.gic.cpu_or_redist))
		machine.gic.version = version;
}

static void found_gicv2(const struct node *n)
{
	found_gic(n, 2);
}

static void found_gicv3(const struct node *n)
{
	found_gic(n, 3);
}

static void found_timer(const struct node *n)
{
	unsigned irq;
	bool edge;

	/* secure, non-secure, virtual, hypervisor */
	if (node_irq(n, 2, &irq, &edge))
		machine.timer_irq = irq;
}

static void found_psci(const struct node *n)
{
	const char *method = node_string(n->off, "method");

	machine.psci_smc = method && strcmp(method, "smc") == 0;
	arch_set_psci_conduit(machine.psci_smc);
}

static void found_uart(const struct node *n)
{
	bool edge;

	if (machine.uart.size || !node_irq(n, 0, &machine.uart_irq, &edge))
		return;
	if (!node_reg(n, 0, &machine.uart))
		machine.uart.size = 0;
}

static void found_rtc(const struct node *n)
{
	if (!node_reg(n, 0, &machine.rtc))
		machine.rtc.size = 0;
}

static void found_fw_cfg(const struct node *n)
{
	if (!node_reg(n, 0, &machine.fw_cfg))
		machine.fw_cfg.size = 0;
}

static const struct {
	const char *compatible;
	void (*found)(const struct node *n);
} known[] = {
	{ "arm,cortex-a15-gic", found_gicv2 }, { "arm,gic-400", found_gicv2 },
	{ "arm,gic-v3", found_gicv3 },	       { "arm,armv8-timer", found_timer },
	{ "arm,psci-1.0", found_psci },	       { "arm,psci-0.2", found_psci },
	{ "arm,pl011", found_uart },	       { "arm,pl031", found_rtc },
	{ "qemu,fw-cfg-mmio", found_fw_cfg },
};

static void find_devices(const struct node *n, void *unused)
{
	int len;
	const char *list = fdt_getprop(tree, n->off, "compatible", &len);

	if (!list)
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(known); i++) {
		if (fdt_stringlist_contains(list, len, known[i].compatible)) {
			known[i].found(n);
			return;
		}
	}
}

static void find_ram(const struct node *n, void *unused)
{
	const char *type = node_string(n->off, "device_type");
	struct phys_range r;

	if (!type || strcmp(type, "memory") != 0)
		return;
	for (int i = 0; node_reg(n, i, &r); i++) {
		if (!range_add(machine.ram, &machine.nr_ram, r))
			log_warn("core: more than %d memory ranges", MACHINE_RANGES);
	}
}

static void find_cpus(const struct node *n, void *unused)
{
	const char *type = node_string(n->off, "device_type");
	struct machine_cpu c;
	int ac, len;
	const fdt32_t *p;

	if (!type || strcmp(type, "cpu") != 0 || n->parent < 0)
		return;
	ac = fdt_address_cells(tree, n->parent);
	p = fdt_getprop(tree, n->off, "reg", &len);
	if (!p || ac < 1 || ac > 2 || len < ac * (int)sizeof(fdt32_t))
		return;
	c.mpidr = read_cells(p, ac);
	if (machine.nr_cpus == ARRAY_SIZE(cpu_table)) {
		log_warn("core: cpu %lx left out: more than %zu", c.mpidr, ARRAY_SIZE(cpu_table));
		return;
	}
	cpu_table[machine.nr_cpus++] = c;
	/* the one that runs is number 0 */
	if (c.mpidr == arch_mpidr()) {
		cpu_table[machine.nr_cpus - 1] = cpu_table[0];
		cpu_table[0] = c;
	}
}

/* Children of /reserved-memory: all are kept from the allocator; those with no-map are no RAM at all. */
static void find_reserved(const struct node *n, void *unused)
{
	struct phys_range r;

	if (n->parent < 0 || !node_name_is(n->parent, "reserved-memory"))
		return;
	for (int i = 0; node_reg(n, i, &r); i++) {
		bool ok = fdt_getprop(tree, n->off, "no-map", NULL)
				  ? range_cut(machine.ram, &machine.nr_ram, r)
				  : machine_reserve(r.start, r.size);

		if (!ok)
			log_warn("core: reserved memory at %lx is lost: too many ranges", r.start);
	}
}

/* The part of the tree's space that is used; the rest of its size is room to grow. */
static uint64_t tree_used(void)
{
	uint64_t end = (uint64_t)fdt_off_dt_struct(tree) + fdt_size_dt_struct(tree);

	end = MAX(end, (uint64_t)fdt_off_dt_strings(tree) + fdt_size_dt_strings(tree));
	return MIN(end, (uint64_t)fdt_totalsize(tree));
}

static bool reserve_fixed(paddr_t tree_pa)
{
	bool ok = machine_reserve(arch_image_start().pa, arch_image_size()) &&
		  machine_reserve(tree_pa.pa, tree_used());

	for (int i = 0; i < fdt_num_mem_rsv(tree); i++) {
		uint64_t start, size;

		if (fdt_get_mem_rsv(tree, i, &start, &size) == 0)
			ok = ok && machine_reserve(start, size);
	}
	if (machine.initrd.size)
		ok = ok && machine_reserve(machine.initrd.start, machine.initrd.size);
	return ok;
}

static uint64_t chosen_address(int off, const char *name)
{
	int len;
	const fdt32_t *p = fdt_getprop(tree, off, name, &len);

	return p && (len == 4 || len == 8) ? read_cells(p, len / 4) : 0;
}

static void read_chosen(void)
{
	int off = fdt_path_offset(tree, "/chosen");
	const char *s;
	const void *seed;
	uint64_t start, end;
	int len;

	machine.cmdline = "";
	if (off < 0)
		return;
	s = node_string(off, "bootargs");
	if (s)
		machine.cmdline = s;
	start = chosen_address(off, "linux,initrd-start");
	end = chosen_address(off, "linux,initrd-end");
	if (start < end)
		machine.initrd = (struct phys_range){ start, end - start };
	seed = fdt_getprop(tree, off, "rng-seed", &len);
	if (seed && len > 0) {
		machine.rng_seed_len = MIN((unsigned)len, (unsigned)sizeof(machine.rng_seed));
		memcpy(machine.rng_seed, seed, machine.rng_seed_len);
	}
}

static const char *map_ram(void)
{
	if (!machine.nr_ram)
		return "the device tree has no memory node";
	arch_set_linear_base(machine.ram[0].start);
	for (unsigned i = 0; i < machine.nr_ram; i++) {
		if (!arch_map_ram(machine.ram[i].start, machine.ram[i].size))
			return "RAM beyond what the linear map can show";
	}
	return NULL;
}

const char *machine_init(paddr_t tree_pa)
{
	const char *problem;

	machine.cmdline = "";
	machine.cpus = cpu_table;
	tree = arch_map_tree(tree_pa, sizeof(struct fdt_header));
	if (!tree || fdt_check_header(tree) != 0) {
		tree = NULL;
		return "no device tree";
	}
	tree = arch_map_tree(tree_pa, fdt_totalsize(tree));
	if (!tree)
		return "a device tree larger than its window";
	walk(find_devices, NULL);
	walk(find_ram, NULL);
	walk(find_cpus, NULL);
	read_chosen();
	walk(find_reserved, NULL);
	problem = map_ram();
	if (problem)
		return problem;
	if (!reserve_fixed(tree_pa))
		return "more memory reservations than the table holds";
	if (!machine.gic.version)
		return "no interrupt controller that this kernel knows (GICv2, GICv3)";
	if (!machine.timer_irq)
		return "no arm,armv8-timer with a virtual timer interrupt";
	if (!machine.nr_cpus || cpu_table[0].mpidr != arch_mpidr())
		return "the device tree does not list the cpu that runs";
	return NULL;
}

/* --- later questions --------------------------------------------------------------------------------------------- */

struct device_search {
	const char *compatible;
	void (*fn)(const struct machine_device *d, void *arg);
	void *arg;
	unsigned found;
};

static void match_device(const struct node *n, void *arg)
{
	struct device_search *s = arg;
	struct machine_device d;

	if (fdt_node_check_compatible(tree, n->off, s->compatible) != 0)
		return;
	if (!node_reg(n, 0, &d.reg))
		return;
	if (!node_irq(n, 0, &d.irq, &d.edge))
		d.irq = 0;
	s->found++;
	s->fn(&d, s->arg);
}

unsigned machine_for_each_device(const char *compatible,
				 void (*fn)(const struct machine_device *d, void *arg), void *arg)
{
	struct device_search s = { compatible, fn, arg, 0 };

	if (tree)
		walk(match_device, &s);
	return s.found;
}

void *device_map(struct phys_range r)
{
	return arch_map_device(r.start, r.size);
}
