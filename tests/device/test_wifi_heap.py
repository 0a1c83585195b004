# A data frame of a station takes no heap, encrypted or not, wanted or not. The model would: the
# MPDUs are made beforehand, with packet numbers written anew and sealed by the driver's own key.
from heap_check import N, WARM, measured
from viperip import native
from viperip.link.wifi.ccmp import Key
from viperip.link.wifi.mac import MACRadio
from wifi_board import INSIDE, MAC, World, frame
from wifi_mac_model import WiFiModel

copy = native.load("memory").copy


def sink(w):
    # Nobody listens at the far end.
    while w.far.recv():
        w.far.release()


def put(w, mpdu, n):
    buf = w.far.borrow()
    buf[2 : 2 + n] = mpdu
    w.far.send(n)


class Ready:
    def __init__(self, secured):
        self.w = w = World(secured)
        self.ap_key = Key(w.ap.tk) if secured else None
        w.ap.data(MAC, INSIDE, b"\xaa\xaa\x03\0\0\0" + frame(500)[12:], False)
        plain = bytearray(w.ap.sent[-1])
        w.dev.counters["rx_unprotected"] = 0
        w.read()
        w.dev.counters["rx_unprotected"] = 0
        if secured:
            plain[1] |= 0x40
            self.mpdu = plain[:24] + bytearray(8) + plain[24:] + bytearray(8)
        else:
            self.mpdu = plain
        self.body = bytes(plain[24:])
        self.work = memoryview(self.mpdu)
        self.got = 0

    def receive(self):
        if self.ap_key:
            self.work[32 : 32 + len(self.body)] = self.body
            self.ap_key.number(self.mpdu, 24)
            self.ap_key.seal(self.mpdu, 0, 24, len(self.mpdu))
        put(self.w, self.mpdu, len(self.mpdu))

    def take(self):
        dev = self.w.dev
        while dev.recv():
            self.got += 1
            dev.release()


def received(secured):
    r = Ready(secured)
    # Sealed beforehand: slices take heap.
    ring = []
    for _ in range(WARM + N):
        r.receive()
        n = r.w.near.recv()
        ring.append(bytes(r.w.near.rx[2 : 2 + n]))
        r.w.near.release()
    dev, radio = r.w.dev, r.w.radio
    state = [0]

    class Air:
        # What WireRadio asks of a link device.
        rx_off = 0
        rx = b""

        def recv(self):
            if state[0] < 0:
                return 0
            self.rx = ring[state[0]]
            return len(self.rx)

        def release(self):
            state[0] = -1

    radio.device = Air()

    def step(i):
        state[0] = i
        r.take()

    measured(step)
    assert r.got == WARM + N and dev.link() and r.w.trouble() == {}, (r.got, r.w.trouble())


def test_receiving():
    received(True)


def test_receiving_on_an_open_network():
    received(False)


def test_dropping():
    # The same MPDU again and again: a replay.
    r = Ready(True)
    r.receive()
    r.take()
    w = r.w
    mpdu = bytes(r.mpdu)
    n = len(mpdu)
    buf = w.far.borrow()
    view = memoryview(buf)[2 : 2 + n]

    view[:] = mpdu

    def step(i):
        w.far.send(n)
        r.take()

    measured(step)
    assert r.got == 1 and w.dev.counters["rx_replay"] == WARM + N


def sending(secured):
    w = World(secured)
    w.dev.borrow()[26 : 26 + 1514] = frame(1514, INSIDE, MAC)
    head = bytes(w.dev.borrow()[26:40])

    def step(i):
        buf = w.dev.borrow()
        copy(buf, 26, head, 0, 14)
        w.dev.send(60 + i % 1455)
        sink(w)

    measured(step)
    assert w.dev.link() and w.trouble() == {}


def test_sending():
    sending(True)


def test_sending_on_an_open_network():
    sending(False)


def test_idle_polls():
    w = World()

    def step(i):
        w.dev.recv()
        w.dev.link()

    measured(step)


class Registers:
    # Frames have come, and what was sent has been; nothing is remembered.
    def __init__(self, radio):
        self.radio = radio
        self.sent = 0

    def __getitem__(self, address):
        radio = self.radio
        if address == radio._tx_done:
            return 1
        if address == radio._cause:
            return 0x010000A4
        return 0x3FFB0000 if address == radio._rx_next else 0

    def __setitem__(self, address, value):
        if address == self.radio._plcp0:
            self.sent += 1


def on_registers():
    # An open network: what encryption takes is measured above.
    w = World(False, radio=lambda near: MACRadio(WiFiModel(near, MAC), experimental=True))
    assert w.dev.link()
    w.ap.send(frame(500))
    mpdu = w.ap.sent[-1]
    w.read()
    radio = w.radio
    while w.radio._busy:
        w.read()
    head = bytearray(28)
    head[24:26] = (len(mpdu) + 4).to_bytes(2, "little")
    radio._mem = Registers(radio)
    return w, radio, bytes(head + mpdu + bytes(-len(mpdu) & 3))


class Hand:
    # The DMA, played by hand.
    def __init__(self):
        self.w, self.radio, self.given = on_registers()
        self.n = len(self.given)
        self.got = 0

    def fill(self, buf):
        # (What was there is a frame of Ethernet's now.)
        copy(buf, 0, self.given, 0, self.n)

    def receive(self):
        radio = self.radio
        self.fill(radio._buffers[radio._at])
        o = radio._at * 12
        desc = radio._desc
        desc[o + 1] = desc[o + 1] & 15 | (self.n & 15) << 4
        desc[o + 2] = self.n >> 4
        desc[o + 3] = 0xC0

    def take(self):
        dev = self.w.dev
        while dev.recv():
            self.got += 1
            dev.release()


def test_receiving_from_the_mac():
    h = Hand()

    def step(i):
        h.receive()
        h.take()

    measured(step)
    assert h.got == WARM + N and h.w.trouble() == {}


def test_sending_to_the_mac():
    w, radio, _ = on_registers()
    head = frame(60, INSIDE, MAC)[:14]

    def step(i):
        dev = w.dev
        copy(dev.borrow(), 26, head, 0, 14)
        dev.send(60 + i % 1455)
        dev.recv()

    measured(step)
    assert radio._mem.sent == WARM + N and w.trouble() == {}
