# Bytecode twin of viper/memory.py: the oracle it is tested against, and what runs where there is
# no native emitter. Speed is not its concern; it may allocate.


def fold(acc):
    while acc > 0xFFFF:
        acc = (acc & 0xFFFF) + (acc >> 16)
    return acc


def sum16(buf, off, n):
    acc = 0
    for i in range(off, off + n - 1, 2):
        acc += buf[i] | buf[i + 1] << 8
    if n & 1:
        acc += buf[off + n - 1]
    return fold(acc)


def pseudo_sum(buf, ip, proto, length):
    acc = (proto << 8) + (length >> 8) + ((length & 0xFF) << 8)
    return fold(acc + sum16(buf, ip + 12, 8))


def ring_copy(dst, dpos, src, spos, size, n):
    dsize, ssize = max(size, 0), max(-size, 0)
    data = bytearray(n)
    for i in range(n):
        b = src[spos]
        data[i] = b
        dst[dpos] = b
        spos += 1
        dpos += 1
        if spos == ssize:
            spos = 0
        if dpos == dsize:
            dpos = 0
    return sum16(data, 0, n)


def copy(dst, dpos, src, spos, n):
    memoryview(dst)[dpos : dpos + n] = memoryview(src)[spos : spos + n]


def equal(a, ao, b, bo, n):
    for i in range(n):
        if a[ao + i] != b[bo + i]:
            return 0
    return 1


def find(table, rows, width, buf, off):
    for i in range(rows):
        if equal(table, i * width, buf, off, width):
            return i
    return -1


def find16(table, rows, value, start):
    for i in range(start, rows):
        if table[i] == value:
            return i
    return -1


def word_load(words, i, buf, off):
    words[i] = buf[off] << 24 | buf[off + 1] << 16 | buf[off + 2] << 8 | buf[off + 3]


def word_store(buf, off, words, i):
    v = words[i]
    buf[off] = v >> 24 & 0xFF
    buf[off + 1] = v >> 16 & 0xFF
    buf[off + 2] = v >> 8 & 0xFF
    buf[off + 3] = v & 0xFF


def word_add(words, i, n):
    words[i] = (words[i] + n) & 0xFFFFFFFF


def word_copy(words, i, other, j):
    words[i] = other[j] & 0xFFFFFFFF


def word_diff(a, i, b, j):
    d = (a[i] - b[j]) & 0xFFFFFFFF
    if d & 0x80000000:
        d -= 0x100000000
    return max(-0x20000000, min(0x1FFFFFFF, d))
