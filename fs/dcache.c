/* SPDX-License-Identifier: MIT */
/* The directory cache: one hash of (parent, name) to dentry that grows with its contents, the children of each
 * directory in the order of their cookies, and an LRU of names known not to exist. All of it under one spinlock,
 * which path walks hold for as many components as are found in the cache.
 *
 * References are plain counts under the lock. Freeing happens outside it, since it drops inodes.
 * I-DCACHE-1: a hashed dentry is either positive, pinned and among its parent's children, or negative. */
#include "fs/dcache.h"
#include "kernel/core/panic.h"
#include "kernel/core/random.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/slab.h"

enum { FIRST_BUCKETS = 256, NEGATIVES_MAX = 512, FIRST_COOKIE = 3 };

spinlock_t dcache_lock = SPINLOCK_INIT(DCACHE);

static struct {
	struct list_head *bucket; /* [dcache_lock] */
	unsigned nr_buckets;	  /* [dcache_lock] a power of two */
	unsigned nr_hashed;	  /* [dcache_lock] */
	struct list_head lru;	  /* [dcache_lock] unused negative ones, oldest first */
	struct list_head stale;	  /* [dcache_lock] detached, to be freed by the next put */
	unsigned nr_lru;	  /* [dcache_lock] */
	uint64_t nr_dentries;	  /* [dcache_lock] */
	uint32_t seed;		  /* [init] */
	struct slab_cache *slab;  /* [init] */
} dcache;

static struct list_head *buckets_create(unsigned n)
{
	struct list_head *b = kmalloc(n * sizeof(*b));

	for (unsigned i = 0; b && i < n; i++)
		list_init(&b[i]);
	return b;
}

int dcache_init(void)
{
	list_init(&dcache.lru);
	list_init(&dcache.stale);
	dcache.seed = random_u32();
	dcache.slab = slab_create("dentry", sizeof(struct dentry), 0);
	dcache.bucket = buckets_create(FIRST_BUCKETS);
	if (!dcache.slab || !dcache.bucket)
		return -ENOMEM;
	dcache.nr_buckets = FIRST_BUCKETS;
	return 0;
}

static uint32_t dentry_hash(const struct dentry *parent, const char *name, size_t len)
{
	uint64_t h = dcache.seed ^ (uintptr_t)parent;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)name[i]) * 0x9e3779b97f4a7c15u;
	return (uint32_t)(h >> 32);
}

static void hash_insert(struct dentry *d) __requires(dcache_lock)
{
	list_push_front(&d->hash_link, &dcache.bucket[d->hash & (dcache.nr_buckets - 1)]);
	d->hashed = true;
	dcache.nr_hashed++;
}

static void hash_remove(struct dentry *d) __requires(dcache_lock)
{
	list_del(&d->hash_link);
	d->hashed = false;
	dcache.nr_hashed--;
}

/* Four times the buckets when they hold two each. The allocation is made with the lock dropped. */
static void hash_grow(void)
{
	struct list_head *bigger, *old;
	struct dentry *d, *next;
	unsigned n;

	spin_lock(&dcache_lock);
	n = dcache.nr_buckets * 4;
	if (dcache.nr_hashed < dcache.nr_buckets * 2)
		n = 0;
	spin_unlock(&dcache_lock);
	bigger = n ? buckets_create(n) : NULL;
	if (!bigger)
		return;
	spin_lock(&dcache_lock);
	old = bigger;
	if (dcache.nr_buckets < n) {
		old = dcache.bucket;
		for (unsigned i = 0; i < dcache.nr_buckets; i++) {
			list_for_each_safe (d, next, &old[i], hash_link) {
				list_del(&d->hash_link);
				list_push_front(&d->hash_link, &bigger[d->hash & (n - 1)]);
			}
		}
		dcache.bucket = bigger;
		dcache.nr_buckets = n;
	}
	spin_unlock(&dcache_lock);
	kfree(old);
}

static bool cookie_less(const struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct dentry, child_node)->cookie <
	       rb_entry(b, struct dentry, child_node)->cookie;
}

static struct dentry *dentry_alloc(const char *name, size_t len)
{
	struct dentry *d = slab_zalloc(dcache.slab);

	if (!d)
		return NULL;
	d->name = len < sizeof(d->inline_name) ? d->inline_name : kmalloc(len + 1);
	if (!d->name) {
		slab_free(dcache.slab, d);
		return NULL;
	}
	memcpy(d->name, name, len);
	d->name[len] = '\0';
	d->name_len = (uint16_t)len;
	d->refs = 1;
	d->next_cookie = FIRST_COOKIE;
	list_init(&d->hash_link);
	list_init(&d->lru);
	list_init(&d->negatives);
	list_init(&d->negative_link);
	rb_node_init(&d->child_node);
	rb_init(&d->children, NULL);
	return d;
}

