# An access point behind a link device that carries 802.11 MPDUs: beacons, authentication,
# association, the four-way and group handshakes, CCMP, and Ethernet frames on its other side.
#
# It shares the keys' mathematics with the driver (link/wifi/crypto.py, tested on its own against
# published vectors), and nothing else: it wraps keys and seals frames its own slow way, block by
# block. What a real authenticator does is shown by hostapd, in tests/net.
import hashlib
from cryptolib import aes

from viperip.link.wifi.crypto import HMAC, ptk

ALL = b"\xff\xff\xff\xff\xff\xff"
RSNE = b"\x30\x14\x01\0\0\x0f\xac\x04\x01\0\0\x0f\xac\x04\x01\0\0\x0f\xac\x02\0\0"


class AccessPointModel:
    """One network. master: the PMK, None: open. air: the end of a wire of MPDUs.

    inside: Ethernet frames that came through; sent: MPDUs sent; events: what happened, as text.
    Tests set deaf (a set of subtypes that are not answered), status (of authentication and
    association), m3_rsne (what message 3 says), hold (EAPOL is not sent by itself).
    """

    def __init__(self, air, bssid, ssid, master=None, channel=1, rsne=RSNE):
        self.air = air
        self.bssid = bssid
        self.ssid = ssid
        self.master = master
        self.channel = channel
        self.rsne = rsne if master else b""
        self.inside = []
        self.events = []
        self.sent = []
        self.deaf = set()
        self.status = {0xB0: 0, 0x00: 0}
        self.m3_rsne = self.rsne
        self.seq = 0
        self.gtk = [None, b"group key one !!"]
        self.gtk_id = 1
        self.gtk_pn = 0
        self.forget()

    def forget(self):
        """Everything about the station."""
        self.station = None
        self.associated = self.authorized = False
        self.keys = None
        self.tk = None
        self.pn = 0  # sent under the pairwise key
        self.seen = 0  # received
        self.replay = 0
        self.anonce = None

    # MPDUs.

    def put(self, mpdu):
        self.sent.append(mpdu)
        buf = self.air.borrow()
        off = self.air.tx_off
        buf[off : off + len(mpdu)] = mpdu
        self.air.send(len(mpdu))

    def head(self, fc0, to, fc1=0, a3=None, seq=None):
        if seq is None:
            self.seq = (self.seq + 1) & 0xFFF
            seq = self.seq
        sc = bytes((seq << 4 & 0xF0, seq >> 4))
        return bytes((fc0, fc1, 0, 0)) + to + self.bssid + (a3 or self.bssid) + sc

    def beacon(self, to=ALL, fc0=0x80, extra=b""):
        caps = 0x11 if self.master else 0x01
        ies = bytes((0, len(self.ssid))) + self.ssid + b"\x01\x04\x82\x84\x8b\x96"
        ies += bytes((3, 1, self.channel)) + self.rsne + extra
        self.put(self.head(fc0, to) + bytes(8) + b"\x64\0" + bytes((caps, 0)) + ies)

    def poll(self):
        """Take what has come."""
        while True:
            n = self.air.recv()
            if not n:
                return
            off = self.air.rx_off
            mpdu = bytes(self.air.rx[off : off + n])
            self.air.release()
            self.take(mpdu)

    def take(self, m):
        sub = m[0] & 0xF0
        who = m[10:16]
        if m[0] & 0x0C == 8:
            if m[4:10] == self.bssid and who == self.station and self.associated:
                self._data(m)
            return
        if m[0] & 0x0C or sub in self.deaf:
            return
        if sub == 0x40:
            self.events.append("probe")
            self.beacon(who, 0x50)
        elif m[4:10] != self.bssid:
            return
        elif sub == 0xB0:
            self.forget()
            self.events.append("auth")
            self.station = who
            status = self.status[0xB0]
            self.put(self.head(0xB0, who) + b"\0\0\2\0" + bytes((status, 0)))
        elif sub == 0x00 and who == self.station:
            self._associate(m, who)
        elif sub in (0xC0, 0xA0):
            self.events.append("leave %d" % m[24])
            self.forget()

    def _associate(self, m, who):
        self.events.append("assoc")
        if self.rsne and RSNE not in m:
            self.events.append("assoc without RSNE")
        status = self.status[0x00]
        self.put(self.head(0x10, who) + b"\x11\0" + bytes((status, 0)) + b"\1\xc0\1\1\x82")
        self.associated = not status
        self.authorized = self.associated and not self.master
        if self.master and self.associated:
            self.message1()

    def deauth(self, reason=7, to=None):
        self.put(self.head(0xC0, to or self.station) + bytes((reason, 0)))
        self.forget()

    # Data.

    def send(self, frame, **how):
        """An Ethernet frame to the station, or to all if its destination is a group."""
        body = b"\xaa\xaa\x03\0\0\0" + frame[12:]
        self.data(frame[:6], frame[6:12], body, **how)

    def data(self, to, source, body, protect=None, **head):
        if protect is None:
            protect = self.tk is not None
        fc1 = head.pop("fc1", 0) | 2
        head = self.head(8, to, fc1 | (0x40 if protect else 0), source, **head)
        self.put(self.sealed(head, body) if protect else head + body)

    def sealed(self, head, body, pn=None):
        if head[4] & 1:
            self.gtk_pn += 1
            key, kid, n = self.gtk[self.gtk_id], self.gtk_id, self.gtk_pn
        else:
            self.pn += 1
            key, kid, n = self.tk, 0, self.pn
        return ccmp_seal(key, kid, n if pn is None else pn, head, body)

    def _data(self, m):
        if m[0] & 0x40:
            self.events.append("null")
            return
        body = m[24:]
        if m[1] & 0x40:
            if self.tk is None:
                self.events.append("protected without a key")
                return
            pn, body = ccmp_open(self.tk, m)
            if body is None or pn <= self.seen:
                self.events.append("bad mic" if body is None else "pn used again: %d" % pn)
                return
            self.seen = pn
        elif self.tk is not None and body[6:8] != b"\x88\x8e":
            self.events.append("in the clear")
            return
        if body[6:8] == b"\x88\x8e":
            self._eapol(body[8:])
        elif self.authorized:
            self.inside.append(m[16:22] + m[10:16] + body[6:])

    # The authenticator.

    def message1(self):
        self.anonce = hashlib.sha256(b"anonce%d" % self.seq).digest()
        self.key_frame(0x008A, self.anonce, b"")

    def message3(self):
        gtk = self.gtk[self.gtk_id]
        data = self.m3_rsne + b"\xdd\x16\x00\x0f\xac\x01" + bytes((self.gtk_id, 0)) + gtk
        self.key_frame(0x13CA, self.anonce, data)

    def rekey(self, gtk, kid):
        """A new group key, and group message 1."""
        self.gtk[kid % len(self.gtk)] = gtk
        self.gtk_id = kid % len(self.gtk)
        self.gtk_pn = 0
        self.group1()

    def group1(self):
        gtk = self.gtk[self.gtk_id]
        data = b"\xdd\x16\x00\x0f\xac\x01" + bytes((self.gtk_id, 0)) + gtk
        self.key_frame(0x1382, bytes(32), data)

    def key_frame(self, info, nonce, data, replay=None, protect=None):
        """Send one, and return it as it went."""
        self.replay += 1
        counter = (self.replay if replay is None else replay).to_bytes(8, "big")
        if info & 0x1000:
            if len(data) & 7:
                data += b"\xdd"
            data = wrap(self.keys[1], data + bytes(-len(data) & 7))
        raw = b"\x02\x03" + (95 + len(data)).to_bytes(2, "big") + b"\x02" + info.to_bytes(2, "big")
        raw += b"\0\x10" + counter + nonce + bytes(16)
        raw += self.gtk_pn.to_bytes(6, "little") + bytes(10)
        tail = len(data).to_bytes(2, "big") + data
        mic = bytes(16)
        if info & 0x100:
            mic = HMAC(self.keys[0]).digest(raw, mic, tail)[:16]
        raw += mic + tail
        self.eapol(raw, protect)
        return raw

    def eapol(self, raw, protect=None):
        body = b"\xaa\xaa\x03\0\0\0\x88\x8e" + raw
        self.data(self.station, self.bssid, body, protect)

    def _eapol(self, raw):
        info = raw[5] << 8 | raw[6]
        if int.from_bytes(raw[9:17], "big") != self.replay:
            self.events.append("old replay counter")
            return
        if info == 0x010A:
            keys = ptk(self.master, self.bssid, self.station, self.anonce, raw[17:49])
            if not authentic(keys[0], raw):
                self.events.append("wrong passphrase")
                return
            assert raw[99:] == RSNE
            self.keys = keys
            self.events.append("m2")
            if 0x02 not in self.deaf:
                self.message3()
        elif not authentic(self.keys[0], raw):
            self.events.append("bad mic in EAPOL")
        elif info == 0x030A:
            self.events.append("m4")
            if self.tk != self.keys[2]:
                self.tk = self.keys[2]
                self.pn = self.seen = 0
            self.authorized = True
        elif info == 0x0302:
            self.events.append("g2")


