# IPv4 input and output (RFC 791, RFC 1122 3.2.1, RFC 1112).
from harness import (
    ALL,
    ALL_MAC,
    ANY,
    DF,
    ICMP,
    MAC,
    MASK,
    ME,
    NET_BROADCAST,
    PEER,
    PEER_MAC,
    Message,
    checksum,
    eth,
    host,
    icmp,
    ipv4,
)

GROUP = b"\xef\x01\x02\x03"
GROUP_MAC = b"\x01\0\x5e\x01\x02\x03"
FAR = b"\xc0\0\x02\x05"
PING = icmp(8, 0, b"\0\1\0\1", b"ping")


class Sink:
    def __init__(self):
        self.got = []

    def input(self, p):
        self.got.append((p.source(), p.destination(), bytes(p.buf[p.off : p.off + p.n]), p.ttl))


def listener(**more):
    # Protocol 253 is for experiments (RFC 3692).
    h = host(**more)
    h.sink = Sink()
    h.stack.ip.handlers[253] = h.sink
    return h


def corrupt(h, change, counter):
    # A good datagram that `change` alters, with its header checksum right again.
    h.ip(253, b"data")
    assert len(h.sink.got) == 1
    b = bytearray(ipv4(PEER, ME, 253, b"data"))
    change(b)
    if counter != "ip_checksum":
        n = min(max(20, (b[0] & 15) * 4), len(b))
        b[10:12] = b"\0\0"
        c = checksum(b[:n])
        b[10] = c >> 8
        b[11] = c & 0xFF
    h.inject(eth(MAC, PEER_MAC, 0x800, bytes(b)))
    assert h.stat(counter) == 1, counter
    assert len(h.sink.got) == 1 and not h.sent()


def change(at, value):
    def f(b):
        b[at] = value

    return f


def test_delivery():
    h = listener()
    h.ip(253, b"data", ttl=9)
    # RFC 894: the padding of a short frame is not part of the datagram.
    assert h.sink.got == [(PEER, ME, b"data", 9)]


def test_short():
    h = listener()
    h.inject(MAC + PEER_MAC + b"\x08\0" + ipv4(PEER, ME, 253, b"")[:19])
    assert h.stat("ip_short") == 1


def test_version():
    # RFC 1122 3.2.1.1: another version is silently discarded.
    corrupt(listener(), change(0, 0x65), "ip_version")


def test_header_length():
    corrupt(listener(), change(0, 0x44), "ip_header_length")


def test_header_longer_than_the_frame():
    h = listener()
    b = bytearray(ipv4(PEER, ME, 253, b""))
    b[0] = 0x4F
    h.inject(MAC + PEER_MAC + b"\x08\0" + bytes(b))
    assert h.stat("ip_header_length") == 1


def test_total_length_beyond_the_frame():
    corrupt(listener(), change(3, 200), "ip_total_length")


def test_total_length_below_the_header():
    corrupt(listener(), change(3, 19), "ip_total_length")


def test_header_checksum():
    # RFC 1122 3.2.1.2: every datagram's is verified, and a bad one silently discarded.
    corrupt(listener(), change(8, 63), "ip_checksum")


def test_every_bit_of_the_header_is_covered():
    h = listener()
    good = ipv4(PEER, ME, 253, b"data")
    for at in range(20):
        for bit in range(8):
            b = bytearray(good)
            b[at] ^= 1 << bit
            h.inject(eth(MAC, PEER_MAC, 0x800, bytes(b)))
    assert not h.sink.got


def test_options_are_skipped():
    # RFC 1122 3.2.1.8: options that are not understood are ignored.
    h = listener()
    h.ip(253, b"data", options=b"\x94\4\0\0")
    h.ip(253, b"more", options=b"\x01" * 40)
    assert [g[2] for g in h.sink.got] == [b"data", b"more"]
    h.ip(ICMP, PING, options=b"\x07\x07\4\0\0\0\0\0")
    (d,) = h.datagrams()
    assert Message(d).kind == 0


def test_ttl_is_no_reason_to_drop():
    # RFC 1122 3.2.1.7: a host must not discard a datagram because its TTL is small.
    h = listener()
    h.ip(253, b"a", ttl=1)
    h.ip(253, b"b", ttl=0)
    assert len(h.sink.got) == 2


