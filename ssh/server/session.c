/* SPDX-License-Identifier: MIT */
/* A session channel: its terminal or pipes, its program, and the bytes between them and the channel.
 *
 * The end: all output is given when the streams are at their end, or, with a terminal, when the program has exited and
 * nothing is left to read (others may still hold the terminal: they are hung up). Then EOF; how it ended, when it has; CLOSE. A
 * client whose own input has ended answers EOF with CLOSE, and is told how it ended all the same (session_hang_up()). */
#include "drivers/tty/tty.h"
#include "fs/pipe.h"
#include "kernel/spawn.h"
#include "lib/errno.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "ssh/authkeys.h"
#include "ssh/server/server_priv.h"

#define ENV_MAX	  47
#define TTY_GROUP 5
#define VEOF	  4
#define ICANON	  2u

static const struct server_part_ops session_ops;

static struct server_session *session_at(struct ssh_chan *ch)
{
	return container_of(ssh_chan_data(ch), struct server_session, part);
}

int session_open(void *host, struct ssh_chan *ch)
{
	struct server_conn *s = host;
	struct server_session *x = kzalloc(sizeof(*x));

	if (!x)
		return -ENOMEM;
	x->part.ops = &session_ops;
	x->conn = s;
	x->ch = ch;
	list_push_back(&x->part.link, &s->parts);
	ssh_chan_set_data(ch, &x->part);
	return 0;
}

/* The environment. */

/* Takes text over; NULL is no memory. It replaces another of its name. */
static int env_add(struct server_session *x, char *text)
{
	if (!text)
		return -ENOMEM;
	for (unsigned i = 0; i < x->env_count; i++)
		if (strncmp(x->env[i], text, (size_t)(strchr(text, '=') - text) + 1) == 0) {
			kfree(x->env[i]);
			x->env[i] = text;
			return 0;
		}
	if (!x->env)
		x->env = kcalloc(ENV_MAX + 1, sizeof(*x->env));
	if (!x->env || x->env_count == ENV_MAX) {
		kfree(text);
		return x->env ? -E2BIG : -ENOMEM;
	}
	x->env[x->env_count++] = text;
	return 0;
}

static void env_free(struct server_session *x)
{
	while (x->env_count > 0)
		kfree(x->env[--x->env_count]);
	kfree(x->env);
	x->env = NULL;
}

static char *env_text(struct bytes name, struct bytes value)
{
	char *text = kmalloc(name.n + value.n + 2);

	if (!text)
		return NULL;
	memcpy(text, name.p, name.n);
	text[name.n] = '=';
	memcpy(text + name.n + 1, value.p, value.n);
	text[name.n + 1 + value.n] = 0;
	return text;
}

int session_env(void *host, struct ssh_chan *ch, struct bytes name, struct bytes value)
{
	return env_add(session_at(ch), env_text(name, value));
}

static int env_put(struct server_session *x, const char *name, const char *value)
{
	struct bytes n = { (const uint8_t *)name, strlen(name) },
		     v = { (const uint8_t *)value, strlen(value) };

	return env_add(x, env_text(n, v));
}

/* The variables of the key, \" made ". Of one name the first counts. */
static int env_of_key(struct server_session *x, struct bytes options)
{
	struct bytes name, value;
	unsigned n = 0;
	int err = 0;

	while (ssh_authkeys_variable(options, n, &name, &value))
		n++;
	while (!err && n-- > 0 && ssh_authkeys_variable(options, n, &name, &value)) {
		char *text = env_text(name, value), *to = text;

		for (const char *p = text; p && (*to = *p); p++, to++)
			if (p[0] == '\\' && p[1] == '"')
				*to = *++p;
		err = env_add(x, text);
	}
	return err;
}

