#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Build hosted programs out of kernel sources, for tests/host and tests/fuzz.

A program is one .c file whose first lines name what it is linked with:

    /* sources: lib/rbtree.c tests/host/shim/*.c */      (from the top folder; globs work; !FILE leaves one out)
    /* flags: -Ideps/lwip/src/include */                 (optional)

@FILE stands for the words of that file, for lists that several programs share.

Objects are kept in build/host/obj, keyed by source and flags, and rebuilt when anything their
dependency file names has changed. What a program was made of when it last passed is kept beside it.
"""
import concurrent.futures
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUT = "build/host"
NO_TESTS = 5  # the exit status of a run without any, as pytest's
BASE_FLAGS = (
    "-std=gnu11 -g -O1 -DHOSTED=1 -DDEBUG=1 -fno-omit-frame-pointer -fno-strict-aliasing -Wall "
    "-Wextra -Wno-unused-parameter -Wno-unused-command-line-argument -Itests/host/shim -I."
).split()
# Third-party sources are not ours to keep free of warnings and of undefined shifts, unless a program's flags say
# -fsanitize=undefined.
DEPS_FLAGS = ["-w", "-fno-sanitize=undefined"]
# What is C++ is relacy's (tests/model/relacy_*.cc): release code, as in the models, its stacks its own.
CC_FLAGS = ["-w", "-UDEBUG", "-fno-sanitize=all"]
# scripts/coverage.py wants each line counted.
if os.environ.get("TERN_COVERAGE"):
    OUT = "build/coverage/host"
    BASE_FLAGS += ["-fprofile-instr-generate", "-fcoverage-mapping"]
    DEPS_FLAGS += ["-fno-profile-instr-generate", "-fno-coverage-mapping"]


def find_clang():
    for name in ("clang-14", "clang"):
        if shutil.which(name):
            return name
    sys.exit("tests: clang is missing: install the package clang")


def with_lists(words):
    """The words, with those of the file in the place of each @FILE."""
    for word in words:
        if word.startswith("@"):
            with open(os.path.join(TOP, word[1:]), encoding="utf-8") as f:
                yield from with_lists(f.read().split())
        else:
            yield word


def header_words(path, key):
    """The words after "key:" in the comment at the head of the file, which may run over lines."""
    with open(os.path.join(TOP, path), encoding="utf-8") as f:
        head = f.read(4096)
    words = []
    for match in re.finditer(r"/\*\s*" + key + r":(.*?)\*/", head, re.S):
        words += with_lists(match.group(1).replace("*\n", "\n").split())
    return words


def expand(path, words):
    found = []
    for word in words:
        if word.startswith("!"):
            found.remove(word[1:])
            continue
        names = sorted(glob.glob(os.path.join(TOP, word)))
        if not names:
            raise RuntimeError(f"{path}: sources: {word}: no such file")
        found += [os.path.relpath(name, TOP) for name in names]
    return found


def stale(target, depfile):
    try:
        built = os.path.getmtime(target)
        with open(depfile, encoding="utf-8") as f:
            text = f.read().replace("\\\n", " ")
        names = text.split(":", 1)[1].split()
        return any(os.path.getmtime(os.path.join(TOP, name)) > built for name in names)
    except (OSError, IndexError):
        return True


def run_compiler(command):
    done = subprocess.run(command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise RuntimeError(" ".join(command) + "\n" + done.stdout)
    if done.stdout:
        sys.stderr.write(done.stdout)


def build_object(clang, source, flags):
    if source.startswith("deps/"):
        flags = flags + DEPS_FLAGS + [f for f in flags if f == "-fsanitize=undefined"]
    if source.endswith(".cc"):
        flags = ["-std=gnu++17" if f == "-std=gnu11" else f for f in flags] + CC_FLAGS
    key = hashlib.sha256(" ".join([clang, source] + flags).encode()).hexdigest()[:12]
    stem = os.path.join(OUT, "obj", source.replace("/", "_") + "." + key)
    obj, dep = stem + ".o", stem + ".d"
    if stale(os.path.join(TOP, obj), os.path.join(TOP, dep)):
        # Another process may be at the same object: each writes files of its own.
        part = f"{stem}.{os.getpid()}.part"
        begin = time.time()
        run_compiler([clang] + flags + ["-MD", "-MF", part + ".d", "-MT", obj, "-c", source, "-o", part])
        # What is saved while the compiler reads is newer than what it has made.
        os.utime(os.path.join(TOP, part), (begin, begin))
        os.replace(os.path.join(TOP, part + ".d"), os.path.join(TOP, dep))
        os.replace(os.path.join(TOP, part), os.path.join(TOP, obj))
    return obj


class Objects:
    """The objects of one build: a source with the same flags is compiled once, whoever asks for it."""

    def __init__(self, pool):
        self.pool = pool
        self.lock = threading.Lock()
        self.jobs = {}

    def job(self, clang, source, flags):
        with self.lock:
            key = (clang, source, *flags)
            if key not in self.jobs:
                self.jobs[key] = self.pool.submit(build_object, clang, source, flags)
            return self.jobs[key]


def build_program(path, extra_sources, extra_flags, made):
    """Build one program; return its path. Raises RuntimeError with the compiler's words."""
    clang = find_clang()
    os.makedirs(os.path.join(TOP, OUT, "obj"), exist_ok=True)
    flags = BASE_FLAGS + extra_flags + header_words(path, "flags")
    sources = [path] + extra_sources + expand(path, header_words(path, "sources"))
    jobs = [made.job(clang, s, flags) for s in dict.fromkeys(sources)]
    objects = [job.result() for job in jobs]
    program = os.path.join(OUT, os.path.basename(path)[:-2])
    target = os.path.join(TOP, program)
    wanted = " ".join(objects)
    try:
        with open(target + ".objects", encoding="utf-8") as f:
            fresh = f.read() == wanted and os.path.getmtime(target) >= max(
                os.path.getmtime(os.path.join(TOP, o)) for o in objects)
    except OSError:
        fresh = False
    if not fresh:
        # The models are what -fsanitize=thread calls: no runtime of the compiler's.
        link = [f for f in flags if f.startswith(("-fsanitize", "-fno-sanitize", "-fprofile", "-l", "-L", "-g", "-O")) and f != "-fsanitize=thread"]
        part = f"{program}.{os.getpid()}.part"
        run_compiler([clang] + link + objects + ["-lpthread", "-o", part])
        os.replace(os.path.join(TOP, part), target)
        with open(target + ".objects", "w", encoding="utf-8") as f:
            f.write(wanted)
    return program


