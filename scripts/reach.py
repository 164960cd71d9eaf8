#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""reach.py [-v] -- which of our code a client can reach before it is logged in, in lines by file: without the crypto packages,
and without the floors below ssh/, but for lib/'s parsers.

A function is reached if one that is reached names it, or names a table that does, or calls the member of a reached table that
it is (".member = function", "->member("); a name stands first for what its own file has. So too much may count, too little may
not. The roots are what accepts a connection, what serves it, and what the crypto packages call. What ends it is a gate, "if
(nobody is logged in) return" at a function's first level: what the function names behind it does not count (I-SSH-18). Of a file
all counts but the functions and tables that are not reached, of a header the inline functions that are. -v names them."""
import glob
import os
import re
import sys

LIMIT = 3000
SCOPE = ("ssh/*.[ch]", "ssh/server/*.[ch]", "lib/cursor.[ch]", "lib/base64.[ch]", "lib/passwd.[ch]")
ROOTS = ("accept_all", "login_thread")
SHIM = "ssh/sodium_shim.c"      # whose functions libsodium calls
GATE = re.compile(r"^\tif \((?:[cs]->stage == CONN_LOGIN|c->phase != SSH_PHASE_OPEN|c->chans\.cap == 0)"
                  r"(?: \|\| .*)?\)\n\t\treturn\b", re.M)
CALL = re.compile(r"(?:->|\.)(\w+)\(")
WORD = re.compile(r"[A-Za-z_]\w*")


def code_of(path):
    def blank(found):
        text = found.group(0)
        return '""' if text[0] == '"' else "\n" * text.count("\n") if text[0] == "/" else "0"
    with open(path, encoding="utf-8") as f:
        return re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])'", blank, f.read(), flags=re.S)


def code_lines(lines):
    return [line for line in lines if line.strip()]


class Thing:
    """A function, or a table with an initializer."""
    def __init__(self, path, name, lines, body, is_function):
        self.path, self.name, self.lines, self.is_function = path, name, len(code_lines(lines)), is_function
        self.is_private = lines[0].startswith(("static", "#", "}"))
        self.gate = GATE.search(body) if is_function else None
        # a row of the dispatch table that is for those alone who are logged in (I-SSH-4)
        body = re.sub(r"\{ \w+, SSH_PHASE_OPEN, \w+ \}", "", body)
        self.members = [] if is_function else re.findall(r"\.(\w+) = (\w+)\b", body)
        if not is_function:
            body = re.sub(r"\.\w+ = \w+\b", "", body)
        body = body[:self.gate.start()] if self.gate else body
        self.words, self.calls = set(WORD.findall(body)), set(CALL.findall(body))


def things_of(path):
    """What is at file scope, by the style's own rule: a function's body is between "{" and "}" alone at the first column, a
    table's between "= {" and "};"."""
    lines, head, start, table = code_of(path).split("\n"), 0, None, None
    for number, line in enumerate(lines):
        found = re.match(r"(?!\s|#).*?\b(\w+)(?:\[[^\]]*\])* = \{", line)
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            signature = " ".join(lines[head:start])
            yield Thing(path, re.search(r"(\w+)\(", signature).group(1), lines[head:number + 1],
                        "\n".join(lines[start + 1:number]), True)
            start = None
        elif found and table is None:
            table, name = number, found.group(1)
        define = re.match(r"#define (\w+)", line)
        if define and start is None:
            last = next(i for i in range(number, len(lines)) if not lines[i].endswith("\\"))
            yield Thing(path, define.group(1), lines[number:last + 1], "\n".join(lines[number:last + 1])[8 + len(define.group(1)):],
                        False)
        if table is not None and line.endswith("};"):
            yield Thing(path, name, lines[table:number + 1], "\n".join(lines[table:number + 1]), False)
            table = None
        if start is None and (not line or line[0] in "#}" or (line[0] not in "\t {" and line.endswith(";"))):
            head = number + 1


def reached_things():
    """What is reached, and how many lines that is by file."""
    files = sorted(f for pattern in SCOPE for f in glob.glob(pattern))
    things = [t for f in files for t in things_of(f)]
    own, public = {}, {}
    for t in things:
        own.setdefault((t.path, t.name), []).append(t)
        if not (t.path.endswith(".c") and t.is_private):
            public.setdefault(t.name, []).append(t)
    reached, calls, members, left = set(), set(), set(), [t for t in things if t.name in ROOTS or t.path == SHIM]
    while left:
        t = left.pop()
        if t not in reached:
            reached.add(t)
            calls |= t.calls
            members |= {(t.path, *m) for m in t.members}
            words = {(t.path, word) for word in t.words} | {(p, function) for p, name, function in members if name in calls}
            for path, word in words:
                left += own.get((path, word)) or public.get(word, [])
    counted = {t.path for t in reached if t.is_function}
    by_file = {f: len(code_lines(code_of(f).split("\n"))) - sum(t.lines for t in things if t.path == f and t not in reached)
               for f in counted if not f.endswith(".h")}
    for t in reached:
        if t.is_function and t.path.endswith(".h"):
            by_file[t.path] = by_file.get(t.path, 0) + t.lines
    return reached, by_file


def show(verbose=False):
    reached, by_file = reached_things()
    for t in sorted(reached, key=lambda t: (t.path, t.name)) if verbose else []:
        print(f"{t.path}: {t.name}{' (gate)' if t.gate else ''}")
    for path, lines in sorted(by_file.items()):
        print(f"{path:<40} {lines:>6}")
    total = sum(by_file.values())
    print(f"{'reached before a login':<40} {total:>6} of at most {LIMIT}{': too much' if total > LIMIT else ''}")
    return total


if __name__ == "__main__":
    if "--help" in sys.argv:
        sys.exit(print(__doc__))
    sys.exit(show("-v" in sys.argv) > LIMIT)