def test_tos_is_passed_over():
    h = listener()
    h.ip(253, b"a", tos=0xFF)
    assert len(h.sink.got) == 1


def test_martian_sources():
    # RFC 1122 3.2.1.3: these may never be a source.
    h = listener()
    bad = (ANY, ME, NET_BROADCAST, ALL, GROUP, b"\x7f\0\0\1", b"\xf0\0\0\1")
    for i in range(len(bad)):
        h.ip(253, b"x", src=bad[i])
        assert h.stat("ip_martian_source") == i + 1, bad[i]
    assert not h.sink.got


def test_unspecified_source_only_to_broadcast():
    # RFC 1122 3.2.1.3 (a): as part of an initialization procedure.
    h = listener()
    h.ip(253, b"x", src=ANY, dst=ALL, mac=ALL_MAC)
    assert len(h.sink.got) == 1


def test_martian_destinations():
    # RFC 1122 3.2.1.3 (g): loopback addresses stay inside a host.
    h = listener()
    bad = (b"\x7f\0\0\1", ANY, b"\xf0\0\0\1")
    for i in range(len(bad)):
        h.ip(253, b"x", dst=bad[i])
        assert h.stat("ip_martian_destination") == i + 1, bad[i]
    assert not h.sink.got


def test_for_somebody_else():
    # RFC 1122 3.2.1.3: silently discarded; a host does not forward (3.3.1).
    h = listener()
    h.ip(253, b"x", dst=FAR)
    assert h.stat("ip_not_for_us") == 1 and not h.sink.got and not h.sent()


def test_broadcasts():
    # RFC 1122 3.3.6: limited and directed.
    h = listener()
    h.ip(253, b"limited", dst=ALL, mac=ALL_MAC)
    h.ip(253, b"directed", dst=NET_BROADCAST, mac=ALL_MAC)
    assert [g[2] for g in h.sink.got] == [b"limited", b"directed"]
    h.ip(253, b"elsewhere", dst=b"\x0a\0\x01\xff", mac=ALL_MAC)
    assert len(h.sink.got) == 2 and h.stat("ip_not_for_us") == 1


def test_unicast_in_a_broadcast_frame():
    # RFC 1122 3.3.6: a link-layer broadcast with a unicast destination is discarded.
    h = listener()
    h.ip(253, b"x", mac=ALL_MAC)
    h.ip(253, b"x", mac=b"\x01\0\x5e\0\0\1")
    assert h.stat("ip_not_for_us") == 2 and not h.sink.got


def test_unknown_protocol():
    # RFC 1122 3.2.2.1: protocol unreachable.
    h = listener()
    h.ip(254, b"payload8")
    assert h.stat("ip_unknown_protocol") == 1
    (d,) = h.datagrams()
    m = Message(d)
    assert (m.kind, m.code) == (3, 2)


def test_raw_listener_takes_unknown_protocols():
    h = listener()

    class Raw:
        proto = 254
        got = 0

        def datagram(self, p):
            self.got += 1

    raw = Raw()
    h.stack.ip.raw.append(raw)
    h.ip(254, b"x")
    h.ip(253, b"x")
    assert raw.got == 1 and h.stat("ip_unknown_protocol") == 0 and not h.sent()


def test_address_of_another_interface():
    # RFC 1122 3.3.4.2: the weak end system model.
    from viperip.interface import Interface
    from viperip.link.pair import Pair

    h = listener()
    dev, _ = Pair.wire(b"\x02\0\0\0\0\x1a", b"\x02\0\0\0\0\x1b")
    second = Interface(h.stack, dev, "e1")
    h.stack.add_interface(second)
    second.up()
    second.configure(b"\xc0\xa8\0\1", MASK)
    h.ip(253, b"x", dst=b"\xc0\xa8\0\1")
    assert len(h.sink.got) == 1
    second.down()
    h.ip(253, b"x", dst=b"\xc0\xa8\0\1")
    assert len(h.sink.got) == 1


