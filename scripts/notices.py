#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""NOTICES: what an image of tern contains that others wrote, and on what terms.

    notices.py           write NOTICES from deps.lock and the unpacked packages
    notices.py --check   say whether NOTICES is what it would write
"""
import os
import sys

if sys.argv[1:2] == ["--help"]:
    sys.exit(print(__doc__))

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def read_lock():
    packages, stanza = [], {}
    with open(os.path.join(TOP, "deps.lock"), encoding="utf-8") as f:
        for line in list(f) + ["\n"]:
            line = line.rstrip("\n")
            if line.startswith("#"):
                continue
            if line:
                key, value = line.split(": ", 1)
                stanza[key] = value
            elif stanza:
                packages.append(stanza)
                stanza = {}
    return packages


def notice_text(package):
    lines = []
    for word in package["Notice"].split():
        name, _, part = word.partition(":")
        first, _, last = part.partition("-")
        path = os.path.join(TOP, "deps", package["Package"], name)
        try:
            with open(path, encoding="utf-8", errors="replace") as f:
                text = [line.rstrip() for line in f]
        except OSError:
            sys.exit(f"notices: deps/{package['Package']}/{name} is missing: run scripts/fetch.sh")
        lines += [f"{name}:"] * bool(part) + text[int(first or 1) - 1:int(last or len(text))]
    # Of Debian's copyright files, what is about the packaging is not in the image.
    paragraphs = "\n".join(lines).strip("\n").split("\n\n")
    return "\n\n".join(p for p in paragraphs if not p.startswith(("Format:", "Files: debian/")))


def notices():
    packages = read_lock()
    of_tests = [f"{p['Package']} {p['Version']} ({p['License']})" for p in packages if p["Kind"] == "npm"]
    out = ["An image of tern contains parts that others wrote. Made by scripts/notices.py from deps.lock;",
           "tern's own licence is in LICENSE. The tests fetch, and no image contains:", f"{', '.join(of_tests)}.", ""]
    for p in packages:
        if p["Kind"] == "npm":
            continue
        title = f"{p['Package']} {p['Version']}"
        out += ["=" * 100, title, f"Licence: {p['License']}", f"Used: {p['Use']}", "=" * 100, "",
                notice_text(p), ""]
    return "\n".join(out)


def main():
    text = notices()
    path = os.path.join(TOP, "NOTICES")
    if sys.argv[1:] != ["--check"]:
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return
    try:
        with open(path, encoding="utf-8") as f:
            same = f.read() == text
    except OSError:
        same = False
    if not same:
        sys.exit("NOTICES is not what deps.lock says: run scripts/notices.py")


main()
