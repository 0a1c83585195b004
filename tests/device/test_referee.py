# The driver of a GMAC against one that was made elsewhere, QEMU's: bring-up, start and stop,
# frames, rings, recovery. tests/README.md says what this does not prove.
import struct

import test_emac_frames
from emac_board import ALL, FAR, frame
from qtest_bus import RefereeError
from referee_board import CURRXD, MAC, NONE_FREE, RefereeBoard
from viperip.link import phy
from viperip.link.esp32 import registers as r

NEEDS = ("referee",)


def some(n, size=200, start=0):
    return [frame(size + i % 7, tag=start + i) for i in range(n)]


def alive(b, tag=9000):
    # Frames pass both ways.
    b.give(*some(3, 300, tag))
    got = b.read()
    assert got == some(3, 300, tag), (len(got), b.trouble())
    for f in some(6, 80, tag):
        assert b.send(f)
    assert b.sent() == some(6, 80, tag)


# Bring-up.


def test_the_registers_after_bring_up():
    with RefereeBoard() as b:
        b.dev.force = phy.FULL100
        b.up()
        for register, value in (
            (r.BUSMODE, 0x06022000),
            (r.OPMODE, 0x02202002),
            (r.INTEN, 0),
            (r.RXBASE, b.dev._rx.address),
            (r.TXBASE, b.dev._tx.address),
        ):
            assert b.dma_reg(register) == value, (register, hex(b.dma_reg(register)))
        for register, value in (
            (r.CONFIG, 0xC80C),
            (r.FRAMEFILTER, 0x10),
            (r.FLOWCTRL, 0),
            (r.ADDR0HIGH, 0x5934),
            (r.ADDR0LOW, 0x12C40A24),
        ):
            assert b.mac_reg(register) == value, (register, hex(b.mac_reg(register)))
        assert b.mac_reg(r.VERSION) == 0x1032
        assert b.trouble() == {}


def test_a_soft_reset_forgets_everything_and_ends():
    with RefereeBoard() as b:
        b.up()
        alive(b)
        before = b.dma_reg(CURRXD)
        assert before
        b.dev.reset(100)
        # The values that QEMU's GMAC has after power-on.
        assert b.dma_reg(r.BUSMODE) == 0x00020100 and b.dma_reg(CURRXD) == 0
        assert b.mac_reg(r.CONFIG) == 0 and b.mac_reg(r.ADDR0LOW) == 0xFFFFFFFF
        b.dev._restart()
        alive(b)


def test_mdio_reads_and_writes_the_phy():
    with RefereeBoard() as b:
        b.dev.up()
        assert b.dev.phy.address == 0 and b.dev.phy.ident == "03625e6a"
        mdio = b.dev.mdio
        assert mdio.read(0, phy.ANAR) == phy.AN_ALL
        assert mdio.write(0, phy.ANAR, phy.AN_ALL | phy.AN_PAUSE)
        assert mdio.read(0, phy.ANAR) == phy.AN_ALL | phy.AN_PAUSE
        assert mdio.read(0, phy.ID1) == 0x0362 and mdio.read(0, phy.ID2) == 0x5E6A
        # Every other address of the clause-22 bus, and another PHY's registers are its own.
        assert [mdio.read(i, phy.ID1) for i in range(1, 32)] == [0] * 31
        assert mdio.write(31, 31, 0xBEEF) and mdio.read(31, 31) == 0xBEEF
        assert mdio.read(0, 31) == 0 and mdio.timeouts == 0


def test_the_phy_is_found_by_its_id_and_followed():
    with RefereeBoard() as b:
        b.dev.phy_address = 5  # a wrong hint
        b.up()
        assert b.dev.phy.name == "generic" and b.dev.phy.address == 0
        # QEMU's link partner offers nothing (ANLPAR is 0), which leaves 10 Mbit/s, half duplex.
        assert (b.dev.speed, b.dev.full_duplex) == (10, False)
        assert b.mac_reg(r.CONFIG) == 0x800C
        b.dev.down()
        b.dev.force = phy.FULL100
        b.up()
        assert (b.dev.speed, b.dev.full_duplex) == (100, True)


def test_the_states_of_the_dma_over_start_and_stop():
    with RefereeBoard() as b:
        assert (b.receiving(), b.sending()) == (0, 0)
        b.up()
        assert (b.receiving(), b.sending()) == (3, 6)
        b.dev.down()
        assert (b.receiving(), b.sending()) == (0, 0)
        assert not b.dma_reg(r.OPMODE) & (r.OPMODE_SR | r.OPMODE_ST)
        assert not b.mac_reg(r.CONFIG) & (r.CONFIG_RE | r.CONFIG_TE)


