# A wrapper that prints a line for every frame, in the manner of tcpdump. TCP sequence numbers are
# relative to the first one seen in each direction of a connection.
import time

from ..address import ip4_text, mac_text
from .wrapper import Watcher

_CONNECTIONS = const(32)  # whose first sequence numbers are remembered
_SNAP = const(96)  # of each frame kept in the ring: all headers that describe() reads
_FLAGS = "FSRP.UEW"
_ICMP = {
    0: "echo reply",
    3: "unreachable",
    4: "source quench",
    5: "redirect",
    8: "echo request",
    11: "time exceeded",
    12: "parameter problem",
}
_UNREACHABLE = ("net", "host", "protocol", "port", "need to frag", "source route failed")


def _u16(b, i):
    return b[i] << 8 | b[i + 1]


def _u32(b, i):
    return int.from_bytes(b[i : i + 4], "big")


class Trace(Watcher):
    """Prints the frames of `dev`: `>` sent, `<` received. `on` switches it.

    only: None, or a function that says of a frame (bytes) whether it is printed. keep: how many
    frames recent() can tell of, printed or not.
    """

    def __init__(self, dev, print=print, on=True, ticks=None):
        super().__init__(dev)
        self.on = on
        self.only = None
        self.keep = 0
        self._ring = []
        self._print = print
        self._ticks = ticks or time.ticks_ms
        self._start = self._ticks()
        self._first = {}  # connection end -> its first sequence number

    def frame(self, buf, off, n, sent):
        if not (self.on or self.keep):
            return
        ms = (self._ticks() - self._start) & 0x3FFFFFFF
        if self.keep:
            while len(self._ring) >= self.keep:
                self._ring.pop(0)
            head = bytes(memoryview(buf)[off : off + min(n, _SNAP)])
            self._ring.append((ms, sent, head, n))
        if not self.on:
            return
        f = bytes(memoryview(buf)[off : off + n])
        try:
            if self.only is not None and not self.only(f):
                return
        except IndexError:
            return
        self._print(self._line(ms, sent, f, n))

    def recent(self):
        """The last `keep` frames as lines, the oldest first."""
        return [self._line(*kept) for kept in self._ring]

    def _line(self, ms, sent, f, n):
        try:
            text = self.describe(f, n)
        except IndexError:
            text = "truncated, length %d" % n
        return "%4d.%03d %s %s" % (ms // 1000, ms % 1000, ">" if sent else "<", text)

    def describe(self, f, size=0):
        """One frame in words: its first bytes, `size` in all. IndexError if it ends too soon."""
        size = size or len(f)
        kind = _u16(f, 12)
        if kind == 0x0800:
            return self._ip(f, 14, size)
        if kind == 0x0806:
            return _arp(f, 14)
        return "%s > %s, ethertype 0x%04x, length %d" % (
            mac_text(f, 6),
            mac_text(f, 0),
            kind,
            size,
        )

    def _ip(self, f, i, size):
        head = (f[i] & 15) * 4
        proto = f[i + 9]
        src = ip4_text(f, i + 12)
        dst = ip4_text(f, i + 16)
        # The frame may be padded; what the header says counts.
        n = _u16(f, i + 2) - head
        part = _u16(f, i + 6)
        at = (part & 0x1FFF) * 8
        t = i + head
        if f[i] >> 4 != 4 or head < 20 or n < 0 or t + n > size:
            return "IP %s > %s: bad header" % (src, dst)
        if at:
            return "IP %s > %s: proto %d, fragment at %d, length %d%s" % (
                (src, dst, proto, at, n, "+" if part & 0x2000 else "")
            )
        if proto == 6:
            text = self._tcp(f, i, t, n, src, dst)
        elif proto == 17:
            text = "IP %s.%d > %s.%d: UDP, length %d" % (
                (src, _u16(f, t), dst, _u16(f, t + 2), _u16(f, t + 4) - 8)
            )
        elif proto == 1:
            text = "IP %s > %s: ICMP %s" % (src, dst, _icmp(f, t, n))
        else:
            text = "IP %s > %s: proto %d, length %d" % (src, dst, proto, n)
        return text + ", fragment at 0+" if part & 0x2000 else text

    def _tcp(self, f, i, t, n, src, dst):
        flags = f[t + 13]
        length = n - (f[t + 12] >> 4) * 4
        ports = f[t : t + 4]
        there = f[i + 12 : i + 20] + ports
        back = f[i + 16 : i + 20] + f[i + 12 : i + 16] + ports[2:] + ports[:2]
        seq = _u32(f, t + 4)
        ack = _u32(f, t + 8)
        if flags & 2:
            self._remember(there, seq)
            if not flags & 16:
                self._first.pop(back, None)  # an earlier connection's
        elif there not in self._first:
            self._remember(there, seq)
        seq = (seq - self._first[there]) & 0xFFFFFFFF
        text = "IP %s.%d > %s.%d: Flags [%s], seq %d" % (
            src,
            _u16(f, t),
            dst,
            _u16(f, t + 2),
            "".join(_FLAGS[b] for b in range(8) if flags >> b & 1) or "none",
            seq,
        )
        if length:
            text += ":%d" % (seq + length)
        if flags & 16:
            if back not in self._first:
                self._remember(back, ack)
            text += ", ack %d" % ((ack - self._first[back]) & 0xFFFFFFFF)
        return text + ", win %d, length %d" % (_u16(f, t + 14), length)

    def _remember(self, key, seq):
        if len(self._first) >= _CONNECTIONS:
            self._first.clear()
        self._first[key] = seq


def _arp(f, i):
    sender = ip4_text(f, i + 14)
    target = ip4_text(f, i + 24)
    op = _u16(f, i + 6)
    if op == 1:
        if sender == "0.0.0.0":
            return "ARP, who-has %s (probe) from %s" % (target, mac_text(f, i + 8))
        if sender == target:
            return "ARP, announcement %s is-at %s" % (sender, mac_text(f, i + 8))
        return "ARP, who-has %s tell %s" % (target, sender)
    if op == 2:
        return "ARP, %s is-at %s" % (sender, mac_text(f, i + 8))
    return "ARP, operation %d" % op


def _icmp(f, t, n):
    kind = f[t]
    text = _ICMP.get(kind, "type %d" % kind)
    if kind == 0 or kind == 8:
        return "%s, id %d, seq %d, length %d" % (text, _u16(f, t + 4), _u16(f, t + 6), n)
    code = f[t + 1]
    if kind == 3 and code < len(_UNREACHABLE):
        text = _UNREACHABLE[code] + " " + text
    else:
        text += ", code %d" % code
    if (kind == 3 or kind == 11) and n >= 28:
        text += ", from %s to %s" % (ip4_text(f, t + 20), ip4_text(f, t + 24))
    return "%s, length %d" % (text, n)
