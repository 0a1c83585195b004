# No heap for each segment: what a connection does all day leaves the heap as it was.
import gc

import micropython
from harness import host
from tcp_peer import ACK, Peer, mss, pattern

N = 1000
SIZE = 500
WARM = 50
HEAP = "16M"


class Wire:
    # Frames that are made beforehand and put on the wire without any allocation by the test.
    def __init__(self, p):
        self.h = p.h
        self.buf = p.h.wire

    def give(self, frame):
        b = self.buf.borrow()
        n = len(frame)
        i = 0
        while i < n:
            b[2 + i] = frame[i]
            i += 1
        self.buf.send(n)

    def drop(self):
        while self.buf.recv():
            self.buf.release()


def frames(p, make, n):
    from harness import MAC, ME, PEER, PEER_MAC, eth, ipv4
    from tcp_peer import TCP

    return [eth(MAC, PEER_MAC, 0x800, ipv4(PEER, ME, TCP, make(i))) for i in range(n)]


def measured(what, step, n):
    # Run step(i) for i in range(n) after a warm-up; the heap must be the same before and after.
    for i in range(WARM):
        step(i)
    gc.collect()
    gc.disable()
    total = micropython.mem_total() if hasattr(micropython, "mem_total") else 0
    was = gc.mem_alloc()
    i = WARM
    while i < WARM + n:
        step(i)
        i += 1
    now = gc.mem_alloc()
    if total:
        print(what, "transient:", micropython.mem_total() - total)
    gc.enable()
    assert now - was <= 0, (what, now - was)


def opened():
    return Peer(host(frames=16)).active(options=mss(SIZE))


def test_receiving():
    p = opened()
    data = pattern(SIZE)
    wire = Wire(p)
    ready = frames(p, lambda i: p.raw(1 + i * SIZE, 1, ACK, data), WARM + N)
    buf = bytearray(SIZE)
    c, poll = p.c, p.h.stack.poll

    def step(i):
        wire.give(ready[i])
        poll()
        c.recv(buf, 0, SIZE)
        poll()
        wire.drop()

    measured("receiving", step, N)
    assert buf == data and p.stat("tcp_in") >= N


def test_sending():
    p = opened()
    data = pattern(SIZE)
    wire = Wire(p)
    ready = frames(p, lambda i: p.raw(1, 1 + (i + 1) * SIZE, ACK), WARM + N)
    c, poll = p.c, p.h.stack.poll

    def step(i):
        c.send(data, 0, SIZE)
        poll()
        wire.drop()
        wire.give(ready[i])
        poll()

    measured("sending", step, N)
    assert c.snd_len == 0 and c.snd_max == 0


def test_idle():
    # Polls between two deadlines.
    p = opened()
    poll = p.h.stack.poll
    measured("idle", lambda i: poll(), N)
