# What a MAC driver is given to reach its hardware. On a chip it is as thin as this; under a model
# it is the model.


class Bus:
    """The chip itself. (Modelled; not yet run on silicon.)

    mem32[address] reads and writes a register of 32 bits, as machine.mem32 does: what it reads is
    signed.
    """

    # Internal RAM that the DMA engines of the ESP32 reach (ESP-IDF soc.h, SOC_DMA_LOW and _HIGH).
    DMA_LOW = 0x3FFAE000
    DMA_HIGH = 0x40000000

    def __init__(self):
        import time

        machine = __import__("machine")
        self.mem32 = machine.mem32
        self._pin = machine.Pin
        self.ticks_ms = time.ticks_ms
        self.delay_ms = time.sleep_ms
        self.delay_us = time.sleep_us

    def dma_alloc(self, n, align=4):
        """(buffer, bus address) of n zeroed bytes that the DMA reaches, at a multiple of `align`.

        OSError(ENOMEM) when the heap lies elsewhere. Keep a reference for as long as the DMA may
        use it; the heap never moves what it holds.
        """
        from uctypes import addressof

        buf = bytearray(n)
        address = addressof(buf)
        check_dma(address, n, align, self.DMA_LOW, self.DMA_HIGH)
        return buf, address

    def pin(self, gpio, value=None):
        """Make a pin an input without pulls, or an output with the value 0 or 1.

        Either way it becomes a plain GPIO: a pad of the RTC's group leaves that, and pulls are off
        (ESP32 errata GPIO-3.6: IO_MUX cannot switch the pulls of those pads).
        """
        if value is None:
            self._pin(gpio, self._pin.IN, pull=None)
        else:
            self._pin(gpio, self._pin.OUT, value=value)

    def stock_lan(self, **arguments):
        """Construct the firmware's own network.LAN, whose constructor sets up clocks and pins."""
        machine = __import__("machine")
        network = __import__("network")
        for name in ("mdc", "mdio", "power", "reset", "ref_clk"):
            if arguments.get(name) is not None:
                arguments[name] = machine.Pin(arguments[name])
        if "phy_type" in arguments:
            arguments["phy_type"] = getattr(network, "PHY_" + arguments["phy_type"])
        if "ref_clk_mode" in arguments:
            arguments["ref_clk_mode"] = getattr(machine.Pin, arguments["ref_clk_mode"])
        return network.LAN(**arguments)

    def stock_wlan(self, channel):
        """Have the firmware's Wi-Fi power PHY and MAC on a channel; the station's MAC address.

        Its access point is what keeps them on: a station that is not connected is put to sleep.
        """
        network = __import__("network")
        ap = network.WLAN(network.WLAN.IF_AP)
        ap.active(True)
        ap.config(channel=channel)
        return network.WLAN(network.WLAN.IF_STA).config("mac")

    def fileno(self):
        """A descriptor that becomes readable when a frame comes, -1: there is none."""
        return -1


def check_dma(address, n, align, low, high):
    """OSError(ENOMEM) unless the n bytes at `address` are aligned, and in reach of the DMA."""
    if address < low or address + n > high:
        from ..errors import ENOMEM

        raise OSError(
            ENOMEM,
            "the heap lies outside the memory that the Ethernet DMA reaches (PSRAM?): "
            "use a firmware without SPIRAM, ESP32_GENERIC",
        )
    if address % align:
        raise ValueError("DMA memory is not aligned")
