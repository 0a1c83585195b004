"""A MicroPython board on a serial port: find the port, open it, run code in its raw REPL.

PORT is whatever pyserial opens: a path, rfc2217://HOST:PORT, socket://HOST:PORT. mpremote's
transport speaks to the REPL; everything that can go wrong becomes a HostError in one line.
"""

import contextlib
import errno
import io
import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click
import serial
import serial.tools.list_ports
from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from viperip_host.errors import HostError, UsageError

BAUDRATE = 115200
# A byte that the board owes, and a write that its UART takes, in seconds.
READ_SECONDS = 5.0
WRITE_SECONDS = 5.0
# From Ctrl-C to the prompt of the raw REPL.
PROMPT_SECONDS = 5.0
# Speeds that a board may have been left at, by a command whose end it did not see.
FAST = 921600
# TRM of the ESP32, UART_CLKDIV_REG of UART0: 80 MHz over the speed, in sixteenths.
_CLKDIV = 0x3FF40014
_APB = 80_000_000

F = TypeVar("F", bound=Callable[..., Any])


def port_option(function: F) -> F:
    """The option --port of a command."""
    return click.option(
        "--port",
        "-p",
        metavar="PORT",
        help="Serial port: a device, rfc2217://HOST:PORT, socket://HOST:PORT.  [the only one]",
    )(function)


class BoardError(HostError):
    """The code that ran on the board raised an exception; `traceback` is the board's own."""

    def __init__(self, port: str, traceback: str) -> None:
        self.traceback = traceback
        self.last = (traceback.strip().splitlines() or ["no traceback"])[-1]
        super().__init__(f"{port}: the board says: {self.last}")


class BoardGone(HostError):
    """The port went away: a cable pulled, a board without power."""

    def __init__(self, port: str) -> None:
        super().__init__(
            f"{port}: the board has gone; look at the cable, then give the same command again"
        )


def usb_ports() -> list[str]:
    """Serial ports that look like boards: those with a USB vendor id, in order."""
    return [one.device for one in sorted(serial.tools.list_ports.comports()) if one.vid]


def find_port(port: str | None) -> str:
    """PORT, or the only USB serial port there is. UsageError when there are none or several."""
    if port is not None:
        return port
    found = usb_ports()
    if not found:
        raise UsageError(
            "no serial port found: plug the board in, or name one with --port "
            "(`viperip doctor` looks at drivers and permissions)"
        )
    if len(found) > 1:
        raise UsageError(f"several serial ports: choose one with --port ({', '.join(found)})")
    return found[0]


def why_not(port: str, error: OSError) -> HostError:
    """What it means for people that PORT could not be opened."""
    number = error.errno
    text = str(error)
    if "protocol" in text and "not known" in text:
        return UsageError(f"{port}: it is a path, rfc2217://HOST:PORT or socket://HOST:PORT")
    if number == errno.ENOENT:
        return UsageError(f"{port}: no such port; `viperip doctor` lists those that there are")
    if number in (errno.EACCES, errno.EPERM):
        return UsageError(
            f"{port}: no permission; on Linux join the group that owns it "
            f"(sudo usermod -aG {_group(port)} $USER) and log in again"
        )
    if number in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EBUSY) or "exclusively lock" in text:
        return UsageError(f"{port}: another program has this port open; end it first")
    if number in (errno.ENXIO, errno.EIO, errno.ENODEV):
        return BoardGone(port)
    if number == errno.ENOTTY or f"({errno.ENOTTY}, " in text:
        return UsageError(f"{port}: this is no serial port")
    if "://" in port:
        return UsageError(f"{port}: nothing answers there ({text})")
    return HostError(f"{port}: {text}")


def _group(port: str) -> str:
    import grp

    with contextlib.suppress(OSError, KeyError):
        return grp.getgrgid(os.stat(port).st_gid).gr_name
    return "dialout"


def open_serial(port: str, baudrate: int = BAUDRATE) -> serial.Serial:
    """Open PORT for this program alone. HostError says why it cannot be."""
    try:
        opened = serial.serial_for_url(
            port, baudrate, timeout=READ_SECONDS, exclusive=True, do_not_open=True
        )
        opened.open()
    except (OSError, ValueError) as error:
        raise why_not(port, _as_oserror(error)) from None
    return opened


def _as_oserror(error: OSError | ValueError) -> OSError:
    if isinstance(error, OSError):
        if error.errno is None and isinstance(error.__context__, OSError):
            return error.__context__
        return error
    return OSError(0, str(error))


