# The EMAC driver's hot routines: in order, and viper against its twin.
import random
import struct

from viperip import native
from viperip.bytecode import emac as twin
from viperip.link.esp32.descriptors import Enhanced, Normal, Ring

hot = native.load("emac")
WORDS = 8


def ring(count, words=WORDS, size=1536):
    b = bytearray(4 * count * words)
    for i in range(count):
        at = 4 * i * words
        struct.pack_into("<IIII", b, at, 0x80000000, 0x4000 | size, 0x3FFB0000 + i, 0x3FFC0000 + i)
    return b


def status(b, i, value, words=WORDS):
    struct.pack_into("<I", b, 4 * i * words, value & 0xFFFFFFFF)


def scan(module, b, want, at, count, words=WORDS):
    import array

    out = array.array("h", [77] * count)
    n = module.rx_scan(b, want, out, at, count, words)
    return n, list(out)


def test_own_is_handed_over_last():
    # The template lies in the descriptor itself, one word on: word 0 is made of what has just been
    # put into word 1, and so tells which of them was written first.
    for module in (hot, twin):
        b = bytearray(64)
        struct.pack_into("<8I", b, 0, 1, 2, 0x100, 4, 5, 6, 7, 8)
        module.tx_give(b, memoryview(b)[4:], 0, 9)
        w = struct.unpack_from("<8I", b, 0)
        assert w[1] == 0x100 | 9 or w[1] == w[2] | 9, w
        assert w[0] == w[1], "OWN was handed over before the length"


def test_what_is_handed_over():
    for module in (hot, twin):
        want = bytearray(64)
        struct.pack_into("<IIII", want, 32, 0xB0100000, 0, 0x3FFB1230, 0x3FFC0020)
        b = bytearray(b"\xaa" * 64)
        module.tx_give(b, want, 8, 1514)
        assert struct.unpack_from("<IIII", b, 32) == (0xB0100000, 1514, 0x3FFB1230, 0x3FFC0020)
        assert b[:32] == b"\xaa" * 32 and b[48:] == b"\xaa" * 16
        # The layout that has its flags in word 1.
        struct.pack_into("<IIII", want, 16, 0x80000000, 0x61000000, 0x1230, 0x20)
        module.tx_give(b, want, 4, 60)
        assert struct.unpack_from("<IIII", b, 16) == (0x80000000, 0x6100003C, 0x1230, 0x20)


def test_a_batch_ends_at_the_first_that_is_not_ours():
    for module in (hot, twin):
        want = ring(4)
        b = bytearray(want)
        assert scan(module, b, want, 0, 4)[0] == 0
        status(b, 0, 64 << 16 | 0x320)
        status(b, 1, 1518 << 16 | 0x320)
        status(b, 3, 100 << 16 | 0x320)
        assert scan(module, b, want, 0, 4) == (2, [60, 1514, 77, 77])
        assert scan(module, b, want, 3, 4) == (3, [96, 60, 1514, 77])
        status(b, 2, 65 << 16 | 0x320)
        assert scan(module, b, want, 2, 4) == (4, [61, 96, 60, 1514])


def test_what_is_wrong_with_a_descriptor():
    for module in (hot, twin):
        for value, code in (
            (64 << 16 | 0x300, 60),
            (1536 << 16 | 0x300, 1532),
            (64 << 16 | 0x200, -2),
            (64 << 16 | 0x100, -2),
            (0, -2),
            (64 << 16 | 0x8300, -1),
            (64 << 16 | 0x8200, -2),
            (17 << 16 | 0x300, -4),
            (3 << 16 | 0x300, -4),
            (1537 << 16 | 0x300, -4),
            (0x7FFF0300, -4),
        ):
            want = ring(2)
            b = bytearray(want)
            status(b, 0, value)
            assert scan(module, b, want, 0, 2) == (1, [code, 77]), (hex(value), code)
        for word in (1, 2, 3):
            for bit in (0, 7, 15, 31):
                want = ring(2)
                b = bytearray(want)
                status(b, 0, 64 << 16 | 0x300)
                b[4 * word + bit // 8] ^= 1 << bit % 8
                assert scan(module, b, want, 0, 2) == (1, [-3, 77]), (word, bit)


class Bus:
    # Memory from address 0x1000 on.
    def __init__(self):
        self.next = 0x1000

    def dma_alloc(self, n, align):
        at = self.next
        assert at % align == 0
        self.next += n + 12
        return bytearray(n), at


def test_a_ring_in_both_layouts():
    for layout, words, rx, tx, tx1 in (
        (Enhanced, 8, 0x4000 | 640, 0x00100000, 0),
        (Normal, 4, 0x01000000 | 640, 0, 0x61000000),
    ):
        for send in (False, True):
            ring = Ring(Bus(), layout, 3, 640, send)
            ring.rewind()
            assert ring.address == 0x1000 and ring.stride == 4 * words and len(ring.buffers) == 3
            first = 0x1000 + 3 * 4 * words + 12
            for i in range(3):
                w = struct.unpack_from("<4I", ring.memory, 4 * words * i)
                buf = first + i * 652
                after = 0x1000 + (i + 1) % 3 * 4 * words
                if send:
                    assert w == (tx, tx1, buf, after), w
                else:
                    assert w == (0x80000000, rx, buf, after), w
                assert bool(ring.owned(i)) != send


def test_a_frame_in_the_normal_layout():
    ring = Ring(Bus(), Normal, 2, 640, True)
    ring.rewind()
    for module in (hot, twin):
        module.tx_give(ring.memory, ring.want, 4, 100)
        w = struct.unpack_from("<4I", ring.memory, 16)
        assert w == (0x80000000, 0x61000064, 0x1000 + 32 + 12 + 652, 0x1000)


def test_the_twins_agree():
    random.seed(3)
    for words in (4, 8):
        for _ in range(300):
            count = random.randrange(2, 9)
            want = ring(count, words)
            b = bytearray(want)
            for i in range(count):
                kind = random.randrange(6)
                if kind:
                    value = random.getrandbits(30) | random.getrandbits(1) << 31 * (kind == 5)
                    if kind < 4:
                        value = random.randrange(14, 1600) << 16 | 0x300
                    status(b, i, value, words)
                if kind == 4:
                    b[4 * i * words + random.randrange(16)] ^= 1
            at = random.randrange(count)
            assert scan(hot, b, want, at, count, words) == scan(twin, b, want, at, count, words)
