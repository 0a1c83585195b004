# The descriptor rings: wrap, exhaustion, errors, corruption, bus errors; each is counted and got
# over.
import struct

from emac_board import ALL, Board, frame
from viperip.errors import ENODEV

DMA = 0x3FF69000
STATUS = DMA + 0x14


def some(n, size=200, start=0):
    return [frame(size + i % 7, tag=start + i) for i in range(n)]


def alive(b, tag=9000):
    # Frames pass both ways again.
    frames = some(3, 300, tag)
    b.give(*frames)
    got = b.read()
    assert got == frames, (len(got), b.trouble())
    for f in some(6, 80, tag):
        assert b.send(f)
    assert b.sent() == some(6, 80, tag)


def rx_word(b, i, word, value=None):
    # Word of the i-th receive descriptor; set it.
    ring = b.dev._rx.memory
    o = 32 * i + 4 * word
    if value is not None:
        struct.pack_into("<I", ring, o, value)
    return struct.unpack_from("<I", ring, o)[0]


# Wrap.


def test_the_receive_ring_wraps_in_every_phase():
    b = Board().up()
    tag = 0
    for n in list(range(1, 9)) * 3 + [5] * 8:
        frames = some(n, 100, tag)
        tag += n
        b.give(*frames)
        assert b.read() == frames
    assert b.trouble() == {"rx_suspended": 3}, b.trouble()  # a full ring, three times


def test_the_transmit_ring_wraps():
    b = Board().up()
    for tag in range(50):
        assert b.send(frame(64 + tag, ALL, tag))
        if tag % 3 == 2:
            assert b.sent() == [frame(64 + i, ALL, i) for i in (tag - 2, tag - 1, tag)]
    b.sent()
    assert b.trouble() == {}


def test_a_batch_is_one_look_and_one_poll_demand():
    b = Board().up()
    demands = []
    inner = b.emac.demand_rx

    def demand():
        demands.append(1)
        inner()

    b.emac.demand_rx = demand
    b.give(*some(8))
    b.read()
    assert 1 <= len(demands) <= 2


# Nobody polls.


def test_a_ring_full_of_frames_survives_a_pause():
    # 20 ms of garbage collection: what fits the default window is all there.
    b = Board().up()
    frames = [frame(1514, tag=i) for i in range(b.dev.rx_frames)]
    b.give(*frames)
    b.emac.step()
    b.soc.advance(20)
    assert b.read() == frames
    assert b.emac.missed == 0 and b.count("rx_missed") == 0


def test_exhaustion_is_counted_and_got_over():
    for wedges in (False, True):
        b = Board(model={"wedges": wedges}).up()
        b.give(*some(20))
        b.emac.step()
        assert b.read() == some(8)
        b.after(1100)
        assert b.count("rx_missed") == 12 and b.count("rx_suspended") >= 1
        alive(b)


def test_a_storm_of_frames():
    b = Board(model={"wedges": True}).up()
    got = 0
    for _ in range(50):
        b.give(*some(40, 60))
        b.emac.step()
        for _ in range(3):
            if b.dev.recv():
                got += 1
                b.dev.release()
    b.read()
    b.after(1100)
    assert got + b.count("rx_missed") <= 2000 and b.count("rx_missed") > 1000
    assert set(b.trouble()) == {"rx_missed", "rx_suspended"}
    alive(b)


def test_missed_is_read_once():
    b = Board().up()
    b.give(*some(11))
    b.emac.step()
    b.read()
    b.after(3000)
    assert b.count("rx_missed") == 3


def test_the_fifo_overflows():
    b = Board().up()
    b.emac.overflow(5)
    b.read()
    assert b.count("rx_overflow") == 1 and b.count("rx_fifo_lost") == 5
    alive(b)


# Odd frames.


def test_a_frame_cut_by_an_overflow_gives_its_descriptor_back():
    b = Board().up()
    for tag in range(20):
        b.emac.next_cut = 100
        b.give(frame(1000))
        b.give(*some(2, 100, tag))
        assert b.read() == some(2, 100, tag)
    assert b.count("rx_piece") == 20 and b.count("restarts") == 0
    alive(b)


