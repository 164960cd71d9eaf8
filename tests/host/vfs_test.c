/* SPDX-License-Identifier: MIT */
/* sources: fs/vfs.c fs/namei.c fs/dcache.c fs/inode.c fs/attr.c fs/mount.c fs/filelock.c fs/pipe.c fs/tmpfs.c fs/page_index.c fs/devfs.c fs/procfs.c fs/init.c fs/initramfs.c fs/file.c fs/epoll.c sched/poll.c lib/cpio.c lib/rbtree.c lib/fmt.c lib/string.c @tests/host/fs_env.sources */
#include "fs/dcache.h"
#include "fs/devfs.h"
#include "fs/names.h"
#include "fs/page_index.h"
#include "fs/procfs.h"
#include "fs/tmpfs.h"
#include "mm/phys/page.h"
#include "mm/vm/space.h"
#include "tests/host/fs_env.h"
#include "tests/host/test.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int procfs_register_basic(void)
{
	return 0;
}

int vfs_first_files(void)
{
	return 0;
}

static struct vfs_context root, user;
static uint64_t base_objects;

static void begin(void)
{
	CHECK_EQ(vfs_init(), 0);
	root.root = vfs_root();
	root.cwd = vfs_root();
	root.umask = 022;
	user = root;
	user.cred.uid = 1000;
	user.cred.gid = 100;
	base_objects = env_objects;
}

/* Everything that was made is gone. */
static void end_clean(void)
{
	CHECK_EQ(env_objects, base_objects);
	CHECK_EQ(tmpfs_pages(), 0);
}

/* What the buckets of names are found by comes from the random generator, all of it. */
TEST(names_are_hashed_by_a_secret)
{
	env_random = 0;
	begin();
	CHECK(env_random >= 4);
	CHECK_EQ(name_hash_start(NULL), dcache_seed);
	CHECK_EQ(name_hash_add(0, 1), dcache_multiplier);
	CHECK(dcache_multiplier % 2 == 1);
}

static struct file *open_as(const struct vfs_context *ctx, const char *path, uint32_t flags,
			    int want)
{
	struct file *f = NULL;
	int err = vfs_open(ctx, NULL, path, flags, 0666, &f);

	if (err != want)
		test_fail(__FILE__, __LINE__, "open %s %o: %d, not %d", path, flags, err, want);
	return f;
}

#define OPEN_FAILS(path, flags, err) ((void)open_as(&root, path, flags, err))

static void make_file(const char *path, const char *text)
{
	struct file *f = open_as(&root, path, FILE_WRONLY | VFS_O_CREAT | VFS_O_TRUNC, 0);

	CHECK_EQ(file_write_kernel(f, text, strlen(text)), strlen(text));
	file_put(f);
}

static const char *contents(const char *path)
{
	static char buf[5000];
	struct file *f = open_as(&root, path, FILE_RDONLY, 0);
	ssize_t n = file_read_kernel(f, buf, sizeof(buf) - 1);

	CHECK(n >= 0);
	buf[n] = '\0';
	file_put(f);
	return buf;
}

static struct kstat stat_of(const char *path)
{
	struct kstat st;

	CHECK_EQ(vfs_stat(&root, NULL, path, false, &st), 0);
	return st;
}

static int exists(const char *path)
{
	struct kstat st;

	return vfs_stat(&root, NULL, path, false, &st);
}

TEST(vfs_files_and_directories)
{
	struct kstat st;

	begin();
	CHECK_EQ(vfs_mkdir(&root, NULL, "/a", 0777), 0);
	CHECK_EQ(vfs_mkdir(&root, NULL, "a/b/", 0777), 0);
	CHECK_EQ(vfs_mkdir(&root, NULL, "/a", 0777), -EEXIST);
	CHECK_EQ(vfs_mkdir(&root, NULL, "/", 0777), -EEXIST);
	CHECK_EQ(vfs_mkdir(&root, NULL, "/x/y", 0777), -ENOENT);
	make_file("/a/b/f", "hello");
	CHECK_STR(contents("a//b/./../b/f"), "hello");
	CHECK_STR(contents("../../a/b/f"), "hello");
	st = stat_of("/a/b/f");
	CHECK_EQ(st.mode, S_IFREG | 0644);
	CHECK_EQ(st.size, 5);
	CHECK_EQ(st.blocks, 8);
	CHECK_EQ(stat_of("/a").nlink, 3);
	CHECK_EQ(exists("/a/b/f/"), -ENOTDIR);
	CHECK_EQ(exists("/a/b/f/g"), -ENOTDIR);
	CHECK_EQ(exists(""), -ENOENT);
	CHECK_EQ(vfs_unlink(&root, NULL, "/a/b", true), -ENOTEMPTY);
	CHECK_EQ(vfs_unlink(&root, NULL, "/a/b", false), -EISDIR);
	CHECK_EQ(vfs_unlink(&root, NULL, "/a/b/f", true), -ENOTDIR);
	CHECK_EQ(vfs_unlink(&root, NULL, "/a/b/f", false), 0);
	CHECK_EQ(vfs_unlink(&root, NULL, "/a/b/f", false), -ENOENT);
	CHECK_EQ(exists("/a/b/f"), -ENOENT);
	CHECK_EQ(vfs_unlink(&root, NULL, "/a/b", true), 0);
	CHECK_EQ(stat_of("/a").nlink, 2);
	CHECK_EQ(vfs_unlink(&root, NULL, "/a", true), 0);
	CHECK_EQ(vfs_unlink(&root, NULL, "/", true), -EBUSY);
	CHECK_EQ(vfs_unlink(&root, NULL, "/dev", true), -EBUSY);
	end_clean();
}

/* REL-006 and the rest of open's flags. */
TEST(vfs_open_flags)
{
	struct file *f;
	char c;

	begin();
	OPEN_FAILS("/f", FILE_RDONLY, -ENOENT);
	make_file("/f", "0123456789");
	OPEN_FAILS("/f", VFS_O_CREAT | VFS_O_EXCL, -EEXIST);
	OPEN_FAILS("/f", VFS_O_DIRECTORY, -ENOTDIR);
	OPEN_FAILS("/", FILE_WRONLY, -EISDIR);
	OPEN_FAILS("/", VFS_O_CREAT, -EISDIR);
	OPEN_FAILS("/new/", VFS_O_CREAT | FILE_RDWR, -EISDIR);
	OPEN_FAILS("/f", VFS_O_DIRECT, -EINVAL);
	OPEN_FAILS("/f", VFS_O_ASYNC, -EINVAL);
	OPEN_FAILS("/", VFS_O_TMPFILE | FILE_RDWR, -EINVAL);
	OPEN_FAILS("/", VFS_O_TMPFILE | VFS_O_DIRECTORY, -EINVAL);
	/* what Linux ignores; and access mode 3, which neither reads nor writes */
	f = open_as(&root, "/f", BIT(30) | BIT(29) | FILE_RDWR, 0);
	CHECK_EQ(f->flags, FILE_RDWR);
	file_put(f);
	f = open_as(&root, "/f", 3, 0);
	CHECK_EQ(file_read_kernel(f, &c, 1), -EBADF);
	CHECK_EQ(file_write_kernel(f, &c, 1), -EBADF);
	file_put(f);
	f = open_as(&root, "/f",
		    VFS_O_SYNC | VFS_O_LARGEFILE | VFS_O_NOFOLLOW | VFS_O_NOATIME | VFS_O_CLOEXEC,
		    0);
	CHECK_EQ(f->flags, VFS_O_SYNC | VFS_O_LARGEFILE | VFS_O_NOFOLLOW | VFS_O_NOATIME);
	file_put(f);
	OPEN_FAILS("/f", VFS_O_CREAT | VFS_O_DIRECTORY, -EINVAL);
	f = open_as(&root, "/f", FILE_RDWR | FILE_APPEND, 0);
	CHECK_EQ(file_write_kernel(f, "ab", 2), 2);
	CHECK_EQ(file_seek(f, 0, 0), 0);
	CHECK_EQ(file_read_kernel(f, &c, 1), 1);
	CHECK_EQ(c, '0');
	CHECK_EQ(file_write_kernel(f, "c", 1), 1);
	file_put(f);
	CHECK_STR(contents("/f"), "0123456789abc");
	f = open_as(&root, "/f", FILE_RDONLY, 0);
	CHECK_EQ(file_write_kernel(f, "x", 1), -EBADF);
	file_put(open_as(&root, "/f", FILE_WRONLY | VFS_O_TRUNC, 0));
	CHECK_EQ(file_read_kernel(f, &c, 1), 0);
	file_put(f);
	CHECK_EQ(stat_of("/f").size, 0);
	CHECK_EQ(stat_of("/f").blocks, 0);
	CHECK_EQ(tmpfs_pages(), 0);
	f = open_as(&root, "/f", VFS_O_PATH | FILE_RDWR, 0);
	CHECK_EQ(file_read_kernel(f, &c, 1), -EBADF);
	CHECK_EQ(file_write_kernel(f, &c, 1), -EBADF);
	CHECK_EQ(file_seek(f, 0, 0), -EBADF);
	file_put(f);
	CHECK_EQ(vfs_unlink(&root, NULL, "f", false), 0);
	end_clean();
}

TEST(vfs_seek_holes_and_truncate)
{
	struct file *f;
	char buf[9000];
	struct io io;
	off_t at;

	begin();
	f = open_as(&root, "/f", FILE_RDWR | VFS_O_CREAT, 0);
	CHECK_EQ(file_seek(f, 5000000000, 0), 5000000000);
	CHECK_EQ(file_write_kernel(f, "end", 3), 3);
	CHECK_EQ(tmpfs_pages(), 1);
	CHECK_EQ(file_seek(f, -3, 2), 5000000000);
	CHECK_EQ(file_seek(f, -9, 0), -EINVAL);
	CHECK_EQ(file_seek(f, INT64_MAX, 2), -EINVAL);
	CHECK_EQ(file_seek(f, 0, 7), -EINVAL);
	at = 4999999998;
	io_init_kernel(&io, buf, 100);
	CHECK_EQ(file_read_at(f, &io, &at), 5);
	CHECK_MEM(buf, "\0\0end", 5);
	CHECK_EQ(file_truncate(f, 5000000001), 0);
	CHECK_EQ(file_truncate(f, 5000000010), 0);
	at = 5000000000;
	io_init_kernel(&io, buf, 100);
	CHECK_EQ(file_read_at(f, &io, &at), 10);
	CHECK_MEM(buf, "e\0\0\0\0\0\0\0\0\0", 10);
	CHECK_EQ(file_truncate(f, 0), 0);
	CHECK_EQ(tmpfs_pages(), 0);
	CHECK_EQ(file_truncate(f, -1), -EINVAL);
	CHECK_EQ(file_seek(f, INT64_MAX, 0), INT64_MAX);
	CHECK_EQ(file_write_kernel(f, "x", 1), -EFBIG);
	memset(buf, 'q', sizeof(buf));
	CHECK_EQ(file_seek(f, 100, 0), 100);
	CHECK_EQ(file_write_kernel(f, buf, sizeof(buf)), sizeof(buf));
	CHECK_EQ(stat_of("/f").blocks, 24);
	alloc_fail_after(2);
	CHECK_EQ(file_seek(f, 100 * 4096, 0), 100 * 4096);
	CHECK_EQ(file_write_kernel(f, buf, sizeof(buf)), -ENOSPC);
	alloc_fail_after(0);
	file_put(f);
	CHECK_EQ(vfs_unlink(&root, NULL, "/f", false), 0);
	end_clean();
}

