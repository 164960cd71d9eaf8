# SPDX-License-Identifier: MIT
"""The network's commands as a person types them, over SSH and at the serial console: each answers, each failure is told, and
Ctrl-Z, Ctrl-C and SIGKILL reach them whatever they wait for (N1 to N3, N11). On a wire, which sees how far they are."""
import contextlib
import re

import pytest

import frames
from frames import ARP, ICMP, TCP, UDP
from guest import until
from test_wire import echo, page
from wire import FAR, GATEWAY, NOBODY, SILENT

PROMPT = r"tern:\S+# "


def run(typed, command, seconds=60):
    """Type a line; what it prints and its status. The echo of the line has neither."""
    typed.type(f"echo be''gin; {command}; echo st''atus=$?\n")
    typed.expect(r"begin\n")
    text, seen = "", None
    while not seen:
        text += typed.expect(r"[^\n]*\n", seconds).group(0)
        seen = re.search(r"status=(\d+)\n$", text)
    typed.expect(PROMPT)
    return text, int(seen.group(1))


# ---- answers

ANSWERS = {
    "ping": (f"ping -c 1 {GATEWAY}", " 0% packet loss"),
    "ping far": (f"ping -c 1 {FAR}", " 0% packet loss"),
    "ping loop": ("ping -c 1 127.0.0.1", " 0% packet loss"),
    "ping name": ("ping -c 1 peer.example", r"PING peer.example \(192.0.2.77\).* 0% packet loss"),
    "nslookup": ("nslookup peer.example", r"Address[^\n]*192.0.2.77"),
    "wget": ("wget -q -O - http://peer.example:{page}/", "^at your service\n"),
    "nc": (f"echo there and back | nc {GATEWAY} {{echo}}", "^there and back\n"),
    "nc -l": ("nc -l -p 4447 -e echo at your ear & until nc 127.0.0.1 4447 2>/dev/null; do :; done; wait", "^at your ear\n"),
    "httpd": ("echo at home >/tmp/i; httpd -f -p 8087 -h /tmp & until wget -q -O - http://127.0.0.1:8087/i 2>/dev/null; do :; done; "
              "kill $!; wait $! 2>/dev/null; rm /tmp/i", "^at home\n"),
    "ifconfig": ("ifconfig", "inet addr:10.0.2.15 .*inet addr:127.0.0.1 "),
    "route": ("route -n", r"\n0.0.0.0 +10.0.2.2 +0.0.0.0 +UG "),
    "route file": ("cat /proc/net/route", r"eth0\t00000000\t0202000A"),
    "netstat": ("netstat -ltn", r":22 .*LISTEN"),
    "arp file": ("cat /proc/net/arp", re.escape(GATEWAY) + r"\s.*52:55:0a:00:02:02"),
}


@pytest.mark.quick
@pytest.mark.parametrize("shell", [". /tmp/asks", "sh -c 'sh -c \"setsid sh /tmp/asks; true\"; true'"], ids=["shell", "grandchild"])
def test_answers(typed, shell):
    """N1: in the shell itself, and from a child of a child of it."""
    wire = typed.guest.wire
    wire.names["peer.example"] = "192.0.2.77"
    ports = {"page": wire.serve(page(b"at your service\n")), "echo": wire.serve(echo)}
    asks = "".join(f"echo '== {name}'; {words}\n" for name, (words, _) in ANSWERS.items()).format(**ports)
    typed.guest.ssh("cat >/tmp/asks", data=asks.encode(), check=True)
    text, _ = run(typed, shell)
    said = dict(part.split("\n", 1) for part in text.split("== ")[1:])
    for name, (_, answer) in ANSWERS.items():
        assert re.search(answer, said.get(name, ""), re.S), (name, text)
    typed.guest.ssh("rm /tmp/asks")


# ---- failures

def resets(c):
    """Breaks the connection once it was asked something."""
    c.on_data = lambda c, part: c.reset()


