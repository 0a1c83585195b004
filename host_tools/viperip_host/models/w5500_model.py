# A W5500 as its SPI bus sees it: what W5500Model does, and what it refuses, is WIZnet's "W5500
# Datasheet" 1.0.9, sections 2 (SPI), 3 (memory), 4 (registers) and 5.5.1 (reset). Where the data
# sheet is silent, the model takes what is worse for the driver, and a comment says so.
from time import ticks_add

from dma_memory import ModelError
from viperip import native

_ring_copy = native.load("memory").ring_copy

VERSIONR = 0x39
SIZE = 16384
LONGEST = 1514
SHORTEST = 60

_READ_ONLY = (3, 0x20, 0x21, 0x22, 0x23, 0x26, 0x27, 0x2A, 0x2B)  # of a socket
_RESERVED = (0x14, 0x17, 0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1D)
# What OPMDC means: (speed bit, duplex bit), 4 and 7 negotiate.
_MODES = {0: 0, 1: 4, 2: 2, 3: 6}


class Clock:
    """Time that passes with every byte on SPI, and when somebody sleeps."""

    def __init__(self, start=1000):
        self._start = start
        self._ms = 0
        self._us = 0  # of the millisecond, so that no number grows

    def ticks_ms(self):
        return ticks_add(self._start, self._ms)

    def now(self):
        # Microseconds modulo 2**29, which a small int holds.
        return (self._ms * 1000 + self._us) & 0x1FFFFFFF

    def pass_us(self, us):
        self._us += us
        while self._us >= 1000:
            self._us -= 1000
            self._ms = (self._ms + 1) & 0x7FFFF

    def sleep_ms(self, ms):
        self.pass_us(ms * 1000)


