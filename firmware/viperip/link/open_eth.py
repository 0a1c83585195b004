# The Ethernet MAC of Espressif's QEMU: qemu-system-xtensa -machine esp32 -nic ...,model=open_eth
#
# It stands where the ESP32 has its EMAC, but is a sort of OpenCores MAC ("Ethernet IP Core
# Specification", rev. 1.19): registers, and 128 descriptors in a memory of its own, first those to
# send, then those to receive. A descriptor is two words:
#
#    31          16 15    14   13    12
#   | length       |RD, E|IRQ|WRAP |PAD| ... status |     len_flags
#   | address of the frame in RAM, to the byte      |     buf_ptr
#
# RD, E: the NIC's. What happens, by QEMU's hw/net/opencores_eth.c:
#
# - A frame is sent within the very write to the descriptors that finds RD set in the one that is
#   next, whichever word was written: len_flags goes last.
# - A received length counts four bytes of zeros where the FCS would be. A frame of MAXFL bytes or
#   more is cut there, and has none.
# - A frame that finds no empty descriptor is lost, and sets BUSY; how many were is not told.
# - While RXEN is 0 QEMU keeps the frames of a TAP in its queue: they come all at once with RXEN.
# - A soft reset of MicroPython does not stop the DMA.
#
# All that is read and written on the way of a frame is below 2**30: lengths, and addresses in DRAM
# (0x3FFAE000 to 0x3FFFFFFF). So the bus's mem32 gives small ints, and no viper is needed; viper
# may not touch descriptors, which are no memory where the bus is a model.
#
# Modelled, and run on the open_eth of QEMU's own Xtensa boards (by tests/host); not yet run in
# Espressif's QEMU, on its ESP32.
from time import ticks_diff

from ..errors import EINVAL, ENODEV
from . import phy as _phy
from .device import LinkDevice

_MODER = const(0x3FF69000)
_INT_SOURCE = const(0x3FF69004)
_INT_MASK = const(0x3FF69008)
_PACKETLEN = const(0x3FF69018)
_TX_BD_NUM = const(0x3FF69020)
_MIICOMMAND = const(0x3FF6902C)
_MIIADDRESS = const(0x3FF69030)
_MIITX_DATA = const(0x3FF69034)
_MIIRX_DATA = const(0x3FF69038)
_MAC_ADDR0 = const(0x3FF69040)
_MAC_ADDR1 = const(0x3FF69044)
_HASH0 = const(0x3FF69048)
_HASH1 = const(0x3FF6904C)
_DESC = const(0x3FF69400)
_DESC_COUNT = const(128)

_IDLE = const(0xA000)  # MODER after a reset: PAD, CRCEN; neither direction enabled
_RXEN = const(1)
_TXEN = const(2)
_PRO = const(0x20)
_BUSY = const(0x10)  # of INT_SOURCE
_INT_ALL = const(0x7F)
_WCTRLDATA = const(4)
_RSTAT = const(2)

_RD = const(0x8000)
_PAD = const(0x1000)
_E = const(0x8000)
_WRAP = const(0x2000)
_RX_ERRORS = const(0x7F)  # OR, IS, DN, TL, SF, CRC, LC

_MIN = const(60)  # MINFL: short frames are padded to this, without FCS, as on any wire
_PHY = const(1)  # the only address at which QEMU has a PHY
_OFF = const(2)  # where frames start in their buffers: IP headers on word boundaries

_LINK_UP_MS = const(1000)  # how often the PHY is asked while the link is up
_LINK_DOWN_MS = const(100)  # and while it is not

_COUNTERS = (
    "rx_busy",  # times frames were lost because no descriptor was empty; not how many
    "rx_error",  # received with an error, by its descriptor
    "rx_length",  # received too long, or with a length that cannot be
    "tx_refused",  # frames too short or too long, or sent without a link
    "tx_stuck",  # times a frame was not sent, and the rings were started anew
    "corrupt",  # times a descriptor was not what the driver had written
    "stopped",  # times somebody else had changed MODER
    "restarts",  # times the rings were started anew, for any of these
    "link_up",
    "link_down",
)


