# UDP (RFC 768, RFC 1122 4.1).
from harness import (
    ALL,
    ALL_MAC,
    ANY,
    ICMP,
    ME,
    NET_BROADCAST,
    PEER,
    UDP,
    Message,
    checksum,
    get16,
    host,
    icmp,
    ipv4,
    joined,
    raises,
    udp,
)
from viperip.errors import (
    EADDRINUSE,
    ECONNREFUSED,
    EHOSTUNREACH,
    EMSGSIZE,
    ENETUNREACH,
    ENOBUFS,
)

OTHER = b"\x0a\0\0\x03"
GROUP = b"\xef\x01\x02\x03"
GROUP_MAC = b"\x01\0\x5e\x01\x02\x03"


class Handler:
    def __init__(self):
        self.got = []

    def datagram(self, e, p, off, n):
        self.got.append(bytes(p.buf[off : off + n]))


def open_port(port=7, size=4000, **more):
    h = host()
    h.e = h.stack.udp.open(size=size, port=port, **more)
    return h


def read(e, n=3000):
    buf = bytearray(n)
    got = e.read(buf, 0, n)
    return bytes(buf[:got]) if got >= 0 else None


def give(h, data, sport=1000, dport=7, src=PEER, dst=ME, check=None, **more):
    h.ip(UDP, udp(sport, dport, data, src, dst, check), src=src, dst=dst, **more)


def connect(e, remote=PEER, port=9):
    e.remote = remote
    e.remote_port = port


def good(d):
    # The payload of a datagram that was sent; RFC 768: length and checksum are right.
    b = d.payload
    assert get16(b, 4) == len(b) and get16(b, 6)
    assert checksum(d.src + d.dst + b"\0\x11" + b[4:6] + b) == 0
    return b[8:]


def test_receive():
    h = open_port()
    for n in (0, 1, 2, 3, 500, 1471, 1472):
        data = bytes([i * 11 & 0xFF for i in range(n)])
        give(h, data, sport=1000 + n)
        assert h.e.next_length() == n
        assert read(h.e) == data
        assert bytes(h.e.peer) == PEER and h.e.peer_port == 1000 + n
    assert h.e.next_length() == -1 and read(h.e) is None
    assert h.stat("udp_in") == 7 and not h.sent()


def test_zero_length_is_a_datagram():
    h = open_port()
    give(h, b"")
    give(h, b"")
    assert h.e.count == 2 and read(h.e) == b"" and read(h.e) == b"" and read(h.e) is None


def test_order_across_the_ring():
    # 300 datagrams through a ring of an odd size, read a few behind.
    h = open_port(size=1013)
    waiting = []
    for i in range(300):
        data = bytes([i & 0xFF]) * (i * 37 % 200)
        give(h, data)
        waiting.append(data)
        if len(waiting) > 3:
            assert read(h.e) == waiting.pop(0), i
    assert h.stat("udp_queue_full") == 0
    while waiting:
        assert read(h.e) == waiting.pop(0)
    assert h.e.used == 0


def test_records_at_every_place_of_the_ring():
    for size in range(58, 100):
        h = open_port(size=size)
        give(h, b"0" * 13)
        for i in range(8):
            give(h, bytes([i]) * 13)
            assert read(h.e) == (bytes([i - 1]) if i else b"0") * 13, (size, i)
        assert h.e.count == 1


def test_short_read_drops_the_rest():
    h = open_port()
    give(h, b"abcdef")
    give(h, b"next")
    assert read(h.e, 3) == b"abc" and read(h.e) == b"next"


def test_peek():
    h = open_port()
    give(h, b"abc")
    buf = bytearray(9)
    assert h.e.read(buf, 2, 5, True) == 3 and bytes(buf) == b"\0\0abc\0\0\0\0"
    assert h.e.count == 1 and read(h.e) == b"abc" and h.e.count == 0


def test_queue_full():
    h = open_port(size=200)
    woken = []
    h.e.wake = lambda: woken.append(1)
    for i in range(5):
        give(h, bytes([i]) * 50)
    # 66 bytes each: three fit.
    assert h.e.count == 3 and h.e.dropped == 2 and h.stat("udp_queue_full") == 2
    assert len(woken) == 3 and not h.sent()
    assert read(h.e) == b"\0" * 50
    give(h, b"\x09" * 50)
    assert [read(h.e)[0] for _ in range(3)] == [1, 2, 9]