def test_a_frame_over_two_descriptors_is_dropped_whole():
    # The FIFO forwards giants if it is told to.
    b = Board(mtu=1000).up()
    for tag in range(10):
        b.give(frame(1400))
        b.give(*some(2, 100, tag))
        assert b.read() == some(2, 100, tag)
    assert b.count("rx_piece") == 20 and b.count("restarts") == 0
    alive(b)


def test_an_error_in_the_descriptor_drops_the_frame():
    b = Board().up()
    b.emac.next_error = 0x4000
    b.give(frame(100))
    b.give(*some(2))
    assert b.read() == some(2)
    assert b.trouble() == {"rx_error": 1}


def test_the_mac_drops_what_is_bad_by_itself():
    b = Board().up()
    for error in (2, 8, 0x10, 0x80):
        b.emac.next_error = error
        b.give(frame(100))
        b.read()
    assert b.emac.bad_dropped == 4 and b.trouble() == {}
    alive(b)


def test_an_impossible_length():
    b = Board().up()
    for length in (0, 4, 17, 1537, 0x3FFF):
        b.give(frame(100))
        b.emac.step()
        at = b.dev._rx_at
        rx_word(b, at, 0, length << 16 | 0x300)
        assert b.read() == []
    assert b.count("rx_length") == 5 and b.count("restarts") == 0
    alive(b)


# Corruption.


def test_corrupted_words_are_found_before_they_are_believed():
    for word in (1, 2, 3):
        b = Board().up()
        b.give(*some(3))
        b.emac.step()
        rx_word(b, 1, word, rx_word(b, 1, word) ^ 0x40)
        assert b.read() == some(1)
        assert b.count("rx_corrupt") == 1 and b.count("restarts") == 1
        alive(b)


def test_a_spoilt_own_bit_costs_a_restart():
    for at in (0, 3):
        for value in (0, 0x12345678, 0x00600300):
            b = Board().up()
            rx_word(b, at, 0, value)
            b.give(*some(3))
            b.after(1100)
            b.give(*some(3))
            b.after(1100)
            assert b.count("restarts") == 1, (at, value, b.trouble())
            for i in range(30):
                alive(b, i * 10)


def test_descriptors_overwritten_from_end_to_end():
    for byte in (0, 0x55, 0x7F, 0xFF):
        b = Board().up()
        ring = b.dev._rx.memory
        ring[:] = bytes([byte]) * len(ring)
        try:
            b.give(*some(3))
            b.read()
        except BaseException as e:
            # A DMA that was sent astray; the model stops where a chip would write somewhere.
            assert type(e).__name__ == "ModelError", e
            continue
        b.after(1100)
        alive(b)


def test_a_bus_error_resets_the_core():
    # Out of the DMA's reach: PSRAM, flash, RTC memory.
    for address in (0x3F800000, 0x3F400000, 0x50000000, 0):
        b = Board().up()
        rx_word(b, 0, 2, address)
        b.give(frame(100))
        b.read()
        assert b.count("bus_error") == 1 and b.count("restarts") == 1, b.trouble()
        assert b.emac.resets == 2
        alive(b)


def test_a_bus_error_of_the_transmitter():
    b = Board().up()
    b.dev.borrow()
    struct.pack_into("<I", b.dev._tx.want, 8, 0x3F800000)
    assert b.send(frame(100))
    b.read()
    assert b.count("bus_error") == 1
    struct.pack_into("<I", b.dev._tx.want, 8, b.dev._tx.address)


