# What lies behind SOCK_RAW (whole IPv4 datagrams of one protocol) and AF_PACKET (whole frames).
#
# Both queue copies: who reads packets below TCP and UDP wants them as they came.
from .errors import EDESTADDRREQ, EINVAL, EMSGSIZE, ENETUNREACH, ENOBUFS
from .sockopt import interface

IPPROTO_RAW = 255
ETH_P_ALL = 3
PACKET_HOST = 0
PACKET_BROADCAST = 1
PACKET_MULTICAST = 2
PACKET_OTHERHOST = 3

_HEADER = const(20)
_RECORD = const(64)  # what a packet takes besides its bytes
_ANY = bytes(4)


class _Queue:
    # Datagrams kept whole; bounded in bytes. The same face as a UDP endpoint.

    def __init__(self, stack, size):
        self.stack = stack
        self.size = size
        self.ring = None
        self.queue = []  # (data, peer, extra)
        self.used = 0
        self.dropped = 0
        self.ifc = None
        self.error = 0
        self.wake = None
        self.local = _ANY
        self.port = 0
        self.remote = _ANY
        self.remote_port = 0
        self.peer = _ANY
        self.peer_port = 0
        self.tos = 0
        self.ttl = 64
        self.multicast_ttl = 1
        self.multicast_ifc = None
        self.broadcast = False
        self.header_included = False

    @property
    def count(self):
        return len(self.queue)

    def _put(self, data, peer, extra):
        if self.used + len(data) + _RECORD > self.size:
            self.dropped += 1
            return
        self.used += len(data) + _RECORD
        self.queue.append((data, peer, extra))
        if self.wake is not None:
            self.wake()

    def next_length(self):
        return len(self.queue[0][0]) if self.queue else -1

    def take(self, buf, n, peek=False):
        if not self.queue:
            return 0
        data, self.peer, self.peer_port = self.queue[0]
        n = min(n, len(data))
        buf[:n] = data[:n]
        if not peek:
            self.queue.pop(0)
            self.used -= len(data) + _RECORD
        return n


class RawEndpoint(_Queue):
    """SOCK_RAW: receives every datagram of a protocol with its header, sends payloads."""

    def __init__(self, stack, proto, size):
        super().__init__(stack, size)
        self.proto = proto
        self.header_included = proto == IPPROTO_RAW
        stack.ip.raw.append(self)

    def datagram(self, p):
        # IPv4 hands over a datagram that it is about to deliver.
        if self.ifc is not None and self.ifc is not p.ifc:
            return
        if self.local != _ANY and p.destination() != self.local:
            return
        if self.remote != _ANY and p.source() != self.remote:
            return
        self._put(bytes(p.buf[p.ip : p.off + p.n]), p.source(), 0)

    def bind(self, addr, port):
        self.local = addr

    def send(self, data, dst, port):
        """Send a payload, or with IP_HDRINCL a datagram whose header the caller wrote."""
        ip = self.stack.ip
        r = ip.route(dst, 0, self.ifc)
        if r is None:
            return -ENETUNREACH
        proto = self.proto
        src = self.local if self.local != _ANY else ip.source_for(r, dst)
        tos, ttl = self.tos, self.multicast_ttl if 224 <= dst[0] < 240 else self.ttl
        if self.header_included:
            h = (data[0] & 15) << 2 if len(data) >= _HEADER else 0
            if h < _HEADER or len(data) < h or data[0] >> 4 != 4:
                return -EINVAL
            if bytes(data[12:16]) != _ANY:
                src = bytes(data[12:16])
            tos, ttl, proto = data[1], data[8], data[9]
            data = memoryview(data)[h:]
        try:
            sent = ip.send_data(r, src, dst, 0, data, tos << 16 | ttl << 8 | proto)
        except OSError as e:
            return -e.errno
        return sent if sent < 0 or not self.header_included else sent + _HEADER

    def push(self, data, off):
        if self.remote == _ANY:
            return -EDESTADDRREQ
        return self.send(data, self.remote, 0)

    def close(self):
        if self in self.stack.ip.raw:
            self.stack.ip.raw.remove(self)


class PacketEndpoint(_Queue):
    """AF_PACKET, SOCK_RAW: whole frames of an EtherType (ETH_P_ALL: of all), in and out."""

    def __init__(self, stack, proto, size):
        super().__init__(stack, size)
        # As Linux has it, the protocol is given in network byte order.
        self.proto = (proto & 0xFF) << 8 | proto >> 8
        stack.ethernet.taps.append(self)

    def frame(self, ifc, buf, off, n):
        # Ethernet hands over a frame that it has received.
        if self.ifc is not None and self.ifc is not ifc:
            return
        kind = buf[off + 12] << 8 | buf[off + 13]
        if self.proto not in (ETH_P_ALL, kind):
            return
        to = PACKET_HOST
        if buf[off] == 0xFF:
            to = PACKET_BROADCAST
        elif buf[off] & 1:
            to = PACKET_MULTICAST
        elif bytes(buf[off : off + 6]) != bytes(ifc.mac):
            to = PACKET_OTHERHOST
        sender = (ifc.name, kind, to, 1, bytes(buf[off + 6 : off + 12]))
        self._put(bytes(buf[off : off + n]), sender, 0)

    def bind_device(self, name):
        self.ifc = interface(self.stack, name)

    def send_frame(self, ifc, data):
        """Send a frame, header and all. Its length or -errno."""
        if ifc is None:
            return -EINVAL
        if len(data) < 14 or len(data) > ifc.mtu + 14:
            return -EMSGSIZE
        return len(data) if ifc.send_copy(data) else -ENOBUFS

    def push(self, data, off):
        return self.send_frame(self.ifc, data)

    def close(self):
        if self in self.stack.ethernet.taps:
            self.stack.ethernet.taps.remove(self)
