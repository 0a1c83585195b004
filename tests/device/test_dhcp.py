# The DHCP client and server, two stacks on a wire in memory and a fake clock.
from viperip.application import dhcp
from viperip.application.dhcp import Client, parse
from viperip.application.dhcp_server import Server
from viperip.interface import Interface
from viperip.link.pair import Pair
from viperip.stack import Stack, Timer, diff

MASK = 0x3FFFFFFF
NEAR_WRAP = MASK - 700
GW = b"\xc0\xa8\x05\x01"
NET = b"\xff\xff\xff\0"
POOL = b"\xc0\xa8\x05\x64"
ZERO = bytes(4)
MAC_A = b"\x02\0\0\0\0\x01"
MAC_B = b"\x02\0\0\0\0\x02"


class Watch:
    # Hears all that the client sends to port 67.
    def __init__(self):
        self.heard = []

    def datagram(self, ep, p, off, n):
        o = parse(p.buf, off, n)
        if o is None:
            return
        self.heard.append((o[53][0], bytes(p.buf[off : off + n]), p.source(), p.destination(), o))

    def kinds(self):
        return [h[0] for h in self.heard]


class World:
    def __init__(self, start=0, server=True, probe=True, lease_s=3600, count=10):
        self.t = start
        dev_a, dev_b = Pair.wire(MAC_A, MAC_B)
        self.seed = 1
        self.a = self.stack(dev_a)
        self.b = self.stack(dev_b)
        self.ifc, self.gw = self.a.interfaces[0], self.b.interfaces[0]
        self.gw.configure(GW, NET)
        self.watch = Watch()
        self.tap = None
        self.server = Server(self.gw, POOL, count, GW, [GW, b"\x08\x08\x08\x08"], lease_s, "lan")
        taken = self.server.datagram
        self.server.datagram = lambda *a: (self.watch.datagram(*a), taken(*a))
        self.serve(server)
        self.client = Client(self.ifc, hostname="board7", probe=probe)

    def serve(self, on):
        # The server, or somebody in its place who only listens.
        if on:
            if self.tap:
                self.tap.close()
            self.server.start()
        else:
            self.server.stop()
            self.tap = self.b.udp.open(handler=self.watch, port=67)

    def stack(self, dev):
        s = Stack(ticks=lambda: self.t, random=self.random)
        s.strict = True
        ifc = Interface(s, dev, "e0")
        s.add_interface(ifc)
        ifc.up()
        return s

    def random(self, n):
        out = bytearray(n)
        for i in range(n):
            self.seed = (self.seed * 1103 + 12345) & 0xFFFFF
            out[i] = self.seed >> 8 & 0xFF
        return bytes(out)

    def run(self, ms, until=None):
        # Let ms pass, or less once until() holds.
        while ms > 0:
            wait = 1
            before = None
            for _ in range(50):
                w = self.a.poll()
                v = self.b.poll()
                if w and v:
                    wait = min(w, v)
                if w and v and before == (self.ifc.rx_frames, self.gw.rx_frames):
                    break
                before = (self.ifc.rx_frames, self.gw.rx_frames)
            if until is not None and until():
                return True
            wait = min(wait, ms)
            self.t = (self.t + wait) & MASK
            ms -= wait
        return until is not None and until()

    def bound(self):
        return self.client.state == "bound"

    def inject(self, data, dst=b"\xff\xff\xff\xff", src=None):
        e = self.b.udp.open(port=6700)
        e.ifc = self.gw
        e.port = 67  # on the wire only
        self.b.udp.send(e, data, dst, 68, src=src or GW)
        e.close()
        self.run(20)

    def reply(self, kind, options=(), xid=None, yiaddr=POOL, mac=MAC_A, server=GW, end=True):
        m = dhcp.message(2, xid or self.client._xid, mac, kind, 0, ZERO, yiaddr)
        if server:
            dhcp.option(m, 54, server)
        for code, v in options:
            dhcp.option(m, code, v)
        return bytes(dhcp.finish(m)) if end else bytes(m)


LEASE = (51, b"\0\0\x0e\x10")
SUBNET = (1, NET)


