/* SPDX-License-Identifier: MIT */
/* A user address space: regions in a tree under one sleeping lock, pages brought in by faults.
 *
 * Life: vm_space_create() (one reference) -> vm_space_get/put -> last put frees regions, pages, tables.
 * A CPU may keep it in TTBR0 while kernel threads run (lazy): that counts as `active`, and the tables go only when
 * no CPU's TTBR0 holds them (vm_space_activate() of the next drops it; the freeing is done by a worker thread). */
#ifndef TERN_MM_VM_SPACE_H
#define TERN_MM_VM_SPACE_H

#include "kernel/core/percpu.h"
#include "lib/rbtree.h"
#include "lib/refcount.h"
#include "mm/phys/asid.h"
#include "mm/phys/pgtable.h"
#include "sched/mutex.h"

struct file;
struct vm_space;
struct page;

/* Region protection and kind. */
#define VM_READ		   BIT(0)
#define VM_WRITE	   BIT(1)
#define VM_EXEC		   BIT(2)
#define VM_SHARED	   BIT(3)
#define VM_STACK	   BIT(4) /* grows down to its limit */
#define VM_HEAP		   BIT(5) /* the brk region */
#define VM_NOWRITE	   BIT(6) /* may not become writable: the file is not open for that */
#define VM_LOCKED	   BIT(7) /* mlock: counted; brought in at once, and nothing is ever taken out */
#define VM_FIXED_NOREPLACE BIT(8) /* vm_map only: -EEXIST instead of replacing */
#define VM_FIXED	   BIT(9) /* vm_map only: at exactly this address, replacing what is there */
#define VM_DONTFORK	   BIT(10) /* not in copies */
#define VM_WIPEONFORK	   BIT(11) /* in copies it is fresh */
#define VM_BACKED	   BIT(12) /* an answer of vm_range_mapped() only */

/* Where a region's pages come from when they are not anonymous: a kernel buffer that lives as long as the image
 * (built-in files mapped in place) or, later, a file's page cache. */
struct vm_backing {
	struct refcount ref;
	/* Page `index` of the object: a referenced page, or an -errno by pointer (ERR_PTR style is not used here):
	 * 0 and *out. Called with the space unlocked; may sleep. bytes past the object's end are zero. */
	int (*fill)(struct vm_backing *b, uint64_t index, struct page **out);
	/* The n pages from index on that are at hand: each referenced, else NULL. Called with the space's lock held; sleeps
	 * for nothing. May be NULL. With it one fault brings in the neighbours as well. */
	void (*peek)(struct vm_backing *b, uint64_t index, unsigned n, struct page **out);
	void (*release)(struct vm_backing *b);
	/* [init] What /proc/PID/maps names; the owner keeps it alive. NULL: no file. */
	struct file *file;
	struct vm_mapping *mapping; /* [init] of an object that may become shorter; NULL */
	const char *name;	    /* [init] the same for what is no file, as "[vdso]"; NULL */
};

static inline struct page *vm_backing_peek(struct vm_backing *b, uint64_t index)
{
	struct page *p = NULL;

	if (b->peek)
		b->peek(b, index, 1, &p);
	return p;
}

/* References; the last put calls release. vm_map() takes one of its own per region. */
static inline void vm_backing_put(struct vm_backing *b)
{
	if (refcount_put(&b->ref))
		b->release(b);
}

/* All regions that show one object, whatever backing each has: so that what is cut off the object can be taken from
 * them. Lives as long as any of the backings. */
struct vm_mapping {
	spinlock_t lock;	  /* PGCACHE */
	struct list_head regions; /* [lock] those the present round has not seen come first */
	unsigned round;		  /* [lock] of vm_mapping_trim() */
};
void vm_mapping_init(struct vm_mapping *m);
/* Take the pages [from, end) out of every space: by then fill and peek refuse them, or have others for them. copies: and the
 * private copies. Context: thread, one at a time for m, no space's lock held. */
void vm_mapping_trim(struct vm_mapping *m, uint64_t from, uint64_t end, bool copies);
/* The kernel has written to a file's page: whoever has it mapped to execute it sees that, at the latest when its CPU next
 * comes back from the kernel. */
void vm_page_written(struct page *p);

struct vm_region {
	struct rb_node node;	    /* [space->lock] by start */
	vaddr_t start, end;	    /* [space->lock] page aligned */
	unsigned prot;		    /* [space->lock] VM_* */
	struct vm_backing *backing; /* [space->lock] NULL: anonymous */
	uint64_t offset;	    /* [space->lock] pages into the backing at start */
	/* The extent of its subtree and the largest hole inside that: the hole search. */
	vaddr_t first, last;	       /* [space->lock] */
	uint64_t max_gap;	       /* [space->lock] bytes */
	struct list_head mapping_link; /* [mapping->lock] while in the tree */
	unsigned round;		       /* [mapping->lock] */
	struct vm_space *space;	       /* [init] before it is linked */
	/* Taken out of the tree, to be destroyed when the lock is dropped. */
	struct vm_region *dead_next; /* [self] */
};

