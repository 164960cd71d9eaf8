# SPDX-License-Identifier: MIT
"""The judge of captures (tests/capture.py) is judged: each rule by a conversation that breaks it and nothing else."""
import struct

import pytest

import capture
import frames
from frames import ACK, FIN, PSH, RST, SYN

pytestmark = pytest.mark.own_image("captures made up, without a guest")

OURS, PEER, PEER_MAC = "10.0.2.15", "10.0.2.2", bytes.fromhex("525500000202")
MSS, SCALE = b"\2\4\5\xb4", b"\1\3\3\3"


class Talk:
    """A conversation: what the guest and the peer say, some time after what was said last."""

    def __init__(self, checker=None):
        self.checker, self.now = checker or capture.Checker(), 1000.0

    def frame(self, frame, after=0.001):
        self.now += after
        self.checker.feed(self.now, frame)

    def guest(self, flags=ACK, seq=0, ack=0, data=b"", options=b"", window=8000, after=0.001, **wrong):
        body = frames.tcp(OURS, PEER, 22, 4000, seq, ack, flags, window, data, options, **wrong)
        self.frame(frames.ethernet(PEER_MAC, capture.GUEST_MAC, frames.IPV4, frames.ipv4(OURS, PEER, frames.TCP, body)), after)

    def peer(self, flags=ACK, seq=0, ack=0, data=b"", options=b"", window=30000, after=0.001, **wrong):
        body = frames.tcp(PEER, OURS, 4000, 22, seq, ack, flags, window, data, options, **wrong)
        self.frame(frames.ethernet(capture.GUEST_MAC, PEER_MAC, frames.IPV4, frames.ipv4(PEER, OURS, frames.TCP, body)), after)

    def packet(self, proto, body, src=OURS, dst=PEER, mac_src=None, mac_dst=PEER_MAC, tail=b"", **wrong):
        own = mac_src or src == OURS
        mac = mac_src or (capture.GUEST_MAC if own else PEER_MAC)
        self.frame(frames.ethernet(mac_dst if own else capture.GUEST_MAC, mac, frames.IPV4, frames.ipv4(src, dst, proto, body, **wrong) + tail))

    def open(self, options=MSS + SCALE):
        """The peer connects: its numbers begin at 100, the guest's at 500."""
        self.peer(SYN, 100, options=options)
        self.guest(SYN | ACK, 500, 101, options=MSS + SCALE)
        self.peer(ACK, 101, 501)
        # no silence from here on that would excuse anything
        for _ in range(12):
            self.peer(ACK, 101, 501, after=0.09)
        self.peer(ACK | PSH, 101, 501, b"x")
        self.guest(ACK, 501, 102)

    def verdict(self):
        return [text for _, _, text in self.checker.bad]


def broken(words, break_it, open_first=True, **kwargs):
    talk = Talk()
    if open_first:
        talk.open(**kwargs)
        assert not talk.verdict()
    break_it(talk)
    found = talk.verdict()
    assert len(found) == 1 and words in found[0], found


def test_an_honest_conversation():
    t = Talk()
    t.open()
    t.guest(ACK | PSH, 501, 102, b"a" * 1460)
    t.guest(ACK | PSH, 1961, 102, b"b" * 1460)
    for _ in range(4):
        t.peer(ACK, 102, 501)
    t.guest(ACK | PSH, 501, 102, b"a" * 1460)       # after three duplicates
    t.peer(ACK, 102, 1961)
    for _ in range(3):
        t.peer(ACK, 102, 1961, after=0.05)
    t.guest(ACK | PSH, 1961, 102, b"b" * 1460)      # after a timeout
    t.peer(ACK, 102, 3421, window=0)
    t.guest(ACK | PSH, 3421, 102, b"c")             # how is the window?
    t.peer(ACK | PSH, 102, 3422, b"y" * 5)
    t.guest(ACK | FIN, 3422, 107, window=7999)
    t.peer(ACK | FIN, 107, 3423)
    t.guest(ACK, 3423, 108, window=7999)
    assert not t.verdict()


