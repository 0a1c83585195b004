# The driver of QEMU's open_eth on its model: bring-up, frames, filters, the link, trouble.
from bus_trace import Tracer
from open_eth_board import ALL, DESC, FAR, MAC, REGS, Board, failing, frame
from open_eth_model import OpenEthModel
from viperip.errors import EINVAL, ENODEV, ENOMEM
from viperip.link.open_eth import OpenEth

SIZES = (60, 61, 62, 63, 64, 65, 127, 512, 1513, 1514, 1518)
GROUP = b"\x01\0\x5e\0\0\x07"


def some(n, size=200, start=0):
    return [frame(size + i % 7, tag=start + i) for i in range(n)]


def alive(b, tag=9000):
    # Frames pass both ways again, more than a turn of each ring.
    for i in range(3):
        frames = some(5, 300, tag + i)
        b.give(*frames)
        got = b.read()
        assert got == frames, (len(got), b.trouble())
    for f in some(7, 80, tag):
        assert b.send(f)
    assert b.sent() == some(7, 80, tag)


# Bring-up.


def test_the_order_of_things():
    soc = OpenEthModel()
    bus = Tracer(soc)
    dev = OpenEth(bus, MAC, rx_frames=3, tx_frames=2)
    assert bus.log == []
    dev.up()
    log = [(entry[0], soc.name(entry[1]), entry[2]) for entry in bus.log if entry[0] in "rw"]
    # What an earlier program left running is stopped before anything else.
    assert log[:2] == [("w", "MODER", 0xA000), ("r", "MODER", 0xA000)]
    names = [entry[1] for entry in log]
    # Rings, addresses and filters while both directions are off.
    start = names.index("INT_MASK")
    end = names.index("MODER", start)
    assert log[start - 1] == ("w", "MODER", 0xA000)
    assert log[start:end] == [
        ("w", "INT_MASK", 0),
        ("w", "TX_BD_NUM", 2),
        ("w", "PACKETLEN", 0x003C05F4),
        ("w", "TX[0].len_flags", 0),
        ("w", "TX[0].buf_ptr", dev._addresses[0]),
        ("w", "TX[1].len_flags", 0x2000),
        ("w", "TX[1].buf_ptr", dev._addresses[1]),
        ("w", "RX[0].len_flags", 0x8000),
        ("w", "RX[0].buf_ptr", dev._addresses[2]),
        ("w", "RX[1].len_flags", 0x8000),
        ("w", "RX[1].buf_ptr", dev._addresses[3]),
        ("w", "RX[2].len_flags", 0xA000),
        ("w", "RX[2].buf_ptr", dev._addresses[4]),
        ("w", "MAC_ADDR0", 0xC4123459),
        ("w", "MAC_ADDR1", 0x240A),
        ("w", "HASH0", 0xFFFFFFFF),
        ("w", "HASH1", 0xFFFFFFFF),
        ("w", "INT_SOURCE", 0x7F),
    ]
    assert log[end] == ("w", "MODER", 0xA003)
    # The PHY is looked for before, and asked for its link after it.
    assert "MIICOMMAND" in names[:start] and "MIICOMMAND" in names[end:]
    assert [e for e in log[end + 1 :] if e[0] == "w" and e[1][:3] != "MII"] == []


def test_sending_writes_one_word_and_receiving_one():
    soc = OpenEthModel()
    b = Board(machine=soc)
    b.up()
    bus = Tracer(soc)
    b.dev._mem = bus.mem32
    assert b.send(frame(100)) and b.send(frame(101))
    assert bus.log == [
        ("r", DESC, 0),
        ("w", DESC, 100 << 16 | 0x9000),
        ("r", DESC + 8, 0x2000),
        ("w", DESC + 8, 101 << 16 | 0xB000),
    ]


def test_nothing_received_costs_one_read():
    soc = OpenEthModel()
    b = Board(machine=soc)
    b.up()
    bus = Tracer(soc)
    b.dev._mem = bus.mem32
    assert b.dev.recv() == 0
    assert bus.log == [("r", DESC + 16, 0x8000)]


def test_a_machine_without_it():
    b = Board(model={"present": False})
    e = failing(b.dev.up)
    assert e.args[0] == ENODEV and "model=open_eth" in e.args[1] and b.dev.error is e
    assert b.dev.recv() == 0 and b.dev.borrow() is None
    b.soc.present = True
    b.up()
    assert b.dev.error is None
    alive(b)


def test_no_phy():
    b = Board()
    b.soc.phy[2] = b.soc.phy[3] = 0
    e = failing(b.dev.up)
    assert e.args[0] == ENODEV and "PHY" in e.args[1] and b.soc.regs[0] == 0xA000


