"""WASI 0.2 components as they are built: what they ask of their host, what they do without a network,
what waiting costs, and the poller used from outside."""

import os
import pathlib
import re
import socket
import subprocess
import time

import pytest

from component import exports, imports, world

ROOT = pathlib.Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "scripts"
# Where cargo-for keeps components.
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target/component")


def build(*arguments):
    command = [SCRIPTS / "cargo-for", "wasm32-wasip1", "build", "--release", "-q", *arguments]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "READINESS_COMPONENT": "1"}, check=True)
    return TARGET / "wasm32-wasip1/release"


@pytest.fixture(scope="session")
def demo():
    return build("--example", "demo", "--features", "wasi-io") / "examples/demo.wasm"


@pytest.fixture(scope="session")
def chat():
    return build("--example", "chat", "--features", "wasi-io,net") / "examples/chat.wasm"


@pytest.fixture(scope="session")
def datagram():
    return build("--example", "datagram", "--features", "wasi-io,net") / "examples/datagram.wasm"


@pytest.fixture(scope="session")
def poller():
    return build("-p", "readiness-poller") / "readiness_poller.wasm"


@pytest.mark.timeout(600)  # the builds
@pytest.mark.parametrize(
    ("name", "of"), [("demo", "program"), ("chat", "tcp-program"), ("datagram", "udp-program"), ("poller", "component")]
)
def test_a_component_imports_what_its_world_grants_and_no_more(name, of, request):
    asked, granted = imports(request.getfixturevalue(name)), world(of)
    assert not asked - granted, "more than wit/world.wit tells whoever runs it"
    assert not granted - asked, "less: wit/world.wit grants what nobody needs"


def test_the_poller_exports_its_interface_and_no_more(poller):
    assert exports(poller) == {"readiness:poller/poller@0.1.0"}


def test_the_poller_serves_another_host(poller):
    if subprocess.run([SCRIPTS / "run-jco", "--setup"]).returncode:
        pytest.skip("jco cannot be installed")
    home = subprocess.run([SCRIPTS / "run-jco", "--home"], capture_output=True, text=True, check=True)
    node = ["node", "--no-warnings", ROOT / "wasi-tests/poller_host.mjs", home.stdout.strip(), poller]
    run = subprocess.run(node, capture_output=True, text=True, timeout=100)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("ok ") == 8, run.stdout


def test_without_a_network_a_program_is_told_so(chat):
    run = subprocess.run(
        [SCRIPTS / "run-wasmtime", chat],
        env={**os.environ, "READINESS_NETWORK": "none", "READINESS_WASMTIME": "python"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 1, run.stderr
    assert "PermissionDenied" in run.stderr


def cpu(pid):
    """Seconds of the processor that a process has had."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# Not in jco: there the host's own reading of stdin spins, while the program makes one call a beat.
def test_a_server_that_waits_uses_no_processor(chat):
    server = subprocess.Popen([SCRIPTS / "run-wasmtime", chat], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        port = int(re.search(r":(\d+) ", server.stdout.readline())[1])
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
        for client in clients:
            client.sendall(b"name x\n")
        for client in clients:
            assert client.recv(64) == b"welcome x\n"
        before = cpu(server.pid)
        time.sleep(3)
        # It has a heartbeat of 50 ms: a wait that spins would use all of the three seconds.
        assert cpu(server.pid) - before < 1
        for client in clients:
            client.close()
    finally:
        server.kill()
        server.wait()