/* I-PGIX-1, whichever page comes first, and whichever allocation fails. */
TEST(page_index_keeps_no_empty_node)
{
	static const uint64_t numbers[] = { 0, 63, 64, 4095, 4096, 1UL << 40 };
	const uint64_t before = env_objects;
	struct page_index ix = { 0 };
	uint64_t number;
	char page;

	for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++) {
		env_fail_in = 1;
		for (uint64_t n = 1;
		     page_index_insert(&ix, numbers[i], (struct page *)&page) < 0;) {
			CHECK(!ix.root);
			CHECK_EQ(env_objects, before);
			env_fail_in = ++n;
		}
		env_fail_in = 0;
		CHECK(page_index_take(&ix, 0, UINT64_MAX, &number) == (struct page *)&page);
		CHECK_EQ(number, numbers[i]);
		CHECK(!ix.root);
		CHECK_EQ(env_objects, before);
	}
}

TEST(vfs_files_have_their_share_of_memory)
{
	static char buf[5 * 4096];
	struct file *f;

	begin();
	/* three pages of bytes, and one of names */
	tmpfs_set_limit(4);
	f = open_as(&root, "/f", FILE_RDWR | VFS_O_CREAT, 0);
	CHECK_EQ(file_write_kernel(f, buf, sizeof(buf)), 3 * 4096);
	CHECK_EQ(file_write_kernel(f, buf, 1), -ENOSPC);
	CHECK_EQ(file_seek(f, 0, 0), 0);
	CHECK_EQ(file_write_kernel(f, buf, 4096), 4096);
	CHECK_EQ(file_truncate(f, 4096), 0);
	CHECK_EQ(file_write_kernel(f, buf, 4096), 4096);
	/* the end of a built-in program is not refused */
	struct file *built_in = open_as(&root, "/b", FILE_RDWR | VFS_O_CREAT, 0);
	struct vm_backing *b;
	struct page *p;

	CHECK_EQ(file_write_kernel(f, buf, sizeof(buf)), 4096);
	tmpfs_set_in_place(built_in->inode, "end", 3);
	CHECK_EQ(built_in->ops->mmap(built_in, &(unsigned){ 0 }, &b), 0);
	CHECK_EQ(b->fill(b, 0, &p), 0);
	page_put(p);
	/* a fault behind them is not told that there is no memory: nobody's end would help. Memory without a name has what there is */
	CHECK_EQ(file_truncate(f, 1L << 20), 0);
	b->release(b);
	CHECK_EQ(f->ops->mmap(f, &(unsigned){ 0 }, &b), 0);
	CHECK_EQ(b->fill(b, 100, &p), -EIO);
	b->release(b);
	CHECK_EQ(tmpfs_memory_create(4096, &b), 0);
	CHECK_EQ(b->fill(b, 0, &p), 0);
	page_put(p);
	b->release(b);
	file_put(built_in);
	file_put(f);
	CHECK_EQ(vfs_unlink(&root, NULL, "/b", false), 0);
	CHECK_EQ(vfs_unlink(&root, NULL, "/f", false), 0);
	tmpfs_set_limit(UINT64_MAX);
	end_clean();
}

TEST(vfs_unlinked_file_lives_while_open)
{
	struct file *f;
	char buf[6] = "";

	begin();
	make_file("/f", "alive");
	f = open_as(&root, "/f", FILE_RDWR, 0);
	CHECK_EQ(vfs_unlink(&root, NULL, "/f", false), 0);
	CHECK_EQ(file_read_kernel(f, buf, 5), 5);
	CHECK_STR(buf, "alive");
	CHECK_EQ(vfs_path_of(&root, f->dentry, buf, sizeof(buf)), -ENOENT);
	make_file("/f", "other");
	CHECK_EQ(file_seek(f, 0, 0), 0);
	CHECK_EQ(file_read_kernel(f, buf, 5), 5);
	CHECK_STR(buf, "alive");
	file_put(f);
	CHECK_EQ(vfs_unlink(&root, NULL, "/f", false), 0);
	end_clean();
}

TEST(vfs_symbolic_links)
{
	struct file *f;
	char buf[100], name[40];

	begin();
	CHECK_EQ(vfs_mkdir(&root, NULL, "/d", 0755), 0);
	CHECK_EQ(vfs_symlink(&root, "../d/file", NULL, "/d/rel"), 0);
	CHECK_EQ(vfs_symlink(&root, "/d", NULL, "/dlink"), 0);
	CHECK_EQ(vfs_symlink(&root, "loop2", NULL, "/loop1"), 0);
	CHECK_EQ(vfs_symlink(&root, "loop1", NULL, "/loop2"), 0);
	CHECK_EQ(vfs_symlink(&root, "", NULL, "/e"), -ENOENT);
	/* through a dangling link, O_CREAT makes the target */
	OPEN_FAILS("/d/rel", FILE_RDONLY, -ENOENT);
	OPEN_FAILS("/d/rel", VFS_O_CREAT | VFS_O_EXCL | FILE_RDWR, -EEXIST);
	make_file("/d/rel", "made");
	CHECK_STR(contents("/dlink/file"), "made");
	CHECK_STR(contents("/dlink/rel"), "made");
	OPEN_FAILS("/loop1", FILE_RDONLY, -ELOOP);
	OPEN_FAILS("/d/rel", VFS_O_NOFOLLOW, -ELOOP);
	CHECK_EQ(vfs_readlink(&root, NULL, "/d/rel", buf, sizeof(buf)), 9);
	CHECK_MEM(buf, "../d/file", 9);
	CHECK_EQ(vfs_readlink(&root, NULL, "/d/rel", buf, 4), 4);
	CHECK_EQ(vfs_readlink(&root, NULL, "/d", buf, 4), -EINVAL);
	CHECK_EQ(stat_of("/dlink").mode, S_IFLNK | 0777);
	CHECK_EQ(stat_of("/dlink").size, 2);
	CHECK_EQ(stat_of("/dlink/").mode, S_IFDIR | 0755);
	f = open_as(&root, "/dlink", VFS_O_PATH | VFS_O_NOFOLLOW, 0);
	CHECK_EQ(f->inode->mode & S_IFMT, S_IFLNK);
	file_put(f);
	/* 40 links are followed, 41 are not */
	CHECK_EQ(vfs_symlink(&root, "d", NULL, "/l0"), 0);
	for (int i = 1; i <= 40; i++) {
		snprintf(buf, sizeof(buf), "l%d", i - 1);
		snprintf(name, sizeof(name), "/l%d", i);
		CHECK_EQ(vfs_symlink(&root, buf, NULL, name), 0);
	}
	file_put(open_as(&root, "/l39", VFS_O_DIRECTORY, 0));
	OPEN_FAILS("/l40", VFS_O_DIRECTORY, -ELOOP);
	for (int i = 0; i <= 40; i++) {
		snprintf(name, sizeof(name), "/l%d", i);
		CHECK_EQ(vfs_unlink(&root, NULL, name, false), 0);
	}
	CHECK_EQ(vfs_unlink(&root, NULL, "/dlink", false), 0);
	CHECK_EQ(vfs_unlink(&root, NULL, "/loop1", false), 0);
	CHECK_EQ(vfs_unlink(&root, NULL, "/loop2", false), 0);
	CHECK_EQ(vfs_unlink(&root, NULL, "/d/rel", false), 0);
	CHECK_EQ(vfs_unlink(&root, NULL, "/d/file", false), 0);
	CHECK_EQ(vfs_unlink(&root, NULL, "/d", true), 0);
	end_clean();
}

TEST(vfs_long_paths)
{
	static char path[VFS_PATH_MAX + 300];

	begin();
	memset(path, 'n', 256);
	CHECK_EQ(vfs_mkdir(&root, NULL, path, 0755), -ENAMETOOLONG);
	path[255] = '\0';
	CHECK_EQ(vfs_mkdir(&root, NULL, path, 0755), 0);
	CHECK_EQ(exists(path), 0);
	CHECK_EQ(vfs_unlink(&root, NULL, path, true), 0);
	memset(path, '/', VFS_PATH_MAX);
	CHECK_EQ(exists(path), -ENAMETOOLONG);
	path[VFS_PATH_MAX - 1] = '\0';
	CHECK_EQ(exists(path), 0);
	for (int i = 0; i + 1 < VFS_PATH_MAX - 1; i += 2)
		memcpy(path + i, "./", 2);
	CHECK_EQ(exists(path), 0);
	end_clean();
}

TEST(vfs_hard_links)
{
	begin();
	make_file("/a", "one");
	CHECK_EQ(vfs_mkdir(&root, NULL, "/d", 0755), 0);
	CHECK_EQ(vfs_link(&root, NULL, "/a", 0, NULL, "/d/b"), 0);
	CHECK_EQ(vfs_link(&root, NULL, "/a", 0, NULL, "/d/b"), -EEXIST);
	CHECK_EQ(vfs_link(&root, NULL, "/d", 0, NULL, "/e"), -EPERM);
	CHECK_EQ(vfs_link(&root, NULL, "/a", 0, NULL, "/dev/b"), -EXDEV);
	CHECK_EQ(stat_of("/a").nlink, 2);
	CHECK_EQ(stat_of("/a").ino, stat_of("/d/b").ino);
	/* two names of one file: nothing is done */
	CHECK_EQ(vfs_rename(&root, NULL, "/a", NULL, "/d/b", 0), 0);
	CHECK_EQ(stat_of("/a").nlink, 2);
	CHECK_EQ(vfs_unlink(&root, NULL, "/a", false), 0);
	CHECK_STR(contents("/d/b"), "one");
	CHECK_EQ(stat_of("/d/b").nlink, 1);
	CHECK_EQ(vfs_unlink(&root, NULL, "/d/b", false), 0);
	CHECK_EQ(vfs_unlink(&root, NULL, "/d", true), 0);
	end_clean();
}

