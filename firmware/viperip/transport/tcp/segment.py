# The TCP segment on the wire (RFC 9293 3.1).
#
#    0             2                  4                 8
#   | source port | destination port | sequence number | acknowledgment number |
#    12                       13      14       16         18               20
#   | data offset:4 unused:4 | flags | window | checksum | urgent pointer | options

HEADER = const(20)
FIN = const(1)
SYN = const(2)
RST = const(4)
PSH = const(8)
ACK = const(16)

_END = const(0)
_NOP = const(1)
_MSS = const(2)
_SCALE = const(3)

DEFAULT_MSS = const(536)  # RFC 9293 3.7.1
MIN_MSS = const(64)


def options(buf, off, end):
    """(MSS or 0, window scale or -1) of the options at buf[off:end]; a lying length ends them."""
    mss = 0
    scale = -1
    while off < end:
        kind = buf[off]
        if kind == _END:
            break
        if kind == _NOP:
            off += 1
            continue
        if off + 2 > end:
            break
        n = buf[off + 1]
        if n < 2 or off + n > end:
            break
        if kind == _MSS and n == 4:
            mss = buf[off + 2] << 8 | buf[off + 3]
        elif kind == _SCALE and n == 3:
            scale = min(buf[off + 2], 14)  # RFC 7323 2.3
        off += n
    return mss, scale


def put_options(buf, off, mss, scale):
    """Write the options of a SYN; their length. scale -1: no window scale."""
    buf[off] = _MSS
    buf[off + 1] = 4
    buf[off + 2] = mss >> 8
    buf[off + 3] = mss & 0xFF
    if scale < 0:
        return 4
    buf[off + 4] = _NOP
    buf[off + 5] = _SCALE
    buf[off + 6] = 3
    buf[off + 7] = scale
    return 8