def test_failures_are_told(typed):
    """Each with its own reason, and none by a hang; SYNs into nothing take their time beside the others."""
    wire = typed.guest.wire
    nowhere, no_host, refuses = wire.free_port(), wire.free_port(), wire.free_port()
    broken = wire.serve(resets)

    def unreachable(p):
        code = {nowhere: 0, no_host: 1}.get(p.dport) if p.proto == TCP else None
        if code is not None:
            wire.send_unreachable(p, code)
        return code is not None

    with wire.seeing(unreachable):
        typed.type(f"(nc {SILENT} 80; echo st''atus $?) >/tmp/late 2>&1 &\n")
        typed.expect(PROMPT)
        for command, why in ((f"nc {GATEWAY} {refuses}", "Connection refused"), (f"wget http://{FAR}:{refuses}/", "Connection refused"),
                             (f"nc {FAR} {nowhere}", "Network is unreachable"), (f"nc {FAR} {no_host}", "No route to host"),
                             (f"nc {NOBODY} 80", "No route to host"), (f"wget -O - http://{GATEWAY}:{broken}/", "Connection reset by peer"),
                             ("nslookup nobody.example", "NXDOMAIN"), ("wget http://nobody.example/", "bad address"),
                             ("ping -c 1 nobody.example", "bad address"), ("nc 127.0.0.1 9", "Connection refused"),
                             (f"ping -c 1 -W 1 {SILENT}", "100% packet loss")):
            text, status = run(typed, command)
            assert why in text and status == 1, (command, text)
        text, _ = run(typed, "wait; cat /tmp/late; rm /tmp/late", 200)
        assert "timed out" in text and "status 1" in text, text


# ---- Ctrl-Z, Ctrl-C and SIGKILL, at each point

def mute(c):
    """Takes all and says nothing."""


def full(c):
    """Takes some, then closes its window."""
    c.room = 20000

    def data(c, part):
        c.room = max(0, c.room - len(part))
    c.on_data = data


def to(host, proto):
    return lambda p, port: p.proto == proto and p.dst == frames.address(host)


def established(p, port):
    """All but the first segment."""
    return p.proto == TCP and p.dport == port and not p.flags & frames.SYN


# A command, what the wire sees once it is there, and what the peer does.
POINTS = {
    "name": ("wget -O - http://silent.example/", lambda p, port: p.proto == UDP and p.dport == 53, mute),
    "nslookup": ("nslookup silent.example", lambda p, port: p.proto == UDP and p.dport == 53, mute),
    "connect": (f"nc {SILENT} 80", to(SILENT, TCP), mute),
    "wget-connect": (f"wget -O - http://{SILENT}/", to(SILENT, TCP), mute),
    "neighbour": ("nc {nobody} 80", lambda p, port: p.kind == ARP and p.dst[:3] == frames.address(NOBODY)[:3] and p.dst[3] >= 200, mute),
    "accept": ("nc -l -p 4444", None, mute),
    "httpd": ("httpd -f -p 8088", None, mute),
    "read": (f"nc {GATEWAY} {{port}}", established, mute),
    "wget-read": (f"wget -O - http://{GATEWAY}:{{port}}/", established, mute),
    "tls-read": (f"wget -O - https://{GATEWAY}:{{port}}/", established, mute),
    "write": (f"nc {GATEWAY} {{port}} </dev/zero", lambda p, port: established(p, port) and p.data, full),
    "ping": (f"ping {GATEWAY}", to(GATEWAY, ICMP), mute),
    "ping-loop": ("ping 127.0.0.1", None, mute),
    "ping-nobody": (f"ping {SILENT}", to(SILENT, ICMP), mute),
}

# Each once: a neighbour that was asked for within three seconds need not be asked for again.
NOBODIES = iter(range(200, 250))


@pytest.mark.parametrize("point", POINTS)
def test_stopped_interrupted_and_killed(typed, point):
    command, there, serve = POINTS[point]
    wire, seen = typed.guest.wire, []

    def see(p):
        if there and there(p, port):
            seen.append(p)
        return p.proto == UDP and p.dport == 53 and b"silent" in p.data

    def start():
        seen.clear()
        nobody = f"10.0.2.{next(NOBODIES)}" if point == "neighbour" else None
        typed.type(command.format(port=port, nobody=nobody) + "\n")
        until(f"{point} to be seen on the wire", lambda: seen or not there)
        typed.guest.wait_for_foreground(name, "S")

    port = wire.serve(serve)
    name = command.split()[0]
    with wire.seeing(see):
        start()
        typed.type("\x1a")
        typed.expect(r"Stopped +" + name)
        typed.expect(PROMPT)
        typed.type("fg\n")
        typed.guest.wait_for_foreground(name, "S")
        typed.type("\x03")
        typed.expect(PROMPT)
        typed.type("echo st''atus=$?\n")
        typed.expect("status=130" if name != "ping" else "status=")
        typed.expect(PROMPT)
        start()
        typed.guest.ssh("killall", "-9", name, check=True)
        typed.expect(r"Killed")
        typed.expect(PROMPT)
    with wire.lock:
        for c in [c for c in wire.connections.values() if c.port == port]:
            c.reset()
    assert run(typed, "echo go''es on") [0].startswith("goes on\n")