struct dentry *dentry_create(struct dentry *parent, const char *name, size_t len)
{
	struct dentry *d = dentry_alloc(name, len);

	if (!d)
		return NULL;
	d->parent = parent;
	d->sb = parent->sb;
	d->hash = dentry_hash(parent, name, len);
	hash_grow();
	spin_lock(&dcache_lock);
	dentry_get_locked(parent);
	parent->sb->own++;
	d->sb->refs++;
	dcache.nr_dentries++;
	spin_unlock(&dcache_lock);
	return d;
}

struct dentry *dentry_create_root(struct inode *inode)
{
	struct dentry *d = dentry_alloc("/", 1);

	if (!d)
		return NULL;
	d->parent = d;
	d->sb = inode->sb;
	d->inode = inode;
	d->pinned = true;
	d->mount_root = true;
	spin_lock(&dcache_lock);
	d->sb->refs++;
	d->sb->own++;
	dcache.nr_dentries++;
	spin_unlock(&dcache_lock);
	return d;
}

struct dentry *dcache_find_locked(const struct dentry *parent, const char *name, size_t len)
{
	uint32_t hash = dentry_hash(parent, name, len);
	struct dentry *d;

	list_for_each (d, &dcache.bucket[hash & (dcache.nr_buckets - 1)], hash_link)
		if (d->hash == hash && d->parent == parent && d->name_len == len &&
		    memcmp(d->name, name, len) == 0)
			return d;
	return NULL;
}

static void lru_remove(struct dentry *d) __requires(dcache_lock)
{
	if (!list_linked(&d->lru))
		return;
	list_del(&d->lru);
	dcache.nr_lru--;
}

void dentry_get_locked(struct dentry *d)
{
	lru_remove(d);
	d->refs++;
	d->sb->refs++;
}

struct dentry *dentry_get(struct dentry *d)
{
	spin_lock(&dcache_lock);
	dentry_get_locked(d);
	spin_unlock(&dcache_lock);
	return d;
}

/* Out of everything, with no reference left: the caller frees it with the lock dropped. */
static void detach(struct dentry *d) __requires(dcache_lock)
{
	DASSERT(d->refs == 0 && !d->pinned);
	lru_remove(d);
	if (d->hashed)
		hash_remove(d);
	list_del(&d->negative_link);
	dcache.nr_dentries--;
	/* its reference to the parent is about to be put */
	if (d->parent != d)
		d->parent->sb->own--;
}

/* Drop one reference. What must be freed now, or NULL; it still holds its parent. */
static struct dentry *put_locked(struct dentry *d) __requires(dcache_lock)
{
	DASSERT(d->refs > 0 && d->sb->refs > 0);
	d->sb->refs--;
	if (--d->refs > 0)
		return NULL;
	if (d->hashed && !d->inode && !d->parent->dead) {
		list_push_back(&d->lru, &dcache.lru);
		if (++dcache.nr_lru <= NEGATIVES_MAX)
			return NULL;
		d = list_first(&dcache.lru, struct dentry, lru);
	}
	detach(d);
	return d;
}

static void dentry_free(struct dentry *d)
{
	if (d->inode)
		inode_put(d->inode);
	if (d->name != d->inline_name)
		kfree(d->name);
	slab_free(dcache.slab, d);
}

/* Was this the last use of a tree that is to go? Said once. */
static bool falls_locked(struct superblock *sb) __requires(dcache_lock)
{
	bool falls = sb->doomed && sb->refs == sb->own;

	sb->doomed &= !falls;
	return falls;
}

void dentry_put(struct dentry *d)
{
	struct superblock *sb;
	struct dentry *parent;
	bool falls;

	while (d) {
		spin_lock(&dcache_lock);
		sb = d->sb;
		d = put_locked(d);
		falls = falls_locked(sb);
		if (!d && !list_empty(&dcache.stale)) {
			d = list_first(&dcache.stale, struct dentry, lru);
			list_del(&d->lru);
		}
		spin_unlock(&dcache_lock);
		if (falls)
			dentry_kill_tree(sb->root);
		if (!d)
			break;
		/* its reference to the parent goes with it */
		parent = d->parent == d ? NULL : d->parent;
		dentry_free(d);
		d = parent;
	}
}