struct vm_space {
	struct mutex lock;	/* VM_SPACE */
	struct refcount ref;	/* users of the memory: processes, faults in progress */
	uint64_t id;		/* [init] no other has had it; not 0 */
	struct rb_root regions; /* [lock] */
	uint64_t generation;  /* [lock] counts changes: a fault that dropped the lock rechecks it */
	struct pgtable table; /* [lock] */
	struct asid_ctx asid; /* [atomic] */
	uint32_t active;      /* [atomic] CPUs with its table in TTBR0 */
	vaddr_t brk_start, brk; /* [lock] */
	vaddr_t arg_start, arg_end,
		env_end; /* [init] exec's strings, for reports; the environment is behind the arguments */
	vaddr_t mmap_base;     /* [lock] hole search goes down from here */
	unsigned map_flags;    /* [lock] VM_LOCKED or 0: every new region has it */
	unsigned nr_regions;   /* [lock] at most VM_REGIONS_MAX */
	uint64_t pages;	       /* [lock] resident; peak_pages the most there were */
	uint64_t anon_pages;   /* [lock] those of them that are no file's */
	uint64_t mapped_pages; /* [lock] sum of regions; peak_mapped_pages the most there were */
	uint64_t data_pages;   /* [lock] those of them that are private and writable */
	uint64_t locked_pages; /* [lock] those of them that are VM_LOCKED */
	uint64_t peak_pages, peak_mapped_pages; /* [lock] */
	uint64_t stack_limit;			/* [lock] bytes, RLIMIT_STACK */
	uint64_t as_limit;			/* [lock] bytes, RLIMIT_AS */
	uint64_t data_limit;			/* [lock] bytes, RLIMIT_DATA */
	bool sealed;				/* [lock] by vm_space_seal() */
	vaddr_t vdso;				/* [init] where exec mapped it; 0: nowhere */
	struct vm_space *dead_next; /* [self] on the list of spaces whose tables wait to be freed */
};

#define VM_REGIONS_MAX 65530
/* A heap below a stack leaves it its limit, but for more than this. */
#define VM_STACK_RESERVE (256UL << 20)

/* NULL: no memory. */
struct vm_space *vm_space_create(void) __must_check;
/* A copy of from, as fork(2) makes it: private pages are shared until either side writes, shared ones for good.
 * 0 and *out with one reference, or -ENOMEM. Context: thread. */
int vm_space_fork(struct vm_space *from, struct vm_space **out) __must_check;
void vm_space_get(struct vm_space *s);
void vm_space_put(struct vm_space *s);	     /* may sleep */
void vm_space_put_async(struct vm_space *s); /* the last one leaves all the work to a worker */
/* For a space whose process is told to die: from now on nobody can touch its pages, and none comes any more: faults are
 * -EINTR, and it is not copied. Waits for nobody but who works on it. */
void vm_space_seal(struct vm_space *s);
bool vm_space_is_sealed(const struct vm_space *s);
/* Of a sealed one: the page at addr, with a reference, if there is one; shared: only if it is shared writable memory. */
struct page *vm_sealed_page(struct vm_space *s, vaddr_t addr, bool shared) __must_check;
/* And every page leaves it. */
void vm_space_strip(struct vm_space *s);
/* Has somebody else a reference? It may drop it at any time; only a holder can add one. */
bool vm_space_is_shared(const struct vm_space *s);

/* The switch: make s (NULL: no user space needed, the old one may stay lazily) current on this CPU.
 * Context: atomic, irqs off. sched registers it through sched_set_space_ops(). */
void vm_space_activate(struct vm_space *s);

/* Map [addr, addr+len) or find a hole when no VM_FIXED flag is given (addr is a hint). The
 * region takes a reference of its own to backing (NULL: anonymous); the caller keeps its.
 * Returns 0 and *out, -ENOMEM, -EINVAL, -EEXIST. Context: thread. */
int vm_map(struct vm_space *s, vaddr_t addr, size_t len, unsigned flags, struct vm_backing *backing,
	   uint64_t offset_pages, vaddr_t *out) __must_check;
int vm_unmap(struct vm_space *s, vaddr_t addr, size_t len) __must_check;
/* Take `clear` from the flags of all regions of the range and add `set`: protection, VM_LOCKED, VM_DONTFORK ... All of
 * it is mapped, else -ENOMEM and nothing is done; -EACCES: VM_WRITE against VM_NOWRITE. */
int vm_change(struct vm_space *s, vaddr_t addr, size_t len, unsigned clear,
	      unsigned set) __must_check;
int vm_protect(struct vm_space *s, vaddr_t addr, size_t len, unsigned prot) __must_check;
/* mremap(2) for aligned addresses and lengths above 0: with VM_FIXED to new_addr, which it replaces; else where it is, or
 * if may_move anywhere. *out is its address now. -EFAULT: not one region; -ENOMEM: no room. */
int vm_move(struct vm_space *s, vaddr_t addr, size_t old_len, size_t new_len, unsigned flags,
	    bool may_move, vaddr_t new_addr, vaddr_t *out) __must_check;
