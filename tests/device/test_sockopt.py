# Socket options, each by what it does to the traffic of two stacks on one wire.
from harness import raises
from test_socket import A, B, World
from viperip import socket as S
from viperip.errors import (
    EACCES,
    EADDRINUSE,
    EAGAIN,
    ECONNREFUSED,
    EHOSTUNREACH,
    EINVAL,
    ENODEV,
    ENOPROTOOPT,
    ENOTCONN,
    ETIMEDOUT,
)
from viperip.interface import Interface
from viperip.link.pair import Pair

SECOND_A = "10.0.1.1"
SECOND_B = "10.0.1.2"
GROUP = "239.2.3.4"
OTHER = "239.9.9.9"
POLLIN = 1


class Two(World):
    # Both stacks on a second wire too, e1.
    def __init__(self):
        super().__init__()
        ends = Pair.wire(b"\2\0\0\0\1\x0a", b"\2\0\0\0\1\x0b", 64)
        for stack, dev, last in ((self.a, ends[0], 1), (self.b, ends[1], 2)):
            ifc = Interface(stack, dev, "e1")
            stack.add_interface(ifc)
            ifc.up()
            ifc.configure(bytes((10, 0, 1, last)), b"\xff\xff\xff\0", None)
        self.run(3000)

    def udp(self, stack, port=0):
        s = self.sock(stack, S.SOCK_DGRAM)
        s.setblocking(False)
        if port:
            s.bind(("", port))
        return s


def watch(stack):
    # Every frame that comes in at a stack.
    s = S.socket(S.AF_PACKET, S.SOCK_RAW, 0x0300, stack)
    s.setblocking(False)
    return s


def frames(watcher):
    # (interface, protocol, TTL, TOS) of the IPv4 datagrams seen since.
    out = []
    while True:
        try:
            f, sender = watcher.recvfrom(2000)
        except OSError:
            return out
        if f[12:14] == b"\x08\0":
            out.append((sender[0], f[23], f[22], f[15]))


def mreq(group, addr="0.0.0.0"):
    return S.inet_pton(S.AF_INET, group) + S.inet_pton(S.AF_INET, addr)


def received(s):
    # What a socket has now, datagram by datagram.
    out = []
    while s.ioctl(3, POLLIN) & POLLIN:
        out.append(s.recv(2000))
    return out


def reads(s, data):
    s.setblocking(False)
    try:
        return s.recv(9000) == data
    except OSError as e:
        assert e.errno == EAGAIN
        return False


def held(s, name="recv_q"):
    return s.getsockopt(S.IPPROTO_TCP, S.TCP_INFO)[name]


def fill(w, c):
    # Send until nothing more is taken; how much was.
    c.setblocking(False)
    n = 0
    while True:
        r = c.write(bytes(1000))
        if r is None:
            return n
        n += r
        w.settle()


def alone(w, c):
    # The peer falls silent.
    w.b.interfaces.clear()
    return c


def test_nodelay():
    # RFC 9293 3.7.4: Nagle's algorithm keeps back a small segment while one is on its way.
    w = World()
    c, s = w.pair()
    c.send(b"a")
    c.send(b"b")
    w.settle()
    assert reads(s, b"a") and not reads(s, b"b")
    w.run(100)
    assert reads(s, b"b")
    c.send(b"a")
    c.send(b"b")
    c.setsockopt(S.IPPROTO_TCP, S.TCP_NODELAY, 1)
    w.settle()
    assert reads(s, b"ab")
    c.send(b"c")
    c.send(b"d")
    w.settle()
    assert reads(s, b"cd")


def test_keepalive_times_that_no_clock_holds():
    # A deadline is at most 2**29 ms away; Linux refuses the same.
    s = S.socket(S.AF_INET, S.SOCK_STREAM, 0, World().a)
    for option in (S.TCP_KEEPIDLE, S.TCP_KEEPINTVL):
        for value in (0, -1, 32768, 600000):
            raises(EINVAL, s.setsockopt, S.IPPROTO_TCP, option, value)
        s.setsockopt(S.IPPROTO_TCP, option, 32767)


