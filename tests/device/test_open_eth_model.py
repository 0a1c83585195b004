# The modelled open_eth by itself: what QEMU's does, register by register, and what it refuses.
from dma_memory import ModelError
from open_eth_board import ALL, DESC, FAR, MAC, REGS, failing, frame
from open_eth_model import REGS as KNOWN
from open_eth_model import OpenEthModel, hashed
from viperip.errors import ENOMEM
from viperip.link.pair import Pair

MODER = REGS
INT_SOURCE = REGS + 4
INT_MASK = REGS + 8
PACKETLEN = REGS + 0x18
TX_BD_NUM = REGS + 0x20
MIICOMMAND = REGS + 0x2C
MIIADDRESS = REGS + 0x30
MIITX_DATA = REGS + 0x34
MIIRX_DATA = REGS + 0x38
MIISTATUS = REGS + 0x3C
GROUP = b"\x01\0\x5e\0\0\x07"


class Rig:
    # Descriptors set up by hand: transmit 0 and 1, receive 2 to 4, buffers of 1600 bytes.
    def __init__(self, moder=0xA003, last=4):
        near, self.far = Pair.wire(FAR, FAR, 64, 1600)
        self.nic = nic = OpenEthModel(near)
        self.m = m = nic.mem32
        self.mem = [nic.dma_alloc(1600) for _ in range(5)]
        m[TX_BD_NUM] = 2
        for i in range(5):
            m[DESC + 8 * i + 4] = self.mem[i][1]
            m[DESC + 8 * i] = 0 if i < 2 else 0xA000 if i == last else 0x8000
        m[REGS + 0x40] = MAC[2] << 24 | MAC[3] << 16 | MAC[4] << 8 | MAC[5]
        m[REGS + 0x44] = MAC[0] << 8 | MAC[1]
        m[MODER] = moder

    def give(self, *frames):
        for f in frames:
            self.far.borrow()[2 : 2 + len(f)] = f
            self.far.send(len(f))
        self.nic.step()

    def sent(self):
        out = []
        n = self.far.recv()
        while n:
            out.append(bytes(self.far.rx[2 : 2 + n]))
            self.far.release()
            n = self.far.recv()
        return out

    def length(self, i):
        # Of the frame in descriptor i; -1 while it is empty.
        w = self.nic.desc[2 * i]
        return -1 if w & 0x8000 else w >> 16

    def refuses(self, text, address, value=None):
        try:
            if value is None:
                self.m[address]
            else:
                self.m[address] = value
        except ModelError as e:
            assert text in e.args[0], e.args[0]
            return
        raise AssertionError("no ModelError: " + text)


# Registers.


def test_values_after_a_reset():
    nic = OpenEthModel()
    for at, value in ((0, 0xA000), (0x18, 0x400600), (0x20, 0x40), (0x1C, 0xF003F), (0x28, 0x64)):
        assert nic.mem32[REGS + at] == value
    assert len(KNOWN) == 21 and max(KNOWN) == 0x50


def test_int_source_is_cleared_by_writing_ones():
    r = Rig()
    r.nic.regs[4] = 0x15
    r.m[INT_SOURCE] = 0x10
    assert r.m[INT_SOURCE] == 5
    r.m[INT_SOURCE] = 0
    assert r.m[INT_SOURCE] == 5


def test_a_tx_bd_num_beyond_the_descriptors_is_ignored():
    r = Rig(0xA000)
    for value in (0x80, 0xFF, 0x12345678):
        r.m[TX_BD_NUM] = value
        assert r.m[TX_BD_NUM] == 2
    r.m[TX_BD_NUM] = 0x7F
    assert r.m[TX_BD_NUM] == 0x7F


def test_what_is_no_register():
    r = Rig()
    for address in (REGS + 2, DESC + 1, DESC + 6):
        r.refuses("registers are words", address)
        r.refuses("registers are words", address, 0)
    for address in (REGS + 0x54, REGS - 4, DESC - 4, DESC + 8 * 128, 0x3FF6A000):
        r.refuses("no register", address)
        r.refuses("no register", address, 0)
    for address in (MIIRX_DATA, MIISTATUS):
        r.refuses("read only", address, 0)
    r.refuses("LOOPBCK", MODER, 0xA083)
    r.refuses("TX_BD_NUM was changed", TX_BD_NUM, 3)


def test_an_interrupt_needs_somebody_to_serve_it():
    r = Rig()
    r.m[INT_MASK] = 0x10
    r.nic.regs[4] = 4
    r.refuses("nobody to serve", INT_MASK, 4)


