# IPv4 (RFC 791, RFC 1122 3.2.1).
#
#    0                 1     2        4                6                           8
#   | version:4 IHL:4 | TOS | length | identification | flags:3 fragment offset:13 |
#    8     9          10         12       16            20
#   | TTL | protocol | checksum | source | destination | options
import array

from .. import native
from ..errors import EMSGSIZE, ENOBUFS
from ..link.ethernet import HEADER, TYPE_IPV4
from .route import Routes

_n = native.load("ip")
_parse = _n.ip_parse
_class = _n.ip_class
_build = _n.ip_build
_eth_build = _n.eth_build
_m = native.load("memory")
_copy = _m.copy
_equal = _m.equal

PROTO_ICMP = 1
PROTO_IGMP = 2
PROTO_TCP = 6
PROTO_UDP = 17
TTL = 64
DF = 0x4000
MF = 0x2000
_HLEN = const(20)

# What an address is to an interface; the results of ip_class().
UNSPECIFIED, OWN, BROADCAST, MULTICAST, LOOPBACK, OTHER, RESERVED = range(7)

_DROPS = ("", "ip_short", "ip_version", "ip_header_length", "ip_total_length", "ip_checksum")
_COUNTS = (
    "ip_martian_source",
    "ip_martian_destination",
    "ip_not_for_us",
    "ip_not_joined",
    "ip_unknown_protocol",
    "ip_no_route",
    "ip_forwarded",
    "ip_ttl_exceeded",
)
_NO_MAC = bytes(6)
_ALL = b"\xff\xff\xff\xff\xff\xff"
_ANY = bytes(8)


