# The bus of a real chip, as far as it can be tried without one: with stand-ins for the firmware's
# modules.
import sys

from emac_board import failing
from viperip.errors import ENOMEM
from viperip.link.bus import Bus, check_dma


class Module:
    pass


class Pin:
    IN = 1
    OUT = 3
    made: list = []

    def __init__(self, *args, **kw):
        self.made.append((args, kw))


class LAN:
    def __init__(self, **arguments):
        self.arguments = arguments


def with_modules(function):
    machine = Module()
    machine.mem32 = {}
    machine.Pin = Pin
    network = Module()
    network.LAN = LAN
    network.PHY_LAN8720 = 7
    del Pin.made[:]
    before = {name: sys.modules.get(name) for name in ("machine", "network")}
    sys.modules["machine"] = machine
    sys.modules["network"] = network
    try:
        return function(Bus(), machine)
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def test_registers_and_time_are_the_firmwares():
    def run(bus, machine):
        assert bus.mem32 is machine.mem32 and bus.fileno() == -1
        before = bus.ticks_ms()
        bus.delay_ms(3)
        bus.delay_us(10)
        assert 2 <= bus.ticks_ms() - before < 1000

    with_modules(run)


def test_pins():
    def run(bus, machine):
        bus.pin(25)
        bus.pin(16, 1)
        bus.pin(5, 0)
        assert Pin.made == [
            ((25, Pin.IN), {"pull": None}),
            ((16, Pin.OUT), {"value": 1}),
            ((5, Pin.OUT), {"value": 0}),
        ]

    with_modules(run)


def test_the_firmwares_lan():
    def run(bus, machine):
        lan = bus.stock_lan(
            mdc=23, mdio=18, phy_type="LAN8720", phy_addr=1, ref_clk=17, ref_clk_mode="OUT"
        )
        a = lan.arguments
        assert [args for args, _ in Pin.made] == [(23,), (18,), (17,)]
        assert isinstance(a["mdc"], Pin) and isinstance(a["ref_clk"], Pin)
        assert a["phy_type"] == 7 and a["phy_addr"] == 1 and a["ref_clk_mode"] == Pin.OUT
        assert "power" not in a and "reset" not in a

    with_modules(run)


def test_this_computers_heap_is_not_the_dmas():
    # As PSRAM is not.
    def run(bus, machine):
        e = failing(bus.dma_alloc, 64)
        assert e.args[0] == ENOMEM and "ESP32_GENERIC" in e.args[1]

    with_modules(run)


def test_the_range_of_the_dma():
    low, high = Bus.DMA_LOW, Bus.DMA_HIGH
    for address, n in ((low, 4), (high - 4, 4), (0x3FFB0010, 1536)):
        check_dma(address, n, 4, low, high)
    for address, n in (
        (low - 4, 4),
        (high, 4),
        (high - 4, 8),
        (0x3F800000, 4),  # PSRAM
        (0x3F400000, 4),  # flash
        (0x50000000, 4),  # RTC slow memory
        (0x40080000, 4),  # instruction memory
        (0, 4),
    ):
        assert failing(check_dma, address, n, 4, low, high).args[0] == ENOMEM, hex(address)
    try:
        check_dma(0x3FFB0002, 4, 4, low, high)
    except ValueError:
        pass
    else:
        raise AssertionError("not aligned")
