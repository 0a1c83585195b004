# A modelled ESP32 with a board around it, as far as its Ethernet goes: the bus for a driver.
#
# DPORT, IO_MUX and the GPIO matrix, the APLL behind its bridge, eFuses, and the wires to the PHY.
# Written from the TRM (chapters "DPort Registers", "IO_MUX and GPIO Matrix", "eFuse Controller")
# and ESP-IDF's dport_reg.h, io_mux_reg.h, gpio_sig_map.h, clk_tree_ll.h. The driver shares no
# table with it. What it cannot know of silicon it leaves out: it is no proof.
import time

from dma_memory import Memory, ModelError
from emac_model import EMACModel
from phy_model import PHYModel

_CLK_EN = const(0x3FF000CC)
_RST_EN = const(0x3FF000D0)
_IO_MUX = const(0x3FF49000)
_IN_SEL = const(0x3FF44130)
_OUT_SEL = const(0x3FF44530)
_BRIDGE = const(0x3FF4E00C)

# IO_MUX offsets of the pads that matter, TRM, "IO_MUX Pad Summary".
_PAD = {
    0: 0x44, 1: 0x88, 2: 0x40, 3: 0x84, 4: 0x48, 5: 0x6C, 12: 0x34, 13: 0x38, 14: 0x30, 15: 0x3C,
    16: 0x4C, 17: 0x50, 18: 0x70, 19: 0x74, 21: 0x7C, 22: 0x80, 23: 0x8C, 25: 0x24, 26: 0x28,
    27: 0x2C, 32: 0x1C, 33: 0x20,
}  # fmt: skip
_RTC_PADS = (0, 2, 4, 12, 13, 14, 15, 25, 26, 27, 32, 33)
# Bits of the shared DPORT words that the radio has set.
_RADIO_CLK = const(0x000007CF)
_RADIO_RST = const(0x00000100)


class Wiring:
    """How a modelled board is made.

    clock: where its 50 MHz pass, as EMAC's argument; oscillator: it has one that works (with
    clock="GPIO0_IN"); power_gates_clock: the power pin switches the oscillator.
    """

    def __init__(
        self,
        clock="GPIO0_IN",
        mdc=23,
        mdio=18,
        power=None,
        reset=None,
        oscillator=True,
        power_gates_clock=True,
        xtal=40,
        revision=3,
        mac=b"\x24\x0a\xc4\x12\x34\x56",
    ):
        self.clock = clock
        self.mdc = mdc
        self.mdio = mdio
        self.power = power
        self.reset = reset
        self.oscillator = oscillator
        self.power_gates_clock = power_gates_clock
        self.xtal = xtal
        self.revision = revision
        self.mac = mac  # the base address in the eFuses


