# Bring-up of the ESP32's EMAC: what works, and how each thing that can be wrong is named.
from dma_memory import ModelError
from emac_board import ALL, Board, Wiring, failing, frame
from esp32_model import ESP32Model
from viperip.errors import ENODEV, ENOMEM, ETIMEDOUT
from viperip.link.esp32 import clock
from viperip.link.esp32.emac import EMAC

DMA = 0x3FF69000
MACB = 0x3FF6A000


def says(error, number, *words):
    assert error.args[0] == number, error.args
    for word in words:
        assert word in error.args[1], (word, error.args)
    return error


def works(b):
    # Frames pass both ways.
    assert b.dev.link() and b.dev.error is None
    b.give(frame(200))
    assert b.read() == [frame(200)]
    assert b.send(frame(99, ALL)) and b.sent() == [frame(99, ALL)]
    assert b.trouble() == {}
    return b


def test_the_address_is_the_fused_one_with_three_added():
    b = Board(Wiring(mac=b"\x24\x0a\xc4\x12\x34\xfe"))
    assert b.dev.mac == b"\x24\x0a\xc4\x12\x34\x01"
    b = Board(Wiring(mac=b"\xfc\xf5\xc4\x92\x34\x56"))  # a negative word in mem32
    assert b.dev.mac == b"\xfc\xf5\xc4\x92\x34\x59"
    assert Board(mac=b"\x02\1\2\3\4\5").dev.mac == b"\x02\1\2\3\4\5"


def test_empty_fuses_are_named():
    for mac in (bytes(6), b"\xff\xff\xff\xff\xff\xff"):
        says(failing(Board, Wiring(mac=mac)), ENODEV, "eFuses")


def test_the_registers_after_bring_up():
    m = works(Board().up()).soc.mem32
    # ESP-IDF's values but for: store and forward both ways, no checksum engine, all multicast.
    for address, value in (
        (DMA + 0x00, 0x06022080),
        (DMA + 0x18, 0x02202002),
        (DMA + 0x1C, 0),
        (MACB + 0x00, 0xC80C),
        (MACB + 0x04, 0x10),
        (MACB + 0x18, 0),
        (MACB + 0x3C, 0xFFFFFFFF),
        (MACB + 0x40, 0x80005934),
        (MACB + 0x44, 0x12C40A24),
    ):
        assert m[address] & 0xFFFFFFFF == value, (hex(address), hex(m[address]))


def test_rx_frames_says_what_the_ring_holds():
    b = Board(rx_frames=5).up()
    assert b.dev.rx_frames == 5
    b.give(*[frame(100, tag=i) for i in range(5)])
    assert b.read() == [frame(100, tag=i) for i in range(5)]


def test_no_clock_ends_in_a_bounded_time_and_is_named():
    b = Board(Wiring(oscillator=False))
    before = b.soc.ticks_ms()
    says(failing(b.dev.up), ETIMEDOUT, "50 MHz", "GPIO0")
    assert b.soc.ticks_ms() - before <= 150
    assert b.dev.error and not b.dev.link() and b.dev.recv() == 0 and b.dev.borrow() is None
    b.dev.down()
    b.soc.wiring.oscillator = True
    works(b.up())


def test_a_clock_that_the_power_pin_switches():
    w = Wiring(power=16)
    says(failing(Board(w).dev.up), ETIMEDOUT, "power")
    works(Board(w, power=16).up())


def test_the_esp32_makes_the_clock():
    for mode, xtal in (
        ("GPIO17_OUT", 40),
        ("GPIO16_OUT", 40),
        ("GPIO0_OUT", 40),
        ("GPIO17_OUT", 26),
        ("GPIO17_OUT", 32),
    ):
        works(Board(Wiring(clock=mode, xtal=xtal), clock=mode).up())


def test_the_first_revision_makes_it_of_40_mhz_only():
    works(Board(Wiring(clock="GPIO17_OUT", revision=0), clock="GPIO17_OUT").up())
    b = Board(Wiring(clock="GPIO17_OUT", revision=0, xtal=26), clock="GPIO17_OUT")
    says(failing(b.dev.up), ENODEV, "50 MHz")
    b = Board(Wiring(clock="GPIO17_OUT", xtal=24), clock="GPIO17_OUT")
    says(failing(b.dev.up), ENODEV, "crystal of 24 MHz")


