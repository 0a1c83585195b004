# Frames over ESP-NOW, Espressif's datagrams between boards, by MicroPython's own `espnow` module.
#
# A frame's data are its destination, its EtherType and its payload; the source is known from
# ESP-NOW itself. They are cut into messages, which are sent one after the other:
#
#    0       1        3            4.5            6
#   | 0x76  | number | length     | offset       | data ...
#     8 bits  16       12 (of all)  12 (of these)  filled up with zeros to a multiple of 16 bytes
#
# Numbers are those of a sender's frames, whoever they are for, and begin anywhere.
import array
import time

from .. import native
from ..address import mac as _mac
from .device import LinkDevice

_HEADER = const(6)
_DATA = const(8)  # destination and EtherType, before the payload
_ETHERNET = const(14)
_FRAME = const(2)  # where a frame begins in its buffer
_ENVELOPE = const(16)  # what the firmware keeps beside a received message, rounded up
_BATCH = const(16)  # messages looked at in one recv()
_PEERS = const(19)  # ESP_NOW_MAX_TOTAL_PEER_NUM is 20; one is the broadcast address
_MASK = const(0x3FFFFFFF)
_ALL = b"\xff\xff\xff\xff\xff\xff"

# The words of the routines' state (viper/espnow.py).
_NOW = const(0)
_LONGEST = const(1)
_STRIDE = const(2)
_SLOTS = const(3)
_AT = const(4)
_NUMBER = const(5)
_LENGTH = const(6)
_LIMIT = const(7)
_GIVEN_UP = const(8)
_WORDS = const(164)

_DROPS = ("", "rx_foreign", "rx_bad", "rx_duplicate", "rx_gap", "rx_no_slot")
_TOTALS = ("rx_incomplete", "rx_late", "rx_forgotten")

_routines = native.load("espnow")
_piece = _routines.piece
_take = _routines.take
_find = native.load("memory").find


