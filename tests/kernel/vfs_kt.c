/* SPDX-License-Identifier: MIT */
/* Names under threads, built-in files in place, and every text of /proc. */
#include "fs/dcache.h"
#include "fs/tmpfs.h"
#include "fs/vfs.h"
#include "kernel/core/lock_stat.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "lib/errno.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mm/phys/page.h"
#include "mm/vm/space.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/ktest.h"

#define ALL_CPUS (~(cpumask_t)0)

static struct vfs_context ctx; /* [init] */

static void begin(void)
{
	ctx.root = vfs_root();
	ctx.cwd = ctx.root;
}

static void end(void)
{
	dentry_put(ctx.root);
}

static void open_close(const char *path)
{
	struct file *f;
	char byte;

	if (vfs_open(&ctx, NULL, path, VFS_O_CREAT | FILE_RDWR, 0644, &f))
		return;
	KT_CHECK(file_write_kernel(f, "x", 1) == 1);
	KT_CHECK(file_read_kernel(f, &byte, 1) >= 0);
	file_put(f);
}

static void storm_fn(void *arg)
{
	static const char *const names[] = { "/kt/a",	  "/kt/b", "/kt/d/a",
					     "/kt/d/e/b", "/kt/d", "/kt/d/e" };
	uint64_t x = kt_seed() + (uint64_t)current_base()->id * 7919;
	struct kstat st;

	for (uint64_t i = 0; i < 1500 * kt_scale(); i++) {
		const char *p = names[crew_random(&x) % 6], *q = names[crew_random(&x) % 6];

		switch (crew_random(&x) % 7) {
		case 0:
		case 1:
			open_close(p);
			break;
		case 2:
			(void)!vfs_mkdir(&ctx, NULL, p, 0755);
			break;
		case 3:
			(void)!vfs_unlink(&ctx, NULL, p, crew_random(&x) & 1);
			break;
		case 4:
			(void)!vfs_rename(&ctx, NULL, p, NULL, q, crew_random(&x) % 3);
			break;
		case 5:
			(void)!vfs_link(&ctx, NULL, p, 0, NULL, q);
			break;
		default:
			if (vfs_stat(&ctx, NULL, p, true, &st) == 0)
				KT_CHECK(st.nlink < 100);
		}
	}
}

static bool first_name(void *arg, const char *name, size_t len, uint64_t ino, uint8_t type,
		       off_t next)
{
	char *out = arg;

	if (name[0] == '.')
		return true;
	memcpy(out, name, len);
	out[len] = '\0';
	return false;
}

/* The first name in a directory, or "". */
static void first_child(const char *dir, char *out)
{
	struct file *f;

	*out = '\0';
	KT_CHECK(vfs_open(&ctx, NULL, dir, VFS_O_DIRECTORY, 0, &f) == 0);
	KT_CHECK(file_iterate(f, first_name, out) == 0);
	file_put(f);
}

/* Remove all that is below top, always the first name of a directory; each removed name is gone. */
static void remove_below(const char *top)
{
	char path[200], name[32];
	struct kstat st;

	str_copy(path, top, sizeof(path));
	for (;;) {
		first_child(path, name);
		if (*name) {
			fmt_print(path + strlen(path), sizeof(path) - strlen(path), "/%s", name);
			if (vfs_unlink(&ctx, NULL, path, false))
				continue;
		} else if (strcmp(path, top) == 0) {
			return;
		} else {
			KT_CHECK(vfs_unlink(&ctx, NULL, path, true) == 0);
		}
		KT_CHECK(vfs_stat(&ctx, NULL, path, false, &st) == -ENOENT);
		*strrchr(path, '/') = '\0';
	}
}

/* afterwards every name that is listed goes, and none is found that went. */
KTEST(vfs_storm)
{
	struct crew crew = { 0 };

	begin();
	KT_CHECK(vfs_mkdir(&ctx, NULL, "/kt", 0755) == 0);
	for (int i = 0; i < 4; i++)
		crew_add(&crew, storm_fn, NULL, ALL_CPUS);
	crew_join(&crew);
	remove_below("/kt");
	KT_CHECK(vfs_unlink(&ctx, NULL, "/kt", true) == 0);
	end();
}

/* Two directories change places while others walk through them, and a file system comes and goes in a third: what exists
 * at every moment is found at every moment, and who opened a file reads it, unlinked or unmounted as it may be. */
static bool walkers_stop; /* [atomic] */

static void exchange_fn(void *arg)
{
	while (!READ_ONCE(walkers_stop)) {
		KT_CHECK(vfs_rename(&ctx, NULL, "/kt/a/d", NULL, "/kt/b", VFS_RENAME_EXCHANGE) ==
			 0);
		KT_CHECK(vfs_rename(&ctx, NULL, "/kt/b", NULL, "/kt/a/d", VFS_RENAME_EXCHANGE) ==
			 0);
	}
}

