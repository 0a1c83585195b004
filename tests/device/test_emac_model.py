# The model itself: what it ends, and what it does by the book, without the driver. The programme
# is that of emac_sequence.py; single steps are left out, moved or spoilt.
import struct

import emac_sequence as table
from dma_memory import ModelError
from esp32_model import ESP32Model, Wiring
from viperip.link.pair import Pair

DMA = 0x3FF69000
EXT = 0x3FF69800
MAC = 0x3FF6A000
BUSMODE, TXPOLL, RXPOLL, RXBASE, TXBASE = DMA, DMA + 4, DMA + 8, DMA + 0xC, DMA + 0x10
STATUS, OPMODE, INTEN, MISSED, CURTXD, CURRXD = (
    DMA + 0x14,
    DMA + 0x18,
    DMA + 0x1C,
    DMA + 0x20,
    DMA + 0x48,
    DMA + 0x4C,
)
CONFIG, FILTER, GMIIADDR, GMIIDATA = MAC, MAC + 4, MAC + 0x10, MAC + 0x14
FAR = b"\x02\0\0\0\0\x0b"
ME = b"\x24\x0a\xc4\x12\x34\x59"


class Raw:
    # A board, and descriptors that the test writes.
    def __init__(self, steps=(), wiring=None, frames=4, size=256, **model):
        self.near, self.far = Pair.wire(FAR, FAR, 64, 1504)
        self.soc = ESP32Model(self.near, wiring, **model)
        self.emac = self.soc.emac
        self.mem = self.soc.mem32
        self.frames = frames
        self.rx, self.rx_at = self.soc.dma_alloc(32 * frames)
        self.tx, self.tx_at = self.soc.dma_alloc(32 * frames)
        self.buffers = [self.soc.dma_alloc(size) for _ in range(2 * frames)]
        for i in range(frames):
            after = (i + 1) % frames * 32
            words = (0x80000000, 0x4000 | size, self.buffers[i][1], self.rx_at + after)
            struct.pack_into("<4I", self.rx, 32 * i, *words)
            words = (0x00100000, 0, self.buffers[frames + i][1], self.tx_at + after)
            struct.pack_into("<4I", self.tx, 32 * i, *words)
        for step in steps:
            for one in step[1:]:
                self.do(*one)

    def do(self, kind, *more):
        mem = self.mem
        if kind == "w":
            value = {"rx": self.rx_at, "tx": self.tx_at}.get(more[1], more[1])
            mem[more[0]] = value
        elif kind == "read":
            mem[more[0]]
        elif kind == "poll":
            self.poll(*more)
        elif kind == "set":
            mem[more[0]] = mem[more[0]] | more[1]
        elif kind == "clear":
            mem[more[0]] = mem[more[0]] & ~more[1]
        elif kind == "field":
            mem[more[0]] = mem[more[0]] & ~more[1] | more[2]
        elif kind == "in":
            self.soc.pin(more[0])
        elif kind == "out":
            self.soc.pin(more[0], more[1])
        elif kind == "mdio":
            self.mdio(*more)
        else:
            raise ValueError(kind)

    def poll(self, address, bits, tries=1000):
        for _ in range(tries):
            if not self.mem[address] & bits:
                return True
        return False

    def mdio(self, reg, value=None, phy=1):
        self.poll(GMIIADDR, 1)
        if value is not None:
            self.mem[GMIIDATA] = value
        self.mem[GMIIADDR] = phy << 11 | reg << 6 | 1 | (0 if value is None else 2)
        self.poll(GMIIADDR, 1)
        return self.mem[GMIIDATA]

    def give(self, n=100, to=ME):
        data = to + FAR + b"\x88\xb5" + bytes(n - 14)
        self.far.borrow()[2 : 2 + n] = data
        self.far.send(n)
        self.mem[DMA + 0x1C]  # any access lets the DMA advance
        return data

    def rx_word(self, i, word=0, value=None):
        if value is not None:
            struct.pack_into("<I", self.rx, 32 * i + 4 * word, value)
        return struct.unpack_from("<I", self.rx, 32 * i + 4 * word)[0]

    def send(self, i, w0=0xB0100000, w1=100, demand=True):
        struct.pack_into("<II", self.tx, 32 * i, w0, w1)
        if demand:
            self.mem[TXPOLL] = 0
        return struct.unpack_from("<I", self.tx, 32 * i)[0]

    def sent(self):
        n = self.far.recv()
        if n:
            self.far.release()
        return n

    def status(self):
        return self.mem[STATUS]


