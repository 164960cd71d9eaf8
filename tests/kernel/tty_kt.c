/* SPDX-License-Identifier: MIT */
/* Terminals with real threads: echo, back-pressure both ways, hang-up, numbers, kills, memory. */
#include "drivers/tty/tty_priv.h"
#include "fs/inode.h"
#include "fs/vfs.h"
#include "kernel/core/panic.h"
#include "kernel/proc/lifecycle.h"
#include "lib/errno.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/ktest.h"

#define ALL_CPUS (~(cpumask_t)0)
#define ICANON_	 0x2u
#define ECHO_	 0x8u
#define OPOST_	 0x1u
#define IXOFF_	 0x1000u

static struct file *master, *slave;
static unsigned number;

static void open_pty(void)
{
	KT_CHECK(pty_create(&master, &slave, &number) == 0);
}

static void close_pty(void)
{
	file_put(slave);
	file_put(master);
}

static void set_raw(struct file *f)
{
	struct tty_termios t;

	tty_get_termios(f, &t);
	t.lflag &= ~(ICANON_ | ECHO_);
	t.oflag &= ~OPOST_;
	tty_set_termios(f, &t);
}

static bool reads(struct file *f, const char *want)
{
	char buf[64];
	ssize_t n = file_read_kernel(f, buf, sizeof(buf));

	return n == (ssize_t)strlen(want) && memcmp(buf, want, (size_t)n) == 0;
}

KTEST(pty_line_and_echo)
{
	open_pty();
	KT_CHECK(file_poll(slave) == POLL_OUT);
	KT_CHECK(file_write_kernel(master,
				   "ab\x7f"
				   "c\r",
				   5) == 5);
	KT_CHECK(file_poll(slave) == (POLL_IN | POLL_OUT));
	KT_CHECK(reads(slave, "ac\n"));
	KT_CHECK(reads(master, "ab\b \bc\r\n"));
	KT_CHECK(file_write_kernel(slave, "x\n", 2) == 2);
	KT_CHECK(file_poll(master) == (POLL_IN | POLL_OUT));
	KT_CHECK(reads(master, "x\r\n"));
	close_pty();
}

KTEST(pty_ends)
{
	char c;

	open_pty();
	KT_CHECK(file_write_kernel(slave, "last", 4) == 4);
	file_put(slave);
	KT_CHECK(file_poll(master) & POLL_HUP);
	KT_CHECK(reads(master, "last"));
	KT_CHECK(file_read_kernel(master, &c, 1) == -EIO);
	file_put(master);
	open_pty();
	file_put(master);
	KT_CHECK(file_poll(slave) == (POLL_IN | POLL_OUT | POLL_ERR | POLL_HUP));
	KT_CHECK(file_read_kernel(slave, &c, 1) == 0);
	KT_CHECK(file_write_kernel(slave, "x", 1) == -EIO);
	file_put(slave);
}

struct stream {
	struct file *from, *to;
	size_t total;
};

static uint8_t byte_at(size_t pos)
{
	return (uint8_t)('0' + pos % 61);
}

static void stream_writer(void *arg)
{
	struct stream *s = arg;
	uint8_t *buf = kmalloc(9000);
	uint64_t seed = kt_seed() | 1;

	for (size_t done = 0; buf && done < s->total;) {
		size_t n = MIN((size_t)(crew_random(&seed) % 9000 + 1), s->total - done);

		for (size_t k = 0; k < n; k++)
			buf[k] = byte_at(done + k);
		KT_CHECK(file_write_kernel(s->to, buf, n) == (ssize_t)n);
		done += n;
	}
	kfree(buf);
}

/* A reader slower than the writer: nothing is lost and nothing is mixed up. */
static void run_stream(struct file *to, struct file *from)
{
	struct stream s = { from, to, 300000 * kt_scale() };
	struct crew crew = { 0 };
	size_t pos = 0, wrong = 0;
	uint8_t buf[300];

	crew_add(&crew, stream_writer, &s, ALL_CPUS);
	while (pos < s.total) {
		ssize_t n = file_read_kernel(from, buf, sizeof(buf));

		if (n <= 0)
			break;
		for (ssize_t k = 0; k < n; k++)
			wrong += buf[k] != byte_at(pos++);
	}
	crew_join(&crew);
	KT_CHECK(wrong == 0);
	KT_CHECK(pos == s.total);
}