def build_library(path):
    """A shared object of one .c file, for a program of Python's; return its path."""
    clang = find_clang()
    os.makedirs(os.path.join(TOP, OUT, "obj"), exist_ok=True)
    flags = BASE_FLAGS + header_words(path, "flags")
    objects = [build_object(clang, s, flags) for s in [path] + expand(path, header_words(path, "sources"))]
    library = os.path.join(OUT, os.path.basename(path)[:-2] + ".so")
    part = f"{library}.{os.getpid()}.part"
    run_compiler([clang, "-shared", *objects, "-o", part])
    os.replace(os.path.join(TOP, part), os.path.join(TOP, library))
    return os.path.join(TOP, library)


def content(program, inputs):
    """A name for the bytes of a program and of what it is fed."""
    digest = hashlib.sha256()
    for path in [program, *inputs]:
        with open(os.path.join(TOP, path), "rb") as f:
            digest.update(hashlib.sha256(f.read()).digest())
    return digest.hexdigest()


def has_passed(program, inputs=()):
    """Whether these very bytes have passed already, with whatever seed."""
    try:
        with open(os.path.join(TOP, program + ".passed"), encoding="utf-8") as f:
            return f.read() == content(program, inputs)
    except OSError:
        return False


def note_passed(program, inputs=()):
    with open(os.path.join(TOP, program + ".passed"), "w", encoding="utf-8") as f:
        f.write(content(program, inputs))


def build_all(paths, extra_sources, extra_flags):
    """Build every program; yield (path, program or None, error text)."""
    workers = max(1, os.cpu_count() or 1)
    with concurrent.futures.ThreadPoolExecutor(workers) as outer, \
            concurrent.futures.ThreadPoolExecutor(workers) as pool:
        made = Objects(pool)
        jobs = [(p, outer.submit(build_program, p, extra_sources, extra_flags, made)) for p in paths]
        for path, job in jobs:
            try:
                yield path, job.result(), ""
            except (RuntimeError, OSError) as error:
                yield path, None, str(error)
