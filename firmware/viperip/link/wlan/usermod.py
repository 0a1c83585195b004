# The same frames through a module in C, for firmware that was built with it: firmware/usermod.
# No table, no machine code of ours. ImportError where the firmware has no such module.
_module = __import__("_viperip_wlan")


class ModuleFrames:
    """frames.Frames on the module. slots: its own number counts."""

    off = 2

    def __init__(self, interface, slots, longest):
        self.rx = bytearray(longest + 2)
        self.tx = bytearray(longest + 2)
        self._interface = interface
        self._opened = False

    def open(self):
        if self._opened:
            return False
        self._opened = True
        return _module.open(self._interface)

    def attach(self):
        return _module.attach(self._interface)

    def close(self):
        return _module.close(self._interface)

    def silence(self, netif):
        return _module.silence(self._interface)

    def take(self):
        return _module.take(self._interface, self.rx, self.off)

    def send(self, n):
        return _module.send(self._interface, self.tx, self.off, n)

    def counts(self):
        return _module.counts(self._interface)


class Module:
    """What WLAN needs besides, on a chip."""

    def wlan(self, interface):
        return __import__("network").WLAN(interface)

    def netif(self, wlan):
        return 0

    def ticks_ms(self):
        import time

        return time.ticks_ms()
