#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Every locking function of a header carries its clang annotation there, where make analyze can hold its callers to it.

A function that a header declares is one if its definition is annotated, or asserts that a lock is held, or takes and
does not drop, or the reverse, where the analysis is off (__no_lock_check); and if the header's words say so: "x->lock
held." The analysis finds all others: who takes and does not drop, and who calls one without the lock. C has no words for
a lock of what is returned.
"""
import re

import lintlib

MARK = re.compile(r"__(?:acquires|releases|requires)(?:_shared)?\(|__try_acquires\(|__asserts_held\(")
OFF = "__no_lock_check"
# A declaration or definition that begins in the first column: words, the name, arguments, attributes.
FUNCTION = re.compile(r"^(?!typedef|return|else|#|KTEST|EXPORT)((?:[\w()]+[ \n\t*]+)+?)(\w+)\(((?:[^;{}()]|\([^()]*\)|\((?:[^()]|\([^()]*\))*\))*)\)"
                      r"((?:\s*__\w+(?:\([^;{}]*?\))?)*)\s*([;{])", re.M)
TAKES = re.compile(r"\b(?:spin_lock(?:_irqsave|_pair)?|mutex_lock(?:_nested|_pair)?|rwspin_(?:read|write)_lock|\w+_lock_two|\w+_lock_of|net_lock)\(")
DROPS = re.compile(r"\b(?:spin_unlock(?:_irqrestore)?|mutex_unlock|rwspin_(?:read|write)_unlock|\w+_unlock_two|net_unlock)\(")
ASSERTS = re.compile(r"\bassert_(?:spin_|mutex_)?held\(|\b(?:net_)?assert_core\(")
# "t->lock held", "NET_CORE held"; not "no lock held", "called with it held", "A or B held".
HELD = re.compile(r"(?:^|[.:;,(*] *)(?:Context: |context: )?([\w>.-]*lock|[A-Z][A-Z_]+) (?:is |must be )?held\b", re.M)


def functions(text):
    """(all its words before the body, whether static, name, offset, body or None) of each."""
    for found in FUNCTION.finditer(text):
        before, function, _, attributes, end = found.groups()
        body = text[found.end():text.find("\n}", found.end())] if end == "{" else None
        yield before + attributes, "static" in before.split(), function, found.start(), body


def says_held(raw, start):
    """Whether the comment that this declaration stands under, alone or in a group without a gap, or the one behind it says so."""
    end = raw.find("*/", raw.rfind("/*", 0, start)) + 2
    above = raw[raw.rfind("/*", 0, start):end] if end <= start and "\n\n" not in raw[end:start] else ""
    behind = re.compile(r"[^\n;{]*;[ \t]*/\*((?:(?!\*/).)*)\*/", re.S).match(raw, start)
    return any(HELD.search(re.sub(r"\s*\n\s*\*?\s*", " ", text)) for text in (above, behind.group(1) if behind else ""))


# lwIP calls these, and is not analysed: it is their definitions that say it, or assert it.
DOOR = "net/arch/cc.h"

declared = {}  # name: (header, line, annotated, says that a lock is held)
for header in lintlib.files(".h", under=lintlib.KERNEL):
    text, raw = lintlib.code_of(header), lintlib.text_of(header)
    for words, _, function, start, _ in functions(text):
        line = text.count("\n", 0, start) + 1
        marked = bool(MARK.search(words)) or declared.get(function, (0, 0, False))[2]
        declared[function] = (header, line, marked, says_held(raw, start))
        if declared[function][3] and not marked and header != DOOR:
            lintlib.bad(header, line, f"{function}(): its comment says that a lock is held, and no __requires() does")

for source in lintlib.files(".c", ".h", under=lintlib.KERNEL):
    for words, static, function, _, body in functions(lintlib.code_of(source)):
        if body is None or function not in declared or declared[function][2] or (static and source.endswith(".c")):
            continue
        header, line, _, held = declared[function]
        marked, asserted = bool(MARK.search(words)), bool(ASSERTS.search(body))
        if header == DOOR and held and not marked and not asserted:
            lintlib.bad(header, line, f"{function}() is neither annotated in {source} nor asserts that the lock is held")
        elif header != DOOR and marked:
            lintlib.bad(header, line, f"{function}() is annotated in {source} only")
        elif header != DOOR and asserted:
            lintlib.bad(header, line, f"{function}() asserts in {source} that a lock is held: __requires()")
        elif OFF in words and bool(TAKES.search(body)) != bool(DROPS.search(body)):
            lintlib.bad(header, line, f"{function}() in {source} is not analysed, and takes a lock or drops one")

lintlib.finish(f"{sum(marked for _, _, marked, _ in declared.values())} annotated of {len(declared)} functions")
