# The same calls on one of the two socket modules of the board; prints what each gave.
# sys.argv[1]: "firmware", the interpreter's own sockets on its computer's loopback, or "stack".
# tests/host/test_socket_differential.py runs it under `viperip sim`.

import array
import errno
import sys
import time

import viperip

if sys.argv[1] == "firmware":
    viperip.uninstall()
    import select

    socket = viperip.firmware_socket
else:
    import select
    import socket

IN = select.POLLIN
OUT = select.POLLOUT
HOST = "127.0.0.1"


def say(name, function, *args):
    """Print what the call returns or raises."""
    try:
        r = function(*args)
        if isinstance(r, socket.socket):
            r = "a socket"
        print("%s: %r" % (name, r))
    except OSError as e:
        # A name, as the numbers differ between ports; getaddrinfo's are its own.
        print("%s: OSError %s" % (name, errno.errorcode.get(e.errno, e.errno)))
    except Exception as e:
        print("%s: %s" % (name, type(e).__name__))


def call(s, name, args):
    return getattr(s, name)(*args)  # not every port has every method


def address(port=0):
    return socket.getaddrinfo(HOST, port)[0][-1]


def free_port(last=[20000 + time.ticks_us() % 9000]):
    last[0] += 1
    return last[0]


def bound(make):
    """A socket bound to a port that was free, and its address."""
    while True:
        s = make()
        to = address(free_port())
        try:
            s.bind(to)
            return s, to
        except OSError:
            s.close()


def stream():
    return socket.socket()


