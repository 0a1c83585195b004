# A Wi-Fi station as a link device: finds an access point, joins it, and carries Ethernet frames
# in its data frames. IEEE 802.11-2016 11.1.4 (scan), 11.3 (authentication, association).
#
#   IDLE -> SCAN -> AUTH -> ASSOC -> (HANDSHAKE ->) RUN, and back to SCAN whenever it is lost
#
# Time passes in recv() and link(), so a station does nothing that nobody polls for.
#
# With a passphrase, nothing but protected data frames and EAPOL comes in, and nothing else goes
# out. Not announced, so not used by an access point: QoS, HT, aggregation. Fragments and
# aggregates are dropped all the same.
from ... import native
from ...errors import ETIMEDOUT
from ...stack import diff, later
from ..device import LinkDevice
from . import frame as f
from .ccmp import Key
from .elements import RSNE, AccessPoint

_copy = native.load("memory").copy
_equal = native.load("memory").equal
_to_air = native.load("wifi").to_air
_to_ethernet = native.load("wifi").to_ethernet

IDLE = const(0)
SCAN = const(1)
AUTH = const(2)
ASSOC = const(3)
HANDSHAKE = const(4)
RUN = const(5)
NAMES = ("idle", "scan", "auth", "assoc", "handshake", "run")

_DWELL_MS = const(120)  # on a channel: a beacon comes every 102 ms
_ANSWER_MS = const(300)
_TRIES = const(4)
_HANDSHAKE_MS = const(5000)
_PAUSE_MS = const(1000)  # after a failure
_ALIVE_MS = const(15000)  # a null frame that often
_SILENT_MS = const(3000)  # without a sign of life, ask for one
_LOST_MS = const(8000)  # and give up after this

_ETHERNET = const(26)  # where the Ethernet header lies behind the start of a buffer
_OPEN = const(8)  # where an MPDU that is not protected starts then
_NO_QOS = const(16)
_LONGEST = const(1560)

_COUNTERS = (
    "beacon_bad",  # beacons and probe responses that cannot be read
    "rx_stray",  # frames of another network, for another station, or of no use in this state
    "rx_short",  # data frames too short for what they say they are
    "rx_unprotected",  # data in the clear although keys are set
    "rx_no_key",  # protected with a key that is not set
    "rx_mic",  # that fail their check
    "rx_replay",  # with a packet number that is not new
    "rx_duplicate",  # sent again by the access point, and already here
    "rx_fragment",  # pieces and aggregates
    "rx_llc",  # of a protocol that is not Ethernet's
    "rx_echo",  # multicasts of our own, sent on by the access point
    "tx_refused",  # frames that are too short or too long, or given without a link
    "tx_no_buffer",  # management and EAPOL frames that found no buffer
    "scans",
    "joins",
    "refused",  # authentications and associations that the access point denied
    "timeouts",  # or did not answer
    "lost",  # links that ended without our doing
)


