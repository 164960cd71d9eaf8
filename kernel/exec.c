/* SPDX-License-Identifier: MIT */
/* execve: everything that can fail happens before anything of the process changes. The initial stack is that of the
 * System V gABI with Linux arm64's auxiliary vector. */
#include "kernel/exec.h"
#include <linux/auxvec.h>
#include <linux/resource.h>
#include "fs/fdtable.h"
#include "kernel/context.h"
#include "kernel/core/random.h"
#include "kernel/exit.h"
#include "kernel/layout.h"
#include "kernel/proc/lifecycle.h"
#include "kernel/vdso.h"
#include "lib/elf.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "mm/vm/space.h"

#define STACK_FIRST                                                                                \
	(128UL << 10)	 /* mapped at once beyond the arguments; the rest grows on demand */
#define SCRIPT_LINE  256 /* what is looked at of a file's beginning */
#define SCRIPT_DEPTH 5	 /* interpreters that are scripts themselves */
#define AUX_MAX	     24
/* A signal's frame: siginfo, ucontext with room for the registers to come, a frame record. */
#define SIGNAL_FRAME_MAX 4720
#define CLOCK_TICKS	 100

/* --- arguments ------------------------------------------------------------------------------------------- */

void exec_args_init(struct exec_args *a, uint64_t stack_limit, const char *path)
{
	size_t all = MAX(MIN(stack_limit / 4, EXEC_ARGS_MAX), EXEC_STRING_MAX);

	*a = (struct exec_args){ .room = all - strlen(path) - 1 };
}

/* What is left of the room that strings and the pointers to them, with n more, may take. */
static size_t args_room(const struct exec_args *a, unsigned n)
{
	size_t used = a->len + (a->argc + a->envc + n) * sizeof(uint64_t);

	return used < a->room ? a->room - used : 0;
}

static char *args_at(const struct exec_args *a, size_t at)
{
	return a->piece[at / PAGE_SIZE] + at % PAGE_SIZE;
}

/* How many bytes from there on lie side by side. */
static size_t args_run(const struct exec_args *a, size_t at, size_t end)
{
	return MIN(end - at, PAGE_SIZE - at % PAGE_SIZE);
}

/* Let there be a byte behind what there is. */
static int args_reserve(struct exec_args *a)
{
	if (a->len < a->nr * PAGE_SIZE)
		return 0;
	if (a->nr == a->max) {
		unsigned max = a->max ? 2 * a->max : 8;
		char **more = krealloc(a->piece, max * sizeof(*more));

		if (!more)
			return -ENOMEM;
		a->piece = more;
		a->max = max;
	}
	a->piece[a->nr] = kmalloc(PAGE_SIZE);
	if (!a->piece[a->nr])
		return -ENOMEM;
	a->nr++;
	return 0;
}

static int args_append(struct exec_args *a, const char *s, size_t n)
{
	size_t end = a->len + n;

	while (a->len < end) {
		size_t k = args_run(a, a->len, end);
		int err = args_reserve(a);

		if (err < 0)
			return err;
		memcpy(args_at(a, a->len), s, k);
		a->len += k;
		s += k;
	}
	return 0;
}

static size_t args_strlen(const struct exec_args *a, size_t at)
{
	const char *from, *zero;
	size_t end = at, run;

	do {
		run = args_run(a, end, a->len);
		from = args_at(a, end);
		zero = memchr(from, 0, run);
		end += zero ? (size_t)(zero - from) : run;
	} while (!zero);
	return end - at;
}

int exec_args_add(struct exec_args *a, const char *s, unsigned *count)
{
	size_t n = strlen(s) + 1;
	int err = n > MIN(EXEC_STRING_MAX, args_room(a, 1)) ? -E2BIG : args_append(a, s, n);

	if (err == 0)
		(*count)++;
	return err;
}

int exec_args_add_user(struct exec_args *a, vaddr_t s, unsigned *count)
{
	size_t end = a->len + MIN(EXEC_STRING_MAX, args_room(a, 1)), start = a->len;

	while (a->len < end) {
		size_t n = args_run(a, a->len, end);
		ssize_t got = args_reserve(a);

		if (got == 0)
			got = user_copy_string(args_at(a, a->len), s, n);
		if (got >= 0) {
			a->len += (size_t)got + 1;
			(*count)++;
			return 0;
		}
		if (got != -ENAMETOOLONG)
			return (int)got;
		a->len += n;
		s += n;
	}
	a->len = start;
	return -E2BIG;
}

