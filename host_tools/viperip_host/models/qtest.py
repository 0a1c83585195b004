# QEMU's qtest protocol, from MicroPython: memory and registers of a machine whose processor stands
# still, over a socket. A request and its answer are a line each.
#
#    readl 0xf0802020               OK 0x0000000000001032
#    writel 0xf0803000 0x1          OK
#    b64read 0x100000 4             OK AAAAAA==
#    b64write 0x100000 4 AAAAAA==   OK
import socket
from binascii import a2b_base64, b2a_base64

_AF_UNIX = b"\1\0"  # sun_family, little-endian
_SECONDS = const(10)  # QEMU answers in microseconds, but serves one client at a time


class QtestError(BaseException):
    """QEMU refused, or is gone. Not an Exception: nothing between driver and test handles it."""


class Qtest:
    """A machine's qtest socket, by its path."""

    def __init__(self, path):
        self._socket = connect(path)

    def close(self):
        self._socket.close()

    def readl(self, address):
        """The word at an address."""
        self._ask("readl 0x%x\n" % address)
        return int(self._rest(19).decode(), 16)

    def writel(self, address, value):
        self._ask("writel 0x%x 0x%x\n" % (address, value))
        self._done()

    def read(self, address, n):
        """n bytes from an address on, all of one moment."""
        self._ask("b64read 0x%x %d\n" % (address, n))
        return a2b_base64(self._rest((n + 2) // 3 * 4 + 1))

    def write(self, address, data):
        text = b2a_base64(data).decode().strip()
        self._ask("b64write 0x%x %d %s\n" % (address, len(data), text))
        self._done()

    def _ask(self, line):
        self._socket.write(line)

    # Every answer has a length that is known beforehand: a line read by its end is read byte by
    # byte.

    def _done(self):
        if self._socket.read(3) != b"OK\n":
            self._refused()

    def _rest(self, n):
        if self._socket.read(3) != b"OK ":
            self._refused()
        return self._socket.read(n)

    def _refused(self):
        raise QtestError("QEMU does not answer OK: %s" % self._socket.readline())


class Monitor:
    """A machine's monitor: commands for people, as text, and what it says to them."""

    PROMPT = b"(qemu) "

    def __init__(self, path):
        self._socket = connect(path)
        self._answer()

    def close(self):
        self._socket.close()

    def do(self, command):
        """Its answer, without the echo of the command."""
        self._socket.write(command + "\n")
        return self._answer().decode()

    def _answer(self):
        text = b""
        while not text.endswith(self.PROMPT):
            byte = self._socket.read(1)
            if not byte:
                raise QtestError("QEMU's monitor is gone")
            text += byte
        return text[: -len(self.PROMPT)].partition(b"\n")[2]


def connect(path):
    # A struct sockaddr_un: this port knows nothing finer.
    s = socket.socket(1, socket.SOCK_STREAM)
    s.settimeout(_SECONDS)
    s.connect(_AF_UNIX + path.encode() + b"\0")
    return s
