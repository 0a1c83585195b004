# The Wi-Fi MAC of the ESP32 or ESP32-S2 as its registers show it: the bus for a driver.
#
# Espressif documents none of it; this is one reading of what others found out (firmware/viperip/
# link/wifi/registers.py names them), written apart from the driver: it shares no table with it.
# So it shows that the driver does what its author read, and NOTHING about silicon. A driver that
# does what would go wrong by that reading ends in a ModelError.
import time

from dma_memory import Memory, ModelError
from wifi_ap import ccmp_open, ccmp_seal

_ESP32 = {
    "base": 0x3FF73000,
    "filter": 0xD8,
    "rx": 0x84,
    "list": 0x88,
    "cause": 0xC48,
    "error": 0xCBC,
    "done": 0xCC4,
    "config": 0xD1C,
    "stop": 0x17FF,
    "prefix": 28,
    "rssi": 96,
    "route": 0x3FF00104,
}
_S2 = {
    "base": 0x60033000,
    "filter": 0xE0,
    "rx": 0x88,
    "list": 0x90,
    "cause": 0xC3C,
    "error": 0xC9C,
    "done": 0xCA4,
    "config": 0xCFC,
    "stop": 0xFF1000,
    "prefix": 36,
    "rssi": 0,
    "route": 0x3F4C2000,
}
_CHIPS = {"esp32": _ESP32, "esp32s2": _S2}
_CONTROL = const(0xCB8)
_PLCP1 = const(0x1258)
_PMD = const(0x1270)
_RX = const(0x01000024)
_TX = const(0x80)
_DRY = const(0x3FF00000)


