/* SPDX-License-Identifier: MIT */
/* sources: @tests/host/ssh.sources @tests/host/ssh_keys.sources */
/* flags: @tests/host/ssh.flags */
/* sshd_config: what each keyword changes, what is refused and with which words, and the questions asked of it. */
#include "ssh/config.h"
#include "lib/errno.h"
#include "ssh/cipher.h"
#include "ssh/kex_priv.h"
#include "tests/host/test.h"
#include <stdio.h>
#include <string.h>

static struct ssh_config cfg;
static struct ssh_config_error error;

static struct bytes of(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, strlen(s) };
}

static int parse(const char *text)
{
	error = (struct ssh_config_error){ 0 };
	ssh_config_init(&cfg, NULL);
	return ssh_config_parse(&cfg, of(text), &error);
}

TEST(an_empty_file_changes_nothing)
{
	struct ssh_config before;

	ssh_config_init(&before, NULL);
	CHECK_EQ(parse("# only\n\n \t # comments\r\n"), 0);
	cfg.text = before.text;
	CHECK_MEM(&cfg, &before, sizeof(cfg));
}

TEST(values)
{
	CHECK_EQ(
		parse("LogLevel VERBOSE\r\nLoginGraceTime 1m30s\nMaxAuthTries=3\n\tMaxSessions = 2 # two\n"
		      "MaxStartups 7\nClientAliveInterval 15\nClientAliveCountMax 0\nRekeyLimit 64M 1h\n"
		      "PERMITROOTLOGIN Forced-Commands-Only\nPermitTTY no\nAllowTcpForwarding local\n"
		      "GatewayPorts no\nPermitUserEnvironment yes\nBanner \"/etc/a b\"\nHostKey /k\n"
		      "ForceCommand  echo \"x # y\" \t\nUseDNS no\nPasswordAuthentication no"),
		0);
	CHECK_EQ(cfg.log_level, SSH_LOG_VERBOSE);
	CHECK_EQ(cfg.grace_ns, 90 * NS_PER_S);
	CHECK_EQ(cfg.max_tries, 3);
	CHECK_EQ(cfg.max_sessions, 2);
	CHECK_EQ(cfg.max_newcomers, 7);
	CHECK_EQ(cfg.keepalive_ns, 15 * NS_PER_S);
	CHECK_EQ(cfg.keepalive_max, UINT32_MAX);
	CHECK_EQ(cfg.rekey_bytes, 64UL << 20);
	CHECK_EQ(cfg.rekey_ns, 3600 * NS_PER_S);
	CHECK_EQ(cfg.root, SSH_ROOT_FORCED);
	CHECK(!cfg.permit_tty && cfg.user_environment);
	CHECK_EQ(cfg.forward, SSH_FORWARD_LOCAL);
	CHECK_EQ(cfg.gateway, SSH_GATEWAY_NO);
	CHECK(bytes_is(cfg.banner_file, "/etc/a b") && bytes_is(cfg.hostkey_file, "/k"));
	CHECK(bytes_is(cfg.force_command, "echo \"x # y\""));
	CHECK_EQ(
		parse("LoginGraceTime 0\nClientAliveInterval 0\nRekeyLimit default none\nForceCommand none\nBanner none\n"),
		0);
	CHECK_EQ(cfg.grace_ns, SSH_FOREVER_NS);
	CHECK_EQ(cfg.keepalive_ns, 0);
	CHECK_EQ(cfg.rekey_bytes, SSH_REKEY_BYTES);
	CHECK_EQ(cfg.rekey_ns, SSH_FOREVER_NS);
	CHECK(!cfg.force_command.p && !cfg.banner_file.p);
	/* the first line counts, the second must be good */
	CHECK_EQ(parse("MaxAuthTries 3\nMaxAuthTries 4\n"), 0);
	CHECK_EQ(cfg.max_tries, 3);
	CHECK_EQ(parse("MaxAuthTries 3\nMaxAuthTries x\n"), -EINVAL);
}

