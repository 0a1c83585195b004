# The W5500 driver on the model of the chip: bring-up, both directions, the ring, trouble.
from viperip.errors import EINVAL, ENODEV, ETIMEDOUT
from w5500_board import MAC, PEER_MAC, Board, frame
from w5500_model import Clock

ALL = b"\xff\xff\xff\xff\xff\xff"
GROUP4 = b"\x01\0\x5e\0\0\x01"
GROUP6 = b"\x33\x33\0\0\0\x01"
OTHER = b"\x02\0\0\0\0\x77"


def refused(number, text, **settings):
    b = Board(up=False, **settings)
    try:
        b.dev.up()
    except OSError as e:
        assert e.args[0] == number and text in e.args[1], e.args
        assert b.dev.error is e and not b.dev.link() and b.dev.recv() == 0
        assert b.dev.borrow() is None
        return b
    raise AssertionError("it came up")


# Bring-up.


def test_what_the_chip_is_told():
    b = Board()
    c = b.chip.common
    assert bytes(c[9:15]) == MAC and c[0] == 0x10 and c[0x18] == 0
    sizes = [(s[0x1E], s[0x1F]) for s in b.chip.sockets]
    assert sizes == [(16, 16)] + [(0, 0)] * 7
    assert b.chip.sockets[0][0] == 0x84 and b.chip.sockets[0][3] == 0x42
    assert b.dev.speed == 100 and b.dev.full_duplex and b.dev.error is None
    assert b.dev.rx_frames * 1516 <= 16384 and b.dev.fileno() == -1
    assert b.dev.tx_off & 3 == 2


def test_the_interrupt_is_for_received_frames_only():
    b = Board(irq=True)
    assert b.chip.common[0x18] == 1 and b.chip.sockets[0][0x2C] == 4


def test_an_absent_chip_is_named():
    refused(ENODEV, "MISO", present=False, floating=0)
    refused(ENODEV, "reset pin", present=False, floating=0xFF)
    refused(ENODEV, "reads 81, not 4", version=0x51)


def test_a_reset_that_does_not_end():
    b = refused(ETIMEDOUT, "reset", resets=False)
    b.chip.resets = True
    b.dev.up()
    assert b.dev.link() and b.dev.error is None


def test_a_chip_that_wakes_up_late():
    b = Board(boot_us=40000)
    assert b.dev.link()
    refused(ENODEV, "VERSIONR", boot_us=400000)


def test_a_command_that_does_not_end():
    b = refused(ETIMEDOUT, "command", command_us=None)
    assert b.dev.counters["command"] == 1


def test_what_is_written_must_be_kept():
    b = Board(up=False)
    write = b.chip._write_common
    b.chip._write_common = lambda at, v: write(at, v if at != 12 else v ^ 1)
    try:
        b.dev.up()
        raise AssertionError("it came up")
    except OSError as e:
        assert e.args[0] == ENODEV and "too fast" in e.args[1]


def test_without_a_reset_pin():
    from viperip.link.w5500 import W5500

    b = Board(up=False)
    dev = W5500(b.chip, b.chip.cs, MAC, clock=b.chip.clock)
    dev.up()
    assert dev.link()


def test_bad_arguments():
    from viperip.link.w5500 import W5500

    b = Board(up=False)
    for station, mtu in ((b"\1\0\0\0\0\0", 1500), (b"\2\0\0", 1500), (MAC, 1501), (MAC, 60)):
        try:
            W5500(b.chip, b.chip.cs, station, mtu=mtu)
        except ValueError:
            continue
        raise AssertionError((station, mtu))


def test_forced_modes():
    for force, bits in ((1, 0x40), (5, 0x48), (2, 0x50), (6, 0x58)):
        b = Board(up=False)
        b.dev.force = force
        b.dev.up()
        assert b.chip.common[0x2E] & 0xF8 == bits | 0x80
        assert b.dev.speed == (100 if force & 2 else 10)
        assert b.dev.full_duplex == bool(force & 4)
    b = Board(up=False)
    b.dev.force = 7
    try:
        b.dev.up()
        raise AssertionError("taken")
    except OSError as e:
        assert e.args[0] == EINVAL


