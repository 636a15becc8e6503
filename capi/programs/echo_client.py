"""echo_client PORT [CLIENTS [BYTES]]: connects many clients at once to an echo server, sends each one's
own bytes in pieces, and prints what became of them, a line a client: how much came back, and its
checksum."""

import hashlib
import random
import selectors
import socket
import sys
import time


def traffic(client, size):
    """A client's own bytes, in pieces of its own sizes."""
    source = random.Random(client)
    data = source.randbytes(size + 37 * client)
    pieces = []
    while data:
        cut = source.choice([1, 7, 100, 4096, 30000])
        pieces.append(data[:cut])
        data = data[cut:]
    return pieces


def drive(port, clients=500, size=20000, patience=120):
    """What came back to each client, in order of clients."""
    selector = selectors.DefaultSelector()
    got = [bytearray() for _ in range(clients)]
    sockets = []
    for client in range(clients):
        peer = socket.create_connection(("127.0.0.1", port), timeout=30)
        sockets.append(peer)
    to_send = []
    for client, peer in enumerate(sockets):
        peer.setblocking(False)
        to_send.append(traffic(client, size))
        selector.register(peer, selectors.EVENT_READ | selectors.EVENT_WRITE, client)
    until = time.monotonic() + patience
    left = clients
    while left and time.monotonic() < until:
        for key, events in selector.select(1):
            peer, client = key.fileobj, key.data
            pieces = to_send[client]
            if events & selectors.EVENT_WRITE and pieces:
                # Some read nothing for a while: the server has to hold back.
                count = peer.send(pieces[0])
                pieces[0] = pieces[0][count:]
                if not pieces[0]:
                    pieces.pop(0)
                if not pieces:
                    peer.shutdown(socket.SHUT_WR)
                    selector.modify(peer, selectors.EVENT_READ, client)
            if events & selectors.EVENT_READ:
                try:
                    data = peer.recv(65536)
                except ConnectionError as error:
                    data = b""
                    got[client] += str(error).encode()
                got[client] += data
                if not data:
                    selector.unregister(peer)
                    peer.close()
                    left -= 1
    return [f"{client} {len(data)} {hashlib.sha256(data).hexdigest()[:16]}" for client, data in enumerate(got)]


def expected(clients=500, size=20000):
    """What has to come back."""
    every = (b"".join(traffic(client, size)) for client in range(clients))
    return [f"{client} {len(data)} {hashlib.sha256(data).hexdigest()[:16]}" for client, data in enumerate(every)]


if __name__ == "__main__":
    print(*drive(*map(int, sys.argv[1:])), sep="\n")