def test_bad_checksum():
    # RFC 1122 4.1.3.4: silently discarded, queued or not, whoever the port belongs to.
    h = open_port()
    handler = Handler()
    h.stack.udp.open(handler=handler, port=8)
    packet = udp(1000, 7, b"some data")
    bad = 0
    for at in range(len(packet)):
        if at in (2, 3, 4, 5):
            continue
        b = bytearray(packet)
        b[at] ^= 1
        h.ip(UDP, bytes(b))
        bad += 1
        assert h.stat("udp_checksum") == bad, at
    for port in (8, 9):
        b = bytearray(udp(1000, port, b"some data"))
        b[12] ^= 1
        h.ip(UDP, bytes(b))
    assert h.stat("udp_checksum") == bad + 2
    assert not h.e.count and not handler.got and not h.sent()


def test_pseudo_header_is_covered():
    # RFC 768: a datagram that was misrouted.
    h = open_port()
    h.ip(UDP, udp(1000, 7, b"data", src=OTHER))
    h.ip(UDP, udp(1000, 7, b"data", dst=OTHER))
    assert h.stat("udp_checksum") == 2 and not h.e.count


def test_no_checksum():
    # RFC 768: all zero means that the sender made none.
    h = open_port()
    give(h, b"plain", check=0)
    assert read(h.e) == b"plain"
    handler = Handler()
    h.stack.udp.open(handler=handler, port=8)
    give(h, b"plain", dport=8, check=0)
    assert handler.got == [b"plain"]


def test_checksum_that_comes_out_as_zero():
    # RFC 768: sent as all ones.
    h = open_port()
    empty = udp(7, 9, b"\0\0", ME, PEER, 0)
    c = checksum(ME + PEER + b"\0\x11\0\x0a" + empty)
    data = bytes((c >> 8, c & 0xFF))
    assert checksum(ME + PEER + b"\0\x11\0\x0a" + empty[:8] + data) == 0
    assert h.e.send(data, PEER, 9) == 2
    (d,) = h.datagrams()
    assert d.payload[6:8] == b"\xff\xff" and good(d) == data
    # And taken as such.
    back = udp(9, 7, b"\0\0", check=0)
    c = checksum(PEER + ME + b"\0\x11\0\x0a" + back)
    give(h, bytes((c >> 8, c & 0xFF)), sport=9, check=0xFFFF)
    assert h.e.count == 1


def test_short_and_length():
    h = open_port()
    packet = udp(1000, 7, b"data")
    for n in (0, 1, 7):
        h.ip(UDP, packet[:n])
    assert h.stat("udp_short") == 3
    h.ip(UDP, packet[:-1])
    h.ip(UDP, packet[:4] + b"\0\7" + packet[6:])
    h.ip(UDP, packet[:4] + b"\xff\xff" + packet[6:])
    assert h.stat("udp_length") == 3
    # RFC 768: what the IP datagram has beyond the length is not ours.
    h.ip(UDP, packet + b"more")
    assert h.e.count == 1 and read(h.e) == b"data"


def test_no_port():
    # RFC 1122 4.1.3.1: port unreachable.
    h = open_port()
    give(h, b"x", dport=8)
    (d,) = h.datagrams()
    m = Message(d)
    assert (m.kind, m.code) == (3, 3) and h.stat("udp_no_port") == 1
    h.e.close()
    give(h, b"x")
    assert h.stat("udp_no_port") == 2 and not h.e.count


def test_gateway_of_unmatched():
    h = open_port()
    seen = []

    def take(p, sport, port, n):
        seen.append((sport, port, n))
        return port == 8

    h.stack.udp.on_unmatched = take
    give(h, b"abc", dport=8)
    assert not h.sent()
    give(h, b"abc", dport=10)
    assert len(h.sent()) == 1 and seen == [(1000, 8, 3), (1000, 10, 3)]


def test_connected_hears_its_peer_only():
    # RFC 1122 4.1.3.5 leaves it to the application; connect() tells.
    h = open_port()
    connect(h.e, PEER, 9)
    give(h, b"port", sport=8)
    give(h, b"host", sport=9, src=OTHER)
    assert not h.e.count
    give(h, b"yes", sport=9)
    assert read(h.e) == b"yes"


def test_most_specific_endpoint():
    h = host()
    udps = h.stack.udp
    wide = udps.open(size=900, port=7, reuse=True)
    bound = udps.open(size=900, port=7, local=ME, reuse=True)
    tied = udps.open(size=900, port=7, reuse=True)
    connect(tied, PEER, 9)
    give(h, b"a", sport=9)
    give(h, b"b", sport=8)
    bound.close()
    give(h, b"c", sport=8)
    assert read(tied) == b"a" and read(bound) == b"b" and read(wide) == b"c"


def test_bound_to_an_address():
    h = host()
    e = h.stack.udp.open(size=900, port=7, local=OTHER)
    give(h, b"x")
    assert not e.count and h.stat("udp_no_port") == 1


