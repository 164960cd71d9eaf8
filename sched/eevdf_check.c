/* SPDX-License-Identifier: MIT */
#include "sched/eevdf.h"

static const struct eevdf_entity *entity_of(const struct rb_node *n)
{
	return rb_entry((struct rb_node *)(uintptr_t)n, struct eevdf_entity, node);
}

static int64_t vdiff(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b);
}

static bool deadline_less(const struct rb_node *a, const struct rb_node *b)
{
	return vdiff(entity_of(a)->deadline, entity_of(b)->deadline) < 0;
}

bool eevdf_check(const struct eevdf *q)
{
	int64_t excess = 0;
	uint64_t weight = 0;
	unsigned nr = 0;

	if (!rb_check(&q->tree, deadline_less))
		return false;
	for (struct rb_node *n = rb_first(&q->tree); n; n = rb_next(n)) {
		const struct eevdf_entity *e = entity_of(n);
		uint64_t min = e->vruntime;

		if (n->left && vdiff(entity_of(n->left)->min_vruntime, min) < 0)
			min = entity_of(n->left)->min_vruntime;
		if (n->right && vdiff(entity_of(n->right)->min_vruntime, min) < 0)
			min = entity_of(n->right)->min_vruntime;
		if (min != e->min_vruntime)
			return false;
		excess += (int64_t)e->weight * vdiff(e->vruntime, q->base);
		weight += e->weight;
		nr++;
	}
	if (nr != q->nr || weight != q->weight || excess != q->excess)
		return false;
	return weight == 0 ? excess == 0 : excess >= 0 && excess < (int64_t)weight;
}