def test_a_heap_in_psram():
    b = Board(model={"psram": True})
    e = failing(b.dev.up)
    assert e.args[0] == ENOMEM and "SPIRAM" in e.args[1] and b.soc.regs[0] == 0xA000
    b.soc.psram = False
    b.up()
    alive(b)


def test_bad_arguments():
    for bad in (
        {"rx_frames": 1},
        {"tx_frames": 0},
        {"rx_frames": 100, "tx_frames": 29},
        {"mtu": 67},
        {"mtu": 1501},
    ):
        try:
            OpenEth(OpenEthModel(), MAC, **bad)
        except ValueError:
            continue
        raise AssertionError(bad)
    for station in (b"\x02\0\0\0\0", GROUP):
        try:
            OpenEth(OpenEthModel(), station)
        except ValueError:
            continue
        raise AssertionError(station)


def test_up_twice_and_down_twice():
    b = Board()
    b.dev.down()
    b.up()
    b.up()
    b.dev.down()
    b.dev.down()
    assert b.dev.recv() == 0


# Frames.


def test_a_frame_each_way():
    b = Board().up()
    assert b.dev.link() and b.dev.speed == 100 and b.dev.full_duplex
    b.give(frame(100))
    assert b.dev.recv() == 100
    assert b.dev.recv() == 100  # until it is given back
    assert bytes(b.dev.rx[b.dev.rx_off : b.dev.rx_off + 100]) == frame(100)
    b.dev.release()
    assert b.dev.recv() == 0
    assert b.send(frame(100, ALL))
    assert b.sent() == [frame(100, ALL)]
    assert b.trouble() == {}


def test_it_is_lent_in_place():
    b = Board().up()
    b.give(frame(100))
    b.dev.recv()
    assert b.dev.rx is b.dev._buffers[2]
    # Until release() the NIC keeps away: a ring full of other frames does not touch it.
    b.give(*some(20))
    b.soc.step()
    assert bytes(b.dev.rx[2:102]) == frame(100) and b.soc.lost == 13
    b.dev.release()
    b.dev.release()
    assert b.read() == some(7)
    alive(b)


def test_every_size():
    b = Board().up()
    for n in SIZES:
        b.give(frame(n, tag=n))
        assert b.read() == [frame(n, tag=n)], n
    for n in (14, 15, 42, 59) + SIZES:
        assert b.send(frame(n, tag=n))
        assert b.sent() == [frame(n, tag=n) + bytes(max(0, 60 - n))], n
    assert b.trouble() == {}


def test_short_frames_come_with_padding():
    b = Board().up()
    for n in (14, 42, 56, 57, 58, 59):
        b.give(frame(n, tag=n))
        (got,) = b.read()
        assert got == frame(n, tag=n) + bytes(len(got) - n) and 56 <= len(got) <= 60, n
    assert b.trouble() == {}


def test_frames_that_are_too_long():
    # Cut or not by MAXFL, none of them passes for a frame of another length.
    for mtu in (1500, 576):
        b = Board(mtu=mtu).up()
        for n in range(mtu + 19, mtu + 60):
            b.give(frame(n))
            assert b.read() == [], n
        assert b.trouble() == {"rx_length": 41}
        b.give(frame(mtu + 18))
        assert b.read() == [frame(mtu + 18)]
        for n in (13, 0, mtu + 19):
            b.dev.send(n)
        assert b.count("tx_refused") == 3 and b.sent() == []
        alive(b)


def test_the_rings_wrap():
    for rx, tx in ((2, 1), (8, 2), (5, 3), (1, 127), (127, 1)):
        if rx == 1:
            rx, tx = 2, 126
        b = Board(rx_frames=rx, tx_frames=tx, mtu=300).up()
        tag = 0
        for n in list(range(1, 9)) * 3 + [5] * 30:
            n = min(n, rx)
            frames = some(n, 100, tag)
            tag += n
            b.give(*frames)
            assert b.read() == frames, (rx, n)
            for f in frames:
                assert b.send(f)
            assert b.sent() == frames
        assert b.trouble() == {}, b.trouble()
        assert b.dev.rx_frames == rx


def test_a_ring_full_of_frames_survives_a_pause():
    b = Board().up()
    frames = [frame(1514, tag=i) for i in range(b.dev.rx_frames)]
    b.give(*frames)
    b.soc.step()
    b.soc.advance(20)
    assert b.read() == frames and b.trouble() == {} and b.soc.lost == 0


# Nobody polls.


