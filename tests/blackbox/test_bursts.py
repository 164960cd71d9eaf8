# SPDX-License-Identifier: MIT
"""What a burst of messages costs on the wire, by QEMU's recording of it: a packet for each answer, none too many, and no time
in which both sides wait. A host that halts lets a timer run out: what depends on that is tried until it is right."""
import select
import socket
import sys

import pytest

import capture
import frames
import guest as guestlib
import sshraw
from sshraw import string, u32
from test_clients import newer_ssh  # noqa: F401  (a fixture)
from test_matrix import CURVE, client, each, machine, offered, used, user_keys  # noqa: F401  (some are fixtures)
from test_sockets import serving

KEY_FILE = f"{guestlib.TOP}/build/ssh/id_ed25519"


class Heard:
    """What the guest sends to one client: the sizes of its TCP segments since the last question."""

    def __init__(self, guest, raw):
        self.records, self.port = capture.Records(guest.capture), raw.sock.getsockname()[1]
        self.sizes()

    def sizes(self):
        packets = [frames.Packet(frame) for _, frame in self.records]
        return [len(p.data) for p in packets
                if p.kind == frames.IPV4 and p.proto == frames.TCP and (p.sport, p.dport) == (22, self.port)]


def test_each_answer_of_a_login_is_one_packet(guest):
    """Version, KEXINIT, reply, NEWKEYS with EXT_INFO behind it, and one for each question then."""
    key = sshraw.load_key(KEY_FILE)
    found = []

    def right():
        with sshraw.Raw(guest.port) as r:
            heard = Heard(guest, r)
            r.handshake().login(key).open_session()
            found[:] = [n for n in heard.sizes() if n]
        return len(found) == 7

    guestlib.until(lambda: f"7 packets with data: {found}", right)
    version, kexinit, reply, new_keys, *rest = found
    assert version == 14 and max(kexinit, reply) < 1460
    # NEWKEYS alone is 16
    assert new_keys > 16 and len(rest) == 3


def test_each_key_is_answered_by_one_packet(guest):
    """The echo, which acknowledges the key too: there is no other packet."""
    with sshraw.Raw(guest.port) as r:
        heard = Heard(guest, r)
        channel = r.handshake().login(sshraw.load_key(KEY_FILE)).open_session()
        r.request(channel, "pty-req", string("xterm") + u32(80) + u32(24) + u32(0) + u32(0) + string(b"\0"))
        r.receive_type(sshraw.SUCCESS)
        r.request(channel, "exec", string("echo in; cat"))
        while b"in" not in r.receive_type(sshraw.SUCCESS, sshraw.WINDOW_ADJUST, sshraw.DATA):
            pass
        r.send(bytes([sshraw.DATA]) + u32(channel) + string(b"!"))
        r.receive_type(sshraw.DATA)
        found = []

        def right():
            heard.sizes()
            for letter in b"abcdefghijklmnopqrst":
                r.send(bytes([sshraw.DATA]) + u32(channel) + string(bytes([letter])))
                assert r.receive_type(sshraw.DATA)[-1] == letter
            found[:] = heard.sizes()
            return len(found) == 20 and len(set(found)) == 1

        guestlib.until(lambda: f"20 packets of one size: {found}", right)


@pytest.mark.parametrize("size", [1, 1000, 20000])
def test_output_fills_its_packets(guest, size):
    """What a program writes at once: full packets and a rest, in at most one turn for each step in which reads grow."""
    with sshraw.Raw(guest.port) as r:
        heard = Heard(guest, r)
        channel = r.handshake().login(sshraw.load_key(KEY_FILE)).open_session()
        heard.sizes()
        r.request(channel, "exec", string(f"dd if=/dev/zero bs={size} count=1 2>/dev/null"), want_reply=False)
        got = 0
        while (payload := r.receive())[0] != sshraw.CLOSE:
            got += len(payload) - 9 if payload[0] == sshraw.DATA else 0
        found = [n for n in heard.sizes() if n]
    # the last is EOF, exit-status and CLOSE
    assert got == size and len(found) <= size // 1460 + 3 + (size > 2048), found


