"""The serial line of a virtual board: its speed, and what goes wrong on it."""

from collections.abc import Callable
from dataclasses import dataclass, field

# Two ends that differ by more than this do not understand each other.
TOLERANCE = 0.03
# The stdin ring of MicroPython's ESP32 port, in bytes; what does not fit is lost.
RING = 260
_BURST_SECONDS = 0.004


def _noise(data: bytes) -> bytes:
    """What arrives at another speed: the wrong bytes, and the wrong number of them."""
    return bytes((byte * 157 ^ 0xA5) & 0xFF | 0x80 for byte in data[::2])


@dataclass
class Direction:
    """One direction of the line: at most as many bytes as its speed carries."""

    _credit: float = 0.0
    _since: float = 0.0

    def allowance(self, now: float, baudrate: int) -> int:
        """How many bytes the line carries by now. Ten bits are a byte."""
        rate = baudrate / 10
        passed = max(0.0, now - self._since)
        self._since = now
        self._credit = min(self._credit + passed * rate, max(1.0, rate * _BURST_SECONDS))
        return int(self._credit)

    def used(self, n: int) -> None:
        self._credit -= n


@dataclass
class Uart:
    """Both directions. host_baud and chip_baud: what each end has set."""

    host_baud: int = 115200
    chip_baud: int = 115200
    lost: int = 0  # bytes that the chip's ring had no room for
    garbled: int = 0  # bytes sent at a speed the other end did not have
    down: Direction = field(default_factory=Direction)
    up: Direction = field(default_factory=Direction)

    @property
    def matched(self) -> bool:
        return abs(self.host_baud - self.chip_baud) <= TOLERANCE * self.chip_baud

    def carry(
        self,
        now: float,
        direction: Direction,
        baudrate: int,
        take: Callable[[int], bytes],
        give: Callable[[bytes], None],
    ) -> bool:
        """Move what the line carries from take(n) to give(); whether anything moved."""
        n = direction.allowance(now, baudrate)
        data = take(n) if n > 0 else b""
        if not data:
            return False
        direction.used(len(data))
        if not self.matched:
            self.garbled += len(data)
            data = _noise(data)
        give(data)
        return True