class ESPNowLink(LinkDevice):
    """A link to all boards near that have one too, on the same channel.

    peers: MAC address -> key of 16 bytes (or None), for boards that frames are to be encrypted
    for; others are added as they are needed. pmk: the primary key, 16 bytes. channel: 1 to 14
    (None: as it is). size: longest message, bytes, at most espnow.MAX_DATA_LEN: 250 where one of
    the boards has no ESP-NOW version 2. mtu: the same on all boards (None: 724 with messages of
    250 bytes, which are three a frame, 1,456 with 1,470). frames: what the firmware keeps while
    nobody polls. slots: frames that may be coming in pieces at a time, up to 8. ifidx: 0 sends
    from the station interface, 1 from the access point's. ValueError for what cannot be.

    counters: rx_foreign, rx_bad, rx_duplicate, rx_gap (a piece before it is missing), rx_no_slot
    are messages; rx_incomplete and rx_late (a second old) frames that were given up, rx_forgotten
    senders. rx_error: the firmware refused; tx_no_memory, tx_no_peer, tx_down, tx_failed,
    tx_too_long: frames not sent.
    """

    def __init__(
        self,
        pmk=None,
        peers=None,
        channel=None,
        size=None,
        mtu=None,
        frames=4,
        slots=4,
        ifidx=0,
        espnow=None,
        wlan=None,
        ticks=None,
    ):
        if espnow is None:
            espnow = __import__("espnow")
        longest = espnow.MAX_DATA_LEN
        size = size or longest
        if not 64 <= size <= longest:
            raise ValueError("size must be from 64 to %d" % longest)
        self.mtu = mtu = mtu or (3 if size < 512 else 1) * (size - _HEADER) - _DATA
        # RFC 791 3.2: every internet module must be able to forward a datagram of 68 octets.
        if not 68 <= mtu <= 1500:
            raise ValueError("mtu must be from 68 to 1500")
        if not 0 <= slots <= 8:
            raise ValueError("slots must be from 0 to 8")
        self._pmk = _key(pmk) if pmk else None
        self._keys = {}
        for mac, key in (peers or {}).items():
            self._keys[_mac(mac)] = _key(key) if key else b""
        if len(self._keys) > _PEERS:
            raise ValueError("ESP-NOW has room for 19 peers beside the broadcast address")
        self.rx_frames = frames
        # The end of a frame's last message counts as a whole one.
        self._rxbuf = frames * -(-(mtu + _DATA) // (size - _HEADER)) * (size + _ENVELOPE)
        self._espnow = espnow
        self._wlan = wlan
        self._ifidx = ifidx
        self._channel = channel
        self._ticks = ticks or time.ticks_ms
        stride = (max(longest, mtu + _ETHERNET) + _FRAME + 3) & ~3
        # A message is received where the frame is to lie that it may well be.
        self.rx = bytearray((1 + slots) * stride)
        self._into = [bytearray(6), memoryview(self.rx)[_FRAME : _FRAME + longest]]
        self._tx = bytearray((_FRAME + mtu + _ETHERNET + 15 + 3) & ~3)
        self._views = {}  # of messages in it: offset << 11 | length -> memoryview
        self._view = self._peer = None  # the message that is sent, and to whom
        self._sending = self._sender()
        self._s = s = array.array("i", bytes(4 * _WORDS))
        s[_LONGEST] = mtu + _DATA
        s[_STRIDE] = stride
        s[_SLOTS] = slots
        s[_LIMIT] = size
        s[_NUMBER] = _random()
        self._drops = array.array("i", bytes(4 * len(_DROPS)))
        self._counters = {"rx_error": 0, "tx_too_long": 0}
        for name in ("no_memory", "no_peer", "down", "failed"):
            self._counters["tx_" + name] = 0
        self._macs = bytearray(6 * _PEERS)
        self._peers = [None] * _PEERS
        self._known = 0
        self._next = 0
        self._lent = 0
        self._up = False
        self._radio = None

    @property
    def counters(self):
        out = dict(self._counters)
        for i in range(1, len(_DROPS)):
            out[_DROPS[i]] = self._drops[i]
        for i in range(len(_TOTALS)):
            out[_TOTALS[i]] = self._s[_GIVEN_UP + i]
        return out

    def rssi(self, mac):
        """Signal strength of the last message from a MAC address in dBm, None before the first."""
        seen = self._radio.peers_table.get(_mac(mac)) if self._up else None
        return seen and seen[0]

    def up(self):
        """Start Wi-Fi and ESP-NOW, and register the peers. OSError if the firmware refuses."""
        wlan = self._wlan
        if wlan is None:
            self._wlan = wlan = __import__("network").WLAN(self._ifidx)
        if not wlan.active():
            wlan.active(True)
        if self._channel is not None:
            wlan.config(channel=self._channel)
        if hasattr(wlan, "PM_NONE"):
            # A radio that sleeps between beacons would miss most messages.
            wlan.config(pm=wlan.PM_NONE)
        self.mac = bytes(wlan.config("mac"))
        self._radio = radio = self._espnow.ESPNow()
        # What the ring holds counts from the next start only.
        radio.active(False)
        radio.config(rxbuf=self._rxbuf)
        radio.active(True)
        if self._pmk:
            radio.set_pmk(self._pmk)
        self._known = self._next = self._lent = 0
        self._receive = radio.recvinto
        self._send = radio.send
        radio.add_peer(_ALL, b"", 0, self._ifidx)
        for mac in self._keys:
            self._add(mac)
        self._up = True

    def down(self):
        if self._up:
            self._up = False
            self._lent = 0
            self._radio.active(False)

    def link(self):
        return self._up and self._wlan.active()

    # In.

    def recv(self):
        if self._up and not self._lent:
            s = self._s
            s[_NOW] = self._ticks() & _MASK
            i = _BATCH
            while i:
                i -= 1
                n = self._message()
                if not n:
                    break
                n = _take(self.rx, s, self._into[0], n)
                if n > 0:
                    self.rx_off = s[_AT]
                    self._lent = n
                    break
                if n:
                    self._drops[-n] = (self._drops[-n] + 1) & _MASK
        return self._lent

    def _message(self):
        # Length of the oldest message, which lies at rx[2:] now; 0: none.
        try:
            return self._receive(self._into, 0)
        except ValueError:
            # The firmware's ring is out of step, and stays so.
            self.down()
            self.up()
        except OSError:
            pass
        self._count("rx_error")
        return 0

    def release(self):
        self._lent = 0

    # Out.

    def borrow(self):
        return self._tx if self._up else None

    def send(self, n):
        if not _ETHERNET <= n <= self.mtu + _ETHERNET:
            self._count("tx_too_long")
            return
        if self._find():
            s = self._s
            s[_NUMBER] = (s[_NUMBER] + 1) & 0xFFFF
            s[_LENGTH] = n - 6
            off = 0
            while 0 <= off < s[_LENGTH]:
                off = self._part(off)

    def _part(self, off):
        # Send what follows byte `off` of the frame's data; up to where, -1: it was refused.
        size = _piece(self._tx, self._s, off)
        # There are not many views that it can be; slices take heap.
        self._view = self._views.get(off << 11 | size) or self._slice(off, size)
        return off + size - _HEADER if self._put() else -1

    def _slice(self, off, size):
        at = _FRAME + off
        self._views[off << 11 | size] = view = memoryview(self._tx)[at : at + size]
        return view

    def _put(self):
        sent = None
        try:
            sent = next(self._sending)
        finally:
            if sent is None:
                # A generator that raised is over: Ctrl-C.
                self._sending = self._sender()
        return sent

    def _sender(self):
        # One message for each next(). A generator, because its frame is made once: a function with
        # such a handler takes heap on every call.
        while True:
            sent = False
            try:
                # Not waiting for the other end: TCP does.
                self._send(self._peer, self._view, False)
                sent = True
            except OSError as e:
                self._refused(e, self._peer)
            yield sent

    def _find(self):
        # The peer that the frame goes to.
        if self._tx[_FRAME] & 1:
            self._peer = _ALL
            return True
        i = _find(self._macs, self._known, 6, self._tx, _FRAME)
        if i < 0:
            return self._meet()
        self._peer = self._peers[i]
        return True

    def _meet(self):
        mac = bytes(self._tx[_FRAME : _FRAME + 6])
        try:
            self._peer = self._add(mac)
            return True
        except OSError as e:
            self._refused(e, mac)
        return False

    # Peers.

    def _add(self, mac):
        # Register a peer; what to send to. The one that has been known longest makes room, but
        # none that was given: where there is no other, everybody hears what one is to know.
        i = self._known
        if i == _PEERS:
            i = self._next
            while self._peers[i] in self._keys:
                i = (i + 1) % _PEERS
                if i == self._next:
                    return _ALL
            self._next = (i + 1) % _PEERS
            self._drop(i)
        try:
            self._radio.add_peer(mac, self._keys.get(mac, b""), 0, self._ifidx)
        except OSError as e:
            if not _said(e, "EXIST"):
                raise
        i = self._known
        self._known = i + 1
        self._macs[6 * i : 6 * i + 6] = mac
        self._peers[i] = mac
        return mac

    def _drop(self, i):
        # Deregister peer i; the last one takes its place.
        mac = self._peers[i]
        self._known = last = self._known - 1
        self._peers[i] = self._peers[last]
        self._macs[6 * i : 6 * i + 6] = self._macs[6 * last : 6 * last + 6]
        try:
            self._radio.del_peer(mac)
        except OSError:
            pass  # somebody else has done it

    def _refused(self, e, mac):
        if _said(e, "NO_MEM"):
            self._count("tx_no_memory")
        elif _said(e, "NOT_FOUND") or _said(e, "FULL"):
            self._count("tx_no_peer")
            i = _find(self._macs, self._known, 6, mac, 0)
            if i >= 0:
                # It is registered again for the next frame.
                self._drop(i)
        elif _said(e, "IF") or _said(e, "NOT_INIT"):
            self._count("tx_down")
        else:
            self._count("tx_failed")

    def _count(self, name):
        self._counters[name] = (self._counters[name] + 1) & _MASK


def _said(e, name):
    # esp_err_to_name() of what went wrong is the second argument; its number is the port's affair.
    return len(e.args) > 1 and e.args[1] == "ESP_ERR_ESPNOW_" + name


def _key(key):
    if len(key) != 16:
        raise ValueError("a key of ESP-NOW has 16 bytes")
    return bytes(key)


def _random():
    try:
        from os import urandom

        return int.from_bytes(urandom(2), "big")
    except ImportError:
        from random import getrandbits

        return getrandbits(16)
