# A link device on the firmware's Wi-Fi: the radio, WPA2 and WPA3, and roaming are the firmware's,
# the frames are ours. (Modelled, executed in emulators; not yet run on silicon.)
from time import ticks_add, ticks_diff

from ...errors import EIO, ENETDOWN, ETIMEDOUT
from ..device import LinkDevice

_CHECK_MS = const(100)  # how often the firmware is asked whether it is connected
_AGAIN_MS = const(1000)  # how often the callback is registered again while it is
_RETRY_MS = const(2000)  # how long a frame waits for the firmware's memory

_NO_MEM = const(0x101)  # esp_err_t: ESP-IDF, esp_err.h and esp_wifi.h
_ERRORS = {
    -1: "ESP_FAIL",
    0x101: "ESP_ERR_NO_MEM",
    0x102: "ESP_ERR_INVALID_ARG",
    0x103: "ESP_ERR_INVALID_STATE",
    0x3001: "ESP_ERR_WIFI_NOT_INIT",
    0x3002: "ESP_ERR_WIFI_NOT_STARTED",
    0x3004: "ESP_ERR_WIFI_IF",
    0x3006: "ESP_ERR_WIFI_STATE",
    0x3007: "ESP_ERR_WIFI_CONN",
    0x300F: "ESP_ERR_WIFI_NOT_CONNECT",
    0x3012: "ESP_ERR_WIFI_POST",
    0x3015: "ESP_ERR_WIFI_NOT_ASSOC",
    0x3016: "ESP_ERR_WIFI_TX_DISALLOW",
}
# Not associated: the frame is lost because the association is, or is not yet there.
_NO_LINK = (0x3001, 0x3002, 0x3006, 0x3007, 0x300F, 0x3015, 0x3016)

# The firmware's lwIP must not ask for an address by DHCP: no answer would reach it, and without an
# address the firmware never says that it is connected. RFC 5737: an address that nobody has.
_PARKED = ("192.0.2.1", "255.255.255.255", "0.0.0.0", "0.0.0.0")

_COUNTERS = (
    "rx",  # frames taken from the ring
    "rx_dropped",  # given back by the callback: the ring was full
    "rx_late",  # given back by the callback: after down()
    "rx_drained",  # given back by down() unread
    "rx_length",  # given back: a length that cannot be
    "rx_echo",  # our own multicasts, come back from the access point
    "tx",  # taken by the firmware
    "tx_retry",  # times a frame had to wait for the firmware's memory
    "tx_no_memory",  # dropped: waited too long for it
    "tx_no_link",  # dropped: not associated, or the handshake not done
    "tx_length",  # dropped: too short or too long
    "tx_error",  # dropped: another error of the firmware's, see error
    "link_up",
    "lost",  # times the association went
    "registered",  # times the callback was registered
    "adopted",  # rings taken over from a program before a soft reset
    "firmware_error",  # calls of the firmware's that failed, see error
)


