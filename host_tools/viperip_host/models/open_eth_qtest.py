# A bus whose other end is QEMU's own open_eth, hw/net/opencores_eth.c, from which Espressif's was
# made: the referee of the driver and of the model. The machine is an Xtensa board of QEMU's,
# `kc705`, with its processor off.
#
# Registers: the driver's addresses become those of the board.
#
# Memory: what the driver allocates lies twice, as its buffer here and in QEMU's RAM. A frame goes
# there right before the descriptor that is ready to be sent, and comes back right after a
# descriptor that is no longer empty was read.
import time

from qtest import Qtest

_REGS = const(0x3FF69000)
_DESC = const(0x3FF69400)
_END = const(0x3FF69800)
_TX_BD_NUM = const(0x3FF69020)
BOARD = 0xFD030000

_ARENA = const(0x100000)
_GAP = const(64)
_PATTERN = b"\xa5"  # what fills the gaps between blocks


class OpenEthBus:
    """path: QEMU's qtest socket."""

    def __init__(self, path):
        self.qtest = Qtest(path)
        self.mem32 = self
        self.skew = 0  # ms to add to the time
        self.delay_ms = time.sleep_ms
        self.delay_us = time.sleep_us
        self.forget()

    def forget(self):
        """Of the driver that was here before."""
        self._blocks = []
        self._next = _ARENA
        self._pointers = {}  # buf_ptr by its address
        self._empty = {}  # descriptors given to the NIC to receive into, by their address
        self._tx = 0x40  # TX_BD_NUM

    def close(self):
        self.qtest.close()

    def fileno(self):
        return -1

    def ticks_ms(self):
        return time.ticks_ms() + self.skew

    def advance(self, ms):
        """Let time pass."""
        self.skew += ms

    def dma_alloc(self, n, align=4):
        """(buffer, address in QEMU's RAM) of n zeroed bytes."""
        start = self._next
        address = (start + align - 1) // align * align
        self._next = (address + n + _GAP + 15) & ~15
        self.qtest.write(start, _PATTERN * (self._next - start))
        self.qtest.write(address, bytes(n))
        buf = bytearray(n)
        self._blocks.append((address, buf))
        return buf, address

    def check(self):
        """Nothing was written between the driver's buffers."""
        if self._next == _ARENA:
            return
        data = self.qtest.read(_ARENA, self._next - _ARENA)
        at = 0
        for address, buf in self._blocks:
            start = address - _ARENA
            assert data[at:start] == _PATTERN * (start - at), hex(_ARENA + at)
            at = start + len(buf)
        assert data[at:] == _PATTERN * (len(data) - at), hex(_ARENA + at)

    def _find(self, pointer, n):
        for address, buf in self._blocks:
            if address <= pointer and pointer + n <= address + len(buf):
                return buf, pointer - address
        raise AssertionError("%d bytes at 0x%x: not the driver's" % (n, pointer))

    def __getitem__(self, address):
        value = self.qtest.readl(address - _REGS + BOARD)
        if _DESC <= address < _END and not value & 0x8000 and self._empty.pop(address, None):
            n = value >> 16
            pointer = self._pointers[address + 4]
            buf, at = self._find(pointer, n)
            buf[at : at + n] = self.qtest.read(pointer, n)
        return value - 0x100000000 if value & 0x80000000 else value

    def __setitem__(self, address, value):
        value &= 0xFFFFFFFF
        if address == _TX_BD_NUM:
            self._tx = value
        if _DESC <= address < _END:
            if address & 4:
                self._pointers[address] = value
            elif address >= _DESC + 8 * self._tx:
                self._empty[address] = value & 0x8000
            elif value & 0x8000:
                n = value >> 16
                pointer = self._pointers[address + 4]
                buf, at = self._find(pointer, n)
                self.qtest.write(pointer, buf[at : at + n])
        self.qtest.writel(address - _REGS + BOARD, value)