static void mount_fn(void *arg)
{
	while (!READ_ONCE(walkers_stop)) {
		KT_CHECK(vfs_mount(&ctx, "tmpfs", "/kt/m", 0, NULL) == 0);
		KT_CHECK(vfs_mkdir(&ctx, NULL, "/kt/m/d", 0755) == 0);
		open_close("/kt/m/d/f");
		KT_CHECK(vfs_umount(&ctx, "/kt/m", 2) == 0);
	}
}

static void walk_fn(void *arg)
{
	static const char *const always[] = { "/kt/a/d/f", "/kt/b/f", "/kt/b/.", "/kt/m/..",
					      "/kt/m/../b/f" };
	struct kstat st;
	struct file *f;
	char byte;

	for (uint64_t i = 0; i < 400 * kt_scale(); i++) {
		KT_CHECK(vfs_stat(&ctx, NULL, always[i % 5], 0, &st) == 0);
		if (vfs_open(&ctx, NULL, "/kt/m/d/f", FILE_RDONLY, 0, &f))
			continue;
		KT_CHECK(file_read_kernel(f, &byte, 1) <= 1);
		file_put(f);
	}
}

KTEST(vfs_walks_against_changes)
{
	static const char *const dirs[] = { "/kt", "/kt/a", "/kt/a/d", "/kt/b", "/kt/m" };
	static struct crew changers, walkers;

	changers.n = 0;
	walkers.n = 0;
	begin();
	for (size_t k = 0; k < ARRAY_SIZE(dirs); k++)
		KT_CHECK(vfs_mkdir(&ctx, NULL, dirs[k], 0755) == 0);
	open_close("/kt/a/d/f");
	open_close("/kt/b/f");
	walkers_stop = false;
	crew_add(&changers, exchange_fn, NULL, ALL_CPUS);
	crew_add(&changers, mount_fn, NULL, ALL_CPUS);
	for (int k = 0; k < 3; k++)
		crew_add(&walkers, walk_fn, NULL, ALL_CPUS);
	crew_join(&walkers);
	WRITE_ONCE(walkers_stop, true);
	crew_join(&changers);
	remove_below("/kt");
	KT_CHECK(vfs_unlink(&ctx, NULL, "/kt", true) == 0);
	end();
}

/* OWN-26, I-MOUNT-1: the last file of a file system is closed while that is taken off: one of the two takes it apart. */
static struct file *to_close; /* [atomic] */

static void close_fn(void *arg)
{
	struct file *f;

	while (!READ_ONCE(walkers_stop)) {
		f = atomic_exchange(&to_close, NULL);
		if (f)
			file_put(f);
		else
			sched_yield();
	}
}

static void take_off_fn(void *arg)
{
	struct file *f;
	int err;

	for (uint64_t i = 0; i < 200 * kt_scale(); i++) {
		KT_CHECK(vfs_mount(&ctx, "tmpfs", "/kt", 0, NULL) == 0);
		KT_CHECK(vfs_open(&ctx, NULL, "/kt/f", VFS_O_CREAT | FILE_RDWR, 0644, &f) == 0);
		atomic_store_release(&to_close, f);
		do {
			err = vfs_umount(&ctx, "/kt", 0);
			sched_yield();
		} while (err == -EBUSY);
		KT_CHECK(err == 0);
	}
	WRITE_ONCE(walkers_stop, true);
}

KTEST(umount_beside_the_last_close)
{
	struct crew crew = { 0 };

	begin();
	KT_CHECK(vfs_mkdir(&ctx, NULL, "/kt", 0755) == 0);
	walkers_stop = false;
	crew_add(&crew, close_fn, NULL, ALL_CPUS);
	crew_add(&crew, take_off_fn, NULL, ALL_CPUS);
	crew_join(&crew);
	KT_CHECK(!to_close);
	KT_CHECK(vfs_unlink(&ctx, NULL, "/kt", true) == 0);
	end();
}

static void open_fn(void *arg)
{
	struct kstat st;
	struct file *f;

	for (uint64_t i = 0; i < 500 * kt_scale(); i++) {
		KT_CHECK(vfs_open(&ctx, NULL, arg, FILE_RDONLY, 0, &f) == 0);
		file_put(f);
		KT_CHECK(vfs_stat(&ctx, NULL, arg, 0, &st) == 0);
	}
}

/* Who opens and looks waits for nobody who does the same. */
KTEST(vfs_opens_side_by_side)
{
	static char names[][8] = { "/kt/a", "/kt/b", "/kt/c", "/kt/d" };
	struct lock_stat before, after;
	struct crew crew = { 0 };

	begin();
	KT_CHECK(vfs_mkdir(&ctx, NULL, "/kt", 0755) == 0);
	for (size_t k = 0; k < ARRAY_SIZE(names); k++)
		open_close(names[k]);
	lock_stat_get(LOCK_DCACHE, &before);
	for (size_t k = 0; k < ARRAY_SIZE(names); k++)
		crew_add(&crew, open_fn, names[k], ALL_CPUS);
	crew_join(&crew);
	lock_stat_get(LOCK_DCACHE, &after);
	KT_CHECK(after.contended == before.contended);
	remove_below("/kt");
	KT_CHECK(vfs_unlink(&ctx, NULL, "/kt", true) == 0);
	end();
}

