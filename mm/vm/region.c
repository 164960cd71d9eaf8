/* SPDX-License-Identifier: MIT */
/* Regions: a tree by address in which each node knows the extent of its subtree and the largest hole inside it, so
 * that a hole is found in as many steps as the tree is deep (H4).
 *
 * I-VM-1: regions are disjoint, page aligned, in order, within the user's half. */
#include "mm/vm/space_priv.h"

#include "mm/phys/slab.h"

static struct slab_cache *cache; /* [init] */

void regions_init(void)
{
	cache = slab_create("vm_region", sizeof(struct vm_region), 0);
	if (!cache)
		panic("vm: no memory for the region cache");
}

static struct vm_region *region_of(const struct rb_node *n)
{
	return n ? rb_entry((struct rb_node *)n, struct vm_region, node) : NULL;
}

static void update(struct rb_node *n)
{
	struct vm_region *r = region_of(n);
	struct vm_region *left = region_of(n->left), *right = region_of(n->right);

	r->first = left ? left->first : r->start;
	r->last = right ? right->last : r->end;
	r->max_gap = 0;
	if (left)
		r->max_gap = MAX(left->max_gap, r->start - left->last);
	if (right) {
		r->max_gap = MAX(r->max_gap, right->max_gap);
		r->max_gap = MAX(r->max_gap, right->first - r->end);
	}
}

static bool less(const struct rb_node *a, const struct rb_node *b)
{
	return region_of(a)->start < region_of(b)->start;
}

void vm_regions_setup(struct vm_space *s)
{
	rb_init(&s->regions, update);
}

struct vm_region *region_create(vaddr_t start, vaddr_t end, unsigned prot,
				struct vm_backing *backing, uint64_t offset)
{
	struct vm_region *r = slab_zalloc(cache);

	if (!r)
		return NULL;
	rb_node_init(&r->node);
	list_init(&r->mapping_link);
	r->start = start;
	r->end = end;
	r->prot = prot;
	r->backing = backing;
	r->offset = offset;
	if (backing && !refcount_get(&backing->ref))
		BUG("vm: backing %p is dead", (void *)backing);
	return r;
}

void region_destroy(struct vm_region *r)
{
	ASSERT(!rb_linked(&r->node));
	if (r->backing)
		vm_backing_put(r->backing);
	slab_free(cache, r);
}

void regions_destroy(struct vm_region *r)
{
	while (r) {
		struct vm_region *next = r->dead_next;

		region_destroy(r);
		r = next;
	}
}

struct vm_region *region_find(struct vm_space *s, vaddr_t addr)
{
	struct rb_node *n = s->regions.node;
	struct vm_region *found = NULL;

	assert_mutex_held(&s->lock);
	while (n) {
		struct vm_region *r = region_of(n);

		if (r->end > addr) {
			found = r;
			n = n->left;
		} else {
			n = n->right;
		}
	}
	return found;
}

struct vm_region *region_next(const struct vm_region *r)
{
	return region_of(rb_next(&r->node));
}

struct vm_region *region_prev(const struct vm_region *r)
{
	return region_of(rb_prev(&r->node));
}

struct vm_region *region_last(struct vm_space *s)
{
	return region_of(rb_last(&s->regions));
}

static void check_neighbours(const struct vm_region *r)
{
	const struct vm_region *prev = region_prev(r), *next = region_next(r);

	/* I-VM-1 */
	ASSERT(r->start < r->end && IS_ALIGNED(r->start | r->end, PAGE_SIZE));
	ASSERT(r->start >= USER_MIN && r->end <= USER_MAX);
	ASSERT(!prev || prev->end <= r->start);
	ASSERT(!next || r->end <= next->start);
}

/* These many pages more are mapped as r is. */
static void account(struct vm_space *s, const struct vm_region *r, int64_t pages)
{
	s->mapped_pages += (uint64_t)pages;
	if (vm_is_data(r->prot))
		s->data_pages += (uint64_t)pages;
	if (r->prot & VM_LOCKED)
		s->locked_pages += (uint64_t)pages;
	s->peak_mapped_pages = MAX(s->peak_mapped_pages, s->mapped_pages);
	s->generation++;
}

static int64_t pages_of(const struct vm_region *r)
{
	return (int64_t)((r->end - r->start) / PAGE_SIZE);
}

/* A region of a round that is over, or of none, is one the present round has yet to see. */
static void link_mapping(struct vm_space *s, struct vm_region *r)
{
	struct vm_mapping *m = r->backing ? r->backing->mapping : NULL;

	if (!m)
		return;
	r->space = s;
	spin_lock(&m->lock);
	if (r->round == m->round)
		list_push_back(&r->mapping_link, &m->regions);
	else
		list_push_front(&r->mapping_link, &m->regions);
	spin_unlock(&m->lock);
}

static void unlink_mapping(struct vm_region *r)
{
	struct vm_mapping *m = r->backing ? r->backing->mapping : NULL;

	if (!m)
		return;
	spin_lock(&m->lock);
	list_del(&r->mapping_link);
	spin_unlock(&m->lock);
}

