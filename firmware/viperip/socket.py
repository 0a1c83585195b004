# The socket module of the stack: MicroPython's API, and what the built-in one leaves out
# (shutdown, keepalive, recv_into, TCP_INFO).
# ruff: noqa: F401  (what is imported is part of the module's interface)
from . import native
from .address import ip4_text
from .errors import (
    EADDRINUSE,
    EAFNOSUPPORT,
    ECONNABORTED,
    EINPROGRESS,
    EINVAL,
    EISCONN,
    ENOPROTOOPT,
    ENOTCONN,
    EOPNOTSUPP,
    ETIMEDOUT,
)
from .names import getaddrinfo, inet_ntop, inet_pton, resolve
from .sockopt import (
    IP_ADD_MEMBERSHIP,
    IP_DROP_MEMBERSHIP,
    IP_HDRINCL,
    IP_MULTICAST_IF,
    IP_MULTICAST_TTL,
    IP_TOS,
    IP_TTL,
    IPPROTO_IP,
    IPPROTO_TCP,
    SO_BINDTODEVICE,
    SO_BROADCAST,
    SO_ERROR,
    SO_KEEPALIVE,
    SO_LINGER,
    SO_RCVBUF,
    SO_REUSEADDR,
    SO_SNDBUF,
    SOL_SOCKET,
    TCP_INFO,
    TCP_KEEPCNT,
    TCP_KEEPIDLE,
    TCP_KEEPINTVL,
    TCP_NODELAY,
    TCP_USER_TIMEOUT,
    apply,
    get,
    interface,
)
from .stream import MSG_DONTWAIT, MSG_PEEK, Stream, octets

AF_INET = 2
AF_INET6 = 10
AF_PACKET = 17
SOCK_STREAM = 1
SOCK_DGRAM = 2
SOCK_RAW = 3
IPPROTO_ICMP = 1
IPPROTO_UDP = 17
IPPROTO_RAW = 255
SHUT_RD = 0
SHUT_WR = 1
SHUT_RDWR = 2

_RD = const(1)
_WR = const(4)
_ANY = bytes(4)
_class = native.load("ip").ip_class
_BROADCAST = const(2)  # a result of it


