# The register driver of the Wi-Fi MAC on its model: bring-up, both directions, keys, trouble.
from viperip.errors import EINVAL, ENODEV, ENOMEM, ETIMEDOUT
from viperip.link.pair import Pair
from viperip.link.wifi.mac import MACRadio
from wifi_board import ALL, BSSID, INSIDE, MAC, World, frame
from wifi_mac_model import WiFiModel


def made(chip="esp32", prefix=None, **driver):
    def radio(near):
        soc = WiFiModel(near, MAC, chip, prefix)
        return MACRadio(soc, chip=chip, experimental=True, **driver)

    return radio


def joined(chip="esp32", prefix=None, secured=True, **driver):
    w = World(secured, radio=made(chip, prefix, **driver))
    assert w.dev.link(), (w.dev.error, w.dev.counters, w.radio.counters)
    return w


def quiet(w, *but):
    said = {k: v for k, v in w.radio.counters.items() if v and k not in but}
    assert said == {}, said


def both_ways(w, sizes=(60, 61, 62, 63, 64, 1514)):
    for n in sizes:
        w.ap.send(frame(n))
        w.ap.send(frame(n, ALL))
        assert w.read() == [frame(n), frame(n, ALL)]
        assert w.send(frame(n, INSIDE, MAC))
        w.read()
        w.ap.poll()
        assert w.ap.inside.pop() == frame(n, INSIDE, MAC)
    assert not [e for e in w.ap.events if "pn" in e or "mic" in e or "clear" in e]


def test_it_has_to_be_asked_for():
    a, _ = Pair.wire(MAC, BSSID, 4, 2304)
    soc = WiFiModel(a, MAC)
    for bad in ({}, {"chip": "esp32c3"}, {"channel": 0}, {"rx_frames": 1}):
        try:
            MACRadio(soc, **bad) if not bad else MACRadio(soc, experimental=True, **bad)
        except ValueError:
            continue
        raise AssertionError(bad)


def test_both_chips_with_and_without_hardware_keys():
    for chip in ("esp32", "esp32s2"):
        for hardware in (False, True):
            w = joined(chip, hardware_keys=hardware)
            both_ways(w)
            assert (w.dev._key.slot >= 0) == hardware
            quiet(w, "rx_unsure")
        w = joined(chip, secured=False)
        both_ways(w)


def test_the_prefix_is_found_in_a_beacon():
    for prefix in (28, 36, 40, 48):
        w = joined(prefix=prefix)
        assert w.radio.rx_off == prefix and w.radio.rssi == 0 or w.radio.rssi < 0
        both_ways(w)


def test_keys_in_hardware_are_changed():
    w = joined(hardware_keys=True)
    for kid in (2, 1, 2):
        w.ap.gtk = w.ap.gtk + [None] if len(w.ap.gtk) < 3 else w.ap.gtk
        w.ap.rekey(b"new group key %2d" % (kid + len(w.ap.sent) % 90), kid)
        w.read()
        both_ways(w)
    w.dev.down()
    assert w.radio.bus.regs[0x814] == 0
    assert not [a for a in range(0x1400, 0x14C8, 4) if w.radio.bus.regs.get(a)]


def test_a_key_in_a_slot_is_changed_when_nothing_waits_for_the_old_one():
    # Else a packet number would be used twice under the new key.
    w = joined(hardware_keys=True)
    soc = w.radio.bus
    for _ in range(2):
        soc.hangs = True
        for _ in range(3):
            assert w.send(frame(80, INSIDE, MAC))
        old = w.ap.tk
        tk = bytes([b ^ 0x5A for b in old])
        soc.hangs = False
        w.dev.pairwise(tk)
        assert not w.radio._tx_n
        w.ap.poll()
        assert len(w.ap.inside) == 3
        w.ap.inside.clear()
        w.ap.tk, w.ap.pn, w.ap.seen = tk, 0, 0
        both_ways(w)
    # And not for ever.
    soc.hangs = True
    w.send(frame(80, INSIDE, MAC))
    w.dev.pairwise(b"k" * 16)
    assert w.radio.counters["tx_stuck"] == 1 and not w.radio._tx_n


