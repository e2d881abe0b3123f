"""What the programs of these scripts have in common."""


def receive(connection, length):
    got = b""
    while len(got) < length:
        piece = connection.recv(length - len(got))
        assert piece, "the end, too early"
        got += piece
    return got
