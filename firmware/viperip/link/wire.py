# Frames over an inherited stream descriptor, framed as QEMU's `-netdev stream` does it:
#
#    0                 4
#   | length, big-end | frame ...     one after the other, both ways
#
# The launcher makes the descriptor (AF_UNIX, non-blocking) and hands it over by number.
# MicroPython's readinto() on a descriptor goes on until the buffer is full, so a length that is
# known beforehand is what keeps the frames apart without reading them into fresh memory.
from .device import LinkDevice

_SLACK = const(18)  # Ethernet header and one VLAN tag
_RX = const(2)  # where a received frame starts in its buffer
_TX = const(6)  # where a frame to send starts; its length stands in the four bytes before


class Wire(LinkDevice):
    """A link over descriptor `fd`, a non-blocking stream of length-prefixed frames."""

    def __init__(self, fd, mac, mtu=1500):
        self.mac = mac
        self.mtu = mtu
        self.rx_off = _RX
        self.tx_off = _TX
        self.rx_frames = 64  # about what the kernel's socket buffer holds
        self.rx = bytearray(_RX + mtu + _SLACK)
        self.bad_lengths = 0  # each ends the link: where the next frame starts is unknown
        self.tx_lost = 0  # frames given to a wire that had ended
        self._fd = fd
        self._file = open(fd, "r+b")
        self._read = self._file.readinto
        self._write = self._file.write
        self._max = mtu + _SLACK
        self._into = memoryview(self.rx)[_RX:]
        self._head = bytearray(4)
        self._head_view = memoryview(self._head)
        self._head_n = 0  # bytes of the header that have arrived
        self._want = 0  # length of the frame being read, 0 between frames
        self._got = 0  # bytes of it that have arrived
        self._ready = 0  # length of the frame lent to the caller
        self._tx = bytearray(_TX + mtu + _SLACK)
        self._tx_off = 0  # what is left to write: _tx[_tx_off:_tx_off+unsent]
        self.unsent = 0
        self._up = False
        self._open = True  # until everything that came has been read
        self._writable = True

    def up(self):
        if not self._open:
            from ..errors import ENODEV

            raise OSError(ENODEV)
        self._up = True

    def down(self):
        self._up = False
        self._ready = 0

    def link(self):
        return self._open

    def fileno(self):
        # A stream that has ended stays readable for ever: nobody should wait on it.
        return self._fd if self._open else -1

    def recv(self):
        if self.unsent:
            self._flush()
        if self._ready or not self._up:
            return self._ready
        if not self._open:
            return 0
        try:
            if not self._want and not self._header():
                return 0
            if self._got:
                n = self._read(self._into[self._got : self._want])
            else:
                n = self._read(self._into, self._want)
        except OSError:
            n = 0
        if n is None:
            return 0
        if not n:
            self._open = False
            return 0
        self._got += n
        if self._got == self._want:
            self._ready = n = self._want
            self._want = self._got = 0
            return n
        return 0

    def _header(self):
        # Read what is missing of the length; True once it is complete and fits.
        head = self._head
        n = self._head_n
        n = self._read(self._head_view[n:] if n else head)
        if n is None:
            return False
        if not n:
            self._open = False
            return False
        self._head_n += n
        if self._head_n < 4:
            return False
        self._head_n = 0
        n = head[2] << 8 | head[3]
        if not 0 < n <= self._max or head[0] or head[1]:
            self.bad_lengths += 1
            self._open = False
            return False
        self._want = n
        return True

    def release(self):
        self._ready = 0

    def borrow(self):
        if self.unsent:
            self._flush()
            if self.unsent:
                return None
        return self._tx if self._writable and self._open else None

    def send(self, n):
        tx = self._tx
        tx[2] = tx[3] = 0
        tx[4] = n >> 8
        tx[5] = n & 0xFF
        self._tx_off = 2
        self.unsent = 4 + n
        self._flush()

    def _flush(self):
        # Half a frame on the wire must be finished before anything else is written.
        try:
            n = self._write(self._tx, self._tx_off, self.unsent) if self._writable else 0
        except OSError:
            n = 0
        if n is None:
            return
        if not n:
            # The far end is gone; what it sent before may still wait to be read.
            self._writable = False
            self.unsent = 0
            self.tx_lost += 1
            return
        self._tx_off += n
        self.unsent -= n
