"""What `viperip explain` says of frames whose meaning is known, packet by packet."""

import struct

import pytest

from tests.host.explain_frames import (
    ACK,
    FIN,
    MAC,
    PSH,
    RST,
    SYN,
    A,
    B,
    Talk,
    Wire,
    arp,
    icmp,
    ipv4,
    raw,
    said,
    udp,
    udp_datagram,
)  # fmt: skip
from viperip_host.explain import sources
from viperip_host.explain.model import Explained


def expect(seen: Explained, *texts: str) -> None:
    everything = said(seen)
    for text in texts:
        assert text in everything, f"{text!r} in:\n{everything}"


def test_a_handshake() -> None:
    t = Talk()
    expect(t.tcp(A, SYN, 0), "10.0.0.1:1000 state: CLOSED -> SYN-SENT", "RFC 9293 3.10.1",
           "10.0.0.2:80 state: CLOSED -> SYN-RECEIVED", "RFC 9293 3.10.7.2")  # fmt: skip
    expect(t.tcp(B, SYN | ACK, 0, 1), "10.0.0.1:1000 state: SYN-SENT -> ESTABLISHED",
           "10.0.0.1:1000 SND.UNA: 0 -> 1", "RFC 9293 3.10.7.3")  # fmt: skip
    expect(t.tcp(A, ACK, 1, 1), "10.0.0.2:80 state: SYN-RECEIVED -> ESTABLISHED")


def test_data_and_its_ack_over_a_wrap_of_the_numbers() -> None:
    t = Talk()
    t.open()
    expect(t.tcp(A, PSH | ACK, 1, 1, b"x" * 100), "seq 1:101 ack 1", "takes 100 bytes",
           "10.0.0.2:80 RCV.NXT: 1 -> 101", "10.0.0.1:1000 SND.NXT: 1 -> 101")  # fmt: skip
    expect(t.tcp(B, ACK, 1, 101), "SND.UNA: 1 -> 101", "RFC 9293 3.10.7.4: ACK advances SND.UNA",
           "0 in flight")  # fmt: skip


def test_a_refused_connection() -> None:
    t = Talk()
    t.tcp(A, SYN, 0)
    expect(t.tcp(B, RST | ACK, -5000, 1), "nobody listens", "RFC 9293 3.10.7.1",
           "ECONNREFUSED", "10.0.0.1:1000 state: SYN-SENT -> CLOSED")  # fmt: skip


def test_a_lost_segment_comes_again_after_three_duplicate_acks() -> None:
    t = Talk()
    t.open()
    for i in range(4):  # the first is lost behind the capture: B goes on asking for it
        t.tcp(A, ACK, 1 + 100 * i, 1, b"b" * 100)
    expect(t.tcp(B, ACK, 1, 1), "duplicate ACK 1 of 1", "RFC 5681 2")
    expect(t.tcp(B, ACK, 1, 1), "duplicate ACK 2")
    expect(t.tcp(B, ACK, 1, 1), "duplicate ACK 3", "RFC 5681 3.2: the third")
    again = t.tcp(A, ACK, 1, 1, b"a" * 100)
    expect(again, "sends 1:101 again, after 3 duplicate ACKs", "fast retransmit",
           "10.0.0.2:80: asked for it: it was lost", "takes 100 bytes: RCV.NXT is 401",
           )  # fmt: skip


def test_segments_out_of_order() -> None:
    t = Talk()
    t.open()
    expect(t.tcp(A, ACK, 101, 1, b"b" * 100), "100 bytes before it are missing", "RFC 5681 4.2",
           "10.0.0.2:80 out of order: none -> 101:201")  # fmt: skip
    expect(t.tcp(A, ACK, 1, 1, b"a" * 100), "the gap is filled", "10.0.0.2:80 RCV.NXT: 1 -> 201",
           "10.0.0.2:80 out of order: 101:201 -> none")  # fmt: skip


