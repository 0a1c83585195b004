# A protocol of your own beside IP: a handler gets every frame of its EtherType. This one answers
# "how warm is it?"; both ends are here, joined by a wire in memory.
#
#   viperip sim firmware/examples/own_protocol.py
import struct

import viperip
from viperip.address import mac_text
from viperip.link.pair import Pair
from viperip.stack import Stack

ETHERTYPE = 0x88B5  # for local experiments (IEEE 802)
ASK, TELL = 1, 2  # a message is one of them and tenths of a degree: 1 + 2 bytes


class Thermometer:
    def __init__(self, tenths):
        self.tenths = tenths

    def send(self, ifc, to, kind):
        header = to + ifc.mac + struct.pack("!H", ETHERTYPE)
        ifc.send_copy(header + struct.pack("!Bh", kind, self.tenths))

    def input(self, p):
        # The payload is p.buf[p.off:p.off+p.n] and lent until this returns; the header lies
        # before it.
        if p.n < 3:
            return  # a short frame is not worth an exception
        kind, tenths = struct.unpack_from("!Bh", p.buf, p.off)
        sender = bytes(p.buf[p.off - 8 : p.off - 2])
        if kind == ASK:
            self.send(p.ifc, sender, TELL)
        elif kind == TELL:
            print("%s: %.1f degrees" % (mac_text(sender), tenths / 10))


def host(dev, tenths):
    stack = Stack()
    lan = viperip.LAN(dev, stack=stack)
    lan.active(True)
    stack.ethernet.register(ETHERTYPE, Thermometer(tenths))
    return stack, lan.interface


here, there = Pair.wire(b"\x02\0\0\0\0\1", b"\x02\0\0\0\0\2")
asking, ifc = host(here, 0)
answering, _ = host(there, 215)
asking.ethernet.handlers[ETHERTYPE].send(ifc, b"\xff" * 6, ASK)
answering.poll()
asking.poll()
