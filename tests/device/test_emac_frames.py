# Frames through the EMAC driver and the modelled EMAC, both ways.
from emac_board import ALL, MAC, Board, frame

SIZES = (60, 61, 62, 63, 64, 65, 127, 512, 1513, 1514, 1518)


def test_a_frame_is_received():
    b = Board().up()
    assert b.dev.link() and b.dev.mac == MAC
    b.give(frame(100))
    assert b.dev.recv() == 100
    assert b.dev.recv() == 100  # until it is given back
    assert bytes(b.dev.rx[b.dev.rx_off : b.dev.rx_off + 100]) == frame(100)
    b.dev.release()
    assert b.dev.recv() == 0
    assert b.trouble() == {}


def test_a_frame_is_sent():
    b = Board().up()
    assert b.send(frame(100, ALL))
    assert b.sent() == [frame(100, ALL)]
    assert b.trouble() == {} and b.dev.unsent == 0


def test_every_size_is_received_without_its_fcs():
    b = Board().up()
    for n in SIZES:
        b.give(frame(n, tag=n))
        assert b.read() == [frame(n, tag=n)], n
    assert b.trouble() == {}


def test_every_size_is_sent_and_short_ones_are_padded():
    b = Board().up()
    for n in (14, 15, 42, 59) + SIZES:
        assert b.send(frame(n, tag=n))
        assert b.sent() == [frame(n, tag=n) + bytes(max(0, 60 - n))], n
    assert b.trouble() == {}