def test_it_starts_in_an_order_that_loses_nothing():
    # Bases before the DMA starts, the MAC's transmitter before the DMA's, the receiver last.
    with RefereeBoard() as b:
        b.bus.log = []
        b.up()
        writes = [(o, v) for how, o, v in b.bus.log if how == "w"]
        opmodes = [v & 0x2002 for o, v in writes if o == 0x1018]
        assert opmodes[-2:] == [0x2000, 0x2002]
        started = [i for i, (o, v) in enumerate(writes) if o == 0x1018 and v & 0x2000][0]
        before = dict(writes[:started])
        assert before[0x100C] == b.dev._rx.address and before[0x1010] == b.dev._tx.address
        assert before[0x0] & 0xC == 0x8
        assert [o for o, v in writes[started:]] == [0x1018, 0x1018, 0x0, 0x1008]


def test_up_and_down_again_and_again():
    with RefereeBoard() as b:
        for i in range(5):
            b.up()
            alive(b, i)
            b.dev.down()
            assert b.dev.borrow() is None and b.dev.recv() == 0
        assert b.count("link_up") == 5 and b.trouble() == {}


def test_nothing_is_written_after_down():
    with RefereeBoard() as b:
        b.up()
        alive(b)
        b.dev.down()
        n = b.bus._next - 0x100000
        before = b.bus.qtest.read(0x100000, n)
        b.give(*some(20, 1000))
        b.settle()
        assert b.bus.qtest.read(0x100000, n) == before


def test_filters_arrive_where_they_belong():
    # QEMU lets every frame in; what it was told can be read back.
    with RefereeBoard() as b:
        b.up()
        one, two = b"\x01\0\x5e\1\2\3", b"\x33\x33\4\5\6\7"
        b.dev.filter(multicast=[one, two])
        assert b.mac_reg(r.FRAMEFILTER) == 0
        addresses = [b.mac_reg(r.ADDR0HIGH + 4 * i) for i in range(2, 6)]
        assert addresses == [0x80000302, 0x015E0001, 0x80000706, 0x05043333]
        b.dev.filter(multicast=[two])
        assert b.mac_reg(r.ADDR0HIGH + 16) == 0
        # Its HWFEAT says that there is a hash table.
        b.dev.filter(multicast=[b"\x01\0\x5e\0\0" + bytes([i]) for i in range(9)])
        assert b.mac_reg(r.FRAMEFILTER) == r.FILTER_HMC
        assert b.mac_reg(r.HASHHIGH) or b.mac_reg(r.HASHLOW)
        b.dev.filter(promiscuous=True)
        assert b.mac_reg(r.FRAMEFILTER) == r.FILTER_PR | r.FILTER_PM
        alive(b)


# Frames: the driver's own tests, on this board.


def borrowed(test):
    real = test_emac_frames.Board
    boards = []

    def board(**arguments):
        boards.append(RefereeBoard(**arguments))
        return boards[-1]

    test_emac_frames.Board = board
    try:
        test()
    finally:
        test_emac_frames.Board = real
        for b in boards:
            with b:
                pass


def test_a_frame_is_received():
    borrowed(test_emac_frames.test_a_frame_is_received)


def test_a_frame_is_sent():
    borrowed(test_emac_frames.test_a_frame_is_sent)


def test_every_size_is_received_without_its_fcs():
    borrowed(test_emac_frames.test_every_size_is_received_without_its_fcs)


def test_every_size_is_sent():
    # QEMU's MAC does not pad.
    with RefereeBoard() as b:
        b.up()
        for n in (14, 15, 42, 59) + test_emac_frames.SIZES:
            assert b.send(frame(n, tag=n))
            assert b.sent() == [frame(n, tag=n)], n
        assert b.trouble() == {}


# Descriptors and status bits.


def test_own_passes_to_the_dma_and_back():
    with RefereeBoard() as b:
        b.up()
        rx, tx = b.dev._rx, b.dev._tx
        for i in range(rx.count):
            assert b.word(rx, i, 0) == 0x80000000
            assert b.word(rx, i, 1) == 0x01000000 | len(rx.buffers[i])
            assert b.word(rx, i, 3) == rx.address + (i + 1) % rx.count * 16
        assert [b.word(tx, i, 0) for i in range(tx.count)] == [0] * tx.count
        b.give(frame(100))
        b.settle()
        status = b.word(rx, 0, 0)
        # First and last descriptor, 104 bytes with the FCS, no error, and ours.
        assert status & 0xBFFF8300 == 104 << 16 | 0x300, hex(status)
        assert b.dma_reg(CURRXD) == rx.address + 16
        assert b.read() == [frame(100)]
        b.dma_reg(r.STATUS)
        assert b.word(rx, 0, 0) >> 31 == 1
        assert b.send(frame(77, ALL))
        assert b.word(tx, 0, 0) == 0 and b.word(tx, 0, 1) == 0x61000000 | 77
        assert b.sent() == [frame(77, ALL)]


