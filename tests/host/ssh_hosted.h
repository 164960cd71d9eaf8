/* SPDX-License-Identifier: MIT */
#ifndef TERN_TESTS_HOST_SSH_HOSTED_H
#define TERN_TESTS_HOST_SSH_HOSTED_H

/* argv: a name, PORT (0 picks one), the host key's file, authorized_keys, then any of rekey_bytes=N grace_ms=N window=N
 * keepalive_ms=N. Prints "port N" when it listens, then serves for ever. */
int ssh_hosted_main(int argc, char **argv);

#endif