def test_bound_to_an_interface():
    h = open_port()
    h.e.ifc = h.stack.loopback
    give(h, b"x")
    assert not h.e.count
    h.e.ifc = h.ifc
    give(h, b"x")
    assert h.e.count == 1


def refuse(h, e, kind, code, remote=PEER, rport=9):
    quote = ipv4(ME, remote, UDP, udp(e.port, rport, b"x", ME, remote))
    h.ip(ICMP, icmp(kind, code, data=quote))
    was = e.error
    e.error = 0
    return was


def test_errors_to_a_connected_socket():
    # RFC 1122 4.1.3.3: ICMP errors are passed to the application.
    h = open_port()
    connect(h.e)
    woken = []
    h.e.wake = lambda: woken.append(1)
    assert refuse(h, h.e, 3, 3) == ECONNREFUSED
    assert refuse(h, h.e, 3, 2) == ECONNREFUSED
    assert refuse(h, h.e, 3, 4) == EMSGSIZE
    assert refuse(h, h.e, 3, 0) == ENETUNREACH
    assert refuse(h, h.e, 3, 1) == EHOSTUNREACH
    assert refuse(h, h.e, 3, 13) == EHOSTUNREACH
    assert len(woken) == 6
    # RFC 1122 3.2.2.4: a time exceeded is no reason to fail.
    assert refuse(h, h.e, 11, 0) == 0


def test_errors_of_others_are_ignored():
    h = open_port()
    assert refuse(h, h.e, 3, 3) == 0  # not connected
    connect(h.e)
    assert refuse(h, h.e, 3, 3, OTHER) == 0
    assert refuse(h, h.e, 3, 3, PEER, 10) == 0
    other = h.stack.udp.open(port=70)
    connect(other)
    assert refuse(h, h.e, 3, 3) == ECONNREFUSED and other.error == 0


def test_refusal_between_two_stacks():
    # The whole way: what is sent to a closed port comes back as an error.
    h = open_port()
    connect(h.e, PEER, 9)
    h.e.send(b"knock", PEER, 9)
    (d,) = h.datagrams()
    h.ip(ICMP, icmp(3, 3, data=d.whole))
    assert h.e.error == ECONNREFUSED


def test_broadcast_reaches_everybody():
    # RFC 1122 4.1.3.6.
    h = host()
    a = h.stack.udp.open(size=900, port=7, reuse=True)
    b = h.stack.udp.open(size=900, port=7, reuse=True)
    c = h.stack.udp.open(size=900, port=8)
    handler = Handler()
    h.stack.udp.open(handler=handler, port=7, reuse=True)
    give(h, b"all", dst=ALL, mac=ALL_MAC)
    give(h, b"net", dst=NET_BROADCAST, mac=ALL_MAC)
    for e in (a, b):
        assert [read(e), read(e), read(e)] == [b"all", b"net", None]
    assert handler.got == [b"all", b"net"] and not c.count
    bad = bytearray(udp(1, 7, b"bad", PEER, ALL))
    bad[8] ^= 1
    h.ip(UDP, bytes(bad), dst=ALL, mac=ALL_MAC)
    assert h.stat("udp_checksum") == 1 and not a.count and not b.count


def test_broadcast_to_a_closed_port_is_silent():
    # RFC 1122 3.2.2.
    h = open_port()
    give(h, b"x", dport=8, dst=ALL, mac=ALL_MAC)
    assert h.stat("udp_no_port") == 1 and not h.sent()


def test_multicast_delivery():
    from viperip.internet import igmp

    h = open_port(reuse=True)
    b = h.stack.udp.open(size=900, port=7, reuse=True)
    give(h, b"early", dst=GROUP, mac=GROUP_MAC)
    h.stack.time()
    igmp.of(h.stack).join(h.ifc, GROUP)
    give(h, b"group", dst=GROUP, mac=GROUP_MAC)
    for e in (h.e, b):
        assert [read(e), read(e)] == [b"group", None]


def test_multicast_sending():
    # RFC 1112 6.1: TTL 1 unless told otherwise.
    h = open_port()
    h.e.ttl = 50
    assert h.e.send(b"g", GROUP, 9) == 1
    h.e.multicast_ttl = 3
    assert h.e.send(b"g", GROUP, 9) == 1
    a, b = h.datagrams()
    assert a.ttl == 1 and b.ttl == 3 and a.to == GROUP_MAC and good(a) == b"g" and a.src == ME


