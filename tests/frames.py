# SPDX-License-Identifier: MIT
"""Ethernet frames: made and taken apart by hand, so that no field has to be right. For the wire (tests/blackbox/wire.py) and
for who reads captures (tests/capture.py)."""
import socket
import struct

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
ARP, IPV4, IPV6 = 0x0806, 0x0800, 0x86DD
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
BROADCAST = b"\xff" * 6


def total(data):
    """The ones' complement sum of data, modulo 65535: 0 where a checksum in it is right."""
    return int.from_bytes(data + b"\0" if len(data) & 1 else data, "big") % 65535


def checksum(data):
    # 65535 and 0 are the same sum; only nothing but zeros sums up to 0
    return 0xFFFF - (total(data) or (0xFFFF if any(data) else 0))


def address(text):
    return socket.inet_aton(text)


def dotted(data):
    return socket.inet_ntop(socket.AF_INET if len(data) == 4 else socket.AF_INET6, data)


def ethernet(dst, src, kind, payload):
    frame = dst + src + struct.pack(">H", kind) + payload
    return frame + bytes(60 - len(frame)) if len(frame) < 60 else frame


def arp(operation, sender_mac, sender, target_mac, target, **wrong):
    head = struct.pack(">HHBBH", wrong.get("hardware", 1), IPV4, wrong.get("mac_size", 6), 4, operation)
    return head + sender_mac + address(sender) + target_mac + address(target)


