/* SPDX-License-Identifier: MIT */
/* sources: @tests/host/ssh.sources !ssh/mlkem768.c !ssh/sntrup761.c tests/fuzz/ssh_stub.c */
/* flags: @tests/host/ssh.flags */
/* The first half of the input is sshd_config, the rest /etc/group. */
#include "ssh/config.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_inside(struct bytes b, struct bytes text)
{
	if (b.p && (b.p < text.p || b.n > text.n || b.p + b.n > text.p + text.n))
		abort();
}

static void ask(const struct ssh_config *cfg, struct bytes groups)
{
	static const char *const lists[] = { "allowusers", "authorizedkeysfile", "acceptenv",
					     "permitopen" };
	struct ssh_user u = { BYTES_LIT("ann"), BYTES_LIT("10.0.2.2"), 0, 100, groups };
	struct ssh_grant grant = { 0 };
	struct bytes word = { NULL, 0 };

	(void)ssh_config_refuses(cfg, &u, &grant);
	(void)ssh_config_permits(cfg, false, BYTES_LIT("a"), 1);
	(void)ssh_config_permits(cfg, true, BYTES_LIT("::1"), 80);
	(void)ssh_config_takes_variable(cfg, BYTES_LIT("LANG"));
	if (ssh_config_subsystem(cfg, BYTES_LIT("sftp"), &word) &&
	    !bytes_is(word, "/usr/lib/openssh/sftp-server"))
		check_inside(word, cfg->text);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct ssh_words w = ssh_config_words(cfg, lists[i]);

		while (ssh_config_word(&w, &word))
			check_inside(word, cfg->text);
	}
	check_inside(cfg->force_command, cfg->text);
	check_inside(cfg->banner_file, cfg->text);
	check_inside(cfg->hostkey_file, cfg->text);
	if ((cfg->kexes & 0x1f) == 0 || (cfg->ciphers & 0x1f) == 0 || (cfg->macs & 7) == 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes text = { data, n - n / 4 }, groups = { data + text.n, n / 4 };
	struct ssh_config_error e;
	struct ssh_config cfg;

	ssh_config_init(&cfg, NULL);
	if (ssh_config_parse(&cfg, text, &e) == 0)
		ask(&cfg, groups);
	else if (e.line == 0 || !e.why || strlen(e.word) >= sizeof(e.word))
		abort();
	return 0;
}
