# The viper routines of viper/serial.py against their twins, and what a segment looks like.
import array
import os

from harness import SkipTest
from viperip.bytecode import serial as twin

try:
    from viperip.viper import serial as fast
except SyntaxError:
    fast = None

ROUNDS = 300
MOST = 122


def rnd(n):
    r = os.urandom(2)
    return (r[0] << 8 | r[1]) % n


def both():
    return [f for f in (fast, twin) if f is not None]


def made(f, head, ring, pos, n):
    out = bytearray(b"\xee" * 160)
    s = array.array("i", (pos, n, len(ring), head, 0, 0, n))
    m = f.segment(out, ring, s)
    assert (s[0] - pos - n) % len(ring) == 0 and s[0] < len(ring) and s[1] == 0
    return bytes(out[:m])


def appended(f, at, waiting, size, hn, off, n):
    ring = bytearray(size)
    s = array.array("i", (at, waiting, size, 0, hn, off, n))
    f.record(ring, s, b"head", bytes(range(60)))
    return bytes(ring), list(s)


def opened(f, segment):
    buf = bytearray(segment)
    n = f.unsegment(buf, len(buf))
    return bytes(buf[:n]) if n >= 0 else None


def spiteful(n):
    # Bytes of which many are those that must not occur.
    return bytes([(0, 3, 3, 0, 1, b, b, 255)[b & 7] for b in os.urandom(n)])


def test_the_bytes_of_a_segment():
    # RFC 1662 C.1: the FCS of "123456789" with this polynomial is 0x906E. A code stands before a
    # group: twice the number of its bytes, one more where 3 and not 0 follows, moved past 0 and 3.
    for f in both():
        assert made(f, 0x31, b"23456789", 0, 8) == b"\0\x18123456789\x6e\x90\0"
        s = made(f, 0xC0, b"\0\3\3\0", 0, 4)
        assert s[:6] == b"\0\x04\xc0\x02\x02\x01" and s[6] == 6 and len(s) == 10


def test_a_segment_has_no_zero_and_no_ctrl_c_and_a_fixed_length():
    for f in both():
        for n in range(MOST + 1):
            data = spiteful(n)
            s = made(f, rnd(256), data or b"x", 0, n)
            inner = s[1:-1]
            assert s[0] == s[-1] == 0 and 0 not in inner and 3 not in inner
            assert len(s) == n + 6
            assert opened(f, inner)[1:] == data


def test_the_ring_wraps():
    for f in both():
        ring = bytes(range(50))
        for pos in range(50):
            got = opened(f, made(f, 7, ring, pos, 50)[1:-1])
            assert got == b"\7" + ring[pos:] + ring[:pos]


def test_a_record_is_its_length_its_head_and_its_data():
    for f in both():
        ring, s = appended(f, 3, 2, 12, 1, 7, 3)
        assert ring == b"\0\0\0\0\0\0\x04h\7\x08\x09\0"
        assert s[:2] == [3, 8]


def test_both_append_alike():
    if fast is None:
        raise SkipTest("no viper emitter here")
    for _ in range(ROUNDS):
        args = (rnd(70), rnd(5), 70, rnd(5), rnd(10), rnd(50))
        assert appended(fast, *args) == appended(twin, *args)


def test_both_agree():
    if fast is None:
        raise SkipTest("no viper emitter here")
    for _ in range(ROUNDS):
        ring = spiteful(200)
        args = (rnd(256), ring, rnd(200), rnd(MOST + 1))
        s = made(fast, *args)
        assert s == made(twin, *args)
        broken = bytearray(s[1:-1])
        for _ in range(rnd(3)):
            broken[rnd(len(broken))] = os.urandom(1)[0]
        broken = broken[: len(broken) - rnd(2)]
        assert opened(fast, broken) == opened(twin, broken)
        noise = spiteful(rnd(125))
        assert opened(fast, noise) == opened(twin, noise)


def test_broken_segments_are_refused():
    for f in both():
        s = made(f, 0xC5, b"some\0data\3here", 0, 14)[1:-1]
        assert opened(f, s) is not None
        for n in range(len(s)):
            assert opened(f, s[:n]) is None
        for i in range(len(s)):
            for bit in range(8):
                b = bytearray(s)
                b[i] ^= 1 << bit
                assert opened(f, b) is None, (i, bit)
