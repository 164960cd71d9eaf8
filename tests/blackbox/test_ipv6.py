# SPDX-License-Identifier: MIT
"""IPv6 for programs, by BusyBox's: the address that QEMU's router announces (fec0::/64; fec0::2 is this host's ::1), ping6,
wget, nc and httpd with either family, what ifconfig, route and netstat show, and failure in time."""
import contextlib
import hashlib
import os

import pytest

from guest import until
from test_sockets import http, serving

# On the link, and nobody.
NOBODY = "fec0::77"


def announced(guest):
    """Wait until its address has been announced and found to be its own alone: not tentative (0x40)."""
    def there():
        lines = guest.ssh("cat /proc/net/if_inet6").stdout.decode().splitlines()
        return [line for line in lines if line.startswith("fec0") and not int(line.split()[4], 16) & 0x40]

    until("an address by autoconfiguration", there)


@pytest.fixture
def addressed(guest):
    announced(guest)
    return guest


@contextlib.contextmanager
def serving6(serve):
    """A peer on this host's ::1, fec0::2 in the guest, and its port; None if the host has no ::1."""
    with contextlib.ExitStack() as stack:
        try:
            port = stack.enter_context(serving(serve, "::1"))
        except OSError:
            port = None
        yield port


@pytest.mark.quick
def test_ping6(addressed):
    for command, to in (("ping6", "::1"), ("ping -6", "::1"), ("ping6", "fec0::2"), ("ping6", "fe80::2%eth0")):
        done = addressed.ssh(f"{command} -c 1 -W 20 {to}")
        assert done.returncode == 0 and b"ttl=255" in done.stdout, done.stdout + done.stderr


def test_wget_from_this_host(addressed):
    body = os.urandom(1_000_000)
    with serving6(http(body)) as port:
        done = addressed.ssh(f"wget -q -O - http://[fec0::2]:{port or 1}/ | sha256sum")
    if port is None:
        body = b""
    assert done.stdout.split()[0].decode() == hashlib.sha256(body).hexdigest(), done.stderr


def test_httpd_for_both_families(addressed):
    """One listener on ::; who comes by IPv4 is ::ffff:a.b.c.d."""
    done = addressed.ssh("mkdir -p /tmp/www6; echo at home >/tmp/www6/index.html; httpd -f -p [::]:8086 -h /tmp/www6 & "
                         "until wget -q -O - http://[::1]:8086/ 2>/dev/null; do :; done; "
                         "wget -q -O - http://127.0.0.1:8086/; kill $!; rm -r /tmp/www6")
    assert done.stdout == b"at home\n" * 2, done.stderr


def test_nc_both_ways(addressed):
    done = addressed.ssh("nc -l -p 7786 -e cat & until netstat -tln | grep -q :::7786; do :; done; "
                         "echo there and back | nc ::1 7786; wait")
    assert done.stdout == b"there and back\n", done.stderr


def test_ssh_listens_too(addressed):
    done = addressed.ssh("echo | nc fe80::5054:ff:fe12:3456%eth0 22 | head -c 8; echo | nc ::1 22 | head -c 8")
    assert done.stdout == b"SSH-2.0-" * 2, done.stderr


def test_failures_in_time(addressed):
    for words, why in (("::1 9", "refused"), (f"{NOBODY} 80", "No route to host"), ("ff02::1 80", "unreachable")):
        done = addressed.ssh(f"nc {words} </dev/null", timeout=20)
        assert done.returncode == 1 and why in done.stderr.decode(), (words, done.stderr)


def test_what_is_shown(addressed):
    done = addressed.ssh("ifconfig; route -A inet6; netstat -tln")
    for words in ("inet6 addr: ::1/128 Scope:Host", "inet6 addr: fe80::5054:ff:fe12:3456/64 Scope:Link",
                  "inet6 addr: fec0::5054:ff:fe12:3456/64 Scope:Site", "fec0::/64", "::/0", "fe80::2", ":::22"):
        assert words in done.stdout.decode(), (words, done.stdout)
