"""Those who meet a program under Weft and do not belong there: at a client's door, and behind the door at which a server knocks.

They are refused, and both programs go on by TCP without a wait that could be felt. That each gets as far as it is meant to is shown by
one who has everything right, and is let in.
"""

import array
import fcntl
import json
import mmap
import os
import re
import socket
import subprocess
import sys
import threading
import time

from whole import receive

GREETING, MEMORY_LEN, BEGINS = b"weft/3\r\n", 4096 + 2 * ((8 << 10) + (256 << 10) + (1 << 20)), 392
SHRINK_GROW, ADD_SEALS = 2 | 4, 1033
NOBODY = 65534
FELT_S = 0.05
LINE = b"a line as any other\n"


def exchange(connection, count):
    begun = time.monotonic()
    for _ in range(count):
        connection.sendall(LINE)
        assert receive(connection, len(LINE)) == LINE
    return time.monotonic() - begun


def ask(port):
    """A client: says how long its questions took."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        print(json.dumps(exchange(connection, 300)))


def memory(length=MEMORY_LEN, seals=SHRINK_GROW):
    fd = os.memfd_create("stranger", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, length)
    if seals:
        fcntl.fcntl(fd, ADD_SEALS, seals)
    return fd


def give(stream, greeting, fd):
    stream.sendmsg([greeting], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd is not None else [])


# What is said at a client's door, with which memory.
SAYINGS = {
    "right": (GREETING, memory),
    "silent": (b"", lambda: None),
    "garbage": (b"\xff" * 8, lambda: None),
    "short": (GREETING[:5], memory),
    "another version": (b"weft/1\r\n", memory),
    "without memory": (GREETING, lambda: None),
    "that can shrink": (GREETING, lambda: memory(seals=0)),
    "too small": (GREETING, lambda: memory(4096)),
    "too large": (GREETING, lambda: memory(MEMORY_LEN + 4096)),
    "no memory at all": (GREETING, lambda: os.open("/dev/zero", os.O_RDWR)),
}


def doors():
    with open("/proc/net/unix") as names:
        return re.findall(r"@(weft/1/[0-9a-f]{32}\.\d+/\S+)", names.read())


class Stranger:
    """Knocks at each door that there is."""

    def __init__(self, saying):
        self.greeting, self.make = SAYINGS[saying]
        self.streams, self.memories, self.known, self.is_over = [], [], set(), False
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.is_over:
            for name in doors():
                if name not in self.known:
                    self.known.add(name)
                    self.knock(name)
            time.sleep(0.0005)

    def knock(self, name):
        stream = socket.socket(socket.AF_UNIX)
        try:
            stream.connect("\0" + name)
            fd = self.make()
            if self.greeting:
                give(stream, self.greeting, fd)
        except OSError:
            return
        self.streams.append(stream)
        if fd is not None:
            self.memories.append(fd)

    def is_anything_carried(self):
        def begins(fd):
            if os.fstat(fd).st_size < MEMORY_LEN:
                return False
            with mmap.mmap(fd, MEMORY_LEN) as words:
                return words[BEGINS : BEGINS + 8] != bytes(8)

        return any(begins(fd) for fd in self.memories)


def client(weft, port):
    """How long a client's questions took, and how many of its connections were carried."""
    command = [weft, "run", "--stats", sys.executable, __file__, "ask", str(port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told = re.search(r"^\S+ +1 +(\d+) .*$", done.stderr, re.MULTILINE)
    assert told, done.stderr
    return json.loads(done.stdout), int(told[1]), told[0]


def at_the_door(weft, port, saying, user=None):
    """A stranger in another process, which may be another user's, while clients come and go."""
    ready, over = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(over[1])
        if user:
            os.setuid(user)
        stranger = Stranger(saying)
        stranger.thread.start()
        os.write(ready[1], b"x")
        os.read(over[0], 1)
        stranger.is_over = True
        stranger.thread.join()
        os._exit(bool(stranger.streams) + 2 * stranger.is_anything_carried())
    os.read(ready[0], 1)
    told = [client(weft, port) for _ in range(3)] if saying != "right" or user else hopeless(weft, port)
    os.write(over[1], b"x")
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), told


def hopeless(weft, port):
    """Who is let in reads nothing, so this client gets no answers."""
    command = [weft, "run", sys.executable, __file__, "ask", str(port)]
    try:
        subprocess.run(command, capture_output=True, timeout=2)
    except subprocess.TimeoutExpired:
        pass


def at_doors(weft, port):
    """The server does not run under Weft, and somebody says that it does."""
    mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    mark.bind(f"\0weft/1/listens/{place(('127.0.0.1', port))}")
    alone = min(client(weft, port)[0] for _ in range(3))
    status, _ = at_the_door(weft, port, "right")
    assert status == 3, f"who has everything right is let in: {status}"
    users = [(saying, None) for saying in SAYINGS if saying != "right"]
    users += [("right", NOBODY)] if os.geteuid() == 0 else []
    for saying, user in users:
        status, told = at_the_door(weft, port, saying, user)
        assert status == 1, f"{saying}: {status}"
        assert all(carried == 0 for _, carried, _ in told), told
        took = min(took for took, _, _ in told)
        print(f"{saying}, user {user}: {took * 1000:.1f} ms, alone {alone * 1000:.1f}; {told[0][2]}")
        assert took < 2 * alone + FELT_S
    if os.geteuid() != 0:
        print("not root: nobody was another user")


def place(address):
    return "%032x.%d" % (0xFFFF << 32 | int.from_bytes(socket.inet_aton(address[0]), "big"), address[1])


def behind_a_door(port, user=None, is_heard=True):
    """What a server gives to who opened the door of a connection, and how long the connection's questions took."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    door = socket.socket(socket.AF_UNIX)
    name = f"\0weft/1/{place(connection.getsockname())}/{place(connection.getpeername())}"
    ready, over = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(over[1])
        if user:
            os.setuid(user)
        door.bind(name)
        door.listen(4)
        os.write(ready[1], b"x")
        given = 0
        if is_heard:
            stream, _ = door.accept()
            stream.settimeout(5)
            greeting, fds, _, _ = socket.recv_fds(stream, 64, 4)
            given = greeting == GREETING and [os.fstat(fd).st_size for fd in fds] == [MEMORY_LEN]
            assert given or not greeting, greeting
        os.read(over[0], 1)
        os._exit(given)
    os.read(ready[0], 1)
    took = exchange(connection, 300)
    os.write(over[1], b"x")
    _, status = os.waitpid(child, 0)
    took += exchange(connection, 50)
    connection.close()
    return os.waitstatus_to_exitcode(status), took


def behind_doors(port):
    """The client does not run under Weft, and somebody opens the door that it would."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        alone = exchange(connection, 350)
    cases = [("the same user", 1, None, True), ("who does not listen", 0, None, False)]
    cases += [("another user", 0, NOBODY, True)] if os.geteuid() == 0 else []
    for name, wanted, user, is_heard in cases:
        given, took = min((behind_a_door(port, user, is_heard) for _ in range(3)), key=lambda told: told[1])
        print(f"{name}: given {given}, {took * 1000:.1f} ms, alone {alone * 1000:.1f}")
        assert given == wanted and took < 2 * alone + FELT_S


def main():
    part, port = sys.argv[1], int(sys.argv[2])
    parts = {"ask": ask, "doors": lambda port: at_doors(os.environ["WEFT"], port), "behind": behind_doors}
    parts[part](port)


main()