class ESP32Model:
    """The bus of a modelled board. cable: a link device, the other end of the wire.

    psram: the heap lies in PSRAM, out of the DMA's reach. real_time: its clock follows the
    interpreter's; else it moves with delays and register accesses only, and with advance().
    `phy` and `emac` are the models behind the registers. More arguments go to EMACModel.
    """

    def __init__(self, cable=None, wiring=None, phy=None, psram=False, real_time=False, **emac):
        self.now = 0  # microseconds
        self._real = time.ticks_ms() if real_time else None
        self.wiring = wiring or Wiring()
        self.psram = psram
        self.serves_interrupts = False
        self.memory = Memory(0x3FFB0000, 0x3FFE0000)
        self.phy = phy or PHYModel()
        self.phy.on_board(self.ticks_us)
        self.emac = EMACModel(self, self.phy, **emac)
        self.emac.cable = self.phy.cable = cable
        self.cable = cable
        self.mem32 = _Mem32(self)
        self.pins = {}  # gpio: None for an input, or its value
        self.stock = None  # arguments of the firmware's network.LAN, once it is constructed
        self._apll = bytearray(16)
        self._apll_steps = []
        self._bridge = 0
        self._bridge_busy = 0
        self._regs = {
            _CLK_EN: _RADIO_CLK,
            _RST_EN: _RADIO_RST,
            0x3FF48000: 0x1C492000 | 0x40000,
            0x3FF4E044: 0,
            0x3FF48030: 0x800000,
            0x3FF480B0: self.wiring.xtal | self.wiring.xtal << 16,
            0x3FF5A00C: 0x8000 if self.wiring.revision else 0,
            _IO_MUX: 0x777,
        }
        mac = self.wiring.mac
        self._regs[0x3FF5A004] = mac[2] << 24 | mac[3] << 16 | mac[4] << 8 | mac[5]
        self._regs[0x3FF5A008] = mac[0] << 8 | mac[1] | 0xA5 << 16
        for gpio in _PAD:
            self._regs[_IO_MUX + _PAD[gpio]] = 0x0B00 if gpio in _RTC_PADS else 0x2800
        for gpio in range(40):
            self._regs[_OUT_SEL + 4 * gpio] = 0x100
        self._regs[_IN_SEL + 4 * 201] = 0x30
        self._plain = {}  # pads that Pin() has made plain: away from the RTC, no pulls

    # The contract of a bus: viperip/link/bus.py.

    def ticks_ms(self):
        ms = self.now // 1000
        if self._real is not None:
            ms += time.ticks_diff(time.ticks_ms(), self._real)
        return ms

    def ticks_us(self):
        """Time for what is not the MAC: it passes by itself in real time."""
        us = self.now
        if self._real is not None:
            us += 1000 * time.ticks_diff(time.ticks_ms(), self._real)
        return us

    def delay_us(self, n):
        self.now += n

    def delay_ms(self, n):
        self.now += n * 1000

    def advance(self, ms):
        """Let time pass."""
        self.now += ms * 1000

    def dma_alloc(self, n, align=4):
        from viperip.link.bus import check_dma

        if self.psram:
            check_dma(0x3F800000, n, align, 0x3FFAE000, 0x40000000)
        buf, address = self.memory.alloc(n, align)
        check_dma(address, n, align, 0x3FFAE000, 0x40000000)
        return buf, address

    def pin(self, gpio, value=None):
        if gpio not in _PAD:
            raise ValueError("invalid pin")
        self.pins[gpio] = value
        self._plain[gpio] = True
        self._regs[_IO_MUX + _PAD[gpio]] = 0x2A00 if value is None else 0x2800
        self._regs[_OUT_SEL + 4 * gpio] = 0x100
        self._power_changed()

    def fileno(self):
        return self.cable.fileno() if self.cable is not None else -1

    def stock_lan(self, **arguments):
        """What the constructor of the firmware's network.LAN leaves behind."""
        if self.stock is not None:
            raise OSError("network.LAN is a singleton")
        w = self.wiring
        clock = "GPIO0_IN"
        if arguments.get("ref_clk_mode") == "OUT":
            clock = "GPIO%d_OUT" % arguments["ref_clk"]
        if (arguments.get("mdc"), arguments.get("mdio"), clock) != (w.mdc, w.mdio, w.clock):
            raise OSError("network.LAN: the PHY does not answer")
        self.stock = arguments
        if w.power is not None:
            self.pin(arguments["power"], 1)
        r = self._regs
        r[_CLK_EN] |= 0x4000
        self.emac.power_on()
        for gpio in (25, 26, 27, 19, 21, 22):
            self.pin(gpio)
            r[_IO_MUX + _PAD[gpio]] = 0x5A00
        self.pin(w.mdc, 0)
        self.pin(w.mdio, 0)
        r[_OUT_SEL + 4 * w.mdc] = 200
        r[_OUT_SEL + 4 * w.mdio] = 201
        r[_IN_SEL + 4 * 201] = w.mdio | 0x80
        r[_IO_MUX + _PAD[w.mdio]] = 0x2A00
        ext = self.emac.ext
        ext[0x0C] = 0x8000
        if clock == "GPIO0_IN":
            ext[0x08] = 1
            ext[0x04] = 0x1000000
            self.pin(0)
            r[_IO_MUX + _PAD[0]] = 0x5A00
        else:
            ext[0x08] = 2
            ext[0x04] = ext[0x00] = 0
            gpio = int(clock[4:-4])
            self.pin(gpio)
            r[_IO_MUX + _PAD[gpio]] = 0x5800 if gpio else 0x1800
            if not gpio:
                r[_IO_MUX] = r[_IO_MUX] & ~15 | 6
            r[0x3FF48030] = 0x1000000
            self._apll[7], self._apll[5], self._apll[4], self._apll[3] = 6, 0x49, 2, 0x80
        self.emac.dma[0] = 0x06022080
        self.emac.dma[0x18] = 0x02000004
        self.emac.mac[0] = 0xCC00
        self.phy.reset()
        return self

    # Registers that are not the EMAC's.

    def read(self, address):
        if address == _BRIDGE:
            if self._bridge_busy:
                self._bridge_busy -= 1
                return self._bridge | 0x2000000
            return self._bridge
        if address not in self._regs:
            raise ModelError("read of 0x%08x: nothing a driver of Ethernet should read" % address)
        return self._regs[address]

    def write(self, address, value):
        if address == _BRIDGE:
            self._write_bridge(value)
            return
        if address not in self._regs or 0x3FF5A000 <= address < 0x3FF5B000:
            raise ModelError("write to 0x%08x = 0x%08x: not the driver's" % (address, value))
        before = self._regs[address]
        changed = before ^ value
        if address == _CLK_EN and changed & ~0x4000 or address == _RST_EN and changed & ~0x80:
            raise ModelError("DPORT 0x%08x: bits of the radio were changed" % address)
        if address == 0x3FF48000 and changed & ~0x40000:
            raise ModelError("RTC_CNTL_OPTIONS0: other bits were changed")
        if address == _IO_MUX and changed & ~0xF:
            raise ModelError("PIN_CTRL: other clocks were changed")
        self._regs[address] = value
        if address == _RST_EN and value & 0x80:
            self.emac.power_on()
        self._power_changed()

    def _write_bridge(self, word):
        if self._bridge_busy:
            raise ModelError("the bridge to the APLL was written while it is busy")
        if word & 0xFF != 0x6D:
            raise ModelError("the bridge: block 0x%02x is not the APLL" % (word & 0xFF))
        if self._regs[0x3FF48000] & 0x40000 or self._regs[0x3FF4E044] & 0x4000:
            raise ModelError("the APLL's registers were used without power")
        reg = word >> 8 & 15
        self._bridge = word & 0xFFFF
        if word & 0x1000000:
            self._apll[reg] = word >> 16 & 0xFF
            if reg == 0:
                self._apll_steps.append(self._apll[0])
                if self._apll_steps[-3:] == [0x0F, 0x3F, 0x1F] and self.apll_hz():
                    self._apll[3] |= 0x80
        self._bridge |= self._apll[reg] << 16
        self._bridge_busy = 2

    def apll_hz(self):
        """What the APLL makes, 0: it does not run."""
        if self._regs[0x3FF48030] & 0x1800000 != 0x1000000:
            return 0
        a = self._apll
        rev0 = not self.wiring.revision
        if a[5] != (0x69 if rev0 else 0x49):
            return 0
        sdm = 0 if rev0 else a[8] * 256 + a[9]
        numerator = self.wiring.xtal * 1000000 * (65536 * (4 + (a[7] & 0x3F)) + sdm) // 65536
        if not 350000000 <= numerator <= 500000000:
            return 0
        return numerator // (2 * ((a[4] & 31) + 2))

    def _apll_runs(self):
        hz = self.apll_hz()
        return self._apll[3] & 0x80 and abs(hz - 50000000) <= 2500

    # The board.

    def emac_clocked(self):
        """The EMAC's registers are alive."""
        return self._regs[_CLK_EN] & 0x4000 and not self._regs[_RST_EN] & 0x80

    def _func(self, gpio, word, mask=0x7200):
        return self._regs[_IO_MUX + _PAD[gpio]] & mask == word

    def _powered(self):
        w = self.wiring
        return w.power is None or self.pins.get(w.power) == 1

    def _oscillates(self):
        w = self.wiring
        if w.clock != "GPIO0_IN" or not w.oscillator:
            return False
        return self._powered() or not w.power_gates_clock

    def ref_clock(self):
        """50 MHz reach the MAC."""
        ext = self.emac.ext
        if ext[0x0C] >> 13 & 7 != 4 or ext[0x10] & 3:
            return False
        ctrl = ext[0x08] & 3
        if ext[0x04] & 0x1000000:
            return ctrl == 1 and self._func(0, 0x5200) and self._oscillates()
        return ctrl == 2 and not ext[0x00] & 0xFF and self._apll_runs()

    def _phy_clock(self):
        # 50 MHz reach the PHY.
        clock = self.wiring.clock
        if clock == "GPIO0_IN":
            return self._oscillates()
        if not self._apll_runs():
            return False
        if clock == "GPIO0_OUT":
            return self._func(0, 0x1000, 0x7000) and self._regs[_IO_MUX] & 15 == 6
        ext = self.emac.ext
        if ext[0x08] & 3 != 2 or ext[0x00] & 0xFF:
            return False
        return self._func(16 if clock == "GPIO16_OUT" else 17, 0x5000, 0x7000)

    def phy_alive(self):
        """The PHY has power and clock, and is out of reset."""
        w = self.wiring
        if w.reset is not None and self.pins.get(w.reset) == 0:
            return False
        return self.phy.powered and self._powered() and self._phy_clock()

    def _power_changed(self):
        w = self.wiring
        if not self._powered() or w.reset is not None and self.pins.get(w.reset) == 0:
            self.phy.reset()

    def phy_at(self, address):
        """The PHY that answers on MDIO at an address; None: nobody, the wire stays high."""
        w = self.wiring
        r = self._regs
        if r[_OUT_SEL + 4 * w.mdc] != 200 or r[_OUT_SEL + 4 * w.mdio] != 201:
            return None
        if r[_IN_SEL + 4 * 201] != w.mdio | 0x80 or not self._func(w.mdio, 0x2200):
            return None
        if not self._func(w.mdc, 0x2000, 0x7000) or self.pins.get(w.mdc) is None:
            return None
        if not self.phy_alive() or address != self.phy.address:
            return None
        return self.phy

    def check_rmii(self):
        """ModelError unless the data pins are the MAC's."""
        for gpio in (25, 26, 27):
            if not self._func(gpio, 0x5200):
                raise ModelError("receive pin GPIO%d is not the EMAC's" % gpio)
            if gpio not in self._plain:
                raise ModelError("GPIO%d: the RTC's pulls are on" % gpio)
        for gpio in (19, 21, 22):
            if not self._func(gpio, 0x5000, 0x7000):
                raise ModelError("transmit pin GPIO%d is not the EMAC's" % gpio)


class _Mem32:
    # As machine.mem32: what it reads has a sign, what is written is cut to 32 bits.
    def __init__(self, soc):
        self._soc = soc
        self._emac = soc.emac

    def __getitem__(self, address):
        soc = self._soc
        soc.now += 1
        if 0x3FF69000 <= address < 0x3FF6B000:
            value = self._emac.read(address)
        else:
            value = soc.read(address)
        if value & 0x80000000:
            value -= 0x100000000
        return value

    def __setitem__(self, address, value):
        soc = self._soc
        soc.now += 1
        value &= 0xFFFFFFFF
        if 0x3FF69000 <= address < 0x3FF6B000:
            self._emac.write(address, value)
        else:
            soc.write(address, value)