def test_a_retransmission_by_timeout_and_the_receiver_that_has_it() -> None:
    t = Talk()
    t.open()
    t.tcp(A, ACK, 1, 1, b"a" * 100)
    expect(t.tcp(A, ACK, 1, 1, b"a" * 100), "no ACK came in time", "RFC 6298 5.4",
           "10.0.0.2:80: has all of it already")  # fmt: skip


def test_a_syn_again() -> None:
    t = Talk()
    t.tcp(A, SYN, 0)
    expect(t.tcp(A, SYN, 0), "sends its SYN again", "has this SYN already")


def test_a_window_that_closes_is_probed_and_opens() -> None:
    t = Talk()
    t.open()
    t.tcp(A, ACK, 1, 1, b"a" * 100)
    expect(t.tcp(B, ACK, 1, 101, window=0), "buffer is full", "SND.WND: 4000 -> 0")
    t.tcp(A, ACK, 101, 1, b"z")
    expect(t.tcp(A, ACK, 101, 1, b"z"), "probes the closed window", "RFC 9293 3.8.6.1")
    expect(t.tcp(B, ACK, 1, 101, window=2000), "the window is open again: 2000 bytes")


def test_window_scale_only_if_both_have_it() -> None:
    scale = b"\x01\x03\x03\x03"
    t = Talk()
    t.tcp(A, SYN, 0, options=scale)
    t.tcp(B, SYN | ACK, 0, 1, options=scale)
    expect(t.tcp(A, ACK, 1, 1, window=100), "RCV.WND: 4000 -> 800")
    one = Talk()
    one.tcp(A, SYN, 0, options=scale)
    one.tcp(B, SYN | ACK, 0, 1)
    expect(one.tcp(A, ACK, 1, 1, window=100), "RCV.WND: 4000 -> 100")


def test_keepalive() -> None:
    t = Talk()
    t.open()
    t.tcp(A, ACK, 1, 1, b"a")
    t.tcp(B, ACK, 1, 2)
    expect(t.tcp(A, ACK, 1, 1, b"a"), "still there", "RFC 9293 3.8.4")


def test_a_close_by_one_end_after_the_other() -> None:
    t = Talk()
    t.open()
    expect(t.tcp(A, FIN | ACK, 1, 1), "state: ESTABLISHED -> FIN-WAIT-1",
           "state: ESTABLISHED -> CLOSE-WAIT")  # fmt: skip
    expect(t.tcp(B, ACK, 1, 2), "state: FIN-WAIT-1 -> FIN-WAIT-2")
    expect(t.tcp(B, FIN | ACK, 1, 2), "state: CLOSE-WAIT -> LAST-ACK",
           "state: FIN-WAIT-2 -> TIME-WAIT", "2 MSL")  # fmt: skip
    expect(t.tcp(A, ACK, 2, 2), "state: LAST-ACK -> CLOSED")


def test_a_close_by_both_ends_at_once() -> None:
    t = Talk()
    t.open()
    t.tcp(A, FIN | ACK, 1, 1)
    expect(t.tcp(B, FIN | ACK, 1, 1), "both at once", "10.0.0.2:80 state: CLOSE-WAIT -> CLOSING",
           "10.0.0.1:1000 state: FIN-WAIT-1 -> CLOSING")  # fmt: skip
    expect(t.tcp(A, ACK, 2, 2), "10.0.0.2:80 state: CLOSING -> TIME-WAIT")


@pytest.mark.parametrize("seq, words", [(1, "ECONNRESET"), (500, "RFC 5961 3.2")])
def test_a_reset_in_place_and_one_that_is_guessed(seq: int, words: str) -> None:
    t = Talk()
    t.open()
    seen = t.tcp(A, RST, seq)
    expect(seen, words)
    assert ("10.0.0.2:80 state: ESTABLISHED -> CLOSED" in seen.changes) == (seq == 1)