# Frames.


def test_frames_come_in():
    b = Board()
    assert b.take() is None
    for i, n in enumerate((60, 61, 62, 63, 64, 65, 590, 1513, 1514)):
        b.put(frame(i, n))
        assert b.all() == [frame(i, n)], n


def test_many_frames_at_once():
    b = Board()
    frames = [frame(i, 60 + (i * 37) % 200) for i in range(50)]
    b.put(*frames)
    assert b.all() == frames
    assert b.dev.counters["rx_length"] == 0 and b.dev.counters["glitch"] == 0


def test_a_batch_is_few_transactions():
    b = Board()
    b.put(*[frame(i, 60) for i in range(40)])
    before = b.chip.transactions
    assert len(b.all(1)) == 40
    # Look, block, pointer, command; and two looks, until the command has been taken.
    assert b.chip.transactions - before <= 6
    before = b.chip.transactions
    b.put(frame(1, 1514), frame(2, 1514))
    assert len(b.all(1)) == 2
    assert b.chip.transactions - before <= 6


def test_a_frame_goes_out():
    b = Board()
    for n in (60, 61, 100, 1000, 1513, 1514):
        assert b.send(frame(n, n))
        assert b.sent() == [frame(n, n)]


def test_sending_takes_few_transactions():
    b = Board()
    b.send(frame())
    before = b.chip.transactions
    b.send(frame())
    # Looks at what became of the last one, data, pointer, command.
    assert b.chip.transactions - before <= 6


def test_short_frames_are_padded_with_zeros():
    b = Board()
    b.send(b"\xee" * 60)
    b.send(frame(1, 42))
    assert b.sent() == [b"\xee" * 60, frame(1, 42) + bytes(18)]


def test_a_buffer_is_lent_until_it_is_sent():
    b = Board()
    assert b.dev.borrow() is b.dev.borrow()
    assert len(b.dev.borrow()) >= b.dev.tx_off + b.dev.mtu + 14


def test_frames_that_are_too_long():
    b = Board()
    b.dev.borrow()
    b.dev.send(1515)
    assert b.sent() == [] and b.dev.counters["tx_oversize"] == 1


def test_pointers_and_memory_wrap():
    # 16 KB and 64 KB, with frames of every size, both ways.
    b = Board(pointers=0xFE00)
    for i in range(150):
        n = 60 + i * 89 % 1455
        b.put(frame(i, n))
        assert b.send(frame(i, n))
        assert b.all(1) == [frame(i, n)]
        assert b.sent() == [frame(i, n)]
    assert b.dev.counters["reopened"] == 0


def test_at_ten_megabits():
    b = Board(speed=10, full=False)
    assert b.dev.speed == 10 and not b.dev.full_duplex
    for i in range(5):
        assert b.send(frame(i, 1514))
    assert len(b.sent()) == 5


def test_slow_and_fast_commands():
    for us in (0, 1, 100, 400):
        b = Board(command_us=us)
        for i in range(20):
            b.put(frame(i))
            assert b.send(frame(i, 100))
            assert b.all(30) == [frame(i)]
        assert len(b.sent()) == 20


def test_a_size_that_is_read_torn():
    # 240 bytes in one frame and 304 in two: 0x00F0 and 0x0130, read as 0x0030.
    b = Board()
    b.put(frame(1, 238), frame(2, 62))
    b.chip.tear = True
    assert b.all() == [frame(1, 238), frame(2, 62)]
    assert b.dev.counters["rx_length"] == 0


def test_with_the_interrupt_pin():
    b = Board(irq=True)
    b.all()
    before = b.chip.transactions
    for _ in range(50):
        assert b.take() is None
    assert b.chip.transactions == before
    for i in range(30):
        frames = [frame(i * 3 + k, 60 + 50 * k) for k in range(3)]
        b.put(*frames)
        assert b.all() == frames
        assert b.chip.irq() == 1


