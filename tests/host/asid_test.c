/* SPDX-License-Identifier: MIT */
/* sources: mm/phys/boot.c mm/phys/buddy.c mm/phys/page.c mm/phys/page_check.c mm/phys/slab.c mm/phys/slab_check.c mm/phys/kmalloc.c */
/* sources: mm/phys/asid.c @tests/host/shim.sources */
/* ASIDs against a model of the TLBs: each CPU caches (number, page) -> what the table said when it ran, until a flush
 * takes it away. A CPU must never see another space's value, nor one that was replaced before a flush returned. */
#include "tests/host/shim/shim.h"
#include "tests/host/test.h"

#include "mm/phys/asid.h"
#include "mm/phys/page_priv.h"
#include "mm/phys/slab.h"

#include <string.h>

#define CPUS	 4
#define NUMBERS	 65536
#define SPACES	 40
#define VA(page) (((page) + 1UL) * PAGE_SIZE)
#define PAGES	 2

struct space {
	struct asid_ctx ctx;
	uint64_t table[PAGES]; /* what a walk finds */
};

static struct space spaces[SPACES];
static uint64_t tlb[CPUS][NUMBERS][PAGES]; /* 0: no entry */
static struct space *ttbr0[CPUS];
static uint16_t asid_of[CPUS];
static unsigned local_flushes, broadcasts;

static void on_tlb(vaddr_t va, uint16_t asid, bool local)
{
	for (unsigned c = 0; c < CPUS; c++) {
		if (local && c != shim_cpu->id)
			continue;
		if (!va && !asid)
			memset(tlb[c], 0, sizeof(tlb[c]));
		else if (!va)
			memset(tlb[c][asid], 0, sizeof(tlb[c][asid]));
		else
			tlb[c][asid][va / PAGE_SIZE - 1] = 0;
	}
	if (local)
		local_flushes++;
	else
		broadcasts++;
}

static void on_user_table(paddr_t root, uint16_t asid)
{
	ttbr0[shim_cpu->id] = &spaces[root.pa / PAGE_SIZE];
	asid_of[shim_cpu->id] = asid;
	CHECK(asid != 0);
}

static void boot(unsigned bits)
{
	shim_asid_bits = 16;
	shim_asid_bits_cmdline = bits;
	shim_cpus_init(CPUS);
	shim_ram_init(0x40000000, 8UL << 20);
	pages_init();
	slab_init();
	asid_init();
	shim_on_tlb = on_tlb;
	shim_on_user_table = on_user_table;
}

static void activate(unsigned cpu, struct space *s)
{
	shim_cpu = cpu_get(cpu);
	shim_irqs_off = true;
	asid_activate(&s->ctx, paddr((uint64_t)(s - spaces) * PAGE_SIZE));
	shim_irqs_off = false;
}

/* A load by the program on this CPU. */
static uint64_t load(unsigned cpu, unsigned page)
{
	uint64_t *entry = &tlb[cpu][asid_of[cpu]][page];

	if (!*entry)
		*entry = ttbr0[cpu]->table[page];
	return *entry;
}

static void check_all(void)
{
	for (unsigned c = 0; c < CPUS; c++)
		for (unsigned p = 0; ttbr0[c] && p < PAGES; p++)
			CHECK_EQ(load(c, p), ttbr0[c]->table[p]);
	/* I-ASID-1: CPUs in different spaces have different numbers */
	for (unsigned c = 0; c < CPUS; c++)
		for (unsigned d = 0; d < c; d++)
			CHECK(!ttbr0[c] || !ttbr0[d] ||
			      (ttbr0[c] == ttbr0[d]) == (asid_of[c] == asid_of[d]));
}

static void history(unsigned bits, unsigned nr_spaces, int steps)
{
	uint64_t next = 1;

	boot(bits);
	for (unsigned i = 0; i < SPACES; i++)
		for (unsigned p = 0; p < PAGES; p++)
			spaces[i].table[p] = next++;
	for (int i = 0; i < steps; i++) {
		unsigned cpu = (unsigned)test_below(CPUS);
		struct space *s = &spaces[test_below(nr_spaces)];
		unsigned page = (unsigned)test_below(PAGES);

		switch (test_below(8)) {
		case 0:
			/* from any CPU, in the space or not */
			shim_cpu = cpu_get(cpu);
			s->table[page] = next++;
			asid_flush_page(&s->ctx, VA(page));
			break;
		case 1:
			shim_cpu = cpu_get(cpu);
			for (unsigned p = 0; p < PAGES; p++)
				s->table[p] = next++;
			asid_flush_all(&s->ctx);
			break;
		case 2:
			/* the space ends and its memory is another's */
			for (unsigned c = 0; c < CPUS; c++)
				if (ttbr0[c] == s)
					s = NULL;
			if (s) {
				memset(&s->ctx, 0, sizeof(s->ctx));
				for (unsigned p = 0; p < PAGES; p++)
					s->table[p] = next++;
			}
			break;
		default:
			activate(cpu, s);
		}
		check_all();
	}
}

TEST(tlbs_never_lie_few_numbers)
{
	history(3, SPACES, 200000 * test_scale);
	CHECK(asid_generations() > 100);
}

TEST(tlbs_never_lie_just_enough_spaces)
{
	history(3, 8, 200000 * test_scale);
}

TEST(tlbs_never_lie_more_numbers)
{
	history(5, SPACES, 200000 * test_scale);
	CHECK(asid_generations() > 10);
}

TEST(tlbs_never_lie_all_numbers)
{
	history(16, SPACES, 100000 * test_scale);
}

/* A space that has run on one CPU is flushed there alone; one that moved, once everywhere, then there alone. */
TEST(flushes_are_local)
{
	boot(16);
	activate(0, &spaces[0]);
	local_flushes = broadcasts = 0;
	asid_flush_page(&spaces[0].ctx, VA(0));
	CHECK_EQ(local_flushes, 1);
	activate(0, &spaces[1]);
	activate(2, &spaces[0]);
	asid_flush_page(&spaces[0].ctx, VA(0));
	CHECK_EQ(broadcasts, 1);
	asid_flush_page(&spaces[0].ctx, VA(0));
	asid_flush_all(&spaces[0].ctx);
	CHECK_EQ(broadcasts, 1);
	CHECK_EQ(local_flushes, 3);
	/* never activated: nobody is asked */
	asid_flush_page(&spaces[9].ctx, VA(0));
	CHECK_EQ(broadcasts + local_flushes, 4);
}

/* Not more numbers than bits, even for one CPU. */
TEST(too_few_bits_are_made_enough)
{
	history(1, SPACES, 20000 * test_scale);
}