BARE = table.BARE
UNTIL_START = table.BARE[: -len(table.START)]


def ends(words, function, *args):
    # The ModelError must say why.
    try:
        function(*args)
    except ModelError as e:
        assert words in e.args[0], e.args
        return
    raise AssertionError("the model forgave: " + words)


def write(raw, address, value):
    raw.mem[address] = value


# Clock and reset.


def test_the_programme_works():
    r = Raw(BARE)
    r.give()
    assert r.rx_word(0) == 104 << 16 | 0x320 and r.status() & 0x40
    r.send(0)
    assert r.sent() == 100 and r.emac.resets == 1


def test_no_access_without_the_bus_clock():
    for address in (DMA, EXT + 0xFC, MAC):
        ends("clock is off", lambda: Raw().mem[address])
        ends("clock is off", write, Raw(), address, 0)


def test_the_reset_waits_for_the_reference_clock():
    # Each of these leaves the MAC without its 50 MHz.
    steps = table.CLOCK_AND_RESET + table.PINS + table.CLOCK_IN
    for i in range(3):
        r = Raw(
            steps[: -len(table.CLOCK_IN) + i] + steps[len(steps) - len(table.CLOCK_IN) + i + 1 :]
        )
        r.mem[BUSMODE] = 1
        assert not r.poll(BUSMODE, 1, 20000), i
        ends("soft reset", lambda: r.mem[CONFIG])
        ends("soft reset", write, r, OPMODE, 0)
    r = Raw(steps, Wiring(oscillator=False))
    r.mem[BUSMODE] = 1
    assert not r.poll(BUSMODE, 1)
    r.soc.wiring.oscillator = True
    assert r.poll(BUSMODE, 1) and r.mem[BUSMODE] == 0x20100


def test_a_reset_forgets_dma_and_mac_but_not_ext():
    r = Raw(BARE)
    for one in table.STOP:
        for two in one[1:]:
            r.do(*two)
    r.mem[BUSMODE] = 1
    r.poll(BUSMODE, 1)
    assert r.mem[CONFIG] == 0x8000 and r.mem[OPMODE] == 0 and r.mem[CURRXD] == 0
    assert r.mem[MAC + 0x40] & 0xFFFFFFFF == 0x8000FFFF and r.mem[MAC + 0x44] == -1
    assert r.mem[EXT + 0x0C] == 0x8000 and r.mem[STATUS] == 0


def test_other_peripherals_are_left_alone():
    ends("radio", write, Raw(), 0x3FF000CC, 0x4000)
    ends("radio", write, Raw(), 0x3FF000D0, 0x80)
    ends("not the driver's", write, Raw(), 0x3FF49058, 0)  # a flash pin
    ends("not the driver's", write, Raw(), 0x3FF5A004, 0)
    ends("nothing", lambda: Raw().mem[0x60000000])


def test_what_is_no_register():
    r = Raw(table.CLOCK_AND_RESET)
    for address in (DMA + 0x28, DMA + 0x60, EXT + 0x14, MAC + 8, MAC + 0x100):
        ends("no EMAC register", lambda: r.mem[address])
        ends("no EMAC register", write, r, address, 0)
    ends("words", lambda: r.mem[DMA + 2])
    for address in (DMA + 0x20, DMA + 0x48, MAC + 0x24, EXT + 0xFC):
        ends("read only", write, r, address, 0)
    for address, value in ((BUSMODE, 1 << 27), (CONFIG, 1 << 25), (FILTER, 4), (INTEN, 1 << 20)):
        ends("reserved bits", write, r, address, value)


