# UDP between the board and the outside: a socket of the host for each flow of the board, and the
# ports of 127.0.0.1 that --forward names.
import gateway_host
from viperip.address import ip4
from viperip.stack import Timer
from viperip.transport.udp import Endpoint

_FLOWS = 128
_IDLE_MS = 120000
_CHECK_MS = 1000
_LOOPBACK = b"\x7f\0\0\1"
_OWN = 1


class Flow:
    """Datagrams of one port of the board to one port outside, and back."""

    def __init__(self, relay, key, p, target):
        self.relay = relay
        self.key = key
        self.board, self.sport, self.outside, self.port = key
        self.sock = gateway_host.udp(target, self.port)
        self.fd = relay.relays.add(self.sock, self)
        self.used = relay.stack.now
        self.head = bytes(p.buf[p.ip : p.off + 8])  # what an ICMP error will quote
        self.ifc = p.ifc
        # Not bound: it only lends its port to what is sent.
        self.endpoint = Endpoint(relay.stack.udp)
        self.endpoint.port = self.port

    def send(self, data):
        self.used = self.relay.stack.now
        try:
            self.sock.send(data)
        except OSError:
            self.refused()

    def ready(self, events):
        while True:
            try:
                data = gateway_host.receive(self.sock)
            except OSError:
                self.refused()
                return
            if data is None:
                return
            self.used = self.relay.stack.now
            udp = self.relay.stack.udp
            udp.send(self.endpoint, data, self.board, self.sport, self.outside)

    def refused(self):
        # The host was told that nobody listens there, and so is the board.
        self.relay.stack.ip.icmp.error_about(self.head, 0, 3, 3, self.ifc)
        self.close()

    def close(self):
        self.relay.relays.remove(self.fd)
        self.sock.close()
        self.relay.flows.pop(self.key, None)


class Relay(Timer):
    """All flows that the board began."""

    def __init__(self, stack, relays, own):
        self.stack = stack
        self.relays = relays
        self.own = own
        self.flows = {}
        stack.udp.on_unmatched = self.unmatched
        stack.add_timer(self)

    def unmatched(self, p, sport, port, n):
        if p.to != _OWN or not port:
            return False
        key = (p.source(), sport, p.destination(), port)
        flow = self.flows.get(key)
        if flow is None:
            target = _LOOPBACK if key[2] == self.own else key[2]
            if len(self.flows) >= _FLOWS:
                self.oldest().close()
            try:
                flow = Flow(self, key, p, target)
            except OSError:
                return False
            self.flows[key] = flow
            self.stack.arm(self, _CHECK_MS)
        off = p.off + 8
        flow.send(bytes(p.buf[off : off + n]))
        return True

    def oldest(self):
        flows = list(self.flows.values())
        ages = [(self.stack.now - f.used) & 0x3FFFFFFF for f in flows]
        return flows[ages.index(max(ages))]

    def expire(self, now):
        for flow in list(self.flows.values()):
            if (now - flow.used) & 0x3FFFFFFF >= _IDLE_MS:
                flow.close()
        if self.flows:
            self.stack.arm(self, _CHECK_MS)


class Forward:
    """127.0.0.1:host_port to a port of the board; each sender gets a port of the gateway."""

    def __init__(self, stack, relays, board, host_port, port):
        self.stack = stack
        self.board = board
        self.port = port
        self.peers = {}
        self.sock = gateway_host.udp()
        self.sock.bind(gateway_host.address(_LOOPBACK, host_port))
        relays.add(self.sock, self)

    def ready(self, events):
        while True:
            try:
                data, peer = self.sock.recvfrom(65535)
            except OSError as e:
                if e.errno == gateway_host.EAGAIN:
                    return
                continue
            self.endpoint(bytes(peer)).send(data, self.board, self.port)

    def endpoint(self, peer):
        e = self.peers.get(peer)
        if e is None:
            if len(self.peers) >= _FLOWS:
                self.peers.pop(next(iter(self.peers))).close()
            self.peers[peer] = e = self.stack.udp.open(handler=self)
        return e

    def datagram(self, endpoint, p, off, n):
        for peer in self.peers:
            if self.peers[peer] is endpoint:
                try:
                    self.sock.sendto(bytes(p.buf[off : off + n]), peer)
                except OSError:
                    pass
                return


def start(stack, relays, told, addr):
    """Relay the board's UDP, and forward the ports asked for."""
    for one in told["forwards"]:
        if one["proto"] == "udp":
            Forward(stack, relays, ip4(told["lease"]), one["host_port"], one["port"])
    return Relay(stack, relays, addr)
