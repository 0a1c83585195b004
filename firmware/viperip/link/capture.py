# A wrapper that writes every frame to a pcapng file
# (https://ietf-opsawg-wg.github.io/draft-ietf-opsawg-pcap/draft-ietf-opsawg-pcapng.html).
# Every block is one unbuffered write: the file is complete up to the last frame at any moment.
import struct
import time

from .wrapper import Watcher

_EPOCH_2000 = const(946684800)  # where the clock of some boards starts
_DATA = const(28)  # where the frame starts in an Enhanced Packet Block


def _block(kind, body):
    n = 12 + len(body)
    return struct.pack("<II", kind, n) + body + struct.pack("<I", n)


def _option(code, value):
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) & 3)


def _now_us():
    t = time.time_ns() // 1000
    return t + _EPOCH_2000 * 1000000 if time.gmtime(0)[0] == 2000 else t


class Capture(Watcher):
    """Writes the frames of `dev` to a path (overwritten) or an open binary file, as pcapng."""

    def __init__(self, dev, file, name="viperip"):
        super().__init__(dev)
        self.frames = 0
        self.failed = None  # the OSError that ended the capture
        self._own = isinstance(file, str)
        self._file = open(file, "wb") if self._own else file
        self._block = bytearray(_DATA + ((dev.mtu + 18 + 3) & ~3) + 16)
        self._view = memoryview(self._block)
        # Section header: byte order, version 1.0, length unknown; shb_userappl.
        shb = (
            struct.pack("<IHH", 0x1A2B3C4D, 1, 0) + b"\xff" * 8 + _option(4, b"viperip") + bytes(4)
        )
        # Interface: Ethernet, no snapshot limit; if_name, if_MACaddr, if_tsresol (microseconds).
        idb = struct.pack("<HHI", 1, 0, 0) + _option(2, name.encode()) + _option(6, bytes(dev.mac))
        self._put(_block(0x0A0D0D0A, shb))
        self._put(_block(1, idb + _option(9, b"\6") + bytes(4)))

    def _put(self, data):
        try:
            self._file.write(data)
        except OSError as e:
            # A full disk must not stop the traffic.
            self.failed = e

    def frame(self, buf, off, n, sent):
        if self._file is None or self.failed:
            return
        block = self._block
        kept = min(n, len(block) - _DATA - 16)
        end = _DATA + ((kept + 3) & ~3)
        us = _now_us()
        struct.pack_into("<IIIII", block, 0, 6, end + 16, 0, us >> 32, us & 0xFFFFFFFF)
        struct.pack_into("<II", block, 20, kept, n)
        block[_DATA : _DATA + kept] = memoryview(buf)[off : off + kept]
        for i in range(_DATA + kept, end):
            block[i] = 0
        # epb_flags: inbound or outbound.
        struct.pack_into("<HHIII", block, end, 2, 4, 2 if sent else 1, 0, end + 16)
        self._put(self._view[: end + 16])
        self.frames += 1

    def close(self):
        """End the capture; the link goes on."""
        if self._own and self._file is not None:
            self._file.close()
        self._file = None
