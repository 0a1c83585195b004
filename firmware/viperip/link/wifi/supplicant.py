# The supplicant of WPA2-PSK: the four-way and the group key handshake (IEEE 802.11-2016 12.7.6,
# 12.7.7), from the station's side.
#
# A key that is in use is never installed again: its packet numbers would start anew, and with them
# the key stream (12.7.6.4 as amended after "KRACK"). So a repeated message 3 or group message 1
# is answered, and changes nothing.
from . import eapol
from .crypto import ptk, same

_M1 = const(0x0088)  # PAIRWISE, ACK
_M3 = const(0x13C8)  # PAIRWISE, INSTALL, ACK, MIC, SECURE, ENCRYPTED
_G1 = const(0x1380)  # ACK, MIC, SECURE, ENCRYPTED
_KIND = const(0x1FC8)  # the bits that tell them apart
_M2 = const(0x010A)
_M4 = const(0x030A)
_G2 = const(0x0302)

COUNTERS = (
    "eapol_bad",  # no EAPOL-Key frame, or cut, or of a kind that is not for us
    "eapol_mic",  # with a wrong MIC
    "eapol_replay",  # with a replay counter that is not new
    "eapol_unprotected",  # message 1, or of the group, in the clear although keys are set
    "eapol_rsne",  # message 3 names another RSN element than the beacon: a downgrade
    "key_again",  # a key in use was handed out again, and not installed again
)


class Supplicant:
    """One station's end. master: the PMK; rsne: the element of the association request.

    link has eapol(bytes, protected), to send, pairwise(tk) and group(kid, gtk, rsc), to install
    keys.
    random(n): n random bytes. Counters go into the dict `counters`.
    """

    def __init__(self, link, master, own, rsne, random, counters):
        self._link = link
        self._master = master
        self._own = own
        self._rsne = rsne
        self._random = random
        self._counters = counters
        for name in COUNTERS:
            counters[name] = 0
        self.begin(bytes(6), b"")

    def begin(self, bssid, beacon_rsne):
        """A new association: nothing of an earlier one holds."""
        self._aa = bssid
        self._beacon = beacon_rsne
        self._protected = False  # how the frame came that is looked at
        self._replay = None  # counter of the last authentic frame
        self._anonce = self._snonce = None
        self._new = None  # keys of the handshake under way: KCK, KEK, TK
        self._keys = None  # keys in use
        self._groups = [None] * 4  # group keys handed out under this association
        self.secured = False  # both keys are set

    def input(self, raw, protected):
        """Take an EAPOL frame from the access point; protected: it came encrypted."""
        # Answered as it was asked: an access point that repeats message 3 in the clear has no key
        # yet to read a protected message 4 with.
        self._protected = protected
        try:
            k = eapol.KeyFrame(raw)
            kind = k.info & _KIND
            if kind == _M1:
                self._message1(k)
            elif kind == _M3:
                self._message3(k)
            elif kind == _G1:
                self._group1(k)
            else:
                raise ValueError("kind")
        except ValueError:
            self._counters["eapol_bad"] += 1

    def _old(self, k):
        # Replay counters only grow (12.7.2). The counter of a message without MIC proves nothing.
        if self._replay is not None and k.replay <= self._replay:
            self._counters["eapol_replay"] += 1
            return True
        return False

    def _message1(self, k):
        if self._keys and not self._protected:
            self._counters["eapol_unprotected"] += 1
            return
        if self._old(k):
            return
        if k.nonce != self._anonce or self._snonce is None:
            self._anonce = k.nonce
            self._snonce = self._random(32)
            self._new = ptk(self._master, self._aa, self._own, self._anonce, self._snonce)
        self._answer(_M2, k, self._snonce, self._rsne, self._new[0])

    def _message3(self, k):
        keys = self._new or self._keys
        if keys is None or k.nonce != self._anonce:
            self._counters["eapol_bad"] += 1
            return
        if self._refused(k, keys):
            return
        data = k.plain(keys[1])
        # 12.7.6.4: the element must be the beacon's, bit by bit.
        if data[: len(self._beacon)] != self._beacon:
            self._counters["eapol_rsne"] += 1
            return
        kid, gtk = eapol.gtk_of(data)
        # Only now: a message that could not be used must not keep out the one that can.
        self._replay = k.replay
        self._answer(_M4, k, bytes(32), b"", keys[0])
        if self._keys and same(keys[2], self._keys[2]):
            self._counters["key_again"] += 1
        else:
            self._keys = keys
            self._groups = [None] * 4
            self._link.pairwise(keys[2])
        self._new = None
        self._install(kid, gtk, k.rsc)
        self.secured = True

    def _group1(self, k):
        if self._keys is None:
            self._counters["eapol_bad"] += 1
            return
        if not self._protected:
            self._counters["eapol_unprotected"] += 1
            return
        if self._refused(k, self._keys):
            return
        kid, gtk = eapol.gtk_of(k.plain(self._keys[1]))
        self._replay = k.replay
        self._answer(_G2, k, bytes(32), b"", self._keys[0])
        self._install(kid, gtk, k.rsc)

    def _refused(self, k, keys):
        if self._old(k):
            return True
        if not k.authentic(keys[0]):
            self._counters["eapol_mic"] += 1
            return True
        return False

    def _install(self, kid, gtk, rsc):
        for known in self._groups:
            if known is not None and same(known, gtk):
                self._counters["key_again"] += 1
                return
        self._groups[kid] = gtk
        self._link.group(kid, gtk, rsc)

    def _answer(self, info, k, nonce, data, kck):
        raw = eapol.build(k.raw[0], info, k.replay, nonce, data, kck)
        self._link.eapol(raw, self._protected)
