# SPDX-License-Identifier: MIT
"""A small SSH client that says exactly what it is told, for the negative tests: right or wrong, whole or
in pieces; and for the bench, because it costs little. Key exchange curve25519-sha256, all ciphers and
MACs, client key ed25519; keylog.py has the rest. Not for use: it trusts the host key it is shown, except
that it checks the signature when asked to."""
import hashlib
import hmac
import os
import socket
import struct

from cryptography.hazmat.primitives import poly1305, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import guest

GCM, CHACHA = "aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com"
DISCONNECT, IGNORE, UNIMPLEMENTED, DEBUG, SERVICE_REQUEST, SERVICE_ACCEPT, EXT_INFO = 1, 2, 3, 4, 5, 6, 7
KEXINIT, NEWKEYS, KEX_INIT, KEX_REPLY = 20, 21, 30, 31
AUTH_REQUEST, AUTH_FAILURE, AUTH_SUCCESS, AUTH_BANNER, AUTH_PK_OK = 50, 51, 52, 53, 60
GLOBAL_REQUEST, REQUEST_SUCCESS, REQUEST_FAILURE = 80, 81, 82
HOST_KEYS = b"\x50\0\0\0\x17hostkeys-00@openssh.com"
OPEN, OPEN_OK, OPEN_FAILED, WINDOW_ADJUST, DATA, EXTENDED_DATA, EOF, CLOSE, REQUEST, SUCCESS, FAILURE = range(90, 101)


def u32(n):
    return struct.pack(">I", n & 0xffffffff)


def string(s):
    s = s.encode() if isinstance(s, str) else s
    return u32(len(s)) + s


def mpint(raw):
    raw = raw.lstrip(b"\0")
    if raw and raw[0] & 0x80:
        raw = b"\0" + raw
    return string(raw)


class Reader:
    """Take fields off the front of a message."""

    def __init__(self, data):
        self.data = data

    def take(self, n):
        assert len(self.data) >= n, "short message"
        part, self.data = self.data[:n], self.data[n:]
        return part

    def byte(self):
        return self.take(1)[0]

    def u32(self):
        return struct.unpack(">I", self.take(4))[0]

    def string(self):
        return self.take(self.u32())


class Closed(Exception):
    """The server closed the connection; .code is that of its DISCONNECT, or None."""

    def __init__(self, code=None):
        super().__init__(f"closed, disconnect code {code}")
        self.code = code


class Plain:
    """Before NEWKEYS: no cipher. The other ciphers look the same from outside."""
    block, head = 8, 5      # padding fills up to block; head bytes before the payload count for it

    def seal(self, size, body):
        return size + body

    def open(self, take):
        """take(n) gives the next n bytes from the wire; returns the body."""
        return take(length_of(take(4)))


class Gcm:
    """AES128-GCM: the length stays readable, the nonce counts by itself."""
    block, head, key_size = 16, 1, 16

    def __init__(self, derive, iv, key, *_):
        self.aead = AESGCM(derive(key, self.key_size))
        self.fixed, self.count = struct.unpack(">IQ", derive(iv, 12))

    def nonce(self):
        nonce = struct.pack(">IQ", self.fixed, self.count)
        self.count = (self.count + 1) & ((1 << 64) - 1)
        return nonce

    def seal(self, size, body):
        return size + self.aead.encrypt(self.nonce(), body, size)

    def open(self, take):
        size = take(4)
        return self.aead.decrypt(self.nonce(), take(length_of(size) + 16), size)


class Gcm256(Gcm):
    key_size = 32