# The order of things.


def test_orders_that_are_not_forgiven():
    def prepared():
        r = Raw(UNTIL_START)
        r.mem[RXBASE] = r.rx_at
        r.mem[TXBASE] = r.tx_at
        return r

    ends("ST before CONFIG.TE", write, prepared(), OPMODE, 0x02202000)
    ends("RE before OPMODE.SR", write, prepared(), CONFIG, 0xC804)
    r = Raw(UNTIL_START)
    ends("RXBASE was not written", write, r, OPMODE, 0x02200002)
    r.mem[CONFIG] = 0xC808
    ends("TXBASE was not written", write, r, OPMODE, 0x02202000)
    r = Raw(BARE)
    ends("speed, duplex", write, r, CONFIG, 0x880C)
    ends("its DMA runs", write, r, RXBASE, r.rx_at)
    ends("its DMA runs", write, r, TXBASE, r.tx_at)
    ends("while the DMA runs", write, r, BUSMODE, 1)
    ends("CONFIG.TE cleared while OPMODE.ST", write, r, CONFIG, 0xC804)
    ends("FTF while", write, r, OPMODE, 0x02302002)
    r = prepared()
    r.mem[OPMODE] = 0x02300000
    ends("being flushed", write, r, OPMODE, 0x02200000)
    assert r.poll(OPMODE, 0x100000)
    r.mem[OPMODE] = 0x02200000


def test_settings_that_are_not_forgiven():
    r = Raw(UNTIL_START)
    ends("not aligned", write, r, RXBASE, r.rx_at + 2)
    ends("PBL", write, r, BUSMODE, 0x06022380)
    ends("IPC", write, r, CONFIG, 0xCC00)
    ends("PS is 0", write, r, CONFIG, 0x4808)
    r.mem[RXBASE] = r.rx_at
    ends("store and forward", write, r, OPMODE, 0x00200002)


def test_frames_that_are_being_moved_are_let_finish():
    r = Raw(BARE)
    r.send(0)
    r.mem[OPMODE] = 0x02200002
    ends("middle of a frame", write, r, CONFIG, 0xC804)
    r = Raw(BARE)
    r.give()
    ends("copied to memory", write, r, OPMODE, 0x02202000)
    assert r.poll(MAC + 0x24, 0x60)
    r.mem[OPMODE] = 0x02202000


def test_pins_that_are_not_the_macs():
    for i in (2, 3):
        steps = [s for s in BARE if s is not table.PINS[i]]
        ends("pin GPIO", Raw, steps)
    # Written, but the pad was never made plain: the RTC's pulls.
    steps = [s for s in BARE if s is not table.PINS[2]]
    bare = ("", ("w", 0x3FF49024, 0x5A00), ("w", 0x3FF49028, 0x5A00), ("w", 0x3FF4902C, 0x5A00))
    ends("pulls", Raw, (bare,) + tuple(steps))


# MDIO.


def test_mdio():
    r = Raw(UNTIL_START)
    assert r.mdio(2) == 7 and r.mdio(3) == 0xC0F1
    assert r.mdio(2, phy=0) == 0xFFFF
    r.mem[GMIIADDR] = 1 << 11 | 1
    ends("busy", lambda: r.mem[GMIIDATA])
    ends("busy", write, r, GMIIDATA, 0)
    ends("busy", write, r, GMIIADDR, 1)
    r.poll(GMIIADDR, 1)
    ends("2.5 MHz", write, r, GMIIADDR, 1 | 3 << 2)


# STATUS.


def test_status_bits_stay_until_they_are_written():
    r = Raw(BARE)
    r.give()
    assert r.status() & 0x40 and r.status() & 0x40
    r.mem[STATUS] = 0
    assert r.status() & 0x40
    r.mem[STATUS] = 0x40
    assert not r.status() & 0x40


