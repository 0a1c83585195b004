# The ESP32's EMAC as its registers show it: DMA, EXT and MAC blocks, soft reset, MDIO.
#
# Written from the TRM, chapter "Ethernet Media Access Controller", and ESP-IDF's register headers
# (emac_dma_struct.h, emac_ext_struct.h, emac_mac_struct.h), apart from the driver: it shares no
# table with it. What is moved between memory and wire is in emac_dma.py. A driver that does what
# the chip would not forgive ends in a ModelError.
#
# It is a model: how the silicon differs is not known before the driver has run there.
from dma_memory import ModelError
from emac_dma import Engine

_DMA = const(0x3FF69000)
_EXT = const(0x3FF69800)
_MAC = const(0x3FF6A000)

# offset: (name, bits that may be written, value after reset). None: not to be written.
_DMA_REGS = {
    0x00: ("BUSMODE", 0x07FFFFFF, 0x00020100),
    0x04: ("TXPOLL", 0xFFFFFFFF, 0),
    0x08: ("RXPOLL", 0xFFFFFFFF, 0),
    0x0C: ("RXBASE", 0xFFFFFFFF, 0),
    0x10: ("TXBASE", 0xFFFFFFFF, 0),
    0x14: ("STATUS", 0xFFFFFFFF, 0),
    0x18: ("OPMODE", 0x0731E0FE, 0),
    0x1C: ("INTEN", 0x0001E7FF, 0),
    0x20: ("MISSED", None, 0),
    0x24: ("RXWDT", 0xFF, 0),
    0x48: ("CURTXD", None, 0),
    0x4C: ("CURRXD", None, 0),
    0x50: ("CURTXB", None, 0),
    0x54: ("CURRXB", None, 0),
    0x58: ("HWFEAT", None, 0),
}
_EXT_REGS = {
    0x00: ("CLKOUT_CONF", 0x3FF, 0x31),
    0x04: ("OSCCLK_CONF", 0x1FFFFFF, 0x0),
    0x08: ("CLK_CTRL", 0x3F, 0),
    0x0C: ("PHYINF_CONF", 0x1FFFFF, 0),
    0x10: ("PD_SEL", 0x3, 0),
    0xFC: ("EX_DATE", None, 0x16042200),
}
_MAC_REGS = {
    0x00: ("CONFIG", 0x78DEFEFF, 0x8000),
    0x04: ("FRAMEFILTER", 0x800003F9, 0),
    0x10: ("GMIIADDR", 0xFFFF, 0),
    0x14: ("GMIIDATA", 0xFFFF, 0),
    0x18: ("FLOWCTRL", 0xFFFF00BF, 0),
    0x20: ("VERSION", None, 0x1137),
    0x24: ("DEBUG", None, 0),
    0x28: ("PMT_FILTER", None, 0),
    0x2C: ("PMT_CSR", None, 0),
    0x30: ("LPI_CSR", None, 0),
    0x34: ("LPI_TIMERS", None, 0x03E80000),
    0x38: ("INTS", None, 0),
    0x3C: ("INTMASK", 0xFFFFFFFF, 0),
    0xD8: ("CSTATUS", None, 0),
    0xDC: ("WDOGTO", None, 0),
}
_ADDRESSES = const(9)  # the station's own and eight more
_RUNNING = const(0x2002)  # OPMODE: SR, ST
_MDIO_US = const(34)  # 64 clocks of 1.9 MHz


