# Two boards on one network: one serves, the other pings it and sends it a stream.

import viperip
from multitest import fetch, share

SIZE = 50000


def up(last):
    lan = viperip.LAN(viperip.board())
    lan.ipconfig(addr4="10.66.0.%d/24" % last)
    lan.active(True)
    viperip.install()
    while not lan.isconnected():
        viperip.default().wait(10)
    return "10.66.0.%d" % last


def pattern(n):
    return bytes([(i * 31 + (i >> 8)) & 0xFF for i in range(n)])


def instance0():
    address = up(1)
    import socket

    server = socket.socket()
    server.bind(("0.0.0.0", 7))
    server.listen(1)
    share("address", address)
    peer, who = server.accept()
    assert who[0] == "10.66.0.2"
    got = bytearray()
    while True:
        data = peer.recv(2000)
        if not data:
            break
        got += data
    assert got == pattern(SIZE), len(got)
    peer.write(b"%d bytes" % len(got))
    peer.close()
    fetch("answered")


def instance1():
    up(2)
    import socket

    address = fetch("address")
    for answer in viperip.ping(address, count=3, interval_ms=20, quiet=True):
        assert "time_ms" in answer, answer
    s = socket.socket()
    s.connect((address, 7))
    s.write(pattern(SIZE))
    s.shutdown(socket.SHUT_WR)
    assert s.read() == b"%d bytes" % SIZE
    s.close()
    share("answered")
