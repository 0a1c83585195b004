# No heap for a packet. What the stack does all day leaves the heap as it was, and takes nothing in
# passing either: micropython.mem_total() counts what was taken, given back or not. (A function
# whose frame has more than eleven words takes heap at every call; `make frames` lists them.)

from harness import ALL, ALL_MAC, ICMP, MAC, ME, PEER, PEER_MAC, REQUEST, UDP
from harness import arp, eth, host, icmp, ipv4, udp
from heap_check import N, WARM, measured
from tcp_peer import ACK, TCP, Peer, mss, pattern
from viperip import socket

SIZE = 500
DATA = pattern(SIZE)
HEAP = "16M"


class Wire:
    # Frames that are made beforehand and put on the wire without any allocation by the test.
    def __init__(self, h):
        self.dev = h.wire

    def give(self, frame):
        b = self.dev.borrow()
        n = len(frame)
        i = 0
        while i < n:
            b[2 + i] = frame[i]
            i += 1
        self.dev.send(n)

    def drop(self):
        while self.dev.recv():
            self.dev.release()


def frames(proto, make, n=WARM + N):
    return [eth(MAC, PEER_MAC, 0x800, ipv4(PEER, ME, proto, make(i))) for i in range(n)]


# A closure over more than four names takes heap for its call: these are objects with a method.


class Step:
    def __init__(self, h, ready=None):
        self.h = h
        self.poll = h.stack.poll
        self.wire = Wire(h)
        self.ready = ready
        self.buf = bytearray(SIZE)

    def give(self, i):
        self.wire.give(self.ready[i])


def connected():
    return Peer(host(frames=16)).active(options=mss(SIZE))


def test_segments_received_and_acknowledged():
    p = connected()
    t = Step(p.h, frames(TCP, lambda i: p.raw(1 + i * SIZE, 1, ACK, DATA)))
    c = p.c

    def step(i):
        t.give(i)
        t.poll()
        c.recv(t.buf, 0, SIZE)
        t.poll()
        t.wire.drop()

    measured(step)
    assert t.buf == DATA and p.stat("tcp_in") >= N and p.stat("tcp_out") >= N // 2


def test_segments_sent():
    p = connected()
    t = Step(p.h, frames(TCP, lambda i: p.raw(1, 1 + (i + 1) * SIZE, ACK)))
    c = p.c

    def step(i):
        c.send(DATA, 0, SIZE)
        t.poll()
        t.wire.drop()
        t.give(i)
        t.poll()

    measured(step)
    assert c.snd_len == 0 and c.snd_max == 0 and p.stat("tcp_out") >= N


def test_idle_polls():
    # Time passes, timers run.
    p = connected()
    clock, poll = p.h.clock, p.h.stack.poll

    def step(i):
        clock.advance(7)
        poll()

    measured(step)


def test_what_is_for_others():
    # The noise of a network: broadcasts nobody here waits for, groups, questions to somebody else.
    h = host(frames=16)
    h.stack.udp
    t = Step(h)
    data = udp(9, 99, DATA, dst=ALL)
    noise = (
        eth(ALL_MAC, PEER_MAC, 0x800, ipv4(PEER, ALL, UDP, data)),
        eth(b"\1\0\x5e\0\0\xfb", PEER_MAC, 0x800, ipv4(PEER, b"\xe0\0\0\xfb", UDP, data)),
        arp(REQUEST, PEER_MAC, b"\x0a\0\0\x03", bytes(6), PEER, to=ALL_MAC),
        eth(ALL_MAC, PEER_MAC, 0x88CC, DATA),
    )

    def step(i):
        t.wire.give(noise[i & 3])
        t.poll()

    measured(step)
    assert h.stat("udp_no_port") >= N // 4 and h.stat("ip_not_joined") >= N // 4
    assert not h.sent()


def test_echo():
    h = host(frames=16)
    t = Step(h, frames(ICMP, lambda i: icmp(8, 0, bytes((0, 1, i >> 8, i & 0xFF)), bytes(56))))

    def step(i):
        t.give(i)
        t.poll()
        t.wire.drop()

    measured(step)
    assert h.stat("icmp_echo_in") >= N and h.ifc.tx_frames >= N


def test_datagrams_received():
    h = host(frames=16)
    e = h.stack.udp.open(4096, port=7)
    t = Step(h, frames(UDP, lambda i: udp(9, 7, pattern(SIZE, i))))

    def step(i):
        t.give(i)
        t.poll()
        e.read(t.buf, 0, SIZE)

    measured(step)
    assert t.buf == pattern(SIZE, WARM + N - 1) and h.stat("udp_in") >= N


def test_datagrams_sent():
    h = host(frames=16)
    e = h.stack.udp.open(port=7)
    t = Step(h)

    def step(i):
        e.send(DATA, PEER, 9)
        t.wire.drop()

    measured(step)
    assert h.stat("udp_out") >= N


def test_stream_socket():
    # The same through the socket module.
    p = connected()
    t = Step(p.h, frames(TCP, lambda i: p.raw(1 + i * SIZE, 1 + (i + 1) * SIZE, ACK, DATA)))
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, p.h.stack, p.c)

    def step(i):
        s.send(DATA)
        t.give(i)
        s.readinto(t.buf)
        s.ioctl(3, 1)
        t.wire.drop()

    measured(step)
    assert t.buf == DATA and p.stat("tcp_in") >= N and p.stat("tcp_out") >= N


def test_datagram_socket():
    h = host(frames=16)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 0, h.stack)
    s.bind(("10.0.0.1", 7))
    s.connect(("10.0.0.2", 9))
    t = Step(h, frames(UDP, lambda i: udp(9, 7, DATA)))

    def step(i):
        s.send(DATA)
        t.give(i)
        s.recv_into(t.buf)
        t.wire.drop()

    measured(step)
    assert t.buf == DATA and h.stat("udp_in") >= N and h.stat("udp_out") >= N
