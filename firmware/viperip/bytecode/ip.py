# Bytecode twin of viper/ip.py.
from .memory import sum16


def eth_parse(buf, off, n, mac):
    if n < 14:
        return -1
    group = 0
    if buf[off] & 1:
        group = 0x10000
    elif bytes(buf[off : off + 6]) != bytes(mac):
        return -2
    if buf[off + 6] & 1:
        return -4
    kind = buf[off + 12] << 8 | buf[off + 13]
    if kind < 0x600:
        return -3
    return kind | group


def eth_build(buf, off, macs, dst, src, kind):
    buf[off : off + 14] = bytes(macs[dst : dst + 6]) + bytes(src) + bytes((kind >> 8, kind & 0xFF))


def ip_class(buf, off, net):
    a = bytes(buf[off : off + 4])
    if a == b"\xff\xff\xff\xff":
        return 2
    if a[0] >= 240:
        return 6
    if a[0] >= 224:
        return 3
    if a == b"\0\0\0\0":
        return 0
    if a == bytes(net[:4]):
        return 1
    if a[0] == 127:
        return 4
    if net[7] < 254:
        for i in range(4):
            if (a[i] ^ net[i]) & net[4 + i] or a[i] | net[4 + i] != 255:
                return 5
        return 2
    return 5


def ip_parse(buf, off, n, out):
    if n < 20:
        return -1
    if buf[off] >> 4 != 4:
        return -2
    h = (buf[off] & 15) << 2
    if h < 20 or h > n:
        return -3
    t = buf[off + 2] << 8 | buf[off + 3]
    if t < h or t > n:
        return -4
    if sum16(buf, off, h) != 0xFFFF:
        return -5
    out[0] = h
    out[1] = t
    out[2] = buf[off + 6] << 8 | buf[off + 7]
    out[3] = buf[off + 8]
    out[4] = buf[off + 9]
    return 0


def ip_build(buf, off, h):
    total, ident, frag, tp = h
    buf[off] = 0x45
    buf[off + 1] = tp >> 16
    buf[off + 2] = total >> 8
    buf[off + 3] = total & 0xFF
    buf[off + 4] = ident >> 8 & 0xFF
    buf[off + 5] = ident & 0xFF
    buf[off + 6] = frag >> 8
    buf[off + 7] = frag & 0xFF
    buf[off + 8] = tp >> 8 & 0xFF
    buf[off + 9] = tp & 0xFF
    buf[off + 10] = buf[off + 11] = 0
    c = sum16(buf, off, 20) ^ 0xFFFF
    buf[off + 10] = c & 0xFF
    buf[off + 11] = c >> 8


def route_find(table, rows, buf, off, start):
    for r in range(start, rows):
        for i in range(4):
            if (table[r * 8 + i] ^ buf[off + i]) & table[r * 8 + 4 + i]:
                break
        else:
            return r
    return -1