def test_full_cycle():
    for start in (0, NEAR_WRAP):
        w = World(start)
        got = []
        w.client.on_bound.append(got.append)
        assert w.client.state == "stopped"
        w.client.start()
        assert w.ifc.dhcp is w.client
        assert w.run(9000, w.bound), w.client.state
        assert got == [w.client]
        held = w.client.lease
        assert held["server"] == GW and held["gateway"] == GW
        assert held["lease_s"] == 3600 and held["t1_s"] == 1800 and held["t2_s"] == 3150
        assert held["domain"] == "lan"
        assert w.ifc.addr == held["addr"] and w.ifc.mask == NET and w.ifc.gateway == GW
        assert w.ifc.dns == [GW, b"\x08\x08\x08\x08"]
        assert w.watch.kinds() == [1, 3]
        kind, raw, src, dst, o = w.watch.heard[0]
        assert src == ZERO and dst == b"\xff\xff\xff\xff"
        assert o[12] == b"board7"
        assert o[55] == bytes((1, 3, 6, 15, 26, 42, 51, 54))
        assert w.server.leases()[0]["state"] == "leased"
        assert w.server.leases()[0]["name"] == "board7"
        assert w.client.info()["mask"] == "255.255.255.0"


def test_release_and_same_address_again():
    w = World(NEAR_WRAP)
    w.client.start()
    w.run(9000, w.bound)
    addr = w.ifc.addr
    w.client.stop()
    w.run(100)
    kind, raw, src, dst, o = w.watch.heard[-1]
    assert kind == dhcp.RELEASE and src == addr and dst == GW and raw[12:16] == addr
    assert not any(w.ifc.net) and w.ifc.dns == [] and w.ifc.dhcp is None
    assert w.client.state == "stopped" and w.client.lease is None
    assert w.server.leases()[0]["state"] == "free"
    w.client.start()
    assert w.run(9000, w.bound)
    assert w.ifc.addr == addr


def test_renewal_at_half_of_the_lease():
    w = World()
    w.client.start()
    w.run(9000, w.bound)
    n = len(w.watch.heard)
    w.run(1780000)
    assert len(w.watch.heard) == n
    w.run(40000)
    kind, raw, src, dst, o = w.watch.heard[-1]
    assert kind == 3 and dst == GW and raw[12:16] == w.ifc.addr
    assert 50 not in o and 54 not in o  # RFC 2131 4.3.2
    assert w.bound() and w.client.remaining() > 3500


def test_rebinding_then_expiry():
    w = World(NEAR_WRAP)
    w.client.start()
    w.run(9000, w.bound)
    w.serve(False)
    w.run(2400000)
    assert w.client.state == "renewing" and w.watch.heard[-1][3] == GW
    w.run(900000)
    assert w.client.state == "rebinding"
    assert w.watch.heard[-1][3] == b"\xff\xff\xff\xff" and w.watch.heard[-1][2] == w.ifc.addr
    w.run(400000)
    assert w.client.state == "selecting"
    assert not any(w.ifc.net) and w.client.lease is None
    w.serve(True)
    assert w.run(80000, w.bound)


def test_rebinding_finds_a_server():
    w = World()
    w.client.start()
    w.run(9000, w.bound)
    w.serve(False)
    w.run(3200000)
    assert w.client.state == "rebinding"
    w.serve(True)
    assert w.run(400000, w.bound)
    assert w.client.remaining() > 3500


def test_retransmission_backs_off():
    w = World(NEAR_WRAP, server=False)
    times = []
    seen = w.watch.datagram
    w.watch.datagram = lambda *a: (seen(*a), times.append(w.t))
    w.client.start()
    w.run(300000)
    gaps = [diff(times[i + 1], times[i]) for i in range(len(times) - 1)]
    for gap, base in zip(gaps, (2000, 4000, 8000, 16000, 32000, 64000, 64000)):
        assert base - 1010 <= gap <= base + 1010, gaps
    assert len(gaps) >= 7
    assert w.watch.heard[1][1][8:10] != b"\0\0"  # secs
    assert len({h[1][4:8] for h in w.watch.heard}) == 1


def rival(w, addr):
    # An ARP reply of a third station that has `addr`, put on the wire by the gateway's device.
    body = b"\0\1\x08\0\6\4\0\2" + b"\2\0\0\0\0\x09" + addr + MAC_A + addr
    frame = b"\xff" * 6 + b"\2\0\0\0\0\x09" + b"\x08\x06" + body + bytes(18)
    dev = w.gw.dev
    dev.borrow()[2 : 2 + len(frame)] = frame
    dev.send(len(frame))
    w.run(20)


