# SPDX-License-Identifier: MIT
"""The interface from outside: its cable pulled and put back by QEMU's monitor."""
import pytest

from guest import let_pass, until


@pytest.fixture
def cable(guest):
    """cable("off") and cable("on"), which is done when the guest says so."""
    def put(state):
        says = {"on": "link up", "off": "link down"}[state]
        before = guest.console().count(says)
        guest.monitor(f"set_link net0 {state}")
        try:
            until(f"the console to say {says}", lambda: guest.console().count(says) > before)
        except AssertionError:
            guest.monitor("set_link net0 on")
            raise

    yield put
    guest.monitor("set_link net0 on")


def test_sessions_survive_ten_seconds_without_a_cable(guest, cable):
    """What is typed and what is printed meanwhile arrives afterwards, on the connection there was."""
    with guest.popen("echo ready; (sleep 2; echo said in the dark) & read line; wait; echo $line; ifconfig eth0 | sed -n 3p") as p:
        assert p.stdout.readline() == b"ready\n"
        cable("off")
        p.stdin.write(b"typed into the dark\n")
        p.stdin.flush()
        let_pass(10)
        cable("on")
        assert p.stdout.readline() == b"said in the dark\n"
        assert p.stdout.readline() == b"typed into the dark\n"
        assert b"UP BROADCAST RUNNING" in p.stdout.readline()
        assert p.wait(60) == 0


def test_a_pulled_cable_is_shown(guest, cable):
    with guest.popen("echo ready; while ifconfig eth0 | grep -q RUNNING; do :; done; echo it was down; ping -c 1 -W 20 "
                     "127.0.0.1 >/dev/null && echo loop; while ! ifconfig eth0 | grep RUNNING; do :; done") as p:
        assert p.stdout.readline() == b"ready\n"
        cable("off")
        let_pass(0.5)
        cable("on")
        assert p.stdout.readline() == b"it was down\n"
        assert p.stdout.readline() == b"loop\n"
        assert b"RUNNING" in p.stdout.readline() and p.wait(60) == 0
