# The speed of the REPL's UART on the ESP32, by its divider: MicroPython does not let a program set
# it. Modelled; not yet run on silicon.
#
# TRM, UART_CLKDIV_REG of UART0: the APB clock over the speed, in sixteenths; the whole part in
# bits 19 to 0, the rest in bits 23 to 20.
import sys

_CLKDIV = 0x3FF40014
_APB = const(80000000)


def known():
    """Whether this is the chip whose register that is, with its REPL on UART0."""
    return getattr(sys.implementation, "_machine", "").endswith("with ESP32")


def divider():
    """What the register holds."""
    return __import__("machine").mem32[_CLKDIV] & 0xFFFFFF


def set_divider(value):
    mem32 = __import__("machine").mem32
    mem32[_CLKDIV] = mem32[_CLKDIV] & ~0xFFFFFF | value


def divider_of(baudrate):
    """The register's value for a speed in baud, 300 to 5,000,000."""
    # Rounded, in two steps: 80 MHz times sixteen is no small int on a board.
    whole = _APB // baudrate
    rest = _APB % baudrate
    sixteenths = whole * 16 + (rest * 16 + baudrate // 2) // baudrate
    return sixteenths >> 4 | (sixteenths & 15) << 20