def test_with_the_interrupt_pin_a_frame_between_look_and_clear():
    b = Board(irq=True)
    b.all()
    b.put(frame(1))
    put = b.dev._put

    def late(control, address, value):
        if address == 2 and late.frames:
            b.put(late.frames.pop())
            b.chip.step()
        put(control, address, value)

    class Late:
        frames = [frame(2)]

    late = _callable(late, Late)
    b.dev._put = late
    assert b.all() == [frame(1), frame(2)]


def _callable(function, box):
    # A function that finds its own attributes, as CPython's would.
    class F(box):
        def __call__(self, *a):
            return function(*a)

    return F()


# Filters.


def test_filters():
    frames = [frame(1), frame(2, to=ALL), frame(3, to=GROUP4), frame(4, to=GROUP6)]
    frames += [frame(5, to=OTHER)]
    for arguments, expected in (
        ({}, (0, 1, 2, 3)),
        ({"promiscuous": True}, (0, 1, 2, 3, 4)),
        ({"multicast": []}, (0, 1, 3)),
        ({"multicast": [GROUP4]}, (0, 1, 2, 3)),
        ({"broadcast": False}, (0, 2, 3)),
    ):
        b = Board()
        b.dev.filter(**arguments)
        b.put(*frames)
        assert b.all() == [frames[i] for i in expected], arguments
    b = Board(filters_groups=True)
    b.put(*frames)
    assert b.all() == frames[:2]


def test_ipv6_can_be_kept_out():
    v6 = MAC + PEER_MAC + b"\x86\xdd" + bytes(46)
    b = Board()
    b.put(v6)
    assert b.all() == [v6]
    b.dev.filter(ipv6=False)
    b.put(v6, frame())
    assert b.all() == [frame()]


def test_filter_refuses_what_is_no_group():
    b = Board()
    for mac in (OTHER, b"\1\0"):
        try:
            b.dev.filter(multicast=[mac])
        except OSError as e:
            assert e.args[0] == EINVAL
            continue
        raise AssertionError(mac)


def test_a_filter_set_before_up_counts():
    b = Board(up=False)
    b.dev.filter(promiscuous=True)
    b.dev.up()
    assert b.chip.sockets[0][0] == 4


# Trouble.


def test_a_storm_overflows_the_chip_and_is_survived():
    b = Board(frames=300)
    for round in range(3):
        frames = [frame(i, 300) for i in range(200)]
        b.put(*frames)
        got = b.all()
        # 54 of them fill the memory; the chip drops the rest.
        assert got == frames[: len(got)] and len(got) >= 54, len(got)
        assert b.chip.lost and b.dev.counters["rx_nearly_full"]
    b.put(frame(9))
    assert b.all() == [frame(9)] and b.dev.counters["reopened"] == 0


def test_lengths_that_lie():
    for lie in (0, 1, 2, 15, 1521, 0x4000, 0xFFFF):
        b = Board()
        b.put(frame(1))
        assert b.all() == [frame(1)]
        b.chip.lie = lie
        b.put(frame(2), frame(3))
        assert b.all() == []
        assert b.dev.counters["rx_length"] == b.dev.counters["reopened"] == 1, lie
        b.put(frame(4))
        assert b.all() == [frame(4)]


def test_a_lie_behind_good_frames():
    b = Board()
    b.put(frame(1), frame(2))
    b.chip.step()
    b.chip.lie = 0xFFFF
    b.put(frame(3))
    assert b.all() == [frame(1), frame(2)]
    assert b.dev.counters["rx_length"] == 1


def test_a_length_that_is_more_than_what_came():
    b = Board()
    b.chip.lie = 1000
    b.put(frame(1))
    assert b.all(8) == [] and b.dev.counters["rx_length"] == 1
    b.put(frame(4))
    assert b.all() == [frame(4)]