def datagram():
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def sharing(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return s


def unused():
    s, to = bound(stream)
    s.close()
    return to


def pair():
    """A listener, a connection to it and its other end."""
    listener, to = bound(stream)
    listener.listen(1)
    c = stream()
    c.connect(to)
    return listener, c, listener.accept()[0]


def flags(s, mask=IN | OUT, ms=0):
    p = select.poll()
    p.register(s, mask)
    found = p.poll(ms)
    return found[0][1] if found else 0


def readable(s):
    flags(s, IN, 2000)


def refused():
    say("connect refused", stream().connect, unused())
    s = stream()
    s.settimeout(2)
    say("connect refused, timeout", s.connect, unused())
    s = stream()
    s.setblocking(False)
    say("connect refused, non-blocking", s.connect, unused())
    readable(s)
    say("poll refused", flags, s)
    say("recv refused", s.recv, 1)


def unconnected():
    s = stream()
    say("poll unconnected", flags, s)
    say("recv unconnected", s.recv, 1)
    say("read unconnected", s.read, 1)
    say("send unconnected", s.send, b"x")
    say("write unconnected", s.write, b"x")
    say("accept without listen", s.accept)
    say("listen without bind", s.listen, 1)
    say("family 99", socket.socket, 99)
    say("type 99", socket.socket, socket.AF_INET, 99)
    say("option 99", s.setsockopt, 6, 99, 1)
    say("no such name", socket.getaddrinfo, "no such name", 80)


def closed():
    s = stream()
    say("close", s.close)
    say("close twice", s.close)
    for name, args in (
        ("recv", (1,)),
        ("recvfrom", (1,)),
        ("read", (1,)),
        ("readline", ()),
        ("readinto", (bytearray(1),)),
        ("send", (b"x",)),
        ("sendall", (b"x",)),
        ("write", (b"x",)),
        ("bind", (address(0),)),
        ("listen", (1,)),
        ("accept", ()),
        ("connect", (address(9),)),
        ("setblocking", (False,)),
        ("settimeout", (1,)),
    ):
        say(name + " closed", call, s, name, args)
    say("poll closed", flags, s)
    s = datagram()
    s.close()
    say("datagram recv closed", s.recv, 1)
    say("datagram sendto closed", s.sendto, b"x", address(9))


def timeouts():
    listener, c, s = pair()
    listener.settimeout(0.05)
    say("accept timeout", listener.accept)
    listener.setblocking(False)
    say("accept non-blocking", listener.accept)
    say("poll listening", flags, listener)
    c.settimeout(0.05)
    begin = time.ticks_ms()
    say("recv timeout", c.recv, 1)
    say("as long as asked", lambda: 40 < time.ticks_diff(time.ticks_ms(), begin) < 2000)
    for how, blocking in (("timeout", True), ("non-blocking", False)):
        if not blocking:
            c.setblocking(False)
        say("read " + how, c.read, 1)
        say("readinto " + how, c.readinto, bytearray(3))
        say("readline " + how, c.readline)
        say("read all " + how, c.read)
    say("recv non-blocking", c.recv, 1)
    c.settimeout(0)
    say("recv timeout 0", c.recv, 1)
    c.settimeout(None)
    say("poll idle", flags, c)
    for one in (c, s, listener):
        one.close()


def data():
    listener, c, s = pair()
    say("send", s.send, b"hello\nworld")
    readable(c)
    say("poll data", flags, c)
    say("recv part", c.recv, 3)
    say("readline", c.readline)
    say("read part", c.read, 2)
    c.setblocking(False)
    into = bytearray(6)
    say("readinto part", c.readinto, into)
    say("its buffer", bytes, into)
    s.send(b"abc")
    readable(c)
    say("read part non-blocking", c.read, 10)
    s.send(b"no newline")
    readable(c)
    say("readline part non-blocking", c.readline)
    s.send(b"a")
    readable(c)
    say("read all non-blocking", c.read)
    say("send nothing", c.send, b"")
    say("write nothing", c.write, b"")
    c.setblocking(True)
    say("sendall", call, c, "sendall", (b"xyz",))
    if not hasattr(c, "sendall"):
        c.send(b"xyz")
    say("read all of it", s.read, 3)
    for n, one in enumerate(("\u00e9\u00b0x\n", array.array("H", (1, 2, 3)), bytearray(b"abc"))):
        say("send buffer %d" % n, c.send, one)
        say("write buffer %d" % n, c.write, one)
        say("read buffers %d" % n, s.read, (12, 12, 6)[n])
    for name in ("send", "sendall", "write"):
        say(name + " a number", call, c, name, (5,))
    s.send(b"q")
    say("recvfrom", lambda: c.recvfrom(4)[0])
    s.send(b"tail")
    s.close()
    time.sleep_ms(300)
    say("poll end", flags, c)
    say("read to the end", c.read, 10)
    for name, args in (("recv", (10,)), ("readline", ()), ("readinto", (bytearray(2),))):
        say(name + " at the end", call, c, name, args)
    say("read all at the end", c.read)
    say("poll end, all read", lambda: (flags(c), flags(c, IN), flags(c, OUT)))
    say("send to the gone", c.send, b"x")
    time.sleep_ms(50)
    say("poll reset after the end", flags, c)
    say("send after a reset", c.send, b"y")
    say("send again after a reset", c.send, b"y")
    say("recv after a reset", c.recv, 1)
    c.close()
    listener.close()


def reset():
    listener, c, s = pair()
    s.send(b"unread")
    readable(c)
    c.close()
    time.sleep_ms(50)
    say("poll reset", flags, s)
    say("recv reset", s.recv, 1)
    say("recv reset again", s.recv, 1)
    say("send reset", s.send, b"x")
    s.close()
    listener.close()


def full():
    listener, c, s = pair()
    c.setblocking(False)
    sent = 0
    for size in (65536, 1):
        part = bytes(size)
        while True:
            try:
                sent += c.send(part)
            except OSError:
                if not flags(c, OUT, 300):
                    break
    say("send full", c.send, b"x")
    say("some went", lambda: sent > 1000)
    say("poll full", flags, c)
    say("write full", c.write, b"x")
    c.settimeout(0.05)
    say("send full, timeout", c.send, b"x")
    say("write full, timeout", c.write, b"x")
    say("sendall full, timeout", call, c, "sendall", (b"x",))
    c.setblocking(False)
    s.settimeout(2)
    got = 0
    while got < sent:
        got += len(s.recv(65536))
    say("all came", lambda: got == sent)
    say("poll emptied", flags, c)
    say("partial write", lambda: 0 < c.write(bytes(20000000)) < 20000000)
    for one in (c, s, listener):
        one.close()


def binding():
    a, to = bound(stream)
    a.listen(1)
    b = stream()
    say("bind taken", b.bind, to)
    say("bind twice", a.bind, unused())
    say("listen twice", a.listen, 2)
    say("connect listening", a.connect, to)
    say("recv listening", a.recv, 1)
    say("send listening", a.send, b"x")
    a.close()
    say("bind freed", stream().bind, to)
    listener, c, s = pair()
    say("connect connected", c.connect, unused())
    c.send(b"bye")
    c.close()
    say("read after close", s.read)
    s.close()
    listener.close()
    listener, to = bound(lambda: sharing(stream()))
    listener.listen(1)
    c = stream()
    c.connect(to)
    s = listener.accept()[0]
    listener.close()
    say("bind beside a connection", stream().bind, to)
    s.close()  # the first to close: it stays in TIME-WAIT
    c.close()
    time.sleep_ms(50)
    say("bind in TIME-WAIT", stream().bind, to)
    b = sharing(stream())
    say("bind in TIME-WAIT, SO_REUSEADDR", b.bind, to)
    say("listen in TIME-WAIT, SO_REUSEADDR", b.listen, 1)


def datagrams():
    u, to = bound(datagram)
    v = datagram()
    say("datagram poll", flags, u)
    say("datagram sendto", v.sendto, b"one", to)
    say("datagram sendto nothing", v.sendto, b"", to)
    say("datagram sendto more", v.sendto, b"longer", to)
    readable(u)
    say("datagram poll data", flags, u)
    say("datagram recv", u.recv, 10)
    say("datagram recv nothing", u.recv, 10)
    say("datagram recv cut", u.recv, 3)
    say("datagram sendto text", v.sendto, "\u00e9\u00b0x", to)
    readable(u)
    say("datagram recv text", u.recv, 10)
    u.settimeout(0.05)
    say("datagram recv timeout", u.recv, 10)
    u.setblocking(False)
    say("datagram recvfrom non-blocking", u.recvfrom, 10)
    say("datagram read non-blocking", u.read, 10)
    say("datagram send unconnected", v.send, b"x")
    say("datagram connect", v.connect, to)
    say("datagram send", v.send, b"x")
    readable(u)
    say("datagram recvfrom", lambda: u.recvfrom(9)[0])
    say("datagram write", v.write, b"y")
    readable(u)
    say("datagram read", u.read, 9)
    say("datagram listen", u.listen, 1)
    say("datagram accept", u.accept)
    say("datagram too long", v.send, bytes(70000))
    a = datagram()
    say("datagram bind taken", a.bind, to)
    say("datagram bind, reuse by one", sharing(a).bind, to)
    a, to = bound(lambda: sharing(datagram()))
    say("datagram bind, reuse by both", sharing(datagram()).bind, to)
    w = datagram()
    w.connect(unused())
    w.send(b"x")
    time.sleep_ms(50)
    say("datagram poll refused", flags, w)
    say("datagram recv refused", w.recv, 1)
    w.setblocking(False)
    say("datagram recv refused again", w.recv, 1)


for one in (
    refused, unconnected, closed, timeouts, data, reset, full, binding, datagrams,
):  # fmt: skip
    one()
print("end")