def test_keepalive():
    # RFC 9293 3.8.4: after KEEPIDLE s a probe, then one each KEEPINTVL s, KEEPCNT in all.
    w = World()
    c, s = w.pair()
    w.run(1000)
    alone(w, c)
    was = w.a.stats["tcp_out"]
    w.run(10000000, 10000)
    assert w.a.stats["tcp_out"] == was
    c.setsockopt(S.IPPROTO_TCP, S.TCP_KEEPIDLE, 10)
    c.setsockopt(S.IPPROTO_TCP, S.TCP_KEEPINTVL, 2)
    c.setsockopt(S.IPPROTO_TCP, S.TCP_KEEPCNT, 3)
    w.run(100000, 500)
    assert w.a.stats["tcp_out"] == was  # not asked for yet
    w = World()
    c, s = w.pair()
    c.setsockopt(S.SOL_SOCKET, S.SO_KEEPALIVE, 1)
    c.setsockopt(S.IPPROTO_TCP, S.TCP_KEEPIDLE, 10)
    c.setsockopt(S.IPPROTO_TCP, S.TCP_KEEPINTVL, 2)
    c.setsockopt(S.IPPROTO_TCP, S.TCP_KEEPCNT, 3)
    alone(w, c)
    was = w.a.stats["tcp_out"]
    seen = []
    for _ in range(155):
        w.run(100, 100)
        seen.append(w.a.stats["tcp_out"] - was)
    assert [seen.count(i) // 10 for i in range(4)] == [9, 2, 2, 1], seen
    assert c.getsockopt(S.SOL_SOCKET, S.SO_ERROR) == 0
    w.run(1000, 100)
    assert c.getsockopt(S.SOL_SOCKET, S.SO_ERROR) == ETIMEDOUT


def test_keepalive_is_switched_off():
    w = World()
    c, s = w.pair()
    c.setsockopt(S.IPPROTO_TCP, S.TCP_KEEPIDLE, 10)
    c.setsockopt(S.SOL_SOCKET, S.SO_KEEPALIVE, 1)
    c.setsockopt(S.SOL_SOCKET, S.SO_KEEPALIVE, 0)
    alone(w, c)
    was = w.a.stats["tcp_out"]
    w.run(1000000, 1000)
    assert w.a.stats["tcp_out"] == was


def test_user_timeout():
    # RFC 9293 3.9.1 (the USER TIMEOUT), in ms: data unacknowledged for so long ends it.
    for timeout, over in ((3000, True), (0, False), (60000, False)):
        w = World()
        c, s = w.pair()
        c.setsockopt(S.IPPROTO_TCP, S.TCP_USER_TIMEOUT, timeout)
        alone(w, c).send(b"x")
        w.run(2500)
        assert c.getsockopt(S.SOL_SOCKET, S.SO_ERROR) == 0
        w.run(7500)
        assert (c.getsockopt(S.SOL_SOCKET, S.SO_ERROR) == ETIMEDOUT) == over, timeout


def test_receive_buffer():
    # The peer never has more on its way than the buffer takes.
    w = World()
    listener = w.server()
    listener.setsockopt(S.SOL_SOCKET, S.SO_RCVBUF, 3000)
    c = w.sock(w.a)
    c.setsockopt(S.SOL_SOCKET, S.SO_SNDBUF, 4000)
    c.connect((B, 80))
    s, _ = listener.accept()
    assert s.getsockopt(S.SOL_SOCKET, S.SO_RCVBUF) == 3000
    assert fill(w, c) <= 7000
    w.run(3000)
    assert held(s) == 3000 and held(s, "rcv_wnd") == 0


def test_receive_buffer_grows():
    # On a connection, with data in it.
    w = World()
    listener = w.server()
    listener.setsockopt(S.SOL_SOCKET, S.SO_RCVBUF, 3000)
    c = w.sock(w.a)
    c.connect((B, 80))
    s, _ = listener.accept()
    data = bytes([i * 7 & 0xFF for i in range(20000)])
    c.send(data)
    w.run(1000)
    s.recv(1000)
    w.settle()
    s.setsockopt(S.SOL_SOCKET, S.SO_RCVBUF, 19000)
    w.run(3000)
    assert held(s) == 19000
    # Nor does it lose what it holds, or take back a window, when it is to shrink.
    s.setsockopt(S.SOL_SOCKET, S.SO_RCVBUF, 500)
    assert s.getsockopt(S.SOL_SOCKET, S.SO_RCVBUF) == 19000
    assert s.recv(20000) == data[1000:]
    s.setsockopt(S.SOL_SOCKET, S.SO_RCVBUF, 500)
    assert 500 <= s.getsockopt(S.SOL_SOCKET, S.SO_RCVBUF) <= 19000


def test_receive_buffer_changes_with_a_hole_in_it():
    w = World()
    c, s = w.pair()
    data = bytes([i * 7 & 0xFF for i in range(6000)])
    c.send(data[:100])
    w.settle()
    # The first segment of what follows is lost.
    c.send(data[100:])
    dev = [i.dev for i in w.b.interfaces if i.name == "e0"][0]
    assert dev.recv()
    dev.release()
    w.settle()
    assert s._pcb.holes
    s.setsockopt(S.SOL_SOCKET, S.SO_RCVBUF, 100000)
    w.run(1000)
    assert s.recv(9000) == data


def test_send_buffer():
    w = World()
    c, s = w.pair()
    c.setblocking(False)
    c.setsockopt(S.SOL_SOCKET, S.SO_SNDBUF, 3000)
    assert c.getsockopt(S.SOL_SOCKET, S.SO_SNDBUF) == 3000
    alone(w, c)
    data = bytes([i * 7 & 0xFF for i in range(10000)])
    assert c.send(data) == 3000
    raises(EAGAIN, c.send, b"x")
    c.setsockopt(S.SOL_SOCKET, S.SO_SNDBUF, 5000)
    assert c.send(data[3000:]) == 2000
    c.setsockopt(S.SOL_SOCKET, S.SO_SNDBUF, 1000)
    assert c.getsockopt(S.SOL_SOCKET, S.SO_SNDBUF) == 5000  # as much as it holds
    raises(EAGAIN, c.send, b"x")


def test_send_buffer_changes_on_the_way():
    w = World()
    c, s = w.pair()
    c.setblocking(False)
    s.setblocking(False)
    data = bytes([i * 7 & 0xFF for i in range(60000)])
    sent, got, size = 0, b"", 2000
    while len(got) < len(data):
        c.setsockopt(S.SOL_SOCKET, S.SO_SNDBUF, 2000 + size % 7000)
        s.setsockopt(S.SOL_SOCKET, S.SO_RCVBUF, 1000 + size % 5000)
        size += 777
        sent += c.write(memoryview(data)[sent : sent + 5000]) or 0
        w.run(20)
        got += s.read(9000) or b""
    assert got == data


def test_receive_buffer_of_datagrams():
    w = World()
    a, b = w.sock(w.a, S.SOCK_DGRAM), w.sock(w.b, S.SOCK_DGRAM)
    b.bind(("", 7))
    b.setsockopt(S.SOL_SOCKET, S.SO_RCVBUF, 1200)
    assert b.getsockopt(S.SOL_SOCKET, S.SO_RCVBUF) == 1200
    for i in range(4):
        a.sendto(bytes([i]) * 500, (B, 7))
    w.settle()
    assert [d[0] for d in received(b)] == [0, 1]


def test_reuseaddr():
    # A port with a connection in TIME-WAIT (RFC 9293 3.3.2), as after a restart of a server.
    w = World()
    c, s = w.pair()
    s.close()
    w.settle()
    c.close()
    w.settle()
    assert [x.as_dict()["state"] for x in w.b.tcp.connections] == ["TIME-WAIT"]
    new = w.sock(w.b)
    raises(EADDRINUSE, new.bind, (B, 80))
    raises(EADDRINUSE, new.bind, ("", 80))
    new.setsockopt(S.SOL_SOCKET, S.SO_REUSEADDR, 1)
    new.bind(("", 80))
    new.listen(1)
    other = w.sock(w.b)
    other.setsockopt(S.SOL_SOCKET, S.SO_REUSEADDR, 1)
    raises(EADDRINUSE, other.bind, ("", 80))  # never two listeners
    c = w.sock(w.a)
    c.connect((B, 80))
    assert new.accept()[1] == c.getsockname()
    w.run(70000, 500)
    w.sock(w.b).bind(("", 81))


def test_reuseaddr_of_datagrams():
    # Both have to agree; a multicast then reaches both.
    w = World()
    one, two, three = [w.sock(w.b, S.SOCK_DGRAM) for _ in range(3)]
    one.setsockopt(S.SOL_SOCKET, S.SO_REUSEADDR, 1)
    one.bind(("", 7))
    raises(EADDRINUSE, two.bind, ("", 7))
    two.setsockopt(S.SOL_SOCKET, S.SO_REUSEADDR, 1)
    two.bind(("", 7))
    three.bind(("", 8))
    four = w.sock(w.b, S.SOCK_DGRAM)
    four.setsockopt(S.SOL_SOCKET, S.SO_REUSEADDR, 1)
    raises(EADDRINUSE, four.bind, ("", 8))
    one.setsockopt(S.IPPROTO_IP, S.IP_ADD_MEMBERSHIP, mreq(GROUP))
    w.sock(w.a, S.SOCK_DGRAM).sendto(b"both", (GROUP, 7))
    w.settle()
    assert received(one) == received(two) == [b"both"]


def test_broadcast():
    w = World()
    a, b = w.sock(w.a, S.SOCK_DGRAM), w.sock(w.b, S.SOCK_DGRAM)
    b.bind(("", 7))
    raises(EACCES, a.sendto, b"x", ("255.255.255.255", 7))
    raises(EACCES, a.connect, ("255.255.255.255", 7))
    a.setsockopt(S.SOL_SOCKET, S.SO_BROADCAST, 1)
    a.sendto(b"all", ("255.255.255.255", 7))
    w.settle()
    assert received(b) == [b"all"]
    a.setsockopt(S.SOL_SOCKET, S.SO_BROADCAST, 0)
    raises(EACCES, a.sendto, b"x", ("255.255.255.255", 7))


def test_directed_broadcast():
    # As on Linux, the broadcast address of a network needs the option as well.
    w = World()
    a, b = w.sock(w.a, S.SOCK_DGRAM), w.sock(w.b, S.SOCK_DGRAM)
    b.bind(("", 7))
    raises(EACCES, a.sendto, b"x", ("10.0.0.255", 7))
    a.setsockopt(S.SOL_SOCKET, S.SO_BROADCAST, 1)
    a.sendto(b"net", ("10.0.0.255", 7))
    w.settle()
    assert received(b) == [b"net"]


def test_bindtodevice_of_datagrams():
    w = Two()
    a, b = w.udp(w.a), w.udp(w.b, 7)
    raises(ENODEV, b.setsockopt, S.SOL_SOCKET, S.SO_BINDTODEVICE, "e7")
    b.setsockopt(S.SOL_SOCKET, S.SO_BINDTODEVICE, b"e1\0")
    a.sendto(b"first", (B, 7))
    a.sendto(b"second", (SECOND_B, 7))
    w.settle()
    assert received(b) == [b"second"]
    b.setsockopt(S.SOL_SOCKET, S.SO_BINDTODEVICE, "")
    a.sendto(b"first", (B, 7))
    w.settle()
    assert received(b) == [b"first"]
    a.setsockopt(S.SOL_SOCKET, S.SO_BINDTODEVICE, "e1")
    was = w.b.interfaces[-1].rx_frames
    a.sendto(b"lost", (B, 7))  # on that wire, whatever the routes say
    w.run(100)
    assert not received(b) and w.b.interfaces[-1].rx_frames > was
    seen = watch(w.b)
    a.setsockopt(S.SOL_SOCKET, S.SO_BROADCAST, 1)
    a.sendto(b"on e1", ("255.255.255.255", 7))
    w.settle()
    assert received(b) == [b"on e1"] and [f[0] for f in frames(seen)] == ["e1"]


def test_bindtodevice_of_connections():
    w = Two()
    listener = w.sock(w.b)
    listener.setsockopt(S.SOL_SOCKET, S.SO_BINDTODEVICE, "e1")
    listener.bind(("", 80))
    listener.listen(2)
    raises(ECONNREFUSED, w.sock(w.a).connect, (B, 80))
    c = w.sock(w.a)
    c.connect((SECOND_B, 80))
    assert c.getsockname()[0] == SECOND_A
    assert listener.accept()[0].getsockname() == (SECOND_B, 80)
    c = w.sock(w.a)
    c.setsockopt(S.SOL_SOCKET, S.SO_BINDTODEVICE, "e0")
    raises(EHOSTUNREACH, c.connect, (SECOND_B, 80))


def test_linger():
    # On, with no time to linger: what waits is thrown away and the peer is told by a reset.
    w = World()
    for linger in (None, 0):
        c, s = w.pair()
        s.setblocking(False)
        if linger is not None:
            c.setsockopt(S.SOL_SOCKET, S.SO_LINGER, linger)
        was = w.a.stats["tcp_resets_out"]
        c.send(bytes(5000))
        c.close()
        w.run(200)
        assert w.a.stats["tcp_resets_out"] - was == (linger == 0)
        if linger is None:
            assert s.read(9000) == bytes(5000) and s.recv(1) == b""
            s.close()
            w.run(70000, 500)
        assert not w.a.tcp.connections


def test_error():
    w = World()
    w.b.tcp
    c = w.sock(w.a)
    c.setblocking(False)
    assert c.getsockopt(S.SOL_SOCKET, S.SO_ERROR) == 0
    try:
        c.connect((B, 99))
    except OSError:
        pass
    w.run(50)
    assert c.getsockopt(S.SOL_SOCKET, S.SO_ERROR) == ECONNREFUSED
    assert c.getsockopt(S.SOL_SOCKET, S.SO_ERROR) == 0
    u = w.sock(w.a, S.SOCK_DGRAM)
    w.b.udp
    u.connect((B, 99))
    u.send(b"knock")
    w.settle()
    assert u.getsockopt(S.SOL_SOCKET, S.SO_ERROR) == ECONNREFUSED
    u.send(b"again")  # it was told


def test_ttl_and_tos():
    # In the header of every datagram, from the first SYN on.
    w = World()
    listener = w.server()
    listener.setsockopt(S.IPPROTO_IP, S.IP_TTL, 9)
    listener.setsockopt(S.IPPROTO_IP, S.IP_TOS, 0x20)
    at_a, at_b = watch(w.a), watch(w.b)
    c, u = w.sock(w.a), w.sock(w.a, S.SOCK_DGRAM)
    r = S.socket(S.AF_INET, S.SOCK_RAW, 200, w.a)
    for s in (c, u, r):
        s.setsockopt(S.IPPROTO_IP, S.IP_TTL, 7)
        s.setsockopt(S.IPPROTO_IP, S.IP_TOS, 0x10)
    c.connect((B, 80))
    c.send(b"x")
    u.sendto(b"x", (B, 7))
    r.sendto(b"x", (B, 0))
    w.run(100)
    seen = frames(at_b)
    assert {f[1] for f in seen} == {6, 17, 200}
    assert {f[2:] for f in seen} == {(7, 0x10)}
    frames(at_a)
    s, _ = listener.accept()
    s.send(b"y")
    w.settle()
    assert frames(at_a) == [("e0", 6, 9, 0x20)]
    c.setsockopt(S.IPPROTO_IP, S.IP_TTL, 200)
    c.send(b"z")
    w.settle()
    assert {f[2:] for f in frames(at_b)} == {(200, 0x10)}
    for option, value in ((S.IP_TTL, 0), (S.IP_TTL, 256), (S.IP_TOS, -1), (S.IP_TOS, 256)):
        for s in (c, u, listener):
            raises(EINVAL, s.setsockopt, S.IPPROTO_IP, option, value)


def test_multicast_ttl_and_interface():
    w = Two()
    u, seen = w.udp(w.a), watch(w.b)

    def sent(to=GROUP):
        u.sendto(b"x", (to, 7))
        w.settle()
        return [(f[0], f[2]) for f in frames(seen) if f[1] == 17]

    first = sent()[0][0]
    assert sent() == [(first, 1)]  # RFC 1112 6.1: 1 unless asked for more
    u.setsockopt(S.IPPROTO_IP, S.IP_MULTICAST_TTL, 5)
    u.setsockopt(S.IPPROTO_IP, S.IP_TTL, 99)
    assert sent() == [(first, 5)] and sent(B)[0][1] == 99
    for ifc, addr in (("e1", SECOND_A), ("e0", A)):
        u.setsockopt(S.IPPROTO_IP, S.IP_MULTICAST_IF, S.inet_pton(2, addr))
        assert sent() == [(ifc, 5)]
    raises(ENODEV, u.setsockopt, S.IPPROTO_IP, S.IP_MULTICAST_IF, b"\x0a\x09\x09\x09")
    raises(EINVAL, u.setsockopt, S.IPPROTO_IP, S.IP_MULTICAST_TTL, 256)


def test_membership():
    w = Two()
    a, b = w.udp(w.a), w.udp(w.b, 7)

    def hears(by=A, group=GROUP):
        a.setsockopt(S.IPPROTO_IP, S.IP_MULTICAST_IF, S.inet_pton(2, by))
        a.sendto(b"x", (group, 7))
        w.settle()
        return len(received(b))

    def member(option, *args):
        b.setsockopt(S.IPPROTO_IP, option, mreq(*args))

    assert not hears()
    member(S.IP_ADD_MEMBERSHIP, GROUP, B)
    assert hears() and not hears(SECOND_A) and not hears(A, OTHER)
    member(S.IP_ADD_MEMBERSHIP, GROUP, SECOND_B)
    assert hears() and hears(SECOND_A)
    member(S.IP_DROP_MEMBERSHIP, GROUP, B)
    assert not hears() and hears(SECOND_A)
    # A socket that is closed leaves its groups.
    second = [i for i in w.b.interfaces if i.name == "e1"][0]
    assert S.inet_pton(2, GROUP) in second.groups
    b.close()
    assert S.inet_pton(2, GROUP) not in second.groups
    b = w.udp(w.b, 7)
    raises(EINVAL, member, S.IP_ADD_MEMBERSHIP, B, B)
    raises(ENODEV, member, S.IP_ADD_MEMBERSHIP, GROUP, "10.9.9.9")
    raises(EINVAL, b.setsockopt, S.IPPROTO_IP, S.IP_ADD_MEMBERSHIP, b"\xef\1\1\1")


def test_header_included():
    # test_raw.py has what it does; without it the stack writes the header.
    w = World()
    r = S.socket(S.AF_INET, S.SOCK_RAW, 200, w.a)
    seen = watch(w.b)
    head = b"\x45\0\0\0\0\0\0\0\x09\xc9\0\0" + bytes(8)
    for included, proto in ((0, 200), (1, 201), (0, 200)):
        r.setsockopt(S.IPPROTO_IP, S.IP_HDRINCL, included)
        r.sendto(head, (B, 0))
        w.settle()
        assert [f[1:3] for f in frames(seen)] == [(proto, 9 if included else 64)]


def test_tcp_info():
    w = World()
    c, s = w.pair()
    s.setblocking(False)
    assert held(c, "state") == "ESTABLISHED" and held(c, "mss") == 1460
    assert held(c, "send_q") == held(s) == held(c, "retransmits") == 0
    wnd = held(c, "snd_wnd")
    c.send(bytes(300))
    assert held(c, "send_q") == held(c, "unacked") == 300
    w.run(100)
    assert held(s) == 300 and held(c, "send_q") == 0 and held(c, "snd_wnd") == wnd - 300
    assert held(c, "rtt") > 0
    c.close()
    w.settle()
    assert held(s, "state") == "CLOSE-WAIT"
    s.recv(300)
    c, s = w.pair()
    alone(w, c).send(b"x")
    w.run(2000)
    assert held(c, "retransmits") >= 2 and held(c, "backoff") >= 2
    listener = w.sock(w.a)
    raises(ENOTCONN, listener.getsockopt, S.IPPROTO_TCP, S.TCP_INFO)
    listener.listen(3)
    assert held(listener, "state") == "LISTEN"


def test_what_they_are_before_they_are_set():
    w = World()
    c, s = w.pair()
    u = w.sock(w.a, S.SOCK_DGRAM)
    for level, option, value in (
        (S.SOL_SOCKET, S.SO_REUSEADDR, 0),
        (S.SOL_SOCKET, S.SO_KEEPALIVE, 0),
        (S.SOL_SOCKET, S.SO_BROADCAST, 0),
        (S.SOL_SOCKET, S.SO_RCVBUF, w.a.tcp_buffer),
        (S.SOL_SOCKET, S.SO_SNDBUF, w.a.tcp_buffer),
        (S.IPPROTO_IP, S.IP_TTL, 64),
        (S.IPPROTO_IP, S.IP_TOS, 0),
        (S.IPPROTO_IP, S.IP_MULTICAST_TTL, 1),
        (S.IPPROTO_TCP, S.TCP_NODELAY, 0),
        (S.IPPROTO_TCP, S.TCP_KEEPIDLE, 7200),
        (S.IPPROTO_TCP, S.TCP_KEEPINTVL, 75),
        (S.IPPROTO_TCP, S.TCP_KEEPCNT, 9),
        (S.IPPROTO_TCP, S.TCP_USER_TIMEOUT, 0),
    ):
        for one in (c, u, w.sock(w.a)):
            assert one.getsockopt(level, option) == value, (level, option)
    for level, option in ((S.SOL_SOCKET, 99), (S.IPPROTO_TCP, 99), (77, 1), (S.SOL_SOCKET, 999)):
        raises(ENOPROTOOPT, c.getsockopt, level, option)
