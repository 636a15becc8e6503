"""The C interface, from C: each program against the kernel itself, where it has the calls, against
libreadiness in each of its builds, and in WebAssembly."""

import os
import re
import shutil

import pytest

from conftest import CC, FLAVOURS, HERE, WARNINGS, Flavour, must, run

LIBRARY = ["shared", "static", "poll", "poll-static", "wasm", "component"]
NATIVE = ["shared", "static", "poll", "poll-static"]

PROGRAMS = [
    # The kernel passes the same test: it is the contract.
    *[("epoll_errors", name) for name in ["kernel", *LIBRARY]],
    *[("poll_select", name) for name in ["kernel", *LIBRARY]],
    *[("kqueue_errors", name) for name in LIBRARY],
    *[("kqueue", name) for name in LIBRARY],
    *[("descriptors", name) for name in NATIVE],
    *[("threads", name) for name in NATIVE],
    *[("moments", name) for name in NATIVE],
    *[("cplusplus.cc", name) for name in LIBRARY],
    *[("numbers", name) for name in ["wasm", "component"]],
    *[("sockets", name) for name in ["kernel", "shared", "component"]],
]


@pytest.mark.parametrize("program, flavour", PROGRAMS)
def test_program(builder, program, flavour):
    flavour = FLAVOURS[flavour]
    source = program if "." in program else f"{program}.c"
    builder.check(builder.compile(HERE / source, flavour), flavour)


# The library under a sanitizer, and std too where that needs it.
INSTRUMENTED = [
    *[(program, name) for program in ["epoll_errors", "poll_select", "kqueue_errors", "kqueue", "descriptors", "threads"]
      for name in ["address", "address-poll"]],
    *[(program, name) for program in ["kqueue", "threads"] for name in ["thread", "thread-poll"]],
]


@pytest.mark.parametrize("program, flavour", INSTRUMENTED)
def test_instrumented(builder, program, flavour):
    flavour = FLAVOURS[flavour]
    builder.check(builder.compile(HERE / f"{program}.c", flavour), flavour)


OVERRUN = """
#include <stdlib.h>
#include <readiness.h>
int main(void)
{
    struct kevent *one = calloc(1, sizeof *one);

    return readiness_kevent(readiness_kqueue(), one, 2, NULL, 0, NULL);
}
"""


def test_the_sanitizer_sees_into_the_library(builder, tmp_path):
    source = tmp_path / "overrun.c"
    source.write_text(OVERRUN)
    done = run([builder.compile(source, FLAVOURS["address"])])
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stdout
    assert "readiness_capi::memory::read" in done.stdout


# A program under a sanitizer with the library as it is installed.
SANITIZED = [
    ("kqueue", "address", "shared"),
    ("kqueue", "address", "poll"),
    ("threads", "address", "poll"),
    ("threads", "thread", "shared"),
    ("threads", "thread", "poll"),
]


@pytest.mark.parametrize("program, sanitizer, flavour", SANITIZED)
def test_under_a_sanitizer(builder, program, sanitizer, flavour):
    flavour = FLAVOURS[flavour]
    option = f"-fsanitize={sanitizer}"
    built = builder.compile(HERE / f"{program}.c", flavour, [option], f"{program}-{sanitizer}")
    env = os.environ | {
        # The library is not compiled with it: what its locks order cannot be seen.
        "TSAN_OPTIONS": "halt_on_error=1 ignore_noninstrumented_modules=1",
        "ASAN_OPTIONS": "detect_leaks=1",
    }
    builder.check(built, flavour, env=env)


def fuzz_seconds(share):
    return str(max(1, int(float(os.environ.get("READINESS_FUZZ_SECONDS", "60")) * share)))


