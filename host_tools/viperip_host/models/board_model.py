# The modelled hardware of a board profile, on a cable: what `viperip sim --board` runs a driver
# on.
import time

from viperip.link.wrapper import Wrapper
from w5500_model import Clock, W5500Model

_LONGEST_US = const(130)  # of a frame
_BETWEEN = const(24)  # bytes of time that a frame takes beside its own: preamble, FCS, gap


class FastEthernet(Wrapper):
    """A cable on which frames arrive one after the other, at 100 Mbit/s.

    A wire of this computer delivers any number at once, which no board's ring would hold. What has
    to wait stays on the wire, as in a switch that heeds pause frames.
    """

    _free = 0  # when the last frame has passed, in microseconds
    _n = 0

    def recv(self):
        # (A time long past may look like one to come, where microseconds wrap soon.)
        if 0 < time.ticks_diff(self._free, time.ticks_us()) <= _LONGEST_US:
            return 0
        self._n = n = super().recv()
        return n

    def release(self):
        now = time.ticks_us()
        self._free = time.ticks_add(now, (self._n + _BETWEEN) * 8 // 100)
        super().release()


class RealClock(Clock):
    """Time that passes by itself; what SPI takes is not added."""

    def ticks_ms(self):
        return time.ticks_ms()

    def now(self):
        return time.ticks_us() & 0x1FFFFFFF

    def pass_us(self, us):
        pass

    def sleep_ms(self, ms):
        time.sleep_ms(ms)


class SPIBoard:
    """A W5500 on its bus, with the names of viperip.link.driver.SPIBus."""

    def __init__(self, cable, e):
        self.clock = RealClock()
        self.spi = chip = W5500Model(cable, clock=self.clock)
        chip.brown_out()
        self.cs = chip.cs
        self.reset = chip.reset if e.get("reset") is not None else None
        self.irq = chip.irq if e.get("irq") is not None else None


def model(profile, cable, station):
    """What open_device() takes as `bus` for a profile: its chip and board, modelled.

    cable: a link device; station: the MAC address in the eFuses, where the chip has some.
    """
    e = profile["ethernet"]
    kind = e["driver"]
    cable = FastEthernet(cable)
    if kind == "w5500":
        return SPIBoard(cable, e)
    if kind == "open_eth":
        from open_eth_model import OpenEthModel

        return OpenEthModel(cable, real_time=True)
    from esp32_model import ESP32Model, Wiring
    from phy_model import PHYModel

    wiring = Wiring(
        clock=e["clock"],
        mdc=e["mdc"],
        mdio=e["mdio"],
        power=e.get("power"),
        reset=e.get("reset"),
        mac=station[:5] + bytes(((station[5] - 3) & 0xFF,)),
    )
    kind = e.get("phy_type") or "GENERIC"
    if kind == "LAN8710":
        kind = "LAN8720"  # a LAN8710 with fewer pins: its id and its registers are the same
    phy = PHYModel(None, kind, e.get("phy_addr") or 0)
    return ESP32Model(cable, wiring, phy, real_time=True)
