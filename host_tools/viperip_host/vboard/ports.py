"""What a virtual board's serial line ends in, on the host's side: a pty, or an RFC 2217 port."""

import contextlib
import errno
import os
import select
import socket
import termios
from collections.abc import Callable
from typing import Any, Protocol, cast

import serial
from serial import rfc2217

from viperip_host.errors import UsageError

# The reset circuit holds EN low a little longer, while GPIO0 may still change.
EN_SECONDS = 0.12
_KEEP = 65536

_SPEEDS = {
    getattr(termios, name): int(name[1:])
    for name in dir(termios)
    if name[0] == "B" and name[1:].isdigit() and int(name[1:])
}


class Port(Protocol):
    """The host's end."""

    name: str  # what a program opens

    def fds(self) -> list[int]:
        """Descriptors that become readable when there is something to do."""

    def work(self) -> None:
        """Look who has come and gone."""

    @property
    def connected(self) -> bool: ...

    @property
    def pending(self) -> bool:
        """Whether bytes wait here that no descriptor tells of."""

    @property
    def baudrate(self) -> int | None:
        """The speed that the host has set; None: unknown."""

    def read(self, n: int) -> bytes: ...

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


class Pty:
    """A pseudo terminal, with a symbolic link of the given name."""

    def __init__(self, path: str) -> None:
        """UsageError when the link cannot be made."""
        self.name = path
        self._master, slave = os.openpty()
        self._device = os.ttyname(slave)
        os.set_blocking(self._master, False)
        _make_raw(self._master)
        os.close(slave)
        self.connected = False
        try:
            if os.path.islink(path):
                os.unlink(path)
            os.symlink(self._device, path)
        except OSError as error:
            os.close(self._master)
            raise UsageError(f"--pty {path}: {error.strerror}; choose another name") from None
        self._out = b""
        self._poll = select.poll()
        self._poll.register(self._master, select.POLLIN)

    def fds(self) -> list[int]:
        # Without anybody at the other end it would be readable for ever.
        return [self._master] if self.connected else []

    def work(self) -> None:
        events = dict(self._poll.poll(0)).get(self._master, 0)
        here = not events & select.POLLHUP
        if here and not self.connected:
            # Whoever opens a pty finds it as terminals are: with echo.
            _make_raw(self._master)
            self._out = b""
        self.connected = here
        self._flush()

    @property
    def pending(self) -> bool:
        return bool(self._out)

    @property
    def baudrate(self) -> int | None:
        with contextlib.suppress(termios.error):
            return _SPEEDS.get(termios.tcgetattr(self._master)[5])
        return None

    def read(self, n: int) -> bytes:
        if not self.connected:
            return b""
        try:
            return os.read(self._master, n)
        except OSError as error:
            if error.errno == errno.EIO:
                self.connected = False
            return b""

    def write(self, data: bytes) -> None:
        # A UART does not wait for anybody to listen; the driver of an adapter keeps some.
        if self.connected:
            self._out = (self._out + data)[-_KEEP:]
            self._flush()

    def _flush(self) -> None:
        if self._out:
            with contextlib.suppress(OSError):
                self._out = self._out[os.write(self._master, self._out) :]

    def close(self) -> None:
        os.close(self._master)
        with contextlib.suppress(OSError):
            if os.readlink(self.name) == self._device:
                os.unlink(self.name)


def _make_raw(fd: int) -> None:
    with contextlib.suppress(termios.error):
        iflag, oflag, cflag, lflag, ispeed, ospeed, cc = termios.tcgetattr(fd)
        iflag &= ~(termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP)
        iflag &= ~(termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON)
        oflag &= ~termios.OPOST
        lflag &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
        termios.tcsetattr(fd, termios.TCSANOW, [iflag, oflag, cflag, lflag, ispeed, ospeed, cc])


