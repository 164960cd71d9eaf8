#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""usage: scripts/coverage.py [OPTION...]
Shows which lines of the kernel the hosted ring and one run of the in-kernel ring reach, by floor and in total.

  --ring NAME       host or kernel: only that ring; what the other reached before is kept
  -k NAME           only tests whose name contains NAME
  --smp N           CPUs of the in-kernel run (4)
  --seconds N       for each fuzz target after its seeds (5)
  --unreached FILE  no run: the lines of FILE that the last one did not reach
  --out FOLDER      where results are kept (build/coverage)
  --help            this text

host: tests/host, tests/model and tests/fuzz built once more with clang's counters; a process that a signal ends is not in.
kernel: the debug image as it is; QEMU lists each block of instructions when it first comes there, and the image's line
table says what they are. A line is reached if an instruction of it is, in any copy. The first run compiles for some
minutes. What was reached is kept in FOLDER/lines.json.

Exit status: 0; 1 a test failed, none was run, or nothing was measured yet; 2 a wrong option."""
import bisect
import glob
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "tests"))
from options import Options  # noqa: E402  (the path above leads to it)

OUT = "build/coverage"  # as tests/hostbuild.py has it
NO_TESTS = 5
ELF = "build/debug/tern.elf"
# As docs/layers.txt has them; a file is of the last that it begins with.
FLOORS = ("lib arch kernel/core drivers/chip mm/phys sched drivers mm/vm kernel/proc fs drivers/tty net kernel ssh "
          "ssh/server").split()


def tool(name):
    """A tool of LLVM."""
    return shutil.which(name + "-14") or shutil.which(name) or sys.exit(f"coverage: {name} is missing: install the package llvm")


def run(*command, **options):
    return subprocess.run(command, check=True, **options)


def fresh(folder):
    """An empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return folder


def ours(path):
    """The path from the top folder, if the file is the kernel's."""
    path = os.path.relpath(os.path.join(TOP, path), TOP)
    return path if floor_of(path) else None


def floor_of(path):
    inside = [floor for floor in FLOORS if path.startswith(floor + "/")]
    return max(inside, key=len) if inside else None


def passed(*commands, **options):
    """Whether all of them do; some, not all, may have no test of that name."""
    done = {words[1]: subprocess.run(words, check=False, **options).returncode for words in commands}
    bad = {name: status for name, status in done.items() if status not in (0, NO_TESTS) or 0 not in done.values()}
    for name, status in bad.items():
        print(f"coverage: {name} " + ("has no such test" if status == NO_TESTS else f"failed: exit status {status}"), file=sys.stderr)
    return not bad