class WLAN(LinkDevice):
    """The firmware's Wi-Fi as a link device, with the methods of network.WLAN on top.

    interface: IF_STA or IF_AP; table: what `viperip symbols` has made for this firmware, a dict or
    the name of the file (default: viperip_symbols.json, unless the firmware has been built with
    viperip's own module); slots: received frames that wait at most (2, 4, 8, 16); port: what
    reaches the firmware (default: this chip).

    counters: a dict, named in the source. error: the last thing the firmware refused, as text.
    """

    IF_STA = 0
    IF_AP = 1

    def __init__(self, interface=0, table=None, slots=16, mtu=1500, port=None):
        if interface not in (0, 1):
            raise ValueError("interface: IF_STA or IF_AP")
        if not 68 <= mtu <= 1500:
            raise ValueError("mtu: 68 to 1500")
        self.interface = interface
        self.mtu = mtu
        self.rx_frames = slots
        self.error = None
        self._counters = {}
        for name in _COUNTERS:
            self._counters[name] = 0
        self._longest = mtu + 18  # with one VLAN tag
        port, self._frames = _reach(interface, table, slots, self._longest, port)
        self._port = port
        self._ticks = port.ticks_ms
        self.rx = self._frames.rx
        self.rx_off = self.tx_off = self._frames.off
        self.firmware = port.wlan(interface)
        self.mac = bytes(self.firmware.config("mac"))
        self._up = self._linked = self._parked = False
        self._n = 0  # length of the frame that is lent, 0: none is
        self._checked = self._registered = self._since = 0
        self._base = self._frames.counts()

    # The link device.

    def up(self):
        """Switch the firmware's Wi-Fi on, and be ready for its frames.

        OSError: EIO (the firmware refuses; error says what), ENOMEM.
        """
        if self._up:
            return
        self.error = None
        wlan = self.firmware
        wlan.active(True)
        if self.interface == self.IF_STA:
            wlan.config(pm=getattr(wlan, "PM_NONE", 0))
            self._park()
        if self._frames.open():
            self._counters["adopted"] += 1
            # What earlier programs have received is not this one's.
            self._base = self._frames.counts()
        self.mac = bytes(wlan.config("mac"))
        self._up = True
        self._check(self._ticks())

    def _park(self):
        if not self._parked:
            self.firmware.ifconfig(_PARKED)
            self._parked = True

    def down(self):
        """Take no more frames, and give back those that wait. The firmware stays associated."""
        if not self._up:
            return
        self._up = self._linked = False
        self._n = 0
        self._drop_unsent("tx_no_link")
        self._refused("detach", self._frames.close())

    def link(self):
        """True while associated, and frames come here."""
        return self._linked

    def recv(self):
        if not self._up:
            return 0
        now = self._ticks()
        if ticks_diff(now, self._checked) >= _CHECK_MS:
            self._check(now)
        if self.unsent:
            self._send_again(now)
        if not self._n:
            self._n = self._next()
        return self._n

    def _next(self):
        # The next frame of use, of the few there can be.
        i = self.rx_frames
        while i:
            n = self._frames.take()
            if n > 0:
                if not self._echo():
                    self._counters["rx"] += 1
                    return n
                self._counters["rx_echo"] += 1
            elif n < 0:
                self._counters["rx_length"] += 1
            else:
                return 0
            i -= 1
        return 0

    def _echo(self):
        # An access point sends multicasts of a station to all stations, that one included.
        rx = self.rx
        at = self.rx_off
        if not rx[at] & 1:
            return False
        mac = self.mac
        i = 0
        while i < 6:
            if rx[at + 6 + i] != mac[i]:
                return False
            i += 1
        return True

    def release(self):
        self._n = 0

    def borrow(self):
        if not self._up or self.unsent and not self._send_again(self._ticks()):
            return None
        return self._frames.tx

    def send(self, n):
        if not self._up or not 14 <= n <= self._longest:
            self._counters["tx_length" if self._up else "tx_no_link"] += 1
            return
        self._since = self._ticks()
        self._sent(n, self._frames.send(n))

    def _sent(self, n, error):
        # What became of a frame; True: its buffer is free.
        counters = self._counters
        if error == _NO_MEM:
            counters["tx_retry"] += 1
            self.unsent = n
            return False
        self.unsent = 0
        if not error:
            counters["tx"] += 1
        elif error in _NO_LINK:
            counters["tx_no_link"] += 1
            # Have it asked at the next recv() whether the association is gone.
            self._checked = ticks_add(self._ticks(), -_CHECK_MS)
        else:
            counters["tx_error"] += 1
            self.error = "send: " + _name(error)
        return True

    def _send_again(self, now):
        if ticks_diff(now, self._since) >= _RETRY_MS:
            self._drop_unsent("tx_no_memory")
            return True
        return self._sent(self.unsent, self._frames.send(self.unsent))

    def _drop_unsent(self, why):
        if self.unsent:
            self._counters[why] += 1
            self.unsent = 0

    # The association.

    def _check(self, now):
        # Register the callback when there is an association, and again every second: for a
        # station the firmware gives the frames back to lwIP whenever it has associated.
        self._checked = now
        if self._associated():
            if not self._linked or ticks_diff(now, self._registered) >= _AGAIN_MS:
                self._attach(now)
        elif self._linked:
            self._lost()

    def _lost(self):
        self._linked = False
        self._counters["lost"] += 1
        self._drop_unsent("tx_no_link")

    def _associated(self):
        try:
            return self._ask()
        except OSError:
            self._counters["firmware_error"] += 1
            self.error = "status: the firmware raises an OSError"
            return False

    def _ask(self):
        wlan = self.firmware
        return wlan.isconnected() if self.interface == 0 else wlan.active()

    def _attach(self, now):
        self._registered = now
        if self._refused("register", self._frames.attach()):
            return
        self._counters["registered"] += 1
        if not self._linked:
            self._linked = True
            self._counters["link_up"] += 1
            # lwIP would go on sending ARP and mDNS. Nothing depends on its being silent.
            self._refused("silence", self._frames.silence(self._port.netif(self.firmware)))

    def _refused(self, what, error):
        if error:
            self._counters["firmware_error"] += 1
            self.error = what + ": " + _name(error)
        return error

    @property
    def counters(self):
        c = self._counters
        _, dropped, late, drained = self._frames.counts()
        c["rx_dropped"] = dropped - self._base[1] & 0xFFFFFFFF
        c["rx_late"] = late - self._base[2] & 0xFFFFFFFF
        c["rx_drained"] = drained - self._base[3] & 0xFFFFFFFF
        return c

    # network.WLAN.

    def active(self, on=None):
        """up() or down(), or whether it is up. The firmware's Wi-Fi is on as long as it is."""
        if on is None:
            return self._up
        if on:
            self.up()
        elif self._up:
            self.down()
            self.firmware.active(False)
        return None

    def connect(self, *arguments, timeout_ms=0, **more):
        """Associate: the firmware's connect(ssid, key, bssid=...). With timeout_ms, wait for it:
        OSError(ETIMEDOUT), ENETDOWN before up()."""
        if not self._up:
            raise OSError(ENETDOWN, "up() first")
        if self._linked:
            # Associated anew, the callback has to be registered anew.
            self._lost()
        self.firmware.connect(*arguments, **more)
        if timeout_ms:
            import time

            start = self._ticks()
            while not self._linked:
                if ticks_diff(self._ticks(), start) >= timeout_ms:
                    raise OSError(ETIMEDOUT, "not associated: status %s" % self.status())
                time.sleep_ms(20)
                self._check(self._ticks())

    def disconnect(self):
        """Leave the access point."""
        self.firmware.disconnect()
        self._check(self._ticks())

    def isconnected(self):
        """True while associated, and frames come here."""
        return self._linked

    def status(self, *param):
        """The firmware's status: a STAT_ constant of network, or "rssi", "stations"."""
        return self.firmware.status(*param)

    def scan(self):
        """The firmware's list of access points."""
        return self.firmware.scan()

    def config(self, *param, **settings):
        """The firmware's configuration: "mac", "channel", "ssid", txpower=, pm= ..."""
        return self.firmware.config(*param, **settings)

    def check(self):
        """OSError(EIO) with what the firmware refused last; nothing if nothing was."""
        if self.error:
            raise OSError(EIO, self.error)


def _name(error):
    return _ERRORS.get(error) or "esp_err_t %d" % error


def _reach(interface, table, slots, longest, port):
    # (port, frames): by viperip's own module in the firmware, or by the shims. The table is
    # checked before anything is called.
    if table is None and port is None:
        try:
            from .usermod import Module, ModuleFrames
        except ImportError:
            pass
        else:
            port = Module()
            return port, ModuleFrames(interface, slots, longest)
    from . import firmware_table
    from .frames import Frames

    if isinstance(table, dict):
        table = firmware_table.verified(table)
    else:
        table = firmware_table.load(table or firmware_table.FILE)
    symbols = table["symbols"]
    if port is None:
        mem32 = __import__("machine").mem32
        firmware_table.check(table, lambda address: mem32[address] & 0xFFFFFFFF)
        from .shim import Chip

        port = Chip(symbols)
    else:
        firmware_table.check(table, port.word)
    return port, Frames(port, symbols, interface, slots, longest)
