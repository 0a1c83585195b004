# ping and traceroute against answers that are not what they seem.
from harness import ICMP, ME, PEER, UDP, Datagram, be16, host, icmp, ipv4, udp
from viperip.application.ping import ping
from viperip.application.traceroute import traceroute

STRANGER = b"\x0a\0\0\x07"


def wired(answer):
    # A host; whatever it sends is given to answer(host, datagram) while it waits.
    h = host()
    # What the pump would see: more to read, or time that passes.
    queue = []

    def idle(ms):
        for f in h.sent():
            if f[12:14] == b"\x08\0":
                answer(queue, Datagram(f))
        if queue:
            src, proto, payload = queue.pop(0)
            h.ip(proto, payload, src=src)
        else:
            h.clock.advance(ms)

    h.stack.idle = idle
    return h


def reply(d, src=PEER, change=0, cut=0):
    # The echo reply to a request, its identifier changed.
    b = d.payload
    rest = be16((b[4] << 8 | b[5]) ^ change) + b[6:8]
    return (src, ICMP, icmp(0, 0, rest, b[8 : len(b) - cut]))


def one(answer, target="10.0.0.2"):
    h = wired(answer)
    (got,) = ping(target, count=1, quiet=True, stack=h.stack)
    assert h.stack.ip.icmp.listeners == [] and h.stat("internal_error") == 0
    return got


def test_a_reply_of_a_stranger_is_none():
    def answer(queue, d):
        queue.append(reply(d, STRANGER))

    assert one(answer) == {"seq": 0, "error": "timeout"}

    def both(queue, d):
        queue.append(reply(d, STRANGER))
        queue.append(reply(d))

    assert one(both)["ip"] == "10.0.0.2"


def test_everybody_may_answer_a_broadcast():
    def answer(queue, d):
        queue.append(reply(d, STRANGER))

    assert one(answer, "10.0.0.255")["ip"] == "10.0.0.7"


def test_other_identifiers_and_sequence_numbers():
    def answer(queue, d):
        queue.append(reply(d, change=1))
        d.payload = d.payload[:6] + b"\x12\x34" + d.payload[8:]
        queue.append(reply(d))

    assert one(answer) == {"seq": 0, "error": "timeout"}


def test_a_short_reply_shows_its_length():
    assert one(lambda queue, d: queue.append(reply(d, cut=56)))["bytes"] == 8


def test_only_errors_about_the_request_count():
    def answer(queue, d):
        whole = d.whole
        far = ipv4(ME, STRANGER, ICMP, d.payload)
        answered = ipv4(ME, PEER, ICMP, b"\0" + d.payload[1:])
        lying = bytes([0x4F]) + whole[1:28]
        for kind, quoted in (
            (5, whole),  # a redirect is no answer
            (4, whole),
            (13, whole),
            (3, far),
            (3, answered),
            (3, lying),
            (3, whole[:27]),
            (3, b""),
        ):
            queue.append((STRANGER, ICMP, icmp(kind, 1, data=quoted)))

    assert one(answer) == {"seq": 0, "error": "timeout"}

    def honest(queue, d):
        queue.append((STRANGER, ICMP, icmp(3, 1, data=d.whole[:28])))

    assert one(honest) == {"seq": 0, "ip": "10.0.0.7", "error": "host unreachable"}


def test_traceroute_takes_only_its_own_errors():
    def answer(queue, d):
        if d.proto != UDP:
            return
        p = d.payload
        wrong = (
            ipv4(ME, STRANGER, UDP, p),
            ipv4(ME, PEER, ICMP, p),
            ipv4(ME, PEER, UDP, be16((p[0] << 8 | p[1]) ^ 1) + p[2:]),
            ipv4(ME, PEER, UDP, p[:2] + be16((p[2] << 8 | p[3]) ^ 1) + p[4:]),
            b"\x4f" + d.whole[1:28],
            d.whole[:27],
        )
        for quoted in wrong:
            queue.append((STRANGER, ICMP, icmp(11, 0, data=quoted)))
        queue.append((STRANGER, ICMP, icmp(5, 0, data=d.whole[:28])))
        queue.append((STRANGER, ICMP, icmp(11, 0, data=d.whole[:28])))

    h = wired(answer)
    got = traceroute("10.0.0.2", hops=2, probes=2, quiet=True, stack=h.stack)
    assert [line["ip"] for line in got] == ["10.0.0.7"] * 2
    assert all([t is not None for line in got for t in line["times_ms"]])


def test_traceroute_of_more_hops_than_there_are():
    # A TTL has eight bits; ports stay within sixteen.
    seen = []

    def answer(queue, d):
        if d.proto == UDP:
            seen.append((d.ttl, d.tos, d.payload[2] << 8 | d.payload[3]))

    h = wired(answer)
    got = traceroute("10.0.0.2", hops=1000, probes=1, timeout_ms=1, quiet=True, stack=h.stack)
    assert len(got) == 255 and len(seen) == 255
    assert [s[0] for s in seen] == list(range(1, 256))
    assert all([s[1] == 0 and s[2] >= 33434 for s in seen])


def test_traceroute_with_a_link_that_has_no_room():
    h = wired(lambda queue, d: None)
    h.stack.udp
    h.dev.borrow = lambda: None
    got = traceroute("10.0.0.2", hops=1, probes=2, timeout_ms=5, quiet=True, stack=h.stack)
    assert got == [{"hop": 1, "ip": None, "times_ms": [None, None]}]


def test_udp_that_looks_like_an_answer_is_none():
    # A port of ours that hears from who was probed: the probe is still open.
    def answer(queue, d):
        if d.proto == UDP:
            p = d.payload
            queue.append((PEER, UDP, udp(p[2] << 8 | p[3], p[0] << 8 | p[1], b"hi")))

    h = wired(answer)
    got = traceroute("10.0.0.2", hops=1, probes=1, timeout_ms=5, quiet=True, stack=h.stack)
    assert got == [{"hop": 1, "ip": None, "times_ms": [None]}]
