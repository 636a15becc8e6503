"""The programs: servers in C, built against the kernel, against libreadiness and for WebAssembly, and
driven by the same clients. What a client gets is the same from each."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from conftest import FLAVOURS, ROOT

PROGRAMS = ROOT / "capi/programs"
sys.path.insert(0, str(PROGRAMS))
import echo_client  # noqa: E402


def build(builder, source, flavour):
    flavour = FLAVOURS[flavour]
    return builder.compile(PROGRAMS / source, flavour), flavour


@contextlib.contextmanager
def server(program, flavour, *arguments):
    """A server that runs, and the port that it says."""
    command = [str(word) for word in [*flavour.runner(), program, *arguments]]
    running = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        line = running.stdout.readline()
        found = re.match(r"listening on (\d+)", line)
        assert found, line + running.stdout.read()
        running.port = int(found[1])
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        running.stdout.close()


ECHO = [
    *[(version, "kernel") for version in ["select", "poll", "epoll"]],
    *[(version, name) for version in ["select", "poll", "epoll", "kqueue"] for name in ["shared", "poll-static", "component"]],
]


@pytest.mark.parametrize("version, flavour", ECHO)
def test_echo_to_500_clients(builder, version, flavour):
    program, flavour = build(builder, f"echo_{version}.c", flavour)
    with server(program, flavour) as running:
        got = echo_client.drive(running.port, clients=500, size=2000)
        assert running.poll() is None, running.stdout.read()
        # The same server goes on: fewer clients with more to say, more than any buffer takes.
        much = echo_client.drive(running.port, clients=5, size=300_000)
        assert running.poll() is None, running.stdout.read()
    assert got == echo_client.expected(clients=500, size=2000)
    assert much == echo_client.expected(clients=5, size=300_000)


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.file = self.socket.makefile("rw", newline="\n")

    def say(self, *lines):
        self.file.write("".join(line + "\n" for line in lines))
        self.file.flush()

    def hear(self, count=1):
        lines = [self.file.readline() for _ in range(count)]
        return [line.rstrip("\n") for line in lines]

    def ask(self, line):
        self.say(line)
        return self.hear()[0]


PUBSUB = ["shared", "static", "poll", "component"]


@pytest.mark.parametrize("flavour", PUBSUB)
def test_publish_and_subscribe(builder, flavour):
    program, flavour = build(builder, "pubsub.c", flavour)
    with server(program, flavour, 0) as running:
        one, two, three = (Client(running.port) for _ in range(3))
        assert one.ask("sub news") == "ok"
        assert two.ask("sub news") == "ok"
        assert two.ask("sub other") == "ok"
        assert three.ask("pub news hello world") == "ok 2"
        assert one.hear() == two.hear() == ["news hello world"]
        assert three.ask("pub other  spaces stay") == "ok 1"
        assert two.hear() == ["other  spaces stay"]
        assert three.ask("pub nobody listens") == "ok 0"
        three.say("topics")
        assert sorted(three.hear(2)) == ["topic news", "topic other"]
        assert three.hear() == ["ok"]
        assert one.ask("unsub news") == "ok"
        assert one.ask("unsub news") == "error not subscribed"
        assert one.ask("sub " + "x" * 65) == "error what topic?"
        assert one.ask("pub") == "error what topic?"
        assert one.ask("dance news") == "error what?"
        # Pieces of lines, and several at once.
        one.socket.sendall(b"sub a\r\nsub b\nsu")
        one.socket.sendall(b"b c\n")
        assert one.hear(3) == ["ok"] * 3
        assert one.ask("quit") == "bye"
        assert one.file.readline() == ""
        # A line without an end.
        four = Client(running.port)
        four.socket.sendall(b"y" * 2000)
        assert four.hear() == ["error the line is too long"]

        running.stdin.write("stats\n")
        running.stdin.flush()
        assert running.stdout.readline() == "stats clients 2 connected 4 published 3 delivered 3 dropped 0\n"
        running.stdin.write("stop\n")
        running.stdin.flush()
        assert running.stdout.readline() == "stopping\n"
        assert two.hear() == three.hear() == ["bye"]
        assert running.stdout.readline().startswith("stats clients 0 ")
        assert running.wait(60) == 0


@pytest.mark.parametrize("flavour", PUBSUB)
def test_publish_to_one_who_does_not_read(builder, flavour):
    program, flavour = build(builder, "pubsub.c", flavour)
    with server(program, flavour, 0) as running:
        slow, quick, source = (Client(running.port) for _ in range(3))
        for client in (slow, quick):
            assert client.ask("sub flood") == "ok"
        text = "z" * 900
        counts = []
        for _ in range(20000):
            counts.append(source.ask(f"pub flood {text}"))
            assert quick.hear() == [f"flood {text}"]
            if counts[-1] == "ok 1":
                break
        # It was dropped at last, and the other one missed nothing.
        assert counts[0] == "ok 2" and counts[-1] == "ok 1"
        running.stdin.write("stats\n")
        running.stdin.flush()
        assert running.stdout.readline().endswith("dropped 1\n")


@pytest.mark.parametrize("flavour", PUBSUB)
def test_timers(builder, flavour):
    program, flavour = build(builder, "pubsub.c", flavour)
    with server(program, flavour, 50, 1500) as running:
        client, other = Client(running.port), Client(running.port)
        assert client.ask("sub clock") == "ok"
        numbers = [int(line.removeprefix("clock ")) for line in client.hear(10)]
        assert numbers == sorted(set(numbers))
        # One that keeps talking stays; one that does not is told.
        before = time.monotonic()
        while time.monotonic() - before < 2:
            other.say("topics")
            time.sleep(0.1)
        assert "idle" in client.file.read().splitlines()
        assert other.ask("pub nothing more").startswith(("topic", "ok"))


@pytest.mark.parametrize("flavour", ["shared", "static", "poll"])
def test_signals(builder, flavour):
    program, flavour = build(builder, "pubsub.c", flavour)
    with server(program, flavour, 0) as running:
        client = Client(running.port)
        assert client.ask("sub news") == "ok"
        running.send_signal(signal.SIGUSR1)
        assert running.stdout.readline() == "stats clients 1 connected 1 published 0 delivered 0 dropped 0\n"
        running.send_signal(signal.SIGUSR1)
        assert running.stdout.readline() == "stats clients 1 connected 1 published 0 delivered 0 dropped 0\n"
        running.send_signal(signal.SIGTERM)
        assert running.stdout.readline() == "stopping\n"
        assert client.hear() == ["bye"]
        assert running.wait(60) == 0