class IPv4:
    """Input, output and delivery of datagrams for one stack.

    A protocol handler has input(packet), and may have error(kind, code, buf, ip, off, n): an ICMP
    error about a datagram that this host sent, its header at buf[ip:], payload at buf[off:off+n].
    """

    def __init__(self, stack):
        self.stack = stack
        self.routes = Routes(stack)
        self.handlers = {}
        self.raw = []  # raw sockets
        self.forwarding = False
        self.any_destination = False  # a gateway: take what is for any address as ours
        self._head = array.array("i", [0] * 5)
        self._out = array.array("i", [0] * 4)  # total length, identification, flags, tp
        self._ident = stack.random(16)
        self._reassembly = None
        for name in _DROPS[1:] + _COUNTS:
            stack.stats[name] = 0
        stack.ethernet.register(TYPE_IPV4, self)
        from .icmp import ICMP

        self.icmp = ICMP(stack)
        self.handlers[PROTO_ICMP] = self.icmp

    # Input.

    def input(self, p):
        """Take the datagram at p.buf[p.off:p.off+p.n], which came from p.ifc."""
        h = self._head
        r = _parse(p.buf, p.off, p.n, h)
        if r < 0:
            self.stack.stats[_DROPS[-r]] += 1
            return
        p.ip = p.off
        p.off += h[0]
        p.n = h[1] - h[0]
        p.ttl = h[3]
        p.proto = h[4]
        p.whole = True
        if self._accept(p):
            if h[2] & 0x3FFF:
                p = self._collect(p, h[2])
            if p is not None:
                self.deliver(p)

    def _collect(self, p, word):
        # The whole datagram that a fragment completes, or None.
        if self._reassembly is None:
            from .fragment import Reassembly

            self._reassembly = Reassembly(self.stack)
        return self._reassembly.input(p, word)

    def _accept(self, p):
        # RFC 1122 3.2.1.3: which sources and destinations may be. True if the datagram is ours.
        ifc = p.ifc
        stats = self.stack.stats
        src = _class(p.buf, p.ip + 12, ifc.net)
        p.to = to = _class(p.buf, p.ip + 16, ifc.net)
        lo = ifc.arp is None and ifc.net[0] == 127
        if src != OTHER and not lo:
            # DHCP speaks from 0.0.0.0, to the broadcast address, and so does an IGMP querier that
            # has no address, to a group (RFC 4541 2.1.1); nothing else does.
            if src != UNSPECIFIED or (
                to != BROADCAST and (to != MULTICAST or p.proto != PROTO_IGMP)
            ):
                stats["ip_martian_source"] += 1
                return False
        if p.group and (to == OWN or to == OTHER) and not self._offered(p):
            # RFC 1122 3.3.6: a unicast datagram in a broadcast frame.
            stats["ip_not_for_us"] += 1
            return False
        if to == OWN:
            return True
        if to == OTHER:
            if lo or self.any_destination or self._is_own(p):
                p.to = OWN
                return True
            if self._offered(p):
                p.to = BROADCAST
                return True
            if self.forwarding:
                self._forward(p)
            else:
                stats["ip_not_for_us"] += 1
            return False
        if to == BROADCAST:
            return True
        if to == MULTICAST:
            if self._joined(ifc, p):
                return True
            stats["ip_not_joined"] += 1
            return False
        if lo and to == LOOPBACK:
            p.to = OWN
            return True
        stats["ip_martian_destination"] += 1
        return False

    def _offered(self, p):
        # RFC 2131 4.1: a lease may be sent to the address that it offers, in a frame to that
        # station or to all.
        ifc = p.ifc
        return p.to == OTHER and p.proto == PROTO_UDP and not ifc.net[0] and ifc.dhcp is not None

    def _is_own(self, p):
        # The weak end system model (RFC 1122 3.3.4.2): the address of another interface of ours.
        i = len(self.stack.interfaces)
        while i:
            i -= 1
            ifc = self.stack.interfaces[i]
            if ifc.active and _equal(p.buf, p.ip + 16, ifc.net, 0, 4):
                return True
        return False

    def _joined(self, ifc, p):
        if ifc.arp is not None:
            return _listens(ifc, p.buf, p.ip + 16)
        return self._joined_beside(p)

    def _joined_beside(self, p):
        # On loopback: members are those of any interface.
        for other in self.stack.interfaces:
            if _listens(other, p.buf, p.ip + 16):
                return True
        return False

    def deliver(self, p):
        """Give a datagram to the raw sockets and the handler of its protocol."""
        taken = self._deliver_raw(p) if self.raw else False
        handler = self.handlers.get(p.proto)
        if handler is None:
            if p.proto == PROTO_UDP:
                handler = self.stack.udp
            elif p.proto == PROTO_TCP:
                handler = self.stack.tcp
        if handler is not None:
            handler.input(p)
        elif not taken:
            self.stack.stats["ip_unknown_protocol"] += 1
            self.icmp.send_error(p, 3, 2)

    def _deliver_raw(self, p):
        taken = False
        for r in self.raw:
            if r.proto == p.proto or r.proto == 255:
                r.datagram(p)
                taken = True
        return taken

    def _forward(self, p):
        # RFC 1812 5.2: one hop further, with the TTL one less.
        stats = self.stack.stats
        r = self.routes.find(p.buf, p.ip + 16)
        if r is None or r.kind == "local":
            stats["ip_no_route"] += 1
            self.icmp.send_error(p, 3, 0)
            return
        if p.ttl <= 1:
            stats["ip_ttl_exceeded"] += 1
            self.icmp.send_error(p, 11, 0)
            return
        total = p.off + p.n - p.ip
        frag = p.buf[p.ip + 6] << 8 | p.buf[p.ip + 7]
        if total > r.ifc.mtu:
            if frag & DF:
                self.icmp.send_error(p, 3, 4, r.ifc.mtu)
            else:
                from .fragment import forward

                forward(self, r, p, frag)
            return
        buf = r.ifc.borrow()
        if buf is None:
            return
        o = r.ifc.tx_at
        _copy(buf, o, p.buf, p.ip, total)
        buf[o + 8] -= 1
        # RFC 1141: the checksum goes up by what the TTL word went down.
        c = (buf[o + 10] << 8 | buf[o + 11]) + 0x100
        c = (c & 0xFFFF) + (c >> 16)
        buf[o + 10] = c >> 8
        buf[o + 11] = c & 0xFF
        stats["ip_forwarded"] += 1
        self.transmit(r.ifc, r.gateway or p.buf, 0 if r.gateway else p.ip + 16, total)

    # Output. A caller finds the route, borrows a buffer of its interface, writes the two addresses
    # (address(), or by itself) and the payload (at tx_at + 20) into it and calls send().

    def route(self, dst, off, ifc=None):
        """The route to dst[off:off+4], or None. Broadcast and multicast need no entry."""
        first = dst[off]
        if first >= 224:
            return self._wire(ifc)
        if first == 127:
            self.stack.loopback
        r = self.routes.find(dst, off, ifc)
        if r is None and ifc is not None and ifc.active:
            return self._wire(ifc)
        return r

    def _wire(self, ifc):
        # A route straight onto an interface: the given one, else the one of the default route.
        if ifc is None:
            r = self.routes.find(_ANY, 0)
            if r is not None:
                ifc = r.ifc
            else:
                for i in self.stack.interfaces:
                    if i.active and i.arp is not None:
                        ifc = i
                        break
                else:
                    return None
        if not ifc.active:
            return None
        wire = getattr(ifc, "wire", None)
        if wire is None:
            from .route import Route

            ifc.wire = wire = Route(_ANY[:4], _ANY[:4], None, ifc, 0, "wire")
        return wire

    def egress(self, r):
        """The interface that frames along a route leave by: loopback for our own addresses."""
        return self.stack.loopback if r.kind == "local" else r.ifc

    def ident(self):
        """Identification of a datagram that may be fragmented."""
        # A full-period generator; RFC 6864 asks for no repetition, RFC 7739 for no plain counter.
        self._ident = i = (self._ident * 77 + 13849) & 0xFFFF
        return i

    def address(self, ifc, src, dst, off):
        """Write a datagram's addresses (src: 4 bytes, dst[off:off+4]) into the borrowed buffer."""
        _copy(ifc.tx, ifc.tx_at + 12, src, 0, 4)
        _copy(ifc.tx, ifc.tx_at + 16, dst, off, 4)

    def header(self, ifc, total, ident, frag, tp):
        """Write the rest of the header in front of the payload (see send())."""
        h = self._out
        h[0] = total
        h[1] = ident
        h[2] = frag
        h[3] = tp
        _build(ifc.tx, ifc.tx_at, h)

    def send(self, r, n, tp, frag=0):
        """Send a datagram: addresses and n bytes of payload are in the buffer of egress(r).

        tp: TOS << 16 | TTL << 8 | protocol; frag: the flags and fragment offset word. An atomic
        datagram (DF) has identification 0 (RFC 6864).
        """
        h = self._out
        h[1] = 0 if frag & DF else self.ident()
        h[2] = frag
        h[3] = tp
        self._launch(r, n + _HLEN)

    def _launch(self, r, n):
        ifc = self.egress(r)
        self._out[0] = n
        _build(ifc.tx, ifc.tx_at, self._out)
        if r.gateway is not None:
            self.transmit(ifc, r.gateway, 0, n)
        else:
            self.transmit(ifc, ifc.tx, ifc.tx_at + 16, n)

    def transmit(self, ifc, hop, off, n):
        """Send the n bytes of IPv4 in the borrowed buffer to the next hop at hop[off:off+4]."""
        if ifc.arp is None:
            return _frame(ifc, _NO_MAC, 0, n)
        kind = _class(hop, off, ifc.net)
        if kind == OTHER or kind == OWN:
            kind = ifc.arp.resolve(hop, off)
            if kind < 0:
                _wait(ifc, hop, off, n)
            else:
                _frame(ifc, ifc.arp.macs, 6 * kind, n)
        elif kind == MULTICAST:
            _multicast(ifc, hop, off, n)
        else:
            _frame(ifc, _ALL, 0, n)

    def send_data(self, r, src, dst, off, data, tp, df=False, raw=False):
        """Send a datagram with its payload (bytes-like) kept elsewhere, in fragments if need be.

        OSError(EMSGSIZE) if it does not fit and may not be fragmented.
        """
        ifc = self.egress(r)
        n = len(data)
        if n + _HLEN > ifc.mtu:
            if df or n + _HLEN > 65535:
                raise OSError(EMSGSIZE)
            from .fragment import send

            return send(self, r, src, dst, off, data, tp)
        if ifc.borrow() is None:
            return -ENOBUFS
        _copy(ifc.tx, ifc.tx_at + _HLEN, data, 0, n)
        self.address(ifc, src, dst, off)
        self.send(r, n, tp, DF if df else 0)
        return n

    def source_for(self, r, dst):
        """The source address for a destination: that of the interface the route leaves by."""
        if r.kind == "local" and r.ifc.net[0] == 127:
            return bytes(dst)
        return r.ifc.addr

    def unreachable(self, frame, off):
        """A frame (bytes, its datagram at `off`) was never sent: its next hop did not answer."""
        self.icmp.local_error(frame, off)