def authentic(kck, raw):
    return HMAC(kck).digest(raw[:81], bytes(16), raw[97:])[:16] == raw[81:97]


def wrap(kek, data):
    """RFC 3394 2.2.1."""
    cipher = aes(kek, 1)
    a = b"\xa6" * 8
    r = [data[i : i + 8] for i in range(0, len(data), 8)]
    t = 0
    for _ in range(6):
        for i in range(len(r)):
            t += 1
            b = cipher.encrypt(a + r[i])
            a = xor(b[:8], t.to_bytes(8, "big"))
            r[i] = b[8:]
    return a + b"".join(r)


def xor(a, b):
    return bytes([x ^ y for x, y in zip(a, b)])


def _ccm(key, pn, head, text, encrypting):
    # (text the other way, MIC) by RFC 3610, with M = 8 and L = 2.
    cipher = aes(key, 1)
    qos = head[24:26]
    tid = bytes((qos[0] & 15,)) if qos else b"\0"
    nonce = tid + head[10:16] + pn.to_bytes(6, "big")
    aad = bytes((head[0] & 0x8F, head[1] & 0xC7)) + head[4:22] + bytes((head[22] & 15, 0))
    aad += tid + b"\0" if qos else b""

    def stream(i):
        return cipher.encrypt(b"\1" + nonce + i.to_bytes(2, "big"))

    def through(data):
        out = b""
        for i in range(0, len(data), 16):
            out += xor(data[i : i + 16], stream(i // 16 + 1))
        return out

    plain = text if encrypting else through(text)
    mac = cipher.encrypt(b"\x59" + nonce + len(plain).to_bytes(2, "big"))
    for part in (len(aad).to_bytes(2, "big") + aad, plain):
        part += bytes(-len(part) & 15)
        for i in range(0, len(part), 16):
            mac = cipher.encrypt(xor(mac, part[i : i + 16]))
    return through(plain) if encrypting else plain, xor(mac[:8], stream(0))


def ccmp_seal(key, kid, pn, head, body):
    """The MPDU with header `head` (24 or 26 bytes) and the encrypted body."""
    text, mic = _ccm(key, pn, head, body, True)
    n = pn.to_bytes(6, "little")
    return head + n[:2] + bytes((0, 0x20 | kid << 6)) + n[2:] + text + mic


def ccmp_open(key, m):
    """(packet number, body) of an MPDU; body None: its MIC is wrong."""
    at = 26 if m[0] & 0x80 else 24
    pn = int.from_bytes(m[at : at + 2] + m[at + 4 : at + 8], "little")
    text, mic = _ccm(key, pn, m[:at], m[at + 8 : -8], False)
    return pn, text if mic == m[-8:] else None
