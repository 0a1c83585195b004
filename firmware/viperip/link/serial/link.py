# Ethernet over a serial line: frames as records.
from ..device import LinkDevice
from .port import BODY, FRAME

_HEADER = const(14)
_TX = const(2)


class SerialLink(LinkDevice):
    """A link whose frames are records of a Port; the other end is `viperip bridge`, or a board."""

    def __init__(self, port, mac):
        self.mac = mac
        self.mtu = port.mtu
        self.port = port
        self.rx = port.record
        self.rx_off = BODY
        self.tx_off = _TX
        self.rx_frames = 1
        self._head = bytes((FRAME,))
        self._tx = bytearray(_TX + port.mtu + 18)
        self._up = False
        port.handlers[FRAME] = self._came

    def up(self):
        self._up = True

    def down(self):
        self._up = False
        self.port.release()

    @property
    def unsent(self):
        return self.port.waiting

    def _came(self, record, n):
        return self._up and n >= _HEADER

    def recv(self):
        port = self.port
        port.flush()
        if not port.lent:
            port.receive()
        return port.lent

    def release(self):
        self.port.release()

    def borrow(self):
        port = self.port
        port.flush()
        # One frame at a time beside small records: what waits longer is better dropped.
        if port.free() < port.mtu + _HEADER + 8:
            return None
        return self._tx

    def send(self, n):
        self.port.put(self._head, 1, self._tx, _TX, n)
        self.port.flush()

    def fileno(self):
        return self.port.stream.fileno()
