# A router: a stack with two interfaces that passes datagrams on between two networks.
#
#   viperip sim firmware/examples/two_interfaces.py
import viperip
from viperip.link.pair import Pair
from viperip.stack import Stack


def interface(stack, dev, address, gateway=None):
    lan = viperip.LAN(dev, stack=stack)
    lan.ipconfig(addr4=address)
    if gateway:
        lan.ipconfig(gw4=gateway)
    lan.active(True)


def mac(n):
    return bytes([2, 0, 0, 0, 0, n])  # 02: assigned here, not by a manufacturer


left, router, right = Stack(), Stack(), Stack()
a, b = Pair.wire(mac(1), mac(2))
c, d = Pair.wire(mac(3), mac(4))

interface(left, a, "10.1.0.2/24", gateway="10.1.0.1")
interface(router, b, "10.1.0.1/24")
interface(router, c, "10.2.0.1/24")
interface(right, d, "10.2.0.2/24", gateway="10.2.0.1")
router.ip.forwarding = True  # a host must not, unless it is told to (RFC 1122 3.3.1)


def others(ms):
    router.poll()
    right.poll()


left.idle = others  # while one waits, the others work

viperip.route(router)
viperip.ping("10.2.0.2", count=2, interval_ms=100, stack=left)
viperip.traceroute("10.2.0.2", stack=left)
print("the router has passed on %d datagrams" % router.stats["ip_forwarded"])