@pytest.mark.parametrize("flavour, share", [("shared", 0.15), ("poll", 0.15), ("address", 0.25), ("address-poll", 0.35), ("wasm", 0.1)])
def test_wild_arguments(builder, flavour, share):
    flavour = FLAVOURS[flavour]
    options = [] if flavour.wasm or flavour.instrumented else ["-fsanitize=address"]
    seed = os.environ.get("READINESS_SEED", "1")
    seconds = fuzz_seconds(share)
    fuzz = builder.compile(HERE / "fuzz.c", flavour, options)
    builder.check(fuzz, flavour, seconds, seed, timeout=int(seconds) + 100)


HEADERS = ["readiness.h", *(f"compat/{name}.h" for name in "poll signal sys/epoll sys/event sys/poll sys/select sys/socket".split())]
# Those that a program includes beside them, in any order.
TOGETHER = """stdlib.h time.h poll.h sys/time.h sys/epoll.h signal.h sys/types.h sys/event.h sys/socket.h
    fcntl.h sys/poll.h readiness.h unistd.h sys/select.h""".split()
USE = """
#if {each}
#include "{header}"
#else
{together}
int use(void);
int use(void)
{{
    struct kevent one;
    struct epoll_event event;
    struct pollfd entry;
    fd_set set;
    FD_ZERO(&set);
    entry.events = POLLIN | POLLPRI;
    (void)entry;
    (void)set;
    EV_SET(&one, 1, EVFILT_READ, EV_ADD, 0, 0, 0);
    event.events = EPOLLIN | EPOLLET;
    (void)event;
    return (int)one.ident + kqueue() + kevent(0, &one, 1, 0, 0, 0) + epoll_create1(0)
           + epoll_ctl(0, EPOLL_CTL_ADD, 0, &event) + poll(0, 0, 0) + select(0, 0, 0, 0, 0) + POLLIN;
}}
#endif
extern int something;
int something;
"""


def standards():
    for compiler in ["gcc", "clang"]:
        yield from [(compiler, "c99"), (compiler, "c11"), (compiler, "c++17")]
    yield from [("wasm-cc", "c99"), ("wasm-cc", "c11"), ("wasm-cc", "c++17")]


@pytest.mark.parametrize("compiler, standard", list(standards()))
def test_headers_compile_without_a_warning(builder, tmp_path, compiler, standard):
    flavour = FLAVOURS["wasm" if compiler == "wasm-cc" else "shared"]
    at = builder.install(flavour)
    command = builder.compiler(flavour) if flavour.wasm else [compiler]
    if not flavour.wasm and not shutil.which(compiler):
        pytest.skip(f"no {compiler}")
    command += ["-x", "c++" if "++" in standard else "c", f"-std={standard}", "-pedantic", "-O2", *WARNINGS]
    source = tmp_path / "use.c"
    rotated = [TOGETHER[at:] + TOGETHER[:at] for at in range(0, len(TOGETHER), 2)]
    for header in [*HEADERS, *rotated, TOGETHER[::-1]]:
        together = "" if isinstance(header, str) else "\n".join(f"#include <{name}>" for name in header)
        source.write_text(USE.format(each=int(not together), header=header, together=together))
        # Both with the drop-in headers in front and, one by one, without.
        compat = [f"-I{at}/include/compat"] if together else []
        must([*command, f"-I{at}/include", *compat, "-c", source, "-o", tmp_path / "use.o"])
        if together and not flavour.wasm:
            names = re.findall(r"U _?(\w+)", must(["nm", tmp_path / "use.o"]))
            assert {"readiness_kevent", "readiness_epoll_ctl", "readiness_poll", "readiness_select"} <= set(names)
            assert not {"kevent", "epoll_ctl", "poll", "select"} & set(names)


