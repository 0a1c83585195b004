# The keys of WPA2-PSK: HMAC-SHA1, PBKDF2, the PRF of IEEE 802.11, the key wrap of RFC 3394.
#
# SHA-1 and AES are the firmware's (hashlib, cryptolib). Nothing here is on the way of a frame.
import hashlib

_BLOCK = const(64)  # of SHA-1
_WRAP_IV = b"\xa6\xa6\xa6\xa6\xa6\xa6\xa6\xa6"  # RFC 3394 2.2.3.1


class HMAC:
    """HMAC-SHA1 (RFC 2104) under one key."""

    def __init__(self, key):
        if len(key) > _BLOCK:
            key = hashlib.sha1(key).digest()
        key = bytes(key) + bytes(_BLOCK - len(key))
        self._inner = bytes([b ^ 0x36 for b in key])
        self._outer = bytes([b ^ 0x5C for b in key])

    def digest(self, *parts):
        """The 20 bytes for the parts, one after the other."""
        h = hashlib.sha1(self._inner)
        for part in parts:
            h.update(part)
        return hashlib.sha1(self._outer + h.digest()).digest()


def pbkdf2(password, salt, rounds=4096, n=32):
    """n bytes of PBKDF2-HMAC-SHA1 (RFC 8018 5.2); both arguments are bytes."""
    mac = HMAC(password)
    out = b""
    block = 1
    while len(out) < n:
        u = mac.digest(salt, block.to_bytes(4, "big"))
        total = int.from_bytes(u, "big")
        for _ in range(rounds - 1):
            u = mac.digest(u)
            total ^= int.from_bytes(u, "big")
        out += total.to_bytes(20, "big")
        block += 1
    return out[:n]


def pmk(passphrase, ssid):
    """The pairwise master key, 32 bytes (IEEE 802.11-2016 J.4.1). ValueError for a passphrase
    that is not 8 to 63 printable ASCII characters; 64 hexadecimal digits are the key itself."""
    from binascii import unhexlify

    if len(passphrase) == 64:
        return unhexlify(passphrase)
    raw = passphrase.encode()
    if not 8 <= len(raw) <= 63 or min(raw) < 32 or max(raw) > 126:
        raise ValueError("passphrase: 8 to 63 printable ASCII characters, or 64 hex digits")
    return pbkdf2(raw, ssid)


def prf(key, label, data, n):
    """n bytes of the PRF (IEEE 802.11-2016 12.7.1.2)."""
    mac = HMAC(key)
    out = b""
    i = 0
    while len(out) < n:
        out += mac.digest(label, b"\0", data, bytes((i,)))
        i += 1
    return out[:n]


def ptk(master, aa, spa, anonce, snonce):
    """KCK, KEK and TK (16 bytes each) of a pairwise key (IEEE 802.11-2016 12.7.1.3)."""
    data = min(aa, spa) + max(aa, spa) + min(anonce, snonce) + max(anonce, snonce)
    keys = prf(master, b"Pairwise key expansion", data, 48)
    return keys[:16], keys[16:32], keys[32:]


def unwrap(kek, data):
    """What was wrapped (RFC 3394 2.2.2), 8 bytes less than `data`; None if its check fails."""
    n = len(data) // 8 - 1
    if n < 2 or len(data) & 7:
        return None
    from cryptolib import aes

    cipher = aes(kek, 1)
    a = bytearray(data[:8])
    r = bytearray(data[8:])
    for t in range(6 * n, 0, -1):
        i = (t - 1) % n * 8
        a[6] ^= t >> 8
        a[7] ^= t & 0xFF
        b = cipher.decrypt(a + r[i : i + 8])
        a = bytearray(b[:8])
        r[i : i + 8] = b[8:]
    return bytes(r) if same(a, _WRAP_IV) else None


def same(a, b):
    """Whether two byte strings are equal, in a time that does not say where they differ."""
    if len(a) != len(b):
        return False
    d = 0
    for i in range(len(a)):
        d |= a[i] ^ b[i]
    return d == 0
