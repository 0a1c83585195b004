# The link device on the firmware's private functions, modelled: frames, the association, errors.
from esp_wifi import DISALLOW, LWIP, NO_MEM, NOT_ASSOC, TABLE, FirmwareModel
from harness import raises
from viperip.errors import EINVAL, EIO, ENODEV, ENOENT, ENOMEM, ETIMEDOUT
from viperip.link.wlan.wlan import WLAN
from wlan_board import ALL, FAR, MAC, Board, frame


def test_frames_each_way():
    b = Board()
    assert b.dev.link() and b.dev.mac == MAC and b.dev.mtu == 1500
    lengths = (14, 15, 60, 577, 1514, 1518)
    for n in lengths:
        b.give(frame(n, n))
        assert b.read() == [frame(n, n)]
    for n in lengths:
        assert b.send(frame(n, n, FAR, MAC))
    assert b.sent() == [frame(n, n, FAR, MAC) for n in lengths]
    assert b.dev.counters["rx"] == b.dev.counters["tx"] == 6
    b.counts()
    b.balanced()


def test_a_frame_is_lent_until_it_is_released():
    b = Board()
    b.give(frame(60, 1), frame(70, 2))
    assert b.dev.recv() == 60 and b.dev.recv() == 60
    b.dev.release()
    assert b.dev.recv() == 70
    b.dev.release()
    assert b.dev.recv() == 0
    b.balanced()


def test_the_order_of_a_start():
    b = Board(connect=False)
    assert not b.dev.active() and not b.dev.isconnected() and b.dev.recv() == 0
    assert b.firmware.calls == 0
    b.dev.active(True)
    # Before it connects: no power saving, no DHCP of lwIP's, its own address on nobody's network.
    assert b.wlan.on and b.wlan.settings == {"pm": 0}
    assert b.wlan.parked == ("192.0.2.1", "255.255.255.255", "0.0.0.0", "0.0.0.0")
    assert b.firmware.callbacks == [0, 0] and not b.dev.link()
    b.dev.connect("viperip", "a passphrase")
    assert b.firmware.callbacks[0] == LWIP and b.firmware.netif_up
    b.later(100)
    assert b.firmware.callbacks[0] not in (0, LWIP) and not b.firmware.netif_up
    assert b.dev.link() and b.dev.isconnected() and b.dev.status() == 1010
    assert b.dev.status("rssi") == -60 and b.dev.config("mac") == MAC and len(b.dev.scan()) == 1
    b.dev.active(False)
    assert not b.wlan.on and b.firmware.callbacks == [0, 0] and not b.dev.link()
    b.counts()


def test_connect_waits_when_it_is_asked_to():
    b = Board(connect=False)
    raises_enetdown(b.dev.connect, "viperip")
    b.dev.up()
    b.dev.connect("viperip", "a passphrase", timeout_ms=1000)
    assert b.dev.link()
    b.dev.disconnect()
    assert not b.dev.link()

    def not_yet():
        b.firmware.now += 100
        return False

    b.wlan.isconnected = not_yet
    raises(ETIMEDOUT, lambda: b.dev.connect("viperip", "wrong", timeout_ms=1000))
    b.counts(lost=1)


def raises_enetdown(function, *args):
    from viperip.errors import ENETDOWN

    raises(ENETDOWN, function, *args)


def test_a_full_ring_gives_frames_back():
    b = Board(slots=8)
    b.give(*[frame(60, i) for i in range(11)])
    b.balanced(8)
    assert b.read() == [frame(60, i) for i in range(8)]
    b.counts(rx_dropped=3)
    b.balanced()
    b.give(frame(60, 99))
    assert b.read() == [frame(60, 99)]


def test_one_who_holds_frames_cannot_starve_the_firmware():
    b = Board(slots=16)
    b.give(*[frame(60, i) for i in range(200)])
    assert b.firmware.starved == 0
    b.counts(rx_dropped=184)