def test_fortified_poll_is_ours(builder, tmp_path):
    at = builder.install(FLAVOURS["shared"])
    source = tmp_path / "use.c"
    source.write_text("#include <poll.h>\nint use(struct pollfd *fds, int n) { return poll(fds, n, 0); }\n")
    command = [CC, "-O2", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2", f"-I{at}/include/compat", "-c", source]
    must([*command, "-o", tmp_path / "use.o"])
    names = must(["nm", tmp_path / "use.o"])
    assert "readiness_poll" in names and "U poll" not in names and "__poll_chk" not in names


FORTIFIED = """
#include <sys/epoll.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    char buffer[64];
    int ends[2], epoll = epoll_create1(0), found = 0;
    size_t count = (size_t)argc * 8;
    struct epoll_event event = { .events = EPOLLIN | EPOLLET };

    (void)argv;
    if (pipe(ends) != 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0)
        return 1;
    epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event);
    for (int at = 0; at < 10; at++) {
        if (write(ends[1], "abcdefgh", 8) != 8)
            return 1;
        found += epoll_wait(epoll, &event, 1, 5000);
        while (read(ends[0], buffer, count) > 0)
            ;
    }
    printf("%d found\\n", found);
    return close(epoll);
}
"""


def test_fortified_reads_tell_of_EAGAIN(builder, tmp_path):
    if not shutil.which("pkg-config"):
        pytest.skip("no pkg-config")
    at = builder.install(FLAVOURS["poll"])
    flags = must(["pkg-config", "--cflags", "--libs", "readiness-compat"],
                 env=os.environ | {"PKG_CONFIG_PATH": str(at / "lib/pkgconfig")}).split()
    source, program = tmp_path / "fortified.c", tmp_path / "fortified"
    source.write_text(FORTIFIED)
    must([CC, "-O2", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2", source, "-o", program, *flags, f"-Wl,-rpath,{at}/lib"])
    assert not re.search(r"U __read_chk", must(["nm", program]))
    assert must([program]) == "10 found\n"


def test_the_library_has_its_own_names_only(builder):
    at = builder.install(FLAVOURS["shared"])
    defined = re.findall(r" [TWDBR] (\w+)", must(["nm", "-D", "--defined-only", at / "lib/libreadiness.so"]))
    assert "readiness_kevent" in defined
    others = [name for name in defined if not name.startswith(("readiness_", "__wrap_"))]
    assert others == []


def test_pkg_config_is_all_that_a_program_needs(builder, tmp_path):
    if not shutil.which("pkg-config"):
        pytest.skip("no pkg-config")
    at = builder.install(FLAVOURS["shared"])
    # It may be moved.
    moved = tmp_path / "moved"
    shutil.copytree(at, moved, symlinks=True)
    env = os.environ | {"PKG_CONFIG_PATH": str(moved / "lib/pkgconfig")}
    flags = must(["pkg-config", "--cflags", "--libs", "readiness-compat"], env=env).split()
    assert str(moved) in " ".join(flags)
    program = tmp_path / "descriptors"
    must([CC, "-std=gnu11", "-DLIBREADINESS", HERE / "descriptors.c", "-o", program, *flags])
    done = run([program], env=os.environ | {"LD_LIBRARY_PATH": str(moved / "lib")}, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    # Without the drop-in headers: the prefixed names alone.
    flags = must(["pkg-config", "--cflags", "--libs", "readiness"], env=env)
    assert "compat" not in flags and "wrap" not in flags


FORBIDDEN = re.compile(r"\b(epoll_\w+|select|pselect6)\(")


@pytest.mark.parametrize("program", ["epoll_errors", "poll_select", "kqueue"])
def test_forced_poll_calls_neither_epoll_nor_select(builder, tmp_path, program):
    if not shutil.which("strace"):
        pytest.skip("no strace")
    flavour = FLAVOURS["poll"]
    built = builder.compile(HERE / f"{program}.c", flavour)
    trace = tmp_path / "trace"
    probe = run(["strace", "-o", trace, "true"])
    if probe.returncode != 0:
        pytest.skip(f"strace may not trace here: {probe.stdout.strip()}")
    traced = Flavour("strace", flavour.kind, flavour.backend)
    traced.runner = lambda: ["strace", "-f", "-o", trace]
    builder.check(built, traced)
    calls = trace.read_text()
    assert "poll(" in calls
    assert FORBIDDEN.findall(calls) == []
