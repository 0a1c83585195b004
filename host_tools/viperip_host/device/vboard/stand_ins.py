# What a virtual board puts in place of modules of the unix port, so that programs find an ESP32.
# They are objects with a module's names: modules cannot be made.
import os as _os
import sys as _sys
from collections import namedtuple

MACHINE = "Virtual board with ESP32"
CLKDIV = 0x3FF40014  # TRM, UART_CLKDIV_REG of UART0
_APB = 80000000
_HIDDEN = (".host", "dev")  # mounts of the computer's, for the board's own programs


class Module:
    def __init__(self, name, inside=None):
        if inside is not None:
            for key in dir(inside):
                if not key.startswith("__"):
                    setattr(self, key, getattr(inside, key))
        self.__name__ = name


class SoftReset(BaseException):
    pass


class Registers:
    """machine.mem32: UART0's divider works; the rest is memory that nothing happens to."""

    def __init__(self, tell, baudrate):
        self._tell = tell
        self._words = {CLKDIV: _divider(baudrate)}

    def __getitem__(self, address):
        if address & 3:
            raise ValueError("address %08x is not aligned to 4 bytes" % address)
        value = self._words.get(address, 0)
        return value - (1 << 32) if value & 0x80000000 else value

    def __setitem__(self, address, value):
        self._words[address] = value = value & 0xFFFFFFFF
        if address == CLKDIV:
            sixteenths = (value & 0xFFFFF) << 4 | value >> 20 & 15
            self._tell(uart=_APB * 16 // (sixteenths or 1))


def _divider(baud):
    sixteenths = _APB * 16 // baud
    return sixteenths >> 4 | (sixteenths & 15) << 20


class Pin:
    IN = 1
    OUT = 3
    PULL_UP = 2

    def __init__(self, number, mode=IN, pull=None, value=None):
        self._number = number
        self._value = value or 0

    def __repr__(self):
        return "Pin(%d)" % self._number

    def value(self, value=None):
        if value is None:
            return self._value
        self._value = value
        return None

    __call__ = value


def machine(told, tell, model):
    import machine as inside

    m = Module("machine", inside)
    m.mem32 = Registers(tell, told["baudrate"])
    m.Pin = Pin
    m.unique_id = lambda: bytes(told["mac"])
    m.freq = lambda hz=None: 160000000
    m.viperip_model = model
    m.PWRON_RESET, m.HARD_RESET, m.SOFT_RESET = 1, 2, 5
    m.reset_cause = lambda: told["cause"]

    def reset():
        tell(reset="hard")
        while True:
            pass  # until the power is taken away

    def soft_reset():
        raise SoftReset

    m.reset = reset
    m.soft_reset = soft_reset
    return m


def sys():
    m = Module("sys", _sys)
    fields = ("name", "version", "_machine", "_mpy", "_build")
    kind = namedtuple("implementation", fields)
    values = [getattr(_sys.implementation, name, None) for name in fields]
    values[2] = MACHINE
    m.implementation = kind(*values)
    return m


def os():
    m = Module("os", _os)
    kind = namedtuple("uname_result", ("sysname", "nodename", "release", "version", "machine"))
    release = ".".join([str(n) for n in _sys.implementation.version[:3]])
    m.uname = lambda: kind("esp32", "esp32", release, "v" + release, MACHINE)
    m.dupterm = lambda stream, index=0: None

    def ilistdir(path=""):
        root = path == "/" or not path and _os.getcwd() == "/"
        for entry in _os.ilistdir(path):
            if not (root and entry[0] in _HIDDEN):
                yield entry

    m.ilistdir = ilistdir
    m.listdir = lambda path="": [entry[0] for entry in ilistdir(path)]
    return m


def micropython(console):
    import micropython as inside

    m = Module("micropython", inside)
    m.kbd_intr = console.kbd_intr
    return m


def esp32():
    m = Module("esp32")
    m.mcu_temperature = lambda: 40
    return m
