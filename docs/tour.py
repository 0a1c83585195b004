# What the pages of this folder explain: one of everything that a small network carries.
#
#   viperip explain --sim docs/tour.py
import socket

import viperip

GATEWAY = "10.77.0.1"

viperip.ping(GATEWAY, count=1)
viperip.ping(GATEWAY, count=1, size=2000)  # too long for one frame

u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.sendto(b"anybody there?", (GATEWAY, 9))  # nobody

try:
    socket.getaddrinfo("no-such-name.invalid", 80)
except OSError as e:
    print("getaddrinfo:", e)

s = socket.socket()
try:
    s.connect((GATEWAY, 9))  # nobody
except OSError as e:
    print("connect:", e)