def test_a_wrong_checksum_changes_no_state() -> None:
    t = Talk()
    t.open()
    data = bytearray(t.segment(A, ACK, 1, 1, b"hello"))
    data[-1] ^= 1
    seen = t.put(bytes(data))
    expect(seen, "wrong (RFC 9293 3.1: dropped)", "drops the segment")
    assert not seen.changes


def test_a_capture_that_begins_in_the_middle() -> None:
    t = Talk()
    expect(t.tcp(A, ACK, 700, 9, b"abc"), "the capture began in the middle", "seq 1:4")
    expect(t.tcp(B, ACK, 9, 703), "3 bytes have arrived")


def test_icmp_unreachable_names_its_cause() -> None:
    w = Wire()
    sent = udp(A, B, 5000, 9999, b"anybody?")
    w.put(sent)
    seen = w.put(icmp(B, A, 3, 3, bytes(4) + sent[14:42]))
    expect(seen, "caused by frame 1", "RFC 1122 4.1.3.1", "unreachable: port")
    stray = w.put(icmp(B, A, 3, 3, bytes(4) + udp(A, B, 5001, 1, b"")[14:42]))
    expect(stray, "sent no such datagram", "RFC 5927 4")
    expect(w.put(icmp(B, A, 3, 3, bytes(4) + sent[14:30])), "too little of a datagram is quoted")
    ttl = w.put(icmp("10.0.0.3", A, 11, 0, bytes(4) + sent[14:42]))
    expect(ttl, "time exceeded: caused by frame 1")
    mtu = w.put(icmp("10.0.0.3", A, 3, 4, struct.pack("!HH", 0, 1400) + sent[14:42]))
    expect(mtu, "RFC 1191 3")
    layer = mtu.layer("icmp")
    assert layer is not None and layer["next-hop MTU"] == 1400


def test_echo_and_reply() -> None:
    w = Wire()
    w.put(icmp(A, B, 8, 0, struct.pack("!HH", 5, 1) + b"x" * 56))
    expect(w.put(icmp(B, A, 0, 0, struct.pack("!HH", 5, 1) + b"x" * 56)),
           "answers frame 1 after 10.000 ms")  # fmt: skip


def test_fragments_in_any_order_give_the_whole_datagram() -> None:
    w = Wire()
    whole = udp_datagram(A, B, 1, 2, bytes(range(40)))
    expect(w.put(ipv4(A, B, 17, whole[32:], fragment=4)), "16 of 48 bytes", "RFC 791 3.2")
    expect(w.put(ipv4(A, B, 17, whole[32:], fragment=4)), "has this piece already")
    last = w.put(ipv4(A, B, 17, whole[:32], fragment=0x2000))
    expect(last, "has all 48 bytes, from frame 1 on", "UDP 10.0.0.1:1 > 10.0.0.2:2, 40 bytes",
           "gets 40 bytes in one piece")  # fmt: skip
    assert not last.problems
    w.put(ipv4(A, B, 17, whole[:32], ident=8, fragment=0x2000))
    expect(w.put(ipv4(A, B, 17, whole[:24], ident=8, fragment=2)), "pieces overlap", "RFC 5722")


def test_arp() -> None:
    w = Wire()
    probe = w.put(arp(1, A, "0.0.0.0", A))
    expect(probe, "is 10.0.0.1 free?", "RFC 5227 2.1.1")
    assert not probe.changes
    expect(w.put(arp(1, A, A, A)), "ARP announcement", "RFC 5227 2.3")
    expect(w.put(arp(1, A, A, B)), f"10.0.0.2 ARP cache {A}: none -> 02:00:00:00:00:01")
    expect(w.put(arp(1, A, A, B)), "asks again, first in frame 3", "RFC 1122 2.3.2.1")
    expect(w.put(arp(2, B, B, A, A)), "asked for in frame 3",
           f"10.0.0.1 ARP cache {B}: none -> 02:00:00:00:00:02")  # fmt: skip
    expect(w.put(arp(2, "10.0.0.3", B, A, A)), "two stations have it", "RFC 5227 2.4")
    expect(w.put(arp(1, A, B, B)), "ARP announcement", "10.0.0.1 ARP cache 10.0.0.2")


