# The driver on QEMU's model of a GMAC (models/qtest_bus.py), and the far end of its wire.
import json
import os
import struct
import time

from emac_board import FAR, Board
from emac_board import MAC as ESP_MAC
from harness import SkipTest
from qtest import Monitor
from qtest_bus import QtestBus
from viperip.link.esp32 import registers as r
from viperip.link.esp32.descriptors import Normal
from viperip.link.esp32.gmac import GMAC
from viperip.link.udpwire import UDPWire

MAC = ESP_MAC  # any will do; the frames of the driver's own tests go to this one

# What QEMU says of a driver that does all as it should. The pending bits of STATUS are cleared as
# ESP-IDF does it, by writing ones to all of it; and only the station's own address is more than a
# register to QEMU.
EXPECTED = (
    "Write of read-only bits of reg: offset: 0x1014, value: 0xffffffff",
    "Only MAC Address 0 is supported",
)
NONE_FREE = "is owned by software"  # a frame came, and no descriptor for it
CURRXD = const(0x4C)  # where the receive DMA is; a register that the driver has no use for
_QUIET = const(50)  # so many looks without a frame: no more will come


class RefereeBoard(Board):
    """As emac_board.Board, with another's hardware. Use it in a `with`: what QEMU had to complain
    about on the way fails the test, unless it is in `may`, a list of texts.
    """

    # (Not called: its board is a modelled one.)
    def __init__(self, may=(), driver=GMAC, layout=Normal, **arguments):
        told = os.getenv("VIPERIP_REFEREE")
        if told is None:
            raise SkipTest("no referee")
        told = json.loads(told)
        self.may = EXPECTED + tuple(may)
        self._log = told["log"]
        self._skip = len(self._all_complaints())
        self.due = 0  # frames given, not yet received
        self._skew = 0
        self.monitor = self.bus = self.far = None
        try:
            self.monitor = Monitor(told["monitor"])
            self.monitor.do("set_link wire on")
            self.bus = QtestBus(told["qtest"], r.EMAC_MAC, r.EMAC_DMA)
            self._reset()
            self.bus.ticks_ms = lambda: time.ticks_ms() + self._skew
            self.far = UDPWire(told["far"], told["near"], FAR, 1504)
            self.far.up()
            self.dev = driver(self.bus, r.EMAC_MAC, r.EMAC_DMA, layout, MAC, **arguments)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        try:
            self.dev.down()
            complaints = self.complaints()
            self._drain()
        finally:
            self.close()
        if kind is None:
            wrong = [c for c in complaints if not [1 for may in self.may if may in c]]
            assert not wrong, wrong

    def close(self):
        # QEMU serves one at a time.
        for one in (self.far and self.far._sock, self.bus, self.monitor):
            if one:
                one.close()

    def _reset(self):
        # QEMU resets the machine some time after it was told to.
        mark = r.EMAC_MAC + r.HASHLOW
        self.bus.mem32[mark] = 0x1E57
        self.monitor.do("system_reset")
        for _ in range(2000):
            if not self.bus.mem32[mark]:
                return
            time.sleep_ms(1)
        raise AssertionError("QEMU does not reset the machine")

    def _drain(self):
        # Frames still on their way would come to the next test's board.
        mem = self.bus.mem32
        mem[r.EMAC_DMA + r.BUSMODE] = r.BUSMODE_SWR
        mem[r.EMAC_DMA + r.RXBASE] = self.bus.dma_alloc(16)[1]  # a descriptor that is not QEMU's
        mem[r.EMAC_DMA + r.OPMODE] = r.OPMODE_SR
        mem[r.EMAC_MAC + r.CONFIG] = r.CONFIG_RE
        self.settle()
        mem[r.EMAC_DMA + r.BUSMODE] = r.BUSMODE_SWR

    def _all_complaints(self):
        with open(self._log) as f:
            return f.read().split("\n")

    def complaints(self):
        """What QEMU had to say about the driver, in lines."""
        return [line for line in self._all_complaints()[self._skip - 1 :] if line]

    def up(self):
        self.dev.up()
        end = time.ticks_ms() + 1000
        while not self.dev.link():
            assert time.ticks_ms() < end, "no link"
            self.dev.recv()
        return self

    # Registers, as QEMU holds them.

    def mac_reg(self, offset):
        return self.bus.mem32[r.EMAC_MAC + offset] & 0xFFFFFFFF

    def dma_reg(self, offset):
        return self.bus.mem32[r.EMAC_DMA + offset] & 0xFFFFFFFF

    def receiving(self):
        """State of the receive DMA: 0 stopped, 3 waiting for a frame, 4 suspended."""
        return self.dma_reg(r.STATUS) >> 17 & 7

    def sending(self):
        """State of the transmit DMA: 0 stopped, 6 suspended."""
        return self.dma_reg(r.STATUS) >> 20 & 7

    def word(self, ring, i, word):
        """A word of a descriptor, as QEMU's memory holds it."""
        data = self.bus.qtest.read(ring.address + ring.stride * i + 4 * word, 4)
        return struct.unpack("<I", data)[0]

    # Frames. QEMU takes one from the wire each time it answers a request, so that not time counts
    # but looks.

    def give(self, *frames):
        for frame in frames:
            self.far.borrow()[2 : 2 + len(frame)] = frame
            self.far.send(len(frame))
        self.due += len(frames)
        assert not self.far.dropped

    def settle(self):
        """Until QEMU has taken what was given, with nobody polling."""
        for _ in range(self.due + _QUIET):
            self.dma_reg(r.STATUS)

    def read(self):
        out = super().read()
        quiet = 0
        while len(out) < self.due and quiet < _QUIET:
            got = super().read()
            out += got
            quiet = 0 if got else quiet + 1
        self.due = 0
        return out

    def after(self, ms, step=50):
        got = []
        while ms > 0:
            self._skew += min(ms, step)
            got += self.read()
            ms -= step
        return got
