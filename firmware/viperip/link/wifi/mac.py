# A radio on the registers of the ESP32's Wi-Fi MAC, without the firmware's Wi-Fi. EXPERIMENTAL:
# modelled after what others found out (registers.py says who), NEVER RUN ON HARDWARE.
#
# The firmware's Wi-Fi brings up PHY and clocks, on one channel (Bus.stock_wlan). From then on its
# interrupt is masked, and the MAC is this driver's: it polls. Nothing gives it back but a reset of
# the chip. A completed transmission says nothing about what was on the air: only answers do.
#
# All that is sent goes through one slot: two of them could overtake each other, and the access
# point would drop the later packet number as a replay.
from array import array

from ... import native
from ...errors import EINVAL, ENODEV, ETIMEDOUT
from . import registers as r
from .radio import Radio

_copy = native.load("memory").copy
_equal = native.load("memory").equal

_SIZE = const(1600)
_TX_SIZE = const(1664)
_TX_BUFFERS = const(4)
_WAIT = const(1000)  # looks at a bit that should change at once
_STUCK_MS = const(200)
_TRIES = const(4)
_PREFIXES = (28, 36, 40, 48)  # before a received MPDU; which, a beacon shows
_BEACON = b"\x80\0"
_ALL = b"\xff\xff\xff\xff\xff\xff"

_COUNTERS = (
    "rx_error",  # received with an error
    "rx_length",  # with a length that cannot be
    "rx_unsure",  # before a beacon had shown where MPDUs begin
    "rx_dry",  # times the list had run dry, and was started anew
    "tx_retry",
    "tx_failed",  # not acknowledged, or collided, too often
    "tx_stuck",  # times a transmission did not end
    "watchdog",
    "fatal",  # times the MAC said so, and was started anew
)


