# Frames through the ring take no heap: received, dropped, sent, refused.
from esp_wifi import NO_MEM, NOT_ASSOC
from heap_check import N, WARM, measured
from wlan_board import Board, frame

DATA = frame(1514)
HEAD = frame(14)


def take(dev):
    while dev.recv():
        dev.release()


def test_receiving():
    b = Board()
    firmware, dev = b.firmware, b.dev

    def step(i):
        firmware.receive(DATA, 60 + i % 1455)
        take(dev)

    measured(step)
    assert dev.counters["rx"] == N + WARM
    b.balanced()


def test_a_full_ring():
    b = Board(slots=8)
    firmware, dev = b.firmware, b.dev

    def step(i):
        k = 0
        while k < 9:
            firmware.receive(DATA, 60)
            k += 1
        take(dev)

    measured(step)
    assert dev.counters["rx_dropped"] == N + WARM
    b.balanced()


def test_sending():
    b = Board()
    firmware, dev, far = b.firmware, b.dev, b.far

    def step(i):
        dev.borrow()
        dev.send(60 + i % 1455)
        far.recv()
        far.release()

    measured(step)
    assert firmware.sent == N + WARM


def test_sending_in_vain():
    b = Board()
    firmware, dev = b.firmware, b.dev

    def step(i):
        firmware.tx_error = NO_MEM if i & 1 else NOT_ASSOC
        if dev.borrow():
            dev.send(60)
        firmware.tx_error = NOT_ASSOC
        dev.recv()

    measured(step)
    assert firmware.sent == 0 and dev.counters["tx_no_link"] == N + WARM


def test_looking_after_the_association():
    b = Board()
    firmware, dev = b.firmware, b.dev

    def step(i):
        firmware.now += 200
        dev.recv()

    measured(step)
    assert dev.counters["registered"] >= N // 5
