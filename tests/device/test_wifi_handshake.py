# The handshakes of WPA2 under attack: nothing old, nothing false, nothing in the clear; and no key
# that is in use is ever installed again. (IEEE 802.11-2016 12.7.6, 12.7.7; "KRACK", 2017.)
from wifi_ap import ccmp_seal
from wifi_board import ALL, BSSID, INSIDE, MAC, World, frame

GTK2 = b"group key two !!"


def joined():
    w = World()
    assert w.dev.link() and w.trouble() == {}, w.dev.error
    return w


def works(w):
    w.ap.send(frame(100))
    w.ap.send(frame(100, ALL))
    assert w.read() == [frame(100), frame(100, ALL)]
    assert w.send(frame(90, INSIDE, MAC)) and w.ap.inside.pop() == frame(90, INSIDE, MAC)
    assert not [e for e in w.ap.events if e.startswith("pn used")]


def step(w):
    w.ap.poll()
    out = w.read()
    w.ap.poll()
    return out


def test_a_wrong_passphrase():
    w = World(key=b"x" * 32, start=False)
    w.dev.up()
    w.run(6000)
    assert "wrong passphrase" in w.ap.events and not w.dev.link()
    assert "passphrase" in w.dev.error
    w = World(key=b"x" * 32, start=False)
    w.dev.up()
    w.run(300)
    w.ap.deauth(15)
    w.read()
    assert "passphrase" in w.dev.error and "reason 15" in w.dev.error


def test_message_3_again_is_answered_and_installs_nothing():
    # As an access point that did not hear message 4 sends it: in the clear, a new counter.
    w = joined()
    works(w)
    key, pn, group = w.dev._key, bytes(w.dev._key.pn), w.dev._groups[1]
    ap = w.ap
    data = ap.rsne + b"\xdd\x16\x00\x0f\xac\x01\x01\0" + ap.gtk[1]
    for protect in (False, True):
        before = w.counts()
        ap.events.clear()
        ap.key_frame(0x13CA, ap.anonce, data, protect=protect)
        step(w)
        assert ap.events == ["m4"] and w.moved(before) == {"key_again": 2}
        assert w.dev._key is key and w.dev._groups[1] is group and bytes(key.pn) >= pn
    works(w)


def test_message_3_replayed():
    w = joined()
    ap = w.ap
    data = ap.rsne + b"\xdd\x16\x00\x0f\xac\x01\x01\0" + ap.gtk[1]
    raw = ap.key_frame(0x13CA, ap.anonce, data)
    step(w)
    before = w.counts()
    key = w.dev._key
    ap.events.clear()
    for protect in (True, False):
        ap.eapol(raw, protect)
        step(w)
    assert ap.events == [] and w.moved(before) == {"eapol_replay": 2} and w.dev._key is key
    works(w)


def test_group_rekey():
    w = joined()
    for i in range(6):
        w.ap.events.clear()
        w.ap.gtk = w.ap.gtk[:2] + [b"?"] if len(w.ap.gtk) < 3 else w.ap.gtk
        w.ap.rekey(b"group key no. %2d" % i, 2 - i % 2)
        step(w)
        assert w.ap.events == ["g2"]
        works(w)
    assert w.trouble() == {}


def test_group_message_1_again_does_not_open_the_window_anew():
    # The same key with a lower RSC: what was seen under it stays seen.
    w = joined()
    ap = w.ap
    ap.send(frame(60, ALL))
    old = ap.sent[-1]
    assert w.read() == [frame(60, ALL)]
    pn, ap.gtk_pn = ap.gtk_pn, 0
    raw = ap.group1
    before = w.counts()
    ap.events.clear()
    raw()
    step(w)
    ap.gtk_pn = pn
    assert ap.events == ["g2"] and w.moved(before) == {"key_again": 1}
    assert w.give(old) == [] and w.moved(before) == {"key_again": 1, "rx_replay": 1}
    # Under another key id, too.
    ap.gtk = [None, ap.gtk[1], ap.gtk[1]]
    ap.rekey(ap.gtk[1], 2)
    step(w)
    assert w.dev._groups[2] is None and w.dev.counters["key_again"] == 2


def test_group_message_1_replayed_or_in_the_clear():
    w = joined()
    ap = w.ap
    ap.gtk = [None, ap.gtk[1], None]
    ap.gtk_id = 2
    ap.gtk[2] = GTK2
    raw = ap.key_frame(0x1382, bytes(32), b"\xdd\x16\x00\x0f\xac\x01\x02\0" + GTK2)
    step(w)
    before = w.counts()
    ap.eapol(raw)
    step(w)
    assert w.moved(before) == {"eapol_replay": 1}
    ap.key_frame(0x1382, bytes(32), b"\xdd\x16\x00\x0f\xac\x01\x01\0" + b"k" * 16, protect=False)
    step(w)
    assert w.moved(before) == {"eapol_replay": 1, "eapol_unprotected": 1}
    works(w)


def test_the_pairwise_key_is_changed():
    w = joined()
    key = w.dev._key
    w.ap.message1()
    for _ in range(4):
        step(w)
    assert w.dev._key is not key and w.ap.events[-2:] == ["m2", "m4"]
    works(w)


def test_message_1_in_the_clear_after_the_keys_are_set():
    w = joined()
    before = w.counts()
    w.ap.key_frame(0x008A, b"n" * 32, b"", replay=9000, protect=False)
    w.ap.events.clear()
    step(w)
    assert w.moved(before) == {"eapol_unprotected": 1} and w.ap.events == []
    works(w)


