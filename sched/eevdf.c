/* SPDX-License-Identifier: MIT */
/* EEVDF's arithmetic; the terms are defined in eevdf.h. All of v, deadline and base wrap around, so they are only
 * ever compared by the sign of their difference. */
#include "sched/eevdf.h"

static struct eevdf_entity *entity_of(struct rb_node *n)
{
	return rb_entry(n, struct eevdf_entity, node);
}

static const struct eevdf_entity *entity_of_const(const struct rb_node *n)
{
	return rb_entry((struct rb_node *)(uintptr_t)n, struct eevdf_entity, node);
}

static int64_t vdiff(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b);
}

/* 1024 / 1.25^nice: one step of nice is about a tenth of the CPU between two. */
uint32_t eevdf_weight(int nice)
{
	uint64_t w = (uint64_t)EEVDF_WEIGHT_ZERO << 20;

	for (; nice > 0; nice--)
		w = w * 4 / 5;
	for (; nice < 0; nice++)
		w = w * 5 / 4;
	return (uint32_t)((w + (1u << 19)) >> 20);
}

static uint64_t slice_v(const struct eevdf_entity *e)
{
	return (uint64_t)EEVDF_SLICE_NS * EEVDF_WEIGHT_ZERO / e->weight;
}

static int64_t floor_div(int64_t a, int64_t b)
{
	int64_t d = a / b;

	return a % b < 0 ? d - 1 : d;
}

/* Restore I-EEVDF-1 after excess or weight changed. */
static void queue_normalise(struct eevdf *q)
{
	int64_t step;

	if (q->weight == 0) {
		q->excess = 0;
		return;
	}
	step = floor_div(q->excess, (int64_t)q->weight);
	q->base += (uint64_t)step;
	q->excess -= step * (int64_t)q->weight;
}

static void node_update(struct rb_node *n)
{
	struct eevdf_entity *e = entity_of(n);
	uint64_t min = e->vruntime;
	struct rb_node *child[2] = { n->left, n->right };

	for (unsigned i = 0; i < 2; i++)
		if (child[i] && vdiff(entity_of(child[i])->min_vruntime, min) < 0)
			min = entity_of(child[i])->min_vruntime;
	e->min_vruntime = min;
}

static bool deadline_less(const struct rb_node *a, const struct rb_node *b)
{
	return vdiff(entity_of_const(a)->deadline, entity_of_const(b)->deadline) < 0;
}

void eevdf_init(struct eevdf *q)
{
	rb_init(&q->tree, node_update);
	q->base = 0;
	q->excess = 0;
	q->weight = 0;
	q->nr = 0;
}

void eevdf_entity_init(struct eevdf_entity *e, uint32_t weight)
{
	*e = (struct eevdf_entity){ .weight = weight };
	rb_node_init(&e->node);
}

static void queue_link(struct eevdf *q, struct eevdf_entity *e)
{
	q->weight += e->weight;
	q->excess += (int64_t)e->weight * vdiff(e->vruntime, q->base);
	/* read by nr_ready() without the lock, to choose a CPU */
	WRITE_ONCE(q->nr, q->nr + 1);
	queue_normalise(q);
	rb_insert(&q->tree, &e->node, deadline_less);
}

static void queue_unlink(struct eevdf *q, struct eevdf_entity *e)
{
	rb_erase(&q->tree, &e->node);
	q->weight -= e->weight;
	q->excess -= (int64_t)e->weight * vdiff(e->vruntime, q->base);
	WRITE_ONCE(q->nr, q->nr - 1); /* as in queue_link() */
	queue_normalise(q);
}

static int64_t lag_bounded(const struct eevdf_entity *e, int64_t lag)
{
	int64_t limit = 2 * (int64_t)slice_v(e);

	return lag > limit ? limit : lag < -limit ? -limit : lag;
}

void eevdf_settle(struct eevdf *q, struct eevdf_entity *e)
{
	int64_t caught_up = vdiff(q->base, e->left_at);

	if (e->lag < 0 && caught_up > 0)
		e->lag = e->lag + caught_up < 0 ? e->lag + caught_up : 0;
	e->left_at = q->base;
}

void eevdf_add(struct eevdf *q, struct eevdf_entity *e)
{
	e->vruntime = q->nr ? q->base - (uint64_t)e->lag : q->base;
	e->deadline = e->vruntime + slice_v(e);
	queue_link(q, e);
}

/* ns of service: v and the mean, but not the tree, nor I-EEVDF-1. */
static void serve(struct eevdf *q, struct eevdf_entity *e, uint64_t ns)
{
	uint64_t scaled = ns * EEVDF_WEIGHT_ZERO + e->rest;
	uint64_t dv = scaled / e->weight;

	e->rest = scaled % e->weight;
	e->vruntime += dv;
	q->excess += (int64_t)e->weight * (int64_t)dv;
}

void eevdf_remove(struct eevdf *q, struct eevdf_entity *e, uint64_t ns)
{
	serve(q, e, ns);
	queue_unlink(q, e);
	e->lag = q->nr ? lag_bounded(e, vdiff(q->base, e->vruntime)) : 0;
	if (q->nr == 0)
		q->base = e->vruntime;
	e->left_at = q->base;
}

bool eevdf_charge(struct eevdf *q, struct eevdf_entity *e, uint64_t ns)
{
	serve(q, e, ns);
	queue_normalise(q);
	if (vdiff(e->vruntime, e->deadline) < 0) {
		rb_update_path(&q->tree, &e->node);
		return false;
	}
	rb_erase(&q->tree, &e->node);
	e->deadline = e->vruntime + slice_v(e);
	rb_insert(&q->tree, &e->node, deadline_less);
	return true;
}

void eevdf_yield(struct eevdf *q, struct eevdf_entity *e, uint64_t ns)
{
	if (q->nr < 2) {
		(void)eevdf_charge(q, e, ns);
		return;
	}
	serve(q, e, ns);
	queue_unlink(q, e);
	if (vdiff(e->vruntime, q->base) <= 0)
		e->vruntime = q->base + 1;
	e->deadline = e->vruntime + slice_v(e);
	queue_link(q, e);
}

void eevdf_reweight(struct eevdf *q, struct eevdf_entity *e, uint32_t weight)
{
	int64_t left = vdiff(e->deadline, e->vruntime);

	if (q)
		eevdf_remove(q, e, 0);
	e->lag = e->lag * (int64_t)e->weight / (int64_t)weight;
	left = left * (int64_t)e->weight / (int64_t)weight;
	e->rest = 0;
	e->weight = weight;
	if (!q)
		return;
	e->vruntime = q->base - (uint64_t)e->lag;
	e->deadline = e->vruntime + (uint64_t)left;
	queue_link(q, e);
}

struct eevdf_entity *eevdf_pick(const struct eevdf *q)
{
	struct rb_node *n = q->tree.node;

	while (n) {
		if (n->left && vdiff(entity_of(n->left)->min_vruntime, q->base) <= 0) {
			n = n->left;
			continue;
		}
		if (vdiff(entity_of(n)->vruntime, q->base) <= 0)
			return entity_of(n);
		n = n->right;
	}
	return NULL;
}

uint64_t eevdf_slice_left(const struct eevdf_entity *e)
{
	int64_t left = vdiff(e->deadline, e->vruntime);

	if (left <= 0)
		return 1;
	return (uint64_t)left * e->weight / EEVDF_WEIGHT_ZERO + 1;
}
