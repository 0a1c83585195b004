# The EMAC's bus clock and reset, and its 50 MHz: from a pin, or from the ESP32's audio PLL (APLL).
#
# Sources: TRM, chapters "DPort Registers" and "Ethernet Media Access Controller" (EMAC_EX_...);
# ESP-IDF emac_ll.h (emac_ll_clock_enable_rmii_input and _output), clk_tree_ll.h (clk_ll_apll_...),
# rtc_clk.c, regi2c_apll.h. The APLL's registers stand behind a bridge, whose protocol is that of
# the functions in the chip's ROM.
from ...errors import ENODEV, ETIMEDOUT
from . import registers as r

_EXT = const(0x3FF69800)

_PHYINF_RMII = const(0x8000)  # bits 15:13 are 4
_CLK_EXT_EN = const(0x1)
_CLK_INT_EN = const(0x2)
_CLK_ENABLE = const(0x38)  # the clocks inside: harmless where they are on already
_OSC_EXTERNAL = const(0x1000000)

_RTC_OPTIONS0 = const(0x3FF48000)
_BIAS_I2C_FORCE_PD = const(0x40000)
_ANA_CONFIG = const(0x3FF4E044)
_I2C_APLL_OFF = const(0x4000)
_ANA_CONF = const(0x3FF48030)
_PLLA_FORCE_PD = const(0x800000)
_PLLA_FORCE_PU = const(0x1000000)
_BRIDGE = const(0x3FF4E00C)  # of host 3, where the APLL is block 0x6D
_BLOCK = const(0x6D)
_BRIDGE_WRITE = const(0x1000000)
_BRIDGE_BUSY = const(0x2000000)
_CAL_END = const(0x80)
_EFUSE_REV = const(0x3FF5A00C)
_REV1 = const(0x8000)
_XTAL = const(0x3FF480B0)  # MHz of the crystal, as the boot loader found it

# Crystal: (sdm2, sdm1, sdm0), with an output divider of 2 (o_div) for 50 MHz.
#    f = xtal * (4 + sdm2 + sdm1 / 256 + sdm0 / 65536) / (2 * (o_div + 2))
_APLL = {40: (6, 0, 0), 26: (11, 98, 118), 32: (8, 128, 0)}
_O_DIV = const(2)


def enable(bus):
    """Bus clock on, and a reset of the whole EMAC. OSError(ENODEV) where there is none."""
    mem = bus.mem32
    # Both words are shared with the radio: nothing but the EMAC's bits may change.
    mem[r.DPORT_WIFI_CLK_EN] = dport(mem, r.DPORT_WIFI_CLK_EN) | r.DPORT_CLK_EMAC
    word = dport(mem, r.DPORT_CORE_RST_EN)
    mem[r.DPORT_CORE_RST_EN] = word | r.DPORT_RST_EMAC
    mem[r.DPORT_CORE_RST_EN] = word & ~r.DPORT_RST_EMAC
    present(bus)


def present(bus):
    """OSError(ENODEV) unless the EMAC answers."""
    if not bus.mem32[r.EMAC_EXT + r.EX_DATE]:
        raise OSError(ENODEV, "no EMAC here: not an ESP32, or its clock is off")


def dport(mem, address):
    """Read a DPORT register; two reads must agree (chip errata CPU-3.10, revisions before 3)."""
    a = mem[address]
    for _ in range(8):
        b = mem[address]
        if a == b:
            break
        a = b
    return a


def disable(bus):
    """Hold the EMAC in reset for a moment, and its clock off: no DMA runs any more."""
    mem = bus.mem32
    word = dport(mem, r.DPORT_CORE_RST_EN)
    mem[r.DPORT_CORE_RST_EN] = word | r.DPORT_RST_EMAC
    mem[r.DPORT_CORE_RST_EN] = word & ~r.DPORT_RST_EMAC
    mem[r.DPORT_WIFI_CLK_EN] = dport(mem, r.DPORT_WIFI_CLK_EN) & ~r.DPORT_CLK_EMAC


