# The viper routines that convert data frames, against their twins and against the layout itself.
import random

from viperip import native
from viperip.bytecode import wifi as slow

LLC = b"\xaa\xaa\x03\0\0\0"


def noise(n):
    return bytes([random.getrandbits(8) for _ in range(n)])


def sides():
    if not native.VIPER:
        return (slow,)
    from viperip.viper import wifi as fast

    return (slow, fast)


def test_to_the_air():
    random.seed(1)
    for side in sides():
        for protected in (0, 1):
            # With 8 bytes for the CCMP header, or without.
            off, at = 4, 4 + (26 if protected else 18)
            eth, bssid = noise(14 + 46), noise(6)
            buf = bytearray(noise(at)) + bytearray(eth)
            side.to_air(buf, at, off, bssid, 0xABC, protected)
            head = bytes((8, 0x41 if protected else 1, 0, 0)) + bssid + eth[6:12] + eth[:6]
            assert buf[off : off + 24] == head + b"\xc0\xab"
            assert buf[at + 6 :] == LLC + eth[12:]


def test_to_ethernet():
    random.seed(2)
    for side in sides():
        for body in (24, 26, 32, 34):
            head, rest = noise(body), b"\x08\0" + noise(40)
            buf = bytearray(3) + bytearray(head + LLC + rest)
            at = side.to_ethernet(buf, 3, 3 + body)
            assert at == body - 3
            assert buf[at:] == head[4:10] + head[16:22] + rest
            for i in range(6):
                bad = bytearray(head + LLC + rest)
                bad[body + i] ^= 1
                before = bytes(bad)
                assert side.to_ethernet(bad, 0, body) == -1 and bad == before


def test_the_twins_agree():
    if not native.VIPER:
        return
    random.seed(3)
    slow_side, fast_side = sides()
    for _ in range(200):
        data, bssid, seq = noise(120), noise(6), random.getrandbits(12)
        a, b = bytearray(data), bytearray(data)
        at = random.choice((18, 26))
        for side, buf in ((slow_side, a), (fast_side, b)):
            side.to_air(buf, at, 0, bssid, seq, at == 26)
        assert a == b
        a[at + 6 : at + 12] = b[at + 6 : at + 12] = LLC
        assert slow_side.to_ethernet(a, 0, at + 6) == fast_side.to_ethernet(b, 0, at + 6)
        assert a == b
