/* SPDX-License-Identifier: MIT */
/* The kernel's own build of the cryptography against known answers (row N16), and who may touch a connection (A2). */
#include "kernel/core/clock.h"
#include "kernel/core/log.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "ssh/cipher.h"
#include "ssh/hostkey.h"
#include "ssh/kem.h"
#include "ssh/server/server_priv.h"
#include "ssh/sig.h"
#include "tests/host/ssh_vectors.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/ktest.h"

#define BYTES(a) ((struct bytes){ a, sizeof(a) })

/* One packet each way, and one with a bit flipped. */
static bool cipher_is_right(const struct ssh_cipher_alg *cipher, const struct ssh_mac_alg *mac,
			    const uint8_t *key, const uint8_t *iv, const uint8_t *mac_key,
			    const uint8_t *plain, size_t len, const uint8_t *sealed,
			    size_t sealed_len)
{
	struct ssh_keys *k = kmalloc(sizeof(*k));
	uint8_t *buf = kmalloc(sealed_len);
	bool good;

	memcpy(buf, plain, len);
	ssh_keys_init(k, cipher, mac, key, iv, mac_key);
	ssh_seal(k, VECTOR_SEQ, buf, len);
	good = memcmp(buf, sealed, sealed_len) == 0;
	ssh_keys_init(k, cipher, mac, key, iv, mac_key);
	good = good && ssh_peek(k, VECTOR_SEQ, buf) == len - 4;
	good = good && ssh_open(k, VECTOR_SEQ, buf, len) == 0;
	good = good && memcmp(buf + 4, plain + 4, len - 4) == 0;
	memcpy(buf, sealed, sealed_len);
	buf[len / 2] ^= 4;
	ssh_keys_init(k, cipher, mac, key, iv, mac_key);
	good = good && ssh_peek(k, VECTOR_SEQ, buf) == len - 4;
	good = good && ssh_open(k, VECTOR_SEQ, buf, len) == -EBADMSG;
	kfree(buf);
	kfree(k);
	return good;
}

