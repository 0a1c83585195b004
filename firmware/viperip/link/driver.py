# From a board's profile, or from network.LAN's arguments, to a link device. Each driver is loaded
# only where it is used. Modelled; not yet run on silicon.
from ..errors import ENODEV


class SPIBus:
    """A chip on SPI as a profile's "ethernet" wires it: spi, cs, clock, reset, irq (or None)."""

    def __init__(self, e):
        import time

        machine = __import__("machine")
        pin = machine.Pin
        self.clock = time
        self.spi = machine.SPI(
            e["spi"],
            baudrate=e.get("baudrate", 20000000),
            sck=pin(e["sck"]),
            mosi=pin(e["mosi"]),
            miso=pin(e["miso"]),
        )
        self.cs = pin(e["cs"], pin.OUT, value=1)
        gpio = e.get("reset")
        self.reset = None if gpio is None else pin(gpio, pin.OUT, value=1)
        gpio = e.get("irq")
        self.irq = None if gpio is None else pin(gpio, pin.IN, pin.PULL_UP)


def open_device(profile, bus=None, station=None):
    """The link device that the profile's "ethernet" describes. OSError(ENODEV) without a driver.

    bus: the hardware, a Bus or an SPIBus (None: this chip's); station: 6 bytes instead of the
    chip's own MAC address.
    """
    e = dict(profile.get("ethernet") or ())
    name = e.pop("driver", None)
    mtu = profile.get("mtu", 1500)
    if bus is None:
        bus = _model(profile)
    if name == "w5500":
        from .w5500 import W5500

        if bus is None:
            bus = SPIBus(e)
        station = station or local_mac()
        return W5500(bus.spi, bus.cs, station, bus.reset, bus.irq, mtu, bus.clock)
    if bus is None and name in ("emac", "open_eth"):
        from .bus import Bus

        bus = Bus()
    if name == "emac":
        from .esp32.emac import EMAC

        return EMAC(bus, mac=station, mtu=mtu, **e)
    if name == "open_eth":
        from .open_eth import OpenEth

        return OpenEth(bus, station or local_mac(), mtu=mtu)
    raise OSError(ENODEV, 'the profile names no Ethernet driver, "ethernet": {"driver": ...}')


def _model(profile):
    # The modelled hardware of a virtual board, whose machine module brings it; None on a chip.
    make = getattr(__import__("machine"), "viperip_model", None)
    return make and make(profile)


def local_mac():
    """A MAC address of this chip's own: its unique id, with the bit of a local address."""
    ident = __import__("machine").unique_id()
    return bytes((ident[0] & 0xFC | 2,)) + ident[-5:]


def from_lan(arguments):
    """The profile for network.LAN's arguments: numbers or machine.Pin objects, names or network's
    constants. Of chips on SPI only the W5500."""
    if arguments.get("spi") is not None:
        return {"device": _on_spi(arguments)}
    e = {"driver": "emac", "clock": _clock(arguments)}
    for name in ("mdc", "mdio", "power", "reset"):
        if name in arguments:
            e[name] = _gpio(arguments[name])
    if arguments.get("phy_addr") is not None:
        e["phy_addr"] = arguments["phy_addr"]
    kind = arguments.get("phy_type")
    if kind is not None:
        e["phy_type"] = kind if isinstance(kind, str) else _phy_name(kind)
    return {"ethernet": e}


def _gpio(pin):
    # The number of a pin; a machine.Pin of the ESP32 tells it as text only, "Pin(23)".
    if pin is None or isinstance(pin, int):
        return pin
    return int(str(pin).split("(")[1].split(")")[0])


def _clock(arguments):
    gpio = _gpio(arguments.get("ref_clk")) or 0
    mode = arguments.get("ref_clk_mode")
    if mode is None or isinstance(mode, str):
        mode = mode or "IN"
    else:
        mode = "OUT" if mode == __import__("machine").Pin.OUT else "IN"
    return "GPIO%d_%s" % (gpio, mode)


def _phy_name(number):
    from .phy import TYPES

    network = __import__("network")
    for name in TYPES:
        if getattr(network, "PHY_" + name, None) == number:
            return name
    return None


def _on_spi(arguments):
    import time

    from .w5500 import W5500

    reset = arguments.get("reset")
    irq = arguments.get("int")
    return W5500(
        arguments["spi"],
        arguments["cs"],
        local_mac(),
        reset,
        irq,
        arguments.get("mtu", 1500),
        time,
    )
