"""Random programs on random hosts, beside a model that knows of no host."""

import copy
import random

import pytest
from host import (
    BADF, CHARACTER, DIRECTORY, HOSTS, MS, NEVER, NOTCAPABLE, NOTSUP, PERM, REGULAR, STREAM,
    Descriptor, Host,
)  # fmt: skip

READY = 0.0
SOON, LATE = 10_000 * MS, 20_000 * MS  # far behind what the clock of a host moves meanwhile
TIMEOUTS = ["0", "0", "0.5", "300", "25000", "none"]
FDS = [0, *range(5, 12)]  # the last one is never open
FILES = (REGULAR, DIRECTORY)
QUIRKS = dict(
    bad=["event", "call", "clock"],
    wrong_direction=["never", "call", "event"],
    file=["ready", "late", f"event {NOTSUP}", f"call {PERM}"],
    directory=["ready", f"call {BADF}", f"call {NOTCAPABLE}"],
    waits=["any", "all", "clock", "first"],
    tells=["ready", "all"],
    both=[True, False],
    twice=[True, False],
    zero=["polls", "forever"],
    grain=[1, MS],
    stalls=[0, 2, 3],
    clocks=["due", "all", "early"],
    clock_name=["own", "0"],
    nbytes=[True, False],
)  # fmt: skip


def descriptor(chance):
    kind = chance.choice([*6 * [STREAM], CHARACTER, *FILES])
    if kind in FILES:
        return Descriptor(kind, READY, READY)
    at = [READY, NEVER, NEVER, NEVER, SOON, LATE]
    missing = chance.choice([*8 * [""], "IN", "OUT"]) if kind == STREAM else ""
    return Descriptor(
        kind, chance.choice(at), chance.choice(at), reads=missing != "IN", writes=missing != "OUT"
    )


class Model:
    """What is there, and when."""

    def __init__(self, fds):
        self.fds, self.now = fds, 1
        self.poll, self.selector = {}, {}

    def ready_at(self, fd, flag):
        one = self.fds[fd]
        if not (one.reads if flag == "IN" else one.writes):
            return NEVER
        return one.read if flag == "IN" else one.write

    def look(self, wanted):
        for fd, flags in wanted:
            if fd not in self.fds:
                yield fd, ["NVAL"]
            elif ready := [flag for flag in flags if self.ready_at(fd, flag) <= self.now]:
                yield fd, ready

    def wait(self, wanted, timeout):
        """What is ready then; None if nothing ever is."""
        wanted = list(wanted)
        if not (ready := list(self.look(wanted))):
            first = min((self.ready_at(fd, flag) for fd, flags in wanted for flag in flags), default=NEVER)
            end = NEVER if timeout == "none" else self.now + float(timeout) * MS
            if first == end == NEVER:
                return None
            self.now = min(first, end)
            ready = list(self.look(wanted))
        return ready


class Program:
    """Commands for the guest, and what they are to print."""

    def __init__(self, chance, fds):
        self.chance, self.model = chance, Model(fds)
        self.commands, self.expected = [], []

    def step(self):
        chance, model = self.chance, self.model
        fd, timeout = chance.choice(FDS), chance.choice(TIMEOUTS)
        flags = chance.choice([["IN"], ["IN"], ["OUT"], ["OUT"], ["IN", "OUT"], []])
        match chance.choice(["reg", "reg", "unreg", "close", "sreg", "sunreg", *3 * ["poll"], *2 * ["select", "swait"]]):
            case "reg":
                model.poll[fd] = flags
                self.commands.append(f"reg:{fd}:{'+'.join(flags)}")
            case "unreg" if model.poll.pop(fd, None) is not None:
                self.commands.append(f"unreg:{fd}")
            case "close" if fd in model.fds and fd not in model.selector:
                del model.fds[fd]
                self.commands.append(f"close:{fd}")
            case "sreg" if fd in model.fds and fd not in model.selector:
                model.selector[fd] = flags
                self.commands.append(f"sreg:{fd}:{'+'.join(flags)}")
            case "sunreg" if model.selector.pop(fd, None) is not None:
                self.commands.append(f"sunreg:{fd}")
            case "poll" if (ready := model.wait(model.poll.items(), timeout)) is not None:
                self.wait(f"poll:{timeout}", " ".join(f"{fd}={'+'.join(flags)}" for fd, flags in ready))
            case "swait" if (ready := model.wait(model.selector.items(), timeout)) is not None:
                letters = {"IN": "r", "OUT": "w"}
                told = sorted(f"{fd}={''.join(letters[flag] for flag in flags)}" for fd, flags in ready)
                self.wait(f"swait:{timeout}", " ".join(told))
            case "select":
                self.select(timeout)

    def select(self, timeout):
        model, lists = self.model, []
        for most in (4, 4, 2):
            lists.append([fd for fd in self.chance.choices(FDS, k=self.chance.randrange(most)) if fd in model.fds])
        wanted = [(fd, flags) for fds, flags in zip(lists, (["IN"], ["OUT"], []), strict=True) for fd in fds]
        if model.wait(wanted, timeout) is not None:
            read, write, _ = lists
            read = [str(fd) for fd in read if model.ready_at(fd, "IN") <= model.now]
            write = [str(fd) for fd in write if model.ready_at(fd, "OUT") <= model.now]
            command = ":".join(["select", *(",".join(map(str, fds)) for fds in lists), timeout])
            self.wait(command, f"{' '.join(read)} / {' '.join(write)} / ")

    def wait(self, command, told):
        self.commands.append(command)
        self.expected.append((command.split(":")[0], told))


@pytest.mark.parametrize("seed", range(120))
def test_a_random_program_is_told_the_same_on_any_host(embedding, seed):
    chance = random.Random(seed)
    if seed % 3:
        quirks = {name: chance.choice(values) for name, values in QUIRKS.items() if chance.random() < 0.4}
    else:
        quirks = dict(HOSTS[chance.choice(list(HOSTS))], stalls=chance.choice([0, 0, 2, 3]))
    fds = {fd: descriptor(chance) for fd in FDS[1:-1]}
    fds[0] = Descriptor(CHARACTER, read=chance.choice([READY, NEVER, SOON]), writes=False, lag=chance.choice([0, 2 * MS]))
    fds[1] = Descriptor(CHARACTER, write=chance.choice([READY, READY, NEVER]), reads=False)
    program = Program(chance, copy.deepcopy(fds))
    for _ in range(30):
        program.step()
    result = embedding.run(Host(**quirks, fds=fds, most_calls=100_000), *program.commands)
    assert not result.error, f"{result.error}\n{quirks}\n{program.commands}"
    told = [(line[1], line[3]) for line in result.lines if line and line[1] in ("poll", "select", "swait")]
    assert told == program.expected, f"{quirks}\n{program.commands}"
