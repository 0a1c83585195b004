# The socket module: two stacks in one interpreter, each polled while the other waits.
from harness import ME, PEER, raises
from viperip import socket as S
from viperip.errors import (
    EADDRINUSE,
    EAGAIN,
    EBADF,
    ECONNREFUSED,
    ECONNRESET,
    EDESTADDRREQ,
    EINPROGRESS,
    EINVAL,
    EISCONN,
    ENOPROTOOPT,
    ENOTCONN,
    EPIPE,
    ETIMEDOUT,
)
from viperip.interface import Interface
from viperip.link.pair import Pair
from viperip.stack import Stack

A = "10.0.0.1"
B = "10.0.0.2"
POLLIN, POLLOUT, POLLERR, POLLHUP = 1, 4, 8, 16


class World:
    # Stacks a and b on one wire. Time passes while somebody waits.
    def __init__(self):
        self.now = 1000
        ends = Pair.wire(b"\2\0\0\0\0\x0a", b"\2\0\0\0\0\x0b", 64)
        self.a, self.b = [self.make(ends[i], (ME, PEER)[i]) for i in range(2)]
        self.todo = []  # functions to call while somebody waits
        self.run(3000)

    def make(self, dev, addr):
        stack = Stack(ticks=lambda: self.now)
        stack.strict = True
        stack.idle = self.idle
        ifc = Interface(stack, dev, "e0")
        stack.add_interface(ifc)
        ifc.up()
        ifc.configure(addr, b"\xff\xff\xff\0", None)
        return stack

    def idle(self, ms):
        self.now = (self.now + min(ms, 5)) & 0x3FFFFFFF
        if self.todo:
            self.todo.pop(0)()
        self.settle()

    def settle(self):
        for _ in range(8):
            self.a.poll()
            self.b.poll()

    def run(self, ms, step=10):
        while ms > 0:
            self.now = (self.now + step) & 0x3FFFFFFF
            self.settle()
            ms -= step

    def sock(self, stack, kind=S.SOCK_STREAM):
        return S.socket(S.AF_INET, kind, 0, _stack_=stack)

    def server(self, port=80, backlog=5):
        s = self.sock(self.b)
        s.setsockopt(S.SOL_SOCKET, S.SO_REUSEADDR, 1)
        s.bind((B, port))
        s.listen(backlog)
        return s

    def pair(self):
        # (client on a, server on b), connected.
        listener = self.server()
        c = self.sock(self.a)
        c.connect((B, 80))
        s, addr = listener.accept()
        assert addr == c.getsockname() and addr[0] == A
        listener.close()
        return c, s


def test_connect_and_accept():
    w = World()
    c, s = w.pair()
    assert c.getpeername() == (B, 80) and s.getsockname() == (B, 80)
    assert s.getpeername() == c.getsockname()


def test_send_and_recv():
    w = World()
    c, s = w.pair()
    assert c.send(b"hello") == 5
    assert s.recv(100) == b"hello"
    s.send(bytearray(b"abcdef"))
    s.send(memoryview(b"..gh..")[2:4])
    assert c.recv(4) == b"abcd"
    w.settle()
    assert c.recv(2, S.MSG_PEEK) == b"ef"
    w.run(100)
    assert c.recv(9) == b"efgh"


def test_sendall_larger_than_the_buffers():
    w = World()
    c, s = w.pair()
    data = bytes([i * 7 & 0xFF for i in range(1000)]) * 300
    got = bytearray()

    def take():
        s.setblocking(False)
        part = s.read(70000)
        if part:
            got.extend(part)
        w.todo.append(take)

    w.todo.append(take)
    c.sendall(data)
    w.run(500)
    while len(got) < len(data):
        w.idle(5)
    assert bytes(got) == data


def test_recv_into():
    w = World()
    c, s = w.pair()
    buf = bytearray(8)
    c.send(b"abcdef")
    assert s.recv_into(buf, 2) == 2 and s.recv_into(buf) == 4
    assert bytes(buf) == b"cdef\0\0\0\0"
    c.send(b"xyz")
    assert s.readinto(buf) == 3 and bytes(buf[:3]) == b"xyz"
    c.close()
    assert s.recv_into(buf) == 0 and s.readinto(buf) == 0


def test_readline_and_read():
    w = World()
    c, s = w.pair()
    c.send(b"one\ntwo\nrest of it")
    assert s.readline() == b"one\n" and s.readline() == b"two\n"
    assert s.read(4) == b"rest"
    c.close()
    assert s.read() == b" of it" and s.read() == b"" and s.readline() == b""


