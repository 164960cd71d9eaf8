# SPDX-License-Identifier: MIT
"""What a peer that means harm may send (ssh pre-authentication surface, and after it). After every case the
server closes or refuses as stated, and a fresh login works."""
import errno
import os
import random
import socket
import statistics
import struct
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import guest as guestlib
import sshraw
from sshraw import Raw, Closed, kexinit, string, u32

KEY_FILE = f"{guestlib.TOP}/build/ssh/id_ed25519"
# The order of Ed25519's base point.
ED25519_L = 2**252 + 27742317777372353535851937790883648493


@pytest.fixture
def key():
    return sshraw.load_key(KEY_FILE)


@pytest.fixture(autouse=True)
def still_serves(guest):
    yield
    assert guest.ssh("true", timeout=30).returncode == 0, guest.tail()


def raw(guest):
    return Raw(guest.port)


def closes(connection, do, codes=None, seconds=20):
    """do() ends in a close, now or when the server has read it; its code is one of codes, if given."""
    try:
        do()
        code = connection.expect_close(seconds)
    except Closed as closed:
        code = closed.code
    if codes is not None:
        assert code in codes, f"disconnect code {code}, expected one of {codes}"


def test_the_usual_course(guest, key):
    """The harness itself: a right login and command must work, else no refusal means anything."""
    with raw(guest) as r:
        r.handshake(check=True).login(key)
        channel = r.open_session()
        r.request(channel, "exec", string("echo works"))
        got, status = b"", None
        while True:
            reply = sshraw.Reader(r.receive())
            kind = reply.byte()
            if kind == sshraw.DATA:
                reply.u32()
                got += reply.string()
            elif kind == sshraw.REQUEST:
                reply.u32()
                if reply.string() == b"exit-status":
                    reply.byte()
                    status = reply.u32()
            elif kind == sshraw.CLOSE:
                break
        assert (got, status) == (b"works\n", 0)
        assert r.ext_info is not None and b"server-sig-algs" in r.ext_info


@pytest.mark.parametrize("text", [b"SSH-1.5-old\r\n", b"SSH-2.0-" + b"x" * 65536, b"SSH-2.0-a\0b\r\n",
                                  b"GET / HTTP/1.0\r\n\r\n", b"\0" * 300, b"SSH-9.0-x\r\n"],
                         ids=["1.5", "endless", "nul", "http", "zeros", "9.0"])
def test_bad_identification(guest, text):
    with raw(guest) as r:
        def do():
            r.send_bytes(text)
            r.read_version()
        closes(r, do)


def test_identification_byte_by_byte(guest, key):
    with raw(guest) as r:
        for byte in r.version + b"\r\n":
            r.send_bytes(bytes([byte]))
            # a segment for each byte: else TCP puts them together
            guestlib.let_pass(0.002)
        r.read_version()
        r.exchange_kexinit()
        r.exchange_keys()
        r.new_keys()
        r.login(key)


def test_whole_handshake_byte_by_byte(guest, key):
    with raw(guest) as r:
        whole = r.send_bytes

        def slow(data):
            for byte in data:
                whole(bytes([byte]))
        r.send_bytes = slow
        r.handshake().login(key)


@pytest.mark.parametrize("length", [0, 1, 2, 4, 5, 11, 0x7fffffff, 0x80000000, 0xffffffff, 1 << 20, 36000])
def test_bad_packet_length(guest, length):
    with raw(guest) as r:
        r.hello()
        closes(r, lambda: r.send_bytes(u32(length) + os.urandom(200)))


def test_length_that_is_no_multiple_of_the_block(guest):
    with raw(guest) as r:
        r.hello()
        closes(r, lambda: r.send_bytes(bytes.fromhex("0000000d04020000000000000000000000000000000000")))


@pytest.mark.parametrize("length, padding", [(12, 255), (12, 12), (12, 11), (12, 0), (12, 3)])
def test_bad_padding(guest, length, padding):
    with raw(guest) as r:
        r.hello()
        closes(r, lambda: r.send_bytes(u32(length) + bytes([padding]) + b"\x02" + b"\0" * (length - 2)))


