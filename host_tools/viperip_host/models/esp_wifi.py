# The firmware side of link/wlan: the private functions, reached by address through a mailbox, with
# an account of who owns which received frame. It stands where shim.Chip does.
#
# Addresses are small numbers that stand for objects: functions as in SYMBOLS, memory from MEMORY
# on, 4 KB each. The callback's machine code is played by receive_shim(), word by word as in
# xtensa.py and rv32.py. Nothing here takes heap for a frame, so that the driver can be measured.
from array import array

from dma_memory import ModelError
from viperip import native
from viperip.link.wlan import layout as _l

_copy = native.load("memory").copy

LWIP = 0x7000  # the callback of the firmware's own stack
CALLBACK = 0x8000  # ours: plus the interface
MEMORY = 0x100000
APPDESC = 0x4000
SHA256 = bytes(range(0x80, 0xA0))
NO_MEM, NOT_ASSOC, DISALLOW = 0x101, 0x3015, 0x3016

SYMBOLS = {
    "esp_wifi_internal_reg_rxcb": 0x1000,
    "esp_wifi_internal_tx": 0x1010,
    "esp_wifi_internal_free_rx_buffer": 0x1020,
    "esp_netif_action_disconnected": 0x1030,
    "heap_caps_malloc": 0x1040,
    "heap_caps_free": 0x1050,
    "memcpy": 0x1060,
}
TABLE = {
    "viperip_symbols": 1,
    "elf_sha256": "".join(["%02x" % b for b in SHA256]),
    "appdesc": APPDESC,
    "symbols": SYMBOLS,
}


class WLANModel:
    """network.WLAN, as far as the driver uses it."""

    PM_NONE = 0

    def __init__(self, firmware, interface, mac):
        self.firmware = firmware
        self.interface = interface
        self.mac = mac
        self.on = False
        self.associated = False
        self.parked = None
        self.settings = {}
        self.fails = False

    def active(self, on=None):
        if on is None:
            return self.on
        self.on = bool(on)
        if self.interface == 1:
            # The firmware's stack is told when the access point starts.
            self.firmware.callbacks[1] = LWIP if on else 0
        if not on:
            self.associated = False
        return None

    def config(self, *names, **settings):
        self.settings.update(settings)
        if names:
            return self.mac if names[0] == "mac" else self.settings.get(names[0])
        return None

    def ifconfig(self, four):
        self.parked = four

    def isconnected(self):
        if self.fails:
            raise OSError("Wifi Internal Error")
        return self.associated and self.parked is not None

    def connect(self, ssid, key=None):
        if not self.on:
            raise OSError("Wifi Not Started")
        self.associate()

    def associate(self):
        # ESP-IDF's default handler of STA_CONNECTED gives the frames to lwIP, every time.
        self.associated = True
        self.firmware.callbacks[0] = LWIP
        self.firmware.netif_up = True

    def disconnect(self):
        self.associated = False

    def status(self, *param):
        return -60 if param else 1010 if self.associated else 1001

    def scan(self):
        return [(b"viperip", b"\x02\0\0\0\0\xa9", 6, -60, 3, False)]


