# Two hosts in one interpreter, joined by a wire in memory: a network to test with, without any
# hardware, clock or computer around it.
#
#   viperip sim firmware/examples/two_stacks.py
import viperip
from viperip.link.pair import Pair
from viperip.stack import Stack


def host(dev, address):
    stack = Stack()
    lan = viperip.LAN(dev, stack=stack)
    lan.ipconfig(addr4=address)
    lan.active(True)
    return stack


left_end, right_end = Pair.wire(b"\x02\0\0\0\0\1", b"\x02\0\0\0\0\2")
left = host(left_end, "10.1.0.1/24")
right = host(right_end, "10.1.0.2/24")
left.idle = lambda ms: right.poll()  # while one waits, the other works

viperip.ping("10.1.0.2", count=2, interval_ms=100, stack=left)
print("\nleft:")
viperip.arp(left)
viperip.ifstat(left)
print("\nright:")
viperip.arp(right)
viperip.ifstat(right)