@pytest.mark.parametrize("payload", [
    b"\x14", b"\x14" + b"a" * 16, b"\x14" + b"a" * 16 + u32(0xfffffff0), b"\x14" + b"a" * 16 + u32(100) + b"x",
    b"\x14" + b"a" * 16 + string("," * 30000) * 2, kexinit()[:-1], kexinit() + b"x",
    kexinit(kex="no-such-kex"), kexinit(kex=""), kexinit(host="ssh-rsa"), kexinit(cipher="none"),
    kexinit(cipher="aes128-ctr", mac="none"), kexinit(cipher="aes128-cbc")],
    ids=["empty", "cookie", "huge-list", "cut-list", "commas", "cut", "trailing", "kex", "nokex", "hostkey",
         "cipher-none", "mac-none", "cbc"])
def test_bad_kexinit(guest, payload):
    with raw(guest) as r:
        r.hello()
        closes(r, lambda: r.send(payload), codes=(2, 3, None))


def test_kexinit_flood(guest):
    with raw(guest) as r:
        r.hello()

        def do():
            for _ in range(1000):
                r.send(kexinit())
        closes(r, do)


@pytest.mark.parametrize("kind", [sshraw.IGNORE, sshraw.DEBUG, sshraw.UNIMPLEMENTED, 192, 80, 90])
@pytest.mark.parametrize("when", ["before", "during"])
def test_terrapin_no_other_message_in_a_strict_exchange(guest, kind, when):
    with raw(guest) as r:
        r.hello()

        def do():
            if when == "during":
                r.exchange_kexinit()
            r.send(bytes([kind]) + string("x"))
            if when == "before":
                r.exchange_kexinit()
            r.exchange_keys()
            r.new_keys()
            r.start_service()
        closes(r, do, codes=(2, 3, None))


def test_flood_during_the_exchange(guest):
    with raw(guest) as r:
        r.hello()
        r.exchange_kexinit()

        def do():
            for _ in range(1000):
                r.send(b"\xc0" + string("x" * 1000))
        closes(r, do)


def test_wrong_guess_is_dropped(guest, key):
    with raw(guest) as r:
        r.hello()
        r.exchange_kexinit(kexinit(kex="ecdh-sha2-nistp256,curve25519-sha256,kex-strict-c-v00@openssh.com", guess=True))
        r.send(bytes([sshraw.KEX_INIT]) + string(b"\4" + os.urandom(64)))
        r.exchange_keys(check=True)
        r.new_keys()
        r.login(key)


def test_guess_behind_our_first_is_dropped(guest, key):
    """As dbclient's: a method that the server has, but not as its first."""
    with raw(guest) as r:
        r.hello()
        r.exchange_kexinit(kexinit(guess=True))
        r.send(bytes([sshraw.KEX_INIT]) + string(os.urandom(32)))
        r.exchange_keys(check=True)
        r.new_keys()
        r.login(key)


# Any numbers below 3329, of 12 bits each, are a key of ML-KEM; any bytes one of sntrup761.
KEM_KEY = bytes(i & 0x7b for i in range(1184))
HYBRIDS = {"mlkem768x25519-sha256": 1184, "sntrup761x25519-sha512": 1158, "sntrup761x25519-sha512@openssh.com": 1158}
X25519_BASE = bytes([9]) + bytes(31)


@pytest.mark.parametrize("name", HYBRIDS)
def test_hybrid_answers(guest, name):
    """The first of ours may be guessed; the others' guess is dropped."""
    with raw(guest) as r:
        r.hello()
        r.exchange_kexinit(kexinit(kex=f"{name},curve25519-sha256", guess=True))
        if name != list(HYBRIDS)[0]:
            r.send(bytes([sshraw.KEX_INIT]) + string(b"guessed"))
        r.send(bytes([sshraw.KEX_INIT]) + string(KEM_KEY[:HYBRIDS[name]] + X25519_BASE))
        reply = sshraw.Reader(r.receive_type(sshraw.KEX_REPLY))
        reply.byte()
        reply.string()
        assert len(reply.string()) == (1120 if HYBRIDS[name] == 1184 else 1071)


@pytest.mark.parametrize("spoil", [lambda key: key[:-1] + X25519_BASE, lambda key: key + X25519_BASE + b"x",
                                   lambda key: key, lambda key: X25519_BASE, lambda key: b"", lambda key: key + bytes(32),
                                   lambda key: key + b"\1" + bytes(31)],
                         ids=["short", "long", "nopoint", "nokey", "empty", "zero", "one"])
