# The driver of open_eth, and the model that it was made against, beside QEMU's own open_eth.
# tests/host/test_open_eth_qemu.py starts QEMU and runs this.
import test_open_eth as modelled
import test_open_eth_model as model
import test_open_eth_stack as stack
from open_eth_board import ALL, DESC, FAR, MAC, REGS, frame
from open_eth_model import OpenEthModel, hashed
from open_eth_qemu import QemuBoard

some = modelled.some


def board(**driver):
    return QemuBoard(**driver)


def alive(b, tag=9000):
    modelled.alive(b, tag)
    b.bus.check()


def same(function):
    # A test that the driver passes on its model, on QEMU.
    kept = modelled.Board
    modelled.Board = stack.Board = QemuBoard
    try:
        function()
    finally:
        modelled.Board = stack.Board = kept


def test_a_frame_each_way():
    same(modelled.test_a_frame_each_way)


def test_every_size():
    same(modelled.test_every_size)


def test_short_frames():
    same(modelled.test_short_frames_come_with_padding)


def test_frames_that_are_too_long():
    same(modelled.test_frames_that_are_too_long)


def test_the_rings_wrap():
    same(modelled.test_the_rings_wrap)


def test_stop_and_start_in_every_phase_of_the_rings():
    same(modelled.test_stop_and_start_in_every_phase_of_the_rings)


def test_what_is_received_by_default():
    same(modelled.test_what_is_received_by_default)


def test_promiscuous():
    same(modelled.test_promiscuous)


def test_chosen_groups():
    same(modelled.test_chosen_groups)


def test_a_ping_each_way():
    same(stack.test_a_ping_each_way)


def test_the_hash_of_known_addresses():
    same(modelled.test_the_hash_of_known_addresses)


def test_busy_is_counted_and_got_over():
    b = board().up()
    b.give(*some(20))
    b.settle()
    assert b.reg(4) == 0x10
    assert b.read() == some(8)
    assert b.trouble() == {"rx_busy": 1} and b.reg(4) == 0
    alive(b)


def test_down_and_the_burst_after_it():
    b = board().up()
    alive(b)
    b.dev.down()
    b.give(*some(50))
    b.settle()
    assert b.read() == []
    b.up()
    b.due = 50
    b.settle()
    assert b.read() == some(8) and b.trouble() == {"rx_busy": 1}
    alive(b)


def test_a_driver_before_it_left_the_dma_running():
    b = board().up()
    alive(b)
    b.give(*some(3))
    b.settle()
    again = board(machine=b.bus)
    again.up()
    assert again.bus.mem32[REGS] == 0xA003 and again.read() == []
    alive(again)
    assert b.dev._buffers[0] is not again.dev._buffers[0]


def test_the_cable_comes_out_and_goes_in_again():
    b = board().up()
    b.monitor.do("set_link wire off")
    b.after(1100)
    assert not b.dev.link() and b.dev.borrow() is None and b.count("link_down") == 1
    b.monitor.do("set_link wire on")
    b.after(200)
    assert b.dev.link() and b.count("link_up") == 2
    alive(b)


def test_somebody_else_stops_it():
    b = board().up()
    alive(b)
    b.bus.mem32[REGS] = 0xA000
    b.after(1100)
    assert b.count("stopped") == b.count("restarts") == 1, b.trouble()
    alive(b)


# Model against QEMU, access by access.


def test_registers_after_a_reset():
    b = board()
    nic = OpenEthModel()
    for at in range(0, 0x54, 4):
        assert b.reg(at) == nic.mem32[REGS + at] & 0xFFFFFFFF, hex(at)


def test_the_phy():
    # But for register 16, which only Espressif's QEMU has.
    b = board()
    nic = OpenEthModel()
    for command in range(8):
        for phy in (0, 1, 2, 31):
            for reg in range(16):
                for mem in (b.bus.mem32, nic.mem32):
                    mem[REGS + 0x30] = reg << 8 | phy
                    mem[REGS + 0x2C] = 2
                assert b.reg(0x38) == nic.regs[0x38], (command, phy, reg, hex(b.reg(0x38)))
        for mem in (b.bus.mem32, nic.mem32):
            mem[REGS + 0x30] = (0, 4, 5, 17)[command & 3] << 8 | 1
            mem[REGS + 0x34] = (0x2100, 0x0181, 0x0041, 0x5555, 0x8000, 0, 0, 0)[command]
            mem[REGS + 0x2C] = 4
    for at in range(0, 0x54, 4):
        assert b.reg(at) == nic.mem32[REGS + at] & 0xFFFFFFFF, hex(at)


