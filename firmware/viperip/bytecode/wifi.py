# Bytecode twin of viper/wifi.py.


def to_air(buf, at, off, bssid, seq, protected):
    da = bytes(buf[at : at + 6])
    sa = bytes(buf[at + 6 : at + 12])
    head = bytes((8, 1 | protected << 6, 0, 0)) + bytes(bssid) + sa + da
    buf[off : off + 24] = head + bytes((seq << 4 & 0xFF, seq >> 4 & 0xFF))
    buf[at + 6 : at + 12] = b"\xaa\xaa\x03\0\0\0"


def to_ethernet(buf, off, body):
    if bytes(buf[body : body + 6]) != b"\xaa\xaa\x03\0\0\0":
        return -1
    da = bytes(buf[off + 4 : off + 10])
    sa = bytes(buf[off + 16 : off + 22])
    buf[body - 6 : body + 6] = da + sa
    return body - 6