class FirmwareModel:
    """A chip's firmware with `buffers` receive buffers; air: the link device beyond its radio."""

    def __init__(self, mac, air=None, buffers=32, ticks=None):
        self.air = air
        self.sha256 = SHA256
        self.now = 0
        self._clock = ticks
        self.mail = array("I", bytes(4 * _l.MAIL_WORDS))
        self.call = self._call
        self.callbacks = [0, 0]
        self.netif_up = True
        self.wlans = [WLANModel(self, 0, mac), WLANModel(self, 1, mac)]
        self._memory = {}
        self._next = MEMORY
        self._functions = {
            0x1000: self._reg_rxcb,
            0x1010: self._tx,
            0x1020: self._free,
            0x1030: self._netif_down,
            0x1060: self._memcpy,
        }
        self._rings = {}
        self._kept = {}
        self.no_memory = False
        # Received frames: a buffer is the firmware's (0) or somebody else's (1).
        self._rx = [self.buffer(1600) for _ in range(buffers)]
        self._owned = bytearray(buffers)
        self._at = 0
        self.given = 0  # frames handed over, to whom it may be
        self.freed = 0  # and given back
        self.double = 0  # given back more than once, or never handed over
        self.starved = 0  # frames lost because every buffer was somebody else's
        self.lwip = 0  # frames that went to lwIP
        self.nobody = 0  # frames that no callback was there for
        # Sent frames.
        self.sent = 0
        self.refused = 0
        self.tx_error = 0  # what the next ones get
        self.calls = 0

    # The port.

    def ticks_ms(self):
        return self._clock() if self._clock else self.now

    def word(self, address):
        image = b"\x32\x54\xcd\xab" + bytes(0x8C) + self.sha256
        return int.from_bytes(image[address - APPDESC : address - APPDESC + 4], "little")

    def buffer(self, n):
        buf = bytearray(n)
        return buf, self._put(buf)

    def _put(self, thing):
        address = self._next
        self._next += 0x1000
        self._memory[address] = thing
        return address

    def allocate(self, words):
        if self.no_memory:
            from viperip.errors import ENOMEM

            raise OSError(ENOMEM)
        ring = array("I", bytes(4 * words))
        return ring, self._put(ring)

    def view(self, address, words):
        ring = self._memory[address]
        return ring if len(ring) == words else None

    def callback(self, ring, slots):
        address = CALLBACK + 16 * len(self._rings)
        self._rings[address] = self._memory[ring]
        assert len(self._memory[ring]) == _l.ring_words(slots)
        return address

    def remembered(self, interface):
        return self._kept.get(interface, 0)

    def remember(self, interface, address):
        self._kept[interface] = address

    def wlan(self, interface):
        return self.wlans[interface]

    def netif(self, wlan):
        return 0x9000 + wlan.interface

    # The functions.

    def _call(self):
        self.calls += 1
        mail = self.mail
        function = self._functions.get(mail[0])
        if function is None:
            raise ModelError("a call to address %x, where no function is" % mail[0])
        mail[5] = function(mail[1], mail[2], mail[3], mail[4])

    def _on_air(self, wlan):
        return wlan.associated or wlan.interface and wlan.on

    def _reg_rxcb(self, interface, callback, _2, _3):
        if callback and callback not in self._rings:
            raise ModelError("a callback at %x, where there is none" % callback)
        if not self.wlans[interface].on:
            return 0x3002
        self.callbacks[interface] = callback
        return 0

    def _tx(self, interface, address, n, _3):
        if self.tx_error or not self._on_air(self.wlans[interface]):
            self.refused += 1
            return self.tx_error or NOT_ASSOC
        if n > 1536:
            raise ModelError("a frame of more than 1536 bytes to send")
        if self.air is not None:
            self._copy(self.air.borrow(), self.air.tx_off, address, n)
            self.air.send(n)
        self.sent += 1
        return 0

    def _free(self, eb, _1, _2, _3):
        i = eb - 0x5000
        if not 0 <= i < len(self._owned) or not self._owned[i]:
            self.double += 1
            return 0
        self._owned[i] = 0
        self.freed += 1
        return 0

    def _netif_down(self, netif, _1, _2, _3):
        if netif >> 1 != 0x9000 >> 1:
            raise ModelError("%x is no netif" % netif)
        self.netif_up = False
        return 0

    def _memcpy(self, to, source, n, _3):
        if (to & 0xFFF) + n > len(self._memory[to & ~0xFFF]):
            raise ModelError("bytes copied beyond the end")
        self._copy(self._memory[to & ~0xFFF], to & 0xFFF, source, n)
        return to

    def _copy(self, target, at, source, n):
        _copy(target, at, self._memory[source & ~0xFFF], source & 0xFFF, n)

    # The radio.

    def outstanding(self):
        """Frames that somebody has not given back."""
        n = 0
        for owned in self._owned:
            n += owned
        return n

    def receive(self, data, n, interface=0, length=0):
        """A frame comes, data[:n]; False if it was lost for want of a buffer. length: what the
        callback is told instead of n, if it is not 0."""
        i = self._free_buffer()
        if i < 0:
            self.starved += 1
            return False
        if not self.callbacks[interface]:
            self.nobody += 1
            return True
        self._fill(self._rx[i][0], data, n)
        self._hand_over(self.callbacks[interface], i, length or n)
        return True

    def _fill(self, buf, data, n):
        _copy(buf, 0, data, 0, n)

    def _free_buffer(self):
        i = self._at
        left = len(self._owned)
        while self._owned[i]:
            i += 1
            if i == len(self._owned):
                i = 0
            left -= 1
            if not left:
                return -1
        self._at = i
        return i

    def _hand_over(self, callback, i, n):
        self._owned[i] = 1
        self.given += 1
        if callback == LWIP:
            self.lwip += 1
            self._free(0x5000 + i, 0, 0, 0)
        else:
            self.receive_shim(callback, i, n)

    def deliver(self, interface=0):
        """Everything that waits on the air comes."""
        air = self.air
        n = air.recv()
        while n:
            if air.rx_off:
                _copy(air.rx, 0, air.rx, air.rx_off, n)
            self.receive(air.rx, n, interface)
            air.release()
            n = air.recv()

    def receive_shim(self, callback, i, n):
        """The machine code of a callback, for a frame in buffer i."""
        ring = self._rings[callback]
        if ring[_l.CLOSED]:
            ring[_l.LATE] += 1
        elif self._full(ring):
            ring[_l.DROPPED] += 1
        else:
            self._keep(ring, i, n)
            return
        self._give_back(ring, 0x5000 + i)

    def _full(self, ring):
        return (ring[_l.HEAD] - ring[_l.TAIL]) & 0x3FFFFFFF == len(ring) - _l.SLOT >> 2

    def _give_back(self, ring, eb):
        if ring[_l.FREE] != 0x1020:
            raise ModelError("the ring names no function that frees")
        self._free(eb, 0, 0, 0)

    def _keep(self, ring, i, n):
        at = _l.SLOT + 4 * (ring[_l.HEAD] & (len(ring) - _l.SLOT >> 2) - 1)
        ring[at] = self._rx[i][1]
        ring[at + 1] = n & 0xFFFF
        ring[at + 2] = 0x5000 + i
        ring[_l.HEAD] = ring[_l.HEAD] + 1