@pytest.mark.parametrize("name", HYBRIDS)
def test_bad_hybrid_value(guest, name, spoil):
    with raw(guest) as r:
        r.hello()
        r.exchange_kexinit(kexinit(kex=f"{name},kex-strict-c-v00@openssh.com"))
        closes(r, lambda: r.send(bytes([sshraw.KEX_INIT]) + string(spoil(KEM_KEY[:HYBRIDS[name]]))), codes=(3,))


@pytest.mark.parametrize("at, number", [(0, 3329), (383, 3329), (767, 3329), (100, 4095), (767, 4095)])
def test_mlkem_key_that_is_not_reduced(guest, at, number):
    """FIPS 203 s7.2."""
    key = int.from_bytes(KEM_KEY[:1152], "little")
    key = key & ~(4095 << 12 * at) | number << 12 * at
    with raw(guest) as r:
        r.hello()
        r.exchange_kexinit(kexinit(kex="mlkem768x25519-sha256"))
        blob = key.to_bytes(1152, "little") + KEM_KEY[1152:] + X25519_BASE
        closes(r, lambda: r.send(bytes([sshraw.KEX_INIT]) + string(blob)), codes=(3,))


def small_order_points():
    points = [0, 1, 325606250916557431795983626356110631294008115727848805560023387167927233504,
              39382357235489614581723060781553021112529911719440698176882885853963445705823,
              2**255 - 20, 2**255 - 19, 2**255 - 18]
    return [p.to_bytes(32, "little") for p in points]


@pytest.mark.parametrize("blob", [string(p) for p in small_order_points()] + [
    string(os.urandom(31)), string(os.urandom(33)), string(b""), u32(0xffffffff) + os.urandom(32), b"",
    string(os.urandom(32)) + b"x"],
    ids=[f"small{i}" for i in range(7)] + ["31", "33", "0", "huge", "none", "trailing"])
def test_bad_key_exchange_point(guest, blob):
    with raw(guest) as r:
        r.hello()
        r.exchange_kexinit()
        closes(r, lambda: r.send(bytes([sshraw.KEX_INIT]) + blob), codes=(2, 3, None))


@pytest.mark.parametrize("payload", [bytes([sshraw.NEWKEYS]), b"\x32" + string("root") + string("ssh-connection") + string("none"),
                                     b"\x05" + string("ssh-userauth"), b"\x1f" + string("x"), b"\x06", b"\x34", b"\x5a", b"\xff"],
                         ids=["newkeys", "userauth", "service", "reply", "accept", "success", "open", "255"])
@pytest.mark.parametrize("when", ["first", "after kexinit"])
def test_message_at_the_wrong_time(guest, payload, when):
    with raw(guest) as r:
        r.hello()
        if when != "first":
            r.exchange_kexinit()
        closes(r, lambda: r.send(payload))


def test_bad_tag(guest):
    with raw(guest) as r:
        r.handshake()
        data = bytearray(r.packet(bytes([sshraw.SERVICE_REQUEST]) + string("ssh-userauth")))
        data[-1] ^= 1
        closes(r, lambda: r.send_bytes(bytes(data)), codes=(2, 5, None))


@pytest.mark.parametrize("length", [0, 8, 17, 0x7fffffff, 0xffffffff, 1 << 20])
def test_bad_encrypted_length(guest, length):
    with raw(guest) as r:
        r.handshake()
        closes(r, lambda: r.send_bytes(u32(length) + os.urandom(400)), codes=(2, 5, None))


@pytest.mark.parametrize("service", [False, True], ids=["before service", "after service"])
@pytest.mark.parametrize("payload", [
    bytes([sshraw.OPEN]) + string("session") + u32(0) + u32(1 << 20) + u32(32768),
    bytes([sshraw.REQUEST]) + u32(0) + string("exec") + b"\1" + string("echo broken"),
    bytes([sshraw.GLOBAL_REQUEST]) + string("tcpip-forward") + b"\1" + string("") + u32(0),
    bytes([sshraw.DATA]) + u32(0) + string("x"),
    bytes([sshraw.AUTH_SUCCESS]), bytes([sshraw.AUTH_FAILURE]) + string("x") + b"\0",
    bytes([sshraw.SERVICE_ACCEPT]) + string("ssh-userauth"), bytes([sshraw.AUTH_PK_OK]) + string("a") + string("b")],
    ids=["open", "exec", "global", "data", "success", "failure", "accept", "pk_ok"])
