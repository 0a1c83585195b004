# Links to the Linux kernel: a TAP interface, and an existing Ethernet interface through AF_PACKET.
import sys

from ..errors import EOPNOTSUPP
from .udpwire import Frames, shim, socket

_AF_PACKET = const(17)
_SOCK_RAW = const(3)
_ETH_P_ALL = const(0x0300)  # 3, in network order
_SOL_PACKET = const(263)
_ADD_MEMBERSHIP = const(1)
_IGNORE_OUTGOING = const(23)


class Tap(Frames):
    """A TAP interface by its inherited descriptor, opened non-blocking with IFF_TAP | IFF_NO_PI.

    OSError where the system-call shim does not work: without it frames run together.
    """

    def __init__(self, fd, name, mac, mtu=1500):
        calls = shim()
        if calls is None:
            raise OSError(
                EOPNOTSUPP, name + ": a TAP needs the system-call shim (x86 Linux, viper)"
            )
        self.name = name
        super().__init__(fd, mac, mtu, None, calls)


class Packet(Frames):
    """The Ethernet interface `name`, as a second station on it (root or CAP_NET_RAW)."""

    use_shim = True

    def __init__(self, name, mac, mtu=1500, ifindex=None):
        self.name = name
        if ifindex is None:
            ifindex = index(name)
        number = ifindex.to_bytes(4, sys.byteorder)
        s = socket.socket(_AF_PACKET, _SOCK_RAW, _ETH_P_ALL)
        try:
            # struct sockaddr_ll: family, protocol, index; the rest is for receiving.
            s.bind(_AF_PACKET.to_bytes(2, sys.byteorder) + b"\0\3" + number + bytes(12))
            # struct packet_mreq, PACKET_MR_PROMISC: the card filters on its own address, not ours.
            s.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, number + b"\1\0\0\0" + bytes(8))
            s.setblocking(False)
        except OSError:
            s.close()
            raise
        try:
            # Frames that the host itself sends there are on their way out, not for us.
            s.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
        except OSError:
            pass  # before Linux 4.20; _ours() drops the worst of them
        super().__init__(s.fileno(), mac, mtu, s, shim() if self.use_shim else None)

    def _ours(self, n):
        rx = self.rx
        mac = self.mac
        return (
            rx[13] == mac[5]
            and rx[12] == mac[4]
            and rx[11] == mac[3]
            and rx[10] == mac[2]
            and rx[9] == mac[1]
            and rx[8] == mac[0]
        )


def index(name):
    """The kernel's number of an interface. OSError if there is none of that name."""
    with open("/sys/class/net/" + name + "/ifindex") as f:
        return int(f.read())
