# Boards with an ESP-NOW link each, on a modelled air, and stacks on them.
from espnow_model import Air, Board
from harness import MASK, FakeClock
from viperip.interface import Interface
from viperip.link.espnow import ESPNowLink
from viperip.stack import Stack

ALL = b"\xff\xff\xff\xff\xff\xff"
FINE = ("rx_duplicate",)


def mac_of(i):
    return b"\x02\0\0\0\0" + bytes((i,))


def address_of(i):
    return b"\x0a\0\0" + bytes((i,))


def pattern(n, start=0):
    return bytes([(i * 7 + start) & 0xFF for i in range(n)])


def link(board, clock, **more):
    dev = ESPNowLink(espnow=board, wlan=board.wlan, ticks=clock, **more)
    dev.up()
    return dev


def send(dev, to, payload, kind=b"\x88\xb5", source=None):
    frame = to + (source or dev.mac) + kind + payload
    buf = dev.borrow()
    buf[dev.tx_off : dev.tx_off + len(frame)] = frame
    dev.send(len(frame))
    return frame


def read(dev):
    # All frames that have come.
    out = []
    while True:
        n = dev.recv()
        if not n:
            return out
        assert dev.recv() == n  # lent until it is given back
        out.append(bytes(dev.rx[dev.rx_off : dev.rx_off + n]))
        dev.release()


def trouble(dev):
    return {k: v for k, v in dev.counters.items() if v}


class Pair:
    # Two links; `raw` is a board without one, for messages of any kind.
    def __init__(self, version=2, first={}, second={}, **air):
        self.clock = FakeClock()
        self.air = Air(ticks=self.clock, **air)
        self.boards = [Board(self.air, mac_of(i), version) for i in (1, 2)]
        self.a = link(self.boards[0], self.clock, **first)
        self.b = link(self.boards[1], self.clock, **second)
        self.rogues = {}

    def rogue(self, i=9):
        # The ESPNow of a station that says what it likes.
        if i not in self.rogues:
            board = Board(self.air, mac_of(i))
            board.wlan.active(True)
            board.radio.active(True)
            for mac in (mac_of(1), mac_of(2), ALL):
                board.radio.add_peer(mac)
            self.rogues[i] = board.radio
        return self.rogues[i]

    def say(self, message, i=9, to=mac_of(2)):
        # A message to b, and what b makes of it.
        self.rogue(i).send(to, message, False)
        return read(self.b)


class Net:
    # n stacks, 10.0.0.1 and on.
    def __init__(self, n, version=2, options={}, **air):
        self.clock = FakeClock()
        self.air = Air(ticks=self.clock, **air)
        self.boards = [Board(self.air, mac_of(i + 1), version) for i in range(n)]
        self.devs = []
        self.stacks = [self.stack(i, options) for i in range(n)]
        self.run(3000)

    def stack(self, i, options):
        s = Stack(ticks=self.clock)
        s.strict = True
        board = self.boards[i]
        dev = ESPNowLink(espnow=board, wlan=board.wlan, ticks=self.clock, **options)
        self.devs.append(dev)
        ifc = Interface(s, dev, "e0")
        s.add_interface(ifc)
        ifc.up()
        ifc.configure(address_of(i + 1), MASK)
        return s

    def run(self, ms, step=10):
        while ms > 0:
            self.clock.advance(step)
            for s in self.stacks:
                s.poll()
            ms -= step
