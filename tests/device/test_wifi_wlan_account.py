# 100,000 received frames with faults: every one is given back exactly once, and accounted for.
# timeout: 300
from esp_wifi import NO_MEM, NOT_ASSOC
from wlan_board import Board, frame

FRAMES = 100000
DATA = frame(1514)


class Dice:
    # A linear congruential generator with small numbers: the same everywhere.
    def __init__(self, seed):
        self.state = seed

    def __call__(self, n):
        self.state = (self.state * 3421 + 7) % 131071
        return self.state % n


def run(seed, slots, frames=FRAMES):
    b = Board(slots=slots, buffers=20)
    firmware, wlan = b.firmware, b.wlan
    dice = Dice(seed)
    total = {}
    came = wrong = late = 0
    callback = firmware.callbacks[0]
    while came < frames:
        dev = b.dev
        for _ in range(dice(2 * slots)):
            odd = dice(40) == 0
            wrong += odd
            firmware.receive(DATA, 60, 0, 1 + dice(13) if odd else 60 + dice(1400))
            came += 1
        for _ in range(dice(2 * slots)):
            if dev.recv():
                dev.release()
        what = dice(60)
        if what == 0:
            wlan.disconnect()
        elif what < 4:
            wlan.associate()
        elif what == 4:
            dev.down()
            # One that comes through the callback of before.
            firmware.callbacks[0], before = callback, firmware.callbacks[0]
            firmware.receive(DATA, 60)
            firmware.callbacks[0] = before
            late += 1
            came += 1
            dev.up()
        elif what == 5:
            # A soft reset: the next program finds the ring.
            add(total, dev.counters)
            b.start(connect=False, slots=slots)
            b.dev.up()
            if not wlan.associated:
                wlan.associate()
            # What lay in the ring was drained for nobody.
            add(total, {"left": b.dev._base[3]})
        firmware.tx_error = (0, 0, 0, NO_MEM, NOT_ASSOC, 0x102)[dice(6)]
        if b.dev.borrow():
            b.dev.send(60 + dice(1400))
        while b.far.recv():
            b.far.release()
        firmware.now += dice(60)
        assert firmware.double == 0 and firmware.outstanding() <= slots
    b.dev.down()
    add(total, b.dev.counters)
    b.balanced()
    assert firmware.starved == 0 and late
    # What came through one of our callbacks is what the counters say.
    ours = firmware.given - firmware.lwip
    counted = 0
    for name in ("rx", "rx_length", "rx_dropped", "rx_late", "rx_drained", "left"):
        counted += total[name]
        assert total[name], name
    assert counted == ours, (counted, ours, total)
    assert total["rx"] > frames // 4
    assert total["tx"] == firmware.sent and total["adopted"] and total["lost"]
    assert total["tx_no_link"] and total["tx_retry"] and total["tx_error"]
    assert firmware.given + firmware.nobody == came


def add(total, counters):
    for name in counters:
        total[name] = total.get(name, 0) + counters[name]


def test_100000_frames():
    run(1, 16)


def test_small_rings():
    run(2, 2, 10000)
    run(3, 4, 10000)
