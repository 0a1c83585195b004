# A stack over the W5500 driver and its model; and no heap for a frame on that way.

from harness import (
    ICMP,
    ME,
    PEER,
    PEER_MAC,
    UDP,
    Datagram,
    Message,
    eth,
    icmp,
    ipv4,
    udp,
)
from heap_check import N, WARM, measured
from viperip.application.ping import ping
from viperip.interface import Interface
from viperip.link.pair import Pair
from viperip.link.w5500 import W5500
from viperip.stack import Stack
from w5500_board import MAC, Board
from w5500_model import Clock, W5500Model

MASK = b"\xff\xff\xff\0"


class Host:
    def __init__(self, irq=False):
        self.board = b = Board(frames=16, irq=irq, up=False)
        self.stack = Stack(ticks=b.chip.clock.ticks_ms)
        self.stack.strict = True
        self.ifc = Interface(self.stack, b.dev, "e0")
        self.stack.add_interface(self.ifc)
        self.ifc.up()
        self.ifc.configure(ME, MASK)
        self.run(2500)
        self.ifc.arp.add(PEER, PEER_MAC)
        b.sent()

    def run(self, ms):
        while ms > 0:
            self.board.chip.clock.sleep_ms(20)
            self.stack.poll()
            ms -= 20

    def poll(self):
        # The chip needs a moment for a frame; so does the test.
        for _ in range(3):
            self.board.chip.clock.pass_us(200)
            self.stack.poll()
        self.board.chip.step()


def test_a_ping_is_answered():
    for irq in (False, True):
        h = Host(irq)
        for n in (0, 1, 56, 1400, 1472):
            data = bytes(i & 0xFF for i in range(n))
            message = icmp(8, 0, b"\x12\x34\0\1", data)
            h.board.put(eth(MAC, PEER_MAC, 0x800, ipv4(PEER, ME, ICMP, message)))
            h.poll()
            (answer,) = h.board.sent()
            m = Message(Datagram(answer))
            assert m.kind == 0 and m.data == data, n


class Two:
    # Two stacks, each with a chip of its own, and a wire between the chips.
    def __init__(self):
        self.clock = Clock()
        ends = Pair.wire(b"\2\0\0\0\0\1", b"\2\0\0\0\0\2", 16)
        self.chips = []
        self.stack = self.make(ends[0], b"\x0a\0\0\1")
        self.peer = self.make(ends[1], b"\x0a\0\0\2")
        self.stack.idle = self.idle

    def make(self, end, addr):
        chip = W5500Model(end, clock=self.clock)
        self.chips.append(chip)
        dev = W5500(chip, chip.cs, end.mac, chip.reset, chip.irq, clock=self.clock)
        stack = Stack(ticks=self.clock.ticks_ms)
        stack.strict = True
        ifc = Interface(stack, dev, "e0")
        stack.add_interface(ifc)
        ifc.up()
        ifc.configure(addr, MASK)
        return stack

    def idle(self, ms):
        self.clock.sleep_ms(1)
        self.peer.poll()


def test_two_stacks_ping_each_other():
    two = Two()
    got = ping("10.0.0.2", count=3, size=1472, interval_ms=5, quiet=True, stack=two.stack)
    for a in got:
        assert a.get("error") is None and a["bytes"] == 1480, got
    assert two.chips[0].sent >= 4 and two.chips[1].sent >= 4


def test_a_window_fits_into_the_chip():
    h = Host()
    assert h.board.dev.rx_frames == 10 and h.ifc.dev.link()


# Heap.


class Step:
    # Frames that are made beforehand, put on the wire without any allocation by the test.
    def __init__(self, h, frames):
        self.board = h.board
        self.chip = h.board.chip
        self.wire = h.board.wire
        self.poll = h.stack.poll
        self.frames = frames

    def give(self, i):
        frame = self.frames[i % len(self.frames)]
        b = self.wire.borrow()
        n = len(frame)
        i = 0
        while i < n:
            b[2 + i] = frame[i]
            i += 1
        self.wire.send(n)

    def round(self, i):
        self.give(i)
        self.chip.clock.pass_us(700)
        self.poll()
        self.poll()
        self.chip.clock.pass_us(700)
        self.chip.step()
        while self.wire.recv():
            self.wire.release()


def echoes(sizes):
    return [
        eth(MAC, PEER_MAC, 0x800, ipv4(PEER, ME, ICMP, icmp(8, 0, b"\0\1\0\1", bytes(n))))
        for n in sizes
    ]


def test_no_heap_for_an_echo():
    for irq in (False, True):
        h = Host(irq)
        t = Step(h, echoes((0, 56, 57, 600, 1472)))
        sent = h.board.chip.sent
        measured(t.round)
        # The ring, and the 64 K of its pointers, went round many times.
        assert h.board.chip.sent - sent == N + WARM
        assert h.board.dev.counters["reopened"] == 0


def test_no_heap_for_what_is_received():
    h = Host()
    e = h.stack.udp.open(4096, port=7)
    data = bytes(500)
    t = Step(h, [eth(MAC, PEER_MAC, 0x800, ipv4(PEER, ME, UDP, udp(9, 7, data)))])
    buf = bytearray(500)

    def step(i):
        t.round(i)
        e.read(buf, 0, 500)

    measured(step)
    assert h.stack.stats["udp_in"] >= N


def test_no_heap_while_nothing_comes():
    for irq in (False, True):
        h = Host(irq)
        clock = h.board.chip.clock
        poll = h.stack.poll

        def step(i):
            clock.sleep_ms(3)
            poll()

        measured(step)
