# A small DHCP server (RFC 2131) for a gateway: one pool, addresses that stay with a MAC.
from .. import native
from ..address import ip4_text, mac_text, network
from ..internet.ipv4 import OTHER
from ..stack import Timer, diff
from . import dhcp

_class = native.load("ip").ip_class
_BROADCAST = b"\xff\xff\xff\xff"
_ZERO = bytes(4)
_MASK = const(0x3FFFFFFF)
_MAX_LEASE_S = const(500000)  # what the 30-bit clock can tell apart
_OFFER_MS = const(60000)
_SWEEP_MS = const(60000)
_FREE = const(0)  # remembered for its MAC, may be given to another
_OFFERED = const(1)
_LEASED = const(2)
_DECLINED = const(3)

NAMES = ("free", "offered", "leased", "declined")


class _Binding:
    def __init__(self, mac):
        self.mac = mac
        self.state = _FREE
        self.until = 0
        self.name = ""


class Server(Timer):
    """Serves `pool_count` addresses from `pool_first` (4 bytes) to the clients of an interface.

    gateway: 4 bytes or None; dns: list of 4-byte addresses; domain: name for option 15.
    """

    def __init__(self, ifc, pool_first, pool_count, gateway, dns, lease_s=3600, domain=""):
        self.ifc = ifc
        self.stack = ifc.stack
        self.first = bytes(pool_first)
        self.count = pool_count
        self.gateway = gateway
        self.dns = dns
        self.lease_s = min(lease_s, _MAX_LEASE_S)
        self.domain = domain
        self.bindings = {}  # index in the pool: _Binding
        self.stats = self.stack.stats
        for name in ("dhcpd_bad", "dhcpd_nak", "dhcpd_declined", "dhcpd_full"):
            self.stats.setdefault(name, 0)
        self._ep = None

    def start(self):
        """Answer from now on. OSError(EADDRINUSE): port 67 is taken."""
        s = self.stack
        s.enter()
        try:
            if self._ep is None:
                self._ep = s.udp.open(handler=self, port=dhcp.SERVER_PORT, reuse=True)
                self._ep.ifc = self.ifc
                s.add_timer(self)
                s.arm(self, _SWEEP_MS)
        finally:
            s.leave()

    def stop(self):
        """Stop answering; what was leased stays remembered."""
        if self._ep is not None:
            self._ep.close()
            self._ep = None
            self.stack.remove_timer(self)
            self.due = -1

    def leases(self):
        """The pool's addresses in use, as a list of dicts: ip, mac, state, name."""
        out = []
        for i in sorted(self.bindings):
            b = self.bindings[i]
            out.append(
                {
                    "ip": ip4_text(self._addr(i)),
                    "mac": mac_text(b.mac) if b.mac else "",
                    "state": NAMES[b.state],
                    "name": b.name,
                }
            )
        return out

    # The pool.

    def _addr(self, i):
        a = bytearray(self.first)
        for k in (3, 2, 1, 0):
            i += a[k]
            a[k] = i & 0xFF
            i >>= 8
        return bytes(a)

    def _index(self, addr):
        # Index of an address in the pool, -1 outside it.
        d = 0
        for k in range(4):
            d = (d << 8) + addr[k] - self.first[k]
            if not -0x10000 < d < 0x10000:
                return -1
        return d if 0 <= d < self.count else -1

    def _of(self, mac):
        for i in self.bindings:
            if self.bindings[i].mac == mac:
                return i
        return -1

    def _available(self, i, mac):
        b = self.bindings.get(i)
        return b is None or b.mac == mac or b.state == _FREE

    def _find(self, mac, wish):
        # RFC 2131 4.3.1: the client's old address, the one it asks for, then any; -1: none left.
        # The search starts at a place that the MAC decides: the same one after a restart.
        i = self._of(mac)
        if i >= 0:
            return i
        if wish:
            i = self._index(wish)
            if i >= 0 and self._available(i, mac) and self._usable(i):
                return i
        start = 0
        for c in mac:
            start = (start * 31 + c) % self.count
        fallback = -1
        for k in range(self.count):
            i = (start + k) % self.count
            if not self._usable(i):
                continue
            b = self.bindings.get(i)
            if b is None:
                return i
            if b.state == _FREE and fallback < 0:
                fallback = i
        return fallback

    def _usable(self, i):
        a = self._addr(i)
        return a != self.ifc.addr and a != self.gateway

    def _neighbour(self, addr):
        net = self.ifc.net
        here = network(addr, self.ifc.mask) == network(net, self.ifc.mask)
        return here and _class(addr, 0, net) == OTHER

    def _hold(self, i, mac, state, ms, name=""):
        b = self.bindings.get(i)
        if b is None or b.mac != mac:
            self.bindings[i] = b = _Binding(mac)
        b.state = state
        b.until = (self.stack.now + ms) & _MASK
        if name:
            b.name = name

    def expire(self, now):
        for i in list(self.bindings):
            b = self.bindings[i]
            if b.state != _FREE and diff(now, b.until) >= 0:
                if b.mac is None:
                    del self.bindings[i]
                else:
                    b.state = _FREE
        self.stack.arm(self, _SWEEP_MS)

    # Messages.

    def datagram(self, ep, p, off, n):
        b = p.buf
        o = dhcp.parse(b, off, n)
        if o is None:
            self.stats["dhcpd_bad"] += 1
            return
        if b[off] != 1 or any(b[off + 24 : off + 28]):
            return  # a reply, or by way of a relay, which is not served
        xid = bytes(b[off + 4 : off + 8])
        mac = bytes(b[off + 28 : off + 34])
        ciaddr = bytes(b[off + 12 : off + 16])
        kind = o[dhcp.TYPE][0]
        server = o.get(dhcp.SERVER_ID)
        wish = o.get(dhcp.REQUESTED)
        i = self._of(mac)
        if kind == dhcp.DISCOVER:
            self._discover(xid, mac, wish, b[off + 10])
        elif kind == dhcp.REQUEST:
            name = o.get(dhcp.HOST_NAME, b"")[:63]
            name = "".join([chr(c) for c in name if 32 < c < 127])
            self._request(xid, mac, ciaddr, wish, server, name, b[off + 10])
        elif server is not None and server != self.ifc.addr:
            pass  # meant for another server
        elif kind == dhcp.DECLINE:
            # RFC 2131 4.3.3: somebody else has the address; give it to nobody for a while.
            if i >= 0 and wish == self._addr(i):
                self.stats["dhcpd_declined"] += 1
                self._hold(i, None, _DECLINED, self.lease_s * 1000)
        elif kind == dhcp.RELEASE:
            # RFC 2131 4.3.4: the address is free, and remembered for its client.
            if i >= 0 and ciaddr == self._addr(i):
                self.bindings[i].state = _FREE
        elif kind == dhcp.INFORM:
            # RFC 2131 4.3.5: parameters without a lease. They go to the address that is written
            # in the message: it must be a neighbour's, or anybody could be sent them.
            if any(ciaddr) and not self._neighbour(ciaddr):
                self.stats["dhcpd_bad"] += 1
                return
            m = self._reply(dhcp.ACK, xid, mac, _ZERO, 0, ciaddr)
            self._parameters(m)
            self._send(m, ciaddr)

    def _discover(self, xid, mac, wish, flags):
        i = self._find(mac, wish)
        if i < 0:
            self.stats["dhcpd_full"] += 1
            return
        b = self.bindings.get(i)
        if b is None or b.mac != mac or b.state != _LEASED:
            self._hold(i, mac, _OFFERED, _OFFER_MS)
        m = self._reply(dhcp.OFFER, xid, mac, self._addr(i), flags)
        self._lease(m)
        self._parameters(m)
        self._send(m)

    def _request(self, xid, mac, ciaddr, wish, server, name, flags):
        renewing = any(ciaddr)
        addr = ciaddr if renewing else wish
        if server is not None and server != self.ifc.addr:
            # Another server was chosen: the offer lapses.
            i = self._of(mac)
            if i >= 0 and self.bindings[i].state == _OFFERED:
                self.bindings[i].state = _FREE
            return
        if addr is None:
            self.stats["dhcpd_bad"] += 1
            return
        i = self._index(addr)
        mine = self._of(mac)
        good = i >= 0 and (mine < 0 or mine == i)
        if not good or not self._available(i, mac) or not self._usable(i):
            # RFC 2131 4.3.2: a wrong address or network. A NAK is always broadcast.
            self.stats["dhcpd_nak"] += 1
            self._send(self._reply(dhcp.NAK, xid, mac, _ZERO, 0x80))
            return
        self._hold(i, mac, _LEASED, self.lease_s * 1000, name)
        m = self._reply(dhcp.ACK, xid, mac, addr, flags, ciaddr)
        self._lease(m)
        self._parameters(m)
        self._send(m, ciaddr)

    def _reply(self, kind, xid, mac, yiaddr, flags, ciaddr=_ZERO):
        m = dhcp.message(2, xid, mac, kind, 0, ciaddr, yiaddr, flags)
        dhcp.option(m, dhcp.SERVER_ID, self.ifc.addr)
        return m

    def _lease(self, m):
        s = self.lease_s
        for code, v in ((dhcp.LEASE, s), (dhcp.T1, s // 2), (dhcp.T2, s - s // 8)):
            dhcp.option(m, code, bytes((0, v >> 16, v >> 8 & 0xFF, v & 0xFF)))

    def _parameters(self, m):
        dhcp.option(m, dhcp.SUBNET, self.ifc.mask)
        if self.gateway:
            dhcp.option(m, dhcp.ROUTER, self.gateway)
        if self.dns:
            dhcp.option(m, dhcp.DNS, b"".join(self.dns))
        if self.domain:
            dhcp.option(m, dhcp.DOMAIN, self.domain.encode())

    def _send(self, m, to=_ZERO):
        # RFC 2131 4.1: to ciaddr, if the client has one; else to everybody, since a client without
        # an address answers no ARP request.
        if not any(to):
            to = _BROADCAST
        self.stack.udp.send(self._ep, dhcp.finish(m), to, dhcp.CLIENT_PORT, src=self.ifc.addr)
