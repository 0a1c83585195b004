# IGMPv2 (RFC 2236), the host's half: join, answer queries, leave.
#
#    0      1                   2          4       8
#   | type | max response time | checksum | group |
#
# Every message carries the Router Alert option (RFC 2113), which IPv4's own output knows nothing
# of: the frame is built here.
from .. import native
from ..link.ethernet import HEADER, TYPE_IPV4
from ..stack import Timer, diff

_m = native.load("memory")
_sum = _m.sum16
_eth_build = native.load("ip").eth_build

QUERY = const(0x11)
REPORT_V1 = const(0x12)
REPORT = const(0x16)
LEAVE = const(0x17)
ALL_HOSTS = b"\xe0\0\0\x01"
ALL_ROUTERS = b"\xe0\0\0\x02"
_PROTO = const(2)
_UNSOLICITED_MS = const(10000)  # RFC 2236 8.10
_V1_ROUTER_MS = const(400000)  # RFC 2236 8.11
_MASK = const(0x3FFFFFFF)
# Version, six words of header, length 32, DF (so no identification), TTL 1, protocol.
_HEADER = b"\x46\0\0\x20\0\0\x40\0\x01\x02"
_ROUTER_ALERT = b"\x94\x04\0\0"
_NO_GROUP = bytes(4)


class IGMP(Timer):
    """Group membership of all interfaces of one stack."""

    def __init__(self, stack):
        self.stack = stack
        self.members = []  # (ifc, group), once for every join
        self.due_reports = []  # [ifc, group, when]
        self._v1 = []  # [ifc, until]: interfaces with a router that speaks IGMPv1 only
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
            tenths = p.buf[p.off + 1]
            if not tenths:
                # RFC 2236 4: an IGMPv1 router, which wants its own reports for a while.
                self._heard_v1(p.ifc)
                tenths = 100
            for g in p.ifc.groups:
                if g != ALL_HOSTS and (group == _NO_GROUP or group == g):
                    self._later(p.ifc, g, self.stack.random(10) % tenths * 100)
        elif (kind == REPORT or kind == REPORT_V1) and p.destination() == group:
            # RFC 2236 3: somebody else reported it, so we need not. It comes to the group itself,
            # which nobody beyond the wire can send to.
            self._forget(p.ifc, group)

    def _forget(self, ifc, group):
        self.due_reports = [d for d in self.due_reports if d[0] is not ifc or d[1] != group]

    def _later(self, ifc, group, ms):
        # RFC 2236 3: every group has a delay of its own; a running one is only ever shortened.
        when = (self.stack.now + ms) & _MASK
        for d in self.due_reports:
            if d[0] is ifc and d[1] == group:
                if diff(when, d[2]) < 0:
                    d[2] = when
                break
        else:
            self.due_reports.append([ifc, group, when])
        self._arm(ms)

    def _arm(self, ms):
        if self.due < 0 or diff(self.due, self.stack.now) > ms:
            self.stack.arm(self, ms)

    def expire(self, now):
        due = [d for d in self.due_reports if diff(d[2], now) <= 0]
        self.due_reports = [d for d in self.due_reports if diff(d[2], now) > 0]
        for ifc, group, _ in due:
            if group in ifc.groups:
                self._report(ifc, group)
        self._v1 = [v for v in self._v1 if diff(v[1], now) > 0]
        for d in self.due_reports:
            self._arm(diff(d[2], now))
        for v in self._v1:
            self._arm(diff(v[1], now))

    def _heard_v1(self, ifc):
        self._v1 = [v for v in self._v1 if v[0] is not ifc]
        self._v1.append([ifc, (self.stack.now + _V1_ROUTER_MS) & _MASK])
        self._arm(_V1_ROUTER_MS)

    def _speaks_v1(self, ifc):
        return any([v[0] is ifc for v in self._v1])

    def join(self, ifc, group):
        """Receive a group (4 bytes) on an interface, until leave() was called as often."""
        group = bytes(group)
        if ALL_HOSTS not in ifc.groups:
            ifc.groups.append(ALL_HOSTS)
        if group == ALL_HOSTS:
            return  # RFC 2236 6: always a member, and never reported
        self.members.append((ifc, group))
        if group not in ifc.groups:
            ifc.groups.append(group)
            self._report(ifc, group)
            self._later(ifc, group, 1 + self.stack.random(14) % _UNSOLICITED_MS)

    def leave(self, ifc, group):
        """Undo one join()."""
        group = bytes(group)
        if (ifc, group) not in self.members:
            return
        self.members.remove((ifc, group))
        if (ifc, group) not in self.members:
            ifc.groups.remove(group)
            self._forget(ifc, group)
            if not self._speaks_v1(ifc):
                self._send(ifc, LEAVE, ALL_ROUTERS, group)

    def _report(self, ifc, group):
        self._send(ifc, REPORT_V1 if self._speaks_v1(ifc) else REPORT, group, group)

    def _send(self, ifc, kind, dst, group):
        if ifc.arp is None or not ifc.active:
            return
        f = bytearray(HEADER + 32)
        # RFC 1112 6.4: the low 23 bits of the group.
        mac = bytes((1, 0, 0x5E, dst[1] & 0x7F, dst[2], dst[3]))
        _eth_build(f, 0, mac, 0, ifc.mac, TYPE_IPV4)
        o = HEADER
        f[o : o + 10] = _HEADER
        f[o + 12 : o + 16] = ifc.addr
        f[o + 16 : o + 20] = dst
        f[o + 20 : o + 24] = _ROUTER_ALERT
        _check(f, o + 10, o, 24)
        o += 24
        f[o] = kind
        f[o + 4 : o + 8] = group
        _check(f, o + 2, o, 8)
        if ifc.send_copy(f):
            self.stack.stats["igmp_reports"] += 1


def _check(f, at, off, n):
    # Put the checksum of f[off:off+n] at f[at:at+2].
    c = _sum(f, off, n) ^ 0xFFFF
    f[at] = c & 0xFF
    f[at + 1] = c >> 8


def of(stack):
    """The IGMP object of a stack, made on first use."""
    return stack.ip.handlers.get(_PROTO) or IGMP(stack)