def test_lengths_that_cannot_be_are_given_back():
    b = Board()
    data = frame(1600)
    for length in (1, 2, 13, 1519, 1600, 0xFFFF):
        b.firmware.receive(data, 60, 0, length)
    b.give(frame(60, 5))
    assert b.read() == [frame(60, 5)]
    b.counts(rx_length=6)
    b.balanced()


def test_own_multicasts_come_back_and_are_dropped():
    b = Board()
    b.give(frame(60, 1, ALL, MAC), frame(60, 2, ALL), frame(60, 3, MAC, MAC))
    assert b.read() == [frame(60, 2, ALL), frame(60, 3, MAC, MAC)]
    b.counts(rx_echo=1)
    b.balanced()


def test_after_down_nothing_is_held():
    b = Board()
    b.give(*[frame(60, i) for i in range(5)])
    assert b.dev.recv() == 60
    callback = b.firmware.callbacks[0]
    b.dev.down()
    b.balanced()
    assert b.firmware.callbacks[0] == 0 and b.dev.recv() == 0 and b.dev.borrow() is None
    b.dev.send(60)
    # A callback that was under way, and a firmware that did not listen.
    b.firmware.callbacks[0] = callback
    b.give(frame(60, 7), frame(60, 8))
    b.balanced()
    b.counts(rx_drained=4, rx_late=2, tx_no_link=1)
    b.dev.down()
    b.dev.up()
    b.give(frame(60, 9))
    assert b.later(100) == [frame(60, 9)] and b.dev.link()
    b.balanced()


def test_the_association_is_lost_and_comes_back():
    b = Board()
    b.wlan.disconnect()
    assert b.dev.link()  # nobody has asked yet
    assert b.send(frame(60))
    b.read()  # what was refused made it ask
    assert not b.dev.link()
    b.counts(lost=1, tx_no_link=1)
    b.wlan.associate()
    b.give(frame(60, 1))
    assert b.firmware.lwip == 1
    assert b.later(100) == [] and b.dev.link()
    assert not b.firmware.netif_up
    b.give(frame(60, 2))
    assert b.read() == [frame(60, 2)]
    b.counts(lost=1, tx_no_link=1, link_up=2)
    b.balanced()


def test_a_reconnect_between_two_looks_is_made_good_within_a_second():
    b = Board()
    b.wlan.associate()  # lwIP has the frames again, and nobody said so
    for i in range(12):
        b.give(frame(60, i))
        b.later(100)
    assert 0 < b.firmware.lwip <= 10 and b.dev.counters["rx"] == 12 - b.firmware.lwip
    b.counts()
    b.balanced()


def test_a_frame_waits_for_memory():
    b = Board()
    b.firmware.tx_error = NO_MEM
    assert b.send(frame(60, 1))
    assert b.dev.unsent == 60 and b.dev.borrow() is None
    b.later(100)
    assert b.sent() == []
    b.firmware.tx_error = 0
    b.read()
    assert b.sent() == [frame(60, 1)] and b.dev.unsent == 0
    assert b.send(frame(60, 2)) and b.sent() == [frame(60, 2)]
    b.counts(tx_retry=b.dev.counters["tx_retry"])
    # But not for ever.
    b.firmware.tx_error = NO_MEM
    assert b.send(frame(60, 3))
    b.later(2000)
    assert b.dev.unsent == 0 and b.dev.borrow() is not None
    assert b.dev.counters["tx_no_memory"] == 1
    b.firmware.tx_error = 0
    b.read()
    assert b.sent() == []


def test_errors_of_a_transmission_have_names():
    for error, counter, text in (
        (NOT_ASSOC, "tx_no_link", None),
        (DISALLOW, "tx_no_link", None),
        (0x102, "tx_error", "send: ESP_ERR_INVALID_ARG"),
        (0xFFFFFFFF, "tx_error", "send: ESP_FAIL"),
        (0x7001, "tx_error", "send: esp_err_t 28673"),
    ):
        b = Board()
        b.dev.check()
        b.firmware.tx_error = error
        assert b.send(frame(60))
        assert b.dev.counters[counter] == 1 and b.dev.error == text, b.dev.error
        if text:
            raises(EIO, b.dev.check)
        b.counts(**{counter: 1})
    b = Board()
    for n in (0, 13, 1519):
        b.dev.borrow()
        b.dev.send(n)
    b.counts(tx_length=3)


