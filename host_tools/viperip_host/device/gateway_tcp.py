# TCP between the board and the outside: a socket of the host for each connection of the board, and
# the ports of 127.0.0.1 that --forward names.
import errno
import select
import socket

import gateway_host
from viperip.address import ip4
from viperip.packet import Packet
from viperip.stack import Timer

_LOOPBACK = b"\x7f\0\0\1"
_CHUNK = 16384
_CONNECTIONS = 128
# The host's sockets cannot be half closed here: what the board has finished is closed once the
# other side has been silent for so long.
_LINGER_MS = 100

_buffer = bytearray(_CHUNK)


class Splice(Timer):
    """A connection of the board joined to a socket of the host."""

    def __init__(self, relay, conn, sock):
        self.relay = relay
        self.conn = conn
        self.sock = sock
        self.rest = b""  # from the board, not yet taken by the host
        self.host_eof = False
        self.events = select.POLLIN
        self.fd = relay.relays.add(sock, self, select.POLLIN)
        conn.wake = self.pump
        conn.nodelay = True  # Nagle's work was done, or declined, at the end that wrote
        relay.stack.add_timer(self)
        relay.splices.append(self)
        self.pump()

    def ready(self, events):
        if events & select.POLLIN:
            self.from_host()
        elif events & (select.POLLERR | select.POLLHUP):
            self.host_closed()
        self.pump()

    def from_host(self):
        room = self.conn.space()
        if room <= 0 or self.host_eof:
            return
        try:
            data = self.sock.recv(min(room, _CHUNK))
        except OSError as e:
            if e.errno != errno.EAGAIN:
                self.host_closed()
            return
        if not data:
            self.host_eof = True
            self.conn.shutdown()
        else:
            self.conn.send(data, 0, len(data))
            if self.due >= 0:
                self.relay.stack.arm(self, _LINGER_MS)

    def host_closed(self):
        if self.sock is not None:
            self.conn.wake = None
            self.conn.orphan = True
            self.conn.abort()
            self.close()

    def pump(self):
        """Move what can be moved towards the host, then say what to wait for."""
        if self.sock is None:
            return
        conn = self.conn
        if conn.error:
            self.close()
            return
        while True:
            if not self.rest:
                n = conn.recv(_buffer, 0, _CHUNK)
                if not n:
                    break
                self.rest = bytes(memoryview(_buffer)[:n])
            if not self.push():
                break
        if self.sock is None:
            return
        if conn.eof() and not self.rest:
            if self.host_eof:
                self.close()
                return
            if self.due < 0:
                self.relay.stack.arm(self, _LINGER_MS)
        self.watch()

    def push(self):
        # True if the host took all of it.
        try:
            n = self.sock.send(self.rest)
        except OSError as e:
            if e.errno != errno.EAGAIN:
                self.host_closed()
            return False
        self.rest = self.rest[n:]
        return not self.rest

    def watch(self):
        events = 0
        if not self.host_eof and self.conn.space() > 0:
            events |= select.POLLIN
        if self.rest:
            events |= select.POLLOUT
        if events != self.events:
            self.events = events
            self.relay.relays.change(self.fd, events)

    def expire(self, now):
        self.close()

    def close(self):
        if self.sock is None:
            return
        self.relay.relays.remove(self.fd)
        self.sock.close()
        self.sock = None
        self.relay.stack.remove_timer(self)
        self.relay.splices.remove(self)
        self.conn.wake = None
        if not self.conn.orphan:
            self.conn.close()


class Opening:
    """A SYN of the board, answered once the host's own connection is there or refused."""

    def __init__(self, relay, key, p, target):
        self.relay = relay
        self.key = key
        self.syn = syn = Packet()
        syn.ifc = p.ifc
        syn.buf = bytearray(p.buf[p.ip : p.off + p.n])
        syn.n = len(syn.buf)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.sock.setblocking(False)
        self.address = gateway_host.address(target, key[3])
        try:
            self.sock.connect(self.address)
        except OSError as e:
            if e.errno != errno.EINPROGRESS:
                self.sock.close()
                raise
        self.fd = relay.relays.add(self.sock, self, select.POLLOUT)

    def ready(self, events):
        relay = self.relay
        relay.relays.remove(self.fd)
        del relay.openings[self.key]
        good = not events & (select.POLLERR | select.POLLHUP)
        tcp = relay.stack.tcp
        listener = tcp.listen(self.key[2], self.key[3], 1) if good else None
        relay.deciding = False
        relay.stack.ip.input(self.syn)
        relay.deciding = True
        if listener is None:
            self.sock.close()
            return
        tcp.listeners.remove(listener)
        c = tcp.connections[-1] if tcp.connections else None
        if c is None or c.listener is not listener:
            self.sock.close()
            return
        c.listener = None
        Splice(relay, c, self.sock)


class Relay:
    """All connections that the board began."""

    def __init__(self, stack, relays, own):
        self.stack = stack
        self.relays = relays
        self.own = own
        self.openings = {}
        self.splices = []
        self.deciding = True
        stack.tcp.on_unmatched = self.unmatched

    def unmatched(self, p, port):
        """A SYN nobody listens for: True if its fate will be decided later."""
        if not self.deciding:
            return False
        key = (p.source(), p.buf[p.off] << 8 | p.buf[p.off + 1], p.destination(), port)
        if key in self.openings:
            return True
        if len(self.openings) + len(self.splices) >= _CONNECTIONS:
            return False
        target = _LOOPBACK if key[2] == self.own else key[2]
        try:
            self.openings[key] = Opening(self, key, p, target)
        except OSError:
            return False
        return True

    def finish(self):
        """The board is gone: close what is delivered; True while the host has yet to take some."""
        self.stack.enter()
        try:
            for splice in list(self.splices):
                if not (splice.rest or splice.conn.available()):
                    splice.close()
        finally:
            self.stack.leave()
        return bool(self.splices)


class Forward:
    """127.0.0.1:host_port to a port of the board."""

    def __init__(self, relay, board, host_port, port):
        self.relay = relay
        self.board = board
        self.port = port
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(gateway_host.address(_LOOPBACK, host_port))
        s.listen(64)
        s.setblocking(False)
        self.sock = s
        relay.relays.add(s, self)

    def ready(self, events):
        try:
            sock = self.sock.accept()[0]
        except OSError:
            return
        sock.setblocking(False)
        try:
            conn = self.relay.stack.tcp.connect(self.board, self.port)
        except OSError:
            sock.close()
            return
        Splice(self.relay, conn, sock)


def start(stack, relays, told, addr):
    """Relay the board's TCP, and forward the ports asked for."""
    stack.tcp.msl_ms = 1000  # both ends are here: nothing lingers on the wire
    relay = Relay(stack, relays, addr)
    for one in told["forwards"]:
        if one["proto"] == "tcp":
            Forward(relay, ip4(told["lease"]), one["host_port"], one["port"])
    return relay
