# SPDX-License-Identifier: MIT
"""Faults by rate and seed (kernel/core/fault.h), switched on in a guest that serves: it goes on serving, and afterwards every
page, object and frame is accounted for."""
import contextlib
import random
import re

import pytest

import guest as guestlib
import sshraw
from guest import Guest

SEED = guestlib.commit_number() % 100000
ASKS = "while read words; do echo set; echo $words > /proc/tern/faults; done"


@pytest.fixture(scope="module")
def guest():
    # what a fault drops, repeats or sends late, the judge of captures would blame on the stack
    with Guest("faults", append="fault=nothing:7,alloc:3", captures=False) as g:
        assert "core: fault nothing: there is no such fault" in g.console()
        for _ in range(3):
            assert work(g) == 0
        g.at_first = g.account()
        yield g


def work(guest, timeout=120):
    """A login with some of everything; its status. It comes to an end, whatever fails."""
    return guest.ssh("hello 200 0 | sink; ls -l /proc /dev /bin | sink; echo x > /tmp/x && rm /tmp/x; flood 200000 1 | sink",
                     timeout=timeout).returncode


def counts(guest, options=()):
    """What /proc/tern/faults says: {name: (passed, happened)}."""
    text = guest.ssh("cat", "/proc/tern/faults", options=options, check=True).stdout.decode()
    return {line.split()[0]: tuple(int(n) for n in line.split()[4:]) for line in text.splitlines()[1:]}


def well(guest):
    """It serves; pages and objects are what they were, each frame was delivered or dropped and counted."""
    assert work(guest) == 0
    guest.wait_for_account(guest.at_first)
    text = guest.ssh("cat", "/proc/tern/net", check=True).stdout.decode()
    c = {name: int(value) for name, value in (line.split() for line in text.splitlines())}
    assert c["rx_delivered"] + c["rx_no_memory"] + c["rx_bad"] == c["rx_frames"], f"frames are unaccounted for: {c}"


def transfer(guest, options):
    """Bytes to the guest and back, and some to its console."""
    data = random.Random(SEED).randbytes(300000)
    guest.ssh("hello", "20", "0", ">/dev/console", options=options, check=True)
    assert guest.ssh("cat", data=data, options=options, check=True, timeout=120).stdout == data


def off(guest):
    """No more faults; one may be why this fails at first."""
    guestlib.until("an end of the faults", lambda: guest.ssh("echo off > /proc/tern/faults").returncode == 0, 60)


@contextlib.contextmanager
def faults(guest, words, options=()):
    """With these faults; afterwards they have happened."""
    passed = counts(guest, options)
    guest.ssh(f"echo {words} > /proc/tern/faults", options=options, check=True)
    try:
        yield
    finally:
        off(guest)
    after = counts(guest)
    for name in re.findall(r"([a-z_]+):", words):
        assert after[name][1] > passed[name][1], f"{name} did not happen: {after[name]}"


def test_allocations_fail_at_random(guest):
    with faults(guest, f"alloc:300:{SEED}"):
        ends = [work(guest) for _ in range(15)]
    assert any(ends), "nobody noticed"
    well(guest)


def try_out(guest, words, tmp_path):
    """One kind of fault after another: every byte arrives, both ways, on the connection there was. A new one QEMU's own TCP can
    spoil (docs/08-network.md)."""
    one = ["-S", str(tmp_path / "one")]
    wanted = re.findall(r"([a-z_]+):", words)
    before = counts(guest)

    def happened():
        transfer(guest, one)
        now = counts(guest, one)
        return all(now[name][1] > before[name][1] + 2 for name in wanted)

    with guest.shared(one[1]):
        with faults(guest, f"{words.replace(',', f':{SEED},')}:{SEED}", one):
            guestlib.until(lambda: f"three of {words}: {counts(guest, one)}", happened, 60)
    well(guest)


def test_lost_interrupts(guest, tmp_path):
    """I-IRQ-3: one that is lost hides those that follow, until somebody looks."""
    try_out(guest, "irq_lost:10", tmp_path)


@pytest.mark.parametrize("words", ["irq_spurious:2,irq_shared:2", "used_late:10,used_reorder:2", "device_lies:200",
                                   "device_reset:100", "link_down:100", "clock_jump:30", "console_full:100"])
def test_what_machines_do(guest, words, tmp_path):
    try_out(guest, words, tmp_path)


def test_cpus_come_late(guest):
    """A CPU that starts after the boot has given it up has its part of the work all the same."""
    with Guest("late", smp=8, append=f"fault=cpu_late:2:{SEED}") as late:
        assert work(late) == 0
        late.ssh("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do burn & done; hello 20 100 | sink; kill $(pidof burn)", check=True)
        used = late.ssh("cat", "/proc/tern/sched", check=True).stdout.decode().splitlines()[1:9]
        assert all(int(line.split()[2]) for line in used), used
        assert counts(late)["cpu_late"][0] == 7


def walk(guest, numbers, do):
    """do() once for each n, with the n-th allocation from some moment before it on failing. The account returns."""
    asks = guest.popen(ASKS)
    for n in numbers:
        with contextlib.suppress(BrokenPipeError):
            asks.stdin.write(b"alloc:@%d\n" % n)
            asks.stdin.flush()
        if not asks.stdout.readline():
            # It was one of its own.
            asks.kill()
            asks.communicate()
            asks = guest.popen(ASKS)
        do()
    asks.kill()
    asks.communicate()
    off(guest)
    well(guest)


def test_each_allocation_of_a_login_fails_once(guest):
    walk(guest, range(20 + SEED % 10, 250, 10), lambda: guest.ssh("true", timeout=120))


def test_each_allocation_of_a_connection_fails_once(guest):
    """I-SSH-12. Who connects is greeted or told that he is not; nobody waits until another connects (ENOMEM of accept). What he
    sends when there is no memory for it is read a little later, though nobody tells of it again and no time is up."""
    def connect():
        with sshraw.Raw(guest.port, timeout=30) as r, contextlib.suppress(sshraw.Closed):
            r.hello()
            r.exchange_kexinit()

    guest.ssh("echo LoginGraceTime 0 >/etc/ssh/sshd_config; echo reload >/proc/tern/ssh", check=True)
    # where it is asked for what is sent differs by a few each time
    walk(guest, [*range(1, 21), *6 * list(range(10, 20))], connect)
    guest.ssh("rm /etc/ssh/sshd_config; echo reload >/proc/tern/ssh", check=True)