KTEST(pty_output_back_pressure)
{
	open_pty();
	set_raw(slave);
	run_stream(slave, master);
	close_pty();
}

KTEST(pty_input_back_pressure)
{
	open_pty();
	set_raw(slave);
	run_stream(master, slave);
	close_pty();
}

KTEST(pty_full_does_not_block_nonblocking)
{
	static uint8_t buf[4096];
	uint64_t total = 0;
	ssize_t n;

	open_pty();
	set_raw(slave);
	slave->flags |= FILE_NONBLOCK;
	while ((n = file_write_kernel(slave, buf, sizeof(buf))) > 0)
		total += (uint64_t)n;
	KT_CHECK(n == -EAGAIN);
	KT_CHECK(total > 16000 && total <= 16384);
	KT_CHECK(!(file_poll(slave) & POLL_OUT));
	master->flags |= FILE_NONBLOCK;
	memset(buf, 'k', sizeof(buf));
	KT_CHECK(file_write_kernel(master, buf, sizeof(buf)) == 4096);
	KT_CHECK(file_write_kernel(master, buf, 1) == -EAGAIN);
	KT_CHECK(!(file_poll(master) & POLL_OUT));
	close_pty();
}

static void blocked_reader(void *arg)
{
	char c;

	*(ssize_t *)arg = file_read_kernel(slave, &c, 1);
}

KTEST(pty_hangup_ends_a_read)
{
	struct crew crew = { 0 };
	ssize_t result = -1;

	open_pty();
	crew_add(&crew, blocked_reader, &result, ALL_CPUS);
	crew_await_asleep(crew.thread[0]);
	file_put(master);
	crew_join(&crew);
	KT_CHECK(result == -EIO);
	KT_CHECK(file_read_kernel(slave, &result, 1) == 0);
	file_put(slave);
}

#define TCSBRK_ 0x5409u
#define TCXONC_ 0x540au

/* Output is where it goes at once: nobody waits for who reads it, stopped or not. */
KTEST(pty_drains_at_once)
{
	open_pty();
	KT_CHECK(file_write_kernel(slave, "five5", 5) == 5);
	KT_CHECK(slave->ops->ioctl(slave, TCSBRK_, 1) == 0);
	KT_CHECK(slave->ops->ioctl(slave, TCXONC_, 0) == 0);
	KT_CHECK(slave->ops->ioctl(slave, TCSBRK_, 1) == 0);
	KT_CHECK(!(file_poll(slave) & POLL_OUT) && !(file_poll(master) & POLL_IN));
	KT_CHECK(slave->ops->ioctl(slave, TCXONC_, 1) == 0);
	KT_CHECK(reads(master, "five5"));
	close_pty();
}

static char device[16];
static size_t device_n;

static void take_by_device(struct tty *t)
{
	assert_mutex_held(&t->lock);
	device_n += tty_take_output(t, (uint8_t *)device + device_n, sizeof(device) - device_n);
}

/* IXOFF: whoever types at a device is stopped while much is typed ahead. */
KTEST(tty_paces_its_typist)
{
	static uint8_t keys[3000], buf[3000];
	struct tty *t = tty_create();
	struct tty_termios modes;
	struct file *f;

	if (!t || tty_open(t, FILE_RDWR, &f) < 0) {
		KT_CHECK(!"memory for a terminal");
		return;
	}
	t->drain = take_by_device;
	set_raw(f);
	tty_get_termios(f, &modes);
	modes.iflag |= IXOFF_;
	tty_set_termios(f, &modes);
	device_n = 0;
	memset(keys, 'k', sizeof(keys));
	mutex_lock(&t->lock);
	KT_CHECK(tty_type(t, keys, 1000) == 1000);
	KT_CHECK(device_n == 0);
	KT_CHECK(tty_type(t, keys, 2000) == 2000);
	mutex_unlock(&t->lock);
	KT_CHECK(device_n == 1 && device[0] == 19);
	KT_CHECK(file_read_kernel(f, buf, 1500) == 1500 && device_n == 1);
	KT_CHECK(file_read_kernel(f, buf, sizeof(buf)) == 1500);
	KT_CHECK(device_n == 2 && device[1] == 17);
	file_put(f);
	tty_put(t);
}

