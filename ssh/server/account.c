/* SPDX-License-Identifier: MIT */
/* Users: /etc/passwd and /etc/group, read at each question, so that a change counts at once. A stranger's question leads to the first
 * alone. */
#include "lib/errno.h"
#include "lib/passwd.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "ssh/server/server_priv.h"

static struct bytes read_table(const char *path)
{
	size_t n = 0;
	char *text = server_read_file(path, 0, SERVER_FILE_MAX, &n);

	return (struct bytes){ (uint8_t *)text, text ? n : 0 };
}

/* An absolute path, or what stands for one that is missing. NULL: no memory, or no path. */
static char *path_of(struct bytes field, const char *otherwise)
{
	char *path;

	if (field.n == 0)
		return kstrdup(otherwise);
	if (field.p[0] != '/' || field.n >= VFS_PATH_MAX || memchr(field.p, 0, field.n))
		return NULL;
	path = kmalloc(field.n + 1);
	if (!path)
		return NULL;
	memcpy(path, field.p, field.n);
	path[field.n] = '\0';
	return path;
}

int account_find(struct bytes user, struct account *a)
{
	struct bytes users = read_table("/etc/passwd");
	struct passwd p;
	int err = 0;

	*a = (struct account){ 0 };
	if (user.n > SSH_USER_MAX || !passwd_find(users, user, &p) || p.locked) {
		err = -ENOENT;
	} else {
		a->uid = p.uid;
		a->gid = a->groups[0] = p.gid;
		a->nr_groups = 1;
		a->home = path_of(p.home, "/");
		a->shell = path_of(p.shell, "/bin/sh");
		err = a->home && a->shell ? 0 : -ENOMEM;
	}
	kfree((void *)users.p);
	if (err)
		account_free(a);
	return err;
}

void account_find_groups(struct bytes user, struct account *a)
{
	struct bytes groups = read_table("/etc/group");

	a->nr_groups = 1 + group_list(groups, user, a->groups + 1, CRED_GROUPS - 1);
	kfree((void *)groups.p);
}

void account_free(struct account *a)
{
	kfree(a->home);
	kfree(a->shell);
	a->home = a->shell = NULL;
}
