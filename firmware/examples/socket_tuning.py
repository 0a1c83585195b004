# What the socket options do, measured over a wire with 10 ms of delay each way: a receive buffer
# limits how much may be under way (throughput = window / round-trip time), and TCP_NODELAY sends
# small writes at once instead of waiting for the answer to the one before.
#
#   viperip sim firmware/examples/socket_tuning.py
import time

import viperip
from viperip.link.faults import Faults
from viperip.link.pair import Pair
from viperip.socket import IPPROTO_TCP, SO_RCVBUF, SO_SNDBUF, SOL_SOCKET, TCP_NODELAY, socket
from viperip.stack import Stack

SIZE = 100000


def host(dev, address):
    stack = Stack()
    lan = viperip.LAN(dev, stack=stack)
    lan.ipconfig(addr4=address)
    lan.active(True)
    return stack


a, b = Pair.wire(b"\x02\0\0\0\0\1", b"\x02\0\0\0\0\2")
left = host(Faults(a, delay=10), "10.1.0.1/24")
right = host(b, "10.1.0.2/24")
left.idle = lambda ms: right.poll()
right.idle = lambda ms: left.poll()
port = [7000]


def pair(rcvbuf=0, nodelay=False):
    """A connection from left to right."""
    port[0] += 1
    listener = socket(_stack_=right)
    if rcvbuf:
        listener.setsockopt(SOL_SOCKET, SO_RCVBUF, rcvbuf)
    listener.bind(("0.0.0.0", port[0]))
    listener.listen(1)
    s = socket(_stack_=left)
    s.setsockopt(SOL_SOCKET, SO_SNDBUF, 32768)
    if nodelay:
        s.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    s.connect(("10.1.0.2", port[0]))
    peer, _ = listener.accept()
    listener.close()
    s.setblocking(False)
    peer.setblocking(False)
    return s, peer


def transfer(s, peer, size, piece):
    """ms until `size` bytes, written `piece` at a time, have arrived."""
    data = bytes(piece)
    start = time.ticks_ms()
    sent = got = 0
    while got < size:
        if sent < size:
            sent += s.write(data[: size - sent]) or 0
        part = peer.read(8192)
        got += len(part) if part else 0
        left.wait(1)
        right.wait(1)
    ms = time.ticks_diff(time.ticks_ms(), start)
    s.close()
    peer.close()
    return max(ms, 1)


for rcvbuf in (2048, 4096, 16384, 32768):
    ms = transfer(*pair(rcvbuf), SIZE, 4096)
    print("SO_RCVBUF %5d: %4d ms, %5d kbit/s" % (rcvbuf, ms, SIZE * 8 // ms))
for nodelay in (False, True):
    s, peer = pair(nodelay=nodelay)
    waited = 0
    for _ in range(5):
        start = time.ticks_ms()
        for _ in range(2):  # a header, then a body: the pattern that Nagle's algorithm slows
            s.write(b"x" * 10)
        got = 0
        while got < 20:
            left.wait(1)
            right.wait(1)
            got += len(peer.read(100) or b"")
        waited += time.ticks_diff(time.ticks_ms(), start)
    print("TCP_NODELAY %d: a request in two writes takes %d ms" % (nodelay, waited // 5))
