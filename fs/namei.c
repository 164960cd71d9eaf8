/* SPDX-License-Identifier: MIT */
/* Path walks. What is in the cache is taken in one go under DCACHE, held for reading, without references on the way; a
 * component that the file system must be asked for, under the directory's INODE lock, and a symbolic link are taken with the
 * lock dropped and a reference to where we are. Links are expanded into a new string: the link's text and what was left of
 * the path. */
#include "fs/namei.h"
#include "fs/dcache.h"
#include "kernel/core/panic.h"
#include "lib/string.h"
#include "mm/phys/slab.h"

/* Components taken under one hold of DCACHE. */
#define STEPS_MAX 64

struct walk_state {
	const struct vfs_context *ctx;
	struct dentry *at;   /* where we are: kept by held, or by whom we work for */
	struct dentry *held; /* a reference, or NULL */
	const char *text;    /* the path */
	const char *rest;    /* what is left of it, leading slashes skipped */
	char *expanded;	     /* the allocation rest points into, or NULL */
	unsigned links;	     /* symbolic links followed */
	unsigned flags;
	enum walk_last last;
};

struct component {
	const char *name, *end; /* end: behind the name */
	const char *after;	/* behind the slashes that follow */
	size_t len;
	uint32_t hash;
};

/* What a component led to; negative: an error. */
enum step {
	STEP_DONE, /* w is filled in */
	STEP_ON,   /* the next one */
	STEP_LINK, /* a symbolic link to follow */
	STEP_ASK,  /* the file system knows */
};

static bool is_dir(const struct inode *i)
{
	return (READ_ONCE(i->mode) & S_IFMT) == S_IFDIR;
}

static bool is_link(const struct inode *i)
{
	return (READ_ONCE(i->mode) & S_IFMT) == S_IFLNK;
}

static const char *skip_slashes(const char *s)
{
	while (*s == '/')
		s++;
	return s;
}

static void scan(const struct dentry *dir, const char *s, struct component *c)
{
	uint64_t h = name_hash_start(dir);

	c->name = s;
	for (; *s && *s != '/'; s++)
		h = name_hash_add(h, *s);
	c->end = s;
	c->len = (size_t)(s - c->name);
	c->hash = name_hash_end(h);
	c->after = skip_slashes(s);
}

static bool is_dots(const struct component *c)
{
	return c->name[0] == '.' && (c->len == 1 || (c->len == 2 && c->name[1] == '.'));
}

/* Move the state to d, whose reference is taken over. */
static void step_to(struct walk_state *s, struct dentry *d)
{
	if (s->held)
		dentry_put(s->held);
	s->held = d;
	s->at = d;
}

/* The last component is c in parent; child: what is there, or NULL. w gets the one reference its user needs. */
static int arrive(const struct walk_state *s, struct walk *w, struct dentry *parent,
		  const struct component *c, struct dentry *child)
{
	if (!child && !(s->flags & WALK_ABSENT))
		return -ENOENT;
	w->last = LAST_NAME;
	w->found = child;
	w->slash = *c->end == '/';
	if (child && !(s->flags & WALK_NAME)) {
		w->child = dentry_get(child);
		return STEP_DONE;
	}
	w->parent = dentry_get(parent);
	w->len = c->len;
	w->hash = c->hash;
	memcpy(w->name, c->name, c->len);
	w->name[c->len] = '\0';
	return STEP_DONE;
}

/* c, the last component, is child, in parent: where does that lead? */
static int enter_last(const struct walk_state *s, struct walk *w, struct dentry *parent,
		      const struct component *c, struct dentry *child)
{
	bool slash = *c->end == '/', name = s->flags & WALK_NAME;

	if (!name && (slash || (s->flags & WALK_FOLLOW)) && is_link(child->inode))
		return STEP_LINK;
	if (!name && slash && !is_dir(child->inode))
		return -ENOTDIR;
	return arrive(s, w, parent, c, child);
}

static int enter(const struct walk_state *s, struct walk *w, struct dentry *parent,
		 const struct component *c, struct dentry *child)
{
	if (!*c->after)
		return enter_last(s, w, parent, c, child);
	if (is_dir(child->inode))
		return STEP_ON;
	return is_link(child->inode) ? STEP_LINK : -ENOTDIR;
}

static bool others_may_write(const struct inode *i, uint32_t uid)
{
	uint32_t owner = READ_ONCE(i->uid);

	return (owner != 0 && owner != uid) || (READ_ONCE(i->mode) & 022);
}

static int may_search(const struct walk_state *s, const struct inode *dir)
{
	if (unlikely(s->ctx->wary) && others_may_write(dir, s->ctx->wary_of_all_but))
		return -EPERM;
	return inode_permission(dir, &s->ctx->cred, 1);
}

/* The next component, from *at on. *child: what it is, if it must be followed. */
static int step_cached(struct walk_state *s, struct walk *w, struct component *c,
		       struct dentry **at, struct dentry **child) __requires_shared(dcache_lock)
{
	struct dentry *d = *at;
	int ret;

	scan(d, s->rest, c);
	if (c->after - s->text >= VFS_PATH_MAX)
		return -ENAMETOOLONG;
	if (c->len == 0) {
		w->child = dentry_get(d);
		w->found = true;
		w->last = s->last;
		return STEP_DONE;
	}
	if (!is_dir(d->inode))
		return -ENOTDIR;
	ret = may_search(s, d->inode);
	if (ret)
		return ret;
	if (c->len > NAME_MAX_LEN)
		return -ENAMETOOLONG;
	if (is_dots(c)) {
		s->last = c->len == 2 ? LAST_DOTDOT : LAST_DOT;
		if (c->len == 2 && d != s->ctx->root)
			*at = dentry_on_top_locked(d->parent);
		s->rest = c->after;
		return STEP_ON;
	}
	*child = dcache_find_hashed(d, c->name, c->len, c->hash);
	if (!*child && d->inode->ops->lookup)
		return STEP_ASK;
	if (!*child)
		return *c->after ? -ENOENT : arrive(s, w, d, c, NULL);
	ret = enter(s, w, d, c, *child);
	if (ret == STEP_ON) {
		*at = *child;
		s->rest = c->after;
	}
	return ret;
}