def test_connection_message_before_authentication(guest, payload, service):
    """CVE-2025-32433 and CVE-2018-10933: refused before anything is started."""
    with raw(guest) as r:
        r.handshake()
        if service:
            r.start_service()
        closes(r, lambda: r.send(payload))


def test_same_port_again(guest):
    """A client's system may give it the port of a connection that the guest has just ended: the guest's TIME_WAIT is
    no reason to let it wait. None waits until QEMU sends its SYN again, which is 6 s, however slow all of them are."""
    port, took, again = None, [], 0
    for _ in range(200):
        if again == 20:
            break
        begin = time.monotonic()
        try:
            r = Raw(guest.port, source_port=port or 0)
        except OSError as error:
            # somebody else on this machine has it now
            assert port and error.errno == errno.EADDRINUSE
            port = None
            continue
        again += port is not None
        with r:
            port = r.sock.getsockname()[1]
            r.handshake().start_service()
            took.append(time.monotonic() - begin)
            closes(r, lambda: r.send(bytes([sshraw.AUTH_SUCCESS])))
            # The server closes first: its end, not ours, is the one that waits.
            try:
                assert r.sock.recv(1) == b""
            except ConnectionResetError:
                pass
    assert again == 20
    assert max(took) < statistics.median(took) + 5, took


def test_client_that_sends_success_and_goes_on(guest):
    with raw(guest) as r:
        r.handshake().start_service()

        def do():
            r.send(bytes([sshraw.AUTH_SUCCESS]))
            r.send(bytes([sshraw.OPEN]) + string("session") + u32(0) + u32(1 << 20) + u32(32768))
        closes(r, do)


@pytest.mark.parametrize("name", ["ssh-connection", "", "evil", "x" * 30000])
def test_other_service_before_authentication(guest, name):
    with raw(guest) as r:
        r.handshake()
        closes(r, lambda: r.send(bytes([sshraw.SERVICE_REQUEST]) + string(name)), codes=(2, 7, None))


def test_auth_request_without_service(guest, key):
    with raw(guest) as r:
        r.handshake()
        try:
            r.send(r.auth_request(key))
            reply = r.receive_type(sshraw.AUTH_SUCCESS, sshraw.AUTH_FAILURE)
            assert reply[0] == sshraw.AUTH_FAILURE
        except Closed:
            pass


def refused(r, payload):
    """The request is refused: by FAILURE, or by a close."""
    try:
        r.send(payload)
        reply = r.receive_type(sshraw.AUTH_SUCCESS, sshraw.AUTH_FAILURE)
        assert reply[0] == sshraw.AUTH_FAILURE
        return True
    except Closed:
        return False


@pytest.mark.parametrize("payload", [
    b"\x32" + u32(0xffffffff) + b"root", b"\x32" + string("r" * 32000) + string("ssh-connection") + string("none"),
    b"\x32" + string("ro\0ot") + string("ssh-connection") + string("none"),
    b"\x32" + string("root") + string("evil") + string("none"),
    b"\x32" + string("root") + string("ssh-connection") + string("password") + b"\0" + string("root"),
    b"\x32" + string("root") + string("ssh-connection") + string("password") + b"\1" + string("a") + string("b"),
    b"\x32" + string("root") + string("ssh-connection") + string("keyboard-interactive") + string("") + string(""),
    b"\x32" + string("root") + string("ssh-connection") + string("hostbased") + string("x"),
    b"\x32" + string("root") + string("ssh-connection") + string("publickey") + b"\1" + string("ssh-ed25519"),
    b"\x32" + string("root") + string("ssh-connection") + string("publickey") + b"\1" + string("ssh-ed25519") + string("") + string(""),
    b"\x32"], ids=["userlen", "userlong", "usernul", "service", "password", "pwchange", "kbdint", "hostbased", "cut",
                   "emptykey", "empty"])
def test_bad_auth_request(guest, payload):
    with raw(guest) as r:
        r.handshake().start_service()
        refused(r, payload)


