# ping: ICMP echo, printed as ping(8) prints it.
import time

import viperip

from .. import native
from ..address import ip4, ip4_text
from ..internet.icmp import ECHO, ECHO_REPLY, PARAMETER_PROBLEM, TIME_EXCEEDED, UNREACHABLE
from ..internet.icmp import FRAGMENTATION, describe
from ..stack import diff

_m = native.load("memory")
_sum = _m.sum16
_equal = _m.equal
_class = native.load("ip").ip_class
_ERRORS = (UNREACHABLE, TIME_EXCEEDED, PARAMETER_PROBLEM)
_BROADCAST = const(2)  # results of ip_class()
_MULTICAST = const(3)
_PROTO = const(1)
_TTL = const(64)


def resolve(host):
    """The IPv4 address (4 bytes) of a name or a dotted quad. OSError if there is none."""
    try:
        return ip4(host)
    except ValueError:
        pass
    from ..socket import getaddrinfo

    try:
        return ip4(getaddrinfo(host, 0)[0][-1][0])
    except OSError as e:
        raise OSError(e.errno, "%s: no address for this name" % host)


class Echo:
    """Sends echo requests with `size` bytes of data, and listens for their answers."""

    def __init__(self, stack, dst, size):
        self.stack = stack
        self.dst = dst
        self.ident = stack.random(16)
        self.data = bytearray(8 + size)
        for i in range(size):
            self.data[8 + i] = i & 0xFF
        self.seq = 0
        self.sent = 0
        self.answer = None

    def send(self, seq, df=False):
        """Send request number `seq`; an error's words, or None. df: it may not be fragmented."""
        d = self.data
        self.seq = seq
        self.answer = None
        d[0] = ECHO
        d[2] = d[3] = 0
        d[4] = self.ident >> 8
        d[5] = self.ident & 0xFF
        d[6] = seq >> 8 & 0xFF
        d[7] = seq & 0xFF
        c = _sum(d, 0, len(d)) ^ 0xFFFF
        d[2] = c & 0xFF
        d[3] = c >> 8
        stack = self.stack
        stack.enter()
        try:
            ip = stack.ip
            r = ip.route(self.dst, 0)
            if r is None:
                return "network unreachable"
            self.sent = time.ticks_us()
            src = ip.source_for(r, self.dst)
            n = ip.send_data(r, src, self.dst, 0, d, _TTL << 8 | _PROTO, df)
            return None if n >= 0 else "no buffer"
        finally:
            stack.leave()

    def icmp(self, p, kind, code):
        now = time.ticks_us()
        q = p.off
        if kind == ECHO_REPLY:
            # An answer comes from who was asked, unless many were.
            to = _class(self.dst, 0, p.ifc.net)
            if to != _BROADCAST and to != _MULTICAST:
                if not _equal(p.buf, p.ip + 12, self.dst, 0, 4):
                    return
        elif kind not in _ERRORS:
            return
        else:
            q += 8
            if p.n < 36 or p.buf[q + 9] != _PROTO or not _equal(p.buf, q + 16, self.dst, 0, 4):
                return
            q += (p.buf[q] & 15) << 2
            if q + 8 > p.off + p.n or p.buf[q] != ECHO:
                return
        if _equal(p.buf, q + 4, self.data, 4, 4) and self.answer is None:
            self.answer = a = {"seq": self.seq, "ip": ip4_text(p.buf, p.ip + 12)}
            if kind == ECHO_REPLY:
                a["bytes"] = p.n
                a["ttl"] = p.ttl
                a["time_ms"] = time.ticks_diff(now, self.sent) / 1000
            else:
                a["error"] = describe(kind, code)
                if kind == UNREACHABLE and code == FRAGMENTATION:
                    a["mtu"] = p.buf[p.off + 6] << 8 | p.buf[p.off + 7]


def wait(stack, ms, echo=None):
    """Until the answer to `echo` is here or the time is over."""
    start = stack.time()
    while echo is None or echo.answer is None:
        left = ms - diff(stack.time(), start)
        if left <= 0:
            return
        stack.wait(left)


def ping(host, count=4, size=56, interval_ms=1000, timeout_ms=1000, quiet=False, stack=None):
    """Send `count` echo requests; a list of dicts: seq, ip, bytes, ttl, time_ms, or error."""
    stack = stack or viperip.default()
    dst = resolve(host)
    say = (lambda *a: None) if quiet else print
    say("PING %s (%s): %d data bytes" % (host, ip4_text(dst), size))
    echo = Echo(stack, dst, size)
    out = []
    stack.ip.icmp.listeners.append(echo)
    try:
        for seq in range(count):
            start = stack.time()
            error = echo.send(seq)
            if error is None:
                wait(stack, timeout_ms, echo)
            a = echo.answer or {"seq": seq, "error": error or "timeout"}
            out.append(a)
            _say(say, a)
            if seq + 1 < count:
                wait(stack, interval_ms - diff(stack.time(), start))
    except KeyboardInterrupt:
        pass
    finally:
        stack.ip.icmp.listeners.remove(echo)
    _summary(say, host, out)
    return out


def _say(say, a):
    if "time_ms" in a:
        say(
            "%d bytes from %s: icmp_seq=%d ttl=%d time=%.3f ms"
            % (a["bytes"], a["ip"], a["seq"], a["ttl"], a["time_ms"])
        )
    elif "ip" in a:
        say("From %s icmp_seq=%d %s" % (a["ip"], a["seq"], a["error"]))
    else:
        say("icmp_seq=%d %s" % (a["seq"], a["error"]))


def _summary(say, host, out):
    times = [a["time_ms"] for a in out if "time_ms" in a]
    n = len(out)
    say("--- %s ping statistics ---" % host)
    lost = 100 * (n - len(times)) // n if n else 0
    say("%d packets transmitted, %d received, %d%% packet loss" % (n, len(times), lost))
    if times:
        mean = sum(times) / len(times)
        say("round-trip min/avg/max = %.3f/%.3f/%.3f ms" % (min(times), mean, max(times)))
