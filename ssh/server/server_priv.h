/* SPDX-License-Identifier: MIT */
/* The server's objects.
 *
 * A connection belongs to its thread (I-SSH-1): nobody else touches what is [self]. Others find it in the list of connections,
 * under the spinlock SSHCONN, and may then read what is [shown] and ask it to end (evicted, then kick). It is taken
 * off the list before it is freed. No lock is held across a call into ssh/, a file or a process (I-SSH-2). */
#ifndef TERN_SSH_SERVER_SERVER_PRIV_H
#define TERN_SSH_SERVER_SERVER_PRIV_H

#include "fs/file.h"
#include "fs/vfs.h"
#include "kernel/core/panic.h"
#include "kernel/proc/process.h"
#include "lib/list.h"
#include "lib/refcount.h"
#include "net/socket.h"
#include "sched/poll.h"
#include "ssh/hostkey.h"
#include "ssh/ssh.h"

#define SSH_USER_MAX	32
#define SERVER_FILE_MAX (256 * 1024) /* of keys, users, groups: larger is no good */

/* Where a connection is, as others see it. */
enum conn_stage { CONN_LOGIN, CONN_OPEN };

struct server_conn {
	struct list_head link;	   /* [SSHCONN] */
	enum conn_stage stage;	   /* [SSHCONN] */
	bool evicted;		   /* [atomic] set once: end, another needs the place */
	unsigned number;	   /* [init] for the log */
	struct server_config *cfg; /* [init] a reference */
	uint64_t accepted_ns;	   /* [init] */
	struct socket_addr peer;   /* [init] */
	struct socket_addr local;  /* [init] */
	struct ssh_conn_info
		shown; /* [shown] static strings and counters; written by the owner alone, for reports */
	char user[SSH_USER_MAX + 1]; /* [SSHCONN] "" before login */

	struct thread *
		owner; /* [self] whose it is: asserted, since a stranger's call would corrupt it (A2) */
	struct ssh_conn *proto;	      /* [self] */
	struct file *sock;	      /* [self] */
	bool sock_readable;	      /* [self] may have bytes: cleared by -EAGAIN */
	bool sock_wants_out;	      /* [self] POLL_OUT is in the watch */
	bool sock_ended;	      /* [self] the client sends no more: it may still read */
	bool sock_dead;		      /* [self] an error: nobody reads either */
	uint64_t again_at;	      /* [self] when to turn though nobody tells: I-SSH-12 */
	struct poller poller;	      /* [self] */
	struct poll_watch sock_watch; /* [self] */
	struct poll_watch kick_watch; /* [self] */
	struct poll_source kick;      /* others wake the owner through it */
	struct list_head parts;	      /* [self] struct server_part */
	const char *why;	      /* [self] why the key was refused: static */
	const char *said;	      /* [self] the last line logged: static */
	struct server_login
		*login; /* [SSHCONN] in OPEN, [self] before; NULL: nobody was named, or no memory */
	char *keys; /* [self] an authorized_keys while it is read; what admit grants points into it until auth_done */
};

/* What became of a connection that named a user. */
struct server_login {
	uint64_t at, seconds; /* since 1970; how long the connection lasted */
	struct socket_addr peer;
	char user[SSH_USER_MAX + 1],
		key[SSH_FINGERPRINT_BYTES]; /* printable; "": no key was shown */
	unsigned refusals;
	const char *why; /* static; NULL: nothing was refused */
	bool opened;
};

/* What the wheel turns: a session, a forwarded connection, a listener. Of a channel it is ssh_chan_data(). */
struct server_part;
struct server_part_ops {
	/* A watch of it fired. It may be gone after this. */
	void (*event)(struct server_part *part, struct poll_watch *w);
	/* Move what can be moved now. True if something moved. It may be gone after this. */
	bool (*pump)(struct server_part *part);
	/* As in struct ssh_chan_ops; a listener has none of these. */
	ssize_t (*input)(struct server_part *part, const void *p, size_t n);
	void (*input_eof)(struct server_part *part);
	void (*closed)(struct server_part *part);
	void (*reset)(struct server_part *part); /* of a forwarded connection alone */
};
struct server_part {
	const struct server_part_ops *ops;
	struct list_head link; /* conn->parts */
};

