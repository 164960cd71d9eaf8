#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Print tests/host/ssh_vectors.h: known answers made by python3-cryptography, an implementation not ours."""
import hashlib
import hmac
import random
import struct
import subprocess
import tempfile

from cryptography.hazmat.primitives import hashes, poly1305, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

rnd = random.Random(4253)
SEQ = 0x80000007
L = 2**252 + 27742317777372353535851937790883648493


def rand(n):
    return bytes(rnd.randrange(256) for _ in range(n))


def string(b):
    return struct.pack(">I", len(b)) + b


def mpint(n):
    return string(n.to_bytes(n.bit_length() // 8 + 1, "big") if n else b"")


def show(name, b):
    rows = [", ".join(f"0x{x:02x}" for x in b[i:i + 16]) for i in range(0, len(b), 16)]
    print(f"static const uint8_t {name}[] = {{\n\t" + ",\n\t".join(rows) + ",\n};")


def packet(payload, block, outside):
    pad = block - (len(payload) + 1 + (0 if outside else 4)) % block
    pad += block if pad < 4 else 0
    body = bytes([pad]) + payload + rand(pad)
    return struct.pack(">I", len(body)) + body


def chacha(key, counter, data):
    nonce = struct.pack("<Q", counter) + struct.pack(">Q", SEQ)
    return Cipher(algorithms.ChaCha20(key, nonce), None).encryptor().update(data)


def chachapoly(key, plain):
    text = chacha(key[32:], 0, plain[:4]) + chacha(key[:32], 1, plain[4:])
    return text + poly1305.Poly1305.generate_tag(chacha(key[:32], 0, bytes(32)), text)


def ctr(key, iv, data):
    return Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor().update(data)


def mac(name, key, data):
    return hmac.new(key, struct.pack(">I", SEQ) + data, name).digest()


def ciphers():
    payload = bytes([94]) + rand(299)
    for name, key_len, iv_len in (("chacha", 64, 0), ("gcm128", 16, 12), ("gcm256", 32, 12), ("ctr128", 16, 16),
                                  ("ctr256", 32, 16), ("etm256", 16, 16), ("etm512", 32, 16)):
        key, iv, mac_key = rand(key_len), rand(iv_len), rand(64)
        if name == "ctr256":
            iv = bytes([0xff] * 15 + [0xf8])          # the 128-bit counter wraps in this packet
        plain = packet(payload, 8 if name == "chacha" else 16, name[:3] != "ctr")
        if name == "chacha":
            out = chachapoly(key, plain)
        elif name.startswith("gcm"):
            out = plain[:4] + AESGCM(key).encrypt(iv, plain[4:], plain[:4])
        elif name.startswith("ctr"):
            mac_key = mac_key[:32]
            out = ctr(key, iv, plain) + mac("sha256", mac_key, plain)
        else:
            mac_key = mac_key[:32] if name == "etm256" else mac_key
            text = plain[:4] + ctr(key, iv, plain[4:])
            out = text + mac("sha256" if name == "etm256" else "sha512", mac_key, text)
        for what, b in (("key", key), ("iv", iv or b"\0"), ("mac_key", mac_key), ("plain", plain), ("sealed", out)):
            show(f"{name}_{what}", b)


def mlkem_encapsulate(key, m):
    """FIPS 203 s5.2 and s6.2, as they say, slowly."""
    Q, N = 3329, 256

    def bits(b):
        return [x >> i & 1 for x in b for i in range(8)]

    def ints(b, d):
        v = bits(b)
        return [sum(v[i + j] << j for j in range(d)) for i in range(0, len(v), d)]

    def pack(f, d):
        v = [x >> j & 1 for x in f for j in range(d)]
        return bytes(sum(v[i + j] << j for j in range(8)) for i in range(0, len(v), 8))

    def sample(seed):
        stream, out, i = hashlib.shake_128(seed).digest(4096), [], 0
        while len(out) < N:
            a, b, c = stream[i:i + 3]
            out += [x for x in (a + 256 * (b % 16), b // 16 + 16 * c) if x < Q]
            i += 3
        return out[:N]

    def noise(seed, n):
        v = bits(hashlib.shake_256(seed + bytes([n])).digest(128))
        return [v[i] + v[i + 1] - v[i + 2] - v[i + 3] for i in range(0, 4 * N, 4)]

    def rev7(i):
        return int(f"{i:07b}"[::-1], 2)

    def ntt(f):  # by evaluation: f mod (X^2 - zeta^(2 rev7(i) + 1))
        out = []
        for i in range(128):
            z = pow(17, 2 * rev7(i) + 1, Q)
            out += [sum(f[2 * j + k] * pow(z, j, Q) for j in range(128)) % Q for k in (0, 1)]
        return out

    def inverse(g):
        f = [0] * N
        for i in range(128):
            z = pow(17, -(2 * rev7(i) + 1), Q)
            for j in range(128):
                t = pow(z, j, Q)
                f[2 * j] += g[2 * i] * t
                f[2 * j + 1] += g[2 * i + 1] * t
        return [x * pow(128, -1, Q) % Q for x in f]

    def times(f, g):
        out = []
        for i in range(128):
            z, (a, b), (c, d) = pow(17, 2 * rev7(i) + 1, Q), f[2 * i:2 * i + 2], g[2 * i:2 * i + 2]
            out += [(a * c + b * d * z) % Q, (a * d + b * c) % Q]
        return out

    def add(*fs):
        return [sum(x) % Q for x in zip(*fs)]

    def compress(f, d):
        return pack([(x * 2 ** (d + 1) + Q) // (2 * Q) % 2 ** d for x in f], d)

    t, rho = [ints(key[384 * i:384 * i + 384], 12) for i in range(3)], key[1152:]
    g = hashlib.sha3_512(m + hashlib.sha3_256(key).digest()).digest()
    y = [ntt(noise(g[32:], i)) for i in range(3)]
    u = b"".join(compress(add(inverse(add(*(times(sample(rho + bytes([i, j])), y[j]) for j in range(3)))),
                              noise(g[32:], 3 + i)), 10) for i in range(3))
    v = add(inverse(add(*(times(t[i], y[i]) for i in range(3)))), noise(g[32:], 6), [x * 1665 for x in bits(m)])
    return u + compress(v, 4), g[:32]


def sntrup_encapsulate(key, random):
    """RFC 9941's, as NTRU Prime defines it."""
    p, q, w = 761, 4591, 286

    def digest(n, b):
        return hashlib.sha512(bytes([n]) + b).digest()[:32]

    def decode(s, ms):
        if len(ms) == 1:
            return [int.from_bytes(s, "little") % ms[0]]
        low, ms2 = [], []
        for i in range(0, len(ms) - 1, 2):
            m, r, t = ms[i] * ms[i + 1], 0, 1
            while m >= 16384:
                r, t, m, s = r + s[0] * t, t * 256, (m + 255) // 256, s[1:]
            low.append((r, t))
            ms2.append(m)
        high = decode(s, ms2 + ms[len(ms) & ~1:])
        out = []
        for i, (r, t) in enumerate(low):
            r += t * high[i]
            out += [r % ms[2 * i], r // ms[2 * i] % ms[2 * i + 1]]
        return out + high[len(low):]

    def encode(rs, ms):
        if len(ms) == 1:
            n = 0
            while 256 ** n < ms[0]:
                n += 1
            return rs[0].to_bytes(n, "little")
        out, rs2, ms2 = b"", [], []
        for i in range(0, len(ms) - 1, 2):
            m, r = ms[i] * ms[i + 1], rs[i] + ms[i] * rs[i + 1]
            while m >= 16384:
                out, r, m = out + bytes([r % 256]), r // 256, (m + 255) // 256
            rs2.append(r)
            ms2.append(m)
        odd = len(ms) & ~1
        return out + encode(rs2 + rs[odd:], ms2 + ms[odd:])

    words = [int.from_bytes(random[4 * i:4 * i + 4], "little") for i in range(p)]
    words = sorted(x & ~1 if i < w else x & ~3 | 1 for i, x in enumerate(words))
    r = [x % 4 - 1 for x in words]
    h = [x - 2295 for x in decode(key, [q] * p)]
    f = [0] * (2 * p)
    for i in range(p):
        for j in range(p) if r[i] else ():
            f[i + j] += r[i] * h[j]
    for i in range(2 * p - 1, p - 1, -1):  # X^p = X + 1
        f[i - p] += f[i]
        f[i - p + 1] += f[i]
    c = [(x + 2295) % q - 2295 for x in f[:p]]
    c = [(x + 1 + 2295) // 3 for x in c]  # to the nearest multiple of 3, as a number from 0
    packed = bytes(sum((x + 1) << 2 * j for j, x in enumerate(r[i:i + 4])) for i in range(0, p, 4))
    cipher = encode(c, [1531] * p)
    cipher += digest(2, digest(3, packed) + digest(4, key))
    return cipher, digest(1, digest(3, packed) + cipher)


def kems():
    """What ssh/selftest.c wants, which keeps only the beginning: a hash of the secret and the ciphertext's hash."""
    some = bytes(i & 0x7b for i in range(3044))
    for name, encapsulate, key_len, random_len in (("mlkem768", mlkem_encapsulate, 1184, 32),
                                                   ("sntrup761", sntrup_encapsulate, 1158, 3044)):
        cipher, secret = encapsulate(some[:key_len], some[:random_len])
        show(f"{name}_answer", hashlib.sha256(secret + hashlib.sha256(cipher).digest()).digest())


def signatures():
    text = rand(200)
    show("signed_text", text)
    seed = rand(32)
    key = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    pub = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    sig = key.sign(text)
    show("ed_seed", seed)
    show("ed_key", string(b"ssh-ed25519") + string(pub))
    show("ed_sig", string(b"ssh-ed25519") + string(sig))
    s = int.from_bytes(sig[32:], "little") + L
    show("ed_sig_s_plus_l", string(b"ssh-ed25519") + string(sig[:32] + s.to_bytes(32, "little")))

    key = ec.generate_private_key(ec.SECP256R1())
    pub = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)

    def sign():
        return utils.decode_dss_signature(key.sign(text, ec.ECDSA(hashes.SHA256())))

    r, s = sign()
    name = b"ecdsa-sha2-nistp256"
    order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
    show("ec_key", string(name) + string(b"nistp256") + string(pub))
    show("ec_sig", string(name) + string(mpint(r) + mpint(s)))
    show("ec_sig_r0", string(name) + string(mpint(0) + mpint(s)))
    show("ec_sig_s0", string(name) + string(mpint(r) + mpint(0)))
    show("ec_sig_rn", string(name) + string(mpint(r + order) + mpint(s)))
    show("ec_sig_sn", string(name) + string(mpint(r) + mpint(order)))
    show("ec_sig_negative", string(name) + string(string(b"\x80" + rand(31)) + mpint(s)))
    for i, which in enumerate("rs"):
        pair = sign()
        while pair[i] >> 248:
            pair = sign()
        show(f"ec_sig_short_{which}", string(name) + string(mpint(pair[0]) + mpint(pair[1])))

    while True:
        key = rsa.generate_private_key(65537, 2048)
        sig = key.sign(text, padding.PKCS1v15(), hashes.SHA512())
        if sig[0] == 0:
            break
    n = key.public_key().public_numbers()
    show("rsa_key_zero", string(b"ssh-rsa") + mpint(n.e) + mpint(n.n))
    show("rsa_sig_zero", string(b"rsa-sha2-512") + string(sig))
    show("rsa_sig_no_zero", string(b"rsa-sha2-512") + string(sig[1:]))

    for bits, label in ((1024, "rsa1024"), (2048, "rsa")):
        key = rsa.generate_private_key(65537, bits)
        while key.sign(text, padding.PKCS1v15(), hashes.SHA256())[0] == 0:
            key = rsa.generate_private_key(65537, bits)
        n = key.public_key().public_numbers()
        show(f"{label}_key", string(b"ssh-rsa") + mpint(n.e) + mpint(n.n))
        for alg, h in ((b"rsa-sha2-256", hashes.SHA256()), (b"rsa-sha2-512", hashes.SHA512()), (b"ssh-rsa", hashes.SHA1())):
            sig = key.sign(text, padding.PKCS1v15(), h)
            show(f"{label}_sig_{alg.decode().replace('-', '_')}", string(alg) + string(sig))
            if bits == 2048 and alg == b"rsa-sha2-256":
                show("rsa_sig_long", string(alg) + string(b"\0" + sig))
                show("rsa_sig_short", string(alg) + string(sig[1:]))
    return text


def key_file(d, name, *args):
    subprocess.run(["ssh-keygen", "-q", "-C", "test key", "-f", f"{d}/{name}", *args], check=True)
    with open(f"{d}/{name}", encoding="ascii") as f:
        text = f.read()
    print(f"static const char keyfile_{name}[] =\n\t" + "\n\t".join(f'"{line}\\n"' for line in text.splitlines()) + ";")
    return text.encode()


def rsa_key_files(text):
    with tempfile.TemporaryDirectory() as d:
        for bits in (3072, 2048, 4160):
            key = key_file(d, f"rsa{bits}", "-t", "rsa", "-b", str(bits), "-N", "")
            if bits == 3072:
                key = serialization.load_ssh_private_key(key, None)
                for h in (hashes.SHA512(), hashes.SHA256()):
                    alg = b"rsa-sha2-%d" % (h.digest_size * 8)
                    show(f"rsa3072_sig_{h.digest_size * 8}", string(alg) + string(key.sign(text, padding.PKCS1v15(), h)))
                with open(f"{d}/rsa{bits}.pub", encoding="ascii") as f:
                    print(f'static const char keyfile_rsa{bits}_public[] = "{" ".join(f.read().split()[:2])}";')


def key_files():
    with tempfile.TemporaryDirectory() as d:
        for name, args in (("plain", ["-t", "ed25519", "-N", ""]), ("locked", ["-t", "ed25519", "-N", "secret"]),
                           ("ecdsa", ["-t", "ecdsa", "-N", ""])):
            key_file(d, name, *args)
        line = subprocess.run(["ssh-keygen", "-lf", f"{d}/plain.pub"], check=True, capture_output=True, text=True)
        with open(f"{d}/plain.pub", encoding="ascii") as f:
            public = f.read().split()
        print(f'static const char keyfile_fingerprint[] = "{line.stdout.split()[1]}";')
        print(f'static const char keyfile_public[] = "{public[0]} {public[1]}";')


print("/* SPDX-License-Identifier: MIT */\n/* Made by tests/host/ssh_vectors.py. */\n/* clang-format off */")
print("#ifndef TERN_TESTS_HOST_SSH_VECTORS_H\n#define TERN_TESTS_HOST_SSH_VECTORS_H\n\n#include <stdint.h>\n")
print(f"#define VECTOR_SEQ {SEQ:#x}u")
ciphers()
kems()
text = signatures()
key_files()
rsa_key_files(text)
print("\n#endif")
