# ICMP (RFC 792, RFC 1122 3.2.2).
from harness import (
    ALL,
    ALL_MAC,
    ANY,
    DF,
    ICMP,
    MASK,
    ME,
    MF,
    NET_BROADCAST,
    PEER,
    PEER_MAC,
    UDP,
    Message,
    host,
    icmp,
    ipv4,
    joined,
    udp,
)

ID = b"\x12\x34\0\x07"
GROUP = b"\xe0\0\0\x01"


def echo(h, data, **more):
    h.ip(ICMP, icmp(8, 0, ID, data), **more)
    return h.datagrams()


def test_echo():
    # RFC 1122 3.2.2.6: the data comes back as it was, from the address that was asked.
    h = host()
    for n in (0, 1, 2, 55, 56, 57, 1001, 1472):
        data = bytes([i * 3 & 0xFF for i in range(n)])
        (d,) = echo(h, data)
        m = Message(d)
        assert (d.src, d.dst, d.proto, d.to) == (ME, PEER, ICMP, PEER_MAC)
        assert (m.kind, m.code, m.rest, m.data) == (0, 0, ID, data)


def test_echo_of_zeros_and_ones():
    # The sums at the edges of ones' complement.
    h = host()
    for data in (bytes(64), b"\xff" * 64, b"\xff" * 65):
        (d,) = echo(h, data)
        assert Message(d).data == data


def test_echo_of_4000_bytes():
    # RFC 1122 3.2.2.6: reassembled and, if it must be, fragmented again.
    h = host()
    data = bytes([i * 5 & 0xFF for i in range(4000)])
    m = icmp(8, 0, ID, data)
    for at in (0, 1480, 2960):
        part = m[at : at + 1480]
        h.ip(ICMP, part, ident=9, frag=at >> 3 | (MF if at + 1480 < len(m) else 0))
    out = h.datagrams()
    assert len(out) == 3
    reply = Message(joined(out))
    assert reply.kind == 0 and reply.rest == ID and reply.data == data


def test_echo_waits_for_arp():
    from harness import MAC, REPLY, arp

    h = host(static=False)
    assert not echo(h, b"x")
    h.inject(arp(REPLY, PEER_MAC, PEER, MAC, ME))
    (d,) = h.datagrams()
    assert Message(d).data == b"x"


def test_echo_through_the_gateway():
    h = host(gateway=PEER)
    (d,) = echo(h, b"far", src=b"\xc0\0\x02\x01")
    assert d.dst == b"\xc0\0\x02\x01" and d.to == PEER_MAC


def test_echo_to_broadcast_is_not_answered():
    # RFC 1122 3.2.2.6: a host may be silent.
    h = host()
    for dst in (ALL, NET_BROADCAST):
        assert not echo(h, b"x", dst=dst, mac=ALL_MAC)
    assert h.stat("icmp_echo_broadcast") == 2


def test_echo_can_be_turned_off():
    h = host()
    h.stack.ip.icmp.reply_to_echo = False
    assert not echo(h, b"x")


def test_short():
    h = host()
    h.ip(ICMP, icmp(8, 0)[:7])
    assert h.stat("icmp_short") == 1 and not h.sent()


def test_checksum():
    h = host()
    good = icmp(8, 0, ID, b"data")
    for at in range(len(good)):
        b = bytearray(good)
        b[at] ^= 0x40
        h.ip(ICMP, bytes(b))
        assert h.stat("icmp_checksum") == at + 1
    assert not h.sent()


def test_unknown_type():
    # RFC 1122 3.2.2: silently discarded.
    h = host()
    h.ip(ICMP, icmp(42, 0))
    h.ip(ICMP, icmp(13, 0, data=bytes(12)))
    assert h.stat("icmp_unknown_type") == 2 and not h.sent()