def test_message_1_repeated_is_answered_with_the_same_nonce():
    w = World(start=False)
    w.ap.deaf = {0x02}
    w.dev.up()
    w.run(400)
    nonce = w.dev._supplicant._snonce
    w.ap.key_frame(0x008A, w.ap.anonce, b"")
    step(w)
    assert w.dev._supplicant._snonce == nonce and w.ap.events.count("m2") == 2
    w.ap.deaf = set()
    w.ap.message3()
    step(w)
    assert w.dev.link()
    works(w)


def test_message_3_that_is_false():
    for spoil, counter in (
        (lambda ap, data: ap.key_frame(0x13CA, b"n" * 32, data), "eapol_bad"),
        (lambda ap, data: ap.key_frame(0x13CA, ap.anonce, data[1:]), "eapol_rsne"),
        (lambda ap, data: ap.key_frame(0x13CA, ap.anonce, ap.rsne), "eapol_bad"),
        (lambda ap, data: ap.key_frame(0x03CA, ap.anonce, data), "eapol_bad"),
        (lambda ap, data: ap.key_frame(0x13C9, ap.anonce, data), "eapol_bad"),
        (lambda ap, data: ap.key_frame(0x13CA, ap.anonce, data[:-12]), "eapol_bad"),
    ):
        w = World(start=False)
        w.ap.deaf = {0x02}
        w.dev.up()
        w.run(400)
        before = w.counts()
        data = w.ap.rsne + b"\xdd\x16\x00\x0f\xac\x01\x01\0" + w.ap.gtk[1]
        spoil(w.ap, data)
        step(w)
        assert w.moved(before) == {counter: 1}, (w.moved(before), counter)
        assert not w.dev.link() and w.dev._key is None
        # The true one is still taken.
        w.ap.message3()
        step(w)
        assert w.dev.link()


def test_a_downgrade_is_noticed():
    w = World(start=False)
    w.ap.m3_rsne = w.ap.rsne[:-2] + b"\x80\0"
    w.dev.up()
    w.run(1000)
    assert w.dev.counters["eapol_rsne"] == 1 and not w.dev.link()


def test_every_flipped_byte_of_message_3():
    w = World(start=False)
    w.ap.deaf = {0x02}
    w.dev.up()
    w.run(400)
    ap = w.ap
    put, ap.eapol = ap.eapol, lambda raw, protect=None: None
    data = ap.rsne + b"\xdd\x16\x00\x0f\xac\x01\x01\0" + ap.gtk[1]
    raw = ap.key_frame(0x13CA, ap.anonce, data)
    ap.eapol = put
    for i in range(len(raw)):
        bad = bytearray(raw)
        bad[i] ^= 1
        ap.eapol(bytes(bad))
        w.read()
        assert w.dev._key is None, i
    for n in range(len(raw)):
        ap.eapol(raw[:n])
        w.read()
        assert w.dev._key is None, n
    ap.eapol(raw)
    step(w)
    assert w.dev.link()


def test_nothing_in_the_clear_after_the_keys_are_set():
    w = joined()
    before = w.counts()
    w.ap.send(frame(100), protect=False)
    w.ap.send(frame(100, ALL), protect=False)
    assert w.read() == [] and w.moved(before) == {"rx_unprotected": 2}
    # EAPOL that is none goes nowhere.
    w.ap.send(MAC + INSIDE + b"\x88\x8e" + bytes(60), protect=False)
    assert w.read() == [] and w.moved(before) == {"rx_unprotected": 2, "eapol_bad": 1}
    works(w)


def test_nothing_before_the_keys_are_set_either():
    w = World(start=False)
    w.ap.deaf = {0x02}
    w.dev.up()
    w.run(400)
    w.ap.send(frame(100), protect=False)
    assert w.read() == [] and w.dev.counters["rx_unprotected"] == 1
    assert w.dev.borrow() is None


def test_replayed_and_spoiled_data():
    w = joined()
    w.ap.send(frame(100))
    old = w.ap.sent[-1]
    assert w.read() == [frame(100)]
    before = w.counts()
    # Not marked as a retry, or with another sequence number: CCMP stops it.
    assert w.give(old) == [] and w.give(old[:23] + b"\x77" + old[24:]) == []
    assert w.moved(before) == {"rx_replay": 2}
    before = w.counts()
    w.ap.send(frame(200))
    w.read()
    new = bytearray(w.ap.sent[-1])
    new[24] += 1
    assert w.give(bytes(new)) == [] and w.moved(before) == {"rx_mic": 1}
    # A false frame with a far packet number does not move the window.
    new[28:32] = b"\xff\xff\xff\xff"
    assert w.give(bytes(new)) == []
    works(w)


def test_keys_that_are_not_set():
    w = joined()
    before = w.counts()
    body = b"\xaa\xaa\x03\0\0\0\x88\xb5" + bytes(50)
    for to, kid in ((MAC, 1), (MAC, 3), (ALL, 0), (ALL, 2)):
        head = b"\x08\x42\0\0" + to + BSSID + INSIDE + b"\x70\x10"
        assert w.give(ccmp_seal(w.ap.tk, kid, 5000, head, body)) == []
    assert w.moved(before) == {"rx_no_key": 4}


def test_packet_numbers_of_the_station_only_grow():
    w = joined()
    for _ in range(300):
        assert w.send(frame(60, INSIDE, MAC))
    assert len(w.ap.inside) == 300 and w.ap.seen == 300
    assert not [e for e in w.ap.events if e.startswith("pn used")]
