# The Ethernet MAC of the (classic) ESP32: what stands around the GMAC of gmac.py.
#
# The order of the bring-up is ESP-IDF's (esp_eth_mac_esp.c, emac_esp32_init; esp_eth.c) with the
# power pin first, as MicroPython's own network_lan.c has it. Modelled; not yet run on silicon.
from ...errors import ENODEV
from .. import phy as _phy
from . import clock as _clock, pins
from . import registers as r
from .gmac import GMAC

_EFUSE_MAC_LOW = const(0x3FF5A004)
_EFUSE_MAC_HIGH = const(0x3FF5A008)
_POWER_MS = const(100)
_CLOCK_MS = const(10)  # until a PHY whose clock has just begun can be reset


class EMAC(GMAC):
    """The ESP32's MAC with an RMII PHY.

    mdc, mdio, power, reset: GPIO numbers (power and reset: None if there is none). clock: where
    the 50 MHz pass, "GPIO0_IN" (an oscillator or the PHY makes them), or "GPIO0_OUT",
    "GPIO16_OUT", "GPIO17_OUT" (the ESP32 does). phy_type, a name of phy.TYPES, and phy_addr are
    hints: what answers on MDIO counts. inherit: a dict of arguments for network.LAN, whose
    constructor is to set up clock and pins instead of this driver. mac: 6 bytes instead of the
    eFuse's.
    """

    def __init__(
        self,
        bus,
        mdc=23,
        mdio=18,
        power=None,
        reset=None,
        clock="GPIO0_IN",
        phy_type=None,
        phy_addr=None,
        inherit=None,
        mac=None,
        rx_frames=8,
        tx_frames=4,
        mtu=1500,
    ):
        pins.check(clock, mdc=mdc, mdio=mdio, power=power, reset=reset)
        if phy_type is not None and phy_type not in _phy.TYPES:
            raise ValueError("phy_type: one of " + ", ".join(sorted(_phy.TYPES)))
        super().__init__(
            bus,
            r.EMAC_MAC,
            r.EMAC_DMA,
            station=mac or fused_mac(bus),
            rx_frames=rx_frames,
            tx_frames=tx_frames,
            mtu=mtu,
        )
        self._pins = (mdc, mdio, power, reset)
        self._clock = clock
        self._phy_type = phy_type
        self._inherit = inherit
        self._stock = None
        self.phy_address = phy_addr

    def prepare(self):
        if self._inherit is not None:
            # Its constructor leaves clocks on, pins routed, the PHY out of reset; it must never be
            # activated: its interrupt would take the rings over.
            if self._stock is None:
                self._stock = self.bus.stock_lan(**self._inherit)
            _clock.present(self.bus)
            return
        bus = self.bus
        mdc, mdio, power, reset = self._pins
        # An EMAC that still runs keeps writing to memory.
        _clock.halt(bus)
        if power is not None:
            # It may be what feeds the oscillator, without which nothing below works.
            bus.pin(power, 1)
            bus.delay_ms(_POWER_MS)
        if reset is not None:
            bus.pin(reset, 0)
        _clock.enable(bus)
        pins.smi(bus, mdc, mdio)
        pins.rmii(bus)
        if self._clock != "GPIO0_IN":
            _clock.apll(bus)
        _clock.rmii(bus, self._clock == "GPIO0_IN")
        pins.clock(bus, self._clock)
        if self._clock != "GPIO0_IN":
            bus.delay_ms(_CLOCK_MS)
        if reset is not None:
            # A PHY needs its clock to come out of reset.
            kind = _phy.TYPES[self._phy_type] if self._phy_type else _phy.PHY
            bus.delay_us(kind.reset_us)
            bus.pin(reset, 1)
            bus.delay_ms(kind.settle_ms)

    def no_clock(self):
        if self._clock == "GPIO0_IN":
            return (
                "the EMAC's reset does not end: no 50 MHz on GPIO0. Does the oscillator (or the "
                "PHY) have power? Or is the clock the ESP32's to make: clock=GPIO17_OUT?"
            )
        return "the EMAC's reset does not end: no 50 MHz from the APLL"

    def down(self):
        super().down()
        self.phy = None  # it may be another one at the next up()

    def kill(self):
        _clock.disable(self.bus)


def fused_mac(bus):
    """The chip's Ethernet address: the base address of its eFuses, with 3 added to the last octet.

    (ESP-IDF mac_addr.c.) OSError(ENODEV) if the fuses hold none.
    """
    low = bus.mem32[_EFUSE_MAC_LOW]
    high = bus.mem32[_EFUSE_MAC_HIGH]
    mac = bytes(
        (
            high >> 8 & 0xFF,
            high & 0xFF,
            low >> 24 & 0xFF,
            low >> 16 & 0xFF,
            low >> 8 & 0xFF,
            (low + 3) & 0xFF,
        )
    )
    if mac[0] & 1 or not (low or high & 0xFFFF):
        raise OSError(ENODEV, "the eFuses hold no MAC address: give one, mac=")
    return mac