#define CIPHER_IS_RIGHT(alg, mac, v)                                                               \
	cipher_is_right(&(alg), mac, v##_key, v##_iv, v##_mac_key, v##_plain, sizeof(v##_plain),   \
			v##_sealed, sizeof(v##_sealed))

KTEST(ssh_ciphers)
{
	KT_CHECK(CIPHER_IS_RIGHT(ssh_cipher_chachapoly, NULL, chacha));
	KT_CHECK(CIPHER_IS_RIGHT(ssh_cipher_aes128_gcm, NULL, gcm128));
	KT_CHECK(CIPHER_IS_RIGHT(ssh_cipher_aes256_gcm, NULL, gcm256));
	KT_CHECK(CIPHER_IS_RIGHT(ssh_cipher_aes128_ctr, &ssh_mac_sha256, ctr128));
	KT_CHECK(CIPHER_IS_RIGHT(ssh_cipher_aes256_ctr, &ssh_mac_sha256, ctr256));
	KT_CHECK(CIPHER_IS_RIGHT(ssh_cipher_aes128_ctr, &ssh_mac_sha256_etm, etm256));
	KT_CHECK(CIPHER_IS_RIGHT(ssh_cipher_aes256_ctr, &ssh_mac_sha512_etm, etm512));
}

static int verify(struct bytes alg, struct bytes key, struct bytes sig)
{
	return ssh_sig_verify(alg, key, sig, signed_text, sizeof(signed_text));
}

KTEST(ssh_signatures)
{
	static struct ssh_hostkey k;
	char text[sizeof(keyfile_plain)];
	uint8_t out[128];
	struct wr w = wr_over(out, sizeof(out));

	KT_CHECK(verify(BYTES_LIT("ssh-ed25519"), BYTES(ed_key), BYTES(ed_sig)) == 0);
	KT_CHECK(verify(BYTES_LIT("ssh-ed25519"), BYTES(ed_key), BYTES(ed_sig_s_plus_l)) ==
		 -EACCES);
	KT_CHECK(verify(BYTES_LIT("ecdsa-sha2-nistp256"), BYTES(ec_key), BYTES(ec_sig)) == 0);
	KT_CHECK(verify(BYTES_LIT("ecdsa-sha2-nistp256"), BYTES(ec_key), BYTES(ec_sig_r0)) ==
		 -EACCES);
	KT_CHECK(verify(BYTES_LIT("rsa-sha2-256"), BYTES(rsa_key), BYTES(rsa_sig_rsa_sha2_256)) ==
		 0);
	KT_CHECK(verify(BYTES_LIT("rsa-sha2-512"), BYTES(rsa_key), BYTES(rsa_sig_rsa_sha2_512)) ==
		 0);
	KT_CHECK(verify(BYTES_LIT("rsa-sha2-512"), BYTES(rsa_key), BYTES(rsa_sig_short)) ==
		 -EACCES);
	ssh_hostkey_from_seed(&k, ed_seed);
	KT_CHECK(ssh_hostkey_sign(&k, NULL, signed_text, sizeof(signed_text), &w) == 0);
	KT_CHECK(w.len == sizeof(ed_sig) + 4 && memcmp(out + 4, ed_sig, sizeof(ed_sig)) == 0);
	memcpy(text, keyfile_plain, sizeof(text));
	KT_CHECK(ssh_hostkey_parse(&k, text, sizeof(text) - 1) == 0);
}

#define SEALED 32768

struct speed {
	struct ssh_keys keys;
	uint64_t ns; /* to seal a packet: of many times the shortest, which nothing has disturbed */
};

static void seal_once(struct speed *s)
{
	static uint8_t packet[SEALED + 64];
	uint64_t begin = clock_now_ns();

	ssh_seal(&s->keys, 0, packet, SEALED);
	s->ns = MIN(s->ns, clock_now_ns() - begin);
}

/* In turns, so that what disturbs one disturbs both. */
static bool is_beaten(const struct ssh_cipher_alg *c1, const struct ssh_mac_alg *m1,
		      const struct ssh_cipher_alg *c2, const struct ssh_mac_alg *m2)
{
	static struct speed first, next;

	first.ns = next.ns = UINT64_MAX;
	ssh_keys_init(&first.keys, c1, m1, signed_text, signed_text, signed_text);
	ssh_keys_init(&next.keys, c2, m2, signed_text, signed_text, signed_text);
	for (unsigned i = 0; i < 40; i++) {
		seal_once(&first);
		seal_once(&next);
	}
	log_info("ktest: %s %s %u MB/s, %s %s %u MB/s", c1->name, c1->tag_len ? "" : m1->name,
		 (unsigned)(SEALED * 1000UL / first.ns), c2->name, c2->tag_len ? "" : m2->name,
		 (unsigned)(SEALED * 1000UL / next.ns));
	return next.ns * 11 < first.ns * 10;
}

/* Our lists begin with the fastest: no entry is beaten clearly by the one behind it. Each cipher has the MAC that goes with it; one
 * that is not encrypt-then-MAC comes last, however fast. */
KTEST(ssh_speed)
{
	for (size_t i = 0; ssh_ciphers[i + 1]; i++)
		KT_CHECK(!is_beaten(ssh_ciphers[i], ssh_macs[0], ssh_ciphers[i + 1], ssh_macs[0]));
	for (size_t i = 0; ssh_macs[i + 1] && ssh_macs[i + 1]->etm; i++)
		KT_CHECK(!is_beaten(&ssh_cipher_aes128_ctr, ssh_macs[i], &ssh_cipher_aes128_ctr,
				    ssh_macs[i + 1]));
}

#define PAINT 0x33

static uint8_t kem_key[1184], kem_random[3044] __aligned(4), kem_cipher[1088];

static void encapsulate(const struct ssh_kem *kem)
{
	uint8_t secret[SSH_KEM_SECRET];

	KT_CHECK(kem->encapsulate(kem_key, kem_random, kem_cipher, secret) == 0);
}

/* What a key exchange does besides: the longer hash, keys, the signature, or that of RSA; what is read of a key file. */
static void hash_and_sign(void)
{
	static struct ssh_hostkey k;
	static struct ssh_keys keys;
	static uint8_t out[600], digest[64];
	static char text[sizeof(keyfile_rsa3072)];
	struct wr w = wr_over(out, sizeof(out));
	br_sha512_context ctx;

	ssh_hostkey_from_seed(&k, ed_seed);
	br_sha512_init(&ctx);
	br_sha512_update(&ctx, kem_random, 300);
	br_sha512_out(&ctx, digest);
	ssh_keys_init(&keys, &ssh_cipher_aes256_ctr, &ssh_mac_sha512_etm, digest, digest, digest);
	ssh_keys_init(&keys, &ssh_cipher_aes256_gcm, NULL, digest, digest, digest);
	KT_CHECK(ssh_hostkey_sign(&k, NULL, digest, sizeof(digest), &w) == 0);
	memcpy(text, keyfile_rsa3072, sizeof(text));
	KT_CHECK(ssh_hostkey_parse(&k, text, sizeof(text) - 1) == 0);
	w.len = 0;
	KT_CHECK(ssh_hostkey_sign(&k, NULL, digest, sizeof(digest), &w) == 0);
}

/* Below our frame, after one encapsulation (NULL: the rest): how much was used, and how much of that is neither wiped nor
 * untouched. */
static void __noinline kem_stack(const struct ssh_kem *kem, size_t *used, size_t *left)
{
	uint8_t *lo = (uint8_t *)current_base()->stack_lo, *here = __builtin_frame_address(0);

	memset(lo, PAINT, (size_t)(here - lo) - 1024);
	if (kem)
		encapsulate(kem);
	else
		hash_and_sign();
	while (*lo == PAINT)
		lo++;
	*used = (size_t)(here - lo);
	if (kem)
		ssh_kem_wipe_stack();
	else
		ssh_kex_wipe_stack();
	here -= 1024;
	for (*left = 0; lo < here; lo++)
		*left += *lo != 0 && *lo != PAINT;
}

static void kem_stacks(void *arg)
{
	static const struct ssh_kem *const kems[] = { &ssh_mlkem768, &ssh_sntrup761, NULL };
	size_t used, left;

	for (unsigned i = 0; i < ARRAY_SIZE(kems); i++) {
		kem_stack(kems[i], &used, &left);
		log_info("ktest: kem %u used %zu bytes of stack, left %zu", i, used, left);
		KT_CHECK(used <= (kems[i] ? SSH_KEM_STACK : SSH_KEX_STACK));
		/* an interrupt's frames, our own */
		KT_CHECK(left <= (kems[i] ? 2048 : 512));
	}
}

/* I-SSH-14, and I-SSH-11 of what lies in frames. */
KTEST(ssh_kem_stack)
{
	struct thread *t = thread_create("kem", kem_stacks, NULL, KSTACK_SIZE_LARGE);

	KT_CHECK(t);
	thread_start(t);
	thread_join(t);
	thread_put(t);
}

static void pump_as_stranger(void *arg)
{
	(void)session_pump(arg);
}

KTEST(ssh_connection_has_one_owner)
{
	static struct server_conn conn; /* owner NULL: not this thread */
	static struct server_session session = { .conn = &conn };

	kt_expect_bug(pump_as_stranger, &session.part, "owner");
}

static struct poll_watch room_watch;
static unsigned room_writes;

/* It is full, and behind that look its reader takes all: told when nobody had asked to be told. */
static ssize_t room_comes(struct file *f, struct io *io, off_t *pos)
{
	char buf[8];

	if (!room_writes++)
		return -EAGAIN;
	KT_CHECK(room_watch.events & POLL_OUT);
	return io_copy_from(io, buf, sizeof(buf));
}

static const struct file_ops room_ops = { .name = "room", .write = room_comes };

/* N12: the wish to be told of room comes first, then another look. */
KTEST(ssh_room_is_looked_for_again)
{
	static struct poll_source source;
	static struct poller poller;
	struct file *f = file_create(&room_ops, FILE_WRONLY, &source, NULL);

	KT_CHECK(f);
	poll_source_init(&source);
	poller_init(&poller);
	poll_watch_add(&poller, &room_watch, &source, 0, NULL);
	room_writes = 0;
	KT_CHECK(pump_write(f, &room_watch, 0, "late", 4) == 4 && room_writes == 2);
	poll_watch_remove(&room_watch);
	file_put(f);
}

#define EVICTED 300

static struct {
	struct server_conn conn;
	struct poller poller;
	struct poll_watch watch;
	uint64_t left; /* [atomic] times */
} newcomer;

/* Its own thread, awake for another reason. Off the list it is freed: what was to wake it has done so. */
static void leave_when_evicted(void *unused)
{
	uint32_t events;

	for (uint64_t i = 1; i <= EVICTED * kt_scale(); i++) {
		while (!READ_ONCE(newcomer.conn.evicted))
			sched_yield();
		server_conn_remove(&newcomer.conn);
		KT_CHECK(poller_next(&newcomer.poller, &events) == &newcomer.watch);
		WRITE_ONCE(newcomer.conn.evicted, false);
		atomic_store_release(&newcomer.left, i);
	}
}

/* RC-012 */
KTEST(ssh_evicted_while_awake)
{
	static struct server_config cfg;
	struct crew crew = { 0 };

	memset(&newcomer, 0, sizeof(newcomer));
	newcomer.conn.cfg = &cfg;
	poll_source_init(&newcomer.conn.kick);
	crew_add(&crew, leave_when_evicted, NULL, UINT64_MAX);
	for (uint64_t i = 1; i <= EVICTED * kt_scale(); i++) {
		poller_init(&newcomer.poller);
		poll_watch_add(&newcomer.poller, &newcomer.watch, &newcomer.conn.kick, POLL_IN,
			       NULL);
		server_conn_add(&newcomer.conn);
		server_newcomers_bound(0);
		while (atomic_load_acquire(&newcomer.left) < i)
			sched_yield();
		poll_watch_remove(&newcomer.watch);
	}
	crew_join(&crew);
}

static unsigned newcomers(void)
{
	struct server_counts c;

	server_get_counts(&c);
	return c.newcomers;
}

/* Who logs in while he is displaced stays, and is no longer counted among those that leave: the next one is displaced. */
KTEST(ssh_login_beats_eviction)
{
	static struct server_config cfg;
	static struct server_conn early, late;
	unsigned before = newcomers();

	early.cfg = late.cfg = &cfg;
	early.evicted = late.evicted = false;
	poll_source_init(&early.kick);
	poll_source_init(&late.kick);
	server_conn_add(&early);
	server_newcomers_bound(0);
	KT_CHECK(early.evicted && newcomers() == before + 1);
	server_conn_opened(&early, BYTES_LIT("ann"));
	KT_CHECK(!early.evicted && newcomers() == before);
	server_conn_add(&late);
	server_newcomers_bound(0);
	KT_CHECK(late.evicted && !early.evicted && newcomers() == before + 1);
	server_conn_remove(&late);
	server_conn_remove(&early);
	KT_CHECK(newcomers() == before);
}
