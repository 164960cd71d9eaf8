/* SPDX-License-Identifier: MIT */
/* sources: @tests/host/ssh.sources @tests/host/ssh_keys.sources !ssh/sntrup761.c !lib/string.c tests/host/ssh_timing_env.c */
/* flags: @tests/host/ssh.flags -fno-sanitize=all -fsanitize=memory */
/* What is secret decides no branch and no address, so it cannot be told from the time that something takes: secrets are
 * given to MSan as uninitialized, and it reports each branch and each address that comes of them. What secure_equal()
 * answers and what goes on the wire is not secret any more. MSan follows no carry: what comes of the upper bits of a sum alone
 * it does not see. And this is this host's build: of the kernel's compiler it says nothing. */
#include "lib/errno.h"
#include "lib/string.h"
#include "ssh/cipher.h"
#include "ssh/hostkey.h"
#include "ssh/kem.h"
#include "tests/host/test.h"
#include <fcntl.h>
#include <sanitizer/msan_interface.h>
#include <sodium/crypto_scalarmult_curve25519.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* n bytes, with which nothing may be decided. */
static void secret_bytes(void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)p)[i] = (uint8_t)test_random();
	__msan_poison(p, n);
}

static void published(void *p, size_t n)
{
	__msan_unpoison(p, n);
}

/* Is any of it? The tags must not get lost on the way, or nothing is reported. */
static bool is_secret(const void *p, size_t n)
{
	return __msan_test_shadow(p, n) >= 0;
}

static bool leaky_equal(const uint8_t *a, const uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

static volatile uint8_t sink;

/* Is what run() does with 32 secret bytes reported? */
static bool is_reported(void (*run)(uint8_t secret[32]))
{
	uint8_t secret[32];
	int status;
	pid_t pid;

	secret_bytes(secret, sizeof(secret));
	pid = fork();
	if (pid == 0) {
		(void)dup2(open("/dev/null", O_WRONLY), 2);
		run(secret);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	return status != 0;
}

static void compare_leaking(uint8_t secret[32])
{
	static const uint8_t guess[32];

	sink = leaky_equal(secret, guess, 32);
}

static void look_up(uint8_t secret[32])
{
	static const uint8_t table[256] = { 1, 2, 3 };

	sink = table[secret[0]];
}

static void compare_well(uint8_t secret[32])
{
	static const uint8_t guess[32];

	sink = secure_equal(secret, guess, 32);
}

TEST(leaks_by_time_are_found)
{
	CHECK(is_reported(compare_leaking));
	CHECK(is_reported(look_up));
	CHECK(!is_reported(compare_well));
}

/* A packet sealed and opened under keys that are secret (a nonce is none): what is decided is whether the tag is right. */
TEST(ciphers_take_their_time)
{
	uint8_t key[64], iv[16] = { 1 }, mac_key[64], packet[4 + 272 + 64];
	struct ssh_keys k;

	for (size_t c = 0; ssh_ciphers[c]; c++)
		for (size_t m = 0; ssh_macs[m]; m++)
			for (int good = 0; good < 2; good++) {
				uint32_t length;

				memset(packet, 7, sizeof(packet));
				packet[0] = packet[1] = 0;
				packet[2] = 1;
				packet[3] = ssh_macs[m]->etm || ssh_ciphers[c]->tag_len ? 16 : 12;
				secret_bytes(packet + 5, 200);
				secret_bytes(key, sizeof(key));
				secret_bytes(mac_key, sizeof(mac_key));
				length = 256 + packet[3] + 4;
				ssh_keys_init(&k, ssh_ciphers[c], ssh_macs[m], key, iv, mac_key);
				ssh_seal(&k, 3, packet, length);
				CHECK(is_secret(packet + 4, 1) &&
				      is_secret(packet + length, k.tag_len));
				published(packet, length + k.tag_len);
				packet[length] ^= !good;
				ssh_keys_init(&k, ssh_ciphers[c], ssh_macs[m], key, iv, mac_key);
				(void)ssh_peek(&k, 3, packet);
				CHECK_EQ(ssh_open(&k, 3, packet, length), good ? 0 : -EBADMSG);
			}
}

TEST(x25519_takes_its_time)
{
	uint8_t scalar[32], point[32], base[32] = { 9 }, shared[32];
	int err;

	secret_bytes(scalar, 32);
	(void)crypto_scalarmult_curve25519_base(point, scalar);
	err = crypto_scalarmult_curve25519(shared, scalar, base);
	/* that the result is zero, the client knew before */
	published(&err, sizeof(err));
	CHECK_EQ(err, 0);
	CHECK(is_secret(shared, 32));
	published(point, 32);
	published(shared, 32);
	CHECK_MEM(point, shared, 32);
}

TEST(kems_take_their_time)
{
	static const struct ssh_kem *const kems[] = { &ssh_mlkem768, &ssh_sntrup761 };
	static uint8_t key[1184], random[3044] __aligned(4), cipher[1088] __aligned(4);
	uint8_t secret[SSH_KEM_SECRET] __aligned(4);

	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = i & 0x7b;
	for (size_t i = 0; i < 2; i++) {
		secret_bytes(random, kems[i]->random_len);
		CHECK_EQ(kems[i]->encapsulate(key, random, cipher, secret), 0);
		CHECK_MSG(is_secret(secret, sizeof(secret)), "s%zu", i);
	}
}

TEST(host_key_signs_in_its_time)
{
	uint8_t seed[32], out[128];
	struct wr w = wr_over(out, sizeof(out));
	struct ssh_hostkey k;

	secret_bytes(seed, 32);
	ssh_hostkey_from_seed(&k, seed);
	published(k.public, sizeof(k.public));
	CHECK_EQ(ssh_hostkey_sign(&k, NULL, "text", 4, &w), 0);
	CHECK(is_secret(out + w.len - 64, 64));
}
