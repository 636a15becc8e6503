"""Run a WASI 0.1 module or a 0.2 component as the `wasmtime run` command would.

python run_wasmtime.py PROGRAM.wasm ARG...   (see run-wasmtime)
"""

import os
import shutil
import signal
import sys
import tempfile

import wasmtime
from wasmtime import _bindings, component


def cached(cache, engine, kind, code):
    """Compile, or load what an earlier run compiled: a large test takes seconds to compile."""
    import hashlib

    name = hashlib.sha256(sys.prefix.encode() + code).hexdigest()
    path = os.path.join(cache, f"{kind.__name__.lower()}-{name}")
    try:
        loaded = kind.deserialize_file(engine, path)
        os.utime(path)
        return loaded
    except (OSError, wasmtime.WasmtimeError):
        pass
    compiled = kind(engine, code)
    try:
        os.makedirs(cache, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cache, delete=False) as new:
            new.write(compiled.serialize())
        os.replace(new.name, path)
        prune(cache)
    except OSError:
        pass  # a cache that cannot be written costs time, no more
    return compiled


def prune(cache, keep=200):
    """Every rebuild leaves an entry: drop the oldest."""
    entries = sorted(os.scandir(cache), key=lambda entry: entry.stat().st_mtime, reverse=True)
    for entry in entries[keep:]:
        os.unlink(entry.path)


def wasi_config(program, args, tmp):
    config = wasmtime.WasiConfig()
    config.argv = [os.path.basename(program), *args]
    config.env = list(os.environ.items())
    config.inherit_stdin()
    config.inherit_stdout()
    config.inherit_stderr()
    config.preopen_dir(".", ".")
    config.preopen_dir(tmp, "/tmp")
    if os.environ.get("READINESS_NETWORK") != "none":
        # The binding names the network nowhere else.
        _bindings.wasi_config_inherit_network(config.ptr())
        _bindings.wasi_config_allow_ip_name_lookup(config.ptr(), True)
    return config


def run(program, args, tmp):
    with open(program, "rb") as file:
        code = file.read()
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    cache = os.path.join(home, "readiness", "compiled-wasm")
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    store.set_wasi(wasi_config(program, args, tmp))
    if code[4:8] == b"\x01\0\0\0":
        linker = wasmtime.Linker(engine)
        linker.define_wasi()
        instance = linker.instantiate(store, cached(cache, engine, wasmtime.Module, code))
        instance.exports(store)["_start"](store)
        return 0
    linker = component.Linker(engine)
    linker.add_wasip2()
    built = cached(cache, engine, component.Component, code)
    instance = linker.instantiate(store, built)
    for version in range(20):
        interface = instance.get_export_index(store, f"wasi:cli/run@0.2.{version}")
        if interface is not None:
            index = instance.get_export_index(store, "run", interface)
            result = instance.get_func(store, index)(store)
            return 0 if result is None or getattr(result, "tag", "ok") == "ok" else 1
    sys.exit(f"{program}: exports no wasi:cli/run@0.2")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    # Ctrl-C and a closed pipe end the program at once, as they would a command.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    tmp = tempfile.mkdtemp(prefix="readiness-")
    try:
        status = run(sys.argv[1], sys.argv[2:], tmp)
    except wasmtime.ExitTrap as exit_:
        status = exit_.code
    except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
        print(f"{os.path.basename(sys.argv[1])}: {error}", file=sys.stderr)
        status = 134
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
    sys.stderr.flush()
    # Not sys.exit: taking the interpreter and the engine down costs time and nothing needs it.
    os._exit(status)


main()