#define VTIME_ 5
#define VMIN_  6

/* VMIN and VTIME both: the clock starts with the first byte. */
KTEST(pty_timed_raw_read)
{
	struct crew crew = { 0 };
	struct tty_termios t;
	ssize_t result = -1;
	uint64_t begin;
	char buf[8];

	open_pty();
	set_raw(slave);
	tty_get_termios(slave, &t);
	t.cc[VMIN_] = 3;
	t.cc[VTIME_] = 1;
	tty_set_termios(slave, &t);
	crew_add(&crew, blocked_reader, &result, ALL_CPUS);
	sleep_until(crew_deadline_ms(150), WAIT_UNINTERRUPTIBLE);
	KT_CHECK(READ_ONCE(result) == -1);
	KT_CHECK(file_write_kernel(master, "abc", 3) == 3);
	crew_join(&crew);
	KT_CHECK(result == 1);
	begin = clock_now_ns();
	KT_CHECK(file_read_kernel(slave, buf, sizeof(buf)) == 2);
	KT_CHECK(clock_now_ns() - begin >= 90 * NS_PER_MS);
	t.cc[VMIN_] = 0;
	tty_set_termios(slave, &t);
	KT_CHECK(file_read_kernel(slave, buf, sizeof(buf)) == 0);
	close_pty();
}

/* Whole lines that nobody reads hold the far end back; the key that interrupts gets through. */
KTEST(pty_lines_unread_hold_back)
{
	unsigned lines = 0;

	open_pty();
	master->flags |= FILE_NONBLOCK;
	while (lines < 4096 && file_write_kernel(master, "line\r", 5) == 5)
		lines++;
	KT_CHECK(lines == 4095 / 5);
	KT_CHECK(file_write_kernel(master, "abc\x03", 4) == 4);
	KT_CHECK(file_poll(master) & POLL_OUT);
	close_pty();
}

/* A group without threads: what it is sent stays pending. */
KTEST(pty_keys_signal_the_foreground_group)
{
	struct process *p = process_create(NULL, "tty-test");
	struct session *s;

	if (!p || process_new_session(p) < 0) {
		KT_CHECK(!"memory for a process");
		return;
	}
	process_publish(p, NULL, false);
	s = session_of(p);
	open_pty();
	KT_CHECK(tty_set_controlling(slave, s) == 0);
	KT_CHECK(file_write_kernel(master, "abc\x03", 4) == 4);
	KT_CHECK(READ_ONCE(p->signals.exiting) || p->signals.pending.set & BIT(SIG_INT - 1));
	KT_CHECK(reads(master, "^C"));
	close_pty();
	KT_CHECK(s->tty == NULL);
	session_put(s);
	process_zombie(p, 0);
	process_put(p);
}

#define MANY 200

KTEST(pty_many_and_numbers_again)
{
	struct file **f = kcalloc((size_t)2 * MANY, sizeof(*f));
	unsigned first = 0, n = 0, k;

	for (k = 0; f && k < MANY; k++) {
		if (pty_create(&f[2 * k], &f[2 * k + 1], &n) != 0)
			break;
		if (k == 0)
			first = n;
		KT_CHECK(n == first + k);
	}
	KT_CHECK(k == MANY);
	for (k = 0; f && k < MANY; k++) {
		file_put(f[2 * k]);
		file_put(f[2 * k + 1]);
	}
	kfree(f);
	open_pty();
	KT_CHECK(number == first);
	close_pty();
}

