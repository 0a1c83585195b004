# The pins of RMII and MDIO on the ESP32, as registers of IO_MUX and of the GPIO matrix.
#
# Sources: TRM, chapter "IO_MUX and GPIO Matrix" (IO_MUX_x_REG, GPIO_FUNCn_OUT_SEL_CFG_REG,
# GPIO_FUNCn_IN_SEL_CFG_REG) and its table of EMAC signals; ESP-IDF emac_hal.c
# (emac_hal_iomux_init_rmii), gpio_sig_map.h.
_IO_MUX = const(0x3FF49000)
_PIN_CTRL = const(0x3FF49000)  # bits 3:0: what CLK_OUT1 carries; 6 is the APLL
_IN_SEL = const(0x3FF44130)  # + 4 * signal
_OUT_SEL = const(0x3FF44530)  # + 4 * gpio
_IN_BY_MATRIX = const(0x80)
_SIG_MDC = const(200)
_SIG_MDIO = const(201)

_FUN_EMAC_IN = const(0x5A00)  # function 5, drive strength 2, input enabled
_FUN_EMAC_OUT = const(0x5800)  # function 5, drive strength 2
_FUN_CLK_OUT1 = const(0x1800)  # function 1
_FUN_GPIO_OUT = const(0x2800)  # function 2
_FUN_GPIO_IN_OUT = const(0x2A00)

# Offsets of the pads in IO_MUX, a byte per GPIO; 0: no such pad (GPIO36 stands at 4).
_PADS = (
    b"\x44\x88\x40\x84\x48\x6c\x60\x64\x68\x54\x58\x5c\x34\x38\x30\x3c"
    b"\x4c\x50\x70\x74\x78\x7c\x80\x8c\x90\x24\x28\x2c\0\0\0\0"
    b"\x1c\x20\x14\x18\x04\x08\x0c\x10"
)
_INPUTS = (25, 26, 27)  # RXD0, RXD1, CRS_DV
_OUTPUTS = (19, 21, 22)  # TXD0, TX_EN, TXD1: fixed, RMII does not go through the matrix
_FLASH = (6, 7, 8, 9, 10, 11)

CLOCKS = {
    # name: (gpio, IO_MUX word)
    "GPIO0_IN": (0, _FUN_EMAC_IN),
    "GPIO0_OUT": (0, _FUN_CLK_OUT1),
    "GPIO16_OUT": (16, _FUN_EMAC_OUT),
    "GPIO17_OUT": (17, _FUN_EMAC_OUT),
}


def pad(gpio):
    """Address of the IO_MUX register of a pin."""
    return _IO_MUX + _PADS[gpio]


def check(clock, **pins):
    """ValueError, saying which, unless the pins exist, can do it, and are not taken by RMII."""
    if clock not in CLOCKS:
        raise ValueError("clock: one of " + ", ".join(sorted(CLOCKS)))
    taken = _INPUTS + _OUTPUTS + (CLOCKS[clock][0],)
    seen = []
    for name in pins:
        gpio = pins[name]
        if gpio is None:
            continue
        if not 0 <= gpio <= 39 or not _PADS[gpio]:
            raise ValueError("%s: the ESP32 has no GPIO%s" % (name, gpio))
        if gpio > 33:
            raise ValueError("%s: GPIO%d is an input only" % (name, gpio))
        if gpio in _FLASH:
            raise ValueError("%s: GPIO%d belongs to the flash" % (name, gpio))
        if gpio in taken or gpio in seen:
            raise ValueError("%s: GPIO%d is used by RMII or twice" % (name, gpio))
        seen.append(gpio)


def smi(bus, mdc, mdio):
    """Route MDC and MDIO through the GPIO matrix."""
    mem = bus.mem32
    bus.pin(mdc, 0)
    bus.pin(mdio, 0)
    mem[_OUT_SEL + 4 * mdc] = _SIG_MDC
    mem[pad(mdc)] = _FUN_GPIO_OUT
    # Output enable stays with the signal: the core turns the wire around.
    mem[_OUT_SEL + 4 * mdio] = _SIG_MDIO
    mem[_IN_SEL + 4 * _SIG_MDIO] = mdio | _IN_BY_MATRIX
    mem[pad(mdio)] = _FUN_GPIO_IN_OUT


def rmii(bus):
    """Give the data pins to the MAC."""
    # As plain inputs first, because that takes the pads away from the RTC, and off their pulls.
    for gpio in _INPUTS:
        bus.pin(gpio)
        bus.mem32[pad(gpio)] = _FUN_EMAC_IN
    for gpio in _OUTPUTS:
        bus.pin(gpio)
        bus.mem32[pad(gpio)] = _FUN_EMAC_OUT


def clock(bus, name):
    """Give the pin of the 50 MHz clock to the MAC, or to CLK_OUT1."""
    gpio, word = CLOCKS[name]
    bus.pin(gpio)
    if name == "GPIO0_OUT":
        mem = bus.mem32
        mem[_PIN_CTRL] = (mem[_PIN_CTRL] & ~0xF) | 6
    bus.mem32[pad(gpio)] = word
