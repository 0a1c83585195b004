# Positions over UDP, many a second: what is lost is not sent again, the next one is better. Each
# has a sequence number, and only one newer than the last counts; a number of 16 bits wraps, and is
# compared as RFC 1982 says. Alone, it sends over a wire in memory that loses, doubles and swaps.
#
#   viperip sim firmware/examples/position_updates.py
#   viperip sim --forward udp:9001:9001 firmware/examples/position_updates.py serve
import socket
import struct
import sys
import time

import viperip
from viperip.link.faults import Faults
from viperip.link.pair import Pair
from viperip.stack import Stack

PORT = 9001
FORMAT, SIZE = "!Hii", 10  # sequence number; x and y in mm
SILENCE_MS = 3000  # after so long without news a sender may have started anew
MOST = 16  # senders; beyond, the one silent for longest is forgotten


def newer(a, b):
    return 0 < (a - b & 0xFFFF) < 0x8000


class Positions:
    def __init__(self):
        self.last = {}  # sender: (sequence number, x, y, when it came in ms)
        self.counts = {"taken": 0, "lost": 0, "old": 0, "malformed": 0}

    def take(self, sender, data):
        # True if it is news.
        if len(data) != SIZE:
            self.counts["malformed"] += 1
            return False
        now = time.ticks_ms()
        number, x, y = struct.unpack(FORMAT, data)
        before = self.last.get(sender)
        if before and time.ticks_diff(now, before[3]) < SILENCE_MS:
            if not newer(number, before[0]):
                self.counts["old"] += 1  # overtaken, or a second copy
                return False
            self.counts["lost"] += (number - before[0] & 0xFFFF) - 1  # (or late: see "old")
        elif len(self.last) >= MOST and not before:
            del self.last[min(self.last, key=lambda who: time.ticks_diff(self.last[who][3], now))]
        self.last[sender] = number, x, y, now
        self.counts["taken"] += 1
        return True


def serve(s):
    positions = Positions()
    while True:
        data, sender = s.recvfrom(SIZE + 1)  # (one more byte shows that it is too long)
        if positions.take(sender, data):
            print("%s:%d #%d at %d, %d mm" % (sender + positions.last[sender][:3]))
        else:
            print("%s:%d dropped: %s" % (sender + (positions.counts,)))


def host(dev, address):
    stack = Stack()
    lan = viperip.LAN(dev, stack=stack)
    lan.ipconfig(addr4=address)
    lan.active(True)
    return stack, socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 0, stack)


def demo():
    left, right = Pair.wire(b"\x02\0\0\0\0\1", b"\x02\0\0\0\0\2")
    stack, sender = host(Faults(left, loss=0.15, dup=0.1, reorder=0.15, seed=5), "10.1.0.1/24")
    other, receiver = host(right, "10.1.0.2/24")
    receiver.bind(("", PORT))
    receiver.setblocking(False)
    positions, track = Positions(), []
    for i in range(100):
        number = 65500 + i & 0xFFFF  # wraps on the way
        sender.sendto(struct.pack(FORMAT, number, 10 * i, -5 * i), ("10.1.0.2", PORT))
        time.sleep_ms(1)
        stack.poll(), other.poll()
        try:
            while True:
                data, who = receiver.recvfrom(SIZE + 1)
                if positions.take(who, data):
                    track.append(positions.last[who][1])
        except OSError:
            pass  # no more for now
    print("sent 100, %s" % positions.counts)
    print("last position: %d, %d mm" % positions.last[who][1:3])
    print("never backwards:", track == sorted(track))


if sys.argv[1:] == ["serve"]:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("", PORT))
    print("positions on UDP port %d" % PORT)
    serve(s)
demo()