def test_the_cable_goes_and_comes_back():
    b = Board()
    b.put(frame(1))
    assert b.all() == [frame(1)]
    b.chip.plugged = False
    b.later(1200)
    assert not b.dev.link() and b.dev.borrow() is None and b.dev.counters["link_down"] == 1
    b.dev.send(60)
    b.put(frame(2))
    assert b.all() == []
    b.chip.plugged = True
    b.later(300)
    assert b.dev.link() and b.dev.counters["link_up"] == 2
    b.put(frame(3))
    assert b.all() == [frame(3)]
    assert b.send(frame(4)) and b.sent() == [frame(4)]


def test_a_frame_that_was_on_its_way_when_the_cable_went():
    b = Board()
    assert b.send(frame(1))
    b.chip.plugged = False
    b.chip.clock.sleep_ms(5)
    assert b.dev.borrow() is None and b.dev.counters["tx_busy"] == 1
    b.later(1200)
    assert not b.dev.link()
    b.chip.plugged = True
    b.later(300)
    # Whether the old frame still leaves is the chip's to say; a new one passes.
    assert b.send(frame(2)) and b.sent()[-1] == frame(2)


def test_a_frame_that_never_leaves():
    b = Board()
    b.chip.cable.link = lambda: True
    assert b.send(frame(1))
    b.chip.speed = 0.0001
    b.later(2500)
    assert b.dev.counters["tx_stuck"] >= 1 and b.dev.counters["reopened"] >= 1
    b.chip.speed = 100
    b.later(200)
    b.sent()
    assert b.send(frame(2)) and b.sent() == [frame(2)]


def test_a_frame_that_never_leaves_while_others_come():
    b = Board()
    assert b.send(frame(1))
    b.chip.speed = 0.0001
    for i in range(120):
        b.put(frame(i))
        b.later(20)
        b.chip.step()
    assert b.dev.counters["tx_stuck"] >= 1


def test_settings_lost_while_a_frame_leaves():
    b = Board()
    assert b.send(frame(1))
    b.chip.brown_out()
    assert b.dev.borrow() is None
    b.dev.send(60)
    b.later(300)
    assert b.send(frame(2)) and b.sent() == [frame(2)]


def test_a_small_mtu_is_about_sending():
    from viperip.link.w5500 import W5500

    b = Board(up=False)
    b.dev = W5500(b.chip, b.chip.cs, MAC, b.chip.reset, mtu=576, clock=b.chip.clock)
    b.dev.up()
    b.put(frame(1, 1514), frame(2))
    assert b.all() == [frame(1, 1514), frame(2)] and b.dev.counters["reopened"] == 0
    b.dev.borrow()
    b.dev.send(595)
    assert b.sent() == [] and b.dev.counters["tx_oversize"] == 1


def test_the_socket_is_opened_anew_while_a_command_runs():
    b = Board()
    b.chip.command_us = 3000
    b.put(frame(1))
    assert b.take() == frame(1)
    # RECV still runs; a frame that came meanwhile is dropped, and with it its interrupt.
    b.put(frame(2))
    b.chip.step()
    b.dev.filter(broadcast=False)
    assert b.chip.sockets[0][2] == 0 and b.dev.link()
    b.put(frame(3))
    assert b.all(9) == [frame(3)]


def test_without_free_memory_nothing_is_sent():
    b = Board()
    assert b.send(frame(1)) and b.sent() == [frame(1)]
    store = b.chip._store
    b.chip._store = lambda at, v: store(at, 1000 if at == 0x20 else v)
    assert b.dev.borrow() is None and b.dev.counters["tx_busy"] == 1
    b.dev.send(60)
    assert b.sent() == []


def test_no_cable_at_first():
    b = Board(up=False, plugged=False)
    b.dev.up()
    assert not b.dev.link() and b.dev.error is None and b.dev.borrow() is None
    b.chip.plugged = True
    b.later(300)
    assert b.dev.link() and b.dev.counters["reopened"] == 0
    assert b.send(frame(2)) and b.sent() == [frame(2)]


