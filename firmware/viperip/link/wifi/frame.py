# The MPDUs of IEEE 802.11-2016 9.2 that a station sends and takes, without FCS:
#
#    0    1    2          4    10   16   22   24
#   | FC0 | FC1 | duration | A1 | A2 | A3 | SC | body (with QoS: 2 bytes before it)
#
#   to the AP:   ToDS, A1 = BSSID, A2 = station, A3 = destination
#   from the AP: FromDS, A1 = destination, A2 = BSSID, A3 = source
#
# What is built here is built once in a while, and may take heap; data frames are converted in
# place by viper/wifi.py.
from .elements import RATES, SSID, element

HEADER = const(24)

# FC0: subtype, type, version 0.
ASSOC_REQ = const(0x00)
ASSOC_RESP = const(0x10)
PROBE_REQ = const(0x40)
PROBE_RESP = const(0x50)
BEACON = const(0x80)
DISASSOC = const(0xA0)
AUTH = const(0xB0)
DEAUTH = const(0xC0)
NULL = const(0x48)

# FC1.
TO_DS = const(0x01)
FROM_DS = const(0x02)
MORE_FRAGMENTS = const(0x04)
RETRY = const(0x08)
PROTECTED = const(0x40)

CAP_ESS = const(0x0001)
CAP_PRIVACY = const(0x0010)

LEAVING = const(3)  # reason: the station leaves (9.4.1.7)

BROADCAST = b"\xff\xff\xff\xff\xff\xff"
_LISTEN = const(10)  # beacons between two looks: nothing sleeps here

# 1, 2, 5.5, 11 Mbit/s as basic rates, then 6, 9, 12, 18; 24, 36, 48, 54 do not fit into the first
# element (9.4.2.3).
_RATES = b"\x82\x84\x8b\x96\x0c\x12\x18\x24"
_MORE_RATES = b"\x30\x48\x60\x6c"
_EXT_RATES = const(50)


def header(fc0, a1, a2, a3, seq, fc1=0):
    """The 24 bytes; seq: 0 to 4095."""
    return bytes((fc0, fc1, 0, 0)) + a1 + a2 + a3 + bytes((seq << 4 & 0xF0, seq >> 4 & 0xFF))


def rates():
    """The elements that name the rates of 802.11b and g."""
    return element(RATES, _RATES) + element(_EXT_RATES, _MORE_RATES)


def probe_request(own, ssid, seq):
    head = header(PROBE_REQ, BROADCAST, own, BROADCAST, seq)
    return head + element(SSID, ssid) + rates()


def authentication(own, bssid, seq):
    """Open System, the first of its two frames (9.3.3.12)."""
    return header(AUTH, bssid, own, bssid, seq) + b"\0\0\1\0\0\0"


def association(own, bssid, ssid, rsne, seq):
    """An association request; rsne: the whole RSN element, or b"" (9.3.3.6)."""
    caps = CAP_ESS | (CAP_PRIVACY if rsne else 0)
    body = bytes((caps, caps >> 8, _LISTEN, 0)) + element(SSID, ssid) + rates() + rsne
    return header(ASSOC_REQ, bssid, own, bssid, seq) + body


def deauthentication(own, bssid, reason, seq):
    return header(DEAUTH, bssid, own, bssid, seq) + bytes((reason & 0xFF, reason >> 8))


def null(own, bssid, seq):
    """A data frame without data: a sign of life (9.2.4.1.3)."""
    return header(NULL, bssid, own, bssid, seq, TO_DS)


def le16(buf, at):
    return buf[at] | buf[at + 1] << 8
