# A wrapper that copies frames down the serial line, as records:
#
#    0    1       2        6        8         10
#   | 4 | flags | ticks | length | dropped | frame ...    big endian
#
# flags: bit 0 sent; bits 1 and up the number of the interface. ticks: time.ticks_us(), 30 bits.
# length: of the whole frame, of which there may be less here. dropped: frames that found no room
# in the port since the capture began, modulo 2**16.
import time

from ... import native
from ..wrapper import Watcher
from .port import PACKET

_match = native.load("filter").match

HEAD = const(10)


class SerialCapture(Watcher):
    """Copies the frames of `dev` that the filter wants into a Port, `snaplen` bytes of each."""

    def __init__(self, dev, port, number=0, program=b"", snaplen=65535):
        super().__init__(dev)
        self.frames = 0
        self.dropped = 0
        self._port = port
        self._program = program
        self._snaplen = snaplen
        self._number = number
        self._head = bytearray(HEAD)
        self._head[0] = PACKET

    def frame(self, buf, off, n, sent):
        if self._program and not _match(self._program, buf, off, n, sent):
            return
        self._fill(n, sent)
        self._put(buf, off, n if n < self._snaplen else self._snaplen)

    def _put(self, buf, off, n):
        if self._port.put(self._head, HEAD, buf, off, n):
            self.frames += 1
        else:
            self.dropped = (self.dropped + 1) & 0xFFFF

    def _fill(self, n, sent):
        h = self._head
        us = time.ticks_us()
        h[1] = self._number << 1 | (1 if sent else 0)
        h[2] = us >> 24 & 0x3F
        h[3] = us >> 16 & 0xFF
        h[4] = us >> 8 & 0xFF
        h[5] = us & 0xFF
        h[6] = n >> 8
        h[7] = n & 0xFF
        h[8] = self.dropped >> 8
        h[9] = self.dropped & 0xFF
