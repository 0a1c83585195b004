# IPv4 (RFC 791, RFC 1122 3.2.1).
#
#    0       1      2         4       6             8     9      10        12    16
#   | ver/hl | TOS | length  | ident | flags/offset | TTL | proto | checksum | src | dst | options
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
_ANY = bytes(8)


class Packet:
    """The IPv4 datagram that is being delivered; one object is reused for all of them.

    Header at buf[ip:], payload at buf[off:off+n].
    """

    def __init__(self):
        self.buf = b""
        self.ip = 0
        self.off = 0
        self.n = 0
        self.proto = 0
        self.ttl = 0
        self.to = 0  # class of the destination address
        self.ifc = None
        self.group = 0  # 1: the frame was a link-layer broadcast or multicast
        self.whole = True  # False: reassembled from fragments

    def source(self):
        """Source address, 4 bytes."""
        return bytes(self.buf[self.ip + 12 : self.ip + 16])

    def destination(self):
        """Destination address, 4 bytes."""
        return bytes(self.buf[self.ip + 16 : self.ip + 20])


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
        self._packet = Packet()
        self._ident = stack.random(16)
        self._reassembly = None
        for name in _DROPS[1:] + _COUNTS:
            stack.stats[name] = 0
        stack.ethernet.register(TYPE_IPV4, self)
        from .icmp import ICMP

        self.icmp = ICMP(stack)
        self.handlers[PROTO_ICMP] = self.icmp

    # Input.

    def input(self, ifc, buf, off, n, group):
        h = self._head
        r = _parse(buf, off, n, h)
        stats = self.stack.stats
        if r < 0:
            stats[_DROPS[-r]] += 1
            return
        p = self._packet
        p.buf = buf
        p.ip = off
        p.off = off + h[0]
        p.n = h[1] - h[0]
        p.ttl = h[3]
        p.proto = h[4]
        p.ifc = ifc
        p.group = group
        p.whole = True
        if not self._accept(p):
            return
        if h[2] & 0x3FFF:
            if self._reassembly is None:
                from .fragment import Reassembly

                self._reassembly = Reassembly(self.stack)
            p = self._reassembly.input(p, h[2])
            if p is None:
                return
        self.deliver(p)

    def _accept(self, p):
        # RFC 1122 3.2.1.3: which sources and destinations may be. True if the datagram is ours.
        ifc = p.ifc
        stats = self.stack.stats
        src = _class(p.buf, p.ip + 12, ifc.net)
        p.to = to = _class(p.buf, p.ip + 16, ifc.net)
        lo = ifc.arp is None and ifc.net[0] == 127
        if src != OTHER and not lo:
            # DHCP speaks from 0.0.0.0, to the broadcast address; nothing else does.
            if src != UNSPECIFIED or to != BROADCAST:
                stats["ip_martian_source"] += 1
                return False
        if p.group and (to == OWN or to == OTHER):
            # RFC 1122 3.3.6: a unicast datagram in a broadcast frame.
            stats["ip_not_for_us"] += 1
            return False
        if to == OWN:
            return True
        if to == OTHER:
            if lo or self.any_destination or self._is_own(p):
                p.to = OWN
                return True
            if not ifc.net[0] and ifc.dhcp is not None:
                # A lease may be sent to the address that it offers (RFC 2131 4.1).
                p.to = BROADCAST
                return p.proto == PROTO_UDP
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

    def _is_own(self, p):
        # The weak end system model (RFC 1122 3.3.4.2): the address of another interface of ours.
        for ifc in self.stack.interfaces:
            if ifc.active and _equal(p.buf, p.ip + 16, ifc.net, 0, 4):
                return True
        return False

    def _joined(self, ifc, p):
        if ifc.arp is not None:
            return _listens(ifc, p.buf, p.ip + 16)
        for other in self.stack.interfaces:
            if _listens(other, p.buf, p.ip + 16):
                return True
        return False

    def deliver(self, p):
        """Give a datagram to the raw sockets and the handler of its protocol."""
        taken = False
        for r in self.raw:
            if r.proto == p.proto or r.proto == 255:
                r.datagram(p)
                taken = True
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
        o = r.ifc.dev.tx_off + HEADER
        _copy(buf, o, p.buf, p.ip, total)
        buf[o + 8] -= 1
        # RFC 1141: the checksum goes up by what the TTL word went down.
        c = (buf[o + 10] << 8 | buf[o + 11]) + 0x100
        c = (c & 0xFFFF) + (c >> 16)
        buf[o + 10] = c >> 8
        buf[o + 11] = c & 0xFF
        stats["ip_forwarded"] += 1
        self.transmit(r.ifc, r.gateway or p.buf, 0 if r.gateway else p.ip + 16, total)

    # Output. A caller finds the route, borrows a buffer of its interface, writes the payload
    # behind the room for both headers (PAYLOAD from tx_off on) and calls send().

    PAYLOAD = HEADER + _HLEN

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

    def send(self, r, src, dst, off, n, tp, frag=0):
        """Send a datagram whose n payload bytes are in the borrowed buffer of egress(r).

        src: 4 bytes; destination at dst[off:off+4]; tp: TOS << 16 | TTL << 8 | protocol; frag: the
        flags and fragment offset word. An atomic datagram (DF) has identification 0 (RFC 6864).
        """
        ifc = self.stack.loopback if r.kind == "local" else r.ifc
        dev = ifc.dev
        ident = 0 if frag & DF else self.ident()
        _build(dev.borrow(), dev.tx_off + HEADER, src, dst, off, n + _HLEN, ident, frag, tp)
        gateway = r.gateway
        if gateway is not None:
            self.transmit(ifc, gateway, 0, n + _HLEN)
        else:
            self.transmit(ifc, dst, off, n + _HLEN)

    def transmit(self, ifc, hop, off, n):
        """Send the n bytes of IPv4 in the borrowed buffer to the next hop at hop[off:off+4]."""
        dev = ifc.dev
        arp = ifc.arp
        buf = dev.borrow()
        if arp is None:
            _eth_build(buf, dev.tx_off, _NO_MAC, 0, ifc.mac, TYPE_IPV4)
            ifc.send(n + HEADER)
            return
        kind = _class(hop, off, ifc.net)
        if kind == OTHER or kind == OWN:
            i = arp.resolve(hop, off)
            if i < 0:
                _eth_build(buf, dev.tx_off, _NO_MAC, 0, ifc.mac, TYPE_IPV4)
                arp.queue(hop, off, bytearray(buf[dev.tx_off : dev.tx_off + n + HEADER]))
                return
            _eth_build(buf, dev.tx_off, arp.macs, 6 * i, ifc.mac, TYPE_IPV4)
        elif kind == MULTICAST:
            # RFC 1112 6.4: the low 23 bits of the group.
            group = bytes((1, 0, 0x5E, hop[off + 1] & 0x7F, hop[off + 2], hop[off + 3]))
            _eth_build(buf, dev.tx_off, group, 0, ifc.mac, TYPE_IPV4)
            if _listens(ifc, hop, off):
                self._echo(ifc, buf, dev.tx_off, n)
        else:
            _eth_build(buf, dev.tx_off, b"\xff\xff\xff\xff\xff\xff", 0, ifc.mac, TYPE_IPV4)
        ifc.send(n + HEADER)

    def _echo(self, ifc, buf, off, n):
        # A member of the group on this host hears it too (RFC 1112 6.1).
        lo = self.stack.loopback
        if ifc is not lo:
            lo.send_copy(bytes(buf[off : off + n + HEADER]))

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
        buf = ifc.borrow()
        if buf is None:
            return -ENOBUFS
        _copy(buf, ifc.dev.tx_off + self.PAYLOAD, data, 0, n)
        self.send(r, src, dst, off, n, tp, DF if df else 0)
        return n

    def source_for(self, r, dst):
        """The source address for a destination: that of the interface the route leaves by."""
        if r.kind == "local" and r.ifc.net[0] == 127:
            return bytes(dst)
        return r.ifc.addr

    def unreachable(self, frame, off):
        """A frame (bytes, its datagram at `off`) was never sent: its next hop did not answer."""
        self.icmp.local_error(frame, off)


def _listens(ifc, addr, off):
    for g in ifc.groups:
        if _equal(addr, off, g, 0, 4):
            return True
    return False
