# SPDX-License-Identifier: MIT
"""The two commands: their options, their errors of one line, and that a build gives the same bytes anywhere."""
import hashlib
import os
import shutil
import socket
import subprocess
import time

import pytest

import guest as guestlib

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


def test_a_taken_port_names_a_free_one():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        done = run(RUN, "--port", port, *IMAGE)
    assert done.returncode == 125
    assert f"port {port} is taken: try --port " in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command, status, out", [(["true"], 0, ""), (["false"], 1, ""), (["echo", "a", "b"], 0, "a b\n"),
                                                  (["sh", "-c", "'exit 9'"], 9, ""), (["no-such-program"], 127, "")])
def test_command_is_passed_through(command, status, out):
    done = run(RUN, *IMAGE, "--", *command)
    assert (done.returncode, done.stdout) == (status, out), done.stderr


def test_command_with_input():
    done = run(RUN, *IMAGE, "--", "sink", stdin=None, input="x" * 100000)
    assert done.stdout.split() == ["100000", hashlib.sha256(b"x" * 100000).hexdigest()], done.stderr


def test_nothing_is_left_running():
    run(RUN, *IMAGE, "--", "true")
    assert not [d for d in os.listdir(f"{TOP}/build/run") if d.startswith("command.")]


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
    assert run(RUN, "--stop", "--name", "options").returncode == 125


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


def test_boot_to_login_is_quick():
    """Not a bench: a bound that only a hang or a polled wait would break."""
    begin = time.monotonic()
    run(RUN, *IMAGE, "--", "true")
    assert time.monotonic() - begin < 10
