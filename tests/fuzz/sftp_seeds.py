#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Write tests/fuzz/seeds/ssh_sftp/: for ssh_sftp_fuzz.c, what a client sends and the answers of the kernel it meets."""
import os
import struct

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "seeds/ssh_sftp")
(INIT, OPEN, CLOSE, READ, WRITE, LSTAT, FSTAT, SETSTAT, FSETSTAT, OPENDIR, READDIR, REMOVE, MKDIR, RMDIR, REALPATH, STAT,
 RENAME, READLINK, SYMLINK, EXTENDED) = list(range(1, 2)) + list(range(3, 21)) + [200]
PLAIN, READ_ONLY, DEBUG, DENIED, ALLOWED, CUT = 0, 1, 2, 3, 4, 0x80
# The answers: success, the place of an error in errors[], and more than that what the call makes of it.
OK, ENOENT, EXDEV, EINTR, EAGAIN, EIO = 0, 1, 11, 16, 17, 19
MANY = 255


def u32(n):
    return struct.pack(">I", n)


def u64(n):
    return struct.pack(">Q", n)


def text(s):
    s = s.encode() if isinstance(s, str) else s
    return u32(len(s)) + s


def packet(kind, *parts):
    """A request: numbers are of 32 bits, what is text gets its length, bytes are as they are."""
    body = bytes([kind]) + (b"" if kind == INIT else u32(7))
    for part in parts:
        body += u32(part) if isinstance(part, int) else text(part) if isinstance(part, str) else part
    return u32(len(body)) + body


H0, H1 = text(u32(0)), text(u32(1))
HELLO = packet(INIT, 3)
ALL_ATTRS = u32(0x8000000f) + u64(4096) + u32(1) + u32(2) + u32(0o644) + u32(5) + u32(6) + u32(1) + text("x") + text("y")
TIMES = u32(0xe) + u32(1) + u32(2) + u32(0o777) + u32(5) + u32(6)


def ext(name, *parts):
    return packet(EXTENDED, name, *parts)


def opened(name="f", flags=0x3b):
    return packet(OPEN, name, flags, 0)


PATHS = [packet(STAT, "a"), packet(LSTAT, "a"), packet(SETSTAT, "a", ALL_ATTRS), packet(MKDIR, "d", TIMES), packet(RMDIR, "d"),
         packet(REMOVE, "a"), packet(SYMLINK, "a", "b"), packet(READLINK, "b"), packet(OPENDIR, "d"), opened()]
EXTENSIONS = [ext("posix-rename@openssh.com", "a", "b"), ext("statvfs@openssh.com", "/"), ext("hardlink@openssh.com", "a", "b"),
              ext("lsetstat@openssh.com", "a", TIMES), ext("limits@openssh.com"), ext("home-directory", "u"),
              ext("home-directory", ""), ext("users-groups-by-id@openssh.com", text(u32(0) + u32(9)), text(u32(1))),
              ext("nothing")]