def test_conflict_is_declined():
    w = World()
    w.client.start()
    assert w.run(5000, lambda: w.client.state == "probing")
    addr = w.client._new["addr"]
    w.run(2000)
    rival(w, addr)
    assert w.client.state == "init"
    assert dhcp.DECLINE in w.watch.kinds()
    kind, raw, src, dst, o = w.watch.heard[-1]
    assert o[50] == addr and o[54] == GW and src == ZERO
    assert w.a.stats["dhcp_declined"] == 1
    n = len(w.watch.heard)
    w.run(9000)
    assert len(w.watch.heard) == n  # RFC 2131 3.1.5: ten seconds
    assert w.run(9000, w.bound)
    assert w.ifc.addr != addr
    assert [x["state"] for x in w.server.leases()].count("declined") == 1


def test_conflict_of_a_bound_address():
    # RFC 5227 2.4 (b), RFC 2131 3.1 step 5: defended once, then declined and given up.
    for start in (0, NEAR_WRAP):
        w = World(start)
        w.client.start()
        w.run(9000, w.bound)
        addr = w.ifc.addr
        w.run(5000)
        rival(w, addr)
        assert w.bound() and w.ifc.addr == addr
        w.run(12000)
        rival(w, addr)
        assert w.bound()  # the second one came later than DEFEND_INTERVAL
        n = len(w.watch.heard)
        w.run(3000)
        rival(w, addr)
        assert w.client.state == "init" and w.client.lease is None
        assert not any(w.ifc.net) and w.ifc.dns == [] and w.ifc.arp.on_lost is None
        kind, raw, src, dst, o = w.watch.heard[-1]
        assert len(w.watch.heard) == n + 1 and kind == dhcp.DECLINE
        assert o[50] == addr and o[54] == GW and src == raw[12:16] == ZERO
        assert dst == b"\xff" * 4 and raw[8:10] == b"\0\0"
        assert w.a.stats["dhcp_declined"] == 1
        # Nobody defends what was given up; RFC 2131 3.1 step 5: ten seconds.
        rival(w, addr)
        w.run(9500)
        assert len(w.watch.heard) == n + 1
        assert w.run(12000, w.bound) and w.ifc.addr != addr
        assert [x["state"] for x in w.server.leases()].count("declined") == 1


def test_conflict_after_the_client_has_stopped():
    # A static address is kept (RFC 5227 2.4 (c)), also where there was a lease before.
    w = World()
    w.client.start()
    w.run(9000, w.bound)
    addr = w.ifc.addr
    w.client.stop()
    w.ifc.configure(addr, NET)
    for _ in range(3):
        rival(w, addr)
    assert w.ifc.addr == addr and w.client.state == "stopped"
    assert w.a.stats["dhcp_declined"] == 0 and w.a.stats["arp_conflict"] == 3


def test_interface_down_while_probing():
    # RFC 2131 4.4.1: what was not probed to the end is not used; the client starts again.
    w = World(NEAR_WRAP)
    w.client.start()
    assert w.run(5000, lambda: w.client.state == "probing")
    w.run(1500)
    w.ifc.down()
    assert w.client.state == "init" and w.ifc.arp._probe is None
    w.run(20000)
    assert w.client.state == "init" and dhcp.DECLINE not in w.watch.kinds()
    w.ifc.up()
    assert w.run(12000, w.bound)


def test_nak_starts_again():
    w = World(server=False, probe=False)
    w.client.start()
    w.run(50)
    w.inject(w.reply(dhcp.OFFER))
    assert w.client.state == "requesting"
    w.inject(w.reply(dhcp.NAK, server=b"\xc0\xa8\x05\x09"))  # not the server that was asked
    assert w.client.state == "requesting"
    w.inject(w.reply(dhcp.NAK))
    assert w.client.state == "init" and w.a.stats["dhcp_nak"] == 1
    w.run(1500)
    assert w.client.state == "selecting"


def test_nak_of_a_renewal():
    w = World(NEAR_WRAP)
    w.client.start()
    w.run(9000, w.bound)
    old = w.ifc.addr
    w.server.bindings.clear()
    w.server.first = b"\xc0\xa8\x05\x10"
    w.run(1850000)
    assert w.a.stats["dhcp_nak"] == 1
    assert w.bound() and w.ifc.addr != old