/* A session channel and its program. in, out, err are our ends; with a terminal in and out are the same master. */
struct server_session {
	struct server_part part;
	struct server_conn *conn;
	struct ssh_chan *ch;
	struct file *in, *out, *err; /* NULL: closed */
	struct file *slave;	     /* until the program has it */
	struct poll_watch in_watch, out_watch, err_watch, exit_watch;
	bool out_ready, err_ready; /* may have bytes: cleared by -EAGAIN */
	bool pty, exited, finished;
	bool eof_due; /* the terminal had no room for the key that ends the input */
	unsigned pty_number;
	int status;
	uint32_t uid; /* whose the program is, at its start */
	struct process *proc;
	char **env; /* until the program has it: ours, the client's, NULL */
	unsigned env_count;
};

/* What /etc/ssh/sshd_config says, and what it names. All is [init]. */
struct server_config {
	struct refcount refs;  /* each connection has one (I-SSH-20) */
	struct ssh_config ssh; /* its hostkeys are [alloc] */
	char *text, *banner;
	char *key_files; /* the paths of AuthorizedKeysFile, each with a NUL behind it, and an empty one */
};

/* A user of the guest. */
struct account {
	uint32_t uid, gid;
	unsigned nr_groups;
	uint32_t groups[CRED_GROUPS];
	char *home, *shell;
};

/* I-SSH-1 */
static inline void assert_conn_owner(const struct server_conn *s)
{
	ASSERT(s->owner == current_thread());
}

/* conn.c */
extern const struct ssh_chan_ops server_chan_ops;
/* ssh_host_ops.deep: work(arg) on a large stack, this thread's or a borrowed one. 0 or -ENOMEM. Context: thread. */
int server_deep(void *host, void (*work)(void *), void *arg) __must_check;

/* server.c */
/* Count and list a new connection, displacing one that is not logged in if there are too many. */
void server_conn_add(struct server_conn *s);
void server_conn_remove(struct server_conn *s);
/* From now on no more than this many newcomers, and no more than memory has room for. */
void server_newcomers_bound(unsigned max);
/* It is logged in: it counts no longer as a newcomer. */
void server_conn_opened(struct server_conn *s, struct bytes user);
/* May a line about a newcomer, or about what was refused to a user, be logged now? Each is bounded in time: whoever can connect,
 * or is logged in, can cause such lines. */
bool server_may_log(bool newcomer);
/* Wait until the crypto has been tried. 0; -EIO: it is broken; -EINTR. Context: thread. */
int server_crypto_wait(void) __must_check;
/* The bound on those that are not logged in, for /proc/tern/ssh. */
struct server_counts {
	unsigned newcomers, newcomers_max;
	uint64_t displaced, refused;
};
void server_get_counts(struct server_counts *c);
/* Call fn for each connection, under SSHCONN. */
void server_conn_for_each(void (*fn)(struct server_conn *s, void *arg), void *arg);
/* A whole small file that nobody but uid and root may write, in kmalloc memory with a NUL behind it, *len bytes. home: the path
 * begins there, unless with /, and goes only through directories that nobody but uid and root may write, home and those of links on
 * the way among them; NULL: any. 0, -ENOENT: it is not there, -EPERM: others may write it or it is no file, -EFBIG, or another. */
int server_read(const char *home, const char *path, uint32_t uid, size_t max, char **text,
		size_t *len) __must_check;
/* The same of any path; NULL for any error. */
char *server_read_file(const char *path, uint32_t uid, size_t max, size_t *len) __must_check;
/* Is there something of this name, be it a link to nowhere? */
bool server_is_there(const char *path);

/* current.c */
/* The configuration for a new connection, or NULL. */
struct server_config *server_config_get(void);
void server_config_put(struct server_config *c); /* NULL: nothing */
/* From now on c counts, whose reference this takes, unless one of a higher age does. True if it does. */
bool server_config_set(struct server_config *c, uint64_t age);
void server_host_key_free(struct ssh_hostkey *key); /* wiped; NULL: nothing */