def test_multicast_needs_a_join():
    # RFC 1112 7.2.
    from viperip.internet import igmp

    h = listener()
    group = igmp.of(h.stack)
    h.ip(253, b"before", dst=GROUP, mac=GROUP_MAC)
    assert h.stat("ip_not_joined") == 1
    h.stack.time()
    group.join(h.ifc, GROUP)
    h.ip(253, b"joined", dst=GROUP, mac=GROUP_MAC)
    # RFC 1112 4: 32 groups share a MAC; the address decides.
    h.ip(253, b"alias", dst=b"\xef\x81\x02\x03", mac=GROUP_MAC)
    h.ip(253, b"all", dst=b"\xe0\0\0\1", mac=b"\x01\0\x5e\0\0\1")
    group.leave(h.ifc, GROUP)
    h.ip(253, b"after", dst=GROUP, mac=GROUP_MAC)
    assert [g[2] for g in h.sink.got] == [b"joined", b"all"]


def reports(h):
    out = []
    for d in h.datagrams():
        assert d.proto == 2 and checksum(d.payload) == 0
        out.append((d.payload[0], d.dst, d.payload[4:8]))
        # RFC 2236 2: TTL 1. RFC 1112 6.4: the group's own MAC.
        assert d.ttl == 1 and d.to == b"\x01\0\x5e" + bytes((d.dst[1] & 0x7F,)) + d.dst[2:]
    return out


def test_membership_reports():
    # RFC 2236 3: a report at the join, one more later, answers to queries, a leave.
    from viperip.internet import igmp

    h = listener()
    group = igmp.of(h.stack)
    h.stack.time()
    group.join(h.ifc, GROUP)
    report = (0x16, GROUP, GROUP)
    assert reports(h) == [report]
    h.run(11000)
    assert reports(h) == [report]
    query = b"\x11\x64\0\0" + ANY
    query = query[:2] + bytes((checksum(query) >> 8, checksum(query) & 0xFF)) + query[4:]
    h.ip(2, query, dst=b"\xe0\0\0\1", mac=b"\x01\0\x5e\0\0\1", ttl=1)
    h.run(10500)
    assert reports(h) == [report]
    # RFC 2236 3: another member's report is enough.
    h.ip(2, query, dst=b"\xe0\0\0\1", mac=b"\x01\0\x5e\0\0\1", ttl=1)
    other = bytes((0x16, 0, 0, 0)) + GROUP
    c = checksum(other)
    early = reports(h)
    other = bytes((0x16, 0, c >> 8, c & 0xFF)) + GROUP
    h.ip(2, other, dst=GROUP, mac=GROUP_MAC, ttl=1)
    h.run(10500)
    assert reports(h) == [] or early
    group.leave(h.ifc, GROUP)
    assert reports(h) == [(0x17, b"\xe0\0\0\2", GROUP)]
    h.ip(2, query[:7] + b"\x01", dst=b"\xe0\0\0\1", mac=b"\x01\0\x5e\0\0\1")
    assert h.stat("igmp_bad") == 1


def test_query_that_is_in_a_hurry():
    # RFC 2236 3: a report that is due later than the query allows is made earlier.
    from viperip.internet import igmp

    h = listener()
    h.stack.urandom = lambda n: b"\xff" * n
    h.stack.time()
    igmp.of(h.stack).join(h.ifc, GROUP)
    h.sent()
    query = b"\x11\x0a\0\0" + ANY
    query = query[:2] + bytes((checksum(query) >> 8, checksum(query) & 0xFF)) + query[4:]
    h.ip(2, query, dst=b"\xe0\0\0\1", mac=b"\x01\0\x5e\0\0\1", ttl=1)
    h.run(1100)
    assert reports(h) == [(0x16, GROUP, GROUP)]


def test_sent_header():
    h = listener()
    r = h.stack.ip.route(PEER, 0)
    h.stack.ip.send_data(r, ME, PEER, 0, b"data", 0x10 << 16 | 33 << 8 | 253)
    h.stack.ip.send_data(r, ME, PEER, 0, b"data", 33 << 8 | 253, df=True)
    a, b = h.datagrams()
    assert (a.src, a.dst, a.proto, a.ttl, a.tos, a.frag) == (ME, PEER, 253, 33, 0x10, 0)
    assert a.payload == b"data" and a.to == PEER_MAC
    # RFC 6864 4.1: an atomic datagram's identification means nothing.
    assert b.frag == DF and b.ident == 0 and b.tos == 0


def test_identifications_do_not_repeat():
    # RFC 6864 4.3.
    h = listener()
    seen = set()
    for _ in range(65536):
        seen.add(h.stack.ip.ident())
    assert len(seen) == 65536


