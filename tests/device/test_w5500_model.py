# The model of the W5500 refuses what the chip would not forgive; each test makes one mistake.
from dma_memory import ModelError
from viperip.link.pair import Pair
from w5500_board import MAC, PEER_MAC, frame
from w5500_model import W5500Model

WRITE = 4
S0 = 0x08
TX = 0x10
RX = 0x18


class Chip(W5500Model):
    # The model with transactions by hand; socket 0 is open.
    def __init__(self, opened=True, **settings):
        self.wire, end = Pair.wire(PEER_MAC, MAC, 64)
        super().__init__(end)
        self.command_us = 1
        for name in settings:
            setattr(self, name, settings[name])
        self.clock.sleep_ms(5)
        if opened:
            self.put(0, 9, MAC)
            self.memory()
            self.put(S0, 0, b"\x84")
            self.order(1)

    def memory(self):
        for n in range(7, -1, -1):
            self.put(S0 + 32 * n, 0x1E, b"\x10\x10" if n == 0 else b"\0\0")

    def put(self, control, address, data):
        self.cs(0)
        self.write(bytes((address >> 8, address & 0xFF, control | WRITE)) + data)
        self.cs(1)

    def get(self, control, address, n):
        out = bytearray((address >> 8, address & 0xFF, control)) + bytearray(n)
        self.cs(0)
        self.write_readinto(out, out)
        self.cs(1)
        return out[3:]

    def order(self, command):
        self.put(S0, 1, bytes((command,)))
        self.clock.pass_us(50)
        self.get(S0, 1, 1)

    def push(self, *frames):
        for f in frames:
            self.wire.borrow()[2 : 2 + len(f)] = f
            self.wire.send(len(f))
        self.step()


def refused(text, function, *args):
    try:
        function(*args)
    except ModelError as e:
        assert text in str(e), e
        return
    raise AssertionError("the model let it pass: " + text)


def test_a_right_driver_passes():
    c = Chip()
    assert c.get(0, 0x39, 1) == b"\x04" and c.get(S0, 3, 1) == b"\x42"
    assert c.get(S0, 0x20, 10) == b"\x40\0\0\0\0\0\0\0\0\0"
    c.put(TX, 0, frame(1))
    c.put(S0, 0x24, b"\0\x3c")
    c.order(0x20)
    c.clock.sleep_ms(1)
    assert c.get(S0, 0x20, 6) == b"\x40\0\0\x3c\0\x3c" and c.get(S0, 2, 1) == b"\x10"
    assert c.wire.recv() == 60
    c.wire.release()
    c.push(frame(2))
    assert c.get(S0, 0x26, 2) == b"\0\x3e" and c.irq() == 1
    c.put(0, 0x18, b"\1")
    assert c.irq() == 0
    assert c.get(RX, 0, 62) == b"\0\x3e" + frame(2)
    c.put(S0, 0x28, b"\0\x3e")
    c.order(0x40)
    assert c.get(S0, 0x26, 2) == b"\0\0"
    c.put(S0, 2, b"\x14")
    assert c.get(S0, 2, 1) == b"\0" and c.irq() == 1


def test_registers_after_reset():
    c = Chip(opened=False)
    assert c.get(0, 0x19, 3) == b"\x07\xd0\x08"
    assert c.get(0, 0x2E, 1) == b"\xbf" and c.get(S0, 0x1E, 2) == b"\2\2"
    assert c.get(S0, 0, 4) == bytes(4)
    c.put(0, 9, MAC)
    c.put(0, 0, b"\x80")
    c.clock.sleep_ms(5)
    assert c.get(0, 9, 6) == bytes(6) and c.get(0, 0, 1) == b"\0"


def test_ones_clear_interrupts_and_zeros_do_not():
    c = Chip()
    c.push(frame())
    c.put(0, 0x18, b"\1")
    c.put(S0, 2, b"\x10")
    assert c.get(S0, 2, 1) == b"\x04"
    c.put(S0, 2, b"\x04")
    assert c.get(S0, 2, 1) == b"\0"


def test_the_phy_can_be_held_in_reset():
    c = Chip()
    c.put(0, 0x2E, b"\x38")
    assert c.get(0, 0x2E, 1)[0] & 1 == 0
    c.put(0, 0x2E, b"\xb8")
    assert c.get(0, 0x2E, 1)[0] & 7 == 7


def test_chip_select():
    c = Chip()
    refused("without chip select", c.write, b"\0\0\0\0")
    c.cs(0)
    refused("not high", c.cs, 0)
    c = Chip()
    c.cs(0)
    c.write(b"\0\x39")
    refused("inside address", c.cs, 1)
    c = Chip()
    c.cs(0)
    c.write(b"\0\x39\0")
    refused("without data", c.cs, 1)


def test_a_transaction_may_be_in_pieces():
    c = Chip()
    c.cs(0)
    c.write(b"\0")
    c.write(b"\x09\0")
    a, b = bytearray(2), bytearray(4)
    c.readinto(a)
    c.readinto(b)
    c.cs(1)
    assert bytes(a) + bytes(b) == MAC


