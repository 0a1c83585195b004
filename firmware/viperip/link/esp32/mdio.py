# MDIO, the two wires to the PHY's registers (IEEE 802.3 22.2.4, 22.3.4), through the MAC.
from .registers import GMIIADDR, GMIIDATA

_BUSY = const(1)
_WRITE = const(2)
# GMIIADDR.CR (bits 5:2): 0 is a clock of the bus over 42, for a bus of 60 to 100 MHz. The bus runs
# at 80 MHz: 1.9 MHz, below the 2.5 MHz of IEEE 802.3 22.2.2.13.
_CR = const(0)
_TRIES = const(100)
_PAUSE_US = const(10)  # a transaction takes 64 clocks: 34 us


class MDIO:
    """Reads and writes PHY registers through the MAC at bus address `mac`."""

    def __init__(self, bus, mac):
        self._mem = bus.mem32
        self._pause = bus.delay_us
        self._address = mac + GMIIADDR
        self._data = mac + GMIIDATA
        self.timeouts = 0

    def read(self, phy, reg):
        """The 16 bits of a register; 0xFFFF where no PHY answers; -1 if the MAC stays busy."""
        if not self._idle():
            return -1
        self._mem[self._address] = phy << 11 | reg << 6 | _CR << 2 | _BUSY
        if not self._idle():
            return -1
        return self._mem[self._data] & 0xFFFF

    def write(self, phy, reg, value):
        """Write 16 bits to a register; False if the MAC stays busy."""
        if not self._idle():
            return False
        self._mem[self._data] = value
        self._mem[self._address] = phy << 11 | reg << 6 | _CR << 2 | _WRITE | _BUSY
        return self._idle()

    def _idle(self):
        i = _TRIES
        while self._mem[self._address] & _BUSY:
            i -= 1
            if not i:
                self.timeouts += 1
                return False
            self._pause(_PAUSE_US)
        return True