class ChaCha:
    """chacha20-poly1305@openssh.com: one key for the length, one for the rest, the nonce is the number of
    the packet: with strict key exchange, counted from NEWKEYS."""
    block, head = 8, 1

    def __init__(self, derive, iv, key, *_):
        keys = derive(key, 64)
        self.body_key, self.size_key, self.count = keys[:32], keys[32:], 0

    def stream(self, key):
        return Cipher(algorithms.ChaCha20(key, bytes(8) + struct.pack(">Q", self.count)),
                      None).encryptor().update

    def tag(self, tag_key, sealed):
        mac = poly1305.Poly1305(tag_key)
        mac.update(sealed)
        return mac.finalize()

    def body_stream(self):
        """The key of the tag is the first of the 64-byte blocks; the body starts with the second."""
        stream = self.stream(self.body_key)
        return stream(bytes(64))[:32], stream

    def seal(self, size, body):
        size = self.stream(self.size_key)(size)
        tag_key, stream = self.body_stream()
        sealed = size + stream(body)
        self.count = (self.count + 1) & 0xffffffff
        return sealed + self.tag(tag_key, sealed)

    def open(self, take):
        size = take(4)
        length = length_of(self.stream(self.size_key)(size))
        tag_key, stream = self.body_stream()
        sealed = take(length + 16)
        assert self.tag(tag_key, size + sealed[:-16]) == sealed[-16:], "a wrong tag"
        self.count = (self.count + 1) & 0xffffffff
        return stream(sealed[:-16])


class Ctr:
    """AES128-CTR under a MAC: of what is sent, the length readable ("etm"), or of what is meant. Packets are counted from
    NEWKEYS, as with strict key exchange."""
    block, key_size = 16, 16

    def __init__(self, derive, iv, key, mac_key, mac):
        stream = Cipher(algorithms.AES(derive(key, self.key_size)), modes.CTR(derive(iv, 16)))
        self.stream = stream.encryptor().update
        self.hash, self.etm, self.count = "sha" + mac[10:13], "etm" in mac, 0
        self.mac_size = int(mac[10:13]) // 8
        self.mac_key, self.head = derive(mac_key, self.mac_size), 1 if self.etm else 5

    def tag(self, data):
        self.count += 1
        return hmac.digest(self.mac_key, u32(self.count - 1) + data, self.hash)

    def seal(self, size, body):
        if self.etm:
            sealed = size + self.stream(body)
            return sealed + self.tag(sealed)
        return self.stream(size + body) + self.tag(size + body)

    def open(self, take):
        if self.etm:
            size = take(4)
            sealed, tag = take(length_of(size)), take(self.mac_size)
            assert self.tag(size + sealed) == tag, "a wrong tag"
            return self.stream(sealed)
        first = self.stream(take(16))
        packet = first + self.stream(take(length_of(first[:4]) - 12))
        assert self.tag(packet) == take(self.mac_size), "a wrong tag"
        return packet[4:]


class Ctr256(Ctr):
    key_size = 32


CIPHERS = {CHACHA: ChaCha, GCM: Gcm, "aes256-gcm@openssh.com": Gcm256, "aes128-ctr": Ctr, "aes256-ctr": Ctr256}


class Curve25519:
    """Our part of a key exchange: .blob is sent, shared() is the secret as it is hashed."""
    hash = hashlib.sha256

    def __init__(self):
        self.private = X25519PrivateKey.generate()
        self.blob = self.private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)

    def shared(self, theirs, learned):
        secret = self.private.exchange(X25519PublicKey.from_public_bytes(theirs))
        learned("X25519", secret)
        return mpint(secret)


CURVE = "curve25519-sha256"
KEXES = {CURVE: Curve25519, CURVE + "@libssh.org": Curve25519}


def length_of(size_bytes):
    size = struct.unpack(">I", size_bytes)[0]
    assert size <= 300000, f"a packet of {size} bytes"
    return size


def kexinit(kex="curve25519-sha256,ext-info-c,kex-strict-c-v00@openssh.com", host="ssh-ed25519",
            cipher=GCM, mac="hmac-sha2-256", guess=False):
    lists = [kex, host, cipher, cipher, mac, mac, "none", "none", "", ""]
    return bytes([KEXINIT]) + os.urandom(16) + b"".join(string(x) for x in lists) + bytes([guess]) + u32(0)


