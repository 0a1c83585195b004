# A modelled ESP32 board with the EMAC driver on it, and the far end of its wire.
from esp32_model import ESP32Model, Wiring
from phy_model import PHYModel
from viperip.link.esp32.emac import EMAC
from viperip.link.pair import Pair

# The base address of Wiring with 3 added to its last octet.
MAC = b"\x24\x0a\xc4\x12\x34\x59"
FAR = b"\x02\0\0\0\0\x0b"
ALL = b"\xff\xff\xff\xff\xff\xff"

FILLER = bytes([i * 7 & 0xFF for i in range(1600)])


class Board:
    def __init__(self, wiring=None, phy=None, frames=64, model={}, **driver):
        self.near, self.far = Pair.wire(FAR, FAR, frames, 1504)
        if isinstance(phy, str):
            phy = PHYModel(None, phy)
        self.soc = ESP32Model(self.near, wiring, phy, **model)
        self.phy = self.soc.phy
        self.emac = self.soc.emac
        self.bus = self.soc
        self.dev = EMAC(self.soc, **driver)

    def up(self):
        self.dev.up()
        return self

    def give(self, *frames):
        # Put frames on the wire towards the board.
        for frame in frames:
            self.far.borrow()[2 : 2 + len(frame)] = frame
            self.far.send(len(frame))

    def read(self):
        # All frames that the driver has received.
        out = []
        while True:
            n = self.dev.recv()
            if not n:
                return out
            off = self.dev.rx_off
            out.append(bytes(self.dev.rx[off : off + n]))
            self.dev.release()

    def send(self, frame):
        # False if the driver has no room.
        buf = self.dev.borrow()
        if buf is None:
            return False
        off = self.dev.tx_off
        buf[off : off + len(frame)] = frame
        self.dev.send(len(frame))
        return True

    def sent(self):
        # All frames that came out of the board.
        out = []
        while True:
            n = self.far.recv()
            if not n:
                return out
            out.append(bytes(self.far.rx[2 : 2 + n]))
            self.far.release()

    def after(self, ms, step=50):
        # Let time pass, polling on the way; what was received.
        got = []
        while ms > 0:
            self.soc.advance(min(ms, step))
            got += self.read()
            ms -= step
        return got

    def count(self, name):
        return self.dev.counters[name]

    def trouble(self):
        # The counters that are not zero, but for the link's.
        return {k: v for k, v in self.dev.counters.items() if v and not k.startswith("link_")}


def frame(n=60, to=MAC, tag=0):
    # A frame of n bytes, different for every tag.
    return (to + FAR + b"\x88\xb5" + bytes((tag & 0xFF, tag >> 8)) + FILLER)[:n]


def failing(function, *args):
    # The OSError that a call ends with.
    try:
        function(*args)
    except OSError as e:
        return e
    raise AssertionError("no OSError")


__all__ = ["ALL", "FAR", "MAC", "Board", "Wiring", "failing", "frame"]