/* The name comes to exist: its negative dentry is no longer found. One that a walker holds goes when it is put. */
static void drop_negative(struct dentry *d) __requires(dcache_lock)
{
	DASSERT(!d->inode);
	if (d->refs > 0) {
		hash_remove(d);
		return;
	}
	detach(d);
	list_push_back(&d->lru, &dcache.stale);
}

int dentry_link_locked(struct dentry *d, struct inode *inode)
{
	struct dentry *parent = d->parent;
	struct dentry *old = dcache_find_locked(parent, d->name, d->name_len);

	if (parent->dead)
		return -ENOENT;
	if (old && old->inode)
		return -EEXIST;
	if (old)
		drop_negative(old);
	d->inode = inode;
	d->cookie = parent->next_cookie++;
	d->pinned = true;
	d->refs++;
	d->sb->refs++;
	d->sb->own++;
	d->sb->names++;
	hash_insert(d);
	rb_insert(&parent->children, &d->child_node, cookie_less);
	return 0;
}

void dentry_link_negative_locked(struct dentry *d)
{
	/* a directory that is itself found anew each time is not to be held by what it has not */
	if (!d->parent->pinned || dcache_find_locked(d->parent, d->name, d->name_len))
		return;
	hash_insert(d);
	list_push_back(&d->negative_link, &d->parent->negatives);
}

void dentry_unlink_locked(struct dentry *d)
{
	DASSERT(d->pinned && d->hashed);
	hash_remove(d);
	rb_erase(&d->parent->children, &d->child_node);
	d->pinned = false;
	d->dead = true;
	d->sb->own--;
	d->sb->names--;
}

/* Inline names are copied, allocated ones change hands. */
static void swap_names(struct dentry *a, struct dentry *b) __requires(dcache_lock)
{
	char *a_name = a->name == a->inline_name ? b->inline_name : a->name;
	char *b_name = b->name == b->inline_name ? a->inline_name : b->name;
	char keep[sizeof(a->inline_name)];
	uint16_t len = a->name_len;

	memcpy(keep, a->inline_name, sizeof(keep));
	memcpy(a->inline_name, b->inline_name, sizeof(keep));
	memcpy(b->inline_name, keep, sizeof(keep));
	a->name = b_name;
	b->name = a_name;
	a->name_len = b->name_len;
	b->name_len = len;
}

void dentry_cover_locked(struct dentry *root, struct dentry *d, struct dentry *as)
{
	hash_remove(d);
	rb_erase(&d->parent->children, &d->child_node);
	swap_names(root, as);
	root->parent = as->parent;
	as->parent = as;
	/* the reference is no longer held from within */
	root->parent->sb->own--;
	root->hash = d->hash;
	root->cookie = d->cookie;
	hash_insert(root);
	rb_insert(&root->parent->children, &root->child_node, cookie_less);
}

struct dentry *dentry_uncover_locked(struct dentry *root, struct dentry *d)
{
	struct dentry *parent = root->parent;

	hash_remove(root);
	rb_erase(&parent->children, &root->child_node);
	hash_insert(d);
	rb_insert(&parent->children, &d->child_node, cookie_less);
	root->parent = root;
	return parent;
}

/* A name below root that has none below itself, taken out; NULL: there is none. *at is where to look for it, and for the
 * next: a tree may be as deep as it has names. */
static struct dentry *take_leaf(struct dentry *root, struct dentry **at)
{
	struct dentry *d = *at;

	spin_lock(&dcache_lock);
	while (d->children.node)
		d = rb_entry(d->children.node, struct dentry, child_node);
	if (d != root) {
		*at = d->parent;
		dentry_unlink_locked(d);
		d->inode->nlink = 0;
	}
	spin_unlock(&dcache_lock);
	return d != root ? d : NULL;
}

void dentry_kill_tree(struct dentry *root)
{
	struct dentry *d, *at = root;

	while ((d = take_leaf(root, &at))) {
		dentry_drop_negatives(d);
		dentry_put(d);
	}
	spin_lock(&dcache_lock);
	root->pinned = false;
	root->dead = true;
	root->sb->own--;
	spin_unlock(&dcache_lock);
	dentry_drop_negatives(root);
	dentry_put(root);
}

void dentry_move_locked(struct dentry *d, struct dentry *as)
{
	struct dentry *old_parent = d->parent, *negative;

	hash_remove(d);
	rb_erase(&old_parent->children, &d->child_node);
	negative = dcache_find_locked(as->parent, as->name, as->name_len);
	if (negative)
		drop_negative(negative);
	swap_names(d, as);
	d->parent = as->parent;
	as->parent = old_parent;
	d->hash = as->hash;
	d->cookie = d->parent->next_cookie++;
	hash_insert(d);
	rb_insert(&d->parent->children, &d->child_node, cookie_less);
}

