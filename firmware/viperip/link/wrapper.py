# The base of the links that wrap another link.
from .device import LinkDevice


class Wrapper(LinkDevice):
    """Passes everything through to `dev`; a subclass changes what it is about."""

    def __init__(self, dev):
        self.dev = dev
        self._mirror()

    def _mirror(self):
        # What callers read as plain attributes, and a driver may only know once it is up.
        dev = self.dev
        self.mac = dev.mac
        self.mtu = dev.mtu
        self.rx = dev.rx
        self.rx_off = dev.rx_off
        self.tx_off = dev.tx_off
        self.rx_frames = dev.rx_frames

    def __getattr__(self, name):
        if name == "dev":
            raise AttributeError(name)
        return getattr(self.dev, name)

    def up(self):
        self.dev.up()
        self._mirror()

    def down(self):
        self.dev.down()

    @property
    def unsent(self):
        return self.dev.unsent

    def link(self):
        return self.dev.link()

    def filter(self, promiscuous=False, multicast=None):
        self.dev.filter(promiscuous, multicast)

    def recv(self):
        dev = self.dev
        n = dev.recv()
        if n:
            self.rx = dev.rx
            self.rx_off = dev.rx_off
        return n

    def release(self):
        self.dev.release()

    def borrow(self):
        return self.dev.borrow()

    def send(self, n):
        self.dev.send(n)

    def fileno(self):
        return self.dev.fileno()


class Watcher(Wrapper):
    """Calls frame(buf, off, n, sent) once for every frame, before it goes on its way."""

    def __init__(self, dev):
        super().__init__(dev)
        self._seen = False
        self._buf = None

    def frame(self, buf, off, n, sent):
        pass

    def recv(self):
        n = super().recv()
        if n and not self._seen:
            self._seen = True
            self.frame(self.rx, self.rx_off, n, False)
        return n

    def release(self):
        self._seen = False
        self.dev.release()

    def down(self):
        self._seen = False
        self.dev.down()

    def borrow(self):
        self._buf = buf = self.dev.borrow()
        return buf

    def send(self, n):
        self.frame(self._buf, self.tx_off, n, True)
        self.dev.send(n)
