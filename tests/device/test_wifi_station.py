# A station joins, carries frames, keeps alive, leaves, and gets over the loss of its access point.
from viperip.errors import ETIMEDOUT
from viperip.link.wifi import station as s
from wifi_ap import ccmp_seal
from wifi_board import ALL, BSSID, INSIDE, MAC, SSID, World, frame


def joined(**how):
    w = World(**how)
    assert w.dev.link() and w.dev.error is None and w.trouble() == {}, (w.dev.error, w.trouble())
    return w


def test_an_open_network():
    w = joined(secured=False)
    assert w.ap.events == ["probe", "auth", "assoc"]
    w.ap.send(frame(100))
    w.ap.send(frame(60, ALL))
    assert w.read() == [frame(100), frame(60, ALL)]
    assert w.send(frame(300, INSIDE, MAC)) and w.ap.inside == [frame(300, INSIDE, MAC)]


def test_a_network_with_a_passphrase():
    w = joined()
    assert w.ap.events == ["probe", "auth", "assoc", "m2", "m4"]
    for n in (14, 15, 60, 333, 1513, 1514):
        w.ap.send(frame(n))
        w.ap.send(frame(n, ALL))
        assert w.read() == [frame(n), frame(n, ALL)]
        assert w.send(frame(n, INSIDE, MAC)) and w.ap.inside.pop() == frame(n, INSIDE, MAC)
        assert w.send(frame(n, ALL, MAC)) and w.ap.inside.pop() == frame(n, ALL, MAC)
    assert w.trouble() == {}


def test_what_is_sent_is_a_data_frame_of_80211():
    # IEEE 802.11-2016 9.3.2.1: ToDS, A1 = BSSID, A2 = the station, A3 = destination.
    w = joined(secured=False)
    w.near.borrow()
    w.dev.borrow()[26:126] = frame(100, INSIDE, MAC)
    w.dev.send(100)
    n = w.far.recv()
    m = bytes(w.far.rx[2 : 2 + n])
    assert m[:4] == b"\x08\x01\0\0" and m[4:22] == BSSID + MAC + INSIDE
    assert m[24:32] == b"\xaa\xaa\x03\0\0\0\x88\xb5" and m[32:] == frame(100)[14:]


def test_frames_of_a_length_that_cannot_be_are_not_sent():
    w = joined()
    for n in (0, 13, 1515, 4000):
        assert w.dev.borrow() is not None
        w.dev.send(n)
    w.ap.poll()
    assert w.ap.inside == [] and w.dev.counters["tx_refused"] == 4


def test_nothing_is_lent_to_send_without_a_link():
    w = World(start=False)
    assert w.dev.borrow() is None and w.dev.recv() == 0 and not w.dev.link()
    w.dev.send(60)
    assert w.dev.counters["tx_refused"] == 1


def test_it_leaves():
    w = joined()
    w.dev.down()
    w.ap.poll()
    assert w.ap.events[-1] == "leave 3" and not w.dev.link() and w.dev.recv() == 0
    w.dev.up()
    w.run(600)
    assert w.dev.link() and w.dev.counters["joins"] == 2


def test_it_keeps_alive():
    w = joined()
    w.run(40000, 100)
    assert w.ap.events.count("null") == 2 and w.dev.link()


def test_a_silent_access_point_is_asked_and_then_lost():
    w = joined()
    probes = w.ap.events.count("probe")
    w.run(7000, 100, beacons=False)
    assert w.ap.events.count("probe") > probes and w.dev.link()
    w.ap.deaf = {0x40, 0xB0}
    w.run(12000, 100, beacons=False)
    assert not w.dev.link() and w.dev.counters["lost"] == 1
    w.ap.deaf = set()
    w.run(3000, 100)
    assert w.dev.link() and w.dev.counters["joins"] == 2