def test_what_mem32_reads_has_a_sign():
    r = Rig()
    assert r.m[REGS + 0x40] == 0xC4123459 - 0x100000000


# MII.


def mii(r, reg, phy=1):
    r.m[MIIADDRESS] = reg << 8 | phy
    r.m[MIICOMMAND] = 2
    return r.m[MIIRX_DATA]


def test_the_phy():
    r = Rig()
    assert [mii(r, i) for i in (0, 1, 2, 3, 4, 5, 16)] == [
        0x1000, 0x786C, 0x2000, 0x5C90, 0x1E1, 0x1E1, 0x17,
    ]  # fmt: skip
    assert mii(r, 2, phy=0) == mii(r, 2, phy=2) == 0xFFFF
    assert mii(r, 31) == 0 and r.m[MIICOMMAND] == 0
    r.nic.plugged = False
    assert mii(r, 1) == 0x7868 and mii(r, 16) == 0
    r.m[MIICOMMAND] = 1
    assert r.m[MIISTATUS] == 1


def test_the_data_alone_writes_to_the_phy():
    r = Rig()
    r.m[MIIADDRESS] = 4 << 8 | 1
    r.m[MIITX_DATA] = 0x41
    assert mii(r, 4) == 0x41
    # Of another address nothing happens, not with the command either.
    r.m[MIIADDRESS] = 4 << 8 | 2
    r.m[MIITX_DATA] = 0x1E1
    r.m[MIICOMMAND] = 4
    assert mii(r, 4) == 0x41
    r.m[MIIADDRESS] = 2 << 8 | 1
    r.refuses("read only", MIITX_DATA, 0)


# Sending.


def test_any_write_to_a_descriptor_sends_what_is_ready():
    r = Rig(0xA001)
    r.mem[0][0][:60] = frame(60)
    r.mem[1][0][:61] = frame(61)
    r.m[DESC] = 60 << 16 | 0x8000
    r.m[DESC + 8] = 61 << 16 | 0xA000
    assert r.sent() == []
    r.m[MODER] = 0xA003
    assert r.sent() == [frame(60)] and r.m[DESC] == 60 << 16
    r.m[DESC + 8 * 3] = 0x8000
    assert r.sent() == [frame(61)] and r.m[DESC + 8] == 61 << 16 | 0x2000


def test_padding_and_cutting():
    r = Rig()
    r.mem[0][0][:] = frame(1600)
    r.mem[1][0][:] = frame(1600)
    r.m[DESC] = 14 << 16 | 0x9000
    r.m[DESC + 8] = 14 << 16 | 0x8000
    assert r.sent() == [frame(14) + bytes(50), frame(14)]
    r.m[PACKETLEN] = 60 << 16 | 1000
    r.m[DESC] = 42 << 16 | 0x9000
    r.m[DESC + 8] = 1001 << 16 | 0x9000
    assert r.sent() == [frame(42) + bytes(18), frame(1000)]


def test_the_index_wraps_and_starts_anew():
    for flags in (0x8000, 0xA000):
        r = Rig()
        r.m[DESC] = 60 << 16 | flags
        assert r.nic.tx_at == (0 if flags & 0x2000 else 1)
        if flags & 0x2000:
            continue
        r.m[MODER] = 0xA003  # no edge
        assert r.nic.tx_at == 1
        r.m[MODER] = 0xA001
        r.m[MODER] = 0xA003
        assert r.nic.tx_at == 0


def test_what_is_not_sent_as_it_should_be():
    r = Rig()
    r.refuses("it is the turn of TX[0]", DESC + 8, 60 << 16 | 0x8000)
    r = Rig()
    r.refuses("never sent", DESC, 4 << 16 | 0x8000)
    r = Rig()
    r.m[PACKETLEN] = 60 << 16 | 2000
    r.refuses("past its end", DESC, 1601 << 16 | 0x8000)
    for address in (0, 0x3FFAFFFC, 0x3F800000, 0x40000000, r.mem[4][1] + 1601):
        r = Rig()
        r.m[DESC + 4] = address
        r.refuses("not the driver's", DESC, 60 << 16 | 0x8000)


# Receiving.


def test_lengths_count_four_bytes_of_zeros():
    r = Rig()
    r.mem[2][0][:] = b"\xee" * 1600
    r.give(frame(100))
    assert r.length(2) == 104
    assert r.mem[2][0][:105] == frame(100) + b"\0\0\0\0\xee"