def test_hardware_replays_are_stopped_by_software():
    w = joined(hardware_keys=True)
    w.ap.send(frame(100))
    old = w.ap.sent[-1]
    assert w.read() == [frame(100)]
    assert w.give(old[:23] + b"\x55" + old[24:]) == []
    assert w.dev.counters["rx_replay"] == 1
    bad = bytearray(w.ap.sealed(old[:24], b"\xaa\xaa\x03\0\0\0\x88\xb5" + bytes(60)))
    bad[-1] ^= 1
    assert w.give(bytes(bad)) == [] and w.radio.counters["rx_error"] == 1


def test_filters():
    w = joined()
    soc = w.radio.bus
    before = soc.filtered
    stranger = b"\x02\0\0\0\0\x66"
    w.give(b"\x08\x02\0\0" + INSIDE + BSSID + stranger + b"\0\0" + bytes(40))
    w.give(b"\x08\x02\0\0" + ALL + stranger + stranger + b"\0\0" + bytes(40))
    assert soc.filtered == before + 2


def test_a_list_that_ran_dry():
    w = joined(rx_frames=4)
    for _ in range(5):
        for i in range(9):
            w.ap.send(frame(100, tag=i))
        got = w.read()
        assert got[:4] == [frame(100, tag=i) for i in range(4)], len(got)
        both_ways(w, (300,))
    assert w.radio.bus.lost > 0


def test_frames_that_are_not_acknowledged():
    w = joined()
    soc = w.radio.bus
    soc.no_ack = 2
    assert w.send(frame(100, INSIDE, MAC))
    for _ in range(4):
        w.read()
        w.ap.poll()
    assert w.radio.counters["tx_retry"] == 2 and soc.retries == 2
    # It came the first time; its repetitions have its number, and a true AP knows them.
    assert w.ap.inside[0] == frame(100, INSIDE, MAC)
    soc.no_ack = 0
    soc.collisions = 9
    w.send(frame(100, INSIDE, MAC))
    for _ in range(12):
        w.read()
    assert w.radio.counters["tx_failed"] >= 1
    soc.collisions = 0
    w.ap.inside.clear()
    w.ap.events.clear()
    for _ in range(4):
        w.read()
    both_ways(w)


def test_a_transmission_that_never_ends():
    w = joined()
    soc = w.radio.bus
    soc.hangs = True
    for _ in range(4):
        assert w.send(frame(100, INSIDE, MAC))
    assert w.dev.borrow() is None
    soc.hangs = False
    soc._waiting = None
    soc.delay_ms(300)
    for _ in range(10):
        w.read()
    assert w.radio.counters["tx_stuck"] == 1 and w.dev.borrow() is not None
    w.ap.poll()
    w.ap.inside.clear()
    both_ways(w)


def test_errors_of_the_mac():
    w = joined()
    soc = w.radio.bus
    soc.next_error = 0x21
    w.ap.send(frame(100))
    assert w.read() == [] and w.radio.counters["rx_error"] == 1
    soc.cause |= 0x800
    w.read()
    assert w.radio.counters["watchdog"] == 1
    soc.cause |= 0x400000
    w.read()
    assert w.radio.counters["fatal"] == 1
    both_ways(w)


def test_what_cannot_work_says_why():
    for name, number in (("psram", ENOMEM), ("stuck", ETIMEDOUT), ("absent", ENODEV)):
        w = World(start=False, radio=made())
        setattr(w.radio.bus, name, True)
        try:
            w.dev.up()
        except OSError as e:
            assert e.args[0] == number, name
            setattr(w.radio.bus, name, False)
            w.dev.up()
            w.run(600)
            assert w.dev.link()
            continue
        raise AssertionError(name)
    w = joined()
    try:
        w.radio.tune(6)
    except OSError as e:
        assert e.args[0] == EINVAL
        return
    raise AssertionError("tuned")


def test_every_descriptor_write_of_a_day():
    # The list wraps, the queue wraps; nothing is lost while somebody polls.
    w = joined(rx_frames=3)
    for i in range(200):
        w.ap.send(frame(60 + i * 7 % 1400, tag=i))
        w.ap.send(frame(60, ALL, tag=i))
        assert w.read() == [frame(60 + i * 7 % 1400, tag=i), frame(60, ALL, tag=i)]
        assert w.send(frame(60 + i * 5 % 1400, INSIDE, MAC, i))
    w.read()
    w.ap.poll()
    assert len(w.ap.inside) == 200
    quiet(w, "rx_unsure")