TEST(vfs_rename)
{
	char path[100];
	struct dentry *c;

	begin();
	CHECK_EQ(vfs_mkdir(&root, NULL, "/a", 0755), 0);
	CHECK_EQ(vfs_mkdir(&root, NULL, "/b", 0755), 0);
	CHECK_EQ(vfs_mkdir(&root, NULL, "/a/c", 0755), 0);
	make_file("/a/f", "F");
	make_file("/b/a name that is longer than what lies within a dentry", "G");
	CHECK_EQ(vfs_rename(&root, NULL, "/a/f", NULL, "/b/f", 0), 0);
	CHECK_EQ(exists("/a/f"), -ENOENT);
	CHECK_STR(contents("/b/f"), "F");
	CHECK_EQ(vfs_rename(&root, NULL, "/b/f", NULL,
			    "/b/another name that is longer than what lies within a dentry", 0),
		 0);
	CHECK_EQ(vfs_rename(&root, NULL, "/b/a name that is longer than what lies within a dentry",
			    NULL, "/b/g", 0),
		 0);
	CHECK_STR(contents("/b/g"), "G");
	CHECK_EQ(vfs_rename(&root, NULL,
			    "/b/another name that is longer than what lies within a dentry", NULL,
			    "/b/g", 0),
		 0);
	CHECK_STR(contents("/b/g"), "F");
	/* directories: not below themselves, not over files or full ones */
	CHECK_EQ(vfs_rename(&root, NULL, "/a", NULL, "/a/c/x", 0), -EINVAL);
	CHECK_EQ(vfs_rename(&root, NULL, "/a", NULL, "/a/c", 0), -EINVAL);
	CHECK_EQ(vfs_rename(&root, NULL, "/a", NULL, "/b/g", 0), -ENOTDIR);
	CHECK_EQ(vfs_rename(&root, NULL, "/b/g", NULL, "/a", 0), -EISDIR);
	CHECK_EQ(vfs_rename(&root, NULL, "/a/c", NULL, "/b", 0), -ENOTEMPTY);
	CHECK_EQ(vfs_rename(&root, NULL, "/b/g", NULL, "/b/h/", 0), -ENOTDIR);
	CHECK_EQ(vfs_rename(&root, NULL, "/a", NULL, "/dev/x", 0), -EXDEV);
	CHECK_EQ(vfs_rename(&root, NULL, "/dev", NULL, "/x", 0), -EBUSY);
	CHECK_EQ(vfs_rename(&root, NULL, "/", NULL, "/x", 0), -EBUSY);
	CHECK_EQ(vfs_rename(&root, NULL, "/nothing", NULL, "/x", 0), -ENOENT);
	CHECK_EQ(vfs_rename(&root, NULL, "/a/c", NULL, "/a/c", 0), 0);
	CHECK_EQ(vfs_lookup_dir(&root, NULL, "/a/c", &c), 0);
	CHECK_EQ(vfs_rename(&root, NULL, "/a", NULL, "/b/moved", 0), 0);
	CHECK_EQ(stat_of("/b").nlink, 3);
	CHECK_EQ(vfs_path_of(&root, c, path, sizeof(path)), 11);
	CHECK_STR(path, "/b/moved/c");
	CHECK_EQ(vfs_path_of(&root, c, path, 10), -ERANGE);
	CHECK_EQ(vfs_path_of(&root, root.root, path, 10), 2);
	dentry_put(c);
	CHECK_EQ(vfs_unlink(&root, NULL, "/b/moved/c", true), 0);
	CHECK_EQ(vfs_mkdir(&root, NULL, "/empty", 0755), 0);
	CHECK_EQ(vfs_rename(&root, NULL, "/b/moved", NULL, "/empty", 0), 0);
	CHECK_EQ(stat_of("/b").nlink, 2);
	CHECK_EQ(vfs_unlink(&root, NULL, "/empty", true), 0);
	CHECK_EQ(vfs_unlink(&root, NULL, "/b/g", false), 0);
	CHECK_EQ(vfs_unlink(&root, NULL, "/b", true), 0);
	end_clean();
}

TEST(vfs_removed_directory_takes_no_names)
{
	struct dentry *d;
	struct file *f;

	begin();
	CHECK_EQ(vfs_mkdir(&root, NULL, "/d", 0755), 0);
	CHECK_EQ(exists("/d/none"), -ENOENT);
	CHECK_EQ(vfs_lookup_dir(&root, NULL, "/d", &d), 0);
	CHECK_EQ(vfs_unlink(&root, NULL, "/d", true), 0);
	CHECK_EQ(vfs_open(&root, d, "f", VFS_O_CREAT | FILE_RDWR, 0644, &f), -ENOENT);
	CHECK_EQ(vfs_mkdir(&root, d, "e", 0755), -ENOENT);
	CHECK_EQ(vfs_open(&root, d, "f", FILE_RDONLY, 0, &f), -ENOENT);
	make_file("/x", "");
	CHECK_EQ(vfs_rename(&root, NULL, "/x", d, "x", 0), -ENOENT);
	CHECK_EQ(vfs_unlink(&root, NULL, "/x", false), 0);
	dentry_put(d);
	end_clean();
}

TEST(vfs_permissions)
{
	begin();
	CHECK_EQ(vfs_mkdir(&root, NULL, "/p", 0700), 0);
	make_file("/p/f", "x");
	CHECK_EQ(vfs_access(&user, NULL, "/p/f", VFS_FOLLOW, 0), -EACCES);
	(void)open_as(&user, "/new", VFS_O_CREAT | FILE_RDWR, -EACCES);
	CHECK_EQ(vfs_mkdir(&user, NULL, "/new", 0777), -EACCES);
	CHECK_EQ(vfs_chmod(&user, NULL, "/p", VFS_FOLLOW, 0777), -EPERM);
	CHECK_EQ(vfs_chmod(&root, NULL, "/p", VFS_FOLLOW, 01777), 0);
	file_put(open_as(&user, "/p/f", FILE_RDONLY, 0));
	(void)open_as(&user, "/p/f", FILE_WRONLY, -EACCES);
	(void)open_as(&user, "/p/f", FILE_RDONLY | VFS_O_TRUNC, -EACCES);
	CHECK_STR(contents("/p/f"), "x");
	/* sticky: only one's own */
	CHECK_EQ(vfs_unlink(&user, NULL, "/p/f", false), -EPERM);
	file_put(open_as(&user, "/p/mine", VFS_O_CREAT | FILE_RDWR, 0));
	CHECK_EQ(stat_of("/p/mine").uid, 1000);
	CHECK_EQ(vfs_rename(&user, NULL, "/p/mine", NULL, "/p/f", 0), -EPERM);
	CHECK_EQ(vfs_chmod(&user, NULL, "/p/mine", VFS_FOLLOW, 0600), 0);
	CHECK_EQ(vfs_access(&user, NULL, "/p/mine", VFS_FOLLOW, 6), 0);
	CHECK_EQ(vfs_chmod(&user, NULL, "/p/mine", VFS_FOLLOW, 0066), 0);
	CHECK_EQ(vfs_access(&user, NULL, "/p/mine", VFS_FOLLOW, 4), -EACCES);
	user.cred.gid = 5;
	CHECK_EQ(vfs_chmod(&user, NULL, "/p/mine", VFS_FOLLOW, 0600), 0);
	user.cred.gid = 100;
	CHECK_EQ(vfs_chown(&user, NULL, "/p/mine", VFS_FOLLOW, 0, UINT32_MAX), -EPERM);
	CHECK_EQ(vfs_chown(&user, NULL, "/p/mine", VFS_FOLLOW, 1000, 100), 0);
	CHECK_EQ(vfs_chown(&user, NULL, "/p/mine", VFS_FOLLOW, UINT32_MAX, 5), -EPERM);
	CHECK_EQ(vfs_access(&root, NULL, "/p/mine", VFS_FOLLOW, 1), -EACCES);
	CHECK_EQ(vfs_access(&root, NULL, "/p/mine", VFS_FOLLOW, 6), 0);
	CHECK_EQ(vfs_unlink(&user, NULL, "/p/mine", false), 0);
	CHECK_EQ(vfs_unlink(&root, NULL, "/p/f", false), 0);
	CHECK_EQ(vfs_unlink(&root, NULL, "/p", true), 0);
	end_clean();
}

struct listing {
	char text[4000];
	unsigned room;
	bool changed;
};

static int reads_warily(const char *path)
{
	struct vfs_context wary = root;
	struct file *f;
	int err;

	wary.wary = true;
	wary.wary_of_all_but = 1000;
	err = vfs_open(&wary, NULL, path, FILE_RDONLY, 0, &f);
	if (!err)
		file_put(f);
	return err;
}

/* A directory that another may write decides nothing, whether it is in the path, or holds a link, or is where one leads. */
TEST(vfs_wary_of_directories)
{
	begin();
	CHECK_EQ(vfs_mkdir(&root, NULL, "/own", 0755), 0);
	CHECK_EQ(vfs_chown(&root, NULL, "/own", 0, 1000, 100), 0);
	CHECK_EQ(vfs_mkdir(&root, NULL, "/own/sub", 0755), 0);
	CHECK_EQ(vfs_mkdir(&root, NULL, "/shared", 0755), 0);
	make_file("/own/sub/keys", "k");
	make_file("/shared/keys", "k");
	CHECK_EQ(vfs_symlink(&root, "/shared/keys", NULL, "/own/to_shared"), 0);
	CHECK_EQ(vfs_symlink(&root, "/own/sub/keys", NULL, "/shared/back"), 0);
	CHECK_EQ(vfs_symlink(&root, "/shared/back", NULL, "/own/round"), 0);
	CHECK_EQ(vfs_symlink(&root, "sub", NULL, "/own/link"), 0);
	for (unsigned i = 0; i < 4; i++) {
		static const uint32_t modes[] = { 0755, 0777, 0775, 01777 };
		int want = i == 0 ? 0 : -EPERM;

		CHECK_EQ(vfs_chmod(&root, NULL, "/shared", 0, modes[i]), 0);
		CHECK_EQ(reads_warily("/own/link/keys"), 0);
		CHECK_EQ(reads_warily("/shared/keys"), want);
		CHECK_EQ(reads_warily("/own/to_shared"), want);
		CHECK_EQ(reads_warily("/own/round"), want);
		CHECK_EQ(reads_warily("/shared/../own/sub/keys"), want);
	}
	CHECK_EQ(vfs_chmod(&root, NULL, "/shared", 0, 0755), 0);
	CHECK_EQ(vfs_chown(&root, NULL, "/shared", 0, 1001, 100), 0);
	CHECK_EQ(reads_warily("/own/round"), -EPERM);
	CHECK_EQ(vfs_chown(&root, NULL, "/own/sub", 0, 1001, 100), 0);
	CHECK_EQ(reads_warily("/own/link/keys"), -EPERM);
	CHECK_EQ(reads_warily("/own/sub/keys"), -EPERM);
}

static bool list_one(void *arg, const char *name, size_t len, uint64_t ino, uint8_t type,
		     off_t next)
{
	struct listing *l = arg;

	if (l->room == 0)
		return false;
	l->room--;
	sprintf(l->text + strlen(l->text), "%.*s%s ", (int)len, name, type == 4 ? "/" : "");
	return true;
}

TEST(vfs_listing_goes_on_where_it_stopped)
{
	struct listing l = { .text = "" };
	struct file *f;
	char name[20];

	begin();
	CHECK_EQ(vfs_mkdir(&root, NULL, "/d", 0755), 0);
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "/d/%d", i);
		make_file(name, "");
	}
	CHECK_EQ(exists("/d/nothing"), -ENOENT);
	f = open_as(&root, "/d", FILE_RDONLY, 0);
	for (int i = 0; i < 8; i++) {
		l.room = 2;
		CHECK_EQ(file_iterate(f, list_one, &l), 0);
		if (i == 2)
			CHECK_EQ(vfs_unlink(&root, NULL, "/d/3", false), 0);
		if (i == 2)
			CHECK_EQ(vfs_unlink(&root, NULL, "/d/4", false), 0);
	}
	CHECK_STR(l.text, "./ ../ 0 1 2 3 5 6 7 8 9 ");
	CHECK_EQ(file_seek(f, 0, 0), 0);
	l = (struct listing){ .room = 3 };
	CHECK_EQ(file_iterate(f, list_one, &l), 0);
	CHECK_STR(l.text, "./ ../ 0 ");
	CHECK_EQ(file_read_kernel(f, name, 1), -EISDIR);
	file_put(f);
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "/d/%d", i);
		if (i != 3 && i != 4)
			CHECK_EQ(vfs_unlink(&root, NULL, name, false), 0);
	}
	CHECK_EQ(vfs_unlink(&root, NULL, "/d", true), 0);
	end_clean();
}

