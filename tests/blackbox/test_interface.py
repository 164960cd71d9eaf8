# SPDX-License-Identifier: MIT
"""The interface from outside: its cable pulled and put back by QEMU's monitor, and its routes changed."""
import re

import pytest

from guest import Guest, let_pass, until
from test_ipv6 import announced, serving6
from test_sockets import echo


@pytest.fixture(scope="module")
def guest():
    # what is sent while the cable is out does not reach the recorder
    with Guest("interface", captures=False) as g:
        yield g


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
    with guest.popen("echo ready; (sleep 2; echo said in the dark) & read line; wait; echo $line; ifconfig eth0 | grep UP") as p:
        assert p.stdout.readline() == b"ready\n"
        cable("off")
        p.stdin.write(b"typed into the dark\n")
        p.stdin.flush()
        # so long is the cable out
        let_pass(10)
        cable("on")
        assert p.stdout.readline() == b"said in the dark\n"
        assert p.stdout.readline() == b"typed into the dark\n"
        assert b"UP BROADCAST RUNNING" in p.stdout.readline()
        assert p.wait(60) == 0


def addresses6(guest):
    return sorted(guest.ssh("cat /proc/net/if_inet6").stdout.decode().splitlines())


def test_ipv6_outlives_a_pulled_cable(guest, cable):
    """The addresses are there again, by autoconfiguration; the connection there was goes on, and new ones are made."""
    announced(guest)
    before = addresses6(guest)
    with serving6(echo) as port, guest.popen(f"nc {f'fec0::2 {port}' if port else '::1 22'}; ping6 -c 1 -W 20 fec0::2; "
                                             "ping6 -c 1 -W 20 fe80::2%eth0; nc fec0::2 1") as p:
        if port:
            p.stdin.write(b"before\n")
            p.stdin.flush()
            assert p.stdout.readline() == b"before\n"
        cable("off")
        if port:
            p.stdin.write(b"typed into the dark\n")
            p.stdin.flush()
        # so long is the cable out
        let_pass(0.5)
        cable("on")
        announced(guest)
        until(lambda: f"{before}; there is {addresses6(guest)}", lambda: addresses6(guest) == before)
        if port:
            assert p.stdout.readline() == b"typed into the dark\n"
        out, err = p.communicate(timeout=60)
    assert out.count(b" 0% packet loss") == 2 and b"refused" in err, (out, err)


def test_ipv6_of_an_interface_down_and_up(guest):
    """The router is asked anew, and what it announces is the network again."""
    announced(guest)
    before = addresses6(guest)
    done = guest.ssh("ifconfig eth0 down; ping6 -c 1 fec0::2; ping6 -c 1 -W 20 ::1 >/dev/null && echo loop; ifconfig eth0 up")
    assert done.stdout.endswith(b"loop\n") and b"unreachable" in done.stderr, done
    until("an answer by IPv6", lambda: b" 0% packet loss" in guest.ssh("ping6 -c 1 -W 20 fec0::2").stdout)
    assert addresses6(guest) == before
    done = guest.ssh("ping6 -c 1 -W 20 fe80::2%eth0; nc fec0::2 1")
    assert b" 0% packet loss" in done.stdout and b"refused" in done.stderr, done


def test_a_pulled_cable_is_shown(guest, cable):
    with guest.popen("echo ready; while ifconfig eth0 | grep -q RUNNING; do :; done; echo it was down; ping -c 1 -W 20 "
                     "127.0.0.1 >/dev/null && echo loop; while ! ifconfig eth0 | grep RUNNING; do :; done") as p:
        assert p.stdout.readline() == b"ready\n"
        cable("off")
        # so long is the cable out
        let_pass(0.5)
        cable("on")
        assert p.stdout.readline() == b"it was down\n"
        assert p.stdout.readline() == b"loop\n"
        assert b"RUNNING" in p.stdout.readline() and p.wait(60) == 0


