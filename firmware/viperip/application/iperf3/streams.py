# The data of a test: one object a stream and direction, moved a little at each turn.
#
# A UDP datagram begins with seconds(4), microseconds(4) and a number(4, or 8 if the client says
# udp_counters_64bit), all big-endian.
import struct
import time

from ...errors import EAGAIN, ENOBUFS, ENOMEM
from ...socket import SHUT_WR

# Bytes or datagrams moved before the others have their turn.
_TURN = const(16)
_CREDIT_MS = const(50)  # what a sender that came late may catch up with


class Stream:
    """One direction of one data connection. Counts since the last reset(): bytes, and for UDP
    packets and lost ones; jitter in seconds (RFC 3550 6.4.1)."""

    sender = False

    def __init__(self, sock, number, length):
        sock.setblocking(False)
        self.sock = sock
        self.id = number
        self.length = length
        self.bytes = 0
        self.packets = 0
        self.errors = 0
        self.omitted_packets = 0
        self.omitted_errors = 0
        self.jitter_us = 0
        self.since = 0  # bytes at the start of the interval
        self.ended = False
        self._retransmits = 0

    def reset(self):
        """Forget what was counted: the seconds to omit are over."""
        self.bytes = self.since = 0
        self.omitted_packets = self.packets
        self.omitted_errors = self.errors
        self.jitter_us = 0
        self._retransmits += self.retransmits()

    def retransmits(self):
        """Segments TCP has sent again since the last reset."""
        return 0

    def result(self, seconds):
        """The stream as the peer wants to read it."""
        return {
            "id": self.id,
            "bytes": self.bytes,
            "retransmits": self.retransmits(),
            "jitter": self.jitter_us / 1e6,
            "errors": self.errors,
            "omitted_errors": self.omitted_errors,
            "packets": self.packets,
            "omitted_packets": self.omitted_packets,
            "start_time": 0,
            "end_time": seconds,
        }

    def close(self):
        self.sock.close()


class TcpReceiver(Stream):
    def __init__(self, sock, number, length):
        super().__init__(sock, number, length)
        self.buf = bytearray(min(length, 8192))

    def turn(self, ms):
        """Take what has arrived; whether there was any."""
        took = False
        for _ in range(_TURN):
            n = self.sock.readinto(self.buf)
            if n is None:
                return took
            if n == 0:
                self.ended = True
                return took
            self.bytes += n
            took = True
        return took


class _Paced(Stream):
    # A sender, at a rate of `rate` bits per second; 0: as fast as it goes.

    sender = True

    def __init__(self, sock, number, length, rate=0):
        super().__init__(sock, number, length)
        self.rate = rate
        self._at = 0
        self._credit = 0  # bits
        # A datagram may always wait for its turn, however slow the rate.
        self._most = max(rate * _CREDIT_MS // 1000, length * 8)

    def earn(self, ms):
        self._credit = min(self._credit + (ms - self._at) * self.rate // 1000, self._most)
        self._at = ms


class TcpSender(_Paced):
    # What is written at once is `piece` bytes. The peer reads blocks of `length` bytes, and at the
    # end waits for a whole one.

    def __init__(self, sock, number, length, rate=0, piece=8192):
        super().__init__(sock, number, length, rate)
        self.data = memoryview(bytes(min(length, piece)))
        self._left = self.data  # of the piece on its way
        self._sent = 0  # of the block on its way

    def turn(self, ms):
        """Send what fits; whether anything did."""
        if self.rate:
            self.earn(ms)
        sent = False
        for _ in range(_TURN):
            if self.rate and self._credit <= 0:
                return sent
            n = self.sock.write(self._left)
            if not n:
                return sent
            sent = True
            self._count(n)
            if n == len(self._left):
                self._left = self.data
            else:
                self._left = self._left[n:]
            if self.rate:
                self._credit -= n * 8
        return sent

    def _count(self, n):
        self.bytes += n
        self._sent = (self._sent + n) % self.length

    def complete(self):
        """Send more of the block on its way; whether it has ended."""
        while self._sent:
            n = self.sock.write(self.data[: self.length - self._sent])
            if not n:
                return False
            self._count(n)
        return True

    def end(self):
        """No more will come."""
        try:
            self.sock.shutdown(SHUT_WR)
        except OSError:
            pass  # the peer was faster

    def retransmits(self):
        pcb = self.sock._pcb
        return (pcb.retransmits if pcb is not None else 0) - self._retransmits


class UdpSender(_Paced):
    def __init__(self, sock, number, length, rate, wide):
        super().__init__(sock, number, length, rate)
        self.buf = bytearray(length)
        self.form = ">IIQ" if wide else ">III"
        self._us = time.ticks_us()
        self._clock = [0, 0]

    def turn(self, ms):
        """Send the datagrams that are due; whether there were any."""
        if self.rate:
            self.earn(ms)
        cost = self.length * 8
        sent = False
        for _ in range(_TURN):
            if self.rate and self._credit < cost:
                return sent
            self._stamp()
            try:
                if self.sock.write(self.buf) is None:
                    self.packets -= 1
                    return sent
            except OSError as e:
                self.packets -= 1
                if e.errno in (ENOBUFS, ENOMEM, EAGAIN):
                    return sent
                raise
            sent = True
            self.bytes += self.length
            if self.rate:
                self._credit -= cost
        return sent

    def _stamp(self):
        now = time.ticks_us()
        c = self._clock
        c[1] += time.ticks_diff(now, self._us)
        self._us = now
        while c[1] >= 1000000:
            c[1] -= 1000000
            c[0] += 1
        self.packets += 1
        struct.pack_into(self.form, self.buf, 0, c[0], c[1], self.packets)


class UdpReceiver(Stream):
    def __init__(self, sock, number, length, wide):
        super().__init__(sock, number, length)
        self.buf = bytearray(max(length, 16))
        self.head = 16 if wide else 12
        self.out_of_order = 0
        self._last = None  # (sender's seconds mod 256, its microseconds, when it came)

    def turn(self, ms):
        """Take the datagrams that have come; whether there were any."""
        took = False
        for _ in range(_TURN):
            try:
                n = self.sock.readinto(self.buf)
            except OSError as e:
                if e.errno == EAGAIN:
                    return took
                raise
            if n is None:
                return took
            took = True
            if n >= self.head:
                self._count(n)
        return took

    def _count(self, n):
        b = self.buf
        self.bytes += n
        at = self.head - 4
        # 30 bits of it: a small int on every port, and more than a test can send.
        number = (b[at] & 0x3F) << 24 | b[at + 1] << 16 | b[at + 2] << 8 | b[at + 3]
        if number > self.packets:
            self.errors += number - 1 - self.packets
            self.packets = number
        else:
            self.out_of_order += 1
            if self.errors:
                self.errors -= 1
        self._jitter(b[3], b[5] << 16 | b[6] << 8 | b[7])

    def _jitter(self, seconds, us):
        # The two clocks differ by an unknown amount, so only differences are looked at.
        now = time.ticks_us()
        if self._last is not None:
            s, u, came = self._last
            sent = ((seconds - s + 128 & 0xFF) - 128) * 1000000 + us - u
            d = abs(time.ticks_diff(now, came) - sent)
            self.jitter_us += (d - self.jitter_us) / 16
        self._last = (seconds, us, now)
