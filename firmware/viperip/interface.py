# A network interface: a link device with addresses, an ARP cache, groups and counters.
from . import native
from .address import network

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
        self.promiscuous = False
        self.net = bytearray(8)
        self.gateway = bytes(4)
        self.dns = []
        self.groups = []
        self.rx_frames = self.rx_bytes = self.tx_frames = self.tx_bytes = self.tx_drops = 0
        self.igmp = None
        self.dhcp = None
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
        dev = self.dev
        eth = self.stack.ethernet
        while budget:
            n = dev.recv()
            if not n:
                return False
            self.rx_frames = (self.rx_frames + 1) & _WRAP
            self.rx_bytes = (self.rx_bytes + n) & _WRAP
            try:
                eth.input(self, dev.rx, dev.rx_off, n)
            except Exception as e:
                self.stack.failed(e)
            dev.release()
            budget -= 1
        return True

    def borrow(self):
        """A transmit buffer of the device, or None (counted)."""
        buf = self.dev.borrow() if self.active else None
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
        """Send a frame kept elsewhere; False if the device has no room."""
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
