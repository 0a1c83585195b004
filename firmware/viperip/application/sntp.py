# SNTP client (RFC 4330, on the packet of RFC 5905 7.3): the time from a time server.
#
#    0           1         2      3           4            8                 12
#   | LI VN mode | stratum | poll | precision | root delay | root dispersion | reference id |
#    16          24          32        40
#   | reference | originate | receive | transmit | timestamps: 32 bits of seconds, 32 of fraction
import sys
import time as _time

import viperip

from ..address import ip4, ip4_text
from ..errors import ECONNREFUSED, EINVAL, EIO, ENOBUFS, ENODEV, ETIMEDOUT
from ..stack import Timer, diff

PORT = 123
_SIZE = const(48)
_REQUEST = const(0x23)  # LI 0, version 4, mode 3: client
_SERVER = const(4)
_ALARM = const(3)
_STRATA = const(15)
_ROUNDS = const(3)
_FIRST_MS = const(2000)
_1970 = 2208988800  # seconds from NTP's epoch, 1900, to Unix's
_2000 = 946684800
_ERA = 1 << 32
# What time.time() counts from on this port, in Unix's seconds.
_EPOCH = 0 if _time.gmtime(0)[0] == 1970 else _2000


def _word(b, off):
    return int.from_bytes(bytes(b[off : off + 4]), "big")


def unix_ms(b, off):
    """Milliseconds since 1970 of the NTP timestamp at b[off:off+8]."""
    s = _word(b, off)
    # RFC 4330 3: with bit 0 clear it is a time from 2036 on.
    if s < _ERA >> 1:
        s += _ERA
    return (s - _1970) * 1000 + (_word(b, off + 4) * 1000 >> 32)


class Query(Timer):
    """Asks servers (4-byte addresses) in turn; then done(dict or None, errno, words).

    The dict: time_ms (since 1970, when the answer came), delay_ms, stratum, leap (RFC 5905 7.3),
    ip. close() gives up; done() is not called then.
    """

    def __init__(self, stack, servers, done, port=PORT):
        if not servers:
            raise OSError(EINVAL)
        self.stack = stack
        self.servers = list(servers)
        self.done = done
        self.port = port
        self.at = 0  # the server asked next
        self.turn = 0
        self.ep = None
        self.cookie = b""
        self.sent = 0
        self.error = ETIMEDOUT
        self.words = "no answer"
        stack.stats.setdefault("sntp_bad", 0)
        stack.enter()
        try:
            stack.add_timer(self)
            stack.arm(self, 0)
        finally:
            stack.leave()

    def expire(self, now):
        self._close_endpoint()
        while True:
            if self.at >= len(self.servers):
                self.at = 0
                self.turn += 1
            if not self.servers or self.turn >= _ROUNDS:
                break
            server = self.servers[self.at]
            self.at += 1
            # RFC 5905 14: a port of its own for each request, which nobody can guess.
            self.ep = e = self.stack.udp.open(handler=self)
            e.wake = self._icmp
            e.remote = server
            e.remote_port = self.port
            # The server gives the transmit timestamp back and does nothing else with it: random
            # bytes tell nobody our clock, and nobody else knows them.
            self.cookie = self.stack.urandom(8)
            self.sent = self.stack.time()
            message = bytes((_REQUEST,)) + bytes(39) + self.cookie
            r = self.stack.udp.send(e, message, server, self.port)
            if r >= 0 or r == -ENOBUFS:
                self.stack.arm(self, _FIRST_MS << self.turn)
                return
            self._failed(-r, "cannot be sent")
            self._close_endpoint()
        self.finish(None, self.error, self.words)

    def _failed(self, error, words):
        self.error = error
        self.words = words

    def _icmp(self):
        # In the middle of somebody's transmission, it may be.
        if self.ep is not None and self.ep.error:
            self._failed(self.ep.error, "no time server there")
            self.stack.arm(self, 0)

    def _close_endpoint(self):
        if self.ep is not None:
            self.ep.close()
            self.ep = None

    def close(self):
        """Give up. It may be called more than once."""
        self.stack.enter()
        try:
            self._close_endpoint()
            self.due = -1
            self.stack.remove_timer(self)
        finally:
            self.stack.leave()

    def finish(self, answer, error, words):
        self.close()
        self.done(answer, error, words)

    def datagram(self, ep, p, off, n):
        if ep is not self.ep:
            return
        b = p.buf
        # RFC 4330 5: from the server that was asked, which the endpoint has seen to; in its mode;
        # to this request and no other. Anything else might be anybody's: wait on.
        if (
            n < _SIZE
            or b[off] & 7 != _SERVER
            or not b[off] >> 3 & 7
            or bytes(b[off + 24 : off + 32]) != self.cookie
        ):
            self.stack.stats["sntp_bad"] += 1
            return
        stratum = b[off + 1]
        if not stratum:
            # RFC 4330 8: whatever the kiss code, this server is not asked again.
            code = "".join([chr(c) for c in b[off + 12 : off + 16] if 32 < c < 127])
            self._forget(ep.remote)
            self._failed(ECONNREFUSED, "kiss-o'-death " + code)
            self.stack.arm(self, 0)
        elif b[off] >> 6 == _ALARM or stratum > _STRATA or not any(b[off + 40 : off + 48]):
            # RFC 5905 7.3: the server does not know the time itself. Another may.
            self._forget(ep.remote)
            self._failed(EIO, "not synchronized")
            self.stack.arm(self, 0)
        elif not _plausible(b, off + 4) or not _plausible(b, off + 8):
            self.stack.stats["sntp_bad"] += 1
        else:
            self._answer(b, off, ep.remote)

    def _forget(self, server):
        i = self.servers.index(server)
        self.servers.remove(server)
        if i < self.at:
            self.at -= 1

    def _answer(self, b, off, server):
        sent = unix_ms(b, off + 40)
        # RFC 4330 5: delay is (T4 - T1) - (T3 - T2). A server's clock that steps meanwhile, or one
        # that is rounded, must not make it negative.
        trip = diff(self.stack.time(), self.sent)
        inside = sent - unix_ms(b, off + 32) if any(b[off + 32 : off + 40]) else 0
        delay = trip - inside if 0 <= inside <= trip else trip
        self.finish(
            {
                "time_ms": sent + delay // 2,
                "delay_ms": delay,
                "stratum": b[off + 1],
                "leap": b[off] >> 6,
                "ip": ip4_text(server),
            },
            0,
            "",
        )


