# The socket module of the stack: MicroPython's API and stream protocol, and what the built-in
# one leaves out (shutdown, keepalive, recv_into, TCP_INFO).
# ruff: noqa: F401  (the option names are part of the module's interface)
import io

from .address import ip4, ip4_text
from .errors import (
    EADDRINUSE,
    EAFNOSUPPORT,
    EAGAIN,
    EBADF,
    ECONNABORTED,
    EDESTADDRREQ,
    EINPROGRESS,
    EINVAL,
    EISCONN,
    ENOPROTOOPT,
    ENOTCONN,
    EOPNOTSUPP,
    EPIPE,
    ETIMEDOUT,
)
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
from .stack import diff, later

AF_INET = 2
AF_INET6 = 10
AF_PACKET = 17
SOCK_STREAM = 1
SOCK_DGRAM = 2
SOCK_RAW = 3
IPPROTO_ICMP = 1
IPPROTO_UDP = 17
IPPROTO_RAW = 255
MSG_PEEK = 2
MSG_DONTWAIT = 64
SHUT_RD = 0
SHUT_WR = 1
SHUT_RDWR = 2

_POLL = const(3)
_CLOSE = const(4)
_RD = const(1)
_WR = const(4)
_ERR = const(8)
_HUP = const(16)
_WAIT_MS = const(1000)
_LONGEST_MS = const(0x1FFFFFFF)
_ANY = bytes(4)

_SERVICES = {
    "echo": 7,
    "discard": 9,
    "ftp": 21,
    "ssh": 22,
    "telnet": 23,
    "smtp": 25,
    "domain": 53,
    "tftp": 69,
    "http": 80,
    "ntp": 123,
    "https": 443,
    "syslog": 514,
    "mqtt": 1883,
    "mdns": 5353,
}


def _stack():
    from . import default

    return default()


def _port(port):
    if isinstance(port, int):
        return port
    if isinstance(port, str):
        if port.isdigit():
            return int(port)
        if port in _SERVICES:
            return _SERVICES[port]
    if port is None:
        return 0
    raise OSError(-8)  # EAI_SERVICE


def getaddrinfo(host, port, af=0, type=0, proto=0, flags=0):
    """[(AF_INET, type, proto, "", (address, port)), ...]; OSError(-2): no such name."""
    port = _port(port)
    try:
        addrs = [ip4(host)] if host else [_ANY]
    except ValueError:
        addrs = _stack().resolver.lookup(host)
    kind = type or SOCK_STREAM
    proto = proto or (IPPROTO_UDP if kind == SOCK_DGRAM else IPPROTO_TCP)
    return [(AF_INET, kind, proto, "", (ip4_text(a), port)) for a in addrs]


def inet_pton(af, text):
    """4 bytes of a dotted quad."""
    try:
        return ip4(text)
    except ValueError:
        raise OSError(EINVAL)


def inet_ntop(af, addr):
    """Dotted quad of 4 bytes."""
    return ip4_text(addr)


def _resolve(address):
    # (4 bytes, port) of an (address, port) tuple, the address a name if need be.
    host, port = address[0], _port(address[1])
    if host == "" or host is None:
        return _ANY, port
    try:
        return ip4(host), port
    except ValueError:
        return _stack().resolver.lookup(host)[0], port