def test_busy_is_counted_and_got_over():
    b = Board().up()
    b.give(*some(20))
    b.soc.step()
    assert b.reg(4) == 0x10
    assert b.read() == some(8)
    assert b.soc.lost == 12 and b.trouble() == {"rx_busy": 1} and b.reg(4) == 0
    alive(b)
    assert b.count("rx_busy") == 1


def test_busy_is_counted_in_a_storm():
    # The ring is never found empty.
    b = Board().up()
    got = 0
    for _ in range(50):
        b.give(*some(20, 60))
        b.soc.step()
        got += b.lent(4)
    assert got == 200 and b.soc.lost > 500
    assert b.count("rx_busy") >= 20, b.trouble()
    assert set(b.trouble()) == {"rx_busy"}
    b.read()
    alive(b)


# Stop, start, and what was left running.


def test_down_stops_both_directions():
    b = Board().up()
    b.give(*some(3))
    assert b.dev.recv()
    b.dev.down()
    assert b.reg(0) == 0xA000
    assert b.dev.recv() == 0 and b.dev.borrow() is None and not b.dev.link()
    b.dev.release()
    b.dev.send(60)
    assert b.count("tx_refused") == 1 and b.sent() == []
    b.give(*some(3))
    b.soc.step()
    assert b.read() == []
    b.up()
    assert b.read() == some(3)  # the burst of what waited outside
    alive(b)


def test_old_frames_come_in_a_burst():
    b = Board()
    b.give(*some(50))
    b.up()
    assert b.read() == some(8)
    assert b.soc.lost == 42 and b.trouble() == {"rx_busy": 1}
    alive(b)


def test_stop_and_start_in_every_phase_of_the_rings():
    b = Board(rx_frames=3, tx_frames=2).up()
    for i in range(12):
        for f in some(i, 90, 7 * i):
            b.give(f)
            assert b.read() == [f] and b.send(f)
            assert b.sent() == [f]
        if i & 1:
            b.give(frame(90))
            b.dev.recv()
        b.dev.down()
        b.up()
    assert b.trouble() == {} and b.count("link_up") == 13


def test_a_soft_reset_leaves_the_dma_running():
    b = Board().up()
    b.give(*some(3))
    b.read()
    b.soc.soft_reset()
    # The heap is another program's now. One that does not stop the NIC is found out:
    b.give(frame(100))
    from dma_memory import ModelError

    try:
        b.soc.step()
        raise AssertionError("the old heap was written to")
    except ModelError as e:
        assert "not the driver's" in e.args[0]
    b.near.release()
    # The driver stops it before it takes memory.
    again = Board(machine=b.soc)
    again.near, again.far = b.near, b.far
    allocate = b.soc.dma_alloc
    moder = []

    def spy(n, align=4):
        moder.append(b.soc.regs[0])
        return allocate(n, align)

    b.soc.dma_alloc = spy
    again.up()
    assert set(moder) == {0xA000} and len(moder) == 10
    alive(again)


def test_a_reset_of_the_machine_keeps_the_descriptors():
    # A frame of the program before is still marked as to be sent; it must not be.
    b = Board().up()
    b.soc.tx_hangs = True
    assert b.send(frame(100))
    b.soc.reset()
    b.soc.soft_reset()
    b.soc.tx_hangs = False
    again = Board(machine=b.soc)
    again.near, again.far = b.near, b.far
    again.up()
    assert again.sent() == []
    alive(again)


# Filters.


def accepted(b, *groups):
    # Which of the destinations are received.
    out = []
    for to in groups:
        b.give(frame(64, to))
        out.append(b.read() == [frame(64, to)])
    return out


def group(i):
    return b"\x01\0\x5e\x10" + bytes((i >> 8, i & 0xFF))


def test_what_is_received_by_default():
    b = Board().up()
    other = MAC[:5] + b"\x58"
    assert accepted(b, MAC, ALL, GROUP, FAR, other) == [1, 1, 1, 0, 0]
    for i in range(6):
        near = bytes(MAC[j] ^ (2 if i == j else 0) for j in range(6))
        assert accepted(b, near) == [0]


def test_promiscuous():
    b = Board()
    b.dev.filter(promiscuous=True)
    b.up()
    assert accepted(b, MAC, ALL, GROUP, FAR) == [1, 1, 1, 1]
    b.dev.filter(multicast=[])
    assert accepted(b, MAC, ALL, GROUP, FAR) == [1, 1, 0, 0]
    b.dev.filter(promiscuous=True)
    b.dev.down()
    b.up()
    assert b.reg(0) == 0xA023 and accepted(b, FAR) == [1]
    alive(b)