def test_routes_are_what_the_table_says(guest):
    """N9: one table. A host of the network itself is reached by a gateway when a route says so, if there is one."""
    done = guest.ssh("ping -c 1 -W 20 10.0.2.3; route add -host 10.0.2.3 gw 10.0.2.78 && ping -c 1 -W 4 10.0.2.3; route -n; "
                     "route del -host 10.0.2.3; ping -c 1 -W 20 10.0.2.3")
    assert re.findall(rb"(\d+)% packet loss", done.stdout) == [b"0", b"100", b"0"], done
    assert re.search(rb"^10.0.2.3 +10.0.2.78 +255.255.255.255 +UGH ", done.stdout, re.M), done


def test_the_default_route(guest):
    def routes():
        return guest.ssh("route -n").stdout

    before = routes()
    try:
        done = guest.ssh("route del default && ping -c 1 192.0.2.1; nc 192.0.2.1 80; route del default")
        assert done.stderr.count(b"Network is unreachable") == 2 and b"No such process" in done.stderr, done
        assert b"UG" not in routes()
        done = guest.ssh("route add default gw 192.0.2.1; route add default gw 10.0.2.2 && route add default gw 10.0.2.2;"
                         "route add -net 10.0.3.0 netmask 255.0.255.0 dev eth0; route add -net 10.0.3.0/24 dev eth9;"
                         "route add default gw 10.0.2.15")
        for error in (b"SIOCADDRT: Network is unreachable", b"SIOCADDRT: File exists", b"Invalid netmask\\|bogus netmask",
                      b"SIOCADDRT: No such device", b"SIOCADDRT: Invalid argument"):
            assert any(e in done.stderr for e in error.split(b"\\|")), (error, done)
    finally:
        guest.ssh("route add default gw 10.0.2.2")
    assert sorted(routes().splitlines()) == sorted(before.splitlines())


def test_a_connected_network_can_be_taken_out(guest):
    done = guest.ssh("setsid sh -c 'route del default; route del -net 10.0.2.0/24; ping -c 1 10.0.2.2 2>/tmp/out; "
                     "route add -net 10.0.2.0/24 dev eth0; route add default gw 10.0.2.2; ping -c 1 -W 20 10.0.2.2 >>/tmp/out' & wait; cat /tmp/out; rm /tmp/out")
    assert b"Network is unreachable" in done.stdout and b"0% packet loss" in done.stdout, done


def test_a_neighbour_that_is_not_there(guest):
    """Told within a few seconds, as in Linux, and not after all of TCP's attempts."""
    done = guest.ssh("nc 10.0.2.79 80; nc 10.0.2.79 80", timeout=40)
    assert done.stderr.count(b"No route to host") == 2, done


def test_all_of_127_is_this_machine(guest):
    done = guest.ssh("ping -c 1 -W 20 127.0.0.2; ping -c 1 -W 20 127.255.255.254; echo far >/tmp/f; "
                     "httpd -p 127.0.0.3:81 -h /tmp; wget -q -O - http://127.0.0.3:81/f; wget -O - http://127.0.0.4:81/f;"
                     "kill $(pidof httpd); rm /tmp/f; ifconfig lo | grep -c 127.0.0.1; ifconfig lo 127.0.0.1 && echo same")
    assert done.stdout.count(b" 0% packet loss") == 2 and done.stdout.endswith(b"far\n1\nsame\n"), done
    assert b"refused" in done.stderr, done


def test_interface_down_and_up(guest):
    """Nothing goes by it meanwhile, and the session goes on afterwards; so it is after a mistake."""
    done = guest.ssh("ifconfig eth0 down; ifconfig eth0 | grep -c UP; ping -c 1 10.0.2.2; ping -c 1 -W 20 127.0.0.1 >/dev/null && "
                     "echo loop; wc -l </proc/net/route; ifconfig eth0 up; ping -c 1 -W 20 10.0.2.2 >/dev/null && echo again; "
                     "route -n | grep -c '^0.0.0.0 *10.0.2.2'")
    assert done.stdout == b"0\nPING 10.0.2.2 (10.0.2.2): 56 data bytes\nloop\n1\nagain\n1\n", done
    assert b"Network is unreachable" in done.stderr
    done = guest.ssh("ifconfig lo down; ping -c 1 127.0.0.1; ifconfig lo up; ping -c 1 -W 20 127.0.0.1")
    assert b"Network is unreachable" in done.stderr and b" 0% packet loss" in done.stdout, done