class socket(io.IOBase):
    """A socket of the default stack: TCP, UDP, raw IPv4 (AF_INET, SOCK_RAW, proto) or whole
    frames (AF_PACKET, SOCK_RAW, EtherType in network byte order)."""

    def __init__(self, af=AF_INET, type=SOCK_STREAM, proto=0, _stack_=None, _pcb=None):
        if af not in (AF_INET, AF_PACKET):
            raise OSError(EAFNOSUPPORT)
        if type not in (SOCK_STREAM, SOCK_DGRAM, SOCK_RAW) or (af != AF_INET and type != SOCK_RAW):
            raise OSError(EINVAL)
        self.stack = _stack_ or _stack()
        self.family = af
        self.type = type
        self._datagram = type != SOCK_STREAM
        self._pcb = _pcb
        self._timeout = -1  # ms; -1: for ever, 0: not at all
        self._open = True
        self._local = (_ANY, 0)
        self._listening = False
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

    # Waiting.

    def _check(self):
        if not self._open:
            raise OSError(EBADF)

    def _ready(self, mask):
        # The poll flags that hold now.
        p = self._pcb
        if p is None:
            return mask & _WR | _HUP
        flags = 0
        if self._datagram:
            flags = _WR
            if p.count:
                flags |= _RD
            if p.error:
                flags |= _ERR
        elif self._listening:
            if p.queue:
                flags |= _RD
        else:
            if p.rcv_used or p.eof():
                flags |= _RD
            if p.error:
                flags |= _ERR | _WR
            if p.state == 0:
                flags |= _HUP | _RD
            elif p.state in (4, 5):
                if p.snd_len < p.snd_size and not p.fin:
                    flags |= _WR
            elif p.state > 5 and p.rcv_fin:
                flags |= _HUP
            if p.fin:
                flags |= _WR  # send() fails at once
        return flags & (mask | _ERR | _HUP)

    def _wait(self, mask, timeout=None):
        # Wait for a flag; False if the time is over (at once for a non-blocking socket).
        if timeout is None:
            timeout = self._timeout
        stack = self.stack
        if self._ready(mask):
            return True
        stack.poll()
        if self._ready(mask):
            return True
        if timeout == 0:
            return False
        end = later(stack.time(), timeout) if timeout > 0 else -1
        while True:
            left = _WAIT_MS
            if end >= 0:
                left = diff(end, stack.time())
                if left <= 0:
                    return False
                if left > _WAIT_MS:
                    left = _WAIT_MS
            stack.wait(left)
            if self._ready(mask):
                return True
            if not self._open:
                raise OSError(EBADF)

    def _again(self, flags=0):
        raise OSError(EAGAIN if self._timeout == 0 or flags & MSG_DONTWAIT else ETIMEDOUT)

    def settimeout(self, seconds):
        """None: block for ever; 0: do not block; else seconds to wait."""
        self._check()
        self._timeout = -1 if seconds is None else min(int(seconds * 1000), _LONGEST_MS)
        if seconds and not self._timeout:
            self._timeout = 1

    def setblocking(self, flag):
        self._check()
        self._timeout = -1 if flag else 0

    # Names.

    def bind(self, address):
        """Take a local (address, port). OSError(EADDRINUSE)."""
        self._check()
        if self.family == AF_PACKET:
            self._pcb.bind_device(address[0])
            return
        addr, port = _resolve(address)
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
        for s in self.stack.tcp.listeners:
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
            c = self._pcb.accept()
            if c is None:
                raise OSError(ECONNABORTED)
            s = self.__class__(AF_INET, SOCK_STREAM, 0, stack, c)
            for k in self._options:
                apply(s, k, self._options[k])
            s._options = dict(self._options)
        finally:
            stack.leave()
        return s, (ip4_text(c.remote), c.remote_port)

    def connect(self, address):
        """Connect to (address, port). OSError: ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH ...; on a
        non-blocking socket EINPROGRESS, and the socket becomes writable when it is done."""
        self._check()
        addr, port = _resolve(address)
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
            stack.enter()
            p.abort(ETIMEDOUT)
            stack.leave()
            self._pcb = None
            raise OSError(ETIMEDOUT)
        if p.error:
            self._pcb = None
            raise OSError(p.error)

    # Sending.

    def send(self, data, flags=0):
        """Send bytes; how many were taken."""
        self._check()
        n = self._send(data, 0, flags)
        if n is None:
            self._again(flags)
        return n

    def write(self, buf, off=None, n=None):
        # The stream protocol: None for "would block". `buf` may be gone after the call.
        self._check()
        if off is not None:
            buf = memoryview(buf)
            buf = buf[:off] if n is None else buf[off : off + n]
        if self._timeout == 0 or self._datagram:
            return self._send(buf, 0, 0)
        done = 0
        while done < len(buf):
            r = self._send(buf, done, 0)
            if r is None:
                if done:
                    return done
                raise OSError(ETIMEDOUT)
            done += r
        return done

    def sendall(self, data, flags=0):
        """Send all of data, however long it takes."""
        self._check()
        done = 0
        while done < len(data):
            r = self._send(data, done, flags)
            if r is None:
                self._again(flags)
            done += r

    def _send(self, data, off, flags):
        # Send data[off:]: how many bytes were taken, None if none can be now.
        if self._datagram:
            return self._push(data, 0)
        p = self._pcb
        if p is None or self._listening:
            raise OSError(ENOTCONN if not self._listening else EPIPE)
        if off == len(data):
            return 0
        if self._timeout and not flags & MSG_DONTWAIT:
            if not self._wait(_WR):
                return None
        if p.state == 2 or p.state == 3:
            return None  # still opening
        return self._push(data, off) or None

    def _push(self, data, off):
        off = self._guarded_push(data, off)
        if off < 0:
            raise OSError(-off)
        return off

    def _guarded_push(self, data, off):
        # Not try/finally, and no class to except: this frame just fits where it takes no heap.
        self.stack.enter()
        try:
            off = self._pcb.push(data, off)
        except:  # noqa: E722
            self.stack.leave()
            raise
        self.stack.leave()
        return off

    def sendto(self, data, address):
        """Send a datagram to (address, port)."""
        self._check()
        if not self._datagram:
            raise OSError(EISCONN)
        if self.family == AF_PACKET:
            return self._send_frame(interface(self.stack, address[0]), data)
        addr, port = _resolve(address)
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
        if addr == b"\xff\xff\xff\xff" and not self._pcb.broadcast:
            from .errors import EACCES

            raise OSError(EACCES)

    # Receiving.

    def recv(self, n, flags=0):
        """Up to n bytes; b"" at the end of the stream."""
        self._check()
        return self._recv(n, flags, True)

    def _recv(self, n, flags, strict):
        # bytes, or None where the call would block (an exception if `strict`).
        if not self._arrived(flags):
            if strict:
                self._again(flags)
            return None
        p = self._pcb
        if self._datagram:
            size = min(n, max(0, p.next_length()))
        else:
            size = min(n, p.rcv_used)
        buf = bytearray(size)
        r = self._take(buf, size, flags)
        return bytes(buf) if r == size else bytes(memoryview(buf)[:r])

    def _arrived(self, flags):
        p = self._pcb
        if p is None or self._listening:
            raise OSError(ENOTCONN)
        return self._wait(_RD, 0 if flags & MSG_DONTWAIT else None)

    def _take(self, buf, n, flags):
        # Copy out what has arrived; an error that waited is raised once all data is read.
        n = self._peek(buf, n) if flags & MSG_PEEK else self._guarded_take(buf, n)
        if n < 0:
            raise OSError(-n)
        return n

    def _guarded_take(self, buf, n):
        self.stack.enter()
        try:
            n = self._pcb.take(buf, n)
        except:  # noqa: E722
            self.stack.leave()
            raise
        self.stack.leave()
        return n

    def _peek(self, buf, n):
        self.stack.enter()
        try:
            return self._pcb.take(buf, n, True)
        finally:
            self.stack.leave()

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

    # The stream protocol. None says "would block": an exception would escape through ssl.

    def read(self, n=-1):
        self._check()
        if n is not None and n >= 0:
            if self._timeout == 0:
                return self._recv(n, 0, False)
            out = b""
            while len(out) < n:
                part = self._recv(n - len(out), 0, True)
                if not part:
                    break
                out += part
            return out
        out = b""
        while True:
            part = self._recv(2048, 0, False)
            if part is None:
                return self._none(out)
            if not part:
                return out
            out += part

    def _none(self, out):
        # What read() and readline() give when no more is there: a time that is over is an error.
        if self._timeout > 0:
            raise OSError(ETIMEDOUT)
        return out or None

    def readinto(self, buf, n=0):
        self._check()
        if not self._arrived(0):
            if self._timeout > 0:
                raise OSError(ETIMEDOUT)
            return None
        return self._take(buf, n or len(buf), 0)

    def readline(self):
        self._check()
        out = b""
        while not out.endswith(b"\n"):
            part = self._recv(256, MSG_PEEK, False)
            if part is None:
                return self._none(out)
            if not part:
                break
            out += self._recv(part.find(b"\n") + 1 or len(part), 0, False)
        return out

    def makefile(self, mode="rb", buffering=0):
        return self

    def ioctl(self, request, arg):
        if request == _POLL:
            if not self._open:
                return 32  # POLLNVAL
            flags = self._ready(arg)
            if not flags:
                self.stack.poll()
                flags = self._ready(arg)
            return flags
        if request == _CLOSE:
            self.close()
            return 0
        return -1

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
        if not apply(self, key, value):
            raise OSError(ENOPROTOOPT)
        self._options[key] = value

    def getsockopt(self, level, option, size=0):
        """The value of an option; TCP_INFO gives a dict (times in ms, sizes in bytes)."""
        self._check()
        return get(self, level, option)
