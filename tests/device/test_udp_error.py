# ICMP errors to UDP endpoints whose owners close them on hearing of it (RFC 1122 4.1.3.3).
from harness import PEER, host, icmp, ipv4, udp
from harness import ICMP, ME, UDP
from viperip.errors import ECONNREFUSED


def test_an_endpoint_closed_by_its_wake_hides_no_other():
    # Two sockets that share a local and a remote port; the first closes itself in its wake.
    h = host()
    ends = []
    for _ in range(2):
        e = h.stack.udp.open(port=4000, reuse=True)
        e.remote, e.remote_port = PEER, 9
        ends.append(e)
    ends[0].wake = ends[0].close
    quoted = ipv4(ME, PEER, UDP, udp(4000, 9, b"x", src=ME, dst=PEER))
    h.ip(ICMP, icmp(3, 3, data=quoted))
    assert [e.error for e in ends] == [ECONNREFUSED] * 2
    assert h.stack.udp.endpoints == [ends[1]]
