"""Many connections, much of one, readers that are slow, and peers that are killed before they have read everything.

One server has many connections in one thread; the other forks for each, and its first byte says what is wanted.
"""

import os
import resource
import selectors
import signal
import socket
import sys
import time
import zlib

from whole import receive

MANY = 10_000
GIGABYTE = 1 << 30
LARGE, LARGE_EVERY = 100_000, 200
PIECE = bytes(place * 7 % 251 for place in range(1 << 20))


def many():
    """As many connections as the system lets a process have, and no more than asked for."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = MANY if hard == resource.RLIM_INFINITY else min(MANY, hard - 100)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, hard))
    return count


def serve(port):
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.create_server(("127.0.0.1", port + 1), backlog=64) as listener:
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                answer(connection)
                os._exit(0)
            connection.close()


def serve_many(port):
    many()
    with socket.create_server(("127.0.0.1", port), backlog=1024) as listener, selectors.EpollSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    connection.setblocking(False)
                    selector.register(connection, selectors.EVENT_READ)
                elif piece := key.fileobj.recv(1000):
                    key.fileobj.sendall(piece)
                else:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()


def answer(connection):
    wanted = connection.recv(1)
    connection.sendall(b"%10d" % os.getpid())
    for _ in range(20):
        connection.sendall(receive(connection, 64))
    if wanted == b"g":
        for _ in range(GIGABYTE // len(PIECE)):
            connection.sendall(PIECE)
    elif wanted == b"s":
        connection.sendall(PIECE * 8)
    else:
        time.sleep(600)
    connection.close()


def used(port, wanted):
    """A connection to a server's child, that has been used for a while, and the child."""
    connection = socket.create_connection(("127.0.0.1", port + 1))
    connection.sendall(wanted)
    child = int(receive(connection, 10))
    for turn in range(20):
        connection.sendall(bytes([turn]) * 64)
        assert receive(connection, 64) == bytes([turn]) * 64
    return connection, child


def with_many(port):
    """Each has several turns, and some of them move much."""
    connections, sent, got = [], 0, 0
    for number in range(many()):
        connection = socket.create_connection(("127.0.0.1", port))
        connections.append(connection)
        for turn in range(2):
            exchange(connection, number, turn)
    for turn in range(2, 9):
        for number, connection in enumerate(connections):
            exchange(connection, number, turn)
            if number % LARGE_EVERY == turn:
                start = number % len(PIECE) // 2
                message = PIECE[start : start + LARGE]
                connection.sendall(message)
                sent = zlib.crc32(message, sent)
                got = zlib.crc32(receive(connection, LARGE), got)
    assert sent == got and sent != 0
    print(len(connections), "connections")


def exchange(connection, number, turn):
    message = b"%d of connection %d" % (turn, number)
    connection.sendall(message)
    assert receive(connection, len(message)) == message


def with_gigabyte(port):
    connection, _ = used(port, b"g")
    got, checksum, buffer = 0, 0, bytearray(1 << 18)
    while length := connection.recv_into(buffer):
        checksum = zlib.crc32(memoryview(buffer)[:length], checksum)
        got += length
    wanted = 0
    for _ in range(GIGABYTE // len(PIECE)):
        wanted = zlib.crc32(PIECE, wanted)
    assert (got, checksum) == (GIGABYTE, wanted), (got, checksum, wanted)


def with_slow(port):
    connection, _ = used(port, b"s")
    for piece in range(8):
        time.sleep(0.05)
        assert receive(connection, len(PIECE)) == PIECE
    assert connection.recv(1) == b""


def with_killed(port):
    """TCP resets what had bytes unread when its process went, and ends the rest."""
    for unread in (0, 50_000):
        connection, child = used(port, b"k")
        connection.sendall(bytes(unread))
        os.kill(child, signal.SIGKILL)
        try:
            ended = connection.recv(1)
            assert unread == 0 and ended == b"", "an end, though bytes were lost"
        except ConnectionResetError:
            assert unread > 0, "reset, though nothing was lost"


def main():
    part, port = sys.argv[1], int(sys.argv[2])
    parts = {
        "serve": serve,
        "serve-many": serve_many,
        "many": with_many,
        "gigabyte": with_gigabyte,
        "slow": with_slow,
        "killed": with_killed,
    }
    parts[part](port)


main()