/* n words take the place of the first. */
static int args_replace_first(struct exec_args *a, const char *const *word, unsigned n)
{
	struct exec_args b = { .room = a->room };
	size_t at = args_strlen(a, 0) + 1;
	int err = 0;

	for (unsigned i = 0; err == 0 && i < n; i++)
		err = exec_args_add(&b, word[i], &b.argc);
	b.argc += a->argc - 1;
	b.envc = a->envc;
	if (err == 0 && a->len - at > args_room(&b, 0))
		err = -E2BIG;
	for (size_t k; err == 0 && at < a->len; at += k) {
		k = args_run(a, at, a->len);
		err = args_append(&b, args_at(a, at), k);
	}
	exec_args_free(err == 0 ? a : &b);
	if (err == 0)
		*a = b;
	return err;
}

void exec_args_free(struct exec_args *a)
{
	for (unsigned i = 0; i < a->nr; i++)
		kfree(a->piece[i]);
	kfree(a->piece);
	*a = (struct exec_args){ 0 };
}

/* --- segments ---------------------------------------------------------------------------------------------- */

static unsigned prot_of(unsigned elf_prot)
{
	return ((elf_prot & ELF_READ) ? VM_READ : 0) | ((elf_prot & ELF_WRITE) ? VM_WRITE : 0) |
	       ((elf_prot & ELF_EXEC) ? VM_EXEC : 0);
}

static int map_segment(struct vm_space *space, const struct elf_segment *s, uint64_t bias,
		       struct vm_backing *backing)
{
	vaddr_t start = ALIGN_DOWN(s->vaddr + bias, PAGE_SIZE),
		file_end = s->vaddr + bias + s->file_len;
	vaddr_t end = ALIGN_UP(s->vaddr + bias + s->mem_len, PAGE_SIZE),
		file_top = ALIGN_UP(file_end, PAGE_SIZE);
	unsigned flags = prot_of(s->prot) | VM_FIXED_NOREPLACE;
	vaddr_t out;
	int err = 0;

	if (s->file_len == 0)
		file_top = start;
	if (file_top > start)
		err = vm_map(space, start, file_top - start, flags, backing, s->offset / PAGE_SIZE,
			     &out);
	if (err == 0 && end > file_top)
		err = vm_map(space, file_top, end - file_top, flags, NULL, 0, &out);
	/* the part of a page behind the file's bytes must read as zeros (H3) */
	if (err == 0 && s->mem_len > s->file_len && file_top > start)
		err = (s->prot & ELF_WRITE)
			      ? vm_write(space, file_end, NULL, MIN(file_top, end) - file_end)
			      : -ENOEXEC;
	return err == -EEXIST ? -ENOEXEC : err;
}

static int map_segments(struct vm_space *space, const struct elf_image *elf, uint64_t bias,
			struct file *file)
{
	struct vm_backing *backing;
	unsigned flags = 0;
	int err = file->ops->mmap ? file->ops->mmap(file, &flags, &backing) : -EACCES;

	if (err < 0)
		return err;
	for (unsigned i = 0; err == 0 && i < elf->nr_segments; i++)
		err = map_segment(space, &elf->segment[i], bias, backing);
	vm_backing_put(backing);
	return err;
}

/* --- the first stack ------------------------------------------------------------------------------------------ */

struct aux {
	uint64_t pair[AUX_MAX][2];
	unsigned n;
};

static void aux_add(struct aux *a, uint64_t type, uint64_t value)
{
	ASSERT(a->n < AUX_MAX);
	a->pair[a->n][0] = type;
	a->pair[a->n++][1] = value;
}

static void fill_aux(struct aux *a, const struct process *p, const struct elf_image *elf,
		     uint64_t bias)
{
	struct credentials c;

	process_get_cred(p, &c);
	aux_add(a, AT_MINSIGSTKSZ, SIGNAL_FRAME_MAX);
	aux_add(a, AT_HWCAP, arch_hwcap());
	aux_add(a, AT_PAGESZ, PAGE_SIZE);
	aux_add(a, AT_CLKTCK, CLOCK_TICKS);
	if (elf->phdr_vaddr)
		aux_add(a, AT_PHDR, elf->phdr_vaddr + bias);
	aux_add(a, AT_PHENT, ELF_PHDR_SIZE);
	aux_add(a, AT_PHNUM, elf->phdr_vaddr ? elf->phnum : 0);
	aux_add(a, AT_BASE, 0);
	aux_add(a, AT_FLAGS, 0);
	aux_add(a, AT_ENTRY, elf->entry + bias);
	aux_add(a, AT_UID, c.uid);
	aux_add(a, AT_EUID, c.euid);
	aux_add(a, AT_GID, c.gid);
	aux_add(a, AT_EGID, c.egid);
	aux_add(a, AT_SECURE, 0);
	aux_add(a, AT_HWCAP2, 0);
}

