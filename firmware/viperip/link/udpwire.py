# Links where one read(2) is one frame and one write(2) sends one, and the simplest of them: a wire
# between two processes on loopback where one UDP datagram is one frame (what QEMU's
# `-netdev dgram` and most simulators speak).
import socket
import sys

from .. import native
from .device import LinkDevice

# After install() `import socket` gives the stack's own module, which would send frames in circles.
if socket.__name__ != "socket":
    import viperip

    socket = viperip.firmware_socket

_copy = native.load("memory").copy
_SLACK = const(18)  # Ethernet header and one VLAN tag
_OFF = const(2)
_EAGAIN = const(-11)  # as the system call says it on Linux
_BLOCKED = (11, 35)  # EAGAIN of Linux and of macOS


def shim():
    """The system calls (`read`, `write`), or None where there are none to be had."""
    try:
        from os import getenv

        if not native.VIPER or sys.platform != "linux" or getenv("VIPERIP_NO_SHIM") == "1":
            return None
        from . import syscall

        return syscall
    except (ImportError, SyntaxError, OSError):
        return None


class Frames(LinkDevice):
    """Frames of a non-blocking descriptor, one a read; without the shim `sock` is asked instead.

    errors counts reads and writes that failed, dropped frames that did not fit or were refused.
    """

    def __init__(self, fd, mac, mtu, sock=None, calls=None):
        self.mac = mac
        self.mtu = mtu
        self.rx_off = _OFF
        self.tx_off = _OFF
        self.rx_frames = 64
        # A byte more than the longest frame, to tell a frame that was cut.
        self.rx = bytearray(_OFF + mtu + _SLACK + 1)
        self.errors = 0
        self.dropped = 0
        self._fd = fd
        self._sock = sock
        self._tx = bytearray(_OFF + mtu + _SLACK)
        self._max = mtu + _SLACK
        self._ready = 0
        self._up = False
        if calls is not None:
            self._read = calls.read
            self._write = calls.write
        else:
            self._read = self._recv
            self._write = self._send

    def up(self):
        if not self._up:
            # What came while nobody listened is not for us.
            for _ in range(1000):
                if self._read(self._fd, self.rx, _OFF, self._max) <= 0:
                    break
        self._up = True

    def down(self):
        self._up = False
        self._ready = 0

    def fileno(self):
        return self._fd

    def recv(self):
        if self._ready or not self._up:
            return self._ready
        while True:
            n = self._read(self._fd, self.rx, _OFF, self._max + 1)
            if n <= 0:
                if n != _EAGAIN:
                    self.errors += 1
                return 0
            if n > self._max:
                self.dropped += 1
            elif not self._ours(n):
                self._ready = n
                return n

    def _ours(self, n):
        # Whether the frame that was read is one that this side sent.
        return False

    def release(self):
        self._ready = 0

    def borrow(self):
        return self._tx

    def send(self, n):
        if self._write(self._fd, self._tx, _OFF, n) != n:
            self.dropped += 1

    # The two calls by way of the socket: the same arguments and results.

    def _recv(self, fd, buf, off, n):
        try:
            data = self._sock.recv(n)
        except OSError as e:
            return _EAGAIN if e.errno in _BLOCKED else -e.errno
        _copy(buf, off, data, 0, len(data))
        return len(data)

    def _send(self, fd, buf, off, n):
        try:
            return self._sock.write(buf, off, n) or _EAGAIN
        except OSError as e:
            return -e.errno


class UDPWire(Frames):
    """Frames to and from 127.0.0.1:remote_port, one a datagram; bound to local_port."""

    def __init__(self, local_port, remote_port, mac, mtu=1500):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            s.bind(socket.getaddrinfo("127.0.0.1", local_port)[0][-1])
            # Connected: the kernel keeps everybody else's datagrams away.
            s.connect(socket.getaddrinfo("127.0.0.1", remote_port)[0][-1])
            s.setblocking(False)
        except OSError:
            s.close()
            raise
        super().__init__(s.fileno(), mac, mtu, s, shim())