def test_reboot_keeps_the_address():
    w = World()
    w.client.start()
    w.run(9000, w.bound)
    addr = w.ifc.addr
    w.client.start()
    assert w.client.state == "rebooting" and not any(w.ifc.net)
    w.run(50)
    kind, raw, src, dst, o = w.watch.heard[-1]
    assert kind == 3 and o[50] == addr and 54 not in o and raw[12:16] == ZERO
    assert w.run(9000, w.bound) and w.ifc.addr == addr
    w.serve(False)
    w.client.start()
    w.run(30000)
    assert w.client.state == "selecting"


def test_unicast_offer_to_the_address_it_offers():
    w = World(server=False, probe=False)
    w.client.start()
    w.run(50)
    w.gw.arp.add(POOL, MAC_A)
    w.inject(w.reply(dhcp.OFFER), dst=POOL)
    assert w.client.state == "requesting"
    w.inject(w.reply(dhcp.ACK, (LEASE, SUBNET)), dst=POOL)
    assert w.bound() and w.ifc.addr == POOL


def test_offer_to_its_address_in_a_broadcast_frame():
    # RFC 2131 4.1: some servers put a unicast IP into a broadcast frame.
    w = World(server=False, probe=False)
    w.client.start()
    w.run(50)
    w.gw.arp.add(POOL, b"\xff" * 6)
    w.inject(w.reply(dhcp.OFFER), dst=POOL)
    assert w.client.state == "requesting"
    w.inject(w.reply(dhcp.ACK, (LEASE, SUBNET)), dst=POOL)
    assert w.bound() and w.ifc.addr == POOL


def test_wrong_messages_are_ignored():
    w = World(server=False)
    w.client.start()
    w.run(50)
    w.inject(w.reply(dhcp.OFFER, xid=b"abcd"))
    w.inject(w.reply(dhcp.OFFER, mac=MAC_B))
    w.inject(w.reply(dhcp.ACK, (LEASE, SUBNET)))
    assert w.client.state == "selecting" and w.a.stats["dhcp_bad"] == 0
    bad = 0
    for raw in (
        w.reply(dhcp.OFFER, server=None),
        w.reply(dhcp.OFFER, yiaddr=ZERO),
        w.reply(dhcp.OFFER, yiaddr=b"\xe0\0\0\x01"),
        w.reply(dhcp.OFFER, server=b"\x01\x02\x03"),
        w.reply(dhcp.OFFER, ((6, b"\1\2\3"),)),
        w.reply(dhcp.OFFER, ((52, b"\x04"),)),
        w.reply(dhcp.OFFER, ((53, b"\x02"),)),  # the type twice: two bytes long
        b"",
        bytes(300),
    ):
        w.inject(raw)
        bad += 1
        assert w.client.state == "selecting"
        assert w.a.stats["dhcp_bad"] == bad, bad


def test_cut_options_are_dropped():
    w = World(server=False)
    w.client.start()
    w.run(20)
    whole = w.reply(dhcp.OFFER, (LEASE, SUBNET), end=False) + b"\xff"
    for n in range(len(whole)):
        w.inject(whole[:n])
        assert w.client.state == "selecting", n
    assert w.a.stats["dhcp_bad"] == len(whole)
    lying = whole[:-1] + b"\x0f\xc8abc\xff"
    w.inject(lying)
    assert w.a.stats["dhcp_bad"] == len(whole) + 1
    w.inject(whole)
    assert w.client.state == "requesting"


def test_bad_acks_are_dropped():
    w = World(server=False, probe=False)
    w.client.start()
    w.run(20)
    w.inject(w.reply(dhcp.OFFER))
    bad = 0
    for options, yiaddr in (
        ((SUBNET,), POOL),
        (((51, ZERO), SUBNET), POOL),
        ((LEASE, (1, b"\xff\0\xff\0")), POOL),
        ((LEASE, (1, ZERO)), POOL),
        ((LEASE, SUBNET), b"\xc0\xa8\x05\x65"),
    ):
        w.inject(w.reply(dhcp.ACK, options, yiaddr=yiaddr))
        bad += 1
        assert w.client.state == "requesting" and w.a.stats["dhcp_bad"] == bad
    for options, yiaddr, server in (
        # A network's own address, its broadcast, no host's; a server that is none.
        ((LEASE, (1, b"\xff\xff\xff\xfc")), POOL, GW),
        ((LEASE, (1, b"\xff\xff\xff\xc0")), POOL[:3] + b"\x3f", GW),
        ((LEASE, SUBNET), b"\x7f\0\0\x01", GW),
        ((LEASE, SUBNET), POOL, b"\xff" * 4),
        ((LEASE, SUBNET), POOL, b"\xe0\0\0\x01"),
    ):
        w.client.state = "requesting"
        w.client._offer = (yiaddr, server)
        w.inject(w.reply(dhcp.ACK, options, yiaddr=yiaddr, server=server))
        bad += 1
        assert w.client.state == "requesting" and w.a.stats["dhcp_bad"] == bad
    w.client._offer = (POOL, GW)
    # No mask: that of the class; T1 behind T2: the defaults; an endless lease; a small MTU.
    odd = ((51, b"\xff" * 4), (58, b"\0\0\1\0"), (59, b"\0\0\0\1"), (26, b"\0\x44"))
    w.inject(w.reply(dhcp.ACK, odd))
    assert w.bound() and w.ifc.mask == NET and w.ifc.mtu == 1500
    w.run(20000)
    assert w.bound()