def test_a_firmware_that_refuses_is_asked_again():
    b = Board()
    b.wlan.fails = True
    b.later(100)
    assert not b.dev.link() and b.dev.error == "status: the firmware raises an OSError"
    b.wlan.fails = False
    b.later(100)
    assert b.dev.link()
    b.counts(firmware_error=1, lost=1, link_up=2)
    b = Board(connect=False)
    b.dev.up()
    b.wlan.parked = b.wlan.associated = True
    b.wlan.on = False
    b.later(100)
    assert not b.dev.link() and b.dev.error == "register: ESP_ERR_WIFI_NOT_STARTED"


def test_an_access_point():
    b = Board(interface=WLAN.IF_AP)
    assert b.dev.link() and b.wlan.parked is None and b.firmware.callbacks[0] == 0
    b.give(frame(60, 1))
    assert b.read() == [frame(60, 1)]
    assert b.send(frame(61, 2)) and b.sent() == [frame(61, 2)]
    b.wlan.active(True)  # started anew: lwIP has the frames
    b.later(1000)
    b.give(frame(60, 3))
    assert b.read() == [frame(60, 3)]
    b.wlan.active(False)
    b.later(100)
    assert not b.dev.link()
    b.counts(lost=1)
    b.balanced()


def test_both_interfaces_at_once():
    b = Board()
    other = WLAN(WLAN.IF_AP, TABLE, port=b.firmware)
    other.up()
    b.give(frame(60, 1))
    b.firmware.receive(frame(61, 2), 61, 1)
    assert other.recv() == 61
    assert b.read() == [frame(60, 1)]
    other.release()
    other.down()
    b.give(frame(60, 3))
    assert b.read() == [frame(60, 3)]
    b.balanced()


def test_a_soft_reset_leaves_a_callback_that_loses_nothing():
    b = Board(slots=8)
    b.give(frame(60, 1), frame(60, 2))
    ring = b.firmware.remembered(0)
    # The program is gone; frames keep coming.
    b.give(*[frame(60, i) for i in range(10)])
    b.balanced(8)
    b.start(slots=8)
    assert b.firmware.remembered(0) == ring
    b.balanced()
    b.give(frame(60, 3))
    assert b.read() == [frame(60, 3)]
    b.counts(adopted=1, lost=1, link_up=2)
    # One that wants another ring, or finds none that is whole, makes its own.
    b.start(slots=16)
    assert b.firmware.remembered(0) != ring
    b.counts(lost=1, link_up=2)
    b.firmware.view(b.firmware.remembered(0), 72)[6] = 0
    b.start(slots=16)
    b.counts(lost=1, link_up=2)


def test_another_firmware_is_not_touched():
    f = FirmwareModel(MAC)
    f.sha256 = bytes(32)
    raises(ENODEV, WLAN, 0, TABLE, 16, 1500, f)
    assert f.calls == 0 and not f.wlans[0].on
    raises(EINVAL, WLAN, 0, {}, 16, 1500, FirmwareModel(MAC))
    raises(ENOENT, WLAN, 0, "/nowhere.json", 16, 1500, FirmwareModel(MAC))


def test_arguments_and_memory_are_looked_at():
    for wrong in ({"interface": 2}, {"mtu": 60}, {"mtu": 1501}, {"slots": 12}, {"slots": 32}):
        try:
            WLAN(table=TABLE, port=FirmwareModel(MAC), **wrong)
        except ValueError:
            continue
        raise AssertionError(wrong)
    b = Board(connect=False)
    b.firmware.no_memory = True
    raises(ENOMEM, b.dev.up)
    assert not b.dev.active()
    b.dev.down()
    b.firmware.no_memory = False
    b.dev.up()
    assert b.dev.active()
