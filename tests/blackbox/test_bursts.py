# SPDX-License-Identifier: MIT
"""What a burst of messages costs on the wire, by QEMU's recording of it: a packet for each answer, none too many, and no time
in which both sides wait. A host that halts lets a timer run out: what depends on that is tried until it is right."""
import pytest

import capture
import frames
import guest as guestlib
import sshraw
from sshraw import string, u32
from test_clients import FAST_KEX, dbclient, own_line, paramiko_client, run

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


def late(text):
    words = own_line(text)
    return int(words[words.index("late") + 1])


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


def by_openssh(guest, keys):
    return guest.ssh("cat", "/proc/tern/ssh", options=FAST_KEX).stdout


def by_dbclient(guest, keys):
    return run(dbclient(guest, keys, "cat", "/proc/tern/ssh")).stdout


def by_paramiko(guest, keys):
    client = paramiko_client(guest)
    text = client.exec_command("cat /proc/tern/ssh", timeout=60)[1].read()
    client.close()
    return text


@pytest.mark.parametrize("client", [by_openssh, by_dbclient, by_paramiko])
def test_no_client_waits_for_a_timer(guest, keys, client):
    """What we hold for the client's message goes out by that message, not by its timer (I-SSH-5). But for plink, and OpenSSH
    with sntrup761, who compute for longer: for them there is the next test.

    A client that waits for what we hold is late at each login; a host that halts it for 20 ms makes one late that does not, and
    looks the same on the wire and in every count. So one login that is not late shows it."""
    guestlib.until("a login in which no hold ran out", lambda: late(client(guest, keys)) == 0, seconds=60)


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
