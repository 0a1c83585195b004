# Ethernet and IPv4 headers, checked and built in one call each.
# Twin: bytecode/ip.py, same names and arguments.


@micropython.viper
def eth_parse(buf: ptr8, off: int, n: int, mac: ptr8) -> int:
    # EtherType of the frame at buf[off:off+n], plus 0x10000 if it came to a group address.
    # -1: shorter than a header; -2: for another station; -3: an 802.3 length, not a type;
    # -4: a group address as source (IEEE 802.3 3.2.3).
    if n < 14:
        return -1
    p = ptr8(int(buf) + off)
    group = 0
    if p[0] & 1:
        group = 0x10000
    else:
        i = 0
        while i < 6:
            if p[i] != mac[i]:
                return -2
            i += 1
    if p[6] & 1:
        return -4
    kind = p[12] << 8 | p[13]
    if kind < 0x600:
        return -3
    return kind | group


@micropython.viper
def eth_build(buf: ptr8, off: int, macs: ptr8, dst: int, src: ptr8, kind: int):
    # Header of a frame to macs[dst:dst+6] from src, EtherType `kind`.
    p = ptr8(int(buf) + off)
    i = 0
    while i < 6:
        p[i] = macs[dst + i]
        p[6 + i] = src[i]
        i += 1
    p[12] = kind >> 8
    p[13] = kind


@micropython.viper
def ip_class(buf: ptr8, off: int, net: ptr8) -> int:
    # What the address at buf[off:off+4] is to an interface whose address and mask are net[0:8]:
    # 0 unspecified, 1 own, 2 broadcast (limited or directed), 3 multicast, 4 loopback,
    # 5 another host, 6 reserved (RFC 1112 class E).
    first = buf[off]
    if first >= 224:
        if first < 240:
            return 3
        i = 0
        while i < 4:
            if buf[off + i] != 255:
                return 6
            i += 1
        return 2
    i = 0
    same = 1
    wide = 1
    zero = 1
    while i < 4:
        b = buf[off + i]
        if b:
            zero = 0
        a = net[i]
        if b != a:
            same = 0
        m = net[4 + i]
        if (b ^ a) & m:
            wide = 0
        if (b | m) != 255:
            wide = 0
        i += 1
    if zero:
        return 0
    if same:
        return 1
    if first == 127:
        return 4
    # A /31 has no broadcast address (RFC 3021), a /32 no network.
    if wide and net[7] < 254:
        return 2
    return 5


@micropython.viper
def ip_parse(buf: ptr8, off: int, n: int, out: ptr32) -> int:
    # Check the IPv4 header at buf[off:off+n] (RFC 1122 3.2.1) and fill out[0:5]: header length,
    # total length, flags and fragment offset, TTL, protocol.
    # 0 if good, else -1 short, -2 version, -3 header length, -4 total length, -5 checksum.
    if n < 20:
        return -1
    p = ptr8(int(buf) + off)
    if p[0] >> 4 != 4:
        return -2
    h = (p[0] & 15) << 2
    if h < 20 or h > n:
        return -3
    t = p[2] << 8 | p[3]
    if t < h or t > n:
        return -4
    acc = 0
    i = 0
    while i < h:
        acc += p[i] << 8 | p[i + 1]
        i += 2
    acc = (acc & 0xFFFF) + (acc >> 16)
    acc = (acc & 0xFFFF) + (acc >> 16)
    if acc != 0xFFFF:
        return -5
    out[0] = h
    out[1] = t
    out[2] = p[6] << 8 | p[7]
    out[3] = p[8]
    out[4] = p[9]
    return 0


@micropython.viper
def ip_build(buf: ptr8, off: int, h: ptr32):
    # IPv4 header without options at buf[off:off+20], around the addresses that are there. h: total
    # length, identification, flags and fragment offset, TOS << 16 | TTL << 8 | protocol.
    p = ptr8(int(buf) + off)
    total = h[0]
    ident = h[1]
    frag = h[2]
    tp = h[3]
    p[0] = 0x45
    p[1] = tp >> 16
    p[2] = total >> 8
    p[3] = total
    p[4] = ident >> 8
    p[5] = ident
    p[6] = frag >> 8
    p[7] = frag
    p[8] = tp >> 8
    p[9] = tp
    p[10] = 0
    p[11] = 0
    acc = 0
    i = 0
    while i < 20:
        acc += p[i] << 8 | p[i + 1]
        i += 2
    acc = (acc & 0xFFFF) + (acc >> 16)
    acc = ((acc & 0xFFFF) + (acc >> 16)) ^ 0xFFFF
    p[10] = acc >> 8
    p[11] = acc


@micropython.viper
def route_find(table: ptr8, rows: int, buf: ptr8, off: int, start: int) -> int:
    # First row from `start` on (8 bytes: network, mask) that holds the address, or -1.
    r = start
    while r < rows:
        p = ptr8(int(table) + (r << 3))
        i = 0
        while i < 4:
            if (p[i] ^ buf[off + i]) & p[4 + i]:
                break
            i += 1
        if i == 4:
            return r
        r += 1
    return -1