/* A built-in program is mapped where it lies in the image, and stays whole when the file is written. */
KTEST(vfs_built_in_file)
{
	struct vm_backing *b;
	struct file *f;
	struct page *p;
	uint64_t pages = tmpfs_pages();
	char magic[4], changed[4];
	off_t at = 0;
	struct io io;

	begin();
	KT_CHECK(vfs_open(&ctx, NULL, "/bin/hello", FILE_RDONLY, 0, &f) == 0);
	KT_CHECK(file_read_kernel(f, magic, 4) == 4);
	KT_CHECK(memcmp(magic, "\177ELF", 4) == 0);
	KT_CHECK(f->ops->mmap(f, &(unsigned){ 0 }, &b) == 0);
	p = vm_backing_peek(b, 0);
	KT_CHECK(p && p->owner == PAGE_RESERVED);
	KT_CHECK(memcmp(page_addr(p), "\177ELF", 4) == 0);
	KT_CHECK(tmpfs_pages() == pages);
	file_put(f);
	KT_CHECK(vfs_open(&ctx, NULL, "/kt-hello", VFS_O_CREAT | FILE_RDWR, 0700, &f) == 0);
	tmpfs_set_in_place(f->inode, page_addr(p), PAGE_SIZE);
	io_init_kernel(&io, "XXXX", 4);
	KT_CHECK(file_write_at(f, &io, &at) == 4);
	KT_CHECK(tmpfs_pages() == pages + 1);
	KT_CHECK(memcmp(page_addr(p), "\177ELF", 4) == 0);
	at = 0;
	io_init_kernel(&io, changed, 4);
	KT_CHECK(file_read_at(f, &io, &at) == 4 && memcmp(changed, "XXXX", 4) == 0);
	page_put(p);
	vm_backing_put(b);
	file_put(f);
	KT_CHECK(vfs_unlink(&ctx, NULL, "/kt-hello", false) == 0);
	end();
}

struct seen {
	char name[64][24];
	uint8_t type[64];
	unsigned n;
};

static bool collect(void *arg, const char *name, size_t len, uint64_t ino, uint8_t type, off_t next)
{
	struct seen *s = arg;

	if (s->n < 64 && len < 24 && name[0] != '.') {
		memcpy(s->name[s->n], name, len);
		s->name[s->n][len] = '\0';
		s->type[s->n++] = type;
	}
	return true;
}

static void read_all(const char *path)
{
	struct file *f;
	char buf[256];
	ssize_t n, total = 0;

	if (vfs_open(&ctx, NULL, path, FILE_RDONLY, 0, &f)) {
		kt_fail(__FILE__, __LINE__, path);
		return;
	}
	while ((n = file_read_kernel(f, buf, sizeof(buf))) > 0)
		total += n;
	KT_CHECK(n == 0);
	if (total == 0)
		kt_fail(__FILE__, __LINE__, path);
	file_put(f);
}

static void read_dir(const char *dir)
{
	static struct seen s;
	struct file *f;
	char path[64];

	s.n = 0;
	KT_CHECK(vfs_open(&ctx, NULL, dir, FILE_RDONLY, 0, &f) == 0);
	KT_CHECK(file_iterate(f, collect, &s) == 0);
	file_put(f);
	KT_CHECK(s.n > 0);
	for (unsigned i = 0; i < s.n; i++) {
		fmt_print(path, sizeof(path), "%s/%s", dir, s.name[i]);
		if (s.type[i] == 8)
			read_all(path);
	}
}

KTEST(vfs_every_proc_text)
{
	begin();
	read_dir("/proc");
	read_dir("/proc/tern");
	end();
}

/* REL-005: the lines of meminfo add up to MemTotal. */
static uint64_t meminfo(const char *text, const char *name)
{
	size_t len = strlen(name);
	uint64_t v = 0;

	while (strncmp(text, name, len) != 0) {
		text = strchr(text, '\n');
		if (!text || !*++text)
			return UINT64_MAX;
	}
	for (text += len; *text == ' '; text++)
		;
	for (; *text >= '0' && *text <= '9'; text++)
		v = v * 10 + (uint64_t)(*text - '0');
	return v;
}

KTEST(vfs_meminfo_adds_up)
{
	static char text[2048];
	struct file *f;
	ssize_t n;

	begin();
	KT_CHECK(vfs_open(&ctx, NULL, "/proc/meminfo", FILE_RDONLY, 0, &f) == 0);
	n = file_read_kernel(f, text, sizeof(text) - 1);
	KT_CHECK(n > 0);
	text[MAX(n, (ssize_t)0)] = '\0';
	file_put(f);
	KT_CHECK(meminfo(text, "MemTotal:") ==
		 meminfo(text, "MemFree:") + meminfo(text, "Slab:") + meminfo(text, "PageTables:") +
			 meminfo(text, "KernelPages:") + meminfo(text, "UserPages:"));
	end();
}
