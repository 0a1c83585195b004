# Links of different MTU: nothing may be written that the buffer of a link does not hold. Viper
# routines check no lengths.
from harness import MASK, PEER, PEER_MAC, host
from tcp_peer import Peer, mss, pattern
from viperip.errors import EINVAL
from viperip.interface import Interface
from viperip.internet import igmp
from viperip.link.pair import Pair

GROUP = b"\xe0\0\0\x64"


def second(h, mtu):
    # Another interface, through which the peer is reached from now on.
    dev, wire = Pair.wire(b"\2\0\0\0\0\x0c", PEER_MAC, 64, mtu)
    ifc = Interface(h.stack, dev, "e1")
    h.stack.add_interface(ifc)
    ifc.up()
    ifc.configure(b"\x0a\0\1\1", MASK)
    ifc.arp.add(PEER, PEER_MAC)
    return ifc, wire


def lengths(wire):
    out = []
    while True:
        n = wire.recv()
        if not n:
            return out
        if wire.rx[14:16] == b"\x08\0":
            out.append(n - 34)
        wire.release()


def test_way_that_got_narrower():
    p = Peer().active(options=mss(1460))
    h = p.h
    p.write(pattern(1000))
    ifc, wire = second(h, 600)
    tx = ifc.dev.borrow()
    was = len(tx)
    h.stack.ip.routes.add(PEER, b"\xff\xff\xff\xff", None, ifc)
    lengths(wire)
    p.c.send(pattern(3000), 0, 3000)
    h.stack.poll()
    h.run(3000)
    sizes = lengths(wire)
    assert sizes and max(sizes) == 580, sizes
    assert len(tx) == was and p.c.mss == 560 and not ifc.dev.oversize


def test_way_that_comes_late():
    # The SYN has no route at first; what it then goes by decides.
    h = host(mtu=600)
    p = Peer(h)
    h.ifc.down()
    h.ifc.up()
    c = p.connect()
    h.ifc.configure(h.ifc.addr, MASK)
    h.sent()
    assert c.rcv_mss == 560 and c.mss <= 560
    p.run(1100)
    p.got()
    p.send(0, 1, 18, options=mss(1460))
    assert c.mss == 560


def test_peer_without_mss_on_a_narrow_link():
    p = Peer(host(mtu=100)).active(options=b"")
    assert p.c.mss == 60
    p.write(pattern(300))
    assert max([len(s.data) for s in p.got()]) == 60


def test_jumbo_multicast_to_ourselves():
    # A member on this host hears what fits the loopback.
    h = host(mtu=9000)
    igmp.of(h.stack).join(h.ifc, GROUP)
    e = h.stack.udp.open(size=20000, port=7)
    lo = h.stack.loopback
    h.sent()
    for n in (1472, 1473, 8000):
        assert e.send(bytes(n), GROUP, 7) == n
    h.stack.poll()
    assert e.count == 1 and e.next_length() == 1472 and not lo.dev.oversize
    assert [len(d.payload) for d in h.datagrams()] == [1480, 1481, 8008]


def test_ports_that_are_none():
    # One that does not fit its table would put every later endpoint in another's place.
    h = host()
    for port in (-1, 65536, 70000):
        try:
            h.stack.udp.open(size=100, port=port)
        except OSError as e:
            assert e.errno == EINVAL
        else:
            raise AssertionError(port)
    udp = h.stack.udp
    assert not udp.endpoints and not len(udp.ports)