class socket(Stream):
    """A socket of the default stack: TCP, UDP, raw IPv4 (AF_INET, SOCK_RAW, proto) or whole
    frames (AF_PACKET, SOCK_RAW, EtherType in network byte order)."""

    def __init__(self, af=AF_INET, type=SOCK_STREAM, proto=0, _stack_=None, _pcb=None):
        if af not in (AF_INET, AF_PACKET):
            raise OSError(EAFNOSUPPORT)
        if type not in (SOCK_STREAM, SOCK_DGRAM, SOCK_RAW) or (af != AF_INET and type != SOCK_RAW):
            raise OSError(EINVAL)
        super().__init__(_stack_, _pcb, type != SOCK_STREAM)
        self.family = af
        self.type = type
        self._local = (_ANY, 0)
        self._opening = False
        self._options = {}
        self._ifc = None
        self._groups = []
        if type == SOCK_DGRAM:
            from .transport.udp import Endpoint

            self._pcb = Endpoint(self.stack.udp, self.stack.tcp_buffer)
        elif type == SOCK_RAW:
            from . import rawsocket

            kind = rawsocket.PacketEndpoint if af == AF_PACKET else rawsocket.RawEndpoint
            self._pcb = kind(self.stack, proto, self.stack.tcp_buffer)
        else:
            self.stack.tcp

    # Names.

    def bind(self, address):
        """Take a local (address, port). OSError(EADDRINUSE)."""
        self._check()
        if self.family == AF_PACKET:
            self._pcb.bind_device(address[0])
            return
        addr, port = resolve(address)
        stack = self.stack
        stack.enter()
        try:
            if self.type == SOCK_RAW:
                self._pcb.bind(addr, port)
            elif self._datagram:
                stack.udp.bind(self._pcb, addr, port, bool(self._options.get(SO_REUSEADDR)))
            else:
                if self._pcb is not None or self._local[1]:
                    raise OSError(EINVAL)
                if port:
                    self._claim(addr, port)
                else:
                    port = stack.tcp.free_port(_ANY, 0)
                self._local = (addr, port)
        finally:
            stack.leave()

    def _claim(self, addr, port):
        # SO_REUSEADDR: connections may have the port, those in TIME-WAIT above all (RFC 9293
        # 3.3.2); two listeners never.
        tcp = self.stack.tcp
        users = tcp.listeners
        if not self._options.get(SO_REUSEADDR):
            users = users + tcp.connections
        for s in users:
            if s.port == port and (s.local == addr or s.local == _ANY or addr == _ANY):
                raise OSError(EADDRINUSE)

    def getsockname(self):
        p = self._pcb
        if p is None:
            return ip4_text(self._local[0]), self._local[1]
        return ip4_text(p.local), p.port

    def getpeername(self):
        p = self._pcb
        if p is None or self._listening or not p.remote_port:
            raise OSError(ENOTCONN)
        return ip4_text(p.remote), p.remote_port

    # Opening.

    def listen(self, backlog=5):
        """Accept connections to the bound port."""
        self._check()
        if self.type != SOCK_STREAM:
            raise OSError(EOPNOTSUPP)
        if self._listening:
            self._pcb.backlog = max(1, backlog)
            return
        if self._pcb is not None:
            raise OSError(EINVAL)
        stack = self.stack
        stack.enter()
        try:
            addr, port = self._local
            self._pcb = stack.tcp.listen(
                addr, port or stack.tcp.free_port(_ANY, 0), backlog, *self._sizes()
            )
            self._pcb.ifc = self._ifc
            self._listening = True
        finally:
            stack.leave()

    def _sizes(self):
        return self._options.get(SO_SNDBUF, 0), self._options.get(SO_RCVBUF, 0)

    def accept(self):
        """(socket, (address, port)) of the next connection."""
        self._check()
        if self.type != SOCK_STREAM:
            raise OSError(EOPNOTSUPP)
        if not self._listening:
            raise OSError(EINVAL)
        if not self._wait(_RD):
            self._again()
        stack = self.stack
        stack.enter()
        try:
            if not self._pcb.queue:
                raise OSError(ECONNABORTED)
            # Taken when its socket is there: memory may run out on the way.
            c = self._pcb.queue[0]
            s = self.__class__(AF_INET, SOCK_STREAM, 0, stack, c)
            for k in self._options:
                apply(s, k, self._options[k])
            s._options = dict(self._options)
            self._pcb.accept()
        finally:
            stack.leave()
        return s, (ip4_text(c.remote), c.remote_port)

    def connect(self, address):
        """Connect to (address, port). OSError: ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH ...; on a
        non-blocking socket EINPROGRESS, and the socket becomes writable when it is done."""
        self._check()
        addr, port = resolve(address)
        stack = self.stack
        if self._datagram:
            self._may_send(addr)
            stack.enter()
            try:
                p = self._pcb
                if not p.port and self.type == SOCK_DGRAM:
                    stack.udp.bind(p, _ANY, 0)
                p.remote = addr
                p.remote_port = port
            finally:
                stack.leave()
            return
        p = self._pcb
        if p is not None:
            if self._opening and p.state in (2, 3):
                raise OSError(EINPROGRESS)
            raise OSError(EISCONN)
        if addr == _ANY:
            addr = b"\x7f\0\0\x01"
        stack.enter()
        try:
            local, lport = self._local
            self._pcb = p = stack.tcp.connect(addr, port, local, lport, self._ifc, *self._sizes())
            for k in self._options:
                apply(self, k, self._options[k])
            self._opening = True
            stack.tcp.flush()
        finally:
            stack.leave()
        if self._timeout == 0:
            raise OSError(EINPROGRESS)
        if not self._wait(_WR):
            self._pcb = None
            stack.enter()
            try:
                p.abort(ETIMEDOUT)
            finally:
                stack.leave()
            raise OSError(ETIMEDOUT)
        if p.error:
            self._pcb = None
            raise OSError(p.error)

    # Sending.

    def send(self, data, flags=0):
        """Send bytes; how many were taken."""
        self._check()
        data = octets(data)
        n = self._send(data, 0, flags)
        if n is None:
            self._again(flags)
        return n

    def sendall(self, data, flags=0):
        """Send all of data, however long it takes."""
        self._check()
        data = octets(data)
        done = 0
        while done < len(data):
            r = self._send(data, done, flags)
            if r is None:
                self._again(flags)
            done += r

    def sendto(self, data, address):
        """Send a datagram to (address, port)."""
        self._check()
        if not self._datagram:
            raise OSError(EISCONN)
        data = octets(data)
        if self.family == AF_PACKET:
            return self._send_frame(interface(self.stack, address[0]), data)
        addr, port = resolve(address)
        return self._send_datagram(data, addr, port)

    def _send_frame(self, ifc, data):
        self.stack.enter()
        try:
            r = self._pcb.send_frame(ifc, data)
        finally:
            self.stack.leave()
        if r < 0:
            raise OSError(-r)
        return r

    def _send_datagram(self, data, addr, port):
        stack = self.stack
        p = self._pcb
        self._may_send(addr)
        stack.enter()
        try:
            if p.error:
                p.error, r = 0, p.error
                raise OSError(r)
            if not p.port and self.type == SOCK_DGRAM:
                stack.udp.bind(p, _ANY, 0)
            r = p.send(data, addr, port)
        finally:
            stack.leave()
        if r < 0:
            raise OSError(-r)
        return r

    def _may_send(self, addr):
        # SO_BROADCAST guards against accidents (RFC 1122 4.1.3.6 leaves it to the interface).
        if self._pcb.broadcast:
            return
        for ifc in self.stack.interfaces:
            if _class(addr, 0, ifc.net) == _BROADCAST:
                from .errors import EACCES

                raise OSError(EACCES)

    # Receiving.

    def recv(self, n, flags=0):
        """Up to n bytes; b"" at the end of the stream."""
        self._check()
        return self._recv(n, flags, True)

    def recv_into(self, buf, n=0, flags=0):
        """Receive into a buffer; the number of bytes."""
        self._check()
        if not self._arrived(flags):
            self._again(flags)
        return self._take(buf, n or len(buf), flags)

    def recvfrom(self, n, flags=0):
        """(bytes, (address, port)) of the next datagram."""
        data = self.recv(n, flags)
        return data, self._sender()

    def _sender(self):
        # Who sent what was read last; on AF_PACKET (interface, type, kind, hardware, address).
        p = self._pcb
        if self.family == AF_PACKET:
            return p.peer
        if self._datagram:
            return ip4_text(p.peer), p.peer_port
        return ip4_text(p.remote), p.remote_port

    def recvfrom_into(self, buf, n=0, flags=0):
        """(length, (address, port)) of the next datagram."""
        n = self.recv_into(buf, n, flags)
        return n, self._sender()

    # Closing.

    def shutdown(self, how):
        """SHUT_WR: half close, what is queued and a FIN are sent; SHUT_RD: read no more."""
        self._check()
        p = self._pcb
        if self.type != SOCK_STREAM or p is None or self._listening:
            raise OSError(ENOTCONN)
        stack = self.stack
        stack.enter()
        try:
            if how != SHUT_WR:
                p.reading = False
            if how != SHUT_RD:
                p.shutdown()
                stack.tcp.flush()
        finally:
            stack.leave()

    def close(self):
        """Close. What was sent is still delivered; unread data is answered with a reset."""
        if not self._open:
            return
        self._open = False
        p = self._pcb
        stack = self.stack
        stack.enter()
        try:
            for ifc, group in self._groups:
                from .internet.igmp import of

                of(stack).leave(ifc, group)
            if p is not None:
                if self._options.get(SO_LINGER) == 0 and self.type == SOCK_STREAM:
                    if not self._listening:
                        p.orphan = True
                        p.abort()
                p.close()
                if self.type == SOCK_STREAM:
                    stack.tcp.flush()
        finally:
            stack.leave()

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.close()

    # Options.

    def setsockopt(self, level, option, value):
        """OSError(ENOPROTOOPT) for an option that does not exist."""
        self._check()
        key = option if level == SOL_SOCKET else (level, option)
        self.stack.enter()
        try:
            if not apply(self, key, value):
                raise OSError(ENOPROTOOPT)
        finally:
            self.stack.leave()
        self._options[key] = value

    def getsockopt(self, level, option, size=0):
        """The value of an option; TCP_INFO gives a dict (times in ms, sizes in bytes)."""
        self._check()
        return get(self, level, option)
