# Ctrl-C, or memory that runs out, at an awkward moment: the stack goes on afterwards.
from harness import ICMP, ME, PEER, PEER_MAC, MAC, eth, host, icmp, ipv4
from tcp_peer import ACK, SYN, TCP, Peer, mss
from viperip import socket


class Wrong:
    # Raises when it is called; put in place of something that does not.
    def __init__(self, error):
        self.error = error

    def __call__(self, *_):
        raise self.error


def fails(error, function, *args):
    try:
        function(*args)
    except error:
        return
    raise AssertionError("nothing raised")


def answers(h):
    # Whether the host answers a ping.
    h.sent()
    h.ip(ICMP, icmp(8, 0))
    return len(h.datagrams()) == 1


def test_ctrl_c_while_a_fault_is_noted():
    # It goes through the generators of the stack and of the interface, and ends both.
    h = host()
    recv = h.dev.recv
    h.dev.recv = Wrong(OSError(5))
    h.stack.failed = Wrong(KeyboardInterrupt())
    fails(KeyboardInterrupt, h.stack.poll)
    h.dev.recv = recv
    del h.stack.failed
    assert answers(h) and h.stat("internal_error") == 0


def test_ctrl_c_on_the_way_into_the_guard():
    h = host()
    h.stack._ticks = Wrong(KeyboardInterrupt())
    fails(KeyboardInterrupt, h.stack.enter)
    h.stack._ticks = h.clock
    assert answers(h)


def test_ctrl_c_in_the_poll_that_a_socket_call_held_up():
    p = Peer().active()
    h = p.h
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, h.stack, p.c)
    s.setblocking(False)
    p.send(1, 1, data=b"text")
    recv = h.dev.recv
    for call, arg in ((s.write, b"more"), (s.readinto, bytearray(2))):
        h.dev.recv = Wrong(KeyboardInterrupt())
        h.stack._pending = True
        fails(KeyboardInterrupt, call, arg)
        h.dev.recv = recv
        assert answers(h)


def test_no_memory_to_give_a_connection_up():
    h = host()
    h.stack.idle = h.clock.advance
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, h.stack)
    s.settimeout(2)
    h.stack.tcp.remove = Wrong(MemoryError())
    fails(MemoryError, s.connect, ("10.0.0.2", 80))
    del h.stack.tcp.remove
    assert answers(h)


def test_no_memory_for_one_of_two_connections():
    # What the other has to send is sent all the same, then and later.
    h = host(frames=256)
    peers = [Peer(h, port).active() for port in (4000, 4001)]
    for p in peers:
        p.c.ack_now = True
        p.c.touch()
    borrow = h.dev.borrow
    h.dev.borrow = Wrong(MemoryError())
    h.stack.poll()
    h.dev.borrow = borrow
    assert h.stat("no_memory") == 1
    h.stack.poll()
    assert len(h.datagrams()) == 1
    for p in peers:
        p.c.ack_now = True
        p.c.touch()
        h.stack.poll()
        p.expect(seq=1, ack=1)


class Costly(socket.socket):
    # A socket for which there is memory at times only.
    short = False

    def __init__(self, *args):
        if Costly.short:
            raise MemoryError
        super().__init__(*args)


def test_no_memory_to_accept():
    h = host(frames=256)
    s = Costly(socket.AF_INET, socket.SOCK_STREAM, 0, h.stack)
    s.bind(("10.0.0.1", 80))
    s.listen(1)
    p = Peer(h)
    p.send(0, 0, SYN, options=mss(1460))
    p.expect(seq=0, ack=1, flags=SYN | ACK)
    p.send(1, 1)
    Costly.short = True
    fails(MemoryError, s.accept)
    Costly.short = False
    assert s.accept()[1] == ("10.0.0.2", 4000)


def test_poll_while_an_option_is_set():
    # On a board the timer's poll() comes between any two bytecodes.
    p = Peer().active()
    h = p.h
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, h.stack, p.c)
    p.send(1, 1, data=b"before ")
    give_ring = h.stack.tcp.give_ring

    def polled(ring):
        h.stack.poll()
        give_ring(ring)

    h.stack.tcp.give_ring = polled
    frame = eth(MAC, PEER_MAC, 0x800, ipv4(PEER, ME, TCP, p.raw(8, 1, ACK, b"after")))
    h.wire.borrow()[2 : 2 + len(frame)] = frame
    h.wire.send(len(frame))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100000)
    assert s.recv(100) == b"before after"