/* Sixteen bytes for the C library's canary: from the generator, or its weaker cousin before it is seeded. */
#define RANDOM_SIZE 16
static void at_random(uint8_t out[RANDOM_SIZE])
{
	if (random_bytes(out, 16) == 0)
		return;
	for (unsigned i = 0; i < 16; i += 4) {
		uint32_t r = random_u32();

		memcpy(out + i, &r, 4);
	}
}

/* What is written one after the other into a space that nobody runs in yet. */
struct writer {
	struct vm_space *space;
	vaddr_t at; /* where buf's first byte goes */
	size_t n;
	int err;
	char buf[2000] __aligned(8);
};

static void flush(struct writer *w)
{
	if (w->n > 0 && w->err == 0)
		w->err = vm_write(w->space, w->at, w->buf, w->n);
	w->at += w->n;
	w->n = 0;
}

static void put(struct writer *w, const void *from, size_t n)
{
	while (n > 0) {
		size_t k = MIN(n, sizeof(w->buf) - w->n);

		memcpy(w->buf + w->n, from, k);
		w->n += k;
		from = (const char *)from + k;
		n -= k;
		if (w->n == sizeof(w->buf))
			flush(w);
	}
}

/* Words only before it: there is room for a whole one, or none. */
static void put_word(struct writer *w, uint64_t value)
{
	*(uint64_t *)(w->buf + w->n) = value;
	w->n += sizeof(value);
	if (w->n == sizeof(w->buf))
		flush(w);
}

static void put_zeros_to(struct writer *w, vaddr_t to)
{
	static const char zeros[16];

	put(w, zeros, to - (w->at + w->n));
}

/* Pointers to the strings, in order, closed by a NULL. */
static void put_pointers(struct writer *w, const struct exec_args *args, unsigned count,
			 vaddr_t base, size_t *at)
{
	for (unsigned i = 0; i < count; i++) {
		put_word(w, base + *at);
		*at += args_strlen(args, *at) + 1;
	}
	put_word(w, 0);
}

static void put_strings(struct writer *w, const struct exec_args *args)
{
	size_t k;

	for (size_t at = 0; at < args->len; at += k) {
		k = args_run(args, at, args->len);
		put(w, args_at(args, at), k);
	}
}

/* Build argc, argv, envp and the vector, with what else lies below the strings, and write everything. *sp gets the initial stack pointer. */
static int write_stack(struct vm_space *space, vaddr_t top, const struct exec_args *args,
		       struct aux *aux, const char *execfn, vaddr_t *sp)
{
	static const char platform[] = "aarch64";
	struct writer *w = kmalloc(sizeof(*w));
	vaddr_t strings = top - args->len, fn, plat, rnd;
	size_t n_words, at = 0, fn_len = strlen(execfn) + 1;
	uint8_t random[RANDOM_SIZE];
	int err;

	if (!w)
		return -ENOMEM;
	fn = strings - fn_len;
	plat = fn - sizeof(platform);
	rnd = ALIGN_DOWN(plat - RANDOM_SIZE, 16);
	aux_add(aux, AT_RANDOM, rnd);
	aux_add(aux, AT_EXECFN, fn);
	aux_add(aux, AT_PLATFORM, plat);
	aux_add(aux, AT_NULL, 0);
	n_words = 1 + args->argc + 1 + args->envc + 1 + 2 * (size_t)aux->n;
	*sp = ALIGN_DOWN(rnd - n_words * 8, 16);
	w->space = space;
	w->at = *sp;
	w->n = 0;
	w->err = 0;
	put_word(w, args->argc);
	put_pointers(w, args, args->argc, strings, &at);
	space->arg_start = strings;
	space->arg_end = strings + at;
	space->env_end = strings + args->len;
	put_pointers(w, args, args->envc, strings, &at);
	put(w, aux->pair, 16 * (size_t)aux->n);
	put_zeros_to(w, rnd);
	at_random(random);
	put(w, random, sizeof(random));
	put_zeros_to(w, plat);
	put(w, platform, sizeof(platform));
	put(w, execfn, fn_len);
	put_strings(w, args);
	flush(w);
	err = w->err;
	kfree(w);
	return err;
}

