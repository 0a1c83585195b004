# The EMAC driver takes no heap for a frame. The model behind the registers does, so here registers
# are a stub that answers and remembers nothing, and the test itself plays the DMA, byte by byte.

from emac_board import ALL, Board, frame
from heap_check import N, WARM, measured

HEAP = "16M"

DMA = 0x3FF69000
MACB = 0x3FF6A000
STATUS = DMA + 0x14
MISSED = DMA + 0x20
OPMODE = DMA + 0x18
GMIIADDR = MACB + 0x10
GMIIDATA = MACB + 0x14


class Registers:
    # Link up at 100 Mbit/s, full duplex; STATUS and MISSED as told.
    def __init__(self):
        self.status = self.missed = self.opmode = 0
        self.phy = [0x1000, 0x782D, 7, 0xC0F1, 0x1E1, 0x41E1] + [0] * 25 + [0x1018]
        self.data = 0
        self.polls = 0

    def __getitem__(self, address):
        if address == STATUS:
            return self.status
        if address == GMIIDATA:
            return self.data
        if address == MISSED:
            return self.missed
        return 0

    def __setitem__(self, address, value):
        if address == GMIIADDR:
            self.data = self.phy[value >> 6 & 31]
        elif address == STATUS:
            self.status = 0
        else:
            self.polls += 1


class Hand:
    # The DMA, played by hand.
    def __init__(self):
        self.b = b = Board().up()
        self.dev = dev = b.dev
        dev._mem = dev.mdio._mem = self.regs = Registers()
        self.rx = dev._rx.memory
        self.tx = dev._tx.memory
        self.at = self.tx_at = 0
        self.got = 0

    def receive(self, n):
        # A good frame of n bytes in the next descriptor: OWN goes last.
        rx = self.rx
        o = self.at
        assert rx[o + 3] & 0x80
        n += 4
        rx[o] = 0x20
        rx[o + 1] = 3
        rx[o + 2] = n & 0xFF
        rx[o + 3] = n >> 8
        o += 32
        self.at = 0 if o == len(rx) else o

    def read(self):
        dev = self.dev
        while dev.recv():
            self.got += 1
            dev.release()

    def sent(self):
        # What was given to the DMA has been sent.
        tx = self.tx
        o = self.tx_at
        assert tx[o + 3] == 0xB0
        tx[o + 3] = 0x30
        o += 32
        self.tx_at = 0 if o == len(tx) else o


def test_receiving_one_by_one():
    h = Hand()

    def step(i):
        h.receive(60 + i % 1455)
        h.read()

    measured(step)
    assert h.got == WARM + N and h.b.trouble() == {}


def test_receiving_in_batches():
    h = Hand()

    def step(i):
        for n in (60, 1514, 64, 65, 300):
            h.receive(n)
        h.read()

    measured(step)
    assert h.got == 5 * (WARM + N) and h.b.trouble() == {}


def test_receiving_a_ring_that_was_full():
    h = Hand()

    def step(i):
        h.receive(60)
        h.regs.status = 0x80
        h.regs.missed = 3
        h.read()

    measured(step)
    assert h.b.count("rx_suspended") == WARM + N and h.b.count("rx_missed") >= 3 * (WARM + N)


def test_sending():
    h = Hand()
    frame_in = frame(100, ALL)
    for buf in h.dev._tx.buffers:
        buf[:100] = frame_in
    dev = h.dev

    def step(i):
        assert dev.borrow() is not None
        dev.send(60 + i % 1455)
        h.sent()

    measured(step)
    assert h.regs.polls == WARM + N and h.b.trouble() == {}


def test_idle_polls_with_a_look_at_the_link():
    h = Hand()
    soc, dev = h.b.soc, h.dev

    def step(i):
        soc.now = i * 100000
        dev.recv()

    measured(step)
    assert dev.link() and h.b.trouble() == {}
