# UDP headers, checked and built in one call each.
# Twin: bytecode/udp.py, same names and arguments.


@micropython.viper
def udp_parse(buf: ptr8, ip: int, off: int, n: int, out: ptr32) -> int:
    # Check the datagram at buf[off:off+n], its IPv4 header at buf[ip:] (RFC 768), and fill
    # out[0:4]: source port, destination port, payload length, and the sum of pseudo-header and
    # header, or -1 if the sender computed none. 0 if good, -1: short, -2: the length lies.
    if n < 8:
        return -1
    p = ptr8(int(buf) + off)
    length = p[4] << 8 | p[5]
    if length < 8 or length > n:
        return -2
    out[0] = p[0] << 8 | p[1]
    out[1] = p[2] << 8 | p[3]
    out[2] = length - 8
    if p[6] | p[7] == 0:
        out[3] = -1
        return 0
    acc = (17 << 8) + (length >> 8) + ((length & 0xFF) << 8)
    i = 0
    while i < 8:
        acc += p[i] | p[i + 1] << 8
        i += 2
    p = ptr8(int(buf) + ip)
    i = 12
    while i < 20:
        acc += p[i] | p[i + 1] << 8
        i += 2
    acc = (acc & 0xFFFF) + (acc >> 16)
    out[3] = (acc & 0xFFFF) + (acc >> 16)
    return 0


@micropython.viper
def udp_build(buf: ptr8, off: int, sport: int, dport: int, length: int):
    # Header at buf[off:off+8], its checksum still 0. length: of header and payload.
    p = ptr8(int(buf) + off)
    p[0] = sport >> 8
    p[1] = sport
    p[2] = dport >> 8
    p[3] = dport
    p[4] = length >> 8
    p[5] = length
    p[6] = 0
    p[7] = 0
