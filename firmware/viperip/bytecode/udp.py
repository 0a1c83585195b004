# Bytecode twin of viper/udp.py.
from .memory import fold, pseudo_sum, sum16


def udp_parse(buf, ip, off, n, out):
    if n < 8:
        return -1
    length = buf[off + 4] << 8 | buf[off + 5]
    if length < 8 or length > n:
        return -2
    out[0] = buf[off] << 8 | buf[off + 1]
    out[1] = buf[off + 2] << 8 | buf[off + 3]
    out[2] = length - 8
    out[3] = -1
    if buf[off + 6] | buf[off + 7]:
        out[3] = fold(pseudo_sum(buf, ip, 17, length) + sum16(buf, off, 8))
    return 0


def udp_build(buf, ip, h):
    off = ip + 20
    for i, v in enumerate((h[0], h[1], h[2], 0)):
        buf[off + 2 * i] = v >> 8
        buf[off + 2 * i + 1] = v & 0xFF
    c = fold(pseudo_sum(buf, ip, 17, h[2]) + sum16(buf, off, 8) + h[3]) ^ 0xFFFF or 0xFFFF
    buf[off + 6] = c & 0xFF
    buf[off + 7] = c >> 8
