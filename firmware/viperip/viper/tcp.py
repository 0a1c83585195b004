# TCP segments: found, read and written in one call each, in numbers relative to the connection.
# Twin: bytecode/tcp.py, same names and arguments.
#
# words, the 32-bit fields of a connection: 0 SND.UNA, 1 RCV.NXT, 2 SND.WL1, 3 SND.WL2, 4 ISS,
# 5 IRS.


@micropython.viper
def demux(table: ptr8, rows: int, buf: ptr8, ip: int, off: int) -> int:
    # Row (remote address, local address, remote port, local port: 12 bytes) of a received segment
    # with its IPv4 header at `ip` and its TCP header at `off`; -1 if there is none.
    a = ptr8(int(buf) + ip + 12)
    b = ptr8(int(buf) + off)
    i = 0
    while i < rows:
        t = ptr8(int(table) + i * 12)
        # The remote port differs most often.
        if t[9] == b[1] and t[8] == b[0] and t[10] == b[2] and t[11] == b[3]:
            j = 0
            while j < 8:
                if t[j] != a[j]:
                    break
                j += 1
            if j == 8:
                return i
        i += 1
    return -1


@micropython.viper
def segment_parse(buf: ptr8, off: int, n: int, words: ptr32, out: ptr32) -> int:
    # Fill out[0:7] from the segment at buf[off:off+n]: SEG.SEQ - RCV.NXT, SEG.ACK - SND.UNA,
    # window as it stands, flags, header length, SEG.SEQ - SND.WL1, SEG.ACK - SND.WL2.
    # Differences are held within +-2**29. 0 if good, -1 if the data offset lies.
    p = ptr8(int(buf) + off)
    h = p[12] >> 4 << 2
    if h < 20 or h > n:
        return -1
    seq = p[4] << 24 | p[5] << 16 | p[6] << 8 | p[7]
    ack = p[8] << 24 | p[9] << 16 | p[10] << 8 | p[11]
    i = 0
    while i < 4:
        if i == 0:
            d = seq - words[1]
        elif i == 1:
            d = ack - words[0]
        elif i == 2:
            d = seq - words[2]
        else:
            d = ack - words[3]
        lo = d & 0xFFFF
        hi = ((d >> 16 & 0xFFFF) ^ 0x8000) - 0x8000
        d = hi << 16 | lo
        if d > 0x1FFFFFFF:
            d = 0x1FFFFFFF
        if d < -0x20000000:
            d = -0x20000000
        if i < 2:
            out[i] = d
        else:
            out[i + 3] = d
        i += 1
    out[2] = p[14] << 8 | p[15]
    out[3] = p[13]
    out[4] = h
    return 0


@micropython.viper
def segment_build(
    buf: ptr8, off: int, row: ptr8, at: int, words: ptr32, nxt: int, fw: int, h: int
):
    # Header of h bytes at buf[off:], options left alone, checksum 0: ports from the row of the
    # connection, SEG.SEQ = SND.UNA + nxt, SEG.ACK = RCV.NXT if ACK is set. fw: flags << 16 |
    # window.
    p = ptr8(int(buf) + off)
    p[0] = row[at + 10]
    p[1] = row[at + 11]
    p[2] = row[at + 8]
    p[3] = row[at + 9]
    v = words[0] + nxt
    p[4] = v >> 24
    p[5] = v >> 16
    p[6] = v >> 8
    p[7] = v
    flags = fw >> 16
    v = 0
    if flags & 16:
        v = words[1]
    p[8] = v >> 24
    p[9] = v >> 16
    p[10] = v >> 8
    p[11] = v
    p[12] = h << 2
    p[13] = flags
    p[14] = fw >> 8
    p[15] = fw
    p[16] = 0
    p[17] = 0
    p[18] = 0
    p[19] = 0