def test_impossible_parameters_are_left_out():
    # What no host can be is no gateway and no DNS server.
    for router in (ZERO, b"\xff" * 4, b"\xe0\0\0\x05", b"\x7f\0\0\x01", POOL):
        w = World(server=False, probe=False)
        w.client.start()
        w.run(20)
        w.inject(w.reply(dhcp.OFFER))
        dns = ZERO + b"\xff" * 4 + GW + b"\x7f\0\0\x01"
        w.inject(w.reply(dhcp.ACK, (LEASE, SUBNET, (3, router), (6, dns))))
        assert w.bound() and w.ifc.gateway == ZERO and w.ifc.dns == [GW]


def test_times_that_would_flood():
    # RFC 2131 4.4.5: T1 and T2 that make no sense give way to the defaults.
    for t1, t2 in ((0, 0), (1, 2), (59, 3150), (3601, 3602), (0, 3150)):
        w = World(server=False, probe=False)
        w.client.start()
        w.run(20)
        w.inject(w.reply(dhcp.OFFER))
        times = ((58, bytes((0, 0, t1 >> 8, t1 & 255))), (59, bytes((0, 0, t2 >> 8, t2 & 255))))
        w.inject(w.reply(dhcp.ACK, (LEASE, SUBNET) + times))
        assert w.client.lease["t1_s"] == 1800 and w.client.lease["t2_s"] == 3150
        n = len(w.watch.heard)
        w.run(1700000)
        assert len(w.watch.heard) == n and w.bound()


def test_a_lease_of_a_second():
    # It ends; nothing goes round in circles, and no address stays.
    w = World(NEAR_WRAP, server=False, probe=False)
    w.client.start()
    w.run(20)
    w.inject(w.reply(dhcp.OFFER))
    w.inject(w.reply(dhcp.ACK, ((51, b"\0\0\0\x01"), SUBNET)))
    assert w.bound()
    n = len(w.watch.heard)
    w.run(2500)
    assert w.client.state == "selecting" and not any(w.ifc.net)
    assert len(w.watch.heard) <= n + 3


def test_lease_that_ends_while_it_is_probed():
    # RFC 2131 4.4.1: the time runs from the request on; the address must not outlive it.
    w = World(server=False)
    w.client.start()
    w.run(20)
    w.inject(w.reply(dhcp.OFFER))
    w.inject(w.reply(dhcp.ACK, ((51, b"\0\0\0\x03"), SUBNET)))
    assert w.client.state == "probing"
    for _ in range(100):
        w.run(100)
        assert not any(w.ifc.net)
    assert w.client.state in ("selecting", "init")


def test_spoofed_messages_of_a_bound_client():
    # Without the transaction's id nothing counts; with it, only what is awaited.
    w = World()
    w.client.start()
    w.run(9000, w.bound)
    addr = w.ifc.addr
    other = b"\xc0\xa8\x05\x09"
    for kind in range(0, 12):
        for xid in (b"abcd", None):
            w.inject(w.reply(kind, (LEASE, SUBNET), xid=xid, server=other), dst=addr)
    assert w.bound() and w.ifc.addr == addr and w.client.lease["server"] == GW
    w.run(1800000, lambda: w.client.state == "renewing")
    assert w.a.stats["internal_error"] == 0


