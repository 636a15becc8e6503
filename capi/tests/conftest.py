"""libreadiness as `make capi` leaves it, and C programs built against it."""

import dataclasses
import os
import pathlib
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CC = os.environ.get("CC", "gcc" if shutil.which("gcc") else "cc")
CXX = os.environ.get("CXX", "g++" if shutil.which("g++") else "c++")
WARNINGS = ["-Wall", "-Wextra", "-Werror"]
# What the tests do on purpose: sizes that are wrong, and NULL.
ON_PURPOSE = ["-Wno-stringop-overflow", "-Wno-stringop-overread", "-Wno-nonnull", "-Wno-unknown-warning-option"]


def run(command, **options):
    options = {"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "timeout": 120} | options
    return subprocess.run([str(word) for word in command], **options)


def must(command, **options):
    done = run(command, **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}"
    return done.stdout


@dataclasses.dataclass
class Flavour:
    """A way to build and run a program."""

    name: str
    # The installation, of which kind and backend; None: the system's own calls.
    kind: str | None = None
    backend: str = ""
    static: bool = False
    # Calls that go to the library though their names are the C library's.
    wrap: tuple = ("close",)
    # The sanitizer that the library itself is compiled with.
    instrumented: str = ""
    # For WebAssembly: WASI 0.2, with sockets; the second archive has those names itself.
    component: bool = False

    @property
    def wasm(self):
        return self.kind == "wasm"

    def folder(self):
        name = "capi-wasm" if self.wasm else f"capi-{self.backend}" if self.backend else "capi"
        return ROOT / "target" / name

    def runner(self):
        return [ROOT / "scripts/run-wasmtime"] if self.wasm else []


FLAVOURS = {
    flavour.name: flavour
    for flavour in [
        Flavour("kernel"),
        Flavour("shared", "native"),
        Flavour("static", "native", static=True),
        Flavour("poll", "native", "poll"),
        Flavour("poll-static", "native", "poll", static=True, wrap=("close", "read", "write", "recv", "send", "accept")),
        Flavour("address", "native", static=True, instrumented="address"),
        Flavour("address-poll", "native", "poll", static=True, instrumented="address"),
        Flavour("thread", "native", static=True, instrumented="thread"),
        Flavour("thread-poll", "native", "poll", static=True, instrumented="thread"),
        Flavour("wasm", "wasm"),
        Flavour("component", "wasm", wrap=(), component=True),
    ]
}


class Builder:
    def __init__(self, folder):
        self.folder = folder
        self.installed = {}

    def install(self, flavour):
        """Builds the flavour's library, once; says where it is."""
        key = (flavour.kind, flavour.backend)
        if flavour.kind and key not in self.installed:
            must([ROOT / "scripts/capi", flavour.kind, *([flavour.backend] if flavour.backend else [])], timeout=900)
            self.installed[key] = True
        return flavour.folder()

    def instrumented(self, flavour):
        """What a program links instead of the library: the one that is compiled with a sanitizer."""
        key = (flavour.instrumented, flavour.backend)
        if key not in self.installed:
            command = [ROOT / "scripts/instrumented", *filter(None, key)]
            done = run(command, timeout=1000, stderr=subprocess.PIPE)
            self.installed[key] = done.stdout.split("\n")[:2] if done.returncode == 0 else done.stderr
        if isinstance(self.installed[key], str):
            pytest.skip(f"no {flavour.instrumented} sanitizer for Rust: {self.installed[key].strip().splitlines()[-1]}")
        archive, runtime = self.installed[key]
        whole = ["-Wl,--whole-archive", runtime, "-Wl,--no-whole-archive", "-rdynamic"]
        return [archive, *whole, "-lpthread", "-ldl", "-lm", "-lrt", "-lresolv"]

    def compiler(self, flavour, plus=False):
        if not flavour.wasm:
            return [CXX if plus else CC]
        # It says what is missing if it cannot install it.
        probe = run([ROOT / "scripts/wasm-cc", "--version"], timeout=600)
        if probe.returncode != 0:
            pytest.skip(f"no C compiler for WebAssembly: {probe.stdout.strip().splitlines()[-1]}")
        return [ROOT / "scripts/wasm-cc"]

    def compile(self, source, flavour, options=(), name=None):
        source = pathlib.Path(source)
        program = self.folder / f"{name or source.stem}-{flavour.name}{'.wasm' if flavour.wasm else ''}"
        if program.exists():
            return program
        plus = source.suffix == ".cc"
        command = self.compiler(flavour, plus) + ["-g", "-O1", *WARNINGS, *ON_PURPOSE]
        # There are no exceptions in Debian's C++ for WebAssembly.
        command += ["-std=c++17", "-pedantic", "-fno-exceptions"] if plus else ["-std=gnu11"]
        if not flavour.wasm:
            command += ["-pthread"]
        if flavour.kind:
            at = self.install(flavour)
            command += ["-DLIBREADINESS", f"-I{at}/include", f"-I{at}/include/compat"]
        command += [*options, source, "-o", program]
        if flavour.instrumented:
            # The runtime is Rust's, and so the compiler must not bring its own.
            linked = self.instrumented(flavour)
            compiled = program.with_suffix(".o")
            must([*command[:-1], compiled, "-c", f"-fsanitize={flavour.instrumented}", "-DLIBREADINESS_WRAPS_CLOSE"])
            must([CC, "-pthread", compiled, "-o", program, *(f"-Wl,--wrap={name}" for name in flavour.wrap), *linked])
            return program
        if flavour.kind:
            command += [f"-Wl,--wrap={name}" for name in flavour.wrap]
            if flavour.wrap:
                command += ["-DLIBREADINESS_WRAPS_CLOSE"]
            if flavour.component:
                command += ["-DLIBREADINESS_SOCKETS", f"-L{at}/lib/component", "-lreadiness_sockets", "-lreadiness"]
            elif flavour.static:
                command += [at / "lib/libreadiness.a", "-ldl", "-lm"]
            else:
                command += [f"-L{at}/lib", "-lreadiness"]
                if not flavour.wasm:
                    command += [f"-Wl,-rpath,{at}/lib"]
        must(command, env=os.environ | {"READINESS_COMPONENT": str(int(flavour.component))})
        return program

    def check(self, program, flavour, *arguments, timeout=100, **options):
        """Runs a test program in a folder of its own, with a standard input that says nothing."""
        if flavour.instrumented == "thread":
            options.setdefault("env", os.environ | {"TSAN_OPTIONS": f"halt_on_error=1 suppressions={HERE}/tsan.supp"})
        folder = self.folder / f"run-{program.name}"
        folder.mkdir(exist_ok=True)
        silent, writer = os.pipe()
        try:
            done = run([*flavour.runner(), program, *arguments], cwd=folder, stdin=silent, timeout=timeout, **options)
        finally:
            os.close(silent)
            os.close(writer)
        assert done.returncode == 0, done.stdout
        assert "all well" in done.stdout, done.stdout
        return done.stdout


@pytest.fixture(scope="session")
def builder(tmp_path_factory):
    return Builder(tmp_path_factory.mktemp("capi"))
