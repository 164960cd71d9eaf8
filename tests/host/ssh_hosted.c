/* SPDX-License-Identifier: MIT */
/* ssh/ as an ordinary server process, one child for each connection, so that real clients can be run against the
 * protocol code under ASan and UBSan, without the kernel. A test tool: it runs programs as its own user. */
#define _GNU_SOURCE
#include "lib/errno.h"
#include "lib/string.h"
#include "ssh/authkeys.h"
#include "ssh/hostkey.h"
#include "ssh/proto.h"
#include "ssh/ssh.h"
#include "tests/host/ssh_hosted.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHANS_MAX 80

struct session {
	struct ssh_chan *ch; /* NULL: free */
	pid_t pid;
	int in, out, err; /* -1: closed */
	bool pty, exited, said_eof, hup;
	int slave;
	int status;
	struct winsize size;
	char *env[40];
	int env_count;
};

static struct session sessions[CHANS_MAX];
static struct ssh_hostkey hostkey;
static struct ssh_config config;
static char *keys_text;
static size_t keys_len;
static long live_bytes;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void *host_alloc(void *host, size_t n)
{
	live_bytes += (long)n;
	return malloc(n);
}

static void host_free(void *host, void *p, size_t n)
{
	live_bytes -= (long)n;
	free(p);
}

static int host_random(void *host, void *buf, size_t n)
{
	return getrandom(buf, n, 0) == (ssize_t)n ? 0 : -EAGAIN;
}

static void host_log(void *host, enum ssh_log level, const char *text, struct bytes about)
{
	fprintf(stderr, "ssh[%d]: %s%s%.*s%s\n", getpid(), text, about.n ? " \"" : "", (int)about.n,
		about.p, about.n ? "\"" : "");
}

static void line_refused(void *arg, unsigned line, const char *why)
{
	fprintf(stderr, "ssh[%d]: authorized_keys line %u: %s\n", getpid(), line, why);
}

static int host_key_check(void *host, struct bytes user, struct bytes key, bool spoken)
{
	struct bytes text = { (uint8_t *)keys_text, keys_len };
	struct ssh_key_line line;
	unsigned number = 0;

	return !bytes_is(user, "nobody") && ssh_authkeys_next(&text, key, &number, &line) ? 0
											  : -EACCES;
}

static const struct ssh_chan_ops chan_ops;

static int host_admit(void *host, struct bytes user, struct bytes key, struct ssh_grant *grant)
{
	struct bytes text = { (uint8_t *)keys_text, keys_len };
	struct ssh_login login = { BYTES_LIT("127.0.0.1"), (uint64_t)time(NULL), line_refused,
				   NULL };

	int err = ssh_authkeys_find(text, key, &login, grant);

	grant->chan_ops = &chan_ops;
	return err;
}

static uint64_t host_auth_failed(void *host, struct bytes user)
{
	return 300 * NS_PER_MS;
}

static void host_auth_done(void *host, struct bytes user)
{
}

static struct session *session_of(struct ssh_chan *ch)
{
	return ssh_chan_data(ch);
}

static int host_chan_open(void *host, struct ssh_chan *ch)
{
	for (int i = 0; i < CHANS_MAX; i++)
		if (!sessions[i].ch && sessions[i].pid == 0) {
			sessions[i] = (struct session){
				.ch = ch, .in = -1, .out = -1, .err = -1, .slave = -1
			};
			ssh_chan_set_data(ch, &sessions[i]);
			return 0;
		}
	return -ENFILE;
}

static int host_chan_env(void *host, struct ssh_chan *ch, struct bytes name, struct bytes value)
{
	struct session *s = session_of(ch);

	if (s->env_count == 40 || asprintf(&s->env[s->env_count], "%.*s=%.*s", (int)name.n, name.p,
					   (int)value.n, value.p) < 0)
		return -ENOMEM;
	s->env_count++;
	return 0;
}

