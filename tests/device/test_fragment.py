# Fragmentation and reassembly (RFC 791 3.2, RFC 1122 3.3.2, RFC 1858, RFC 5722).
from harness import (
    DF,
    ICMP,
    ME,
    MF,
    PEER,
    UDP,
    Message,
    host,
    icmp,
    joined,
    raises,
    udp,
)


class Sink:
    def __init__(self):
        self.got = []

    def input(self, p):
        self.got.append(bytes(p.buf[p.off : p.off + p.n]))
        self.source = p.source()
        self.destination = p.destination()
        self.whole = p.whole
        self.ttl = p.ttl


def listener(**more):
    h = host(**more)
    h.sink = Sink()
    h.stack.ip.handlers[253] = h.sink
    return h


DATA = bytes([i * 7 & 0xFF for i in range(4001)])


def piece(h, start, end, more=True, data=DATA, ident=5, proto=253, **kw):
    h.ip(proto, data[start:end], ident=ident, frag=start >> 3 | (MF if more else 0), **kw)


def pieces(h, order, ident=5, data=DATA, size=1000, proto=253):
    last = (len(data) - 1) // size
    for i in order:
        piece(h, i * size, min(len(data), (i + 1) * size), i < last, data, ident, proto)


def waiting(h):
    return len(h.stack.ip._reassembly.waiting)


def test_in_order():
    h = listener()
    pieces(h, range(5))
    assert h.sink.got == [DATA] and not waiting(h)
    assert h.sink.source == PEER and h.sink.destination == ME and not h.sink.whole
    assert h.stat("frag_received") == 5 and h.stat("frag_reassembled") == 1


def test_every_order():
    # RFC 815: fragments may come in any order.
    h = listener()
    data = DATA[:3500]

    def orders(rest):
        if not rest:
            return [[]]
        return [[x] + o for x in rest for o in orders([y for y in rest if y != x])]

    n = 0
    for order in orders([0, 1, 2, 3]):
        n += 1
        pieces(h, order, n, data)
        assert h.sink.got.pop() == data, order
    assert n == 24 and not h.sink.got and not waiting(h)


def test_two_datagrams_interleaved():
    # RFC 791 3.2: source, destination, protocol and identification tell them apart.
    h = listener()
    a, b = DATA[:1500], DATA[1000:2500]
    other = b"\x0a\0\0\x03"
    piece(h, 0, 800, True, a, 1)
    piece(h, 0, 800, True, b, 2)
    piece(h, 0, 800, True, b, 1, src=other)
    piece(h, 800, 1500, False, b, 2)
    piece(h, 800, 1500, False, a, 1)
    assert h.sink.got == [b, a] and waiting(h) == 1
    piece(h, 800, 1500, False, b, 1, src=other)
    assert h.sink.got == [b, a, b] and h.sink.source == other


def test_protocols_are_kept_apart():
    h = listener()
    piece(h, 0, 800, True)
    piece(h, 800, 1500, False, proto=254)
    assert not h.sink.got and waiting(h) == 2


def test_duplicates_are_harmless():
    h = listener()
    # Also after the first copy has been joined to its neighbours.
    pieces(h, [0, 0, 1, 0, 1, 3, 3, 1, 2, 4])
    assert h.sink.got == [DATA] and h.stat("frag_overlap") == 0


def test_duplicate_of_the_last():
    h = listener()
    pieces(h, [4, 4, 0, 1, 4, 2, 3])
    assert h.sink.got == [DATA]


def refused(ranges, counter="frag_overlap"):
    # The whole datagram is given up (RFC 5722 4).
    h = listener()
    for start, end, more in ranges:
        piece(h, start, end, more)
    assert h.stat(counter) == 1, counter
    assert not waiting(h) and not h.sink.got
    return h


def test_overlap_at_the_end():
    refused([(0, 800, True), (792, 1600, True)])


def test_overlap_at_the_beginning():
    refused([(800, 1600, True), (0, 808, True)])


def test_overlap_around():
    refused([(800, 1000, True), (0, 1200, True)])


def test_overlap_with_other_contents():
    h = listener()
    piece(h, 0, 1400)
    piece(h, 800, 1400, True, bytes(4001))
    assert h.stat("frag_overlap") == 1 and not waiting(h)


