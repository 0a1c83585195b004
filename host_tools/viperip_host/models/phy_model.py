# A PHY with the registers of clause 22 (IEEE 802.3 22.2.4) and those in which the chips that the
# driver knows show what was negotiated. Written from the data sheets' register numbers as
# ESP-IDF's PHY drivers give them.

# name: registers 2 and 3, (register that shows the mode, its page or None, lowest bit or a
# function)
KINDS = {
    "LAN8720": (0x0007, 0xC0F1),
    "IP101": (0x0243, 0x0C54),
    "RTL8201": (0x001C, 0xC816),
    "DP83848": (0x2000, 0x5C90),
    "KSZ8041": (0x0022, 0x1512),
    "KSZ8081": (0x0022, 0x1561),
    "GENERIC": (0x1234, 0x5670),
}
# Where a page is chosen.
_PAGES = {"IP101": 20, "RTL8201": 31}
_ABILITIES = ((0x100, 6), (0x80, 2), (0x40, 5), (0x20, 1))


class PHYModel:
    """A PHY of a kind at an MDIO address.

    clock: a function that returns microseconds; a board brings its own. partner: abilities of the
    far end in the bits of register 5, 0x5E1 with pause; 0: an end that does not negotiate, at 10
    Mbit/s half duplex. negotiation_ms: how long it takes. plugged: whether there is a cable.
    """

    def __init__(self, clock=None, kind="LAN8720", address=1, partner=0x41E1, negotiation_ms=0):
        self._clock = clock or (lambda: 0)
        self.kind = kind
        self.address = address
        self.id1, self.id2 = KINDS[kind]
        self.partner = partner
        self.negotiation_us = negotiation_ms * 1000
        self.plugged = True
        self.powered = True
        self.stuck_in_reset = False
        self.cable = None  # a link device: no link while it has none
        self.reads = self.writes = 0
        self.reset()

    def on_board(self, clock):
        """Take the time from this clock."""
        self._clock = clock

    def power(self, on):
        """Off, or on again with everything forgotten."""
        self.powered = on
        self.reset()

    def reset(self):
        self.bmcr = 0x3000
        self.anar = 0x0001  # what a strap says; the driver has to say what it wants
        self.page = 0
        self._since = self._clock()  # when negotiation began
        self._resetting = 0
        self._latched = False  # the link was lost since BMSR was read
        self._was_up = False

    def unplug(self):
        self._latched = True
        self.plugged = False

    def plug(self, partner=None):
        if partner is not None:
            self.partner = partner
        self.plugged = True
        self._since = self._clock()

    @property
    def negotiating(self):
        return bool(self.bmcr & 0x1000)

    def done(self):
        """Whether negotiation has ended, or none was asked for."""
        if not self.plugged:
            return False
        if not self.negotiating:
            return True
        return self._clock() - self._since >= self.negotiation_us

    def up(self):
        """Whether there is a link."""
        if not self.powered or self._resetting or self.bmcr & 0x0C00:
            return False
        if self.bmcr & 0x4000:
            return True
        if self.cable is not None and not self.cable.link():
            return False
        if not self.done():
            return False
        return not self.negotiating or self.mode() > 0

    def mode(self):
        """The mode of the link in the code that several chips show: 1, 2, 5, 6; 0: none."""
        if not self.negotiating:
            return (2 if self.bmcr & 0x2000 else 1) | (4 if self.bmcr & 0x0100 else 0)
        if not self.partner:
            return 1
        common = self.anar & self.partner
        for bit, mode in _ABILITIES:
            if common & bit:
                return mode
        return 0

    def read(self, reg):
        self.reads += 1
        if reg == 0:
            return self._read_bmcr()
        if reg == 1:
            return self._read_bmsr()
        if reg == 2:
            return self.id1
        if reg == 3:
            return self.id2
        if reg == 4:
            return self.anar
        if reg == 5:
            return self.partner if self.up() and self.negotiating else 0
        return self._vendor(reg)

    def _read_bmcr(self):
        if self._resetting:
            if not self.stuck_in_reset:
                self._resetting -= 1
            return self.bmcr | 0x8000
        word = self.bmcr
        if self.kind == "RTL8201" and self.negotiating and self.up():
            mode = self.mode()
            word &= ~0x2100
            word |= (0x2000 if mode & 2 else 0) | (0x100 if mode & 4 else 0)
        return word

    def _read_bmsr(self):
        up = self.up()
        if self._was_up and not up:
            self._latched = True
        self._was_up = up
        word = 0x7809
        if self.negotiating and self.plugged and self.done() and self.up():
            word |= 0x20
        if up and not self._latched:
            word |= 4
        self._latched = not up
        return word

    def _vendor(self, reg):
        kind = self.kind
        if reg == _PAGES.get(kind):
            return self.page
        mode = self.mode() if self.up() else 0
        if reg == 31 and kind in ("LAN8720", "KSZ8041"):
            return mode << 2 | (0x1000 if mode else 0)
        if reg == 30 and kind == "KSZ8081":
            return mode
        if reg == 30 and kind == "IP101" and self.page == 16:
            return mode | (0x100 if mode else 0)
        if reg == 16 and kind == "DP83848":
            return (1 if mode else 0) | (2 if mode & 1 else 0) | mode & 4
        # What is not modelled reads as something that no driver should take for a mode.
        return 0

    def write(self, reg, value):
        self.writes += 1
        if reg == 0:
            if value & 0x8000:
                self.reset()
                self._resetting = 2
            else:
                if value & 0x200 or value & 0x1000 and not self.negotiating:
                    self._since = self._clock()
                    self._latched = True
                self.bmcr = value & 0x7D80
        elif reg == 4:
            self.anar = value
        elif reg == _PAGES.get(self.kind):
            self.page = value