def test_status_bits_are_set_and_cleared_by_writing_ones():
    with RefereeBoard() as b:
        b.up()
        assert not b.dma_reg(r.STATUS) & 0x40
        b.give(frame(100))
        b.settle()
        assert b.dma_reg(r.STATUS) & 0x40  # RI
        assert b.dma_reg(r.STATUS) & 0x4  # TU: nothing to send, ever since it was started
        b.bus.mem32[b.dev._status] = 0x40
        assert b.dma_reg(r.STATUS) & 0x44 == 0x4
        assert b.read() == [frame(100)]


def test_the_receive_ring_wraps_in_every_phase():
    with RefereeBoard() as b:
        b.up()
        tag = 0
        for n in list(range(1, 9)) * 3 + [5] * 8:
            b.give(*some(n, 100, tag))
            assert b.read() == some(n, 100, tag)
            tag += n
        assert b.trouble() == {}, b.trouble()


def test_the_transmit_ring_wraps():
    with RefereeBoard(tx_frames=3) as b:
        b.up()
        for tag in range(50):
            assert b.send(frame(64 + tag, ALL, tag))
            if tag % 5 == 4:
                assert b.sent() == [frame(64 + i, ALL, i) for i in range(tag - 4, tag + 1)]
        assert b.trouble() == {}


def test_a_ring_full_of_frames_waits():
    with RefereeBoard(rx_frames=5) as b:
        b.up()
        frames = [frame(1514, tag=i) for i in range(5)]
        b.give(*frames)
        b.settle()
        assert b.read() == frames and b.trouble() == {}


def test_exhaustion_suspends_the_receiver_and_is_got_over():
    with RefereeBoard(may=(NONE_FREE,)) as b:
        b.up()
        for tag in range(0, 60, 20):
            b.give(*some(20, 200, tag))
            b.settle()
            assert b.receiving() == 4 and b.dma_reg(r.STATUS) & r.STATUS_RU
            assert b.read() == some(8, 200, tag)
            b.dev.recv()
            assert b.receiving() == 3 and not b.dma_reg(r.STATUS) & r.STATUS_RU
        assert b.count("rx_suspended") == 3 and b.count("restarts") == 0
        alive(b)


def test_a_frame_over_two_descriptors_is_dropped_whole():
    with RefereeBoard(mtu=1000) as b:
        b.up()
        for tag in range(6):
            b.give(frame(1400), *some(2, 100, tag))
            assert b.read() == some(2, 100, tag)
        assert b.trouble() == {"rx_piece": 12}
        alive(b)


def test_many_frames_both_ways_at_once():
    with RefereeBoard() as b:
        b.up()
        for tag in range(0, 400, 4):
            b.give(*some(4, 60 + tag, tag))
            for f in some(3, 1400 - tag, tag):
                assert b.send(f)
            assert b.read() == some(4, 60 + tag, tag)
            assert b.sent() == some(3, 1400 - tag, tag)
        assert b.trouble() == {}


# The link, and recovery.


def test_the_link_goes_and_comes():
    with RefereeBoard() as b:
        b.up()
        alive(b)
        for i in range(1, 4):
            b.monitor.do("set_link wire off")
            b.after(1100)
            assert not b.dev.link() and b.count("link_down") == i
            assert (b.receiving(), b.sending()) == (0, 0) and b.dev.borrow() is None
            b.monitor.do("set_link wire on")
            b.after(200)
            assert b.dev.link() and b.receiving() == 3
            revive(b)
            assert b.count("rx_corrupt") == b.count("restarts") == i
            alive(b)


def revive(b):
    # A GMAC that was stopped begins at the base that was written meanwhile; ESP-IDF starts it anew
    # that way, with the base it had. (The manuals: "If this register is not changed ... the DMA
    # takes the descriptor address where it was stopped earlier".) QEMU's goes on where it was
    # until a reset. The driver has to find out by itself that it looks at the wrong descriptor.
    for _ in range(4):
        b.give(frame(100))
        b.send(frame(100))
        b.after(1100, 1100)
        b.sent()


