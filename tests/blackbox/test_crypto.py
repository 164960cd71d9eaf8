# SPDX-License-Identifier: MIT
"""The server's cryptography, built for this host, against python3-cryptography's (OpenSSL's): the same answers to random and
to odd questions, by a seed of the commit."""
import ctypes
import random
import struct

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

import guest as guestlib
import hostbuild
import keylog
import sshraw
from sshraw import mpint, string

pytestmark = pytest.mark.own_image("no guest")
P25519, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
P256 = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
RAW, PUBLIC = serialization.Encoding.Raw, serialization.PublicFormat.Raw
# Points of small order, and numbers beyond the prime that mean the same: RFC 7748 s5 takes them modulo it.
SMALL = [0, 1, 325606250916557431795983626356110631294008115727848805560023387167927233504,
         39382357235489614581723060781553021112529911719440698176882885853963445705823, P25519 - 1, P25519, P25519 + 1]


@pytest.fixture(scope="module")
def lib():
    return ctypes.CDLL(hostbuild.build_library("tests/blackbox/crypto.c"))


@pytest.fixture
def rnd():
    return random.Random(guestlib.commit_number())


def verifies(lib, alg, key, sig, text):
    return lib.crypto_verify(alg.encode(), key, ctypes.c_size_t(len(key)), sig, ctypes.c_size_t(len(sig)), text,
                             ctypes.c_size_t(len(text))) == 0


def accepted(check, *args):
    try:
        check(*args)
    except (InvalidSignature, ValueError):
        return False
    return True


def test_x25519(lib, rnd):
    odd = SMALL + [2**256 - 1, 2**255, P25519 + 2, P25519 + 18, 2**255 + 9]
    for point in [p.to_bytes(32, "little") for p in odd] + [rnd.randbytes(32) for _ in range(200)]:
        scalar, out = rnd.randbytes(32), keylog.room(32)
        ours = out.raw if lib.crypto_x25519(out, scalar, point) == 0 else None
        try:
            theirs = x25519.X25519PrivateKey.from_private_bytes(scalar).exchange(x25519.X25519PublicKey.from_public_bytes(point))
        except ValueError:
            theirs = None
        assert ours == theirs, point.hex()
        assert (ours is None) == (int.from_bytes(point, "little") % 2**255 in SMALL)


def test_ed25519(lib, rnd):
    name = "ssh-ed25519"
    for _ in range(50):
        seed, text = rnd.randbytes(32), rnd.randbytes(rnd.randrange(300))
        private = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
        key = private.public_key().public_bytes(RAW, PUBLIC)
        sig = private.sign(text)
        blob = keylog.room(87)
        lib.crypto_sign(seed, text, ctypes.c_size_t(len(text)), blob)
        assert blob.raw[4:] == string(name) + string(sig)

        def ours(sig, key=key):
            return verifies(lib, name, string(name) + string(key), string(name) + string(sig), text)
        assert ours(sig)
        s = int.from_bytes(sig[32:], "little")
        flipped = bytearray(sig)
        flipped[rnd.randrange(64)] ^= 1 << rnd.randrange(8)
        for bad in [bytes(flipped), *(sig[:32] + n.to_bytes(32, "little") for n in (s + L, s + 2 * L, 0, L, 2**256 - 1))]:
            assert not ours(bad) and not accepted(private.public_key().verify, bad, text)
        # R of small order and S = 0 would be good for any text under a key of small order
        for point in (b"\1" + bytes(31), bytes(32), (P25519 - 1).to_bytes(32, "little"), b"\1" + bytes(30) + b"\x80"):
            assert not ours(point + bytes(32), point) and not ours(sig, point)


def test_ecdsa_p256(lib, rnd):
    name = "ecdsa-sha2-nistp256"
    for _ in range(20):
        private = ec.derive_private_key(rnd.randrange(1, P256), ec.SECP256R1())
        point = private.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        text = rnd.randbytes(rnd.randrange(300))
        r, s = decode_dss_signature(private.sign(text, ec.ECDSA(hashes.SHA256())))

        def ours(r, s, point=point):
            numbers = b"".join(mpint(n.to_bytes(66, "big")) for n in (r, s))
            return verifies(lib, name, string(name) + string("nistp256") + string(point), string(name) + string(numbers), text)
        for pair in [(r, s), (r, P256 - s), (s, r), (r + P256, s), (r, s + P256), (0, s), (r, 0), (P256, s), (r, P256), (1, 1), (1, s),
                     (P256 - r, s), (r ^ 1 << rnd.randrange(256), s), (r, s ^ 1 << rnd.randrange(256)), (2**256 - 1, s)]:
            theirs = accepted(private.public_key().verify, encode_dss_signature(*pair), text, ec.ECDSA(hashes.SHA256()))
            assert ours(*pair) == theirs, (pair, theirs)
        # not on the curve, at infinity, compressed
        for bad in (point[:-1] + bytes([point[-1] ^ 1]), b"\0", b"\4" + bytes(64), bytes([2 + point[-1] % 2]) + point[1:33]):
            assert not ours(r, s, bad)


