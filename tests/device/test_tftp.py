# The TFTP server, packet by packet, on a fake clock and a filesystem in memory.
import os

import ram_folder
from harness import ALL_MAC, ICMP, ME, NET_BROADCAST, PEER, PEER_MAC, UDP, be16, get16, host, icmp
from harness import raises, udp
from ram_folder import read, write
from viperip.application.netascii import Decoder, Encoder
from viperip.application.tftp import Server
from viperip.errors import EADDRINUSE

HEAP = "4M"
RRQ, WRQ, DATA, ACK, ERROR, OACK = 1, 2, 3, 4, 5, 6
OTHER = b"\x0a\0\0\x07"


def rrq(name=b"file", mode=b"octet", *options, op=RRQ):
    out = be16(op) + name + b"\0" + mode + b"\0"
    for o in options:
        out += o + b"\0"
    return out


def wrq(name=b"new", mode=b"octet", *options):
    return rrq(name, mode, *options, op=WRQ)


def data(block, payload=b""):
    return be16(DATA) + be16(block) + payload


def ack(block):
    return be16(ACK) + be16(block)


class World:
    def __init__(self, write=True, kilobytes=128):
        self.root = ram_folder.folder(kilobytes)
        self.h = host()
        self.h.ifc.arp.add(OTHER, PEER_MAC)
        self.server = Server(self.root, write, stack=self.h.stack)
        self.server.start()

    def send(self, message, port=69, sport=2000, src=PEER):
        # What comes back at once: [(port, message)].
        self.h.ip(UDP, udp(sport, port, message, src=src), src=src)
        return self.got(sport, src)

    def got(self, sport=2000, src=PEER):
        out = []
        for d in self.h.datagrams():
            if d.proto == UDP:
                assert d.dst == src and get16(d.payload, 2) == sport and d.src == ME
                out.append((get16(d.payload, 0), d.payload[8:]))
        return out

    def error(self, message, port=69, **kw):
        # The code of the ERROR that is the answer.
        ((_, m),) = self.send(message, port, **kw)
        assert m[:2] == be16(ERROR) and m[-1] == 0 and b"\0" not in m[4:-1], m
        return get16(m, 2)

    def get(self, request, size=512, **kw):
        # A file, block by block.
        out = b""
        ((tid, m),) = self.send(request, **kw)
        assert tid >= 49152
        if m[1] == OACK:
            ((_, m),) = self.send(ack(0), tid, **kw)
        block = 1
        while True:
            assert m[:4] == data(block & 0xFFFF), m[:4]
            out += m[4:]
            answer = self.send(ack(block), tid, **kw)
            if len(m) < 4 + size:
                assert not answer
                return out
            ((_, m),) = answer
            block += 1

    def put(self, request, content, size=512):
        ((tid, m),) = self.send(request)
        assert m == ack(0) or m[1] == OACK
        for i in range(len(content) // size + 1):
            ((_, m),) = self.send(data((i + 1) & 0xFFFF, content[i * size :][:size]), tid)
            assert m == ack(i + 1)
        return tid

    def idle(self):
        # All that was opened is closed again.
        return not self.server.sessions and len(self.h.stack.udp.endpoints) == 1


def pattern(n):
    return bytes([(i * 7 + (i >> 8)) & 0xFF for i in range(n)])


def test_reading():
    # RFC 1350 6: the transfer ends with a block that is not full, an empty one if need be.
    w = World()
    for n in (0, 1, 511, 512, 513, 1024, 5000):
        write(w.root + "/file", pattern(n))
        assert w.get(rrq()) == pattern(n) and w.idle()
    os.mkdir(w.root + "/sub")
    write(w.root + "/sub/file", b"deep")
    for name in (b"sub/file", b"/sub/file", b"./sub//./file"):
        assert w.get(rrq(name, b"OcTeT")) == b"deep"
    assert w.h.stat("tftpd_read") == 10 and w.h.stat("tftpd_failed") == 0


def test_writing():
    w = World()
    for n in (0, 1, 511, 512, 1024, 3000):
        w.put(wrq(), pattern(n))
        assert read(w.root + "/new") == pattern(n)
        # RFC 1350 6: the port stays for a moment.
        assert len(w.server.sessions) == 1
        w.h.run(16000)
        assert w.idle() and not w.got()
    assert w.h.stat("tftpd_written") == 6 and w.h.stat("tftpd_failed") == 0
    assert os.listdir(w.root) == ["new"]


def test_nothing_outside_the_folder():
    w = World()
    write(w.root + "/../secret", b"secret")
    write(w.root + "/file", b"x")
    for name in (
        b"../secret",
        b"/../secret",
        b"x/../../secret",
        b"./../secret",
        b"..\\secret",
        b"..",
        b"file/..",
        b"c:secret",
        b"a\nb",
        b"\x7f",
        b"",
        b"/",
        b"file.part~",
    ):
        assert w.error(rrq(name)) == 2, name
        assert w.error(wrq(name)) == 2, name
    assert w.error(rrq(w.root.encode() + b"/file")) == 1
    assert w.error(rrq(b"file/x")) in (1, 0)
    assert w.idle() and os.listdir(w.root) == ["file"]


def test_what_is_not_there_and_what_is_not_allowed():
    w = World(write=False)
    os.mkdir(w.root + "/sub")
    assert w.error(rrq(b"absent")) == 1
    assert w.error(rrq(b"sub")) == 2
    assert w.error(wrq()) == 2
    w = World()
    assert w.error(wrq(b"absent/new")) == 1
    assert w.idle() and os.listdir(w.root) == []
    assert w.h.stat("tftpd_failed") == 4 or w.h.stat("tftpd_failed") == 1


def test_options():
    # RFC 2347: OACK, and the client's ACK 0 before the first block.
    w = World()
    write(w.root + "/file", pattern(3000))
    m = rrq(b"file", b"octet", b"BLKSIZE", b"1000", b"tsize", b"0", b"timeout", b"3", b"x", b"y")
    ((tid, said),) = w.send(m)
    assert said == b"\0\6" + b"blksize\x001000\0tsize\x003000\0timeout\x003\0"
    assert w.send(ack(1), tid) == []  # not yet
    ((_, first),) = w.send(ack(0), tid)
    assert first == data(1, pattern(1000))
    w.h.run(2900)
    assert not w.got()
    w.h.run(200)
    assert w.got() == [(tid, first)]
    w.send(be16(ERROR) + b"\0\0\0", tid)
    assert w.idle()
    assert w.get(rrq(b"file", b"octet", b"blksize", b"8"), 8) == pattern(3000)
    # RFC 2348: the server may answer less. A block fills the wire's MTU at most.
    ((tid, said),) = w.send(rrq(b"file", b"octet", b"blksize", b"65464"))
    assert said == b"\0\6blksize\x001468\0"
    ((_, first),) = w.send(ack(0), tid)
    assert first == data(1, pattern(1468))
    w.send(be16(ERROR) + be16(8) + b"no\0", tid)
    assert w.idle()


def test_options_that_are_none():
    # RFC 2347: not acknowledged; without any that is, there is no OACK.
    w = World()
    write(w.root + "/file", b"abc")
    for name, value in (
        (b"blksize", b"7"),
        (b"blksize", b"65465"),
        (b"blksize", b"-8"),
        (b"blksize", b""),
        (b"blksize", b"1e3"),
        (b"blksize", b"9" * 40),
        (b"timeout", b"0"),
        (b"timeout", b"256"),
        (b"tsize", b"x"),
        (b"windowsize", b"4"),
        (b"", b""),
    ):
        assert w.get(rrq(b"file", b"octet", name, value)) == b"abc", (name, value)
    # The second of two counts for nothing.
    m = rrq(b"file", b"octet", b"blksize", b"16", b"blksize", b"32")
    assert w.send(m)[0][1] == b"\0\6blksize\x0016\0"


def test_writing_with_options():
    w = World()
    m = wrq(b"new", b"octet", b"blksize", b"1024", b"tsize", b"2000")
    tid = w.put(m, pattern(2000), 1024)
    assert read(w.root + "/new") == pattern(2000)
    w.send(be16(ERROR) + b"\0\0\0", tid)
    assert w.idle() and read(w.root + "/new") == pattern(2000)
    # RFC 2349: it would not fit.
    assert w.error(wrq(b"new", b"octet", b"tsize", b"999999")) == 3
    assert read(w.root + "/new") == pattern(2000)


def test_netascii():
    w = World()
    text = b"one\ntwo\r\nthree\rfour\n" * 60
    wire = text.replace(b"\r", b"\r\0").replace(b"\n", b"\r\n")
    write(w.root + "/file", text)
    assert w.get(rrq(b"file", b"netascii")) == wire
    assert w.get(rrq(b"file", b"NETASCII", b"blksize", b"9", b"tsize", b"0"), 9) == wire
    w.put(wrq(b"new", b"netascii"), wire)
    assert read(w.root + "/new") == text
    for size in (8, 9, 10, 11):
        w.put(wrq(b"new%d" % size, b"netascii", b"blksize", b"%d" % size), wire, size)
        assert read(w.root + "/new%d" % size) == text
        w.h.run(16000)
    d = Decoder()
    assert d.feed(b"a\r", False) + d.feed(b"b\r", True) == b"a\rb\r"
    assert Decoder().feed(b"\r\r\n\r\0", True) == b"\r\n\r"


def test_a_lost_block_is_sent_again():
    # With doubled patience, and not for ever.
    w = World()
    write(w.root + "/file", pattern(600))
    ((tid, m),) = w.send(rrq())
    times = []
    for i in range(400):
        w.h.run(100)
        for got in w.got():
            assert got == (tid, m)
            times.append(i + 1)
    assert times == [10, 30, 70, 150, 230] and w.idle()
    assert w.h.stat("tftpd_failed") == 1
    # An answer on the way.
    ((tid, m),) = w.send(rrq())
    w.h.run(3500)
    assert w.got() == [(tid, m)] * 2
    ((_, m),) = w.send(ack(1), tid)
    assert m == data(2, pattern(600)[512:])
    w.h.run(1100)
    assert w.got() == [(tid, m)]
    assert w.send(ack(2), tid) == [] and w.idle()


def test_the_sorcerers_apprentice():
    # RFC 1123 4.2.3.1: an ACK that comes twice brings no block twice.
    w = World()
    write(w.root + "/file", pattern(3000))
    ((tid, _),) = w.send(rrq())
    ((_, two),) = w.send(ack(1), tid)
    assert w.send(ack(1), tid) == [] and w.send(ack(0), tid) == []
    ((_, three),) = w.send(ack(2), tid)
    assert w.send(ack(2), tid) == w.send(ack(1), tid) == w.send(ack(9), tid) == []
    assert three == data(3, pattern(3000)[1024:1536])
    w.h.run(900)
    assert w.got() == []
    w.h.run(200)
    assert w.got() == [(tid, three)]


def test_a_lost_ack_is_sent_again():
    w = World()
    ((tid, m),) = w.send(wrq())
    w.h.run(1100)
    assert w.got() == [(tid, ack(0))]
    full = pattern(512)
    assert w.send(data(0, full), tid) == []
    assert w.send(data(1, full), tid) == w.send(data(1, full), tid) == [(tid, ack(1))]
    assert w.send(data(3, full), tid) == []
    assert w.send(data(0, full), tid) == []
    assert w.send(data(2, b"end"), tid) == w.send(data(2, b"end"), tid) == [(tid, ack(2))]
    assert w.send(data(3, b"more"), tid) == []
    w.h.run(16000)
    assert w.idle() and read(w.root + "/new") == full + b"end"


def test_block_numbers_wrap():
    w = World()
    size = 8 * 65537 + 3

    class File:
        at = 0

        def readinto(self, b):
            n = min(len(b), size - self.at)
            self.at += n
            return n

        def close(self):
            pass

    write(w.root + "/file", b"")
    ((tid, m),) = w.send(rrq(b"file", b"octet", b"blksize", b"8"))
    w.server.sessions[0].file = File()
    s = w.server.sessions[0]
    s.block = 65533
    s.file.at = 8 * 65533
    for block in (65533, 65534, 65535, 0, 1):
        ((_, m),) = w.send(ack(block), tid)
        assert get16(m, 2) == (block + 1) & 0xFFFF
    assert len(m) == 7 and w.send(ack(2), tid) == [] and w.idle()


def test_strangers_do_not_disturb():
    # RFC 1350 4: an unknown transfer ID is told so, the transfer goes on.
    w = World()
    write(w.root + "/file", pattern(600))
    ((tid, _),) = w.send(rrq())
    assert w.error(ack(1), tid, sport=2001) == 5
    assert w.error(ack(1), tid, src=OTHER) == 5
    assert w.error(b"", tid, src=OTHER) == 5
    assert w.send(be16(ERROR) + b"\0\0\0", tid, src=OTHER) == []
    ((_, m),) = w.send(ack(1), tid)
    assert m == data(2, pattern(600)[512:])


def test_a_client_that_gives_up():
    w = World()
    write(w.root + "/file", pattern(600))
    ((tid, _),) = w.send(rrq())
    assert w.send(be16(ERROR) + b"\0\3full\0", tid) == [] and w.idle()
    # Or whose port is closed: ICMP says so.
    ((tid, m),) = w.send(rrq())
    quoted = b"\x45\0" + be16(28 + len(m)) + b"\0\1\0\0\x40\x11\0\0" + ME + PEER
    quoted += be16(tid) + be16(2000) + be16(8 + len(m)) + bytes(2)
    w.h.ip(ICMP, icmp(3, 3, data=quoted))
    w.h.run(100)
    assert w.idle() and w.got() == []
    # What it had begun to write is gone, what was there before is not.
    write(w.root + "/new", b"old")
    ((tid, _),) = w.send(wrq())
    w.send(data(1, pattern(512)), tid)
    assert w.send(be16(ERROR) + b"\0\0\0", tid) == []
    assert read(w.root + "/new") == b"old" and sorted(os.listdir(w.root)) == ["file", "new"]


def test_what_a_transfer_does_not_expect():
    w = World()
    write(w.root + "/file", pattern(600))
    for first, wrong in (
        (rrq(), data(1, b"x")),
        (rrq(), be16(7) + bytes(2)),
        (rrq(), b"\1\4\0\1"),
        (rrq(), b"\0\4\0"),
        (rrq(), b""),
        (rrq(), be16(OACK) + b"a\0b\0"),
        (wrq(), ack(0)),
        (wrq(), data(1, pattern(513))),
        (wrq(), data(1, pattern(1400))),
        (wrq(), b"\0\3\0"),
    ):
        ((tid, _),) = w.send(first)
        assert w.error(wrong, tid) == 4, wrong
        assert w.idle()
    assert os.listdir(w.root) == ["file"]


def test_requests_that_are_none():
    w = World()
    write(w.root + "/file", b"x")
    for m in (
        b"",
        b"\0",
        b"\0\1",
        b"\0\1\0\0"[:3],
        be16(RRQ) + b"file",
        be16(RRQ) + b"file\0",
        be16(RRQ) + b"file\0octet",
        be16(RRQ) + b"file\0octet\0blksize\0",
        be16(RRQ) + b"file\0octet\0blksize\x00512",
        be16(RRQ) + b"\xff\xfe\0octet\0",
        be16(WRQ) + b"x" * 1100 + b"\0octet\0",
        be16(9) + b"file\0octet\0",
        b"\1\1file\0octet\0",
        data(1, b"x"),
        ack(1),
    ):
        assert w.error(m) == 4, m
    assert w.h.stat("tftpd_bad") == 15
    assert w.error(rrq(b"file", b"mail")) == 4
    assert w.error(rrq(b"file", b"")) == 4
    # An ERROR is not answered, nor is a request to everybody (RFC 1123 4.2.3.4).
    assert w.send(be16(ERROR) + b"\0\0\0") == []
    w.h.ip(UDP, udp(2000, 69, rrq(), dst=NET_BROADCAST), dst=NET_BROADCAST, mac=ALL_MAC)
    w.h.ip(UDP, udp(0, 69, rrq()))
    assert not w.h.datagrams() and w.idle()


def test_any_byte_may_be_wrong():
    w = World()
    write(w.root + "/file", b"x")
    for good in (
        rrq(b"file", b"octet", b"blksize", b"512"),
        wrq(b"new", b"octet", b"tsize", b"9"),
    ):
        for i in range(len(good)):
            for v in (0, 0x2E, 0x2F, 0x80, 0xFF, good[i] ^ 1):
                w.send(good[:i] + bytes((v,)) + good[i + 1 :])
                for s in list(w.server.sessions):
                    s.close(False)
    assert w.get(rrq()) == b"x" and w.idle()
    assert [n for n in os.listdir(w.root) if n.endswith("~")] == []


def test_half_open_clients_do_not_starve_others():
    # Each has asked and never said a word again.
    w = World()
    write(w.root + "/file", pattern(2000))
    ((tid, _),) = w.send(rrq(), src=OTHER)
    w.send(ack(1), tid, src=OTHER)
    for i in range(40):
        assert len(w.send(rrq(), sport=3000 + i)) == 1
        assert len(w.server.sessions) <= 4 and len(w.h.stack.udp.endpoints) <= 5
    assert w.get(rrq(), sport=2500) == pattern(2000)
    # The one who has answered is still there.
    ((_, m),) = w.send(ack(2), tid, src=OTHER)
    assert m == data(3, pattern(2000)[1024:1536])
    w.send(ack(3), tid, src=OTHER)
    w.send(ack(4), tid, src=OTHER)
    w.h.run(35000)  # six times sent, up to eight seconds apart
    assert w.idle()


def test_busy():
    w = World()
    write(w.root + "/file", pattern(2000))
    tids = []
    for i in range(4):
        ((tid, _),) = w.send(rrq(), sport=3000 + i)
        w.send(ack(1), tid, sport=3000 + i)
        tids.append(tid)
    assert w.error(rrq()) == 0 and w.h.stat("tftpd_busy") == 1
    for i in range(4):
        ((_, m),) = w.send(ack(2), tids[i], sport=3000 + i)
        assert m[:4] == data(3)
    # They cannot hold on for ever.
    w.h.run(40000)
    w.h.sent()
    assert w.idle() and w.get(rrq()) == pattern(2000)


def test_a_request_twice_is_one_transfer():
    w = World()
    write(w.root + "/file", b"x")
    assert len(w.send(rrq())) == 1
    assert w.send(rrq()) == [] and len(w.server.sessions) == 1


def test_one_writer_a_file():
    w = World()
    ((tid, _),) = w.send(wrq())
    assert w.error(wrq(), sport=2001) == 2
    assert len(w.send(wrq(b"another"), sport=2001)) == 1
    w.send(data(1, b"first"), tid)
    # Once it is whole, the next one may.
    ((tid, _),) = w.send(wrq(), sport=2002)
    w.send(data(1, b"second"), tid, sport=2002)
    assert read(w.root + "/new") == b"second"


def test_a_full_filesystem():
    w = World(kilobytes=16)
    write(w.root + "/keep", b"old")
    ((tid, m),) = w.send(wrq(b"keep"))
    block = 1
    while m[1] != ERROR:
        ((_, m),) = w.send(data(block, pattern(512)), tid)
        block += 1
        assert block < 60
    assert get16(m, 2) == 3 and w.idle()
    assert read(w.root + "/keep") == b"old" and os.listdir(w.root) == ["keep"]


def test_starting_and_stopping():
    w = World()
    w.server.start()
    raises(EADDRINUSE, Server(w.root, stack=w.h.stack).start)
    write(w.root + "/file", pattern(600))
    ((tid, _),) = w.send(rrq())
    w.server.stop()
    w.server.stop()
    ((port, m),) = w.got()
    assert port == tid and m[:4] == be16(ERROR) + be16(0)
    assert not w.h.stack.udp.endpoints
    w.h.run(20000)
    assert not w.got()
    w.server.start()
    assert w.get(rrq()) == pattern(600)


def test_encoder():
    class File:
        def __init__(self, data):
            self.data = data

        def read(self, n):
            out, self.data = self.data[:n], self.data[n:]
            return out

    for n in range(1, 12):
        e = Encoder()
        f = File(b"a\n\r\nb\r")
        out = b""
        while True:
            b = bytearray(n)
            got = e.fill(f, b, 0)
            out += b[:got]
            if got < n:
                break
        assert out == b"a\r\n\r\0\r\nb\r\0", (n, out)
