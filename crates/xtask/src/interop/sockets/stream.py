"""A server that forks for some clients and has threads for others, and clients that wait in every way there is.

The first byte of a connection says what is wanted: e an echo, k that the server's process is killed in the middle.
"""

import asyncio
import os
import select
import selectors
import signal
import socket
import sys
import threading

from whole import receive

ROUNDS = 100


def serve(port):
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.create_server(("127.0.0.1", port), backlog=64) as listener:
        for turn in range(1 << 30):
            connection, _ = listener.accept()
            if turn % 2 == 0:
                threading.Thread(target=answer, args=(connection,), daemon=True).start()
            elif os.fork() == 0:
                answer(connection)
                os._exit(0)
            else:
                connection.close()


def answer(connection):
    with connection:
        wanted = connection.recv(1)
        if wanted == b"k":
            child = os.fork()
            if child:
                connection.close()
                return
            for _ in range(20):
                connection.sendall(connection.recv(64))
            os.kill(os.getpid(), signal.SIGKILL)
        while piece := connection.recv(50_000):
            connection.sendall(piece)


def connect(port, wanted=b"e"):
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(wanted)
    return connection


def message(turn):
    return bytes((turn + place) % 251 for place in range(1 + turn * 37 % 3000))


async def with_asyncio(port):
    async def one():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"e")
        for turn in range(ROUNDS):
            writer.write(message(turn))
            await writer.drain()
            assert await reader.readexactly(len(message(turn))) == message(turn)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()

    await asyncio.gather(*(one() for _ in range(10)))


def with_selector(port, kind):
    """Several connections, none of which ever blocks."""
    selector = kind()
    left = {}
    for _ in range(10):
        connection = connect(port)
        connection.setblocking(False)
        left[connection] = (0, b"")
        selector.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE, 0)
    while left:
        ready = selector.select(30)
        assert ready, "nothing happens"
        for key, events in ready:
            connection, (turn, got) = key.fileobj, left[key.fileobj]
            if events & selectors.EVENT_WRITE and key.data == turn:
                connection.sendall(message(turn))
                selector.modify(connection, selectors.EVENT_READ, turn + 1)
            elif events & selectors.EVENT_READ:
                got += connection.recv(1000)
                left[connection] = (turn, got)
                if len(got) == len(message(turn)):
                    assert got == message(turn)
                    left[connection] = (turn + 1, b"")
                    selector.modify(connection, selectors.EVENT_READ | selectors.EVENT_WRITE, turn + 1)
            if left[connection][0] == ROUNDS:
                selector.unregister(connection)
                connection.close()
                del left[connection]


def with_threads(port):
    """One thread sends while another receives on the same socket."""
    for _ in range(4):
        connection = connect(port)
        everything = b"".join(message(turn) for turn in range(300))
        sender = threading.Thread(target=lambda: (connection.sendall(everything), connection.shutdown(socket.SHUT_WR)))
        sender.start()
        assert receive(connection, len(everything)) == everything
        assert connection.recv(1) == b""
        sender.join()


def with_peek(port):
    connection = connect(port)
    connection.settimeout(None)
    for turn in range(ROUNDS):
        connection.sendall(message(turn))
        assert message(turn).startswith(connection.recv(10, socket.MSG_PEEK))
        assert connection.recv(len(message(turn)), socket.MSG_WAITALL) == message(turn)
    try:
        connection.recv(1, socket.MSG_DONTWAIT)
        assert False, "a byte that nobody sent"
    except BlockingIOError:
        pass
    connection.settimeout(0.2)
    try:
        connection.recv(1)
        assert False, "a byte that nobody sent"
    except TimeoutError:
        pass
    assert connection.getpeername() == ("127.0.0.1", port)


def with_half(port):
    for turn in range(20):
        connection = connect(port)
        for again in range(turn):
            connection.sendall(message(again))
            assert receive(connection, len(message(again))) == message(again)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""


def with_killed(port):
    """The survivor hears of the end as TCP would have told it."""
    for _ in range(4):
        connection = connect(port, b"k")
        for _ in range(20):
            connection.sendall(b"x" * 64)
            assert receive(connection, 64) == b"x" * 64
        assert select.select([connection], [], [], 30)[0], "no end"
        try:
            assert connection.recv(1) == b""
        except ConnectionResetError:
            pass


def main():
    part, port = sys.argv[1], int(sys.argv[2])
    parts = {
        "serve": serve,
        "asyncio": lambda port: asyncio.run(with_asyncio(port)),
        "select": lambda port: with_selector(port, selectors.SelectSelector),
        "poll": lambda port: with_selector(port, selectors.PollSelector),
        "epoll": lambda port: with_selector(port, selectors.EpollSelector),
        "threads": with_threads,
        "peek": with_peek,
        "half": with_half,
        "kill": with_killed,
    }
    parts[part](port)


main()