def test_chosen_groups():
    b = Board().up()
    for count in (1, 2, 12, 30):
        wanted = [group(i * 37) for i in range(count)]
        b.dev.filter(multicast=wanted)
        assert accepted(b, *wanted) == [1] * count
        assert accepted(b, MAC, ALL, FAR) == [1, 1, 0]
        bits = 0
        for word in (b.reg(0x48), b.reg(0x4C)):
            while word:
                bits += word & 1
                word >>= 1
        assert 1 <= bits <= count
    b.dev.filter(multicast=[])
    assert b.reg(0x48) == b.reg(0x4C) == 0 and accepted(b, group(0), ALL) == [0, 1]
    b.dev.filter()
    assert accepted(b, group(0), GROUP) == [1, 1]


# Seen on QEMU: the bit of HASH1:HASH0 with which an address is received.
KNOWN = (
    (b"\x01\x00\x5e\x00\x00\x01", 31),
    (b"\x01\x00\x5e\x00\x00\xfb", 15),
    (b"\x01\x00\x5e\x7f\xff\xfa", 43),
    (b"\x33\x33\x00\x00\x00\x01", 62),
    (b"\x01\x80\xc2\x00\x00\x00", 25),
)


def test_the_hash_of_known_addresses():
    b = Board().up()
    for to, bit in KNOWN:
        b.dev.filter(multicast=[to])
        assert (b.reg(0x48), b.reg(0x4C)) == ((1 << bit, 0) if bit < 32 else (0, 1 << bit - 32))
        assert accepted(b, to) == [1], to


def test_a_unicast_address_is_no_group():
    b = Board()
    for bad in (MAC, b"\x01", ALL + b"\0"):
        assert failing(b.dev.filter, False, [bad]).args[0] == EINVAL


# The link.


def test_the_cable_comes_out_and_goes_in_again():
    b = Board().up()
    b.soc.plugged = False
    b.after(1100)
    assert not b.dev.link() and b.dev.borrow() is None and b.count("link_down") == 1
    b.give(*some(3))
    assert b.after(200) == []
    b.soc.plugged = True
    b.after(200)
    assert b.dev.link() and b.count("link_up") == 2 and b.dev.error is None
    b.read()
    alive(b)


def test_no_cable_at_first():
    b = Board()
    b.soc.plugged = False
    b.up()
    assert not b.dev.link() and b.dev.borrow() is None
    b.soc.plugged = True
    b.after(200)
    alive(b)


# Trouble.


def test_a_frame_that_is_not_sent():
    b = Board().up()
    b.soc.tx_hangs = True
    assert b.send(frame(100)) and b.send(frame(101)) and not b.send(frame(102))
    b.soc.tx_hangs = False
    # The model, like QEMU, would go on at the next write; nobody writes.
    b.after(2200)
    assert b.count("tx_stuck") == b.count("restarts") == 1
    b.sent()
    alive(b)


def test_somebody_else_stops_it():
    for word in (0xA000, 0xA001, 0xA802):
        b = Board().up()
        b.give(*some(3))
        b.read()
        b.soc.mem32[REGS] = word
        b.after(1100)
        assert b.count("stopped") == b.count("restarts") == 1, b.trouble()
        alive(b)


def test_spoilt_descriptors():
    for i, word, value in (
        (0, 1, 0x12345678),
        (1, 1, 0),
        (2, 1, 0),
        (9, 1, 0x3FFB0000),
        (4, 0, 0),  # not empty, and not the next
        (4, 0, 0x00640000),
        (9, 0, 0x8000),  # without WRAP
        (2, 0, 0xA000),  # WRAP too early
    ):
        b = Board().up()
        b.soc.desc[2 * i + word] = value
        b.after(1100)
        assert b.count("corrupt") == b.count("restarts") == 1, (i, word, b.trouble())
        alive(b)


def test_impossible_lengths_and_errors():
    b = Board().up()
    for word in (0, 0x00040000, 0x00110000, 0x06000000, 0xFFFF0000, 0xFFFF2FFF):
        b.soc.desc[(b.dev._rx_at - DESC) >> 2] = word
        assert b.read() == []
    assert b.count("rx_length") == 5 and b.count("rx_error") == 1
    for bit in range(9):
        b.soc.desc[(b.dev._rx_at - DESC) >> 2] = 0x00640000 | 1 << bit
        assert len(b.read()) == (bit > 6), bit  # M and CF are no errors
    assert b.count("rx_error") == 8
    b.give(*some(3))
    # The NIC itself is where it was, and the driver notices.
    b.after(2200)
    assert b.count("restarts") >= 1
    b.read()
    alive(b)