static int host_chan_pty(void *host, struct ssh_chan *ch, const struct ssh_pty *pty)
{
	struct session *s = session_of(ch);
	struct rd modes = rd_bytes_of(pty->modes);
	uint8_t opcode;
	uint32_t value;
	struct winsize ws = { pty->size.rows, pty->size.cols, pty->size.xpixel, pty->size.ypixel };

	while (ssh_pty_mode_next(&modes, &opcode, &value))
		;
	if (openpty(&s->in, &s->slave, NULL, NULL, &ws))
		return -errno;
	s->out = dup(s->in);
	fcntl(s->in, F_SETFL, O_NONBLOCK);
	s->pty = true;
	return 0;
}

static void run_child(struct session *s, const struct ssh_start *start, int in, int out, int err)
{
	char *command = strndup((const char *)start->command.p, start->command.n);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setsid();
	if (s->pty)
		ioctl(in, TIOCSCTTY, 0);
	dup2(in, 0);
	dup2(out, 1);
	dup2(err, 2);
	for (int fd = 3; fd < 200; fd++)
		close(fd);
	for (int i = 0; i < s->env_count; i++)
		putenv(s->env[i]);
	if (start->original.p)
		setenv("SSH_ORIGINAL_COMMAND",
		       strndup((const char *)start->original.p, start->original.n), 1);
	if (start->kind == SSH_START_EXEC)
		execl("/bin/sh", "sh", "-c", command, NULL);
	else
		execl("/bin/sh", "-sh", NULL);
	_exit(127);
}

