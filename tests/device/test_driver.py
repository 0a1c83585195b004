# From a board's profile to its link device: LAN(viperip.board()) on a board.
import sys

from harness import raises
import viperip
from viperip.errors import ENODEV
from viperip.lan import LAN
from viperip.link import driver
from w5500_board import Board

SPI = {"driver": "w5500", "spi": 1, "sck": 6, "mosi": 7, "miso": 5, "cs": 10, "baudrate": 8000000}


class Machine:
    # What stands for the firmware's module while a test runs: a W5500 on the pins of SPI.
    def __init__(self):
        self.board = b = Board(up=False)
        self.asked = asked = {}

        class Pin:
            OUT, IN, PULL_UP = 1, 0, 2

            def __init__(self, gpio, *mode, value=None):
                self.gpio = gpio
                self.say = {10: b.chip.cs, 3: b.chip.reset}.get(gpio)
                if value is not None:
                    self(value)

            def __call__(self, *value):
                return self.say(*value) if value else b.chip.irq()

        def spi(number, **more):
            asked["spi"] = number
            for name in more:
                asked[name] = getattr(more[name], "gpio", more[name])
            return b.chip

        self.Pin = Pin
        self.SPI = spi

    def unique_id(self):
        return b"\x84\xf7\x03\x01\x02\x03"

    def __enter__(self):
        self.before = sys.modules.get("machine")
        sys.modules["machine"] = self
        return self

    def __exit__(self, *a):
        del sys.modules["machine"]
        if self.before:
            sys.modules["machine"] = self.before


def test_a_w5500():
    with Machine() as m:
        dev = driver.open_device({"mtu": 1400, "ethernet": SPI})
    expected = {"spi": 1, "sck": 6, "mosi": 7, "miso": 5, "baudrate": 8000000}
    assert m.asked == expected, m.asked
    assert dev.mtu == 1400 and dev.mac == b"\x86\xf7\x03\x01\x02\x03"


def test_a_w5500_with_reset_and_interrupt():
    with Machine() as m:
        dev = driver.open_device({"ethernet": dict(SPI, reset=3, irq=4)})
    chip = m.board.chip
    dev._sleep_ms = chip.clock.sleep_ms
    dev._ticks = chip.clock.ticks_ms
    dev.up()
    assert dev.link() and chip.common[0x18] == 1


def test_a_station_that_is_given_comes_first():
    with Machine():
        dev = driver.open_device({"ethernet": SPI}, station=b"\2\0\0\0\0\7")
    assert dev.mac == b"\2\0\0\0\0\7"


def test_a_bus_that_is_given():
    b = Board(up=False)

    class Bus:
        spi = b.chip
        clock = b.chip.clock
        irq = None

    bus = Bus()
    bus.cs = b.chip.cs
    bus.reset = b.chip.reset
    dev = driver.open_device({"ethernet": {"driver": "w5500"}}, bus, b"\2\0\0\0\0\7")
    dev.up()
    assert dev.link() and bytes(b.chip.common[9:15]) == b"\2\0\0\0\0\7"


def test_no_driver():
    for profile in ({}, {"ethernet": {}}, {"ethernet": {"driver": "token ring"}}):
        raises(ENODEV, driver.open_device, profile)
        raises(ENODEV, LAN, profile)


def test_the_profile_is_left_as_it_was():
    profile = {"ethernet": dict(SPI)}
    with Machine():
        driver.open_device(profile)
    assert profile == {"ethernet": SPI}


def test_open_eth_and_emac_take_the_profile():
    # On the models of their own tests; here only what they are given.
    seen = []

    class Bus:
        pass

    class Recorder:
        def __init__(self, *a, **k):
            seen.append((a, k))

    from viperip.link import bus, open_eth
    from viperip.link.esp32 import emac

    saved = bus.Bus, emac.EMAC, open_eth.OpenEth
    bus.Bus, emac.EMAC, open_eth.OpenEth = Bus, Recorder, Recorder
    try:
        driver.open_device({"ethernet": {"driver": "emac", "mdc": 23, "power": None}})
        with Machine():
            driver.open_device({"ethernet": {"driver": "open_eth"}, "mtu": 1000})
    finally:
        bus.Bus, emac.EMAC, open_eth.OpenEth = saved
    assert isinstance(seen[0][0][0], Bus)
    assert seen[0][1] == {"mdc": 23, "power": None, "mac": None, "mtu": 1500}
    assert seen[1][0][1] == b"\x86\xf7\x03\x01\x02\x03" and seen[1][1] == {"mtu": 1000}


def test_the_arguments_of_network_lan():
    class Pin:
        IN, OUT = 1, 3

        def __init__(self, n):
            self.n = n

        def __repr__(self):
            return "Pin(%d)" % self.n

    assert driver.from_lan({"mdc": 23, "mdio": Pin(18), "phy_type": "LAN8720", "phy_addr": 1}) == {
        "ethernet": {
            "driver": "emac",
            "clock": "GPIO0_IN",
            "mdc": 23,
            "mdio": 18,
            "phy_type": "LAN8720",
            "phy_addr": 1,
        }
    }
    with Machine() as m:
        m.Pin = Pin
        told = {"mdc": Pin(23), "mdio": Pin(18), "power": None, "phy_addr": 0}
        told["ref_clk"] = Pin(17)
        told["ref_clk_mode"] = Pin.OUT
        e = driver.from_lan(told)["ethernet"]
        assert e["clock"] == "GPIO17_OUT" and e["power"] is None and e["phy_addr"] == 0
        told["ref_clk_mode"] = Pin.IN
        told["ref_clk"] = Pin(0)
        assert driver.from_lan(told)["ethernet"]["clock"] == "GPIO0_IN"


def test_a_w5500_by_the_arguments_of_network_lan():
    with Machine() as m:
        chip = m.board.chip
        told = {"spi": chip, "cs": chip.cs, "int": chip.irq, "phy_type": 10, "phy_addr": 0}
        dev = driver.from_lan(told)["device"]
    dev._sleep_ms = chip.clock.sleep_ms
    dev._ticks = chip.clock.ticks_ms
    dev.up()
    assert dev.link() and chip.common[0x18] == 1


def test_a_lan_of_a_profile():
    profile = {"mtu": 1500, "ethernet": SPI}
    with Machine() as m:
        lan = LAN(profile)
        again = LAN(profile)
    # One device, and one interface, however often it is asked for.
    assert lan.interface is again.interface
    dev = lan.interface.dev
    assert profile["device"] is dev
    dev._sleep_ms = m.board.chip.clock.sleep_ms
    dev._ticks = m.board.chip.clock.ticks_ms
    lan.active(True)
    assert lan.status() == LAN.ETH_CONNECTED
    lan.active(False)
    viperip.default().remove_interface(lan.interface)
