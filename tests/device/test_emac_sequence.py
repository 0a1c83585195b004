# The register accesses of the driver, step by step against the table of emac_sequence.py.
import emac_sequence as table
from emac_board import Board
from emac_trace import main, traced

GMIIADDR = 0x3FF6A010
GMIIDATA = 0x3FF6A014
BRIDGE = 0x3FF4E00C


class Log:
    def __init__(self, log):
        # Waits are no part of the sequence.
        self.log = [e for e in log if e[0] not in ("ms", "us")]
        self.at = 0

    def next(self, kind, address):
        entry = self.log[self.at] if self.at < len(self.log) else ("the end", 0)
        if entry[0] != kind or entry[1] != address:
            raise AssertionError("%s 0x%x, not %s" % (kind, address, show(entry)))
        self.at += 1
        return entry[2]

    def write(self, address, value):
        got = self.next("w", address)
        assert got == value, "0x%x = 0x%x, not 0x%x" % (address, value, got)


def show(entry):
    return " ".join(hex(x) if isinstance(x, int) else str(x) for x in entry)


def access(log, dev, kind, *more):
    if kind == "w":
        value = more[1]
        if isinstance(value, str):
            value = dev._rx.address if value == "rx" else dev._tx.address
        log.write(more[0], value)
    elif kind == "read":
        log.next("r", more[0])
    elif kind == "poll":
        assert not log.next("r", more[0]) & more[1]
    elif kind == "set":
        log.write(more[0], log.next("r", more[0]) | more[1])
    elif kind == "clear":
        log.write(more[0], log.next("r", more[0]) & ~more[1])
    elif kind == "field":
        log.write(more[0], log.next("r", more[0]) & ~more[1] | more[2])
    elif kind == "in":
        assert log.next("pin", more[0]) is None
    elif kind == "out":
        assert log.next("pin", more[0]) == more[1]
    elif kind == "mdio":
        mdio(log, *more)
    else:
        i2c(log, *more)


def mdio(log, reg, value=None):
    # PHY 1, TRM EMACGMIIADDR_REG: clock divider 0, bit 1 write, bit 0 busy. It is polled before
    # and after, which between two transactions is one read.
    word = 1 << 11 | reg << 6
    if log.log[log.at - 1][:2] != ("r", GMIIADDR):
        assert not log.next("r", GMIIADDR) & 1
    if value is None:
        log.write(GMIIADDR, word | 1)
        assert not log.next("r", GMIIADDR) & 1
        log.next("r", GMIIDATA)
    else:
        log.write(GMIIDATA, value)
        log.write(GMIIADDR, word | 3)
        assert not log.next("r", GMIIADDR) & 1


def i2c(log, reg, value=None):
    # Bits 7:0 block, 15:8 register, 23:16 data, 24 write, 25 busy.
    word = 0x6D | reg << 8
    if value is not None:
        word |= value << 16 | 0x1000000
    log.write(BRIDGE, word)
    assert not log.next("r", BRIDGE) & 0x2000000


def compare(log, dev, steps):
    log = Log(log)
    for step in steps:
        for one in step[1:]:
            try:
                access(log, dev, *one)
            except AssertionError as e:
                raise AssertionError("%s: %s (access %d)" % (step[0], e.args[0], log.at))
    assert log.at == len(log.log), show(log.log[log.at])


def test_bring_up_with_the_clock_from_outside():
    log, dev, _ = traced()
    compare(log, dev, table.BARE)
    assert dev.link()


def test_bring_up_with_the_clock_from_the_apll():
    log, dev, _ = traced("GPIO17_OUT")
    compare(log, dev, table.BARE_17)
    assert dev.link()


def test_bring_up_after_the_firmwares_lan():
    log, dev, _ = traced(inherit=True)
    compare(log, dev, table.INHERIT)
    assert dev.link()


def test_stop():
    log, dev, _ = traced()
    log.clear()
    dev.down()
    compare(log, dev, table.STOP)


def test_the_waits():
    # Power 100 ms, a PHY's reset pin 10 ms or more where the chip is not known, and 150 ms after
    # it.
    from bus_trace import Tracer
    from viperip.link.esp32.emac import EMAC

    b = Board(power=12, reset=5)
    bus = Tracer(b.soc)
    EMAC(bus, power=12, reset=5).up()
    log = [e for e in bus.log if e[0] in ("ms", "us") or e[0] == "pin" and e[1] in (5, 12)]
    assert log[:6] == [
        ("pin", 12, 1),
        ("ms", 100),
        ("pin", 5, 0),
        ("us", 10000),
        ("pin", 5, 1),
        ("ms", 150),
    ], log[:6]


def test_every_step_has_a_source():
    for step in table.BARE + table.BARE_17 + table.INHERIT + table.STOP:
        assert len(step) > 1 and len(step[0]) > 10


def test_the_tool_prints_it():
    main(["GPIO0_IN"])
    main(["inherit"])
