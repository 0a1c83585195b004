# Data frames between Ethernet II and IEEE 802.11, in place: LLC and SNAP (IEEE 802-2014 9.2.2)
# stand where the Ethernet addresses were. Twin: bytecode/wifi.py, same names and arguments.
#
#   Ethernet            | DA | SA | type | payload
#   802.11    header | (CCMP) | aaaa03 000000 type | payload


@micropython.viper
def to_air(buf: ptr8, at: int, off: int, bssid: ptr8, seq: int, protected: int):
    # The Ethernet header at buf[at:] becomes an MPDU's to the AP at buf[off:], with room for the
    # CCMP header if it is to be protected. SA must be the station's own.
    b = ptr8(int(buf) + off)
    e = ptr8(int(buf) + at)
    i = 0
    while i < 6:
        # A2 and A3 lie before what is still to be read.
        da = e[i]
        sa = e[6 + i]
        b[10 + i] = sa
        b[16 + i] = da
        b[4 + i] = bssid[i]
        i += 1
    b[0] = 8
    b[1] = 1 | (protected << 6)
    b[2] = 0
    b[3] = 0
    b[22] = seq << 4
    b[23] = seq >> 4
    e[6] = 0xAA
    e[7] = 0xAA
    e[8] = 3
    e[9] = 0
    e[10] = 0
    e[11] = 0


@micropython.viper
def to_ethernet(buf: ptr8, off: int, body: int) -> int:
    # The MPDU from the AP at buf[off:], whose LLC header is at buf[body:], becomes an Ethernet
    # frame; where it begins, or -1: no SNAP header of Ethernet's.
    p = ptr8(int(buf) + body)
    if p[0] != 0xAA:
        return -1
    if p[1] != 0xAA:
        return -1
    if p[2] != 3:
        return -1
    if p[3] | p[4] | p[5]:
        return -1
    b = ptr8(int(buf) + off)
    e = ptr8(int(buf) + body - 6)
    i = 5
    while i >= 0:
        # From the end: SA's new place may be A3's old one.
        e[6 + i] = b[16 + i]
        i -= 1
    i = 0
    while i < 6:
        e[i] = b[4 + i]
        i += 1
    return body - 6