def ipv4(src, dst, proto, payload, ttl=64, ident=0, flags=0x4000, options=b"", **wrong):
    """flags: the fragment word, don't-fragment if nothing is said. wrong: fields given as they shall not be."""
    size = wrong.get("total", 20 + len(options) + len(payload))
    first = wrong.get("first", 0x45 + len(options) // 4)
    head = struct.pack(">BBHHHBBH", first, 0, size & 0xFFFF, ident, flags, ttl, proto, 0) + address(src) + address(dst) + options
    sum_ = wrong.get("checksum", checksum(head))
    return head[:10] + struct.pack(">H", sum_) + head[12:] + payload


def pseudo(src, dst, proto, size):
    if len(src) == 4:
        return src + dst + struct.pack(">BBH", 0, proto, size)
    return src + dst + struct.pack(">II", size, proto)


def udp(src, dst, sport, dport, data, **wrong):
    size = wrong.get("size", 8 + len(data))
    head = struct.pack(">HHHH", sport, dport, size, 0)
    sum_ = wrong.get("checksum", checksum(pseudo(address(src), address(dst), UDP, 8 + len(data)) + head + data) or 0xFFFF)
    return head[:6] + struct.pack(">H", sum_) + data


def tcp(src, dst, sport, dport, seq, ack, flags, window, data=b"", options=b"", urgent=0, **wrong):
    options += bytes(-len(options) % 4)
    offset = wrong.get("offset", 5 + len(options) // 4)
    head = struct.pack(">HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, offset << 4, flags, window, 0, urgent)
    body = head + options + data
    sum_ = wrong.get("checksum", checksum(pseudo(address(src), address(dst), TCP, len(body)) + body))
    return body[:16] + struct.pack(">H", sum_) + body[18:]


def icmp(kind, code, rest, data=b""):
    body = struct.pack(">BBH", kind, code, 0) + rest + data
    return body[:2] + struct.pack(">H", checksum(body)) + body[4:]


def ipv6(src, dst, proto, payload, hops=255):
    """src and dst in bytes."""
    return struct.pack(">IHBB", 6 << 28, len(payload), proto, hops) + src + dst + payload


def icmpv6(src, dst, kind, code, rest):
    body = struct.pack(">BBH", kind, code, 0) + rest
    return body[:2] + struct.pack(">H", checksum(pseudo(src, dst, ICMPV6, len(body)) + body)) + body[4:]


class Malformed(Exception):
    """A frame that nobody should have sent."""


def need(fine, text):
    if not fine:
        raise Malformed(text)


class Packet:
    """A frame, taken apart and checked as far as it tells of itself. What is not there is missing: proto 0 has no ports."""
    __slots__ = ("frame", "mac_dst", "mac_src", "kind", "src", "dst", "proto", "ttl", "ident", "fragment", "body", "padding", "sport",
                 "dport", "seq", "ack", "flags", "window", "urgent", "options", "data", "icmp_type", "icmp_code", "operation",
                 "sender_mac", "target_mac")

    def __init__(self, frame):
        self.frame, self.proto, self.fragment, self.src, self.dst = frame, 0, 0, None, None
        self.data, self.icmp_type = b"", None
        need(len(frame) >= 14, "a frame without its Ethernet header")
        self.mac_dst, self.mac_src = frame[:6], frame[6:12]
        self.kind = frame[12] << 8 | frame[13]
        if self.kind == IPV4:
            self.parse_ipv4()
        elif self.kind == IPV6:
            self.parse_ipv6()
        elif self.kind == ARP:
            self.parse_arp()
        else:
            raise Malformed(f"Ethernet type {self.kind:#06x}")

    def parse_arp(self):
        need(len(self.frame) >= 42, "an ARP packet cut short")
        hardware, protocol, size, size2, self.operation = struct.unpack_from(">HHBBH", self.frame, 14)
        need((hardware, protocol, size, size2) == (1, IPV4, 6, 4), "an ARP packet of other sizes")
        self.sender_mac, self.src = self.frame[22:28], self.frame[28:32]
        self.target_mac, self.dst = self.frame[32:38], self.frame[38:42]
        self.padding = self.frame[42:]

    def parse_ipv4(self):
        frame = self.frame
        need(len(frame) >= 34 and frame[14] >> 4 == 4, "no IPv4 header")
        head = (frame[14] & 15) * 4
        size = frame[16] << 8 | frame[17]
        need(20 <= head <= size <= len(frame) - 14, f"IPv4 lengths: header {head}, packet {size}, frame {len(frame)}")
        need(total(frame[14:14 + head]) == 0, "IPv4 header checksum")
        self.ident, self.fragment = struct.unpack_from(">HH", frame, 18)
        self.ttl, self.proto = frame[22], frame[23]
        self.src, self.dst = frame[26:30], frame[30:34]
        self.body, self.padding = frame[14 + head:14 + size], frame[14 + size:]
        if not self.fragment & 0x3FFF:
            self.parse_body()

    def parse_ipv6(self):
        frame = self.frame
        need(len(frame) >= 54 and frame[14] >> 4 == 6, "no IPv6 header")
        size = frame[18] << 8 | frame[19]
        need(54 + size <= len(frame), f"IPv6 lengths: packet {size}, frame {len(frame)}")
        self.proto, self.ttl, self.src, self.dst = frame[20], frame[21], frame[22:38], frame[38:54]
        self.body, self.padding = frame[54:54 + size], frame[54 + size:]
        while self.proto in (0, 43, 60) and len(self.body) >= 8:
            self.proto, skip = self.body[0], 8 + self.body[1] * 8
            need(skip <= len(self.body), "an IPv6 header beyond its packet")
            self.body = self.body[skip:]
        if self.proto == 44:
            need(len(self.body) >= 8, "an IPv6 fragment cut short")
            # as in IPv4: an offset, or that more follows
            self.fragment = 0x2000
            return
        self.parse_body()

    def parse_body(self):
        body = self.body
        if self.proto == TCP:
            need(len(body) >= 20, "a TCP header cut short")
            need(total(pseudo(self.src, self.dst, TCP, len(body)) + body) == 0, "TCP checksum")
            self.sport, self.dport, self.seq, self.ack, offset, self.flags, self.window, _, self.urgent = struct.unpack_from(
                ">HHIIBBHHH", body)
            head = (offset >> 4) * 4
            need(20 <= head <= len(body), f"a TCP header of {head} in {len(body)} bytes")
            self.options, self.data = body[20:head], body[head:]
        elif self.proto == UDP:
            need(len(body) >= 8, "a UDP header cut short")
            self.sport, self.dport, size, sum_ = struct.unpack_from(">HHHH", body)
            need(size == len(body), f"a UDP length of {size} in {len(body)} bytes")
            need(sum_ == 0 and len(self.src) == 4 or total(pseudo(self.src, self.dst, UDP, size) + body) == 0, "UDP checksum")
            self.data = body[8:]
        elif self.proto in (ICMP, ICMPV6):
            need(len(body) >= 8, "an ICMP packet cut short")
            whole = pseudo(self.src, self.dst, ICMPV6, len(body)) + body if self.proto == ICMPV6 else body
            need(total(whole) == 0, "ICMP checksum")
            self.icmp_type, self.icmp_code, self.data = body[0], body[1], body[4:]

    def tcp_options(self):
        """The options as {kind: value}; Malformed if they run over their end."""
        found, at, options = {}, 0, self.options
        while at < len(options) and options[at]:
            if options[at] == 1:
                at += 1
                continue
            need(at + 1 < len(options) and 2 <= options[at + 1] <= len(options) - at, "TCP options over their end")
            found[options[at]] = options[at + 2:at + options[at + 1]]
            at += options[at + 1]
        return found

    def length(self):
        """How many sequence numbers a segment takes."""
        return len(self.data) + bool(self.flags & SYN) + bool(self.flags & FIN)

    def __str__(self):
        if self.kind == ARP:
            return f"ARP {self.operation} {dotted(self.src)} for {dotted(self.dst)}"
        text = f"{dotted(self.src)} > {dotted(self.dst)}"
        if self.fragment & 0x3FFF:
            return f"{text} fragment {self.fragment:#x} of {self.proto}, {len(self.body)} bytes"
        if self.proto == TCP:
            flags = "".join(c for c, bit in zip("FSRPAU", (FIN, SYN, RST, PSH, ACK, URG)) if self.flags & bit)
            return (f"{text} TCP {self.sport}>{self.dport} {flags} seq {self.seq} ack {self.ack} window {self.window} "
                    f"{len(self.data)} bytes")
        if self.proto == UDP:
            return f"{text} UDP {self.sport}>{self.dport} {len(self.data)} bytes"
        if self.proto in (ICMP, ICMPV6):
            return f"{text} ICMP {self.icmp_type}/{self.icmp_code}"
        return f"{text} protocol {self.proto}"


def signed(difference):
    """Of two sequence numbers."""
    return (difference + 0x80000000 & 0xFFFFFFFF) - 0x80000000
