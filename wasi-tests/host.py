"""A WASI 0.1 host in Python that does what a test tells it to, right or wrong.

It plays poll_oneoff, fd_fdstat_get, the clock, and reading, writing and closing of pretended
descriptors; wasmtime's own does the rest. Time is pretended too: a wait takes none, a test of a
second runs at once, and what a wait returns is the same on every run.

What a host gets wrong is a field of Host, each for itself, named in wasi-tests/README.md; HOSTS
puts them together as real ones do.
"""

import dataclasses
import math
import re
import struct
import tempfile

import wasmtime

MS = 1_000_000
NEVER = math.inf

CLOCK, READ, WRITE = 0, 1, 2
UNKNOWN, BLOCK, CHARACTER, DIRECTORY, REGULAR, DATAGRAM, STREAM = range(7)
SUCCESS, ACCES, BADF, EXIST, INTR, INVAL, IO, NOSYS, NOTSUP, PERM, PIPE, NOTCAPABLE = (
    0, 2, 8, 20, 27, 28, 29, 52, 58, 63, 64, 76,
)  # fmt: skip
HANGUP = 1


class Misuse(Exception):
    """What no program may ask of a host, because on some it hangs, ends the process or never returns."""


@dataclasses.dataclass
class Descriptor:
    """A pretended descriptor: when it is ready, in nanoseconds from the start."""

    type: int = STREAM
    read: float = NEVER
    write: float = NEVER
    reads: bool = True  # False: it has no such direction
    writes: bool = True
    error: int = SUCCESS  # what an event says of it
    hangup: bool = False
    pollable: int = SUCCESS  # an error: the host cannot wait for it
    # Like wasmtime's standard input: it learns that it is ready this long after it was asked.
    lag: float = 0
    asked: float = NEVER
    data: int = 0  # bytes that a read takes; then it is not ready any more
    more: int = 0  # bytes that come behind them

    def ready(self, which, now):
        at = self.read if which == READ else self.write
        if not (self.reads if which == READ else self.writes):
            return NEVER
        if self.lag and which == READ:
            at = max(at, self.asked + self.lag)
        return max(at, now)


