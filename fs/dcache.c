/* SPDX-License-Identifier: MIT */
/* The directory cache: one hash of (parent, name) to dentry that grows with its contents, and the children of each
 * directory in the order of their cookies. Walks hold DCACHE for reading, for as many components as are found; whoever
 * changes a name or the place of one holds it for writing. References are counted without it, by those who have one or
 * who found the dentry under the lock.
 *
 * I-DCACHE-1: a dentry is in the hash exactly while it is among its parent's children; then it is pinned. */
#include "fs/dcache.h"
#include "kernel/core/panic.h"
#include "kernel/core/perturb.h"
#include "kernel/core/random.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/slab.h"

enum { FIRST_BUCKETS = 256, FIRST_COOKIE = 3 };
/* The hash has this many times the buckets when each holds two names. They move over some at a time, with each new name. */
enum { GROWTH = 4, BUCKET_FULL = 2, MOVED_AT_ONCE = 2 };

static DEFINE_PER_CPU(uint32_t, dcache_reading);
struct rwspin dcache_lock = RWSPIN_INIT(DCACHE, dcache_reading);
uint64_t dcache_seed, dcache_multiplier;

static struct {
	struct list_head *bucket; /* [dcache_lock] */
	struct list_head *bigger; /* [dcache_lock] GROWTH times as many, being filled; NULL: none */
	unsigned nr_buckets;	  /* [dcache_lock] a power of two */
	unsigned moved; /* [dcache_lock] so many of them, the first, have their names in bigger */
	unsigned nr_hashed;	 /* [dcache_lock] */
	unsigned grow_at;	 /* [atomic] when nr_hashed is that, it is time */
	uint64_t nr_dentries;	 /* [atomic] */
	struct slab_cache *slab; /* [init] */
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
	dcache_seed = (uint64_t)random_u32() << 32 | random_u32();
	dcache_multiplier = (uint64_t)random_u32() << 32 | random_u32() | 1;
	dcache.slab = slab_create("dentry", sizeof(struct dentry), 0);
	dcache.bucket = buckets_create(FIRST_BUCKETS);
	if (!dcache.slab || !dcache.bucket)
		return -ENOMEM;
	dcache.nr_buckets = FIRST_BUCKETS;
	dcache.grow_at = FIRST_BUCKETS * BUCKET_FULL;
	return 0;
}

static uint32_t dentry_hash(const struct dentry *parent, const char *name, size_t len)
{
	uint64_t h = name_hash_start(parent);

	for (size_t i = 0; i < len; i++)
		h = name_hash_add(h, name[i]);
	return name_hash_end(h);
}

static struct list_head *bucket_of(uint32_t hash) __requires_shared(dcache_lock)
{
	unsigned i = hash & (dcache.nr_buckets - 1);

	return i < dcache.moved ? &dcache.bigger[hash & (dcache.nr_buckets * GROWTH - 1)]
				: &dcache.bucket[i];
}

static void hash_move_bucket(void) __requires(dcache_lock)
{
	struct list_head *from = &dcache.bucket[dcache.moved];
	struct dentry *d, *next;

	WRITE_ONCE(dcache.moved, dcache.moved + 1);
	list_for_each_safe (d, next, from, hash_link) {
		list_del(&d->hash_link);
		list_push_front(&d->hash_link, bucket_of(d->hash));
	}
}

static void hash_insert(struct dentry *d) __requires(dcache_lock)
{
	list_push_front(&d->hash_link, bucket_of(d->hash));
	d->hashed = true;
	WRITE_ONCE(dcache.nr_hashed, dcache.nr_hashed + 1);
	for (int n = 0; n < MOVED_AT_ONCE && dcache.bigger && dcache.moved < dcache.nr_buckets; n++)
		hash_move_bucket();
}

static void hash_remove(struct dentry *d) __requires(dcache_lock)
{
	list_del(&d->hash_link);
	d->hashed = false;
	WRITE_ONCE(dcache.nr_hashed, dcache.nr_hashed - 1);
}

/* Begin to grow, with memory that is got without the lock, or end it. What is to be freed, b or the old buckets. */
static struct list_head *hash_change(struct list_head *b) __requires(dcache_lock)
{
	if (b && !dcache.bigger) {
		WRITE_ONCE(dcache.bigger, b);
		return NULL;
	}
	if (b || dcache.moved < dcache.nr_buckets)
		return b;
	b = dcache.bucket;
	dcache.bucket = dcache.bigger;
	WRITE_ONCE(dcache.bigger, NULL);
	WRITE_ONCE(dcache.moved, 0);
	WRITE_ONCE(dcache.nr_buckets, dcache.nr_buckets * GROWTH);
	WRITE_ONCE(dcache.grow_at, dcache.nr_buckets * BUCKET_FULL);
	return b;
}

