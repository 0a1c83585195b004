"""A virtual board: its chip, its serial line and its reset circuit, until it is switched off."""

import select
import time
from collections.abc import Callable

from viperip_host import links
from viperip_host.vboard import chip
from viperip_host.vboard.ports import EN_SECONDS, Port
from viperip_host.vboard.uart import Uart

_BAUD = 115200
_IDLE_MS = 50
_TICK_SECONDS = 0.001
# What the ROM says before it starts a program.
_BOOT = (
    b"ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n"
)
_DOWNLOAD = (
    b"ets Jul 29 2019 12:21:46\r\n\r\n"
    b"rst:0x1 (POWERON_RESET),boot:0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))\r\n"
    b"waiting for download\r\n"
)
_CRASHED = b"\r\nGuru Meditation Error: Core  0 panic'ed\r\nRebooting...\r\n"


class VirtualBoard:
    """Give it a port before run(). link: None for the private wire."""

    def __init__(self, parts: chip.Parts, link: links.Link | None) -> None:
        self.parts = parts
        self.port: Port
        self.uart = Uart()
        self.resets = 0
        self._link = link
        self._chip: chip.Processor | None = None
        self._boot_at: float | None = None  # when EN has risen
        self._dtr = self._rts = False
        self._text = b""  # of the ROM's, still to be sent
        self._used = False  # somebody has opened the port since the last boot
        self._speed_at: tuple[float, int] | None = None
        self._speed_after: tuple[int, int] | None = None  # bytes still to be sent, speed then
        self._press: str | None = None

    # Reset.

    def lines(self, dtr: bool, rts: bool) -> None:
        """The adapter's outputs. The usual two transistors: EN is low for RTS without DTR, and
        GPIO0 for DTR without RTS (Espressif, "ESP32-DevKitC schematic", auto program)."""
        was_low = self._rts and not self._dtr
        self._dtr, self._rts = dtr, rts
        if rts and not dtr:
            self._stop()
            self._boot_at = None
        elif was_low:
            self._boot_at = time.monotonic() + EN_SECONDS

    def press(self, button: str) -> None:
        """A button, from a signal handler: "en", or "boot" for EN with BOOT held."""
        self._press = button

    def _stop(self) -> None:
        if self._chip is not None:
            self._chip.stop()
            self._chip = None

    def reset(self, download: bool = False) -> None:
        """Start anew, as after power on."""
        self._stop()
        self.resets += 1
        self.uart.chip_baud = _BAUD
        self._used = False
        self._boot_at = self._speed_at = self._speed_after = None
        why_not = chip.bootable(self.parts)
        if download or why_not:
            # A chip without a program would start over for ever; this one can be flashed.
            self._text = b"" if download else b"%s\r\n" % str(why_not).encode()
            self._text += _DOWNLOAD
            self._chip = chip.Rom(self.parts)
        else:
            self._text = _BOOT
            self._start(False, chip.POWER_ON if self.resets == 1 else chip.HARD_RESET)

    def _start(self, raw: bool, cause: int) -> None:
        self._chip = chip.MicroPython(self.parts, self._link, raw, cause, self.uart.chip_baud)

    # The loop.

    def run(self, wanted: Callable[[], bool]) -> None:
        """Until it is no longer wanted()."""
        self.reset()
        try:
            while wanted():
                self._wait()
                self._work(time.monotonic())
        finally:
            self._stop()
            self.port.close()

    def _wait(self) -> None:
        poll = select.poll()
        for fd in self.port.fds() + (self._chip.fds() if self._chip else []):
            poll.register(fd, select.POLLIN)
        poll.poll(0 if self._text or self.port.pending else _IDLE_MS)
        # The line has its own time, which descriptors that are always ready do not know.
        time.sleep(_TICK_SECONDS)

    def _work(self, now: float) -> None:
        before = self.port.connected
        self.port.work()
        self._used = self._used or self.port.connected
        self.uart.host_baud = self.port.connected and self.port.baudrate or self.uart.chip_baud
        self._events(now)
        uart = self.uart
        uart.carry(now, uart.down, uart.host_baud, self.port.read, self._deliver)
        uart.carry(now, uart.up, uart.chip_baud, self._sent, self.port.write)
        if before and not self.port.connected:
            self._closed()
        self._buttons(now)
        self._ended()

    def _sent(self, n: int) -> bytes:
        if self._text:
            text, self._text = self._text[:n], self._text[n:]
            return text
        if self._chip is None:
            return b""
        if self._speed_after is None:
            return self._chip.read(n)
        left, baud = self._speed_after
        data = self._chip.read(min(n, left)) if left else b""
        left -= len(data)
        self._speed_after = (left, baud) if left else None
        if not left:
            self.uart.chip_baud = baud
        return data

    def _deliver(self, data: bytes) -> None:
        if self._chip is not None:
            # An event that was sent before these bytes came counts for them.
            self._events(time.monotonic())
            if self._chip is not None:
                self.uart.lost += self._chip.deliver(data)

    def _events(self, now: float) -> None:
        for event in self._chip.events() if self._chip else []:
            if "uart" in event:
                # What it had sent before leaves at the speed it had then.
                waiting = self._chip.unread() if self._chip else 0
                self._speed_after = (waiting, int(event["uart"]))
            elif "baud" in event:
                # The ROM answers at the old speed first.
                self._speed_at = (now + 0.02, int(event["baud"]))
            elif "kbd" in event and isinstance(self._chip, chip.MicroPython):
                self._chip.interrupt_char(int(event["kbd"]))
            elif event.get("reset") == "hard":
                self.reset()
                return
        if self._speed_at and now >= self._speed_at[0]:
            self.uart.chip_baud = self._speed_at[1]
            self._speed_at = None

    def _closed(self) -> None:
        """The program that had the port has gone."""
        if isinstance(self._chip, chip.Rom) and self._used:
            # There may be no reset line: the flashing session's end stands for it.
            self.reset()

    def _buttons(self, now: float) -> None:
        press, self._press = self._press, None
        if press:
            self.reset(download=press == "boot")
        if self._boot_at is not None and now >= self._boot_at:
            self.reset(download=self._dtr and not self._rts)

    def _ended(self) -> None:
        ended = self._chip
        if ended is None or not ended.ended or ended.out >= 0:
            return  # what it has sent goes out first
        if isinstance(ended, chip.MicroPython) and ended.soft_reset:
            raw = ended.was_raw
            self._stop()
            self._text = b"MPY: soft reboot\r\n"
            self._start(raw, chip.SOFT)
            return
        if isinstance(ended, chip.MicroPython):
            self._text = _CRASHED
            self._stop()
            self._boot_at = time.monotonic() + 0.5
            return
        self.reset()  # the boot loader was told to run what was written
