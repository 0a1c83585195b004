# Ask a time server what time it is (SNTP, RFC 4330).
#
#   viperip sim firmware/examples/sntp.py [HOST[:PORT]]
import socket
import struct
import sys
import time

# SNTP counts from 1900, MicroPython from 1970 or, on some boards, from 2000.
EPOCH = 2208988800 if time.gmtime(0)[0] == 1970 else 3155673600

name, _, port = (sys.argv[1] if len(sys.argv) > 1 else "pool.ntp.org").partition(":")
try:
    address = socket.getaddrinfo(name, port or "ntp")[0][-1]
except OSError:
    sys.exit("no address for %s: is the name right, and this computer online?" % name)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(2)
s.connect(address)

request = bytearray(48)
request[0] = 4 << 3 | 3  # version 4, client
request[40:48] = cookie = bytes(struct.pack("!II", time.ticks_us() & 0xFFFFFFFF, 0x76697065))
for attempt in range(3):
    s.send(request)
    try:
        answer = s.recv(48)
    except OSError:
        continue  # lost on the way: ask again
    # A server (mode 4) that is synchronised, and an answer to this question.
    if len(answer) == 48 and answer[0] & 7 == 4 and answer[1] and answer[24:32] == cookie:
        seconds = struct.unpack_from("!I", answer, 40)[0] - EPOCH
        print("%04d-%02d-%02d %02d:%02d:%02d UTC" % time.gmtime(seconds)[:6])
        break
else:
    sys.exit("no answer from %s" % name)