def test_summaries_come_of_enabled_sources_only():
    r = Raw(BARE, frames=2)
    for _ in range(3):
        r.give()
    assert r.status() & 0x80 and not r.status() & 0x18000
    r.soc.serves_interrupts = True
    r.mem[STATUS] = 0xFFFFFFFF
    r.mem[INTEN] = 0x80 | 0x8000
    r.mem[RXPOLL] = 0
    assert r.status() & 0x8080 == 0x8080 and not r.status() & 0x10000
    r.mem[STATUS] = 0x80
    assert r.status() & 0x8000  # cleared by itself only
    r.mem[STATUS] = 0x8000
    assert not r.status() & 0x8000


def test_an_interrupt_that_nobody_serves():
    r = Raw(BARE)
    r.mem[INTEN] = 0x10040
    ends("interrupt", r.give)


# Receiving.


def test_suspension_and_missed_frames():
    r = Raw(BARE, frames=2)
    for _ in range(5):
        r.give()
    status = r.status()
    assert status & 0x80 and status >> 17 & 7 == 4 and r.mem[CURRXD] == r.rx_at
    assert r.mem[MISSED] == 3 and r.mem[MISSED] == 0
    r.rx_word(0, 0, 0x80000000)
    r.mem[RXPOLL] = 0
    assert r.status() >> 17 & 7 == 3
    r.give()
    assert not r.rx_word(0) >> 31 and r.mem[MISSED] == 0
    # A frame that arrives has it look again, too; some silicon wants the demand.
    for wedges in (False, True):
        r = Raw(BARE, frames=2, wedges=wedges)
        for _ in range(3):
            r.give()
        r.rx_word(0, 0, 0x80000000)
        r.give()
        assert bool(r.rx_word(0) >> 31) == wedges


def test_a_frame_over_several_descriptors():
    r = Raw(BARE, size=64)
    r.give(150)
    words = [r.rx_word(i) for i in range(4)]
    assert words == [0x200, 0, 154 << 16 | 0x120, 0x80000000]


def test_ring_mode_and_skips():
    # Not chained: the next descriptor lies behind, or at the base after one with RER. The same
    # with short descriptors and four words left out (DSL).
    for busmode in (0x06022080, 0x06022000 | 4 << 2):
        r = Raw(UNTIL_START)
        r.mem[BUSMODE] = busmode
        for i in range(4):
            r.rx_word(i, 1, 64 | (0x8000 if i == 3 else 0))
        for step in table.START:
            for one in step[1:]:
                r.do(*one)
        for i in range(4):
            r.give(60)
            assert not r.rx_word(i) >> 31
        assert r.mem[CURRXD] == r.rx_at
    r = Raw(UNTIL_START)
    r.mem[BUSMODE] = 0x06022000
    r.rx_word(0, 1, 64)
    for step in table.START:
        for one in step[1:]:
            r.do(*one)
    r.give(60)
    assert r.mem[CURRXD] == r.rx_at + 16


def test_addresses_out_of_reach_are_a_bus_error():
    for word, address, code in ((2, 0x3F800000, 0), (3, 0x50000000, 6)):
        r = Raw(BARE)
        r.rx_word(0, word, address)
        r.give()
        assert r.status() & 0x2000 and r.status() >> 23 & 7 == code
        r.mem[STATUS] = 0xFFFFFFFF
        r.give()  # the DMA is dead
        assert r.rx_word(1) == 0x80000000


def test_memory_of_somebody_else_ends_it():
    r = Raw(BARE)
    r.rx_word(0, 2, 0x3FFD0000)
    ends("not the driver's", r.give)
    r = Raw(BARE)
    r.rx_word(0, 1, 0x4000 | 260)
    ends("past its end", r.give)
    r = Raw(BARE)
    r.rx_word(0, 1, 0x4000 | 254)
    ends("RDES1", r.give)
    r = Raw(BARE)
    r.rx_word(0, 3, r.rx_at + 34)
    ends("not aligned", r.give)


