# SPDX-License-Identifier: MIT
"""A client that keeps what a key exchange must leave no trace of, and the search for it in the RAM of a guest.

What is kept of each exchange: X25519's secret, that of the key encapsulation and what the server drew for it, the secret of a
hybrid, and the six keys; of AES and HMAC keys the forms too in which BearSSL keeps them. What is searched for is each 8 bytes
of these, as they are or swapped as hashes load words, at any address. The server's scalar of X25519 only the server has: but
what multiplies the base point to the point that it sent is that scalar, and all that may be one is tried."""
import base64
import ctypes
import hashlib
import os

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

import guest as guestlib
import hostbuild
import sshraw
from sshraw import mpint, string

RAM_BASE = 0x40000000
library = None


def lib():
    global library
    if not library:
        library = ctypes.CDLL(hostbuild.build_library("tests/blackbox/keylog.c"))
        for name in ("aes_forms", "hmac_forms", "search", "search_scalars"):
            getattr(library, name).restype = ctypes.c_size_t
    return library


def room(n):
    return ctypes.create_string_buffer(n)


class Hybrid(sshraw.Curve25519):
    """A key encapsulation beside X25519: its key and ciphertext go before the points."""
    key, secret, cipher, drawn = 1184, 2400, 1088, 32

    def __init__(self):
        super().__init__()
        public, self.kem_secret = room(self.key), room(self.secret)
        getattr(lib(), self.kem + "_keypair")(public, self.kem_secret)
        self.blob = public.raw + self.blob

    def shared(self, theirs, learned):
        assert len(theirs) == self.cipher + 32
        secret, drawn = room(32), room(self.drawn)
        getattr(lib(), self.kem + "_open")(self.kem_secret, theirs[:self.cipher], secret, drawn)
        learned(self.kem, secret.raw)
        learned(self.kem + "-drawn", drawn.raw)
        point = []
        super().shared(theirs[self.cipher:], lambda name, value: (learned(name, value), point.append(value)))
        both = self.hash(secret.raw + point[0]).digest()
        learned("K", both)
        return string(both)


class Mlkem768(Hybrid):
    kem = "mlkem768"


class Sntrup761(Hybrid):
    kem, hash = "sntrup761", hashlib.sha512
    key, secret, cipher, drawn = 1158, 1763, 1039, 191


KEXES = {"mlkem768x25519-sha256": Mlkem768, "sntrup761x25519-sha512": Sntrup761,
         "sntrup761x25519-sha512@openssh.com": Sntrup761, **sshraw.KEXES}
ETM256, ETM512, PLAIN = "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256"
SUITES = [(sshraw.CHACHA, PLAIN), (sshraw.GCM, PLAIN), ("aes256-gcm@openssh.com", PLAIN), ("aes128-ctr", PLAIN),
          ("aes256-ctr", ETM256), ("aes128-ctr", ETM512), ("aes256-ctr", PLAIN)]


class Logged(sshraw.Raw):
    """.exchanges: of each key exchange the secrets by name, and the point that the server sent."""
    kexes = KEXES

    def __init__(self, *args, **words):
        self.exchanges = []
        super().__init__(*args, **words)

    def learned(self, name, secret):
        self.exchanges[-1].add(name, secret)

    def exchange_keys(self, check=False):
        self.exchanges.append(Exchange(self.cipher, self.mac))
        super().exchange_keys(check)
        self.exchanges[-1].point = self.kex_key[-32:]


class Exchange:
    def __init__(self, cipher, mac):
        self.cipher, self.mac = cipher, mac
        self.secrets, self.kept, self.point = {}, {}, None

    def add(self, name, secret):
        self.secrets[name] = secret
        if name in "CD" and self.cipher == sshraw.CHACHA:
            self.kept[name] = secret
        elif name in "CD":
            words = (ctypes.c_uint64 * 150)()
            size = lib().aes_forms(secret, len(secret), words)
            # two words a round are kept; eight a round stand in a frame, of 16 bits each, four times over
            data, rounds = bytes(words)[:size], size // 80
            self.kept[name + " as rounds"] = data[:16 * rounds]
            for n in range(rounds):
                self.secrets[f"{name} spread {n}"] = data[16 * rounds + 64 * n:][:64]
            if "gcm" in self.cipher:
                aes = Cipher(algorithms.AES(secret), modes.ECB()).encryptor()
                self.kept[name + " of GHASH"] = aes.update(bytes(16))
        elif name in "EF":
            out = room(128)
            size = lib().hmac_forms(secret, len(secret), out)
            self.kept[name + " as states"] = out.raw[:size]


