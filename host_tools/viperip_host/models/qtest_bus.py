# A bus whose other end is QEMU's model of a DesignWare GMAC, `npcm_gmac`: the referee of the
# driver, written by people who have not seen it.
#
# Registers: the driver's base addresses become those of the machine npcm750-evb.
#
# Memory: what the driver allocates lies twice, as its buffer here and in QEMU's RAM. `known` is
# what both held last. Each access to the DMA block, and to CONFIG, brings the two together, as if
# all memory accesses of the driver came to pass there:
#
#    before it   what the driver has written since goes to QEMU: buffers first, then descriptors,
#                of each its word 0, which holds OWN, last
#    after it    what the DMA has written since comes back: descriptors, and if they tell of a
#                received frame the buffers, read after them
#
# So memory moves one way at a time, and what moves is checked: whoever changes a descriptor, or
# the buffer of one, that is not his by its OWN bit ends the test with a RefereeError.
import struct
import time

from qtest import Qtest

GMAC = 0xF0802000
MAC_SIZE = const(0x1000)  # and DMA behind it

_CONFIG = const(0x00)
_BUSMODE = const(0x1000)
_RXBASE = const(0x100C)
_TXBASE = const(0x1010)
_OPMODE = const(0x1018)
_RE = const(0x4)
_SR = const(0x2)
_ST = const(0x2000)
_FTF = const(0x100000)

_ARENA = const(0x100000)
_GAP = const(64)
_PATTERN = b"\xa5"  # what fills the gaps between blocks


class RefereeError(BaseException):
    """Driver or DMA did what it must not. Not an Exception: nothing in between counts it."""


