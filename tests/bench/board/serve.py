# Blocking sockets on port 9. The first byte of a connection says what it is for:
# E: every byte comes back. I: a stream in, answered at its end with "." and its SHA-256.
# O: SIZE bytes of a stream out, then their SHA-256.
#
# The stream is a block of bytes repeated, and what comes in is compared with it. To hash while
# the clock runs would slow the receiver; to keep it all would fill the heap with one object,
# over which MicroPython searches for every allocation. So its hash is made afterwards, of what
# the comparison has shown to have come.
#
# serve.py SIZE [BUFFER]: bytes of a transfer; bytes of each socket buffer (default: the stack's).
import hashlib
import socket
import sys

SIZE = int(sys.argv[1])
BUFFER = int(sys.argv[2]) if len(sys.argv) > 2 else 0
BLOCK = 16381  # no multiple of it is a segment's or a buffer's size
CHUNK = 16384

# Every stretch of the stream up to CHUNK bytes long is in two blocks. peers.py makes the same.
block = b"".join([hashlib.sha256(b"%d" % i).digest() for i in range(512)])[:BLOCK]
stream = memoryview(block + block + block[: CHUNK - BLOCK])
buffer = bytearray(CHUNK)
view = memoryview(buffer)


def digest(n):
    """SHA-256 of the first n bytes of the stream."""
    h = hashlib.sha256()
    for i in range(0, n, BLOCK):
        h.update(stream[: min(BLOCK, n - i)])
    return h.digest()


def echo(s):
    one = bytearray(1)
    while s.recv_into(one):
        s.send(one)


def take(s):
    n = at = 0
    same = True
    while True:
        got = s.recv_into(buffer)
        if not got:
            break
        if view[:got] != stream[at : at + got]:
            same = False
        n += got
        at = (at + got) % BLOCK
    s.sendall(b".")
    s.sendall(digest(n) if same else bytes(32))


def give(s):
    hashed = digest(SIZE)
    s.recv(1)
    at = 0
    for i in range(0, SIZE, CHUNK):
        n = min(CHUNK, SIZE - i)
        s.sendall(stream[at : at + n])
        at = (at + n) % BLOCK
    s.sendall(hashed)


listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
if BUFFER:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)  # type: ignore[attr-defined]
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)  # type: ignore[attr-defined]
listener.bind(("0.0.0.0", 9))
listener.listen(2)
print("ready")
while True:
    s, _ = listener.accept()
    try:
        what = s.recv(1)
        if what:
            {b"E": echo, b"I": take, b"O": give}[what](s)
    except OSError as e:
        print("connection failed:", e)
    s.close()
