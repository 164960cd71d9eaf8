/* SPDX-License-Identifier: MIT */
/* sources: @tests/host/ssh.sources @tests/host/ssh_keys.sources tests/host/ssh_hosted.c */
/* flags: @tests/host/ssh.flags */
/* Real clients against ssh/ in an ordinary process, under the sanitizers: whatever those say, or bytes not given back,
 * fails the test. A client that is not installed is skipped with a line. TEST_SERVE="PORT KEY AUTHORIZED_KEYS" runs the
 * server alone. */
#define _GNU_SOURCE
#include "tests/host/ssh_hosted.h"
#include "tests/host/test.h"
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];
static int port;
static pid_t server;
static FILE *says;

/* A shell command, its format filled in; its exit status. */
__attribute__((format(printf, 1, 2))) static int sh(const char *fmt, ...)
{
	char command[2000];
	va_list ap;
	int status;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
}

static void make_keys(void)
{
	strcpy(dir, "/tmp/tern-ssh-XXXXXX");
	CHECK(mkdtemp(dir));
	CHECK_EQ(
		sh("cd %s && for t in ed25519 ecdsa rsa; do ssh-keygen -q -t $t -N '' -f id_$t || exit 1; done; "
		   "ssh-keygen -q -t ed25519 -N '' -f host; cat id_*.pub >keys; "
		   "head -c 3000000 /dev/urandom >data; sha256sum <data >sum",
		   dir),
		0);
}

static void start_server(const char *option)
{
	char key[80], keys[80], err[80];
	char *argv[] = { "ssh_hosted", "0", key, keys, (char *)option, NULL };
	int out[2];

	make_keys();
	snprintf(key, sizeof(key), "%s/host", dir);
	snprintf(keys, sizeof(keys), "%s/keys", dir);
	snprintf(err, sizeof(err), "%s/err", dir);
	CHECK_EQ(pipe(out), 0);
	server = fork();
	if (server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out[1], 1);
		CHECK(freopen(err, "w", stderr));
		_exit(ssh_hosted_main(option ? 5 : 4, argv));
	}
	close(out[1]);
	says = fdopen(out[0], "r");
	CHECK_EQ(fscanf(says, "port %d", &port), 1);
	CHECK_EQ(
		sh("cd %s && printf '[127.0.0.1]:%d ' >known && cat host.pub >>known && cat >config <<END\n"
		   "Host x\nHostName 127.0.0.1\nPort %d\nUser root\nUserKnownHostsFile %s/known\n"
		   "IdentitiesOnly yes\nBatchMode yes\nControlPath none\nLogLevel ERROR\nEND",
		   dir, port, port, dir),
		0);
}

static void stop_server(void)
{
	struct pollfd p = { .fd = fileno(says) };

	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	/* its children end with their clients; they hold its output, and what they have to say comes before */
	CHECK_EQ(poll(&p, 1, 20000), 1);
	CHECK(p.revents & POLLHUP);
	fclose(says);
	CHECK_EQ(sh("! grep -E 'ERROR|runtime error|LEAK' %s/err", dir), 0);
	sh("rm -rf %s", dir);
}

#define SSH "timeout 60 ssh -F %s/config -i %s/id_ed25519 "

static bool have(const char *program)
{
	if (sh("command -v %s >/dev/null", program) == 0)
		return true;
	printf("# %s is not installed: skipped\n", program);
	return false;
}

TEST(openssh_exec_and_status)
{
	start_server(NULL);
	CHECK_EQ(sh(SSH "x 'exit 7'", dir, dir), 7);
	CHECK_EQ(sh("test \"$(" SSH "x 'echo out; echo err >&2' 2>/dev/null)\" = out", dir, dir),
		 0);
	CHECK_EQ(
		sh("test \"$(" SSH "x 'echo out; echo err >&2' 2>&1 >/dev/null)\" = err", dir, dir),
		0);
	CHECK_EQ(sh(SSH "x 'kill -9 $$'", dir, dir), 255);
	stop_server();
}

TEST(openssh_each_kind_of_key)
{
	start_server(NULL);
	for (const char *const *t = (const char *const[]){ "ed25519", "ecdsa", "rsa", NULL }; *t;
	     t++)
		CHECK_EQ(sh("timeout 60 ssh -F %s/config -i %s/id_%s x true", dir, dir, *t), 0);
	CHECK_EQ(
		sh("cd %s && ssh-keygen -q -t ed25519 -N '' -f other && ! timeout 60 ssh -F config -i other x true "
		   "2>/dev/null",
		   dir),
		0);
	stop_server();
}

TEST(openssh_both_ways_with_each_cipher)
{
	static const char *const suites[] = { "chacha20-poly1305@openssh.com hmac-sha2-256",
					      "aes128-gcm@openssh.com hmac-sha2-256",
					      "aes256-gcm@openssh.com hmac-sha2-256",
					      "aes128-ctr hmac-sha2-256",
					      "aes256-ctr hmac-sha2-256-etm@openssh.com",
					      "aes128-ctr hmac-sha2-512-etm@openssh.com" };

	start_server(NULL);
	for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
		CHECK_MSG(sh("set %s; " SSH "-c $1 -m $2 x cat <%s/data | sha256sum | cmp - %s/sum",
			     suites[i], dir, dir, dir, dir) == 0,
			  "%s", suites[i]);
	stop_server();
}

