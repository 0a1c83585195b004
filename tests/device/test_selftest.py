# viperip.selftest() on the modelled ESP32: each fault ends it at the step that names the part.
from emac_board import Board, Wiring
from phy_model import PHYModel
from viperip import selftest

STEPS = ["chip", "clock", "MDIO scan", "MAC loopback", "PHY loopback", "link"]


def run(b):
    found = selftest(b.dev, quiet=True)
    assert [t["test"] for t in found] == STEPS[: len(found)]
    assert all([t["ok"] for t in found[:-1]])
    return found


def failed(b):
    last = run(b)[-1]
    assert not last["ok"], last
    return last["test"]


def test_everything_is_well():
    b = Board()
    found = run(b)
    assert len(found) == len(STEPS) and found[-1]["ok"], found[-1]
    assert found[2]["detail"].startswith("1: LAN87xx (0007c0f")
    assert found[-1]["detail"] == "100 Mbit/s, full duplex"
    # The device is as it was, and works.
    assert b.dev.loopback is None and not b.dev.link()
    b.up()
    b.after(200)
    assert b.dev.link()


def test_no_clock():
    assert failed(Board(Wiring(oscillator=False))) == "clock"


def test_no_phy():
    phy = PHYModel()
    b = Board(phy=phy)
    phy.power(False)
    assert failed(b) == "MDIO scan"


def test_no_cable():
    b = Board()
    b.phy.unplug()
    assert failed(b) == "link"


def test_no_emac():
    # The probe of EX_DATE reads 0 where there is no EMAC.
    b = Board()
    b.dev.bus = Without(b.soc)
    assert failed(b) == "chip"


class Without:
    # The modelled board as a chip that has no EMAC: its own registers.
    def __init__(self, soc):
        self._soc = soc
        self.mem32 = self

    def __getitem__(self, address):
        return 0 if address == 0x3FF698FC else self._soc.mem32[address]

    def __setitem__(self, address, value):
        self._soc.mem32[address] = value

    def __getattr__(self, name):
        return getattr(self._soc, name)


def test_frames_that_do_not_come_back():
    b = Board()
    b.emac.frozen = True
    assert failed(b) == "MAC loopback"


def test_other_devices_are_refused():
    from viperip.link.pair import Loopback

    try:
        selftest(Loopback(), quiet=True)
    except TypeError:
        return
    raise AssertionError("no TypeError")
