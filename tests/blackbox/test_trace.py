# SPDX-License-Identifier: MIT
"""The trace from outside: a login's chain from the first frame to the last, and what scripts/trace.py makes of it."""
import json
import os
import re
import subprocess
import xml.etree.ElementTree as xml

import pytest

import guest as guestlib
from guest import Guest, until

SCRIPT = os.path.join(guestlib.TOP, "scripts/trace.py")
SMALL = """# tern trace 1: 2 cpus
# irq 27 timer
# thread 1 idle
# thread 2 idle
1.000000000 0 1! irq-in 27
1.000001000 0 1! wake 8 1 0xff00
1.000002000 0 1! irq-out 27
1.000004000 1 2 switch 8 ready worker b
1.000005000 1 8 call-in 64 0x1
1.000006000 1 8 lock-wait INODE take+0x10
1.000006500 1 8 lock-got INODE take+0x10
1.000009000 1 8 call-out 64 7
1.000010000 1 8 switch 2 blocked idle
# lost 0 0
# lost 1 12
"""


def script(text, *words):
    return subprocess.run([SCRIPT, *map(str, words)], input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=120)


def shown(text, *words):
    done = script(text, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_names_for_numbers():
    text = shown(SMALL)
    for line in ("1.000001000 cpu 0 idle:1 (irq): wake worker b:8 on cpu 1, which waited on 0xff00",
                 "1.000005000 cpu 1 worker b:8: call-in write(0x1, ...)", "worker b:8: lock-wait INODE in take+0x10",
                 "irq-in 27 timer", "12 events of cpu 1 were lost"):
        assert line in text, text
    assert len(shown(SMALL, "--threads", "8", "--from", "1.000005").splitlines()) == 6


@pytest.mark.parametrize("text,wrong", [("", "not a trace"), ("# tern trace 2: 1 cpus\n", "not a trace"), ("hello\n", "not a trace"),
                                        (SMALL.replace("irq-out 27", "irq-out"), "line 7: "),
                                        (SMALL.replace("# lost 0 0", "1.0000"), "line 14: "), (SMALL[:54], "nothing is left")],
                         ids=["empty", "another version", "text", "no number", "no time", "no event"])
def test_what_is_no_trace_is_an_error_of_one_line(text, wrong):
    done = script(text)
    assert done.returncode == 1 and not done.stdout
    assert wrong in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


def check_timeline(path):
    """What viewers need: tracks have names, nothing on one CPU's track crosses another, each arrow has both ends."""
    with open(path, encoding="utf-8") as f:
        events = json.load(f)["traceEvents"]
    named = {(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name"}
    assert all((e["pid"], e["tid"]) in named for e in events if e["ph"] != "M")
    runs = sorted((e["tid"], e["ts"], e["ts"] + e["dur"]) for e in events if e["ph"] == "X" and e["pid"] == 1 and e["cat"] == "run")
    assert all(a[0] != b[0] or b[1] >= a[2] - 0.001 for a, b in zip(runs, runs[1:]))
    begins, ends = ({e["id"]: e["ts"] for e in events if e["ph"] == ph} for ph in "sf")
    assert begins.keys() == ends.keys() and all(ends[n] >= begins[n] for n in begins)
    return events


def test_timeline_and_picture(tmp_path):
    shown(SMALL, "--json", tmp_path / "t.json", "--svg", tmp_path / "t.svg")
    events = check_timeline(tmp_path / "t.json")
    assert [(e["ts"], e["dur"]) for e in events if e.get("cat") == "call"] == [(1000005.0, 4.0)]
    assert [(e["ts"], e["dur"], e["name"]) for e in events if e.get("cat") == "lock"] == [(1000006.0, 0.5, "waits for INODE")]
    assert len([e for e in events if e["ph"] == "s"]) == 1
    titles = [t.text for t in xml.parse(tmp_path / "t.svg").iter("{http://www.w3.org/2000/svg}title")]
    assert "write, 4.00 us" in titles and any(t.startswith("worker b:8, ") for t in titles), titles


@pytest.fixture(scope="module")
def guest():
    with Guest("trace", append="trace=all") as g:
        yield g


def follow(lines, *steps):
    """Each step's line, the first behind that of the step before; a step may name groups that later ones use. Where they are."""
    at, got, places = 0, {}, []
    for step in steps:
        pattern = re.compile(step.format(**got))
        while at < len(lines) and not pattern.search(lines[at]):
            at += 1
        assert at < len(lines), f"no line like {pattern.pattern!r} behind what came before; with {got}"
        got.update(pattern.search(lines[at]).groupdict())
        places.append(at)
        at += 1
    return places


def recorded(guest, command):
    """The trace of one login that does this; None if a ring was too small for it."""
    guest.ssh("echo all >/proc/tern/trace && cat /proc/tern/trace >/dev/null", check=True)
    guest.ssh(command, check=True)
    text = guest.ssh("echo off >/proc/tern/trace && cat /proc/tern/trace", check=True).stdout.decode()
    lost = re.findall(r"^# lost \d+ (\d+)$", text, re.M)
    assert len(lost) == guest.smp, text[-500:]
    return text if set(lost) == {"0"} else None


def chained(text):
    """Nothing, or what is missing."""
    lines = shown(text).splitlines()
    try:
        follow(lines, r" (?P<conn>ssh\S*:\d+): ssh-out KEXINIT, ", r" irq-in \d+ virtio", r"\(irq\): wake (?P<net>net:\d+) ",
               r" {net}: rx \d+ bytes", r" {net}: wake {conn} ", r": switch to {conn}, ", r" {conn}: ssh-in USERAUTH_REQUEST, ",
               r" {conn}: ssh-out USERAUTH_SUCCESS, ", r" {conn}: tx \d+ bytes")
        follow(lines, r" (?P<conn>ssh\S*:\d+): ssh-in CHANNEL_REQUEST, ", r" (?P<program>\S+:\d+): call-in write\(0x1, ",
               r" {program}: wake {conn} ", r" {program}: call-out write = 6", r" {conn}: ssh-out CHANNEL_DATA, ", r" {conn}: ssh-out CHANNEL_CLOSE, ",
               r" {conn}: tx \d+ bytes")
    except AssertionError as missing:
        return str(missing)
    return None


def test_a_login_is_a_chain_of_wakeups(guest, tmp_path):
    """A frame comes, its interrupt wakes the network's thread, that the connection's, which logs the user in and starts the
    program; what the program writes wakes the connection's, which sends it. Who is awake already nobody wakes: another login, then."""
    missing, text = "", None

    def seen():
        nonlocal missing, text
        text = recorded(guest, "echo chain")
        missing = chained(text) if text else "events were lost"
        return missing is None

    until(lambda: f"the chain: {missing}", seen, seconds=60)
    (tmp_path / "t.txt").write_text(text)
    shown("", "--json", tmp_path / "t.json", "--svg", tmp_path / "t.svg", tmp_path / "t.txt")
    check_timeline(tmp_path / "t.json")
    xml.parse(tmp_path / "t.svg")


def key_chained(text):
    """The same, for a key that a program reads and writes: and what wakes each of them meanwhile is no timer."""
    lines = shown(text).splitlines()
    found = re.search(r" (ssh\S*:\d+): wake (cat:\d+) ", "\n".join(lines))
    if not found:
        return "cat was not woken"
    conn, cat = map(re.escape, found.groups())
    try:
        places = follow(lines, r" irq-in \d+ virtio", r"\(irq\): wake (?P<net>net:\d+) ", r" {net}: rx \d+ bytes", rf" {{net}}: wake {conn} ",
                        rf" {conn}: ssh-in CHANNEL_DATA, ", rf" {conn}: wake {cat} ", rf" {cat}: call-out read = 1", rf" {cat}: call-in write\(0x1, ",
                        rf" {cat}: wake {conn} ", rf" {conn}: ssh-out CHANNEL_DATA, ", rf" {conn}: tx \d+ bytes")
    except AssertionError as missing:
        return str(missing)
    cause = {}
    for line in lines[places[0]:places[-1]]:
        _, _, cpu, rest = line.split(" ", 3)
        if " irq-in " in line:
            cause[cpu] = rest
        elif re.search(rf"\(irq\): wake (net:\d+|{conn}|{cat}) ", line) and " virtio" not in cause.get(cpu, ""):
            return f"not by the frame: {line}, in {cause.get(cpu)}"
    return None


def test_a_key_goes_round_without_a_tick(guest):
    """From the interrupt of its frame to the frame of its echo each is woken by the one before: the network's thread, the
    connection's, the program, the connection's."""
    missing = ""

    def echoed(p):
        nonlocal missing
        guest.ssh("echo all >/proc/tern/trace && cat /proc/tern/trace >/dev/null", check=True)
        p.stdin.write(b"k")
        p.stdin.flush()
        assert p.stdout.read(1) == b"k"
        text = guest.ssh("echo off >/proc/tern/trace && cat /proc/tern/trace", check=True).stdout.decode()
        missing = key_chained(text)
        return missing is None

    with guest.popen("stty raw -echo; echo in; cat", options=["-tt"]) as p:
        assert p.stdout.readline() == b"in\n"
        until(lambda: f"the chain: {missing}", lambda: echoed(p), seconds=60)
        p.kill()


def test_it_is_roots_alone_and_knows_its_words(guest):
    ask = "echo off >/proc/tern/trace; echo $?; echo 0x80 >/proc/tern/trace; echo $?; stat -c %a /proc/tern/trace"
    assert guest.ssh(ask).stdout.split() == [b"0", b"1", b"600"]
    guest.ssh("echo free >/proc/tern/trace", check=True)
    assert b"switch" not in guest.ssh("cat /proc/tern/trace", check=True).stdout