static int env_fixed(struct server_session *x, const struct ssh_start *start,
		     const struct account *a)
{
	const struct server_conn *s = x->conn;
	char from[SOCKET_ADDR_TEXT], to[SOCKET_ADDR_TEXT], text[2 * SOCKET_ADDR_TEXT + 16];
	int err = env_put(x, "PATH", "/bin:/sbin:/usr/bin:/usr/sbin");

	err = err ? err : env_put(x, "HOME", a->home);
	err = err ? err : env_put(x, "USER", s->user);
	err = err ? err : env_put(x, "LOGNAME", s->user);
	err = err ? err : env_put(x, "SHELL", a->shell);
	err = err ? err : env_of_key(x, start->options);
	pump_address(from, sizeof(from), &s->peer);
	pump_address(to, sizeof(to), &s->local);
	fmt_print(text, sizeof(text), "%s %u %s %u", from, s->peer.port, to, s->local.port);
	err = err ? err : env_put(x, "SSH_CONNECTION", text);
	fmt_print(text, sizeof(text), "%s %u %u", from, s->peer.port, s->local.port);
	err = err ? err : env_put(x, "SSH_CLIENT", text);
	if (x->pty) {
		fmt_print(text, sizeof(text), "/dev/pts/%u", x->pty_number);
		err = err ? err : env_put(x, "SSH_TTY", text);
	}
	if (start->original.p)
		err = err ? err
			  : env_add(x,
				    env_text(BYTES_LIT("SSH_ORIGINAL_COMMAND"), start->original));
	return err;
}

/* Files and their watches. */

static void close_output(struct server_session *x, bool err)
{
	if (err)
		pump_close(&x->err, &x->err_watch);
	else
		pump_close(&x->out, &x->out_watch);
}

int session_pty(void *host, struct ssh_chan *ch, const struct ssh_pty *pty)
{
	struct server_session *x = session_at(ch);
	struct tty_size size = { pty->size.rows, pty->size.cols, pty->size.xpixel,
				 pty->size.ypixel };
	int err;

	err = pty_create(&x->out, &x->slave, &x->pty_number);
	if (!err && pty->term.n > 0)
		err = env_add(x, env_text(BYTES_LIT("TERM"), pty->term));
	if (err) {
		/* I-SSH-22; after a refused request may come another, and x has room for one terminal */
		pump_close(&x->slave, NULL);
		pump_close(&x->out, NULL);
		return err;
	}
	x->in = file_get(x->out);
	pump_nonblocking(x->out);
	modes_apply(x->slave, pty->modes);
	tty_set_size(x->out, &size);
	x->pty = true;
	return 0;
}

/* Pipes for a program without a terminal: theirs into stdio, ours into x. */
static int make_pipes(struct server_session *x, const struct account *a, struct file *stdio[3])
{
	int err = pipe_create(&stdio[0], &x->in, 0);

	if (!err)
		err = pipe_create(&x->out, &stdio[1], 0);
	if (!err)
		err = pipe_create(&x->err, &stdio[2], 0);
	if (err)
		return err;
	for (unsigned i = 0; i < 3; i++)
		pipe_set_owner(stdio[i], a->uid, a->gid);
	pump_nonblocking(x->in);
	pump_nonblocking(x->out);
	pump_nonblocking(x->err);
	return 0;
}

static void start_watching(struct server_session *x)
{
	pump_watch(x->conn, &x->part, &x->exit_watch, &x->proc->exited, POLL_IN);
	pump_watch(x->conn, &x->part, &x->out_watch, x->out->source, PUMP_INPUT);
	if (!x->pty) {
		pump_watch(x->conn, &x->part, &x->err_watch, x->err->source, PUMP_INPUT);
		pump_watch(x->conn, &x->part, &x->in_watch, x->in->source, 0);
	}
}

/* The shell's name, with room for a character before it, for a login shell's argv[0]. */
static char *shell_name(const char *shell)
{
	const char *base = strrchr(shell, '/') + 1;
	size_t room = strlen(base) + 2;
	char *name = kmalloc(room);

	if (name)
		fmt_print(name, room, "-%s", base);
	return name;
}

/* A login shell, or the shell with one command; the command is copied, for it has no NUL at its end. */
static int spawn(struct server_session *x, const struct ssh_start *start, const struct account *a,
		 struct file *stdio[3])
{
	bool exec = start->kind == SSH_START_EXEC;
	char *name = shell_name(a->shell), *command = NULL;
	const char *argv[4] = { name, NULL, NULL, NULL };
	struct spawn_args args = { .path = a->shell,
				   .argv = argv,
				   .envp = (const char *const *)x->env,
				   .cwd = a->home,
				   .uid = a->uid,
				   .gid = a->gid,
				   .groups = a->groups,
				   .nr_groups = a->nr_groups,
				   .stdio = { stdio[0], stdio[1], stdio[2] },
				   .tty = x->slave };
	int err = -ENOMEM;

