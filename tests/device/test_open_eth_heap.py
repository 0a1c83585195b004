# The driver of QEMU's open_eth takes no heap for a frame. The model behind the registers does, so
# here registers are a stub, and the test itself plays the NIC.
from array import array

from heap_check import N, WARM, measured
from open_eth_board import ALL, DESC, REGS, Board, frame

HEAP = "1M"

INT_SOURCE = REGS + 4
MIIADDRESS = REGS + 0x30
MIIRX_DATA = REGS + 0x38
RX = 2  # the first descriptor to receive into
COUNT = 10


class Registers:
    # Descriptors as the driver wrote them; link up; INT_SOURCE as told.
    def __init__(self, desc):
        self.desc = array("i", [0] * 256)
        for i in range(2 * COUNT):
            self.desc[i] = desc[i]
        self.phy = array("i", [0x1000, 0x786C, 0x2000, 0x5C90, 0x1E1, 0x1E1])
        self.reg = self.busy = self.sent = self.asked = 0

    def __getitem__(self, address):
        if address >= DESC:
            return self.desc[address - DESC >> 2]
        if address == REGS:
            return 0xA003
        if address == MIIRX_DATA:
            self.asked += 1
            return self.phy[self.reg]
        return self.busy if address == INT_SOURCE else 0

    def __setitem__(self, address, value):
        if address >= DESC:
            i = address - DESC >> 2
            if i < 2 * RX and value & 0x8000:
                # Sent within the write.
                self.sent += 1
                value &= ~0x8000
            self.desc[i] = value
        elif address == MIIADDRESS:
            self.reg = value >> 8


class Hand:
    def __init__(self):
        self.b = b = Board().up()
        self.dev = b.dev
        self.regs = Registers(b.soc.desc)
        b.dev._mem = b.dev.mdio._mem = self.regs
        self.desc = self.regs.desc
        self.at = RX
        self.got = 0

    def receive(self, n):
        # A frame of n bytes in the next descriptor.
        desc = self.desc
        at = self.at
        assert desc[2 * at] & 0x8000
        desc[2 * at] = n + 4 << 16 | (0x2000 if at == COUNT - 1 else 0)
        self.at = RX if at == COUNT - 1 else at + 1

    def read(self):
        dev = self.dev
        while dev.recv():
            self.got += 1
            dev.release()


def test_receiving_one_by_one():
    h = Hand()

    def step(i):
        h.receive(60 + i % 1455)
        h.read()

    measured(step, strict=True)
    assert h.got == WARM + N and h.b.trouble() == {}


def test_receiving_a_full_ring_and_losing_the_rest():
    h = Hand()

    def step(i):
        n = 8
        while n:
            h.receive(1514)
            n -= 1
        h.regs.busy = 0x10
        h.read()

    measured(step, strict=True)
    assert h.got == 8 * (WARM + N)
    assert h.b.trouble() == {"rx_busy": WARM + N}


def test_frames_that_are_dropped():
    h = Hand()

    def step(i):
        h.receive(1600)
        h.read()
        h.receive(3)
        h.read()

    measured(step, strict=True)
    assert h.got == 0 and h.b.trouble() == {"rx_length": 2 * (WARM + N)}


def test_sending():
    h = Hand()
    given = frame(100, ALL)
    for buf in h.dev._buffers:
        buf[2:102] = given
    dev = h.dev

    def step(i):
        assert dev.borrow() is not None
        dev.send(60 + i % 1455)

    measured(step, strict=True)
    assert h.regs.sent == WARM + N and h.b.trouble() == {}


def test_idle_polls_with_a_look_at_the_link():
    h = Hand()
    soc, dev, regs = h.b.soc, h.dev, h.regs

    def step(i):
        soc.now = i * 1001000
        dev.recv()

    measured(step, strict=True)
    assert dev.link() and h.b.trouble() == {} and regs.asked >= 2 * N
