# SPDX-License-Identifier: MIT
"""The windows of a connection that stands still, as /proc/tern/ssh shows them to another one (docs/10-ssh.md, "Memory")."""
import re

import guest as guestlib
import sshraw
from sshraw import string, u32

KEY = f"{guestlib.TOP}/build/ssh/id_ed25519"
PIPE = 65536


def shown(guest, r):
    """Of r's connection: channels that stand still, the bytes granted to the client and to the server, those not taken."""
    text = guest.ssh("cat", "/proc/tern/ssh", check=True).stdout.decode()
    line = re.search(rf":{r.sock.getsockname()[1]} .* stalled (\d+) window in (\d+) out (\d+) waiting (\d+) ", text)
    assert line, text
    return tuple(map(int, line.groups()))


def take(r, count):
    """So many bytes of output, in whole packets."""
    while count > 0:
        count -= len(r.receive_type(sshraw.DATA)) - 9
    assert count == 0


def test_output_stands_still_until_the_window_opens(guest):
    with sshraw.Raw(guest.port) as r:
        channel = r.handshake().login(sshraw.load_key(KEY)).open_session(window=10)
        r.request(channel, "exec", string("yes"), want_reply=False)
        take(r, 10)
        granted = shown(guest, r)[1]
        for more in (6, 100000):
            guestlib.until(lambda: f"a channel that stands still: {shown(guest, r)}", lambda: shown(guest, r) == (1, granted, 0, 0))
            r.send(bytes([sshraw.WINDOW_ADJUST]) + u32(channel) + u32(more))
            take(r, more)


def test_input_that_nobody_takes_waits(guest):
    guest.ssh("mkfifo /tmp/take", check=True)
    with sshraw.Raw(guest.port) as r:
        channel = r.handshake().login(sshraw.load_key(KEY)).open_session()
        _, granted, out, _ = shown(guest, r)
        r.request(channel, "exec", string("read x </tmp/take; wc -c"), want_reply=False)
        for sent in (100000, 200000):
            for _ in range(10):
                r.send(bytes([sshraw.DATA]) + u32(channel) + string(bytes(10000)))
            guestlib.until(lambda: f"{sent} bytes less granted, all that the pipe does not hold waiting: {shown(guest, r)}",
                           lambda: shown(guest, r) == (0, granted - sent, out, sent - PIPE))
        guest.ssh("echo >/tmp/take; rm /tmp/take", check=True)
        guestlib.until(lambda: f"all to be taken: {shown(guest, r)}", lambda: shown(guest, r)[3] == 0)
        r.send(bytes([sshraw.EOF]) + u32(channel))
        while (got := r.receive_type(sshraw.DATA, sshraw.WINDOW_ADJUST))[0] != sshraw.DATA:
            pass
        assert got[9:] == b"200000\n", got
