# The same hundred positions over a wire that loses a tenth of its frames: TCP brings them all and
# in order, but what follows a loss waits; UDP brings each at once or never.
#
#   viperip sim firmware/examples/tcp_vs_udp.py
import time

import viperip
from viperip.link.faults import Faults
from viperip.link.pair import Pair
from viperip.socket import SOCK_DGRAM, socket
from viperip.stack import Stack

COUNT = 100
EVERY_MS = 5


def host(dev, address):
    stack = Stack()
    lan = viperip.LAN(dev, stack=stack)
    lan.ipconfig(addr4=address)
    lan.active(True)
    return stack


a, b = Pair.wire(b"\x02\0\0\0\0\1", b"\x02\0\0\0\0\2")
left = host(Faults(a, loss=0.1, delay=2, seed=7), "10.1.0.1/24")
right = host(b, "10.1.0.2/24")
left.idle = lambda ms: right.poll()
right.idle = lambda ms: left.poll()


def run(send, receive):
    """Send a numbered position every 5 ms; how old each was when it came, by number."""
    start = time.ticks_ms()
    ages = {}
    sent = 0
    while time.ticks_diff(time.ticks_ms(), start) < COUNT * EVERY_MS + 4000 and len(ages) < COUNT:
        now = time.ticks_diff(time.ticks_ms(), start)
        if sent < COUNT and now >= sent * EVERY_MS:
            send(b"%5d %9d\n" % (sent, now))
            sent += 1
        elif sent == COUNT and receive is udp_receive and now > COUNT * EVERY_MS + 200:
            break  # nothing more will come
        left.wait(1)
        right.wait(1)
        for message in receive():
            number, at = message.split()
            ages[int(number)] = time.ticks_diff(time.ticks_ms(), start) - int(at)
    return ages


def show(name, ages):
    if ages:
        old = sorted(ages.values())
        print("%-4s %3d of %d arrived, %3d lost; age: median %d ms, worst %d ms" % (
            name, len(ages), COUNT, COUNT - len(ages), old[len(old) // 2], old[-1]))  # fmt: skip


listener = socket(_stack_=right)
listener.bind(("0.0.0.0", 7000))
listener.listen(1)
tcp = socket(_stack_=left)
tcp.connect(("10.1.0.2", 7000))
peer, _ = listener.accept()
peer.setblocking(False)
rest = [b""]


def tcp_receive():
    lines = (rest[0] + (peer.read(4096) or b"")).split(b"\n")
    rest[0] = lines.pop()
    return lines


inbox = socket(type=SOCK_DGRAM, _stack_=right)
inbox.bind(("0.0.0.0", 7001))
inbox.setblocking(False)
udp = socket(type=SOCK_DGRAM, _stack_=left)
udp.connect(("10.1.0.2", 7001))


def udp_receive():
    message = inbox.read(64)
    return [message] if message else []


show("TCP", run(tcp.sendall, tcp_receive))
show("UDP", run(udp.send, udp_receive))
