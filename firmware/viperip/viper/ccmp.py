# CCMP's blocks (IEEE 802.11-2016 12.5.3): nonce, AAD and counters of an MPDU, and the use of the
# key stream. The MPDU's header, `hdr` bytes, lies at buf[off:], its CCMP header behind it.
# Twin: bytecode/ccmp.py, same names and arguments.


@micropython.viper
def ccm_start(b: ptr8, buf: ptr8, off: int, hdr: int, n: int):
    # b[:48] = B0 and the AAD of n bytes of plaintext, B0 already added to b[48:64], the state the
    # CBC chain was left in. b[64:]: 17 counter blocks; the first is that of the MIC.
    ctr = ptr8(int(b) + 64)
    h = ptr8(int(buf) + off)
    tid = 0
    if hdr > 24:
        tid = h[24] & 15
    b[0] = 0x59
    b[1] = tid
    i = 0
    while i < 6:
        b[2 + i] = h[10 + i]
        i += 1
    p = hdr
    b[8] = h[p + 7]
    b[9] = h[p + 6]
    b[10] = h[p + 5]
    b[11] = h[p + 4]
    b[12] = h[p + 1]
    b[13] = h[p]
    b[14] = n >> 8
    b[15] = n
    i = 0
    while i < 272:
        ctr[i] = 1
        j = 1
        while j < 14:
            ctr[i + j] = b[j]
            j += 1
        ctr[i + 14] = 0
        ctr[i + 15] = 0
        i += 16
    i = 0
    while i < 16:
        b[i] = b[i] ^ b[48 + i]
        i += 1
    while i < 48:
        b[i] = 0
        i += 1
    b[17] = hdr - 2
    b[18] = h[0] & 0x8F
    b[19] = (h[1] & 0xC7) | 0x40
    i = 4
    while i < 22:
        b[16 + i] = h[i]
        i += 1
    b[38] = h[22] & 15
    b[40] = tid


@micropython.viper
def ccm_count(ctr: ptr8, first: int):
    # Number the 16 blocks behind the first from `first` on.
    i = 16
    while i < 272:
        ctr[i + 14] = first >> 8
        ctr[i + 15] = first
        first += 1
        i += 16


@micropython.viper
def ccm_xor(buf: ptr8, off: int, stream: ptr8, n: int):
    # buf[off:off+n] ^= the key stream of the blocks behind the first.
    p = ptr8(int(buf) + off)
    s = ptr8(int(stream) + 16)
    i = 0
    while i < n:
        p[i] = p[i] ^ s[i]
        i += 1


@micropython.viper
def ccm_load(m: ptr8, buf: ptr8, off: int, n: int):
    # m[:256] = buf[off:off+n], then zeros.
    p = ptr8(int(buf) + off)
    i = 0
    while i < n:
        m[i] = p[i]
        i += 1
    while i < 256:
        m[i] = 0
        i += 1


@micropython.viper
def ccm_mic(buf: ptr8, off: int, mac: ptr8, stream: ptr8, store: int) -> int:
    # The MIC of the CBC block `mac`: stored at buf[off:], or compared with what is there.
    # 0: the same.
    d = 0
    i = 0
    while i < 8:
        v = mac[i] ^ stream[i]
        if store:
            buf[off + i] = v
        else:
            d |= buf[off + i] ^ v
        i += 1
    return d


@micropython.viper
def pn_next(pn: ptr8):
    # A packet number of six bytes, lowest first, plus one.
    i = 0
    while i < 6:
        v = (pn[i] + 1) & 0xFF
        pn[i] = v
        if v:
            break
        i += 1


@micropython.viper
def pn_put(buf: ptr8, off: int, pn: ptr8, kid: int):
    # The CCMP header (IEEE 802.11-2016 12.5.3.2).
    buf[off] = pn[0]
    buf[off + 1] = pn[1]
    buf[off + 2] = 0
    buf[off + 3] = 0x20 | kid << 6
    buf[off + 4] = pn[2]
    buf[off + 5] = pn[3]
    buf[off + 6] = pn[4]
    buf[off + 7] = pn[5]


@micropython.viper
def pn_newer(buf: ptr8, off: int, seen: ptr8, at: int) -> int:
    # Whether the packet number of the CCMP header at buf[off:] is above seen[at:at+6].
    i = 5
    while i >= 0:
        k = off + i
        if i > 1:
            k += 2
        d = buf[k] - seen[at + i]
        if d:
            return 1 if d > 0 else 0
        i -= 1
    return 0


@micropython.viper
def pn_keep(buf: ptr8, off: int, seen: ptr8, at: int):
    # seen[at:at+6] = the packet number of the CCMP header at buf[off:].
    i = 0
    while i < 6:
        k = off + i
        if i > 1:
            k += 2
        seen[at + i] = buf[k]
        i += 1
