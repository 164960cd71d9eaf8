# SPDX-License-Identifier: MIT
"""Programs in the guest and a peer on this host (10.0.2.2 in the guest is 127.0.0.1 here): BusyBox's wget, nc and httpd,
refusal, reset, and that every account returns to where it was. test_typed.py has what needs a wire that can be silent."""
import contextlib
import hashlib
import os
import socket
import struct
import threading

import pytest


@contextlib.contextmanager
def serving(serve, address="127.0.0.1"):
    """A peer that calls serve(socket) for each connection, one after the other, and its port."""
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    listener.bind((address, 0))
    listener.listen(64)

    def run():
        with contextlib.suppress(OSError):
            while True:
                s, _ = listener.accept()
                with s, contextlib.suppress(OSError):
                    serve(s)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(20)


def http(body):
    def serve(s):
        request = b""
        while b"\r\n\r\n" not in request:
            part = s.recv(4096)
            if not part:
                return
            request += part
        s.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    return serve


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


@pytest.mark.quick
def test_wget_from_this_host(guest):
    body = os.urandom(3_000_000)
    with serving(http(body)) as port:
        done = guest.ssh(f"wget -q -O - http://10.0.2.2:{port}/x | sha256sum")
    assert done.stdout.split()[0].decode() == hashlib.sha256(body).hexdigest()


def echo(s):
    while part := s.recv(65536):
        s.sendall(part)


def test_nc_both_ways(guest):
    data = os.urandom(200_000)
    with serving(echo) as port:
        done = guest.ssh(f"nc 10.0.2.2 {port} | head -c {len(data)}", data=data)
    assert done.stdout == data


@pytest.mark.quick
def test_httpd_over_loopback(guest):
    done = guest.ssh("mkdir -p /tmp/www; echo at home >/tmp/www/index.html; httpd -f -p 127.0.0.1:8080 -h /tmp/www & "
                     "until wget -q -O - http://127.0.0.1:8080/ 2>/dev/null; do :; done; kill $!; rm -r /tmp/www")
    assert done.stdout == b"at home\n", done.stderr


def test_refused(guest):
    with serving(lambda s: None) as port:
        pass
    done = guest.ssh(f"nc 10.0.2.2 {port} </dev/null")
    assert done.returncode == 1 and b"refused" in done.stderr


def test_reset_while_reading(guest):
    def serve(s):
        s.recv(4096)
        reset(s)

    with serving(serve) as port:
        done = guest.ssh(f"wget -q -O - http://10.0.2.2:{port}/")
    assert done.returncode == 1 and b"reset by peer" in done.stderr


def test_many_in_sequence(guest):
    """Every account returns to what it was."""
    body = b"x" * 5000

    def fetch(port, n):
        return guest.ssh(f"i=0; while [ $i -lt {n} ]; do wget -q -O /dev/null http://10.0.2.2:{port}/ || exit 1; "
                         "i=$((i+1)); done").returncode

    with serving(http(body)) as port:
        assert fetch(port, 5) == 0
        before = guest.account()
        assert fetch(port, 60) == 0
        guest.wait_for_account(before)


@pytest.mark.quick
@pytest.mark.parametrize("address", ["10.0.2.2", "127.0.0.1", "10.0.2.15"])
def test_ping(guest, address):
    """N10, over SSH and not only from init."""
    done = guest.ssh(f"ping -c 3 -i 0.1 -W 20 {address}")
    assert done.returncode == 0 and b"3 packets received, 0% packet loss" in done.stdout


def test_two_pings_get_their_own_replies(guest):
    done = guest.ssh("ping -c 20 -i 0.02 -W 20 10.0.2.2 >/tmp/p1 & ping -c 20 -i 0.02 -W 20 127.0.0.1 >/tmp/p2; wait; "
                     "cat /tmp/p1 /tmp/p2; rm /tmp/p1 /tmp/p2")
    assert done.stdout.count(b"20 packets received, 0% packet loss") == 2 and b"DUP" not in done.stdout


def dns_answer(query, address):
    """The query with one answer behind it: an address of the name asked for."""
    end = query.index(b"\0", 12) + 5
    ask = query[12:end]
    if ask[-4:-2] != b"\0\1":
        return query[:2] + b"\x81\x80\0\1\0\0\0\0\0\0" + ask
    return (query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + ask + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" +
            socket.inet_aton(address))


def test_nslookup(guest):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    query, peer = s.recvfrom(512)
                    if not query:
                        return
                    s.sendto(dns_answer(query, "192.0.2.77"), peer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        done = guest.ssh(f"nslookup peer.example 10.0.2.2:{s.getsockname()[1]}")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", s.getsockname())
        thread.join(20)
    assert done.returncode == 0 and b"192.0.2.77" in done.stdout, done


def test_resolver_is_the_lease_s(guest):
    assert guest.ssh("cat /etc/resolv.conf").stdout == b"nameserver 10.0.2.3\n"


def test_proc_net(guest):
    """N9: what route shows is what is used."""
    routes = guest.ssh("route -n").stdout.decode().split("\n")
    assert any(line.split()[:4] == ["0.0.0.0", "10.0.2.2", "0.0.0.0", "UG"] for line in routes), routes
    assert any(line.split()[:4] == ["10.0.2.0", "0.0.0.0", "255.255.255.0", "U"] for line in routes), routes
    text = guest.ssh("netstat -an 2>&1; netstat -tn 2>&1; ping -c 1 10.0.2.2 >/dev/null; cat /proc/net/arp /proc/net/dev").stdout
    assert b"No such file" not in text and b":22 " in text and b"ESTABLISHED" in text
    assert b"10.0.2.2" in text and b"eth0:" in text and b"lo:" in text