def test_control_bytes():
    c = Chip()
    refused("fixed data length", c.get, 1, 0x39, 1)
    c = Chip()
    refused("reserved", c.get, 0x20, 0, 1)
    refused("reserved", Chip().put, 0x80, 0, b"\0")
    # A read where a write was meant.
    c = Chip()
    c.cs(0)
    refused("nobody takes", c.write, b"\0\x01\x08\x20")
    c = Chip()
    c.cs(0)
    c.write(b"\0\0" + bytes((TX | WRITE,)))
    refused("without data", c.readinto, bytearray(4))


def test_registers_that_are_not_to_be_written():
    refused("read-only", Chip().put, S0, 3, b"\x42")
    refused("read-only", Chip().put, S0, 0x26, b"\0\0")
    refused("reserved", Chip().put, S0, 0x18, b"\0")
    refused("common", Chip().put, 0, 0x39, b"\4")
    refused("receive memory", Chip().put, RX, 0, b"abc")
    refused("half a pointer", Chip().put, S0, 0x24, b"\0")
    refused("while the socket is open", Chip().put, S0, 0, b"\4")
    refused("while its socket is open", Chip().put, S0, 0x1E, b"\x08")
    refused("3 KB", Chip(False).put, S0, 0x1E, b"\x03")


def test_nothing_is_written_before_the_chip_is_awake():
    c = Chip(False)
    c.brown_out()
    refused("awake", c.put, 0, 9, MAC)
    c = Chip(False)
    c.put(0, 0, b"\x80")
    refused("under way", c.put, 0, 9, MAC)


def test_a_short_pulse_on_the_reset_pin():
    c = Chip()
    c.reset(0)
    c.clock.pass_us(100)
    refused("500 us", c.reset, 1)


def test_commands():
    refused("not MACRAW", _open_with, b"\x02")
    refused("OPEN of an open", Chip().order, 1)
    refused("16 KB in all", _open_too_large)
    refused("command 0x04", Chip().order, 4)
    refused("without an open socket", Chip(False).order, 0x40)
    c = Chip(command_us=1)
    c.command_us = None
    c.put(S0, 1, b"\x10")
    refused("busy", c.put, S0, 1, b"\x10")
    refused("busy", c.put, S0, 0x24, b"\0\0")
    refused("busy", c.put, S0, 0x28, b"\0\0")


def _open_with(mode):
    c = Chip(False)
    c.memory()
    c.put(S0, 0, mode)
    c.order(1)


def _open_too_large():
    c = Chip(False)
    c.put(S0, 0x1E, b"\x10\x10")
    c.put(S0, 0, b"\x04")
    c.order(1)


def test_sending():
    refused("was not moved", Chip().order, 0x20)
    c = Chip()
    c.put(TX, 0, frame())
    c.put(S0, 0x24, b"\0\x20")
    refused("pads", c.order, 0x20)
    c = Chip()
    c.put(TX, 0, frame())
    c.put(S0, 0x24, b"\0\x64")
    refused("of which 60 were written", c.order, 0x20)
    c = Chip()
    c.put(TX, 0, bytes(1600))
    c.put(S0, 0x24, b"\x06\x40")
    refused("SEND of 1600", c.order, 0x20)
    refused("more than Sn_TX_FSR", Chip().put, TX, 16000, bytes(500))
    refused("from where the frame starts", Chip().put, TX, 2, frame())


def test_one_frame_at_a_time():
    c = Chip(speed=10)
    c.put(TX, 0, frame(1, 1000))
    c.put(S0, 0x24, b"\x03\xe8")
    c.order(0x20)
    refused("overwritten", c.put, TX, 0, frame(2))
    c.put(TX, 1000, frame(2))
    c.put(S0, 0x24, b"\x04\x24")
    refused("on its way", c.order, 0x20)


def test_receiving():
    c = Chip()
    c.push(frame(1), frame(2))
    refused("RECV, but", c.order, 0x40)
    c = Chip()
    c.push(frame(1), frame(2))
    c.put(S0, 0x28, b"\0\x20")
    refused("inside a frame", c.order, 0x40)
    c = Chip()
    c.push(frame(1), frame(2))
    c.put(S0, 0x28, b"\x01\0")
    refused("beyond what was received", c.order, 0x40)
    c = Chip()
    c.push(frame(1), frame(2))
    c.put(S0, 0x28, b"\0\x3e")
    refused("RECV did not tell", c.put, S0, 0x28, b"\0\x7c")


def test_a_driver_that_never_moves_on():
    c = Chip()
    c.push(frame(1))

    def again():
        for _ in range(50):
            c.get(RX, 0, 62)

    refused("again and again", again)


def test_an_absent_chip_answers_nothing():
    c = Chip()
    c.present = False
    assert c.get(0, 0x39, 3) == b"\xff\xff\xff"
    c.floating = 0
    assert c.get(0, 0x39, 3) == bytes(3)
    c.put(0x80, 0, b"\0")


def test_time_passes_with_bytes():
    c = Chip()
    before = c.clock.now()
    c.get(RX, 0, 1997)
    assert c.clock.now() - before == 2000 * 8 // 20
