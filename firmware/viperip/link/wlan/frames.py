# Frames by private functions of the firmware (ESP-IDF, esp_private/wifi.h), through the shim:
#
#   esp_wifi_internal_reg_rxcb(interface, callback)         frames go to callback(buffer, n, eb)
#   esp_wifi_internal_free_rx_buffer(eb)                    exactly once for each of them
#   esp_wifi_internal_tx(interface, buffer, n)              copies the frame
#   esp_netif_action_disconnected(netif, 0, 0, 0)           takes lwIP's interface down
#
# A frame belongs to the ring from the callback on, until it has been copied and given back. The
# ring and the callback's code are in memory that the firmware lends and a soft reset does not
# touch: whatever becomes of the program, the firmware finds a callback that gives frames back.
from array import array

from ... import native
from . import layout as _l

_r = native.load("wlan")

_COPY = const(0)
_SEND = const(5)
_REGISTER = const(10)
_QUIET = const(15)
_SLOTS = const(25)
_LONGEST = const(26)


class Frames:
    """Received and sent frames of one interface, 0 or 1: the station's, the access point's.

    port: what reaches the firmware (shim.Chip); slots: frames that wait at most, a power of two
    up to 16, because the firmware has few buffers for all; longest: of a frame, in bytes.
    """

    def __init__(self, port, symbols, interface, slots, longest):
        if slots not in (2, 4, 8, 16):
            raise ValueError("slots: 2, 4, 8 or 16")
        self.rx, rx_address = port.buffer(longest + 2)
        self.tx, tx_address = port.buffer(longest + 2)
        self.off = 2  # where frames begin in both
        self.drained = 0
        self._port = port
        self._interface = interface
        self._slots = slots
        self._ring = None
        self._mail = port.mail
        self._call = port.call
        self._calls = calls = array("I", bytes(4 * 27))
        calls[_COPY] = symbols["memcpy"]
        calls[_COPY + 1] = rx_address + 2
        calls[_SEND] = symbols["esp_wifi_internal_tx"]
        calls[_SEND + 1] = interface
        calls[_SEND + 2] = tx_address + 2
        calls[_REGISTER] = symbols["esp_wifi_internal_reg_rxcb"]
        calls[_REGISTER + 1] = interface
        calls[_QUIET] = symbols["esp_netif_action_disconnected"]
        calls[_SLOTS] = slots - 1
        calls[_LONGEST] = longest
        self._free = symbols["esp_wifi_internal_free_rx_buffer"]

    def open(self):
        """Have ring and callback, those that a program before a soft reset has left, or new ones;
        True if they were left. OSError(ENOMEM)."""
        if self._ring is not None:
            return False
        port = self._port
        words = _l.ring_words(self._slots)
        address = port.remembered(self._interface)
        ring = port.view(address, words) if address else None
        left = ring is not None and self._is_ours(ring)
        if not left:
            ring, address = port.allocate(words)
            for i in range(words):
                _r.put(ring, i, 0)
            _r.put(ring, _l.CLOSED, 1)
            _r.put(ring, _l.FREE, self._free)
            _r.put(ring, _l.CALLBACK, port.callback(address, self._slots))
            _r.put(ring, _l.MAGIC, _l.VIP1 + self._slots)
            port.remember(self._interface, address)
        self._calls[_REGISTER + 2] = _r.get(ring, _l.CALLBACK)
        self._ring = ring
        if left:
            # What it held belongs to the firmware.
            self.close()
        return left

    def _is_ours(self, ring):
        return (
            _r.get(ring, _l.MAGIC) == _l.VIP1 + self._slots
            and _r.get(ring, _l.FREE) == self._free
            and _r.get(ring, _l.CALLBACK) & 3 == 0
        )

    def attach(self):
        """Have received frames come here; an esp_err_t, 0: they do. May be repeated."""
        _r.put(self._ring, _l.CLOSED, 0)
        return _r.invoke(self._calls, _REGISTER, self._mail, self._call)

    def close(self):
        """Have no frame come here any more, and give back those that wait; an esp_err_t.

        The callback stays where it is: one that is under way, or is called by a firmware that
        did not listen, gives its frame back.
        """
        if self._ring is None:
            return 0
        _r.put(self._ring, _l.CLOSED, 1)
        calls = self._calls
        callback = calls[_REGISTER + 2]
        calls[_REGISTER + 2] = 0
        error = _r.invoke(calls, _REGISTER, self._mail, self._call)
        calls[_REGISTER + 2] = callback
        self.drained += _r.drain(self._ring, calls, self._mail, self._call)
        return error

    def silence(self, netif):
        """Take lwIP's interface, an esp_netif_t at this address, down; an esp_err_t."""
        self._calls[_QUIET + 1] = netif
        return _r.invoke(self._calls, _QUIET, self._mail, self._call)

    def take(self):
        """Move the oldest received frame to rx[off:]; its length, 0: none, -1: one of no use."""
        return _r.take(self._ring, self._calls, self._mail, self._call)

    def send(self, n):
        """Send the frame of n bytes at tx[off:]; an esp_err_t, 0: it is copied."""
        self._calls[_SEND + 3] = n
        return _r.invoke(self._calls, _SEND, self._mail, self._call)

    def counts(self):
        """Frames so far that (came into the ring, found it full, came after the end, were given
        back unread), each modulo 2**32, of all programs since the ring was made."""
        ring = self._ring
        if ring is None:
            return (0, 0, 0, 0)
        return (
            _r.get(ring, _l.HEAD),
            _r.get(ring, _l.DROPPED),
            _r.get(ring, _l.LATE),
            self.drained,
        )