def test_short_frames_come_as_64_bytes():
    for n, length in ((14, 64), (59, 64), (60, 64), (61, 65), (64, 68)):
        r = Rig()
        r.give(frame(n))
        assert r.length(2) == length and r.mem[2][0][:n] == frame(n)
        assert r.mem[2][0][n:length] == bytes(length - n)
    r = Rig(0x2003)  # without MODER.PAD
    r.give(frame(14))
    assert r.length(2) == 18


def test_long_frames_are_cut():
    for n, length in ((1535, 1539), (1536, 1536), (1537, 1536), (1590, 1536)):
        r = Rig()
        r.give(frame(n))
        assert r.length(2) == length, n
    r = Rig(0xE003)  # HUGEN
    r.give(frame(1590))
    assert r.length(2) == 1594 and r.nic.desc[4] & 8


def test_a_buffer_that_is_too_short():
    r = Rig()
    r.m[DESC + 8 * 2 + 4] = r.nic.dma_alloc(100)[1]
    r.give(frame(96))
    assert r.length(2) == 100
    for address, text in ((r.mem[2][1] + 1500, "past its end"), (0x3F800000, "not the driver's")):
        r = Rig()
        r.m[DESC + 8 * 2 + 4] = address
        try:
            r.give(frame(100))
        except ModelError as e:
            assert text in e.args[0]
        else:
            raise AssertionError(hex(address))


def test_busy():
    r = Rig()
    r.give(*[frame(100, tag=i) for i in range(5)])
    assert r.nic.rx_frames == 3 and r.nic.lost == 2 and r.m[INT_SOURCE] == 0x10
    r.m[DESC + 8 * 2] = 0x8000
    r.give(frame(101))
    assert r.length(2) == 105 and r.m[INT_SOURCE] == 0x10


def test_a_ring_without_wrap_goes_on_to_the_last_descriptor():
    r = Rig(0xA000, last=-1)
    r.m[TX_BD_NUM] = 126
    r.m[DESC + 8 * 126] = 0x8000
    r.m[DESC + 8 * 126 + 4] = r.mem[0][1]
    r.m[DESC + 8 * 127] = 0x8000
    r.m[DESC + 8 * 127 + 4] = r.mem[1][1]
    r.m[MODER] = 0xA003
    r.give(frame(100), frame(101), frame(102))
    assert r.length(126) == 104 and r.length(127) == 105 and r.nic.lost == 1
    assert r.nic.rx_at == 126


def test_the_index_starts_anew_with_rxen():
    r = Rig()
    r.give(frame(100))
    r.m[DESC + 8 * 2] = 0x8000
    r.m[MODER] = 0xA000
    r.give(frame(101), frame(102))
    assert r.length(3) == -1  # they wait outside
    r.m[MODER] = 0xA001
    assert r.length(2) == 105 and r.length(3) == 106


def test_interrupt_bits_come_with_irq_only():
    r = Rig()
    r.give(frame(100))
    r.m[DESC] = 60 << 16 | 0x8000
    assert r.m[INT_SOURCE] == 0
    r.m[DESC + 8 * 3] = 0xC000
    r.give(frame(100))
    assert r.m[INT_SOURCE] == 4
    r.m[DESC + 8] = 60 << 16 | 0xC000
    assert r.m[INT_SOURCE] == 5


def test_filters():
    for moder, group, expected in (
        (0xA003, 0, (1, 1, 0, 0)),
        (0xA00B, 0, (1, 0, 0, 0)),  # BRO
        (0xA003, 1, (1, 1, 1, 0)),
        (0xA023, 0, (1, 1, 1, 1)),  # PRO
        (0xA013, 0, (0, 1, 0, 0)),  # IAM: the hash decides for all
    ):
        for i in range(4):
            r = Rig(moder)
            if group:
                bit = hashed(GROUP)
                r.m[REGS + (0x4C if bit & 32 else 0x48)] = 1 << (bit & 31)
            r.give(frame(100, (MAC, ALL, GROUP, FAR)[i]))
            assert (r.length(2) > 0) == bool(expected[i]), (hex(moder), i)
            if moder & 0x20:
                assert bool(r.nic.desc[4] & 0x80) == (i > 1)  # M: by PRO only


def test_psram_is_out_of_reach():
    assert failing(OpenEthModel(psram=True).dma_alloc, 64).args[0] == ENOMEM
