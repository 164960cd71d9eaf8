# SPDX-License-Identifier: MIT
"""Commands for gdb on a running or stopped guest:  gdb-multiarch -x scripts/tern-gdb.py build/debug/tern.elf
after target remote: "threads" prints each thread with its state and, while it is switched out, its stack."""
import gdb


class Threads(gdb.Command):
    """Print every thread of the kernel; with an argument, only those whose name contains it."""

    def __init__(self):
        super().__init__("threads", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        kind = gdb.lookup_type("struct thread")
        offset = next(f.bitpos // 8 for f in kind.fields() if f.name == "all_link")
        head = gdb.parse_and_eval("&registry")
        node = head["next"]
        while node != head:
            thread = gdb.Value(int(node) - offset).cast(kind.pointer())
            name = thread["base"]["name"].string()
            if argument in name:
                print(f"{int(thread['base']['id'])} {name} {thread['state']} ({thread})")
                if str(thread["state"]) != "THREAD_RUNNING":
                    self.stack(int(thread["arch"]["sp"]))
            node = node["next"]

    def stack(self, sp):
        # As arch_switch left it: x29 and x30 at the top of the saved registers.
        words = gdb.lookup_type("unsigned long").pointer()
        frame, pc = (int(gdb.Value(sp + 80).cast(words)[i]) for i in (0, 1))
        for _ in range(24):
            print("    " + gdb.execute(f"info line *{pc:#x}", to_string=True).split(" starts")[0].strip()
                  + "  " + gdb.execute(f"info symbol {pc:#x}", to_string=True).split(" in section")[0].strip())
            if frame < 1 << 63:
                return
            frame, pc = (int(gdb.Value(frame).cast(words)[i]) for i in (0, 1))


Threads()