class EMACModel(Engine):
    """The EMAC between `soc`, which gives clock, pins and memory, and a PHY.

    hash_filter: the core has the optional hash table, and HWFEAT says so. wedges: a receive DMA
    that ran out of descriptors waits for a poll demand, instead of trying again with the next
    frame, as has been seen on silicon.
    """

    def __init__(self, soc, phy, hash_filter=False, wedges=False):
        self.soc = soc
        self.phy = phy
        self.wedges = wedges
        self.hash_filter = hash_filter
        self._dma_regs = dict(_DMA_REGS)
        self._mac_regs = dict(_MAC_REGS)
        for i in range(_ADDRESSES):
            at = 0x40 + 8 * i
            self._mac_regs[at] = ("ADDR%dHIGH" % i, 0xFF00FFFF, 0xFFFF)
            self._mac_regs[at + 4] = ("ADDR%dLOW" % i, 0xFFFFFFFF, 0xFFFFFFFF)
        if hash_filter:
            self._dma_regs[0x58] = ("HWFEAT", None, 0x10)
            self._mac_regs[0x04] = ("FRAMEFILTER", 0x800007FF, 0)
            self._mac_regs[0x08] = ("HASHHIGH", 0xFFFFFFFF, 0)
            self._mac_regs[0x0C] = ("HASHLOW", 0xFFFFFFFF, 0)
        self.ext = {}
        self.resets = 0  # soft resets that ended
        super().__init__()
        self.power_on()

    def power_on(self):
        """The reset of DPORT: every block forgets."""
        for at in _EXT_REGS:
            self.ext[at] = _EXT_REGS[at][2]
        self._forget()

    def _forget(self):
        # What a reset does to DMA and MAC.
        self.dma = {}
        self.mac = {}
        for at in self._dma_regs:
            self.dma[at] = self._dma_regs[at][2]
        for at in self._mac_regs:
            self.mac[at] = self._mac_regs[at][2]
        self._resetting = -1  # since when, -1: not
        self._flushing = 0  # reads of OPMODE until the FIFO is flushed
        self._mdio_until = 0
        self._mdio_word = 0
        self._latched = [0x80000000 | 0xFFFF] + [0] * (_ADDRESSES - 1)
        self.stations = [(0x8000FFFF, 0xFFFFFFFF)] + [None] * (_ADDRESSES - 1)
        self.engine_reset()

    def name(self, address):
        """The name of the register at a bus address, None: there is none."""
        for base, regs in ((_MAC, self._mac_regs), (_EXT, _EXT_REGS), (_DMA, self._dma_regs)):
            if address >= base:
                return regs[address - base][0] if address - base in regs else None
        return None

    # Accesses.

    def read(self, address):
        self._alive("read", address)
        if address < _EXT:
            return self._read_dma(address - _DMA)
        if address < _MAC:
            at = address - _EXT
            return self.ext[self._known(_EXT_REGS, at, address)]
        return self._read_mac(address - _MAC)

    def write(self, address, value):
        self._alive("write", address)
        if address < _EXT:
            self._write_dma(address - _DMA, value)
        elif address < _MAC:
            at = address - _EXT
            self._allowed(_EXT_REGS, at, address, value)
            self.ext[at] = value
        else:
            self._write_mac(address - _MAC, value)

    def _alive(self, what, address):
        # Without its clock the block reads junk and forgets what is written.
        if not self.soc.emac_clocked():
            raise ModelError("%s of EMAC 0x%08x while its bus clock is off" % (what, address))
        if address & 3:
            raise ModelError("%s of EMAC 0x%08x: registers are words" % (what, address))
        if self._resetting >= 0 and not _EXT <= address < _MAC:
            if address != _DMA or what == "write":
                raise ModelError("%s of EMAC 0x%08x during the soft reset" % (what, address))

    def _known(self, regs, at, address):
        if at not in regs:
            raise ModelError("no EMAC register at 0x%08x" % address)
        return at

    def _allowed(self, regs, at, address, value):
        self._known(regs, at, address)
        name, bits, _ = regs[at]
        if bits is None:
            raise ModelError("%s is read only" % name)
        if value & ~bits & 0xFFFFFFFF:
            raise ModelError("%s = 0x%08x: reserved bits" % (name, value))
        return name

    # DMA block.

    def _read_dma(self, at):
        self._known(self._dma_regs, at, _DMA + at)
        if at == 0x00:
            self._progress_reset()
            return self.dma[0] | (self._resetting >= 0)
        if at == 0x18:
            return self._read_opmode()
        self.step()
        if at == 0x14:
            return self.status | self.states()
        if at == 0x20:
            word = self.missed | self.fifo_lost << 17
            self.missed = self.fifo_lost = 0
            return word
        if at == 0x48:
            return self.tx_current
        if at == 0x4C:
            return self.rx_current
        return self.dma[at]

    def _progress_reset(self):
        # It ends some microseconds after it began, if the reference clock is there.
        if self._resetting >= 0 and self.soc.ref_clock():
            if self.soc.now - self._resetting >= 5:
                self.resets += 1
                self._forget()

    def _read_opmode(self):
        word = self.dma[0x18]
        if self._flushing and self.soc.ref_clock():
            self._flushing -= 1
        return word | (0x100000 if self._flushing else 0)

    def _write_dma(self, at, value):
        name = self._allowed(self._dma_regs, at, _DMA + at, value)
        opmode = self.dma[0x18]
        if name == "BUSMODE":
            if opmode & _RUNNING:
                raise ModelError("BUSMODE written while the DMA runs")
            if value & 1:
                self._resetting = self.soc.now
                return
            self._check_busmode(value)
            self.dma[at] = value
        elif name == "TXPOLL":
            self.demand_tx()
        elif name == "RXPOLL":
            self.demand_rx()
        elif name in ("RXBASE", "TXBASE"):
            if opmode & (2 if name == "RXBASE" else 0x2000):
                raise ModelError("%s written while its DMA runs" % name)
            if value & 3:
                raise ModelError("%s = 0x%08x: not aligned" % (name, value))
            self.dma[at] = value
            if name == "RXBASE":
                self.rx_current = value
            else:
                self.tx_current = value
        elif name == "STATUS":
            self.status &= ~(value & 0x1FFFF)
        elif name == "OPMODE":
            self._write_opmode(value, opmode)
        else:
            self.dma[at] = value
        self.step()

    def _check_busmode(self, value):
        pbl = value >> 8 & 0x3F
        if pbl not in (1, 2, 4, 8, 16, 32):
            raise ModelError("BUSMODE.PBL = %d" % pbl)

    def _write_opmode(self, value, before):
        if self._flushing:
            raise ModelError("OPMODE written while the transmit FIFO is being flushed")
        if value & 0x100000:
            if value & 0x2000:
                raise ModelError("OPMODE: FTF while the transmitter runs")
            self._flushing = 3
            value &= ~0x100000
        if value & ~before & 0x2000:
            self._check_start("TXBASE", 0x10)
            if not self.mac[0] & 8:
                raise ModelError("OPMODE.ST before CONFIG.TE: the transmitter may hang")
        if value & ~before & 2:
            self._check_start("RXBASE", 0x0C)
        if value & _RUNNING & ~before and not value & 0x02000000:
            raise ModelError("OPMODE: started without store and forward (RSF)")
        if before & ~value & 2 and self.rx_busy:
            raise ModelError("OPMODE.SR cleared while a frame is copied to memory")
        self.dma[0x18] = value
        self.switched(before, value)

    def _check_start(self, name, at):
        if not self.dma[at]:
            raise ModelError("the DMA was started, but %s was not written" % name)

    # MAC block.

    def _read_mac(self, at):
        self._known(self._mac_regs, at, _MAC + at)
        if at == 0x10:
            self.step()
            busy = self.soc.now < self._mdio_until
            return self.mac[0x10] & ~1 | busy
        if at == 0x14 and self.soc.now < self._mdio_until:
            raise ModelError("GMIIDATA read while MDIO is busy")
        if at == 0x24:
            return self.debug()
        if at == 0x40:
            return self.mac[at] | 0x80000000
        return self.mac[at]

    def _write_mac(self, at, value):
        name = self._allowed(self._mac_regs, at, _MAC + at, value)
        if name == "CONFIG":
            self._write_config(value)
        elif name in ("GMIIADDR", "GMIIDATA"):
            if self.soc.now < self._mdio_until:
                raise ModelError("%s written while MDIO is busy" % name)
            self.mac[at] = value
            if name == "GMIIADDR":
                self._mdio(value)
        elif 0x40 <= at < 0x40 + 8 * _ADDRESSES:
            self._write_station(at, value)
        else:
            self.mac[at] = value
        self.step()

    def _write_config(self, value):
        before = self.mac[0]
        if value & 0xC and not value & 0x8000:
            raise ModelError("CONFIG.PS is 0: this MAC has no gigabit port")
        if before & 0xC and (before ^ value) & 0x5800:
            raise ModelError("CONFIG: speed, duplex or loopback changed while TE or RE is set")
        if value & 0x400 and not self.dma[0x18] & 0x4000000:
            raise ModelError("CONFIG.IPC without OPMODE.DT: good frames may be dropped")
        if before & ~value & 8 and self.tx_busy:
            raise ModelError("CONFIG.TE cleared in the middle of a frame")
        if value & ~before & 0xC:
            self.soc.check_rmii()
        if value & ~before & 4 and not self.dma[0x18] & 2:
            raise ModelError("CONFIG.RE before OPMODE.SR: the FIFO fills")
        if self.dma[0x18] & 0x2000 and before & ~value & 8:
            raise ModelError("CONFIG.TE cleared while OPMODE.ST is set")
        self.mac[0] = value

    def _write_station(self, at, value):
        i = at - 0x40 >> 3
        self.mac[at] = value
        if not at & 4:
            self._latched[i] = value
            if i and not value & 0x80000000:
                self.stations[i] = None
        elif i == 0 or self._latched[i] & 0x80000000:
            # The pair takes effect with its low half.
            self.stations[i] = (self._latched[i], value)

    def _mdio(self, word):
        if not word & 1:
            return
        if word >> 2 & 15:
            raise ModelError("GMIIADDR.CR: with a bus of 80 MHz, MDC is above 2.5 MHz")
        self._mdio_until = self.soc.now + _MDIO_US
        phy = self.soc.phy_at(word >> 11 & 31)
        reg = word >> 6 & 31
        if word & 2:
            if phy is not None:
                phy.write(reg, self.mac[0x14])
        else:
            self.mac[0x14] = 0xFFFF if phy is None else phy.read(reg)