TEST(refused_lines)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *word, *why;
	} cases[] = {
		{ "\n#\nPermitRoot no\n", 3, "PermitRoot", "unknown keyword" },
		{ "PermitRootLogin maybe", 1, "maybe", "not one of its values" },
		{ "PermitRootLogin", 1, "", "not one of its values" },
		{ "PermitRootLogin no yes", 1, "yes", "one value too many" },
		{ "LogLevel \"INFO", 1, "", "a quote in the wrong place" },
		{ "LogLevel IN\"FO\"", 1, "IN", "a quote in the wrong place" },
		{ "LogLevel \"INFO\"x", 1, "INFO", "a quote in the wrong place" },
		{ "LogLevel DEBUG3", 1, "DEBUG3", "not one of its values" },
		{ "MaxAuthTries 0", 1, "0", "not a number of its range" },
		{ "MaxAuthTries 64", 1, "64", "not a number of its range" },
		{ "MaxAuthTries -1", 1, "-1", "not a number of its range" },
		{ "MaxAuthTries 99999999999999999999999", 1, "99999999999999999999999",
		  "not a number of its range" },
		{ "MaxStartups 10:30:100", 1, "10:30:100", "not a number of its range" },
		{ "LoginGraceTime 2x", 1, "2x", "not a time, as 90, 90s, 1h30m" },
		{ "LoginGraceTime 4000w", 1, "4000w", "not a time, as 90, 90s, 1h30m" },
		{ "LoginGraceTime \"\"", 1, "", "not a time, as 90, 90s, 1h30m" },
		{ "RekeyLimit 15", 1, "15", "not a size from 16 to 1G, as 512M" },
		{ "RekeyLimit 2G", 1, "2G", "not a size from 16 to 1G, as 512M" },
		{ "RekeyLimit 1G 0", 1, "0", "not a time, as 90, 90s, 1h30m" },
		{ "PasswordAuthentication yes", 1, "yes", "there are no passwords" },
		{ "PubkeyAuthentication no", 1, "no", "there is no other way to log in" },
		{ "Port 22", 1, "22", "the port is on the kernel's command line: ssh_port=N" },
		{ "Match User ann", 1, "User", "there are no Match blocks" },
		{ "StrictModes no", 1, "no", "files that others may write are never believed" },
		{ "AllowUsers", 1, "", "no value" },
		{ "AllowUsers ann,bob", 1, "ann,bob", "not a USER or USER@ADDRESSES" },
		{ "AllowUsers ann @10.0.2.2", 1, "@10.0.2.2", "not a USER or USER@ADDRESSES" },
		{ "DenyUsers ann@10.0.2.2/8", 1, "ann@10.0.2.2/8", "not a USER or USER@ADDRESSES" },
		{ "AllowGroups !wheel", 1, "!wheel", "not a group" },
		{ "AuthorizedKeysFile /k/%x", 1, "/k/%x",
		  "a path, in it %% %h %u %U and no other %" },
		{ "AuthorizedKeysFile /k/%", 1, "/k/%",
		  "a path, in it %% %h %u %U and no other %" },
		{ "PermitOpen host", 1, "host", "not HOST:PORT, any or none" },
		{ "PermitOpen 80", 1, "80", "not HOST:PORT, any or none" },
		{ "PermitListen 80 x:y", 1, "x:y", "not HOST:PORT, any or none" },
		{ "Ciphers aes256-cbc", 1, "aes256-cbc", "there is no such algorithm" },
		{ "Ciphers aes128-ctr,,", 1, "", "there is no such algorithm" },
		{ "Ciphers -*", 1, "-*", "no algorithm is left" },
		{ "MACs \"\"", 1, "", "no value" },
		{ "Banner banner", 1, "banner", "not a path that begins with /" },
		{ "HostKey none", 1, "none", "not a path that begins with /" },
		{ "HostKey /k\nHostKey None", 2, "None", "not a path that begins with /" },
		{ "ForceCommand ", 1, "ForceCommand", "no command" },
		{ "Subsystem sftp internal-sftpd", 1, "internal-sftpd",
		  "neither internal-sftp nor a command that begins with /" },
		{ "Subsystem sftp", 1, "sftp",
		  "neither internal-sftp nor a command that begins with /" },
		{ "= yes", 1, "", "unknown keyword" },
		{ "a\033[2Jb no", 1, "a?[2Jb", "unknown keyword" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK_MSG(parse(cases[i].text) == -EINVAL, "%s", cases[i].text);
		CHECK_EQ(error.line, cases[i].line);
		CHECK_STR(error.word, cases[i].word);
		CHECK_STR(error.why ?: "", cases[i].why);
	}
	ssh_config_init(&cfg, NULL);
	CHECK_EQ(ssh_config_parse(&cfg, BYTES_LIT("UseDNS no\0"), &error), -EINVAL);
	CHECK_STR(error.why, "NUL in line");
}

