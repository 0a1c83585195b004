# boot.py stops an Ethernet DMA that an earlier program left running.
import sys

import emac_board
from emac_board import Board, frame

BOOT = emac_board.__file__.rsplit("/", 3)[0] + "/firmware/boot.py"


class Implementation:
    pass


class Module:
    pass


def boot(machine_name, mem32):
    # Run boot.py on a chip of this name.
    with open(BOOT) as f:
        text = f.read()
    stand_in = Module()
    stand_in.mem32 = mem32
    fake = Module()
    fake.implementation = Implementation()
    fake.implementation._machine = machine_name
    before = sys.modules.get("machine"), sys.modules.get("sys")
    sys.modules["machine"] = stand_in
    sys.modules["sys"] = fake
    try:
        exec(text, {})
    finally:
        for name, module in zip(("machine", "sys"), before):
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def test_the_dma_is_stopped_and_nothing_else():
    b = Board().up()
    b.give(frame(100))
    assert b.read() == [frame(100)]
    boot("Generic ESP32 module with ESP32", b.soc.mem32)
    assert not b.soc.emac_clocked() and b.soc._regs[0x3FF000CC] == 0x7CF
    assert b.soc._regs[0x3FF000D0] == 0x100 and b.emac.dma[0x18] == 0
    before = [bytes(buf) for _, _, buf in b.soc.memory._blocks]
    b.give(frame(300))
    b.emac.step()
    assert [bytes(buf) for _, _, buf in b.soc.memory._blocks] == before


def test_an_idle_chip_is_left_alone():
    b = Board()
    before = dict(b.soc._regs)
    boot("Generic ESP32 module with ESP32", b.soc.mem32)
    assert b.soc._regs == before


def test_no_other_chip_is_touched():
    class Nothing:
        def __getitem__(self, address):
            raise AssertionError("read of 0x%x" % address)

        __setitem__ = __getitem__

    for name in ("Generic ESP32S3 module with ESP32S3", "Raspberry Pi Pico with RP2040", "linux"):
        boot(name, Nothing())
