# WIZnet W5500: a MAC and a PHY behind SPI, for chips that have no Ethernet of their own.
#
# Only its MACRAW mode is used, in which socket 0 takes and gives whole frames; the TCP/IP inside
# the chip rests. Names of registers, and numbers in brackets, are those of WIZnet's "W5500
# Datasheet" 1.0.9. Modelled; not yet run on silicon.
#
# One transaction on SPI, from chip select low to high (2.2, "variable length data mode"):
#
#    0         2         3
#   | address | control | data ...        control: block << 3 | write << 2
#
# The receive memory of socket 0 is a ring of 16 KB, in which each frame has a header:
#
#    0        2
#   | length | frame, without FCS ...     the length counts its own two bytes
#
# Pointers run modulo 65536, and so do addresses inside a block: the chip does the wrapping.
import time as _time
from time import ticks_diff

from ..errors import EINVAL, ENODEV, ETIMEDOUT
from .device import LinkDevice

# Control bytes (2.2.2), for reading. Blocks of socket n are 4n+1 (registers), 4n+2, 4n+3.
_COMMON = const(0x00)
_S0 = const(0x08)
_S0_TX = const(0x10)
_S0_RX = const(0x18)
_SOCKET = const(0x20)  # from one socket to the next
_WRITE = const(0x04)

# Common registers (4.1).
_MR = const(0x00)
_SHAR = const(0x09)
_SIMR = const(0x18)
_PHYCFGR = const(0x2E)
_VERSIONR = const(0x39)

_MR_RST = const(0x80)
_MR_PB = const(0x10)  # no answers to pings of its own
_VERSION = const(4)
_PHY_RST = const(0x80)  # 0: the PHY is held in reset
_PHY_OPMD = const(0x40)  # mode from OPMDC, bits 5:3, not from the pins PMODE
_PHY_LINK = const(1)
_PHY_100 = const(2)
_PHY_FULL = const(4)

# Registers of a socket (4.2).
_SN_MR = const(0x00)
_SN_CR = const(0x01)
_SN_IR = const(0x02)
_SN_SR = const(0x03)
_SN_RXBUF = const(0x1E)  # KB of memory; behind it, the same for TX
_SN_TX_FSR = const(0x20)
_SN_TX_RD = const(0x22)
_SN_TX_WR = const(0x24)
_SN_RX_RSR = const(0x26)
_SN_RX_RD = const(0x28)
_SN_IMR = const(0x2C)

_MACRAW = const(0x04)
_MFEN = const(0x80)  # only frames to this station, and to groups
_BCASTB = const(0x40)  # no broadcasts
_MMB = const(0x20)  # no multicasts (of IPv4)
_MIP6B = const(0x10)  # no IPv6
_OPEN = const(0x01)
_CLOSE = const(0x10)
_SEND = const(0x20)
_RECV = const(0x40)
_IR_ALL = const(0x1F)
_IR_RECV = const(0x04)
_SR_CLOSED = const(0x00)
_SR_MACRAW = const(0x42)
_KB = const(16)  # memory of socket 0, each way: all there is
_SIZE = const(16384)

# Everything that is asked for again and again stands in one row, from Sn_MR to Sn_RX_RD: one
# transaction of 45 bytes costs less than two short ones, whose price is the call.
_LOOK = b"\0\0\x08" + bytes(42)
_AT = const(3)  # where the registers start in the answer
_LOOK_PHY = b"\0\x2e\0" + bytes(12)  # from PHYCFGR to VERSIONR

_MAX = const(1514)  # the longest frame that the chip takes or sends (4.2, Sn_MSSR)
_MOST = const(_MAX + 6)  # of what a length says: with its two bytes, and a VLAN tag
_MIN = const(60)  # nothing says that the chip pads shorter ones

# memoryview slices take heap, so transfers are a multiple of 64 bytes, through views made once. To
# read too much is harmless; what is written too much lies in memory that is free (see _idle).
_STEP = const(64)
_STEP_BITS = const(6)
_RX_BLOCK = const(3072)  # bytes at a time: two frames of full size, or many short ones
_RX_AT = const(4)  # where the first length lies in the buffer; its frame follows at 6
_TX_AT = const(3)  # where a transfer to the chip starts; tx_off is behind its three bytes

_BOOT_MS = const(100)
_COMMAND_TRIES = const(100)  # of a millisecond
_LOOKS = const(100)  # while a frame leaves: 1.2 ms at 10 Mbit/s; a look takes at least 20 us
_LOOKS_RECV = const(4)
_BAD_LOOKS = const(3)  # in a row, before it is no glitch
_SHORT_LOOKS = const(3)
_STUCK_MS = const(500)
_LINK_UP_MS = const(1000)  # how often the PHY is asked while there is a link
_LINK_DOWN_MS = const(100)
_NEARLY_FULL = const(_SIZE - _MAX - 2)