def _frame(ifc, macs, at, n):
    # The borrowed buffer, n bytes of IPv4 in it, to the station macs[at:at+6].
    _eth_build(ifc.tx, ifc.dev.tx_off, macs, at, ifc.mac, TYPE_IPV4)
    ifc.send(n + HEADER)


def _wait(ifc, hop, off, n):
    # The next hop's MAC is being asked for: a copy waits.
    o = ifc.dev.tx_off
    _eth_build(ifc.tx, o, _NO_MAC, 0, ifc.mac, TYPE_IPV4)
    ifc.arp.queue(hop, off, bytearray(ifc.tx[o : o + n + HEADER]))


def _multicast(ifc, hop, off, n):
    # RFC 1112 6.4: the low 23 bits of the group.
    group = bytes((1, 0, 0x5E, hop[off + 1] & 0x7F, hop[off + 2], hop[off + 3]))
    o = ifc.dev.tx_off
    _eth_build(ifc.tx, o, group, 0, ifc.mac, TYPE_IPV4)
    lo = ifc.stack.loopback
    if ifc is not lo and n <= lo.mtu and _listens(ifc, hop, off):
        # A member of the group on this host hears it too (RFC 1112 6.1).
        lo.send_copy(bytes(ifc.tx[o : o + n + HEADER]))
    ifc.send(n + HEADER)


def _listens(ifc, addr, off):
    i = len(ifc.groups)
    while i:
        i -= 1
        if _equal(addr, off, ifc.groups[i], 0, 4):
            return True
    return False