def test_the_wrong_clock_mode_is_named():
    # Nobody drives GPIO0.
    says(failing(Board(Wiring(clock="GPIO17_OUT")).dev.up), ETIMEDOUT, "50 MHz", "GPIO17_OUT")
    # The MAC has its clock, the PHY, on another pin, has none and is silent.
    b = Board(Wiring(clock="GPIO16_OUT"), clock="GPIO17_OUT")
    says(failing(b.dev.up), ENODEV, "PHY", "clock")


def test_wrong_mdio_pins_and_an_absent_phy_are_named():
    for arguments in ({"mdc": 32}, {"mdio": 33}, {"mdc": 18, "mdio": 23}):
        says(failing(Board(**arguments).dev.up), ENODEV, "mdc", "mdio")
    b = Board()
    b.phy.power(False)
    says(failing(b.dev.up), ENODEV, "PHY")
    b.phy.power(True)
    works(b.up())


def test_pins_that_cannot_be_are_refused():
    for arguments, word in (
        ({"mdc": 28}, "no GPIO28"),
        ({"mdc": 40}, "no GPIO40"),
        ({"mdio": 35}, "input only"),
        ({"mdc": 6}, "flash"),
        ({"mdc": 18}, "twice"),
        ({"power": 25}, "RMII"),
        ({"reset": 0}, "RMII"),
        ({"power": 17, "clock": "GPIO17_OUT"}, "RMII"),
        ({"clock": "GPIO5_OUT"}, "clock: one of"),
        ({"phy_type": "NE2000"}, "phy_type: one of"),
        ({"rx_frames": 1}, "2 buffers"),
    ):
        try:
            Board(**arguments).up()
        except ValueError as e:
            assert word in e.args[0], e.args
        else:
            raise AssertionError(arguments)


def test_a_heap_in_psram_is_refused_with_what_to_do():
    b = Board(model={"psram": True})
    says(failing(b.dev.up), ENOMEM, "PSRAM", "ESP32_GENERIC")
    assert b.emac.rx_current == 0 and b.dev.recv() == 0
    b.soc.psram = False
    works(b.up())


def test_no_emac_is_named():
    b = Board()
    b.emac.ext[0xFC] = 0
    b.emac.power_on = lambda: None
    says(failing(b.dev.up), ENODEV, "no EMAC")


def test_the_phy_is_found_wherever_it_is():
    b = Board()
    b.phy.address = 0
    assert works(b.up()).dev.phy.address == 0
    b = Board(phy_addr=1)
    b.phy.address = 31
    assert works(b.up()).dev.phy.address == 31
    assert works(Board(phy_addr=1).up()).dev.phy.address == 1


def test_reset_and_power_pins():
    b = Board(Wiring(power=12, reset=5), power=12, reset=5)
    works(b.up())
    assert b.soc.pins[12] == 1 and b.soc.pins[5] == 1
    # A board that has a reset pin, driven by nobody else, stays in reset without it.
    b = Board(Wiring(reset=5))
    b.soc.pin(5, 0)
    says(failing(b.dev.up), ENODEV, "PHY")


def test_a_phy_stuck_in_reset_is_named():
    b = Board()
    b.phy.stuck_in_reset = True
    before = b.soc.ticks_ms()
    says(failing(b.dev.up), ETIMEDOUT, "PHY's reset")
    assert b.soc.ticks_ms() - before < 1200


def test_up_and_down_again_and_again():
    b = Board()
    for _ in range(5):
        works(b.up())
        b.dev.up()
        b.dev.down()
        b.dev.down()
        assert not b.dev.link() and b.dev.borrow() is None and b.dev.recv() == 0
    assert b.count("link_up") == 5


def test_nothing_is_written_after_down():
    b = works(Board().up())
    b.give(frame(300))
    b.read()
    b.dev.down()
    before = [bytes(buf) for _, _, buf in b.soc.memory._blocks]
    b.give(*[frame(1000, tag=i) for i in range(20)])
    for _ in range(20):
        b.emac.step()
    assert [bytes(buf) for _, _, buf in b.soc.memory._blocks] == before
    assert b.soc.mem32[DMA + 0x18] & 0x2002 == 0 and b.soc.mem32[MACB] & 0xC == 0


