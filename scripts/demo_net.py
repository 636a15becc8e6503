"""demo_net.py NAME=COMMAND...: start the chat server by each command, play the same 200 clients and
the same console against it, and compare what each client was sent, byte by byte."""

import hashlib
import selectors
import shlex
import socket
import subprocess
import sys
import time

from tabulate import tabulate

CLIENTS = 200
SPEAKERS = range(1, CLIENTS, 10)
MUCH = 8_000_000  # bytes, more than any system keeps for a reader that does not read
LIMIT = 60  # seconds for each step; a step takes milliseconds


class Clients:
    """All the clients, none of which blocks."""

    def __init__(self, address):
        self.received = [bytearray() for _ in range(CLIENTS)]
        self.ended = [False] * CLIENTS
        self.selector = selectors.DefaultSelector()
        self.sockets = []
        for number in range(CLIENTS):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(address)
            self.sockets.append(client)
            self.selector.register(client, selectors.EVENT_READ, number)

    def listen(self, number, listens):
        if listens:
            self.selector.register(self.sockets[number], selectors.EVENT_READ, number)
        else:
            self.selector.unregister(self.sockets[number])

    def send(self, number, line):
        deadline = time.monotonic() + LIMIT
        data = line.encode() + b"\n"
        while data:
            try:
                data = data[self.sockets[number].send(data) :]
            except BlockingIOError:
                time.sleep(0.001)
                if time.monotonic() > deadline:
                    raise TimeoutError(f"client {number} cannot send") from None

    def until(self, what, numbers, done):
        """Read until each of these has what it waits for; how long it took."""
        begin = time.monotonic()
        left = {number for number in numbers if not done(number)}
        while left:
            if time.monotonic() - begin > LIMIT:
                raise TimeoutError(f"{what}: {len(left)} clients wait in vain, such as {min(left)}")
            for key, _ in self.selector.select(1):
                number = key.data
                try:
                    data = self.sockets[number].recv(1 << 20)
                except BlockingIOError:
                    continue
                self.received[number] += data
                if not data:
                    self.ended[number] = True
                    self.selector.unregister(self.sockets[number])
                if number in left and done(number):
                    left.discard(number)
        return time.monotonic() - begin

    def get(self, numbers, line):
        """Read until each of these has been sent the line."""
        end = line.encode() + b"\n"
        return self.until(repr(line), numbers, lambda number: self.received[number].endswith(end))

    def close(self, number):
        if not self.ended[number]:
            self.selector.unregister(self.sockets[number])
        self.sockets[number].close()


def play(command):
    """What each client was sent, the backend, and how long the slowest round took."""
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    try:
        line = server.stdout.readline()
        if not line.startswith("listening on "):
            raise RuntimeError(f"it said {line!r}")
        address, backend = line.removeprefix("listening on ").split()
        host, port = address.rsplit(":", 1)
        clients = Clients((host, int(port)))

        def console(text):
            server.stdin.write(text + "\n")
            server.stdin.flush()

        everyone = range(CLIENTS)
        for number in everyone:
            clients.send(number, f"name client{number}")
        clients.until("welcome", everyone, lambda number: clients.received[number].endswith(b"\n"))

        # Client 0 asks for more than it reads; the others must not notice.
        slow, others = 0, range(1, CLIENTS)
        clients.listen(slow, False)
        clients.send(slow, f"more {MUCH}")
        rounds = []
        for number in SPEAKERS:
            clients.send(number, f"say hello from {number}")
            rounds.append(clients.get(others, f"client{number}: hello from {number}"))
        console("announce lunch is ready")
        clients.get(others, "console: lunch is ready")
        console("beats 3")
        clients.get(others, "beat 3")
        leaving = range(50, 60)
        for number in leaving:
            clients.send(number, "leave")
        for number in leaving:
            clients.get([number], f"bye client{number}")
            clients.close(number)
        staying = [number for number in others if number not in leaving]
        clients.send(1, "say they have left")
        clients.get(staying, "client1: they have left")
        clients.listen(slow, True)
        clients.get([slow], "client1: they have left")
        console("quit")
        clients.get([slow, *staying], "the end")
        for number in [slow, *staying]:
            clients.close(number)
        status = server.wait(LIMIT)
        if status != 0:
            raise RuntimeError(f"exit status {status}")
        return [bytes(received) for received in clients.received], backend.strip("()"), max(rounds)
    finally:
        if server.poll() is None:
            server.kill()
        server.wait()


def main():
    rows = []
    first = None
    bad = []
    for argument in sys.argv[1:]:
        name, command = argument.split("=", 1)
        try:
            received, backend, slowest = play(shlex.split(command))
        except (OSError, RuntimeError, TimeoutError, subprocess.TimeoutExpired, ValueError) as error:
            bad.append(f"{name}: {error}")
            continue
        first = first or received
        for number, (one, other) in enumerate(zip(first, received, strict=True)):
            if one != other:
                bad.append(f"{name}: client {number} was sent something else than by the first")
        total = sum(map(len, received))
        lines = sum(one.count(b"\n") for one in received)
        digest = hashlib.sha256(b"".join(received)).hexdigest()[:16]
        rows.append([name, backend, len(received), lines, total, digest, f"{slowest * 1000:.0f} ms"])
    print(tabulate(rows, headers=["host", "backend", "clients", "lines", "bytes", "sha256", "slowest round"]))
    print()
    for line in bad:
        print(f"DIFFERS: {line}")
    if bad or len(rows) < 2:
        sys.exit(1)
    print(f"{len(rows)} hosts: what each of {CLIENTS} clients was sent is the same to the letter.")


if __name__ == "__main__":
    main()
