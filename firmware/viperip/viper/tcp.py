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
def segment_parse(buf: ptr8, ip: int, off: int, n: int, words: ptr32, out: ptr32) -> int:
    # Fill out[0:8] from the segment at buf[off:off+n], its IPv4 header at buf[ip:]: SEG.SEQ -
    # RCV.NXT, SEG.ACK - SND.UNA, window as it stands, flags, header length, SEG.SEQ - SND.WL1,
    # SEG.ACK - SND.WL2, sum of pseudo-header and header. Differences are held within +-2**29.
    # 0 if good, -1 if the data offset lies.
    p = ptr8(int(buf) + off)
    h = p[12] >> 4 << 2
    if h < 20 or h > n:
        return -1
    acc = (6 << 8) + (n >> 8) + ((n & 0xFF) << 8)
    i = 0
    while i < h:
        acc += p[i] | p[i + 1] << 8
        i += 2
    q = ptr8(int(buf) + ip)
    i = 12
    while i < 20:
        acc += q[i] | q[i + 1] << 8
        i += 2
    acc = (acc & 0xFFFF) + (acc >> 16)
    out[7] = (acc & 0xFFFF) + (acc >> 16)
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
def segment_build(buf: ptr8, ip: int, row: ptr8, words: ptr32, out: ptr32) -> int:
    # Addresses of the IPv4 header at buf[ip:] and the TCP header 20 bytes on, options left alone,
    # checksum 0: addresses and ports from the row of the connection, SEG.ACK = RCV.NXT if ACK is
    # set. out: SEG.SEQ - SND.UNA, flags, window, header length, text length.
    # The sum of pseudo-header and header.
    i = 0
    while i < 4:
        buf[ip + 12 + i] = row[4 + i]
        buf[ip + 16 + i] = row[i]
        i += 1
    p = ptr8(int(buf) + ip + 20)
    p[0] = row[10]
    p[1] = row[11]
    p[2] = row[8]
    p[3] = row[9]
    v = words[0] + out[0]
    p[4] = v >> 24
    p[5] = v >> 16
    p[6] = v >> 8
    p[7] = v
    flags = out[1]
    v = 0
    if flags & 16:
        v = words[1]
    p[8] = v >> 24
    p[9] = v >> 16
    p[10] = v >> 8
    p[11] = v
    h = out[3]
    p[12] = h << 2
    p[13] = flags
    v = out[2]
    p[14] = v >> 8
    p[15] = v
    i = 16
    while i < 20:
        p[i] = 0
        i += 1
    v = h + out[4]
    acc = (6 << 8) + (v >> 8) + ((v & 0xFF) << 8)
    p = ptr8(int(buf) + ip + 12)
    h += 8
    i = 0
    while i < h:
        acc += p[i] | p[i + 1] << 8
        i += 2
    acc = (acc & 0xFFFF) + (acc >> 16)
    return (acc & 0xFFFF) + (acc >> 16)


@micropython.viper
def segment_seal(buf: ptr8, ip: int, total: int):
    # Put the checksum in place: total is the sum of everything, not folded.
    total = (total & 0xFFFF) + (total >> 16)
    total = ((total & 0xFFFF) + (total >> 16)) ^ 0xFFFF
    buf[ip + 36] = total
    buf[ip + 37] = total >> 8
