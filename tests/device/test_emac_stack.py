# A stack on the EMAC driver, its board modelled: ping, UDP and TCP with a second stack at the
# other end of the wire.
from emac_board import FAR, MAC, Board
from harness import ME, PEER
from two_stacks import Net


def test_a_ping_each_way():
    from viperip.application.ping import ping

    n = Net(Board())
    for stack, target in ((n.here, "10.0.0.2"), (n.there, "10.0.0.1")):
        stack.wait = lambda ms: n.run(10)
        result = ping(target, count=3, size=1400, quiet=True, stack=stack)
        assert [row.get("bytes") for row in result] == [1408] * 3, result
    assert n.here.stats["icmp_echo_in"] == n.there.stats["icmp_echo_in"] == 3
    assert n.board.trouble() == {}


def test_datagrams_each_way():
    n = Net(Board())
    a = n.here.udp.open(8192, port=7)
    b = n.there.udp.open(8192, port=7)
    buf = bytearray(1472)
    for i in range(50):
        data = bytes([i]) * (i * 29 + 1)
        a.send(data, PEER, 7)
        n.run(10)
        assert b.read(buf, 0, len(buf)) == len(data) and buf[: len(data)] == data
        b.send(data, ME, 7)
        n.run(10)
        assert a.read(buf, 0, len(buf)) == len(data) and buf[: len(data)] == data
    assert n.board.trouble() == {} and n.board.emac.deaf == 0


def test_tcp_through_pauses_of_a_garbage_collection():
    # With a board's default window nothing is lost while nobody polls for 20 ms: what the window
    # lets the far end send fits into the ring. The far end sends as fast as it can.
    n = Net(Board())
    n.here.tcp.rcv_size = n.here.tcp.snd_size = 2920
    server = n.here.tcp.listen(ME, 80)
    far = n.there.tcp.connect(ME, 80)
    n.run(50)
    here = server.accept()
    data = bytes([i * 13 & 0xFF for i in range(4096)])
    buf = bytearray(4096)
    for step in (True, False):
        one, other = (far, here) if step else (here, far)
        sent = got = rounds = 0
        while got < 200000:
            while sent < 200000:
                k = one.send(data, sent & 1023, 1024)
                if not k:
                    break
                sent += k
            for _ in range(4):
                n.there.poll()
                n.board.emac.step()
            rounds += 1
            if rounds % 5 == 0:
                # The board was away.
                for _ in range(20):
                    n.clock.advance(1)
                    n.board.soc.advance(1)
                    n.there.poll()
                    n.board.emac.step()
            n.here.poll()
            k = other.recv(buf, 0, 4096)
            if k:
                want = bytes([data[(got + i) & 1023] for i in range(0, k, 97)])
                assert bytes(buf[i] for i in range(0, k, 97)) == want
                got += k
            n.clock.advance(1)
            n.board.soc.advance(1)
            assert rounds < 20000
    assert n.board.emac.missed == 0 and n.board.count("rx_missed") == 0
    assert n.board.count("rx_fifo_lost") == 0 and n.board.emac.rx_frames > 200


def test_the_station_is_the_fused_one():
    n = Net(Board())
    assert n.here.interfaces[0].mac == MAC and n.there.interfaces[0].mac == FAR


def test_the_model_stops_a_poll():
    # What the model does not forgive comes out of poll(), strict or not.
    from dma_memory import ModelError

    n = Net(Board())
    n.here.strict = False
    n.board.dev._status = 0x3FF69060  # no such register
    try:
        n.run(100)
    except ModelError as e:
        assert "no EMAC register" in e.args[0]
    else:
        raise AssertionError("no ModelError")


def test_promiscuous_reaches_the_mac_s_filter():
    n = Net(Board())
    seen = []

    class Tap:
        def frame(self, ifc, buf, off, size):
            seen.append(bytes(buf[off : off + 6]))

    n.here.ethernet.taps.append(Tap())
    other = b"\x02\0\0\0\0\x77"
    ifc = n.here.interfaces[0]
    for on, expected in ((False, 0), (True, 1), (False, 1)):
        ifc.promiscuous = on
        n.there.interfaces[0].send_copy(other + FAR + b"\x88\xb5" + bytes(46))
        n.step()
        assert seen.count(other) == expected, (on, len(seen))
