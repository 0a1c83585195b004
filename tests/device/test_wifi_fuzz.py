# Whatever is on the air: no exception, no frame that nobody sent, and the station goes on.
import gc
import random

from viperip.link.wifi import elements, eapol
from viperip.link.wifi.mac import MACRadio
from wifi_board import ALL, BSSID, MAC, World, frame
from wifi_mac_model import WiFiModel

ROUNDS = 2500


def noise(n):
    return bytes([random.getrandbits(8) for _ in range(n)])


def mutated(m):
    m = bytearray(m)
    for _ in range(random.randrange(1, 4)):
        kind = random.randrange(5)
        at = random.randrange(len(m)) if m else 0
        if kind == 0 and m:
            m[at] ^= 1 << random.randrange(8)
        elif kind == 1 and m:
            m[at] = random.choice((0, 255, 127, 1))
        elif kind == 2:
            m = m[:at]
        elif kind == 3:
            m = m[:at] + noise(random.randrange(40)) + m[at:]
        elif m:
            m = m + m[at:]
    return bytes(m[:2300]) or b"\0"  # an in-memory wire carries no empty MPDUs


def world(seed, secured):
    random.seed(seed)
    return World(secured)


def test_a_station_in_use():
    for seed, secured in ((1, True), (2, False)):
        w = world(seed, secured)
        w.ap.send(frame(80))
        w.ap.send(frame(80, ALL))
        w.ap.beacon()
        w.read()
        mine = {frame(80), frame(80, ALL)}
        seeds = list(w.ap.sent)
        for i in range(ROUNDS):
            m = mutated(random.choice(seeds)) if random.randrange(8) else noise(1 + i % 200)
            got = w.give(m)
            if secured:
                # What was sent can be replayed in no form.
                assert not got, m
            if not i % 20:
                w.clock.advance(10)
                w.ap.poll()
        w.run(30000, 100)
        assert w.dev.link(), w.dev.error
        w.ap.send(frame(80))
        assert w.read() == [frame(80)] and mine


def test_a_station_on_its_way():
    # Spoiled answers beside the true ones, from the first beacon on.
    for seed in range(4):
        w = world(seed, True)
        seeds = list(w.ap.sent)
        w.dev.down()
        w.ap.forget()
        w.dev.up()
        for i in range(600):
            if not i % 10:
                w.ap.beacon()
            w.give(mutated(random.choice(seeds)))
            w.ap.poll()
            w.clock.advance(10)
        w.run(12000)
        assert w.dev.link(), w.dev.error


def test_beacons():
    random.seed(5)
    w = World(start=False)
    w.ap.beacon(extra=bytes(0))
    good = w.ap.sent[-1]
    bad = 0
    for i in range(4000):
        m = mutated(good) if i % 4 else good[:36] + noise(random.randrange(300))
        try:
            ap = elements.AccessPoint(m, 0, len(m), 1, 0)
            assert len(ap.bssid) == 6 and len(ap.ssid) <= 32
            ap.fault(True)
            ap.fault(False)
        except ValueError:
            bad += 1
    assert 500 < bad < 3900


def test_elements_that_lie():
    for body, found in (
        (b"", (-1, 0)),
        (b"\x30", None),
        (b"\x30\x01", None),
        (b"\x00\xff" + bytes(254), None),
        (b"\x00\x00" * 100 + b"\x30\x00", (202, 0)),
        (b"\x30\x02ab\x30\x02cd", (2, 2)),
    ):
        assert elements.find(body, 0, len(body), 0x30) == found


def test_eapol_frames():
    random.seed(6)
    w = World()
    good = w.ap.key_frame(0x1382, bytes(32), b"\xdd\x16\x00\x0f\xac\x01\x01\0" + bytes(16))
    bad = 0
    for i in range(3000):
        try:
            k = eapol.KeyFrame(mutated(good) if i % 4 else noise(random.randrange(200)))
            k.authentic(b"k" * 16)
            k.plain(b"k" * 16)
        except ValueError:
            bad += 1
    assert bad > 2000
    for _ in range(3000):
        data = mutated(b"\xdd\x16\x00\x0f\xac\x01\x01\0" + bytes(16) + b"\xdd\0\0\0")
        try:
            kid, gtk = eapol.gtk_of(data)
            assert 0 <= kid <= 3 and len(gtk) == 16
        except ValueError:
            pass


def test_nothing_piles_up():
    w = world(7, True)
    seeds = list(w.ap.sent)
    for _ in range(200):
        w.give(mutated(random.choice(seeds)))
        w.ap.sent.clear()
    w.run(15000, 100)
    gc.collect()
    before = gc.mem_alloc()
    for _ in range(1000):
        w.give(mutated(random.choice(seeds)))
        w.ap.sent.clear()
        w.ap.events.clear()
    w.run(15000, 100)
    w.ap.sent.clear()
    w.ap.events.clear()
    gc.collect()
    assert gc.mem_alloc() - before < 4000, gc.mem_alloc() - before
    assert w.dev.link() and BSSID != MAC


def test_what_the_mac_writes():
    # Lengths that cannot be, in the descriptor and before the MPDU: dropped, and it goes on.
    random.seed(8)
    w = World(radio=lambda near: MACRadio(WiFiModel(near, MAC), experimental=True))
    assert w.dev.link()
    radio = w.radio
    for _ in range(2000):
        at = radio._at
        buf = radio._buffers[at]
        if random.randrange(2):
            buf[:80] = noise(80)
        buf[24:28] = noise(3) + (b"\0" if random.randrange(4) else noise(1))
        radio._desc[at * 12 + 1 : at * 12 + 3] = noise(2)
        radio._desc[at * 12 + 3] |= 0x40
        n = radio.recv()
        assert 0 <= n <= 1600 - 28
        if n:
            radio.release()
    assert radio.counters["rx_length"] > 100 and radio.counters["rx_error"] > 100
    radio._start()
    w.run(300)
    w.ap.send(frame(80))
    assert w.read() == [frame(80)]
