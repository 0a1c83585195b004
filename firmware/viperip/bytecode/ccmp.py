# Bytecode twin of viper/ccmp.py.


def ccm_start(b, buf, off, hdr, n):
    h = bytes(buf[off : off + hdr + 8])
    tid = h[24] & 15 if hdr > 24 else 0
    pn = bytes((h[hdr + 7], h[hdr + 6], h[hdr + 5], h[hdr + 4], h[hdr + 1], h[hdr]))
    nonce = bytes((tid,)) + h[10:16] + pn
    b0 = b"\x59" + nonce + bytes((n >> 8, n & 0xFF))
    for i in range(16):
        b[i] = b0[i] ^ b[48 + i]
    aad = bytes((h[0] & 0x8F, h[1] & 0xC7 | 0x40)) + h[4:22] + bytes((h[22] & 15, 0, tid))
    b[16:48] = bytes((0, hdr - 2)) + aad + bytes(30 - len(aad))
    b[64:] = (b"\x01" + nonce + b"\0\0") * 17


def ccm_count(ctr, first):
    for i in range(16, 272, 16):
        ctr[i + 14] = first >> 8
        ctr[i + 15] = first & 0xFF
        first += 1


def ccm_xor(buf, off, stream, n):
    for i in range(n):
        buf[off + i] ^= stream[16 + i]


def ccm_load(m, buf, off, n):
    m[:n] = buf[off : off + n]
    m[n:256] = bytes(256 - n)


def ccm_mic(buf, off, mac, stream, store):
    d = 0
    for i in range(8):
        v = mac[i] ^ stream[i]
        if store:
            buf[off + i] = v
        else:
            d |= buf[off + i] ^ v
    return d


def pn_next(pn):
    for i in range(6):
        pn[i] = (pn[i] + 1) & 0xFF
        if pn[i]:
            break


def pn_put(buf, off, pn, kid):
    head = (pn[0], pn[1], 0, 0x20 | kid << 6, pn[2], pn[3], pn[4], pn[5])
    for i in range(8):
        buf[off + i] = head[i]


def pn_newer(buf, off, seen, at):
    for i in (5, 4, 3, 2, 1, 0):
        d = buf[off + i + (2 if i > 1 else 0)] - seen[at + i]
        if d:
            return int(d > 0)
    return 0


def pn_keep(buf, off, seen, at):
    for i in range(6):
        seen[at + i] = buf[off + i + (2 if i > 1 else 0)]