def test_lost_at_every_step_and_joined_in_the_end():
    # Not heard: probe, authentication, association, message 2.
    for deaf, state in ((0x40, s.SCAN), (0xB0, s.AUTH), (0x00, s.ASSOC), (0x02, s.HANDSHAKE)):
        w = World(start=False)
        w.ap.deaf = {deaf, 0x40} if deaf == 0x40 else {deaf}
        w.dev.up()
        seen = set()
        for _ in range(400):
            w.run(20, 20, beacons=deaf != 0x40)
            seen.add(w.dev.state)
        assert state in seen and s.RUN not in seen and w.dev.error, (deaf, seen)
        w.ap.deaf = set()
        w.run(8000)
        assert w.dev.link() and w.dev.error is None


def test_sent_away_at_every_step():
    for steps in range(1, 30):
        w = World(start=False)
        w.dev.up()
        for _ in range(steps):
            w.clock.advance(15)
            w.read()
            w.ap.poll()
        if w.ap.station:
            w.ap.deauth()
        w.run(8000)
        assert w.dev.link(), (steps, w.dev.error)
        w.ap.send(frame(100))
        assert w.read() == [frame(100)]


def test_refused():
    for sub, text in ((0xB0, "authentication refused"), (0x00, "association refused")):
        w = World(start=False)
        w.ap.status[sub] = 17
        w.dev.up()
        w.run(600)
        assert w.dev.error == text + ": status 17" and w.dev.counters["refused"] >= 1
        w.ap.status[sub] = 0
        w.run(2500)
        assert w.dev.link()


def test_only_its_own_network_may_send_it_away():
    w = joined()
    before = w.counts()
    stranger = b"\x02\0\0\0\0\x66"
    for a1, a2, a3 in (
        (MAC, stranger, BSSID),
        (MAC, BSSID, stranger),
        (INSIDE, BSSID, BSSID),
    ):
        w.give(b"\xc0\0\0\0" + a1 + a2 + a3 + b"\0\0\x07\0")
    w.give(b"\xc0\0\0\0" + MAC + BSSID + BSSID + b"\0\0\x07")  # no reason: cut
    assert w.dev.link() and w.moved(before) == {"rx_stray": 4}
    w.give(b"\xc0\0\0\0" + MAC + BSSID + BSSID + b"\0\0\x07\0")
    assert not w.dev.link() and "reason 7" in w.dev.error


def test_networks_it_cannot_use_have_their_reason():
    sae = b"\x30\x14\x01\0\0\x0f\xac\x04\x01\0\0\x0f\xac\x04\x01\0\0\x0f\xac\x08\xc0\0"
    tkip = b"\x30\x14\x01\0\0\x0f\xac\x02\x01\0\0\x0f\xac\x04\x01\0\0\x0f\xac\x02\0\0"
    pmf = b"\x30\x14\x01\0\0\x0f\xac\x04\x01\0\0\x0f\xac\x04\x01\0\0\x0f\xac\x02\xc0\0"
    cut = b"\x30\x08\x01\0\0\x0f\xac\x04\x01\0"
    many = b"\x30\x0e\x01\0\0\x0f\xac\x04\xff\xff\0\x0f\xac\x04\0\0"
    for rsne, text in (
        (sae, "no WPA2-PSK"),
        (tkip, "group cipher is not CCMP"),
        (pmf, "management frame protection is required"),
        (cut, "RSN element is cut"),
        (many, "RSN element is cut"),
        (b"\x30\x02\x02\0", "RSN version"),
        (b"", "it has no WPA2"),
    ):
        w = World(start=False, rsne=rsne)
        w.dev.up()
        w.run(600)
        assert w.dev.error == text and not w.dev.link(), w.dev.error
    w = World(secured=False, start=False)
    w.ap.master = b"x" * 32
    w.dev.up()
    w.run(600)
    assert w.dev.error == "it wants a passphrase"
    w = World(start=False)
    w.ap.ssid = b"another"
    w.dev.up()
    w.run(600)
    assert w.dev.error == "no access point of this name"


def test_waiting_says_why():
    w = World(key=b"x" * 32, start=False)
    w.dev.up()
    try:
        w.dev.wait(3000, lambda ms: (w.ap.poll(), w.clock.advance(ms)))
    except OSError as e:
        assert e.args[0] == ETIMEDOUT and e.args[1]
        return
    raise AssertionError("joined")


