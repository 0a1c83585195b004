# The link device of link/wlan on a modelled firmware, and the far end of its air.
from esp_wifi import TABLE, FirmwareModel
from viperip.link.pair import Pair
from viperip.link.wlan.wlan import WLAN

MAC = b"\x02\0\0\0\0\x61"
FAR = b"\x02\0\0\0\0\x0b"
ALL = b"\xff\xff\xff\xff\xff\xff"
FILLER = bytes([i * 7 & 0xFF for i in range(1600)])


def frame(n=60, tag=0, to=MAC, source=FAR):
    return (to + source + b"\x88\xb5" + bytes((tag & 0xFF, tag >> 8 & 0xFF)) + FILLER)[:n]


class Board:
    def __init__(self, frames=64, connect=True, buffers=32, **driver):
        self.near, self.far = Pair.wire(FAR, FAR, frames, 1600)
        self.firmware = FirmwareModel(MAC, self.near, buffers)
        self.start(connect, **driver)

    def start(self, connect=True, **driver):
        # A program, perhaps after a soft reset.
        self.dev = WLAN(table=TABLE, port=self.firmware, **driver)
        self.wlan = self.dev.firmware
        if connect:
            self.dev.up()
            if self.dev.interface == 0:
                self.dev.connect("viperip", "a passphrase")
            self.later(100)

    def later(self, ms):
        # Time passes; what was received meanwhile.
        self.firmware.now += ms
        return self.read()

    def give(self, *frames):
        for data in frames:
            self.firmware.receive(data, len(data), self.dev.interface)

    def read(self):
        out = []
        while True:
            n = self.dev.recv()
            if not n:
                return out
            off = self.dev.rx_off
            out.append(bytes(self.dev.rx[off : off + n]))
            self.dev.release()

    def send(self, data):
        buf = self.dev.borrow()
        if buf is None:
            return False
        off = self.dev.tx_off
        buf[off : off + len(data)] = data
        self.dev.send(len(data))
        return True

    def sent(self):
        out = []
        while True:
            n = self.far.recv()
            if not n:
                return out
            out.append(bytes(self.far.rx[2 : 2 + n]))
            self.far.release()

    def counts(self, **expected):
        # The counters that are not 0, but for those of a start without trouble.
        c = {k: v for k, v in self.dev.counters.items() if v}
        for name in ("link_up", "registered", "rx", "tx"):
            if name not in expected:
                c.pop(name, None)
        assert c == expected, c

    def balanced(self, held=0):
        # Every frame that was handed over was given back once, but for those in the ring.
        f = self.firmware
        assert f.double == 0, f.double
        assert f.outstanding() == held and f.given == f.freed + held, (
            f.given,
            f.freed,
            f.outstanding(),
        )

    # What Net of two_stacks.py wants of a board.

    @property
    def soc(self):
        return self

    def advance(self, ms):
        self.firmware.now += ms
        self.firmware.deliver(self.dev.interface)

    def trouble(self):
        good = ("link_up", "registered", "rx", "tx")
        return {k: v for k, v in self.dev.counters.items() if v and k not in good}