void dentry_exchange_locked(struct dentry *a, struct dentry *b)
{
	hash_remove(a);
	hash_remove(b);
	rb_erase(&a->parent->children, &a->child_node);
	rb_erase(&b->parent->children, &b->child_node);
	swap_names(a, b);
	SWAP(a->parent, b->parent);
	SWAP(a->hash, b->hash);
	SWAP(a->cookie, b->cookie);
	hash_insert(a);
	hash_insert(b);
	rb_insert(&a->parent->children, &a->child_node, cookie_less);
	rb_insert(&b->parent->children, &b->child_node, cookie_less);
}

bool dentry_is_below_locked(const struct dentry *d, const struct dentry *ancestor)
{
	for (;; d = d->parent) {
		if (d == ancestor)
			return true;
		if (d->parent == d)
			return false;
	}
}

struct dentry *dentry_next_child_locked(const struct dentry *dir, uint64_t after)
{
	struct rb_node *n = dir->children.node, *best = NULL;

	while (n) {
		if (rb_entry(n, struct dentry, child_node)->cookie > after) {
			best = n;
			n = n->left;
		} else {
			n = n->right;
		}
	}
	return best ? rb_entry(best, struct dentry, child_node) : NULL;
}

/* One unused negative child of dir, detached, or NULL. Those in use go when they are put, dir being dead. */
static struct dentry *take_negative(struct dentry *dir)
{
	struct dentry *d, *found = NULL;

	spin_lock(&dcache_lock);
	list_for_each (d, &dir->negatives, negative_link) {
		if (d->refs == 0) {
			found = d;
			break;
		}
	}
	if (found)
		detach(found);
	spin_unlock(&dcache_lock);
	return found;
}

void dentry_drop_negatives(struct dentry *dir)
{
	struct dentry *d;

	while ((d = take_negative(dir))) {
		dentry_free(d);
		dentry_put(dir);
	}
}

int dentry_add(struct dentry *dir, const char *name, size_t len, struct inode *inode,
	       struct dentry **out)
{
	struct dentry *d = dentry_create(dir, name, len);
	int err;

	if (!d)
		return -ENOMEM;
	spin_lock(&dcache_lock);
	err = dentry_link_locked(d, inode);
	spin_unlock(&dcache_lock);
	if (!err && out)
		*out = d;
	else
		dentry_put(d);
	return err;
}

void dentry_remove(struct dentry *dir, const char *name, size_t len)
{
	struct dentry *d;

	spin_lock(&dcache_lock);
	d = dcache_find_locked(dir, name, len);
	if (d && d->inode) {
		dentry_unlink_locked(d);
		d->inode->nlink = 0;
	} else {
		d = NULL;
	}
	spin_unlock(&dcache_lock);
	if (!d)
		return;
	dentry_drop_negatives(d);
	dentry_put(d);
}

static struct dentry *find_dir(struct dentry *dir, const char *name, size_t len)
{
	struct dentry *d;

	spin_lock(&dcache_lock);
	d = dcache_find_locked(dir, name, len);
	if (d && d->inode)
		dentry_get_locked(d);
	else
		d = NULL;
	spin_unlock(&dcache_lock);
	return d;
}

/* The directory called name below dir, made if need be. A race is settled by the second look. */
static int make_dir(struct dentry *dir, const char *name, size_t len,
		    struct inode *(*mkdir)(void *arg), void *arg, struct dentry **out)
{
	struct inode *i;
	int err;

	for (;;) {
		*out = find_dir(dir, name, len);
		if (*out)
			return 0;
		if (!mkdir)
			return -ENOENT;
		i = mkdir(arg);
		err = i ? dentry_add(dir, name, len, i, out) : -ENOMEM;
		if (err && i)
			inode_put(i);
		if (err != -EEXIST)
			return err;
	}
}

int dentry_make_path(struct dentry *dir, const char *path, size_t len,
		     struct inode *(*mkdir)(void *arg), void *arg, struct dentry **out)
{
	struct dentry *d = dentry_get(dir), *next;
	size_t at = 0, n;
	int err;

	while (at < len) {
		for (n = 0; at + n < len && path[at + n] != '/';)
			n++;
		if (n > 0) {
			err = make_dir(d, path + at, n, mkdir, arg, &next);
			dentry_put(d);
			if (err)
				return err;
			d = next;
		}
		at += n + 1;
	}
	*out = d;
	return 0;
}

uint64_t dcache_count(void)
{
	uint64_t n;

	spin_lock(&dcache_lock);
	n = dcache.nr_dentries;
	spin_unlock(&dcache_lock);
	return n;
}