static int map_stack(struct vm_space *space, vaddr_t top, const struct process *p,
		     const struct exec_args *args, bool exec)
{
	size_t words = (args->argc + args->envc + 64UL) * 8;
	size_t len = ALIGN_UP(args->len + words + VFS_PATH_MAX + STACK_FIRST, PAGE_SIZE);
	unsigned flags = VM_READ | VM_WRITE | VM_STACK | VM_FIXED_NOREPLACE | (exec ? VM_EXEC : 0);
	vaddr_t out;

	vm_set_limits(space, rlimit_cur(p, RLIMIT_AS), rlimit_cur(p, RLIMIT_DATA),
		      MAX(rlimit_cur(p, RLIMIT_STACK), len));
	return vm_map(space, top - len, len, flags, NULL, 0, &out);
}

/* --- loading ---------------------------------------------------------------------------------------------------- */

/* What is read of a file on the way. */
struct program {
	char head[SCRIPT_LINE + 1]; /* its first bytes, and zeros behind them */
	char line[SCRIPT_LINE + 1]; /* of a script: cut into words */
	char path[SCRIPT_LINE + 1]; /* its interpreter */
	struct elf_image elf;
};

static ssize_t read_some(struct file *f, void *buf, size_t n, off_t pos)
{
	struct io io;

	io_init_kernel(&io, buf, n);
	return file_read_at(f, &io, &pos);
}

