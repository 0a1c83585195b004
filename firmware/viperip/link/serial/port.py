# Records over a serial line that the REPL's text may share: README.md has the format.
import array
import time

from ... import native

CONTROL = const(1)  # a JSON object
CREDIT = const(2)  # how many bytes this end has taken from the line, modulo 2**16, big endian
FRAME = const(3)  # an Ethernet frame
PACKET = const(4)  # a captured frame: see capture.py

FIRST = const(0x80)
LAST = const(0x40)
_NUMBER = const(0x3F)

DATA = const(120)  # bytes of a record in one segment
_LINE = const(DATA + 6)  # a whole segment: it fits into the FIFO of a UART, 128 bytes
KIND = const(1)  # where a received record begins, with its kind
BODY = const(2)  # where its data begin: an IP header in a frame is on a word boundary there
_TEXT = const(1024)  # bytes of text that wait to be read
_BURST_MS = const(10)

# The state of the ring, for the routines (viper/serial.py).
_AT = const(0)
_WAITING = const(1)
_SIZE = const(2)
_HEAD = const(3)
_HEAD_N = const(4)
_OFF = const(5)
_N = const(6)

_routines = native.load("serial")
_record = _routines.record
_segment = _routines.segment
_unsegment = _routines.unsegment
_copy = native.load("memory").copy


class Port:
    """Records both ways over a stream, between which there may be text.

    stream: readinto(buf) takes what is there (0: nothing), write(buf, n) writes it all. room:
    bytes of records that may wait to be sent. baudrate: what goes out is held to it, so that no
    write waits for the line; 0: it is not. handlers: kind of record -> function(record, n), with n
    bytes of data at record[BODY:]; one that returns True keeps the record until release().
    """

    def __init__(self, stream, room=4096, mtu=1500, baudrate=115200):
        self.stream = stream
        self.mtu = mtu
        self.handlers = {}
        self.record = bytearray(BODY + mtu + 18)
        self.text = bytearray()
        self.held = False  # nothing is sent: the other end may not have this speed yet
        self.lent = 0  # bytes of data of the record that a handler keeps
        self.taken = 0  # bytes read from the stream, modulo 2**16
        self.received = 0  # records, modulo 2**16
        self.rx_bad = 0  # segments that were none
        self.rx_lost = 0  # records of which a segment was missing, or that were too long
        self._in = bytearray(64)
        self._in_at = 0
        self._in_n = 0
        self._line = bytearray(_LINE)
        self._line_n = -1  # -1: outside, in text
        self._fill = -1  # bytes of the record that have come, -1: none is being received
        self._expect = 0
        self._ring = bytearray(room)
        self._s = array.array("i", (0, 0, room, 0, 0, 0, 0))
        self._left = 0  # bytes of the record that is being sent
        self._number = 0
        self._out = bytearray(_LINE + 1)
        self.baudrate = baudrate
        self._credit = 0
        self._since = time.ticks_us()

    # In.

    def receive(self):
        """Take what has come, until a handler keeps a record."""
        while not self.lent:
            if self._in_at == self._in_n:
                self._in_at = 0
                self._in_n = n = self.stream.readinto(self._in)
                if not n:
                    return
                self.taken = (self.taken + n) & 0xFFFF
            b = self._in[self._in_at]
            self._in_at += 1
            if b:
                self._inside(b)
            else:
                self._delimiter()

    def release(self):
        """The record that was kept is done with."""
        self.lent = 0

    @property
    def unread(self):
        """Bytes that are `taken`, but not looked at yet."""
        return self._in_n - self._in_at

    def _inside(self, b):
        n = self._line_n
        if n < 0:
            if len(self.text) < _TEXT:
                self.text.append(b)
        elif n < _LINE:
            self._line[n] = b
            self._line_n = n + 1
        else:
            # Too long for a segment: the delimiter before it was the end of one.
            self.rx_bad += 1
            self._line_n = -1

    def _delimiter(self):
        n = self._line_n
        if n <= 0:
            self._line_n = 0
            return
        n = _unsegment(self._line, n)
        if n < 0:
            # It may have been text between two segments: then this delimiter begins one.
            self.rx_bad += 1
            self._line_n = 0
            return
        self._line_n = -1
        self._segment(n)

    def _segment(self, n):
        head = self._line[0]
        at = self._fill
        if head & FIRST:
            if at >= 0:
                self.rx_lost += 1
            at = 0
        elif at < 0 or head & _NUMBER != self._expect:
            self._lost()
            return
        n -= 1
        if KIND + at + n > len(self.record):
            self._lost()
            return
        _copy(self.record, KIND + at, self._line, 1, n)
        self._expect = (head + 1) & _NUMBER
        if not head & LAST:
            self._fill = at + n
            return
        self._fill = -1
        self.received = (self.received + 1) & 0xFFFF
        n += at - 1
        handler = self.handlers.get(self.record[KIND])
        if n >= 0 and handler is not None and handler(self.record, n):
            self.lent = n

    def _lost(self):
        if self._fill >= 0:
            self.rx_lost += 1
        self._fill = -1

    # Out.

    @property
    def waiting(self):
        """Bytes of records that wait to be sent."""
        return self._s[_WAITING]

    def free(self):
        """How many bytes a record may have that is put() now."""
        s = self._s
        return s[_SIZE] - s[_WAITING] - 2

    def put(self, head, hn, buf, off, n):
        """Have the record of head[:hn] and buf[off:off+n] sent; False: no room, it is not."""
        if hn + n > self.free():
            return False
        self._s[_HEAD_N] = hn
        self._s[_OFF] = off
        self._s[_N] = n
        _record(self._ring, self._s, head, buf)
        return True

    def flush(self):
        """Send whole segments while the line takes them."""
        s = self._s
        while s[_WAITING] and not self.held and self._may_send():
            self._send()

    def drain(self):
        """Send all that waits; it takes as long as the line does."""
        self.held = False
        while self._s[_WAITING]:
            self.flush()

    def _send(self):
        s = self._s
        head = self._number
        if not self._left:
            self._left = self._take() << 8
            self._left |= self._take()
            head |= FIRST
        n = self._left
        if n <= DATA:
            head |= LAST
        else:
            n = DATA
        self._left -= n
        self._number = (self._number + 1) & _NUMBER
        s[_HEAD] = head
        s[_N] = n
        n = _segment(self._out, self._ring, s)
        self._credit -= n
        self.stream.write(self._out, n)

    def _take(self):
        # A byte of a length.
        s = self._s
        at = s[_AT]
        s[_WAITING] -= 1
        s[_AT] = at + 1 if at + 1 < s[_SIZE] else 0
        return self._ring[at]

    def _may_send(self):
        # The credit grows by what the line carries meanwhile: ten bits a byte.
        rate = self.baudrate // 1000
        if not rate:
            return True
        passed = time.ticks_diff(time.ticks_us(), self._since)
        if not 0 <= passed < 100000:
            self._since = time.ticks_us()
            passed = 0
            self._credit = _LINE
        gain = passed * rate // 10000
        if gain:
            self._since = time.ticks_add(self._since, gain * 10000 // rate)
            self._credit = min(self._credit + gain, rate * _BURST_MS // 10 + _LINE)
        return self._credit > 0