def test_bus_errors_without_end_are_given_up():
    b = Board().up()
    struct.pack_into("<I", b.dev._rx.want, 8, 0x3F800000)  # what nothing can repair
    b.dev._restart()
    for _ in range(20):
        b.give(frame(100))
        b.read()
        b.soc.advance(1000)
    assert b.dev.error.args[0] == ENODEV and "bus errors" in b.dev.error.args[1]
    assert b.count("bus_error") == 9 and not b.dev.link() and b.dev.borrow() is None
    assert b.soc.mem32[DMA + 0x18] & 0x2002 == 0
    b.dev.down()
    struct.pack_into("<I", b.dev._rx.want, 8, b.dev._rx.address)


def test_a_dma_that_stopped_by_itself_is_started_anew():
    for bit, name in ((0x100, "rx_stopped"), (0x2, "tx_stopped")):
        b = Board().up()
        b.emac._raise(bit)
        b.read()
        assert b.count(name) == 1 and b.count("restarts") == 1
        alive(b)


def test_a_clock_that_dies_while_running():
    b = Board().up()
    b.soc.wiring.oscillator = False
    b.emac._raise(0x100)
    b.read()
    assert "50 MHz" in b.dev.error.args[1] and not b.dev.link() and b.dev.borrow() is None
    before = b.soc.ticks_ms()
    b.after(3000)
    assert b.count("failures") >= 3 and b.soc.ticks_ms() - before < 3200
    b.soc.wiring.oscillator = True
    b.after(1100)
    assert b.dev.error is None and b.dev.link()
    alive(b)


def test_a_clock_that_dies_and_then_down():
    b = Board().up()
    b.soc.wiring.oscillator = False
    b.dev.down()
    assert not b.soc.emac_clocked()  # stopped by force
    b.soc.wiring.oscillator = True
    b.up()
    alive(b)


# Sending.


def test_a_full_transmit_ring_says_later():
    b = Board(frames=2).up()
    b.emac.tx_hangs = True
    for i in range(4):
        assert b.send(frame(100, tag=i))
    assert b.dev.borrow() is None and b.dev.unsent == 4
    b.emac.tx_hangs = False
    b.read()
    assert b.dev.unsent == 0 and b.send(frame(100, tag=4))


def test_borrowing_again_gives_the_same_buffer():
    b = Board().up()
    assert b.dev.borrow() is b.dev.borrow()
    b.send(frame(60))
    first = b.dev.borrow()
    b.send(frame(60))
    assert b.dev.borrow() is not first


def test_a_frame_that_is_not_sent_is_counted_once():
    b = Board().up()
    b.emac.tx_error = 0x200  # late collision
    for i in range(9):
        b.dev.borrow()
        assert b.send(frame(100, tag=i))
    assert b.trouble() == {"tx_error": 1}


def test_an_underflow():
    b = Board().up()
    b.emac.tx_hangs = True
    b.send(frame(100))
    b.emac.underflow()
    b.emac.tx_hangs = False
    b.read()
    assert b.count("tx_underflow") == 1 and b.sent() == [frame(100)]
    alive(b)


def test_a_stuck_transmitter_is_started_anew():
    b = Board().up()
    b.emac.tx_hangs = True
    b.send(frame(100))
    b.after(3000)
    assert b.count("tx_stuck") >= 1 and b.dev.unsent == 0
    b.emac.tx_hangs = False
    b.after(1100)
    alive(b)


def test_a_pause_is_no_fault():
    b = Board().up()
    b.emac.paused = True
    b.send(frame(100))
    b.after(5000)
    assert b.count("tx_stuck") == 0 and b.dev.unsent == 1
    b.emac.paused = False
    b.after(100)
    assert b.sent() == [frame(100)]


def test_frames_of_impossible_size_are_refused():
    b = Board().up()
    for n in (-1, 0, 13, 1519, 5000):
        b.dev.borrow()
        b.dev.send(n)
    assert b.count("tx_refused") == 5 and b.sent() == []
    alive(b)


def test_a_shorter_mtu_makes_shorter_buffers():
    b = Board(mtu=576).up()
    assert len(b.dev.borrow()) == 608
    b.give(frame(590))
    assert b.read() == [frame(590)] and b.send(frame(594)) and b.sent() == [frame(594)]