def dhcp(kind: int, server: bool = False, more: bytes = b"", yiaddr: str = "0.0.0.0") -> bytes:
    mac = bytes.fromhex(MAC[A])
    m = bytes([2 if server else 1, 1, 6, 0]) + b"\1\2\3\4" + bytes(8) + raw(yiaddr) + bytes(8)
    m += mac + bytes(10 + 192) + b"\x63\x82\x53\x63" + bytes([53, 1, kind]) + more + b"\xff"
    if server:
        return udp(B, A, 67, 68, m)
    return udp("0.0.0.0", "255.255.255.255", 68, 67, m)


def test_a_dhcp_exchange() -> None:
    w = Wire()
    lease = b"\x33\4\0\0\x0e\x10\x36\4" + raw(B)
    expect(w.put(dhcp(1)), "DHCP DISCOVER", "DHCP state: INIT -> SELECTING")
    expect(w.put(dhcp(2, True, lease, A)), "is offered 10.0.0.1")
    request = b"\x32\4" + raw(A) + b"\x36\4" + raw(B)
    expect(w.put(dhcp(3, more=request)), "takes the offer of 10.0.0.1", "-> REQUESTING")
    seen = w.put(dhcp(5, True, lease, A))
    expect(seen, "has 10.0.0.1 for 3600 s", "REQUESTING -> BOUND", "RFC 2131 4.4.1")
    layer = seen.layer("dhcp")
    assert layer is not None
    assert "option 51, lease time: 3600 s" in layer.notes
    expect(w.put(dhcp(6, True)), "BOUND -> INIT")
    broken = w.put(dhcp(1, more=b"\x0c\xf0ab"))
    assert any("a length that lies" in text for text in broken.problems)


def test_dns() -> None:
    w = Wire()
    question = b"\3foo\4test\0\0\1\0\1"
    w.put(udp(A, B, 5000, 53, b"\0\x07\1\0\0\1\0\0\0\0\0\0" + question))
    reply = b"\0\x07\x81\x80\0\1\0\1\0\0\0\0" + question
    reply += b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + raw(A)
    seen = w.put(udp(B, A, 53, 5000, reply))
    expect(seen, "DNS response: no error, foo.test", "has the answer to frame 1")
    layer = seen.layer("dns")
    assert layer is not None and "answers: foo.test A 10.0.0.1, for 60 s" in layer.notes
    loop = w.put(udp(B, A, 53, 5000, reply[:12] + b"\xc0\x0c\0\1\0\1"))
    assert any("does not go back" in text for text in loop.problems)


# The sources.


def test_the_diagrams_of_the_sources_are_whole() -> None:
    sizes = {"ethernet": 14, "arp": 28, "ipv4": 20, "icmp": 8, "igmp": 8, "udp": 8, "tcp": 20,
             "dhcp": 240, "dns": 12}  # fmt: skip
    for protocol, size in sizes.items():
        for diagram in sources.diagrams(protocol):
            at = 0
            for cell in diagram:
                assert cell.at == at, (protocol, cell)
                at += cell.bits
            assert at == size * 8, protocol
    # Two of the files say the size as a constant, too.
    assert sources.constants("tcp")["HEADER"] == sizes["tcp"]
    assert sources.constants("udp")["HEADER"] == sizes["udp"]
    assert sources.constants("dhcp")["FIXED"] == sizes["dhcp"]


def test_constants_are_read_as_the_stack_has_them() -> None:
    tcp, dhcp_names = sources.constants("tcp"), sources.constants("dhcp")
    assert (tcp["FIN"], tcp["SYN"], tcp["ACK"]) == (1, 2, 16)
    assert (dhcp_names["DISCOVER"], dhcp_names["INFORM"]) == (1, 8)
    assert sources.constants("states")["NAMES"][4] == "ESTABLISHED"