def test_duplicates_fragments_and_aggregates():
    w = joined()
    before = w.counts()
    ap = w.ap
    body = b"\xaa\xaa\x03\0\0\0\x88\xb5" + bytes(50)
    ap.data(MAC, INSIDE, body, seq=77)
    assert len(w.read()) == 1
    # 10.3.2.11: the same sequence number with the retry bit.
    ap.data(MAC, INSIDE, body, seq=77, fc1=0x08)
    assert w.read() == []
    ap.data(MAC, INSIDE, body, seq=78, fc1=0x08)
    assert len(w.read()) == 1
    ap.data(MAC, INSIDE, body, fc1=0x04)
    w.give(ap.sealed(b"\x88\x42\0\0" + MAC + BSSID + INSIDE + b"\x10\0\x80\0", body))
    w.give(ap.sealed(b"\x08\x42\0\0" + MAC + BSSID + INSIDE + b"\x13\0", body))
    assert w.read() == []
    assert w.moved(before) == {"rx_duplicate": 1, "rx_fragment": 3}


def test_a_frame_with_qos_is_taken_with_its_own_packet_numbers():
    w = joined()
    w.ap.pn = 100
    w.ap.send(frame(60))
    body = b"\xaa\xaa\x03\0\0\0\x88\xb5" + frame(60)[14:]
    head = b"\x88\x42\0\0" + MAC + BSSID + INSIDE + b"\x10\0\x05\0"
    out = w.read() + w.give(ccmp_seal(w.ap.tk, 0, 7, head, body))
    assert out == [frame(60), frame(60)]
    assert w.give(ccmp_seal(w.ap.tk, 0, 7, head, body)) == []
    assert w.dev.counters["rx_replay"] == 1


def test_strays():
    w = joined()
    before = w.counts()
    body = b"\xaa\xaa\x03\0\0\0\x88\xb5" + bytes(50)
    stranger = b"\x02\0\0\0\0\x66"
    for head in (
        b"\x08\x02\0\0" + MAC + stranger + INSIDE,  # another network's
        b"\x08\x02\0\0" + INSIDE + BSSID + stranger,  # for another station
        b"\x08\x01\0\0" + MAC + BSSID + INSIDE,  # to an access point
        b"\x08\x03\0\0" + MAC + BSSID + INSIDE,  # between access points
        b"\x09\x02\0\0" + MAC + BSSID + INSIDE,  # another version of 802.11
        b"\xd4\0\0\0" + MAC + BSSID + INSIDE,  # control
    ):
        w.give(head + b"\0\0" + body)
    w.give(b"\x08\x02\0\0" + MAC + BSSID + INSIDE)
    assert w.moved(before) == {"rx_stray": 7}


def test_own_multicasts_and_other_protocols():
    w = joined()
    before = w.counts()
    w.ap.send(frame(60, ALL, MAC))
    w.ap.data(MAC, INSIDE, b"\x42\x42\x03" + bytes(40))
    w.ap.data(MAC, INSIDE, b"\xaa\xaa\x03\0\0\xf8\x08\0" + bytes(40))
    w.ap.data(MAC, INSIDE, b"\xaa\xaa\x03")
    w.ap.data(MAC, INSIDE, b"")
    assert w.read() == []
    assert w.moved(before) == {"rx_echo": 1, "rx_llc": 2, "rx_short": 2}


def test_the_strongest_of_two():
    w = World(start=False)
    w.dev.up()
    w.read()
    near = b"\x02\0\0\0\0\xaa"
    w.radio.rssi = -40
    w.ap.bssid, far = near, w.ap.bssid
    w.ap.beacon()
    w.read()
    w.radio.rssi = -80
    w.ap.bssid = far
    w.ap.beacon()
    w.read()
    w.clock.advance(200)
    w.read()
    assert w.dev.ap.bssid == near and w.dev.ap.ssid == SSID