def test_sent_to_broadcast_and_multicast():
    # RFC 894, RFC 1112 6.4.
    h = listener()
    for dst, mac in (
        (ALL, ALL_MAC),
        (NET_BROADCAST, ALL_MAC),
        (b"\xef\xff\x7f\x01", b"\x01\0\x5e\x7f\x7f\x01"),
    ):
        r = h.stack.ip.route(dst, 0)
        h.stack.ip.send_data(r, ME, dst, 0, b"x", 1 << 8 | 253)
        (d,) = h.datagrams()
        assert d.to == mac and d.dst == dst


def test_member_hears_what_its_host_sends():
    # RFC 1112 6.1.
    from viperip.internet import igmp

    h = listener()
    h.stack.time()
    igmp.of(h.stack).join(h.ifc, GROUP)
    h.sent()
    r = h.stack.ip.route(GROUP, 0)
    h.stack.ip.send_data(r, ME, GROUP, 0, b"own", 1 << 8 | 253)
    h.stack.poll()
    assert [g[2] for g in h.sink.got] == [b"own"]
    assert len(h.datagrams()) == 1


def test_loopback_stays_inside():
    # RFC 1122 3.2.1.3 (g).
    h = listener()
    for dst in (b"\x7f\0\0\1", b"\x7f\1\2\3", ME):
        r = h.stack.ip.route(dst, 0)
        src = h.stack.ip.source_for(r, dst)
        h.stack.ip.send_data(r, src, dst, 0, b"x", 64 << 8 | 253)
        h.stack.poll()
        assert h.sink.got.pop()[:2] == (dst, dst)
    assert not h.sent()


def forwarder(mtu=1500):
    # A router between the peer's network and 192.168.0.0/24, with a neighbour there.
    from viperip.interface import Interface
    from viperip.link.pair import Pair

    h = listener()
    h.stack.ip.forwarding = True
    dev, h.far = Pair.wire(b"\x02\0\0\0\0\x1a", b"\x02\0\0\0\0\x1b", 64, mtu)
    second = Interface(h.stack, dev, "e1")
    h.stack.add_interface(second)
    second.up()
    second.configure(b"\xc0\xa8\0\1", MASK)
    second.arp.add(b"\xc0\xa8\0\2", b"\x02\0\0\0\0\x1b")
    far_sent(h)
    return h


def far_sent(h):
    near, h.wire = h.wire, h.far
    out = h.datagrams()
    h.wire = near
    return out


def test_forwarding():
    # RFC 1812 5.2: TTL less one, checksum right (RFC 1141), the rest as it was.
    h = forwarder()
    for ttl in (2, 64, 255):
        # Some of these make the checksum wrap.
        for ident in range(0, 0x10000, 0x101):
            h.ip(253, b"through", dst=b"\xc0\xa8\0\2", ttl=ttl, ident=ident)
            (d,) = far_sent(h)
            assert (d.src, d.ttl, d.payload, d.ident) == (PEER, ttl - 1, b"through", ident)
    assert h.stat("ip_forwarded") == 3 * 256 and not h.sink.got


def test_forwarding_ttl():
    # RFC 1812 5.3.1: time exceeded.
    h = forwarder()
    h.ip(253, b"payload8", dst=b"\xc0\xa8\0\2", ttl=1)
    (d,) = h.datagrams()
    m = Message(d)
    assert (m.kind, m.code) == (11, 0) and d.dst == PEER
    assert h.stat("ip_ttl_exceeded") == 1 and not far_sent(h)


def test_forwarding_without_a_route():
    h = forwarder()
    h.ip(253, b"payload8", dst=FAR)
    (d,) = h.datagrams()
    m = Message(d)
    assert (m.kind, m.code) == (3, 0) and h.stat("ip_no_route") == 1


def test_forwarding_to_a_narrower_wire():
    # RFC 791 3.2; RFC 1191 4 when it may not be fragmented.
    from harness import joined

    h = forwarder(576)
    data = bytes(range(256)) * 5
    h.ip(253, data, dst=b"\xc0\xa8\0\2", frag=DF)
    (d,) = h.datagrams()
    m = Message(d)
    assert (m.kind, m.code) == (3, 4) and m.rest == b"\0\0\x02\x40"
    assert not far_sent(h)
    h.ip(253, data, dst=b"\xc0\xa8\0\2", ident=77)
    pieces = far_sent(h)
    assert len(pieces) == 3 and joined(pieces) == data and pieces[0].ident == 77
