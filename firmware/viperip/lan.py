# LAN: an interface with the methods of MicroPython's network.LAN.
import viperip

from .address import cidr, ip4, ip4_text, mask_prefix
from .address import mac as _mac
from .errors import EADDRINUSE, ENETDOWN
from .interface import Interface

_NONE = bytes(4)

_links: list = []  # (stack, device, interface): LAN objects of one link share one interface


def _device(profile):
    # The link device of a board's profile. `sim` puts the one it has opened there.
    dev = profile.get("device")
    if dev is None:
        from .link.driver import open_device

        profile["device"] = dev = open_device(profile)
    return dev


def _profile(arguments):
    # The profile that network.LAN's arguments describe; without any, the board's own.
    if not arguments:
        return viperip.board()
    from .link.driver import from_lan

    return from_lan(arguments)


def _interface(stack, dev, name):
    for s, d, ifc in _links:
        if s is stack and d is dev:
            return ifc
    if name is None:
        name = "eth%d" % len([1 for s, _, _ in _links if s is stack])
    ifc = Interface(stack, dev, name)
    _links.append((stack, dev, ifc))
    return ifc


class LAN:
    """A wired interface, with network.LAN's methods: LAN(viperip.board()), LAN(mdc=23, mdio=18,
    ...) with network.LAN's arguments, or LAN(device)."""

    # status(), with the numbers of the ESP32's network module.
    ETH_INITIALIZED = 0
    ETH_STARTED = 1
    ETH_STOPPED = 2
    ETH_CONNECTED = 3
    ETH_DISCONNECTED = 4
    ETH_GOT_IP = 5

    def __init__(self, profile=None, name=None, stack=None, pump_ms=5, **pins):
        if profile is None:
            profile = _profile(pins)
        dev = _device(profile) if isinstance(profile, dict) else profile
        self._stack = stack or viperip.default()
        self._pump_ms = pump_ms
        self.interface = _interface(self._stack, dev, name)

    def active(self, on=None):
        """Bring the interface up or down, or say whether it is up."""
        ifc = self.interface
        if on is None:
            return ifc.active
        stack = self._stack
        stack.enter()
        try:
            if on and not ifc.active:
                if ifc not in stack.interfaces:
                    stack.add_interface(ifc)
                ifc.up()
                self._probe_beside()
            elif not on and ifc.active:
                self._stop_dhcp()
                ifc.down()
        finally:
            stack.leave()
        if on:
            from .pump import start

            start(stack, self._pump_ms)
        return None

    def isconnected(self):
        """True with a usable wire and an address."""
        ifc = self.interface
        return ifc.active and ifc.dev.link() and any(ifc.net[:4])

    def status(self, param=None):
        """One of the ETH_ constants."""
        if param is not None:
            raise ValueError("unknown status param")
        ifc = self.interface
        if not ifc.active:
            return self.ETH_STOPPED if ifc in self._stack.interfaces else self.ETH_INITIALIZED
        if not ifc.dev.link():
            return self.ETH_DISCONNECTED
        return self.ETH_GOT_IP if any(ifc.net[:4]) else self.ETH_CONNECTED

    # Addresses.

    def ifconfig(self, config=None):
        """(address, netmask, gateway, DNS server) as text; set them, or "dhcp"."""
        ifc = self.interface
        if config is None:
            dns = ip4_text(ifc.dns[0]) if ifc.dns else "0.0.0.0"
            return (ip4_text(ifc.net), ip4_text(ifc.net, 4), ip4_text(ifc.gateway), dns)
        if config == "dhcp":
            self._start_dhcp()
            return None
        addr, mask, gateway, dns = [ip4(c) for c in config]
        mask_prefix(mask)
        self._stop_dhcp()
        self._configure(addr, mask, gateway)
        ifc.dns = [dns] if any(dns) else []
        return None

    def ipconfig(self, *args, **kw):
        """ipconfig("addr4"), or ipconfig(addr4="A.B.C.D/N", gw4=..., dhcp4=True or False).

        An address is used at once, while others are asked whether it is theirs (RFC 5227). With
        probe=True they are asked first, for 4 to 7 s: OSError(EADDRINUSE) if it is.
        """
        if args and kw or len(args) > 1 or not (args or kw):
            raise TypeError("either one name or keywords")
        if args:
            return self._get(args[0])
        for name in kw:
            if name not in ("addr4", "gw4", "dhcp4", "probe"):
                raise ValueError("unexpected key: " + name)
        # Everything is read before anything changes.
        addr4 = _address(kw["addr4"]) if "addr4" in kw else None
        gateway = ip4(kw["gw4"]) if "gw4" in kw else None
        if addr4 and kw.get("probe"):
            self._ask_first(addr4[0])
        if kw.get("dhcp4") is False or kw.get("dhcp4") == 0:
            self._stop_dhcp()
        if addr4:
            self._stop_dhcp()
            self._configure(addr4[0], addr4[1], gateway)
        elif gateway is not None:
            self._configure(self.interface.addr, self.interface.mask, gateway)
        if kw.get("dhcp4"):
            self._start_dhcp()
        return None

    def _get(self, name):
        ifc = self.interface
        if name == "addr4":
            return (ip4_text(ifc.net), ip4_text(ifc.net, 4))
        if name == "gw4":
            return ip4_text(ifc.gateway)
        if name == "dhcp4":
            return ifc.dhcp is not None
        if name == "has_dhcp4":
            return ifc.dhcp is not None and any(ifc.net[:4])
        raise ValueError("unexpected key: " + name)

    def _configure(self, addr, mask, gateway):
        self._stack.enter()
        try:
            self.interface.configure(addr, mask, gateway)
            self._probe_beside()
        finally:
            self._stack.leave()

    def _probe_beside(self):
        ifc = self.interface
        if ifc.active and ifc.arp is not None and ifc.dhcp is None and any(ifc.net[:4]):
            # Whoever answers claims the address: receive() sees that by itself.
            ifc.arp.probe(ifc.addr, lambda mac: None)

    def _ask_first(self, addr):
        ifc = self.interface
        stack = self._stack
        if not ifc.active or ifc.arp is None:
            raise OSError(ENETDOWN)
        answer = []
        stack.enter()
        try:
            ifc.arp.probe(addr, answer.append)
        finally:
            stack.leave()
        while not answer:
            stack.wait(1000)
        if answer[0] is not None:
            raise OSError(EADDRINUSE if answer[0] else ENETDOWN)

    def _start_dhcp(self):
        ifc = self.interface
        if ifc.dhcp is None:
            from .application.dhcp import Client

            self._stack.enter()
            try:
                ifc.dhcp = client = Client(ifc, self._stack.hostname)
                client.start()
            finally:
                self._stack.leave()

    def _stop_dhcp(self):
        client = self.interface.dhcp
        if client is not None:
            self._stack.enter()
            try:
                client.stop()
                self.interface.dhcp = None
                self.interface.configure(_NONE, _NONE, _NONE)
            finally:
                self._stack.leave()

    # Everything else.

    def config(self, *args, **kw):
        """config("mac"), config("hostname") or config("promiscuous"); keywords set them.

        promiscuous=True lets packet sockets see what is meant for other stations.
        """
        if args and kw or len(args) > 1 or not (args or kw):
            raise TypeError("either one name or keywords")
        if args:
            if args[0] == "mac":
                return bytes(self.interface.mac)
            if args[0] == "hostname":
                return self._stack.hostname
            if args[0] == "promiscuous":
                return self.interface.promiscuous
            raise ValueError("unknown config param")
        for name in kw:
            if name == "hostname":
                self._stack.hostname = kw[name]
            elif name == "promiscuous":
                self.interface.promiscuous = kw[name]
            elif name == "mac":
                self.interface.mac = self.interface.dev.mac = _mac(kw[name])
            else:
                raise ValueError("unknown config param")
        return None


def _address(value):
    # addr4 of ipconfig: "A.B.C.D/N", or (address, netmask).
    if isinstance(value, str):
        return cidr(value)
    addr, mask = [ip4(v) for v in value]
    mask_prefix(mask)
    return addr, mask