	if (exec)
		command = kmalloc(start->command.n + 1);
	if (!name || (exec && !command))
		goto free;
	if (exec) {
		memcpy(command, start->command.p, start->command.n);
		command[start->command.n] = 0;
		argv[0] = name + 1;
		argv[1] = "-c";
		argv[2] = command;
	}
	err = process_spawn(&args, &x->proc);

free:
	kfree(command);
	kfree(name);
	return err;
}

/* The terminal is the user's, for writing also the group tty's. */
static int give_terminal(const struct server_session *x, const struct account *a)
{
	struct vfs_context ctx = { .root = vfs_root(), .cwd = vfs_root() };
	char path[24];
	int err;

	fmt_print(path, sizeof(path), "/dev/pts/%u", x->pty_number);
	err = vfs_chown(&ctx, NULL, path, VFS_FOLLOW, a->uid, TTY_GROUP);
	dentry_put(ctx.root);
	dentry_put(ctx.cwd);
	return err;
}

static int start_for(struct server_session *x, const struct ssh_start *start,
		     const struct account *a)
{
	struct file *stdio[3] = { x->slave, x->slave, x->slave };
	int err = env_fixed(x, start, a);

	if (!err && x->pty)
		err = give_terminal(x, a);
	if (!err && !x->pty) {
		stdio[0] = stdio[1] = stdio[2] = NULL;
		err = make_pipes(x, a, stdio);
	}
	if (!err)
		err = spawn(x, start, a, stdio);
	for (unsigned i = 0; i < 3; i++)
		if (!x->pty && stdio[i])
			file_put(stdio[i]);
	return err;
}

/* Programs run as the user whom /etc/passwd names now. */
int session_start(void *host, struct ssh_chan *ch, const struct ssh_start *start)
{
	struct server_session *x = session_at(ch);
	struct bytes user = { (const uint8_t *)x->conn->user, strlen(x->conn->user) };
	struct account a;
	int err;

	err = account_find(user, &a);
	if (!err) {
		account_find_groups(user, &a);
		x->uid = a.uid;
		err = start_for(x, start, &a);
		account_free(&a);
	}
	if (err) {
		char text[16];

		fmt_print(text, sizeof(text), "error %d", -err);
		server_log(x->conn, SSH_LOG_REFUSAL, "cannot start a program", text);
		if (!x->pty) {
			pump_close(&x->in, NULL);
			pump_close(&x->out, NULL);
			pump_close(&x->err, NULL);
		}
		return err;
	}
	pump_close(&x->slave, NULL);
	env_free(x);
	start_watching(x);
	return 0;
}

/* Input. */

/* A terminal's master has one watch for both ways. */
static ssize_t session_input(struct server_part *part, const void *p, size_t n)
{
	struct server_session *x = container_of(part, struct server_session, part);

	if (!x->in || !x->proc)
		return -EPIPE;
	return x->pty ? pump_write(x->in, &x->out_watch, PUMP_INPUT, p, n)
		      : pump_write(x->in, &x->in_watch, 0, p, n);
}

/* With a terminal the end of input is a character, in canonical mode, and may have to wait for its place. */
static void type_eof(struct server_session *x)
{
	struct tty_termios modes;
	uint8_t key;

	tty_get_termios(x->in, &modes);
	key = modes.lflag & ICANON ? modes.cc[VEOF] : 0;
	x->eof_due = key && pump_write(x->in, &x->out_watch, PUMP_INPUT, &key, 1) == 0;
}

static void session_input_eof(struct server_part *part)
{
	struct server_session *x = container_of(part, struct server_session, part);

	if (!x->in)
		return;
	if (x->pty)
		type_eof(x);
	else
		pump_close(&x->in, &x->in_watch);
}

