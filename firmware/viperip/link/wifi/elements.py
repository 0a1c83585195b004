# Information elements (IEEE 802.11-2016 9.4.2): | id | length | body |, one after the other; and
# what of a beacon or probe response a station needs.
SSID = const(0)
RATES = const(1)
CHANNEL = const(3)
RSN = const(48)

_CCMP = b"\x00\x0f\xac\x04"
_PSK = b"\x00\x0f\xac\x02"
_MFP_REQUIRED = const(0x40)  # RSN capabilities, bit 6

# What the station asks for: CCMP for both keys, PSK, no capabilities (9.4.2.25).
RSNE = b"\x30\x14\x01\0\0\x0f\xac\x04\x01\0\0\x0f\xac\x04\x01\0\0\x0f\xac\x02\0\0"


def element(ident, body):
    return bytes((ident, len(body))) + body


def find(buf, at, end, ident):
    """(offset, length) of the body of the first element `ident`; (-1, 0) without one.

    None when an element before it runs over the end.
    """
    while at < end:
        if at + 2 > end or at + 2 + buf[at + 1] > end:
            return None
        if buf[at] == ident:
            return at + 2, buf[at + 1]
        at += 2 + buf[at + 1]
    return -1, 0


def rsn_fault(body):
    """What about an RSN element's body keeps the station away; None: nothing does."""
    try:
        if len(body) < 2 or body[0] != 1 or body[1]:
            return "RSN version"
        if body[2:6] != _CCMP:
            return "group cipher is not CCMP"
        at, ciphers = _suites(body, 6)
        if _CCMP not in ciphers:
            return "no CCMP"
        at, akms = _suites(body, at)
        if _PSK not in akms:
            return "no WPA2-PSK"
        if at < len(body) and body[at] & _MFP_REQUIRED:
            return "management frame protection is required"
    except IndexError:
        return "RSN element is cut"
    return None


def _suites(body, at):
    n = body[at] | body[at + 1] << 8
    end = at + 2 + 4 * n
    if not n or end > len(body):
        raise IndexError
    return end, [body[i : i + 4] for i in range(at + 2, end, 4)]


class AccessPoint:
    """What a beacon or a probe response says: bssid, ssid, channel, privacy, rsne, rssi.

    rsne: the whole RSN element, b"" without one; interval: of beacons, in ms.
    """

    def __init__(self, buf, off, n, channel, rssi):
        """ValueError for a frame that is cut, or that lies about its lengths."""
        if n < 36:
            raise ValueError("beacon is cut")
        self.bssid = bytes(buf[off + 16 : off + 22])
        self.interval = (buf[off + 32] | buf[off + 33] << 8) * 1024 // 1000
        self.privacy = bool(buf[off + 34] & 0x10)
        self.rssi = rssi
        body = bytes(buf[off + 36 : off + n])
        end = len(body)
        found = [find(body, 0, end, i) for i in (SSID, CHANNEL, RSN)]
        if None in found or found[0][0] < 0 or found[0][1] > 32:
            raise ValueError("bad elements")
        at, size = found[0]
        self.ssid = body[at : at + size]
        at, size = found[1]
        self.channel = body[at] if size == 1 else channel
        at, size = found[2]
        self.rsne = body[at - 2 : at + size] if at >= 0 else b""

    def fault(self, secured):
        """Why it is not for a station that has (secured) or has no passphrase; None: it is."""
        if not secured:
            return "it wants a passphrase" if self.privacy else None
        if not self.rsne:
            return "it has no WPA2"
        return rsn_fault(self.rsne[2:])