def test_a_brown_out():
    b = Board()
    b.chip.brown_out()
    b.later(300)
    assert b.dev.link() and b.dev.counters["lost"] == b.dev.counters["restarts"] == 1
    assert bytes(b.chip.common[9:15]) == MAC and b.dev.error is None
    b.put(frame(3))
    assert b.all() == [frame(3)]
    assert b.send(frame(2)) and b.sent() == [frame(2)]


def test_a_brown_out_with_the_interrupt_pin():
    # INTn tells nothing then; the check of the link finds out.
    b = Board(irq=True)
    b.all()
    b.chip.brown_out()
    b.later(1500)
    b.put(frame(3))
    assert b.all() == [frame(3)] and b.dev.counters["restarts"] == 1


def test_the_chip_goes_away():
    b = Board()
    b.chip.present = False
    b.later(300)
    assert not b.dev.link() and b.dev.borrow() is None and b.dev.error is not None
    assert b.dev.counters["lost"] == 1
    before = b.chip.transactions
    b.later(1000)
    assert b.chip.transactions - before < 30 and b.dev.counters["lost"] == 1
    b.chip.present = True
    b.chip.brown_out()
    b.later(1500)
    assert b.dev.link() and b.dev.error is None
    b.put(frame(3))
    assert b.all() == [frame(3)]


def test_one_wrong_answer_is_a_glitch():
    b = Board()
    b.put(frame(1))
    b.chip.present = False
    assert b.take() is None
    b.chip.present = True
    assert b.all() == [frame(1)]
    assert b.dev.counters["glitch"] == 1 and b.dev.counters["lost"] == 0


def test_down_closes_the_socket():
    b = Board()
    b.put(frame(1))
    assert b.send(frame(1))
    b.dev.recv()
    b.dev.down()
    assert b.chip.sockets[0][3] == 0 and not b.dev.link()
    b.put(frame(2))
    assert b.all() == [] and b.dev.borrow() is None
    b.sent()
    b.dev.send(60)
    assert b.sent() == []
    before = b.chip.transactions
    b.dev.down()
    assert b.chip.transactions == before
    b.dev.up()
    b.put(frame(3))
    assert b.all() == [frame(3)]
    assert b.send(frame(4)) and b.sent() == [frame(4)]


def test_down_without_a_chip_ends():
    b = Board()
    b.chip.present = False
    b.dev.down()
    assert not b.dev.link()


def test_the_clock_may_wrap():
    from time import ticks_add

    for before in (0, 500, 2000):
        clock = Clock(ticks_add(0, -1 - before))
        b = Board(up=False)
        b.chip.clock = clock
        b.chip.brown_out()
        from viperip.link.w5500 import W5500

        b.dev = W5500(b.chip, b.chip.cs, MAC, b.chip.reset, clock=clock)
        b.dev.up()
        b.chip.plugged = False
        b.later(3000)
        assert not b.dev.link()
        b.chip.plugged = True
        b.later(300)
        assert b.dev.link()


def test_at_random():
    # Both directions, sizes, the speed of commands, sizes read torn: nothing is lost or mixed up.
    import random

    for seed in range(6):
        random.seed(seed)
        b = Board(irq=bool(seed & 1), pointers=random.getrandbits(16))
        given, got, sent, came = [], [], [], []
        for i in range(300):
            b.chip.command_us = random.choice((0, 5, 30, 120))
            for _ in range(random.choice((0, 0, 1, 1, 2, 5))):
                f = frame(i, random.randrange(60, 1515))
                given.append(f)
                b.put(f)
            if random.random() < 0.2 and not b.chip.tear:
                b.chip.tear = True
            if random.random() < 0.5:
                f = frame(i, random.randrange(60, 1515))
                if b.send(f):
                    sent.append(f)
            if random.random() < 0.8:
                got += b.all(2)
            came += b.sent()
        b.chip.tear = False
        got += b.all(20)
        came += b.sent()
        assert got == given and came == sent, seed
        assert b.chip.lost == 0 and b.dev.counters["reopened"] == 0, b.dev.counters
