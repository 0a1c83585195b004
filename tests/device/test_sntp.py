# The SNTP client against scripted servers, packet by packet, on a fake clock.
import sys

from harness import ICMP, ME, PEER, PEER_MAC, UDP, be16, get16, host, icmp, udp
from viperip.application import sntp
from viperip.errors import ECONNREFUSED, EIO, ENETUNREACH, ENODEV, ETIMEDOUT

OTHER = b"\x0a\0\0\x03"
DAY = 1700000000  # 2023-11-14 22:13:20 UTC
NTP_1970 = 2208988800


def stamp(seconds, fraction=0):
    return (seconds & 0xFFFFFFFF).to_bytes(4, "big") + fraction.to_bytes(4, "big")


NOW = stamp(DAY + NTP_1970)


def reply(
    request,
    first=0x24,
    stratum=2,
    delay=bytes(4),
    dispersion=bytes(4),
    reference=b"GPS\0",
    originate=None,
    receive=NOW,
    transmit=NOW,
):
    head = bytes((first, stratum, 6, 0xEC)) + delay + dispersion + reference
    return head + NOW + (request[40:48] if originate is None else originate) + receive + transmit


class World:
    # Each request goes to answer(request): None, or bytes, or a list of them. The wire takes
    # 100 ms each way.
    def __init__(self, gateway=None):
        self.h = host(gateway=gateway)
        self.h.ifc.arp.add(OTHER, PEER_MAC)
        self.h.stack.idle = self.idle
        self.asked = []  # (server, port, request)
        self.sent_at = []
        self.answers = {}
        self.answer = reply
        self.elapsed = 0

    def idle(self, ms):
        for d in self.h.datagrams():
            if d.proto != UDP or get16(d.payload, 2) != 123:
                continue
            sport = get16(d.payload, 0)
            request = d.payload[8:]
            self.asked.append((d.dst, sport, request))
            self.sent_at.append(self.elapsed)
            self.h.clock.advance(200)
            self.elapsed += 200
            out = self.answers.get(d.dst, self.answer)(request)
            for m in [] if out is None else out if isinstance(out, list) else [out]:
                if isinstance(m, tuple):  # (source, source port, bytes)
                    src, port, m = m
                else:
                    src, port = d.dst, 123
                self.h.ip(UDP, udp(port, sport, m, src=src), src=src)
            return
        ms = min(ms, 50)
        self.h.clock.advance(ms)
        self.elapsed += ms

    def ask(self, servers=(PEER,)):
        got = []
        q = sntp.Query(self.h.stack, servers, lambda *said: got.append(said))
        while not got:
            self.h.stack.wait(1000)
        assert not self.h.stack.udp.endpoints and q not in self.h.stack.timers
        return got[0]

    def fails(self, **options):
        try:
            sntp.ask("10.0.0.2", stack=self.h.stack, **options)
        except OSError as e:
            assert not self.h.stack.udp.endpoints
            return e.args
        raise AssertionError("an answer")


def test_the_request_says_nothing_of_us():
    # RFC 4330 5: version 4, mode 3; all else may be zero but the transmit timestamp.
    w = World()
    w.ask()
    w.ask()
    (to, port, one), (_, other_port, two) = w.asked
    assert to == PEER and len(one) == 48
    assert one[0] == 4 << 3 | 3 and one[1:40] == bytes(39)
    assert one[40:] != two[40:] and port != other_port