static uint64_t kernel_pages(void)
{
	struct page_stats s;

	page_stats(&s);
	return s.kernel;
}

/* A quiet terminal costs little: the large ring, four pages, is there while there is much output. */
KTEST(pty_out_ring_on_demand)
{
	uint64_t before, idle;
	char buf[256];
	size_t got = 0;
	ssize_t n;

	open_pty();
	close_pty();
	before = kernel_pages();
	open_pty();
	idle = kernel_pages();
	KT_CHECK(idle <= before + 1);
	set_raw(slave);
	memset(buf, 'o', sizeof(buf));
	for (unsigned i = 0; i < 40; i++) {
		buf[0] = (char)i;
		KT_CHECK(file_write_kernel(slave, buf, sizeof(buf)) == sizeof(buf));
	}
	KT_CHECK(kernel_pages() >= idle + 4);
	master->flags |= FILE_NONBLOCK;
	while ((n = file_read_kernel(master, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++, got++)
			KT_CHECK(buf[i] == (got % sizeof(buf) ? 'o' : (char)(got / sizeof(buf))));
	}
	KT_CHECK(got == 40 * sizeof(buf));
	KT_CHECK(kernel_pages() <= idle);
	close_pty();
}

/* The same for what is typed ahead. */
KTEST(pty_in_ring_on_demand)
{
	char buf[256];
	uint64_t idle;
	size_t got = 0;
	ssize_t n;

	open_pty();
	set_raw(slave);
	idle = kernel_pages();
	master->flags |= FILE_NONBLOCK;
	memset(buf, 'i', sizeof(buf));
	for (unsigned i = 0; i < 16; i++)
		KT_CHECK(file_write_kernel(master, buf, sizeof(buf)) == sizeof(buf));
	KT_CHECK(kernel_pages() >= idle + 1);
	slave->flags |= FILE_NONBLOCK;
	while ((n = file_read_kernel(slave, buf, sizeof(buf))) > 0)
		got += (size_t)n;
	KT_CHECK(got == 16 * sizeof(buf));
	KT_CHECK(kernel_pages() <= idle);
	close_pty();
}

/* A write that the terminal takes nothing of tells nobody anything: who writes when told would be told of his own. */
KTEST(pty_refused_write_is_no_event)
{
	struct poll_watch w;
	struct poller poller;
	uint32_t fired;
	char buf[256];

	open_pty();
	set_raw(slave);
	master->flags |= FILE_NONBLOCK;
	memset(buf, 'i', sizeof(buf));
	KT_CHECK(file_write_kernel(slave, "unread", 6) == 6);
	poller_init(&poller);
	poll_watch_add(&poller, &w, master->source, POLL_IN | POLL_OUT, NULL);
	while (file_write_kernel(master, buf, sizeof(buf)) > 0)
		;
	while (poller_next(&poller, &fired))
		;
	KT_CHECK(file_write_kernel(master, buf, sizeof(buf)) == -EAGAIN);
	KT_CHECK(!poller_next(&poller, &fired));
	KT_CHECK(file_read_kernel(slave, buf, sizeof(buf)) == sizeof(buf));
	KT_CHECK(poller_next(&poller, &fired) == &w);
	poll_watch_remove(&w);
	close_pty();
}

KTEST(pty_slave_has_its_name)
{
	char name[16];
	struct kstat st;

	open_pty();
	fmt_print(name, sizeof(name), "%u", number);
	KT_CHECK(slave->dentry && strcmp(slave->dentry->name, name) == 0);
	KT_CHECK(file_stat(slave, &st) == 0 && st.ino != 0 && st.rdev >> 8 == 136);
	KT_CHECK(!(slave->flags & VFS_O_NOCTTY));
	close_pty();
}

#define LINES	  1000
#define LINE_SIZE 100

/* Lines that tell who wrote them and which they are. */
static void line_writer(void *arg)
{
	char line[LINE_SIZE + 1];

	for (unsigned i = 0; i < LINES; i++) {
		fmt_print(line, sizeof(line), "%u %04u ", (unsigned)(uintptr_t)arg, i);
		memset(line + 7, 'a' + (int)(i % 26), LINE_SIZE - 8);
		line[LINE_SIZE - 1] = '\n';
		KT_CHECK(file_write_kernel(slave, line, LINE_SIZE) == LINE_SIZE);
	}
}

static bool whole_line(const char *line, unsigned next[4])
{
	unsigned who = (unsigned)line[0] - '0', which = 0;

	for (int k = 2; k < 6; k++)
		which = 10 * which + (unsigned)line[k] - '0';
	if (who > 3 || which != next[who]++)
		return false;
	for (int k = 7; k < LINE_SIZE - 1; k++)
		if (line[k] != 'a' + (int)(which % 26))
			return false;
	return line[LINE_SIZE - 1] == '\n';
}

/* USER-002: what one write gives stays together, whoever writes beside it and however small the ring is. */
KTEST(pty_lines_stay_whole)
{
	unsigned next[4] = { 0 }, wrong = 0, lines = 0;
	struct crew crew = { 0 };
	char line[LINE_SIZE];
	size_t have = 0;

	open_pty();
	set_raw(slave);
	for (uintptr_t who = 0; who < 4; who++)
		crew_add(&crew, line_writer, (void *)who, ALL_CPUS);
	while (lines < 4 * LINES) {
		ssize_t n = file_read_kernel(master, line + have, LINE_SIZE - have);

		if (n <= 0)
			break;
		have += (size_t)n;
		if (have < LINE_SIZE)
			continue;
		wrong += !whole_line(line, next);
		have = 0;
		lines++;
	}
	crew_join(&crew);
	KT_CHECK(lines == 4 * LINES && wrong == 0);
	close_pty();
}

/* A session without threads, and its leader, who leaves it by tty_session_end(). */
static struct process *lone_leader(void)
{
	struct process *p = process_create(NULL, "tty-test");

	if (!p || process_new_session(p) < 0) {
		kt_fail(__FILE__, __LINE__, "no memory for a process");
		return NULL;
	}
	process_publish(p, NULL, false);
	return p;
}

/* An ioctl that looked before the hang-up and acts after it: nobody's terminal that is gone becomes anybody's, or the
 * two would hold each other for ever. */
KTEST(pty_hung_up_takes_no_session)
{
	struct process *p = lone_leader();
	struct session *s = session_of(p);

	open_pty();
	file_put(master);
	KT_CHECK(tty_set_controlling(slave, s) == -EPERM);
	KT_CHECK(s->tty == NULL);
	file_put(slave);
	session_put(s);
	process_zombie(p, 0);
	process_put(p);
}

struct resize {
	struct file *f;
	uint32_t stop; /* [atomic] */
};

static void resizer(void *arg)
{
	struct resize *r = arg;
	struct tty_size size = { 0 };

	while (!atomic_load_acquire(&r->stop)) {
		size.rows++;
		tty_set_size(r->f, &size);
	}
}

/* The window changes while the far end hangs up and the session goes: SIGWINCH is sent to a session that is there. */
KTEST(pty_resized_while_it_hangs_up)
{
	for (uint64_t i = 0; i < 50 * kt_scale(); i++) {
		struct process *p = lone_leader();
		struct session *s = session_of(p);
		struct crew crew = { 0 };
		struct resize r = { 0 };

		open_pty();
		KT_CHECK(tty_set_controlling(slave, s) == 0);
		r.f = slave;
		crew_add(&crew, resizer, &r, ALL_CPUS);
		if (i % 2)
			sched_yield();
		if (i % 3 == 0)
			tty_session_end(s, true);
		file_put(master);
		KT_CHECK(s->tty == NULL);
		session_put(s);
		process_zombie(p, 0);
		process_put(p);
		atomic_store_release(&r.stop, 1);
		crew_join(&crew);
		file_put(slave);
	}
}