class _Settings:
    """The serial port that an RFC 2217 server believes it has: settings, and two output lines."""

    def __init__(self, on_lines: Callable[[bool, bool], None]) -> None:
        self._on_lines = on_lines
        self.baudrate = 115200
        self.bytesize = 8
        self.parity = serial.PARITY_NONE
        self.stopbits = 1
        self.rtscts = self.dsrdtr = self.xonxoff = self.break_condition = False
        self.timeout: float | None = 0
        self.cts = self.dsr = self.cd = True
        self.ri = False
        self._dtr = self._rts = False

    def set_lines(self, dtr: bool, rts: bool) -> None:
        self._dtr, self._rts = dtr, rts
        self._on_lines(dtr, rts)

    @property
    def dtr(self) -> bool:
        return self._dtr

    @dtr.setter
    def dtr(self, value: bool) -> None:
        self.set_lines(bool(value), self._rts)

    @property
    def rts(self) -> bool:
        return self._rts

    @rts.setter
    def rts(self, value: bool) -> None:
        self.set_lines(self._dtr, bool(value))

    def reset_input_buffer(self) -> None:
        """Nothing is kept here."""

    def reset_output_buffer(self) -> None:
        """Nothing is kept here."""


class _Answers:
    """Where the RFC 2217 server writes what it has to say itself."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self.write = write


class Rfc2217:
    """A TCP port of this computer that speaks RFC 2217, for one client at a time."""

    def __init__(self, port: int, on_lines: Callable[[bool, bool], None]) -> None:
        """on_lines(DTR, RTS) is called when the client sets them. UsageError: port is taken."""
        self.name = f"rfc2217://127.0.0.1:{port}"
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind(("127.0.0.1", port))
        except OSError as error:
            self._listener.close()
            raise UsageError(f"--port {port}: {error.strerror}; choose another TCP port") from None
        self._listener.listen(1)
        self._listener.setblocking(False)
        self._settings = _Settings(on_lines)
        self._client: socket.socket | None = None
        self._manager: rfc2217.PortManager | None = None
        self._out = b""
        self._in = b""

    def fds(self) -> list[int]:
        if self._client is None:
            return [self._listener.fileno()]
        return [self._client.fileno()]

    @property
    def connected(self) -> bool:
        return self._client is not None

    @property
    def pending(self) -> bool:
        return bool(self._in or self._out)

    @property
    def baudrate(self) -> int | None:
        return self._settings.baudrate

    def work(self) -> None:
        if self._client is None:
            with contextlib.suppress(BlockingIOError):
                self._client, _ = self._listener.accept()
                self._client.setblocking(False)
                self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._settings.baudrate = 115200
                self._in = self._out = b""
                self._manager = rfc2217.PortManager(
                    cast(Any, self._settings), cast(Any, _Answers(self._send))
                )
        if self._client is not None:
            self._flush()

    def read(self, n: int) -> bytes:
        """Bytes for the board. What is RFC 2217's own is handled on the way."""
        client, manager = self._client, self._manager
        if client is None or manager is None:
            return b""
        if len(self._in) < n:
            try:
                data = client.recv(4096)
            except BlockingIOError:
                data = None
            except OSError:
                data = b""
            if data == b"":
                self._gone()
            elif data:
                self._in += b"".join(manager.filter(data))
        taken, self._in = self._in[:n], self._in[n:]
        return taken

    def write(self, data: bytes) -> None:
        """Bytes from the board."""
        if self._manager is not None:
            self._send(b"".join(self._manager.escape(data)))

    def _send(self, data: bytes) -> None:
        self._out += bytes(data)
        self._flush()

    def _flush(self) -> None:
        if self._client is None or not self._out:
            return
        try:
            n = self._client.send(self._out)
            self._out = self._out[n:][-_KEEP:]
        except BlockingIOError:
            pass
        except OSError:
            self._gone()

    def _gone(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = self._manager = None
            # The adapter lets both lines go.
            self._settings.set_lines(False, False)

    def close(self) -> None:
        self._gone()
        self._listener.close()