def test_half_the_round_trip_is_added():
    # RFC 4330 5: d = (T4 - T1) - (T3 - T2); T1 to T4 are 200 ms here, 40 of them the server's.
    w = World()
    got = w.ask()
    assert got[1:] == (0, "")
    assert got[0] == {
        "time_ms": DAY * 1000 + 100,
        "delay_ms": 200,
        "stratum": 2,
        "leap": 0,
        "ip": "10.0.0.2",
    }
    w.answer = lambda q: reply(q, transmit=stamp(DAY + NTP_1970, (1 << 32) * 40 // 1000 + 1))
    got = w.ask()[0]
    assert got["delay_ms"] == 160 and got["time_ms"] == DAY * 1000 + 40 + 80
    # A server that claims to have taken longer than we have waited: its word is not used.
    for receive in (stamp(DAY + NTP_1970 - 9), stamp(DAY + NTP_1970 + 9), bytes(8)):
        w.answer = lambda q: reply(q, receive=receive)
        assert w.ask()[0]["delay_ms"] == 200


def test_leap_second_and_versions_are_taken():
    w = World()
    w.answer = lambda q: reply(q, first=0x64, stratum=15)
    got = w.ask()[0]
    assert got["leap"] == 1 and got["stratum"] == 15
    w.answer = lambda q: reply(q, first=0x1C)  # RFC 4330 5: a version 3 server
    assert w.ask()[0]["time_ms"]
    w.answer = lambda q: reply(q) + bytes(20)  # a key identifier and a MAC
    assert w.ask()[0]["time_ms"]


def test_the_era_ends_in_2036():
    # RFC 4330 3: bit 0 set is 1968 to 2036, bit 0 clear 2036 to 2104.
    for seconds, unix in (
        (0x80000000, -61505152),
        (0xFFFFFFFF, 2085978495),
        (0, 2085978496),
        (0x7FFFFFFF, 4233462143),
    ):
        assert sntp.unix_ms(stamp(seconds, 1 << 31), 0) == unix * 1000 + 500
    w = World()
    w.answer = lambda q: reply(q, receive=stamp(5), transmit=stamp(5))
    assert w.ask()[0]["time_ms"] == 2085978501100
    # On the edge: received before, transmitted after it.
    w.answer = lambda q: reply(
        q, receive=stamp(0xFFFFFFFF, 0xF0000000), transmit=stamp(0, 1 << 25)
    )
    got = w.ask()[0]
    assert got["delay_ms"] == 200 - 70


def test_what_is_no_answer_is_waited_out():
    w = World()

    def answer(q):
        good = reply(q)
        return [
            reply(q, originate=bytes(8)),
            reply(q, originate=NOW),
            good[:24] + q[40:47] + bytes((q[47] ^ 1,)) + good[32:],
            good[:47],
            good[:1],
            b"",
            reply(q, first=0x23),  # a client's
            reply(q, first=0x25),  # a broadcast
            reply(q, first=0x04),  # version 0
            reply(q, stratum=0, originate=NOW, reference=b"DENY"),  # a forged kiss
            (OTHER, 123, good),
            (PEER, 124, good),
            reply(q, delay=b"\xff\xff\0\0"),
            reply(q, delay=b"\0\x10\0\0"),
            reply(q, dispersion=b"\0\x10\0\0"),
            reply(q, transmit=stamp(DAY + NTP_1970 + 7)),
        ]

    w.answer = answer
    got = w.ask()[0]
    assert got["time_ms"] // 1000 == DAY + 7
    assert len(w.asked) == 1 and w.h.stat("sntp_bad") == 13


def test_an_answer_that_comes_too_late_is_no_answer():
    w = World()
    late = []

    def answer(q):
        late.append(reply(q))
        return late[0] if len(late) == 2 else None

    w.answer = answer
    assert w.fails()[0] == ETIMEDOUT
    assert w.h.stat("sntp_bad") == 1


def test_kiss_of_death():
    # RFC 4330 8: the server is left alone, and another one is asked.
    w = World()
    w.answer = lambda q: reply(q, stratum=0, reference=b"RATE")
    assert w.fails() == (ECONNREFUSED, "10.0.0.2: kiss-o'-death RATE")
    assert len(w.asked) == 1
    w = World()
    w.answers = {PEER: lambda q: reply(q, first=0xE4, stratum=0, reference=b"DE\0\xff")}
    answer, error, words = w.ask((PEER, OTHER))
    assert answer["ip"] == "10.0.0.3" and len(w.asked) == 2
    # One that comes when others were silent: they are asked on, it is not.
    w = World()
    w.answers = {PEER: lambda q: None, OTHER: lambda q: reply(q, stratum=0, reference=b"RSTR")}
    assert w.ask((PEER, OTHER))[:2] == (None, ECONNREFUSED)
    assert [a[0] for a in w.asked] == [PEER, OTHER, PEER, PEER]


def test_a_server_without_the_time():
    # RFC 5905 7.3: LI 3, stratum 16; RFC 4330 5: no transmit timestamp.
    for bad in ({"first": 0xE4}, {"stratum": 16}, {"stratum": 255}, {"transmit": bytes(8)}):
        w = World()
        w.answer = lambda q: reply(q, **bad)
        assert w.fails() == (EIO, "10.0.0.2: not synchronized"), bad
        assert len(w.asked) == 1
        w.answers = {OTHER: reply}
        assert w.ask((PEER, OTHER))[0]["ip"] == "10.0.0.3"


def test_silence_ends():
    # Three requests, each waited for twice as long as the one before.
    w = World()
    w.answer = lambda q: None
    assert w.fails() == (ETIMEDOUT, "10.0.0.2: no answer")
    assert len(w.asked) == 3
    assert (
        2000 <= w.sent_at[1] - w.sent_at[0] < 2300 and 4000 <= w.sent_at[2] - w.sent_at[1] < 4300
    )
    assert 14000 <= w.elapsed < 14500
    # Or when the caller has had enough.
    w = World()
    w.answer = lambda q: None
    assert w.fails(timeout_ms=1000)[0] == ETIMEDOUT
    assert w.elapsed < 1300 and len(w.asked) == 1


def test_servers_take_turns():
    w = World()
    w.answer = lambda q: None
    assert w.ask((PEER, OTHER))[:2] == (None, ETIMEDOUT)
    assert [a[0] for a in w.asked] == [PEER, OTHER] * 3


def test_a_closed_port_is_not_waited_for():
    # RFC 1122 4.1.3.3: the ICMP error reaches the application.
    w = World()

    def unreachable(q):
        sport = be16(w.asked[-1][1])
        n = be16(56)
        head = b"\x45\0\0\x4c\0\1\0\0\x40\x11\0\0" + ME + PEER
        quoted = head + sport + be16(123) + n + bytes(2)
        w.h.ip(ICMP, icmp(3, 3, data=quoted))

    w.answers = {PEER: unreachable}
    answer, error, _ = w.ask((PEER, OTHER))
    assert answer["ip"] == "10.0.0.3" and w.elapsed < 1000
    assert w.fails()[0] == ECONNREFUSED
    assert w.elapsed < 2000


def test_no_way_to_the_server():
    w = World()
    assert w.ask((b"\xc0\0\2\1",))[:2] == (None, ENETUNREACH)
    try:
        sntp.Query(w.h.stack, [], None)
    except OSError:
        return
    raise AssertionError("no servers")


def test_given_up():
    w = World()
    q = sntp.Query(w.h.stack, [PEER], None)
    w.h.stack.poll()
    assert len(w.h.stack.udp.endpoints) == 1
    q.close()
    q.close()
    w.h.run(20000)
    assert not w.h.stack.udp.endpoints and len(w.h.datagrams()) == 1


class FakeMachine:
    set = None

    class RTC:
        def datetime(self, t):
            FakeMachine.set = t


def test_the_clock_is_set():
    w = World()
    before = sys.modules.get("machine")
    sys.modules["machine"] = FakeMachine
    try:
        w.answer = lambda q: reply(q, transmit=stamp(DAY + NTP_1970, 1 << 31))
        assert sntp.settime("10.0.0.2", stack=w.h.stack)["stratum"] == 2
        # 20.5 s and half of 200 ms (T2 is half a second before T3: more than the round trip).
        if sys.platform == "esp32":
            assert FakeMachine.set == (2023, 11, 14, 1, 22, 13, 20, 600000)
        else:
            assert FakeMachine.set == (2023, 11, 14, 1, 22, 13, 21, 0)
        FakeMachine.RTC = None
        n = len(w.asked)
        sys.modules["machine"] = sntp
        try:
            sntp.settime("10.0.0.2", stack=w.h.stack)
            raise AssertionError("no RTC")
        except OSError as e:
            assert e.args[0] == ENODEV and len(w.asked) == n
    finally:
        if before is None:
            del sys.modules["machine"]
        else:
            sys.modules["machine"] = before
    w.answer = reply
    epoch = 0 if sntp._time.gmtime(0)[0] == 1970 else 946684800
    assert sntp.time("10.0.0.2", stack=w.h.stack) == DAY - epoch
