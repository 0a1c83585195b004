# PHYs over a modelled MDIO: found by their id, asked for what they negotiated.
from emac_board import Board, failing
from phy_model import KINDS, PHYModel
from viperip.errors import ENODEV, ETIMEDOUT
from viperip.link import phy as P

KNOWN = {
    "LAN8720": "LAN87xx",
    "IP101": "IP101",
    "RTL8201": "RTL8201",
    "DP83848": "DP83848",
    "KSZ8041": "KSZ8041",
    "KSZ8081": "KSZ8081",
    "GENERIC": "generic",
}
PARTNERS = ((0x41E1, 6), (0x40A1, 2), (0x4061, 5), (0x4021, 1), (0x45E1, 6))


class Clock:
    now = 0

    def __call__(self):
        return self.now


class Wire:
    # MDIO without a MAC: PHY models by their addresses.
    def __init__(self, *phys):
        self.phys = {p.address: p for p in phys}
        self.dead = False

    def read(self, address, reg):
        if self.dead:
            return -1
        return self.phys[address].read(reg) if address in self.phys else 0xFFFF

    def write(self, address, reg, value):
        if address in self.phys:
            self.phys[address].write(reg, value)
        return not self.dead


class Bus:
    def __init__(self):
        self.ms = 0

    def delay_ms(self, n):
        self.ms += n


def made(kind, **more):
    clock = Clock()
    model = PHYModel(clock, kind, **more)
    wire = Wire(model)
    return clock, model, wire, P.find(wire)


def test_every_kind_is_found_by_its_id():
    assert set(KNOWN) == set(KINDS)
    for kind in KINDS:
        _, model, _, phy = made(kind, address=3)
        assert phy.name == KNOWN[kind] and phy.address == 3
        assert phy.ident == "%04x%04x" % (model.id1, model.id2)


def test_any_revision_of_a_chip_is_found():
    for kind in ("LAN8720", "IP101", "RTL8201", "KSZ8081"):
        for revision in range(16):
            _, model, wire, _ = made(kind)
            model.id2 = model.id2 & ~15 | revision
            assert P.find(wire).name == KNOWN[kind]


def test_the_rest_of_the_families():
    for id1, id2, name in (
        (0x0007, 0xC111, "LAN87xx"),
        (0x0007, 0xC121, "LAN87xx"),
        (0x0007, 0xC131, "LAN87xx"),
        (0x0022, 0x1550, "KSZ8081"),
        (0x0022, 0x1570, "KSZ8081"),
        (0x0022, 0x1532, "KSZ8041"),
        (0x0022, 0x1622, "generic"),
        (0x0007, 0xC0E1, "generic"),
        (0x0000, 0x0001, "generic"),
    ):
        _, model, wire, _ = made("LAN8720")
        model.id1, model.id2 = id1, id2
        assert P.find(wire).name == name, hex(id2)


def test_an_unknown_id_says_what_it_is():
    _, _, _, phy = made("GENERIC")
    assert phy.name == "generic" and phy.ident == "12345670"


def test_the_mode_that_was_negotiated():
    for kind in KINDS:
        for partner, mode in PARTNERS:
            _, model, _, phy = made(kind, partner=partner)
            phy.start(Bus())
            phy.link()
            assert phy.link() == 1 and phy.mode() == mode, (kind, hex(partner), phy.mode())


def test_forced_modes():
    for kind in KINDS:
        for mode in (P.HALF10, P.FULL10, P.HALF100, P.FULL100):
            _, model, _, phy = made(kind)
            phy.start(Bus(), False, mode)
            phy.link()
            assert phy.link() == 1 and phy.mode() == mode, (kind, mode)


def test_abilities_are_said_whatever_a_strap_says():
    _, model, _, phy = made("LAN8720")
    model.anar = 0x0021
    phy.start(Bus())
    assert model.anar == 0x01E1
    phy.start(Bus(), True)
    assert model.anar == 0x05E1


def test_pause():
    for ours, partner, mode, pause in (
        (True, 0x45E1, 6, True),
        (True, 0x41E1, 6, False),
        (False, 0x45E1, 6, False),
        (True, 0x44A1, 2, False),
    ):
        _, _, _, phy = made("LAN8720", partner=partner)
        phy.start(Bus(), ours)
        phy.link()
        assert bool(phy.pause(mode)) == pause


def test_the_link_as_it_comes_and_goes():
    clock, model, _, phy = made("LAN8720", negotiation_ms=1500)
    phy.start(Bus())
    assert phy.link() == 0
    clock.now = 1400000
    assert phy.link() == 0
    clock.now = 1500000
    assert phy.link() == 2  # it is news
    assert phy.link() == 1
    model.unplug()
    assert phy.link() == 0
    model.plug()
    assert phy.link() == 0
    clock.now += 1500000
    assert phy.link() == 2 and phy.link() == 1


def test_a_link_whose_negotiation_is_not_complete():
    _, model, _, phy = made("LAN8720")
    phy.start(Bus())
    model._read_bmsr = lambda: 0x780D
    assert phy.link() == 0
    model._read_bmsr = lambda: 0x782D
    assert phy.link() == 1


def test_a_short_loss_is_seen():
    _, model, _, phy = made("LAN8720")
    phy.start(Bus())
    phy.link()
    assert phy.link() == 1
    model.unplug()
    model.plug()
    assert phy.link() == 2 and phy.link() == 1


def test_nobody_answers():
    e = failing(P.find, Wire())
    assert e.args[0] == ENODEV and "mdc" in e.args[1]


def test_registers_that_read_as_zero_are_nobody():
    model = PHYModel(Clock())
    model.id1 = model.id2 = 0
    assert failing(P.find, Wire(model)).args[0] == ENODEV


def test_a_dead_mdio():
    wire = Wire()
    wire.dead = True
    assert failing(P.find, wire).args[0] == ETIMEDOUT


def test_the_first_address_that_answers_or_the_one_that_was_told():
    wire = Wire(PHYModel(Clock(), "IP101", 5), PHYModel(Clock(), "DP83848", 9))
    assert P.find(wire).name == "IP101"
    assert P.find(wire, 9).name == "DP83848"
    assert P.find(wire, 7).name == "IP101"


def test_silence_later_is_no_link():
    _, _, wire, phy = made("LAN8720")
    phy.start(Bus())
    wire.phys = {}
    assert phy.link() == -1
    wire.dead = True
    assert phy.link() == -1


def test_a_reset_that_does_not_end():
    _, model, _, phy = made("LAN8720")
    model.stuck_in_reset = True
    bus = Bus()
    assert failing(phy.start, bus).args[0] == ETIMEDOUT
    assert bus.ms <= 1000


def test_each_kind_on_a_board():
    for kind in KINDS:
        for partner, word in ((0x41E1, 0xC80C), (0x4021, 0x800C)):
            b = Board(phy=PHYModel(None, kind, partner=partner)).up()
            assert b.dev.link() and b.dev.phy.name == KNOWN[kind]
            assert b.soc.mem32[0x3FF6A000] == word, kind


def test_a_mode_register_that_says_nothing_is_not_believed():
    # What the chip shows is no mode: clause 22 decides.
    b = Board(phy=PHYModel(None, "LAN8720", partner=0x4061))
    vendor = b.phy._vendor
    b.phy._vendor = lambda reg: 0 if reg == 31 else vendor(reg)
    b.up()
    assert b.soc.mem32[0x3FF6A000] == 0x880C
