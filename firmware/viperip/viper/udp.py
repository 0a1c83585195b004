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
def udp_build(buf: ptr8, ip: int, h: ptr32):
    # Header at buf[ip+20:ip+28], behind the addresses of an IPv4 header at buf[ip:]. h: source
    # port, destination port, length of header and payload, sum of the payload.
    p = ptr8(int(buf) + ip + 12)
    v = h[0]
    p[8] = v >> 8
    p[9] = v
    v = h[1]
    p[10] = v >> 8
    p[11] = v
    v = h[2]
    p[12] = v >> 8
    p[13] = v
    p[14] = 0
    p[15] = 0
    acc = (17 << 8) + (v >> 8) + ((v & 0xFF) << 8) + h[3]
    i = 0
    while i < 16:
        acc += p[i] | p[i + 1] << 8
        i += 2
    acc = (acc & 0xFFFF) + (acc >> 16)
    acc = ((acc & 0xFFFF) + (acc >> 16)) ^ 0xFFFF
    if acc == 0:
        acc = 0xFFFF  # RFC 768: 0 says that there is no checksum
    p[14] = acc
    p[15] = acc >> 8
