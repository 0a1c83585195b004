# ping, traceroute and the tables, between two stacks on an in-memory wire.
from viperip.application.netstat import arp, ifstat, netstat, route
from viperip.application.ping import ping
from viperip.application.traceroute import traceroute
from viperip.interface import Interface
from viperip.link.pair import Pair
from viperip.stack import Stack

MASK = b"\xff\xff\xff\0"


class Two:
    # A stack to test and its neighbour, which runs while the first one waits.
    def __init__(self):
        a, b = Pair.wire(b"\x02\0\0\0\0\x0a", b"\x02\0\0\0\0\x0b")
        self.stack = self.make(a, b"\x0a\0\0\1")
        self.peer = self.make(b, b"\x0a\0\0\2")
        self.stack.idle = self.idle

    def make(self, dev, addr):
        stack = Stack()
        stack.strict = True
        ifc = Interface(stack, dev, "e0")
        stack.add_interface(ifc)
        ifc.up()
        ifc.configure(addr, MASK)
        return stack

    def idle(self, ms):
        self.peer.poll()


def test_every_answer_is_reported():
    two = Two()
    got = ping("10.0.0.2", count=3, interval_ms=1, quiet=True, stack=two.stack)
    assert [a["seq"] for a in got] == [0, 1, 2]
    for a in got:
        assert (a["ip"], a["bytes"], a["ttl"]) == ("10.0.0.2", 64, 64)
        assert 0 <= a["time_ms"] < 1000
    assert two.stack.ip.icmp.listeners == []


def test_sizes_from_nothing_to_fragments():
    two = Two()
    for size in (0, 1, 1472, 1473, 4000):
        got = ping("10.0.0.2", count=1, size=size, quiet=True, stack=two.stack)
        assert got[0]["bytes"] == size + 8, (size, got)


def test_silence_is_a_timeout():
    two = Two()
    two.peer.ip.icmp.reply_to_echo = False
    got = ping("10.0.0.2", 2, interval_ms=1, timeout_ms=20, quiet=True, stack=two.stack)
    assert [a["error"] for a in got] == ["timeout", "timeout"]


def test_no_route():
    two = Two()
    got = ping("8.8.8.8", count=1, quiet=True, stack=two.stack)
    assert got == [{"seq": 0, "error": "network unreachable"}]


def test_own_address_and_loopback():
    two = Two()
    for host in ("10.0.0.1", "127.0.0.1"):
        got = ping(host, count=1, quiet=True, stack=two.stack)
        assert got[0]["ip"] == host, got


def test_it_prints_as_ping_does():
    two = Two()
    ping("10.0.0.2", count=1, stack=two.stack)


def test_a_router_s_error_is_the_answer():
    two = Two()
    two.peer.ip.forwarding = True
    two.stack.interfaces[0].configure(b"\x0a\0\0\1", MASK, b"\x0a\0\0\2")
    got = ping("8.8.8.8", count=1, quiet=True, stack=two.stack)
    assert got == [{"seq": 0, "ip": "10.0.0.2", "error": "network unreachable"}]


def test_traceroute_to_a_neighbour():
    two = Two()
    got = traceroute("10.0.0.2", quiet=True, stack=two.stack)
    assert len(got) == 1
    assert (got[0]["hop"], got[0]["ip"], len(got[0]["times_ms"])) == (1, "10.0.0.2", 3)
    assert two.stack.ip.icmp.listeners == []
    assert two.stack.udp.endpoints == []


def test_traceroute_gives_up():
    two = Two()
    two.peer.ip.icmp.reply_to_echo = False
    got = traceroute("10.0.0.77", hops=2, probes=1, timeout_ms=10, quiet=True, stack=two.stack)
    assert got == [
        {"hop": 1, "ip": None, "times_ms": [None]},
        {"hop": 2, "ip": None, "times_ms": [None]},
    ]


def test_the_tables():
    two = Two()
    ping("10.0.0.2", count=1, quiet=True, stack=two.stack)
    end = two.stack.udp.open(port=5353)
    rows = netstat(two.stack)
    assert (rows[0]["proto"], rows[0]["local"], rows[0]["remote"]) == ("udp", "*:5353", "*:*")
    end.close()
    assert arp(two.stack)[0]["mac"] == "02:00:00:00:00:0b"
    e0 = ifstat(two.stack)[0]
    assert (e0["if"], e0["ip"], e0["up"]) == ("e0", "10.0.0.1/24", True)
    assert e0["rx_frames"] > 0 and e0["tx_frames"] > 0
    kinds = [r["kind"] for r in route(two.stack)]
    assert "local" in kinds and "connected" in kinds