/* Before a name comes. The looks without the lock are hints. */
static void hash_grow(void)
{
	unsigned n = READ_ONCE(dcache.nr_buckets);
	bool moved = READ_ONCE(dcache.moved) == n;
	struct list_head *b = NULL;

	if (!moved) {
		if (READ_ONCE(dcache.bigger) ||
		    READ_ONCE(dcache.nr_hashed) < READ_ONCE(dcache.grow_at))
			return;
		b = buckets_create(n * GROWTH);
		/* not with every name again */
		if (!b)
			WRITE_ONCE(dcache.grow_at, READ_ONCE(dcache.grow_at) * 2);
	}
	if (!b && !moved)
		return;
	rwspin_write_lock(&dcache_lock);
	b = n == dcache.nr_buckets ? hash_change(b) : b;
	rwspin_write_unlock(&dcache_lock);
	kfree(b);
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
	refcount_init(&d->refs, 1);
	d->next_cookie = FIRST_COOKIE;
	list_init(&d->hash_link);
	rb_node_init(&d->child_node);
	rb_init(&d->children, NULL);
	atomic_add_relaxed(&dcache.nr_dentries, 1);
	return d;
}

/* A reference of the tree's own: a child's to its parent, a link's to what it names. */
static void hold(struct dentry *d)
{
	bool alive = refcount_get(&d->refs);

	ASSERT(alive);
}

static void count_user(struct superblock *sb)
{
	(void)atomic_fetch_add(&sb->users, 1);
}

struct dentry *dentry_create(struct dentry *parent, const char *name, size_t len)
{
	struct dentry *d = dentry_alloc(name, len);

	if (!d)
		return NULL;
	hold(parent);
	d->parent = parent;
	d->sb = parent->sb;
	d->hash = dentry_hash(parent, name, len);
	count_user(d->sb);
	hash_grow();
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
	return d;
}

struct dentry *dcache_find_hashed(const struct dentry *parent, const char *name, size_t len,
				  uint32_t hash)
{
	struct dentry *d;

	list_for_each (d, bucket_of(hash), hash_link)
		if (d->hash == hash && d->parent == parent && d->name_len == len &&
		    memcmp(d->name, name, len) == 0)
			return d;
	return NULL;
}

struct dentry *dcache_find_locked(const struct dentry *parent, const char *name, size_t len)
{
	return dcache_find_hashed(parent, name, len, dentry_hash(parent, name, len));
}

struct dentry *dentry_on_top_locked(struct dentry *d)
{
	struct dentry *top = NULL;

	if (d->pinned && !d->hashed && d->parent != d)
		top = dcache_find_hashed(d->parent, d->name, d->name_len, d->hash);
	return top ? top : d;
}

struct dentry *dentry_get(struct dentry *d)
{
	hold(d);
	count_user(d->sb);
	return d;
}

static void dentry_free(struct dentry *d)
{
	DASSERT(!d->hashed && !d->pinned);
	atomic_fetch_sub(&dcache.nr_dentries, 1);
	if (d->inode)
		inode_put(d->inode);
	if (d->name != d->inline_name)
		kfree(d->name);
	slab_free(dcache.slab, d);
}

/* Nobody has d; its reference to the parent goes with it, and so on upwards. */
static __noinline void destroy(struct dentry *d)
{
	struct dentry *parent;

	do {
		parent = d->parent == d ? NULL : d->parent;
		dentry_free(d);
		d = parent;
	} while (d && refcount_put(&d->refs));
}

void dentry_unhold(struct dentry *d)
{
	if (refcount_put(&d->refs))
		destroy(d);
}

/* A tree that is to go goes with the last who is in it: nobody finds the way there. Whoever was the last before it was to go may
 * look this late, when others are in it, or were and have claimed it. */
static bool claim_doomed(struct superblock *sb)
{
	bool ours;

	rwspin_write_lock(&dcache_lock);
	ours = sb->doomed && atomic_load_relaxed(&sb->users) == 0;
	if (ours)
		WRITE_ONCE(sb->doomed, false);
	rwspin_write_unlock(&dcache_lock);
	return ours;
}

