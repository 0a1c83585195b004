# IPv4 and MAC addresses: text on the outside, bytes inside.


def ip4(text):
    """4 bytes of a dotted-quad string (or 4 bytes given as such). ValueError if it is neither."""
    if isinstance(text, (bytes, bytearray)):
        if len(text) == 4:
            return bytes(text)
        raise ValueError("not an IPv4 address")
    parts = text.split(".")
    if len(parts) != 4:
        raise ValueError("not an IPv4 address: " + text)
    out = bytearray(4)
    for i in range(4):
        p = parts[i]
        if not p.isdigit() or len(p) > 3 or int(p) > 255:
            raise ValueError("not an IPv4 address: " + text)
        out[i] = int(p)
    return bytes(out)


def ip4_text(a, off=0):
    """Dotted quad of the 4 bytes a[off:off+4]."""
    return "%d.%d.%d.%d" % (a[off], a[off + 1], a[off + 2], a[off + 3])


def prefix_mask(bits):
    """Netmask of a prefix length: 24 -> b'\\xff\\xff\\xff\\x00'."""
    out = bytearray(4)
    for i in range(4):
        n = min(8, max(0, bits - 8 * i))
        out[i] = 0xFF00 >> n & 0xFF
    return bytes(out)


def mask_prefix(mask):
    """Prefix length of a netmask. ValueError if its ones are not contiguous."""
    bits = 0
    for b in mask:
        while b & 0x80:
            bits += 1
            b = b << 1 & 0xFF
    if prefix_mask(bits) != bytes(mask):
        raise ValueError("not a netmask: " + ip4_text(mask))
    return bits


def network(a, mask):
    """The network part of an address."""
    return bytes([a[i] & mask[i] for i in range(4)])


def cidr(text):
    """(address, mask) of "A.B.C.D/N"."""
    a, _, n = text.partition("/")
    if n and (not n.isdigit() or int(n) > 32):
        raise ValueError("not a prefix length: " + n)
    return ip4(a), prefix_mask(int(n) if n else 32)


def mac(text):
    """6 bytes of "aa:bb:cc:dd:ee:ff" (or 6 bytes given as such)."""
    if isinstance(text, (bytes, bytearray)):
        if len(text) == 6:
            return bytes(text)
        raise ValueError("not a MAC address")
    parts = text.replace("-", ":").split(":")
    if len(parts) != 6:
        raise ValueError("not a MAC address: " + text)
    return bytes([int(p, 16) for p in parts])


def mac_text(a, off=0):
    """Colon-separated text of the 6 bytes a[off:off+6]."""
    return ":".join(["%02x" % b for b in a[off : off + 6]])
