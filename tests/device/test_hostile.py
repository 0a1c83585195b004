# What mutated frames and floods once broke.
from harness import ANY, ME, host
from tcp_peer import SYN, TCP, Peer, mss, tcp

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