static int host_chan_start(void *host, struct ssh_chan *ch, const struct ssh_start *start)
{
	struct session *s = session_of(ch);
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, err[2] = { -1, -1 };

	if (!s->pty && (pipe(in) || pipe(out) || pipe(err)))
		return -ENFILE;
	s->pid = fork();
	if (s->pid == 0)
		run_child(s, start, s->pty ? s->slave : in[0], s->pty ? s->slave : out[1],
			  s->pty ? s->slave : err[1]);
	if (s->pty) {
		close(s->slave);
		s->slave = -1;
		return 0;
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	s->in = in[1];
	s->out = out[0];
	s->err = err[0];
	fcntl(s->in, F_SETFL, O_NONBLOCK);
	return 0;
}

static ssize_t host_chan_input(void *host, struct ssh_chan *ch, const void *p, size_t n)
{
	struct session *s = session_of(ch);
	ssize_t done = s->in >= 0 ? write(s->in, p, n) : -1;

	if (s->in >= 0 && done < 0 && errno == EAGAIN)
		return 0;
	return done < 0 ? -EPIPE : done;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void host_chan_input_eof(void *host, struct ssh_chan *ch)
{
	struct session *s = session_of(ch);

	if (s->pty)
		(void)!write(s->in, "\004", 1);
	else
		close_fd(&s->in);
}

static int host_chan_winsize(void *host, struct ssh_chan *ch, const struct ssh_winsize *size)
{
	struct winsize ws = { size->rows, size->cols, size->xpixel, size->ypixel };

	return ioctl(session_of(ch)->in, TIOCSWINSZ, &ws) ? -errno : 0;
}

static int host_chan_signal(void *host, struct ssh_chan *ch, const char *name)
{
	static const struct {
		const char *name;
		int signo;
	} map[] = { { "INT", SIGINT },
		    { "TERM", SIGTERM },
		    { "KILL", SIGKILL },
		    { "HUP", SIGHUP },
		    { "USR1", SIGUSR1 } };

	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		if (strcmp(map[i].name, name) == 0)
			return kill(-session_of(ch)->pid, map[i].signo) ? -errno : 0;
	return -EINVAL;
}

static int host_chan_break(void *host, struct ssh_chan *ch, uint32_t ms)
{
	return session_of(ch)->pty ? 0 : -ENOTTY;
}

static void host_chan_closed(void *host, struct ssh_chan *ch)
{
	struct session *s = session_of(ch);

	close_fd(&s->in);
	close_fd(&s->out);
	close_fd(&s->err);
	close_fd(&s->slave);
	while (s->env_count > 0)
		free(s->env[--s->env_count]);
	if (s->pid > 0 && !s->exited)
		kill(-s->pid, SIGHUP);
	s->ch = NULL;
	if (s->exited)
		s->pid = 0;
}

static const struct ssh_chan_ops chan_ops = {
	.chan_open = host_chan_open,
	.chan_env = host_chan_env,
	.chan_pty = host_chan_pty,
	.chan_start = host_chan_start,
	.chan_input = host_chan_input,
	.chan_input_eof = host_chan_input_eof,
	.chan_winsize = host_chan_winsize,
	.chan_signal = host_chan_signal,
	.chan_break = host_chan_break,
	.chan_closed = host_chan_closed,
};

static const struct ssh_host_ops ops = {
	.alloc = host_alloc,
	.free = host_free,
	.random = host_random,
	.log = host_log,
	.key_check = host_key_check,
	.admit = host_admit,
	.auth_failed = host_auth_failed,
	.auth_done = host_auth_done,
};

static void pump_output(struct session *s, int *fd, bool err)
{
	size_t room;
	uint8_t *p = ssh_chan_output_begin(s->ch, err, &room);
	ssize_t n;

	if (!p)
		return;
	n = read(*fd, p, room);
	ssh_chan_output_end(s->ch, n > 0 ? (size_t)n : 0);
	if (n <= 0)
		close_fd(fd);
}

static const char *signal_name(int signo)
{
	return signo == SIGKILL	  ? "KILL"
	       : signo == SIGTERM ? "TERM"
	       : signo == SIGSEGV ? "SEGV"
	       : signo == SIGINT  ? "INT"
	       : signo == SIGHUP  ? "HUP"
	       : signo == SIGPIPE ? "PIPE"
				  : "ABRT";
}

static void finish_session(struct session *s)
{
	if (!s->ch || s->out >= 0 || s->err >= 0 || s->pid == 0 || !s->exited)
		return;
	ssh_chan_eof(s->ch);
	if (WIFEXITED(s->status))
		ssh_chan_exit_status(s->ch, (uint32_t)WEXITSTATUS(s->status));
	else
		ssh_chan_exit_signal(s->ch, signal_name(WTERMSIG(s->status)), WCOREDUMP(s->status));
	ssh_chan_close(s->ch);
}

static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (int i = 0; i < CHANS_MAX; i++)
			if (sessions[i].pid == pid) {
				sessions[i].exited = true;
				sessions[i].status = status;
				if (!sessions[i].ch)
					sessions[i].pid = 0;
			}
}

/* A child that left its output to a grandchild in the background ends the session all the same. */
static void set_nonblock(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static bool socket_io(struct ssh_conn *c, int sock, short revents)
{
	size_t n;
	const void *out;
	ssize_t did;

	while ((out = ssh_conn_output(c, &n))) {
		did = write(sock, out, n);
		if (did < 0)
			return errno == EAGAIN;
		ssh_conn_output_sent(c, (size_t)did);
	}
	if (revents & (POLLIN | POLLHUP | POLLERR)) {
		void *in = ssh_conn_input_space(c, &n);

		if (!in)
			return true;
		did = read(sock, in, n);
		if (did == 0 || (did < 0 && errno != EAGAIN))
			return false;
		if (did > 0)
			ssh_conn_input_done(c, (size_t)did);
	}
	return true;
}

static int poll_timeout(struct ssh_conn *c)
{
	uint64_t t = ssh_conn_deadline(c), now = now_ns();

	if (t == DEADLINE_NEVER)
		return -1;
	return t <= now ? 0 : (int)MIN((t - now) / NS_PER_MS + 1, (uint64_t)1000000);
}

static void wait_and_pump(struct ssh_conn *c, int sock, int sigfd, bool *alive)
{
	struct pollfd pfd[2 + 3 * CHANS_MAX];
	struct session *who[2 + 3 * CHANS_MAX];
	int *fds[2 + 3 * CHANS_MAX], count = 2;
	struct signalfd_siginfo info;
	size_t n;

	pfd[0] = (struct pollfd){ sock, ssh_conn_wants_input(c) ? POLLIN : 0, 0 };
	if (ssh_conn_output(c, &n))
		pfd[0].events |= POLLOUT;
	pfd[1] = (struct pollfd){ sigfd, POLLIN, 0 };
	for (int i = 0; i < CHANS_MAX; i++) {
		struct session *s = &sessions[i];

		if (!s->ch)
			continue;
		for (int k = 0; k < 3; k++) {
			int *fd = k == 0 ? &s->in : k == 1 ? &s->out : &s->err;
			bool want = k == 0 ? ssh_chan_input_waiting(s->ch) > 0
					   : ssh_chan_room(s->ch) > 0;

			if (*fd < 0 || !want)
				continue;
			pfd[count] = (struct pollfd){ *fd, k == 0 ? POLLOUT : POLLIN, 0 };
			who[count] = s;
			fds[count++] = fd;
		}
	}
	poll(pfd, (nfds_t)count, poll_timeout(c));
	if (pfd[1].revents && read(sigfd, &info, sizeof(info)) > 0)
		reap();
	for (int i = 2; i < count; i++) {
		if (!who[i]->ch || !pfd[i].revents || *fds[i] < 0)
			continue;
		if (fds[i] == &who[i]->in)
			ssh_chan_input_ready(who[i]->ch);
		else
			pump_output(who[i], fds[i], fds[i] == &who[i]->err);
	}
	for (int i = 0; i < CHANS_MAX; i++)
		finish_session(&sessions[i]);
	*alive = socket_io(c, sock, pfd[0].revents);
}

static int serve(int sock)
{
	int one = 1, sigfd;
	struct ssh_conn *c;
	bool alive = true;
	sigset_t set;
	size_t n;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	sigfd = signalfd(-1, &set, SFD_NONBLOCK);
	setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	set_nonblock(sock);
	c = ssh_conn_create(&config, &ops, NULL, now_ns());
	while (alive && !(ssh_conn_is_over(c) && !ssh_conn_output(c, &n))) {
		wait_and_pump(c, sock, sigfd, &alive);
		ssh_conn_run(c, now_ns());
	}
	ssh_conn_destroy(c);
	if (live_bytes != 0) {
		fprintf(stderr, "ssh[%d]: LEAK of %ld bytes\n", getpid(), live_bytes);
		return 1;
	}
	shutdown(sock, SHUT_WR);
	return 0;
}

static char *read_file(const char *path, size_t *len)
{
	FILE *f = fopen(path, "r");
	char *text = malloc(1 << 20);

	if (!f) {
		perror(path);
		exit(2);
	}
	*len = fread(text, 1, 1 << 20, f);
	fclose(f);
	return text;
}

static void set_option(const char *arg)
{
	const char *eq = strchr(arg, '=');
	uint64_t v = eq ? strtoull(eq + 1, NULL, 0) : 0;

	if (strncmp(arg, "rekey_bytes=", 12) == 0)
		config.rekey_bytes = v;
	else if (strncmp(arg, "grace_ms=", 9) == 0)
		config.grace_ns = v * NS_PER_MS;
	else if (strncmp(arg, "keepalive_ms=", 13) == 0)
		config.keepalive_ns = v * NS_PER_MS;
	else if (strncmp(arg, "window=", 7) == 0)
		config.window = config.window_small = (uint32_t)v;
}

int ssh_hosted_main(int argc, char **argv)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t addr_len = sizeof(addr);
	int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
	size_t key_len;
	char *key_text;

	if (argc < 4)
		return 2;
	key_text = read_file(argv[2], &key_len);
	keys_text = read_file(argv[3], &keys_len);
	if (ssh_hostkey_parse(&hostkey, key_text, key_len)) {
		fprintf(stderr, "bad host key\n");
		return 2;
	}
	free(key_text);
	ssh_config_init(&config, &hostkey);
	for (int i = 4; i < argc; i++)
		set_option(argv[i]);
	addr.sin_port = htons((uint16_t)atoi(argv[1]));
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&addr, sizeof(addr)) || listen(listener, 128)) {
		perror("listen");
		return 2;
	}
	getsockname(listener, (struct sockaddr *)&addr, &addr_len);
	printf("port %d\n", ntohs(addr.sin_port));
	fflush(stdout);
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int sock = accept(listener, NULL, NULL);

		if (sock < 0)
			continue;
		if (fork() == 0) {
			close(listener);
			signal(SIGCHLD, SIG_DFL);
			exit(serve(sock));
		}
		close(sock);
	}
}