@dataclasses.dataclass
class Host:
    """What it does wrong. All at their defaults: nothing."""

    bad: str = "event"  # a descriptor that is not open: "event", "call", "clock" (Node)
    wrong_direction: str = "never"  # or "call", "event"
    file: str = "ready"  # or "late" (wasmtime), or the error of an "event" or "call" such as "call 63"
    directory: str = "ready"  # or "call 8"
    waits: str = "any"  # or "all", "clock", "first"
    tells: str = "ready"  # or "all": when one is ready (wasi-common)
    both: bool = True  # of a descriptor in both directions
    twice: bool = True  # the same descriptor and direction; False: an error
    zero: str = "polls"  # or "forever" (wasmer)
    grain: int = 1  # of the clock; Node: a millisecond, cut off
    stalls: int = 0  # the process stands still before it looks at its sources, but each third time
    clocks: str = "due"  # or "all", due or not (wazero); "early": it comes back before its time
    clock_name: str = "own"  # or "0"
    nbytes: bool = True
    absolute: bool = False  # it gets absolute times right
    refuses: int = SUCCESS  # every call
    interrupts: int = 0  # so many calls

    now: int = 0
    most_calls: int = 20_000
    calls: list = dataclasses.field(default_factory=list)
    fuel: list = dataclasses.field(default_factory=list)
    events: list = dataclasses.field(default_factory=list)
    other: dict = dataclasses.field(default_factory=dict)
    fds: dict = dataclasses.field(default_factory=dict)

    def poll(self, subs):
        """One poll_oneoff: an error, or a list of events (userdata, error, type, nbytes, flags)."""
        self.now += 1000
        if self.refuses or not subs:
            return self.refuses or INVAL
        if self.interrupts:
            self.interrupts -= 1
            return INTR
        clocks = [sub for sub in subs if sub.tag == CLOCK]
        asked = [sub for sub in subs if sub.tag != CLOCK]
        deadline, zero = NEVER, False
        for clock in clocks:
            timeout = clock.timeout
            if clock.flags & 1:
                if not self.absolute:
                    raise Misuse("an absolute time")
                timeout = max(timeout - self.now, 0)
            if timeout == 0 and self.zero == "forever":
                continue
            # Both the time and now are cut off.
            zero = timeout // self.grain == 0
            due = (self.now // self.grain + timeout // self.grain) * self.grain
            deadline = min(deadline, max(due, self.now))
        if self.stalls and len(self.calls) % self.stalls and clocks:
            self.now += 5 * MS
            zero |= self.now >= deadline
        end = [self.event(clock) for clock in clocks]
        if self.clock_name == "0":
            end = [(0, *event[1:]) for event in end]

        told, waiting, seen, hidden = [], [], set(), set()
        for at, sub in enumerate(asked):
            fd = self.fds.get(sub.fd)
            which = (sub.fd, sub.tag)
            if fd is None:
                if self.bad == "call":
                    return BADF
                if self.bad == "clock":
                    if at + 1 < len(asked):
                        raise Misuse("a bad descriptor before another one: Node dies of it")
                    if not waiting:
                        return end or [(0, SUCCESS, CLOCK, 0, 0)]
                told.append(self.event(sub, BADF))
                continue
            if which in seen and not self.twice:
                told.append(self.event(sub, EXIST))
                continue
            if sub.fd in {fd for fd, _ in seen} and not self.both:
                hidden.add(sub.userdata)
            seen.add(which)
            error = self.refusal(fd, sub.tag)
            if error and error[0] == "call":
                return error[1]
            if error:
                told.append(self.event(sub, error[1]))
                continue
            if fd.lag and sub.tag == READ:
                fd.asked = min(fd.asked, self.now)
            waiting.append((fd, sub))
        if self.file == "late" and len(asked) > 1:
            # wasmtime forgets the reading of a file that is written, too.
            written = {sub.fd for fd, sub in waiting if fd.type == REGULAR and sub.tag == WRITE}
            hidden |= {sub.userdata for _, sub in waiting if sub.tag == READ and sub.fd in written}

        waiting = [(fd, sub) for fd, sub in waiting if sub.userdata not in hidden]
        times = [self.time(fd, sub) for fd, sub in waiting]
        until = self.until(times, deadline, bool(told))
        if until == NEVER:
            raise Misuse("a wait that nothing ends")
        if self.clocks == "early" and until == deadline:
            until = self.now + (until - self.now) // 2
        self.now = max(self.now, int(until))
        ready = [(fd, sub) for (fd, sub), at in zip(waiting, times, strict=True) if at <= self.now]
        if self.grain > 1 and zero:
            ready = []  # the clock is first
        if self.tells == "all" and ready:
            ready = waiting
        told += [self.event(sub, fd.error, fd) for fd, sub in ready]
        if self.now >= deadline or self.clocks in ("all", "early"):
            if self.clock_name == "own" or not told:
                told += end
        return told

    def until(self, times, deadline, told):
        """When a wait ends."""
        first = min(times, default=NEVER)
        if told:
            return self.now
        if self.waits == "all":
            return min(max(times, default=NEVER), deadline)
        if self.waits == "clock":
            return first if deadline == NEVER else deadline
        if self.waits == "first":
            return min(times[0] if times else NEVER, deadline)
        return min(first, deadline)

    def time(self, fd, sub):
        if fd.type in (REGULAR, DIRECTORY):
            return self.now + 5000 if self.file == "late" else self.now
        return fd.ready(sub.tag, self.now)

    def refusal(self, fd, tag):
        """How it says that it does not wait for this."""
        what = ""
        if fd.type == DIRECTORY and self.directory != "ready":
            what = self.directory
        if fd.type == REGULAR and self.file not in ("ready", "late"):
            what = self.file
        if not (fd.reads if tag == READ else fd.writes) and self.wrong_direction != "never":
            what = f"{self.wrong_direction} {BADF}"
        if fd.pollable:
            what = f"call {fd.pollable}"
        return (what.split()[0], int(what.split()[1])) if what else None

    def event(self, sub, error=SUCCESS, fd=None):
        flags = HANGUP if fd and fd.hangup else 0
        nbytes = 0
        if fd and self.nbytes and fd.ready(sub.tag, self.now) <= self.now:
            nbytes = 0 if fd.hangup else fd.data or 1
        return (sub.userdata, error, sub.tag, nbytes, flags)


HOSTS = {
    "truthful": {},
    "wasmtime": dict(
        bad="call", wrong_direction="call", file="late", directory=f"call {BADF}", clocks="due"
    ),
    "wasi-common": dict(bad="call", directory=f"call {INVAL}", tells="all"),
    "node": dict(
        bad="clock", directory=f"call {NOTCAPABLE}", file=f"call {PERM}", waits="all", both=False,
        grain=MS, nbytes=False,
    ),
    "wazero": dict(file=f"event {NOTSUP}", waits="clock", clocks="all", nbytes=False),
    "wasmer": dict(bad="call", zero="forever"),
    "wasmedge": dict(file=f"event {PERM}", twice=False),
}  # fmt: skip


@dataclasses.dataclass
class Subscription:
    userdata: int
    tag: int
    fd: int = 0
    clock: int = 0
    timeout: int = 0
    flags: int = 0


def subscriptions(memory, at, count):
    found = []
    for userdata, tag, clock, timeout, _, flags in struct.iter_unpack(
        "<QB7xI4xQQH6x", memory[at : at + 48 * count]
    ):
        if tag == CLOCK:
            found.append(Subscription(userdata, tag, 0, clock, timeout, flags))
        else:
            found.append(Subscription(userdata, tag, clock))
    return found


class Run:
    """What a program printed, and what became of it."""

    def __init__(self, output, host, error):
        self.output, self.host, self.error = output, host, error
        self.lines = [re.fullmatch(r"(\w+) ([\d.]+): ?(.*)", line) for line in output.splitlines()]

    def all(self, name):
        """What each command of this name printed."""
        assert not self.error, f"{self.error}\n{self.output}"
        return [line[3] for line in self.lines if line and line[1] == name]

    def one(self, name):
        (only,) = self.all(name)
        return only

    def took(self, name):
        """Milliseconds, by the program's own clock."""
        assert not self.error, f"{self.error}\n{self.output}"
        return [float(line[2]) for line in self.lines if line and line[1] == name]


class Embedding:
    """wasmtime with the program in it."""

    def __init__(self, path):
        config = wasmtime.Config()
        config.consume_fuel = True
        self.engine = wasmtime.Engine(config)
        self.module = wasmtime.Module.from_file(self.engine, path)

    def run(self, host, *commands):
        linker = wasmtime.Linker(self.engine)
        linker.define_wasi()
        linker.allow_shadowing = True
        store = wasmtime.Store(self.engine)
        store.set_fuel(10**12)
        wrong = []

        def define(name, params, function):
            def guarded(caller, *args):
                # An exception that goes through wasmtime loses its type: keep it.
                try:
                    return function(caller, caller["memory"], *args)
                except Exception as error:
                    wrong.append(error)
                    raise

            types = [{"i": wasmtime.ValType.i32(), "l": wasmtime.ValType.i64()}[p] for p in params]
            kind = wasmtime.FuncType(types, [wasmtime.ValType.i32()])
            linker.define_func("wasi_snapshot_preview1", name, kind, guarded, access_caller=True)

        def poll_oneoff(caller, memory, subs, events, count, told):
            subs, events, told = subs & 0xFFFFFFFF, events & 0xFFFFFFFF, told & 0xFFFFFFFF
            host.fuel.append(store.get_fuel())
            asked = subscriptions(memory.read(caller, subs, subs + 48 * count), 0, count)
            host.calls.append(asked)
            if len(host.calls) > host.most_calls:
                raise Misuse(f"{host.most_calls} calls: it spins")
            answer = host.poll(asked)
            if isinstance(answer, int):
                return answer
            host.events.append(answer)
            assert len(answer) <= count
            block = b"".join(
                struct.pack("<QHB5xQH6x", name, error, kind, nbytes, flags)
                for name, error, kind, nbytes, flags in answer
            )
            memory.write(caller, block, events)
            memory.write(caller, struct.pack("<I", len(answer)), told)
            return SUCCESS

        def count(name):
            host.other[name] = host.other.get(name, 0) + 1

        def fd_fdstat_get(caller, memory, fd, stat):
            count("fd_fdstat_get")
            fd = host.fds.get(fd & 0xFFFFFFFF)
            if fd is None:
                return BADF
            memory.write(caller, struct.pack("<BxH4xQQ", fd.type, 0, 2**30 - 1, 0), stat & 0xFFFFFFFF)
            return SUCCESS

        def clock_time_get(caller, memory, clock, precision, time):
            count("clock_time_get")
            host.now += 100
            memory.write(caller, struct.pack("<Q", host.now + 10**12), time & 0xFFFFFFFF)
            return SUCCESS

        def fd_close(caller, memory, fd):
            return SUCCESS if host.fds.pop(fd & 0xFFFFFFFF, None) else BADF

        def fd_read(caller, memory, fd, vectors, number, nread):
            fd = host.fds.get(fd & 0xFFFFFFFF)
            if fd is None:
                return BADF
            if fd.ready(READ, host.now) > host.now:
                raise Misuse("a read that blocks")
            got, fd.data, fd.more = fd.data, fd.more, 0
            if got:
                fd.asked = NEVER
            if not fd.data:
                fd.read = NEVER
            memory.write(caller, struct.pack("<I", got), nread & 0xFFFFFFFF)
            return SUCCESS

        define("poll_oneoff", "iiii", poll_oneoff)
        define("fd_fdstat_get", "ii", fd_fdstat_get)
        define("clock_time_get", "ili", clock_time_get)
        define("fd_close", "i", fd_close)
        define("fd_read", "iiii", fd_read)

        wasi = wasmtime.WasiConfig()
        wasi.argv = ["guest", *commands]
        error = None
        with tempfile.NamedTemporaryFile() as output:
            wasi.stdout_file = output.name
            wasi.inherit_stderr()
            store.set_wasi(wasi)
            try:
                instance = linker.instantiate(store, self.module)
                instance.exports(store)["_start"](store)
            except wasmtime.ExitTrap as exited:
                error = exited if exited.code else None
            except Exception as failed:
                error = wrong[0] if wrong else failed
            text = output.read().decode()
        return Run(text, host, error)
