# SPDX-License-Identifier: MIT
"""I-SSH-11 in the machine: what a connection kept secret is nowhere in its RAM when it has ended."""
import collections
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import guest as guestlib
import keylog
import sshraw
from sshraw import string, u32

# The debug image writes over all that is given back.
pytestmark = pytest.mark.own_image("the release image", "release")
KEY_FILE = f"{guestlib.TOP}/build/ssh/id_ed25519"


def said(found):
    """What was found, by name, each with the first places."""
    places = collections.defaultdict(list)
    for at, name in found:
        places[name].append(keylog.RAM_BASE + at)
    return "; ".join(f"{name}: {len(p)} at {', '.join(map(hex, p[:4]))}" for name, p in places.items())


@pytest.fixture
def searched(boot):
    """A guest that all .keys may log in to, with .before, its RAM without what the next ones leave."""
    g = boot(smp=2, mem="64M", image="release")
    if not hasattr(g, "before"):
        g.keys = keylog.user_keys(sshraw.load_key(KEY_FILE))
        g.ssh("cat >>/root/.ssh/authorized_keys", data=b"".join(keylog.line_of(k) for k in g.keys.values()), check=True)
        g.before = keylog.dump(g)
    return g


def talk(connection):
    """Some of a session: keys are used both ways."""
    channel = connection.open_session()
    connection.request(channel, "exec", string("cat"))
    connection.receive_type(sshraw.SUCCESS, sshraw.WINDOW_ADJUST)
    for _ in range(3):
        connection.send(bytes([sshraw.DATA]) + u32(channel) + string(b"what is typed\n" * 100))
        while connection.receive()[0] != sshraw.DATA:
            pass


def plain(connection, kind, key):
    connection.send(keylog.request(connection, kind, key))
    connection.receive_type(sshraw.AUTH_SUCCESS)
    talk(connection)


def rekeyed(connection, kind, key):
    plain(connection, kind, key)
    for _ in range(2):
        keylog.rekey(connection)
    connection.send(bytes([sshraw.GLOBAL_REQUEST]) + string("no-such@tern") + b"\1")
    while connection.receive()[0] != sshraw.REQUEST_FAILURE:
        pass


def refused(connection, kind, key):
    connection.send(connection.auth_request(Ed25519PrivateKey.generate()))
    connection.receive_type(sshraw.AUTH_FAILURE)


def in_rekey(connection, kind, key):
    """Killed where two sets of keys are there."""
    plain(connection, kind, key)
    connection.exchange_kexinit()
    connection.exchange_keys()


COURSES = [plain, rekeyed, refused, in_rekey]


def begin(g, kex, suite, course, kind):
    connection = keylog.Logged(g.port, kex=kex, cipher=suite[0], mac=suite[1])
    connection.handshake(check=True).start_service()
    course(connection, kind, g.keys[kind])
    return connection


def all_ends(g, connections):
    """They end, and nothing of them is left."""
    exchanges = [e for c in connections for e in c.exchanges]
    for n, c in enumerate(connections):
        if n % 2:
            c.send(bytes([sshraw.DISCONNECT]) + u32(11) + string("") + string(""))
        c.sock.close()
    found = []

    def nothing():
        ram = keylog.dump(g)
        found[:] = keylog.find(ram, exchanges) or keylog.find_scalars(ram, g.before, exchanges)
        return not found and ram
    # what does not change from here on has been searched
    g.before = guestlib.until(lambda: f"the end of all secrets; there is {said(found)}", nothing, pause=0.2)
    return len(exchanges)


def test_the_search_finds_what_is_there(searched):
    """While a connection is open its keys are there, in the form that they are used in, and nothing else of it is."""
    for suite in keylog.SUITES:
        c = begin(searched, "curve25519-sha256", suite, rekeyed, "ssh-ed25519")
        ram = keylog.dump(searched)
        *old, now = c.exchanges
        names = {name for _, name in keylog.find(ram, [now])}
        assert set(now.kept) <= names, (suite, said(keylog.find(ram, [now])))
        live = {name for name in now.secrets if name[0] in "ABCD"}
        assert names <= set(now.kept) | live, (suite, names)
        assert not keylog.find(ram, old), (suite, said(keylog.find(ram, old)))
        all_ends(searched, [c])


def test_a_scalar_is_found():
    """As it is, and as digits: planted, for who has logged in cannot know the server's."""
    private = sshraw.X25519PrivateKey.generate()
    raw, public = sshraw.serialization.Encoding.Raw, sshraw.serialization.PublicFormat.Raw
    scalar = private.private_bytes(raw, sshraw.serialization.PrivateFormat.Raw, sshraw.serialization.NoEncryption())
    exchange = keylog.Exchange(sshraw.CHACHA, keylog.PLAIN)
    exchange.point = private.public_key().public_bytes(raw, public)
    clamped = bytes([scalar[0] & 248]) + scalar[1:31] + bytes([scalar[31] & 127 | 64])
    digits, carry = [], 0
    for nibble in (n for b in clamped for n in (b & 15, b >> 4)):
        carry, digit = divmod(nibble + carry + 8, 16)
        digits.append(digit - 8)
    digits[63] += 16 * carry
    for form in (scalar, clamped, bytes(d & 255 for d in digits)):
        ram = bytearray(8192)
        ram[5004:5004 + len(form)] = form
        assert keylog.find_scalars(bytes(ram), bytes(8192), [exchange]) == [(5004, "scalar")]


def kinds():
    """Each method of key exchange with each cipher, the courses and keys of users by turns, from another on with each commit; each
    seven have all of each."""
    kexes, users = list(keylog.KEXES), ["ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-256"]
    number, first = len(kexes) * len(keylog.SUITES), guestlib.commit_number()
    for n in (i % number for i in range(first, first + number)):
        yield kexes[n % len(kexes)], keylog.SUITES[n % len(keylog.SUITES)], COURSES[n % len(COURSES)], users[n % 3]


def test_no_secret_is_left(searched):
    """Three of each kind side by side, so that each is the last on its stack; for as long as a plain suite may take, but each
    method and each cipher at least once."""
    until, count = time.monotonic() + 30, 0
    for n, kind in enumerate(kinds()):
        if n >= len(keylog.SUITES) and time.monotonic() > until:
            break
        count += all_ends(searched, [begin(searched, *kind) for _ in range(3)])
    print(f"# {count} key exchanges of {n} kinds")


@pytest.mark.long
def test_a_hundred_each_leave_none(searched):
    for kind in kinds():
        for _ in range(10):
            all_ends(searched, [begin(searched, *kind) for _ in range(10)])
