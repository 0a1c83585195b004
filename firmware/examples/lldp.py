# A protocol of your own on a packet socket, here LLDP (IEEE 802.1AB): say who is on this port,
# and print the neighbours that say so. docs/own-protocol.md goes through it line by line.
#
#   viperip sim firmware/examples/lldp.py [SECONDS]
import socket
import struct
import sys
import time

import viperip
from viperip.address import mac_text

NEAREST_BRIDGE = b"\x01\x80\xc2\0\0\x0e"  # no bridge forwards it (IEEE 802.1Q 8.6.3)
ETHERTYPE = 0x88CC
TTL = 120
END, CHASSIS, PORT, LIFE, PORT_TEXT, NAME, SYSTEM = range(7)


def tlv(kind, value=b""):
    return struct.pack("!H", kind << 9 | len(value)) + value


def tlvs(data):
    found = {}
    while len(data) >= 2:
        head = struct.unpack("!H", data[:2])[0]
        kind, n = head >> 9, head & 0x1FF
        if kind == END or len(data) < 2 + n:
            break  # the end, or a length that lies
        found[kind] = data[2 : 2 + n]
        data = data[2 + n :]
    return found


lan = viperip.LAN(viperip.board())
lan.config(promiscuous=True)  # a MAC may filter groups that nobody joined
name, mac = lan.interface.name, lan.config("mac")
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0xCC88)  # its EtherType, in network order
s.bind((name, 0))
s.settimeout(1)

frame = NEAREST_BRIDGE + mac + struct.pack("!H", ETHERTYPE)
frame += tlv(CHASSIS, b"\4" + mac) + tlv(PORT, b"\5" + name.encode())
frame += tlv(LIFE, struct.pack("!H", TTL)) + tlv(NAME, lan.config("hostname").encode())
frame += tlv(SYSTEM, b"viperip " + viperip.__version__.encode()) + tlv(END)

now = due = time.time()
until = now + int(sys.argv[1] if len(sys.argv) > 1 else 3)
while now < until:
    if now >= due:
        s.send(frame)
        due = now + 1  # (by default msgTxInterval is 30 s)
    try:
        seen = tlvs(s.recvfrom(1514)[0][14:])
        if CHASSIS in seen and PORT in seen:
            chassis, port = mac_text(seen[CHASSIS], 1), seen[PORT][1:]
            print("neighbour %s, chassis %s" % (seen.get(NAME), chassis), "port", port)
    except OSError:
        pass  # nobody spoke for a second
    now = time.time()
