# SPDX-License-Identifier: MIT
"""BusyBox's shell through exec requests. Its language at length: tests/diff/shell.sh; at a terminal: test_pty.py."""
import pytest

LANGUAGE = [
    ("echo one two", "one two\n", 0),
    ("echo 'a  b'  \"c  d\" e\\ f", "a  b c  d e f\n", 0),
    ("echo \"a'b\" 'c\"d' \"e\\\"f\" \\$x", "a'b c\"d e\"f $x\n", 0),
    ("echo '' \"\" | sink", "2 ", 0),
    ("true; echo $?; false; echo $?", "0\n1\n", 0),
    ("true && echo yes || echo no", "yes\n", 0),
    ("false && echo yes || echo no", "no\n", 0),
    ("false || false; echo $?", "1\n", 0),
    ("true || echo never; echo then", "then\n", 0),
    ("echo a | cat | cat", "a\n", 0),
    ("true | false", "", 1),
    ("false | true", "", 0),
    ("echo x >/tmp/sh1; echo y >>/tmp/sh1; cat </tmp/sh1", "x\ny\n", 0),
    (">/tmp/sh2; cat /tmp/sh2; echo $?", "0\n", 0),
    ("cat /no/such/file 2>/tmp/sh3; echo $?; cat /tmp/sh3",
     "1\ncat: can't open '/no/such/file': No such file or directory\n", 0),
    ("cat /no/such/file 2>&1 | cat", "cat: can't open '/no/such/file': No such file or directory\n", 0),
    ("cd /tmp; pwd; cd /; pwd", "/tmp\n/\n", 0),
    ("cd /no/such/folder; echo $?", "2\n", 0),
    ("export A=b; echo $A ${A}c \"$A\" '$A'", "b bc b $A\n", 0),
    ("echo a#b # c", "a#b\n", 0),
    ("exit 7; echo never", "", 7),
    ("false; exit", "", 1),
    ("sh -c 'exit 300'", "", 44),
    ("echo one\necho two", "one\ntwo\n", 0),
    ("hello 2 1 & wait; echo done", "hello (1/2)\nhello (2/2)\ndone\n", 0),
    ("sh -c 'kill -9 $$'; echo $?", "137\n", 0),
    ("/etc/passwd; echo $?", "126\n", 0),
    ("echo a | | cat", "", 2),
    ("echo 'open", "", 2),
    ("echo (", "", 2),
    ("cat <", "", 2),
    ("echo $(echo a; echo b) `echo c` $((2 + 3 * 4))", "a b c 14\n", 0),
    ("(cd /tmp; pwd); pwd", "/tmp\n/root\n", 0),
    ("for i in 1 2 3; do echo $i; done | while read n; do echo $((n * n)); done", "1\n4\n9\n", 0),
    ("trap 'echo bye' EXIT; exit 3", "bye\n", 3),
    ("trap 'echo got' TERM; kill $$; echo on", "got\non\n", 0),
    ("sleep 100 & kill $!; wait $!; echo $?", "143\n", 0),
    ("yes | head -n 2", "y\ny\n", 0),
    ("exec echo no shell left", "no shell left\n", 0),
    ("echo $0 $-", "sh c\n", 0),
]


@pytest.mark.parametrize("text,stdout,status", LANGUAGE)
def test_language(guest, text, stdout, status):
    done = guest.ssh(text)
    assert done.stdout.decode().startswith(stdout) if stdout.endswith(" ") else done.stdout.decode() == stdout
    assert done.returncode == status


def test_script_on_standard_input(guest):
    done = guest.ssh("sh", data=b"echo one\necho \"two\nthree\"\nexit 4\necho never\n")
    assert (done.stdout, done.returncode) == (b"one\ntwo\nthree\n", 4)


def test_long_pipeline(guest):
    text = "flood 100000 3 | " + "cat | " * 8 + "sink"
    assert guest.ssh(text, timeout=60).stdout.split()[0] == b"100000"
