# The viper routines of viper/ip.py against their bytecode twins.
import array
import os

from harness import SkipTest, ipv4
from viperip.address import prefix_mask
from viperip.bytecode import ip as twin

try:
    from viperip.viper import ip as fast
except SyntaxError:
    fast = None

TARGETS = ("unix", "unix32")
ROUNDS = 400
MAC = b"\x02\x11\x22\x33\x44\x55"


def rnd(n):
    r = os.urandom(2)
    return (r[0] << 8 | r[1]) % n


def routines():
    if fast is None:
        raise SkipTest("no viper emitter here")
    return fast


def same(a, b, what):
    assert a == b, (a, b, what)


def test_eth_parse():
    f = routines()
    for _ in range(ROUNDS):
        frame = bytearray(os.urandom(40))
        off = rnd(5)
        if rnd(2):
            frame[off : off + 6] = MAC
        if rnd(2):
            frame[off + 6] &= 0xFE
        if rnd(2):
            frame[off + 12] = rnd(9)
        for n in (0, 13, 14, 30):
            args = (frame, off, n, MAC)
            same(f.eth_parse(*args), twin.eth_parse(*args), args)


def test_eth_parse_kinds():
    for f in (routines(), twin):
        head = MAC + b"\x02\0\0\0\0\x01"
        same(f.eth_parse(head + b"\x08\0", 0, 14, MAC), 0x800, "ours")
        same(f.eth_parse(head + b"\x05\xff", 0, 14, MAC), -3, "a length")
        same(f.eth_parse(head + b"\x06\0", 0, 14, MAC), 0x600, "the first type")
        same(f.eth_parse(b"\xff" * 6 + head[6:] + b"\x86\xdd", 0, 14, MAC), 0x186DD, "group")
        for i in range(6):
            other = bytearray(head + b"\x08\0")
            other[i] ^= 0x80
            same(f.eth_parse(other, 0, 14, MAC), -2, i)
        same(f.eth_parse(MAC + b"\x03\0\0\0\0\x01\x08\0", 0, 14, MAC), -4, "group source")


def test_eth_build():
    f = routines()
    for _ in range(ROUNDS):
        macs = os.urandom(24)
        off, at, kind = rnd(6), rnd(18), rnd(65536)
        a, b = bytearray(30), bytearray(30)
        f.eth_build(a, off, macs, at, MAC, kind)
        twin.eth_build(b, off, macs, at, MAC, kind)
        same(a, b, (macs, off, at, kind))


def test_ip_class():
    f = routines()
    values = (0, 1, 10, 126, 127, 128, 223, 224, 239, 240, 254, 255)
    for bits in range(33):
        mask = prefix_mask(bits)
        for _ in range(60):
            net = bytes([values[rnd(12)] for _ in range(4)]) + mask
            a = bytearray([values[rnd(12)] for _ in range(4)])
            if rnd(2):
                # A neighbour, or a broadcast address of the same network.
                for i in range(4):
                    ones = ~mask[i] & (0xFF if rnd(2) else rnd(256))
                    a[i] = net[i] & mask[i] | ones & 0xFF
            same(f.ip_class(a, 0, net), twin.ip_class(a, 0, net), (a, net))


def test_ip_class_known():
    net = b"\x0a\0\0\x01\xff\xff\xff\0"
    known = (
        (b"\0\0\0\0", 0),
        (b"\x0a\0\0\x01", 1),
        (b"\x0a\0\0\xff", 2),
        (b"\xff\xff\xff\xff", 2),
        (b"\xe0\0\0\x01", 3),
        (b"\x7f\0\0\x01", 4),
        (b"\x0a\0\0\x02", 5),
        (b"\x0a\0\x01\xff", 5),
        (b"\xf0\0\0\x01", 6),
        (b"\xff\xff\xff\xfe", 6),
    )
    for f in (routines(), twin):
        for a, kind in known:
            same(f.ip_class(b"\0" + a, 1, net), kind, a)
        # RFC 3021: no broadcast address on a /31; RFC 4632: nor on a /32.
        same(f.ip_class(b"\x0a\0\0\x01", 0, b"\x0a\0\0\0\xff\xff\xff\xfe"), 5, "/31")
        same(f.ip_class(b"\x0a\0\0\x03", 0, b"\x0a\0\0\x01\xff\xff\xff\xfc"), 2, "/30")
        same(f.ip_class(b"\x0a\0\0\xff", 0, bytes(8)), 5, "not configured")


def test_ip_parse():
    f = routines()
    seen = set()
    for _ in range(2 * ROUNDS):
        options = bytes(4 * rnd(11))
        d = bytearray(rnd(4) * b"\0" or b"")
        off = len(d)
        frame = ipv4(os.urandom(4), os.urandom(4), rnd(256), os.urandom(rnd(30)), options=options)
        d += frame
        n = len(frame)
        k = rnd(4)
        if k == 1:
            d[off + rnd(20)] ^= 1 << rnd(8)
        elif k == 2:
            n = rnd(n + 1)
        elif k == 3:
            d += bytes(9)
            n += 9
        a, b = array.array("i", [0] * 5), array.array("i", [0] * 5)
        r = f.ip_parse(d, off, n, a)
        seen.add(r)
        same(r, twin.ip_parse(d, off, n, b), (d, off, n))
        same(list(a), list(b), (d, off, n))
    assert 0 in seen and -5 in seen and -1 in seen


def test_ip_build():
    f = routines()
    for _ in range(ROUNDS):
        off = rnd(5)
        total = rnd(65536)
        args = array.array("i", [total, rnd(65536), rnd(65536), rnd(256) << 16 | rnd(65536)])
        a = bytearray(os.urandom(30))
        b = bytearray(a)
        f.ip_build(a, off, args)
        twin.ip_build(b, off, args)
        same(a, b, (off, args))
        out = array.array("i", [0] * 5)
        same(f.ip_parse(a, off, 65535, out), 0 if total >= 20 else -4, args)


def test_route_find():
    f = routines()
    for _ in range(ROUNDS):
        rows = rnd(6)
        table = b""
        for _ in range(rows):
            mask = prefix_mask(rnd(33))
            table += bytes([rnd(2) & m for m in mask]) + mask
        a = bytes([rnd(2) for _ in range(6)])
        args = (table, rows, a, rnd(3), rnd(rows + 1))
        same(f.route_find(*args), twin.route_find(*args), args)