class Station(LinkDevice):
    """A station for one network on `radio` (radio.py).

    passphrase: of WPA2-PSK, None for an open network; ticks: milliseconds (default: the clock's);
    random(n): n random bytes. state, error (what went wrong last, text or None), ap (an
    AccessPoint or None) and the dict `counters` say how it is. Experimental: never run on
    hardware.
    """

    tx_off = _ETHERNET

    def __init__(self, radio, ssid, passphrase=None, ticks=None, random=None, mtu=1500):
        if not 1 <= len(ssid) <= 32:
            raise ValueError("ssid: 1 to 32 bytes")
        if ticks is None:
            from time import ticks_ms as ticks
        if random is None:
            from os import urandom as random
        self.radio = radio
        self.mac = bytes(radio.mac)
        self.mtu = mtu
        self.rx_frames = radio.rx_frames
        self.ssid = ssid.encode() if isinstance(ssid, str) else bytes(ssid)
        self.counters = {}
        for name in _COUNTERS:
            self.counters[name] = 0
        self.state = IDLE
        self.error = None
        self.ap = None
        self._found = []  # why networks of this name are of no use, and those that are
        self._ticks = ticks
        self._due = 0
        self._tries = 0
        self._channel = 0  # index of the channel that is scanned
        self._seq = 0
        self._bssid = bytearray(6)
        self._heard = self._told = 0  # when something came from the AP, and went to it
        self._asked = False
        self._last = bytearray(34)  # sequence control of the last frame, for each TID
        self._key = None
        self._groups = [None] * 4
        self._using = None  # the key of the frame that is looked at
        self._tid = _NO_QOS  # and its TID
        self._n = 0
        self._supplicant = None
        if passphrase is not None:
            from .crypto import pmk
            from .supplicant import Supplicant

            master = passphrase if isinstance(passphrase, bytes) else pmk(passphrase, self.ssid)
            self._supplicant = Supplicant(self, master, self.mac, RSNE, random, self.counters)

    # Up, down, and what a user asks.

    def up(self):
        """Start looking for the network; link() says when it is joined."""
        if self.state == IDLE:
            self.error = None
            self.radio.up()
            self._scan()

    def down(self):
        """Leave the network."""
        if self.state == IDLE:
            return
        if self.state >= ASSOC:
            self._manage(f.deauthentication(self.mac, bytes(self._bssid), f.LEAVING, self._next()))
        self._forget()
        self.state = IDLE
        self.radio.down()

    def link(self):
        if self.state:
            self._time()
        return self.state == RUN

    def wait(self, ms=10000, sleep=None):
        """Poll until the network is joined. OSError(ETIMEDOUT), with the reason, if it is not.

        Frames that come meanwhile wait, or are lost.
        """
        if sleep is None:
            from time import sleep_ms as sleep
        end = later(self._now(), ms)
        while self.state != RUN:
            self.recv()
            if diff(self._now(), end) >= 0:
                raise OSError(ETIMEDOUT, self.error or NAMES[self.state])
            sleep(5)

    def fileno(self):
        return self.radio.fileno()

    def _now(self):
        return self._ticks() & 0x3FFFFFFF

    def _next(self):
        self._seq = seq = (self._seq + 1) & 0xFFF
        return seq

    def _arm(self, ms):
        self._due = later(self._now(), ms)

    # The way to a link.

    def _scan(self):
        self.state = SCAN
        self.ap = None
        self._found = []
        self._channel = 0
        self.counters["scans"] += 1
        self.radio.select(None)
        self._listen()

    def _listen(self):
        self.radio.tune(self.radio.channels[self._channel])
        self._manage(f.probe_request(self.mac, self.ssid, self._next()))
        self._arm(_DWELL_MS)

    def _scanned(self):
        # The time on this channel is over.
        self._channel += 1
        if self._channel < len(self.radio.channels):
            self._listen()
            return
        usable = [ap for ap in self._found if not ap.fault(self._supplicant is not None)]
        if not usable:
            self.error = "no access point of this name"
            for ap in self._found:
                self.error = ap.fault(self._supplicant is not None)
            self._again(_PAUSE_MS)
            return
        best = usable[0]
        for ap in usable:
            if ap.rssi > best.rssi:
                best = ap
        self.ap = best
        self._bssid[:] = best.bssid
        self.radio.tune(best.channel)
        self.radio.select(best.bssid)
        self.state = AUTH
        self._tries = 0
        self._ask()

    def _again(self, ms):
        # Scan once more, after a pause.
        self._forget()
        self.state = SCAN
        self._channel = -1
        self._found = []
        self._arm(ms)

    def _ask(self):
        # Send the request of this state (again).
        if self._tries == _TRIES:
            self.counters["timeouts"] += 1
            self.error = "the access point does not answer"
            self._again(_PAUSE_MS)
            return
        self._tries += 1
        ap = self.ap
        if self.state == AUTH:
            self._manage(f.authentication(self.mac, ap.bssid, self._next()))
        else:
            rsne = RSNE if self._supplicant else b""
            self._manage(f.association(self.mac, ap.bssid, self.ssid, rsne, self._next()))
        self._arm(_ANSWER_MS)

    def _joined(self):
        now = self._now()
        self.state = RUN
        self.error = None
        self.counters["joins"] += 1
        self._heard = self._told = now
        self._asked = False

    def _lose(self, why):
        self.error = why
        self.counters["lost"] += 1
        self._again(100)

    def _forget(self):
        # Keys, and what was received under them.
        self._key = None
        self._groups = [None] * 4
        self.radio.clear_keys()
        self._last[:] = bytes(34)
        self.ap = None
        if self._n:
            self._n = 0
            self.radio.release()
        if self._supplicant:
            self._supplicant.begin(bytes(6), b"")

    def _time(self):
        now = self._ticks() & 0x3FFFFFFF
        state = self.state
        if state == RUN:
            self._alive(now)
        elif diff(now, self._due) >= 0:
            if state == SCAN:
                if self._channel < 0:
                    self._scan()
                else:
                    self._scanned()
            elif state == HANDSHAKE:
                self.counters["timeouts"] += 1
                self.error = "no four-way handshake: is the passphrase wrong?"
                self._again(_PAUSE_MS)
            else:
                self._ask()

    def _alive(self, now):
        silent = diff(now, self._heard)
        if silent > _LOST_MS:
            self._lose("no sign of the access point")
        elif silent > _SILENT_MS and not self._asked:
            self._asked = True
            self._manage(f.probe_request(self.mac, self.ssid, self._next()))
        elif diff(now, self._told) > _ALIVE_MS:
            self._told = now
            self._manage(f.null(self.mac, self.ap.bssid, self._next()))

    # For the supplicant.

    def eapol(self, data, protected):
        """Send an EAPOL frame to the access point."""
        buf = self.radio.borrow()
        if buf is None:
            self.counters["tx_no_buffer"] += 1
            return
        head = bytes(self._bssid) + self.mac + b"\x88\x8e"
        buf[_ETHERNET : _ETHERNET + 14 + len(data)] = head + data
        self._transmit(buf, 14 + len(data), self._key if protected else None)

    def pairwise(self, tk):
        self._key = Key(tk)
        # A new key starts all packet numbers anew, and the AP's sequence numbers say nothing.
        self._key.slot = self.radio.set_key(0, bytes(self._bssid), tk, False)

    def group(self, kid, gtk, rsc):
        key = Key(gtk, kid, rsc)
        key.slot = self.radio.set_key(kid, bytes(self._bssid), gtk, True)
        self._groups[kid] = key

    # Out.

    def borrow(self):
        if self.state != RUN:
            return None
        return self.radio.borrow()

    def send(self, n):
        if self.state != RUN or not 14 <= n <= self.mtu + 14:
            self.counters["tx_refused"] += 1
            return
        buf = self.radio.borrow()
        if buf is not None:
            self._told = self._ticks() & 0x3FFFFFFF
            self._transmit(buf, n, self._key)

    def _transmit(self, buf, n, key):
        # The Ethernet frame of n bytes at buf[_ETHERNET:]. What is protected starts at 0: header
        # 24, CCMP 8, LLC 6; what is not, 8 bytes later.
        if key is None:
            _to_air(buf, _ETHERNET, _OPEN, self._bssid, self._next(), 0)
            self.radio.send(_OPEN, n + 18, -1)
            return
        _to_air(buf, _ETHERNET, 0, self._bssid, self._next(), 1)
        key.number(buf, 24)
        if key.slot < 0:
            key.seal(buf, 0, 24, n + 34)
        self.radio.send(0, n + 34, key.slot)

    def _manage(self, mpdu):
        buf = self.radio.borrow()
        if buf is None:
            self.counters["tx_no_buffer"] += 1
            return
        buf[: len(mpdu)] = mpdu
        self.radio.send(0, len(mpdu), -1)

    # In.

    def recv(self):
        if self._n:
            return self._n
        if not self.state:
            return 0
        radio = self.radio
        left = 32  # a storm of frames that are not for us must not keep the caller for ever
        while left:
            left -= 1
            n = radio.recv()
            if not n:
                break
            self.rx = radio.rx
            self._n = n = self._take(radio.rx, radio.rx_off, n)
            if n:
                return n
            radio.release()
        self._time()
        return 0

    def release(self):
        if self._n:
            self._n = 0
            self.radio.release()

    def _drop(self, why):
        self.counters[why] += 1
        return 0

    def _take(self, buf, off, n):
        # One MPDU; the length of the Ethernet frame in it, 0: it was not one to pass on.
        kind = buf[off] & 0x0F
        if n < 24 or kind & 3:
            return self._drop("rx_stray")
        if not kind:
            if self.state == RUN and buf[off] in (f.BEACON, f.PROBE_RESP):
                if _equal(buf, off + 16, self._bssid, 0, 6):
                    self._alive_still()
            else:
                self._management(buf, off, n)
            return 0
        if kind != 8 or self.state < HANDSHAKE or buf[off + 1] & 3 != f.FROM_DS:
            return self._drop("rx_stray")
        if not _equal(buf, off + 10, self._bssid, 0, 6):
            return self._drop("rx_stray")
        if not buf[off + 4] & 1 and not _equal(buf, off + 4, self.mac, 0, 6):
            return self._drop("rx_stray")
        self._alive_still()
        if buf[off] & 0x40:
            return 0  # no data
        return self._data(buf, off, n)

    def _alive_still(self):
        self._heard = self._ticks() & 0x3FFFFFFF
        self._asked = False

    def _data(self, buf, off, n):
        hdr = 24
        self._using = None
        self._tid = _NO_QOS
        if buf[off] & 0x80:
            hdr = 26
            if n < 26 or buf[off + 24] & 0x80:
                return self._drop("rx_fragment")
            self._tid = buf[off + 24] & 15
        if buf[off + 1] & f.MORE_FRAGMENTS or buf[off + 22] & 15:
            return self._drop("rx_fragment")
        if self._repeated(buf, off):
            return self._drop("rx_duplicate")
        if buf[off + 1] & f.PROTECTED:
            n = self._decrypt(buf, off, hdr, n)
            if not n:
                return 0
            hdr += 8
        elif self._supplicant and not self._is_eapol(buf, off + hdr, n - hdr):
            return self._drop("rx_unprotected")
        # After what was in the clear has been let through as EAPOL, it goes nowhere else.
        return self._pass(buf, off, hdr, n)

    def _repeated(self, buf, off):
        # 10.3.2.11: a cache of the last sequence number for each TID; only a retry can be one.
        if buf[off + 4] & 1:
            return False
        i = 2 * self._tid
        if buf[off + 1] & f.RETRY and self._is_last(buf, off + 22, i):
            return True
        self._last[i] = buf[off + 22]
        self._last[i + 1] = buf[off + 23]
        return False

    def _is_last(self, buf, at, i):
        return buf[at] == self._last[i] and buf[at + 1] == self._last[i + 1]

    # What follows is cut in small pieces: a function with more than a handful of locals takes heap
    # at every call.

    def _decrypt(self, buf, off, hdr, n):
        # The length without MIC, 0: not to be had.
        if n < hdr + 16 or not buf[off + hdr + 3] & 0x20:
            return self._drop("rx_short")
        if not self._choose(buf, off, hdr):
            return self._drop("rx_no_key")
        if not self._using.fresh(buf, off + hdr, self._tid):
            return self._drop("rx_replay")
        if self._using.slot < 0:
            if not self._using.open(buf, off, hdr, n):
                return self._drop("rx_mic")
            n -= 8
        self._using.accept(buf, off + hdr, self._tid)
        return n

    def _choose(self, buf, off, hdr):
        # Whether there is the key that this MPDU names: the group's for a group.
        kid = buf[off + hdr + 3] >> 6
        key = self._groups[kid] if buf[off + 4] & 1 else self._key
        if key is None or key.kid != kid:
            return False
        self._using = key
        return True

    def _is_eapol(self, buf, at, n):
        return n >= 8 and buf[at + 6] == 0x88 and buf[at + 7] == 0x8E

    def _pass(self, buf, off, hdr, n):
        n -= hdr
        if n < 8:
            return self._drop("rx_short")
        if n > _LONGEST:
            return self._drop("rx_stray")
        if self._is_own(buf, off + 16):
            return self._drop("rx_echo")
        off = _to_ethernet(buf, off, off + hdr)
        if off < 0:
            return self._drop("rx_llc")
        n += 6
        if buf[off + 12] == 0x88 and buf[off + 13] == 0x8E:
            self._eapol_in(buf, off, n)
            return 0
        if self.state != RUN:
            return self._drop("rx_stray")
        self.rx_off = off
        return n

    def _is_own(self, buf, at):
        return _equal(buf, at, self.mac, 0, 6)

    def _eapol_in(self, buf, at, n):
        s = self._supplicant
        if s is None or buf[at] & 1:
            self._drop("rx_stray")
            return
        s.input(bytes(buf[at + 14 : at + n]), self._using is not None)
        if s.secured and self.state == HANDSHAKE:
            self._joined()

    def _management(self, buf, off, n):
        kind = buf[off] & 0xF0
        if kind in (f.BEACON, f.PROBE_RESP):
            self._beacon(buf, off, n)
            return
        mine = _equal(buf, off + 4, self.mac, 0, 6)
        everybody = buf[off + 4] == 0xFF
        if (
            self.ap is None
            or not _equal(buf, off + 10, self._bssid, 0, 6)
            or not _equal(buf, off + 16, self._bssid, 0, 6)
            or not (mine or everybody)
            or buf[off + 1] & f.PROTECTED
        ):
            self._drop("rx_stray")
        elif kind == f.AUTH and mine and self.state == AUTH and n >= 30:
            self._authenticated(buf, off + 24)
        elif kind == f.ASSOC_RESP and mine and self.state == ASSOC and n >= 30:
            self._associated(buf, off + 24)
        elif kind in (f.DEAUTH, f.DISASSOC) and self.state >= AUTH and n >= 26:
            why = "reason %d" % f.le16(buf, off + 24)
            if self.state == HANDSHAKE:
                why += " in the four-way handshake: is the passphrase wrong?"
            self._lose("sent away by the access point: " + why)
        else:
            self._drop("rx_stray")

    def _beacon(self, buf, off, n):
        if self.state != SCAN or self._channel < 0:
            return
        try:
            ap = AccessPoint(buf, off, n, self.radio.channel, self.radio.rssi)
        except ValueError:
            self._drop("beacon_bad")
            return
        if ap.ssid != self.ssid:
            return
        for i in range(len(self._found)):
            if self._found[i].bssid == ap.bssid:
                self._found[i] = ap
                return
        if len(self._found) < 16:
            self._found.append(ap)

    def _authenticated(self, buf, at):
        status = f.le16(buf, at + 4)
        if f.le16(buf, at) or f.le16(buf, at + 2) != 2 or status:
            self._deny("authentication", status)
            return
        self.state = ASSOC
        self._tries = 0
        self._ask()

    def _associated(self, buf, at):
        status = f.le16(buf, at + 2)
        if status:
            self._deny("association", status)
            return
        if self._supplicant is None:
            self._joined()
            return
        self.state = HANDSHAKE
        self._supplicant.begin(self.ap.bssid, self.ap.rsne)
        self._arm(_HANDSHAKE_MS)

    def _deny(self, what, status):
        self.counters["refused"] += 1
        self.error = "%s refused: status %d" % (what, status)
        self._again(_PAUSE_MS)
