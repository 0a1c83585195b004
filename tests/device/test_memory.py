# The viper routines of viper/memory.py against their bytecode twins.
import array
import os

from harness import SkipTest, checksum
from viperip.bytecode import memory as twin

try:
    from viperip.viper import memory as fast
except SyntaxError:
    fast = None

TARGETS = ("unix", "unix32")
ROUNDS = 300
_state = [0x2545]


def rnd(n):
    # Repeatable: a failure shows again. A linear congruential generator of 29 bits.
    _state[0] = (_state[0] * 1103 + 12345) & 0x1FFFFFF
    return (_state[0] >> 5) % n


def routines():
    if fast is None:
        raise SkipTest("no viper emitter here")
    return fast


def same(a, b, what):
    assert a == b, (a, b, what)


def test_sum16_lengths_and_offsets():
    f = routines()
    buf = bytearray(os.urandom(1600))
    for n in range(0, 70):
        for off in range(4):
            same(f.sum16(buf, off, n), twin.sum16(buf, off, n), (off, n))
    for _ in range(ROUNDS):
        off = rnd(50)
        n = rnd(1550)
        same(f.sum16(buf, off, n), twin.sum16(buf, off, n), (off, n))


def test_sum16_does_not_overflow():
    # RFC 1071 2: the carries of the longest datagram of all ones.
    f = routines()
    buf = bytearray(b"\xff" * 65537)
    for off in range(2):
        for n in (65534, 65535):
            same(f.sum16(buf, off, n), twin.sum16(buf, off, n), (off, n))
    same(f.sum16(bytes(100), 0, 100), 0, "zeros")


def test_sum16_is_the_internet_checksum():
    f = routines()
    for n in (20, 21, 64, 1001):
        data = os.urandom(n)
        s = f.sum16(data, 0, n) ^ 0xFFFF
        same((s & 0xFF) << 8 | s >> 8, checksum(data), n)


def test_pseudo_sum():
    f = routines()
    for _ in range(ROUNDS):
        buf = os.urandom(30)
        ip = rnd(9)
        length = rnd(65536)
        proto = (6, 17)[rnd(2)]
        got = f.pseudo_sum(buf, ip, proto, length)
        same(got, twin.pseudo_sum(buf, ip, proto, length), (ip, proto, length))
        head = buf[ip + 12 : ip + 20] + bytes((0, proto, length >> 8, length & 0xFF))
        c = got ^ 0xFFFF
        same((c & 0xFF) << 8 | c >> 8, checksum(head), (ip, proto, length))


def test_ring_copy_plain():
    f = routines()
    src = os.urandom(700)
    for _ in range(ROUNDS):
        n = rnd(600)
        d, s = rnd(60), rnd(60)
        a, b = bytearray(700), bytearray(700)
        same(
            f.ring_copy(a, d, src, s, 0, n),
            twin.ring_copy(b, d, src, s, 0, n),
            (d, s, n),
        )
        same(a, b, (d, s, n))


def test_ring_copy_wraps_on_either_side():
    f = routines()
    for _ in range(2 * ROUNDS):
        size = 1 + rnd(90)
        n = rnd(size + 1)
        at, plain = rnd(size), rnd(7)
        src = os.urandom(100)
        # Two bytes behind the ring must stay as they are.
        a, b = bytearray(size + 2), bytearray(size + 2)
        args = (size, n, at, plain)
        same(
            f.ring_copy(a, at, src, plain, size, n),
            twin.ring_copy(b, at, src, plain, size, n),
            args,
        )
        same(a, b, args)
        same(bytes(a[size:]), b"\0\0", args)
        a, b = bytearray(110), bytearray(110)
        same(
            f.ring_copy(a, plain, src, at, -size, n),
            twin.ring_copy(b, plain, src, at, -size, n),
            args,
        )
        same(a, b, args)


def test_copy():
    f = routines()
    src = os.urandom(400)
    for _ in range(ROUNDS):
        n = rnd(300)
        d, s = rnd(40), rnd(40)
        a, b = bytearray(400), bytearray(400)
        f.copy(a, d, src, s, n)
        twin.copy(b, d, src, s, n)
        same(a, b, (d, s, n))


def test_equal():
    f = routines()
    for _ in range(ROUNDS):
        n = rnd(20)
        x, y = rnd(5), rnd(5)
        a = bytearray(os.urandom(30))
        b = bytearray(30)
        b[y : y + n] = a[x : x + n]
        same(f.equal(a, x, b, y, n), 1, (x, y, n))
        if n:
            at = y + rnd(n)
            b[at] ^= 1 << rnd(8)
            same(f.equal(a, x, b, y, n), 0, (x, y, n))
            same(twin.equal(a, x, b, y, n), 0, (x, y, n))


def test_find():
    f = routines()
    for _ in range(ROUNDS):
        width = 1 + rnd(6)
        rows = rnd(9)
        # Two values only, so that rows share their beginnings.
        table = bytes([rnd(2) for _ in range(rows * width)])
        key = bytes([rnd(2) for _ in range(width + 3)])
        off = rnd(4)
        args = (table, rows, width, key, off)
        same(f.find(*args), twin.find(*args), args)


def test_find16():
    f = routines()
    for _ in range(ROUNDS):
        rows = rnd(9)
        table = array.array("H", [65530 + rnd(6) for _ in range(rows)])
        args = (table, rows, 65530 + rnd(6), rnd(rows + 1))
        same(f.find16(*args), twin.find16(*args), args)


def test_words():
    f = routines()
    a, b = array.array("I", [0] * 4), array.array("I", [0] * 4)
    for _ in range(ROUNDS):
        buf = os.urandom(12)
        i, off, more = rnd(4), rnd(9), rnd(1 << 16)
        f.word_load(a, i, buf, off)
        twin.word_load(b, i, buf, off)
        f.word_add(a, i, more)
        twin.word_add(b, i, more)
        f.word_copy(a, (i + 1) % 4, a, i)
        twin.word_copy(b, (i + 1) % 4, b, i)
        same(list(a), list(b), (buf, i, off, more))
        x, y = bytearray(12), bytearray(12)
        f.word_store(x, off, a, i)
        twin.word_store(y, off, b, i)
        same(x, y, (buf, i, off))


def test_word_add_wraps():
    f = routines()
    a = array.array("I", [0xFFFFFFFF, 0xFFFFFFF0])
    f.word_add(a, 0, 1)
    f.word_add(a, 1, 0x20)
    same(list(a), [0, 0x10], "wrap")
    f.word_add(a, 0, -1)
    same(a[0], 0xFFFFFFFF, "down")


def test_word_diff_at_the_edges():
    # RFC 9293 3.4: the sign of a difference modulo 2**32, held within 30 bits.
    f = routines()
    edges = [0, 1, 2, 0xFFFF, 0x10000, 0x1FFFFFFF, 0x20000000, 0x20000001, 0x3FFFFFFF]
    edges += [0x40000000, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xDFFFFFFF, 0xE0000000]
    edges += [0xE0000001, 0xFFFF0000, 0xFFFFFFFE, 0xFFFFFFFF]
    for x in edges:
        for y in edges:
            a = array.array("I", [0, x])
            b = array.array("I", [y])
            same(f.word_diff(a, 1, b, 0), twin.word_diff(a, 1, b, 0), (x, y))
    one = array.array("I", [1, 0xFFFFFFFF])
    same(f.word_diff(one, 0, one, 1), 2, "across zero")
    same(f.word_diff(one, 1, one, 0), -2, "across zero")