/* Move the break. Returns the break now in force: the old one on failure, as Linux does. */
vaddr_t vm_brk(struct vm_space *s, vaddr_t brk);
/* Drop the pages in the range: anonymous memory reads as zero again, a file's as the file. -EINVAL: VM_LOCKED;
 * -ENOMEM: not all of it is mapped. */
int vm_discard(struct vm_space *s, vaddr_t addr, size_t len) __must_check;
/* Bring in the pages of a range, for VM_READ or VM_WRITE (-EINVAL: not allowed), or 0: as their regions allow. 0; -ENOMEM where
 * nothing is mapped or memory is out; -EFAULT where nobody may look, or nothing is to be seen (0: -EIO); -EINTR. */
int vm_populate(struct vm_space *s, vaddr_t addr, size_t len, unsigned access) __must_check;
/* mlock: VM_LOCKED, at most `limit` bytes in all (-ENOMEM), then, if now, vm_populate(). */
int vm_lock_range(struct vm_space *s, vaddr_t addr, size_t len, uint64_t limit,
		  bool now) __must_check;
/* mlockall and munlockall (neither): all that is mapped, and all that will be. */
int vm_lock_all(struct vm_space *s, bool now, bool future, uint64_t limit) __must_check;
void vm_set_limits(struct vm_space *s, uint64_t as, uint64_t data, uint64_t stack);

/* About how many pages would come back with it: its own and the kernel's for it. Context: any. */
uint64_t vm_space_footprint(const struct vm_space *s);

/* --- looking ------------------------------------------------------------------------------------------------------------ */

/* Is all of the range mapped? flags gets the VM_* of all of its regions, and VM_BACKED if one is not anonymous. */
bool vm_range_mapped(struct vm_space *s, vaddr_t addr, size_t len, unsigned *flags);
/* mincore: for each page 1 if a touch would find it, else 0. -ENOMEM: not mapped. */
int vm_resident(struct vm_space *s, vaddr_t addr, unsigned pages, uint8_t *out) __must_check;
/* All in pages. */
struct vm_stats {
	uint64_t mapped, peak_mapped; /* VmSize, VmPeak */
	uint64_t resident, peak_resident, anonymous;
	uint64_t data, stack, text, locked;
};
void vm_stats(struct vm_space *s, struct vm_stats *out);

/* One line of /proc/PID/maps. */
struct vm_region_info {
	vaddr_t start, end;
	unsigned prot;	   /* VM_* */
	uint64_t offset;   /* bytes */
	struct file *file; /* NULL: none */
	const char *name;  /* "[heap]", "[stack]", "[vdso]"; NULL: none */
};
/* In order. fn is called with the space locked: it may allocate, but not touch user memory, and file is its for the
 * time of the call. */
void vm_for_each_region(struct vm_space *s,
			void (*fn)(const struct vm_region_info *info, void *arg), void *arg);

/* A backing of n pages that the kernel keeps for ever (the vDSO): each space maps it with vm_map(), VM_READ | VM_EXEC |
 * VM_NOWRITE. The array stays the caller's. Pages of the image, or PAGE_USER ones. NULL: no memory. */
struct vm_backing *vm_backing_kernel_pages(const char *name, struct page *const *pages,
					   unsigned n) __must_check;

enum vm_fault_access { VM_FAULT_READ, VM_FAULT_WRITE, VM_FAULT_EXEC };
/* Bring in the page. 0; -EFAULT no region (SIGSEGV MAPERR); -EACCES protection (SIGSEGV ACCERR); -ENOMEM; -EIO
 * (SIGBUS); -EINTR the thread is being killed. Context: thread, may sleep. */
int vm_fault(struct vm_space *s, vaddr_t addr, enum vm_fault_access access) __must_check;

/* Copy into or out of any space by its pages (exec's argument block, ptrace-like uses); src NULL: zeros. Returns 0 or
 * -EFAULT. */
int vm_write(struct vm_space *s, vaddr_t addr, const void *src, size_t n) __must_check;
int vm_read(struct vm_space *s, vaddr_t addr, void *dst, size_t n) __must_check;

/* The page of a shared mapping behind addr, with a reference: *out is NULL if the mapping is private. -EFAULT. */
int vm_shared_page(struct vm_space *s, vaddr_t addr, struct page **out) __must_check;
/* Call fn on an aligned word of writable memory, at its kernel address, with s locked so that it stays: fn takes
 * spinlocks at most. -EFAULT. */
int vm_word_update(struct vm_space *s, vaddr_t addr, void (*fn)(uint32_t *word, void *arg),
		   void *arg) __must_check;

/* Check the tree, the gaps and the page counts against the table; BUG on a difference. Debug and tests. */
void vm_check(struct vm_space *s);

/* The current thread's user space, NULL for kernel threads. Provided by sched through thread->space. */
struct vm_space *vm_current(void);

/* Free the tables of spaces that have gone, on the spot, and wait for the worker to free those it took: for exact
 * accounts. Context: thread, may sleep. */
void vm_space_reap(void);

/* boot: the worker that frees tables, registration of the space switch with sched. */
void vm_init(void);

#endif
