# PHY transceivers on RMII: found by their id over MDIO, asked for the link and what was
# negotiated.
#
# The registers of clause 22 (IEEE 802.3 22.2.4) do for any of them; a class of its own says only
# where a chip differs: how long its reset takes, and where it shows the speed. The numbers of
# those registers are the data sheets', as in ESP-IDF's PHY drivers (esp-eth-drivers). Modelled;
# not yet run on silicon.
from ..errors import ENODEV, ETIMEDOUT

BMCR = const(0)
BMSR = const(1)
ID1 = const(2)
ID2 = const(3)
ANAR = const(4)
ANLPAR = const(5)

BMCR_RESET = const(0x8000)
BMCR_LOOPBACK = const(0x4000)
BMCR_SPEED = const(0x2000)
BMCR_AN = const(0x1000)
BMCR_RESTART = const(0x0200)
BMCR_FULL = const(0x0100)
BMSR_AN_DONE = const(0x20)
BMSR_LINK = const(0x4)
AN_PAUSE = const(0x400)
AN_ALL = const(0x1E1)  # 10 and 100 Mbit/s, half and full duplex, selector of IEEE 802.3

# What mode() answers: bit 2 is full duplex, the rest 1 for 10 and 2 for 100 Mbit/s. Several of the
# chips show it in this very code.
HALF10 = const(1)
HALF100 = const(2)
FULL10 = const(5)
FULL100 = const(6)

_RESET_TRIES = const(10)  # of 10 ms each: a reset takes half a second at the most, 22.2.4.1.1
_RESET_STEP_MS = const(10)


class PHY:
    """A clause 22 PHY at `address`; every register access is at most one transaction of MDIO."""

    name = "generic"
    reset_us = 10000  # how long a reset pin is held; this is enough for every one of them
    settle_ms = 150  # after it

    def __init__(self, mdio, address, ident=0):
        self.mdio = mdio
        self.address = address
        self.ident = ident  # registers 2 and 3

    def read(self, reg):
        return self.mdio.read(self.address, reg)

    def write(self, reg, value):
        self.mdio.write(self.address, reg, value)

    def start(self, bus, pause=False, force=0):
        """Reset, say what this end can do, and begin to negotiate; or force a mode.

        OSError(ETIMEDOUT) if the reset does not end.
        """
        self.write(BMCR, BMCR_RESET)
        tries = _RESET_TRIES
        while self.read(BMCR) & BMCR_RESET:
            tries -= 1
            if not tries:
                raise OSError(ETIMEDOUT, "the PHY's reset did not end: its clock or its power")
            bus.delay_ms(_RESET_STEP_MS)
        self.configure()
        if force:
            speed = BMCR_SPEED if force & 2 else 0
            self.write(BMCR, speed | (BMCR_FULL if force & 4 else 0))
        else:
            # Written always: a reset need not bring back what a brown-out has spoilt.
            self.write(ANAR, AN_ALL | AN_PAUSE if pause else AN_ALL)
            self.write(BMCR, BMCR_AN | BMCR_RESTART)

    def configure(self):
        """What a chip needs after its reset."""

    def loop(self):
        """Send back what the MAC sends, at 100 Mbit/s full duplex (22.2.4.1.2), until start()."""
        self.write(BMCR, BMCR_LOOPBACK | BMCR_SPEED | BMCR_FULL)

    def link(self):
        """1 with a usable link, 2 if it was lost in between, 0 without one, -1: no answer."""
        # BMSR's link bit stays low until it is read (22.2.4.2.13): the first read tells of the
        # past.
        before = self.read(BMSR)
        now = self.read(BMSR)
        if now < 0 or now == 0xFFFF:
            return -1
        if not now & BMSR_LINK:
            return 0
        bmcr = self.read(BMCR)
        if bmcr & BMCR_AN and not now & BMSR_AN_DONE:
            return 0
        return 1 if before & BMSR_LINK else 2

    def mode(self):
        """The mode of the link: HALF10, FULL10, HALF100 or FULL100."""
        bmcr = self.read(BMCR)
        if bmcr & BMCR_AN:
            # The best that both can do, 28B.3.
            common = self.read(ANAR) & self.read(ANLPAR)
            if common & 0x100:
                return FULL100
            if common & 0x80:
                return HALF100
            return FULL10 if common & 0x40 else HALF10
        return _forced(bmcr)

    def pause(self, mode):
        """Whether both ends of a link in this mode agreed on pause frames (28B.3)."""
        return mode & 4 and self.read(ANAR) & self.read(ANLPAR) & AN_PAUSE