/* Each allocation of an operation fails in turn: an error, and nothing is left behind. */
TEST(vfs_no_memory)
{
	bool done = false;

	begin();
	for (uint64_t n = 1; !done; n++) {
		struct file *f;
		int err;

		alloc_fail_after(n);
		done = true;
		err = vfs_mkdir(&root, NULL, "/dir", 0755);
		CHECK(err == 0 || err == -ENOMEM);
		done &= !err;
		err = vfs_open(&root, NULL, "/f", VFS_O_CREAT | FILE_RDWR, 0644, &f);
		CHECK(err == 0 || err == -ENOMEM);
		done &= !err;
		if (!err) {
			ssize_t w = file_write_kernel(f, "x", 1);

			CHECK(w == 1 || w == -ENOSPC);
			done &= w == 1;
			file_put(f);
		}
		err = vfs_symlink(&root, "/f", NULL, "/l");
		CHECK(err == 0 || err == -ENOMEM);
		done &= !err;
		err = vfs_open(&root, NULL, "/l", FILE_RDONLY, 0, &f);
		done &= !err;
		if (!err)
			file_put(f);
		err = vfs_rename(&root, NULL, "/f", NULL,
				 "/a rather long name for a file in this place", 0);
		done &= !err;
		alloc_fail_after(0);
		(void)vfs_unlink(&root, NULL, "/f", false);
		(void)vfs_unlink(&root, NULL, "/a rather long name for a file in this place",
				 false);
		(void)vfs_unlink(&root, NULL, "/l", false);
		(void)vfs_unlink(&root, NULL, "/dir", true);
		end_clean();
	}
}

TEST(vfs_absent_names_cost_nothing)
{
	char name[20];

	begin();
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "/no%d", i);
		CHECK_EQ(exists(name), -ENOENT);
	}
	CHECK_EQ(env_objects, base_objects);
	make_file("/no999", "now");
	CHECK_STR(contents("/no999"), "now");
	CHECK_EQ(vfs_unlink(&root, NULL, "/no999", false), 0);
	CHECK_EQ(exists("/no999"), -ENOENT);
	end_clean();
}

/* Names made while the hash grows: each is found, those that were moved over and those that were not. */
TEST(vfs_many_names)
{
	char name[20];

	begin();
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 3000; i++) {
			snprintf(name, sizeof(name), "/f%d", i);
			CHECK_EQ(exists(name), -ENOENT);
			make_file(name, "");
			snprintf(name, sizeof(name), "/f%d", i - i % 300);
			CHECK_EQ(exists(name), 0);
			snprintf(name, sizeof(name), "/f%d", i * 7 % (i + 1));
			CHECK_EQ(exists(name), 0);
		}
		for (int i = 0; i < 3000; i++) {
			snprintf(name, sizeof(name), "/f%d", i);
			CHECK_EQ(exists(name), 0);
			CHECK_EQ(vfs_unlink(&root, NULL, name, false), 0);
		}
	}
	CHECK_EQ(tmpfs_pages(), 0);
}

enum { MAPPED_PAGES = 20 };

static void *map_pages(void *arg)
{
	struct vm_backing *b = arg;
	struct page *p;

	for (int i = 0; i < 30000; i++) {
		if (b->fill(b, (uint64_t)(i * 7 % MAPPED_PAGES), &p))
			continue;
		CHECK(*(char *)page_addr(p) == 0 || *(char *)page_addr(p) == 'w');
		page_put(p);
	}
	return NULL;
}

/* Mapping a writable file gives it pages only where built-in ones lie: a hole stays one until it is touched. */
TEST(vfs_mapping_of_a_hole)
{
	struct vm_backing *b;
	struct page *p;
	struct file *f;

	begin();
	f = open_as(&root, "/f", VFS_O_CREAT | FILE_RDWR, 0);
	CHECK_EQ(file_truncate(f, 1L << 24), 0);
	CHECK_EQ(f->ops->mmap(f, &(unsigned){ 0 }, &b), 0);
	CHECK_EQ(tmpfs_pages(), 0);
	CHECK_EQ(b->fill(b, 5, &p), 0);
	page_put(p);
	CHECK_EQ(tmpfs_pages(), 1);
	b->release(b);
	file_put(f);
	CHECK_EQ(vfs_unlink(&root, NULL, "/f", false), 0);
	end_clean();
}

/* Pages are brought in by faults while the file is written and cut: none is lost, none is given back twice. */
TEST(vfs_mapping_against_writes)
{
	static char block[MAPPED_PAGES * 4096];
	struct vm_backing *b;
	pthread_t t[2];
	struct file *f;

	begin();
	memset(block, 'w', sizeof(block));
	f = open_as(&root, "/f", VFS_O_CREAT | FILE_RDWR, 0);
	CHECK_EQ(f->ops->mmap(f, &(unsigned){ 0 }, &b), 0);
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, map_pages, b);
	for (int i = 0; i < 1000; i++) {
		CHECK_EQ(file_truncate(f, 0), 0);
		CHECK_EQ(file_seek(f, 0, 0), 0);
		CHECK_EQ(file_truncate(f, sizeof(block)), 0);
		CHECK_EQ(file_write_kernel(f, block, sizeof(block)), sizeof(block));
	}
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	CHECK_EQ(file_truncate(f, 0), 0);
	CHECK_EQ(tmpfs_pages(), 0);
	CHECK_EQ(env_pages, 0);
	CHECK_EQ(stat_of("/f").blocks, 0);
	b->release(b);
	file_put(f);
	CHECK_EQ(vfs_unlink(&root, NULL, "/f", false), 0);
	end_clean();
}

/* --- threads on the same names; afterwards the cache, the listing and the counts agree --------------------- */

static void *storm(void *arg)
{
	uint64_t x = (uint64_t)(uintptr_t)arg * 2654435761u + test_seed;
	static const char *const names[] = { "/a",     "/b",   "/d/a", "/d/b",
					     "/d/e/a", "/e/x", "/d/e", "/e" };

	for (int i = 0; i < 6000 * test_scale; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		const char *p = names[(x >> 40) % 8], *q = names[(x >> 50) % 8];
		struct file *f;
		struct kstat st;

		switch ((x >> 33) % 8) {
		case 0:
		case 1:
			if (!vfs_open(&root, NULL, p, VFS_O_CREAT | FILE_RDWR, 0644, &f)) {
				CHECK_EQ(file_write_kernel(f, "x", 1), 1);
				file_put(f);
			}
			break;
		case 2:
			(void)!vfs_mkdir(&root, NULL, p, 0755);
			break;
		case 3:
			(void)!vfs_unlink(&root, NULL, p, (x >> 60) & 1);
			break;
		case 4:
			(void)!vfs_rename(&root, NULL, p, NULL, q, (x >> 60) % 3);
			break;
		case 5:
			(void)!vfs_link(&root, NULL, p, 0, NULL, q);
			break;
		case 6:
			(void)!vfs_symlink(&root, q, NULL, p);
			break;
		default:
			if (!vfs_stat(&root, NULL, p, true, &st))
				CHECK(st.ino > 0);
		}
	}
	return NULL;
}

struct sweep {
	char name[20][40];
	uint8_t type[20];
	unsigned n;
};

static bool sweep_one(void *arg, const char *name, size_t len, uint64_t ino, uint8_t type,
		      off_t next)
{
	struct sweep *s = arg;

	if (len <= 2 && name[0] == '.')
		return true;
	CHECK(s->n < 20 && len < 30);
	sprintf(s->name[s->n], "%.*s", (int)len, name);
	s->type[s->n++] = type;
	return true;
}

static void remove_tree(const char *path)
{
	struct sweep s = { .n = 0 };
	struct file *f = open_as(&root, path, FILE_RDONLY, 0);
	char below[200];

	CHECK_EQ(file_iterate(f, sweep_one, &s), 0);
	file_put(f);
	for (unsigned i = 0; i < s.n; i++) {
		snprintf(below, sizeof(below), "%s/%s", path, s.name[i]);
		if (!strcmp(below, "//dev") || !strcmp(below, "//proc") || !strcmp(below, "//sys"))
			continue;
		if (s.type[i] == 4)
			remove_tree(below);
		CHECK_EQ(vfs_unlink(&root, NULL, below, s.type[i] == 4), 0);
		CHECK_EQ(exists(below), -ENOENT);
	}
}

TEST(vfs_storm_on_the_same_names)
{
	pthread_t t[4];

	begin();
	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, storm, (void *)(i + 1));
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	remove_tree("/");
	CHECK_EQ(root.root->inode->nlink, 2);
	end_clean();
}

/* Two directories change places while others go through them, and a file system comes and goes in a third. What exists at
 * every moment is found at every moment. */
static bool walkers_stop;

static void *exchange(void *arg)
{
	(void)arg;
	while (!READ_ONCE(walkers_stop)) {
		CHECK_EQ(vfs_rename(&root, NULL, "/w/a/d", NULL, "/w/b", VFS_RENAME_EXCHANGE), 0);
		CHECK_EQ(vfs_rename(&root, NULL, "/w/b", NULL, "/w/a/d", VFS_RENAME_EXCHANGE), 0);
	}
	return NULL;
}

static void *come_and_go(void *arg)
{
	(void)arg;
	while (!READ_ONCE(walkers_stop)) {
		CHECK_EQ(vfs_mount(&root, "tmpfs", "/w/m", 0, NULL), 0);
		make_file("/w/m/f", "x");
		CHECK_EQ(vfs_umount(&root, "/w/m", 2), 0);
	}
	return NULL;
}

static void *walk(void *arg)
{
	static const char *const always[] = { "/w/a/d/f", "/w/b/f",  "/w/a/d/../d/f",
					      "/w/b/.",	  "/w/m/..", "/w/m/../b/f" };
	struct kstat st;

	(void)arg;
	for (int i = 0; i < 4000 * test_scale; i++) {
		CHECK_EQ(exists(always[i % 6]), 0);
		if (vfs_stat(&root, NULL, "/w/m/f", 0, &st) == 0)
			CHECK(st.size <= 1);
	}
	return NULL;
}

