# The open_eth of Espressif's QEMU as its registers show it: the bus for a driver.
#
# Written from what QEMU's hw/net/opencores_eth.c does, apart from the driver: it shares no table
# with it. Of the machine around it there is memory and time. A driver that does what QEMU would
# not forgive, or would forgive to its harm without a word, ends in a ModelError.
import time
from array import array

from dma_memory import Memory, ModelError

_REGS = const(0x3FF69000)
_DESC = const(0x3FF69400)
_DESC_END = const(0x3FF69800)
_COUNT = const(128)

_MODER = const(0x00)
_INT_SOURCE = const(0x04)
_INT_MASK = const(0x08)
_PACKETLEN = const(0x18)
_TX_BD_NUM = const(0x20)
_MIICOMMAND = const(0x2C)
_MIIADDRESS = const(0x30)
_MIITX_DATA = const(0x34)
_MIIRX_DATA = const(0x38)
_MIISTATUS = const(0x3C)

# offset: (name, value after reset)
REGS = {
    0x00: ("MODER", 0xA000),
    0x04: ("INT_SOURCE", 0),
    0x08: ("INT_MASK", 0),
    0x0C: ("IPGT", 0x12),
    0x10: ("IPGR1", 0x0C),
    0x14: ("IPGR2", 0x12),
    0x18: ("PACKETLEN", 0x00400600),
    0x1C: ("COLLCONF", 0x000F003F),
    0x20: ("TX_BD_NUM", 0x40),
    0x24: ("CTRLMODER", 0),
    0x28: ("MIIMODER", 0x64),
    0x2C: ("MIICOMMAND", 0),
    0x30: ("MIIADDRESS", 0),
    0x34: ("MIITX_DATA", 0),
    0x38: ("MIIRX_DATA", 0),
    0x3C: ("MIISTATUS", 0),
    0x40: ("MAC_ADDR0", 0),
    0x44: ("MAC_ADDR1", 0),
    0x48: ("HASH0", 0),
    0x4C: ("HASH1", 0),
    0x50: ("TXCTRL", 0),
}

_RXEN = const(1)
_TXEN = const(2)
_TXB = const(1)
_RXB = const(4)
_BUSY = const(0x10)
_READY = const(0x8000)  # of a descriptor: RD, E
_IRQ = const(0x4000)
_WRAP = const(0x2000)
_TX_STATUS = const(0x01FF)
_RX_STATUS = const(0x01FF)
_M = const(0x80)
_TL = const(0x08)

_HEAP = const(0x10000)  # of DMA memory between two soft resets


