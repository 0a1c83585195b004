# traceroute: UDP probes whose TTL runs out one hop further each time.
import time

import viperip

from .. import native
from ..address import ip4_text
from ..errors import ENOBUFS
from ..internet.icmp import TIME_EXCEEDED, UNREACHABLE
from ..stack import diff
from .ping import resolve

_equal = native.load("memory").equal
_FIRST_PORT = const(33434)
_PROTO = const(17)
_PORTS = const(32000)  # from _FIRST_PORT on


class _Probes:
    def __init__(self, dst, sport):
        self.dst = dst
        self.sport = sport
        self.port = 0
        self.answer = None  # (address, kind, code, when)

    def icmp(self, p, kind, code):
        if kind != TIME_EXCEEDED and kind != UNREACHABLE:
            return
        b = p.buf
        q = p.off + 8
        if p.n < 36 or b[q + 9] != _PROTO or not _equal(b, q + 16, self.dst, 0, 4):
            return
        q += (b[q] & 15) << 2
        if q + 4 > p.off + p.n:
            return
        if b[q] << 8 | b[q + 1] == self.sport and b[q + 2] << 8 | b[q + 3] == self.port:
            self.answer = (ip4_text(b, p.ip + 12), kind, code, time.ticks_us())


def traceroute(host, hops=30, probes=3, timeout_ms=1000, quiet=False, stack=None):
    """The way to a host: a list of dicts with hop, ip (None: no answer), times_ms."""
    stack = stack or viperip.default()
    dst = resolve(host)
    if not quiet:
        print("traceroute to %s (%s), %d hops max" % (host, ip4_text(dst), hops))
    end = stack.udp.open()
    listener = _Probes(dst, end.port)
    stack.ip.icmp.listeners.append(listener)
    out = []
    try:
        for hop in range(1, min(hops, 255) + 1):
            line = {"hop": hop, "ip": None, "times_ms": []}
            out.append(line)
            last = False
            for i in range(probes):
                listener.port = _FIRST_PORT + ((hop - 1) * probes + i) % _PORTS
                if _probe(stack, end, listener, hop, timeout_ms, line):
                    last = True
            if not quiet:
                times = ["*" if t is None else "%.3f ms" % t for t in line["times_ms"]]
                print("%2d  %s  %s" % (hop, line["ip"] or "", "  ".join(times)))
            if last:
                break
    except KeyboardInterrupt:
        pass
    finally:
        stack.ip.icmp.listeners.remove(listener)
        end.close()
    return out


def _probe(stack, end, listener, hop, timeout_ms, line):
    # One probe; True if it reached the end of the way.
    listener.answer = None
    end.ttl = hop
    stack.enter()
    try:
        sent = time.ticks_us()
        n = end.send(bytes(24), listener.dst, listener.port)
    finally:
        stack.leave()
    if n < 0 and n != -ENOBUFS:
        raise OSError(-n)
    start = stack.time()
    while listener.answer is None:
        left = timeout_ms - diff(stack.time(), start)
        if left <= 0:
            line["times_ms"].append(None)
            return False
        stack.wait(left)
    ip, kind, _, when = listener.answer
    line["ip"] = ip
    line["times_ms"].append(time.ticks_diff(when, sent) / 1000)
    return kind == UNREACHABLE
