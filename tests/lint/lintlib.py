# SPDX-License-Identifier: MIT
"""What the lint checks share: the list of our files, C text without its comments, and the report."""
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.chdir(TOP)

# The folders that make the kernel; tests/kernel is linked into the debug image.
KERNEL = ("lib/", "arch/", "kernel/", "drivers/", "mm/", "sched/", "fs/", "net/", "ssh/")

findings = []


def files(*endings, under=None):
    """Our files, committed or about to be, with one of these endings."""
    out = subprocess.run(["tests/lint/ours.sh"], stdout=subprocess.PIPE, check=True, text=True).stdout
    names = [n for n in out.splitlines() if os.path.isfile(n)]
    return [n for n in sorted(set(names)) if n.endswith(endings or ("",))
            and (under is None or n.startswith(under))]


def text_of(name):
    with open(name, encoding="utf-8", errors="replace") as f:
        return f.read()


def blank(match):
    """Spaces in place of a match, line ends kept, so that line numbers stay true."""
    return re.sub(r"[^\n]", " ", match.group(0))


def code_of(name):
    """C text with comments blanked."""
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(pattern, lambda m: blank(m) if m.group(0)[0] == "/" else m.group(0),
                  text_of(name), flags=re.S)


def bad(name, line, why):
    findings.append(f"{name}:{line}: {why}")


def finish(summary=""):
    """Print the findings, or the summary of a clean check, and leave with the right status."""
    if findings:
        print("\n".join(findings))
        sys.exit(1)
    if summary:
        print(summary)
    sys.exit(0)