def test_overload_and_parts():
    w = World(server=False)
    m = bytearray(dhcp.message(2, b"abcd", MAC_A, dhcp.OFFER))
    dhcp.option(m, 52, b"\x03")
    dhcp.option(m, 15, b"exam")
    m = dhcp.finish(m)
    m[108:115] = b"\x0f\x03ple\xff\x09"
    m[44:51] = b"\x36\x04\xc0\xa8\x05\x01\xff"
    o = parse(m, 0, len(m))
    assert o[15] == b"example" and o[54] == GW
    m[45] = 70  # runs out of sname
    assert parse(m, 0, len(m)) is None
    m[45] = 4
    m[109] = 200
    assert parse(m, 0, len(m)) is None
    assert w.a.stats["dhcp_bad"] == 0


def test_server_naks_wrong_addresses_and_keeps_its_promises():
    w = World(count=2)
    s = w.server
    heard = []

    class Ear:
        def datagram(self, ep, p, off, n):
            o = parse(p.buf, off, n)
            heard.append((o[53][0], bytes(p.buf[off + 16 : off + 20]), o))

    e = w.a.udp.open(handler=Ear(), port=68)
    e.ifc = w.ifc

    def ask(kind, mac, options=(), ciaddr=ZERO):
        m = dhcp.message(1, b"wxyz", mac, kind, 0, ciaddr)
        for code, v in options:
            dhcp.option(m, code, v)
        w.a.udp.send(e, dhcp.finish(m), b"\xff" * 4, 67, src=ZERO)
        del heard[:]
        w.run(20)
        return heard[-1] if heard else None

    macs = [b"\x02\0\0\0\1" + bytes((i,)) for i in range(3)]
    _, first, _ = ask(1, macs[0])
    _, second, _ = ask(1, macs[1])
    assert first != second
    assert ask(1, macs[2]) is None and w.b.stats["dhcpd_full"] == 1
    assert ask(3, macs[0], ((50, second), (54, GW)))[0] == dhcp.NAK
    assert ask(3, macs[0], ((50, b"\x0a\0\0\x01"),))[0] == dhcp.NAK
    assert ask(3, macs[0], ((50, first), (54, b"\xc0\xa8\x05\x07"))) is None
    assert ask(3, macs[0], ((50, first), (54, GW)))[:2] == (dhcp.ACK, first)
    assert ask(3, macs[0]) is None
    kind, addr, o = ask(dhcp.INFORM, macs[2])
    assert kind == dhcp.ACK and addr == ZERO and 51 not in o and o[3] == GW
    # Only to neighbours: not to everybody whose address one may write there.
    bad = w.b.stats["dhcpd_bad"]
    for ciaddr in (b"\x08\x08\x08\x08", b"\xe0\0\0\x01", b"\xc0\xa8\x05\xff", GW, b"\x7f\0\0\1"):
        assert ask(dhcp.INFORM, macs[2], ciaddr=ciaddr) is None
    assert w.b.stats["dhcpd_bad"] == bad + 5
    # A decline or release that is meant for another server.
    ask(dhcp.DECLINE, macs[0], ((50, first), (54, b"\xc0\xa8\x05\x07")))
    ask(dhcp.RELEASE, macs[0], ((54, b"\xc0\xa8\x05\x07"),), ciaddr=first)
    assert w.server.leases()[0]["state"] == "leased" or w.server.leases()[1]["state"] == "leased"
    w.run(130000)  # the second offer lapses
    assert ask(1, macs[2])[1] == second
    bad = w.b.stats["dhcpd_bad"]
    w.a.udp.send(e, bytes(100), b"\xff" * 4, 67, src=ZERO)
    w.run(10)
    assert w.b.stats["dhcpd_bad"] == bad + 1 and s.count == 2


def test_timer_is_the_stacks():
    w = World()
    assert isinstance(w.client, Timer)
    n = len(w.a.timers)
    w.client.start()
    w.client.start()
    assert len(w.a.timers) == n + 1
    w.client.stop()
    w.client.stop()
    assert len(w.a.timers) == n


def test_link_that_comes_late():
    w = World(NEAR_WRAP)
    w.ifc.down()
    w.client.start()
    w.run(20000)
    assert w.client.state == "init"
    w.ifc.up()
    assert w.run(9000, w.bound)
    assert w.watch.kinds() == [1, 3]


def test_random_messages_change_nothing():
    w = World(server=False)
    w.client.start()
    w.run(20)
    for i in range(150):
        m = bytearray(w.reply(dhcp.OFFER)[:243])
        m.extend(w.random(w.random(1)[0]))
        if w.client.state == "selecting":
            w.inject(m)
    assert w.a.stats["dhcp_bad"] and not w.a.stats["internal_error"]
    assert not any(w.ifc.net)