def _forced(bmcr):
    # The mode as BMCR sets it, or, with some chips, shows it.
    mode = HALF100 if bmcr & BMCR_SPEED else HALF10
    return mode | 4 if bmcr & BMCR_FULL else mode


class LAN87xx(PHY):
    """LAN8710, LAN8720, LAN8740, LAN8741, LAN8742. Register 31 shows the mode in bits 4:2."""

    name = "LAN87xx"
    reset_us = 150
    settle_ms = 1

    def mode(self):
        return self.read(31) >> 2 & 7


class IP101(PHY):
    """IP101G. Page 16, register 30 shows the mode in bits 2:0."""

    name = "IP101"
    settle_ms = 10

    def mode(self):
        self.write(20, 16)
        return self.read(30) & 7


class RTL8201(PHY):
    """RTL8201F. BMCR itself shows what was negotiated."""

    name = "RTL8201"

    def configure(self):
        self.write(31, 0)  # page 0

    def mode(self):
        return _forced(self.read(BMCR))


class DP83848(PHY):
    """DP83848. Register 16: bit 1 is 10 Mbit/s, bit 2 full duplex."""

    name = "DP83848"
    reset_us = 100
    settle_ms = 1

    def mode(self):
        status = self.read(16)
        return (status & 4) | (1 if status & 2 else 2)


class KSZ8041(PHY):
    """KSZ8041, KSZ8001. Register 31 shows the mode in bits 4:2."""

    name = "KSZ8041"
    reset_us = 500

    def mode(self):
        return self.read(31) >> 2 & 7


class KSZ8081(PHY):
    """KSZ8081 and its family (8021, 8031, 8051, 8061, 8091). Register 30, bits 2:0."""

    name = "KSZ8081"
    reset_us = 500

    def mode(self):
        return self.read(30) & 7


# Registers 2 and 3 without the revision, by model; as digits they are small ints on any port.
_KNOWN = (
    ("0007c0f", LAN87xx),
    ("0007c11", LAN87xx),
    ("0007c12", LAN87xx),
    ("0007c13", LAN87xx),
    ("02430c5", IP101),
    ("001cc81", RTL8201),
    ("20005c9", DP83848),
    ("0022151", KSZ8041),
    ("0022153", KSZ8041),
    ("0022161", KSZ8041),
    ("0022155", KSZ8081),
    ("0022156", KSZ8081),
    ("0022157", KSZ8081),
)

# As the arguments of network.LAN and the board files name them.
TYPES = {
    "LAN8710": LAN87xx,
    "LAN8720": LAN87xx,
    "IP101": IP101,
    "RTL8201": RTL8201,
    "DP83848": DP83848,
    "KSZ8041": KSZ8041,
    "KSZ8081": KSZ8081,
    "GENERIC": PHY,
}


def identify(mdio, address):
    """The PHY that answers at an MDIO address, of its own class or a plain PHY; None: nobody."""
    a = mdio.read(address, ID1)
    b = mdio.read(address, ID2)
    if a < 0 or b < 0:
        raise OSError(ETIMEDOUT, "MDIO stays busy: the MAC's clock has stopped")
    if a == b and a in (0, 0xFFFF):
        return None
    text = "%04x%04x" % (a, b)
    for start, kind in _KNOWN:
        if text.startswith(start):
            return kind(mdio, address, text)
    return PHY(mdio, address, text)


def find(mdio, address=None):
    """The PHY at `address`, else the first that answers. OSError(ENODEV) if none does."""
    for i in range(-1, 32):
        if i < 0:
            i = address
            if i is None:
                continue
        phy = identify(mdio, i)
        if phy is not None:
            return phy
    raise OSError(
        ENODEV,
        "no PHY answers on MDIO: the pins mdc and mdio, the PHY's power pin, or its clock",
    )
