# The machine that `viperip capture --filter` programs: viper/filter.py and its twin.
import os

from harness import ICMP, MAC, ME, PEER, PEER_MAC, SkipTest, UDP, arp, eth, icmp, ipv4, udp
from viperip.bytecode import filter as twin

try:
    from viperip.viper import filter as fast
except SyntaxError:
    fast = None

DATAGRAM = eth(MAC, PEER_MAC, 0x800, ipv4(PEER, ME, UDP, udp(53, 4000, b"hello")))
FRAGMENT = eth(MAC, PEER_MAC, 0x800, ipv4(PEER, ME, UDP, udp(53, 4000, b"hello"), frag=2))
PING = eth(MAC, PEER_MAC, 0x800, ipv4(PEER, ME, ICMP, icmp(8, 0)))
WHO_HAS = arp(1, PEER_MAC, PEER, bytes(6), ME)
TAGGED = DATAGRAM[:12] + b"\x81\0\0\x05" + DATAGRAM[12:]

UDP_ = b"\3\x11"
IN, OUT = b"\1\0", b"\1\1"
IP, ARP = b"\2\x08\0", b"\2\x08\x06"
HOST = b"\xff\xff\xff\xff"


def program(*parts):
    return b"".join(parts) + b"\0"


def net(which, mask, address):
    return bytes((4, which)) + mask + address


def check(want, program, frame, sent=False, n=None):
    # Inside a larger buffer: what lies behind the frame must not count.
    buf = b"\0\0" + frame + b"\xff" * 20
    for f in (fast, twin):
        if f is not None:
            got = f.match(program, buf, 2, len(frame) if n is None else n, sent)
            assert got == want, (f.__name__, got)


def test_direction():
    check(1, program(IN), PING, False)
    check(0, program(IN), PING, True)
    check(1, program(OUT), PING, True)


def test_protocols():
    for frame, kinds in (
        (DATAGRAM, (1, 0, 1)),
        (PING, (1, 0, 0)),
        (WHO_HAS, (0, 1, 0)),
        (TAGGED, (1, 0, 1)),
    ):
        for part, want in zip((IP, ARP, UDP_), kinds):
            check(want, program(part), frame)


def test_addresses():
    other = b"\x0a\0\0\x63"
    for frame in (DATAGRAM, WHO_HAS, TAGGED):
        check(1, program(net(1, HOST, PEER)), frame)
        check(0, program(net(2, HOST, PEER)), frame)
        check(1, program(net(2, HOST, ME)), frame)
        check(1, program(net(3, HOST, ME)), frame)
        check(0, program(net(3, HOST, other)), frame)
        check(1, program(net(3, b"\xff\xff\xff\0", b"\x0a\0\0\0")), frame)
    check(1, program(b"\6\1", PEER_MAC), PING)
    check(0, program(b"\6\2", PEER_MAC), PING)
    check(1, program(b"\6\3", MAC), PING)


def test_ports():
    for which, port, want in ((1, 53, 1), (2, 53, 0), (3, 53, 1), (2, 4000, 1), (3, 80, 0)):
        part = program(bytes((5, which, port >> 8, port & 0xFF)))
        check(want, part, DATAGRAM)
        check(want, part, TAGGED)
        check(0, part, PING)
        # RFC 791 3.2: only the first fragment has the ports.
        check(0, part, FRAGMENT)


def test_combinations():
    for a in (0, 1):
        x = IN if a else OUT
        check(1 - a, program(x, b"\x09"), PING)
        for b in (0, 1):
            y = IP if b else ARP
            check(a & b, program(x, y, b"\7"), PING)
            check(a | b, program(x, y, b"\x08"), PING)
            check(a & b, program(UDP_, x, y, b"\7", b"\x08"), PING)
            check(a | b, program(IP, x, y, b"\x08", b"\7"), PING)


def test_what_a_cut_frame_does_not_have():
    port = program(b"\5\3\0\x35")
    host = program(net(3, HOST, ME))
    for n in range(14, len(DATAGRAM)):
        check(int(n >= 38), port, DATAGRAM, n=n)
        check(int(n >= 34), host, DATAGRAM, n=n)
    for n in range(14, len(WHO_HAS)):
        check(int(n >= 42), host, WHO_HAS, n=n)


def test_both_agree_about_noise():
    if fast is None:
        raise SkipTest("no viper emitter here")
    parts = (IN, OUT, IP, ARP, UDP_, b"\3\6", net(3, HOST, ME), b"\5\3\0\x35", b"\6\2" + MAC)
    frames = (DATAGRAM, FRAGMENT, PING, WHO_HAS, TAGGED)
    for i in range(400):
        r = os.urandom(8)
        a, b = parts[r[0] % len(parts)], parts[r[1] % len(parts)]
        p = program(a, b, bytes((7 + r[2] % 2,)), b"\x09" if r[3] & 1 else b"")
        frame = bytearray(frames[r[4] % len(frames)])
        frame[12 + r[5] % 30] = r[6]
        n = 14 + r[7] % (len(frame) - 13)
        sent = bool(i & 1)
        assert fast.match(p, frame, 0, n, sent) == twin.match(p, frame, 0, n, sent)