_COUNTERS = (
    "rx_length",  # lengths that cannot be: the socket was opened anew, and what waited was lost
    "rx_nearly_full",  # times the next long frame would have been lost; the chip counts no losses
    "tx_oversize",  # frames longer than the chip sends
    "tx_busy",  # times a frame took too long to leave, and nothing could be sent meanwhile
    "tx_stuck",  # times it took so long that the socket was opened anew
    "command",  # times a command did not end
    "glitch",  # answers that made no sense, once
    "lost",  # times the chip had forgotten its settings, or did not answer any more
    "restarts",  # times it was set up anew after that
    "reopened",  # times the socket was opened anew, for whatever reason
    "link_up",
    "link_down",
)

# What `force` may be, the codes of phy.py, and what OPMDC is for it.
_FORCE = {1: 0, 5: 1, 2: 2, 6: 3}


class W5500(LinkDevice):
    """A W5500 on SPI, mode 0 or 3, at most 33.3 MHz (what the data sheet guarantees).

    spi: a machine.SPI; cs, reset: functions of 0 or 1, as a machine.Pin is; irq: a function that
    gives the level of the pin INTn (with it, nothing is asked of the chip while nothing comes).
    station: the MAC address, 6 bytes; the chip has none of its own. counters: a dict, named in the
    source. error: why the device cannot work, None while it can.
    """

    tx_off = 6
    rx_off = 6
    # Full-sized frames in its memory.
    rx_frames = _SIZE // (_MAX + 2)

    def __init__(self, spi, cs, station, reset=None, irq=None, mtu=1500, clock=_time):
        if not 68 <= mtu <= 1500:
            raise ValueError("mtu: 68 to 1500")
        if len(station) != 6 or station[0] & 1:
            raise ValueError("station: the 6 bytes of a MAC address")
        self.mac = bytes(station)
        self.mtu = mtu
        self.counters = {}
        for name in _COUNTERS:
            self.counters[name] = 0
        self.error = None
        self.force = 0  # a mode of phy.py instead of negotiation
        self._write = spi.write
        self._exchange = spi.write_readinto
        self._cs = cs
        self._reset_pin = reset
        self._irq = irq
        self._ticks = clock.ticks_ms
        self._sleep_ms = clock.sleep_ms
        self._mode = _MACRAW | _MFEN
        self.rx = bytearray(_RX_BLOCK)
        whole = memoryview(self.rx)
        self._rx_views = [whole[:n] for n in range(_STEP, _RX_BLOCK + 1, _STEP)]
        n = (_MAX + 3 + _STEP - 1) // _STEP
        self._tx = bytearray(_TX_AT + n * _STEP)
        whole = memoryview(self._tx)[_TX_AT:]
        self._tx_views = [whole[: _STEP * (i + 1)] for i in range(n)]
        self._state = bytearray(len(_LOOK))
        self._phy = bytearray(len(_LOOK_PHY))
        self._cmd = bytearray(5)
        self._cmd4 = memoryview(self._cmd)[:4]
        self._up = self._running = False
        self._linked = self._was_linked = False
        self._checked = 0  # when PHYCFGR was read last
        self._wait = 0  # how long until the next time
        self._bad = 0  # looks in a row that made no sense
        self._forget()

    def _forget(self):
        # Nothing received, nothing on its way.
        self._n = 0  # length of the frame that is lent
        self._at = self._end = 0  # where the next frame's length lies in rx; where they end
        self._rd = self._wr = 0  # Sn_RX_RD and Sn_TX_WR
        self._busy = False  # a command runs, or a frame is on its way out
        self._since = 0  # since when
        self._short = 0  # times the oldest frame was not all there
        self._more = True  # look, whatever INTn says

    # Registers, one transaction each.

    def _get(self, control, address, n):
        # n bytes from a register on. Takes heap: not for what happens with every frame.
        buf = bytearray(3 + n)
        buf[1] = address
        buf[2] = control
        self._cs(0)
        self._exchange(buf, buf)
        self._cs(1)
        return buf[3:]

    def _put(self, control, address, value):
        c = self._cmd
        c[1] = address
        c[2] = control | _WRITE
        c[3] = value
        self._cs(0)
        self._write(self._cmd4)
        self._cs(1)

    def _put16(self, control, address, value):
        # Both bytes at once, so that the chip never sees half of a pointer.
        c = self._cmd
        c[1] = address
        c[2] = control | _WRITE
        c[3] = value >> 8
        c[4] = value & 0xFF
        self._cs(0)
        self._write(c)
        self._cs(1)

    def _command(self, command):
        # The chip clears Sn_CR when it has taken the command; _look() sees to that.
        self._put(_S0, _SN_CR, command)
        if not self._busy:
            self._busy = True
            self._since = self._ticks()

    def _finish(self, command, status):
        # A command, and wait until it has led to that Sn_SR. OSError(ETIMEDOUT).
        self._put(_S0, _SN_CR, command)
        for _ in range(_COMMAND_TRIES):
            s = self._get(_S0, _SN_CR, 3)
            if not s[0] and s[2] == status:
                return
            self._sleep_ms(1)
        self.counters["command"] += 1
        raise OSError(ETIMEDOUT, "the W5500 does not take a command")

    # Bring-up.

    def up(self):
        """Reset the chip, set it up, open socket 0; frames pass once link() is true.

        OSError with a text that names the likely cause: ENODEV (wiring, not this chip), ETIMEDOUT.
        """
        if self._up:
            return
        try:
            self._start()
        except OSError as e:
            self.error = e
            raise
        self._up = True
        self._was_linked = False
        self._check(self._ticks())

    def _start(self):
        self._cs(1)
        pin = self._reset_pin
        if pin is not None:
            # 5.5.1: low for 500 us at least, then 1 ms for the PLL.
            pin(0)
            self._sleep_ms(1)
            pin(1)
            self._sleep_ms(2)
        self._identify()
        self._put(_COMMON, _MR, _MR_RST)
        for _ in range(_COMMAND_TRIES):
            if not self._get(_COMMON, _MR, 1)[0] & _MR_RST:
                break
            self._sleep_ms(1)
        else:
            raise OSError(ETIMEDOUT, "the W5500's reset does not end")
        # Some give version 0 for a while after a reset.
        self._identify()
        self._put(_COMMON, _MR, _MR_PB)
        self._write_station()
        # All memory to socket 0; first taken from the others, as no sum may exceed 16 KB.
        for n in range(7, -1, -1):
            self._put16(_S0 + n * _SOCKET, _SN_RXBUF, 0 if n else _KB << 8 | _KB)
        if self.force:
            self._write_force()
        if self._irq is not None:
            self._put(_S0, _SN_IMR, _IR_RECV)
            self._put(_COMMON, _SIMR, 1)
        self._open()
        self.error = None

    def _identify(self):
        ms = 0
        while True:
            version = self._get(_COMMON, _VERSIONR, 1)[0]
            if version == _VERSION:
                return
            if ms >= _BOOT_MS:
                break
            self._sleep_ms(5)
            ms += 5
        if version == 0:
            why = "reads 0: is MISO connected, and cs the right pin, and does it have power?"
        elif version == 0xFF:
            why = "reads 255: is it connected, and its reset pin high?"
        else:
            why = "reads %d, not 4: another chip, a wrong SPI mode, or SPI too fast" % version
        raise OSError(ENODEV, "no W5500 answers: VERSIONR " + why)

    def _write_station(self):
        self._cs(0)
        self._write(bytes((0, _SHAR, _COMMON | _WRITE)) + self.mac)
        self._cs(1)
        if self._get(_COMMON, _SHAR, 6) != self.mac:
            raise OSError(ENODEV, "the W5500 does not keep what is written: is SPI too fast?")

    def _write_force(self):
        if self.force not in _FORCE:
            raise OSError(EINVAL, "force: a mode of viperip.link.phy")
        mode = _PHY_OPMD | _FORCE[self.force] << 3
        # 4.1, PHYCFGR: a new mode takes effect through a reset of the PHY.
        self._put(_COMMON, _PHYCFGR, mode)
        self._put(_COMMON, _PHYCFGR, mode | _PHY_RST)

    def _open(self):
        # Socket 0 in MACRAW mode, from whatever state it is in. Its pointers start anew.
        self._running = False
        self._forget()
        if self._get(_S0, _SN_SR, 1)[0] != _SR_CLOSED:
            self._finish(_CLOSE, _SR_CLOSED)
        self._put(_S0, _SN_IR, _IR_ALL)
        self._put(_S0, _SN_MR, self._mode)
        self._finish(_OPEN, _SR_MACRAW)
        s = self._get(_S0, _SN_TX_WR, 6)
        self._wr = s[0] << 8 | s[1]
        self._rd = s[4] << 8 | s[5]
        self._bad = 0
        self._running = True

    def _reopen(self):
        self.counters["reopened"] += 1
        try:
            self._quiet()
            self._open()
        except OSError as e:
            self._lose(e.args[-1])

    def _lose(self, why):
        # Nothing works; _check() starts from the beginning once the chip answers.
        self.counters["lost"] += 1
        self._running = self._was_linked = False
        self._forget()
        self.error = OSError(ENODEV, why)
        self._unlink()

    def _restart(self):
        try:
            self._start()
        except OSError as e:
            self.error = e
            self._wait = _LINK_UP_MS
            return False
        self.counters["restarts"] += 1
        return True

    def down(self):
        """Close the socket; no frame arrives afterwards."""
        if not self._up:
            return
        self._up = self._linked = False
        if self._running:
            self._running = False
            try:
                self._put(_COMMON, _SIMR, 0)
                self._quiet()
                self._finish(_CLOSE, _SR_CLOSED)
            except OSError as e:
                self.error = e
        self._forget()

    def _quiet(self):
        # Sn_CR takes no command while one runs.
        for _ in range(_COMMAND_TRIES):
            if not self._get(_S0, _SN_CR, 1)[0]:
                return
            self._sleep_ms(1)

    def filter(self, promiscuous=False, multicast=None, broadcast=True, ipv6=True):
        """What to receive beside what is sent to the station's address.

        multicast: None lets all groups in, an empty list none. The chip compares no group
        addresses: a list that is not empty lets all in, too. By the data sheet it takes none while
        it filters, by Espressif's driver those of IP; promiscuous=True is the way out.
        """
        for mac in multicast or ():
            if len(mac) != 6 or not mac[0] & 1:
                raise OSError(EINVAL, "not a multicast MAC address")
        mode = _MACRAW if promiscuous else _MACRAW | _MFEN
        if multicast is not None and not multicast:
            mode |= _MMB
        if not broadcast:
            mode |= _BCASTB
        if not ipv6:
            mode |= _MIP6B
        self._mode = mode
        if self._running:
            self._reopen()

    # The link.

    def link(self):
        """True while the wire is usable."""
        return self._linked

    @property
    def speed(self):
        """Mbit/s of the link."""
        return 100 if self._phy[_AT] & _PHY_100 else 10

    @property
    def full_duplex(self):
        return bool(self._phy[_AT] & _PHY_FULL)

    def _check(self, now):
        # Ask for the link, and whether it is still the chip that was set up.
        self._checked = now
        self._wait = _LINK_DOWN_MS
        s = self._phy
        self._cs(0)
        self._exchange(_LOOK_PHY, s)
        self._cs(1)
        if s[_AT + _VERSIONR - _PHYCFGR] != _VERSION:
            if self._running:
                self._lose("the W5500 does not answer any more")
        elif self._running or self._restart():
            if s[_AT] & _PHY_LINK:
                self._wait = _LINK_UP_MS
                if not self._linked:
                    self._link()
                else:
                    self._watch(now)
            else:
                self._unlink()

    def _link(self):
        if self._was_linked:
            # What was under way when the cable went never ends.
            self._reopen()
            if not self._running:
                return
        self._linked = self._was_linked = True
        self.counters["link_up"] += 1

    def _unlink(self):
        if self._linked:
            self._linked = False
            self.counters["link_down"] += 1

    def _watch(self, now):
        # Nobody else may have looked for long, as long as INTn said that nothing comes.
        self._look()
        if self._busy and ticks_diff(now, self._since) >= _STUCK_MS:
            self.counters["tx_stuck"] += 1
            self._reopen()

    # The way of a frame.

    def _look(self):
        # Read the registers of socket 0; how many bytes were received, 0 while the answer does not
        # count: a command runs, or the chip is not what it was.
        s = self._state
        self._cs(0)
        self._exchange(_LOOK, s)
        self._cs(1)
        if s[_AT + _SN_SR] != _SR_MACRAW or s[_AT + _SN_MR] != self._mode:
            self._odd()
            return 0
        self._bad = 0
        if s[_AT + _SN_CR]:
            return 0
        if self._busy:
            # 4.2, Sn_TX_RD: SEND brings it to Sn_TX_WR when it has transmitted what was between.
            if s[_AT + _SN_TX_RD] << 8 | s[_AT + _SN_TX_RD + 1] == self._wr:
                self._busy = s[_AT + _SN_TX_FSR] != _SIZE >> 8
        # The chip may add a frame between the two bytes. The upper one comes first and the number
        # only grows, so this is never more than what is there; but it may be too little.
        return s[_AT + _SN_RX_RSR] << 8 | s[_AT + _SN_RX_RSR + 1]

    def _odd(self):
        self._bad += 1
        self._more = True
        self.counters["glitch"] += 1
        if self._bad >= _BAD_LOOKS:
            # A brown-out, or a reset by somebody else: all settings are gone.
            self._lose("the W5500 has lost its settings")
            self._wait = 0

    def recv(self):
        if self._n:
            return self._n
        if self._at == self._end and not self._fill():
            return 0
        rx = self.rx
        at = self._at
        n = (rx[at] << 8 | rx[at + 1]) - 2
        self._at = at + 2 + n
        self.rx_off = at + 2
        self._n = n
        return n

    def release(self):
        self._n = 0

    def _fill(self):
        # Fetch frames into rx; False if none came.
        if not self._up:
            return False
        now = self._ticks()
        if ticks_diff(now, self._checked) >= self._wait:
            self._check(now)
        if not self._linked or not self._running:
            return False
        irq = self._irq
        if irq is not None and not self._more and irq():
            return False
        s = self._state
        n = self._look()
        i = _LOOKS_RECV
        while s[_AT + _SN_CR] and i and not self._bad:
            # The last RECV still runs.
            n = self._look()
            i -= 1
        if irq is not None:
            # Cleared before the next look at the size: a frame that comes later sets it again.
            i = s[_AT + _SN_IR] & _IR_RECV
            self._more = n or i or self._bad or s[_AT + _SN_CR]
            if i and not self._bad:
                self._put(_S0, _SN_IR, _IR_RECV)
        if n < 2:
            return False
        if n > _NEARLY_FULL:
            self.counters["rx_nearly_full"] += 1
        return self._fetch(n)

    def _fetch(self, n):
        # Read the oldest n bytes, or as many as fit, and give their room back to the chip.
        if n > _RX_BLOCK - _RX_AT:
            n = _RX_BLOCK - _RX_AT
        # From the byte before on: then the frame lies at 2 modulo 4 in a buffer whose start is
        # aligned (the DMA of an ESP32 copies what is not). One buffer for both directions is
        # allowed by machine.SPI.
        rx = self.rx
        at = (self._rd - 1) & 0xFFFF
        rx[0] = at >> 8
        rx[1] = at & 0xFF
        rx[2] = _S0_RX
        view = self._rx_views[(n + _RX_AT + _STEP - 1 >> _STEP_BITS) - 1]
        self._cs(0)
        self._exchange(view, view)
        self._cs(1)
        n = self._whole(n + _RX_AT)
        if n <= 0:
            if n < 0 or self._short >= _SHORT_LOOKS:
                # Where the next frame starts is unknown.
                self.counters["rx_length"] += 1
                self._reopen()
            else:
                self._short += 1
                self._more = True
            return False
        self._short = 0
        self._at = _RX_AT
        self._end = _RX_AT + n
        self._rd = (self._rd + n) & 0xFFFF
        self._put16(_S0, _SN_RX_RD, self._rd)
        self._command(_RECV)
        return True

    def _whole(self, end):
        # Bytes of the frames in rx[:end] that can be lent: up to one that is not all there, or
        # would lie at an odd place. -1: the first has a length that cannot be.
        rx = self.rx
        at = _RX_AT
        while at + 2 <= end and not at & 1:
            n = rx[at] << 8 | rx[at + 1]
            if n < 16 or n > _MOST:
                if at == _RX_AT:
                    return -1
                break
            if at + n > end:
                break
            at += n
        return at - _RX_AT

    def _idle(self):
        # Wait until no command runs and no frame is on its way: then all of the 16 KB are free.
        if not self._busy:
            return True
        i = _LOOKS
        while i and self._running:
            self._look()
            if not self._busy:
                return self._running
            i -= 1
        self.counters["tx_busy"] += 1
        return False

    def borrow(self):
        if not self._linked or not self._running or not self._idle():
            return None
        return self._tx

    def send(self, n):
        if n > self.mtu + 18 or n > _MAX:
            self.counters["tx_oversize"] += 1
            return
        if not self._linked or not self._running or not self._idle():
            return
        tx = self._tx
        while n < _MIN:
            tx[6 + n] = 0
            n += 1
        at = self._wr
        tx[3] = at >> 8
        tx[4] = at & 0xFF
        tx[5] = _S0_TX | _WRITE
        self._cs(0)
        self._write(self._tx_views[(n + 3 + _STEP - 1 >> _STEP_BITS) - 1])
        self._cs(1)
        self._wr = (at + n) & 0xFFFF
        self._put16(_S0, _SN_TX_WR, self._wr)
        self._command(_SEND)
