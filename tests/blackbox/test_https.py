# SPDX-License-Identifier: MIT
"""wget over TLS from a peer on this host: BusyBox gives the cipher to a child over a socket pair, and both end by themselves."""
import contextlib
import datetime
import hashlib
import os
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from test_sockets import http, serving


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """A server's context with a key of its own; nobody vouches for it, and BusyBox does not ask."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "10.0.2.2")])
    begin = datetime.datetime(2020, 1, 1)
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
                   .serial_number(1).not_valid_before(begin).not_valid_after(begin + datetime.timedelta(days=36500))
                   .sign(key, hashes.SHA256()))
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                                       serialization.NoEncryption()) + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # BusyBox's ciphers are older than this host's taste
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(file)
    return context


def over_tls(context, serve):
    def run(s):
        with context.wrap_socket(s, server_side=True) as wrapped:
            serve(wrapped)
            with contextlib.suppress(OSError):
                wrapped.unwrap()
    return run


def test_wget_over_tls(guest, tls):
    body = os.urandom(1_000_000)
    with serving(over_tls(tls, http(body))) as port:
        done = guest.ssh(f"wget -q -O - https://10.0.2.2:{port}/x | sha256sum; pidof ssl_client")
    assert done.stdout.split()[0].decode() == hashlib.sha256(body).hexdigest(), done.stderr


def test_wget_over_tls_that_breaks(guest, tls):
    """The peer goes in the midst of it: wget says so and ends, and its child with it."""
    def serve(s):
        s.recv(4096)
        s.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")

    with serving(over_tls(tls, serve)) as port:
        done = guest.ssh(f"wget -O - https://10.0.2.2:{port}/; echo ended $?; while pidof ssl_client; do :; done")
    assert b"only this" in done.stdout and b"ended 1" in done.stdout, done.stderr
