# SOCK_RAW and AF_PACKET sockets between two stacks on an in-memory wire.
import harness
from viperip import native
from viperip.errors import EINVAL, EMSGSIZE
from viperip.interface import Interface
from viperip.link.pair import Pair
from viperip.socket import AF_INET, AF_PACKET, IP_HDRINCL, IPPROTO_ICMP, IPPROTO_IP, SOCK_RAW
from viperip.socket import socket
from viperip.stack import Stack

_sum = native.load("memory").sum16


class Net:
    """Two hosts, 10.0.0.1 and 10.0.0.2."""

    def __init__(self):
        a, b = Pair.wire(b"\x02\0\0\0\0\x0a", b"\x02\0\0\0\0\x0b", 64)
        self.a = self._host(a, b"\x0a\0\0\x01")
        self.b = self._host(b, b"\x0a\0\0\x02")

    def _host(self, dev, addr):
        stack = Stack()
        stack.strict = True
        ifc = Interface(stack, dev, "e0")
        stack.add_interface(ifc)
        ifc.up()
        ifc.configure(addr, b"\xff\xff\xff\0")
        stack.idle = lambda ms: None
        return stack

    def run(self, n=6):
        for _ in range(n):
            self.a.poll()
            self.b.poll()


def echo(ident, seq, payload):
    data = bytearray(8) + payload
    data[0] = 8
    data[5] = ident
    data[7] = seq
    c = _sum(data, 0, len(data)) ^ 0xFFFF
    data[2] = c & 0xFF
    data[3] = c >> 8
    return data


def test_raw_icmp_gets_the_reply_with_its_ip_header():
    net = Net()
    s = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP, net.a)
    s.setblocking(False)
    assert s.sendto(echo(5, 1, b"hello"), ("10.0.0.2", 0)) == 13
    net.run()
    data, sender = s.recvfrom(2000)
    assert sender[0] == "10.0.0.2"
    assert data[0] == 0x45 and data[9] == 1
    assert data[20] == 0 and data[25] == 5 and data[28:] == b"hello"
    s.close()
    assert net.a.ip.raw == []


def test_raw_socket_takes_a_protocol_that_nobody_handles():
    # RFC 1122 3.2.2.1: protocol unreachable only if nobody takes it.
    net = Net()
    out = socket(AF_INET, SOCK_RAW, 200, net.a)
    into = socket(AF_INET, SOCK_RAW, 200, net.b)
    into.setblocking(False)
    out.sendto(b"x" * 50, ("10.0.0.2", 0))
    net.run()
    data, sender = into.recvfrom(100)
    assert sender[0] == "10.0.0.1" and data[20:] == b"x" * 50
    assert net.b.stats["icmp_errors_out"] == 0
    into.close()
    out.sendto(b"x" * 50, ("10.0.0.2", 0))
    net.run()
    assert net.b.stats["icmp_errors_out"] == 1


def test_raw_header_included():
    net = Net()
    out = socket(AF_INET, SOCK_RAW, 200, net.a)
    out.setsockopt(IPPROTO_IP, IP_HDRINCL, 1)
    into = socket(AF_INET, SOCK_RAW, 201, net.b)
    into.setblocking(False)
    head = bytearray(20)
    head[0] = 0x45
    head[8] = 9
    head[9] = 201
    assert out.sendto(bytes(head) + b"body", ("10.0.0.2", 0)) == 24
    net.run()
    data = into.recv(100)
    assert data[8] == 9 and data[20:] == b"body"
    try:
        out.sendto(b"\x45", ("10.0.0.2", 0))
        assert False
    except OSError as e:
        assert e.errno == EINVAL


def test_raw_queue_is_bounded():
    net = Net()
    out = socket(AF_INET, SOCK_RAW, 200, net.a)
    into = socket(AF_INET, SOCK_RAW, 200, net.b)
    into._pcb.size = 5 * (200 + 64)
    for _ in range(20):
        out.sendto(b"x" * 180, ("10.0.0.2", 0))
        net.run(3)
    assert into._pcb.count == 5 and into._pcb.dropped == 15


def test_packet_socket_sees_frames_and_sends_its_own():
    net = Net()
    s = socket(AF_PACKET, SOCK_RAW, 0x0300, net.b)
    s.setblocking(False)
    s.bind(("e0", 0))
    frame = harness.eth(b"\xff" * 6, b"\x02\0\0\0\0\x0a", 0x88B5, b"own protocol" + bytes(40))
    t = socket(AF_PACKET, SOCK_RAW, 0xB588, net.a)
    t.bind(("e0", 0))
    net.run()
    while True:
        try:
            s.recv(2000)
        except OSError:
            break
    assert t.send(frame) == len(frame)
    net.run()
    data, sender = s.recvfrom(2000)
    assert data == bytes(frame)
    assert sender == ("e0", 0x88B5, 1, 1, b"\x02\0\0\0\0\x0a")
    s.close()
    assert net.b.ethernet.taps == []


def test_packet_socket_refuses_frames_that_do_not_fit():
    net = Net()
    s = socket(AF_PACKET, SOCK_RAW, 0x0300, net.a)
    s.bind(("e0", 0))
    for size in (13, 1515):
        try:
            s.send(bytes(size))
            assert False
        except OSError as e:
            assert e.errno == EMSGSIZE


def test_what_a_packet_takes_besides_its_bytes_counts():
    # Thousands of the shortest must not take many times the size of the buffer.
    net = Net()
    out = socket(AF_INET, SOCK_RAW, 200, net.a)
    into = socket(AF_INET, SOCK_RAW, 200, net.b)
    into._pcb.size = 1000
    for _ in range(40):
        out.sendto(b"", ("10.0.0.2", 0))
        net.run(3)
    assert into._pcb.count == 11
    while into._pcb.count:
        into.recv(100)
    assert into._pcb.used == 0