void dentry_put(struct dentry *d)
{
	struct superblock *sb = d->sb;

	/* While d still keeps sb. */
	if (atomic_fetch_sub(&sb->users, 1) == 1) {
		perturb(PERTURB_PUBLISH);
		if (READ_ONCE(sb->doomed) && claim_doomed(sb))
			dentry_kill_tree(sb->root);
	}
	dentry_unhold(d);
}

int dentry_link_locked(struct dentry *d, struct inode *inode)
{
	struct dentry *parent = d->parent;

	if (parent->dead)
		return -ENOENT;
	if (dcache_find_hashed(parent, d->name, d->name_len, d->hash))
		return -EEXIST;
	d->inode = inode;
	d->cookie = parent->next_cookie++;
	d->pinned = true;
	hold(d);
	WRITE_ONCE(d->sb->names, d->sb->names + 1);
	hash_insert(d);
	rb_insert(&parent->children, &d->child_node, cookie_less);
	return 0;
}

void dentry_unlink_locked(struct dentry *d)
{
	DASSERT(d->pinned && d->hashed);
	hash_remove(d);
	rb_erase(&d->parent->children, &d->child_node);
	d->pinned = false;
	WRITE_ONCE(d->dead, true);
	WRITE_ONCE(d->sb->names, d->sb->names - 1);
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
	count_user(root->parent->sb);
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
 * next: a tree may be as deep as it has names. Nobody else is in it, so DCACHE is for the hash. */
static struct dentry *take_leaf(struct dentry *root, struct dentry **at)
{
	struct dentry *d = *at;

	while (d->children.node)
		d = rb_entry(d->children.node, struct dentry, child_node);
	if (d == root)
		return NULL;
	*at = d->parent;
	rwspin_write_lock(&dcache_lock);
	dentry_unlink_locked(d);
	WRITE_ONCE(d->inode->nlink, 0);
	rwspin_write_unlock(&dcache_lock);
	return d;
}

void dentry_kill_tree(struct dentry *root)
{
	struct dentry *d, *at = root;

	while ((d = take_leaf(root, &at)))
		dentry_unhold(d);
	rwspin_write_lock(&dcache_lock);
	root->pinned = false;
	root->dead = true;
	rwspin_write_unlock(&dcache_lock);
	dentry_unhold(root);
}

void dentry_move_locked(struct dentry *d, struct dentry *as)
{
	struct dentry *old_parent = d->parent;

	hash_remove(d);
	rb_erase(&old_parent->children, &d->child_node);
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

int dentry_add(struct dentry *dir, const char *name, size_t len, struct inode *inode,
	       struct dentry **out)
{
	struct dentry *d = dentry_create(dir, name, len);
	int err;

	if (!d)
		return -ENOMEM;
	rwspin_write_lock(&dcache_lock);
	err = dentry_link_locked(d, inode);
	rwspin_write_unlock(&dcache_lock);
	if (!err && out)
		*out = d;
	else
		dentry_put(d);
	return err;
}

void dentry_remove(struct dentry *dir, const char *name, size_t len)
{
	struct dentry *d;

	rwspin_write_lock(&dcache_lock);
	d = dcache_find_locked(dir, name, len);
	if (d) {
		dentry_unlink_locked(d);
		WRITE_ONCE(d->inode->nlink, 0);
	}
	rwspin_write_unlock(&dcache_lock);
	if (d)
		dentry_unhold(d);
}

/* The tree's own, whatever is mounted over it. */
static struct dentry *find_child(struct dentry *dir, const char *name, size_t len)
{
	struct dentry *d;

	rwspin_read_lock(&dcache_lock);
	d = dcache_find_locked(dir, name, len);
	while (d && d->sb != dir->sb)
		d = d->sb->covered;
	if (d)
		dentry_get(d);
	rwspin_read_unlock(&dcache_lock);
	return d;
}

/* The directory called name below dir, made if need be. A race is settled by the second look. */
static int make_dir(struct dentry *dir, const char *name, size_t len,
		    struct inode *(*mkdir)(void *arg), void *arg, struct dentry **out)
{
	struct inode *i;
	int err;

	for (;;) {
		*out = find_child(dir, name, len);
		if (*out && (READ_ONCE((*out)->inode->mode) & S_IFMT) == S_IFDIR)
			return 0;
		if (*out) {
			dentry_put(*out);
			return -ENOTDIR;
		}
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
	return atomic_load_relaxed(&dcache.nr_dentries);
}