def test_a_transmitter_that_cannot_reach_a_buffer_is_started_anew():
    with RefereeBoard(may=("Failed to read packet",)) as b:
        b.up()
        alive(b)
        tx = b.dev._tx
        at = b.dev._tx_at
        real = bytes(tx.want)
        struct.pack_into("<I", tx.want, 16 * at + 8, 0xE0000000)
        assert b.send(frame(100)) and b.sent() == [] and b.dev.unsent == 1
        tx.want[:] = real
        b.after(3000, 1000)
        assert b.count("tx_stuck") == 1 and b.count("restarts") == 1, b.trouble()
        alive(b)


# The referee can say no: mistakes that a driver might make.


def deaf_or_mute(b):
    # Whether frames fail to pass one way at least.
    b.give(frame(100))
    got = b.read()
    if b.dev.borrow() is None:
        return True
    b.send(frame(100))
    return got != [frame(100)] or b.sent() != [frame(100)]


def refused(b):
    try:
        b.give(frame(100))
        b.read()
        b.send(frame(100))
        b.send(frame(100))
    except RefereeError as e:
        return e.args[0]
    return ""


def test_a_forgotten_poll_demand_is_seen():
    with RefereeBoard() as b:
        b.up()
        b.dev._txpoll = b.dev._mac + r.HASHHIGH
        assert deaf_or_mute(b)


def test_the_other_layout_is_seen():
    from viperip.link.esp32.descriptors import Enhanced

    with RefereeBoard(layout=Enhanced) as b:
        b.up()
        assert deaf_or_mute(b)


def test_a_receiver_that_is_not_enabled_is_seen():
    for register, bit in ((r.EMAC_MAC + r.CONFIG, r.CONFIG_RE), (r.EMAC_DMA + r.OPMODE, 2)):
        with RefereeBoard(may=("not able for Rx",)) as b:
            b.up()
            b.bus.mem32[register] = b.bus.mem32[register] & ~bit
            assert deaf_or_mute(b)


def test_a_ring_that_begins_elsewhere_is_seen():
    with RefereeBoard() as b:
        b.up()
        b.dev._rx_at = 1
        assert deaf_or_mute(b)


def test_descriptors_that_are_not_given_back_are_seen():
    with RefereeBoard(may=(NONE_FREE,)) as b:
        b.up()
        b.dev._give_back = lambda: None
        b.give(*some(9))
        b.settle()
        assert b.receiving() == 4
        b.due = 0


def test_a_write_to_a_descriptor_of_the_dma_is_refused():
    with RefereeBoard() as b:
        b.up()
        b.dev._rx.memory[16 + 4] ^= 4
        assert "changed receive descriptor 1, which is the DMA's" in refused(b)
        b.dev._rx.memory[16 + 4] ^= 4


def test_a_write_to_a_buffer_of_the_dma_is_refused():
    with RefereeBoard() as b:
        b.up()
        b.dev._rx.buffers[2][0] ^= 1
        assert "changed the buffer of receive descriptor 2" in refused(b)
        b.dev._rx.buffers[2][0] ^= 1


def test_registers_beside_the_gmac_are_refused():
    with RefereeBoard() as b:
        for address in (r.EMAC_MAC + 0x1000, r.EMAC_DMA + 0x60, r.EMAC_EXT, r.EMAC_MAC + 2):
            try:
                b.bus.mem32[address]
            except RefereeError:
                continue
            raise AssertionError(hex(address))


# The whole stack.


def test_a_stack_on_it_answers_ping():
    from harness import Arp, Datagram, Message, eth, icmp, ipv4
    from viperip.interface import Interface
    from viperip.stack import Stack

    me, peer = b"\x0a\0\0\x01", b"\x0a\0\0\x02"
    with RefereeBoard() as b:
        stack = Stack(ticks=b.bus.ticks_ms)
        ifc = Interface(stack, b.dev, "e0")
        stack.add_interface(ifc)
        ifc.up()
        ifc.configure(me, b"\xff\xff\xff\0", None)

        def answer(wanted):
            end = b.bus.ticks_ms() + 2000
            while b.bus.ticks_ms() < end:
                stack.poll()
                for f in b.sent():
                    if f[12:14] == wanted:
                        return f
            raise AssertionError("no answer")

        for _ in range(300):
            stack.poll()
            b.bus.delay_ms(1)
            if b.dev.link():
                break
        ifc.arp.add(peer, FAR)
        b.sent()
        for i in range(50):
            data = bytes([i]) * (20 * i)
            b.give(eth(MAC, FAR, 0x800, ipv4(peer, me, 1, icmp(8, 0, b"\x12\x34\0\1", data))))
            f = answer(b"\x08\0")
            assert f[:6] == FAR and f[6:12] == MAC
            d = Datagram(f)
            assert Message(d).data == data, i
        assert Arp and b.trouble() == {}