def test_user_name_with_nul_is_not_root(guest, key):
    with raw(guest) as r:
        r.handshake().start_service()
        refused(r, r.auth_request(key, user=b"root\0x"))


@pytest.mark.parametrize("how", ["session", "flip", "algorithm", "signame", "short", "long", "s+l", "zero", "unknown key",
                                 "other service"])
def test_bad_signature(guest, key, how):
    def plus_l(sig):
        s = int.from_bytes(sig[32:], "little") + ED25519_L
        return sig[:32] + s.to_bytes(32, "little")

    with raw(guest) as r:
        r.handshake().start_service()
        requests = {
            "session": lambda: r.auth_request(key, session_id=os.urandom(32)),
            "flip": lambda: r.auth_request(key, change=lambda s: bytes([s[0] ^ 1]) + s[1:]),
            "algorithm": lambda: r.auth_request(key, algorithm="rsa-sha2-256"),
            "signame": lambda: r.auth_request(key, signature_name="ssh-rsa"),
            "short": lambda: r.auth_request(key, change=lambda s: s[:63]),
            "long": lambda: r.auth_request(key, change=lambda s: s + b"\0"),
            "s+l": lambda: r.auth_request(key, change=plus_l),
            "zero": lambda: r.auth_request(key, change=lambda s: b"\0" * 64),
            "unknown key": lambda: r.auth_request(Ed25519PrivateKey.generate()),
            "other service": lambda: r.auth_request(key, service="ssh-userauth"),
        }
        refused(r, requests[how]())


def test_attempts_are_limited(guest):
    with raw(guest) as r:
        r.handshake().start_service()
        tries = 0
        while tries < 50 and refused(r, r.auth_request(Ed25519PrivateKey.generate())):
            tries += 1
        assert tries <= 20, f"{tries} attempts on one connection"


def test_good_login_after_failures(guest, key):
    with raw(guest) as r:
        r.handshake().start_service()
        for _ in range(2):
            assert refused(r, r.auth_request(Ed25519PrivateKey.generate()))
        r.send(r.auth_request(key))
        r.receive_type(sshraw.AUTH_SUCCESS)


def test_none_lists_methods(guest):
    with raw(guest) as r:
        r.handshake().start_service()
        r.send(b"\x32" + string("root") + string("ssh-connection") + string("none"))
        reply = sshraw.Reader(r.receive_type(sshraw.AUTH_FAILURE))
        reply.byte()
        assert b"publickey" in reply.string().split(b",")


def test_rekeys_before_authentication_are_limited(guest):
    with raw(guest) as r:
        r.handshake()

        def do():
            for _ in range(20):
                r.exchange_kexinit()
                r.exchange_keys()
                r.new_keys()
        closes(r, do)


# ---- after login

def logged_in(guest, key):
    return raw(guest).handshake().login(key)


def test_rekey_from_the_client(guest, key):
    with logged_in(guest, key) as r:
        for _ in range(3):
            r.exchange_kexinit()
            r.exchange_keys(check=True)
            r.new_keys()
        r.open_session()


def test_window_overflow(guest, key):
    with logged_in(guest, key) as r:
        channel = r.open_session()

        def do():
            for _ in range(2):
                r.send(bytes([sshraw.WINDOW_ADJUST]) + u32(channel) + u32(0xffffffff))
        closes(r, do)


def test_data_beyond_the_window(guest, key):
    with logged_in(guest, key) as r:
        r.send(bytes([sshraw.OPEN]) + string("session") + u32(0) + u32(1 << 20) + u32(32768))
        reply = sshraw.Reader(r.receive_type(sshraw.OPEN_OK))
        reply.byte(), reply.u32()
        channel, window = reply.u32(), reply.u32()
        r.request(channel, "exec", string("sleep 1000"), want_reply=False)

        def do():
            sent = 0
            while sent < window + (1 << 20):
                r.send(bytes([sshraw.DATA]) + u32(channel) + string(b"x" * 30000))
                sent += 30000
        closes(r, do)


def collect(r, until):
    """Data of channel 0, and the sizes of its packets, until until(all of it, the last message's type) is true."""
    got, packets, kind = b"", [], None
    while not until(got, kind):
        payload = r.receive()
        kind = payload[0]
        if kind == sshraw.DATA:
            packets.append(len(sshraw.Reader(payload[5:]).string()))
            got += payload[9:]
    return got, packets


