# SerialLink over a machine.UART as a link between two boards: link/serial/ on a modelled UART.
import hashlib
import random

from harness import MASK, FakeClock
from heap_check import N, WARM, measured
from viperip import native, socket
from viperip.interface import Interface
from viperip.link.serial.link import SerialLink
from viperip.link.serial.port import Port
from viperip.link.serial.streams import UART
from viperip.stack import Stack, diff

# timeout: 300
HEAP = "96M"  # the twins allocate, and the heap is not collected while it is measured

MACS = (b"\x02\0\0\0\0\1", b"\x02\0\0\0\0\2")
SPEED = 11520  # bytes a second at 115,200 baud


class FakeUART:
    # As machine.UART: what finds no room in rxbuf is lost. What is written waits in `out` until
    # carry() has taken it to the other one.
    def __init__(self, rxbuf=4096):
        self.rx = bytearray(rxbuf)
        self.n = 0
        self.out = bytearray(16384)
        self.waiting = 0
        self.lost = 0
        self.spoil = None  # byte -> a list of bytes

    def any(self):
        return self.n

    def readinto(self, buf, n):
        assert 0 < n <= self.n
        rx = self.rx
        left = self.n - n
        i = 0
        while i < n:
            buf[i] = rx[i]
            i += 1
        i = 0
        while i < left:
            rx[i] = rx[n + i]
            i += 1
        self.n = left
        return n

    def write(self, buf, n):
        at = self.waiting
        out = self.out
        assert at + n <= len(out)
        i = 0
        while i < n:
            out[at + i] = buf[i]
            i += 1
        self.waiting = at + n
        return n

    def came(self, b):
        if self.n == len(self.rx):
            self.lost += 1
        else:
            self.rx[self.n] = b
            self.n += 1

    def carry(self, other, n):
        # Up to n bytes arrive there.
        n = min(n, self.waiting)
        i = 0
        while i < n:
            if self.spoil is None:
                other.came(self.out[i])
            else:
                self.spoilt(self.out[i], other)
            i += 1
        self.waiting -= n
        i = 0
        while i < self.waiting:
            self.out[i] = self.out[n + i]
            i += 1

    def spoilt(self, b, other):
        for one in self.spoil(b):
            other.came(one)


def noise(share):
    # A bit flipped, a byte lost, or a burst, at that share of the bytes.
    def spoil(b):
        if random.random() >= share:
            return (b,)
        kind = random.randrange(3)
        if kind == 0:
            return (b ^ 1 << random.randrange(8),)
        if kind == 1:
            return ()
        return [random.getrandbits(8) for _ in range(random.randrange(1, 40))]

    return spoil


class Boards:
    def __init__(self, rxbuf=4096, mtu=1500):
        self.uarts = [FakeUART(rxbuf) for _ in range(2)]
        self.links = [self.link(i, mtu) for i in range(2)]

    def link(self, i, mtu=1500):
        # (The speed is what carry() makes of it.)
        dev = SerialLink(Port(UART(self.uarts[i]), mtu=mtu, baudrate=0), MACS[i])
        dev.up()
        return dev

    def carry(self, n=16384):
        a, b = self.uarts
        a.carry(b, n)
        b.carry(a, n)

    def send(self, i, n, tag=0):
        dev = self.links[i]
        frame = MACS[1 - i] + MACS[i] + b"\x88\xb5" + bytes([tag * 7 + k & 0xFF for k in range(n)])
        buf = dev.borrow()
        buf[dev.tx_off : dev.tx_off + len(frame)] = frame
        dev.send(len(frame))
        return frame

    def read(self, i):
        dev = self.links[i]
        out = []
        while True:
            n = dev.recv()
            if not n:
                return out
            out.append(bytes(dev.rx[dev.rx_off : dev.rx_off + n]))
            dev.release()


