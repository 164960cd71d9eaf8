# SPDX-License-Identifier: MIT
"""Thousands that connect and do not log in (I-SSH-28)."""
import re
import socket

import guest as guestlib
import sshraw

KEY_FILE = f"{guestlib.TOP}/build/ssh/id_ed25519"


def test_thousands_keep_nobody_out(guest):
    """2,000 that stay as long as they are let, 100 while each of 20 logs in: all log in, and the memory is that of the bound."""
    key, held = sshraw.load_key(KEY_FILE), []
    guest.ssh("true", check=True)
    before = guest.account()

    def come(count):
        for number in range(count):
            held.append(socket.create_connection(("127.0.0.1", guest.port), timeout=20 * guestlib.patience))
            # QEMU takes a connection before the guest does
            assert held[-1].recv(4) == b"SSH-"
            if number % 2:
                held[-1].sendall(b"SSH-2.0-newcomer\r\n")
            if len(held) > 400:
                # of the places that there are it has none any more
                held.pop(0).close()

    for _ in range(20):
        with sshraw.Raw(guest.port) as r:
            for step in (r.hello, r.exchange_kexinit, r.exchange_keys, r.new_keys, r.start_service):
                step()
                come(20)
            r.authenticate(key)
    there, most, displaced = map(int, re.match(rb"newcomers (\d+) of (\d+) displaced (\d+)", guest.ssh("cat /proc/tern/ssh").stdout).groups())
    assert there <= most + most // 4 + 1 and displaced >= 2000 - 20 - there
    pages, _ = guest.account()
    # a stack and a page of bookkeeping each, and what is on its way
    assert pages["KernelPages"] - before[0]["KernelPages"] < there * 96
    for s in held:
        s.close()
    guest.wait_for_account(before, seconds=60)
