# SPDX-License-Identifier: MIT
"""docs/first-hour.md and the README's session, done word for word: what they say is what happens.

In the walk, a block marked sh is typed into a shell, one marked guest into the guest's; each line of the block
marked output must then have been printed."""
import os
import re
import shutil
import subprocess

import pytest

import guest as guestlib
from terminal import Terminal

pytestmark = pytest.mark.own_image("a checkout of its own")

TOP = guestlib.TOP
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


def walk():
    """{number of the step: [(kind, text)]}"""
    steps = re.split(r"^## (\d)\. .*$", guestlib.read_file(f"{TOP}/docs/first-hour.md"), flags=re.M)
    return {int(number): BLOCK.findall(text) for number, text in zip(steps[1::2], steps[2::2])}


def texts(step, kind):
    return [text for k, text in walk()[step] if k == kind]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A repository that holds what lies here, with the fetched sources at hand."""
    copy = tmp_path_factory.mktemp("walk") / "tern"
    names = subprocess.run([f"{TOP}/tests/lint/ours.sh"], stdout=subprocess.PIPE, text=True, check=True).stdout.split("\n")
    for name in filter(None, names):
        if os.path.isfile(f"{TOP}/{name}"):
            os.makedirs(os.path.dirname(copy / name), exist_ok=True)
            shutil.copy(f"{TOP}/{name}", copy / name)
    os.symlink(os.path.realpath(f"{TOP}/deps"), copy / "deps")
    git = ["git", "-C", copy, "-c", "user.name=walker", "-c", "user.email=walker@localhost", "-c", "commit.gpgsign=false"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "tree: as it is"], check=True)
    return copy


class Walker(guestlib.Client):
    """Who asks the guest of the walk without being seen."""

    def __init__(self, checkout):
        self.config = f"{checkout}/build/ssh/config"


def test_steps_1_and_2_boot_and_log_in(checkout):
    boot, = texts(1, "sh")
    login, hello = texts(2, "sh")
    lines = texts(2, "guest")[0].splitlines()
    port = guestlib.free_port()
    # The port, the image and the checkout are ours: 2222 may be somebody's, and so is the file that "ssh -F" is given.
    with Terminal(*boot.split(), "--image", guestlib.IMAGES["release"], "--port", str(port), cwd=checkout) as console:
        for line in texts(1, "output")[0].splitlines():
            console.expect(re.escape(line))
        console.expect("# ")
        with Terminal(*login.split(), cwd=checkout) as shell:
            shell.expect("# ")
            shell.type(lines[0] + "\r")
            shell.expect(r"MemTotal: +\d+ kB")
            shell.expect("# ")
            shell.type(lines[1] + "\r")
            shell.expect(r"\d")
            shell.expect("# ")
            shell.type(lines[2] + "\r")
            Walker(checkout).wait_for_foreground("burn")
            shell.type("\x03")
            shell.expect("# ")
            shell.type("exit\r")
            shell.wait()
        with Terminal(*hello.split(), cwd=checkout) as one, Terminal(*hello.split(), cwd=checkout) as two:
            for n in range(1, 11):
                one.expect(rf"hello \({n}/5000\)\n")
                two.expect(rf"hello \({n}/5000\)\n")
        console.type("\x01x")
        assert console.wait() == 0


def test_steps_3_and_4_name_what_is_there():
    """Each file named is there, and each function in a file that is named with it."""
    text = guestlib.read_file(f"{TOP}/docs/first-hour.md")
    paragraphs = re.split(r"\n\n|\n(?=\d\. )", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))
    for paragraph in paragraphs:
        files = re.findall(r"`([\w./-]+/[\w.-]+\.(?:c|h|S|def|py))`", paragraph)
        for name in files:
            assert os.path.exists(f"{TOP}/{name}"), name
        for function in re.findall(r"`(\w+)\(\)`", paragraph):
            if files:
                assert any(re.search(rf"\b{function}\b", guestlib.read_file(f"{TOP}/{f}")) for f in files), function
            else:
                found = subprocess.run(["grep", "-rlqw", function, "--include=*.c", "."], cwd=TOP, check=False)
                assert found.returncode == 0, function
    text += guestlib.read_file(f"{TOP}/docs/appendix.md")
    for name in re.findall(r"`([\w-]+\.md)`", text):
        assert os.path.exists(f"{TOP}/docs/{name}"), name
    for name in re.findall(r"`(\w[\w-]*/[\w./-]+\.\w+)`", text):
        assert os.path.exists(f"{TOP}/{name}") or name.startswith("build/"), name


@pytest.mark.long
def test_steps_5_and_6_break_a_rank_and_mend_it(checkout):
    """The edit of the walk in a checkout of its own, its panic read; then every quick test there."""
    edit, run = texts(5, "sh")
    subprocess.run(["bash", "-ec", edit], cwd=checkout, check=True)
    assert subprocess.run(["git", "diff", "--quiet"], cwd=checkout, check=False).returncode == 1
    done = subprocess.run(["bash", "-c", run], cwd=checkout, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    assert done.returncode == 125, done.stdout[-3000:]
    for line in texts(5, "output")[0].splitlines():
        assert line in done.stdout, f"{line}\n{done.stdout[-3000:]}"
    mend, = texts(6, "sh")
    done = subprocess.run(["bash", "-ec", mend], cwd=checkout, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert texts(6, "output")[0].strip() in done.stdout.splitlines()[-1]


def masked(text):
    """What a machine of another speed, or another day, prints differently."""
    return re.sub(r"\d+", "N", text).split()


def test_session_of_the_readme():
    """Its commands, typed again, print what it shows; numbers may differ."""
    session = dict(BLOCK.findall(guestlib.read_file(f"{TOP}/README.md")))["text"]
    with guestlib.Guest("readme", image="release") as g:
        with Terminal("ssh", "-F", g.config, "tern") as shell:
            first, *commands = re.split(r"^tern:~# ", session, flags=re.M)
            greeting = first.split("\n", 1)[1]
            shell.expect(r"\n(?=tern )|^(?=tern )")
            assert masked(greeting) == masked(shell_until_prompt(shell))
            for part in commands:
                command, _, printed = part.partition("\n")
                shell.type(command + "\r")
                shell.expect(re.escape(command) + r"\n") if command != "exit" else None
                if command == "exit":
                    break
                assert masked(printed) == masked(shell_until_prompt(shell)), command


def shell_until_prompt(shell):
    """BusyBox asks the terminal behind its prompt where the cursor is."""
    return shell.expect("(?s)^(.*?)tern:~# (?:\x1b\\[6n)?").group(1)