/* As far as the cache knows the way. Unless that is all of it, we hold where we are then, and *link. */
static int walk_cached(struct walk_state *s, struct walk *w, struct component *c,
		       struct dentry **link)
{
	struct dentry *at = s->at, *child = NULL;
	int ret, n = 0;

	rwspin_read_lock(&dcache_lock);
	do {
		ret = step_cached(s, w, c, &at, &child);
	} while (ret == STEP_ON && ++n < STEPS_MAX);
	if (ret > STEP_DONE && at != s->at)
		dentry_get(at);
	if (ret == STEP_LINK)
		*link = dentry_get(child);
	rwspin_read_unlock(&dcache_lock);
	if (ret > STEP_DONE && at != s->at)
		step_to(s, at);
	return ret;
}

/* What the file system answers; it stays out of the hash. */
static int lookup(struct dentry *dir, const struct component *c, struct dentry **out)
{
	struct inode *inode;
	struct dentry *d;
	int err;

	mutex_lock(&dir->inode->lock);
	err = dir->inode->ops->lookup(dir->inode, c->name, c->len, &inode);
	mutex_unlock(&dir->inode->lock);
	if (err)
		return err;
	d = dentry_create(dir, c->name, c->len);
	if (!d) {
		inode_put(inode);
		return -ENOMEM;
	}
	d->inode = inode;
	*out = d;
	return 0;
}

/* The component that the cache does not know. As step_cached(). */
static int step_asked(struct walk_state *s, struct walk *w, const struct component *c,
		      struct dentry **link)
{
	struct dentry *child;
	int ret = lookup(s->at, c, &child);

	if (ret == -ENOENT && !*c->after)
		return arrive(s, w, s->at, c, NULL);
	if (ret)
		return ret;
	ret = enter(s, w, s->at, c, child);
	if (ret == STEP_LINK) {
		*link = child;
	} else if (ret == STEP_ON) {
		step_to(s, child);
		s->rest = c->after;
	} else {
		dentry_put(child);
	}
	return ret;
}

/* Begin again at the root for an absolute text. */
static void start_over(struct walk_state *s, const char *text)
{
	s->text = text;
	s->rest = skip_slashes(text);
	if (*text != '/')
		return;
	step_to(s, NULL);
	s->at = s->ctx->root;
	s->last = LAST_ROOT;
}

/* The link's text with what follows it becomes the path; after is what is behind the link's name. */
static int expand_link(struct walk_state *s, struct inode *link, const char *after)
{
	size_t after_len = strlen(after);
	char *text;
	ssize_t n;

	text = kmalloc(VFS_PATH_MAX + after_len + 1);
	if (!text)
		return -ENOMEM;
	n = link->ops->readlink(link, text, VFS_PATH_MAX);
	if (n > 0 && (size_t)n + after_len >= VFS_PATH_MAX)
		n = -ENAMETOOLONG;
	if (n <= 0) {
		kfree(text);
		return n < 0 ? (int)n : -ENOENT;
	}
	memcpy(text + n, after, after_len + 1);
	kfree(s->expanded);
	s->expanded = text;
	start_over(s, text);
	return STEP_ON;
}

/* Go through a link that is in the middle of the path, or at its end and to be followed. d's reference is taken. */
static int follow_link(struct walk_state *s, struct dentry *d, const struct component *c)
{
	struct dentry *target;
	int ret;

	ASSERT(d);
	if (++s->links > SYMLINK_MAX) {
		ret = -ELOOP;
	} else if (d->inode->ops->follow && s->ctx->wary) {
		/* not a name: what a process has open */
		ret = -EPERM;
	} else if (d->inode->ops->follow) {
		ret = d->inode->ops->follow(d->inode, &target);
		if (!ret) {
			step_to(s, target);
			s->rest = c->after;
			ret = *c->end && !is_dir(target->inode) ? -ENOTDIR : STEP_ON;
		}
	} else {
		ret = expand_link(s, d->inode, c->end);
	}
	dentry_put(d);
	return ret;
}

int walk_path(const struct vfs_context *ctx, struct dentry *at, const char *path, unsigned flags,
	      struct walk *w)
{
	struct walk_state s = {
		.ctx = ctx, .at = at ? at : ctx->cwd, .flags = flags, .last = LAST_DOT
	};
	struct dentry *link = NULL;
	struct component c;
	int ret;

	might_sleep();
	if (*path == '\0' && !(flags & WALK_EMPTY))
		return -ENOENT;
	w->parent = NULL;
	w->child = NULL;
	w->slash = false;
	start_over(&s, path);
	do {
		ret = walk_cached(&s, w, &c, &link);
		if (ret == STEP_ASK)
			ret = step_asked(&s, w, &c, &link);
		if (ret == STEP_LINK)
			ret = follow_link(&s, link, &c);
	} while (ret > STEP_DONE);
	step_to(&s, NULL);
	kfree(s.expanded);
	return ret;
}

void walk_end(struct walk *w)
{
	if (w->parent)
		dentry_put(w->parent);
	if (w->child)
		dentry_put(w->child);
}
