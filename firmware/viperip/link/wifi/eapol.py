# EAPOL-Key frames (IEEE 802.11-2016 12.7.2), behind the Ethernet type 0x888E:
#
#    0         1      2        4            5          7            9
#   | version | type | length | descriptor | key info | key length | replay counter, 8 |
#    17          49       65      73     81        97            99
#   | nonce, 32 | IV, 16 | RSC, 8 | id, 8 | MIC, 16 | data length | data
from .crypto import HMAC, same, unwrap

_SIZE = const(99)
_KEY = const(3)
_RSN = const(2)  # descriptor type

# Key information (12.7.2): version (2:0), pairwise (3), install (6), ACK (7), MIC (8), secure (9),
# encrypted (12).
VERSION = const(0x0007)
AES_SHA1 = const(2)  # version: HMAC-SHA1 and AES key wrap
ENCRYPTED = const(0x1000)

_KDE_GTK = b"\x00\x0f\xac\x01"
_MAX = const(1024)  # bytes of key data that are looked at


class KeyFrame:
    """A received EAPOL-Key frame. ValueError, saying what, when it is none that can be used."""

    def __init__(self, raw):
        if len(raw) < 4 or raw[1] != _KEY:
            raise ValueError("no EAPOL-Key")
        n = 4 + (raw[2] << 8 | raw[3])
        if n > len(raw) or n < _SIZE:
            raise ValueError("cut")
        self.raw = raw = bytes(raw[:n])
        if raw[4] != _RSN:
            raise ValueError("descriptor")
        self.info = raw[5] << 8 | raw[6]
        if self.info & VERSION != AES_SHA1:
            raise ValueError("version")
        size = raw[97] << 8 | raw[98]
        if _SIZE + size > n or size > _MAX:
            raise ValueError("data length")
        self.replay = raw[9:17]
        self.nonce = raw[17:49]
        self.rsc = raw[65:71]
        self.data = raw[_SIZE : _SIZE + size]

    def authentic(self, kck):
        """Whether its MIC was made with this key."""
        raw = self.raw
        mic = HMAC(kck).digest(raw[:81], bytes(16), raw[97:])[:16]
        return same(mic, raw[81:97])

    def plain(self, kek):
        """The key data, decrypted. ValueError if it is not encrypted, or not for this key."""
        if not self.info & ENCRYPTED:
            raise ValueError("not encrypted")
        data = unwrap(kek, self.data)
        if data is None:
            raise ValueError("key wrap")
        return data


def gtk_of(data):
    """(key id, group key) of the KDEs in decrypted key data. ValueError without one."""
    at = 0
    end = len(data)
    while at + 2 <= end and data[at]:
        n = data[at + 1]
        if data[at] == 0xDD and not n:
            break  # padding (12.7.2)
        if at + 2 + n > end:
            raise ValueError("KDE")
        if data[at] == 0xDD and data[at + 2 : at + 6] == _KDE_GTK:
            if n != 22:
                raise ValueError("GTK length")
            return data[at + 6] & 3, data[at + 8 : at + 24]
        at += 2 + n
    raise ValueError("no GTK")


def build(version, info, replay, nonce, data, kck):
    """An answer, with its MIC."""
    n = _SIZE - 4 + len(data)
    head = bytes((version, _KEY, n >> 8, n & 0xFF, _RSN, info >> 8, info & 0xFF, 0, 0))
    head += replay + nonce + bytes(32)
    tail = bytes((len(data) >> 8, len(data) & 0xFF)) + data
    return head + HMAC(kck).digest(head, bytes(16), tail)[:16] + tail