def test_small_window_is_obeyed(guest, key):
    """What the window lets through comes, and behind it, however often we ask, answers only."""
    with logged_in(guest, key) as r:
        channel = r.open_session(window=10)
        r.request(channel, "exec", string("flood 1000 1"), want_reply=False)
        for window in (10, 5):
            assert len(collect(r, lambda got, _: len(got) >= window)[0]) == window
            for _ in range(20):
                r.send(bytes([sshraw.GLOBAL_REQUEST]) + string("no-such@tern") + b"\1")
                assert collect(r, lambda _, kind: kind == sshraw.REQUEST_FAILURE)[0] == b""
                # in which more than the window allows could come
                guestlib.let_pass(0.02)
            r.send(bytes([sshraw.WINDOW_ADJUST]) + u32(channel) + u32(5))


def test_packet_limit_of_one_byte(guest, key):
    with logged_in(guest, key) as r:
        channel = r.open_session(packet=1)
        r.request(channel, "exec", string("echo hello"), want_reply=False)
        got, packets = collect(r, lambda got, _: len(got) >= 6)
        assert (got, packets) == (b"hello\n", [1] * 6)


def test_many_channels(guest, key):
    with logged_in(guest, key) as r:
        opened = 0
        for number in range(1000):
            r.send(bytes([sshraw.OPEN]) + string("session") + u32(number) + u32(1000) + u32(1000))
        for number in range(1000):
            reply = sshraw.Reader(r.receive_type(sshraw.OPEN_OK, sshraw.OPEN_FAILED))
            if reply.byte() == sshraw.OPEN_OK:
                opened += 1
            else:
                reply.u32()
                assert reply.u32() == 4
        assert 1 <= opened < 1000


@pytest.mark.parametrize("payload", [
    lambda c: bytes([sshraw.CLOSE]) + u32(77), lambda c: bytes([sshraw.DATA]) + u32(77) + string("x"),
    lambda c: bytes([sshraw.REQUEST]) + u32(77) + string("exec") + b"\1" + string("x"),
    lambda c: bytes([sshraw.WINDOW_ADJUST]) + u32(77) + u32(1), lambda c: bytes([sshraw.DATA]) + u32(c) + u32(0xffffffff),
    lambda c: bytes([sshraw.DATA]), lambda c: bytes([sshraw.REQUEST]) + u32(c), lambda c: bytes([sshraw.OPEN]) + u32(0xffffffff)],
    ids=["close", "data", "request", "adjust", "huge", "empty", "cut", "open"])
def test_malformed_channel_message(guest, key, payload):
    with logged_in(guest, key) as r:
        channel = r.open_session()
        closes(r, lambda: r.send(payload(channel)))


def test_unknown_message_is_answered_unimplemented(guest, key):
    with logged_in(guest, key) as r:
        r.send(b"\xdc" + string("what"))
        assert r.receive_type(sshraw.UNIMPLEMENTED)
        r.send(bytes([sshraw.GLOBAL_REQUEST]) + string("no-such@tern") + b"\1")
        assert r.receive_type(sshraw.REQUEST_FAILURE)
        r.send(bytes([sshraw.OPEN]) + string("no-such") + u32(0) + u32(1000) + u32(1000))
        reply = r.receive_type(sshraw.OPEN_FAILED)
        assert struct.unpack(">I", reply[5:9])[0] == 3


def test_pipelined_requests_are_answered_in_order(guest, key):
    with logged_in(guest, key) as r:
        channel = r.open_session()
        r.send_bytes(r.packet(bytes([sshraw.REQUEST]) + u32(channel) + string("no-such") + b"\1")
                     + r.packet(bytes([sshraw.REQUEST]) + u32(channel) + string("exec") + b"\1" + string("true")))
        assert r.receive_type(sshraw.FAILURE, sshraw.SUCCESS)[0] == sshraw.FAILURE
        assert r.receive_type(sshraw.FAILURE, sshraw.SUCCESS, sshraw.WINDOW_ADJUST)[0] in (sshraw.SUCCESS, sshraw.WINDOW_ADJUST)


