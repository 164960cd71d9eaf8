#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""reach.py [-v] -- which of our code a client can reach before it is logged in, in lines by file: without the crypto packages,
and without the floors below ssh/, but for lib/'s parsers.

A function is reached if one that is reached names it, or names a table that does, or names a member that it is anywhere
(".member = function", "->member"), whether that is a row of a table or a function puts it there; a name stands first for what its
own file has. So too much may count, too little may not. The roots are what accepts a connection, what serves it, and what the
crypto packages call. What ends it is a gate, "if (nobody is logged in) return" at a function's first level: what the function names
behind it does not count (I-SSH-18). So does "if (!c->auth.proven) return": nobody is logged in yet, but this very request is signed by
a key that the user has in his list; and "if (!c->chan_ops) return": the host has granted nothing. Each is set in one place, in the line
behind the verification and behind the host's answer: these lines are looked for here. Of a file all counts but the functions, tables and
macros that are not reached, of a header the inline functions and the macros with arguments that are. -v names them.

Fails if more is reached than BOUND, which rises for the mend of a defect alone, or a function of a file for those who are logged in or have signed."""
import glob
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BOUND = 3000
SCOPE = ("ssh/*.[ch]", "ssh/server/*.[ch]", "lib/cursor.[ch]", "lib/base64.[ch]", "lib/passwd.[ch]")
ROOTS = ("accept_all", "login_thread")
AFTER = ("ssh/channel.c", "ssh/chanreq.c", "ssh/server/session.c", "ssh/server/forward.c", "ssh/forward.c", "ssh/global.c",
         "ssh/hostkeys.c", "ssh/keyopts.c", "ssh/config.c", "ssh/pattern.c")
SHIM = "ssh/sodium_shim.c"      # whose functions libsodium calls
GATE = re.compile(r"^\tif \(([cs]->stage == CONN_LOGIN|c->phase != SSH_PHASE_OPEN|!c->auth\.proven|!c->chan_ops)"
                  r"(?: \|\| .*)?\)\n\t\treturn\b[^;]*;", re.M)
PROOFS = (("proven", "\terr = good ? verify(c, alg, key, sig, request) : -EACCES;\n\tc->auth.proven = err == 0;\n"),
          ("chan_ops", "\tif (c->ops->admit(c->host, user, key, &grant))\n\t\treturn -EACCES;\n\tc->chan_ops = grant.chan_ops;\n"))
MEMBER = re.compile(r"(?:->|\.)(\w+)\b(?! ==)")
PUT = re.compile(r"(?:->|\.)(\w+) = &?(\w+)\b(?!\()")   # what a call gives is no function
WORD = re.compile(r"[A-Za-z_]\w*")


def code_of(path):
    def blank(found):
        text = found.group(0)
        return '""' if text[0] == '"' else "\n" * text.count("\n") if text[0] == "/" else "0"
    with open(os.path.join(TOP, path), encoding="utf-8") as f:
        return re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])'", blank, f.read(), flags=re.S)


def code_lines(lines):
    return [line for line in lines if line.strip()]


class Thing:
    """A function, a macro, or a table with an initializer."""
    def __init__(self, path, name, lines, body, is_function):
        self.path, self.name, self.lines, self.is_function = path, name, len(code_lines(lines)), is_function
        self.has_lines = is_function or re.match(r"#define \w+\(", lines[0])
        self.is_private = lines[0].startswith(("static", "#", "}"))
        self.gate = GATE.search(body) if is_function else None
        self.puts = PUT.findall(body)
        if not is_function:
            body = PUT.sub("", body)
        body = body[:self.gate.start(1)] + body[self.gate.end(1):self.gate.end()] if self.gate else body
        self.words, self.uses = set(WORD.findall(body)), set(MEMBER.findall(body))


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
    files = sorted(f for pattern in SCOPE for f in glob.glob(pattern, root_dir=TOP))
    things = [t for f in files for t in things_of(f)]
    own, public = {}, {}
    for t in things:
        own.setdefault((t.path, t.name), []).append(t)
        if not (t.path.endswith(".c") and t.is_private):
            public.setdefault(t.name, []).append(t)
    for name in (*ROOTS, *AFTER, SHIM):
        if name not in {t.name for t in things} | {t.path for t in things}:
            sys.exit(f"scripts/reach.py: {name} is not there")
    members = {(t.path, *put) for t in things for put in t.puts}
    reached, uses, left = set(), set(), [t for t in things if t.name in ROOTS or t.path == SHIM]
    while left:
        t = left.pop()
        if t not in reached:
            reached.add(t)
            uses |= t.uses
            words = {(t.path, word) for word in t.words} | {(p, function) for p, name, function in members if name in uses}
            for path, word in words:
                left += own.get((path, word)) or public.get(word, [])
    counted = {t.path for t in reached if t.has_lines}
    by_file = {f: len(code_lines(code_of(f).split("\n"))) - sum(t.lines for t in things if t.path == f and t not in reached)
               for f in counted if not f.endswith(".h")}
    for t in reached:
        if t.has_lines and t.path.endswith(".h"):
            by_file[t.path] = by_file.get(t.path, 0) + t.lines
    return reached, by_file


def setting(name, code):
    """Where a member of a connection is set, but to false."""
    return re.findall(rf"&[\w>.-]*\b{name}\b|(?<!grant->)\b{name}\s*[|&^]?=(?!=)(?!\s*false;)[^;]*;", code)


def findings(reached, by_file):
    """What is wrong with it, in lines."""
    total = sum(by_file.values())
    if total > BOUND:
        yield f"scripts/reach.py: {total} lines are reached before a login, {BOUND} were"
    for name, lines in PROOFS:
        proofs = [found for f in glob.glob("ssh/**/*.[ch]", root_dir=TOP, recursive=True) for found in setting(name, code_of(f))]
        if len(proofs) != 1 or lines not in code_of("ssh/auth.c"):
            yield f"ssh/: {name} is set by {proofs}, and not right behind the signature or the grant alone (I-SSH-26)"
    for t in sorted(reached, key=lambda t: (t.path, t.name)):
        if t.path in AFTER and t.is_function:
            yield f"{t.path}: {t.name} is reached before a login (I-SSH-18)"


def summary(by_file):
    return f"{'reached before a login':<40} {sum(by_file.values()):>6} of at most {BOUND}"


def show(verbose=False):
    """What is wrong."""
    reached, by_file = reached_things()
    for t in sorted(reached, key=lambda t: (t.path, t.name)) if verbose else []:
        print(f"{t.path}: {t.name}{' (gate)' if t.gate else ''}")
    for path, lines in sorted(by_file.items()):
        print(f"{path:<40} {lines:>6}")
    print(summary(by_file))
    return "\n".join(findings(reached, by_file))


if __name__ == "__main__":
    if sys.argv[1:] == ["--help"]:
        sys.exit(print(__doc__))
    if sys.argv[1:] not in ([], ["-v"]):
        sys.exit(__doc__)
    sys.exit(show(sys.argv[1:] == ["-v"]) or 0)