def test_two_different_ends():
    refused([(1600, 2000, False), (800, 1000, False)])


def test_data_beyond_the_end():
    refused([(800, 1000, False), (1600, 2400, True)])


def test_end_before_the_data():
    refused([(1600, 2400, True), (800, 1000, False)])


def test_tiny_first_fragment():
    # RFC 1858 3.1: a first fragment holds the whole TCP header.
    h = listener()
    piece(h, 0, 16, proto=6)
    assert h.stat("frag_tiny") == 1 and not waiting(h)
    # RFC 1858 3.2: none may start inside it.
    piece(h, 8, 800, proto=6)
    piece(h, 16, 800, proto=6)
    assert h.stat("frag_tiny") == 3 and not waiting(h)
    piece(h, 0, 24, proto=6)
    assert h.stat("frag_tiny") == 3 and waiting(h) == 1


def test_length_not_a_multiple_of_eight():
    # RFC 791 3.2: all fragments but the last.
    h = listener()
    piece(h, 0, 801)
    piece(h, 800, 801)
    piece(h, 800, 800)
    assert h.stat("frag_tiny") == 3 and not waiting(h)


def test_longer_than_a_datagram_can_be():
    # The "ping of death": RFC 791 3.1, 65535 octets at most.
    h = listener()
    h.ip(253, DATA[:1000], frag=0x1FFF)
    assert h.stat("frag_too_long") == 1 and not waiting(h)
    h.ip(253, DATA[:8], frag=(65536 - 24) >> 3)
    assert h.stat("frag_too_long") == 2


def test_the_longest_datagram():
    h = listener()
    data = DATA * 17
    data = data[: 65535 - 20]
    at = 0
    while at < len(data):
        piece(h, at, min(at + 1480, len(data)), at + 1480 < len(data), data)
        at += 1480
    assert h.sink.got == [data]


def test_datagrams_are_bounded():
    h = listener()
    for ident in range(6):
        piece(h, 0, 800, True, DATA[:1500], ident)
    assert waiting(h) == 4 and h.stat("frag_evicted") == 2
    piece(h, 800, 1500, False, DATA[:1500], 5)
    assert len(h.sink.got) == 1
    # The oldest had to go.
    piece(h, 800, 1500, False, DATA[:1500], 0)
    assert len(h.sink.got) == 1


def test_pieces_are_bounded():
    h = listener()
    for i in range(128):
        piece(h, 16 * i, 16 * i + 8)
    assert waiting(h) == 1
    piece(h, 16 * 128, 16 * 128 + 8)
    assert h.stat("frag_too_long") == 1 and not waiting(h)


