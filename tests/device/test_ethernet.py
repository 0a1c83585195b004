# Ethernet II: which frames go where (IEEE 802.3 3.2).
from harness import ALL_MAC, MAC, PEER_MAC, eth, host


class Sink:
    def __init__(self):
        self.got = []

    def input(self, p):
        self.got.append((bytes(p.buf[p.off : p.off + p.n]), p.group))


class Tap:
    def __init__(self):
        self.got = []

    def frame(self, ifc, buf, off, n):
        self.got.append(bytes(buf[off : off + n]))


def listener():
    h = host()
    sink = Sink()
    h.stack.ethernet.register(0x88B5, sink)
    return h, sink


def test_unicast_to_its_handler():
    h, sink = listener()
    payload = bytes(range(60))
    h.inject(eth(MAC, PEER_MAC, 0x88B5, payload))
    assert sink.got == [(payload, 0)]
    assert h.ifc.rx_frames == 1 and h.ifc.rx_bytes == 74


def test_group_addresses_are_told():
    h, sink = listener()
    h.inject(eth(ALL_MAC, PEER_MAC, 0x88B5, b"b"), eth(b"\x01\0\x5e\0\0\1", PEER_MAC, 0x88B5, b""))
    assert [g for _, g in sink.got] == [1, 1]


def test_short_frame():
    h, sink = listener()
    h.inject(MAC + PEER_MAC + b"\x88")
    assert h.stat("eth_short") == 1 and not sink.got


def test_other_station():
    h, sink = listener()
    h.inject(eth(PEER_MAC, PEER_MAC, 0x88B5, b""))
    assert h.stat("eth_other_station") == 1 and not sink.got


def test_length_field():
    # IEEE 802.3 3.2.6: less than 0x600 is a length.
    h, sink = listener()
    h.inject(eth(MAC, PEER_MAC, 0x5FF, b""), eth(MAC, PEER_MAC, 46, b""))
    assert h.stat("eth_length_field") == 2


def test_group_source():
    # IEEE 802.3 3.2.3: a source is one station.
    h, sink = listener()
    h.inject(eth(MAC, ALL_MAC, 0x88B5, b""))
    assert h.stat("eth_group_source") == 1 and not sink.got


def test_unknown_type():
    h, sink = listener()
    h.inject(eth(MAC, PEER_MAC, 0x86DD, b""))
    assert h.stat("eth_unknown_type") == 1 and not h.sent()


def test_tap_sees_others_only_when_promiscuous():
    h, sink = listener()
    tap = Tap()
    h.stack.ethernet.taps.append(tap)
    ours = eth(MAC, PEER_MAC, 0x88B5, b"ours")
    other = eth(PEER_MAC, PEER_MAC, 0x88B5, b"other")
    h.inject(ours, other)
    assert tap.got == [ours]
    h.ifc.promiscuous = True
    h.inject(other)
    assert tap.got == [ours, other]
    assert len(sink.got) == 1


def test_poll_is_bounded():
    h, sink = listener()
    frame = eth(MAC, PEER_MAC, 0x88B5, b"")
    for _ in range(40):
        h.wire.borrow()[2 : 2 + len(frame)] = frame
        h.wire.send(len(frame))
    assert h.stack.poll() == 0
    assert len(sink.got) == 16
    assert h.stack.poll() == 0 and h.stack.poll() > 0
    assert len(sink.got) == 40


def test_a_failing_handler_is_counted():
    h, sink = listener()
    h.stack.strict = False

    class Bad:
        def input(self, p):
            raise ValueError("bad")

    h.stack.ethernet.register(0x88B6, Bad())
    h.inject(eth(MAC, PEER_MAC, 0x88B6, b""), eth(MAC, PEER_MAC, 0x88B5, b""))
    assert h.stat("internal_error") == 1
    assert len(sink.got) == 1