/* config.c */
/* Read it; from now on it counts. -errno, and why on the console: what was before still does. Context: thread. */
int server_config_load(void) __must_check;
/* Wait until there is one. 0 or -EINTR. */
int server_config_wait(void) __must_check;
/* What is written to /proc/tern/ssh. */
int server_config_ask(char *line);

/* account.c */
/* What /etc/passwd says of a user now; no groups but his own. 0, -ENOENT (also one that is locked), -ENOMEM. */
int account_find(struct bytes user, struct account *a) __must_check;
/* Those of /etc/group besides. */
void account_find_groups(struct bytes user, struct account *a);
void account_free(struct account *a);

/* conn.c */
/* Serve a connection just accepted, in a thread of its own. Takes sock over in any case. 0 or -ENOMEM. */
int server_conn_start(struct file *sock, const struct socket_addr *peer,
		      unsigned number) __must_check;
/* A line about the connection, if LogLevel and the bounds in time let it through. text is static. */
void server_log(struct server_conn *s, enum ssh_log level, const char *text, const char *about);

/* logins.c */
/* It wants to log in as this user, with this key, or none. */
void server_login_named(struct server_conn *s, struct bytes user, struct bytes key);
/* That was refused. why is static. */
void server_login_refused(struct server_conn *s, const char *why);
/* The connection has ended, and nobody finds it any more: log it, keep the record. */
void server_login_end(struct server_conn *s, const char *why);
int logins_init(void) __must_check;

/* auth.c */
int server_key_check(void *host, struct bytes user, struct bytes key, bool spoken);
int server_admit(void *host, struct bytes user, struct bytes key, struct ssh_grant *grant);
uint64_t server_auth_failed(void *host, struct bytes user);
void server_auth_done(void *host, struct bytes user);

/* session.c */
int session_open(void *host, struct ssh_chan *ch);
int session_env(void *host, struct ssh_chan *ch, struct bytes name, struct bytes value);
int session_pty(void *host, struct ssh_chan *ch, const struct ssh_pty *pty);
int session_start(void *host, struct ssh_chan *ch, const struct ssh_start *start);
int session_winsize(void *host, struct ssh_chan *ch, const struct ssh_winsize *size);
int session_signal(void *host, struct ssh_chan *ch, const char *name);
int session_break(void *host, struct ssh_chan *ch, uint32_t ms);
bool session_hang_up(void *host, struct ssh_chan *ch);
bool session_pump(struct server_part *part);

/* forward.c */
int forward_connect(void *host, struct ssh_chan *ch, struct bytes to, uint16_t port);
int forward_listen(void *host, struct bytes address, uint16_t *port);
int forward_unlisten(void *host, struct bytes address, uint16_t port);
/* The connection ends: its listeners too. */
void forward_unlisten_all(struct server_conn *s);

/* pump.c: what parts have in common. */
#define PUMP_INPUT (POLL_IN | POLL_RDHUP)
void pump_nonblocking(struct file *f);
void pump_watch(struct server_conn *s, struct server_part *part, struct poll_watch *w,
		struct poll_source *src, uint32_t events);
void pump_unwatch(struct poll_watch *w);
/* w may be NULL. */
void pump_close(struct file **f, struct poll_watch *w);
/* Bytes from the channel: how many f took. Then w, which else waits for `always`, waits for room too. */
ssize_t pump_write(struct file *f, struct poll_watch *w, uint32_t always, const void *p, size_t n);
/* One read's worth to the channel: bytes, -EAGAIN not now, 0 the end, -errno. *ready is cleared when f is empty. */
ssize_t pump_read(struct ssh_chan *ch, bool err, struct file *f, bool *ready);
/* The address alone, without its port. */
void pump_address(char *buf, size_t size, const struct socket_addr *a);

/* modes.c */
/* Apply the client's terminal modes (RFC 4254 s8) to a terminal. */
void modes_apply(struct file *f, struct bytes modes);

/* report.c */
int report_init(void) __must_check;

#endif
