# Bytecode twin of viper/emac.py. Word i of a ring is its bytes 4 * i to 4 * i + 3.


def _word(ring, i):
    i *= 4
    return ring[i] | ring[i + 1] << 8 | ring[i + 2] << 16 | ring[i + 3] << 24


def _store(ring, i, w):
    i *= 4
    ring[i] = w & 0xFF
    ring[i + 1] = w >> 8 & 0xFF
    ring[i + 2] = w >> 16 & 0xFF
    ring[i + 3] = w >> 24 & 0xFF


def rx_scan(ring, want, out, at, count, words):
    found = 0
    while found < count:
        o = at * words
        w = _word(ring, o)
        if w >> 31 & 1:
            break
        n = (w >> 16 & 0x3FFF) - 4
        if any(_word(ring, o + i) != _word(want, o + i) for i in (1, 2, 3)):
            n = -3
        elif w & 0x300 != 0x300:
            n = -2
        elif w & 0x8000:
            n = -1
        elif n < 14 or n + 4 > _word(want, o + 1) & 0x7FF:
            n = -4
        out[found] = n
        found += 1
        at = (at + 1) % count
    return found


def tx_give(ring, want, o, n):
    _store(ring, o + 3, _word(want, o + 3))
    _store(ring, o + 2, _word(want, o + 2))
    _store(ring, o + 1, _word(want, o + 1) | n)
    _store(ring, o, _word(want, o))
