/* SPDX-License-Identifier: MIT */
/* A client of libssh: client PORT KEY KEX HOSTKEY CIPHER MAC VERB [COMMAND]. "-" leaves the choice to the library. VERB is exec,
 * shell (its input is ours), pty, forward: the first bytes of what answers at the guest's own port 22, remote THERE HERE: what
 * the guest's port THERE gives it, which leads to HERE of this host, or sftp: our input goes to the file COMMAND and comes back
 * from it. The status is the command's; 255 without one. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <libssh/libssh.h>
#include <libssh/sftp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static ssh_session session;

static void must(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "%s: %s\n", what, ssh_get_error(session));
	exit(255);
}

static void only(const char *name, enum ssh_options_e there, enum ssh_options_e back)
{
	if (strcmp(name, "-") == 0)
		return;
	must(ssh_options_set(session, there, name) == 0, name);
	must(ssh_options_set(session, back, name) == 0, name);
}

static void through_file(const char *path)
{
	sftp_session sftp = sftp_new(session);
	static char block[16384];
	sftp_file f;
	ssize_t n;

	must(sftp && sftp_init(sftp) == 0, "sftp");
	f = sftp_open(sftp, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	must(f != NULL, "open");
	while ((n = read(0, block, sizeof(block))) > 0)
		must(sftp_write(f, block, n) == n, "write");
	must(sftp_close(f) == 0, "close");
	f = sftp_open(sftp, path, O_RDONLY, 0);
	must(f != NULL, "open again");
	while ((n = sftp_read(f, block, sizeof(block))) > 0)
		must(write(1, block, n) == n, "stdout");
	must(n == 0, "read");
	sftp_close(f);
	sftp_free(sftp);
}

/* One connection to the port that is listened at is led to here. */
static void lead(int here)
{
	ssh_channel back = ssh_channel_open_forward_port(session, 60000, NULL, NULL, NULL);
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(here),
				  .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int n, s = socket(AF_INET, SOCK_STREAM, 0);
	char block[4096];

	must(back != NULL, "accept");
	must(connect(s, (struct sockaddr *)&to, sizeof(to)) == 0, "here");
	while ((n = read(s, block, sizeof(block))) > 0)
		must(ssh_channel_write(back, block, n) == n, "back");
	close(s);
	must(ssh_channel_close(back) == SSH_OK, "close");
}

int main(int argc, char **argv)
{
	ssh_key key;
	ssh_channel ch;
	char block[4096], command[64];
	int n, no = 0, port = atoi(argv[1]), status;
	const char *verb = argv[7];

	session = ssh_new();
	ssh_options_set(session, SSH_OPTIONS_PROCESS_CONFIG, &no);
	ssh_options_set(session, SSH_OPTIONS_HOST, "127.0.0.1");
	ssh_options_set(session, SSH_OPTIONS_PORT, &port);
	ssh_options_set(session, SSH_OPTIONS_USER, "root");
	only(argv[3], SSH_OPTIONS_KEY_EXCHANGE, SSH_OPTIONS_KEY_EXCHANGE);
	only(argv[4], SSH_OPTIONS_HOSTKEYS, SSH_OPTIONS_HOSTKEYS);
	only(argv[5], SSH_OPTIONS_CIPHERS_C_S, SSH_OPTIONS_CIPHERS_S_C);
	only(argv[6], SSH_OPTIONS_HMAC_C_S, SSH_OPTIONS_HMAC_S_C);
	must(ssh_pki_import_privkey_file(argv[2], NULL, NULL, NULL, &key) == SSH_OK, "key");
	must(ssh_connect(session) == SSH_OK, "connect");
	must(ssh_userauth_publickey(session, NULL, key) == SSH_AUTH_SUCCESS, "login");
	if (strcmp(verb, "sftp") == 0) {
		through_file(argv[8]);
		return 0;
	}
	ch = ssh_channel_new(session);
	if (strcmp(verb, "forward") == 0) {
		must(ssh_channel_open_forward(ch, "127.0.0.1", 22, "127.0.0.1", 1) == SSH_OK,
		     "forward");
		n = ssh_channel_read(ch, block, sizeof(block), 0);
		return n > 0 && write(1, block, n) == n ? 0 : 255;
	}
	if (strcmp(verb, "remote") == 0) {
		must(ssh_channel_listen_forward(session, "127.0.0.1", atoi(argv[8]), NULL) ==
			     SSH_OK,
		     "listen");
		snprintf(command, sizeof(command), "nc 127.0.0.1 %s </dev/null", argv[8]);
	}
	must(ssh_channel_open_session(ch) == SSH_OK, "session");
	if (strcmp(verb, "pty") == 0)
		must(ssh_channel_request_pty_size(ch, "vt100", 77, 33) == SSH_OK, "pty");
	if (strcmp(verb, "shell") == 0) {
		must(ssh_channel_request_shell(ch) == SSH_OK, "shell");
		while ((n = read(0, block, sizeof(block))) > 0)
			must(ssh_channel_write(ch, block, n) == n, "write");
		ssh_channel_send_eof(ch);
	} else if (strcmp(verb, "remote") == 0) {
		must(ssh_channel_request_exec(ch, command) == SSH_OK, "exec");
		lead(atoi(argv[9]));
	} else {
		must(ssh_channel_request_exec(ch, argv[8]) == SSH_OK, "exec");
	}
	while ((n = ssh_channel_read(ch, block, sizeof(block), 0)) > 0)
		must(write(1, block, n) == n, "stdout");
	status = ssh_channel_get_exit_status(ch);
	ssh_disconnect(session);
	return status < 0 ? 255 : status;
}
