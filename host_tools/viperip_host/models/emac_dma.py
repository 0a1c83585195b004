# The DMA engine of the modelled EMAC: what moves between descriptors, FIFO and wire.
#
# Descriptors: TRM, "Linked List Descriptors"; ESP-IDF emac_hal.h. The engine advances when a
# register is accessed, and on step().
import struct

from dma_memory import ModelError

_OWN = const(0x80000000)
_FCS = b"\xfe\xed\xfa\xce"  # not computed: a driver must not look
_FIFO = const(2048)

# STATUS.
_TI = const(0x1)
_TPS = const(0x2)
_TU = const(0x4)
_OVF = const(0x10)
_RI = const(0x40)
_RU = const(0x80)
_RPS = const(0x100)
_FBI = const(0x2000)
_ABNORMAL = const(0x27BA)
_NORMAL = const(0x4045)

_STOPPED = const(0)
_WAITING = const(1)
_SUSPENDED = const(2)


class Engine:
    """Base of the EMAC model. The wire is a link device: its received frames come into the MAC,
    what the MAC sends it sends.

    Counters of the model: rx_frames, tx_frames, filtered (wrong address), deaf (came while the
    receiver could not hear: off, no link, another speed), unheard (sent into such a wire),
    bad_dropped (errors that the MAC drops).
    """

    cable = None
    frozen = False  # tests: nothing moves

    def __init__(self):
        self.rx_frames = self.tx_frames = self.filtered = self.deaf = self.bad_dropped = 0
        self.unheard = 0
        self.next_error = 0  # tests: RDES0 bits of the next frame
        self.next_cut = 0  # tests: an overflow cuts the next frame after so many bytes
        self.tx_error = 0  # tests: TDES0 bits of the next frame sent
        self.tx_hangs = False  # tests: the transmitter makes no progress
        self.paused = False  # tests: a pause frame holds the transmitter
        self._stepping = False
        self._afm = 0

    def engine_reset(self):
        self.status = 0
        self.missed = 0
        self.fifo_lost = 0
        self.rx_current = self.tx_current = 0
        self.rx_busy = self.tx_busy = 0  # reads of DEBUG for which it shows work
        self._rx = self._tx = _STOPPED
        self._fatal = 0
        self._fifo = []
        self._fifo_bytes = 0

    # What registers show and do.

    def states(self):
        # STATUS, its read-only part: RS, TS (the generic core's coding), EB.
        rs = (0, 3, 4)[self._rx]
        ts = (0, 1, 6)[self._tx]
        return rs << 17 | ts << 20 | self._fatal << 23

    def debug(self):
        word = 0
        if self.tx_busy:
            self.tx_busy -= 1
            word |= 0x50000
        if self.rx_busy:
            self.rx_busy -= 1
            word |= 0x20
        if self.paused:
            word |= 0x80000
        return word

    def switched(self, before, after):
        # OPMODE.ST, OPMODE.SR.
        if self._fatal:
            return
        if after & ~before & 0x2000:
            self._tx = _WAITING
        elif before & ~after & 0x2000:
            self._tx = _STOPPED
            self._raise(_TPS)
        if after & ~before & 2:
            self._rx = _WAITING
            while self._fifo and self._rx == _WAITING:
                frame = self._fifo.pop(0)
                self._fifo_bytes -= len(frame)
                self._store(frame, 0, len(frame))
        elif before & ~after & 2:
            self._rx = _STOPPED
            self._raise(_RPS)

    def demand_rx(self):
        if self._rx == _SUSPENDED:
            self._rx = _WAITING
            self._prefetch()

    def demand_tx(self):
        if self._tx == _SUSPENDED:
            self._tx = _WAITING

    def _raise(self, bits):
        self.status |= bits
        enabled = self.dma[0x1C]
        if self.status & enabled & _NORMAL:
            self.status |= 0x10000
        if self.status & enabled & _ABNORMAL:
            self.status |= 0x8000
        if self.status & enabled & 0x18000 and not self.soc.serves_interrupts:
            raise ModelError("an interrupt of the EMAC, and nobody to serve it")

    def overflow(self, frames=1):
        """Tests: the receive FIFO overflows, and so many frames are lost."""
        self.fifo_lost += frames
        self._raise(_OVF)

    def underflow(self):
        """Tests: the transmit FIFO runs empty in the middle of a frame."""
        self._tx = _SUSPENDED
        self._raise(0x20)

    def _bus_error(self, code):
        # Both engines are dead until a soft reset. EB says what was being done.
        self._rx = self._tx = _STOPPED
        self._fatal = code
        self._raise(_FBI)

    # The engine.

    def step(self):
        """Take what has come on the wire, send what is due."""
        if self._stepping or self.frozen:
            return
        self._stepping = True
        try:
            if self._tx == _WAITING and self.mac[0] & 8 and not (self.tx_hangs or self.paused):
                while self._send():
                    pass
            cable = self.cable
            if cable is not None:
                n = cable.recv()
                while n:
                    self.arrive(cable.rx, cable.rx_off, n)
                    cable.release()
                    n = cable.recv()
        finally:
            self._stepping = False

    def _hears(self):
        # The wire reaches the MAC: the PHY has a link, at the speed and duplex of CONFIG.
        if self.phy.bmcr & 0x4000 or not self.soc.phy_alive() or not self.phy.up():
            return False
        return self.agrees()

    def agrees(self):
        """Whether CONFIG says what the PHY negotiated."""
        mode = self.phy.mode()
        config = self.mac[0]
        return bool(config & 0x4000) == bool(mode & 2) and bool(config & 0x800) == bool(mode & 4)

    def arrive(self, buf, off, n):
        """A frame of n bytes, without its FCS, comes from the wire."""
        if not self.mac[0] & 4 or self.mac[0] & 0x1000 or not self._hears():
            self.deaf += 1
            return
        self._receive(buf, off, n)

    def _receive(self, buf, off, n):
        self._afm = 0
        if not self.accepts(buf, off):
            if not self.mac[4] & 0x80000001:
                self.filtered += 1
                return
            # It is let in all the same, and marked.
            self._afm = 0x40000000
        if (self.next_error & 0x9A or n > 1518) and not self.dma[0x18] & 0x80:
            # CRC error, collision, watchdog, or a giant, with FEF=0.
            self.next_error = 0
            self.bad_dropped += 1
            return
        if n < 60:
            # No Ethernet wire carries that, but an in-memory one may.
            padded = bytearray(60)
            padded[:n] = bytes(memoryview(buf)[off : off + n])
            buf, off, n = padded, 0, 60
        if not self.dma[0x18] & 2:
            if self._fifo_bytes + n + 4 > _FIFO:
                self.fifo_lost += 1
                self._raise(_OVF)
                return
            self._fifo.append(bytes(memoryview(buf)[off : off + n]))
            self._fifo_bytes += n
            return
        self._store(buf, off, n)

    def accepts(self, buf, off):
        """Whether the frame at buf[off:] is addressed to this station, by FRAMEFILTER."""
        word = self.mac[4]
        if buf[off] & 1:
            if self._is_broadcast(buf, off):
                return not word & 0x20
            if word & 0x10:
                return True
            if word & 4 and self._hashed(buf, off):
                return True
        for pair in self.stations:
            if pair is not None and self._equal(pair, buf, off):
                return True
        return False

    def _is_broadcast(self, buf, off):
        for i in range(6):
            if buf[off + i] != 0xFF:
                return False
        return True

    def _equal(self, pair, buf, off):
        high, low = pair
        for i in range(6):
            if high >> 24 + i & 1 and pair is not self.stations[0]:
                continue
            byte = low >> 8 * i if i < 4 else high >> 8 * (i - 4)
            if byte & 0xFF != buf[off + i]:
                return False
        return True

    def _hashed(self, buf, off):
        # The upper six bits of the CRC-32 as the receiver computes it, most significant bit first.
        crc = 0xFFFFFFFF
        for i in range(6):
            byte = buf[off + i]
            for _ in range(8):
                bit = (crc >> 31 ^ byte) & 1
                crc = crc << 1 & 0xFFFFFFFF
                if bit:
                    crc ^= 0x04C11DB7
                byte >>= 1
        index = (crc ^ 0xFFFFFFFF) >> 26
        word = self.mac[8] if index & 32 else self.mac[12]
        return word >> (index & 31) & 1

    # Receiving.

    def _descriptor(self, address, code):
        # (buffer, offset, four words), None after a bus error.
        if address & 3:
            raise ModelError("a descriptor at 0x%08x: not aligned" % address)
        if not self.soc.memory.reaches(address):
            self._bus_error(code)
            return None
        buf, o = self.soc.memory.find(address, 32 if self.dma[0] & 0x80 else 16, "a descriptor")
        return buf, o, struct.unpack_from("<4I", buf, o)

    def _next(self, address, chained, last, base, word3):
        if last:
            return base
        if chained:
            return word3
        # BUSMODE: ATDS says how long a descriptor is, DSL what is left out between two.
        return address + (32 if self.dma[0] & 0x80 else 16) + 4 * (self.dma[0] >> 2 & 31)

    def _unavailable(self):
        self._rx = _SUSPENDED
        self._raise(_RU)

    def _prefetch(self):
        # The DMA wants to have the next descriptor before the next frame.
        d = self._descriptor(self.rx_current, 6)
        if d is not None and not d[2][0] & _OWN:
            self._unavailable()

    def _store(self, buf, off, n):
        # A frame goes to memory: over as many descriptors as it needs.
        if self._rx == _SUSPENDED and not self.wedges:
            self._rx = _WAITING
        if self._rx != _WAITING:
            self.missed = min(self.missed + 1, 0xFFFF)
            return
        frame = bytes(memoryview(buf)[off : off + n]) + _FCS
        error = self.next_error
        self.next_error = 0
        if self.next_cut:
            frame = frame[: self.next_cut]
        at = 0
        first = 0x200
        while True:
            d = self._descriptor(self.rx_current, 6)
            if d is None:
                return
            memory, o, w = d
            if not w[0] & _OWN:
                # What was written of the frame stays without a last descriptor.
                self.missed = min(self.missed + 1, 0xFFFF)
                self._unavailable()
                return
            at = self._fill(w, frame, at)
            if at < 0:
                return
            last = at == len(frame)
            w0 = first
            if last and self.next_cut:
                self.next_cut = 0
                self.overflow()
            elif last:
                w0 |= 0x100 | len(frame) << 16 | 0x20 | error | self._afm
                if error:
                    w0 |= 0x8000
            self.rx_current = self._next(
                self.rx_current, w[1] & 0x4000, w[1] & 0x8000, self.dma[0x0C], w[3]
            )
            # OWN goes last: the word is written in one.
            struct.pack_into("<I", memory, o, w0)
            first = 0
            if last:
                break
        self.rx_frames += 1
        self.rx_busy = 2
        if not w[1] & _OWN:
            self._raise(_RI)
        self._prefetch()

    def _fill(self, w, frame, at):
        # Fill the buffer of a receive descriptor; how far the frame is stored, -1: a bus error.
        size = w[1] & 0x1FFF
        if size & 3 or not size:
            raise ModelError("RDES1: a buffer of %d bytes" % size)
        n = min(size, len(frame) - at)
        address = w[2]
        if not self.soc.memory.reaches(address):
            self._bus_error(0)
            return -1
        # The whole buffer must be the driver's, not only what this frame fills.
        memory, o = self.soc.memory.find(address, size, "a receive buffer")
        memory[o : o + n] = frame[at : at + n]
        return at + n

    # Sending.

    def _send(self):
        # One frame; whether there may be more.
        cable = self.cable
        start = self.tx_current
        d = self._descriptor(start, 7)
        if d is None:
            return False
        if not d[2][0] & _OWN:
            self._tx = _SUSPENDED
            self._raise(_TU)
            return False
        out = None
        if cable is not None and not self.mac[0] & 0x1000:
            out = cable.borrow()
            if out is None:
                return False  # the wire is busy; later
        frame = b""
        first = True
        done = []
        address = start
        while True:
            memory, o, w = d
            self._check_tx(w, first)
            done.append((memory, o, w))
            n = w[1] & 0x1FFF
            if not self.soc.memory.reaches(w[2]):
                self._bus_error(3)
                return False
            data, at = self.soc.memory.find(w[2], n, "a transmit buffer")
            frame += bytes(memoryview(data)[at : at + n])
            address = self._next(address, w[0] & 0x100000, w[0] & 0x200000, self.dma[0x10], w[3])
            if w[0] & 0x20000000:
                break
            first = False
            d = self._descriptor(address, 7)
            if d is None:
                return False
            if not d[2][0] & _OWN:
                raise ModelError("a frame to send whose next descriptor is not the DMA's")
        self.tx_current = address
        self._transmit(frame, w[0], out)
        status = 0
        if self.tx_error:
            status = self.tx_error | 0x8000
            self.tx_error = 0
        for memory, o, w in done:
            struct.pack_into("<I", memory, o, w[0] & 0x30300000 | status)
        if w[0] & 0x40000000:
            self._raise(_TI)
        return True

    def _check_tx(self, w, first):
        if first != bool(w[0] & 0x10000000):
            raise ModelError("TDES0: the first descriptor of a frame, and only that, has FS")
        if w[0] & 0xC00000:
            raise ModelError("TDES0.CIC: checksum insertion spoils frames on the ESP32")
        if w[0] & 0x0C000000:
            raise ModelError("TDES0: a frame without its FCS or padding")
        if not w[1] & 0x1FFF:
            raise ModelError("TDES1: an empty buffer")
        if w[1] & 0xFFFFE000:
            raise ModelError("TDES1 = 0x%08x: a second buffer, or the source address" % w[1])

    def _transmit(self, frame, w0, out):
        n = len(frame)
        if n < 14:
            raise ModelError("a frame of %d bytes was sent" % n)
        if n > 1518:
            raise ModelError("a giant of %d bytes was sent" % n)
        if n < 60:
            frame += bytes(60 - n)
            n = 60
        self.tx_frames += 1
        self.tx_busy = 2
        if self.mac[0] & 0x1000 or self.phy.bmcr & 0x4000:
            # Loopback, in the MAC or in the PHY.
            if self.mac[0] & 4:
                self._receive(frame, 0, n)
            return
        if out is None or not self._hears():
            self.unheard += 1
            return
        off = self.cable.tx_off
        out[off : off + n] = frame
        self.cable.send(n)
