/* SPDX-License-Identifier: MIT */
/* Path walks. Components found in the cache are taken in one go under DCACHE, without references on the way; one that
 * is not is asked of the file system under the directory's INODE lock. Symbolic links are expanded into a new string:
 * the link's text and what was left of the path. */
#include "fs/namei.h"
#include "fs/dcache.h"
#include "kernel/core/panic.h"
#include "lib/string.h"
#include "mm/phys/slab.h"

struct walk_state {
	const struct vfs_context *ctx;
	struct dentry *at; /* a reference: where we are */
	const char *rest;  /* what is left, leading slashes skipped */
	char *expanded;	   /* the allocation rest points into, or NULL */
	unsigned links;	   /* symbolic links followed */
	unsigned flags;
	enum walk_last last;
};

static bool is_dir(const struct inode *i)
{
	return (i->mode & S_IFMT) == S_IFDIR;
}

static bool is_link(const struct inode *i)
{
	return (i->mode & S_IFMT) == S_IFLNK;
}

static size_t component_len(const char *s)
{
	size_t n = 0;

	while (s[n] && s[n] != '/')
		n++;
	return n;
}

static const char *skip_slashes(const char *s)
{
	while (*s == '/')
		s++;
	return s;
}

static bool is_dot(const char *s, size_t n)
{
	return n == 1 && s[0] == '.';
}

static bool is_dotdot(const char *s, size_t n)
{
	return n == 2 && s[0] == '.' && s[1] == '.';
}

static bool is_last(const char *s, size_t n)
{
	return *skip_slashes(s + n) == '\0';
}

/* Move the state to d, whose reference is taken over. */
static void step_to(struct walk_state *s, struct dentry *d)
{
	dentry_put(s->at);
	s->at = d;
}

/* As many components as the cache knows and nothing special is about; not the last. */
static void walk_cached(struct walk_state *s)
{
	struct dentry *d = s->at, *next;
	size_t n;

	spin_lock(&dcache_lock);
	for (;;) {
		n = component_len(s->rest);
		if (n == 0 || is_last(s->rest, n) || is_dotdot(s->rest, n))
			break;
		if (inode_permission(d->inode, &s->ctx->cred, 1))
			break;
		if (!is_dot(s->rest, n)) {
			next = dcache_find_locked(d, s->rest, n);
			if (!next || !next->inode || !is_dir(next->inode))
				break;
			d = next;
		}
		s->rest = skip_slashes(s->rest + n);
	}
	if (d != s->at)
		dentry_get_locked(d);
	spin_unlock(&dcache_lock);
	if (d != s->at)
		step_to(s, d);
}

/* A dentry for what the file system answered; it stays out of the hash. */
static int uncached_child(struct dentry *dir, const char *name, size_t n, struct dentry **out)
{
	struct inode *inode;
	struct dentry *d;
	int err = dir->inode->ops->lookup(dir->inode, name, n, &inode);

	if (err)
		return err;
	d = dentry_create(dir, name, n);
	if (!d) {
		inode_put(inode);
		return -ENOMEM;
	}
	d->inode = inode;
	*out = d;
	return 0;
}

/* What the cache says: 0 and a reference; -ENOENT it is known not to be there; 1: ask the file system. */
static int find_cached(struct dentry *dir, const char *name, size_t n, struct dentry **out)
{
	struct dentry *d;
	int ret = 1;

	spin_lock(&dcache_lock);
	d = dcache_find_locked(dir, name, n);
	if (d && d->inode) {
		dentry_get_locked(d);
		*out = d;
		ret = 0;
	} else if (d) {
		ret = -ENOENT;
	}
	spin_unlock(&dcache_lock);
	return ret;
}

/* The child called name: 0 and a reference, or -ENOENT, remembered if it may be. */
static int find_child(struct dentry *dir, const char *name, size_t n, struct dentry **out)
{
	struct dentry *absent;
	int err = find_cached(dir, name, n, out);

	if (err <= 0)
		return err;
	err = -ENOENT;
	if (dir->inode->ops->lookup) {
		mutex_lock(&dir->inode->lock);
		err = uncached_child(dir, name, n, out);
		mutex_unlock(&dir->inode->lock);
		return err;
	}
	absent = dentry_create(dir, name, n);
	if (!absent)
		return err;
	spin_lock(&dcache_lock);
	dentry_link_negative_locked(absent);
	spin_unlock(&dcache_lock);
	dentry_put(absent);
	return err;
}