class OpenEth(LinkDevice):
    """QEMU's open_eth, with rings in memory of `bus`; station: its MAC address, 6 bytes.

    counters: a dict, named in the source. error: why up() failed, None if it did not.
    """

    rx_off = _OFF
    tx_off = _OFF

    def __init__(self, bus, station, rx_frames=8, tx_frames=2, mtu=1500):
        if len(station) != 6 or station[0] & 1:
            raise ValueError("station: the 6 bytes of a MAC address")
        if rx_frames < 2 or tx_frames < 1 or rx_frames + tx_frames > _DESC_COUNT:
            raise ValueError("rx_frames: 2 or more, tx_frames: 1 or more, together at most 128")
        if not 68 <= mtu <= 1500:
            raise ValueError("mtu: 68 to 1500")
        self.bus = bus
        self.mac = bytes(station)
        self.mtu = mtu
        self.rx_frames = rx_frames
        self.counters = {}
        for name in _COUNTERS:
            self.counters[name] = 0
        self.error = None
        self.phy = None
        self.promiscuous = False
        self.multicast = None  # addresses to receive, None: all
        self.mdio = MDIO(bus)
        self._mem = bus.mem32
        self._ticks = bus.ticks_ms
        self._longest = mtu + 18  # with one VLAN tag
        # What is cut has this length; so a frame that is not, and within `longest`, never has.
        self._maxfl = self._longest + 6
        self._tx_frames = tx_frames
        self._buffers = None  # one for each descriptor, made at the first up()
        self._addresses = None  # and where the NIC finds them
        self._rx_desc = _DESC + 8 * tx_frames
        self._rx_last = self._rx_desc + 8 * (rx_frames - 1)
        self._tx_last = _DESC + 8 * (tx_frames - 1)
        self._moder = _IDLE
        self._mode = 0
        self._up = self._linked = False
        self._checked = 0  # when the PHY was asked last
        self._wait = 0  # how long until it is asked again
        self._forget()

    def _forget(self):
        # Nothing received, nothing lent: the first descriptors are next.
        self._n = 0  # length of the frame that is lent, 0: none is
        self._rx_at = self._rx_desc  # the descriptor that is next
        self._rx_i = self._tx_frames  # and its buffer
        self._tx_at = _DESC
        self._tx_i = 0
        self._stuck = False  # the transmit descriptor that is next was not free at the last look

    # Bring-up.

    def up(self):
        """Stop what an earlier program left running, set up the rings, find the PHY, start.

        OSError with a text that names the likely cause: ENODEV (no such NIC, no PHY), ENOMEM
        (memory that the DMA does not reach).
        """
        if self._up:
            return
        self.error = None
        try:
            mem = self._mem
            # Before anything is allocated: the NIC may still write to the heap of a program that
            # a soft reset has ended.
            mem[_MODER] = _IDLE
            if mem[_MODER] != _IDLE or mem[_TX_BD_NUM] & ~0xFF:
                raise OSError(
                    ENODEV, "no open_eth here: only Espressif's QEMU has one, -nic model=open_eth"
                )
            if self._buffers is None:
                self._allocate()
            self.phy = _phy.identify(self.mdio, _PHY)
            if self.phy is None:
                raise OSError(ENODEV, "open_eth: no PHY answers on MDIO at address 1")
            self.phy.start(self.bus)
            self._start()
        except OSError as e:
            self.error = e
            raise
        self._up = True
        self._check(self._ticks())

    def _allocate(self):
        # A frame that just escapes being cut comes with four bytes more than MAXFL - 1.
        size = (_OFF + self._maxfl + 3 + 3) & ~3
        made = [self.bus.dma_alloc(size, 4) for _ in range(self._tx_frames + self.rx_frames)]
        self._addresses = [m[1] + _OFF for m in made]
        self._buffers = [m[0] for m in made]

    def _start(self):
        # Rings, addresses and filters, then both directions. The NIC starts at the first
        # descriptor of a ring when RXEN and TXEN change from 0 to 1.
        mem = self._mem
        mem[_MODER] = _IDLE
        mem[_INT_MASK] = 0  # nobody would serve an interrupt: descriptors are polled
        self._forget()
        mem[_TX_BD_NUM] = self._tx_frames
        mem[_PACKETLEN] = _MIN << 16 | self._maxfl
        at = _DESC
        for address in self._addresses:
            # Of those to send, len_flags first: one that is left from before must not be sent, and
            # its length may not fit the new address.
            w = 0 if at < self._rx_desc else _E
            mem[at] = w | _WRAP if at == self._tx_last or at == self._rx_last else w
            mem[at + 4] = address
            at += 8
        mac = self.mac
        mem[_MAC_ADDR0] = mac[2] << 24 | mac[3] << 16 | mac[4] << 8 | mac[5]
        mem[_MAC_ADDR1] = mac[0] << 8 | mac[1]
        self._write_filter()
        mem[_INT_SOURCE] = _INT_ALL
        self._moder |= _RXEN | _TXEN
        mem[_MODER] = self._moder

    def _stop(self):
        self._moder = _IDLE
        self._mem[_MODER] = _IDLE

    def down(self):
        """Stop both directions; no buffer is read or written afterwards."""
        if not self._up:
            return
        self._up = self._linked = False
        self._stop()
        self._forget()

    def _restart(self):
        self.counters["restarts"] += 1
        self._start()

    # Filters.

    def filter(self, promiscuous=False, multicast=None):
        """What to receive beside the station's address and broadcasts.

        multicast: a list of addresses (6 bytes each), None: all. A hash of 64 bits decides, so a
        few others come, too. OSError(EINVAL) for an address that is not a multicast one.
        """
        for mac in multicast or ():
            if len(mac) != 6 or not mac[0] & 1:
                raise OSError(EINVAL, "not a multicast MAC address")
        self.promiscuous = promiscuous
        self.multicast = multicast
        if self._up:
            self._write_filter()
            self._mem[_MODER] = self._moder

    def _write_filter(self):
        # HASH0, HASH1, and what MODER is to be.
        enabled = self._moder & (_RXEN | _TXEN)
        self._moder = _IDLE | enabled | (_PRO if self.promiscuous else 0)
        table = bytearray(8 if self.multicast is not None else b"\xff" * 8)
        if self.multicast:
            from binascii import crc32

            # The index is the upper six bits of the CRC-32 as a receiver shifts it, most
            # significant bit first and without the final inversion: here, the lower six, mirrored.
            for mac in self.multicast:
                crc = crc32(mac) ^ 0x3F
                index = 0
                for _ in range(6):
                    index = index << 1 | crc & 1
                    crc >>= 1
                table[index >> 3] |= 1 << (index & 7)
        for at, i in ((_HASH0, 0), (_HASH1, 4)):
            self._mem[at] = table[i] | table[i + 1] << 8 | table[i + 2] << 16 | table[i + 3] << 24

    # The link.

    def link(self):
        """True while the wire is usable."""
        return self._linked

    @property
    def speed(self):
        """Mbit/s of the link."""
        return 100 if self._mode & 2 else 10

    @property
    def full_duplex(self):
        return bool(self._mode & 4)

    def _check(self, now):
        # Ask the PHY. Also the time to look after what makes no progress.
        self._checked = now
        self._watch()
        if self.phy.link() <= 0:
            self._wait = _LINK_DOWN_MS
            if self._linked:
                self._linked = False
                self.counters["link_down"] += 1
            return
        self._wait = _LINK_UP_MS
        if not self._linked:
            # By the registers of clause 22: PHYSTS, where QEMU has it, says 10 Mbit/s, against its
            # ANLPAR.
            self._mode = _phy.PHY.mode(self.phy)
            self._linked = True
            self.counters["link_up"] += 1

    def _watch(self):
        mem = self._mem
        if mem[_MODER] != self._moder:
            # Another driver, or a reset that was not ours.
            self.counters["stopped"] += 1
        elif not self._intact():
            self.counters["corrupt"] += 1
        else:
            stuck = mem[self._tx_at] & _RD
            if not stuck or not self._stuck:
                self._stuck = stuck
                return
            self.counters["tx_stuck"] += 1
        self._restart()

    def _intact(self):
        i = len(self._addresses)
        while i:
            i -= 1
            if self._spoilt(i):
                return False
        return True

    def _spoilt(self, i):
        # Whether descriptor i is not as the driver wrote it. Nothing is lent when this is asked:
        # if the one that is next is empty, all are, else the NIC is not where the driver looks.
        mem = self._mem
        at = _DESC + 8 * i
        w = mem[at]
        if mem[at + 4] != self._addresses[i]:
            return True
        if bool(w & _WRAP) != (at == self._tx_last or at == self._rx_last):
            return True
        return at >= self._rx_desc and not w & _E and mem[self._rx_at] & _E

    # The way of a frame. A frame costs a read and a write of its descriptor; nothing here
    # allocates.

    def recv(self):
        n = self._n
        if n or not self._up:
            return n
        i = self.rx_frames
        while i:
            w = self._mem[self._rx_at]
            if w & _E:
                break
            n = (w >> 16 & 0xFFFF) - 4
            if not w & _RX_ERRORS and 14 <= n <= self._longest:
                self.rx = self._buffers[self._rx_i]
                self._n = n
                return n
            self.counters["rx_error" if w & _RX_ERRORS else "rx_length"] += 1
            self._give_back()
            i -= 1
        w = self._ticks()
        if ticks_diff(w, self._checked) >= self._wait:
            self._check(w)
        return 0

    def release(self):
        if self._n:
            self._n = 0
            self._give_back()

    def _give_back(self):
        at = self._rx_at
        if at == self._rx_last:
            self._mem[at] = _E | _WRAP
            self._rx_at = self._rx_desc
            self._rx_i = self._tx_frames
            # Often enough: a ring that was full is not emptied without passing here.
            self._count_busy()
        else:
            self._mem[at] = _E
            self._rx_at = at + 8
            self._rx_i += 1

    def _count_busy(self):
        if self._mem[_INT_SOURCE] & _BUSY:
            self._mem[_INT_SOURCE] = _BUSY
            self.counters["rx_busy"] += 1

    def borrow(self):
        if not self._linked or self._mem[self._tx_at] & _RD:
            return None
        return self._buffers[self._tx_i]

    def send(self, n):
        if not self._linked or not 14 <= n <= self._longest:
            self.counters["tx_refused"] += 1
            return
        at = self._tx_at
        if at == self._tx_last:
            self._mem[at] = n << 16 | _RD | _PAD | _WRAP
            self._tx_at = _DESC
            self._tx_i = 0
        else:
            self._mem[at] = n << 16 | _RD | _PAD
            self._tx_at = at + 8
            self._tx_i += 1

    def fileno(self):
        return self.bus.fileno()


class MDIO:
    """Reads and writes PHY registers through open_eth; what phy.py is given."""

    def __init__(self, bus):
        self._mem = bus.mem32

    def read(self, phy, reg):
        """The 16 bits of a register; 0xFFFF where no PHY answers."""
        self._mem[_MIIADDRESS] = phy | reg << 8
        self._mem[_MIICOMMAND] = _RSTAT
        return self._mem[_MIIRX_DATA] & 0xFFFF

    def write(self, phy, reg, value):
        """Write 16 bits to a register."""
        # The address first: QEMU writes to the PHY with the data already. The command is what the
        # core's specification asks for.
        self._mem[_MIIADDRESS] = phy | reg << 8
        self._mem[_MIITX_DATA] = value
        self._mem[_MIICOMMAND] = _WCTRLDATA
        return True