def test_read_waits_for_all():
    w = World()
    c, s = w.pair()
    for part in (b"ab", b"cd", b"ef"):
        w.todo.append(lambda part=part: c.send(part))
    assert s.read(6) == b"abcdef"


def test_makefile_and_with():
    w = World()
    c, s = w.pair()
    with c:
        c.makefile("rwb").write(b"line\n")
    assert s.makefile().readline() == b"line\n" and s.recv(1) == b""
    raises(EBADF, c.send, b"x")


def test_write():
    w = World()
    c, s = w.pair()
    assert c.write(b"abcdef") == 6 and c.write(b"xyz", 2) == 2 and c.write(b"hello", 1, 3) == 3
    w.run(300)
    assert s.recv(99) == b"abcdefxyell"


def test_would_block():
    # MicroPython's streams: None; send() and recv(): EAGAIN.
    w = World()
    c, s = w.pair()
    for x in (c, s):
        x.setblocking(False)
    raises(EAGAIN, s.recv, 5)
    raises(EAGAIN, s.recv_into, bytearray(5))
    assert s.read(5) is None and s.read() is None and s.readline() is None
    assert s.readinto(bytearray(5)) is None
    c.send(b"par")
    w.settle()
    assert s.read(5) == b"par"
    while True:
        n = c.write(bytes(10000))
        if n is None:
            break
    raises(EAGAIN, c.send, b"x")
    assert c.write(b"x") is None


def test_dontwait():
    w = World()
    c, s = w.pair()
    raises(EAGAIN, s.recv, 5, S.MSG_DONTWAIT)
    s._pcb.rcv_adv = 0
    c.setblocking(False)
    while c.write(bytes(10000)):
        w.settle()
    c.setblocking(True)
    raises(EAGAIN, c.send, b"x", S.MSG_DONTWAIT)


def test_timeouts():
    w = World()
    c, s = w.pair()
    s.settimeout(0.5)
    for f, arg in (
        (s.recv, 5),
        (s.readinto, bytearray(5)),
        (s.read, 5),
        (s.recv_into, bytearray(5)),
    ):
        was = w.now
        raises(ETIMEDOUT, f, arg)
        assert 500 <= w.now - was < 600
    c.settimeout(0.5)
    raises(ETIMEDOUT, c.sendall, bytes(500000))
    listener = w.server(81)
    listener.settimeout(0.2)
    raises(ETIMEDOUT, listener.accept)
    listener.setblocking(False)
    raises(EAGAIN, listener.accept)


def test_connect_times_out():
    w = World()
    c = w.sock(w.a)
    c.settimeout(0.3)
    w.b.interfaces.clear()
    raises(ETIMEDOUT, c.connect, (B, 80))
    assert not w.a.tcp.connections


def test_refused():
    w = World()
    w.b.tcp
    c = w.sock(w.a)
    raises(ECONNREFUSED, c.connect, (B, 99))
    assert not w.a.tcp.connections


def test_connecting_without_blocking():
    w = World()
    w.server()
    c = w.sock(w.a)
    c.setblocking(False)
    raises(EINPROGRESS, c.connect, (B, 80))
    assert c.ioctl(3, POLLIN | POLLOUT) == 0 and c.write(b"x") is None
    w.run(50)
    assert c.ioctl(3, POLLIN | POLLOUT) == POLLOUT
    assert c.getsockopt(S.SOL_SOCKET, S.SO_ERROR) == 0
    raises(EISCONN, c.connect, (B, 80))


def test_refused_without_blocking():
    w = World()
    w.b.tcp
    c = w.sock(w.a)
    c.setblocking(False)
    raises(EINPROGRESS, c.connect, (B, 99))
    w.run(50)
    assert c.ioctl(3, POLLOUT) & (POLLOUT | POLLERR) == POLLOUT | POLLERR
    assert c.getsockopt(S.SOL_SOCKET, S.SO_ERROR) == ECONNREFUSED
    assert c.getsockopt(S.SOL_SOCKET, S.SO_ERROR) == 0


def test_end_of_stream():
    w = World()
    c, s = w.pair()
    c.send(b"bye")
    c.close()
    w.settle()
    assert s.recv(10) == b"bye" and s.recv(10) == b"" and s.recv(10) == b""
    s.close()
    w.run(100)
    assert not w.b.tcp.connections


