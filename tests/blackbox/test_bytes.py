# SPDX-License-Identifier: MIT
"""No byte of a stream is changed, lost or doubled by a device that is reset, late or out of order while connections begin; and
whose bytes they are is told by a capture, since QEMU's own TCP is on the way (docs/08-network.md)."""
import contextlib
import errno
import itertools
import os
import random
import socket
import struct
import subprocess
import threading
import time

import pytest

import capture
import frames
import guest as guestlib
import traffic
from frames import ACK, SYN

SEED = guestlib.commit_number() % 100000
# QEMU listens with a backlog of 1, so the host's TCP greets with cookies, and takes the second segment for the first where the
# first was lost and had less than four bytes; where it had more the connection is reset, and QEMU never sees it.
LEAST = 40
GATEWAY_MAC = bytes.fromhex("52550a000202")


class Streams:
    """What both ends of each connection to a port of the guest have sent, by place: the first that was sent there."""

    def __init__(self, port):
        self.port, self.of = port, {}

    def feed(self, frame):
        with contextlib.suppress(frames.Malformed):
            p = frames.Packet(frame)
            if p.proto == frames.TCP and self.port in (p.sport, p.dport):
                self.segment(p, p.sport == self.port)

    def segment(self, p, own):
        peer = p.dport if own else p.sport
        begins, ways = self.of.setdefault(peer, ({}, ([], [])))
        if p.flags & SYN:
            begins[own] = p.seq
        elif p.data and own in begins:
            ways[own].append(((p.seq - begins[own] - 1) & 0xFFFFFFFF, p.data))

    def whole(self, peer):
        """What came to the guest, and what it sent."""
        return [laid_out(way) for way in self.of.get(peer, ({}, ([], [])))[1]]


def laid_out(way):
    """The bytes of (place, data) up to the first gap; of each place those that were there first."""
    there = {}
    for place, data in way:
        for i, byte in enumerate(data, place):
            there.setdefault(i, byte)
    return bytes(there[i] for i in itertools.takewhile(there.__contains__, itertools.count()))


class Client(threading.Thread):
    """Connects, sends at once, reads it back; again and again, from ports of its own that no other connection has had.
    ends: (port, sent, got, why it ended)."""

    def __init__(self, port, number, end):
        super().__init__()
        self.port, self.random, self.end, self.ends = port, random.Random(SEED * 100 + number), end, []
        self.own = iter(range(20000 + number * 1500, 21500 + number * 1500))

    def run(self):
        for own in self.own:
            if time.monotonic() > self.end:
                return
            data, got, why = self.random.randbytes(self.random.randrange(LEAST, 8000)), b"", None
            with socket.socket() as s:
                try:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    s.settimeout(60 * guestlib.patience)
                    s.bind(("127.0.0.1", own))
                    s.connect(("127.0.0.1", self.port))
                    s.sendall(data[:LEAST])
                    s.sendall(data[LEAST:])
                    while len(got) < len(data) and (part := s.recv(65536)):
                        got += part
                except OSError as error:
                    if error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
                        continue
                    why = error
            self.ends.append((own, data, got, why))


@pytest.mark.parametrize("words", ["used_late:10,used_reorder:2", "device_reset:150,used_late:10,used_reorder:2"])
def test_connections_that_begin(words, tmp_path):
    """Two that are echoed for each one that logs in. What the guest sent back is what came to it; what came is what was sent, but
    on a connection that was greeted twice."""
    with traffic.Peer(SEED) as peer:
        machine = traffic.Machine(peer, "bytes", 4, guestlib.run_image, "")
        with machine:
            one = ["-S", str(tmp_path / "one")]
            with machine.guest.shared(one[1]):
                faults = words.replace(",", f":{SEED},") + f":{SEED}"
                machine.guest.ssh(f"echo {faults} >/proc/tern/faults", options=one, check=True)
                end = time.monotonic() + 25
                clients = [Client(machine.echo_port, n, end) for n in range(8)]
                for c in clients:
                    c.start()
                logins = []
                while time.monotonic() < end:
                    logins.append(machine.guest.ssh("echo", "there", timeout=120))
                for c in clients:
                    c.join()
                machine.guest.ssh("echo off >/proc/tern/faults", options=one, check=True)
            console = machine.guest.console()
            machine.guest.judge_network()
            checker, streams = machine.guest.checker, Streams(traffic.ECHO)
            for _, frame in capture.Records(machine.guest.capture):
                streams.feed(frame)
    spoilt = {(port, peer) for _, port, peer in checker.greeted_twice}
    ends = [end for c in clients for end in c.ends]
    assert len(streams.of) > 50, f"{len(streams.of)} connections of {len(ends)} only"
    wrong = [text for _, _, text in checker.bad if "other bytes" in text]
    # one that the host's TCP reset before QEMU knew of it is in no capture: see LEAST
    for port, data, got, why in [end for end in ends
                                 if end[0] in streams.of or end[2] and not isinstance(end[2], ConnectionResetError)]:
        came, back = streams.whole(port)
        if back != came[:len(back)]:
            wrong.append(f"port {port}: the guest sent back other bytes than came to it")
        if got != data and (traffic.ECHO, port) not in spoilt:
            wrong.append(f"port {port}: {len(data)} bytes sent, {len(came)} came, {len(back)} sent back, {len(got)} got: {why}")
    assert not wrong, f"{len(wrong)} of {len(ends)}:\n" + "\n".join(wrong[:20])
    bad = [done.stderr for done in logins if done.stdout != b"there\n"]
    assert len(bad) <= sum(port == 22 for port, _ in spoilt), f"{bad[:5]}\n{console[-3000:]}"


