# SPDX-License-Identifier: MIT
"""The two commands: their options, their errors of one line, and that a build gives the same bytes anywhere."""
import glob
import hashlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys

import pytest

import guest as guestlib
import hostbuild
from terminal import Terminal

pytestmark = pytest.mark.own_image("scripts, and guests of theirs")

TOP = guestlib.TOP
RUN = f"{TOP}/scripts/run-qemu.sh"
IMAGE = ["--image", guestlib.IMAGES["release"]]


def run(*words, **kwargs):
    kwargs.setdefault("stdin", subprocess.DEVNULL)
    kwargs.setdefault("timeout", 180)
    return subprocess.run([str(w) for w in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs)


@pytest.mark.parametrize("words", [["--smp", "0"], ["--smp", "65"], ["--smp", "x"], ["--mem", "12Q"], ["--port", "0"],
                                   ["--port", "70000"], ["--forward", "80"], ["--image", "/no/such"], ["--key", "/no/such"],
                                   ["--root", "/no/such"], ["--nonsense"], ["--smp"], ["--"], ["--name", "a/b"],
                                   ["--wire", "/no/such"], ["--capture", "a,b", *IMAGE],
                                   ["--mutant", "handler_allocates", *IMAGE, "--print"],
                                   ["--replay", "x", *IMAGE], ["--replay", "0", *IMAGE], ["--replay", "1" * 19, *IMAGE],
                                   ["--put", "/no/such", *IMAGE, "--daemon", "--name", "putfails", "--port", "0"]])
def test_wrong_option_is_an_error_of_one_line(words):
    done = run(RUN, *words)
    assert done.returncode == 125
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_help_and_print():
    assert "--daemon" in run(RUN, "--help").stdout
    done = run(RUN, "--print", "--smp", "12", "--forward", "8080:80", *IMAGE)
    assert done.returncode == 0
    assert "gic-version=3" in done.stdout
    assert "127.0.0.1:8080-:80" in done.stdout
    assert "0.0.0.0" not in done.stdout and "tcp::" not in done.stdout


def test_mutant_is_booted_and_reported():
    """A bug put back in a copy: what it is, what to type, and the report. The first interrupt of the network meets this one."""
    done = run(RUN, "--mutant", "handler_allocates", "--", "true", timeout=600)
    assert done.returncode == 125, done.stderr
    for text in ("A12: the network's interrupt allocates", "in the guest:", "our report:", "PANIC: BUG: slab: allocation in irq context"):
        assert text in done.stderr, done.stderr
    done = run(RUN, "--mutant", "handler_allocates", "--print", timeout=600)
    assert done.returncode == 0 and f"-kernel {TOP}/build/mutants/boot/" in done.stdout, done.stdout + done.stderr
    done = run(RUN, "--mutant", "no_such_bug", "--", "true")
    assert done.returncode == 125 and "no mutant is called no_such_bug" in done.stderr


def test_a_taken_port_names_a_free_one():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        one_line(run(RUN, "--port", port, "--name", "taken", *IMAGE), f"port {port} is taken: try --name taken --port ")
    text = run("bash", "-c", f". {TOP}/scripts/lib.sh; free_port 65536").stdout
    assert 1024 <= int(text) <= 65535


@pytest.mark.parametrize("command, status, out", [(["true"], 0, ""), (["false"], 1, ""), (["echo", "a", "b"], 0, "a b\n"),
                                                  (["sh", "-c", "'exit 9'"], 9, ""), (["no-such-program"], 127, "")])
def test_command_is_passed_through(command, status, out):
    done = run(RUN, *IMAGE, "--", *command)
    assert (done.returncode, done.stdout) == (status, out), done.stderr


def test_command_with_input():
    done = run(RUN, *IMAGE, "--", "sink", stdin=None, input="x" * 100000)
    assert done.stdout.split() == ["100000", hashlib.sha256(b"x" * 100000).hexdigest()], done.stderr


def test_nothing_is_left_running():
    """Of this run: others have theirs in the same folder."""
    p = subprocess.Popen([RUN, *IMAGE, "--", "echo", "up", "&&", "read", "x"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    folder = f"{TOP}/build/run/command.{p.pid}"
    assert p.stdout.readline() == b"up\n"
    with open(f"{folder}/pid", encoding="ascii") as f:
        qemu = int(f.read())
    assert os.path.exists(f"/proc/{qemu}")
    p.communicate(b"\n", timeout=180)
    assert p.returncode == 0 and not os.path.exists(folder) and not os.path.exists(f"/proc/{qemu}")


def test_daemon_stop_root_put_and_forward(tmp_path):
    (tmp_path / "root" / "etc").mkdir(parents=True)
    (tmp_path / "root" / "etc" / "extra").write_text("extra file\n")
    (tmp_path / "one").write_text("put here\n")
    options = ["--root", str(tmp_path / "root"), "--put", str(tmp_path / "one"), "--put", f"{tmp_path}/one:/tmp/two"]
    with guestlib.Guest("options", smp=2, image="release", options=options) as g:
        assert g.ssh("cat", "/etc/extra", "/root/one", "/tmp/two").stdout == b"extra file\nput here\nput here\n"
        done = run(RUN, "--daemon", "--name", "options", *IMAGE, "--port", "0")
        assert done.returncode == 125
        second = run(RUN, "--daemon", "--name", "options", *IMAGE)
        assert second.returncode == 125 and len(second.stderr.splitlines()) == 1, second.stderr


def test_a_name_is_one_guests(scripts_only):
    """One in a terminal keeps its config file: a second start of its name is refused with words that work."""
    script, ssh = scripts_only / "scripts/run-qemu.sh", scripts_only / "build/ssh/config"
    port, options = guestlib.free_port(), [*IMAGE, "--smp", "1"]
    with Terminal(script, *options, "--port", str(port), cwd=scripts_only) as console:
        console.expect("# ", seconds=60)
        config = ssh.read_text()
        for more in (port, guestlib.free_port()):
            done = run(script, *options, "--port", more, "--daemon", cwd=scripts_only)
            one_line(done, "a guest called default is running already: ", "scripts/run-qemu.sh --stop ends this one")
        one_line(run(script, *options, "--port", port), "a guest called default is running already: ")
        words = re.search(r"already: (--name two --port \d+) starts another", done.stderr).group(1).split()
        one_line(run(script, *options, "--name", "three", "--port", port),
                 f"port {port} is taken by the guest called default: try --name three --port ")
        try:
            done = run(script, *options, *words, "--daemon")
            assert done.returncode == 0, done.stderr
            one_line(run(script, *options, *words), "called two is running already: --name guest3 --port ")
            for name, file in (("one", ssh), ("two", scripts_only / "build/run/two/config")):
                run("ssh", "-F", file, "tern", f"echo {name} >/tmp/name")
            done = run("ssh", "-F", ssh, "tern", "cat", "/tmp/name")
        finally:
            run(script, "--stop", "--name", "two")
        assert (done.stdout, ssh.read_text()) == ("one\n", config), done.stderr
        assert run(script, "--stop").returncode == 0
        assert console.wait() == 0


def test_what_is_printed_works_where_it_is_printed(scripts_only, tmp_path):
    for folder, name in ((scripts_only, "default"), (scripts_only / "scripts", "near"), (tmp_path, "far"), ("/", "far")):
        done = run(scripts_only / "scripts/run-qemu.sh", *IMAGE, "--smp", "1", "--daemon", "--name", name, "--port", guestlib.free_port(),
                   cwd=folder)
        line = dict(re.findall(r"^  ([a-z ]+): +(.*)$", done.stderr, re.M))
        try:
            assert run("sh", "-c", line["log in"] + " echo in", cwd=folder).stdout == "in\n", done.stderr
            assert "ssh: host key" in run("sh", "-c", "cat " + line["console"], cwd=folder).stdout, done.stderr
        finally:
            stopped = run("sh", "-c", line["stop"], cwd=folder)
            run(scripts_only / "scripts/run-qemu.sh", "--stop", "--name", name)
        assert stopped.returncode == 0, stopped.stderr


@pytest.mark.parametrize("words", [["--daemon"], ["--", "true"]])
def test_a_server_that_stays_closed_is_not_waited_for(scripts_only, tmp_path, words):
    """The console says so, and why."""
    (tmp_path / "bad").write_text("AllowUsers root\nAllowUser ann\n")
    done = run(scripts_only / "scripts/run-qemu.sh", *IMAGE, "--smp", "1", "--port", guestlib.free_port(), "--put",
               f"{tmp_path}/bad:/etc/ssh/sshd_config", *words)
    *why, last = done.stderr.splitlines()
    assert done.returncode == 125 and "ssh server does not serve: what is wrong is above" in last, done.stderr
    assert any("/etc/ssh/sshd_config line 2: AllowUser: unknown keyword" in line for line in why)
    assert all("] ssh: " in line for line in why), done.stderr


def test_stop_says_what_is_not_running():
    """After the guest's own end, and of a name that never was."""
    g = guestlib.Guest("ends", smp=1, image="release").start()
    pid = g.pid()
    g.ssh("poweroff")
    guestlib.until("the end of the guest", lambda: not os.path.exists(f"/proc/{pid}"))
    for name in (g.name, "never"):
        one_line(run(RUN, "--stop", "--name", name), f"no guest called {name} is running", status=1)


def test_works_from_any_folder_and_with_blanks_in_the_path(tmp_path):
    copy = tmp_path / "a folder, 100%"
    (copy / "scripts").mkdir(parents=True)
    for name in ("lib.sh", "run-qemu.sh"):
        shutil.copy(f"{TOP}/scripts/{name}", copy / "scripts" / name)
    done = run(copy / "scripts/run-qemu.sh", *IMAGE, "--", "echo", "here", cwd="/")
    assert (done.returncode, done.stdout) == (0, "here\n"), done.stderr


def test_old_qemu_is_refused(tmp_path):
    fake = tmp_path / "qemu"
    fake.write_text("#!/bin/sh\necho QEMU emulator version 5.2.0\n")
    fake.chmod(0o755)
    done = run(RUN, *IMAGE, "--", "true", env=dict(os.environ, QEMU=str(fake)))
    assert done.returncode == 125
    assert "version 5" in done.stderr and len(done.stderr.splitlines()) == 1


def test_missing_qemu_is_named():
    done = run(RUN, *IMAGE, "--", "true", env=dict(os.environ, QEMU="no-such-qemu"))
    assert done.returncode == 125
    assert "no-such-qemu is missing" in done.stderr and len(done.stderr.splitlines()) == 1


def test_ssh_configuration_asks_nothing():
    """The very words of the README, after a boot on another port."""
    with guestlib.Guest("config", smp=1, image="release") as g:
        done = run("ssh", "-F", g.config, "tern", "true")
        assert (done.returncode, done.stderr) == (0, "")


def test_host_key_is_kept():
    prints = set()
    for _ in range(2):
        with guestlib.Guest("hostkey", smp=1, image="release") as g:
            prints.add(run("ssh-keyscan", "-t", "ed25519", "-p", g.port, "127.0.0.1").stdout.split(" ", 1)[1])
    assert len(prints) == 1


def test_quick_repeats_what_has_changed(tmp_path):
    """A program, or a seed, that is not byte for byte what has passed is run again."""
    files = [str(tmp_path / name) for name in ("program", "seed")]
    for name in files:
        with open(name, "w", encoding="utf-8") as f:
            f.write("as it was")
    assert not hostbuild.has_passed(files[0], files[1:])
    hostbuild.note_passed(files[0], files[1:])
    assert hostbuild.has_passed(files[0], files[1:])
    assert not hostbuild.has_passed(files[0])
    for name in files:
        hostbuild.note_passed(files[0], files[1:])
        with open(name, "a", encoding="utf-8") as f:
            f.write(", and more")
        assert not hostbuild.has_passed(files[0], files[1:])


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """hostbuild with a folder and a compiler of its own; compiler.made: what that made, compiler.meanwhile(): what happens."""
    class Compiler:
        def __init__(self):
            self.made, self.meanwhile = [], lambda: guestlib.let_pass(0.05)

        def __call__(self, command):
            name = command[-1]
            self.made.append(name)
            if "-MF" in command:
                self.meanwhile()
            with open(os.path.join(hostbuild.TOP, name), "w", encoding="utf-8") as f:
                f.write("made")
            if "-MF" in command:
                with open(os.path.join(hostbuild.TOP, command[command.index("-MF") + 1]), "w", encoding="utf-8") as f:
                    f.write(f"{name}: {command[-3]}")

    compiler = Compiler()
    monkeypatch.setattr(hostbuild, "TOP", str(tmp_path))
    monkeypatch.setattr(hostbuild, "run_compiler", compiler)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    return compiler


def test_a_terminal_hangs_up_under_nohup():
    was = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Terminal("sh", "-c", "echo up; exec sleep 20") as t:
            t.expect("up")
    finally:
        signal.signal(signal.SIGHUP, was)
    assert t.status == -signal.SIGHUP


def test_programs_that_share_a_source_compile_it_once(tmp_path, compiler):
    """Two compilers at one object took each other's half-made file away."""
    names = [f"{n}_test.c" for n in range(8)]
    for name in names + ["shared.c"]:
        (tmp_path / name).write_text("/* sources: shared.c */")
    assert [error for _, _, error in hostbuild.build_all(names, [], []) if error] == []
    assert len(compiler.made) == 8 + 1 + 8


def test_source_saved_while_it_is_compiled_is_compiled_again(tmp_path, compiler):
    source = tmp_path / "a_test.c"
    source.write_text("/* old */")
    compiler.meanwhile = lambda: (guestlib.let_pass(0.02), source.write_text("/* new */"))
    list(hostbuild.build_all(["a_test.c"], [], []))
    compiler.meanwhile = lambda: None
    for _ in range(2):
        list(hostbuild.build_all(["a_test.c"], [], []))
    assert [name.startswith("build/host/obj") for name in compiler.made] == [True, False, True, False]


A_RUN = """
import os, signal, sys
sys.path.insert(0, sys.argv[1] + "/tests")
signal.signal(signal.SIGHUP, signal.SIG_DFL)
import guest
g = guest.Guest("run", smp=1, image="release").start()
print(g.name, g.pid(), flush=True)
sys.stdin.read()
"""


def a_run():
    """A test run of its own with a guest called run, the name it has got, and QEMU's pid."""
    p = subprocess.Popen([sys.executable, "-c", A_RUN, TOP], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    name, pid = p.stdout.readline().split()
    return p, name, int(pid)


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_guests_end_with_the_run_that_started_them(sig):
    """At once, or where nothing can be done then, at the start of the next run."""
    one, name, pid = a_run()
    two, other, second = a_run()
    assert name != other, "two runs would end each other's guest"
    one.send_signal(sig)
    one.wait(30)
    if sig == signal.SIGKILL:
        assert os.path.exists(f"/proc/{pid}")
        guestlib.end_orphans()
    guestlib.until(f"the end of QEMU, {pid}", lambda: not os.path.exists(f"/proc/{pid}"))
    assert os.path.exists(f"/proc/{second}")
    two.communicate(timeout=30)
    assert not os.path.exists(f"/proc/{second}")


def test_keys_made_by_several_at_once_are_one(scripts_only):
    makers = [subprocess.Popen(["bash", "-c", ". scripts/lib.sh; make_keys"], cwd=scripts_only, stderr=subprocess.PIPE,
                               text=True) for _ in range(8)]
    for p in makers:
        assert p.communicate(timeout=60)[1] == "" and p.returncode == 0
    keys = scripts_only / "build/ssh"
    assert {name.name for name in keys.iterdir()} == {
        "id_ed25519", "id_ed25519.pub", "host_ed25519", "host_ed25519.pub", "known_hosts"}
    for name in ("id", "host"):
        public = run("ssh-keygen", "-y", "-f", keys / f"{name}_ed25519").stdout.split()[:2]
        assert public == (keys / f"{name}_ed25519.pub").read_text().split()[:2]
    assert (keys / "known_hosts").read_text().split()[1:] == public


def test_known_hosts_has_a_key_that_another_makes_meanwhile(scripts_only):
    """One without RSA looks what keys there are; before it writes them down, one with RSA has come and gone."""
    other = 'mv() { [ "${2##*/}" != known_hosts ] || [ -e met ] || { : >met; bash -c ". scripts/lib.sh; make_keys host_rsa"; }; command mv "$@"; }'
    done = run("bash", "-c", f". scripts/lib.sh; {other}; make_keys", cwd=scripts_only)
    assert (done.returncode, done.stderr) == (0, "") and (scripts_only / "met").exists()
    known = (scripts_only / "build/ssh/known_hosts").read_text().splitlines()
    assert [line.split()[:2] for line in known] == [["tern", "ssh-ed25519"], ["tern", "ssh-rsa"]]


def test_one_run_of_the_tests_at_a_time(scripts_only):
    """Two at once in a checkout would take each other's objects, logs and images away."""
    (scripts_only / "tests/lint").mkdir(parents=True)
    ring = scripts_only / "tests/lint/run.sh"
    ring.write_text("#!/bin/sh\nmkdir busy || exit 1\nread go\nrmdir busy\necho ok lint_alone\n")
    ring.chmod(0o755)
    one, two = [subprocess.Popen([scripts_only / "scripts/test.sh", "lint", "--no-build"], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    # whichever was later says so, and waits for the end of the other, which is ours to say
    heads = {p: p.stderr.readline() for p in (one, two)}
    late = [p for p in (one, two) if "another scripts/test.sh is at work" in heads[p]]
    assert len(late) == 1, heads
    early = two if late[0] is one else one
    for p in (early, late[0]):
        out, err = p.communicate("go\n", timeout=60)
        assert out.splitlines()[-1] == "1 passed, 0 failed", heads[p] + err


@pytest.fixture
def rings(scripts_only):
    """test.sh with rings that are these commands: rings(words, lint=..., kernel=...) runs it."""
    places = {"lint": "tests/lint/run.sh", "host": "tests/host/run.py", "kernel": "scripts/ktest.py", "user": "tests/user/run.py",
              "fuzz": "tests/fuzz/run.py", "diff": "tests/diff/run.py", "explore": "scripts/explore.sh", "weak": "scripts/weak.py"}

    def go(words, env=None, **commands):
        for name, command in commands.items():
            file = scripts_only / places[name]
            file.parent.mkdir(parents=True, exist_ok=True)
            python = f"import subprocess, sys\nsys.exit(subprocess.run({command!r}, shell=True).returncode)"
            file.write_text(f"#!/bin/sh\n{command}\n" if file.suffix == ".sh" else python)
            file.chmod(0o755)
        return run(scripts_only / "scripts/test.sh", *words, "--no-build", env=dict(os.environ, **(env or {})))

    return go


def test_a_lane_that_dies_fails_its_rings(rings):
    done = rings(["kernel", "lint", "host"], kernel="echo ok kernel_one", explore="echo ok explored", host="echo ok host_one",
                 lint="echo ok lint_one; printf 'half a line'; kill -9 $PPID")
    assert done.returncode == 1 and done.stdout.splitlines()[-1] == "6 passed, 2 failed", done.stdout + done.stderr
    for name in ("lint", "host"):
        assert f"not ok {name}: its lane died before it ended\n" in done.stderr, done.stderr


def test_a_part_of_a_ring_that_fails_without_a_test_is_a_failure(rings):
    part = "if mkdir once; then echo ok kernel_one; exit 3; fi; echo ok kernel_two"
    done = rings(["kernel"], kernel=part, explore="echo ok explored")
    assert done.returncode == 1 and done.stdout.splitlines()[-1] == "5 passed, 1 failed", done.stdout + done.stderr
    assert "kernel: exit status 1" in done.stderr
    done = rings(["kernel", "-k", "two"], kernel="exit 5")
    assert done.returncode == 1 and done.stdout.splitlines()[-1] == "0 passed, 0 failed", done.stdout + done.stderr
    assert done.stderr.count('test.sh: no test has "two" in its name; asked: kernel\n') == 1, done.stderr
    done = rings(["kernel", "-k", "two"], kernel="if mkdir twice; then exit 5; fi; echo ok kernel_two")
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "1 passed, 0 failed", done.stdout + done.stderr
    assert "no test" not in done.stderr


@pytest.mark.parametrize("ring", ["lint", "host", "fuzz", "user", "diff"])
def test_a_ring_may_have_no_test_of_that_name_but_not_break(rings, ring):
    words = ["kernel", ring, "-k", "two"]
    done = rings(words, kernel="echo ok kernel_two", **{ring: "exit 5"})
    assert done.returncode == 0 and done.stdout.splitlines()[-1].endswith(" passed, 0 failed"), done.stdout + done.stderr
    done = rings(words, **{ring: "exit 2"})
    assert done.returncode == 1 and done.stdout.splitlines()[-1].endswith(" passed, 1 failed"), done.stdout + done.stderr
    assert f"{ring}: exit status" in done.stderr
    done = rings([ring], **{ring: "exit 5"})
    assert done.returncode == 1 and f"{ring}: exit status" in done.stderr, done.stdout + done.stderr


def test_no_test_of_that_name_has_a_status_of_its_own():
    """scripts/test.sh -k tells a ring without such a test from one that breaks by it."""
    for command in ("tests/lint/run.sh", "tests/host/run.py tests/host/rbtree_test.c", "tests/fuzz/run.py", "tests/user/run.py",
                    "tests/diff/run.py"):
        done = run(*f"{TOP}/{command} -k no_such_test".split())
        assert done.returncode == 5 and done.stdout.splitlines()[-1] == "0 passed, 0 failed", command + done.stdout + done.stderr


def test_quick_runs_any_ring_that_is_named(rings):
    """The user ring has three parts."""
    done = rings(["quick", "user", "lint"], user="echo ok user_one", lint="echo ok lint_one")
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "4 passed, 0 failed", done.stdout + done.stderr


@pytest.mark.parametrize("system, machine, status", [("Linux", "x86_64", 77), ("Darwin", "arm64", 0)])
def test_weak_is_for_arm64_hosts(tmp_path, rings, system, machine, status):
    """On any other one line says why, and nothing is built."""
    path = tools(tmp_path / "bin", uname=f"[ $1 = -s ] && echo {system} || echo {machine}")["PATH"]
    done = rings(["weak"], {"PATH": f"{path}:{os.environ['PATH']}"}, weak="echo ok weak_storms")
    assert done.returncode == status, done.stderr
    if status:
        one_line(done, "weak: this host cannot help: its CPU is x86_64", "arm64 host with KVM or HVF", status=77)
    else:
        assert done.stdout.splitlines() == ["ok weak_storms", "1 passed, 0 failed"]


def test_weak_wants_weak_outcomes_first():
    """Where the order is that of x86 it says that it proves nothing; here the storms run all the same, to try the script."""
    done = run(f"{TOP}/scripts/weak.py", "--accel", "tcg", "--seconds", "1", "--scale", "1", "--smp", "2", timeout=600)
    block = done.stdout[done.stdout.index("-----BEGIN TERN WEAK-----"):]
    if os.uname().machine != "x86_64":
        return
    assert done.returncode == 1 and block.splitlines()[-2].startswith("not ok weak_litmus: nobody saw"), done.stdout
    assert re.search(r"^litmus .*MP 0 of 16384, MP ordered 0 of 16384", block, re.M), block
    assert re.search(r"^storms \d+ s, 1 boots of 2 CPUs, \d+ tests passed; failures: 1$", block, re.M), done.stdout


def test_coverage_names_the_lines_that_ran(tmp_path):
    """Those of the wait queue when its storm runs, and none of a door nobody knocked at."""
    (tmp_path / "lines.json").write_text('{"host": {"fs/file.c": {"1": true, "2": false}}}')
    done = run(f"{TOP}/scripts/coverage.py", "--ring", "kernel", "-k", "wait_storm", "--out", tmp_path, timeout=600)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^fs +1 of +2 .*%", done.stdout, re.M), "the other ring's result is gone: " + done.stdout
    for floor, reached in (("sched", True), ("net", True), ("ssh", False)):
        assert re.search(rf"^{floor} +- +{'[1-9]' if reached else '0 of'}", done.stdout, re.M), done.stdout
    text = run(f"{TOP}/scripts/coverage.py", "--unreached", "sched/wait.c", "--out", tmp_path).stdout
    missed = {n for a, b in re.findall(r"(\d+)(?:-(\d+))?(?=,|$)", text.split("not reached: ")[1]) for n in range(int(a), int(b or a) + 1)}
    lines = guestlib.read_file(f"{TOP}/sched/wait.c").splitlines()
    assert missed and not missed & {n for n, line in enumerate(lines, 1) if "woken += thread_wake_locked(t, &kicks);" in line}
    assert missed & {n for n, line in enumerate(lines, 1) if "thread_trace(" in line}, text


def test_coverage_of_a_ring_that_fails_is_a_failure(tmp_path):
    done = run(f"{TOP}/scripts/coverage.py", "--ring", "kernel", "-k", "no_such_test", "--out", tmp_path, timeout=600)
    assert done.returncode == 1 and "scripts/ktest.py" in done.stderr, done.stdout + done.stderr


def test_replay_asks_for_no_port(tmp_path):
    """It has no network: neither a taken port nor a guest called default is in its way. A seed may have many digits."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        done = run(RUN, "--replay", "20261122123", "--port", s.getsockname()[1], "--image", guestlib.IMAGES["debug"], "--smp", "1",
                   "--append", "run='echo it $((6 * 7)) ran'")
    assert "it 42 ran" in done.stdout and "-seed" not in done.stderr, done.stdout[-2000:] + done.stderr
    assert "-seed 20261122123" in run(RUN, "--replay", "20261122123", *IMAGE, "--print").stdout


@pytest.fixture
def fetch(tmp_path):
    """fetch.sh of a folder in which all is there, and no mirror: what it says."""
    os.makedirs(tmp_path / "scripts")
    os.makedirs(tmp_path / "deps/dl")
    for name in ("scripts/fetch.sh", "scripts/apt.sh", "deps.lock"):
        shutil.copy(f"{TOP}/{name}", tmp_path / name)
    for name in os.listdir(f"{TOP}/deps/dl"):
        os.symlink(os.path.realpath(f"{TOP}/deps/dl/{name}"), tmp_path / "deps/dl" / name)
    for name in os.listdir(f"{TOP}/deps"):
        if os.path.exists(f"{TOP}/deps/{name}/.stamp"):
            os.symlink(os.path.realpath(f"{TOP}/deps/{name}"), tmp_path / "deps" / name)

    def go():
        done = run(tmp_path / "scripts/fetch.sh", env=dict(os.environ, TERN_MIRROR="http://127.0.0.1:1/debian"))
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        return done.stderr

    return go


def test_words_changed_in_the_lock_fetch_nothing(tmp_path, fetch):
    """What is there is known by its hash, not by the lock that asked for it."""
    lock = "# A word more.\n" + guestlib.read_file(f"{TOP}/deps.lock").replace("Use: ", "Use: also ")
    (tmp_path / "deps.lock").write_text(lock, encoding="utf-8")
    assert fetch() == ""
    assert guestlib.read_file(str(tmp_path / "deps/.fetched")) == lock


def test_what_an_earlier_commit_has_finished_is_unpacked_again(tmp_path, fetch):
    """The hash is the right one, but what is made of the package was less."""
    openssh = tmp_path / "deps/openssh"
    stamp = (openssh / ".stamp").read_text()
    openssh.unlink()
    openssh.mkdir()
    (openssh / ".stamp").write_text(stamp)
    assert re.fullmatch(r"fetch: unpacking openssh \S+\n", fetch())
    assert (openssh / "programs/sftp-server.c").exists() and (openssh / ".stamp").read_text() == stamp
    assert fetch() == ""


@pytest.mark.long
def test_two_builds_in_two_folders_are_identical(tmp_path):
    """I-BUILD-3"""
    copies = []
    for name in ("one", "a second folder"):
        copy = tmp_path / name
        subprocess.run(["git", "clone", "-q", TOP, str(copy)], check=True)
        os.symlink(os.path.realpath(f"{TOP}/deps"), copy / "deps")
        subprocess.run(["make", "-s"], cwd=copy, check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["make", "-s", "DEBUG=1"], cwd=copy, check=True, stdout=subprocess.DEVNULL)
        copies.append(copy)
    for image in ("build/release/Image", "build/debug/Image"):
        assert (copies[0] / image).read_bytes() == (copies[1] / image).read_bytes(), image


# What --image may use: a shell, what every system has, QEMU and OpenSSH.
PLAIN = ("bash sh env cat chmod mkdir rm mv cp tr sed grep awk wc df find sort head tail cut basename dirname readlink "
         "mktemp mkfifo sleep uname id tee nohup ssh ssh-keygen qemu-system-aarch64").split()


def tools(folder, *names, **fakes):
    """A PATH of its own with these tools and scripts in it."""
    folder.mkdir(exist_ok=True)
    for name in names:
        os.symlink(shutil.which(name), folder / name)
    for name, text in fakes.items():
        name = name.replace("_", "-")
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_text("#!/bin/sh\n" + text)
        (folder / name).chmod(0o755)
    return dict(os.environ, PATH=str(folder))


def one_line(done, *words, status=125):
    assert done.returncode == status, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0], lines[0]


@pytest.fixture
def scripts_only(tmp_path):
    """The scripts alone in a folder: nothing fetched, nothing built."""
    copy = tmp_path / "copy"
    shutil.copytree(f"{TOP}/scripts", copy / "scripts")
    for name in ("deps.lock", "Makefile"):
        shutil.copy(f"{TOP}/{name}", copy / name)
    return copy


def test_ready_image_needs_only_qemu_and_ssh(tmp_path, scripts_only):
    done = run(scripts_only / "scripts/run-qemu.sh", *IMAGE, "--", "echo", "here", env=tools(tmp_path / "bin", *PLAIN))
    assert (done.returncode, done.stdout, done.stderr) == (0, "here\n", "")


def test_without_apt_one_line_says_what_to_install(tmp_path):
    env = tools(tmp_path / "bin", *PLAIN, "python3")
    one_line(run(RUN, "--", "true", env=env), "no apt", "gcc-aarch64-linux-gnu", "make", "xz-utils")
    done = run(f"{TOP}/scripts/test.sh", env=env)
    done.stderr = done.stderr.removeprefix("== set-up\n")
    one_line(done, "no apt", "clang", "gdb-multiarch")


def test_no_install_lists_and_stops(tmp_path):
    env = tools(tmp_path / "bin", *PLAIN, "python3", "xz", apt_get="echo apt was called; exit 1")
    done = run(RUN, "--no-install", "--", "true", env=env)
    assert done.returncode == 125
    assert done.stderr.splitlines() == [
        "setup: missing: gcc-aarch64-linux-gnu (compiles the kernel and the user programs)",
        "setup: missing: binutils-aarch64-linux-gnu (links them)", "setup: missing: make (builds)"]


def test_neither_root_nor_sudo(tmp_path):
    env = tools(tmp_path / "bin", *PLAIN, "python3", "xz", apt_get="exit 1", id="echo 1000")
    one_line(run(RUN, "--", "true", env=env), "no sudo", "apt-get install gcc-aarch64-linux-gnu")


def test_set_up_installs_through_sudo(tmp_path):
    """sudo runs apt-get, which here makes the tools that were missing; then nothing is missing any more."""
    folder = tmp_path / "bin"
    env = tools(folder, *PLAIN, "python3", "xz", "ln", id="echo 1000", sudo=f'echo "$*" >>"{tmp_path}/sudo"; exec "$@"',
                apt_get=f"case $* in *install*) for t in aarch64-linux-gnu-gcc aarch64-linux-gnu-ld make; do "
                        f"ln -sf /bin/true '{folder}'/$t; done;; esac")
    for _ in range(2):
        done = run(f"{TOP}/scripts/setup.sh", env=env)
        assert done.returncode == 0, done.stderr
    calls = (tmp_path / "sudo").read_text().splitlines()
    assert len(calls) == 2 and calls[0].endswith("update"), calls
    assert calls[1].endswith("gcc-aarch64-linux-gnu binutils-aarch64-linux-gnu make"), calls


def test_missing_ssh_is_named(tmp_path):
    env = tools(tmp_path / "bin", *[name for name in PLAIN if name != "ssh"])
    one_line(run(RUN, *IMAGE, "--", "true", env=env), "ssh is missing", "openssh-client")


def test_failed_download_and_wrong_checksum(tmp_path):
    """No mirror: one last line says what to do. A damaged file is dropped, a whole one kept; the next run goes on."""
    deps = tmp_path / "deps"
    os.makedirs(deps / "dl")
    for name in os.listdir(f"{TOP}/deps/dl"):
        if name.endswith((".deb", ".xz", ".gz")):
            shutil.copy(f"{TOP}/deps/dl/{name}", deps / "dl" / name)
    lwip, = (deps / "dl").glob("lwip*")
    whole = lwip.read_bytes()
    lwip.write_bytes(whole[:-1] + b"x")
    env = dict(os.environ, TERN_DEPS=str(deps), TERN_MIRROR="http://127.0.0.1:1/debian")
    done = run(f"{TOP}/scripts/fetch.sh", env=env)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0] == f"fetch: {lwip.name} has a wrong checksum: dropped"
    assert lines[-1].startswith(f"fetch: could not get {lwip.name}: try again later")
    assert not lwip.exists()
    lwip.write_bytes(whole)
    done = run(f"{TOP}/scripts/fetch.sh", env=env)
    assert done.returncode == 0, done.stderr
    assert "downloading" not in done.stderr and (deps / "lwip/src/core").is_dir()


def test_failed_fetch_is_said_once(tmp_path, scripts_only):
    """The build is not tried without its sources, and adds no line of its own."""
    (scripts_only / "scripts/fetch.sh").write_text("#!/bin/sh\necho fetch: no mirror >&2\nexit 1\n")
    (scripts_only / "scripts/setup.sh").write_text("#!/bin/sh\nexit 0\n")
    one_line(run(scripts_only / "scripts/run-qemu.sh", "--", "true"), "fetch: no mirror")


def test_somebody_elses_checkout(scripts_only):
    """Nothing was begun that a second run could go on with."""
    (scripts_only / "scripts/setup.sh").write_text("#!/bin/sh\nexit 0\n")
    (scripts_only / "deps").mkdir()
    shutil.copy(scripts_only / "deps.lock", scripts_only / "deps/.fetched")
    (scripts_only / "build").mkdir()
    (scripts_only / "build").chmod(0o555)
    plain = ["setpriv", "--bounding-set=-dac_override"] if os.getuid() == 0 else []
    done = run(*plain, scripts_only / "scripts/run-qemu.sh", "--", "true")
    one_line(done, "cannot write to ", "build: it belongs to another user")


def test_full_disk(tmp_path, scripts_only):
    """df says how much room there is; both who ask it say what to do."""
    fake = "echo Filesystem; echo disk 1000000 900000 51200 90% /"
    env = dict(os.environ, PATH=f"{tools(tmp_path / 'bin', df=fake)['PATH']}:{os.environ['PATH']}")
    one_line(run(scripts_only / "scripts/run-qemu.sh", "--", "true", env=env), "only 50 MB free", "make room")
    done = run(f"{TOP}/scripts/fetch.sh", env=dict(env, TERN_DEPS=str(tmp_path / "deps")))
    one_line(done, "less than 200 MB free", "make room", status=1)


@pytest.fixture
def no_build(scripts_only):
    """run-qemu.sh of a copy whose set-up says that it was begun."""
    (scripts_only / "scripts/setup.sh").write_text("#!/bin/sh\necho the set-up begins >&2\nexit 1\n")
    return scripts_only / "scripts/run-qemu.sh"


@pytest.mark.parametrize("words, what", [
    (["--put", "/no/such"], "--put /no/such: no such file"), (["--put", "/:x"], "--put /:x: no such file"),
    (["--root", "/no/such"], "no such folder"), (["--mutant", "no_such_bug"], "no mutant is called no_such_bug"),
    (["--mem", "7M"], "from 8M to 255G"), (["--mem", "0"], "from 8M to 255G"), (["--mem", "256G"], "from 8M to 255G"),
    (["--mem", "M"], "a size as"), (["--key", "/"], "no such file"), (["--image", "/"], "no such file"),
    (["--daemon", "--", "true"], "--daemon and a command"), (["--stop", "--", "true"], "--stop and a command"),
    (["--gdb", "--", "true"], "--gdb: a command")])
def test_wrong_option_is_found_before_the_set_up(no_build, words, what):
    one_line(run(no_build, *words), what)


def test_unreadable_root_is_found_before_the_set_up(no_build, tmp_path):
    def user(*words):
        plain = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
        return run(*plain, *words, cwd=tmp_path)
    for path in ("root/etc/secret", "folder/shut/file"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text("mine")
    (tmp_path / "root/etc/secret").chmod(0)
    (tmp_path / "folder/shut").chmod(0o711)
    one_line(user(no_build, "--root", "root"), "--root root: etc/secret cannot be read")
    (tmp_path / "folder/shut").chmod(0)
    one_line(user(no_build, "--root", "folder"), "--root folder: shut cannot be read")
    one_line(user(no_build, "--put", "root/etc/secret"), "--put root/etc/secret: no such file")


def test_right_options_reach_the_set_up(no_build):
    for words in (["--mem", "8M"], ["--mem", "255G"], ["--mem", "512"], ["--root", f"{TOP}/docs"], ["--put", f"{TOP}/README.md:/tmp/"]):
        one_line(run(no_build, *words, "--", "true"), "the set-up begins")


def test_who_waits_for_a_build_says_for_whose(tmp_path, scripts_only):
    """One builds until we say so; the other names it, and goes on when it has ended."""
    (scripts_only / "Makefile").write_text("all:\n\t@echo CC begun\n\t@read go\n")
    command = ["bash", "-c", ". scripts/lib.sh; build | show_progress", "builder"]
    one, two = [subprocess.Popen(command, cwd=scripts_only, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    heads = {p: p.stderr.readline() for p in (one, two)}
    late, early = (one, two) if heads[two] == "building\n" else (two, one)
    assert heads[late] == f"another build is at work in this checkout: waiting for builder, process {early.pid}\n", heads
    for p in (early, late):
        p.communicate("go\n", timeout=60)
        assert p.returncode == 0
    assert (scripts_only / "build/.lock").read_text() == ""


def test_no_bug_to_put_back_has_its_reason():
    for words, reason in ((["--blind"], "# tests/mutants/blind/ holds no NAME.patch to try"), (["-k", "no_such_bug"], "# no bug put back is called")):
        if words == ["--blind"] and glob.glob(f"{TOP}/tests/mutants/blind/*.patch"):
            continue
        done = run(f"{TOP}/tests/mutants/run.py", *words)
        assert (done.returncode, done.stdout.splitlines()[1:]) == (5, ["0 passed, 0 failed"])
        assert done.stdout.startswith(reason)


@pytest.mark.parametrize("system, machine, accel", [("Darwin", "arm64", "hvf"), ("Linux", "aarch64", "kvm"),
                                                    ("Linux", "x86_64", "tcg,thread=multi")])
def test_acceleration_follows_the_host(tmp_path, system, machine, accel):
    if accel == "kvm" and not os.access("/dev/kvm", os.W_OK):
        accel = "tcg,thread=multi"
    fake = f"[ $1 = -s ] && echo {system} || echo {machine}"
    env = dict(os.environ, PATH=f"{tools(tmp_path / 'bin', uname=fake)['PATH']}:{os.environ['PATH']}")
    done = run(RUN, "--print", *IMAGE, env=env)
    assert done.returncode == 0
    assert accel.replace(",", "\\,") in done.stdout
    assert ("untried" in done.stderr) == (accel in ("kvm", "hvf"))
    assert run(RUN, "--print", "--cpu", "cortex-a53", *IMAGE, env=env).stderr == ""


def test_debug_and_append():
    words = shlex.split(run(RUN, "--print", "--debug", "--append", "perturb=7", "--append", "quiet").stdout)
    assert f"{TOP}/build/debug/Image" in words and "norandom perturb=7 quiet" in words
    assert "build/release/Image" in run(RUN, "--print").stdout


def test_key_may_log_in(tmp_path):
    """--key lets in its owner, and no key of ~/.ssh any more; this checkout's key always works."""
    for name in ("mine", "home"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name)
    os.makedirs(tmp_path / ".ssh")
    shutil.copy(tmp_path / "home.pub", tmp_path / ".ssh/id.pub")
    environment = {"HOME": str(tmp_path)}
    for options, allowed in (([], {"home"}), (["--key", f"{tmp_path}/mine.pub"], {"mine"})):
        with guestlib.Guest("keys", smp=1, image="release", options=options, environment=environment) as g:
            entered = set()
            for name in ("mine", "home"):
                done = run("ssh", "-F", "/dev/null", "-p", g.port, "-i", tmp_path / name, "-o", "IdentitiesOnly=yes", "-o",
                           "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes",
                           "root@127.0.0.1", "true")
                if done.returncode == 0:
                    entered.add(name)
            assert entered == allowed
            assert g.ssh("true").returncode == 0
    one_line(run(RUN, "--key", tmp_path / "mine", *IMAGE), "is a private key")


def test_forward_reaches_the_guest():
    """A second door to the guest's port 22, and a taken port named."""
    port = guestlib.free_port()
    with guestlib.Guest("forward", smp=1, image="release", options=["--forward", f"{port}:22"]):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
            assert s.recv(8) == b"SSH-2.0-"
        one_line(run(RUN, "--forward", f"{port}:22", *IMAGE, "--", "true"), f"port {port} is taken", "try --forward")


def test_gdb_stops_at_the_door_of_the_kernel(tmp_path):
    """The guest waits for the debugger; kernel_main() has a backtrace; scripts/gdb/tern.py lists the threads."""
    port = guestlib.free_port()
    done = run(RUN, "--image", guestlib.IMAGES["debug"], "--gdb", "--daemon", "--name", "gdb", "--port", port,
               env=dict(os.environ, HOME=str(tmp_path)))
    try:
        assert done.returncode == 0, done.stderr
        assert "--stop --name gdb" in done.stderr and "a key of" not in done.stderr
        target = re.search(r"'(target remote 127\.0\.0\.1:\d+)'", done.stderr).group(1)
        words = ["-batch", "-nx", "-x", f"{TOP}/scripts/gdb/tern.py", "-ex", target, "-ex", "hbreak kernel_main", "-ex", "continue",
                 "-ex", "backtrace", "-ex", "delete", "-ex", "hbreak ssh_server_start", "-ex", "continue", "-ex", "threads"]
        text = run("gdb-multiarch", *words, f"{TOP}/build/debug/tern.elf").stdout
        assert re.search(r"#0 +kernel_main \(", text), text[-2000:]
        assert re.search(r"THREAD_\w+ \(.*\n +Line \d+ of ", text), text[-2000:]
    finally:
        run(RUN, "--stop", "--name", "gdb")


def test_every_option_is_in_the_help():
    for script in ("run-qemu.sh", "test.sh", "setup.sh", "fetch.sh"):
        text = guestlib.read_file(f"{TOP}/scripts/{script}")
        taken = set(re.findall(r"^\s+((?:-[\w-]+(?: \| )?)+)\)", text, re.M))
        options = {word for words in taken for word in words.split(" | ")} - {"--", "-h"}
        done = run(f"{TOP}/scripts/{script}", "--help")
        assert done.returncode == 0 and options, script
        for option in options:
            assert re.search(rf"(?<![\w-]){option}(?![\w-])", done.stdout), f"{script} {option}"


@pytest.mark.parametrize("name", ["ktest.py", "coverage.py", "weak.py", "explore.sh", "trace.py"])
def test_help_has_one_form(name):
    """Usage, what it does, a line for each option there is, the exit status; and a wrong option is one line, status 2."""
    done = run(f"{TOP}/scripts/{name}", "--help")
    head, *lines = done.stdout.splitlines()
    assert done.returncode == 0 and re.match(rf"usage: scripts/{re.escape(name)} .*\[OPTION\.\.\.\]", head), done.stdout
    assert re.match("[A-Z]", lines[0]) and lines[-1].startswith("Exit status: 0"), done.stdout
    taken = re.findall(r'add_argument\("(-[\w-]+)"', guestlib.read_file(f"{TOP}/scripts/{name.split('.')[0]}.py"))
    said = [line.split()[0].split("[")[0] for line in lines if re.match("  -", line)]
    assert set(said) == {*taken, "--help"} and len(said) == len(set(said)), done.stdout
    one_line(run(f"{TOP}/scripts/{name}", "--no-such"), f"scripts/{name}: ", "see --help", status=2)


def test_every_script_says_what_it_does():
    """And with --help does nothing else."""
    for folder, names in {"scripts": None, "tests": ["mix.py", "soak.py", "traffic.py"], "tests/lint": ["run.sh"], "tests/host": ["run.py"],
                          "tests/fuzz": ["run.py"], "tests/user": ["run.py"], "tests/diff": ["run.py"], "tests/mutants": ["run.py"],
                          "tests/bench": ["run.py"]}.items():
        for name in names or sorted(set(os.listdir(f"{TOP}/{folder}")) - {"apt.sh", "lib.sh", "gdb", "__pycache__"}):
            program = ["bash" if name.endswith(".sh") else sys.executable, f"{TOP}/{folder}/{name}"]
            done = run(*program, "--help", timeout=60)
            assert (done.returncode, done.stderr) == (0, "") and name.split(".")[0] in done.stdout, f"{folder}/{name}: {done.stdout}"


def test_make_help_lists_every_goal():
    goals = re.search(r"^\.PHONY: (.*)$", guestlib.read_file(f"{TOP}/Makefile"), re.M).group(1).split()
    done = run("make", "help", cwd=TOP)
    assert done.stderr == ""
    for goal in set(goals) - {"all", "FORCE"}:
        assert f"make {goal} " in done.stdout, goal