def test_half_close():
    w = World()
    c, s = w.pair()
    c.send(b"question")
    c.shutdown(S.SHUT_WR)
    raises(EPIPE, c.send, b"x")
    assert s.read() == b"question"
    s.sendall(b"answer")
    s.close()
    assert c.read() == b"answer"


def test_shutdown_of_reading():
    w = World()
    c, s = w.pair()
    s.shutdown(S.SHUT_RD)
    assert s.recv(5) == b""
    s.send(b"still")
    assert c.recv(9) == b"still"
    s.shutdown(S.SHUT_RDWR)
    assert c.recv(5) == b""
    raises(ENOTCONN, w.sock(w.a).shutdown, S.SHUT_WR)


def test_reset():
    w = World()
    c, s = w.pair()
    c.send(b"unread")
    w.settle()
    s.close()
    w.settle()
    raises(ECONNRESET, c.recv, 5)
    assert c.recv(5) == b""


def test_linger():
    w = World()
    c, s = w.pair()
    c.setsockopt(S.SOL_SOCKET, S.SO_LINGER, 0)
    c.close()
    raises(ECONNRESET, s.recv, 5)
    assert not w.a.tcp.connections


def test_double_close():
    w = World()
    c, s = w.pair()
    c.close()
    c.close()
    for f in (c.recv, c.read, c.listen, c.shutdown):
        raises(EBADF, f, 1)
    raises(EBADF, c.send, b"x")
    raises(EBADF, c.connect, (B, 80))
    assert c.ioctl(3, 1) == 32


def test_wrong_calls():
    w = World()
    x = w.sock(w.a)
    raises(ENOTCONN, x.send, b"x")
    raises(ENOTCONN, x.recv, 1)
    raises(ENOTCONN, x.getpeername)
    raises(EINVAL, x.accept)
    listener = w.server()
    raises(EADDRINUSE, w.sock(w.b).bind, (B, 80))
    raises(ENOTCONN, listener.recv, 1)
    raises(ENOTCONN, listener.getpeername)
    assert listener.getsockname() == (B, 80)


def test_bound_client():
    w = World()
    w.server()
    c = w.sock(w.a)
    c.bind(("", 5555))
    assert c.getsockname() == ("0.0.0.0", 5555)
    c.connect((B, 80))
    assert c.getsockname() == (A, 5555)


def test_backlog():
    w = World()
    listener = w.server(backlog=2)
    cs = [w.sock(w.a) for _ in range(3)]
    for c in cs:
        c.setblocking(False)
        raises(EINPROGRESS, c.connect, (B, 80))
    w.run(100)
    assert [c.ioctl(3, POLLOUT) for c in cs] == [POLLOUT, POLLOUT, 0]
    listener.accept()
    w.run(1500)
    assert cs[2].ioctl(3, POLLOUT) == POLLOUT


def test_options():
    w = World()
    c, s = w.pair()
    c.setsockopt(S.IPPROTO_TCP, S.TCP_NODELAY, 1)
    assert c._pcb.nodelay and c.getsockopt(S.IPPROTO_TCP, S.TCP_NODELAY) == 1
    c.setsockopt(S.SOL_SOCKET, S.SO_REUSEADDR, 1)
    c.setsockopt(S.IPPROTO_IP, S.IP_TOS, 16)
    assert c._pcb.tos == 16
    raises(ENOPROTOOPT, c.setsockopt, S.SOL_SOCKET, 999, 1)
    raises(ENOPROTOOPT, c.setsockopt, S.IPPROTO_TCP, 999, 1)
    raises(ENOPROTOOPT, c.setsockopt, 77, 1, 1)
    raises(EINVAL, c.setsockopt, S.SOL_SOCKET, S.SO_RCVBUF, 1)
    assert c.getsockopt(S.SOL_SOCKET, S.SO_RCVBUF) == c._pcb.rcv_size


def test_options_are_inherited():
    w = World()
    listener = w.server()
    listener.setsockopt(S.IPPROTO_TCP, S.TCP_NODELAY, 1)
    listener.setsockopt(S.SOL_SOCKET, S.SO_RCVBUF, 5000)
    c = w.sock(w.a)
    c.setsockopt(S.SOL_SOCKET, S.SO_SNDBUF, 3000)
    c.connect((B, 80))
    s, _ = listener.accept()
    assert s._pcb.nodelay and s._pcb.rcv_size == 5000 and c._pcb.snd_size == 3000