def test_sending():
    h = open_port()
    h.e.ttl = 77
    h.e.tos = 0x10
    for n in (0, 1, 2, 501, 1472):
        data = bytes([i * 13 & 0xFF for i in range(n)])
        assert h.e.send(data, PEER, 9) == n
        (d,) = h.datagrams()
        assert (d.src, d.dst, d.ttl, d.tos, d.frag) == (ME, PEER, 77, 0x10, 0)
        assert get16(d.payload, 0) == 7 and get16(d.payload, 2) == 9 and good(d) == data
    assert h.stat("udp_out") == 5


def test_sending_from_any_buffer():
    h = open_port()
    block = bytearray(b"..abc..")
    for data in (b"abc", bytearray(b"abc"), memoryview(block)[2:5]):
        h.e.send(data, PEER, 9)
        (d,) = h.datagrams()
        assert good(d) == b"abc"


def test_sending_large():
    h = open_port()
    for n in (1473, 1481, 5001):
        data = bytes([i * 17 & 0xFF for i in range(n)])
        assert h.e.send(data, PEER, 9) == n
        out = h.datagrams()
        b = joined(out)
        assert get16(b, 4) == n + 8 and b[8:] == data
        assert checksum(ME + PEER + b"\0\x11" + b[4:6] + b) == 0


def test_sending_too_large():
    h = open_port()
    assert h.e.send(bytes(65508), PEER, 9) == -EMSGSIZE
    assert not h.sent()


def test_largest():
    h = open_port()
    assert h.e.send(bytes(65507), PEER, 9) == 65507
    assert sum([len(d.payload) for d in h.datagrams()]) == 65515


def test_no_route():
    h = open_port()
    assert h.e.send(b"x", b"\xc0\0\x02\x01", 9) == -ENETUNREACH
    assert h.stat("ip_no_route") == 1 and h.stat("udp_out") == 0


def test_device_without_buffers():
    h = open_port()
    h.dev.borrow = lambda: None
    assert h.e.send(b"x", PEER, 9) == -ENOBUFS
    assert h.e.send(bytes(3000), PEER, 9) == -ENOBUFS
    assert h.stat("tx_no_buffer") == 2 and h.stat("udp_out") == 0


def test_source_is_the_bound_address():
    from viperip.address import prefix_mask

    h = host(mask=prefix_mask(16))
    e = h.stack.udp.open(local=ME)
    e.send(b"x", PEER, 9)
    (d,) = h.datagrams()
    assert d.src == ME and good(d) == b"x"


def test_loopback():
    # RFC 1122 3.2.1.3 (g), 3.3.4.2.
    h = open_port()
    for dst in (b"\x7f\0\0\1", ME):
        e = h.stack.udp.open(size=900)
        assert e.send(b"ping", dst, 7) == 4
        h.stack.poll()
        assert read(h.e) == b"ping" and bytes(h.e.peer) == dst and h.e.peer_port == e.port
        assert h.e.send(b"pong", dst, e.port) == 4
        h.stack.poll()
        assert read(e) == b"pong"
    assert not h.sent()


def test_loopback_refuses():
    h = open_port()
    connect(h.e, b"\x7f\0\0\1", 8)
    h.e.send(b"x", b"\x7f\0\0\1", 8)
    while h.stack.poll() == 0:
        pass
    h.stack.poll()
    assert h.e.error == ECONNREFUSED


def test_ephemeral_ports():
    # RFC 6335 6: 49152 to 65535; RFC 6056 3.3.1: random, and none that is taken.
    h = host()
    ports = [h.stack.udp.open().port for _ in range(100)]
    assert len(set(ports)) == 100
    assert min(ports) >= 49152 and max(ports) <= 65535
    steps = set([ports[i + 1] - ports[i] for i in range(99)])
    assert len(steps) > 50


def test_ephemeral_ports_run_out():
    h = host()
    h.stack.urandom = lambda n: b"\0\0\0\5"[:n]
    assert h.stack.udp.open().port == 49157
    raises(EADDRINUSE, h.stack.udp.open)


def test_port_in_use():
    h = open_port()
    udps = h.stack.udp
    raises(EADDRINUSE, udps.open, 0, None, 7)
    raises(EADDRINUSE, udps.open, 0, None, 7, ME)
    a = udps.open(port=8, local=ME)
    udps.open(port=8, local=OTHER)
    raises(EADDRINUSE, udps.open, 0, None, 8, ME)
    raises(EADDRINUSE, udps.open, 0, None, 8, ANY)
    a.close()
    udps.open(port=8, local=ME)
    h.e.close()
    h.e.close()
    udps.open(port=7)


def test_bind_again_moves_the_endpoint():
    h = open_port()
    h.stack.udp.bind(h.e, ANY, 8)
    give(h, b"old")
    give(h, b"new", dport=8)
    assert read(h.e) == b"new" and h.stat("udp_no_port") == 1