def test_port_unreachable():
    # RFC 1122 3.2.2.1, 4.1.3.1; RFC 1812 4.3.2.3: as much of the datagram as fits in 576.
    h = host()
    for n in (0, 1, 100, 519, 520, 521, 1000):
        payload = udp(1000, 2000, bytes(n))
        h.ip(UDP, payload, ident=n)
        (d,) = h.datagrams()
        m = Message(d)
        assert (m.kind, m.code, m.rest) == (3, 3, ANY)
        assert (d.src, d.dst) == (ME, PEER)
        assert m.data == ipv4(PEER, ME, UDP, payload, ident=n)[:548]
        assert len(d.whole) <= 576
    assert h.stat("icmp_errors_out") == 7


def test_quote_keeps_options():
    h = host()
    h.ip(UDP, udp(1, 2, b""), options=b"\x01\x01\x01\0")
    (d,) = h.datagrams()
    assert Message(d).data == ipv4(PEER, ME, UDP, udp(1, 2, b""), options=b"\x01\x01\x01\0")


def suppressed(h, **more):
    before = h.stat("icmp_errors_suppressed")
    h.ip(more.pop("proto", UDP), more.pop("payload", b"12345678"), **more)
    assert not h.sent(), more
    return h.stat("icmp_errors_suppressed") - before


def test_no_error_about_an_error():
    # RFC 1122 3.2.2: asked directly, for no path through input gives rise to one.
    h = host()
    about = h.stack.ip.icmp.error_about
    quote = ipv4(ME, PEER, UDP, udp(1, 2, b"", ME, PEER))
    for kind in (3, 4, 5, 11, 12):
        about(ipv4(PEER, ME, ICMP, icmp(kind, 0, data=quote)), 0, 3, 2, h.ifc)
        assert not h.sent()
    assert h.stat("icmp_errors_suppressed") == 5
    about(ipv4(PEER, ME, ICMP, icmp(8, 0)), 0, 3, 2, h.ifc)
    assert len(h.sent()) == 1


def test_no_error_about_broadcast_or_multicast():
    # RFC 1122 3.2.2: IP broadcast, IP multicast, and link-layer broadcast.
    h = host()
    h.ifc.groups.append(GROUP)
    for dst, mac in (
        (ALL, ALL_MAC),
        (NET_BROADCAST, ALL_MAC),
        (GROUP, b"\x01\0\x5e\0\0\1"),
    ):
        payload = udp(1, 2, b"x", PEER, dst)
        assert suppressed(h, payload=payload, dst=dst, mac=mac) == 1
        assert suppressed(h, proto=254, dst=dst, mac=mac) == 1
        # A broadcast address in a frame for us alone.
        assert suppressed(h, proto=254, dst=dst) == 1
    # A link-layer broadcast never gets that far.
    assert suppressed(h, proto=254, mac=ALL_MAC) == 0


def test_no_error_about_a_later_fragment():
    # RFC 1122 3.2.2: only about the first.
    h = host()
    h.stack.ip.icmp.error_about(ipv4(PEER, ME, UDP, bytes(64), frag=8), 0, 3, 3, h.ifc)
    assert not h.sent() and h.stat("icmp_errors_suppressed") == 1
    h.stack.ip.icmp.error_about(ipv4(PEER, ME, UDP, bytes(64), frag=MF), 0, 3, 3, h.ifc)
    assert len(h.sent()) == 1


def test_no_error_to_a_source_that_is_not_one_host():
    # RFC 1122 3.2.2: zero, loopback, broadcast, multicast, class E.
    h = host()
    bad = (ANY, b"\x7f\0\0\1", ALL, NET_BROADCAST, GROUP, b"\xf0\0\0\1", ME)
    for src in bad:
        h.stack.ip.icmp.error_about(ipv4(src, ME, UDP, bytes(64)), 0, 3, 3, h.ifc)
        assert not h.sent(), src
    assert h.stat("icmp_errors_suppressed") == len(bad)


def test_errors_are_limited():
    # RFC 1812 4.3.2.8: a token bucket, 20 at once and then 50 per second.
    h = host()
    for _ in range(50):
        h.ip(254, b"12345678")
        h.sent()
    assert h.stat("icmp_errors_out") == 20 and h.stat("icmp_errors_limited") == 30
    h.clock.advance(100)
    for _ in range(10):
        h.ip(254, b"12345678")
        h.sent()
    assert h.stat("icmp_errors_out") == 25
    h.run(60000, 1000)
    for _ in range(50):
        h.ip(254, b"12345678")
        h.sent()
    assert h.stat("icmp_errors_out") == 45