def test_another_address(guest):
    """The session's address goes, and with it the session; what runs on sees the new one, then the old one again."""
    guest.ssh("setsid sh -c 'ifconfig eth0 10.0.2.16; ifconfig eth0 | grep inet; ifconfig eth0 10.0.2.16 netmask 255.255.255.0; "
              "ifconfig eth0 | grep inet; ping -c 1 -W 20 10.0.2.2; cat /proc/net/route; ifconfig eth0 netmask 255.0.255.0; "
              "ifconfig eth0 0.0.0.0; ping -c 1 10.0.2.2; ifconfig eth0 224.0.0.1; ifconfig eth0 10.0.2.15 netmask 255.255.255.0; "
              "route add default gw 10.0.2.2; echo end' >/tmp/out 2>&1", timeout=120)
    text = until("the script's end", lambda: (out := guest.ssh("cat /tmp/out").stdout).endswith(b"end\n") and out, 60).decode()
    assert "inet addr:10.0.2.16  Bcast:10.255.255.255  Mask:255.0.0.0" in text, text
    assert "inet addr:10.0.2.16  Bcast:10.0.2.255  Mask:255.255.255.0" in text, text
    assert " 0% packet loss" in text and len(re.findall(r"^eth0\t", text, re.M)) == 1, text
    assert "Network is unreachable" in text and text.count("Invalid argument") == 2, text
    assert guest.ssh("rm /tmp/out; route -n | grep -c eth0").stdout == b"2\n"


def test_mtu(guest):
    done = guest.ssh("ifconfig eth0 mtu 1000; ifconfig eth0 | grep -o MTU:1000; ping -c 1 -W 20 -s 1400 10.0.2.2 | grep loss; "
                     "ifconfig eth0 mtu 67; ifconfig eth0 mtu 1501; ifconfig eth0 mtu 1500; head -c 300000 /dev/zero")
    assert len(done.stdout) > 300000 and b"MTU:1000" in done.stdout and b" 0% packet loss" in done.stdout
    assert done.stderr.count(b"SIOCSIFMTU: Invalid argument") == 2, done.stderr


def test_changes_are_root_s(guest):
    done = guest.ssh("echo user:x:1000:1000::/:/bin/sh >>/etc/passwd; su user -c 'ifconfig eth0 down; ifconfig eth0 10.0.2.77; ifconfig eth0 mtu 1000; route del default; "
                     "route add default gw 10.0.2.3'; ifconfig eth9 up")
    assert done.stderr.count(b"Operation not permitted") == 5 and b"No such device" in done.stderr, done


@pytest.mark.parametrize("text, says", [("10.0.2.15/24,10.0.2.2", "net: eth0: address 10.0.2.15/24, gateway 10.0.2.2"),
                                        ("10.0.2.15/33", "ip=10.0.2.15/33 is not ADDRESS/BITS[,GATEWAY]; asking DHCP"),
                                        ("10.0.2.9/24,10.0.3.2", "has a gateway that is not a neighbour; asking DHCP")],
                         ids=["right", "wrong", "gateway"])
def test_static_address(text, says):
    """What is wrong is said, and DHCP asked: the login works."""
    with Guest("static", smp=1, append=f"ip={text}") as g:
        assert says in g.console(), g.tail()
        done = g.ssh("ifconfig eth0; route -n; cat /proc/net/pnp; ping -c 1 -W 20 10.0.2.2").stdout
        assert b"inet addr:10.0.2.15 " in done and b" 10.0.2.2 " in done and b" 0% packet loss" in done
        # by hand there are no name servers
        assert (b"nameserver" in done) == ("asking" in says)