def measure_host(args):
    """{file: {line: reached}} of what the hosted programs are made of, and whether all tests passed."""
    raw = fresh(f"{args.out}/raw")
    # TERN_COVERAGE: tests/hostbuild.py. One file for each program, however many processes it makes.
    env = dict(os.environ, TERN_COVERAGE="1", LLVM_PROFILE_FILE=f"{raw}/%m.profraw")
    good = passed([sys.executable, "tests/host/run.py", "-k", args.k],
                  [sys.executable, "tests/fuzz/run.py", "-k", args.k, "--seconds", str(args.seconds)], env=env)
    found = {}
    profiles = glob.glob(f"{raw}/*.profraw") or sys.exit("coverage: no hosted program ran")
    run(tool("llvm-profdata"), "merge", "-sparse", *profiles, "-o", f"{args.out}/host.profdata")
    for program in sorted(glob.glob(f"{OUT}/host/*_test") + glob.glob(f"{OUT}/host/*_fuzz")):
        text = run(tool("llvm-cov"), "export", "-format=lcov", "-ignore-filename-regex=/(deps|tests)/", program,
                   f"-instr-profile={args.out}/host.profdata", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        lines = {}
        for line in text.splitlines():
            if line.startswith("SF:"):
                name = ours(line[3:])
                lines = found.setdefault(name, {}) if name else {}
            elif line.startswith("DA:"):
                number, count = line[3:].split(",")[:2]
                lines[number] = lines.get(number, False) or count != "0"
    return found, good


def executed(args):
    """The addresses of all instructions that QEMU came to, sorted, and whether all tests passed."""
    folder = fresh(f"{args.out}/kernel")
    run("make", "-s", "DEBUG=1")
    good = passed([sys.executable, "scripts/ktest.py", "--smp", str(args.smp), "-k", args.k, "--seconds", "180",
                   "--qemu", f"-d in_asm -D {shlex.quote(folder)}/%d.log"])
    found = set()
    for name in glob.glob(f"{folder}/*.log"):
        with open(name, encoding="utf-8", errors="replace") as f:
            found.update(int(line[2:line.index(":")], 16) for line in f if line.startswith("0x") and ":" in line)
    # before the tables of pages are on, the image is where it was loaded
    base = int(run("aarch64-linux-gnu-nm", ELF, stdout=subprocess.PIPE, text=True).stdout.split(" T _start")[0].split()[-1], 16)
    return sorted(a if a >= base else a - 0x40200000 + base for a in found), good


def rows():
    """(file, line, from, to) of the debug image's line table."""
    dump = subprocess.Popen([tool("llvm-dwarfdump"), "--debug-line", ELF], stdout=subprocess.PIPE, text=True)
    folders, files, name, last = {}, {}, None, None
    for line in dump.stdout:
        if line.startswith("debug_line["):
            folders, files, last = {}, {}, None
        elif line.startswith("include_directories["):
            folders[int(line[20:line.index("]")])] = line.split('"')[1]
        elif line.startswith("file_names["):
            number = int(line[11:line.index("]")])
        elif line.startswith("           name:"):
            name = line.split('"')[1]
        elif line.startswith("      dir_index:"):
            # folder 0 is where the compiler ran
            folder = int(line.split(":")[1])
            files[number] = ours(os.path.join(folders[folder] if folder else "", name))
        elif line.startswith("0x"):
            words = line.split()
            here = int(words[0], 16)
            if last and last[2] < here and last[0] and last[1] != "0":
                yield (*last, here)
            last = None if "end_sequence" in line else (files.get(int(words[3])), words[1], here)
    dump.wait()


def measure_kernel(args):
    """{file: {line: reached}} of the debug image, and whether all tests passed."""
    addresses, good = executed(args)
    found = {}
    for name, line, start, end in rows():
        at = bisect.bisect_left(addresses, start)
        lines = found.setdefault(name, {})
        lines[line] = lines.get(line, False) or (at < len(addresses) and addresses[at] < end)
    return found, good


def share(lines):
    return f"{sum(lines):6} of {len(lines):6} {100 * sum(lines) / len(lines):5.1f} %" if lines else f"{'-':>23}"


def show(kept, now):
    """A line a floor, and the total; now: the rings that have just run."""
    rings = [ring for ring in ("host", "kernel") if ring in kept]
    print(f"\n{'lines reached':14}" + "".join(f"{ring + (' ring' if ring in now else ' ring, before'):>26}" for ring in rings))
    for floor in [*FLOORS, "total"]:
        columns = [[reached for name, lines in kept[ring].items() if floor in ("total", floor_of(name))
                    for reached in lines.values()] for ring in rings]
        print(f"{floor:14}" + "".join("   " + share(column) for column in columns))


def show_unreached(kept, name):
    """The lines of a file, in runs."""
    for ring, files in kept.items():
        if name not in files:
            print(f"{ring}: not built of it")
            continue
        lines = sorted((int(number), reached) for number, reached in files[name].items())
        print(f"{ring}: {share([reached for _, reached in lines]).strip()}")
        runs = []
        for number, reached in lines:
            if not reached and runs and runs[-1][2]:
                runs[-1][1] = number
            elif not reached:
                runs.append([number, number, True])
            elif runs:
                runs[-1][2] = False
        print("  not reached: " + (", ".join(f"{a}-{b}" if a != b else f"{a}" for a, b, _ in runs) or "none"))


def main():
    parser = Options(__doc__)
    parser.add_argument("--ring", choices=("host", "kernel"))
    parser.add_argument("-k", metavar="NAME", default="")
    parser.add_argument("--smp", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--unreached", metavar="FILE")
    parser.add_argument("--out", metavar="FOLDER", default=os.path.join(TOP, OUT))
    args = parser.parse_args()
    args.out = os.path.abspath(args.out)
    os.chdir(TOP)
    os.makedirs(args.out, exist_ok=True)
    kept, now, file = {}, {}, f"{args.out}/lines.json"
    if os.path.exists(file):
        with open(file, encoding="utf-8") as f:
            kept = json.load(f)
    if args.unreached:
        if not kept:
            sys.exit("coverage: nothing was measured yet: run it without --unreached first")
        return show_unreached(kept, ours(args.unreached) or args.unreached)
    for ring, measure in (("host", measure_host), ("kernel", measure_kernel)):
        if args.ring in (None, ring):
            kept[ring], now[ring] = measure(args)
    with open(file, "w", encoding="utf-8") as f:
        json.dump(kept, f)
    show(kept, now)
    return 0 if all(now.values()) else 1


sys.exit(main())