@each("reads")
def test_no_client_waits_for_a_timer(client):
    """What we hold for the client's message goes out by that message, not by its timer (I-SSH-5). But for who computes for
    longer, as many do with sntrup761: for them there is test_late_keys_are_answered.

    A client that waits for what we hold is late at each login; a host that halts it for 20 ms makes one late that does not, and
    looks the same on the wire and in every count. So one login that is not late shows it."""
    kex = next(name for name in CURVE if name in offered(client)["kex"])

    def late():
        words = used(client, kex=kex)
        return int(words[words.index("late") + 1])

    guestlib.until("a login in which no hold ran out", lambda: late() == 0, seconds=60)


def kept(s):
    """How much of what the client at the other end of s has written its kernel has: not acknowledged, or not even sent."""
    ours, theirs = (f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}:{port:04X}"
                    for host, port in (s.getsockname(), s.getpeername()))
    with open("/proc/net/tcp", encoding="ascii") as f:
        return sum(int(words[4].partition(":")[0], 16) for words in map(str.split, f) if words[1:3] == [theirs, ours])


def between(port, logins):
    """Leads a client to the guest's port, and adds to logins a list of where it waited for an acknowledgement alone: the sizes of
    the messages before, its own with a ">".

    With Nagle's algorithm a client's kernel keeps a small message while another is not acknowledged. Data for the client
    acknowledges that one at once; without any this host's kernel does, 40 ms later. Both kernels are this host's, so there is no
    need of a clock: the message was seen to be kept, and came though nothing had gone to the client. What is not answered then,
    as a goodbye, nobody waited for."""
    def serve(s):
        waits, found, sizes, behind, held = [], [], [], 0, False
        logins.append(waits)
        with socket.create_connection(("127.0.0.1", port)) as guest:
            for end in (s, guest):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                ready = select.select([s, guest], [], [], 0.001)[0]
                # if nothing has come since, what it keeps beyond what came is not on its way
                held = held or not ready and kept(s) > behind and not select.select([s], [], [], 0)[0]
                for end in ready:
                    data = end.recv(65536)
                    if not data:
                        return
                    sizes.append(f"{'<>'[end is s]}{len(data)}")
                    if end is s:
                        guest.sendall(data)
                        if held:
                            found.append(" ".join(sizes[-6:]))
                        behind += len(data)
                    else:
                        s.sendall(data)
                        waits += found
                        found, behind = [], 0
                    held = False
    return serve


def test_waiting_for_an_acknowledgement_is_seen(guest):
    """Of one who writes a message in two parts, with Nagle's algorithm; without it, he does not wait."""
    for no_delay in (0, 1):
        logins = []
        with serving(between(guest.port, logins)) as port, sshraw.Raw(port) as r:
            channel = r.handshake().login(sshraw.load_key(KEY_FILE)).open_session()
            r.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, no_delay)
            whole = r.packet(bytes([sshraw.REQUEST]) + u32(channel) + string("exec") + b"\1" + string("true"))
            r.send_bytes(whole[:1])
            r.send_bytes(whole[1:])
            r.receive_type(sshraw.SUCCESS)
        (waits,) = logins
        assert [w.split()[-2:] for w in waits] == [[">1", f">{len(whole) - 1}"]][no_delay:]


@each("reads")
def test_no_client_waits_for_an_acknowledgement(client):
    """In a login and a command. What else a client writes in two parts is its own affair: libssh's and paramiko's requests of sftp,
    and all of ssh2 if it is not told otherwise. A client that a halting host keeps from its KEXINIT for longer than that is held
    may wait once."""
    logins = []
    with serving(between(client.guest.port, logins)) as client.port:
        for _ in range(5):
            out, status, err = client.reads("/proc/tern/ssh")
            assert status == 0 and out, err
    assert len(logins) == 5 and sum(map(bool, logins)) <= 1, logins


def test_late_keys_are_answered(guest):
    """Of one who computes for longer than NEWKEYS is held: EXT_INFO does not wait for its NEWKEYS, and IGNORE acknowledges that."""
    with sshraw.Raw(guest.port) as r:
        heard = Heard(guest, r)
        r.hello()
        r.exchange_kexinit()
        r.exchange_keys()
        r.receive_type(sshraw.NEWKEYS)
        r.receiver = r.pending[1]
        assert r.receive()[0] == sshraw.EXT_INFO
        heard.sizes()
        r.send(bytes([sshraw.NEWKEYS]))
        r.sender = r.pending[0]
        assert r.receive()[0] == sshraw.IGNORE
        assert len([n for n in heard.sizes() if n]) == 1