class QtestBus:
    """The bus of a driver whose bases are `mac` and `dma`; path: QEMU's qtest socket.

    log: every register access as in bus_trace.py, ("r" or "w", offset from GMAC, value), if it is
    a list. pushed, pulled: bytes that went to QEMU's memory, and came back.

    It covers up two gaps of the referee, which `flushes` and `wakes` count. There is no transmit
    FIFO in it, and OPMODE.FTF, once written, would never clear: the bus answers for it. And a
    frame that came while CONFIG.RE was off waits until OPMODE is written, where a GMAC would take
    the next one from the wire: the bus writes OPMODE again when RE is set.
    """

    log: "list | None" = None

    def __init__(self, path, mac, dma):
        self.qtest = Qtest(path)
        self.mem32 = self
        self._mac = mac
        self._dma = dma
        self._blocks = []
        self._next = _ARENA
        self._rings = [None, None]  # receive, transmit: the blocks RXBASE and TXBASE point to
        self._opmode = 0
        self.flushes = self.wakes = 0
        self.pushed = self.pulled = 0
        self.ticks_ms = time.ticks_ms
        self.delay_ms = time.sleep_ms
        self.delay_us = time.sleep_us

    def close(self):
        self.qtest.close()

    def fileno(self):
        return -1

    def dma_alloc(self, n, align=4):
        """(buffer, address in QEMU's RAM) of n zeroed bytes."""
        start = self._next
        address = (start + align - 1) // align * align
        self._next = (address + n + _GAP + 15) & ~15
        self.qtest.write(start, _PATTERN * (self._next - start))
        self.qtest.write(address, bytes(n))
        block = _Block(address, n)
        self._blocks.append(block)
        return block.buf, address

    # Registers.

    def __getitem__(self, address):
        offset = self._offset(address)
        synced = offset >= MAC_SIZE or offset == _CONFIG
        if synced:
            self._push()
        value = self.qtest.readl(GMAC + offset)
        if synced:
            self._pull()
        if self.log is not None:
            self.log.append(("r", offset, value))
        return value - 0x100000000 if value & 0x80000000 else value

    def __setitem__(self, address, value):
        offset = self._offset(address)
        value &= 0xFFFFFFFF
        if self.log is not None:
            self.log.append(("w", offset, value))
        if offset < MAC_SIZE and offset != _CONFIG:
            self.qtest.writel(GMAC + offset, value)
            return
        self._push()
        if offset == _OPMODE:
            if value & _FTF:
                self.flushes += 1
                value &= ~_FTF
            self._opmode = value
        elif offset == _BUSMODE and value & 1:
            self._opmode = 0
        elif offset == _RXBASE or offset == _TXBASE:
            self._rings[offset == _TXBASE] = self._find(value)
        self.qtest.writel(GMAC + offset, value)
        if offset == _CONFIG and value & _RE and self._opmode & _SR:
            self.wakes += 1
            self.qtest.writel(GMAC + _OPMODE, self._opmode)
        self._pull()

    def _offset(self, address):
        # From QEMU's MAC block on.
        if address & 3:
            raise RefereeError("a register at 0x%x: not aligned" % address)
        if 0 <= address - self._mac < MAC_SIZE:
            return address - self._mac
        if 0 <= address - self._dma < 0x60:
            return address - self._dma + MAC_SIZE
        raise RefereeError("0x%x is no register of a GMAC" % address)

    def _find(self, address):
        for block in self._blocks:
            if block.address == address:
                return block
        raise RefereeError("descriptors at 0x%x: not the driver's memory" % address)

    # The mirror.

    def _push(self):
        for block in self._blocks:
            if block not in self._rings and block.buf != block.known:
                owner = self._owner(block.address)
                if owner is not None:
                    raise RefereeError("the driver changed the buffer of %s" % owner)
                self.qtest.write(block.address, block.buf)
                block.known[:] = block.buf
                self.pushed += len(block.buf)
        for ring in self._rings:
            if ring is not None and ring.buf != ring.known:
                self._push_ring(ring)

    def _push_ring(self, ring):
        # From the end to the start, so that of each descriptor word 0 comes last.
        for o in range(len(ring.buf) - 4, -1, -4):
            word = ring.buf[o : o + 4]
            if word != ring.known[o : o + 4]:
                if self._started(ring) and ring.known[o & ~15 | 3] & 0x80:
                    raise RefereeError("the driver changed %s" % self._name(ring, o // 16))
                self.qtest.writel(ring.address + o, struct.unpack("<I", word)[0])
                self.pushed += 4
        ring.known[:] = ring.buf

    def _started(self, ring):
        return self._opmode & (_SR if ring is self._rings[0] else _ST)

    def _name(self, ring, i):
        which = "receive" if ring is self._rings[0] else "transmit"
        return "%s descriptor %d, which is the DMA's" % (which, i)

    def _owner(self, address):
        # The descriptor of the DMA's, by name, whose buffer lies at the address; None: it is free.
        for ring in self._rings:
            if ring is not None and self._started(ring):
                for i in range(len(ring.known) // 16):
                    status, _, buffer, _ = struct.unpack_from("<4I", ring.known, 16 * i)
                    if buffer == address and status & 0x80000000:
                        return self._name(ring, i)
        return None

    def _pull(self):
        receive, transmit = self._rings
        if transmit is not None:
            self._take(transmit, self.qtest.read(transmit.address, len(transmit.buf)))
        if receive is not None:
            if self._take(receive, self.qtest.read(receive.address, len(receive.buf))):
                self._pull_buffers()

    def _pull_buffers(self):
        data = self.qtest.read(_ARENA, self._next - _ARENA)
        end = 0
        for block in self._blocks:
            start = block.address - _ARENA
            self._check_gap(data, end, start)
            end = start + len(block.buf)
            if block not in self._rings:
                self._take(block, data[start:end])
        self._check_gap(data, end, len(data))

    def _check_gap(self, data, start, end):
        if data[start:end] != _PATTERN * (end - start):
            raise RefereeError("the DMA wrote between the driver's buffers")

    def _take(self, block, data):
        # What QEMU's memory holds; whether it is news. Byte by byte only where it is.
        if data == block.known:
            return False
        if block.buf == block.known:
            block.buf[:] = data
        elif block in self._rings:
            for o in range(0, len(data), 4):
                if data[o : o + 4] != block.known[o : o + 4]:
                    if block.buf[o : o + 4] != block.known[o : o + 4]:
                        raise RefereeError("both changed %s" % self._name(block, o // 16))
                    block.buf[o : o + 4] = data[o : o + 4]
        else:
            raise RefereeError("the driver and the DMA changed a buffer at the same time")
        block.known[:] = data
        self.pulled += len(data)
        return True


class _Block:
    def __init__(self, address, n):
        self.address = address
        self.buf = bytearray(n)  # the driver's
        self.known = bytearray(n)  # what it and QEMU's RAM held when they last met