def test_echo_is_not_limited():
    h = host()
    for _ in range(100):
        assert len(echo(h, b"x")) == 1


class Listener:
    def __init__(self):
        self.got = []

    def icmp(self, p, kind, code):
        self.got.append((kind, code, p.source()))


def test_listeners_hear_replies_and_errors():
    h = host()
    ear = Listener()
    h.stack.ip.icmp.listeners.append(ear)
    quote = ipv4(ME, PEER, ICMP, icmp(8, 0))
    h.ip(ICMP, icmp(0, 0, ID, b"back"))
    h.ip(ICMP, icmp(11, 0, data=quote))
    assert ear.got == [(0, 0, PEER), (11, 0, PEER)] and not h.sent()


class Transport:
    def __init__(self):
        self.errors = []

    def input(self, p):
        pass

    def error(self, kind, code, buf, ip, off, n, info):
        self.errors.append((kind, code, bytes(buf[ip + 16 : ip + 20]), bytes(buf[off : off + n])))
        self.info = info


def test_errors_reach_the_transport():
    # RFC 1122 3.2.2.1, 3.2.2.4, 3.2.2.5: with the quoted datagram.
    h = host()
    t = Transport()
    h.stack.ip.handlers[253] = t
    quote = ipv4(ME, PEER, 253, b"12345678")
    for kind, code in ((3, 0), (3, 1), (3, 3), (3, 4), (3, 13), (11, 0), (11, 1), (12, 0)):
        h.ip(ICMP, icmp(kind, code, b"\0\0\x02\x40", quote))
        assert t.errors.pop() == (kind, code, PEER, b"12345678")
        # RFC 1191 4: the MTU of the next hop.
        assert t.info == 0x240
    assert h.stat("icmp_errors_in") == 8 and not h.sent()


def test_quotes_with_options():
    h = host()
    t = Transport()
    h.stack.ip.handlers[253] = t
    h.ip(ICMP, icmp(3, 1, data=ipv4(ME, PEER, 253, b"12345678", options=b"\1\1\1\0")))
    assert t.errors == [(3, 1, PEER, b"12345678")]


def test_bad_quotes():
    h = host()
    t = Transport()
    h.stack.ip.handlers[253] = t
    quote = ipv4(ME, PEER, 253, b"12345678")
    bad = [quote[:n] for n in (0, 19, 20, 27)]
    bad.append(b"\x65" + quote[1:])
    bad.append(b"\x44" + quote[1:])
    bad.append(b"\x4f" + quote[1:])
    for i in range(len(bad)):
        h.ip(ICMP, icmp(3, 1, data=bad[i]))
        assert h.stat("icmp_bad_quote") == i + 1, i
    assert not t.errors


def test_error_about_an_unknown_protocol_is_ignored():
    h = host()
    h.ip(ICMP, icmp(3, 2, data=ipv4(ME, PEER, 200, b"12345678")))
    assert h.stat("icmp_errors_in") == 1 and not h.sent()


def test_unreachable_source_of_another_interface():
    # RFC 1812 4.3.2.4: the source is the address that was asked, or that of the way out.
    from viperip.interface import Interface
    from viperip.link.pair import Pair

    h = host()
    dev, _ = Pair.wire(b"\x02\0\0\0\0\x1a", b"\x02\0\0\0\0\x1b")
    second = Interface(h.stack, dev, "e1")
    h.stack.add_interface(second)
    second.up()
    second.configure(b"\xc0\xa8\0\1", MASK)
    h.ip(254, b"12345678", dst=b"\xc0\xa8\0\1")
    (d,) = h.datagrams()
    assert d.src == b"\xc0\xa8\0\1" and d.frag & ~DF == 0


def test_describe():
    from viperip.internet.icmp import describe

    assert describe(3, 3) == "port unreachable"
    assert describe(3, 4) == "fragmentation needed"
    assert describe(11, 0) == "time to live exceeded"
    assert describe(3, 13) == "host (code 13) unreachable"
