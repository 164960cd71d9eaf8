/* SPDX-License-Identifier: MIT */
/* The SSH server: a listener thread, a thread for each connection, and the needs of ssh/ met by files, terminals and
 * process_spawn(). */
#ifndef TERN_SSH_SERVER_SERVER_H
#define TERN_SSH_SERVER_SERVER_H

/* Start listening. What counts is in /etc/ssh/sshd_config; a host key that is in no file is made, which may wait
 * for randomness (in the server's own thread). Command line: ssh_port=N, ssh=off.
 * 0 or -errno. Context: thread, once, when files, sockets and processes work. */
int ssh_server_start(void);

#endif