class W5500Model:
    """The chip: a machine.SPI (write, readinto, write_readinto) with the pins cs, reset and irq.

    cable: a link device, the far end of the wire. What a test may set:
    present, floating: whether the chip is there, else what MISO reads. plugged: a cable.
    speed, full: what the PHY negotiates. command_us: how long a command takes; None: for ever.
    boot_us: how long after a reset VERSIONR reads 0. resets: whether a soft reset ends.
    pointers: where OPEN puts the pointers. lie: what the header of the next frame says instead of
    its length. tear: the next reading of Sn_RX_RSR is hit by a frame between its two bytes.
    filters_groups: by the data sheet a chip with MFEN takes no multicast; those that were watched
    take those of IP. transactions, lost: counters.
    """

    def __init__(self, cable, mhz=20, clock=None):
        self.cable = cable
        self.clock = clock or Clock()
        self.mhz = mhz
        self.present = self.plugged = self.resets = True
        self.floating = 0xFF
        self.speed = 100
        self.full = True
        self.command_us = 10
        self.boot_us = 3000
        self.pointers = 0
        self.lie = None
        self.tear = False
        self.filters_groups = False
        self.version = 4
        self.transactions = 0
        self.lost = 0  # frames that found no room in the receive memory
        self.filtered = 0
        self.sent = 0
        self.log = None  # a list: (block, address, write, bytes) of each transaction
        self._selected = False
        self._held = False  # in reset by its pin
        self._head = bytearray(3)
        self.rx = bytearray(SIZE)
        self.tx = bytearray(SIZE)
        self._left = [0] * 512  # lengths of the frames that wait, as a ring
        self._power_on()

    def _power_on(self):
        # All registers as after a reset.
        self.common = bytearray(64)
        self.common[0x19:0x1C] = b"\x07\xd0\x08"
        self.common[0x2E] = 0xB8
        self.sockets = [bytearray(0x30) for _ in range(8)]
        for s in self.sockets:
            s[0x1E] = s[0x1F] = 2
            s[0x20] = 8
            s[0x16] = 0x80
            s[0x2C] = 0xFF
        self._booted = self.clock.now()
        self._booting = True
        self._resetting = False
        self._command = 0  # of socket 0, while Sn_CR shows it
        self._command_at = 0
        self._tx_rd = self._tx_wr = self._tx_new = 0
        self._sending = 0  # bytes of the frame on its way out
        self._send_at = 0
        self._written = 0  # bytes in a row, from _tx_rd on, that the host has written
        self._rx_rd = self._rx_wr = self._rx_new = 0
        self._first = self._frames = 0
        self._read_again = 0

    def brown_out(self):
        """All settings are gone, as after a dip of the supply."""
        self._power_on()

    def fail(self, text):
        # What went wrong must not go wrong again: a test may look at the chip afterwards.
        self._selected = False
        raise ModelError("W5500: " + text)

    # Pins.

    def cs(self, value):
        if value:
            if self._selected:
                self._selected = False
                self._end()
            return
        if self._selected:
            self.fail("chip select goes low, but it was not high since the last transaction")
        self._selected = True
        self._phase = 0
        self._count = 0
        self.transactions += 1
        if self.present:
            self.step()

    def reset(self, value):
        if not value:
            self._held = True
            self._low_at = self.clock.now()
        elif self._held:
            self._held = False
            if self._since(self._low_at) < 500:
                self.fail("RSTn was low for less than 500 us")
            self._power_on()

    def irq(self):
        self.step()
        s = self.sockets[0]
        return 0 if s[2] & s[0x2C] and self.common[0x18] & 1 else 1

    def _since(self, us):
        return (self.clock.now() - us) & 0x1FFFFFFF

    # SPI.

    def write(self, buf):
        self._transfer(buf, None, len(buf), 0)

    def readinto(self, buf, write=0):
        self._transfer(None, buf, len(buf), write)

    def write_readinto(self, out, into):
        if len(out) != len(into):
            raise ValueError("buffers must be the same length")
        self._transfer(out, into, len(out), 0)

    def _transfer(self, out, into, n, fill):
        if not self._selected:
            self.fail("a transfer without chip select")
        self.clock.pass_us((n * 8 + self.mhz - 1) // self.mhz)
        if not self.present or self._held:
            i = 0
            while into is not None and i < n:
                into[i] = self.floating
                i += 1
            return
        self._out = out
        self._into = into
        i = self._header(n, fill)
        if i < n:
            self._data(i, n - i)

    def _header(self, n, fill):
        # Address and control; how many of the n bytes belong to them.
        i = 0
        while i < n and self._phase < 3:
            self._head[self._phase] = self._out[i] if self._out is not None else fill
            self._phase += 1
            if self._into is not None:
                self._into[i] = self._phase  # seen on the real chip: 1, 2, 3
            i += 1
            if self._phase == 3:
                self._begin()
        return i

    def _begin(self):
        h = self._head
        self._address = h[0] << 8 | h[1]
        self._block = h[2] >> 3
        self._writes = h[2] & 4
        if h[2] & 3:
            self.fail("a fixed data length (OM is not 0), which needs SCSn tied low")
        if self._block and not self._block & 3:
            self.fail("block %d is reserved: the chip may malfunction" % self._block)

    def _end(self):
        if not self.present or self._held:
            return
        if self._phase < 3:
            self.fail("chip select went high inside address and control")
        if not self._count:
            self.fail("a transaction without data")
        if self.log is not None:
            self.log.append((self._block, self._address, self._writes, self._count))
        if self._writes and self._block & 3 == 1:
            if self._address in (0x24, 0x28) and self._count != 2:
                self.fail("half a pointer was written")
        self._phase = 0

    def _data(self, i, n):
        kind = self._block & 3
        self._count += n
        if self._writes:
            if self._out is None:
                self.fail("a write without data: the bytes of readinto()")
            if kind == 2:
                self._write_tx(i, n)
            elif kind == 3:
                self.fail("the host writes into the receive memory")
            else:
                self._write_registers(i, n)
            return
        if self._into is None:
            self.fail("a read whose data nobody takes")
        if kind == 3:
            self._read_rx(i, n)
        elif kind == 2:
            _ring_copy(self._into, i, self.tx, self._data_at(n) % SIZE, -SIZE, n)
        else:
            self._read_registers(i, n)

    def _data_at(self, n):
        # The address of the last n bytes of the transaction.
        return (self._address + self._count - n) & 0xFFFF

    # Registers.

    def _write_registers(self, i, n):
        at = self._data_at(n)
        n += i
        while i < n:
            self._write_register(at, self._out[i])
            at += 1
            i += 1

    def _read_registers(self, i, n):
        at = self._data_at(n)
        if self._block == 0:
            r = self.common
            self._refresh()
        else:
            r = self.sockets[self._block >> 2]
            if self._block == 1:
                self._show()
        while n:
            self._into[i] = r[at] if at < len(r) else 0
            if at == 0x26 and self.tear and self._block == 1:
                # The next frame comes just now.
                self.tear = False
                self._take()
                self._show()
            at += 1
            i += 1
            n -= 1

    def _refresh(self):
        c = self.common
        booting = self._booting
        c[VERSIONR] = 0 if booting else self.version
        c[0x17] = 1 if self.sockets[0][2] & self.sockets[0][0x2C] else 0
        status = 0
        if self.linked():
            status = 1 | (2 if self.speed == 100 else 0) | (4 if self.full else 0)
            mode = c[0x2E] >> 3 & 7
            if c[0x2E] & 0x40 and mode in _MODES:
                status = 1 | _MODES[mode]
        c[0x2E] = (c[0x2E] & 0xF8) | status

    def linked(self):
        return self.plugged and self.common[0x2E] & 0x80 and self.cable.link()

    def _show(self):
        s = self.sockets[0]
        s[1] = self._command
        free = SIZE - ((self._tx_wr - self._tx_rd) & 0xFFFF)
        self._store(0x20, free)
        self._store(0x22, self._tx_rd)
        self._store(0x24, self._tx_wr)  # until SEND it shows the old one, some say
        self._store(0x26, (self._rx_wr - self._rx_rd) & 0xFFFF)
        self._store(0x28, self._rx_new)
        self._store(0x2A, self._rx_wr)

    def _store(self, at, value):
        s = self.sockets[0]
        s[at] = value >> 8
        s[at + 1] = value & 0xFF

    def _write_register(self, at, value):
        if self._block == 0:
            self._write_common(at, value)
            return
        s = self.sockets[self._block >> 2]
        if at >= 0x30 or at in _RESERVED:
            self.fail("a write to 0x%02x of a socket, which is reserved" % at)
        if at in _READ_ONLY:
            self.fail("a write to 0x%02x of a socket, which is read-only" % at)
        if at in (0x1E, 0x1F):
            if value not in (0, 1, 2, 4, 8, 16):
                self.fail("a buffer of %d KB" % value)
            if s[3]:
                self.fail("the size of a buffer changes while its socket is open")
            s[at] = value
            return
        if self._block != 1:
            s[at] = value
            return
        if at == 2:
            s[2] &= ~value  # written ones clear
            return
        if self._command and at in (0, 1, 0x24, 0x25, 0x28, 0x29):
            self.fail("0x%02x is written while Sn_CR is busy with 0x%02x" % (at, self._command))
        if at == 0 and s[3]:
            self.fail("Sn_MR is written while the socket is open")
        if at == 1:
            self._order(value)
        elif at == 0x24:
            self._tx_new = value << 8 | self._tx_new & 0xFF
        elif at == 0x25:
            self._tx_new = self._tx_new & 0xFF00 | value
        elif at == 0x28:
            if self._rx_new != self._rx_rd:
                self.fail("Sn_RX_RD moves again, but RECV did not tell of the last time")
            self._rx_new = value << 8 | self._rx_new & 0xFF
        elif at == 0x29:
            self._rx_new = self._rx_new & 0xFF00 | value
        else:
            s[at] = value

    def _write_common(self, at, value):
        if self._booting:
            self.fail("a register is written before the chip is awake")
        if self._resetting:
            self.fail("a register is written while a soft reset is under way")
        if at == 0:
            if value & 0x80:
                self._resetting = True
                self._reset_at = self.clock.now()
            self.common[0] = value
        elif 1 <= at <= 0x16 or 0x18 <= at <= 0x27 or at == 0x2E:
            self.common[at] = value
        else:
            self.fail("a write to the common register 0x%02x" % at)

    # Commands.

    def _order(self, value):
        s = self.sockets[0]
        if value == 1:
            self._check_open(s)
        elif value not in (0x10, 0x20, 0x40):
            self.fail("command 0x%02x in MACRAW mode" % value)
        elif value != 0x10 and s[3] != 0x42:
            self.fail("command 0x%02x without an open socket" % value)
        if value == 0x20:
            self._check_send()
        elif value == 0x40:
            self._check_recv()
        self._command = value
        self._command_at = self.clock.now()

    def _check_open(self, s):
        if s[3]:
            self.fail("OPEN of an open socket")
        if s[0] & 15 != 4:
            self.fail("OPEN with mode %d, not MACRAW" % (s[0] & 15))
        for i in (0x1E, 0x1F):
            if sum([x[i] for x in self.sockets]) > 16:
                self.fail("buffers of more than 16 KB in all")
        if s[0x1E] != 16 or s[0x1F] != 16:
            self.fail("the model knows buffers of 16 KB only")

    def _check_send(self):
        n = (self._tx_new - self._tx_rd) & 0xFFFF
        if self._sending:
            self.fail("SEND while a frame is on its way: two would become one")
        if not n:
            self.fail("SEND, but Sn_TX_WR was not moved")
        if n > LONGEST:
            self.fail("SEND of %d bytes" % n)
        if n < SHORTEST:
            self.fail("SEND of %d bytes: nothing says that the chip pads" % n)
        if n > self._written:
            self.fail("SEND of %d bytes, of which %d were written" % (n, self._written))

    def _check_recv(self):
        n = (self._rx_new - self._rx_rd) & 0xFFFF
        if not n:
            self.fail("RECV, but Sn_RX_RD was not moved")
        if n > ((self._rx_wr - self._rx_rd) & 0xFFFF):
            self.fail("Sn_RX_RD beyond what was received")
        i = self._first
        while n > 0:
            n -= self._left[i]
            i = (i + 1) % len(self._left)
        if n:
            self.fail("Sn_RX_RD inside a frame")

    def step(self):
        """Let happen what is due by now."""
        if self._booting and self._since(self._booted) >= self.boot_us:
            self._booting = False
        if self._resetting and self.resets and self._since(self._reset_at) >= 100:
            self._power_on()
        if self._command and self.command_us is not None:
            if self._since(self._command_at) >= self.command_us:
                self._obey()
        if self._sending and self.linked():
            # Preamble, FCS and gap: 24 bytes.
            if self._since(self._send_at) >= (self._sending + 24) * 8 // self.speed:
                self._transmit()
        while not self._frames or not self.tear:
            if not self._take():
                break

    def _obey(self):
        s = self.sockets[0]
        command, self._command = self._command, 0
        if command == 1:
            s[3] = 0x42
            self._tx_rd = self._tx_wr = self._tx_new = self.pointers
            self._rx_rd = self._rx_wr = self._rx_new = self.pointers
            self._first = self._frames = self._written = self._sending = 0
        elif command == 0x10:
            s[3] = 0
            self._frames = self._sending = 0
        elif command == 0x20:
            self._tx_wr = self._tx_new
            self._sending = (self._tx_wr - self._tx_rd) & 0xFFFF
            self._send_at = (self._command_at + self.command_us) & 0x1FFFFFFF
        else:
            n = (self._rx_new - self._rx_rd) & 0xFFFF
            self._rx_rd = self._rx_new
            self._read_again = 0
            while n > 0:
                n -= self._left[self._first]
                self._first = (self._first + 1) % len(self._left)
                self._frames -= 1

    # Memory and frames.

    def _write_tx(self, i, n):
        ahead = (self._data_at(n) - self._tx_rd) & 0xFFFF
        if ahead < self._sending:
            self.fail("the frame that is on its way is overwritten")
        if ahead + n > SIZE:
            self.fail("%d bytes at %d: more than Sn_TX_FSR" % (n, ahead))
        if ahead == 0:
            self._written = n
        elif ahead == self._written:
            self._written += n
        else:
            self.fail("a write %d bytes from where the frame starts" % ahead)
        _ring_copy(self.tx, self._data_at(n) % SIZE, self._out, i, SIZE, n)

    def _transmit(self):
        n = self._sending
        self._sending = self._written = 0
        at = self._tx_rd
        self._tx_rd = self._tx_wr
        self.sockets[0][2] |= 0x10
        self.sent += 1
        buf = self.cable.borrow()
        if buf is not None:
            _ring_copy(buf, self.cable.tx_off, self.tx, at % SIZE, -SIZE, n)
            self.cable.send(n)

    def _read_rx(self, i, n):
        at = self._data_at(n)
        if at == (self._rx_rd - 1) & 0xFFFF or at == self._rx_rd:
            self._read_again += 1
            if self._read_again > 20:
                self.fail("the same bytes are read again and again: Sn_RX_RD never moves")
        _ring_copy(self._into, i, self.rx, at % SIZE, -SIZE, n)

    def _take(self):
        # A frame from the cable; False if there is none.
        cable = self.cable
        n = cable.recv()
        if not n:
            return False
        if self.linked() and self.sockets[0][3] == 0x42:
            if not self._wanted(cable.rx, cable.rx_off, n):
                self.filtered += 1
            elif n + 2 > SIZE - ((self._rx_wr - self._rx_rd) & 0xFFFF):
                self.lost += 1
            else:
                self._keep(cable, n)
        cable.release()
        return True

    def _keep(self, cable, n):
        _ring_copy(self.rx, (self._rx_wr + 2) % SIZE, cable.rx, cable.rx_off, SIZE, n)
        n += 2
        self._left[(self._first + self._frames) % len(self._left)] = n
        self._frames += 1
        self._head_of(n if self.lie is None else self.lie)
        self.lie = None
        self._rx_wr = (self._rx_wr + n) & 0xFFFF
        self.sockets[0][2] |= 4

    def _head_of(self, n):
        self.rx[self._rx_wr % SIZE] = n >> 8
        self.rx[(self._rx_wr + 1) % SIZE] = n & 0xFF

    def _wanted(self, buf, off, n):
        mode = self.sockets[0][0]
        if n > LONGEST:
            return False
        if mode & 0x10 and buf[off + 12] == 0x86 and buf[off + 13] == 0xDD:
            return False
        if buf[off] == 0xFF:
            return not mode & 0x40
        if buf[off] & 1:
            v4 = buf[off] == 1 and buf[off + 2] == 0x5E
            if mode & 0x20 and v4:
                return False
            # esp-eth-drivers: with MFEN, groups of IP are let in, and no others.
            return not mode & 0x80 or not self.filters_groups and (v4 or buf[off] == 0x33)
        if not mode & 0x80:
            return True
        i = 0
        while i < 6:
            if buf[off + i] != self.common[9 + i]:
                return False
            i += 1
        return True
