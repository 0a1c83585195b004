# Ethernet II (IEEE 802.3 3.2, type interpretation): where every frame enters the stack.
#
#    0                 6            12     14
#   | destination MAC | source MAC | type | payload, 46 to 1500 bytes
from .. import native

_parse = native.load("ip").eth_parse

HEADER = 14
TYPE_IPV4 = 0x0800
TYPE_ARP = 0x0806

_DROPS = ("", "eth_short", "eth_other_station", "eth_length_field", "eth_group_source")


class Ethernet:
    """Dispatch of frames by EtherType to registered handlers.

    A handler has input(packet), a Packet whose buf[off:off+n] is the payload of the frame.
    """

    def __init__(self, stats):
        self.handlers = {}
        self.taps = []
        self.stats = stats
        for name in _DROPS[1:]:
            stats[name] = 0
        stats["eth_unknown_type"] = 0

    def register(self, ethertype, handler):
        """Give all frames of one EtherType to `handler`."""
        self.handlers[ethertype] = handler

    def input(self, p):
        """Take the frame p.buf[p.off:p.off+p.n] of p.ifc."""
        kind = _parse(p.buf, p.off, p.n, p.ifc.mac)
        if kind < 0:
            if kind == -2 and self.taps and p.ifc.promiscuous:
                self._tap(p)
            self.stats[_DROPS[-kind]] += 1
            return
        if self.taps:
            self._tap(p)
        handler = self.handlers.get(kind & 0xFFFF)
        if handler is None:
            self.stats["eth_unknown_type"] += 1
            return
        p.frame = p.off
        p.frame_n = p.n
        p.off += HEADER
        p.n -= HEADER
        p.group = kind >> 16
        handler.input(p)

    def _tap(self, p):
        for tap in self.taps:
            tap.frame(p.ifc, p.buf, p.off, p.n)