def test_memory_is_bounded():
    # All datagrams share it; the oldest make way.
    h = listener()
    h.stack.fragment_bytes = 4096
    for i in range(8):
        piece(h, 1000 * (i // 2), 1000 * (i // 2 + 1), True, bytes(8000), i & 1)
        assert h.stack.ip._reassembly.size <= 4096
    assert h.stat("frag_evicted") > 0
    # What can never be whole is not begun.
    n = waiting(h)
    piece(h, 8000, 8008, False, bytes(8008), ident=9)
    assert h.stat("frag_too_long") == 1 and waiting(h) == n
    h.run(32000, 500)
    assert not waiting(h) and not h.stack.ip._reassembly.size
    pieces(h, [2, 1, 0], data=DATA[:2500])
    assert h.sink.got == [DATA[:2500]] and not h.stack.ip._reassembly.size


def test_memory_for_what_came_only():
    # A few bytes at the far end of a datagram once took 64 KB, four times over, for 30 s.
    import gc

    h = listener()
    far = bytes(65000)
    piece(h, 0, 8, ident=9)
    gc.collect()
    before = gc.mem_alloc()
    for ident in range(3):
        piece(h, 64000, 64008, True, far, ident)
    gc.collect()
    assert waiting(h) == 4 and gc.mem_alloc() - before < 4096


def test_timeout_with_the_first_fragment():
    # RFC 1122 3.3.2: discarded, and time exceeded is sent if fragment zero was received.
    h = listener()
    piece(h, 0, 800)
    piece(h, 800, 1600)
    h.run(29000, 500)
    assert waiting(h) == 1 and not h.sent()
    h.run(3000, 500)
    assert not waiting(h) and h.stat("frag_timeout") == 1
    (d,) = h.datagrams()
    m = Message(d)
    assert (m.kind, m.code) == (11, 1) and d.dst == PEER
    assert m.data[12:16] == PEER and m.data[20:28] == DATA[:8]
    piece(h, 1600, 2000, False)
    assert not h.sink.got


def test_timeout_without_the_first_fragment():
    h = listener()
    piece(h, 800, 1600)
    h.run(32000, 500)
    assert not waiting(h) and h.stat("frag_timeout") == 1 and not h.sent()


def test_timeout_counts_from_the_first_arrival():
    # RFC 1122 3.3.2: a fixed value, not set anew by each fragment.
    h = listener()
    for i in range(40):
        piece(h, 16 * i, 16 * i + 8)
        h.run(800)
    assert h.stat("frag_timeout") == 1


def test_timeout_despite_other_datagrams():
    h = listener()
    piece(h, 800, 1600)
    for i in range(40):
        pieces(h, [0, 1], 100 + i, DATA[:1500])
        h.run(800)
    assert len(h.sink.got) == 40
    assert h.stat("frag_timeout") == 1 and not waiting(h)


def test_reassembled_echo():
    h = host()
    m = icmp(8, 0, b"\0\1\0\1", DATA)
    pieces(h, [2, 0, 1, 4, 3], data=m, proto=ICMP)
    out = h.datagrams()
    reply = Message(joined(out))
    assert reply.kind == 0 and reply.data == DATA


def test_reassembled_udp():
    h = host()
    e = h.stack.udp.open(size=8000, port=7)
    m = udp(1234, 7, DATA)
    last = (len(m) - 1) // 1000
    for i in (3, 1, 4, 0, 2):
        piece(h, i * 1000, min(len(m), i * 1000 + 1000), i < last, m, proto=UDP)
    buf = bytearray(5000)
    assert e.read(buf, 0, 5000) == len(DATA) and buf[: len(DATA)] == DATA


def send(h, data, df=False):
    r = h.stack.ip.route(PEER, 0)
    return h.stack.ip.send_data(r, ME, PEER, 0, data, 64 << 8 | 253, df)


def test_sending():
    # RFC 791 3.2: pieces of a multiple of 8, one identification, MF on all but the last.
    h = host()
    for n in (1481, 2960, 2961, 4001):
        data = DATA[:n]
        assert send(h, data) == n
        out = h.datagrams()
        assert len(out) == (n + 1479) // 1480
        assert joined(out) == data
        for d in out:
            assert d.src == ME and d.dst == PEER and d.proto == 253 and not d.frag & DF
            assert len(d.whole) <= 1500
        assert [bool(d.frag & MF) for d in out] == [True] * (len(out) - 1) + [False]


def test_what_fits_is_not_fragmented():
    h = host()
    send(h, DATA[:1480])
    (d,) = h.datagrams()
    assert d.frag == 0 and len(d.whole) == 1500


def test_odd_mtu():
    h = host(mtu=1003)
    send(h, DATA)
    out = h.datagrams()
    assert joined(out) == DATA and max([len(d.payload) for d in out]) == 976


def test_df_is_not_fragmented():
    from viperip.errors import EMSGSIZE

    h = host()
    raises(EMSGSIZE, send, h, DATA, True)
    raises(EMSGSIZE, send, h, bytes(65516))
    assert not h.sent()


def test_fragments_wait_for_arp():
    from harness import MAC, PEER_MAC, REPLY, arp

    h = host(static=False)
    send(h, DATA)
    assert len(h.arps()) == 1
    h.inject(arp(REPLY, PEER_MAC, PEER, MAC, ME))
    assert joined(h.datagrams()) == DATA


def test_protocol_of_the_quote():
    # The quote of a time exceeded error names the protocol that was cut.
    h = listener()
    piece(h, 0, 800, data=icmp(8, 0, data=DATA), proto=ICMP)
    h.run(32000, 500)
    (d,) = h.datagrams()
    assert Message(d).data[9] == ICMP