def halt(bus):
    """Stop an EMAC that an earlier program left running (Ctrl-D does not stop its DMA)."""
    if dport(bus.mem32, r.DPORT_WIFI_CLK_EN) & r.DPORT_CLK_EMAC:
        disable(bus)


def rmii(bus, external):
    """Choose RMII, and where its 50 MHz come from: the pin, or the APLL."""
    mem = bus.mem32
    at = _EXT + r.EX_PHYINF_CONF
    mem[at] = (mem[at] & ~0xE000) | _PHYINF_RMII
    at = _EXT + r.EX_CLK_CTRL
    if external:
        mem[at] = (mem[at] & ~_CLK_INT_EN) | _CLK_ENABLE | _CLK_EXT_EN
        at = _EXT + r.EX_OSCCLK_CONF
        mem[at] = mem[at] | _OSC_EXTERNAL
    else:
        mem[at] = (mem[at] & ~_CLK_EXT_EN) | _CLK_ENABLE | _CLK_INT_EN
        at = _EXT + r.EX_OSCCLK_CONF
        mem[at] = mem[at] & ~_OSC_EXTERNAL
        at = _EXT + r.EX_CLKOUT_CONF
        mem[at] = mem[at] & ~0xFF  # divided by nothing
    at = _EXT + r.EX_PD_SEL
    mem[at] = mem[at] & ~3  # the MAC's memories have power


def apll(bus):
    """Start the APLL at 50 MHz. OSError if the crystal is unknown or it does not calibrate."""
    mem = bus.mem32
    xtal = mem[_XTAL] & 0xFFFF
    if xtal not in _APLL:
        raise OSError(ENODEV, "no APLL setting for a crystal of %d MHz" % xtal)
    sdm2, sdm1, sdm0 = _APLL[xtal]
    rev1 = mem[_EFUSE_REV] & _REV1
    if not rev1 and sdm1 | sdm0:
        raise OSError(ENODEV, "this revision of the ESP32 makes no 50 MHz of its crystal")
    mem[_RTC_OPTIONS0] = mem[_RTC_OPTIONS0] & ~_BIAS_I2C_FORCE_PD
    mem[_ANA_CONFIG] = mem[_ANA_CONFIG] & ~_I2C_APLL_OFF
    mem[_ANA_CONF] = (mem[_ANA_CONF] & ~_PLLA_FORCE_PD) | _PLLA_FORCE_PU
    _bridge_write(bus, 7, (_bridge_read(bus, 7) & 0xC0) | sdm2)
    _bridge_write(bus, 9, sdm0)
    _bridge_write(bus, 8, sdm1)
    _bridge_write(bus, 5, 0x09)
    _bridge_write(bus, 5, 0x49 if rev1 else 0x69)
    _bridge_write(bus, 4, (_bridge_read(bus, 4) & 0xE0) | _O_DIV)
    for value in b"\x0f\x3f\x1f":
        _bridge_write(bus, 0, value)
    for _ in range(1000):
        if _bridge_read(bus, 3) & _CAL_END:
            return
        bus.delay_us(1)
    raise OSError(ETIMEDOUT, "the APLL did not calibrate")


def _bridge_read(bus, reg):
    bus.mem32[_BRIDGE] = _BLOCK | reg << 8
    return _bridge_wait(bus) >> 16 & 0xFF


def _bridge_write(bus, reg, value):
    bus.mem32[_BRIDGE] = _BLOCK | reg << 8 | value << 16 | _BRIDGE_WRITE
    _bridge_wait(bus)


def _bridge_wait(bus):
    for _ in range(1000):
        word = bus.mem32[_BRIDGE]
        if not word & _BRIDGE_BUSY:
            return word
    raise OSError(ETIMEDOUT, "the bridge to the APLL stays busy")