int session_winsize(void *host, struct ssh_chan *ch, const struct ssh_winsize *size)
{
	struct server_session *x = session_at(ch);
	struct tty_size t = { size->rows, size->cols, size->xpixel, size->ypixel };

	if (!x->pty || !x->in)
		return -ENOTTY;
	tty_set_size(x->in, &t);
	return 0;
}

int session_signal(void *host, struct ssh_chan *ch, const char *name)
{
	struct server_session *x = session_at(ch);
	int sig = signal_number(name);

	if (!x->proc || sig == 0)
		return -EINVAL;
	return process_signal_session(x->proc, sig, x->uid);
}

int session_break(void *host, struct ssh_chan *ch, uint32_t ms)
{
	struct server_session *x = session_at(ch);

	if (!x->pty || !x->in)
		return -ENOTTY;
	tty_break(x->in);
	return 0;
}

/* Output and the end. */

static void session_event(struct server_part *part, struct poll_watch *w)
{
	struct server_session *x = container_of(part, struct server_session, part);
	int status;

	if (w == &x->exit_watch && process_exited(x->proc, &status)) {
		x->exited = true;
		x->status = status;
	}
	/* Whatever happened, another look at everything is cheap, and an exit means a last one. */
	x->out_ready = x->err_ready = true;
	if (!x->eof_due && ssh_chan_input_waiting(x->ch) == 0)
		return;
	w = x->pty ? &x->out_watch : &x->in_watch;
	if (w->poller)
		poll_watch_set(w, x->pty ? PUMP_INPUT : 0);
	if (x->eof_due)
		type_eof(x);
	else
		ssh_chan_input_ready(x->ch);
}

static bool pump(struct server_session *x, bool err)
{
	struct file *f = err ? x->err : x->out;
	ssize_t n = f ? pump_read(x->ch, err, f, err ? &x->err_ready : &x->out_ready) : -EAGAIN;

	if (n <= 0 && n != -EAGAIN)
		close_output(x, err);
	return n > 0;
}

static bool output_is_done(const struct server_session *x)
{
	return (!x->out && !x->err) || (x->pty && x->exited && !x->out_ready);
}

static bool finish(struct server_session *x)
{
	char number[8];

	if (x->finished || !x->proc || !output_is_done(x))
		return false;
	ssh_chan_eof(x->ch);
	if (!x->exited)
		return false;
	x->finished = true;
	fmt_print(number, sizeof(number), "SIG%d", WSTATUS_SIGNAL(x->status));
	if (WSTATUS_EXITED(x->status))
		ssh_chan_exit_status(x->ch, WSTATUS_CODE(x->status));
	else
		/* no core is ever written, whatever the status says */
		ssh_chan_exit_signal(x->ch, signal_name(WSTATUS_SIGNAL(x->status)) ?: number,
				     false);
	ssh_chan_close(x->ch);
	return true;
}

bool session_pump(struct server_part *part)
{
	struct server_session *x = container_of(part, struct server_session, part);
	bool moved;

	assert_conn_owner(x->conn);
	moved = pump(x, false);

	moved |= pump(x, true);
	return finish(x) || moved;
}

/* A terminal goes with its user, unless the programs have left it before. Without one they have what came, and who goes on
 * writing finds nobody there. */
bool session_hang_up(void *host, struct ssh_chan *ch)
{
	struct server_session *x = session_at(ch);

	if (x->pty)
		return !x->out;
	close_output(x, false);
	close_output(x, true);
	return true;
}

static void session_closed(struct server_part *part)
{
	struct server_session *x = container_of(part, struct server_session, part);

	list_del(&x->part.link);
	pump_unwatch(&x->exit_watch);
	if (x->proc && !x->exited)
		(void)process_signal_session(x->proc, SIG_HUP, 0);
	pump_close(&x->in, &x->in_watch);
	pump_close(&x->out, &x->out_watch);
	pump_close(&x->err, &x->err_watch);
	pump_close(&x->slave, NULL);
	if (x->proc)
		process_put(x->proc);
	env_free(x);
	kfree(x);
}

static const struct server_part_ops session_ops = {
	.event = session_event,
	.pump = session_pump,
	.input = session_input,
	.input_eof = session_input_eof,
	.closed = session_closed,
};
