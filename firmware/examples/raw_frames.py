# Frames below every protocol: an AF_PACKET socket sends an ARP request that is built by hand, and
# prints each frame that arrives within a second, whatever it is.
#
#   viperip sim firmware/examples/raw_frames.py
import socket

import viperip
from viperip.address import ip4, ip4_text, mac_text

ETH_P_ALL = 0x0300  # 3, every EtherType, in network byte order
BROADCAST = b"\xff" * 6

lan = viperip.LAN(viperip.board())
me, mac = ip4(lan.ipconfig("addr4")[0]), lan.config("mac")
target = ip4(lan.ipconfig("gw4"))

s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, ETH_P_ALL)
s.bind((lan.interface.name, 0))
s.settimeout(1)

# Ethernet header, then ARP: Ethernet, IPv4, lengths 6 and 4, request; sender; target.
frame = BROADCAST + mac + b"\x08\x06"
frame += b"\0\1\x08\0\6\4\0\1" + mac + me + bytes(6) + target
s.send(frame)
print("who has %s?" % ip4_text(target))

try:
    while True:
        frame, sender = s.recvfrom(1514)
        print("from %s type %04x, %d bytes" % (mac_text(sender[4]), sender[1], len(frame)))
        if sender[1] == 0x0806 and frame[21] == 2:
            print("%s is at %s" % (ip4_text(frame, 28), mac_text(frame, 22)))
except OSError:
    print("nothing more within a second")
