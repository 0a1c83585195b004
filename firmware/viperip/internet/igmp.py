# IGMPv2 (RFC 2236), the host's half: join, answer queries, leave.
#
#    0      1                  2          4
#   | type | max response time | checksum | group |
from .. import native
from ..stack import Timer, diff

_sum = native.load("memory").sum16

QUERY = const(0x11)
REPORT_V1 = const(0x12)
REPORT = const(0x16)
LEAVE = const(0x17)
ALL_HOSTS = b"\xe0\0\0\x01"
ALL_ROUTERS = b"\xe0\0\0\x02"
_PROTO = const(2)
_UNSOLICITED_MS = const(10000)  # RFC 2236 8.10


class IGMP(Timer):
    """Group membership of all interfaces of one stack."""

    def __init__(self, stack):
        self.stack = stack
        self.due_reports = []  # (ifc, group)
        for name in ("igmp_bad", "igmp_queries", "igmp_reports"):
            stack.stats[name] = 0
        stack.add_timer(self)
        stack.ip.handlers[_PROTO] = self

    def input(self, p):
        if p.n < 8 or _sum(p.buf, p.off, p.n) != 0xFFFF:
            self.stack.stats["igmp_bad"] += 1
            return
        kind = p.buf[p.off]
        group = bytes(p.buf[p.off + 4 : p.off + 8])
        if kind == QUERY:
            self.stack.stats["igmp_queries"] += 1
            tenths = p.buf[p.off + 1] or 100
            for g in p.ifc.groups:
                if g != ALL_HOSTS and (group == bytes(4) or group == g):
                    self._later(p.ifc, g, self.stack.random(10) % tenths * 100)
        elif kind == REPORT or kind == REPORT_V1:
            # RFC 2236 3: somebody else reported it, so we need not.
            self.due_reports = [d for d in self.due_reports if d[0] is not p.ifc or d[1] != group]

    def _later(self, ifc, group, ms):
        if (ifc, group) not in self.due_reports:
            self.due_reports.append((ifc, group))
        if self.due < 0 or diff(self.due, self.stack.now) > ms:
            self.stack.arm(self, ms)

    def expire(self, now):
        due = self.due_reports
        self.due_reports = []
        for ifc, group in due:
            if group in ifc.groups:
                self._send(ifc, REPORT, group, group)

    def join(self, ifc, group):
        """Receive a group (4 bytes) on an interface and report it."""
        if group in ifc.groups:
            return
        if ALL_HOSTS not in ifc.groups:
            ifc.groups.append(ALL_HOSTS)
        if group != ALL_HOSTS:
            ifc.groups.append(group)
            self._send(ifc, REPORT, group, group)
            self._later(ifc, group, 1 + self.stack.random(14) % _UNSOLICITED_MS)

    def leave(self, ifc, group):
        if group in ifc.groups and group != ALL_HOSTS:
            ifc.groups.remove(group)
            self._send(ifc, LEAVE, ALL_ROUTERS, group)

    def _send(self, ifc, kind, dst, group):
        ip = self.stack.ip
        data = bytearray(8)
        data[0] = kind
        data[4:8] = group
        c = _sum(data, 0, 8) ^ 0xFFFF
        data[2] = c & 0xFF
        data[3] = c >> 8
        r = ip.route(dst, 0, ifc)
        if r is not None and ifc.arp is not None:
            self.stack.stats["igmp_reports"] += 1
            ip.send_data(r, ifc.addr, dst, 0, data, 0x1 << 8 | _PROTO)


def of(stack):
    """The IGMP object of a stack, made on first use."""
    return stack.ip.handlers.get(_PROTO) or IGMP(stack)
