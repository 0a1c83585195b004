# The link and the filters of the EMAC driver: what the PHY says, followed while running.
from emac_board import ALL, FAR, MAC, Board, failing, frame
from phy_model import PHYModel
from viperip.errors import EINVAL
from viperip.link import phy as P

MACB = 0x3FF6A000
CONFIG = MACB
FILTER = MACB + 4
FLOW = MACB + 0x18
GROUP = b"\x01\0\x5e\0\0\x07"


def passes(b):
    b.give(frame(100))
    received = b.read()
    assert b.send(frame(101, ALL))
    return received == [frame(100)] and b.sent() == [frame(101, ALL)]


def config(b):
    return b.soc.mem32[CONFIG]


def test_speed_and_duplex_come_from_the_phy():
    for partner, word, speed, full in (
        (0x41E1, 0xC80C, 100, True),
        (0x40A1, 0xC00C, 100, False),
        (0x4061, 0x880C, 10, True),
        (0x4021, 0x800C, 10, False),
        (0, 0x800C, 10, False),
    ):
        b = Board(phy=PHYModel(None, partner=partner)).up()
        assert config(b) == word, hex(config(b))
        assert b.dev.speed == speed and b.dev.full_duplex == full
        assert passes(b) and b.emac.deaf == b.emac.unheard == 0


def test_no_cable():
    b = Board()
    b.phy.unplug()
    b.up()
    b.after(500)
    assert not b.dev.link() and b.dev.borrow() is None and b.dev.error is None
    assert b.soc.mem32[0x3FF69018] & 0x2002 == 0
    b.phy.plug()
    b.after(200)
    assert b.dev.link() and passes(b)


def test_negotiation_takes_its_time():
    b = Board(phy=PHYModel(None, negotiation_ms=2000)).up()
    assert not b.dev.link()
    b.after(1500)
    assert not b.dev.link()
    b.after(700)
    assert b.dev.link() and passes(b)


def test_the_cable_comes_out_and_goes_in_again():
    b = Board().up()
    assert passes(b)
    b.phy.unplug()
    b.after(1100)
    assert not b.dev.link() and b.count("link_down") == 1 and b.dev.borrow() is None
    b.give(frame(100))
    assert b.read() == []
    b.phy.plug()
    b.after(200)
    assert b.dev.link() and b.count("link_up") == 2 and passes(b)


def test_another_speed_after_the_cable_moved():
    b = Board().up()
    b.phy.unplug()
    b.after(1100)
    b.phy.plug(0x4021)
    b.after(200)
    assert config(b) == 0x800C and passes(b)


def test_another_far_end_between_two_looks():
    # The link is up at both looks; only BMSR's latch tells.
    b = Board().up()
    b.phy.unplug()
    b.phy.plug(0x4061)
    b.after(1100)
    assert config(b) == 0x880C and b.dev.link() and passes(b)
    b.phy.unplug()
    b.phy.plug(0x41E1)
    b.after(1100)
    assert config(b) == 0xC80C and passes(b)


def test_another_far_end_while_there_is_other_trouble():
    # The transmitter is stuck at the look that brings the news.
    b = Board().up()
    b.emac.tx_hangs = True
    b.send(frame(100))
    b.after(1100)
    b.phy.unplug()
    b.phy.plug(0x4021)
    b.after(1100)
    assert b.count("tx_stuck") == 1 and config(b) == 0x800C
    b.emac.tx_hangs = False
    b.after(100)
    b.sent()
    assert passes(b)


def test_the_same_far_end_again_loses_nothing():
    b = Board().up()
    b.phy.unplug()
    b.phy.plug()
    b.give(frame(300))
    assert b.after(1100) == [frame(300)] and b.count("link_down") == 0
    assert passes(b)


def test_a_phy_that_falls_silent():
    b = Board().up()
    b.phy.power(False)
    b.after(1100)
    assert not b.dev.link() and b.count("phy_silent") >= 1
    b.phy.power(True)
    b.after(300)
    assert b.dev.link() and passes(b)


def test_a_phy_that_comes_back_is_told_anew():
    # It has a link at once, by its straps, but does not offer what it was told to.
    b = Board()
    b.dev.flow_control = True
    b.up()
    b.phy.power(False)
    b.after(1100)
    b.phy.power(True)
    b.phy.anar = 0x01E1
    b.after(300)
    assert b.phy.anar == 0x05E1 and b.dev.link() and passes(b)


def test_mdio_that_hangs_while_running():
    b = Board().up()
    read = b.emac._read_mac
    b.emac._read_mac = lambda at: 1 if at == 0x10 else read(at)
    b.after(2500)
    assert not b.dev.link() and b.count("phy_silent") >= 1 and b.dev.mdio.timeouts >= 1
    b.emac._read_mac = read
    b.after(1100)
    assert b.dev.link() and passes(b)


def test_the_far_end_of_the_wire_goes_away():
    b = Board().up()
    b.near.link = lambda: False
    b.after(1100)
    assert not b.dev.link()


def test_a_forced_mode():
    for mode, word in ((P.FULL10, 0x880C), (P.HALF100, 0xC00C)):
        b = Board()
        b.dev.force = mode
        b.up()
        assert b.phy.bmcr & 0x1000 == 0 and config(b) == word and passes(b)