def _plausible(b, off):
    # RFC 4330 5, the paranoid client: root delay and dispersion, 16.16 bits of seconds, are not
    # negative and below RFC 5905's MAXDISP, 16 s.
    return not b[off] and b[off + 1] < 16


def ask(host="pool.ntp.org", port=PORT, timeout_ms=20000, stack=None):
    """The answer of a time server, as Query has it. host: a name or an address.

    OSError: ETIMEDOUT; ECONNREFUSED, nobody serves time there, or a kiss-o'-death (do not ask
    again); EIO, the server is not synchronized itself; what looking the name up raises.
    """
    stack = stack or viperip.default()
    try:
        servers = [ip4(host)]
    except ValueError:
        servers = stack.resolver.lookup(host)
    result = []
    query = Query(stack, servers, lambda *said: result.append(said), port)
    start = stack.time()
    while not result:
        left = timeout_ms - diff(stack.time(), start)
        if left <= 0:
            query.close()
            raise OSError(query.error, "%s: %s" % (host, query.words))
        stack.wait(left)
    answer, error, words = result[0]
    if answer is None:
        raise OSError(error, "%s: %s" % (host, words))
    return answer


def time(host="pool.ntp.org", port=PORT, timeout_ms=20000, stack=None):
    """Seconds (UTC, rounded) since this port's epoch, as time.time() has. OSError: see ask()."""
    return (ask(host, port, timeout_ms, stack)["time_ms"] + 500) // 1000 - _EPOCH


def settime(host="pool.ntp.org", port=PORT, timeout_ms=20000, stack=None):
    """Set machine.RTC to UTC; returns what ask() does. OSError(ENODEV): there is no RTC."""
    try:
        rtc = __import__("machine").RTC()
    except (ImportError, AttributeError):
        raise OSError(ENODEV, "no machine.RTC here")
    answer = ask(host, port, timeout_ms, stack)
    # The last field is microseconds on the ESP32, and something else on every other port.
    fine = sys.platform == "esp32"
    s, ms = divmod(answer["time_ms"] + (0 if fine else 500), 1000)
    t = _time.gmtime(s - _EPOCH)
    rtc.datetime((t[0], t[1], t[2], t[6], t[3], t[4], t[5], ms * 1000 if fine else 0))
    return answer