static unsigned count(uint32_t mask, unsigned n)
{
	return (unsigned)__builtin_popcount(mask & ((1u << n) - 1));
}

TEST(algorithms)
{
	CHECK_EQ(
		parse("Ciphers aes256-ctr,aes128-ctr\nMACs -*sha2-256*\nKexAlgorithms -mlkem*,sntrup*\n"),
		0);
	CHECK_EQ(count(cfg.ciphers, 5), 2);
	CHECK_EQ(count(cfg.macs, 3), 1);
	CHECK_EQ(count(cfg.kexes, 5), 2);
	CHECK_STR(ssh_kexes[__builtin_ctz(cfg.kexes)].name, "curve25519-sha256");
	CHECK_EQ(parse("Ciphers +aes256-ctr\n"), 0);
	CHECK_EQ(count(cfg.ciphers, 5), 5);
}

static const char groups[] = "root:x:0:\nusers:x:100:\nwheel:x:10:ann,bob\n";

static const char *refuses(const char *name, const char *from, uint32_t uid, uint32_t gid)
{
	struct ssh_user u = { of(name), of(from), uid, gid, of(groups) };
	struct ssh_grant grant = { 0 };

	return ssh_config_refuses(&cfg, &u, &grant) ?: "";
}

TEST(who_may_log_in)
{
	struct ssh_user root = { of("root"), of("10.0.2.2"), 0, 0, of(groups) };
	struct ssh_user nobody_knows = { of("ann"), of("1.2.3.4"), 1, 1, { NULL, 0 } };
	struct ssh_grant forced = { .command = BYTES_LIT("x") }, plain = { 0 };

	CHECK_EQ(parse(""), 0);
	CHECK_STR(refuses("root", "10.0.2.2", 0, 0), "");
	CHECK_EQ(parse("PermitRootLogin no"), 0);
	CHECK_STR(refuses("toor", "10.0.2.2", 0, 0), "PermitRootLogin");
	CHECK_STR(refuses("ann", "10.0.2.2", 1000, 0), "");
	CHECK_EQ(parse("PermitRootLogin forced-commands-only"), 0);
	CHECK_STR(refuses("root", "10.0.2.2", 0, 0), "PermitRootLogin");
	CHECK(ssh_config_refuses(&cfg, &root, &forced) == NULL);
	CHECK_EQ(
		parse("AllowUsers ann b*@10.0.2.0/24\nAllowUsers c?@fec0::/16,!fec0::9\nDenyUsers bad\n"),
		0);
	CHECK_STR(refuses("ann", "1.2.3.4", 1, 1), "");
	CHECK_STR(refuses("anne", "1.2.3.4", 1, 1), "AllowUsers");
	CHECK_STR(refuses("bob", "1.2.3.4", 1, 1), "AllowUsers");
	CHECK_STR(refuses("bob", "10.0.2.4", 1, 1), "");
	CHECK_STR(refuses("bad", "10.0.2.4", 1, 1), "DenyUsers");
	CHECK_STR(refuses("cc", "fec0::2", 1, 1), "");
	CHECK_STR(refuses("cc", "fec0::9", 1, 1), "AllowUsers");
	CHECK_EQ(parse("AllowGroups wheel us*\nDenyGroups root"), 0);
	CHECK_STR(refuses("ann", "1.2.3.4", 1, 1), "");
	CHECK_STR(refuses("eve", "1.2.3.4", 1, 1), "AllowGroups");
	CHECK_STR(refuses("eve", "1.2.3.4", 1, 100), "");
	CHECK_STR(refuses("ann", "1.2.3.4", 1, 0), "DenyGroups");
	/* a table that cannot be read lets nobody in who may be denied */
	CHECK_EQ(parse("DenyGroups x"), 0);
	CHECK_STR(refuses("ann", "1.2.3.4", 1, 0), "");
	CHECK_STR(ssh_config_refuses(&cfg, &nobody_knows, &plain) ?: "", "DenyGroups");
	CHECK_EQ(parse("AllowUsers c?@fec0::*"), -EINVAL);
}