static ssize_t open_program(const struct exec_source *from, struct file **out, struct program *prog)
{
	ssize_t n = vfs_open_exec(from->ctx, from->at, from->path, from->how, out);

	if (n < 0)
		return n;
	memset(prog->head, 0, sizeof(prog->head));
	n = read_some(*out, prog->head, SCRIPT_LINE, 0);
	if (n < 0)
		file_put(*out);
	return n;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* "#! interpreter argument": where in the line the two begin, which is cut behind each; no argument: NULL. */
static int parse_script(char *line, const char **interpreter, const char **argument)
{
	char *end = strchr(line, '\n'), *s = line + 2;
	bool cut = !end && strlen(line) == SCRIPT_LINE;

	if (!end)
		end = line + strlen(line);
	while (end > s && is_blank(end[-1]))
		end--;
	*end = '\0';
	while (is_blank(*s))
		s++;
	if (!*s)
		return -ENOEXEC;
	*interpreter = s;
	while (*s && !is_blank(*s))
		s++;
	if (!*s && cut)
		return -ENOEXEC;
	*argument = NULL;
	if (!*s)
		return 0;
	*s++ = '\0';
	while (is_blank(*s))
		s++;
	*argument = s;
	return 0;
}

/* Open the program; if it is a script, the interpreter, with words put before the arguments. */
static int find_program(const struct exec_source *from, struct exec_args *args, struct file **out,
			struct program *prog)
{
	struct exec_source next = { from->ctx, NULL, prog->path, VFS_FOLLOW, prog->path };
	const char *script = from->name;
	ssize_t n = open_program(from, out, prog);

	for (unsigned depth = 0; n >= 0 && prog->head[0] == '#' && prog->head[1] == '!'; depth++) {
		const char *word[3] = { script, script, script }, *argument = NULL;

		memcpy(prog->line, prog->head, sizeof(prog->line));
		n = parse_script(prog->line, &word[0], &argument);
		if (argument)
			word[1] = argument;
		if (n == 0)
			n = args_replace_first(args, word, argument ? 3 : 2);
		file_put(*out);
		if (n == 0 && depth == SCRIPT_DEPTH)
			n = -ELOOP;
		str_copy(prog->path, word[0], sizeof(prog->path));
		script = prog->path;
		if (n == 0)
			n = open_program(&next, out, prog);
	}
	return n < 0 ? (int)n : 0;
}

static int read_elf(struct file *f, const uint8_t *hdr, struct elf_image *elf)
{
	struct kstat st;
	uint64_t phoff = 0;
	unsigned phnum = 0;
	uint8_t *phdrs;
	int err = file_stat(f, &st);

	if (err == 0)
		err = elf_check_header(hdr, ELF_HEADER_SIZE, &phoff, &phnum);
	if (err < 0)
		return err;
	if (phoff > st.size)
		return -ENOEXEC;
	phdrs = kmalloc((size_t)phnum * ELF_PHDR_SIZE);
	if (!phdrs)
		return -ENOMEM;
	if (read_some(f, phdrs, (size_t)phnum * ELF_PHDR_SIZE, (off_t)phoff) !=
	    (ssize_t)phnum * (ssize_t)ELF_PHDR_SIZE)
		err = -ENOEXEC;
	if (err == 0)
		err = elf_parse(hdr, phdrs, (size_t)phnum * ELF_PHDR_SIZE, st.size,
				STACK_TOP - EXEC_ARGS_MAX, PAGE_SIZE, elf);
	kfree(phdrs);
	return err;
}

/* A program that needs a loader: -ENOENT if the loader is not there, as in Linux; -ELIBACC if it is, since we load none. */
static int check_loader(const struct exec_source *from, struct file *f, const struct elf_image *elf)
{
	struct file *loader;
	int err = 0;
	char *path;

	if (elf->interp_len == 0)
		return 0;
	path = kmalloc(elf->interp_len);
	if (!path)
		return -ENOMEM;
	if (read_some(f, path, elf->interp_len, (off_t)elf->interp_offset) !=
		    (ssize_t)elf->interp_len ||
	    path[elf->interp_len - 1] != '\0')
		err = -ENOEXEC;
	if (err == 0)
		err = vfs_open_exec(from->ctx, NULL, path, VFS_FOLLOW, &loader);
	if (err == 0) {
		file_put(loader);
		err = -ELIBACC;
	}
	kfree(path);
	return err;
}

static int build_space(struct process *p, const struct elf_image *elf, const struct exec_args *args,
		       const char *path, struct exec_image *out)
{
	struct aux aux = { .n = 0 };
	struct layout at;
	vaddr_t sp;
	int err;

	layout_choose(elf, rlimit_cur(p, RLIMIT_STACK), &at);
	err = map_segments(out->space, elf, at.bias, out->file);
	if (err == 0)
		err = map_stack(out->space, at.stack_top, p, args, elf->exec_stack);
	if (err < 0)
		return err;
	out->space->brk_start = out->space->brk = at.brk;
	out->space->mmap_base = at.mmap_base;
	err = vdso_map(out->space);
	if (err < 0)
		return err;
	if (out->space->vdso)
		aux_add(&aux, AT_SYSINFO_EHDR, out->space->vdso);
	fill_aux(&aux, p, elf, at.bias);
	err = write_stack(out->space, at.stack_top, args, &aux, path, &sp);
	if (err < 0)
		return err;
	out->frame =
		(struct trap_frame){ .sp_el0 = sp, .elr = elf->entry + at.bias, .syscall = -1 };
	return 0;
}

int exec_load(struct process *p, const struct exec_source *from, struct exec_args *args,
	      struct exec_image *out)
{
	const char *base = strrchr(from->name, '/');
	struct program *prog = kmalloc(sizeof(*prog));
	int err;

	*out = (struct exec_image){ 0 };
	if (!prog)
		return -ENOMEM;
	err = find_program(from, args, &out->file, prog);
	if (err < 0) {
		out->file = NULL;
		goto free_program;
	}
	out->space = vm_space_create();
	err = out->space ? read_elf(out->file, (uint8_t *)prog->head, &prog->elf) : -ENOMEM;
	if (err == 0)
		err = check_loader(from, out->file, &prog->elf);
	if (err == 0)
		err = build_space(p, &prog->elf, args, from->name, out);
	str_copy(out->name, base ? base + 1 : from->name, sizeof(out->name));
	if (err < 0)
		exec_image_free(out);
free_program:
	kfree(prog);
	return err;
}

void exec_image_free(struct exec_image *img)
{
	if (img->file)
		file_put(img->file);
	if (img->space)
		vm_space_put(img->space);
	*img = (struct exec_image){ 0 };
}

/* --- becoming it --------------------------------------------------------------------------------------------------- */

void exec_adopt(struct process *p, struct exec_image *img)
{
	struct file *old = process_set_image(p, img->name, img->file, img->space);

	if (old)
		file_put(old);
}

void exec_become(struct process *p, struct exec_image *img)
{
	struct vm_space *old = p->space;
	struct trap_frame frame = img->frame;

	/* I-PROC-4 */
	ASSERT(READ_ONCE(p->nr_threads) == 1);
	thread_release_tid(current_thread());
	process_keep_peak(p);
	exec_adopt(p, img);
	fs_set_cred();
	space_switch(img->space);
	vm_space_put(old);
	vfork_release(p);
	fdtable_close_on_exec(p->files);
	signal_exec(p);
	str_copy(current_thread()->name, img->name, sizeof(current_thread()->name));
	arch_user_reset();
	arch_enter_user(&frame);
}
