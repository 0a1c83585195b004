# The routing table (RFC 1122 3.3.1): longest prefix, then lowest metric.
from harness import ANY, MAC, MASK, ME, NET_BROADCAST, PEER, PEER_MAC, host, raises
from viperip.address import cidr, ip4, ip4_text, mask_prefix, prefix_mask
from viperip.errors import EEXIST
from viperip.interface import Interface
from viperip.link.pair import Pair

GATEWAY = b"\x0a\0\0\xfe"


def second(h, addr="192.168.0.1/24", gateway=None):
    dev, _ = Pair.wire(b"\x02\0\0\0\0\x1a", b"\x02\0\0\0\0\x1b")
    ifc = Interface(h.stack, dev, "e1")
    h.stack.add_interface(ifc)
    ifc.up()
    a, m = cidr(addr)
    ifc.configure(a, m, gateway)
    return ifc


def find(h, text, ifc=None):
    # "interface gateway" of the route that is taken, "" if there is none.
    r = h.stack.ip.routes.find(b"\0" + ip4(text), 1, ifc)
    if r is None:
        return ""
    return r.ifc.name + (" " + ip4_text(r.gateway) if r.gateway else "")


def add(h, text, gateway, ifc=None, metric=0):
    a, m = cidr(text)
    h.stack.ip.routes.add(a, m, gateway and ip4(gateway), ifc or h.ifc, metric)


def kinds(h):
    return sorted([r.kind for r in h.stack.ip.routes.routes])


def test_addresses_and_prefixes():
    for bits in range(33):
        assert mask_prefix(prefix_mask(bits)) == bits
    assert cidr("10.1.2.3/20") == (b"\x0a\1\2\3", b"\xff\xff\xf0\0")
    assert cidr("10.1.2.3")[1] == b"\xff\xff\xff\xff"
    for bad in ("10.0.0", "10.0.0.256", "10.0.0.0.1", "10.0.0.x", "", "10.0.0.1/33", "10.0.0.1/"):
        try:
            cidr(bad)
        except ValueError:
            continue
        assert bad.endswith("/"), bad
    try:
        mask_prefix(b"\xff\0\xff\0")
        raise AssertionError("not contiguous")
    except ValueError:
        pass


def test_connected_and_local():
    h = host()
    assert kinds(h) == ["connected", "local"]
    assert find(h, "10.0.0.2") == "e0" and find(h, "10.0.1.2") == ""
    assert h.stack.ip.routes.find(ME, 0).kind == "local"
    assert h.stack.ip.routes.find(PEER, 0).kind == "connected"


def test_default_gateway():
    # RFC 1122 3.3.1.1, 3.3.1.2.
    h = host(gateway=GATEWAY)
    assert find(h, "8.8.8.8") == "e0 10.0.0.254"
    assert find(h, "10.0.0.77") == "e0"
    h.ifc.configure(ME, MASK, ANY)
    assert find(h, "8.8.8.8") == ""


def test_longest_prefix_wins():
    h = host(gateway=GATEWAY)
    # Added from the narrowest to the widest and the other way round.
    rows = [("172.16.1.1/32", 5), ("172.16.1.0/24", 4), ("172.16.0.0/16", 3), ("172.0.0.0/8", 2)]
    for order in (rows, rows[::-1]):
        for text, last in order:
            add(h, text, "10.0.0.%d" % last)
        assert find(h, "172.16.1.1") == "e0 10.0.0.5"
        assert find(h, "172.16.1.2") == "e0 10.0.0.4"
        assert find(h, "172.16.2.1") == "e0 10.0.0.3"
        assert find(h, "172.17.0.1") == "e0 10.0.0.2"
        assert find(h, "173.0.0.1") == "e0 10.0.0.254"
        for text, _ in order:
            assert h.stack.ip.routes.delete(*cidr(text))


def test_prefixes_that_are_no_whole_bytes():
    h = host()
    add(h, "172.16.0.0/12", "10.0.0.2")
    add(h, "172.16.5.128/25", "10.0.0.3")
    assert find(h, "172.31.255.255") == "e0 10.0.0.2"
    assert find(h, "172.32.0.0") == ""
    assert find(h, "172.16.5.127") == "e0 10.0.0.2"
    assert find(h, "172.16.5.128") == "e0 10.0.0.3"


def test_lowest_metric_wins():
    h = host()
    for metric in (5, 1, 3):
        add(h, "172.16.0.0/16", "10.0.0.%d" % (10 + metric), None, metric)
    assert find(h, "172.16.0.1") == "e0 10.0.0.11"


def test_earlier_interface_has_the_default():
    h = host(gateway=GATEWAY)
    ifc = second(h, gateway=b"\xc0\xa8\0\xfe")
    assert find(h, "8.8.8.8") == "e0 10.0.0.254"
    assert find(h, "8.8.8.8", ifc) == "e1 192.168.0.254"
    h.ifc.down()
    assert find(h, "8.8.8.8") == "e1 192.168.0.254"
    assert find(h, "10.0.0.2") == "e1 192.168.0.254"


