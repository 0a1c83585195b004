# Closing a TCP connection (RFC 9293 3.6, 3.10.4, 3.10.5).
from harness import host
from tcp_peer import ACK, FIN, RST, SYN, Peer, mss
from viperip.errors import ECONNRESET, EPIPE


def shutdown(p):
    p.c.shutdown()
    p.h.stack.poll()


def close(p):
    p.c.close()
    p.h.stack.poll()


def test_active_close():
    p = Peer().active()
    close(p)
    p.expect(seq=1, ack=1, flags=FIN | ACK)
    assert p.state() == "FIN-WAIT-1"
    p.send(1, 2)
    assert p.state() == "FIN-WAIT-2"
    p.silent()
    p.send(1, 2, FIN | ACK)
    p.expect(seq=2, ack=2)
    assert p.state() == "TIME-WAIT"


def test_passive_close():
    p = Peer().passive()
    p.send(1, 1, FIN | ACK)
    p.expect(seq=1, ack=2)
    assert p.state() == "CLOSE-WAIT" and p.c.eof()
    close(p)
    p.expect(seq=1, ack=2, flags=FIN | ACK)
    assert p.state() == "LAST-ACK"
    p.send(2, 2)
    p.silent()
    assert p.state() == "CLOSED" and not p.tcp.connections


def test_fin_with_the_ack_of_ours():
    p = Peer().active()
    close(p)
    p.expect(flags=FIN | ACK)
    p.send(1, 2, FIN | ACK)
    p.expect(seq=2, ack=2)
    assert p.state() == "TIME-WAIT"


def test_fin_behind_data():
    p = Peer().active(options=mss(1000))
    p.c.send(b"x" * 1500, 0, 1500)
    shutdown(p)
    got = p.got()
    p.same(got[0], seq=1, data=b"x" * 1000)
    p.same(got[1], seq=1001, flags=FIN | ACK, data=b"x" * 500)
    p.send(1, 1502)
    assert p.state() == "FIN-WAIT-2" and p.c.snd_len == 0
    assert p.c.send(b"x", 0, 1) == -EPIPE


def test_half_close():
    # We have sent a FIN and still receive.
    p = Peer().active()
    shutdown(p)
    p.expect(flags=FIN | ACK)
    p.send(1, 2, ACK, b"more")
    assert p.read() == b"more"
    p.send(5, 2, FIN | ACK, b"last")
    p.expect(seq=2, ack=10)
    assert p.read() == b"last" and p.c.eof() and p.state() == "TIME-WAIT"


def test_half_closed_by_the_peer():
    p = Peer().active()
    p.send(1, 1, FIN | ACK, b"bye")
    p.expect(ack=5)
    assert not p.c.eof() and p.read() == b"bye" and p.c.eof()
    assert p.write(b"still here") == 10
    p.expect(seq=1, ack=5, data=b"still here")
    p.send(5, 11)
    close(p)
    p.expect(seq=11, ack=5, flags=FIN | ACK)


def test_simultaneous_close():
    # RFC 9293 3.6, figure 13.
    p = Peer().active()
    close(p)
    p.expect(flags=FIN | ACK)
    p.send(1, 1, FIN | ACK)
    p.expect(seq=2, ack=2)
    assert p.state() == "CLOSING"
    p.send(2, 2)
    assert p.state() == "TIME-WAIT"
    # An ACK is not answered, or the two ends would never stop.
    p.silent()
    p.send(2, 2)
    p.silent()


def test_time_wait():
    # RFC 9293 3.6.1: 2 MSL, from the last FIN.
    p = Peer().active()
    close(p)
    p.send(1, 2, FIN | ACK)
    p.got()
    p.run(50000, 1000)
    p.send(1, 2, FIN | ACK)
    p.expect(seq=2, ack=2)
    p.run(59000, 1000)
    assert p.state() == "TIME-WAIT"
    p.run(2000, 1000)
    assert p.state() == "CLOSED" and not p.tcp.connections
    p.silent()


def in_time_wait():
    p = Peer().passive()
    close(p)
    p.send(1, 2, FIN | ACK)
    p.got()
    assert p.state() == "TIME-WAIT"
    return p


def test_reopening():
    # RFC 9293 3.10.7.4: a SYN with a greater number.
    p = in_time_wait()
    p.run(100)
    was = p.irs
    p.irs = None
    p.send(5000, 0, SYN)
    p.expect(seq=0, ack=5001, flags=SYN | ACK)
    assert 2 < (p.irs - was) & 0xFFFFFFFF < 1 << 31
    p.send(5001, 1)
    assert p.listener.accept().state == 4


def test_no_reopening():
    p = in_time_wait()
    p.send(1, 0, SYN)
    p.expect(seq=2, ack=2)
    assert p.state() == "TIME-WAIT"
    p.listener.close()
    p.send(5000, 0, SYN)
    p.expect(seq=2, ack=2)
    assert p.state() == "TIME-WAIT"


def test_reset_in_time_wait():
    p = in_time_wait()
    p.send(2, 2, RST)
    assert p.state() == "CLOSED"
    p.silent()