class MACRadio(Radio):
    """The MAC of an ESP32 or ESP32-S2 on `bus`, on one channel.

    experimental: must be True, to say that you know that this has never run on hardware.
    hardware_keys: have the MAC encrypt. chip: "esp32" or "esp32s2". counters: a dict.
    """

    def __init__(
        self, bus, channel=1, chip="esp32", hardware_keys=False, rx_frames=8, experimental=False
    ):
        if not experimental:
            raise ValueError(
                "never run on hardware: MACRadio(..., experimental=True) if you know what you do"
            )
        if chip not in r.CHIPS:
            raise ValueError("chip: " + " or ".join(sorted(r.CHIPS)))
        if not 1 <= channel <= 14 or rx_frames < 2:
            raise ValueError("channel: 1 to 14; rx_frames: 2 or more")
        self.bus = bus
        self.chip = c = r.CHIPS[chip]
        self.channel = channel
        self.channels = (channel,)
        self.rx_frames = rx_frames
        self.hardware_keys = hardware_keys
        self.counters = {}
        for name in _COUNTERS:
            self.counters[name] = 0
        self.rx_off = 0  # no beacon yet
        self.mac = bytes(bus.stock_wlan(channel))
        self._mem = bus.mem32
        self._ticks = bus.ticks_ms
        # Made once: on the S2 an address is no small int.
        self._cause = c.BASE + c.INT_CAUSE
        self._clear = c.BASE + c.INT_CLEAR
        self._rx_ctrl = c.BASE + c.RX_CTRL
        self._rx_next = c.BASE + c.RX_BASE + 4
        self._tx_done = c.BASE + c.TX_DONE
        self._tx_done_clear = c.BASE + c.TX_DONE_CLEAR
        self._tx_error = c.BASE + c.TX_ERROR
        self._tx_error_clear = c.BASE + c.TX_ERROR_CLEAR
        self._plcp0 = c.BASE + c.TX_PLCP0
        self._plcp1 = c.BASE + r.TX_PLCP1
        self._plcp2 = c.BASE + r.TX_PLCP2
        self._duration = c.BASE + r.TX_DURATION
        self._pmd = c.BASE + r.TX_PMD
        self._desc = None
        self._up = False
        self._n = 0
        self._bssid = None

    # Bring-up.

    def up(self):
        """Take the MAC over. OSError: ENOMEM, memory that the DMA does not reach; ETIMEDOUT, the
        MAC does not stop; ENODEV, it does not keep what is written."""
        if self._desc is None:
            self._allocate()
        address, word = self.chip.ROUTE
        self._mem[address] = word
        self._start()
        self._up = True

    def _allocate(self):
        n = self.rx_frames
        self._desc, at = self.bus.dma_alloc(n * r.DESCRIPTOR)
        self._addresses = [at + i * r.DESCRIPTOR for i in range(n)]
        self._links = bytes(array("I", self._addresses))
        made = [self.bus.dma_alloc(_SIZE) for _ in range(n)]
        self._buffers = [m[0] for m in made]
        self._where = [m[1] for m in made]
        self._tx_desc, self._tx_address = self.bus.dma_alloc(r.DESCRIPTOR)
        made = [self.bus.dma_alloc(_TX_SIZE, 16) for _ in range(_TX_BUFFERS)]
        self._tx_buffers = [m[0] for m in made]
        self._tx_where = bytes(array("I", [m[1] for m in made]))
        self._tx_off = [0] * _TX_BUFFERS
        self._tx_len = [0] * _TX_BUFFERS
        self._tx_key = [-1] * _TX_BUFFERS

    def _reg(self, offset, word):
        self._mem[self.chip.BASE + offset] = word

    def _start(self):
        self._stop()
        mem, c = self._mem, self.chip
        self._at = 0  # the descriptor that is next
        self._tail = self.rx_frames - 1
        self._n = 0
        for i in range(self.rx_frames):
            self._write(i, self._where[i], 0 if i == self._tail else self._addresses[i + 1])
        self._tx_at = self._tx_n = 0  # the oldest of the buffers that wait, and how many do
        self._busy = False
        mac = self.mac
        self._address(r.RA, mac)
        self._address(r.BSSID, bytes(6))
        self._reg(r.RA_MASK, 0xFFFFFFFF)
        self._reg(r.RA_MASK + 4, r.FILTER_ENABLE)
        if mem[c.BASE + r.RA + 4] & 0xFFFF != mac[4] | mac[5] << 8:
            raise OSError(ENODEV, "no Wi-Fi MAC of this kind here")
        self.select(self._bssid)
        self._reg(c.RX_BASE, self._addresses[0])
        self._reg(c.TX_CONFIG, r.TX_CONFIG_WORD)
        mem[self._clear] = 0xFFFFFFFF
        self._reload()
        at = c.BASE + c.MAC_CONTROL
        mem[at] = mem[at] & 0xFFFFFFFF & ~c.MAC_STOP

    def _stop(self):
        mem, c = self._mem, self.chip
        at = c.BASE + c.MAC_CONTROL
        mem[at] = mem[at] & 0xFFFFFFFF | c.MAC_STOP
        for _ in range(_WAIT):
            if not mem[at] & c.MAC_STOPPING:
                break
        else:
            raise OSError(ETIMEDOUT, "the Wi-Fi MAC does not stop")
        mem[self._rx_ctrl] = 0

    def down(self):
        """Stop the MAC. It is not given back to the firmware: reset the chip for that."""
        if self._up:
            self._up = False
            self._n = 0
            self.clear_keys()
            self._stop()

    def _address(self, offset, mac):
        self._reg(offset, mac[0] | mac[1] << 8 | mac[2] << 16 | mac[3] << 24)
        self._reg(offset + 4, mac[4] | mac[5] << 8)

    def tune(self, channel):
        if channel != self.channel:
            raise OSError(EINVAL, "the channel is fixed: only the firmware can change it")

    def select(self, bssid):
        self._bssid = bssid
        at = self.chip.BASE + self.chip.FILTER_CONTROL
        word = self._mem[at] & 0xFFFFFFFF & ~(r.SCAN | r.CHECK_BSSID)
        if bssid is None:
            self._reg(r.BSSID_MASK + 4, 0)
            self._mem[at] = word | r.SCAN
        else:
            self._address(r.BSSID, bssid)
            self._reg(r.BSSID_MASK, 0xFFFFFFFF)
            self._reg(r.BSSID_MASK + 4, r.FILTER_ENABLE)
            self._mem[at] = word | r.CHECK_BSSID

    # Keys: the pairwise one in slot 0, group keys behind it.

    def set_key(self, kid, address, tk, group):
        if not self.hardware_keys:
            return -1
        # What waits was numbered under the old key: with the new one its numbers would come twice.
        self._drain()
        slot = 1 + kid if group else 0
        at = r.KEYS + slot * r.KEY_SIZE
        mem, base = self._mem, self.chip.BASE
        enable = mem[base + r.KEY_ENABLE] & 0x1FFFFFF
        self._reg(r.KEY_ENABLE, enable & ~(1 << slot))
        self._address(at, address)
        upper = (r.KEY_GROUP if group else r.KEY_PAIRWISE) | kid << 14
        self._reg(at + 4, address[4] | address[5] << 8 | upper << 16)
        for i in range(8):
            word = int.from_bytes(tk[4 * i : 4 * i + 4], "little") if i < 4 else 0
            self._reg(at + 8 + 4 * i, word)
        self._reg(r.CRYPTO, mem[base + r.CRYPTO] & 0xFFFFFFFF | r.CRYPTO_CCMP)
        self._reg(r.CRYPTO_GENERAL, mem[base + r.CRYPTO_GENERAL] & 0xFF0000FF)
        self._reg(r.KEY_ENABLE, enable | 1 << slot)
        return slot

    def _drain(self):
        # Until all is sent, or has failed.
        for _ in range(_TX_BUFFERS * _TRIES * _STUCK_MS):
            if not self._tx_n:
                return
            self._ended()
            self.bus.delay_ms(1)

    def clear_keys(self):
        if not self.hardware_keys:
            return
        self._reg(r.KEY_ENABLE, 0)
        for at in range(r.KEYS, r.KEYS + 5 * r.KEY_SIZE, 4):
            self._reg(at, 0)

    # In. A descriptor has a frame when its eof bit is set.

    def _write(self, i, buffer, after):
        # A descriptor anew: size and length, owner: the DMA's; its buffer; the next.
        o = i * r.DESCRIPTOR
        word = _SIZE | _SIZE << 12
        words = array("I", [word | 0x80000000, buffer, after])
        self._desc[o : o + r.DESCRIPTOR] = bytes(words)

    def _reload(self):
        # Nobody waits for the bit to clear: what is read has bit 31 set, and would take heap on a
        # chip. The next time comes later than it takes (D).
        self._mem[self._rx_ctrl] = _RX_RELOAD

    def recv(self):
        if self._n or not self._up:
            return self._n
        self._attend()
        left = self.rx_frames
        while left:
            left -= 1
            if not self._desc[self._at * r.DESCRIPTOR + 3] & r.EOF:
                return 0
            self.rx = self._buffers[self._at]
            n = self._measure(self.rx, self._at * r.DESCRIPTOR)
            if n > 0:
                self._n = n
                return n
            self._recycle()
        return 0

    def _measure(self, buf, o):
        # Length of the MPDU in a buffer, 0: of no use.
        desc = self._desc
        n = desc[o + 1] >> 4 | desc[o + 2] << 4
        off = self.rx_off
        if not off:
            off = self._prefix(buf, n)
            if not off:
                self.counters["rx_unsure"] += 1
                return 0
            self.rx_off = off
        if buf[off - 1]:
            self.counters["rx_error"] += 1
            return 0
        # C: the DMA's length is rounded to words; FCS, and MIC of what it has decrypted, are not
        # there, but counted in the length that was on the air.
        o = buf[off - 4] | (buf[off - 3] & 15) << 8
        n = o - (o - (n - off) + 3 & ~3)
        if n < 10 or n + off > _SIZE or n > o - 4:
            self.counters["rx_length"] += 1
            return 0
        self.rssi = (buf[0] ^ 0x80) - 0x80 - self.chip.RSSI
        return n

    def _prefix(self, buf, n):
        for off in _PREFIXES:
            if n > off + 36 and _equal(buf, off, _BEACON, 0, 2):
                if _equal(buf, off + 4, _ALL, 0, 6):
                    return off
        return 0

    def release(self):
        if self._n:
            self._n = 0
            self._recycle()

    def _recycle(self):
        # The descriptor that is next becomes the last one.
        i = self._at
        o = i * r.DESCRIPTOR
        desc = self._desc
        desc[o + 8] = desc[o + 9] = desc[o + 10] = desc[o + 11] = 0
        desc[o] = _SIZE & 0xFF
        desc[o + 1] = _SIZE >> 8 | (_SIZE & 15) << 4
        desc[o + 2] = _SIZE >> 4
        desc[o + 3] = r.OWNER
        _copy(desc, self._tail * r.DESCRIPTOR + 8, self._links, 4 * i, 4)
        self._tail = i
        i += 1
        self._at = 0 if i == self.rx_frames else i
        self._reload()
        if self._mem[self._rx_next] == r.RX_DRY:
            self._dry()

    def _dry(self):
        # All were full, and the DMA has stopped: it begins anew at the first that is empty.
        i = self._at
        left = self.rx_frames
        while self._desc[i * r.DESCRIPTOR + 3] & r.EOF and left:
            i = 0 if i + 1 == self.rx_frames else i + 1
            left -= 1
        if left:
            self.counters["rx_dry"] += 1
            self._reg(self.chip.RX_BASE, self._addresses[i])
            self._reload()

    def _attend(self):
        # Causes, and the transmission that has ended.
        mem = self._mem
        cause = mem[self._cause]
        if cause:
            mem[self._clear] = cause
            if cause & r.INT_WATCHDOG:
                self.counters["watchdog"] += 1
            if cause & r.INT_FATAL:
                self.counters["fatal"] += 1
                self._start()
                return
        if self._busy:
            self._ended()

    # Out.

    def borrow(self):
        if not self._up:
            return None
        if self._busy:
            self._ended()
        if self._tx_n == _TX_BUFFERS:
            return None
        return self._tx_buffers[(self._tx_at + self._tx_n) % _TX_BUFFERS]

    def send(self, off, n, slot):
        i = (self._tx_at + self._tx_n) % _TX_BUFFERS
        self._tx_off[i] = off
        self._tx_len[i] = n
        self._tx_key[i] = slot
        self._tx_n += 1
        if not self._busy:
            self._tries = 0
            self._go()

    def _go(self):
        # The oldest that waits, into slot 0. Length: with the FCS that the MAC appends; size: that
        # and room.
        i = self._tx_at
        n = self._tx_len[i] + 4
        desc = self._tx_desc
        desc[0] = (n + 31) & 0xFC
        desc[1] = (n + 31) >> 8 | (n & 15) << 4
        desc[2] = n >> 4
        desc[3] = r.OWNER | r.EOF
        _copy(desc, 4, self._tx_where, 4 * i, 4)
        # (Buffers begin on a multiple of 16.)
        desc[4] = desc[4] + self._tx_off[i]
        self._busy = True
        self._begun = self._ticks()
        self._put(i, n)

    def _put(self, i, n):
        mem = self._mem
        slot = self._tx_key[i]
        if slot < 0:
            slot = 0  # not enabled, or the frame is not protected (D)
        mem[self._plcp1] = n | r.RATE << 12 | slot << 17 | r.TX_BIT28
        mem[self._plcp2] = r.TX_PLCP2_WORD
        mem[self._duration] = 0
        i = self._tx_buffers[i][self._tx_off[i] + 4] & 1  # a group answers with no ACK
        mem[self._plcp0] = r.TX_GO + (0 if i else r.TX_WAIT_ACK) + (self._tx_address & 0xFFFFF)

    def _ended(self):
        mem = self._mem
        if mem[self._tx_done] & 1:
            mem[self._tx_done_clear] = 1
            if mem[self._pmd] >> 12 & 15 != r.PMD_NO_ACK:
                self._next()
            else:
                self._again()
        elif mem[self._tx_error] & 0x10001:
            mem[self._tx_error_clear] = 0x10001
            self._again()
        elif self._late():
            self.counters["tx_stuck"] += 1
            mem[self._plcp0] = 0
            self._next()

    def _late(self):
        return (self._ticks() - self._begun) & 0x1FFFFFFF > _STUCK_MS

    def _again(self):
        # Not acknowledged, or collided: once more, marked as a retry (10.3.4.4).
        self._tries += 1
        if self._tries == _TRIES:
            self.counters["tx_failed"] += 1
            self._next()
            return
        self.counters["tx_retry"] += 1
        i = self._tx_at
        buf = self._tx_buffers[i]
        o = self._tx_off[i] + 1
        buf[o] = buf[o] | 8
        self._go()

    def _next(self):
        self._tx_at = (self._tx_at + 1) % _TX_BUFFERS
        self._tx_n -= 1
        self._tries = 0
        self._busy = False
        if self._tx_n:
            self._go()

    def fileno(self):
        return self.bus.fileno()


# RX_CTRL with bits 31 and 0. (No small int on a chip: made once.)
_RX_RELOAD = 0x80000001