def test_down_after_an_exception_in_the_middle():
    # Ctrl-C just when the DMA had been started.
    b = Board()
    rewind = b.emac.demand_rx

    def interrupted():
        raise KeyboardInterrupt

    b.emac.demand_rx = interrupted
    try:
        b.up()
    except KeyboardInterrupt:
        pass
    b.emac.demand_rx = rewind
    b.dev.down()
    assert b.soc.mem32[DMA + 0x18] & 0x2002 == 0 and b.soc.mem32[MACB] & 0xC == 0
    works(b.up())


def test_a_start_after_an_exception_in_the_middle():
    # The same while the link comes up from recv(), and nobody calls down().
    b = Board()
    b.phy.unplug()
    b.up()
    b.phy.plug()
    demand = b.emac.demand_rx

    def interrupted():
        raise KeyboardInterrupt

    b.emac.demand_rx = interrupted
    try:
        b.after(200)
    except KeyboardInterrupt:
        pass
    b.emac.demand_rx = demand
    b.after(1100)
    works(b)


def test_down_while_a_frame_is_lent():
    b = works(Board().up())
    b.give(frame(300), frame(301))
    assert b.dev.recv() == 300
    b.dev.down()
    b.dev.release()
    assert b.dev.recv() == 0
    works(b.up())


def test_a_running_emac_is_stopped_before_anything_else():
    # As after Ctrl-D: the program is new, the hardware is not.
    b = works(Board(power=12).up())
    again = EMAC(b.soc, power=12)
    allocated = len(b.soc.memory._blocks)
    regs = b.soc._regs

    def alloc(n, align=4, real=b.soc.dma_alloc):
        assert not b.emac.dma[0x18] & 0x2002, "memory is taken while the old DMA runs"
        return real(n, align)

    def delay(n, real=b.soc.delay_ms):
        assert not b.soc.emac_clocked() or not b.emac.dma[0x18] & 2, "the old DMA runs on"
        real(n)

    b.soc.dma_alloc = alloc
    b.soc.delay_ms = delay
    b.dev = again
    works(b.up())
    assert len(b.soc.memory._blocks) > allocated and regs[0x3FF000CC] == 0x47CF


def test_halt_stops_it_and_leaves_the_rest_alone():
    b = works(Board().up())
    clock.halt(b.soc)
    assert not b.soc.emac_clocked() and b.soc._regs[0x3FF000CC] == 0x7CF
    clock.halt(b.soc)  # no access to what has no clock
    before = [bytes(buf) for _, _, buf in b.soc.memory._blocks]
    b.give(frame(300))
    b.emac.step()
    assert [bytes(buf) for _, _, buf in b.soc.memory._blocks] == before


def test_inheriting_from_the_firmwares_lan():
    arguments = {"mdc": 23, "mdio": 18, "phy_type": "LAN8720", "phy_addr": 1}
    b = works(Board(inherit=arguments).up())
    assert b.soc.stock == arguments
    m = b.soc.mem32
    assert m[MACB] == 0xC80C and m[DMA + 0x18] == 0x02202002 and m[DMA + 0x1C] == 0
    b.dev.down()
    works(b.up())  # its constructor runs once
    b = Board(inherit={"mdc": 32, "mdio": 18})
    failing(b.dev.up)


def test_inheriting_a_clock_that_the_firmware_made():
    for mode in ("GPIO17_OUT", "GPIO16_OUT", "GPIO0_OUT"):
        arguments = {"mdc": 23, "mdio": 18, "ref_clk": int(mode[4:-4]), "ref_clk_mode": "OUT"}
        works(Board(Wiring(clock=mode), clock=mode, inherit=arguments).up())


def test_a_silent_mdio_is_named():
    # The MAC's side of MDIO hangs.
    b = Board()
    read = b.emac._read_mac
    b.emac._read_mac = lambda at: 1 if at == 0x10 else read(at)
    says(failing(b.dev.up), ETIMEDOUT, "MDIO")


def test_the_model_ends_what_it_does_not_forgive():
    # Not an Exception: no handler of the stack may count it and go on.
    assert not issubclass(ModelError, Exception)
    soc = ESP32Model()
    try:
        soc.mem32[DMA]
    except ModelError as e:
        assert "clock is off" in e.args[0]
    else:
        raise AssertionError("no ModelError")
