# Bytecode twin of viper/tcp.py.
from .memory import fold, pseudo_sum, sum16


def demux(table, rows, buf, ip, off):
    key = bytes(buf[ip + 12 : ip + 20]) + bytes(buf[off : off + 4])
    for i in range(rows):
        if bytes(table[i * 12 : i * 12 + 12]) == key:
            return i
    return -1


def _be32(buf, off):
    return buf[off] << 24 | buf[off + 1] << 16 | buf[off + 2] << 8 | buf[off + 3]


def _diff(a, b):
    d = (a - b) & 0xFFFFFFFF
    if d & 0x80000000:
        d -= 0x100000000
    return max(-0x20000000, min(0x1FFFFFFF, d))


def segment_parse(buf, ip, off, n, words, out):
    h = buf[off + 12] >> 4 << 2
    if h < 20 or h > n:
        return -1
    seq = _be32(buf, off + 4)
    ack = _be32(buf, off + 8)
    out[0] = _diff(seq, words[1])
    out[1] = _diff(ack, words[0])
    out[2] = buf[off + 14] << 8 | buf[off + 15]
    out[3] = buf[off + 13]
    out[4] = h
    out[5] = _diff(seq, words[2])
    out[6] = _diff(ack, words[3])
    out[7] = fold(pseudo_sum(buf, ip, 6, n) + sum16(buf, off, h))
    return 0


def segment_build(buf, ip, row, words, out):
    nxt, flags, wnd, h, n = out
    off = ip + 20
    buf[ip + 12 : ip + 16] = row[4:8]
    buf[ip + 16 : ip + 20] = row[0:4]
    buf[off : off + 2] = row[10:12]
    buf[off + 2 : off + 4] = row[8:10]
    seq = (words[0] + nxt) & 0xFFFFFFFF
    ack = words[1] if flags & 16 else 0
    for i in range(4):
        buf[off + 4 + i] = seq >> (24 - 8 * i) & 0xFF
        buf[off + 8 + i] = ack >> (24 - 8 * i) & 0xFF
    buf[off + 12] = h << 2
    buf[off + 13] = flags
    buf[off + 14] = wnd >> 8 & 0xFF
    buf[off + 15] = wnd & 0xFF
    buf[off + 16 : off + 20] = bytes(4)
    return fold(pseudo_sum(buf, ip, 6, h + n) + sum16(buf, off, h))


def segment_seal(buf, ip, total):
    total = fold(total) ^ 0xFFFF
    buf[ip + 36] = total & 0xFF
    buf[ip + 37] = total >> 8