class Raw:
    kexes = KEXES

    def __init__(self, port, timeout=20, source_port=0, cipher=GCM, mac="hmac-sha2-256", kex=CURVE):
        self.sock = socket.socket()
        self.sock.settimeout(timeout * guest.patience)
        try:
            if source_port:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self.sock.bind(("127.0.0.1", source_port))
            self.sock.connect(("127.0.0.1", port))
        except OSError:
            self.sock.close()
            raise
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.inbuf = b""
        self.version = b"SSH-2.0-rawtest"
        self.server_version = None
        self.cipher, self.mac, self.kex = cipher, mac, kex
        self.sender, self.receiver = Plain(), Plain()
        self.pending = None                   # ciphers that take effect with NEWKEYS
        self.session_id = None
        self.host_key = self.kex_key = None   # as the server sent them
        self.my_kexinit = self.their_kexinit = None
        self.ext_info = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    # ---- bytes

    def send_bytes(self, data):
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            raise Closed() from None

    def read_some(self):
        try:
            piece = self.sock.recv(65536)
        except ConnectionResetError:
            raise Closed() from None
        if not piece:
            raise Closed()
        self.inbuf += piece

    def read_exactly(self, n):
        while len(self.inbuf) < n:
            self.read_some()
        part, self.inbuf = self.inbuf[:n], self.inbuf[n:]
        return part

    def read_version(self):
        while b"\n" not in self.inbuf:
            self.read_some()
        line, _, self.inbuf = self.inbuf.partition(b"\n")
        self.server_version = line.rstrip(b"\r")
        return self.server_version

    # ---- packets

    def packet(self, payload, padding=None, length=None):
        """The bytes of one packet as it would be sent now; padding and length may be made wrong."""
        block = self.sender.block
        pad = block - (self.sender.head + len(payload)) % block
        if pad < 4:
            pad += block
        pad = pad if padding is None else padding
        body = bytes([pad & 255]) + payload + os.urandom(pad)
        return self.sender.seal(u32(len(body) if length is None else length), body)

    def send(self, payload, **wrong):
        self.send_bytes(self.packet(payload, **wrong))

    def receive(self):
        """The next payload. Raises Closed on DISCONNECT or end."""
        body = self.receiver.open(self.read_exactly)
        payload = body[1:len(body) - body[0]]
        if payload[0] == DISCONNECT:
            raise Closed(struct.unpack(">I", payload[1:5])[0])
        return payload

    def receive_type(self, *types):
        """The next payload of one of these types; IGNORE, DEBUG, EXT_INFO, banners and a list of host keys are
        passed over."""
        while True:
            payload = self.receive()
            if payload[0] in types:
                return payload
            if payload[0] == EXT_INFO:
                self.ext_info = payload
            elif payload[0] not in (IGNORE, DEBUG, AUTH_BANNER) and not payload.startswith(HOST_KEYS):
                raise AssertionError(f"message {payload[0]} where one of {types} was due")

    # ---- the usual course, step by step

    def hello(self):
        self.send_bytes(self.version + b"\r\n")
        self.read_version()

    def exchange_kexinit(self, payload=None):
        self.my_kexinit = payload or kexinit(f"{self.kex},ext-info-c,kex-strict-c-v00@openssh.com", cipher=self.cipher, mac=self.mac)
        self.send(self.my_kexinit)
        self.their_kexinit = self.receive_type(KEXINIT)

    def exchange_keys(self, check=False):
        """ECDH and NEWKEYS, with the KEXINITs that have been exchanged."""
        kex = self.kexes[self.kex]()
        mine, hashed = kex.blob, kex.hash
        self.send(bytes([KEX_INIT]) + string(mine))
        reply = Reader(self.receive_type(KEX_REPLY))
        reply.byte()
        host_key, theirs, signature = reply.string(), reply.string(), reply.string()
        self.host_key, self.kex_key = host_key, theirs
        shared = kex.shared(theirs, self.learned)
        digest = hashed(string(self.version) + string(self.server_version) + string(self.my_kexinit)
                        + string(self.their_kexinit) + string(host_key) + string(mine) + string(theirs)
                        + shared).digest()
        if check:
            blob, sig = Reader(host_key), Reader(signature)
            assert blob.string() == sig.string() == b"ssh-ed25519"
            Ed25519PublicKey.from_public_bytes(blob.string()).verify(sig.string(), digest)
        self.session_id = self.session_id or digest

        def derive(letter, n):
            out = hashed(shared + digest + letter + self.session_id).digest()
            while len(out) < n:
                out += hashed(shared + digest + out).digest()
            self.learned(letter.decode(), out[:n])
            return out[:n]

        self.pending = [CIPHERS[self.cipher](derive, *letters, self.mac) for letters in ((b"A", b"C", b"E"), (b"B", b"D", b"F"))]

    def learned(self, name, secret):
        """A secret of the key exchange, which the server must forget: keylog.py notes it."""

    def new_keys(self):
        self.send(bytes([NEWKEYS]))
        self.sender = self.pending[0]
        self.receive_type(NEWKEYS)
        self.receiver = self.pending[1]

    def handshake(self, check=False):
        self.hello()
        self.exchange_kexinit()
        self.exchange_keys(check)
        self.new_keys()
        return self

    def start_service(self, name="ssh-userauth"):
        self.send(bytes([SERVICE_REQUEST]) + string(name))
        self.receive_type(SERVICE_ACCEPT)
        return self

    def auth_query(self, key, user="root", service="ssh-connection", algorithm="ssh-ed25519", signed=b"\0"):
        """A publickey request without a signature: would this key do? Or what a signature is put behind."""
        public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return (bytes([AUTH_REQUEST]) + string(user) + string(service) + string("publickey") + signed
                + string(algorithm) + string(string("ssh-ed25519") + string(public)))

    def auth_request(self, key, user="root", service="ssh-connection", session_id=None, change=None,
                     algorithm="ssh-ed25519", signature_name="ssh-ed25519"):
        """A publickey request signed by an Ed25519PrivateKey; change() may alter the signature."""
        request = self.auth_query(key, user, service, algorithm, b"\1")
        signature = key.sign(string(session_id or self.session_id) + request)
        if change:
            signature = change(signature)
        return request + string(string(signature_name) + string(signature))

    def login(self, key):
        return self.start_service().authenticate(key)

    def authenticate(self, key):
        self.send(self.auth_request(key))
        self.receive_type(AUTH_SUCCESS)
        return self

    def open_session(self, number=0, window=1 << 20, packet=32768):
        """Open a session channel; return the server's number for it."""
        self.send(bytes([OPEN]) + string("session") + u32(number) + u32(window) + u32(packet))
        reply = Reader(self.receive_type(OPEN_OK, OPEN_FAILED))
        kind = reply.byte()
        assert kind == OPEN_OK, "the channel was refused"
        assert reply.u32() == number
        return reply.u32()

    def request(self, channel, name, rest=b"", want_reply=True):
        self.send(bytes([REQUEST]) + u32(channel) + string(name) + bytes([want_reply]) + rest)

    def start(self, command, modes=None):
        """A session with a command, if modes are given on a terminal with them; return the server's number for it."""
        channel = self.open_session()
        if modes is not None:
            self.request(channel, "pty-req", string("xterm") + u32(80) + u32(24) + u32(0) + u32(0) + string(modes))
            self.receive_type(SUCCESS)
        self.request(channel, "exec", string(command))
        self.receive_type(SUCCESS)
        return channel

    def hear(self, *until):
        """What the one session says up to a message of these types: (type, what is behind the channel's number), and of
        data only what it holds."""
        said = []
        while not said or said[-1][0] not in until:
            reply = Reader(self.receive_type(WINDOW_ADJUST, DATA, EXTENDED_DATA, EOF, CLOSE, REQUEST, SUCCESS, FAILURE))
            kind, _ = reply.byte(), reply.u32()
            if kind != WINDOW_ADJUST:
                said.append((kind, reply.string() if kind == DATA else reply.data))
        return said

    def expect_close(self, seconds=20):
        """Read until the server closes; returns its disconnect code or None. Fails if it stays open, which is told
        from the end of the time to log in."""
        self.sock.settimeout(seconds * guest.patience)
        try:
            while True:
                payload = self.receive()
                assert payload[0] not in (AUTH_SUCCESS, REQUEST_SUCCESS, OPEN_OK, SUCCESS), (
                    f"the server answered {payload[0]}")
        except Closed as closed:
            return closed.code
        except TimeoutError:
            raise AssertionError(f"still open after {seconds} s") from None


def load_key(path):
    with open(path, "rb") as f:
        return serialization.load_ssh_private_key(f.read(), None)
