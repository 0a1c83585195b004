# A stack on the driver of QEMU's open_eth, the NIC modelled: ping, UDP and TCP with a second stack
# at the other end of the wire.
from dma_memory import ModelError
from harness import ME, PEER
from open_eth_board import DESC, MAC, Board, frame
from two_stacks import Net
from viperip import socket


def test_a_ping_each_way():
    from viperip.application.ping import ping

    n = Net(Board())
    for stack, target in ((n.here, "10.0.0.2"), (n.there, "10.0.0.1")):
        stack.wait = lambda ms: n.run(10)
        rows = ping(target, count=3, size=1400, quiet=True, stack=stack)
        assert len(rows) == 3, rows
    assert n.here.stats["icmp_echo_in"] == n.there.stats["icmp_echo_in"] == 3
    assert n.board.trouble() == {} and n.here.interfaces[0].mac == MAC


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
    assert n.board.trouble() == {} and n.board.soc.lost == 0


def stream(stack):
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, stack)


def test_a_stream_each_way():
    n = Net(Board())
    server = stream(n.there)
    server.bind(("10.0.0.2", 80))
    server.listen(1)
    client = stream(n.here)
    client.setblocking(False)
    try:
        client.connect(("10.0.0.2", 80))
    except OSError:
        pass
    n.run(50)
    server.setblocking(False)
    far, _ = server.accept()
    far.setblocking(False)
    for a, b in ((client, far), (far, client)):
        data = bytes(i * 13 & 0xFF for i in range(20000))
        at = 0
        got = b""
        while len(got) < len(data):
            if at < len(data):
                at += a.write(data[at : at + 4000]) or 0
            n.run(20)
            got += b.read(4000) or b""
        assert got == data
    client.close()
    far.close()
    n.run(500)
    assert n.board.trouble() == {} and n.board.soc.lost == 0


def test_after_a_storm_pings_are_answered():
    from viperip.application.ping import ping

    n = Net(Board())
    for _ in range(5):
        n.board.give(*[frame(60, tag=i) for i in range(60)])
        n.run(10)
    assert n.board.count("rx_busy") >= 1
    n.there.wait = lambda ms: n.run(10)
    assert len(ping("10.0.0.1", count=2, quiet=True, stack=n.there)) == 2


def test_the_model_stops_a_poll():
    # What the model does not forgive comes out of poll(), strict or not.
    n = Net(Board())
    n.here.strict = False
    n.board.dev._rx_at = DESC + 0x400  # beyond the last descriptor
    try:
        n.run(100)
    except ModelError as e:
        assert "no descriptor" in e.args[0]
    else:
        raise AssertionError("no ModelError")
