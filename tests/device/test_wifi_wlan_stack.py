# A stack on the firmware's Wi-Fi, modelled, with a second stack at the other end of the air.
from harness import ME, PEER
from two_stacks import Net
from viperip import socket
from wlan_board import Board


def test_a_ping_each_way():
    from viperip.application.ping import ping

    n = Net(Board())
    for stack, target in ((n.here, "10.0.0.2"), (n.there, "10.0.0.1")):
        stack.wait = lambda ms: n.run(10)
        assert len(ping(target, count=3, size=1400, quiet=True, stack=stack)) == 3
    assert n.board.trouble() == {}
    n.board.balanced()


def stream(stack):
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, stack)


def transfer(n, disturb=None):
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
        data = bytes(i * 13 & 0xFF for i in range(30000))
        at = 0
        got = b""
        turns = 0
        while len(got) < len(data):
            if at < len(data):
                at += a.write(data[at : at + 4000]) or 0
            if disturb:
                disturb(turns)
            n.run(20)
            turns += 1
            assert turns < 5000
            got += b.read(4000) or b""
        assert got == data
    client.close()
    far.close()
    n.run(500)
    n.board.balanced()


def test_a_stream_each_way():
    n = Net(Board())
    transfer(n)
    assert n.board.trouble() == {}


def test_a_stream_outlives_a_lost_association():
    n = Net(Board(slots=8))
    b = n.board

    def disturb(turn):
        if turn % 20 == 5:
            b.wlan.disconnect()
        elif turn % 20 == 10:
            b.wlan.associate()
        b.firmware.tx_error = 0x101 if turn % 7 == 0 else 0

    transfer(n, disturb)
    c = b.dev.counters
    assert c["lost"] and c["tx_retry"]
    assert c["link_up"] == c["lost"] + 1


def test_datagrams_through_an_access_point():
    n = Net(Board(interface=1))
    a = n.here.udp.open(8192, port=7)
    b = n.there.udp.open(8192, port=7)
    buf = bytearray(1472)
    for i in range(50):
        data = bytes([i]) * (i * 29 + 1)
        a.send(data, PEER, 7)
        n.run(40)
        assert b.read(buf, 0, len(buf)) == len(data) and buf[: len(data)] == data
        b.send(data, ME, 7)
        n.run(40)
        assert a.read(buf, 0, len(buf)) == len(data) and buf[: len(data)] == data
    assert n.board.trouble() == {}
    n.board.balanced()