def test_rsa(lib, rnd):
    """Signatures whose block is almost right, made with the private key: each is refused."""
    infos = {"rsa-sha2-256": (hashes.SHA256(), bytes.fromhex("3031300d060960864801650304020105000420")),
             "rsa-sha2-512": (hashes.SHA512(), bytes.fromhex("3051300d060960864801650304020305000440"))}
    for bits in (2048, 3072):
        private = rsa.generate_private_key(65537, bits)
        numbers, size = private.private_numbers(), bits // 8
        n, d = numbers.public_numbers.n, numbers.d
        key = string("ssh-rsa") + mpint(b"\1\0\1") + mpint(n.to_bytes(size, "big"))
        for alg, (kind, info) in infos.items():
            text = rnd.randbytes(rnd.randrange(300))

            def ours(sig):
                return verifies(lib, alg, key, string(alg) + string(sig), text)
            sig = private.sign(text, padding.PKCS1v15(), kind)
            assert ours(sig)
            hashed = hashes.Hash(kind)
            hashed.update(text)
            digest = hashed.finalize()

            def block(tail, head=b"\0\1", fill=b"\xff"):
                return head + fill * (size - len(head) - len(tail) - 1) + b"\0" + tail
            good = block(info + digest)
            assert ours(pow(int.from_bytes(good, "big"), d, n).to_bytes(size, "big"))
            bent = bytearray(good)
            bent[rnd.randrange(2, size - len(info) - len(digest) - 1)] ^= 0x80
            bad = [block(info + digest, b"\0\2"), block(info + digest, b"\1\1"), block(info + digest, fill=b"\0"), bytes(bent),
                   block(digest), block(info + digest[:-1]), block(info + digest + b"\0"), block(info[:-1] + b"\0" + digest),
                   b"\0\1\xff\xff\xff\xff\xff\xff\xff\xff\0" + info + digest + bytes(size - 11 - len(info + digest)),
                   block(bytes([0x30, 0x81]) + info[1:] + digest), block(bytes(len(info)) + digest), bytes(size)]
            for b in bad:
                number = int.from_bytes(b, "big")
                if number < n:
                    assert not ours(pow(number, d, n).to_bytes(size, "big")), (alg, b.hex())
            whole = int.from_bytes(sig, "big")
            for n_th in range(100_000):
                begins = text + struct.pack("<I", n_th)
                zero = private.sign(begins, padding.PKCS1v15(), kind)
                if zero[0] == 0:
                    break
            for part in (zero, zero.lstrip(b"\0")):
                assert verifies(lib, alg, key, string(alg) + string(part), begins)
            for other in (b"\0" + sig, sig[:-1], sig + b"\0", b"", bytes(size), (n - 1).to_bytes(size, "big"), n.to_bytes(size, "big"),
                          (whole + n).to_bytes(size + 1, "big"), (n - whole).to_bytes(size, "big")):
                assert not ours(other)


@pytest.mark.parametrize("cipher, mac", keylog.SUITES)
def test_packets(lib, rnd, cipher, mac):
    """Packets of any length, one after the other, each way; and a counter of AES that wraps."""
    for wrap in (False, True):
        secrets = {letter: rnd.randbytes(64) for letter in "ACE"}
        if wrap:
            secrets["A"] = b"\xff" * 15 + b"\xfd" + bytes(48)
        theirs = sshraw.CIPHERS[cipher](lambda letter, n: secrets[letter][:n], "A", "C", "E", mac)
        for way in (0, 1):
            tag = lib.crypto_keys(way, cipher.encode(), mac.encode(), secrets["C"], secrets["A"], secrets["E"])
        for seq in range(60):
            payload = rnd.randbytes(rnd.choice([1, 15, 16, 17, 255, 256, 257, rnd.randrange(1, 33000)]))
            pad = theirs.block - (theirs.head + len(payload)) % theirs.block
            body = bytes([pad + theirs.block]) + payload + rnd.randbytes(pad + theirs.block)
            plain = struct.pack(">I", len(body)) + body
            sealed = theirs.seal(plain[:4], body)
            buffer = ctypes.create_string_buffer(plain + bytes(tag), len(plain) + tag)
            lib.crypto_seal(seq, buffer, ctypes.c_size_t(len(plain)))
            assert buffer.raw == sealed, (seq, len(payload))
            assert lib.crypto_open(seq, buffer, ctypes.c_size_t(len(sealed))) == len(body)
            # what lies where the length was is no matter
            assert buffer.raw[4:len(plain)] == body
