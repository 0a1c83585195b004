# How Python calls C on firmware that offers no way to: the machine code of a viper function is
# overwritten by that of the call shim. A viper function is an object of four words, the fourth the
# address of its code (MicroPython, py/objfun.h), which lies in memory that may be executed.
#
# Code memory of the classic ESP32 takes whole aligned words only: all writes are such.
# (Executed in MicroPython on QEMU's RV32; not yet run on silicon.)
import sys
from array import array

import micropython

from ...errors import ENOMEM, EOPNOTSUPP
from . import layout as _l

_XTENSAWIN = const(10)  # architectures, as sys.implementation._mpy has them
_RV32 = const(11)
_M = const(0xFFFFFFFF)
_CODE = const(12)  # offset of the code's address
# ESP-IDF, esp_heap_caps.h
_CAP_EXEC = const(1 << 0)
_CAP_DATA = const(1 << 1 | 1 << 2 | 1 << 11)  # words, bytes, internal


@micropython.viper
def call() -> int:
    # Overwritten: only its size counts, 120 bytes at least on any core.
    a = int(1)
    b = int(3)
    while a < 99:
        a = a * b + (a ^ b)
        b = a * b + (a & b)
        a = a * b + (a | b)
        b = a * b + (a ^ b)
        a = a * b + (a & b)
        b = a * b + (a | b)
        a = a * b + (a ^ b)
        b = a * b + (a & b)
    return a + b


@micropython.viper
def _other() -> int:
    return 0


def encoder():
    """The module that makes machine code for this chip. OSError(EOPNOTSUPP)."""
    arch = getattr(sys.implementation, "_mpy", 0) >> 10 & 0xF
    if arch == _XTENSAWIN:
        from . import xtensa

        return xtensa
    if arch == _RV32:
        from . import rv32

        return rv32
    raise OSError(EOPNOTSUPP, "no machine code for this architecture: %d" % arch)


class Chip:
    """The firmware of this chip: its memory, and its functions by their addresses.

    symbols: the addresses. Whoever makes this has checked that they are this firmware's: a wrong
    one is a crash. keeper: what remembers addresses over a soft reset (default: RTC memory).
    """

    _rings: dict = {}  # addresses by interface, of this program

    def __init__(self, symbols, keeper=None):
        from uctypes import addressof

        machine = __import__("machine")
        self._mem32 = machine.mem32
        self._isa = encoder()
        self._symbols = symbols
        self._keeper = RTCKeeper(machine) if keeper is None else keeper
        self.mail = array("I", bytes(4 * _l.MAIL_WORDS))
        self._place(call, self._isa.call_shim(addressof(self.mail)))
        self.call = call

    def word(self, address):
        """The 32 bits at an address."""
        return self._mem32[address] & _M

    def _write(self, address, code):
        for i in range(0, len(code), 4):
            self._mem32[address + i] = int.from_bytes(code[i : i + 4], "little")

    def _place(self, function, code):
        at = id(function) & _M
        where = self.word(at + _CODE)
        if self.word(at) != self.word(id(_other) & _M) or where & 3 or not where:
            raise OSError(EOPNOTSUPP, "functions of this MicroPython are laid out otherwise")
        self._write(where, code)

    def invoke(self, address, *arguments):
        """Call the C function there with up to four words; the word that it returns."""
        mail = self.mail
        mail[_l.FUNCTION] = address
        for i in range(len(arguments)):
            mail[_l.ARGUMENT + i] = arguments[i] & _M
        self.call()
        return mail[_l.RESULT]

    def buffer(self, n):
        """(bytearray, address) of n bytes; keep the bytearray."""
        from uctypes import addressof

        buf = bytearray(n)
        return buf, addressof(buf)

    def allocate(self, words):
        """(words, address) in memory that a soft reset leaves alone. OSError(ENOMEM)."""
        address = self._malloc(4 * words, _CAP_DATA)
        return self.view(address, words), address

    def _malloc(self, n, caps):
        address = self.invoke(self._symbols["heap_caps_malloc"], n, caps)
        if not address:
            raise OSError(ENOMEM, "the firmware has no memory left for the ring")
        return address

    def view(self, address, words):
        """The words at an address."""
        from uctypes import bytearray_at

        return bytearray_at(address, 4 * words)

    def callback(self, ring, slots):
        """The address of a callback for the ring at an address; it survives a soft reset, too."""
        code = self._isa.receive_shim(ring, slots)
        address = self._malloc(len(code), _CAP_EXEC)
        self._write(address, code)
        return address

    def remembered(self, interface):
        """The address of this program's ring, or of that of one before a soft reset; 0: none."""
        return self._rings.get(interface) or self._keeper.get(interface)

    def remember(self, interface, address):
        self._rings[interface] = address
        self._keeper.put(interface, address)

    def wlan(self, interface):
        """The firmware's own WLAN object."""
        return __import__("network").WLAN(interface)

    def netif(self, wlan):
        """Its esp_netif_t (MicroPython, ports/esp32/modnetwork.h: the third word)."""
        return self.word((id(wlan) & _M) + 8)

    def ticks_ms(self):
        import time

        return time.ticks_ms()


class RTCKeeper:
    """Two addresses in RTC memory, which survives resets; they count after a soft one only.

    A program that uses that memory itself keeps it: then nothing is remembered, and every program
    has to end with down().
    """

    _HEAD = b"viperip wlan"

    def __init__(self, machine):
        rtc = getattr(machine, "RTC", None)
        self._memory = rtc and getattr(rtc(), "memory", None)
        cause = getattr(machine, "reset_cause", None)
        self._valid = cause is not None and cause() == getattr(machine, "SOFT_RESET", -1)

    def _read(self):
        data = self._memory() if self._memory and self._valid else b""
        if len(data) != 20 or data[:12] != self._HEAD:
            data = bytes(20)
        return data[12:]

    def get(self, interface):
        return int.from_bytes(self._read()[4 * interface : 4 * interface + 4], "little")

    def put(self, interface, address):
        if not self._memory:
            return
        there = self._memory()
        if there and there[:12] != self._HEAD:
            return
        addresses = bytearray(self._read())
        addresses[4 * interface : 4 * interface + 4] = address.to_bytes(4, "little")
        self._memory(self._HEAD + addresses)
        self._valid = True