def words_of(secret):
    """Its 8 bytes, each in the three orders in which hashes and ciphers hold it."""
    for at in sorted({*range(0, len(secret) - 7, 8), len(secret) - 8}):
        word = secret[at:at + 8]
        yield from {word, word[::-1], word[3::-1] + word[:3:-1]}


def forms_of(secrets):
    """(8 bytes to look for, name, what must be there or None for any place, where in that the 8 bytes are)"""
    for name, secret in secrets.items():
        if "spread" not in name:
            for word in words_of(secret):
                yield word, name, None, 0
            continue
        # of so few bits only one that is no pattern, and with all of its round around it
        for at in range(0, 64, 8):
            if 5 <= sum(b & 15 == 15 for b in secret[at:at + 8]) + sum(b >> 4 == 15 for b in secret[at:at + 8]) <= 11:
                yield secret[at:at + 8], name, secret, at
                break


def find(ram, exchanges):
    """What is there of their secrets: (address, name) for each 8 bytes."""
    wanted = [form for e in exchanges for form in forms_of({**e.secrets, **e.kept})]
    if not wanted:
        return []
    words = b"".join(word for word, *_ in wanted)
    most = 100_000
    found = (ctypes.c_uint64 * (2 * most))()
    hits = lib().search(ram, ctypes.c_size_t(len(ram)), words, ctypes.c_size_t(len(wanted)), found, ctypes.c_size_t(most))
    assert hits < most, "too much is like a secret"
    result = []
    for at, number in zip(found[0:2 * hits:2], found[1:2 * hits:2]):
        _, name, whole, offset = wanted[number]
        if whole is None or ram[at - offset:at - offset + len(whole)] == whole:
            result.append((at, name))
    return result


def find_scalars(ram, before, exchanges):
    """Where a scalar of a point that the server sent lies, in pages that are not what they were."""
    points = b"".join(e.point for e in exchanges if e.point)
    found = (ctypes.c_uint64 * 100)()
    hits = lib().search_scalars(ram, before, ctypes.c_size_t(len(ram)), points, ctypes.c_size_t(len(points) // 32), found,
                                ctypes.c_size_t(100))
    return [(at, "scalar") for at in found[:hits]]


def dump(guest):
    """All of its RAM, of one moment."""
    path = os.path.join(guest.folder, "ram")
    size = int(guest.mem[:-1]) << 20
    if os.path.exists(path):
        os.unlink(path)
    guest.monitor("stop")
    guest.monitor(f'pmemsave {RAM_BASE:#x} {size:#x} "{path}"')
    guestlib.until("the whole of the RAM", lambda: os.path.exists(path) and os.path.getsize(path) == size)
    guest.monitor("cont")
    with open(path, "rb") as f:
        ram = f.read()
    os.unlink(path)
    return ram


# ---- keys of users

def user_keys(ed25519):
    """One of each kind that may log in, by name."""
    return {"ssh-ed25519": ed25519, "ecdsa-sha2-nistp256": ec.generate_private_key(ec.SECP256R1()),
            "rsa-sha2-256": rsa.generate_private_key(65537, 2048)}


def line_of(key):
    """A line of authorized_keys."""
    return key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH) + b"\n"


def request(connection, name, key):
    """The request to log in as root with this key."""
    if name == "ssh-ed25519":
        return connection.auth_request(key)
    blob = base64.b64decode(line_of(key).split()[1])
    body = (bytes([sshraw.AUTH_REQUEST]) + string("root") + string("ssh-connection") + string("publickey") + b"\1"
            + string(name) + string(blob))
    data = string(connection.session_id) + body
    if name.startswith("rsa"):
        signature = key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    else:
        numbers = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
        signature = b"".join(mpint(n.to_bytes(32, "big")) for n in numbers)
    return body + string(string(name) + string(signature))


def rekey(connection):
    connection.exchange_kexinit()
    connection.exchange_keys()
    connection.new_keys()