TEST(what_is_permitted)
{
	struct bytes command;

	CHECK_EQ(parse(""), 0);
	CHECK(ssh_config_permits(&cfg, false, of("a"), 1) &&
	      ssh_config_permits(&cfg, true, of(""), 1));
	CHECK(ssh_config_takes_variable(&cfg, of("LC_ALL")) &&
	      ssh_config_takes_variable(&cfg, of("LANG")));
	CHECK(!ssh_config_takes_variable(&cfg, of("LD_PRELOAD")) &&
	      !ssh_config_takes_variable(&cfg, of("LANGUAGE")));
	CHECK(!ssh_config_subsystem(&cfg, of("sftpd"), &command));
	CHECK(ssh_config_subsystem(&cfg, of("sftp"), &command) &&
	      bytes_is(command, "/usr/lib/openssh/sftp-server"));
	CHECK_EQ(parse("PermitOpen a:1 [::1]:*\nPermitOpen b:1\nPermitListen 8080 localhost:9\n"
		       "AcceptEnv A_*\nAcceptEnv B\nSubsystem a /bin/a -x \nSubsystem b /bin/b\n"
		       "Subsystem sftp internal-sftp -R"),
		 0);
	CHECK(ssh_config_permits(&cfg, false, of("a"), 1));
	CHECK(ssh_config_permits(&cfg, false, of("::1"), 7));
	CHECK(!ssh_config_permits(&cfg, false, of("a"), 2));
	CHECK(!ssh_config_permits(&cfg, false, of("b"), 1));
	CHECK(ssh_config_permits(&cfg, true, of("x"), 8080));
	CHECK(ssh_config_permits(&cfg, true, of("localhost"), 9));
	CHECK(!ssh_config_permits(&cfg, true, of("x"), 9));
	CHECK(ssh_config_takes_variable(&cfg, of("A_B")) &&
	      ssh_config_takes_variable(&cfg, of("B")));
	CHECK(!ssh_config_takes_variable(&cfg, of("LANG")));
	CHECK(ssh_config_subsystem(&cfg, of("a"), &command) && bytes_is(command, "/bin/a -x"));
	CHECK(ssh_config_subsystem(&cfg, of("b"), &command) && bytes_is(command, "/bin/b"));
	CHECK(ssh_config_subsystem(&cfg, of("sftp"), &command) &&
	      bytes_is(command, "internal-sftp -R"));
	CHECK_EQ(parse("PermitOpen none\nAllowTcpForwarding local"), 0);
	CHECK(!ssh_config_permits(&cfg, false, of("a"), 1) &&
	      !ssh_config_permits(&cfg, true, of("a"), 1));
	CHECK_EQ(parse("PermitOpen any\nAllowTcpForwarding remote"), 0);
	CHECK(!ssh_config_permits(&cfg, false, of("a"), 1) &&
	      ssh_config_permits(&cfg, true, of("a"), 1));
}