class OpenEthModel:
    """A machine with an open_eth. cable: a link device, the other end of the wire.

    psram: the heap lies in PSRAM, out of the DMA's reach. present: the NIC is there at all.
    real_time: its clock follows the interpreter's; else it moves with delays and register
    accesses only, and with advance(). Counters: rx_frames, tx_frames, filtered (not for this
    station), lost (no empty descriptor), unheard (sent into a dead wire).
    """

    def __init__(self, cable=None, psram=False, present=True, real_time=False):
        self.now = 0  # microseconds
        self._real = time.ticks_ms() if real_time else None
        self.cable = cable
        self.psram = psram
        self.present = present
        self.plugged = True
        self.serves_interrupts = False
        self.frozen = False  # tests: nothing comes from the wire
        self.tx_hangs = False  # tests: nothing is sent
        self.rx_frames = self.tx_frames = self.filtered = self.lost = self.unheard = 0
        self.desc = array("I", [0] * (2 * _COUNT))
        self._heap = 0x3FFB0000
        self._stepping = False
        self.soft_reset()
        self.mem32 = _Mem32(self)
        self.reset()

    def reset(self):
        """Of the whole machine, machine.reset(): the descriptors stay as they were."""
        self.regs = {}
        for at in REGS:
            self.regs[at] = REGS[at][1]
        self.tx_at = 0
        self.rx_at = 0x40
        self._reset_phy()

    def soft_reset(self):
        """Of MicroPython only, Ctrl-D: the heap is given away, and the NIC does not notice."""
        # Another range of addresses, so that an access to the old heap is found.
        self.memory = Memory(self._heap, self._heap + _HEAP)
        self._heap += _HEAP

    # The contract of a bus: viperip/link/bus.py.

    def ticks_ms(self):
        ms = self.now // 1000
        if self._real is not None:
            ms += time.ticks_diff(time.ticks_ms(), self._real)
        return ms

    def delay_us(self, n):
        self.now += n

    def delay_ms(self, n):
        self.now += n * 1000

    def advance(self, ms):
        """Let time pass."""
        self.now += ms * 1000

    def dma_alloc(self, n, align=4):
        from viperip.link.bus import check_dma

        if self.psram:
            check_dma(0x3F800000, n, align, 0x3FFAE000, 0x40000000)
        return self.memory.alloc(n, align)

    def pin(self, gpio, value=None):
        raise ModelError("a pin: the NIC has none")

    def stock_lan(self, **arguments):
        raise ModelError("network.LAN: it would take over the NIC")

    def fileno(self):
        return -1 if self.cable is None else self.cable.fileno()

    # Registers.

    def name(self, address):
        """The name of the register or descriptor word at a bus address, None: there is none."""
        if _DESC <= address < _DESC_END:
            i = (address - _DESC) >> 3
            n = self.regs[_TX_BD_NUM]
            ring = "TX[%d]" % i if i < n else "RX[%d]" % (i - n)
            return ring + (".buf_ptr" if address & 4 else ".len_flags")
        return REGS[address - _REGS][0] if address - _REGS in REGS else None

    def _known(self, what, address):
        if address & 3:
            raise ModelError("%s of 0x%08x: registers are words" % (what, address))
        if not (address - _REGS in REGS or _DESC <= address < _DESC_END):
            raise ModelError("%s of 0x%08x: no register, no descriptor" % (what, address))

    def read(self, address):
        self._known("read", address)
        if not self.present:
            return 0
        if address >= _DESC:
            return self.desc[(address - _DESC) >> 2]
        return self.regs[address - _REGS]

    def write(self, address, value):
        self._known("write", address)
        if not self.present:
            return
        if address >= _DESC:
            self._write_desc((address - _DESC) >> 2, value)
            return
        at = address - _REGS
        if at in (_MIIRX_DATA, _MIISTATUS):
            raise ModelError("write to %s: it is read only" % REGS[at][0])
        if at == _MODER:
            self._write_moder(value)
        elif at == _INT_SOURCE:
            self.regs[at] &= ~value
        elif at == _INT_MASK:
            self.regs[at] = value
            self._interrupt(0)
        elif at == _TX_BD_NUM:
            self._write_tx_bd_num(value)
        elif at == _MIICOMMAND:
            self._command(value)
        elif at == _MIITX_DATA:
            self.regs[at] = value & 0xFFFF
            self._write_phy()
        else:
            self.regs[at] = value

    def _write_moder(self, value):
        changed = value & ~self.regs[_MODER]
        if changed & 0x800:
            self.reset()
        if value & 0x80:
            raise ModelError("MODER.LOOPBCK: QEMU does not loop anything back")
        self.regs[_MODER] = value
        if changed & _RXEN:
            self.rx_at = self.regs[_TX_BD_NUM]
            self.step()
        if changed & _TXEN:
            self.tx_at = 0
            self._transmit()

    def _write_tx_bd_num(self, value):
        if value >= _COUNT:
            return
        if self.regs[_MODER] & (_RXEN | _TXEN) and value != self.regs[_TX_BD_NUM]:
            raise ModelError("TX_BD_NUM was changed while the rings are in use")
        self.regs[_TX_BD_NUM] = value

    def _interrupt(self, bits):
        self.regs[_INT_SOURCE] |= bits
        if self.regs[_INT_SOURCE] & self.regs[_INT_MASK] and not self.serves_interrupts:
            raise ModelError("an interrupt of open_eth, and nobody to serve it")

    def _write_desc(self, word, value):
        self.desc[word] = value
        i = word >> 1
        if word & 1 or i >= self.regs[_TX_BD_NUM] or not value & _READY:
            self._transmit()
            return
        if value >> 16 <= 4:
            raise ModelError("TX[%d]: a frame of %d bytes is never sent" % (i, value >> 16))
        if self.tx_hangs or not self.regs[_MODER] & _TXEN:
            return
        if i != self.tx_at:
            raise ModelError("TX[%d] is ready, but it is the turn of TX[%d]" % (i, self.tx_at))
        self._transmit()

    # Sending.

    def _transmit(self):
        # One frame, if the descriptor whose turn it is has one.
        if self.tx_hangs or not self.regs[_MODER] & _TXEN or not self.regs[_TX_BD_NUM]:
            return
        i = self.tx_at
        w = self.desc[2 * i]
        n = w >> 16
        if not w & _READY or n <= 4:
            return
        least, most = self._limits()
        length = max(n, least) if w & 0x1000 else n
        if not self.regs[_MODER] & 0x4000:
            length = min(length, most)
            n = min(n, most)
        memory, o = self.memory.find(self.desc[2 * i + 1], n, "the frame of TX[%d]" % i)
        self._put(memory, o, n, length)
        i += 1
        self.tx_at = 0 if w & _WRAP or i >= self.regs[_TX_BD_NUM] else i
        self.desc[2 * (i - 1)] = w & ~(_READY | _TX_STATUS)
        if w & _IRQ:
            self._interrupt(_TXB)

    def _limits(self):
        return self.regs[_PACKETLEN] >> 16, self.regs[_PACKETLEN] & 0xFFFF

    def _put(self, memory, o, n, length):
        self.tx_frames += 1
        if not self.wired() or self.cable is None:
            self.unheard += 1
            return
        cable = self.cable
        buf = cable.borrow()
        if buf is None:
            self.unheard += 1
            return
        at = cable.tx_off
        buf[at : at + n] = memoryview(memory)[o : o + n]
        if length > n:
            buf[at + n : at + length] = bytes(length - n)
        cable.send(length)

    # Receiving.

    def wired(self):
        """Whether there is a link."""
        return self.plugged and (self.cable is None or self.cable.link())

    def step(self):
        """Take what has come on the wire; without RXEN it waits there."""
        cable = self.cable
        if cable is None or self._stepping or self.frozen:
            return
        self._stepping = True
        try:
            while self.regs[_MODER] & _RXEN:
                n = cable.recv()
                if not n:
                    return
                if self.wired():
                    self._receive(cable.rx, cable.rx_off, n)
                cable.release()
        finally:
            self._stepping = False

    def accepts(self, buf, off):
        """Whether the frame at buf[off:] is for this station, whatever PRO says."""
        to = bytes(memoryview(buf)[off : off + 6])
        if to == b"\xff\xff\xff\xff\xff\xff":
            return not self.regs[_MODER] & 8
        if to[0] & 1 or self.regs[_MODER] & 0x10:
            i = hashed(to)
            return bool(self.regs[0x4C if i & 32 else 0x48] >> (i & 31) & 1)
        high = self.regs[0x44]
        low = self.regs[0x40]
        return to == bytes(
            (
                high >> 8 & 0xFF,
                high & 0xFF,
                low >> 24,
                low >> 16 & 0xFF,
                low >> 8 & 0xFF,
                low & 0xFF,
            )
        )

    def _receive(self, buf, off, n):
        moder = self.regs[_MODER]
        mine = self.accepts(buf, off)
        if not mine and not moder & 0x20:
            self.filtered += 1
            return
        i = self.rx_at
        w = self.desc[2 * i]
        if not w & _READY:
            self.lost += 1
            self._interrupt(_BUSY)
            return
        least, most = self._limits()
        w &= ~(_RX_STATUS | 0xFFFF0000)
        if not mine:
            w |= _M
        if moder & 0x4000:
            if n > most:
                w |= _TL
            most = 65536
        # What stands for the FCS: nothing behind a frame that is cut, and behind one that is
        # padded what is left of the four bytes.
        fcs = 4 if n < most else 0
        n = min(n, most)
        pad = least - n if moder & 0x8000 and n < least else 0
        length = n + pad + max(0, fcs - pad)
        memory, o = self.memory.find(self.desc[2 * i + 1], length, "the buffer of RX[%d]" % i)
        memory[o : o + n] = memoryview(buf)[off : off + n]
        memory[o + n : o + length] = bytes(length - n)
        self.rx_at = self.regs[_TX_BD_NUM] if w & _WRAP or i == _COUNT - 1 else i + 1
        self.desc[2 * i] = (w | length << 16) & ~_READY
        self.rx_frames += 1
        if w & _IRQ:
            self._interrupt(_RXB)

    # The PHY: a subset of a DP83848C, at address 1.

    def _reset_phy(self):
        self.phy = [0] * 30
        self.phy[0] = 0x1000
        self.phy[1] = 0x7868
        self.phy[2] = 0x2000
        self.phy[3] = 0x5C90
        self.phy[4] = 0x01E1
        self._told = None
        self._follow()

    def _follow(self):
        # QEMU tells the PHY when there is a link, or none any more; it takes no time, and nothing
        # is latched.
        if self.wired() == self._told:
            return
        self._told = self.wired()
        if self._told:
            self.phy[1] |= 4
            self.phy[5] |= 0x01E1
            self.phy[16] = 0x0017
        else:
            self.phy[1] &= ~4
            self.phy[5] &= 0x01FF
            self.phy[16] = 0

    def _write_phy(self):
        reg = self.regs[_MIIADDRESS] >> 8 & 31
        value = self.regs[_MIITX_DATA]
        if self.regs[_MIIADDRESS] & 31 != 1:
            return
        if reg in (1, 2, 3, 16):
            raise ModelError("PHY register %d was written: it is read only" % reg)
        if reg == 0 and value & 0x8000:
            self._reset_phy()
        elif reg < len(self.phy):
            self.phy[reg] = value

    def _command(self, value):
        if value & 4:
            self._write_phy()
        if value & 2:
            self._follow()
            reg = self.regs[_MIIADDRESS] >> 8 & 31
            if self.regs[_MIIADDRESS] & 31 != 1:
                self.regs[_MIIRX_DATA] = 0xFFFF
            else:
                self.regs[_MIIRX_DATA] = self.phy[reg] if reg < len(self.phy) else 0
        if value & 3:
            self.regs[_MIISTATUS] = 0 if self.wired() else 1


def hashed(to):
    """The bit of HASH1:HASH0 that decides for an address: the top of its CRC-32, unreflected."""
    crc = 0xFFFFFFFF
    for byte in to:
        for _ in range(8):
            bit = (crc >> 31 ^ byte) & 1
            crc = crc << 1 & 0xFFFFFFFF
            if bit:
                crc ^= 0x04C11DB7
            byte >>= 1
    return crc >> 26


class _Mem32:
    # As machine.mem32: what it reads has a sign, what is written is cut to 32 bits. What is on the
    # wire arrives in between.
    def __init__(self, machine):
        self._machine = machine

    def __getitem__(self, address):
        machine = self._machine
        machine.now += 1
        machine.step()
        value = machine.read(address)
        return value - 0x100000000 if value & 0x80000000 else value

    def __setitem__(self, address, value):
        machine = self._machine
        machine.now += 1
        machine.step()
        machine.write(address, value & 0xFFFFFFFF)