TEST(openssh_rekeys_all_the_time)
{
	start_server(NULL);
	CHECK_EQ(sh(SSH "-o KexAlgorithms=curve25519-sha256 -o RekeyLimit=64K x cat <%s/data | "
			"sha256sum | cmp - %s/sum",
		    dir, dir, dir, dir),
		 0);
	stop_server();
}

TEST(server_rekeys_all_the_time)
{
	start_server("rekey_bytes=100000");
	CHECK_EQ(sh(SSH "x cat <%s/data | sha256sum | cmp - %s/sum", dir, dir, dir, dir), 0);
	stop_server();
}

TEST(small_windows)
{
	start_server("window=1000");
	CHECK_EQ(sh(SSH "x cat <%s/data | sha256sum | cmp - %s/sum", dir, dir, dir, dir), 0);
	stop_server();
}

TEST(openssh_pty)
{
	start_server(NULL);
	CHECK_EQ(sh("test \"$(" SSH "-tt x 'test -t 0 && echo tty; exit 5' | tr -d '\\r')\" = tty",
		    dir, dir),
		 0);
	CHECK_EQ(sh(SSH "-tt x 'exit 5' >/dev/null", dir, dir), 5);
	stop_server();
}

TEST(openssh_many_sessions_on_one_connection)
{
	start_server(NULL);
	CHECK_EQ(sh("timeout 60 ssh -F %s/config -i %s/id_ed25519 -M -S %s/mux -fN x", dir, dir,
		    dir),
		 0);
	CHECK_EQ(sh("for i in $(seq 20); do timeout 60 ssh -F %s/config -S %s/mux x \"exit $i\"; "
		    "test $? = $i || exit 1; done",
		    dir, dir),
		 0);
	CHECK_EQ(
		sh("for i in 1 2 3 4 5; do timeout 60 ssh -F %s/config -S %s/mux x cat <%s/data | sha256sum | "
		   "cmp - %s/sum || echo bad >%s/bad & done; wait; test ! -e %s/bad",
		   dir, dir, dir, dir, dir, dir),
		0);
	CHECK_EQ(sh("timeout 60 ssh -F %s/config -S %s/mux -O exit x 2>/dev/null", dir, dir), 0);
	stop_server();
}

TEST(connections_at_once)
{
	start_server(NULL);
	CHECK_EQ(sh("for i in $(seq 10); do " SSH
		    "x cat <%s/data | sha256sum | cmp - %s/sum || echo bad >%s/bad & "
		    "done; wait; test ! -e %s/bad",
		    dir, dir, dir, dir, dir, dir),
		 0);
	stop_server();
}

TEST(client_killed_in_mid_stream)
{
	start_server(NULL);
	for (int i = 1; i <= 5; i++)
		CHECK_EQ(
			sh("timeout -s KILL 0.%d ssh -F %s/config -i %s/id_ed25519 x 'cat /dev/zero' >/dev/null 2>&1; "
			   "test $? = 137",
			   i, dir, dir),
			0);
	CHECK_EQ(sh(SSH "x true", dir, dir), 0);
	stop_server();
}

TEST(dbclient)
{
	if (!have("dbclient") || !have("dropbearconvert"))
		return;
	start_server(NULL);
	CHECK_EQ(sh("cd %s && dropbearconvert openssh dropbear id_ed25519 id_db >/dev/null 2>&1",
		    dir),
		 0);
	CHECK_EQ(sh("timeout 60 dbclient -yy -i %s/id_db -p %d root@127.0.0.1 'exit 4' 2>/dev/null",
		    dir, port),
		 4);
	CHECK_EQ(
		sh("timeout 60 dbclient -yy -i %s/id_db -p %d root@127.0.0.1 cat 2>/dev/null <%s/data | sha256sum | "
		   "cmp - %s/sum",
		   dir, port, dir, dir),
		0);
	stop_server();
}

TEST(plink)
{
	if (!have("plink") || !have("puttygen"))
		return;
	start_server(NULL);
	CHECK_EQ(sh("cd %s && puttygen id_ed25519 -O private -o id.ppk", dir), 0);
	CHECK_EQ(
		sh("cd %s && timeout 60 plink -batch -hostkey $(ssh-keygen -lf host.pub | cut -d' ' -f2) -P %d "
		   "-i id.ppk root@127.0.0.1 cat <data | sha256sum | cmp - sum",
		   dir, port),
		0);
	stop_server();
}

__attribute__((constructor)) static void serve_alone(void)
{
	char *words = getenv("TEST_SERVE"), *argv[12] = { "ssh_hosted" };
	int n = 1;

	for (char *w = words ? strtok(words, " ") : NULL; w && n < 11; w = strtok(NULL, " "))
		argv[n++] = w;
	if (words)
		exit(ssh_hosted_main(n, argv));
}
