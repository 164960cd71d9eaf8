#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write a cpio archive (newc) whose bytes depend on its contents alone.

    mkcpio.py [--strip STRIP] [--list FILE] [--tree DIR] [--busybox FILE] -o ARCHIVE [/PATH=FILE]...

Members are owned by root, dated 0 and sorted. --list names folders, devices and modes, one a line:
    dir PATH MODE      node PATH MODE c|b MAJOR MINOR      link PATH TARGET      mode PATH MODE
--tree takes every file under DIR; /PATH=FILE one file, stripped if it is a program. --busybox puts the program
as it is at /bin/busybox, with a hard link in /bin for each of its applets whose name is not taken.

The data of every file of half a page or more starts at a multiple of 4096 in the archive, so that a
kernel which has the archive in memory can map the file where it lies. The room before it is filled
in a way that any reader of cpio archives understands: with a member that makes the root folder once
more and spells it long, "./././.". Behind a file's last byte, up to the end of its page, lies
whatever comes next in the archive; the kernel must not show that.
"""
import argparse
import os
import stat
import subprocess
import sys
import tempfile

PAGE = 4096
HEADER = 110
# A filler is a header, a name of 1 to NAME_MAX characters (an odd number) and NUL, rounded up to 4.
FILLER_MIN = 112
FILLER_NAME_MAX = 1023


def up(n, to):
    return -(-n // to) * to


class Archive:
    def __init__(self):
        self.data = bytearray()
        self.ino = 0

    def member(self, name, mode, body=b"", nlink=1, rdev=(0, 0), ino=None):
        """Returns its number, for other names of it."""
        self.ino += ino is None
        raw = name.encode() + b"\0"
        fields = (ino or self.ino, mode, 0, 0, nlink, 0, len(body), 0, 0, rdev[0], rdev[1], len(raw), 0)
        self.data += b"070701" + b"".join(b"%08X" % f for f in fields) + raw
        self.data += bytes(up(len(self.data), 4) - len(self.data))
        self.data += body
        self.data += bytes(up(len(self.data), 4) - len(self.data))
        return self.ino

    def filler(self, size):
        """One or more members of exactly size bytes together."""
        largest = up(HEADER + FILLER_NAME_MAX + 1, 4)
        while size:
            part = size if size <= largest else min(largest, size - FILLER_MIN)
            self.member("." + "/." * ((part - HEADER - 2) // 2), stat.S_IFDIR | 0o755, nlink=2)
            size -= part

    def file(self, name, mode, body, others=()):
        if len(body) >= PAGE // 2:
            head = up(HEADER + len(name) + 1, 4)
            gap = -(len(self.data) + head) % PAGE
            if 0 < gap < FILLER_MIN:
                gap += PAGE
            self.filler(gap)
            # I-BUILD-2
            assert (len(self.data) + head) % PAGE == 0
        nlink = 1 + len(others)
        ino = self.member(name, stat.S_IFREG | mode, body, nlink)
        for other in others:
            self.member(other, stat.S_IFREG | mode, nlink=nlink, ino=ino)

    def finish(self):
        self.ino = -1
        self.member("TRAILER!!!", 0)
        self.data += bytes(up(len(self.data), 512) - len(self.data))
        return bytes(self.data)


def read_list(path, entries, modes):
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            w = line.split("#", 1)[0].split()
            if not w:
                continue
            name = w[1].strip("/")
            if w[0] == "dir" and len(w) == 3:
                entries[name] = ("dir", int(w[2], 8))
            elif w[0] == "node" and len(w) == 6:
                kind = {"c": stat.S_IFCHR, "b": stat.S_IFBLK}[w[3]]
                entries[name] = ("node", kind | int(w[2], 8), (int(w[4]), int(w[5])))
            elif w[0] == "link" and len(w) == 3:
                entries[name] = ("link", w[2])
            elif w[0] == "mode" and len(w) == 3:
                modes[name] = int(w[2], 8)
            else:
                sys.exit(f"mkcpio: {path}:{number}: not understood: {line.strip()}")


def read_file(path, strip):
    with open(path, "rb") as f:
        body = f.read()
    if not (strip and body.startswith(b"\x7fELF")):
        return body
    with tempfile.TemporaryDirectory() as tmp:
        out = os.path.join(tmp, "stripped")
        subprocess.run([strip, "-s", "-o", out, path], check=True)
        with open(out, "rb") as f:
            return f.read()


def applets(path):
    """The names in BusyBox's table: in order, "[" and "[[" before all others, each with a NUL behind it."""
    with open(path, "rb") as f:
        body = f.read()
    start = body.find(b"\0[\0[[\0") + 1
    names = body[start:body.find(b"\0\0", start)].decode("ascii", "replace").split("\0")
    if not start or names != sorted(names) or not {"sh", "ls", "cat"}.issubset(names):
        sys.exit(f"mkcpio: {path}: no table of applets found: is it BusyBox?")
    return names


def with_parents(entries):
    for name in list(entries):
        while "/" in name:
            name = name.rsplit("/", 1)[0]
            entries.setdefault(name, ("dir", 0o755))
    return sorted(entries.items(), key=lambda e: e[0].split("/"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--strip")
    parser.add_argument("--list")
    parser.add_argument("--tree")
    parser.add_argument("--busybox")
    parser.add_argument("-o", required=True, dest="out")
    parser.add_argument("files", nargs="*", metavar="/PATH=FILE")
    args = parser.parse_args()

    entries, modes = {}, {}
    if args.list:
        read_list(args.list, entries, modes)
    if args.tree:
        for folder, _, names in os.walk(args.tree):
            for name in names:
                path = os.path.join(folder, name)
                entries[os.path.relpath(path, args.tree)] = ("file", path)
    for word in args.files:
        name, path = word.split("=", 1)
        entries[name.strip("/")] = ("file", path)

    links = {}
    if args.busybox:
        links["bin/busybox"] = [f"bin/{name}" for name in applets(args.busybox)
                                if name != "busybox" and f"bin/{name}" not in entries]
        entries["bin/busybox"] = ("file", args.busybox)

    archive = Archive()
    archive.member(".", stat.S_IFDIR | 0o755, nlink=2)
    for name, entry in with_parents(entries):
        if entry[0] == "dir":
            archive.member(name, stat.S_IFDIR | entry[1], nlink=2)
        elif entry[0] == "node":
            archive.member(name, entry[1], rdev=entry[2])
        elif entry[0] == "link":
            archive.member(name, stat.S_IFLNK | 0o777, entry[1].encode())
        else:
            body = read_file(entry[1], args.strip if name not in links else None)
            program = body.startswith((b"\x7fELF", b"#!"))
            archive.file(name, modes.get(name, 0o755 if program else 0o644), body, links.get(name, ()))
    part = args.out + ".part"
    os.makedirs(os.path.dirname(args.out) or ".", exist_ok=True)
    with open(part, "wb") as f:
        f.write(archive.finish())
    os.replace(part, args.out)


main()
