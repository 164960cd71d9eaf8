# SPDX-License-Identifier: MIT
"""Schedules by a seed, and their replay. Issue 5, items 5 and 9."""
import re
import shlex
import socket
import subprocess
import sys

import pytest

import guest as guestlib

sys.path.insert(0, f"{guestlib.TOP}/tests/mutants")
import run as mutants  # noqa: E402  (the path above leads to it)

pytestmark = pytest.mark.own_image("replays of the debug image")

TOP = guestlib.TOP
RUN = f"{TOP}/scripts/run-qemu.sh"
# In the last, CPUs are for a long time where they come to no point of a schedule.
TESTS = "test=spawn_and_kill,wait_storm,vm_fault_race,vm_shootdown seed=1"
# What a program may read of chance and of time, and several at once.
SCRIPT = ("run='head -c 16 /dev/urandom | od -x; date; for i in 1 2 3; do hello 4 $i & done; wait; cat /proc/uptime /proc/tern/threads; "
          "echo $$ done'")


def start(seeds, smp, append):
    words = subprocess.run([RUN, "--image", guestlib.IMAGES["debug"], "--replay", seeds, "--smp", str(smp), "--append", append,
                            "--print"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return subprocess.Popen(shlex.split(words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def consoles(smp, append, *seeds):
    """What each of these runs prints."""
    running = [start(s, smp, append) for s in seeds]
    try:
        return [qemu.communicate(timeout=600)[0] for qemu in running]
    finally:
        for qemu in running:
            qemu.kill()


@pytest.mark.parametrize("mode,smp", [("", 1), ("", 2), ("", 4), ("pct:", 1), ("pct:", 2), ("pct:", 4)])
def test_a_run_is_a_function_of_its_seed(mode, smp):
    one, again, other = consoles(smp, TESTS, f"{mode}3..4", f"{mode}3..4", f"{mode}5..6")
    assert b"ktest: end 4 passed, 0 failed" in one, one[-2000:]
    assert one == again
    assert [line.split(b"]")[0] for line in one.splitlines()] != [line.split(b"]")[0] for line in other.splitlines()]


@pytest.mark.parametrize("smp", [1, 2, 4])
def test_a_script_is_a_function_of_its_seed(smp):
    one, again, other = consoles(smp, SCRIPT, "3", "3", "4")
    assert re.search(rb"^\d+ done", one, re.M) and not guestlib.forbidden_lines(one.decode(errors="replace")), one[-2000:]
    assert one == again
    assert one != other


def test_a_late_cpu_is_waited_for():
    """USER-003: by the clock. The fault's seed has it come long after any number of turns."""
    (text,) = consoles(2, "fault=cpu_late:1:1 run='exit 3'", "3")
    up = re.search(r"core: .* cpus up", text.decode(errors="replace"))
    assert up and up.group(0) == "core: 2 of 2 cpus up", text[-2000:]


def test_a_failing_seed_is_named_and_comes_again():
    """die_panic fails with each seed: the first is named, its log kept, and what is to be typed fails too."""
    done = subprocess.run([f"{TOP}/scripts/explore.sh", "--test", "die_panic", "--seeds", "7..9", "--smp", "2"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
    assert done.returncode == 1, done.stdout
    assert re.search(r"^not ok explore die_panic smp=2 seed \d+: .*PANIC", done.stdout, re.M), done.stdout
    log = re.search(r"log: +(\S+)", done.stdout).group(1)
    again = re.search(r"again: (.*)", done.stdout).group(1)
    assert "PANIC" in guestlib.read_file(f"{TOP}/{log}")
    words = subprocess.run(shlex.split(again) + ["--print"], stdout=subprocess.PIPE, text=True, check=True).stdout
    done = subprocess.run(shlex.split(words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600)
    assert done.stdout.decode(errors="replace").splitlines() == guestlib.read_file(f"{TOP}/{log}").splitlines()


def explored(*words):
    done = subprocess.run([f"{TOP}/scripts/explore.sh", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=600)
    return done.returncode, done.stdout


def test_a_bug_counts_as_noticed_by_what_its_head_expects():
    """The image as it is, and tests that end the machine: an exception as a bug's head has it counts, another panic does not."""
    words = ("--image", guestlib.IMAGES["debug"], "--seeds", "1..20", "--smp", "1")
    status, said = explored("--mutant", "started_before_entry", "--test", "die_fault", *words)
    assert status == 0 and "seeds to kill started_before_entry: 1\n" in said, said
    status, said = explored("--mutant", "started_before_entry", "--test", "die_panic", *words)
    assert status == 1 and "seeds to kill started_before_entry: more than 2\n" in said, said
    assert len(re.findall(r"^not ok explore die_panic .*on purpose.*\n +does not count: not by 'PANIC: unexpected", said, re.M)) == 2, said
    # its head names the test by a part of the name
    status, said = explored("--mutant", "evicted_connection_kicked_unlocked", *words[:3], "1", *words[4:])
    assert status == 1 and "seeds to kill evicted_connection_kicked_unlocked: more than 1\n" in said, said


def test_that_it_hangs_counts_where_the_bug_is_one_to_hang():
    hangs = ("hangs: no test ended for 90 s of the host\n", "PANIC: ktest: wake_idle hangs, perturbed by seed 3\n")
    known = {m.name: m for m in mutants.all_mutants()}
    assert known["idle_not_told"].noticed(hangs[0])
    known["idle_not_told"].hang = False
    assert not known["idle_not_told"].noticed(hangs[0])
    assert not any(m.noticed(hangs[1]) for m in known.values() if not m.hang)


@pytest.mark.parametrize("words", [(), ("--mutant", "started_before_entry")])
def test_a_test_that_is_not_there_is_a_mistake(words):
    status, said = explored("--test", "nonesuch", "--image", guestlib.IMAGES["debug"], *words)
    assert status == 2 and re.search("nonesuch: .* has no test of that name", said), said


def test_the_debugger_shows_a_replay():
    """All CPUs stand where the seed brings them, and the commands of scripts/gdb tell queues, locks, regions."""
    port = guestlib.free_port()
    words = subprocess.run([RUN, "--image", guestlib.IMAGES["debug"], "--replay", "3", "--smp", "2", "--append", "run='hello 2 1'",
                            "--print"], stdout=subprocess.PIPE, text=True, check=True).stdout
    qemu = subprocess.Popen([*shlex.split(words), "-gdb", f"tcp:127.0.0.1:{port}", "-S"], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        guestlib.until("the debugger's port", lambda: listens(port))
        commands = [f"target remote 127.0.0.1:{port}", "hbreak region_find", "ignore 1 40", "continue", "info threads", "runqueues",
                    "locks", "regions s", "threads", "delete", "hbreak arch_switch", "continue",
                    'printf "leaves (%#lx)\\n", $x0', "threads"]
        words = [word for command in commands for word in ("-ex", command)]
        text = subprocess.run(["gdb-multiarch", "-batch", "-nx", "-x", f"{TOP}/scripts/gdb/tern.py", *words,
                               f"{TOP}/build/debug/tern.elf"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=300).stdout
    finally:
        qemu.kill()
        qemu.wait()
    assert "CPU#0" in text and "CPU#1" in text, text[-3000:]
    assert re.search(r"^cpu 0: runs \w.*\n(?: .*\n)*cpu 1: runs \w", text, re.M), text[-3000:]
    assert re.search(r"^cpu 1: \d+ held$", text, re.M), text[-3000:]
    assert re.search(r"^0x[0-9a-f]+-0x[0-9a-f]+ prot 0x[0-9a-f]+ backing", text, re.M), text[-3000:]
    assert "No symbol matches" not in text, text[-3000:]
    # who is about to be switched away has no registers saved, so no stack is shown
    leaves, _, threads = text.rpartition("leaves ")[2].partition("\n")
    assert re.search(re.escape(leaves) + r"\n(?! )", threads), text[-3000:]


def listens(port):
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def test_explore_says_what_it_wants():
    script = f"{TOP}/scripts/explore.sh"
    text = subprocess.run([script, "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert set(re.findall(r'add_argument\("(--[\w-]+)"', guestlib.read_file(f"{TOP}/scripts/explore.py"))) <= set(
        re.findall(r"--[\w-]+", text)) | {"--help"}
    done = subprocess.run([script, "--seeds", "9..1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode != 0 and "--seeds 9..1" in done.stderr
    done = subprocess.run([RUN, "--replay", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 125 and "--replay 0" in done.stderr