class WiFiModel:
    """The chip, with `air`, a link device that carries MPDUs, for air.

    prefix: bytes before a received MPDU (None: as the sources say). Tests set no_ack,
    collisions (numbers of transmissions that fail so), hangs (a transmission never ends), stuck
    (the MAC does not stop), next_error (rx_state of the next frame), psram, absent. Counters:
    rx_frames, filtered, lost, tx_frames, retries.
    """

    def __init__(self, air, mac, chip="esp32", prefix=None, real_time=False):
        self.air = air
        self.mac = mac
        self.chip = _CHIPS[chip]
        self.prefix = prefix or self.chip["prefix"]
        self.now = 0
        self._real = time.ticks_ms() if real_time else None
        self.memory = Memory(0x3FFB0000, 0x3FFE0000)
        self.regs = {}
        self.powered = self.masked = self.running = False
        self.no_ack = self.collisions = 0
        self.hangs = self.stuck = self.psram = self.absent = False
        self.next_error = 0
        self.rx_frames = self.filtered = self.lost = self.tx_frames = self.retries = 0
        self.cause = self.done = self.error = 0
        self.pmd = 0
        self.rx_at = 0  # the descriptor that is next
        self.rx_last = 0
        self._waiting = None
        self._stepping = False
        self.mem32 = _Mem32(self)

    # The contract of a bus: viperip/link/bus.py.

    def stock_wlan(self, channel):
        self.powered = True
        return self.mac

    def dma_alloc(self, n, align=4):
        from viperip.link.bus import check_dma

        if self.psram:
            check_dma(0x3F800000, n, align, 0x3FFAE000, 0x40000000)
        return self.memory.alloc(n, align)

    def ticks_ms(self):
        ms = self.now // 1000
        if self._real is not None:
            ms += time.ticks_diff(time.ticks_ms(), self._real)
        return ms

    def delay_us(self, n):
        self.now += n

    def delay_ms(self, n):
        self.now += 1000 * n

    def fileno(self):
        return self.air.fileno()

    # Registers.

    def read(self, address):
        c = self.chip
        at = address - c["base"]
        if self.absent:
            return 0
        self._check(address)
        if at == c["cause"]:
            return self.cause
        if at == c["done"] + 4:
            return self.done
        if at == c["error"] + 4:
            return self.error
        if at == c["list"] + 4:
            return self.rx_at or _DRY
        if at == c["list"] + 8:
            return self.rx_last
        if at == _PMD:
            return self.pmd << 12
        if at == _CONTROL:
            word = self.regs.get(at, 0)
            return word | 0x6000 if self.stuck else word & ~0x6000
        return self.regs.get(at, 0)

    def _check(self, address):
        if not self.powered:
            raise ModelError("Wi-Fi MAC 0x%08x before PHY and clocks are on" % address)
        at = address - self.chip["base"]
        if address & 3 or not 0 <= at < 0x2000:
            raise ModelError("no Wi-Fi MAC register at 0x%08x" % address)

    def write(self, address, value):
        c = self.chip
        if address == c["route"]:
            self.masked = value == 6
            return
        self._check(address)
        if not self.masked:
            raise ModelError("the firmware still serves the MAC's interrupt")
        at = address - c["base"]
        if at == c["cause"] + 4:
            self.cause &= ~value
        elif at == c["done"]:
            self.done &= ~value
        elif at == c["error"]:
            self.error &= ~value
        elif at == _CONTROL:
            self.regs[at] = value
            self.running = not value & c["stop"]
        elif at == c["rx"]:
            self.regs[at] = value & ~1
            if value & 1:
                self._reload()
        elif at == c["list"]:
            self.regs[at] = value
            self.rx_at = value
        elif at == c["config"] + 4:
            self.regs[at] = value
            if value & 0x80000000:
                self._go(value)
        else:
            self.regs[at] = value

    # Descriptors.

    def _descriptor(self, address, what):
        memory, o = self.memory.find(address, 12, what)
        words = [int.from_bytes(memory[o + i : o + i + 4], "little") for i in (0, 4, 8)]
        return memory, o, words

    def _reload(self):
        # The list is read anew: a chain that had ended may go on.
        if not self.rx_at and self.rx_last:
            after = self._descriptor(self.rx_last, "the last descriptor")[2][2]
            # Only if the end was not passed: else it has to be set anew (see 'next == dry').
            if after and self._stalled:
                self.rx_at = after
                self._stalled = False

    _stalled = False

    def _receive(self, mpdu):
        if not self.regs.get(self.chip["rx"], 0) & 0x80000000:
            self.lost += 1
            return
        if not self._accepts(mpdu):
            self.filtered += 1
            return
        mpdu, extra = self._decrypted(mpdu)
        if not self.rx_at:
            self.lost += 1
            return
        memory, o, words = self._descriptor(self.rx_at, "the next receive descriptor")
        if not words[0] & 0x80000000 or words[0] & 0x40000000:
            raise ModelError("a receive descriptor that is not the DMA's: 0x%08x" % words[0])
        on_air = len(mpdu) + extra + 4
        data = self.prefix + (len(mpdu) + 3 & ~3)
        if data > words[0] & 0xFFF:
            self.lost += 1
            return
        buf, at = self.memory.find(words[1], data, "a receive buffer")
        head = bytearray(self.prefix)
        head[0] = self.chip["rssi"] - 50 & 0xFF
        head[-4] = on_air & 0xFF
        head[-3] = on_air >> 8
        head[-1] = self.next_error
        self.next_error = 0
        buf[at : at + self.prefix] = head
        buf[at + self.prefix : at + self.prefix + len(mpdu)] = mpdu
        word = words[0] & 0xFFF | data << 12 | 0x40000000
        memory[o : o + 4] = word.to_bytes(4, "little")
        self.rx_last = self.rx_at
        self.rx_at = words[2]
        self._stalled = not words[2]
        self.rx_frames += 1
        self.cause |= _RX

    def _pair(self, at):
        low, high = self.regs.get(at, 0), self.regs.get(at + 4, 0)
        return low.to_bytes(4, "little") + (high & 0xFFFF).to_bytes(2, "little")

    def _accepts(self, m):
        if self.regs.get(self.chip["filter"], 0) & 0x110:
            return True
        to = m[4:10]
        mine = self.regs.get(0x64, 0) >> 16 & 1 and to == self._pair(0x40)
        if to[0] & 1:
            at = 16 if m[0] & 0x0C == 0 else 10
            return bool(self.regs.get(0x24, 0) >> 16 & 1) and m[at : at + 6] == self._pair(0)
        return bool(mine)

    # Keys.

    def _slot(self, k):
        # (address, control, key) of an enabled CCMP slot, or None.
        if not self.regs.get(0x814, 0) >> k & 1 or self.regs.get(0x800, 0) & 0x30103 != 0x30103:
            return None
        at = 0x1400 + 40 * k
        control = self.regs.get(at + 4, 0)
        if control >> 18 & 7 != 3 or not control >> 22 & 1:
            raise ModelError("key slot %d: control 0x%08x" % (k, control))
        key = b"".join([self.regs.get(at + 8 + 4 * i, 0).to_bytes(4, "little") for i in range(4)])
        return self._pair(at), control, key

    def _decrypted(self, m):
        # The MPDU as the DMA writes it, and how many bytes are missing at its end.
        if not m[1] & 0x40 or m[0] & 0x0C != 8 or len(m) < 40:
            return m, 0
        at = 26 if m[0] & 0x80 else 24
        for k in range(25):
            slot = self._slot(k)
            if slot is None:
                continue
            address, control, key = slot
            wanted = 23 if m[4] & 1 else 21
            if control >> wanted & 1 and control >> 30 == m[at + 3] >> 6 and address == m[10:16]:
                body = ccmp_open(key, m)[1]
                if body is None:
                    self.next_error = 0x10
                    return m, 0
                return m[: at + 8] + body, 8
        return m, 0

    # Sending.

    def _go(self, value):
        if not self.running:
            raise ModelError("a transmission while the MAC is stopped")
        if not value & 0x40000000:
            raise ModelError("PLCP0 without its valid bit")
        if self._waiting is not None:
            raise ModelError("a transmission before the last one has ended")
        _, _, words = self._descriptor(0x3FF00000 | value & 0xFFFFF, "the transmit descriptor")
        if words[0] >> 30 != 3 or words[2]:
            raise ModelError("transmit descriptor: 0x%08x, next 0x%08x" % (words[0], words[2]))
        plcp1 = self.regs.get(_PLCP1, 0)
        n = plcp1 & 0xFFF
        if n != words[0] >> 12 & 0xFFF or n > words[0] & 0xFFF:
            raise ModelError("PLCP1 has length %d, the descriptor 0x%08x" % (n, words[0]))
        if self.regs.get(_PLCP1 + 4, 0) != 0x20:
            raise ModelError("PLCP2 was not written")
        if words[1] & 3:
            raise ModelError("a frame that is not aligned")
        buf, at = self.memory.find(words[1], n - 4, "the frame")
        mpdu = bytes(buf[at : at + n - 4])
        group = mpdu[4] & 1
        if bool(value & 0x01000000) == bool(group):
            raise ModelError("an ACK is waited for after a group frame, or not after another")
        if mpdu[1] & 0x40:
            slot = self._slot(plcp1 >> 17 & 31)
            if slot is not None:
                mpdu = self._encrypted(mpdu, slot[2])
        self.retries += mpdu[1] >> 3 & 1
        self._waiting = mpdu
        self.regs[self.chip["config"] + 4] = value & 0x7FFFFFFF
        self.step()

    def _encrypted(self, m, key):
        pn = int.from_bytes(m[24:26] + m[28:32], "little")
        return ccmp_seal(key, m[27] >> 6, pn, m[:24], m[32:-8])

    def step(self):
        """What is on the air comes in, what waits goes out."""
        if self._stepping:
            return
        self._stepping = True
        try:
            self._transmit()
            while self.running:
                n = self.air.recv()
                if not n:
                    break
                off = self.air.rx_off
                mpdu = bytes(self.air.rx[off : off + n])
                self.air.release()
                self._receive(mpdu)
        finally:
            self._stepping = False

    def _transmit(self):
        mpdu = self._waiting
        if mpdu is None or self.hangs:
            return
        self._waiting = None
        if self.collisions:
            self.collisions -= 1
            self.error |= 1
            self.cause |= 0x100
            return
        self.pmd = 0
        if self.no_ack and not mpdu[4] & 1:
            self.no_ack -= 1
            self.pmd = 5
        buf = self.air.borrow()
        if buf is not None:
            buf[self.air.tx_off : self.air.tx_off + len(mpdu)] = mpdu
            self.air.send(len(mpdu))
        self.tx_frames += 1
        self.done |= 1
        self.cause |= _TX


class _Mem32:
    # As machine.mem32: what it reads has a sign, what is written is cut to 32 bits.
    def __init__(self, chip):
        self._chip = chip

    def __getitem__(self, address):
        chip = self._chip
        chip.now += 1
        chip.step()
        value = chip.read(address)
        return value - 0x100000000 if value & 0x80000000 else value

    def __setitem__(self, address, value):
        chip = self._chip
        chip.now += 1
        chip.write(address, value & 0xFFFFFFFF)
        chip.step()