TEST(vfs_walks_against_changes)
{
	pthread_t changers[2], walkers[2];

	begin();
	for (const char *const *d =
		     (const char *const[]){ "/w", "/w/a", "/w/a/d", "/w/b", "/w/m", NULL };
	     *d; d++)
		CHECK_EQ(vfs_mkdir(&root, NULL, *d, 0755), 0);
	make_file("/w/a/d/f", "");
	make_file("/w/b/f", "");
	walkers_stop = false;
	pthread_create(&changers[0], NULL, exchange, NULL);
	pthread_create(&changers[1], NULL, come_and_go, NULL);
	for (int i = 0; i < 2; i++)
		pthread_create(&walkers[i], NULL, walk, NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(walkers[i], NULL);
	WRITE_ONCE(walkers_stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(changers[i], NULL);
	remove_tree("/w");
	CHECK_EQ(vfs_unlink(&root, NULL, "/w", true), 0);
	end_clean();
}

/* --- built-in files ------------------------------------------------------------------------------------------------ */

static char archive[60000];
static size_t archive_len;

static void pad(void)
{
	while (archive_len % 4)
		archive[archive_len++] = 0;
}

static void add(const char *name, unsigned mode, unsigned ino, unsigned nlink, const void *data,
		size_t n)
{
	archive_len +=
		(size_t)sprintf(archive + archive_len,
				"070701%08X%08X%08X%08X%08X%08X%08zX%08X%08X%08X%08X%08zX%08X", ino,
				mode, 0, 0, nlink, 0, n, 0, 0, 0, 0, strlen(name) + 1, 0);
	memcpy(archive + archive_len, name, strlen(name) + 1);
	archive_len += strlen(name) + 1;
	pad();
	memcpy(archive + archive_len, data, n);
	archive_len += n;
	pad();
}

TEST(vfs_archive_unpacked)
{
	begin();
	add(".", S_IFDIR | 0755, 1, 2, "", 0);
	add("bin", S_IFDIR | 0755, 2, 2, "", 0);
	add("./././.", S_IFDIR | 0755, 2, 2, "", 0);
	add("bin/prog", S_IFREG | 0755, 3, 1, "ELF", 3);
	add("bin/link", S_IFLNK | 0777, 4, 1, "prog", 4);
	add("bin/h1", S_IFREG | 0644, 5, 2, "", 0);
	add("bin/h2", S_IFREG | 0644, 5, 2, "hard", 4);
	add("dev", S_IFDIR | 0755, 6, 2, "", 0);
	add("dev/null", S_IFCHR | 0666, 7, 1, "", 0);
	CHECK_EQ(initramfs_unpack(archive, archive_len, true), 0);
	CHECK_STR(contents("/bin/link"), "ELF");
	CHECK_EQ(stat_of("/bin/prog").mode, S_IFREG | 0755);
	CHECK_STR(contents("/bin/h1"), "hard");
	CHECK_EQ(stat_of("/bin/h1").nlink, 2);
	CHECK_EQ(tmpfs_pages(), 0);
	/* a second archive lies over the first */
	archive_len = 0;
	add("bin/prog", S_IFREG | 0700, 3, 1, "new", 3);
	add("bin/link", S_IFREG | 0700, 4, 1, "file", 4);
	CHECK_EQ(initramfs_unpack(archive, archive_len, false), 0);
	memset(archive, 'X', sizeof(archive));
	CHECK_STR(contents("/bin/prog"), "new");
	CHECK_STR(contents("/bin/link"), "file");
	remove_tree("/");
	end_clean();
}

TEST(vfs_archive_hostile)
{
	begin();
	add("ok", S_IFREG | 0644, 1, 2, "fine", 4);
	add("missing/file", S_IFREG | 0644, 2, 1, "x", 1);
	CHECK_EQ(initramfs_unpack(archive, archive_len, false), -ENOENT);
	CHECK_STR(contents("/ok"), "fine");
	archive_len = 0;
	add("link", S_IFLNK | 0777, 1, 1, "", 0);
	CHECK_EQ(initramfs_unpack(archive, archive_len, false), -EINVAL);
	archive_len = 0;
	add("../../../../escape", S_IFREG | 0644, 1, 1, "x", 1);
	add("proc/file", S_IFREG | 0644, 1, 1, "x", 1);
	CHECK_EQ(initramfs_unpack(archive, archive_len, true), -ENOENT);
	CHECK_STR(contents("/escape"), "x");
	archive_len = 0;
	add("proc/null", S_IFREG | 0644, 1, 1, "x", 1);
	CHECK_EQ(initramfs_unpack(archive, archive_len, true), -ENOENT);
	CHECK_EQ(initramfs_unpack("garbage", 7, false), -EINVAL);
	remove_tree("/");
	end_clean();
}

TEST(vfs_built_in_file_is_copied_when_written)
{
	char *memory, keep[3 * 4096 + 100], buf[5000];
	struct vm_backing *b;
	struct page *p;
	struct file *f;

	begin();
	memory = env_page_memory();
	env_pages = 0;
	for (size_t i = 0; i < sizeof(keep); i++)
		memory[i] = (char)(i * 7 + i / 4096);
	memcpy(keep, memory, sizeof(keep));
	f = open_as(&root, "/f", VFS_O_CREAT | FILE_RDWR, 0);
	tmpfs_set_in_place(f->inode, memory, sizeof(keep));
	CHECK_EQ(stat_of("/f").blocks, 32);
	CHECK_EQ(file_seek(f, 4000, 0), 4000);
	CHECK_EQ(file_read_kernel(f, buf, 5000), 5000);
	CHECK_MEM(buf, keep + 4000, 5000);
	CHECK_EQ(env_pages, 0);
	file_put(f);
	/* mapped: whole pages where they lie, the last one as a copy with zeros behind its end */
	f = open_as(&root, "/f", FILE_RDONLY, 0);
	CHECK_EQ(f->ops->mmap(f, &(unsigned){ 0 }, &b), 0);
	CHECK_EQ(b->fill(b, 0, &p), 0);
	CHECK(page_addr(p) == memory);
	page_put(p);
	CHECK_EQ(env_pages, 0);
	CHECK_EQ(b->fill(b, 3, &p), 0);
	CHECK_MEM(page_addr(p), keep + 3 * 4096, 100);
	CHECK_EQ(((char *)page_addr(p))[100], 0);
	page_put(p);
	CHECK_EQ(env_pages, 1);
	CHECK_EQ(b->fill(b, 4, &p), -EIO);
	file_put(f);
	/* written: a page of its own; the memory stays as it is */
	f = open_as(&root, "/f", FILE_RDWR, 0);
	CHECK_EQ(file_seek(f, 4090, 0), 4090);
	CHECK_EQ(file_write_kernel(f, "0123456789", 10), 10);
	CHECK_MEM(memory, keep, sizeof(keep));
	CHECK_EQ(env_pages, 3);
	CHECK_EQ(stat_of("/f").blocks, 32);
	CHECK_EQ(file_seek(f, 4080, 0), 4080);
	CHECK_EQ(file_read_kernel(f, buf, 30), 30);
	CHECK_MEM(buf, keep + 4080, 10);
	CHECK_MEM(buf + 10, "0123456789", 10);
	CHECK_MEM(buf + 20, keep + 4100, 10);
	b->release(b);
	/* writable and mapped: no built-in page is handed out */
	CHECK_EQ(f->ops->mmap(f, &(unsigned){ 0 }, &b), 0);
	CHECK_EQ(b->fill(b, 2, &p), 0);
	CHECK(page_addr(p) != memory);
	page_put(p);
	b->release(b);
	CHECK_EQ(file_truncate(f, 5000), 0);
	CHECK_EQ(stat_of("/f").blocks, 16);
	CHECK_EQ(file_truncate(f, 20000), 0);
	CHECK_EQ(file_seek(f, 5000, 0), 5000);
	CHECK_EQ(file_read_kernel(f, buf, 5000), 5000);
	for (int i = 0; i < 5000; i++)
		CHECK_EQ(buf[i], 0);
	CHECK_EQ(file_truncate(f, 0), 0);
	CHECK_EQ(stat_of("/f").blocks, 0);
	file_put(f);
	CHECK_EQ(vfs_unlink(&root, NULL, "/f", false), 0);
	env_objects = base_objects;
	CHECK_EQ(tmpfs_pages(), 0);
}

static struct file *cut_file;
static off_t cut_again;

static void cut(void)
{
	CHECK_EQ(file_truncate(cut_file, 0), 0);
	CHECK_EQ(file_truncate(cut_file, cut_again), 0);
}

/* A fault makes a page for the file, which is cut before it has it: nothing of what was cut off comes back, and no page stays
 * behind the end. */
TEST(vfs_cut_while_a_page_is_brought_in)
{
	struct vm_backing *b;
	struct page *p;
	struct file *f;
	char *memory;

	begin();
	for (cut_again = 0; cut_again <= 200; cut_again += 200) {
		memory = env_page_memory();
		env_pages = 0;
		memset(memory, 'b', 100);
		cut_file = f = open_as(&root, "/f", VFS_O_CREAT | FILE_RDWR, 0);
		tmpfs_set_in_place(f->inode, memory, 100);
		file_put(f);
		f = open_as(&root, "/f", FILE_RDONLY, 0);
		cut_file = open_as(&root, "/f", FILE_RDWR, 0);
		CHECK_EQ(f->ops->mmap(f, &(unsigned){ 0 }, &b), 0);
		env_page_hook = cut;
		if (cut_again) {
			CHECK_EQ(b->fill(b, 0, &p), 0);
			CHECK_EQ(*(char *)page_addr(p), 0);
			page_put(p);
		} else {
			CHECK_EQ(b->fill(b, 0, &p), -EIO);
		}
		CHECK_EQ(tmpfs_pages(), cut_again ? 1 : 0);
		CHECK_EQ(stat_of("/f").blocks, cut_again ? 8 : 0);
		b->release(b);
		file_put(f);
		file_put(cut_file);
		CHECK_EQ(vfs_unlink(&root, NULL, "/f", false), 0);
		CHECK_EQ(tmpfs_pages(), 0);
		env_objects = base_objects;
	}
}

static void cut_unlocked(spinlock_t *l)
{
	cut();
}

static void cut_at_unlock(void)
{
	env_unlock_hook = cut_unlocked;
}

/* It is in the index when the file is cut: the fault has a page of its own, which nobody else is given. */
TEST(vfs_cut_behind_a_page_brought_in)
{
	struct vm_backing *b;
	struct page *p;

	begin();
	cut_again = 0;
	cut_file = open_as(&root, "/f", VFS_O_CREAT | FILE_RDWR, 0);
	CHECK_EQ(file_truncate(cut_file, 100), 0);
	CHECK_EQ(cut_file->ops->mmap(cut_file, &(unsigned){ 0 }, &b), 0);
	env_page_hook = cut_at_unlock;
	CHECK_EQ(b->fill(b, 0, &p), 0);
	CHECK_EQ(cut_file->inode->size, 0);
	CHECK_EQ(env_pages, 1);
	page_put(p);
	CHECK_EQ(env_pages, 0);
	CHECK_EQ(tmpfs_pages(), 0);
	CHECK_EQ(stat_of("/f").blocks, 0);
	b->release(b);
	file_put(cut_file);
	CHECK_EQ(vfs_unlink(&root, NULL, "/f", false), 0);
	end_clean();
}

/* Whatever changes a file's bytes says so: somebody may execute them. */
TEST(vfs_written_pages_are_told)
{
	struct file *f;

	begin();
	f = open_as(&root, "/f", VFS_O_CREAT | FILE_RDWR, 0);
	env_written = 0;
	CHECK_EQ(file_write_kernel(f, "0123456789", 10), 10);
	CHECK_EQ(env_written, 1);
	CHECK_EQ(file_truncate(f, 5), 0);
	CHECK_EQ(env_written, 2);
	CHECK_EQ(file_allocate(f, 3, 1, 2), 0);
	CHECK_EQ(env_written, 3);
	file_put(f);
	CHECK_EQ(vfs_unlink(&root, NULL, "/f", false), 0);
	end_clean();
}

/* Files that never had a name, or may get one once. */
TEST(vfs_unnamed_files)
{
	static char buf[9000];
	struct vm_backing *b;
	unsigned flags = VM_SHARED | VM_WRITE;
	struct file *f;

	begin();
	CHECK_EQ(tmpfs_memfd_create("memfd:x", true, &user.cred, &f), 0);
	CHECK_EQ(file_write_kernel(f, buf, sizeof(buf)), sizeof(buf));
	CHECK_EQ(tmpfs_pages(), 3);
	CHECK_EQ(f->ops->mmap(f, &flags, &b), 0);
	CHECK_EQ(tmpfs_add_seals(f, 8), -EBUSY);
	vm_backing_put(b);
	CHECK_EQ(tmpfs_add_seals(f, 8), 0);
	CHECK_EQ(f->ops->mmap(f, &flags, &b), -EPERM);
	CHECK_EQ(file_write_kernel(f, buf, 1), -EPERM);
	file_put(f);
	CHECK_EQ(tmpfs_pages(), 0);
	for (int i = 1; i <= 4; i++) {
		alloc_fail_after((uint64_t)i);
		if (tmpfs_memfd_create("memfd:x", true, &user.cred, &f) == 0)
			file_put(f);
	}
	alloc_fail_after(0);
	f = open_as(&root, "/", FILE_RDWR | VFS_O_TMPFILE | VFS_O_DIRECTORY, 0);
	CHECK_EQ(file_write_kernel(f, buf, sizeof(buf)), sizeof(buf));
	file_put(f);
	CHECK_EQ(tmpfs_pages(), 0);
	for (int i = 1; i <= 4; i++) {
		alloc_fail_after((uint64_t)i);
		if (vfs_open(&root, NULL, "/", FILE_RDWR | VFS_O_TMPFILE | VFS_O_DIRECTORY, 0600,
			     &f) == 0)
			file_put(f);
	}
	alloc_fail_after(0);
	end_clean();
}

/* A hole that is cut stays one. */
TEST(vfs_cut_hole_takes_no_page)
{
	struct file *f;

	begin();
	f = open_as(&root, "/f", VFS_O_CREAT | FILE_RDWR, 0);
	CHECK_EQ(file_truncate(f, 1L << 20), 0);
	CHECK_EQ(file_truncate(f, 5000), 0);
	CHECK_EQ(tmpfs_pages(), 0);
	file_put(f);
	CHECK_EQ(vfs_unlink(&root, NULL, "/f", false), 0);
	end_clean();
}

/* Random writes, reads and truncations against a plain array. */
TEST(vfs_random_file_against_model)
{
	enum { SIZE = 200000 };
	static uint8_t model[SIZE], buf[30000];
	static const uint8_t built_in[50000] = { 1, 2, 3, [4096] = 9, [49999] = 7 };
	uint64_t size = sizeof(built_in);
	struct file *f;

	begin();
	f = open_as(&root, "/f", VFS_O_CREAT | FILE_RDWR, 0);
	tmpfs_set_in_place(f->inode, built_in, sizeof(built_in));
	memcpy(model, built_in, sizeof(built_in));
	for (int i = 0; i < 20000 * test_scale; i++) {
		size_t n = test_below(sizeof(buf));
		off_t at = (off_t)test_below(SIZE - n);
		struct io io;
		ssize_t want;

		switch (test_below(5)) {
		case 0:
		case 1:
			memset(buf, (int)test_below(256), n);
			io_init_kernel(&io, buf, n);
			memcpy(model + at, buf, n);
			size = n ? MAX(size, (uint64_t)at + n) : size;
			CHECK_EQ(file_write_at(f, &io, &at), n);
			break;
		case 2:
		case 3:
			io_init_kernel(&io, buf, n);
			want = (uint64_t)at >= size ? 0 : (ssize_t)MIN(n, size - (uint64_t)at);
			off_t from = at;
			CHECK_EQ(file_read_at(f, &io, &at), want);
			CHECK_EQ(memcmp(buf, model + from, (size_t)want), 0);
			break;
		default:
			if (test_below(10))
				break;
			if ((uint64_t)at < size)
				memset(model + at, 0, size - (uint64_t)at);
			size = (uint64_t)at;
			CHECK_EQ(file_truncate(f, at), 0);
		}
		CHECK_EQ(f->inode->size, size);
	}
	file_put(f);
	CHECK_EQ(vfs_unlink(&root, NULL, "/f", false), 0);
	end_clean();
}

/* --- /dev and /proc --------------------------------------------------------------------------------------------------- */

TEST(dev_nodes)
{
	char buf[3000];
	struct file *f;

	begin();
	f = open_as(&root, "/dev/null", FILE_RDWR, 0);
	CHECK_EQ(file_write_kernel(f, "x", 1), 1);
	CHECK_EQ(file_read_kernel(f, buf, 1), 0);
	CHECK_EQ(file_poll(f), POLL_IN | POLL_OUT);
	file_put(f);
	f = open_as(&root, "/dev/zero", FILE_RDWR, 0);
	memset(buf, 1, sizeof(buf));
	CHECK_EQ(file_read_kernel(f, buf, sizeof(buf)), sizeof(buf));
	CHECK_EQ(buf[0] | buf[2999], 0);
	file_put(f);
	f = open_as(&root, "/dev/full", FILE_RDWR, 0);
	CHECK_EQ(file_write_kernel(f, "x", 1), -ENOSPC);
	file_put(f);
	f = open_as(&root, "/dev/urandom", FILE_RDONLY, 0);
	CHECK_EQ(file_read_kernel(f, buf, 1000), 1000);
	file_put(f);
	CHECK_EQ(stat_of("/dev/null").rdev, 0x103);
	CHECK_EQ(stat_of("/dev/null").mode, S_IFCHR | 0666);
	CHECK_EQ(stat_of("/dev/shm").mode, S_IFDIR | 01777);
	make_file("/dev/shm/f", "x");
	CHECK_EQ(vfs_unlink(&root, NULL, "/dev/shm/f", false), 0);
	/* anybody's node by number, root's to make */
	CHECK_EQ(vfs_mknod(&user, NULL, "/dev/shm/n", S_IFCHR | 0666, 0x105), -EPERM);
	CHECK_EQ(vfs_mknod(&root, NULL, "/dev/shm/n", S_IFDIR | 0666, 0), -EPERM);
	CHECK_EQ(vfs_mknod(&root, NULL, "/dev/shm/n", S_IFLNK | 0666, 0), -EINVAL);
	CHECK_EQ(vfs_mknod(&root, NULL, "/dev/shm/n", S_IFCHR | 0666, 0x105), 0);
	f = open_as(&user, "/dev/shm/n", FILE_RDONLY, 0);
	buf[0] = 1;
	CHECK_EQ(file_read_kernel(f, buf, 1), 1);
	CHECK_EQ(buf[0], 0);
	file_put(f);
	CHECK_EQ(vfs_mknod(&root, NULL, "/dev/none", S_IFCHR | 0666, 0xffff), 0);
	OPEN_FAILS("/dev/none", FILE_RDONLY, -ENXIO);
	CHECK_EQ(vfs_unlink(&root, NULL, "/dev/none", false), 0);
	CHECK_EQ(vfs_unlink(&root, NULL, "/dev/shm/n", false), 0);
	end_clean();
}

TEST(vfs_fifo)
{
	struct file *r, *w;
	char c;

	begin();
	CHECK_EQ(vfs_mknod(&user, NULL, "/dev/shm/p", S_IFIFO | 0600, 7), 0);
	CHECK_EQ(stat_of("/dev/shm/p").rdev, 0);
	OPEN_FAILS("/dev/shm/p", FILE_WRONLY | FILE_NONBLOCK, -ENXIO);
	env_signal = -ERESTARTSYS;
	OPEN_FAILS("/dev/shm/p", FILE_RDONLY, -ERESTARTSYS);
	OPEN_FAILS("/dev/shm/p", FILE_WRONLY, -ERESTARTSYS);
	env_signal = 0;
	r = open_as(&root, "/dev/shm/p", FILE_RDONLY | FILE_NONBLOCK, 0);
	CHECK_EQ(file_read_kernel(r, &c, 1), 0);
	w = open_as(&root, "/dev/shm/p", FILE_WRONLY, 0);
	CHECK_EQ(file_read_kernel(r, &c, 1), -EAGAIN);
	CHECK_EQ(file_write_kernel(w, "x", 1), 1);
	file_put(r);
	CHECK_EQ(file_write_kernel(w, "x", 1), -EPIPE);
	file_put(w);
	/* with the last end went what was in it */
	r = open_as(&root, "/dev/shm/p", FILE_RDWR | FILE_NONBLOCK, 0);
	CHECK_EQ(file_read_kernel(r, &c, 1), -EAGAIN);
	file_put(r);
	CHECK_EQ(vfs_unlink(&root, NULL, "/dev/shm/p", false), 0);
	end_clean();
}

TEST(vfs_mounts)
{
	struct vfs_context inside;
	struct file *f;
	uint64_t left;

	begin();
	CHECK_EQ(vfs_mkdir(&root, NULL, "/m", 0755), 0);
	make_file("/m/below", "");
	CHECK_EQ(vfs_mount(&root, "tmpfs", "/m", 0, "size=12k,mode=0700,uid=1000"), 0);
	CHECK_EQ(stat_of("/m").mode, S_IFDIR | 0700);
	CHECK_EQ(stat_of("/m").uid, 1000);
	CHECK(stat_of("/m").dev != stat_of("/").dev);
	CHECK_EQ(exists("/m/below"), -ENOENT);
	CHECK_EQ(exists("/m/.."), 0);
	CHECK_EQ(stat_of("/m/..").ino, stat_of("/").ino);
	CHECK_EQ(vfs_unlink(&root, NULL, "/m", true), -EBUSY);
	CHECK_EQ(vfs_rename(&root, NULL, "/m", NULL, "/n", 0), -EBUSY);
	CHECK_EQ(vfs_mkdir(&root, NULL, "/m/d", 0755), 0);
	make_file("/m/d/f", "0123");
	CHECK_EQ(vfs_link(&root, NULL, "/m/d/f", 0, NULL, "/f"), -EXDEV);
	CHECK_EQ(vfs_rename(&root, NULL, "/m/d/f", NULL, "/f", 0), -EXDEV);
	/* three pages: two of bytes, and names that fill the third */
	f = open_as(&root, "/m/d/f", FILE_RDWR, 0);
	CHECK_EQ(file_seek(f, 4096, 0), 4096);
	CHECK_EQ(file_write_kernel(f, "x", 1), 1);
	left = 0;
	for (char name[] = "/m/A"; !vfs_mkdir(&root, NULL, name, 0755); name[3]++)
		left++;
	CHECK_EQ(left, 2);
	CHECK_EQ(vfs_symlink(&root, "x", NULL, "/m/z"), -ENOSPC);
	CHECK_EQ(vfs_link(&root, NULL, "/m/d/f", 0, NULL, "/m/z"), -ENOSPC);
	CHECK_EQ(file_seek(f, 8192, 0), 8192);
	CHECK_EQ(file_write_kernel(f, "x", 1), -ENOSPC);
	/* in use: by an open file, a working directory, another mount */
	CHECK_EQ(vfs_umount(&root, "/m", 0), -EBUSY);
	file_put(f);
	CHECK_EQ(vfs_lookup_dir(&root, NULL, "/m/d", &inside.cwd), 0);
	CHECK_EQ(vfs_umount(&root, "/m", 0), -EBUSY);
	dentry_put(inside.cwd);
	CHECK_EQ(vfs_unlink(&root, NULL, "/m/A", true), 0);
	CHECK_EQ(vfs_mount(&root, "tmpfs", "/m/d", 0, NULL), 0);
	CHECK_EQ(vfs_umount(&root, "/m", 0), -EBUSY);
	CHECK_EQ(vfs_umount(&root, "/m/d", 0), 0);
	CHECK_EQ(vfs_umount(&root, "/m/d", 0), -EINVAL);
	CHECK_EQ(vfs_umount(&root, "/m", 8 | 4), -EINVAL);
	CHECK_EQ(exists("/m/nothing"), -ENOENT);
	CHECK_EQ(vfs_umount(&root, "/m", 0), 0);
	CHECK_EQ(exists("/m/below"), 0);
	CHECK_EQ(vfs_umount(&root, "/", 0), -EBUSY);
	CHECK_EQ(vfs_mount(&root, "tmpfs", "/", 0, NULL), -EBUSY);
	CHECK_EQ(vfs_mount(&root, "proc", "/m", 0, NULL), -EBUSY);
	CHECK_EQ(vfs_mount(&root, "ext4", "/m", 0, NULL), -ENODEV);
	CHECK_EQ(vfs_mount(&root, "tmpfs", "/m", 4096, NULL), -EINVAL);
	CHECK_EQ(vfs_mount(&root, "tmpfs", "/m", 0, "size"), -EINVAL);
	CHECK_EQ(vfs_mount(&root, "tmpfs", "/m/below", 0, NULL), -ENOTDIR);
	/* one over the other; read-only, remounted; /proc elsewhere */
	CHECK_EQ(vfs_umount(&root, "/proc", 0), 0);
	CHECK_EQ(vfs_mount(&root, "proc", "/m", 1, NULL), 0);
	CHECK_EQ(vfs_mount(&root, "tmpfs", "/m", 1 | 8, NULL), 0);
	CHECK_EQ(vfs_mkdir(&root, NULL, "/m/x", 0755), -EROFS);
	CHECK_EQ(vfs_mount(&root, "", "/m", 32, NULL), 0);
	make_file("/m/prog", "");
	CHECK_EQ(vfs_chmod(&root, NULL, "/m/prog", 0, 0755), 0);
	CHECK_EQ(vfs_open_exec(&root, NULL, "/m/prog", VFS_FOLLOW, &f), 0);
	file_put(f);
	CHECK_EQ(vfs_mount(&root, "", "/m", 32 | 8, NULL), 0);
	CHECK_EQ(vfs_open_exec(&root, NULL, "/m/prog", VFS_FOLLOW, &f), -EACCES);
	CHECK_EQ(vfs_umount(&root, "/m", 0), 0);
	CHECK_EQ(vfs_umount(&root, "/m", 0), 0);
	CHECK_EQ(vfs_mount(&root, "proc", "/proc", 0, NULL), 0);
	/* lazily: gone from the tree at once, there for who is in it, freed with him */
	CHECK_EQ(vfs_mount(&root, "tmpfs", "/m", 0, NULL), 0);
	CHECK_EQ(vfs_mkdir(&root, NULL, "/m/d", 0755), 0);
	make_file("/m/d/f", "text");
	f = open_as(&root, "/m/d/f", FILE_RDONLY, 0);
	CHECK_EQ(vfs_umount(&root, "/m", 2), 0);
	CHECK_EQ(exists("/m/below"), 0);
	CHECK_EQ(tmpfs_pages(), 1);
	char c;
	CHECK_EQ(file_read_kernel(f, &c, 1), 1);
	file_put(f);
	CHECK_EQ(tmpfs_pages(), 0);
	CHECK_EQ(vfs_unlink(&root, NULL, "/m/below", false), 0);
	CHECK_EQ(vfs_unlink(&root, NULL, "/m", true), 0);
	end_clean();
}

/* What is mounted in a tree that is taken off lazily goes with it, what is mounted over that too. */
TEST(vfs_umount_lazily_takes_all_below)
{
	struct file *f;

	begin();
	CHECK_EQ(vfs_mkdir(&root, NULL, "/m", 0755), 0);
	CHECK_EQ(vfs_mount(&root, "tmpfs", "/m", 0, NULL), 0);
	CHECK_EQ(vfs_mkdir(&root, NULL, "/m/d", 0755), 0);
	CHECK_EQ(vfs_mkdir(&root, NULL, "/m/p", 0755), 0);
	for (int k = 0; k < 2; k++) {
		CHECK_EQ(vfs_mount(&root, "tmpfs", "/m/d", 0, NULL), 0);
		make_file("/m/d/f", "text");
	}
	CHECK_EQ(vfs_umount(&root, "/proc", 0), 0);
	CHECK_EQ(vfs_mount(&root, "proc", "/m/p", 0, NULL), 0);
	f = open_as(&root, "/m/d/f", FILE_RDONLY, 0);
	CHECK_EQ(vfs_umount(&root, "/m", 2), 0);
	CHECK_EQ(exists("/m/d"), -ENOENT);
	CHECK_EQ(vfs_mount(&root, "proc", "/proc", 0, NULL), 0);
	/* one text is held open */
	CHECK_EQ(tmpfs_pages(), 1);
	file_put(f);
	CHECK_EQ(vfs_unlink(&root, NULL, "/m", true), 0);
	end_clean();
}

/* Who is in a directory over whose parent something is mounted comes up into that. */
TEST(vfs_dotdot_enters_what_is_mounted)
{
	struct vfs_context inside;

	begin();
	inside = root;
	CHECK_EQ(vfs_mkdir(&root, NULL, "/m", 0755), 0);
	CHECK_EQ(vfs_mkdir(&root, NULL, "/m/d", 0755), 0);
	CHECK_EQ(vfs_lookup_dir(&root, NULL, "/m/d", &inside.cwd), 0);
	for (int k = 0; k < 2; k++) {
		CHECK_EQ(vfs_mount(&root, "tmpfs", "/m", 0, NULL), 0);
		make_file("/m/f", "");
		CHECK_EQ(vfs_access(&inside, NULL, "../f", VFS_FOLLOW, 0), 0);
		CHECK_EQ(vfs_access(&inside, NULL, "../../m/f", VFS_FOLLOW, 0), 0);
		CHECK_EQ(vfs_unlink(&root, NULL, "/m/f", false), 0);
	}
	for (int k = 0; k < 2; k++)
		CHECK_EQ(vfs_umount(&root, "/m", 0), 0);
	CHECK_EQ(vfs_access(&inside, NULL, "../d", VFS_FOLLOW, 0), 0);
	dentry_put(inside.cwd);
	CHECK_EQ(vfs_unlink(&root, NULL, "/m/d", true), 0);
	CHECK_EQ(vfs_unlink(&root, NULL, "/m", true), 0);
	end_clean();
}

static void take_off(struct superblock *sb, void *arg)
{
	unsigned *seen = arg;

	if (sb->magic == 0x01021994 && sb->covered && !strcmp(sb->root->name, "first"))
		CHECK_EQ(vfs_umount(&root, "/first", 2), 0);
	*seen += 1;
}

/* A list of mounts does not end where one goes while it is shown. */
TEST(vfs_mounts_listed_while_one_goes)
{
	unsigned before = 0, seen = 0;

	begin();
	superblock_for_each(take_off, &before);
	CHECK_EQ(vfs_mkdir(&root, NULL, "/first", 0755), 0);
	CHECK_EQ(vfs_mkdir(&root, NULL, "/second", 0755), 0);
	CHECK_EQ(vfs_mount(&root, "tmpfs", "/first", 0, NULL), 0);
	CHECK_EQ(vfs_mount(&root, "tmpfs", "/second", 0, NULL), 0);
	superblock_for_each(take_off, &seen);
	CHECK_EQ(seen, before + 2);
	CHECK_EQ(vfs_umount(&root, "/second", 0), 0);
	CHECK_EQ(vfs_unlink(&root, NULL, "/first", true), 0);
	CHECK_EQ(vfs_unlink(&root, NULL, "/second", true), 0);
	end_clean();
}

/* Each allocation of a mount fails in turn. */
TEST(vfs_mount_no_memory)
{
	int err = -ENOMEM;

	begin();
	for (uint64_t n = 1; err; n++) {
		alloc_fail_after(n);
		err = vfs_mount(&root, "tmpfs", "/proc", 0, NULL);
		alloc_fail_after(0);
		CHECK(err == 0 || err == -ENOMEM);
		if (err)
			end_clean();
	}
	CHECK_EQ(vfs_umount(&root, "/proc", 0), 0);
	end_clean();
}

/* Random names made, linked, renamed, exchanged and removed against a tree of plain arrays: the same answers, the same
 * tree afterwards. */
enum { NODES = 12, NAMES = 5 };
static struct model_dir {
	int child[NAMES]; /* node, -1: none */
	bool used, dir;
	int links, parent;
} model[NODES];

static int model_find(int dir, const int *name, int n)
{
	for (int k = 0; k < n; k++) {
		if (!model[dir].dir)
			return -ENOTDIR;
		dir = model[dir].child[name[k]];
		if (dir < 0)
			return -ENOENT;
	}
	return dir;
}

static bool model_below(int d, int ancestor)
{
	for (; d != ancestor; d = model[d].parent)
		if (d == 0)
			return false;
	return true;
}

static bool model_empty(int d)
{
	for (int k = 0; k < NAMES; k++)
		if (model[d].child[k] >= 0)
			return false;
	return true;
}

static void model_drop(int node)
{
	if (--model[node].links == 0)
		model[node].used = false;
}

static int model_make(int parent, int name, bool dir)
{
	for (int k = 1; k < NODES; k++) {
		if (model[k].used)
			continue;
		model[k] = (struct model_dir){
			.used = true, .dir = dir, .links = 1, .parent = parent
		};
		for (int i = 0; i < NAMES; i++)
			model[k].child[i] = -1;
		model[parent].child[name] = k;
		return 0;
	}
	return 1;
}

/* What Linux answers, in its order. */
static int model_rename(int from, int a, int to, int b, unsigned flags)
{
	int d = model[from].child[a], t = model[to].child[b];
	bool exchange = flags == VFS_RENAME_EXCHANGE;

	if (d < 0)
		return -ENOENT;
	if (t >= 0 && flags == VFS_RENAME_NOREPLACE)
		return -EEXIST;
	if (t < 0 && exchange)
		return -ENOENT;
	if (model[d].dir && model_below(to, d))
		return -EINVAL;
	if (t >= 0 && model[t].dir && model_below(from, t))
		return exchange ? -EINVAL : -ENOTEMPTY;
	if (d == t)
		return 0;
	if (t >= 0 && !exchange) {
		if (model[t].dir && !model[d].dir)
			return -EISDIR;
		if (!model[t].dir && model[d].dir)
			return -ENOTDIR;
		if (model[t].dir && !model_empty(t))
			return -ENOTEMPTY;
		model_drop(t);
	}
	model[to].child[b] = d;
	model[d].parent = to;
	if (from != to || a != b)
		model[from].child[a] = exchange ? t : -1;
	if (exchange)
		model[t].parent = from;
	return 0;
}

static void model_path(char *out, const int *name, int n)
{
	strcpy(out, "/mod");
	for (int k = 0; k < n; k++)
		sprintf(out + strlen(out), "/%c", 'a' + name[k]);
}

static void model_check(int node, char *path)
{
	size_t len = strlen(path);
	struct kstat st;

	for (int k = 0; k < NAMES; k++) {
		int child = model[node].child[k], dirs = 0;

		sprintf(path + len, "/%c", 'a' + k);
		CHECK_EQ(vfs_stat(&root, NULL, path, 0, &st), child < 0 ? -ENOENT : 0);
		if (child >= 0) {
			for (int i = 0; i < NAMES; i++)
				dirs += model[child].child[i] >= 0 &&
					model[model[child].child[i]].dir;
			CHECK_EQ((st.mode & S_IFMT) == S_IFDIR, model[child].dir);
			CHECK_EQ(st.nlink, model[child].dir ? 2 + dirs : model[child].links);
			if (model[child].dir)
				model_check(child, path);
		}
		path[len] = '\0';
	}
}

TEST(vfs_random_names_against_model)
{
	char p[40], q[40], path[80];
	struct file *f;

	begin();
	memset(model, 0, sizeof(model));
	model[0] = (struct model_dir){
		.used = true, .dir = true, .links = 1, .child = { -1, -1, -1, -1, -1 }
	};
	CHECK_EQ(vfs_mkdir(&root, NULL, "/mod", 0755), 0);
	for (int i = 0; i < 8000 * test_scale; i++) {
		int a[3], b[3], na = 1 + (int)test_below(3), nb = 1 + (int)test_below(3), want,
				node;
		unsigned flags = (unsigned)test_below(3);
		int from, to;

		for (int k = 0; k < 3; k++) {
			a[k] = (int)test_below(NAMES);
			b[k] = (int)test_below(NAMES);
		}
		model_path(p, a, na);
		model_path(q, b, nb);
		from = model_find(0, a, na - 1);
		to = model_find(0, b, nb - 1);
		if (from < 0 || to < 0 || !model[from].dir || !model[to].dir)
			continue;
		node = model[from].child[a[na - 1]];
		switch (test_below(5)) {
		case 0:
			want = node >= 0 ? -EEXIST : model_make(from, a[na - 1], true);
			if (want <= 0)
				CHECK_EQ(vfs_mkdir(&root, NULL, p, 0755), want);
			break;
		case 1:
			want = node >= 0 ? -EEXIST : model_make(from, a[na - 1], false);
			if (want > 0)
				break;
			CHECK_EQ(vfs_open(&root, NULL, p, VFS_O_CREAT | VFS_O_EXCL, 0644, &f),
				 want);
			if (!want)
				file_put(f);
			break;
		case 2:
			want = node < 0			   ? -ENOENT
			       : model[node].dir && flags  ? 0
			       : !model[node].dir && flags ? -ENOTDIR
			       : model[node].dir	   ? -EISDIR
							   : 0;
			if (!want && model[node].dir && !model_empty(node))
				want = -ENOTEMPTY;
			if (!want) {
				model[from].child[a[na - 1]] = -1;
				model_drop(node);
			}
			CHECK_EQ(vfs_unlink(&root, NULL, p, flags), want);
			break;
		case 3:
			want = node < 0				 ? -ENOENT
			       : model[to].child[b[nb - 1]] >= 0 ? -EEXIST
			       : model[node].dir		 ? -EPERM
								 : 0;
			if (!want) {
				model[to].child[b[nb - 1]] = node;
				model[node].links++;
			}
			CHECK_EQ(vfs_link(&root, NULL, p, 0, NULL, q), want);
			break;
		default:
			want = model_rename(from, a[na - 1], to, b[nb - 1], flags);
			CHECK_EQ(vfs_rename(&root, NULL, p, NULL, q, flags), want);
		}
		if (i % 50 == 0)
			model_check(0, strcpy(path, "/mod"));
	}
	model_check(0, strcpy(path, "/mod"));
	remove_tree("/mod");
	CHECK_EQ(vfs_unlink(&root, NULL, "/mod", true), 0);
	end_clean();
}

static int open_seven(const struct device_node *d, uint32_t flags, struct file **out)
{
	CHECK_EQ((uintptr_t)d->priv, 7);
	return -ENXIO;
}

TEST(dev_nodes_come_and_go)
{
	struct file *f;

	begin();
	CHECK_EQ(devfs_add("pts/0", S_IFCHR | 0620, 0x8800, open_seven, (void *)7), 0);
	base_objects = env_objects;
	CHECK_EQ(devfs_add("pts/7", S_IFCHR | 0620, 0x8807, open_seven, (void *)7), 0);
	CHECK_EQ(devfs_add("pts/7", S_IFCHR | 0620, 0x8807, open_seven, (void *)7), -EEXIST);
	CHECK_EQ(stat_of("/dev/pts/7").rdev, 0x8807);
	OPEN_FAILS("/dev/pts/7", FILE_RDWR, -ENXIO);
	f = open_as(&root, "/dev/pts/7", VFS_O_PATH, 0);
	devfs_remove("pts/7");
	devfs_remove("pts/7");
	devfs_remove("none/7");
	CHECK_EQ(exists("/dev/pts/7"), -ENOENT);
	file_put(f);
	end_clean();
}

/* Drivers come and go whatever root has mounted over their nodes' directory, and while /dev is mounted nowhere. */
TEST(dev_nodes_below_a_mount)
{
	begin();
	CHECK_EQ(devfs_add("pts/0", S_IFCHR | 0620, 0x8800, open_seven, (void *)7), 0);
	CHECK_EQ(devfs_add("pts/1", S_IFCHR | 0620, 0x8801, open_seven, (void *)7), 0);
	for (int k = 0; k < 2; k++)
		CHECK_EQ(vfs_mount(&root, "tmpfs", "/dev/pts", 0, NULL), 0);
	devfs_remove("pts/1");
	CHECK_EQ(devfs_add("pts/2", S_IFCHR | 0620, 0x8802, open_seven, (void *)7), 0);
	CHECK_EQ(exists("/dev/pts/2"), -ENOENT);
	for (int k = 0; k < 2; k++)
		CHECK_EQ(vfs_umount(&root, "/dev/pts", 0), 0);
	CHECK_EQ(exists("/dev/pts/0"), 0);
	CHECK_EQ(exists("/dev/pts/1"), -ENOENT);
	CHECK_EQ(exists("/dev/pts/2"), 0);
	CHECK_EQ(vfs_umount(&root, "/dev", 0), -EBUSY);
	CHECK_EQ(vfs_umount(&root, "/dev/shm", 0), 0);
	CHECK_EQ(vfs_umount(&root, "/dev", 0), 0);
	devfs_remove("pts/0");
	CHECK_EQ(devfs_add("pts/3", S_IFCHR | 0620, 0x8803, open_seven, (void *)7), 0);
	CHECK_EQ(vfs_mount(&root, "devtmpfs", "/dev", 0, NULL), 0);
	CHECK_EQ(exists("/dev/pts/0"), -ENOENT);
	CHECK_EQ(stat_of("/dev/pts/3").rdev, 0x8803);
	OPEN_FAILS("/dev/pts/3", FILE_RDWR, -ENXIO);
}

/* Root may put something else where the nodes' directory was. */
TEST(dev_nodes_need_a_directory)
{
	begin();
	make_file("/dev/nodes", "");
	CHECK_EQ(devfs_add("nodes/0", S_IFCHR | 0620, 0x8800, open_seven, (void *)7), -ENOTDIR);
	devfs_remove("nodes/0");
	CHECK_EQ(vfs_unlink(&root, NULL, "/dev/nodes", false), 0);
	end_clean();
}

static void *read_random_byte(void *arg)
{
	char c;

	CHECK_EQ(file_read_kernel(arg, &c, 1), 1);
	return NULL;
}

TEST(dev_random_waits_for_the_seed)
{
	struct file *f;
	pthread_t t;
	char c;

	begin();
	env_unseeded = true;
	f = open_as(&root, "/dev/random", FILE_RDONLY | FILE_NONBLOCK, 0);
	CHECK_EQ(file_read_kernel(f, &c, 1), -EAGAIN);
	file_put(f);
	f = open_as(&root, "/dev/random", FILE_RDONLY, 0);
	env_signal = -ERESTARTSYS;
	CHECK_EQ(file_read_kernel(f, &c, 1), -ERESTARTSYS);
	env_signal = 0;
	pthread_create(&t, NULL, read_random_byte, f);
	env_await_asleep();
	WRITE_ONCE(env_unseeded, false);
	devfs_random_seeded();
	pthread_join(t, NULL);
	file_put(f);
	end_clean();
}

static int shown;

static void show_count(struct proc_text *t)
{
	int n = __atomic_add_fetch(&shown, 1, __ATOMIC_RELAXED);

	proc_printf(t, "shown %d\n", n);
	for (int i = 0; i < 100; i++)
		proc_printf(t, "line %d of a text that has to grow, %d\n", i, n);
}

/* All of a text is of one making, also when others have it made anew. */
static void *read_counts(void *arg)
{
	char buf[8000];
	struct file *f = arg;
	struct io io;

	for (int i = 0; i < 300; i++) {
		int n, last, line = 0;
		off_t pos = 0;
		ssize_t got;

		io_init_kernel(&io, buf, sizeof(buf) - 1);
		got = file_read_at(f, &io, &pos);
		CHECK(got > 3000);
		buf[got] = 0;
		CHECK_EQ(sscanf(buf, "shown %d\n", &n), 1);
		for (char *at = strchr(buf, '\n') + 1; *at; at = strchr(at, '\n') + 1, line++)
			if (sscanf(at, "line %*d of a text that has to grow, %d", &last) != 1 ||
			    last != n)
				CHECK_EQ(last, n);
		CHECK_EQ(line, 100);
	}
	return NULL;
}

/* I-PROCFS-1 */
TEST(proc_texts)
{
	char buf[8000];
	pthread_t readers[3];
	struct file *f;
	ssize_t got;

	begin();
	CHECK_EQ(procfs_register("tern/count", show_count), 0);
	CHECK_EQ(procfs_register("tern/count", show_count), -EEXIST);
	base_objects = env_objects;
	f = open_as(&root, "/proc/tern/count", FILE_RDONLY, 0);
	CHECK_EQ(file_read_kernel(f, buf, 8), 8);
	CHECK_MEM(buf, "shown 1\n", 8);
	CHECK_EQ(file_read_kernel(f, buf, 8), 8);
	CHECK_MEM(buf, "line 0 o", 8);
	CHECK_EQ(file_seek(f, -10, 2), -EINVAL);
	CHECK_EQ(shown, 1);
	CHECK_EQ(file_seek(f, 0, 0), 0);
	CHECK_EQ(file_read_kernel(f, buf, 8), 8);
	CHECK_MEM(buf, "shown 2\n", 8);
	CHECK(file_read_kernel(f, buf, sizeof(buf)) > 3000);
	CHECK_EQ(file_read_kernel(f, buf, 100), 0);
	CHECK_EQ(shown, 2);
	for (int k = 0; k < 3; k++)
		pthread_create(&readers[k], NULL, read_counts, f);
	for (int k = 0; k < 3; k++)
		pthread_join(readers[k], NULL);
	file_put(f);
	for (uint64_t n = 1; n < 6; n++) {
		alloc_fail_after(n);
		int err = vfs_open(&root, NULL, "/proc/tern/count", FILE_RDONLY, 0, &f);
		got = err ? err : file_read_kernel(f, buf, sizeof(buf));
		alloc_fail_after(0);
		/* all of it, or nothing */
		CHECK(got == -ENOMEM || got > 3000);
		if (err == 0)
			file_put(f);
	}
	f = open_as(&root, "/proc/tern/count", FILE_RDWR | VFS_O_TRUNC, 0);
	CHECK_EQ(file_write_kernel(f, "x", 1), -EIO);
	file_put(f);
	OPEN_FAILS("/proc/new", VFS_O_CREAT | FILE_RDWR, -ENOENT);
	OPEN_FAILS("/proc/42", FILE_RDONLY, -ENOENT);
}

static const struct inode_ops forty_two_ops;

static int lookup_numbers(const char *name, size_t len, struct inode **out)
{
	if (len != 2 || memcmp(name, "42", 2))
		return -ENOENT;
	*out = procfs_inode(S_IFDIR | 0555, &forty_two_ops, NULL, 4200);
	return *out ? 0 : -ENOMEM;
}

static int iterate_numbers(uint64_t *pos,
			   bool (*emit)(void *arg, const char *name, size_t len, uint64_t ino,
					uint8_t type, off_t next),
			   void *arg)
{
	if (*pos == 0 && emit(arg, "42", 2, 4200, 4, 1))
		*pos = 1;
	return 0;
}

TEST(proc_names_made_on_demand)
{
	static const struct proc_root_ops ops = { lookup_numbers, iterate_numbers };
	struct listing l = { .room = 100 };
	uint64_t dentries;
	struct file *f;

	begin();
	procfs_set_root_ops(&ops);
	CHECK_EQ(procfs_register("uptime", show_count), 0);
	base_objects = env_objects;
	dentries = dcache_count();
	CHECK_EQ(stat_of("/proc/42").ino, 4200);
	CHECK_EQ(exists("/proc/43"), -ENOENT);
	CHECK_EQ(exists("/proc/42/x"), -ENOENT);
	f = open_as(&root, "/proc/42", FILE_RDONLY, 0);
	file_put(f);
	CHECK_EQ(dcache_count(), dentries);
	f = open_as(&root, "/proc", FILE_RDONLY, 0);
	CHECK_EQ(file_iterate(f, list_one, &l), 0);
	CHECK_EQ(file_iterate(f, list_one, &l), 0);
	CHECK_STR(l.text, "./ ../ uptime 42/ ");
	file_put(f);
	end_clean();
}
