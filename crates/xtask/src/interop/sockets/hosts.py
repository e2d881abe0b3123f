"""Two programs on two hosts: one answers, the other asks until it is told to stop, and then pours bytes both ways.

hosts.py serve ADDRESS PORT
hosts.py talk ADDRESS PORT      asks while there is no file `stop`, then pours
hosts.py outlive ADDRESS PORT   asks until the server is gone
hosts.py silence ADDRESS        takes the UDP port of RoCE and says nothing
"""

import contextlib
import hashlib
import os
import select
import socket
import sys
import threading
import time

POURED = 4 << 20


def serve(address, port):
    with socket.create_server((address, port)) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=answer, args=(connection,), daemon=True).start()


def answer(connection):
    with connection, contextlib.suppress(ConnectionError):
        # Who is killed with an answer unread resets the connection.
        while (question := receive(connection, 64)) and question[0] == ord("?"):
            connection.sendall(question)
        if question and question[0] == ord("!"):
            pour(connection)
    print("ended", flush=True)


def talk(address, port):
    with socket.create_connection((address, port), timeout=60) as connection:
        while not os.path.exists("stop"):
            ask(connection)
        connection.sendall(b"!" * 64)
        pour(connection)
        assert connection.recv(1) == b"", "the end"


def outlive(address, port):
    with socket.create_connection((address, port), timeout=60) as connection:
        try:
            while True:
                ask(connection)
        except (AssertionError, ConnectionError):
            print("the server is gone")


def ask(connection):
    question = b"?" + os.urandom(63)
    connection.sendall(question)
    assert receive(connection, 64) == question, "another answer"
    time.sleep(0.002)


def receive(connection, length):
    got = b""
    while len(got) < length:
        select.select([connection], [], [], 60)
        piece = connection.recv(length - len(got))
        if not piece:
            return got
        got += piece
    return got


def pour(connection):
    """Both ends send at once, digests last, and close their halves."""
    def send():
        digest = hashlib.sha256()
        for _ in range(POURED // 65536):
            piece = os.urandom(65536)
            digest.update(piece)
            connection.sendall(piece)
        connection.sendall(digest.digest())
        connection.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    got = receive(connection, POURED)
    assert receive(connection, 32) == hashlib.sha256(got).digest(), "other bytes"
    sender.join()


def silence(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((address, 4791))
        time.sleep(600)


if sys.argv[1] == "silence":
    silence(sys.argv[2])
else:
    globals()[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
