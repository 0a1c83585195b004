# The routines of link/wlan and their twins do the same, with counters that wrap.
import sys
from array import array

from viperip import native

MAIL = 6


def modules():
    import viperip.bytecode.wlan as twin

    out = [twin]
    if native.VIPER:
        out.append(native.load("wlan"))
    return out


class World:
    def __init__(self, routines, head, waiting, slots=4):
        self.r = routines
        self.ring = array("I", bytes(4 * (8 + 4 * slots)))
        self.calls = array("I", bytes(4 * 27))
        self.mail = array("I", bytes(4 * MAIL))
        self.log = []
        self.calls[25] = slots - 1
        self.calls[26] = 1518
        self.calls[0] = 0xC0000001
        self.calls[1] = 0xC0000002
        self.ring[3] = 0xF0000003
        self.ring[1] = head
        self.ring[0] = head + waiting & 0xFFFFFFFF
        for i in range(slots):
            at = 8 + 4 * (head + i & slots - 1)
            self.ring[at] = 0x80000000 + i
            self.ring[at + 1] = (60, 13, 1518, 1519)[i % 4]
            self.ring[at + 2] = 0xE0000000 + i

    def call(self):
        self.log.append(tuple(self.mail[:4]))
        self.mail[5] = 0xFFFFFFFF

    def take(self):
        return self.r.take(self.ring, self.calls, self.mail, self.call)


def test_taking():
    for head in (0, 7, 0xFFFFFFFE):
        for routines in modules():
            w = World(routines, head, 4)
            assert [w.take() for _ in range(6)] == [60, -1, 1518, -1, 0, 0]
            copies = [one for one in w.log if one[0] == 0xC0000001]
            freed = [one[1] for one in w.log if one[0] == 0xF0000003]
            assert copies == [
                (0xC0000001, 0xC0000002, 0x80000000, 60),
                (0xC0000001, 0xC0000002, 0x80000002, 1518),
            ]
            assert freed == [0xE0000000 + i for i in range(4)] and len(w.log) == 6
            assert w.ring[1] == w.ring[0] == (head + 4) & 0xFFFFFFFF


def test_draining():
    for routines in modules():
        for waiting in range(5):
            w = World(routines, 0xFFFFFFFD, waiting)
            assert w.r.drain(w.ring, w.calls, w.mail, w.call) == waiting
            assert [one[:2] for one in w.log] == [
                (0xF0000003, 0xE0000000 + i) for i in range(waiting)
            ]
            assert w.ring[1] == w.ring[0]


def test_calls_and_their_results():
    for routines in modules():
        w = World(routines, 0, 0)
        for i in range(5):
            w.calls[5 + i] = 0xFFFFFFF0 + i
        results = iter((0, 1, 0x3015, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFF))

        def call():
            w.log.append(tuple(w.mail[:5]))
            w.mail[5] = next(results)

        got = [routines.invoke(w.calls, 5, w.mail, call) for _ in range(6)]
        assert got == [0, 1, 0x3015, -1, -1, 0x3FFFFFFF], got
        assert w.log == [tuple(0xFFFFFFF0 + i for i in range(5))] * 6


def test_words():
    for routines in modules():
        words = array("I", bytes(16))
        for value in (0, 1, 0x3FFFFFFF, 0x40000000, 0x80000000, 0xFFFFFFFF):
            routines.put(words, 2, value)
            assert words[2] == value and routines.get(words, 2) == value, (sys.platform, value)
        routines.put(words, 1, -1 & 0xFFFFFFFF)
        assert list(words) == [0, 0xFFFFFFFF, 0xFFFFFFFF, 0]