SEGMENTS = {
    "malformed: TCP checksum": lambda t: t.guest(checksum=1),
    "malformed: a TCP header of": lambda t: t.guest(offset=15),
    "malformed: TCP options": lambda t: t.guest(options=b"\5\0"),
    "a segment size outside": lambda t: t.guest(ACK, 501, 102, options=MSS),
    "SYN with FIN": lambda t: t.guest(SYN | FIN, 9),
    "bytes that have not come": lambda t: t.guest(ACK, 501, 103),
    "takes back an acknowledgement": lambda t: t.guest(ACK, 501, 101),
    "draws the right edge": lambda t: t.guest(ACK, 501, 102, window=7000),
    "bytes beyond the window": lambda t: (t.peer(ACK, 102, 501), [t.guest(ACK, 501 + n * 1000, 102, bytes(1000)) for n in range(240)]
                                          and t.guest(ACK, 240501, 102, bytes(2))),
    "the peer takes 1460": lambda t: t.guest(ACK, 501, 102, bytes(1461)),
    "leaves 1 bytes out": lambda t: t.guest(ACK, 502, 102, b"x"),
    "without a timeout or duplicates": lambda t: [t.guest(ACK, 501, 102, b"once") for _ in range(2)],
    "other bytes than it sent there": lambda t: (t.guest(ACK, 501, 102, b"once"), t.guest(ACK, 505, 102, b"twice"),
                                                 t.guest(ACK, 503, 102, b"cetwIce", after=0.2)),
    "as the guest knew": lambda t: (t.guest(ACK, 501, 102, b"once"), t.peer(ACK, 102, 505, b"y"), t.guest(ACK, 505, 103),
                                    t.guest(ACK, 501, 103, b"once", after=0.2)),
    "a SYN-ACK to no SYN": lambda t: t.guest(SYN | ACK, 9000, 70),
}


@pytest.mark.parametrize("words", SEGMENTS)
def test_rule_of_tcp(words):
    broken(words, SEGMENTS[words])


def test_acknowledgement_may_still_be_on_its_way():
    """The peer has acknowledged, and the guest does not know yet: what it sends again after a timeout is no mistake."""
    t = Talk()
    t.open()
    t.guest(ACK, 501, 102, b"once")
    for _ in range(3):
        t.peer(ACK, 102, 501 + 4, b"", after=0.05)
    t.guest(ACK, 501, 102, b"once")
    assert not t.verdict()


def test_greeted_twice():
    """A SYN-ACK that goes again is one thing before the peer has acknowledged it, and another after."""
    t = Talk()
    t.peer(SYN, 100, options=MSS)
    t.guest(SYN | ACK, 500, 101, options=MSS)
    t.guest(SYN | ACK, 500, 101, options=MSS, after=1)
    assert not t.checker.greeted_twice
    t.peer(ACK, 101, 501)
    t.guest(SYN | ACK, 500, 101, options=MSS, after=1)
    assert [ports for _, *ports in t.checker.greeted_twice] == [[22, 4000]] and not t.verdict()


def test_timeout_after_duplicates():
    """All that is under way goes again after a timeout, though duplicates have come as well, and what was sent last."""
    t = Talk()
    t.open()
    for n in range(4):
        t.guest(ACK, 501 + n * 1000, 102, bytes(1000))
    for _ in range(3):
        t.peer(ACK, 102, 501)
    t.guest(ACK, 501, 102, bytes(1000))
    for _ in range(4):
        t.peer(ACK, 102, 501, after=0.05)
    t.guest(ACK, 4501, 102, bytes(1000))
    t.guest(ACK, 501, 102, bytes(1000))
    t.peer(ACK, 102, 4501)
    t.guest(ACK, 4501, 102, bytes(1000))
    assert not t.verdict()


def test_question_about_a_window_is_no_data():
    t = Talk()
    t.open(options=MSS)
    for n in range(30):
        t.guest(ACK, 501 + n * 1000, 102, bytes(1000))
    t.peer(ACK, 102, 30501, window=0)
    t.guest(ACK, 30501, 102, b"c")
    t.peer(ACK, 102, 30501, window=5000)
    t.guest(ACK, 30501, 102, b"c" * 1000)
    t.peer(ACK, 102, 31501, window=0)
    t.guest(ACK, 31501, 102, b"d")
    t.peer(ACK, 102, 31502, window=5000)
    t.guest(ACK, 31502, 102, b"e" * 1000)
    assert not t.verdict()


@pytest.mark.parametrize("options, most", [(b"", 536), (b"\2\4\2\x18" + SCALE, 536), (b"\2\4\0\x40", 64), (b"\2\4\0\1", 48)])
def test_segment_size(options, most):
    broken(f"the peer takes {most}", lambda t: t.guest(ACK, 501, 102, bytes(most + 1)), options=options)


def test_answer_to_the_first_of_two_askers():
    """Two who say to be the same peer: the guest answers one after the other, or one."""
    t = Talk()
    t.peer(SYN, 100, options=MSS)
    t.peer(SYN | FIN, 7000)
    t.guest(SYN | ACK, 500, 101, options=MSS)
    assert not t.verdict()


def test_reset_of_what_nobody_knows():
    def say(t):
        t.guest(SYN, 500)
        t.guest(RST | ACK, 501, 0)
    broken("resets what the peer knows nothing of", say, open_first=False)