SEEDS = {
    "file": (PLAIN, [HELLO, opened(), packet(WRITE, H0, u64(0), "data"), packet(READ, H0, u64(0), 300000),
                     packet(FSTAT, H0), packet(FSETSTAT, H0, ALL_ATTRS), ext("fsync@openssh.com", H0),
                     ext("fstatvfs@openssh.com", H0), packet(CLOSE, H0), packet(CLOSE, H0)],
             [OK, OK, OK, OK, MANY]),
    "short": (PLAIN, [HELLO, opened(), packet(WRITE, H0, u64(0), "data"), packet(READ, H0, u64(0), 100),
                      packet(READ, H0, u64(1 << 63), 100)], [OK, OK, 24, OK, 40]),
    "dir": (PLAIN, [HELLO, packet(OPENDIR, "/"), packet(READDIR, H0), packet(READDIR, H0), packet(CLOSE, H0)],
            [OK, 23, 0, 0, OK, 0x7f, 1, OK, OK, MANY, 2, 1, 3, 2, ENOENT, 200, 1, 0, 1, OK, 0xff, 2, OK, ENOENT]),
    # one reply has a hundred names, of up to 255 bytes each
    "hundred": (PLAIN, [HELLO, packet(OPENDIR, "d"), packet(READDIR, H0), packet(READDIR, H0)],
                [OK] + [MANY, 0, 0, OK, 0xff, 1, OK, ENOENT] * 101),
    "paths": (PLAIN, [HELLO] + PATHS, []),
    "rename": (PLAIN, [HELLO, packet(RENAME, "a", "b"), packet(RENAME, "a", "b"), packet(RENAME, "a", "b")],
               [OK, 0, 0, OK, OK, OK, OK, 0, 0, EXDEV, ENOENT, OK, 0, 1, ENOENT]),
    "realpath": (PLAIN, [HELLO, packet(REALPATH, ""), packet(REALPATH, "/a/../b/./l/x"), packet(REALPATH, "l")],
                 [OK, OK, 0, 0, OK, 0, 0, OK, 0, 2, OK, 1, 3, 0, 1, 2, 2]),
    "links": (PLAIN, [HELLO] + [packet(READLINK, "l")] * 3, [OK, MANY, 0, 0, OK, 0, 0, 0, ENOENT]),
    # a link of 4095 bytes: all of the room that sftp_realpath() has
    "full": (PLAIN, [HELLO, packet(REALPATH, "/l")], [OK, 0, 2, OK, MANY, 1, 0, 2]),
    "extended": (PLAIN, [HELLO] + EXTENSIONS, []),
    "errors": (PLAIN, [HELLO] + PATHS + EXTENSIONS, [EIO] * 40),
    "half-ids": (PLAIN, [HELLO, ext("users-groups-by-id@openssh.com", "ab", text(u32(1)))], []),
    "expand": (PLAIN, [HELLO] + [ext("expand-path@openssh.com", p) for p in ("", "~", "~/a", "~u/a", "~u", "a", "/a")], []),
    "copy": (PLAIN, [HELLO, opened("a", 1), opened("b"), ext("copy-data", H0, u64(0), u64(0), H1, u64(0)),
                     ext("copy-data", H0, u64(0), u64(9), H1, u64(5))],
             [OK, OK, OK, OK, 40, OK, MANY, EINTR, EAGAIN, EIO]),
    "read-only": (READ_ONLY, [HELLO, opened(), packet(OPEN, "f", 1, 0), packet(REMOVE, "f"), ext("fsync@openssh.com", H0)], []),
    "debug": (DEBUG, [HELLO, opened("\x80\n%s"), packet(READ, H0, u64(0), 5), packet(READ, H1, u64(0), 5), packet(42)], []),
    "denied": (DENIED, [HELLO, opened(), packet(WRITE, H0, u64(0), "x"), packet(RENAME, "a", "b")], []),
    "allowed": (ALLOWED, [HELLO, opened("f", 1), packet(STAT, "f")], []),
    "cut": (PLAIN | CUT, [HELLO, opened(), packet(CLOSE, H0)], [OK, 23, EINTR, OK, 26, EAGAIN, 24, OK, MANY, OK, 25]),
    "long": (PLAIN, [HELLO, u32(262145) + b"\x11"], []),
    "cut-off": (PLAIN, [HELLO, packet(STAT, "a")[:-1]], []),
    "inside": (PLAIN, [HELLO, u32(9) + bytes([STAT]) + u32(7) + u32(99)], []),
    "early": (PLAIN, [packet(STAT, "a")], []),
}

os.makedirs(OUT, exist_ok=True)
for seed, (options, packets, answers) in SEEDS.items():
    answers += [OK] * (-len(answers) % 4)
    with open(os.path.join(OUT, seed), "wb") as f:
        f.write(bytes([options, len(answers) // 4]) + b"".join(packets) + bytes(answers))
