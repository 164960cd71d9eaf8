# SPDX-License-Identifier: MIT
"""Commands for gdb on a running or stopped guest:  gdb-multiarch -x scripts/gdb/tern.py build/debug/tern.elf
after target remote. threads [NAME]: each thread with its state and, while it is switched out, its stack. runqueues: who runs and
who waits on each CPU. locks: what each CPU and each thread holds, and where it was taken. regions EXPRESSION: those of a
struct vm_space *. ring EXPRESSION: the state and the outstanding entries of a struct virtq *."""
import gdb


def place(pc):
    return gdb.execute(f"info symbol {int(pc):#x}", to_string=True).split(" in section")[0].strip()


def entry_of(pointer, kind, *members):
    """The structure of that kind whose member (of a member) pointer points at."""
    kind, offset = gdb.lookup_type(kind), 0
    inner = kind
    for member in members:
        field = next(f for f in inner.fields() if f.name == member)
        offset, inner = offset + field.bitpos // 8, field.type
    return gdb.Value(int(pointer) - offset).cast(kind.pointer())


def in_order(node):
    """The nodes of a red-black tree."""
    if int(node):
        yield from in_order(node["left"])
        yield node
        yield from in_order(node["right"])


def all_threads():
    for node in in_order(gdb.parse_and_eval("registry")["node"]):
        yield entry_of(node, "struct thread", "all_node")


def all_cpus():
    if not int(gdb.parse_and_eval("cpus")):
        return [gdb.parse_and_eval("&boot_cpu")]
    return [gdb.parse_and_eval(f"cpus[{n}]") for n in range(int(gdb.parse_and_eval("nr_cpus")))]


def per_cpu(cpu, name):
    variable = gdb.parse_and_eval("&" + name)
    return gdb.Value((int(cpu["percpu_offset"]) + int(variable)) & (1 << 64) - 1).cast(variable.type)


class Threads(gdb.Command):
    """Print every thread of the kernel; with an argument, only those whose name contains it."""

    def __init__(self):
        super().__init__("threads", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        for thread in all_threads():
            name = thread["base"]["name"].string()
            if argument in name:
                print(f"{int(thread['base']['id'])} {name} {thread['state']} ({thread})")
                # while it is on a CPU, half switched away too, its registers are not saved
                if not int(thread["on_cpu"]):
                    self.stack(int(thread["arch"]["sp"]))

    def stack(self, sp):
        # As arch_switch left it: x29 and x30 at the top of the saved registers.
        words = gdb.lookup_type("unsigned long").pointer()
        frame, pc = (int(gdb.Value(sp + 80).cast(words)[i]) for i in (0, 1))
        for _ in range(24):
            # below the first function of a thread there is none
            if not pc:
                return
            print("    " + gdb.execute(f"info line *{pc:#x}", to_string=True).split(" starts")[0].strip()
                  + "  " + gdb.execute(f"info symbol {pc:#x}", to_string=True).split(" in section")[0].strip())
            if frame < 1 << 63:
                return
            frame, pc = (int(gdb.Value(frame).cast(words)[i]) for i in (0, 1))


class RunQueues(gdb.Command):
    """Print the run queue of every CPU."""

    def __init__(self):
        super().__init__("runqueues", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        for cpu in all_cpus():
            queue = per_cpu(cpu, "runqs")
            runs = queue["curr"]["base"]["name"].string() if int(queue["curr"]) else "nothing yet"
            print(f"cpu {int(cpu['id'])}: runs {runs}, {int(queue['ready']['nr'])} want it, {int(queue['switches'])} switches, "
                  f"need_resched {int(cpu['need_resched'])}")
            for node in in_order(queue["ready"]["tree"]["node"]):
                thread = entry_of(node, "struct thread", "ent", "node")
                print(f"    {int(thread['base']['id'])} {thread['base']['name'].string()} {thread['state']} "
                      f"deadline {int(thread['ent']['deadline'])}")


class Locks(gdb.Command):
    """Print the locks that CPUs and threads hold, as the debug image knows them."""

    def __init__(self):
        super().__init__("locks", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        for cpu in all_cpus():
            self.show(f"cpu {int(cpu['id'])}", cpu["spinlocks"])
        for thread in all_threads():
            self.show(f"thread {int(thread['base']['id'])} {thread['base']['name'].string()}", thread["base"]["mutexes"])

    def show(self, who, held):
        print(f"{who}: {int(held['n'])} held")
        for n in range(int(held["n"])):
            lock = held["at"][n]
            print(f"    {lock['cls']} at {lock['lock']}, taken in {place(lock['pc'])}")


class Regions(gdb.Command):
    """Print the regions of a struct vm_space *."""

    def __init__(self):
        super().__init__("regions", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        for node in in_order(gdb.parse_and_eval(argument)["regions"]["node"]):
            region = entry_of(node, "struct vm_region", "node")
            print(f"{int(region['start']):#x}-{int(region['end']):#x} prot {int(region['prot']):#x} backing {region['backing']}")


class Ring(gdb.Command):
    """Print the state of a struct virtq *."""

    def __init__(self):
        super().__init__("ring", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        queue = gdb.parse_and_eval(argument)
        names = ("index", "num", "shadow", "published", "last_used", "nr_free", "in_flight", "failed", "submitted", "collected")
        print(", ".join(f"{name} {int(queue[name])}" for name in names))
        print(f"avail.idx {int(queue['avail']['idx'])}, used.idx {int(queue['used']['idx'])}")


for command in (Threads, RunQueues, Locks, Regions, Ring):
    command()
