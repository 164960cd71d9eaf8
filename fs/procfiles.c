/* SPDX-License-Identifier: MIT */
/* What /proc says of memory, files and the log: all that can be seen from here. */
#include "fs/procfs.h"
#include "fs/tmpfs.h"
#include "kernel/core/log.h"
#include "kernel/core/percpu.h"
#include "lib/fmt.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"

static void meminfo_line(struct proc_text *t, const char *name, uint64_t pages)
{
	proc_printf(t, "%-16s%8lu kB\n", name, (unsigned long)(pages * (PAGE_SIZE / 1024)));
}

/* One snapshot, so that the lines add up (REL-005): MemTotal is all but what was never the allocator's. */
static void show_meminfo(struct proc_text *t)
{
	struct page_stats s;

	page_stats(&s);
	meminfo_line(t, "MemTotal:", s.total - s.reserved);
	meminfo_line(t, "MemFree:", s.free);
	meminfo_line(t, "MemAvailable:", s.free);
	meminfo_line(t, "Buffers:", 0);
	meminfo_line(t, "Cached:", tmpfs_pages());
	meminfo_line(t, "SwapTotal:", 0);
	meminfo_line(t, "SwapFree:", 0);
	meminfo_line(t, "Shmem:", tmpfs_pages());
	meminfo_line(t, "Slab:", s.slab);
	meminfo_line(t, "PageTables:", s.tables);
	meminfo_line(t, "KernelPages:", s.kernel);
	meminfo_line(t, "UserPages:", s.user);
	meminfo_line(t, "Reserved:", s.reserved);
}

static void show_buddyinfo(struct proc_text *t)
{
	struct page_stats s;

	page_stats(&s);
	proc_printf(t, "Node 0, zone   Normal");
	for (unsigned order = 0; order <= PAGE_ORDER_MAX; order++)
		proc_printf(t, " %6lu", (unsigned long)s.free_blocks[order]);
	proc_printf(t, "\n");
}

static void slab_line(const struct slab_stats *s, void *arg)
{
	proc_printf(arg, "%-20s %6lu %8lu %6lu %6lu\n", s->name, (unsigned long)s->size,
		    (unsigned long)s->in_use, (unsigned long)s->slabs, (unsigned long)s->pages);
}

static void show_slabinfo(struct proc_text *t)
{
	proc_printf(t, "%-20s %6s %8s %6s %6s\n", "cache", "size", "in_use", "slabs", "pages");
	slab_for_each(slab_line, t);
}

static void mount_line(struct superblock *sb, void *arg)
{
	struct vfs_context all = { .root = vfs_root() };
	char *path = kmalloc(VFS_PATH_MAX);

	if (path && vfs_describe(&all, sb->root, path, VFS_PATH_MAX) > 0)
		proc_printf(arg, "%s %s %s %s,%s%s%s 0 0\n", sb->type, path, sb->type,
			    READ_ONCE(sb->read_only) ? "ro" : "rw",
			    READ_ONCE(sb->no_dev) ? "nodev," : "",
			    READ_ONCE(sb->no_exec) ? "noexec," : "",
			    READ_ONCE(sb->no_atime) ? "noatime" : "relatime");
	kfree(path);
	dentry_put(all.root);
}

void procfs_show_mounts(struct proc_text *t)
{
	superblock_for_each(mount_line, t);
}

static void show_filesystems(struct proc_text *t)
{
	proc_printf(t, "nodev\ttmpfs\nnodev\tdevtmpfs\nnodev\tproc\nnodev\tsysfs\n");
}

/* The log as far as it is kept. */
static void show_kmsg(struct proc_text *t)
{
	uint64_t seq = 0;
	char buf[256];
	size_t n;

	while ((n = log_read(&seq, buf, sizeof(buf))) > 0)
		proc_printf(t, "%.*s", (int)n, buf);
}

/* CPUs are numbered without holes, and all there are came up or never will. */
static void show_cpus(struct proc_text *t, void *arg)
{
	if (cpu_count() == 1)
		proc_printf(t, "0\n");
	else
		proc_printf(t, "0-%u\n", cpu_count() - 1);
}

static void show_number(struct proc_text *t, void *arg)
{
	proc_printf(t, "%lu\n", (unsigned long)(uintptr_t)arg);
}

static int register_cpus(void)
{
	static const char *const lists[] = { "online", "possible", "present" };
	char path[64];
	int err = 0;

	for (size_t k = 0; k < ARRAY_SIZE(lists) && !err; k++) {
		fmt_print(path, sizeof(path), "devices/system/cpu/%s", lists[k]);
		err = sysfs_register(path, show_cpus, NULL);
	}
	if (!err)
		err = sysfs_register("devices/system/cpu/kernel_max", show_number,
				     (void *)(uintptr_t)(CPU_MAX - 1));
	for (unsigned cpu = 0; cpu < cpu_count() && !err; cpu++) {
		fmt_print(path, sizeof(path), "devices/system/cpu/cpu%u/topology/core_id", cpu);
		err = sysfs_register(path, show_number, (void *)(uintptr_t)cpu);
	}
	return err;
}

int procfs_register_basic(void)
{
	static const struct {
		const char *path;
		void (*show)(struct proc_text *t);
	} entries[] = {
		{ "meminfo", show_meminfo },	  { "buddyinfo", show_buddyinfo },
		{ "slabinfo", show_slabinfo },	  { "tern/slabinfo", show_slabinfo },
		{ "mounts", procfs_show_mounts }, { "filesystems", show_filesystems },
	};
	int err = procfs_register_private("kmsg", show_kmsg);

	for (size_t k = 0; k < ARRAY_SIZE(entries) && !err; k++)
		err = procfs_register(entries[k].path, entries[k].show);
	return err ? err : register_cpus();
}