def test_time_waits_are_limited():
    h = host()
    h.stack.tcp.max_time_wait = 3
    for i in range(6):
        p = Peer(h, 4000 + i).active()
        close(p)
        p.send(1, 2, FIN | ACK)
        p.got()
    assert [c.remote_port for c in h.stack.tcp.connections] == [4003, 4004, 4005]


def test_fin_out_of_order():
    p = Peer().active()
    p.send(4, 1, FIN | ACK, b"def")
    p.expect(ack=1)
    assert p.state() == "ESTABLISHED"
    p.send(1, 1, ACK, b"abc")
    p.expect(ack=8)
    assert p.state() == "CLOSE-WAIT" and p.read() == b"abcdef" and p.c.eof()


def test_bare_fin_out_of_order():
    p = Peer().active()
    p.send(7, 1, FIN | ACK)
    p.send(4, 1, ACK, b"def")
    p.got()
    assert p.state() == "ESTABLISHED"
    p.send(1, 1, ACK, b"abc")
    p.expect(ack=8)
    assert p.state() == "CLOSE-WAIT" and p.read() == b"abcdef"


def test_fin_that_overlaps():
    p = Peer().active()
    p.send(1, 1, ACK, b"abc")
    p.send(2, 1, FIN | ACK, b"bcd")
    assert p.got()[-1].ack == 6 and p.read() == b"abcd" and p.c.eof()


def test_fin_beyond_the_window():
    p = Peer().active(rcv_size=1000)
    p.send(1, 1, FIN | ACK, bytes(1200))
    p.run(40)
    assert p.got()[-1].ack == 1001 and p.state() == "ESTABLISHED"
    p.read()
    p.h.stack.poll()
    p.got()
    p.send(1001, 1, FIN | ACK, bytes(200))
    assert p.got()[-1].ack == 1202 and p.state() == "CLOSE-WAIT"


def test_fin_again():
    p = Peer().active()
    for _ in range(3):
        p.send(1, 1, FIN | ACK)
        p.expect(seq=1, ack=2)
    assert p.state() == "CLOSE-WAIT"


def test_data_behind_the_fin():
    p = Peer().active()
    p.send(1, 1, FIN | ACK)
    p.got()
    p.send(2, 1, ACK, b"ghost")
    p.expect(ack=2)
    assert p.c.rcv_used == 0


def test_data_after_close():
    # RFC 9293 3.6.1, RFC 1122 4.2.2.13: nobody will read it.
    p = Peer().active()
    close(p)
    p.expect(flags=FIN | ACK)
    p.send(1, 2)
    p.send(1, 2, ACK, b"late")
    p.expect(seq=2, flags=RST | ACK)
    assert not p.tcp.connections
    p.send(5, 2, ACK, b"later")
    p.expect(seq=2, flags=RST)


def test_close_with_unread_data():
    p = Peer().active()
    p.send(1, 1, ACK, b"unread")
    close(p)
    p.expect(seq=1, ack=7, flags=RST | ACK)
    assert not p.tcp.connections


def test_abort():
    p = Peer().active()
    p.write(b"abc")
    p.got()
    p.c.abort()
    p.expect(seq=4, ack=1, flags=RST | ACK)
    assert p.c.error == ECONNRESET and not p.tcp.connections


def test_close_in_syn_sent():
    p = Peer()
    p.connect()
    p.expect(flags=SYN)
    close(p)
    p.silent()
    assert not p.tcp.connections
    p.send(0, 1, SYN | ACK)
    p.expect(seq=1, flags=RST)


def test_fin_wait_2_timeout():
    p = Peer().active()
    close(p)
    p.send(1, 2)
    p.got()
    p.run(59000, 1000)
    assert p.state() == "FIN-WAIT-2"
    p.run(2000, 1000)
    assert p.state() == "CLOSED" and not p.tcp.connections


def test_fin_wait_2_of_a_reader_lasts():
    p = Peer().active()
    shutdown(p)
    p.send(1, 2)
    p.run(300000, 1000)
    assert p.state() == "FIN-WAIT-2"
    close(p)
    p.run(61000, 1000)
    assert p.state() == "CLOSED"


def test_fin_is_sent_again():
    p = Peer().active()
    close(p)
    p.expect(seq=1, flags=FIN | ACK)
    p.run(1000)
    for s in p.got():
        p.same(s, seq=1, ack=1, flags=FIN | ACK)
    assert p.c.retransmits
    p.send(1, 2)
    p.run(5000)
    p.silent()


def test_reset_by_the_peer():
    p = Peer().active()
    p.send(1, 1, ACK, b"abc")
    p.send(4, 1, RST)
    p.silent()
    assert p.c.error == ECONNRESET and p.read() == b"abc" and p.c.eof()
    assert p.c.send(b"x", 0, 1) == -ECONNRESET


def test_last_ack_that_is_lost():
    p = Peer().active()
    p.send(1, 1, FIN | ACK)
    close(p)
    p.got()
    p.run(1000000, 1000)
    assert not p.tcp.connections
