# IGMPv2, the host's half (RFC 2236), beside what test_ipv4.py has of groups and reports.
from harness import ANY, ME, checksum
from test_ipv4 import GROUP, GROUP_MAC, listener, reports
from viperip.internet import igmp

SECOND = b"\xef\x02\x03\x04"
ALL_HOSTS = b"\xe0\0\0\x01"
ALL_ROUTERS = b"\xe0\0\0\x02"
V1, V2, LEAVE = 0x12, 0x16, 0x17


def member(*groups):
    h = listener()
    h.stack.urandom = lambda n: bytes(n)
    h.stack.time()
    h.igmp = igmp.of(h.stack)
    for group in groups:
        h.igmp.join(h.ifc, group)
    if groups:
        # The second, unsolicited reports are over too.
        h.run(11000)
        h.sent()
    return h


def query(h, tenths=100, group=ANY, **more):
    q = bytes((0x11, tenths, 0, 0)) + group
    c = checksum(q)
    q = q[:2] + bytes((c >> 8, c & 0xFF)) + q[4:]
    h.ip(2, q, dst=ALL_HOSTS, mac=b"\x01\0\x5e\0\0\x01", ttl=1, **more)


def test_router_alert():
    # RFC 2236 2, RFC 2113 2.1: every message has the option, and TTL 1.
    h = member()
    h.igmp.join(h.ifc, GROUP)
    h.igmp.leave(h.ifc, GROUP)
    report, leave = h.datagrams()
    assert report.to == GROUP_MAC and leave.to == b"\x01\0\x5e\0\0\x02"
    for d in (report, leave):
        assert d.options == b"\x94\x04\0\0" and d.ttl == 1 and d.src == ME
        assert len(d.payload) == 8 and checksum(d.payload) == 0
    assert h.stat("igmp_reports") == 2


def test_all_hosts_is_never_reported():
    # RFC 2236 6: the all-systems group is joined for good; neither report nor leave.
    h = member()
    h.igmp.join(h.ifc, ALL_HOSTS)
    h.igmp.leave(h.ifc, ALL_HOSTS)
    query(h)
    query(h, group=ALL_HOSTS)
    h.run(15000)
    assert not h.sent() and h.ifc.groups == [ALL_HOSTS]


def test_two_joins_need_two_leaves():
    # RFC 1112 7.1: the network is left with the last member on this host.
    h = member()
    h.igmp.join(h.ifc, GROUP)
    h.igmp.join(h.ifc, GROUP)
    assert reports(h) == [(V2, GROUP, GROUP)]
    h.igmp.leave(h.ifc, GROUP)
    assert not h.sent() and GROUP in h.ifc.groups
    h.igmp.leave(h.ifc, GROUP)
    assert reports(h) == [(LEAVE, ALL_ROUTERS, GROUP)] and GROUP not in h.ifc.groups
    h.igmp.leave(h.ifc, GROUP)
    h.run(15000)
    assert not h.sent()


def test_every_group_has_a_delay_of_its_own():
    # RFC 2236 3: "a different random value, using the highest clock granularity available".
    h = member(GROUP, SECOND)
    values = [b"\0\x0a", b"\0\x1e"]
    h.stack.urandom = lambda n: bytes(n - 2) + values.pop(0)
    query(h)
    h.run(900)
    assert not h.sent()
    h.run(300)
    assert reports(h) == [(V2, GROUP, GROUP)]
    h.run(1700)
    assert not h.sent()
    h.run(300)
    assert reports(h) == [(V2, SECOND, SECOND)]
    h.run(15000)
    assert not h.sent()


def test_running_delay_is_only_shortened():
    # RFC 2236 3: reset only if the new query's time is less than what remains.
    h = member(GROUP)
    values = [b"\0\x14", b"\0\x50", b"\0\x05"]
    h.stack.urandom = lambda n: bytes(n - 2) + values.pop(0)
    query(h)
    query(h)
    h.run(1000)
    assert not h.sent()
    query(h, 10)
    h.run(400)
    assert not h.sent()
    h.run(200)
    assert reports(h) == [(V2, GROUP, GROUP)]
    h.run(15000)
    assert not h.sent()


def test_query_without_a_source():
    # RFC 4541 2.1.1: a querier or proxy may have no address: 0.0.0.0. Nothing but IGMP may.
    h = member(GROUP)
    query(h, 10, src=ANY)
    h.run(1100)
    assert reports(h) == [(V2, GROUP, GROUP)] and h.stat("ip_martian_source") == 0
    h.ip(253, b"x", src=ANY, dst=GROUP, mac=GROUP_MAC)
    h.ip(2, b"x", src=ANY)
    assert h.stat("ip_martian_source") == 2 and not h.sink.got


def test_all_hosts_without_a_join():
    # RFC 1112 7.2: every host is a member from the start.
    h = listener()
    h.ip(253, b"x", dst=ALL_HOSTS, mac=b"\x01\0\x5e\0\0\x01")
    assert len(h.sink.got) == 1 and not h.sent()


def test_group_specific_query():
    h = member(GROUP, SECOND)
    query(h, 10, SECOND)
    h.run(1100)
    assert reports(h) == [(V2, SECOND, SECOND)]


def test_version_1_router():
    # RFC 2236 4: a query with time 0: IGMPv1 reports within 10 s and for 400 s, and no leaves.
    h = member(GROUP)
    query(h, 0)
    h.run(10100)
    assert reports(h) == [(V1, GROUP, GROUP)]
    h.igmp.join(h.ifc, SECOND)
    assert reports(h) == [(V1, SECOND, SECOND)]
    h.igmp.leave(h.ifc, SECOND)
    assert not h.sent()
    h.run(391000, 1000)
    query(h, 10)
    h.run(1100)
    assert reports(h) == [(V2, GROUP, GROUP)]
    h.igmp.leave(h.ifc, GROUP)
    assert reports(h) == [(LEAVE, ALL_ROUTERS, GROUP)]


def test_interface_that_is_down_reports_nothing():
    h = member(GROUP)
    h.stack.urandom = lambda n: b"\xff" * n
    query(h)
    h.ifc.down()
    h.igmp.join(h.ifc, SECOND)
    h.run(15000)
    assert not h.sent()


def report(h, group, **more):
    m = bytes((0x16, 0, 0, 0)) + group
    c = checksum(m)
    h.ip(2, m[:2] + bytes((c >> 8, c & 0xFF)) + m[4:], ttl=1, **more)


def test_report_of_another_member():
    # RFC 2236 3: it goes to the group. One sent to us alone, which may come from beyond the wire,
    # must not keep us silent.
    for more, silent in (({"dst": GROUP, "mac": GROUP_MAC}, True), ({}, False)):
        h = member(GROUP)
        h.stack.urandom = lambda n: b"\xff" * n
        query(h)
        report(h, GROUP, **more)
        h.run(15000)
        assert (reports(h) == []) == silent
