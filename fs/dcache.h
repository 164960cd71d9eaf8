/* SPDX-License-Identifier: MIT */
/* The directory cache, for fs/ itself. See inode.h for what a dentry is. */
#ifndef TERN_FS_DCACHE_H
#define TERN_FS_DCACHE_H

#include "fs/inode.h"
#include "kernel/core/rwspin.h"

extern struct rwspin dcache_lock; /* DCACHE */
/* [init] Secret, so that nobody can make names that meet in one bucket; the second is odd. */
extern uint64_t dcache_seed, dcache_multiplier;

/* The hash of a name in a directory, a byte at a time. */
static inline uint64_t name_hash_start(const struct dentry *parent)
{
	return dcache_seed ^ (uintptr_t)parent;
}

static inline uint64_t name_hash_add(uint64_t h, char c)
{
	return (h ^ (uint8_t)c) * dcache_multiplier;
}

static inline uint32_t name_hash_end(uint64_t h)
{
	return (uint32_t)(h >> 32);
}

int dcache_init(void);
/* A root: its own parent; its one reference is the pin. The inode's reference is taken over. */
struct dentry *dentry_create_root(struct inode *inode) __must_check;
/* A dentry in no tree yet, without inode; references to parent are taken. NULL: no memory. */
struct dentry *dentry_create(struct dentry *parent, const char *name, size_t len) __must_check;

/* The dentry of that name; no reference is taken. hash: by the functions above. */
struct dentry *dcache_find_hashed(const struct dentry *parent, const char *name, size_t len,
				  uint32_t hash) __requires_shared(dcache_lock);
struct dentry *dcache_find_locked(const struct dentry *parent, const char *name, size_t len)
	__requires_shared(dcache_lock);
/* What has the place of d: the root of what is mounted there, or d. */
struct dentry *dentry_on_top_locked(struct dentry *d) __requires_shared(dcache_lock);
/* Link d, made by dentry_create(), under its parent with inode (whose reference it takes over) as a pinned name.
 * -EEXIST; -ENOENT if the parent is dead. */
int dentry_link_locked(struct dentry *d, struct inode *inode) __requires(dcache_lock) __must_check;
/* Take a pinned name out of the tree; the caller drops the pin with dentry_unhold() after unlocking. */
void dentry_unlink_locked(struct dentry *d) __requires(dcache_lock);
/* Drop a reference that the tree itself had. */
void dentry_unhold(struct dentry *d);
/* Move d to be called as `as`, a dentry made for the new place, which becomes what is left over. */
void dentry_move_locked(struct dentry *d, struct dentry *as) __requires(dcache_lock);
/* Each takes the other's place and name. */
void dentry_exchange_locked(struct dentry *a, struct dentry *b) __requires(dcache_lock);
/* Put root in the place of d, whose pin stays with it; as was made for that place, and gives its name and its reference
 * to the parent. And back: the reference to the parent is given to the caller. */
void dentry_cover_locked(struct dentry *root, struct dentry *d, struct dentry *as)
	__requires(dcache_lock);
struct dentry *dentry_uncover_locked(struct dentry *root, struct dentry *d)
	__requires(dcache_lock) __must_check;
/* Take apart a tree that nobody can reach or uses. */
void dentry_kill_tree(struct dentry *root);
/* The first child whose cookie is above after, or NULL. */
struct dentry *dentry_next_child_locked(const struct dentry *dir, uint64_t after)
	__requires_shared(dcache_lock);

/* Tests and reports. */
uint64_t dcache_count(void);

#endif