@pytest.mark.parametrize("name, rest", [
    ("pty-req", string("xterm") + u32(0xffffffff) * 4 + string(b"\x01\0\0")), ("pty-req", string("xterm")),
    ("env", string("LANG") + string("x" * 30000)), ("env", string("A=B") + string("c")), ("env", string("") + string("")),
    ("window-change", u32(1)), ("signal", string("NOSUCH")), ("signal", string("")),
    ("exec", u32(0xfffffff0)), pytest.param("exec", string("x" * 32000), id="exec-32000"),
    ("subsystem", string("sftp"))])
def test_odd_channel_request(guest, key, name, rest):
    """Refused, or the connection ends; never worse."""
    with logged_in(guest, key) as r:
        channel = r.open_session()
        try:
            r.request(channel, name, rest)
            r.receive_type(sshraw.FAILURE, sshraw.SUCCESS)
        except Closed:
            pass


def test_second_exec_on_a_channel_is_refused(guest, key):
    with logged_in(guest, key) as r:
        channel = r.open_session()
        r.request(channel, "exec", string("cat"))
        while r.receive()[0] != sshraw.SUCCESS:
            pass
        r.request(channel, "exec", string("cat"))
        while True:
            kind = r.receive()[0]
            if kind in (sshraw.SUCCESS, sshraw.FAILURE):
                break
        assert kind == sshraw.FAILURE


STEPS = [lambda r, key: r.hello(), lambda r, key: r.exchange_kexinit(), lambda r, key: r.exchange_keys(),
         lambda r, key: r.new_keys(), lambda r, key: r.start_service(), lambda r, key: r.authenticate(key),
         lambda r, key: r.exchange_kexinit(), lambda r, key: r.exchange_keys()]


@pytest.mark.parametrize("part", [pytest.param(n, marks=() if n == guestlib.commit_number() % 8 else pytest.mark.long)
                                  for n in range(8)])
def test_any_message_in_any_phase(guest, key, part):
    """Each of 256 numbers in each of eight phases, an eighth of them by the commit, the rest in "all"; what is answered to which
    is every_message_in_every_phase's. None leaves anything behind, and none is answered by a success."""
    guest.ssh("true", check=True)
    before = guest.account()
    for number in range(part, 8 * 256, 8):
        kind, phase = divmod(number * 5 % 2048, 8)
        with raw(guest) as r:
            for step in STEPS[:phase + 1]:
                step(r, key)
            if phase == 7:
                r.receive_type(sshraw.NEWKEYS)
                r.receiver = r.pending[1]
            r.send(bytes([kind]) + bytes(19))
            try:
                if phase in (3, 4, 5):
                    r.send(b"\xdc" if phase == 5 else b"\x4f")
                    assert r.receive_type(*range(2, 101))[0] not in (sshraw.AUTH_SUCCESS, sshraw.OPEN_OK, sshraw.SUCCESS)
            except Closed as closed:
                assert closed.code in (None, 2, 3, 7, 11), (kind, phase, closed.code)
    guest.wait_for_account(before, seconds=60)


def test_close_twice(guest, key):
    with logged_in(guest, key) as r:
        channel = r.open_session()
        r.send(bytes([sshraw.CLOSE]) + u32(channel))
        r.receive_type(sshraw.CLOSE)
        closes(r, lambda: r.send(bytes([sshraw.CLOSE]) + u32(channel)))


# ---- whole connections

def test_connections_that_say_nothing(guest):
    """200 silent connections: logins go on, and all is returned when they end."""
    guest.ssh("true", check=True)
    before = guest.account()
    held = []
    for _ in range(200):
        held.append(socket.create_connection(("127.0.0.1", guest.port), timeout=20))
        # QEMU listens with a backlog of 1, and takes a connection before the guest does
        assert held[-1].recv(4) == b"SSH-"
    for _ in range(3):
        assert guest.ssh("true", timeout=60).returncode == 0
    for s in held:
        s.close()
    guest.wait_for_account(before, seconds=60)