class Twins:
    # The model of test_open_eth_model.Rig and QEMU, with the same done to both.
    def __init__(self, moder=0xA003, packetlen=0x400600):
        self.b = b = board()
        self.rig = r = model.Rig(0xA000)
        self.mem = [b.bus.dma_alloc(1600) for _ in range(5)]
        for at in (0x20, 0x40, 0x44):
            b.bus.mem32[REGS + at] = r.m[REGS + at]
        for i in range(5):
            b.bus.mem32[DESC + 8 * i + 4] = self.mem[i][1]
            b.bus.mem32[DESC + 8 * i] = r.m[DESC + 8 * i]
        self.set(REGS + 0x18, packetlen)
        self.set(REGS, moder)

    def set(self, address, value):
        self.rig.m[address] = value
        self.b.bus.mem32[address] = value

    def fill(self, i, data):
        for mem in (self.rig.mem, self.mem):
            mem[i][0][: len(data)] = data
        self.b.bus.qtest.write(self.mem[i][1], data)

    def give(self, *frames):
        self.rig.give(*frames)
        self.b.give(*frames)
        self.b.settle()

    def compare(self, what):
        # Descriptors, INT_SOURCE, the buffers to receive into, what was sent.
        for i in range(5):
            mine = self.rig.m[DESC + 8 * i] & 0xFFFFFFFF
            theirs = self.b.bus.mem32[DESC + 8 * i] & 0xFFFFFFFF
            assert mine == theirs, (what, i, hex(mine), hex(theirs))
            n = mine >> 16
            if i > 1 and not mine & 0x8000:
                assert self.rig.mem[i][0][:n] == self.mem[i][0][:n], (what, i)
        assert self.rig.m[REGS + 4] == self.b.reg(4), what
        mine = self.rig.sent()
        theirs = self.b.sent()
        assert mine == theirs, (what, [len(f) for f in mine], [len(f) for f in theirs])


def test_lengths_to_receive():
    for moder in (0xA003, 0x2003, 0xE003):
        for packetlen in (0x400600, 0x3C05F4):
            most = packetlen & 0xFFFF
            t = Twins(moder, packetlen)
            for n in (60, 61, 63, 64, 65, 1000) + tuple(range(most - 6, most + 7)):
                t.give(frame(n))
                t.give(frame(n + 1))
                t.compare((hex(moder), hex(packetlen), n))
                for i in (2, 3, 4):
                    t.set(DESC + 8 * i, 0xA000 if i == 4 else 0x8000)
        t.b.bus.check()


def test_lengths_to_send():
    for packetlen in (0x400600, 0x3C0400):
        t = Twins(0xA003, packetlen)
        for i in (0, 1):
            t.fill(i, frame(1600))
        for n in (5, 14, 42, 59, 60, 61, 63, 64, 65, 1000, 1023, 1024, 1025, 1535, 1536, 1537):
            for flags in (0x8000, 0x9000, 0xD800):
                i = t.rig.nic.tx_at
                t.set(DESC + 8 * i, n << 16 | flags | (0x2000 if n & 1 else 0))
                t.compare((n, hex(flags)))
            t.set(REGS + 4, 0x7F)


def test_what_finds_no_empty_descriptor():
    t = Twins()
    t.give(*some(5))
    t.compare("full")
    t.set(DESC + 8 * 2, 0xC1FF)
    t.compare("given back")
    t.give(*some(2))
    t.compare("one more")
    t.set(REGS + 4, 0x10)
    t.compare("cleared")


def test_what_waits_for_rxen():
    t = Twins(0xA000)
    t.give(*some(3))
    t.compare("off")
    t.set(REGS, 0xA001)
    t.b.settle()
    t.compare("on")


def test_filters():
    groups = [b"\x01\0\x5e\x10\0" + bytes((i,)) for i in range(3)]
    for moder in (0xA001, 0xA009, 0xA011, 0xA021, 0xA019):
        for to in [MAC, ALL, FAR] + groups:
            for wanted in ([], groups[:1], [MAC, groups[1]]):
                t = Twins(0xA000)
                bits = 0
                for address in wanted:
                    bits |= 1 << hashed(address)
                t.set(REGS + 0x48, bits & 0xFFFFFFFF)
                t.set(REGS + 0x4C, bits >> 32)
                t.set(REGS, moder)
                t.give(frame(100, to))
                t.compare((hex(moder), to, wanted))


def test_the_hash():
    # For each of some addresses, the bit that QEMU wants, and no other will do.
    b = board().up()
    for i in range(24):
        to = bytes((1 | i * 38 & 0xFE, i * 7 & 0xFF, i * 91 & 0xFF, i, i * i & 0xFF, 255 - i))
        bit = hashed(to)
        for mask, expected in ((1 << bit, [frame(64, to)]), (~(1 << bit), [])):
            b.bus.mem32[REGS + 0x48] = mask & 0xFFFFFFFF
            b.bus.mem32[REGS + 0x4C] = mask >> 32 & 0xFFFFFFFF
            b.give(frame(64, to))
            assert b.read() == expected, (to, bit)
