# What mutated frames and floods once broke.
from harness import ANY, ME, UDP, host, udp
from tcp_peer import ACK, SYN, TCP, Peer, mss, pattern, tcp
from viperip import socket
from viperip.application import dhcp

AFAR = b"\xc6\x33\x64\x07"


def test_syn_without_a_way_back():
    # Its SYN,ACK never left, so that nothing ever ended the half-open connection.
    h = host()
    s = h.stack.tcp.listen(ANY, 80, backlog=2)
    for port in (5000, 5001, 5002):
        h.ip(TCP, tcp(port, 80, 7, 0, SYN, src=AFAR), src=AFAR)
    assert s.half_open == 2 and h.stat("tcp_backlog_full") == 1
    h.run(300000, 500)
    assert s.half_open == 0 and not h.stack.tcp.connections


def test_syn_sent_late():
    # No transmit buffer for the SYN,ACK: it goes out when a retransmission would.
    p = Peer()
    listener = p.tcp.listen(ANY, 80)
    dev = p.h.dev
    borrow = dev.borrow
    dev.borrow = lambda: None
    p.send(0, 0, SYN, options=mss(1460))
    dev.borrow = borrow
    p.silent()
    p.run(1100)
    s = p.got()[0]
    assert (s.seq, s.ack, s.flags) == (0, 1, 18)
    p.send(1, 1)
    assert listener.accept().local == ME


def test_data_sent_late():
    p = Peer().active()
    dev = p.h.dev
    borrow = dev.borrow
    dev.borrow = lambda: None
    p.write(b"hello")
    dev.borrow = borrow
    p.run(250)
    got = p.got()
    assert len(got) == 1 and got[0].data == b"hello"
    p.send(1, 6)
    assert p.c.snd_max == 0


def test_longer_than_anybody_was_told():
    # RFC 3396 joins options that come in parts: thousands of them would be copied again and again.
    m = dhcp.message(2, bytes(4), bytes(6), dhcp.OFFER)
    dhcp.option(m, dhcp.HOST_NAME, b"x" * 200)
    while len(m) < 1490:
        dhcp.option(m, dhcp.HOST_NAME, b"y")
    m = bytes(dhcp.finish(m))
    assert len(dhcp.parse(m, 0, len(m))[dhcp.HOST_NAME]) > 500
    m = m[:-1] + b"\x0c\1z" * 10 + b"\xff"
    assert len(m) > 1500 and dhcp.parse(m, 0, len(m)) is None


def test_buffer_shorter_than_what_is_asked_for():
    # Viper routines check nothing: what does not fit must not be written behind the buffer.
    h = host(frames=256)
    p = Peer(h).active()
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, h.stack, p.c)
    p.send(1, 1, ACK, pattern(100))
    for take in (s.recv_into, s.readinto):
        buf = bytearray(8)
        assert take(buf, 40) == 8
    assert s.recv(100) == pattern(84, 16)
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 0, h.stack)
    u.bind(("10.0.0.1", 7))
    h.ip(UDP, udp(9, 7, pattern(100)))
    buf = bytearray(8)
    assert u.recv_into(buf, 40) == 8 and buf == pattern(8)
