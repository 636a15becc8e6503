"""The benchmarks on WASI: python benches/wasm.py [counted] [timed] [size]   (scripts/bench calls it)

- counted: guest instructions a wait, by wasmtime's fuel, on the scripted host of wasi-tests/
- timed: Poll beside the host's own call, in wasmtime, on 0.1 and 0.2
- size: what Poll, select and Epoll add to a module

Each leaves a part of the report in target/bench/parts (see benches/report.rs).
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "wasi-tests"))
PARTS = ROOT / "target/bench/parts"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))

SIZES = [1, 64, 500, 2000]
TIMES = 40
FRONT_ENDS = ["Poll", "select", "Epoll", "Selector"]


def build(*args, component=False):
    """The folder of the programs."""
    target = TARGET / "bench-component" if component else TARGET
    env = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    if component:
        env["READINESS_COMPONENT"] = "1"
    command = [ROOT / "scripts/cargo-for", "wasm32-wasip1", "build", "-q", "-p", "readiness-bench-guest", *args]
    subprocess.run(command, cwd=ROOT, check=True, env=env)
    # Cargo's own name for the folder of its profile `bench`.
    return target / "wasm32-wasip1" / ("size" if "size" in args else "release")


class Part:
    def __init__(self):
        self.cells, self.points = [], []

    def cell(self, case, size, against, ours, theirs, limit, unit, spread=0.0):
        cell = dict(
            case=case, size=size, against=against, ratio=ours / theirs, limit=limit, spread=spread,
            ours=ours, theirs=theirs, unit=unit,
        )  # fmt: skip
        self.take(cell)

    def take(self, cell):
        over = "  OVER" if cell["ratio"] > cell["limit"] else ""
        print(
            "{case:50} {size:6}  against {against:15} {ratio:6.3f} (limit {limit:4.2f}, "
            "spread {spread:5.3f}, ours {ours:9.0f} {unit})".format(**cell) + over,
            flush=True,
        )
        self.cells.append(cell)

    def line(self, plot, axis, line, x, y):
        self.points.append(dict(plot=plot, axis=axis, line=line, x=float(x), y=float(y)))

    def bar(self, plot, line, y):
        self.points.append(dict(plot=plot, axis=None, line=line, x=0.0, y=float(y)))

    def write(self, name):
        PARTS.mkdir(parents=True, exist_ok=True)
        (PARTS / f"{name}.json").write_text(json.dumps(dict(cells=self.cells, points=self.points)))


class Counted:
    """Instructions a wait: the median and the quartiles' distance; and host calls a wait."""

    def __init__(self, embedding, case, size, ready, timeout=-1):
        from host import Descriptor, Host

        ready_ones = {10 + (2 * n + 1) * size // (2 * ready) for n in range(ready)}
        fds = {10 + at: Descriptor(read=0 if 10 + at in ready_ones else float("inf")) for at in range(size)}
        host = Host(fds=fds)
        result = embedding.run(host, case, str(size), str(timeout), str(TIMES))
        assert not result.error, f"{case} {size}: {result.error}\n{result.output}"
        # The first waits ask what kind of host it is.
        fuel = host.fuel[-TIMES // 2 :]
        each = [before - after for before, after in zip(fuel, fuel[1:])]
        self.median = statistics.median(each)
        low, _, high = statistics.quantiles(each, n=4)
        self.spread = (high - low) / self.median
        self.calls = round(len(host.calls) / TIMES)


def counted():
    from host import Embedding

    embedding = Embedding(str(build("--profile", "bench", "--bin", "counted") / "counted.wasm"))
    part = Part()
    few = {}
    for size in SIZES:
        for ready in sorted({1, size}):
            name = "all ready" if ready == size else "1 ready"
            plot = f"WASI 0.1: instructions a wait by the number registered; {name}"
            theirs = Counted(embedding, "libc-poll", size, ready)
            part.line(plot, "registered", "wasi-libc poll", size, theirs.median)
            for case in FRONT_ENDS:
                ours = Counted(embedding, case, size, ready)
                title = f"WASI 0.1, {case}, {name}"
                part.cell(
                    title, size, "wasi-libc poll", ours.median, theirs.median, 1.0, "instructions", ours.spread
                )
                part.cell(f"{title}, host calls", size, "one", ours.calls, 1, 1.0, "calls")
                part.line(plot, "registered", case, size, ours.median)
                if ready == 1 and case != "select":
                    few[case, size] = ours
            # wasi-libc's sets take 1,024 at most.
            if size <= 500:
                theirs = Counted(embedding, "libc-select", size, ready)
                part.line(plot, "registered", "wasi-libc select", size, theirs.median)
                if size == 500:
                    for case in ["select", "Poll"]:
                        ours = Counted(embedding, case, size, ready)
                        part.cell(
                            f"WASI 0.1, {case}, {name}", size, "wasi-libc select", ours.median, theirs.median,
                            0.1, "instructions", ours.spread,
                        )  # fmt: skip
            for timeout in [0, 1000]:
                theirs = Counted(embedding, "libc-poll", size, ready, timeout)
                ours = Counted(embedding, "Poll", size, ready, timeout)
                title = f"WASI 0.1, Poll, {name}, timeout {timeout} ms"
                part.cell(
                    title, size, "wasi-libc poll", ours.median, theirs.median, 1.0, "instructions", ours.spread
                )
    for case in FRONT_ENDS:
        if case != "select":
            many, less = few[case, 2000], few[case, 64]
            title = f"WASI 0.1, {case}, 1 ready, unchanged"
            part.cell(title, 2000, "itself at 64", many.median, less.median, 1.1, "instructions", many.spread)
    part.write("3-wasi-counted")


def timed():
    part = Part()
    plot = "WASI 0.2 in wasmtime: a wait by the number of pollables"
    for component in [False, True]:
        features = ["--features", "wasi-io"] if component else []
        program = build("--profile", "bench", "--bin", "timed", *features, component=component) / "timed.wasm"
        run = subprocess.run(
            [ROOT / "scripts/run-wasmtime", program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True
        )
        for line in run.stdout.decode().splitlines():
            cell = json.loads(line)
            part.take(cell)
            if component and "timeout" not in cell["case"]:
                ready = cell["case"].rsplit(", ")[-1]
                part.line(plot, "pollables", f"Poll::poll, {ready}", cell["size"], cell["ours"])
                part.line(plot, "pollables", f"wasi:io/poll, {ready}", cell["size"], cell["theirs"])
    part.write("4-wasi-timed")


def size():
    programs = build("--profile", "size", "--bins")
    part = Part()
    bare = (programs / "size-nothing.wasm").stat().st_size
    plot = "Size of a 0.1 module in bytes: release, opt-level z, stripped"
    part.bar(plot, "without waiting", bare)
    for name, program, limit in [("Poll and select", "poll-select", 8), ("Epoll", "epoll", 24)]:
        whole = (programs / f"size-{program}.wasm").stat().st_size
        part.bar(plot, f"with {name}", whole)
        part.cell(f"code of {name}", 0, f"{limit} KiB", whole - bare, limit * 1024, 1.0, "bytes")
    part.write("5-size")


def main():
    for name in sys.argv[1:] or ["counted", "timed", "size"]:
        {"counted": counted, "timed": timed, "size": size}[name]()


main()