class _Transport(SerialTransport):  # type: ignore[misc]
    """mpremote's, whose overall timeout also ends a wait in which bytes never cease to come."""

    heard = b""

    def read_until(
        self,
        min_num_bytes: int,
        ending: bytes,
        timeout: float | None = 10,
        data_consumer: Callable[[bytes], None] | None = None,
        timeout_overall: float | None = None,
    ) -> bytes:
        if timeout_overall is None:
            read: bytes = super().read_until(min_num_bytes, ending, timeout, data_consumer)
            return read
        end = time.monotonic() + timeout_overall
        self.heard = b""
        while not self.heard.endswith(ending) and time.monotonic() < end:
            more = self.serial.read(1) if self.is_pty or self.serial.in_waiting else b""
            if more:
                self.heard += more
            else:
                time.sleep(0.01)
        return self.heard


class Connection:
    """A board whose raw REPL answers. Use it as a context manager.

    Methods raise BoardGone when the port goes away, BoardError for an exception on the board.
    """

    def __init__(self, port: str, baudrate: int = BAUDRATE) -> None:
        self.port = port
        self.open(baudrate)

    def open(self, baudrate: int = BAUDRATE) -> None:
        """Open the port, again after close(). HostError says why it cannot be."""
        port = self.port
        try:
            self.transport = _Transport(port, baudrate, timeout=READ_SECONDS)
        except (TransportError, OSError, ValueError):
            # mpremote does not say why: this does.
            open_serial(port, baudrate).close()
            raise HostError(f"{port}: the port could not be opened; try again") from None
        if not port.startswith("rfc2217:"):  # which has none
            with contextlib.suppress(OSError, ValueError):
                self.serial.write_timeout = WRITE_SECONDS

    @property
    def serial(self) -> serial.Serial:
        """The open port."""
        return self.transport.serial  # type: ignore[no-any-return]

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Errors of the transport as HostErrors. What mpremote prints about them is left out."""
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        except TransportExecError as error:
            raise BoardError(self.port, error.error_output) from None
        except TransportError as error:
            raise HostError(
                f"{self.port}: the board does not answer as it should ({error}); "
                "reset it and try again"
            ) from None
        except (OSError, serial.SerialException, IndexError):
            raise BoardGone(self.port) from None
        except (ValueError, SyntaxError) as error:
            # struct.error is a ValueError: the window of a raw paste that never came.
            raise HostError(
                f"{self.port}: the board's answer was cut or garbled ({error}); try again"
            ) from None

    def interrupt(self, seconds: float = PROMPT_SECONDS) -> None:
        """Stop what runs and enter the raw REPL. HostError when nothing like a REPL answers."""
        end = time.monotonic() + seconds
        heard = b""
        late = False
        while True:
            try:
                with self._named():
                    self.transport.enter_raw_repl(soft_reset=False, timeout_overall=1.0)
                clean = not late and b"KeyboardInterrupt" not in self.transport.heard
                if clean or time.monotonic() > end:
                    return
                # A second banner may be on its way, for the Ctrl-A before or because boot.py was
                # interrupted in the raw REPL: once more when that has come.
                late = False
                time.sleep(0.1)
                continue
            except BoardGone:
                raise
            except HostError:
                late = True
                heard += self.transport.heard + self.pending()
            if time.monotonic() > end:
                break
        if not heard:
            raise HostError(
                f"{self.port}: no answer; is there MicroPython on the board (viperip flash), is "
                "this its port, has it power?"
            )
        raise HostError(
            f"{self.port}: no MicroPython prompt, the board sends {_shown(heard)}; a board that "
            "resets in a loop or runs something else: viperip flash --erase puts it right"
        )

    def use_speed(self, baudrate: int) -> bool:
        """Have both ends use BAUDRATE, in the raw REPL; False: it stays as it is.

        Only the ESP32 is known to be able to, by the divider of its UART. (Modelled; not yet run
        on silicon.) A board that does not answer at the new speed is reset.
        """
        usual = int(self.serial.baudrate)
        if usual == baudrate:
            return True
        machine = self.run("import sys; print(getattr(sys.implementation, '_machine', ''))")
        if not machine.strip().endswith("with ESP32"):
            return False
        sixteenths = (_APB * 16 + baudrate // 2) // baudrate
        divider = sixteenths >> 4 | (sixteenths & 15) << 20
        # The answer comes at the new speed; what is on its way at the old one gets time.
        self.start(
            "import machine, time\ntime.sleep_ms(30)\n"
            f"machine.mem32[{_CLKDIV}] = {divider}\ntime.sleep_ms(150)\n"
        )
        time.sleep(0.08)
        try:
            self.serial.baudrate = baudrate
            with self._named():
                self.transport.follow(2)
            if self.run("print(6 * 7)").strip() == "42":
                return True
        except BoardGone:
            raise
        except (HostError, OSError, ValueError):
            pass
        return self._find_speed(baudrate, usual) == baudrate

    def _find_speed(self, *speeds: int) -> int:
        """The first of SPEEDS at which the raw REPL answers; the last, after a reset."""
        for speed in speeds:
            with contextlib.suppress(OSError, ValueError):
                self.serial.baudrate = speed
                try:
                    self.interrupt(2.0)
                    return speed
                except BoardGone:
                    raise
                except HostError:
                    pass
        self.hard_reset()
        self.interrupt(10)
        return speeds[-1]

    def pending(self) -> bytes:
        """What has come and was not read."""
        with self._named():
            waiting = self.serial.in_waiting
            return bytes(self.serial.read(waiting)) if waiting else b""

    def soft_reset(self) -> None:
        """Start MicroPython afresh; boot.py runs, main.py does not. Ends in the raw REPL."""
        with self._named():
            self.transport.enter_raw_repl(soft_reset=True)

    def run(self, code: str, seconds: float = 10.0) -> str:
        """Run CODE in the raw REPL; what it printed. SECONDS: the longest silence."""
        with self._named():
            out, error = self.transport.exec_raw(code, timeout=seconds)
            if error:
                raise TransportExecError(out, error.decode(errors="replace"))
            text: str = out.decode(errors="replace")
            return text

    def ask(self, code: str, seconds: float = 10.0) -> Any:
        """Run CODE, whose last line of output is JSON; the value."""
        lines = self.run(code, seconds).strip().splitlines()
        try:
            return json.loads(lines[-1])
        except (IndexError, ValueError):
            said = lines[-1][:60] if lines else "nothing"
            raise HostError(
                f"{self.port}: the board's answer was cut or garbled ({said}); try again"
            ) from None

    def start(self, code: str) -> None:
        """Start CODE in the raw REPL and return: what it prints is the caller's to read."""
        with self._named():
            self.transport.exec_raw_no_follow(code)

    def leave(self) -> None:
        """Back to the prompt that people see."""
        with self._named():
            self.transport.exit_raw_repl()

    def hard_reset(self) -> None:
        """Pulse the chip's EN through RTS where the adapter has it, else ask machine.reset()."""
        with self._named():
            try:
                self.serial.dtr = False
                self.serial.rts = True
                time.sleep(0.1)
                self.serial.rts = False
            except OSError as error:
                if error.errno != errno.ENOTTY:
                    raise
                self.transport.exec_raw_no_follow("import machine; machine.reset()")

    def close(self) -> None:
        """Leave the board at its prompt, if it can still be reached, and give the port back."""
        with contextlib.suppress(HostError, OSError):
            if self.transport.in_raw_repl:
                if self.serial.baudrate == FAST:
                    self.use_speed(BAUDRATE)
                self.leave()
        with contextlib.suppress(OSError, serial.SerialException):
            self.transport.close()


def connect(port: str | None, baudrate: int = BAUDRATE) -> Connection:
    """Open PORT (the only one there is, without) and enter the raw REPL."""
    connection = Connection(find_port(port), baudrate)
    try:
        try:
            connection.interrupt()
        except BoardGone:
            raise
        except HostError:
            if not _left_fast(connection):
                # A session that a host has left ends by itself, and restores the speed.
                connection.interrupt()
    except BaseException:
        connection.close()
        raise
    return connection


def _left_fast(connection: Connection) -> bool:
    """Whether the board was left at the fast speed; then it is at the usual one again."""
    try:
        connection.serial.baudrate = FAST
        connection.interrupt(1.0)
        # A folder of the computer's may still be mounted, which nobody serves any more.
        connection.soft_reset()
        return connection.use_speed(BAUDRATE)
    except (HostError, OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            connection.serial.baudrate = BAUDRATE
        return False


def _shown(heard: bytes) -> str:
    text = heard.decode(errors="replace").strip().splitlines()
    last = text[-1] if text else ""
    return repr(last[-60:])