def test_pause_frames_only_where_both_ends_agree():
    for ours, partner, word in (
        (True, 0x45E1, 0x16480016),
        (True, 0x41E1, 0),
        (True, 0x44A1, 0),  # half duplex
        (False, 0x45E1, 0),
    ):
        b = Board(phy=PHYModel(None, partner=partner))
        b.dev.flow_control = ours
        b.up()
        assert b.soc.mem32[FLOW] == word, (ours, hex(partner), hex(b.soc.mem32[FLOW]))
        assert bool(b.phy.anar & 0x400) == ours and passes(b)


def test_loopback_inside_the_mac():
    b = Board()
    b.phy.unplug()
    b.dev.loopback = "mac"
    b.up()
    assert b.dev.link() and config(b) == 0xD80C
    assert b.send(frame(100, MAC)) and b.read() == [frame(100, MAC)]
    assert b.sent() == []
    # No PHY is needed, and the same device works without loopback afterwards.
    b.dev.down()
    b.phy.power(False)
    b.dev.flow_control = True
    b.up()
    assert b.send(frame(60, MAC)) and b.read() == [frame(60, MAC)]
    b.after(2100)
    assert b.dev.link() and b.trouble() == {}
    b.dev.down()
    b.phy.power(True)
    b.phy.plug()
    b.dev.loopback = None
    assert passes(b.up())


# Filters.


def accepted(b, *groups):
    # Which of the destinations are received.
    out = []
    for to in groups:
        b.give(frame(64, to))
        out.append(b.read() == [frame(64, to)])
    return out


def group(i):
    return b"\x01\0\x5e\x10" + bytes((i >> 8, i & 0xFF))


def test_what_is_received_by_default():
    b = Board().up()
    assert accepted(b, MAC, ALL, GROUP, FAR, b"\x24\x0a\xc4\x12\x34\x58") == [1, 1, 1, 0, 0]


def test_promiscuous():
    b = Board().up()
    b.dev.filter(promiscuous=True)
    assert b.soc.mem32[FILTER] == 0x11 and accepted(b, MAC, ALL, GROUP, FAR) == [1, 1, 1, 1]
    assert b.trouble() == {}
    b.dev.filter()
    assert accepted(b, MAC, ALL, GROUP, FAR) == [1, 1, 1, 0]


def test_chosen_groups_by_perfect_filters():
    b = Board().up()
    groups = [group(i) for i in range(8)]
    b.dev.filter(multicast=groups)
    assert b.soc.mem32[FILTER] == 0
    assert accepted(b, *groups) == [1] * 8
    assert accepted(b, group(8), GROUP, MAC, ALL, FAR) == [0, 0, 1, 1, 0]
    b.dev.filter(multicast=groups[3:5])
    assert accepted(b, *groups) == [0, 0, 0, 1, 1, 0, 0, 0]
    b.dev.filter(multicast=[])
    assert accepted(b, *groups) == [0] * 8 and accepted(b, MAC, ALL) == [1, 1]
    b.dev.filter()
    assert accepted(b, *groups) == [1] * 8


def test_many_groups_without_a_hash_table():
    b = Board().up()
    b.dev.filter(multicast=[group(i) for i in range(9)])
    assert b.soc.mem32[FILTER] == 0x10 and accepted(b, group(0), GROUP) == [1, 1]


def test_many_groups_with_a_hash_table():
    b = Board(model={"hash_filter": True}).up()
    wanted = [group(i * 37) for i in range(12)]
    b.dev.filter(multicast=wanted)
    assert b.soc.mem32[FILTER] == 4
    assert accepted(b, *wanted) == [1] * 12
    # A hash lets some others in, but not most.
    assert sum(accepted(b, *[group(i * 37 + 5) for i in range(40)])) < 20
    assert accepted(b, MAC, ALL, FAR) == [1, 1, 0]


def test_filters_survive_down_and_up_and_trouble():
    b = Board()
    b.dev.filter(multicast=[GROUP])
    b.up()
    for _ in range(2):
        assert accepted(b, GROUP, group(1), MAC) == [1, 0, 1]
        b.emac._raise(0x100)  # the receiver stopped: a reset of the core follows
        b.read()
        assert accepted(b, GROUP, group(1), MAC) == [1, 0, 1]
        b.dev.down()
        b.up()


def test_another_station_address():
    other = b"\x02\1\2\3\4\5"
    b = Board()
    b.dev.mac = other
    b.up()
    assert accepted(b, other, MAC) == [1, 0]
    b.dev.mac = MAC
    assert b.dev.mac == MAC and accepted(b, other, MAC) == [0, 1]
    for bad in (ALL, b"\x02", GROUP):
        try:
            b.dev.mac = bad
        except ValueError:
            pass
        else:
            raise AssertionError(bad)
    assert accepted(b, MAC) == [1]


def test_a_unicast_address_is_no_group():
    b = Board()
    for bad in (MAC, b"\x01", ALL + b"\0"):
        assert failing(b.dev.filter, False, [bad]).args[0] == EINVAL