def echo(kind, data=b"1234", rest=b"\0\1\0\2"):
    return frames.icmp(kind, 0, rest, data)


def quoting(proto=frames.UDP, src=PEER, dst=OURS, body=bytes(8), **wrong):
    return frames.icmp(3, 3, bytes(4), frames.ipv4(src, dst, proto, body, **wrong)[:28])


def udp(**wrong):
    return frames.udp(OURS, PEER, 1, 2, b"data", **wrong)


ARP = frames.arp(1, capture.GUEST_MAC, OURS, bytes(6), PEER)
FRAMES = {
    "IPv4 header checksum": lambda t: t.packet(frames.ICMP, echo(8), checksum=7),
    "IPv4 lengths": lambda t: t.packet(frames.ICMP, echo(8), total=200),
    "no IPv4 header": lambda t: t.packet(frames.ICMP, echo(8), first=0x65),
    "bytes that are not zero": lambda t: t.packet(frames.ICMP, echo(8), tail=b"leak"),
    "no time to live": lambda t: t.packet(frames.ICMP, echo(8), ttl=0),
    "without an address of its own": lambda t: t.packet(frames.ICMP, echo(8), src="0.0.0.0", mac_src=capture.GUEST_MAC),
    "from an address of many": lambda t: t.packet(frames.ICMP, echo(8), src="224.0.0.1", mac_src=capture.GUEST_MAC),
    "sent to itself": lambda t: t.packet(frames.ICMP, echo(8), dst=OURS),
    "a loop-back address": lambda t: t.packet(frames.ICMP, echo(8), dst="127.0.0.1"),
    "ICMP checksum": lambda t: t.packet(frames.ICMP, echo(8)[:-1] + b"\0"),
    "UDP checksum": lambda t: t.packet(frames.UDP, udp(checksum=1)),
    "a UDP length": lambda t: t.packet(frames.UDP, udp(size=300)),
    "Ethernet type": lambda t: t.frame(frames.ethernet(PEER_MAC, capture.GUEST_MAC, 0x1234, b"")),
    "Ethernet header": lambda t: t.frame(PEER_MAC + capture.GUEST_MAC),
    "ARP packet of other sizes": lambda t: t.frame(frames.ethernet(PEER_MAC, capture.GUEST_MAC, frames.ARP, frames.arp(
        1, capture.GUEST_MAC, OURS, bytes(6), PEER, hardware=6))),
    "ARP of another's": lambda t: t.frame(frames.ethernet(PEER_MAC, capture.GUEST_MAC, frames.ARP, frames.arp(1, PEER_MAC, OURS, bytes(6), PEER))),
    "TCP to many": lambda t: t.packet(frames.TCP, frames.tcp(OURS, "224.0.0.1", 1, 2, 3, 0, RST, 0), dst="224.0.0.1"),
    "asked of all": lambda t: (t.packet(frames.ICMP, echo(8), src=PEER, dst="255.255.255.255"), t.packet(frames.ICMP, echo(0))),
    "quotes nothing": lambda t: t.packet(frames.ICMP, frames.icmp(3, 3, bytes(4), b"")),
    "what was for all": lambda t: t.packet(frames.ICMP, quoting(dst="255.255.255.255")),
    "a later fragment": lambda t: t.packet(frames.ICMP, quoting(flags=100)),
    "about an ICMP error": lambda t: t.packet(frames.ICMP, quoting(proto=frames.ICMP, body=b"\3" + bytes(7))),
    "a fragment of odd length": lambda t: t.packet(frames.UDP, bytes(7), flags=0x2000),
    "once put together": lambda t: (t.packet(frames.UDP, udp(size=300) + bytes(4), flags=0x2000), t.packet(frames.UDP, b"x", flags=2)),
}


@pytest.mark.parametrize("words", FRAMES)
def test_rule_of_frames(words):
    broken(words, FRAMES[words], open_first=False)


def test_what_the_peer_sends_is_its_own_affair():
    t = Talk()
    t.packet(frames.ICMP, echo(8), src=PEER, dst=OURS, checksum=7)
    t.packet(frames.ICMP, echo(8), src=PEER, dst=OURS, tail=b"leak")
    assert not t.verdict()


def test_capture_that_grows(tmp_path):
    """Read while QEMU writes: what is not there whole is read the next time."""
    path = tmp_path / "capture"
    records = capture.Records(path)
    assert not list(records)
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65536, 1)
    record = struct.pack("<IIII", 7, 500000, 60, 60) + bytes(60)
    whole = head + record + record
    for size, count in ((10, 0), (24, 0), (50, 0), (100, 1), (len(whole), 1)):
        path.write_bytes(whole[:size])
        assert list(records) == [(7.5, bytes(60))] * count