def test_connections_closed_at_each_step(guest, key):
    def program(r, command, window):
        channel = r.handshake().login(key).open_session(window=window)
        r.request(channel, "exec", string(command), want_reply=False)
        r.send(bytes([sshraw.DATA]) + u32(channel) + string(b"x" * 30000))

    def forward(r, port):
        r.handshake().login(key)
        r.send(bytes([sshraw.OPEN]) + string("direct-tcpip") + u32(0) + u32(1000) + u32(1000) + string("127.0.0.1") + u32(port)
               + string("127.0.0.1") + u32(1))

    guest.ssh("true", check=True)
    before = guest.account()
    steps = [lambda r: None, lambda r: r.send_bytes(b"SSH-2.0-x\r\n"), lambda r: r.hello(),
             lambda r: (r.hello(), r.send(kexinit())), lambda r: (r.hello(), r.exchange_kexinit()),
             lambda r: (r.hello(), r.exchange_kexinit(), r.exchange_keys()), lambda r: r.handshake(),
             lambda r: r.handshake().start_service(), lambda r: r.handshake().login(key),
             lambda r: r.handshake().login(key).open_session(),
             lambda r: program(r, "cat", 1 << 20), lambda r: program(r, "flood 1000000000 1", 0),
             lambda r: program(r, "flood 1000000000 1", 1 << 20), lambda r: (program(r, "cat", 0), r.send(kexinit())),
             lambda r: (r.handshake().login(key), r.exchange_kexinit()),
             lambda r: (r.handshake().login(key), r.exchange_kexinit(), r.exchange_keys()), lambda r: forward(r, 22), lambda r: forward(r, 1)]
    for _ in range(3):
        for do in steps:
            with raw(guest) as r:
                do(r)
    guest.wait_for_account(before, seconds=60)


def test_silent_connection_is_ended(boot):
    """The time to log in is bounded (LoginGraceTime, 30 s without it)."""
    g = boot(smp=2)
    with Raw(g.port, timeout=60) as r:
        begin = time.monotonic()
        r.read_version()
        try:
            while True:
                r.read_some()
        except Closed:
            pass
        assert time.monotonic() - begin < 45


def test_all_are_ended_when_their_time_is_over(boot, tmp_path):
    """A hundred that hold still before the login, by turns at four steps: the server ends each, and takes it back."""
    (tmp_path / "sshd_config").write_text("LoginGraceTime 10\n")
    g = boot(smp=2, options=("--put", f"{tmp_path}/sshd_config:/etc/ssh/sshd_config"))
    g.ssh("true", check=True)
    before = g.account()
    steps = [lambda r: r.read_version(), lambda r: r.hello(), lambda r: (r.hello(), r.exchange_kexinit()), lambda r: r.handshake()]
    held = []
    for n in range(100):
        held.append(Raw(g.port))
        # QEMU listens with a backlog of 1
        steps[n % 4](held[-1])
    for r in held:
        r.expect_close(60)
        r.sock.close()
    g.wait_for_account(before, seconds=60)


@pytest.mark.parametrize("part", range(4))
def test_random_mutations(guest, key, part):
    """Seeded mutations of a right login; nothing but a close or a refusal may come of it."""
    seed = guestlib.commit_number() + part
    rng = random.Random(seed)
    for case in range(25):
        target = rng.randrange(8)
        with raw(guest) as r:
            count = 0
            right = r.send_bytes

            def send(data):
                nonlocal count
                if count == target:
                    data = bytearray(data)
                    for _ in range(rng.randrange(1, 4)):
                        how, at = rng.randrange(4), rng.randrange(len(data))
                        if how == 0:
                            data[at] ^= 1 << rng.randrange(8)
                        elif how == 1:
                            del data[at:at + rng.randrange(1, 9)]
                        elif how == 2:
                            data[at:at] = rng.randbytes(rng.randrange(1, 9))
                        else:
                            data[at] = rng.choice([0, 0x7f, 0x80, 0xff])
                        if not data:
                            data = bytearray(b"\0")
                count += 1
                right(bytes(data))

            r.send_bytes = send
            r.sock.settimeout(2)
            try:
                r.handshake().login(key)
                r.request(r.open_session(), "exec", string("true"))
                r.receive()
            except (Closed, AssertionError, TimeoutError, OSError, ValueError):
                pass
            except Exception as error:  # a broken tag or point found by this side is as good as a close
                assert type(error).__name__ in ("InvalidTag", "InvalidSignature", "error"), (seed, case, error)
