# Whether an address is free: the probing half of address conflict detection (RFC 5227 2.1).
from .. import native
from ..stack import Timer

_equal = native.load("memory").equal

# RFC 5227 1.1
_WAIT_MS = const(1000)  # PROBE_WAIT
_NUM = const(3)  # PROBE_NUM
_MIN_MS = const(1000)  # PROBE_MIN
_SPREAD_MS = const(1000)  # PROBE_MAX - PROBE_MIN
_ANNOUNCE_WAIT_MS = const(2000)
_NOBODY = bytes(4)


class Probe(Timer):
    """One probe for `addr` that begins in `wait` ms. It ends with arp.probed(self, result)."""

    def __init__(self, arp, addr, done, wait):
        self.arp = arp
        self.stack = stack = arp.stack
        self.addr = bytes(addr)
        self.done = done
        self.left = _NUM
        stack.add_timer(self)
        # Boards that a power cut starts at the same time must not ask at the same time.
        stack.arm(self, wait + stack.random(10) * _WAIT_MS // 1023)

    def expire(self, now):
        if not self.left:
            self.finish(None)
            return
        self.left -= 1
        self.arp.send_probe(self.addr)
        if self.left:
            ms = _MIN_MS + self.stack.random(10) * _SPREAD_MS // 1023
        else:
            ms = _ANNOUNCE_WAIT_MS
        self.stack.arm(self, ms)

    def heard(self, buf, off):
        # RFC 5227 2.1.1: somebody uses the address, or probes for it as we do.
        a = self.addr
        if _equal(buf, off + 14, a, 0, 4) or (
            _equal(buf, off + 14, _NOBODY, 0, 4) and _equal(buf, off + 24, a, 0, 4)
        ):
            self.finish(bytes(buf[off + 8 : off + 14]))

    def finish(self, mac):
        self.due = -1
        self.stack.remove_timer(self)
        self.arp.probed(self, mac)