def test_the_fifo_holds_what_the_dma_does_not_take():
    r = Raw(BARE)
    r.mem[MAC + 0x24]
    r.poll(MAC + 0x24, 0x60)
    r.mem[OPMODE] = 0x02202000
    for _ in range(8):
        r.give(400)
    assert r.status() & 0x10 and r.mem[MISSED] >> 17 == 3


def test_the_filter_latches_with_the_low_half():
    r = Raw(BARE)
    r.mem[MAC + 0x44] = 0x030201FE  # low first: the high half is the old one
    r.mem[MAC + 0x40] = 0x0504
    r.give(60, b"\xfe\1\2\3\4\5")
    assert r.rx_word(0) >> 31
    r.mem[MAC + 0x44] = 0x030201FE
    r.give(60, b"\xfe\1\2\3\4\5")
    assert not r.rx_word(0) >> 31


# Sending.


def test_transmit_suspends_and_resumes_on_demand():
    r = Raw(BARE)
    r.send(0)
    assert r.status() & 4 and r.status() >> 20 & 7 == 6 and r.mem[CURTXD] == r.tx_at + 32
    assert r.sent() == 100
    r.send(1, demand=False)
    r.mem[STATUS]
    assert not r.sent()
    r.mem[TXPOLL] = 0
    assert r.sent() == 100


def test_transmit_status_and_padding():
    r = Raw(BARE)
    assert not r.status() & 1
    assert r.send(0, 0xF0100000, 14) == 0x30100000
    assert r.status() & 1 and r.sent() == 60
    r.emac.tx_error = 0x200
    assert r.send(1) == 0x30108200


def test_a_frame_gathered_from_two_descriptors():
    r = Raw(BARE)
    r.send(1, 0xA0100000, 50, False)
    r.send(0, 0x90100000, 14)
    assert r.sent() == 64 and r.tx[3] == 0x10 and r.tx[35] == 0x20


def test_frames_that_are_not_forgiven():
    for w0, w1, words in (
        (0xA0100000, 100, "has FS"),
        (0xB0500000, 100, "CIC"),
        (0xB8100000, 100, "FCS"),
        (0xB4100000, 100, "padding"),
        (0xB0100000, 0, "empty buffer"),
        (0xB0100000, 100 | 1 << 16, "second buffer"),
        (0xB0100000, 13, "13 bytes"),
        (0xB0100000, 300, "past its end"),
        (0x90100000, 100, "next descriptor is not the DMA's"),
    ):
        ends(words, Raw(BARE).send, 0, w0, w1)
    r = Raw(BARE)
    struct.pack_into("<I", r.tx, 8, 0x3F400000)
    r.send(0)
    assert r.status() & 0x2000 and r.status() >> 23 & 7 == 3


def test_a_wrong_speed_hears_nothing():
    r = Raw(BARE)
    r.soc.phy.partner = 0x4021
    r.give()
    r.send(0)
    assert r.rx_word(0) >> 31 and not r.sent()
    assert r.emac.deaf == 1 and r.emac.unheard == 1


def test_real_time():
    # As `sim` wants it: links come up while the program waits, and waits of the driver cost none.
    import time

    from phy_model import PHYModel
    from viperip.link.esp32.emac import EMAC

    near, _ = Pair.wire(FAR, FAR, 4, 1504)
    phy = PHYModel(None, negotiation_ms=150)
    dev = EMAC(ESP32Model(near, Wiring(power=16, reset=5), phy, real_time=True), power=16, reset=5)
    start = time.ticks_ms()
    dev.up()
    dev.recv()
    assert time.ticks_diff(time.ticks_ms(), start) < 100
    while not dev.link():
        time.sleep_ms(10)
        dev.recv()
        assert time.ticks_diff(time.ticks_ms(), start) < 5000


def test_what_mem32_reads_has_a_sign():
    r = Raw(BARE)
    assert r.mem[MAC + 0x3C] == -1 and r.mem[MAC + 0x40] < 0
