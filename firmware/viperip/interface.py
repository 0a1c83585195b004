# A network interface: a link device with addresses, an ARP cache, groups and counters.
from . import native
from .address import network
from .link.ethernet import HEADER
from .packet import Packet

_copy = native.load("memory").copy
_WRAP = const(0x3FFFFFFF)


class Interface:
    """One link device as seen by the internet layer.

    net holds address, netmask (4 bytes each); counters wrap at 2**30.
    """

    def __init__(self, stack, dev, name, arp=True):
        self.stack = stack
        self.dev = dev
        self.name = name
        self.mac = dev.mac
        self.mtu = dev.mtu
        self.active = False
        self._promiscuous = False
        self.net = bytearray(8)
        self.gateway = bytes(4)
        self.dns = []
        # RFC 1112 7.2: every host is a member of the all-hosts group, which is never reported.
        self.groups = [b"\xe0\0\0\x01"]
        self.rx_frames = self.rx_bytes = self.tx_frames = self.tx_bytes = self.tx_drops = 0
        self.igmp = None
        self.dhcp = None
        self.tx = None  # the buffer borrowed last
        self.tx_at = dev.tx_off + HEADER  # where an IPv4 header starts in it
        self._packet = Packet()
        self._budget = 0
        self._batches = self._run()
        self.arp = None
        if arp:
            from .link.arp import ARP, protocol

            self.arp = ARP(self)
            protocol(stack)

    @property
    def addr(self):
        return bytes(self.net[:4])

    @property
    def mask(self):
        return bytes(self.net[4:])

    @property
    def promiscuous(self):
        """Whether packet sockets see what is meant for other stations."""
        return self._promiscuous

    @promiscuous.setter
    def promiscuous(self, on):
        self._promiscuous = bool(on)
        self.dev.filter(promiscuous=self._promiscuous)

    def configure(self, addr, mask, gateway=None):
        """Take an address (4 bytes each; all zero: none). With ARP, it is announced at once."""
        self.net[:4] = addr
        self.net[4:] = mask
        if gateway is not None:
            self.gateway = bytes(gateway)
        self.stack.changed()
        if self.arp is not None and self.active and any(addr):
            self.arp.announce()

    def up(self):
        """Start the device and use the address, if one is set."""
        if self.active:
            return
        self.dev.up()
        self.mac = self.dev.mac
        self.tx_at = self.dev.tx_off + HEADER
        self.active = True
        self.stack.changed()
        if self.arp is not None and any(self.net[:4]):
            self.arp.announce()

    def down(self):
        if not self.active:
            return
        self.active = False
        self.dev.down()
        if self.arp is not None:
            self.arp.clear()
        self.stack.changed()

    def service(self, budget):
        """Take up to `budget` frames from the device; True if there may be more."""
        self._budget = budget
        more = None
        try:
            more = next(self._batches)
        finally:
            if more is None:
                # As in Stack.poll(): a generator that raised is over.
                self._batches = self._run()
        return more

    def _run(self):
        # One batch for each next(). A generator, because its frame is made once: a function with
        # a handler and as many variables would take heap on every call.
        p = self._packet
        p.ifc = self
        n = 0
        while True:
            budget = self._budget
            while True:
                try:
                    if n:
                        n = 0
                        self.dev.release()
                    if not budget:
                        break
                    budget -= 1
                    n = self.dev.recv()
                    if not n:
                        budget = 1
                        break
                    self.rx_frames = (self.rx_frames + 1) & _WRAP
                    self.rx_bytes = (self.rx_bytes + n) & _WRAP
                    p.buf = self.dev.rx
                    p.off = self.dev.rx_off
                    p.n = n
                    self.stack.ethernet.input(p)
                except BaseException as e:
                    self.stack.failed(e)
            yield budget == 0

    def borrow(self):
        """A transmit buffer of the device, also left in tx, or None (counted)."""
        self.tx = buf = self.dev.borrow() if self.active else None
        if buf is None:
            self.tx_drops += 1
            self.stack.stats["tx_no_buffer"] += 1
        return buf

    def send(self, n):
        """Send n bytes of the borrowed buffer."""
        self.tx_frames = (self.tx_frames + 1) & _WRAP
        self.tx_bytes = (self.tx_bytes + n) & _WRAP
        self.dev.send(n)

    def send_copy(self, frame):
        """Send a frame kept elsewhere; False if it is too long, or the device has no room."""
        if len(frame) > self.dev.mtu + HEADER:
            self.tx_drops += 1
            return False
        buf = self.borrow()
        if buf is None:
            return False
        _copy(buf, self.dev.tx_off, frame, 0, len(frame))
        self.send(len(frame))
        return True

    def broadcast(self):
        """The directed broadcast address, 4 bytes."""
        net = network(self.net, self.mask)
        return bytes([net[i] | (~self.net[4 + i] & 0xFF) for i in range(4)])