static void step_up(struct walk_state *s)
{
	struct dentry *up;

	if (s->at == s->ctx->root)
		return;
	spin_lock(&dcache_lock);
	up = s->at->parent;
	dentry_get_locked(up);
	spin_unlock(&dcache_lock);
	step_to(s, up);
}

/* Begin again at the root for an absolute text. */
static void start_over(struct walk_state *s, const char *text)
{
	s->rest = skip_slashes(text);
	if (*text != '/')
		return;
	step_to(s, dentry_get(s->ctx->root));
	s->last = LAST_ROOT;
}

/* The link's text with what follows it becomes the path; after is what is behind the link's name. */
static int expand_link(struct walk_state *s, struct inode *link, const char *after)
{
	size_t after_len = strlen(after);
	char *text;
	ssize_t n;

	if (++s->links > SYMLINK_MAX)
		return -ELOOP;
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
	return 0;
}

/* Go through a link that is in the middle of the path, or at its end and to be followed. d's reference is taken. */
static int follow_link(struct walk_state *s, struct dentry *d, const char *after)
{
	struct dentry *target;
	int err;

	if (d->inode->ops->follow) {
		err = ++s->links > SYMLINK_MAX ? -ELOOP : d->inode->ops->follow(d->inode, &target);
		if (!err) {
			step_to(s, target);
			s->rest = skip_slashes(after);
		}
	} else {
		err = expand_link(s, d->inode, after);
	}
	dentry_put(d);
	return err;
}

/* The last component: fill in w. 1: a link was followed, go on. */
static int walk_last(struct walk_state *s, size_t n, struct walk *w)
{
	struct dentry *child = NULL;
	int err;

	w->slash = s->rest[n] == '/';
	err = find_child(s->at, s->rest, n, &child);
	if (!err && is_link(child->inode) && !(s->flags & WALK_NAME) &&
	    ((s->flags & WALK_FOLLOW) || w->slash)) {
		err = follow_link(s, child, s->rest + n);
		return err ? err : 1;
	}
	if (err && !(err == -ENOENT && (s->flags & WALK_ABSENT)))
		return err;
	if (child && w->slash && !(s->flags & WALK_NAME) && !is_dir(child->inode)) {
		dentry_put(child);
		return -ENOTDIR;
	}
	w->parent = dentry_get(s->at);
	w->last = LAST_NAME;
	w->child = child;
	w->len = n;
	memcpy(w->name, s->rest, n);
	w->name[n] = '\0';
	return 0;
}

/* One component that the cache could not take. 1: go on; 0: done, w is filled in. */
static int walk_step(struct walk_state *s, struct walk *w)
{
	size_t n = component_len(s->rest);
	struct dentry *child;
	int err;

	if (n == 0) {
		w->child = dentry_get(s->at);
		w->last = s->last;
		return 0;
	}
	if (n > NAME_MAX_LEN)
		return -ENAMETOOLONG;
	if (!is_dir(s->at->inode))
		return -ENOTDIR;
	err = inode_permission(s->at->inode, &s->ctx->cred, 1);
	if (err)
		return err;
	if (is_dot(s->rest, n) || is_dotdot(s->rest, n)) {
		s->last = n == 2 ? LAST_DOTDOT : LAST_DOT;
		if (n == 2)
			step_up(s);
		s->rest = skip_slashes(s->rest + n);
		return 1;
	}
	if (is_last(s->rest, n))
		return walk_last(s, n, w);
	err = find_child(s->at, s->rest, n, &child);
	if (err)
		return err;
	if (is_link(child->inode)) {
		err = follow_link(s, child, s->rest + n);
		return err ? err : 1;
	}
	step_to(s, child);
	s->rest = skip_slashes(s->rest + n);
	return is_dir(child->inode) ? 1 : -ENOTDIR;
}

int walk_path(const struct vfs_context *ctx, struct dentry *at, const char *path, unsigned flags,
	      struct walk *w)
{
	struct walk_state s = { .ctx = ctx, .flags = flags, .last = LAST_DOT };
	int ret;

	might_sleep();
	if (*path == '\0' && !(flags & WALK_EMPTY))
		return -ENOENT;
	if (strnlen(path, VFS_PATH_MAX) == VFS_PATH_MAX)
		return -ENAMETOOLONG;
	w->parent = NULL;
	w->child = NULL;
	w->slash = false;
	s.at = at ? dentry_get(at) : dentry_get(ctx->cwd);
	start_over(&s, path);
	do {
		if (is_dir(s.at->inode))
			walk_cached(&s);
		ret = walk_step(&s, w);
	} while (ret > 0);
	dentry_put(s.at);
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
