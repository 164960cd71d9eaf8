#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What the guest put on the wire, judged frame by frame: every field, checksum and length right and no stray bytes behind
them; TCP never beyond the peer's window or segment size, its own window's right edge never drawn back, no acknowledgement
taken back or of what never came, nothing sent again without a cause, and nothing else in its place; and no word to those to
whom none may be sent.

A frame to the guest counts as seen by it only once the guest has acknowledged something that came with or after it: at the
moment of the capture it may still lie in a queue of QEMU's. The same holds for time: it is QEMU's, which may stand still."""
import argparse
import collections
import os
import struct
import sys

import frames
from frames import ACK, FIN, RST, SYN, Packet, signed

GUEST_MAC = bytes.fromhex("525400123456")
RTO_S = 0.1       # no timer of the guest's runs out sooner: three ticks of 70 ms, the first of them short
STALL_S = 0.1     # no frame at all for so long: QEMU may have stood still, and times are not to be had
AFTER_STALL_S = 0.5


class Records:
    """The frames of a capture file that may still grow: (time, frame)."""

    def __init__(self, path):
        self.path, self.file = path, None
        self.started = False

    def __iter__(self):
        if self.file is None:
            if not os.path.exists(self.path):
                return
            self.file = open(self.path, "rb")
        if not self.started:
            head = self.file.read(24)
            if len(head) < 24:
                self.file.seek(0)
                return
            assert head[:4] == b"\xd4\xc3\xb2\xa1", "not a capture"
            self.started = True
        while True:
            at = self.file.tell()
            head = self.file.read(16)
            if len(head) == 16:
                seconds, micros, size, whole = struct.unpack("<IIII", head)
                frame = self.file.read(size)
                if len(frame) == size:
                    assert size == whole, "a capture of parts of frames"
                    yield seconds + micros * 1e-6, frame
                    continue
            self.file.seek(at)
            return


class Flow:
    """One connection as the guest lives it. Sequence numbers are as on the wire."""
    __slots__ = ("iss", "top", "acked", "seen_acked", "edge", "mss", "peer_scale", "own_scale", "scaled", "sent", "kept", "dups",
                 "redo", "peer_top", "own_ack", "own_edge", "waiting", "heard", "peer_syn")

    def __init__(self, iss):
        self.iss = self.top = iss
        self.acked = iss          # by the peer, on the wire
        self.seen_acked = iss     # and the guest has seen it
        self.edge = None          # how far the peer has let the guest
        self.mss = 536
        self.peer_scale = self.own_scale = None
        self.scaled = False
        self.sent = collections.deque()   # (seq, end, time) not acknowledged
        self.kept = collections.deque()   # (seq, bytes) not acknowledged
        self.dups = 0
        self.redo = None          # (seq, time): after a timeout all up to seq that went before then may go again
        self.peer_top = None      # one past what the peer has sent
        self.own_ack = self.own_edge = None
        self.waiting = collections.deque()  # (peer's end, what it acknowledged): not yet known to have been seen
        self.heard = False        # whether the peer has said anything
        self.peer_syn = None


class Checker:
    """Feed frames in order; what is wrong is in bad: (number, time, text)."""

    def __init__(self, mac=GUEST_MAC):
        self.mac = mac
        self.flows = {}
        self.half = {}            # SYNs of peers that the guest has not answered: key -> number -> Packet
        self.fragments = {}
        self.asked = {}           # echo requests to all: (ident, sequence)
        self.bad = []
        # (time, guest's port, peer's port) of each SYN-ACK that went again although the peer had acknowledged it. QEMU's TCP then
        # forgets what it holds of the client's bytes (docs/08-network.md): such a connection carries others, or none.
        self.greeted_twice = []
        self.number = self.resent = 0
        self.last = None
        self.stalled = 0.0

    def feed(self, time, frame):
        self.number += 1
        if self.last is None or time - self.last >= STALL_S:
            self.stalled = time
        self.last = time
        own = frame[6:12] == self.mac
        try:
            p = Packet(frame)
        except frames.Malformed as e:
            if own:
                self.wrong(time, f"malformed: {e}; {frame[:96].hex()}")
            return
        if own:
            self.rule_frame(p, time)
        if p.fragment & 0x3FFF:
            if own:
                self.fragment(p, time)
        elif p.proto == frames.TCP:
            (self.from_guest if own else self.to_guest)(p, time)
        elif p.proto == frames.ICMP:
            self.icmp(p, time, own)

    def wrong(self, time, text, p=None):
        self.bad.append((self.number, time, f"{text}: {p}" if p else text))

    # ---- frames

    def rule_frame(self, p, time):
        if any(p.padding):
            self.wrong(time, "bytes that are not zero behind the packet", p)
        if p.mac_dst == self.mac:
            self.wrong(time, "sent to itself over the wire", p)
        if p.kind == frames.ARP:
            if p.sender_mac != self.mac:
                self.wrong(time, "ARP of another's hardware address", p)
            return
        if p.ttl == 0:
            self.wrong(time, "no time to live", p)
        if p.src == p.dst:
            self.wrong(time, "sent to itself over the wire", p)
        if to_many(p.src):
            self.wrong(time, "from an address of many", p)
        if p.kind == frames.IPV4 and not any(p.src) and not (p.proto == frames.UDP and p.dport == 67):
            self.wrong(time, "without an address of its own", p)
        if p.src[0] == 127 and len(p.src) == 4 or p.dst[0] == 127 and len(p.dst) == 4:
            self.wrong(time, "a loop-back address on the wire", p)

    def fragment(self, p, time):
        """All fragments of a packet, put together, are a packet."""
        if p.kind != frames.IPV4:
            return
        offset, more = (p.fragment & 0x1FFF) * 8, p.fragment & 0x2000
        if more and len(p.body) % 8:
            return self.wrong(time, "a fragment of odd length", p)
        parts = self.fragments.setdefault((p.src, p.dst, p.ident, p.proto), {})
        parts[offset] = (p.body, more)
        whole, at = b"", 0
        while at in parts:
            whole += parts[at][0]
            if not parts[at][1]:
                del self.fragments[p.src, p.dst, p.ident, p.proto]
                p.body, p.fragment = whole, 0
                try:
                    p.parse_body()
                except frames.Malformed as e:
                    self.wrong(time, f"malformed once put together: {e}", p)
                return
            at += len(parts[at][0])

    def icmp(self, p, time, own):
        if not own:
            if p.icmp_type == 8 and (to_many(p.dst) or p.mac_dst[0] & 1):
                self.asked[p.data[:4]] = True
            return
        if p.icmp_type == 0 and self.asked.pop(p.data[:4], None):
            self.wrong(time, "an echo reply to what was asked of all", p)
        if p.icmp_type in (3, 4, 5, 11, 12):
            quoted = p.data[4:]
            if len(quoted) < 20:
                self.wrong(time, "an ICMP error that quotes nothing", p)
            elif to_many(quoted[16:20]) or to_many(quoted[12:16]) or not any(quoted[12:16]):
                self.wrong(time, "an ICMP error about what was for all, or from nobody", p)
            elif quoted[6] & 0x1F or quoted[7]:
                self.wrong(time, "an ICMP error about a later fragment", p)
            elif quoted[9] == frames.ICMP and len(quoted) > (quoted[0] & 15) * 4 and quoted[(quoted[0] & 15) * 4] not in (0, 8):
                self.wrong(time, "an ICMP error about an ICMP error", p)

    # ---- TCP

    def to_guest(self, p, time):
        key = (p.dst, p.dport, p.src, p.sport)
        if p.flags & SYN and not p.flags & ACK:
            self.half.setdefault(key, {})[p.seq] = p
        f = self.flows.get(key)
        if f is None:
            return
        f.heard = True
        if p.flags & SYN and f.peer_syn is None:
            self.peer_syn(f, p)
        if p.flags & RST:
            f.kept.clear()
        if p.flags & RST or f.peer_syn is None:
            return
        end = p.seq + p.length() & 0xFFFFFFFF
        if signed(end - f.peer_top) > 0:
            f.peer_top = end
        if p.flags & ACK:
            scale = 0 if p.flags & SYN or not f.scaled else f.peer_scale
            edge = p.ack + (p.window << scale) & 0xFFFFFFFF
            if signed(p.ack - f.top) <= 0:
                if f.edge is None or signed(edge - f.edge) > 0:
                    f.edge = edge
                if signed(p.ack - f.acked) > 0:
                    f.acked, f.dups = p.ack, 0
                    while f.sent and signed(f.sent[0][1] - f.acked) <= 0:
                        f.sent.popleft()
                    while f.kept and signed(f.kept[0][0] + len(f.kept[0][1]) - f.acked) <= 0:
                        f.kept.popleft()
                elif p.ack == f.acked and f.sent:
                    f.dups += 1
                if p.length():
                    f.waiting.append((end, p.ack))

    def peer_syn(self, f, p):
        options = self.options(p)
        f.peer_syn = p.seq
        f.peer_top = p.seq + 1 & 0xFFFFFFFF
        mss = options.get(2)
        if mss is not None and len(mss) == 2:
            # one of 0 says nothing, and one below 48 is not obeyed, as by Linux
            f.mss = max(mss[0] << 8 | mss[1] or 536, 48)
        if 3 in options and len(options[3]) == 1:
            f.peer_scale = min(options[3][0], 14)
        f.scaled = f.peer_scale is not None and f.own_scale is not None

    @staticmethod
    def options(p):
        try:
            return p.tcp_options()
        except frames.Malformed:
            # what stands before the mistake counts, for who reads them one after the other
            return {}

    def from_guest(self, p, time):
        if to_many(p.dst) or p.mac_dst[0] & 1:
            self.wrong(time, "TCP to many", p)
        try:
            options = p.tcp_options()
        except frames.Malformed as e:
            return self.wrong(time, f"malformed: {e}", p)
        if 2 in options and not p.flags & SYN:
            self.wrong(time, "a segment size outside of a SYN", p)
        if p.flags & SYN and p.flags & (FIN | RST):
            self.wrong(time, "SYN with FIN or RST", p)
        key = (p.src, p.sport, p.dst, p.dport)
        f = self.flows.get(key)
        if p.flags & SYN and (f is None or p.seq != f.iss):
            f = self.flows[key] = Flow(p.seq)
            f.own_scale = options[3][0] if 3 in options else None
            asked = self.half.get(key, {}).pop(p.ack - 1 & 0xFFFFFFFF, None)
            if p.flags & ACK:
                if asked is None:
                    self.wrong(time, "a SYN-ACK to no SYN", p)
                else:
                    self.peer_syn(f, asked)
            f.top = p.seq + 1 & 0xFFFFFFFF
            f.sent.append((p.seq, f.top, time))
        elif f is None or p.flags & RST:
            if f:
                f.kept.clear()
            if f and not f.heard and f.peer_syn is None:
                self.wrong(time, "resets what the peer knows nothing of", p)
            return
        elif p.length():
            if p.flags & SYN and f.acked != f.iss:
                self.greeted_twice.append((time, p.sport, p.dport))
            self.data(f, p, time)
        if p.flags & ACK and f.peer_syn is not None:
            self.acknowledges(f, p, time)

    def acknowledges(self, f, p, time):
        if signed(p.ack - f.peer_top) > 0:
            return self.wrong(time, f"acknowledges {signed(p.ack - f.peer_top)} bytes that have not come", p)
        if f.own_ack is not None and signed(p.ack - f.own_ack) < 0:
            return self.wrong(time, f"takes back an acknowledgement, of {signed(f.own_ack - p.ack)} bytes", p)
        f.own_ack = p.ack
        while f.waiting and signed(p.ack - f.waiting[0][0]) >= 0:
            f.seen_acked = f.waiting.popleft()[1]
        scale = 0 if p.flags & SYN or not f.scaled else f.own_scale
        edge = p.ack + (p.window << scale) & 0xFFFFFFFF
        # a scaled window is told in units
        if f.own_edge is not None and signed(edge + (1 << scale) - 1 - f.own_edge) < 0:
            self.wrong(time, f"draws the right edge of its window back by {signed(f.own_edge - edge)}", p)
        if f.own_edge is None or signed(edge - f.own_edge) > 0:
            f.own_edge = edge

    def data(self, f, p, time):
        size = len(p.data)
        end = p.seq + p.length() & 0xFFFFFFFF
        for seq, data in f.kept:
            at, back = max(signed(p.seq - seq), 0), max(signed(seq - p.seq), 0)
            n = max(min(len(data) - at, size - back), 0)
            if data[at:at + n] != p.data[back:back + n]:
                self.wrong(time, "other bytes than it sent there before", p)
                break
        if size:
            f.kept.append((p.seq, p.data))
        if size > f.mss:
            self.wrong(time, f"{size} bytes in a segment, and the peer takes {f.mss}", p)
        if size and f.edge is not None and signed(p.seq + size - f.edge) > 0:
            # a window of nothing is asked after by one byte, which comes again when it opens
            if size == signed(p.seq + size - f.edge) == 1:
                f.top = end if signed(end - f.top) > 0 else f.top
                return
            self.wrong(time, f"{signed(p.seq + size - f.edge)} bytes beyond the window", p)
        if signed(p.seq - f.top) > 0:
            self.wrong(time, f"leaves {signed(p.seq - f.top)} bytes out", p)
        if signed(p.seq - f.top) < 0:
            self.again(f, p, end, time)
        if signed(end - f.top) > 0:
            f.top = end
        f.sent.append((p.seq, end, time))

    def again(self, f, p, end, time):
        """Some of it has been sent before. Why?"""
        self.resent += 1
        if signed(end - f.seen_acked) <= 0:
            return self.wrong(time, "sends what the peer has acknowledged, as the guest knew", p)
        when = None
        for k, (seq, sent_end, at) in enumerate(f.sent):
            if signed(seq - p.seq) <= 0 < signed(sent_end - p.seq):
                when = at
        while f.sent and signed(f.sent[0][1] - end) <= 0 and signed(f.sent[0][0] - p.seq) >= 0:
            f.sent.popleft()
        if when is None or f.redo and when <= f.redo[1] and signed(end - f.redo[0]) <= 0:
            return
        if time - when >= RTO_S or time - self.stalled < AFTER_STALL_S:
            f.redo = (f.top, time)
            return
        if f.dups >= 3:
            f.dups = 0
            return
        self.wrong(time, f"sent again after {(time - when) * 1000:.1f} ms, without a timeout or duplicates", p)


def to_many(address):
    return address[0] >= 224 if len(address) == 4 else address[0] == 255


def check(path, mac=GUEST_MAC):
    """A Checker that has seen the whole file."""
    checker = Checker(mac)
    for time, frame in Records(path):
        checker.feed(time, frame)
    return checker


def main():
    parser = argparse.ArgumentParser(description="Judge what a guest sent in a capture (run-qemu.sh --capture FILE).")
    parser.add_argument("file", nargs="+")
    parser.add_argument("--mac", default=GUEST_MAC.hex(":"), help="the guest's hardware address (default: %(default)s)")
    args = parser.parse_args()
    failed = 0
    for path in args.file:
        checker = check(path, bytes.fromhex(args.mac.replace(":", "")))
        for number, time, text in checker.bad[:50]:
            print(f"{path}: frame {number} at {time:.6f}: {text}")
        failed += len(checker.bad)
        print(f"{path}: {checker.number} frames, {len(checker.bad)} wrong, {checker.resent} segments sent again")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