def test_first_added_wins_among_equals():
    # RFC 1122 3.3.1.2: which of several equal routes is taken must not change by itself.
    h = host()
    more = [second(h, "192.168.%d.1/24" % i) for i in range(12)]
    for ifc in more:
        a, m = cidr("172.16.0.0/16")
        h.stack.ip.routes.add(a, m, bytes(ifc.addr[:3]) + b"\x02", ifc)
    wanted = [r.gateway for r in h.stack.ip.routes.static]
    for _ in range(3):
        got = [r.gateway for r in h.stack.ip.routes.routes if r.kind == "static"]
        assert got == wanted
        assert find(h, "172.16.0.1") == "e1 192.168.0.2"
        h.stack.changed()
    connected = [r.ifc for r in h.stack.ip.routes.routes if r.kind == "connected"]
    assert connected == [h.ifc] + more


def test_host_bits_do_not_matter():
    h = host()
    add(h, "172.16.3.4/16", "10.0.0.2")
    assert find(h, "172.16.0.1") == "e0 10.0.0.2"
    raises(EEXIST, add, h, "172.16.0.0/16", "10.0.0.3")
    assert h.stack.ip.routes.delete(*cidr("172.16.9.9/16"))


def test_delete():
    h = host()
    add(h, "172.16.0.0/16", "10.0.0.2")
    add(h, "172.16.0.0/16", "10.0.0.3", None, 1)
    before = h.stack.generation
    assert h.stack.ip.routes.delete(*cidr("172.16.0.0/16"))
    assert h.stack.generation != before
    assert find(h, "172.16.0.1") == ""
    assert not h.stack.ip.routes.delete(*cidr("172.16.0.0/16"))
    # Those of addresses cannot be deleted.
    assert not h.stack.ip.routes.delete(*cidr("10.0.0.0/24"))
    assert find(h, "10.0.0.2") == "e0"


def test_static_routes_follow_their_interface():
    h = host()
    ifc = second(h)
    add(h, "172.16.0.0/16", "192.168.0.2", ifc)
    assert find(h, "172.16.0.1") == "e1 192.168.0.2"
    ifc.down()
    assert find(h, "172.16.0.1") == "" and find(h, "192.168.0.2") == ""
    ifc.up()
    assert find(h, "172.16.0.1") == "e1 192.168.0.2"
    h.stack.remove_interface(ifc)
    assert find(h, "172.16.0.1") == ""


def test_address_change():
    h = host()
    h.ifc.configure(b"\xac\x10\0\1", MASK)
    assert find(h, "10.0.0.2") == "" and find(h, "172.16.0.2") == "e0"
    h.ifc.configure(ANY, ANY)
    assert find(h, "172.16.0.2") == "" and not h.stack.ip.routes.routes


def test_point_to_point_masks():
    # RFC 3021: both addresses of a /31 are hosts.
    h = host(mask=prefix_mask(31), addr=b"\x0a\0\0\2", static=False)
    assert find(h, "10.0.0.3") == "e0" and find(h, "10.0.0.1") == ""
    h.ifc.configure(ME, prefix_mask(32))
    assert kinds(h) == ["local"]
    assert find(h, "10.0.0.2") == ""


def test_gateway_gets_the_frame():
    # RFC 1122 3.3.1.1: the next hop's MAC, the destination's address.
    h = host(gateway=PEER)
    e = h.stack.udp.open()
    far = b"\xc0\0\x02\x09"
    assert e.send(b"x", far, 9) == 1
    (d,) = h.datagrams()
    assert d.to == PEER_MAC and d.dst == far and d.src == ME


def test_arp_is_for_the_gateway():
    h = host(gateway=GATEWAY)
    h.stack.time()
    h.stack.udp.open().send(b"x", b"\xc0\0\x02\x09", 9)
    (a,) = h.arps()
    assert a.tpa == GATEWAY and a.sha == MAC


def test_broadcast_needs_no_route():
    # RFC 1122 3.3.6: the limited broadcast leaves by an interface, not by a gateway.
    h = host(addr=None, static=False)
    e = h.stack.udp.open(port=68)
    assert e.send(b"x", b"\xff" * 4, 67) == 1
    (d,) = h.datagrams()
    assert d.src == ANY and d.to == b"\xff" * 6


def test_directed_broadcast_is_connected():
    h = host(gateway=GATEWAY)
    assert h.stack.udp.open().send(b"x", NET_BROADCAST, 9) == 1
    (d,) = h.datagrams()
    assert d.to == b"\xff" * 6


def test_as_dict():
    h = host(gateway=GATEWAY)
    rows = [r.as_dict() for r in h.stack.ip.routes.routes]
    assert [r["destination"] for r in rows] == ["10.0.0.1/32", "10.0.0.0/24", "0.0.0.0/0"]
    assert rows[2] == {
        "destination": "0.0.0.0/0",
        "gateway": "10.0.0.254",
        "if": "e0",
        "metric": 0,
        "kind": "default",
    }