class Net(Boards):
    # Two stacks, 10.0.0.1 and 10.0.0.2, and time in which the line carries so much.
    def __init__(self, share=0, speed=SPEED, **more):
        super().__init__(**more)
        self.speed = speed
        self.clock = FakeClock()
        self.stacks = [self.stack(i) for i in range(2)]
        self.run(3000)
        for uart in self.uarts:
            uart.spoil = noise(share) if share else None

    def stack(self, i):
        s = Stack(ticks=self.clock)
        s.strict = True
        ifc = Interface(s, self.links[i], "e0")
        s.add_interface(ifc)
        ifc.up()
        ifc.configure(b"\x0a\0\0" + bytes((i + 1,)), MASK)
        return s

    def run(self, ms, step=5):
        while ms > 0:
            self.clock.advance(step)
            self.carry(self.speed * step // 1000)
            for s in self.stacks:
                s.poll()
            ms -= step


def test_frames_of_every_length_both_ways():
    b = Boards()
    assert b.links[0].mtu == 1500
    for n in list(range(0, 260)) + [575, 576, 1499, 1500]:
        for i in (0, 1):
            frame = b.send(i, n, n)
            b.carry()
            assert b.read(1 - i) == [frame], n
    for dev in b.links:
        assert (dev.port.rx_bad, dev.port.rx_lost, bytes(dev.port.text)) == (0, 0, b"")


def test_a_frame_arrives_however_it_is_cut():
    b = Boards()
    for step in (1, 2, 7, 63, 64, 65, 200):
        frame = b.send(0, 600, step)
        got = []
        while b.uarts[0].waiting:
            b.carry(step)
            got += b.read(1)
        assert got == [frame], step


def test_it_finds_its_way_back_after_noise():
    # After any burst at most one frame more is lost; none is made up.
    random.seed(5)
    b = Boards()
    lost = 0
    for k in range(300):
        for _ in range(random.randrange(1, 300)):
            b.uarts[1].came(random.getrandbits(8))
        sent = [b.send(0, random.randrange(46, 900), k + i) for i in range(2)]
        b.carry()
        got = b.read(1)
        assert got in (sent, sent[1:]), k
        lost += 2 - len(got)
    assert lost < 100 and b.links[1].port.rx_bad > 50


def test_a_board_that_starts_anew():
    # In the middle of a frame, either of them; the text it prints then is in nobody's way.
    b = Boards()
    for i in (0, 1):
        for cut in (1, 60, 130, 500):
            b.send(0, 1000)
            b.carry(cut)
            b.read(1)
            b.uarts[0].waiting = 0
            b.links[i] = b.link(i)
            b.uarts[0].write(b"rst:0x1 (POWERON_RESET)\r\n", 25)
            sent = [b.send(0, 100, k) for k in range(2)]
            b.carry()
            got = b.read(1)
            assert got in (sent, sent[1:]), (i, cut)


def test_a_full_buffer_loses_frames_and_no_more():
    b = Boards(rxbuf=2048)
    for k in range(4):
        b.send(0, 1000, k)
    b.carry()
    assert b.uarts[1].lost > 2000
    b.read(1)
    frames = [b.send(0, 1000, k) for k in (8, 9)]
    got = []
    while b.uarts[0].waiting:
        b.carry(60)
        got += b.read(1)
    assert got in (frames, frames[1:])


def test_pings():
    from viperip.application.ping import ping

    n = Net()
    n.stacks[0].wait = lambda ms: n.run(5)
    for size in (56, 1472, 3000):
        since = n.clock()
        rows = ping("10.0.0.2", count=1, size=size, quiet=True, stack=n.stacks[0])
        assert [row.get("bytes") for row in rows] == [size + 8], rows
        # A datagram and its answer, 115,200 baud.
        assert diff(n.clock(), since) >= 2 * 1000 * size // SPEED
    assert n.uarts[0].lost == n.uarts[1].lost == 0


def stream(stack):
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, stack)
    s.setblocking(False)
    return s


def transfer(n, size, limit=900000):
    # So many bytes each way at once; hashes are equal.
    server, client = stream(n.stacks[1]), stream(n.stacks[0])
    server.bind(("10.0.0.2", 80))
    server.listen(1)
    try:
        client.connect(("10.0.0.2", 80))
    except OSError:
        pass
    far = None
    while far is None:
        n.run(10)
        limit -= 10
        assert limit > 0
        try:
            far = server.accept()[0]
        except OSError:
            pass
    far.setblocking(False)
    ends = (client, far)
    data = [bytes([i * k & 0xFF for i in range(size)]) for k in (13, 29)]
    sent = [0, 0]
    got = [0, 0]
    sums = [hashlib.sha256(), hashlib.sha256()]
    while got != [size, size]:
        n.run(10)
        limit -= 10
        assert limit > 0, (sent, got)
        for i in (0, 1):
            if sent[i] < size:
                sent[i] += ends[i].write(data[i][sent[i] : sent[i] + 4000]) or 0
            back = ends[1 - i].read(4000)
            if back:
                got[i] += len(back)
                sums[i].update(back)
    for i in (0, 1):
        assert sums[i].digest() == hashlib.sha256(data[i]).digest()
    return limit


def test_tcp_both_ways_at_once():
    n = Net()
    transfer(n, 30000)
    for i in (0, 1):
        assert n.uarts[i].lost == n.links[i].port.rx_bad == n.links[i].port.rx_lost == 0


def test_tcp_through_noise():
    random.seed(9)
    n = Net(share=1 / 10000, speed=10 * SPEED)
    transfer(n, 40000)
    assert n.links[0].port.rx_bad + n.links[1].port.rx_bad > 5
    n = Net(share=1 / 2000, speed=10 * SPEED, mtu=576)
    transfer(n, 20000)
    assert n.links[0].port.rx_bad + n.links[1].port.rx_bad > 20


def test_a_frame_takes_no_heap():
    b = Boards()
    a, c = b.links

    def step(i):
        a.borrow()
        a.send(60 + i % 300)
        b.carry()
        assert c.recv()
        c.release()
        c.recv()

    measured(step, native.VIPER)
    assert c.port.received == N + WARM and c.port.rx_bad == 0