def test_keepalive():
    # RFC 9293 3.8.4: on an idle connection; a dead peer is given up.
    w = World()
    c, s = w.pair()
    c.setsockopt(S.SOL_SOCKET, S.SO_KEEPALIVE, 1)
    c.setsockopt(S.IPPROTO_TCP, S.TCP_KEEPIDLE, 10)
    c.setsockopt(S.IPPROTO_TCP, S.TCP_KEEPINTVL, 2)
    c.setsockopt(S.IPPROTO_TCP, S.TCP_KEEPCNT, 3)
    w.run(100000, 500)
    assert c._pcb.error == 0 and w.b.stats["tcp_in"] > 5
    w.b.interfaces.clear()
    was = w.now
    raises(ETIMEDOUT, c.recv, 1)
    assert 6000 <= w.now - was < 18000


def test_tcp_info():
    w = World()
    c, s = w.pair()
    d = c.getsockopt(S.IPPROTO_TCP, S.TCP_INFO)
    assert d["state"] == "ESTABLISHED" and d["mss"] == 1460 and d["remote"] == "10.0.0.2:80"
    assert d["rto"] >= 200 and d["retransmits"] == 0


def test_poll_flags():
    w = World()
    listener = w.server()
    assert listener.ioctl(3, POLLIN | POLLOUT) == 0
    c = w.sock(w.a)
    c.connect((B, 80))
    assert listener.ioctl(3, POLLIN | POLLOUT) == POLLIN
    s, _ = listener.accept()
    assert s.ioctl(3, POLLIN | POLLOUT) == POLLOUT
    c.send(b"x")
    w.settle()
    assert s.ioctl(3, POLLIN) == POLLIN and s.ioctl(3, POLLOUT) == POLLOUT
    s.recv(1)
    c.close()
    w.settle()
    assert s.ioctl(3, POLLIN) == POLLIN and s.ioctl(99, 0) == -1
    s.close()
    assert w.sock(w.a).ioctl(3, POLLOUT | POLLHUP) & POLLHUP


def test_no_descriptor():
    # MP_STREAM_GET_FILENO.
    w = World()
    assert w.sock(w.a).ioctl(10, 0) == -1


def test_udp():
    w = World()
    a, b = w.sock(w.a, S.SOCK_DGRAM), w.sock(w.b, S.SOCK_DGRAM)
    b.bind(("", 7))
    assert a.sendto(b"hello", (B, 7)) == 5
    data, addr = b.recvfrom(100)
    assert data == b"hello" and addr == (A, a.getsockname()[1])
    b.sendto(b"back", addr)
    buf = bytearray(9)
    assert a.recvfrom_into(buf) == (4, (B, 7)) and bytes(buf[:4]) == b"back"
    b.setblocking(False)
    raises(EAGAIN, b.recvfrom, 5)
    assert b.ioctl(3, POLLIN | POLLOUT) == POLLOUT
    b.settimeout(0.1)
    raises(ETIMEDOUT, b.recv, 5)
    raises(EDESTADDRREQ, b.send, b"x")
    raises(EADDRINUSE, w.sock(w.b, S.SOCK_DGRAM).bind, ("", 7))


def test_udp_connected():
    w = World()
    a, b = w.sock(w.a, S.SOCK_DGRAM), w.sock(w.b, S.SOCK_DGRAM)
    b.bind((B, 7))
    a.connect((B, 7))
    assert a.getpeername() == (B, 7) and a.send(b"") == 0 and a.write(b"abc") == 3
    assert b.recv(9) == b"" and b.recv(9) == b"abc"


def test_udp_refused():
    w = World()
    w.b.udp
    a = w.sock(w.a, S.SOCK_DGRAM)
    a.connect((B, 99))
    a.send(b"knock")
    raises(ECONNREFUSED, a.recv, 5)
    a.setblocking(False)
    raises(EAGAIN, a.recv, 5)


def test_addresses():
    assert S.getaddrinfo("1.2.3.4", 80)[0][-1] == ("1.2.3.4", 80)
    assert S.getaddrinfo("1.2.3.4", "http", 0, S.SOCK_DGRAM)[0] == (2, 2, 17, "", ("1.2.3.4", 80))
    assert S.inet_pton(2, "1.2.3.4") == b"\1\2\3\4" and S.inet_ntop(2, b"\1\2\3\4") == "1.2.3.4"
    raises(EINVAL, S.inet_pton, 2, "1.2.3")
