# The in-memory wire: a frame longer than either end's buffers must not be copied.
from harness import MAC, PEER, PEER_MAC, host
from viperip.link.pair import Loopback, Pair


def test_the_longest_frame_passes():
    a, b = Pair.wire(MAC, PEER_MAC, 4, 576)
    a.borrow()[2 : 2 + 590] = bytes([i & 0xFF for i in range(590)])
    a.send(590)
    assert b.recv() == 590 and b.rx[b.rx_off + 589] == 589 & 0xFF
    assert a.oversize == b.oversize == b.dropped == 0


def test_a_frame_that_is_too_long_is_refused_and_counted():
    a, b = Pair.wire(MAC, PEER_MAC, 4, 576)
    for n in (591, 592, 5000, 100000):
        a.send(n)
    assert a.oversize == 4 and b.recv() == 0
    lo = Loopback(4, 576)
    lo.send(591)
    assert lo.oversize == 1 and lo.recv() == 0


def test_the_other_end_may_be_shorter():
    a = Pair(MAC, 4, 1500)
    b = Pair(PEER_MAC, 4, 576)
    a.peer, b.peer = b, a
    a.send(1514)
    a.send(591)
    assert a.oversize == 2 and b.recv() == 0
    a.send(590)
    assert b.recv() == 590
    b.send(591)
    assert b.oversize == 1 and a.recv() == 0


def test_a_stack_lives_on_behind_a_short_wire():
    h = host()
    h.wire.longest = 590
    e = h.stack.udp.open()
    e.send(bytes(1000), PEER, 9)
    assert not h.sent() and h.dev.oversize == 1
    e.send(bytes(500), PEER, 9)
    assert len(h.datagrams()) == 1
