"""demo.py NATIVE FORCED_POLL WASM: run the demo on each host with each front end, feed each the same
lines at the same irregular times from another process, and compare what the programs printed."""

import pathlib
import subprocess
import sys

from tabulate import tabulate

SCRIPTS = pathlib.Path(__file__).resolve().parent

# Seconds to sleep, then what to write. A line in two parts, two lines at once, an end without one.
INPUT = [
    (0.05, "first\\n"),
    (0.02, "second\\n"),
    (0.11, "two "),
    (0.03, "parts\\n"),
    (0.17, "two lines\\nat once\\n"),
    (0.01, "\\n"),
    (0.21, "no newline at the end"),
]
FEEDER = "; ".join(f"sleep {pause}; printf '{text}'" for pause, text in INPUT)
LIMIT = 30  # seconds; a run takes about one


def trace(command):
    """What the program printed, and what went wrong."""
    feeder = subprocess.Popen(["sh", "-c", FEEDER], stdout=subprocess.PIPE)
    try:
        run = subprocess.run(command, stdin=feeder.stdout, capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return "", f"it did not end within {LIMIT} s"
    finally:
        feeder.stdout.close()
        feeder.wait()
    wrong = f"exit status {run.returncode}" if run.returncode else ""
    return run.stdout, " ".join([wrong, run.stderr.strip()]).strip()


def main():
    native, forced, wasm = sys.argv[1:]
    wasmtime = [str(SCRIPTS / "run-wasmtime"), wasm]
    node = [str(SCRIPTS / "run-node"), wasm]
    hosts = {"native": [native], "wasmtime": wasmtime, "Node": node}
    backends = {"native": [native], "native, forced": [forced], "wasmtime": wasmtime, "Node": node}

    bad = []
    runs = 0
    first = None
    for front, commands in {"selector": backends, "select": hosts, "poll": hosts}.items():
        columns = {}
        for name, command in commands.items():
            if front == "selector":
                backend = subprocess.run([*command, "backend"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
                name += f": {backend.stdout.strip()}"
            printed, wrong = trace([*command, front])
            columns[name] = printed.splitlines()
            runs += 1
            first = first or printed
            if wrong or not printed:
                bad.append(f"{front}, {name}: {wrong or 'it printed nothing'}")
            elif printed != first:
                bad.append(f"{front}, {name}: not the same trace as the first one")
        height = max(len(lines) for lines in columns.values())
        filled = {name: lines + [""] * (height - len(lines)) for name, lines in columns.items()}
        print(f"\n{front}")
        print(tabulate(filled, headers="keys", maxcolwidths=46))

    print()
    for line in bad:
        print(f"DIFFERS: {line}")
    if bad:
        sys.exit(1)
    print(f"{runs} runs, one trace: what each program saw is the same to the letter.")


if __name__ == "__main__":
    main()