void region_insert(struct vm_space *s, struct vm_region *r)
{
	assert_mutex_held(&s->lock);
	rb_insert(&s->regions, &r->node, less);
	check_neighbours(r);
	WRITE_ONCE(s->nr_regions, s->nr_regions + 1);
	account(s, r, pages_of(r));
	link_mapping(s, r);
}

void region_remove(struct vm_space *s, struct vm_region *r)
{
	assert_mutex_held(&s->lock);
	rb_erase(&s->regions, &r->node);
	WRITE_ONCE(s->nr_regions, s->nr_regions - 1);
	account(s, r, -pages_of(r));
	unlink_mapping(r);
}

struct vm_region *regions_remove_all(struct vm_space *s)
{
	struct vm_region *r, *all = NULL;

	for (r = region_find(s, 0); r; r = region_next(r)) {
		account(s, r, -pages_of(r));
		unlink_mapping(r);
		WRITE_ONCE(s->nr_regions, s->nr_regions - 1);
		r->dead_next = all;
		all = r;
	}
	for (r = all; r; r = r->dead_next)
		rb_node_init(&r->node);
	vm_regions_setup(s);
	return all;
}

void region_set_prot(struct vm_space *s, struct vm_region *r, unsigned prot)
{
	assert_mutex_held(&s->lock);
	account(s, r, -pages_of(r));
	r->prot = prot;
	account(s, r, pages_of(r));
}

void region_move(struct vm_space *s, struct vm_region *r, vaddr_t to)
{
	assert_mutex_held(&s->lock);
	rb_erase(&s->regions, &r->node);
	r->end = to + (r->end - r->start);
	r->start = to;
	rb_insert(&s->regions, &r->node, less);
	check_neighbours(r);
	s->generation++;
}

void region_resize(struct vm_space *s, struct vm_region *r, vaddr_t start, vaddr_t end)
{
	assert_mutex_held(&s->lock);
	account(s, r, (int64_t)((end - start) / PAGE_SIZE) - pages_of(r));
	r->offset += (start - r->start) / PAGE_SIZE;
	r->start = start;
	r->end = end;
	rb_update_path(&s->regions, &r->node);
	check_neighbours(r);
}

void region_split(struct vm_space *s, struct vm_region *r, vaddr_t at, struct vm_region *upper)
{
	ASSERT(r->start < at && at < r->end);
	upper->start = at;
	upper->end = r->end;
	upper->prot = r->prot;
	upper->offset = r->offset + (at - r->start) / PAGE_SIZE;
	upper->backing = r->backing;
	upper->round = r->round;
	if (r->backing && !refcount_get(&r->backing->ref))
		BUG("vm: backing %p is dead", (void *)r->backing);
	region_resize(s, r, r->start, at);
	region_insert(s, upper);
}

static bool continues(const struct vm_region *a, const struct vm_region *b)
{
	return a->end == b->start && a->prot == b->prot && a->backing == b->backing &&
	       !(a->prot & VM_STACK) &&
	       (!a->backing || a->offset + (a->end - a->start) / PAGE_SIZE == b->offset);
}

static struct vm_region *join(struct vm_space *s, struct vm_region *a, struct vm_region *b)
	__requires(s->lock)
{
	vaddr_t end = b->end;

	region_remove(s, b);
	/* not the backing's last reference: a has one */
	region_destroy(b);
	region_resize(s, a, a->start, end);
	return a;
}

struct vm_region *region_merge(struct vm_space *s, struct vm_region *r)
{
	struct vm_region *prev = region_prev(r), *next;

	/* more than one: what was cut to be changed, and was so already, is a region of its own */
	while ((next = region_next(r)) && continues(r, next))
		r = join(s, r, next);
	if (prev && continues(prev, r))
		r = join(s, prev, r);
	return r;
}

/* Can [lo, hi) around this subtree hold len bytes? It may say yes wrongly when hi cuts the subtree. */
static bool may_fit(const struct vm_region *r, vaddr_t lo, vaddr_t hi, size_t len)
{
	if (lo >= hi)
		return false;
	if (!r)
		return hi - lo >= len;
	return r->max_gap >= len || (r->first > lo && r->first - lo >= len) ||
	       (hi > r->last && hi - r->last >= len);
}

/* The highest fitting address in [lo, hi), whose regions are the subtree of r; 0: none. As deep as the tree. */
static vaddr_t hole_in(const struct vm_region *r, vaddr_t lo, vaddr_t hi, size_t len)
{
	if (!may_fit(r, lo, hi, len))
		return 0;
	if (!r)
		return hi - len;

	vaddr_t found = hole_in(region_of(r->node.right), MAX(lo, r->end), hi, len);

	return found ? found : hole_in(region_of(r->node.left), lo, MIN(hi, r->start), len);
}

vaddr_t region_find_hole(struct vm_space *s, size_t len)
{
	assert_mutex_held(&s->lock);
	return hole_in(region_of(s->regions.node), VM_LOWEST, s->mmap_base, len);
}
