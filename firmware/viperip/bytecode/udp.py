# Bytecode twin of viper/udp.py.
from .memory import l4_sum


def udp_parse(buf, ip, off, n, out):
    if n < 8:
        return -1
    length = buf[off + 4] << 8 | buf[off + 5]
    if length < 8 or length > n:
        return -2
    out[0] = buf[off] << 8 | buf[off + 1]
    out[1] = buf[off + 2] << 8 | buf[off + 3]
    out[2] = length - 8
    out[3] = l4_sum(buf, ip, off, 8, 17, length) if buf[off + 6] | buf[off + 7] else -1
    return 0


def udp_build(buf, off, sport, dport, length):
    for i, v in enumerate((sport, dport, length, 0)):
        buf[off + 2 * i] = v >> 8
        buf[off + 2 * i + 1] = v & 0xFF