class NoGuest:
    """QEMU's own network, and in place of a guest this process: .receive() and .send() are of segments of the one connection
    from a client here, .client."""

    def __init__(self, folder):
        self.folder, port = str(folder), guestlib.free_port()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f"{folder}/wire")
        self.socket.settimeout(20 * guestlib.patience)
        self.qemu = subprocess.Popen(
            [guestlib.QEMU, "-M", "none", "-nographic", "-monitor", "none", "-serial", "none",
             "-netdev", f"user,id=u,hostfwd=tcp:127.0.0.1:{port}-10.0.2.15:22", "-netdev", "hubport,id=a,hubid=0,netdev=u",
             "-netdev", f"dgram,id=w,local.type=unix,local.path={folder}/qemu,remote.type=unix,remote.path={folder}/wire",
             "-netdev", "hubport,id=b,hubid=0,netdev=w"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.port = port

    def __enter__(self):
        self.client = socket.socket()
        try:
            guestlib.until("QEMU's end of the wire", lambda: os.path.exists(f"{self.folder}/qemu"))
            guestlib.until("QEMU's port", lambda: not self.client.connect_ex(("127.0.0.1", self.port)))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.qemu.kill()
        self.qemu.wait()
        self.client.close()
        self.socket.close()

    def put(self, kind, packet):
        self.socket.sendto(frames.ethernet(GATEWAY_MAC, capture.GUEST_MAC, kind, packet), f"{self.folder}/qemu")

    def receive(self, what):
        while True:
            p = frames.Packet(self.socket.recv(65536))
            if p.kind == frames.ARP and p.operation == 1:
                self.put(frames.ARP, frames.arp(2, capture.GUEST_MAC, frames.dotted(p.dst), p.sender_mac, frames.dotted(p.src)))
            elif p.proto == frames.TCP and what(p):
                self.peer = p.sport
                return p

    def send(self, seq, ack, flags, options=b""):
        segment = frames.tcp("10.0.2.15", "10.0.2.2", 22, self.peer, seq, ack, flags, 8000, options=options)
        self.put(frames.IPV4, frames.ipv4("10.0.2.15", "10.0.2.2", frames.TCP, segment))


@pytest.mark.own_image("no guest")
def test_greeted_twice(tmp_path):
    """All that a guest does here it may: its SYN-ACK goes again, since the acknowledgement and the first bytes were late."""
    size = b"\2\4" + struct.pack(">H", 1460)
    with NoGuest(tmp_path) as net:
        begin = net.receive(lambda p: p.flags & SYN).seq
        net.send(1000, begin + 1, SYN | ACK, size)
        net.client.sendall(b"a" * 100)
        net.receive(lambda p: p.data == b"a" * 100)
        net.send(1000, begin + 1, SYN | ACK, size)
        net.receive(lambda p: not p.data)
        net.client.sendall(b"b" * 100 + b"c" * 100)
        came = net.receive(lambda p: p.data)
        place = came.seq - begin - 101
    assert (place, came.data) != (0, b"b" * 100 + b"c" * 100), "QEMU's TCP is mended: take the excuse out of docs/08, capture.py, mix.py"
    print("GREETED", place, came.data)
