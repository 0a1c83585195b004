"""Records on the serial line, as firmware/viperip/link/serial/ has them: the host's end.

A record is cut into segments. Each stands between two zero bytes, has a header byte and an FCS,
and is stuffed so that neither 0 nor 3 (Ctrl-C) occurs in it. What lies between segments is text.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

CONTROL, CREDIT, FRAME, PACKET = 1, 2, 3, 4

FIRST, LAST, NUMBER = 0x80, 0x40, 0x3F
DATA = 120  # bytes of a record in one segment
SEGMENT = DATA + 4  # the longest, between its delimiters
RECORD = 70_000  # more than any frame

_GOOD_FCS = 0xF0B8


def _table() -> tuple[int, ...]:
    """RFC 1662 C.2: the FCS of every byte."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x8408 if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


_FCS = _table()


def fcs(data: bytes | bytearray, value: int = 0xFFFF) -> int:
    """The running FCS (RFC 1662 C.2); 0xF0B8 over data and their FCS."""
    table = _FCS
    for byte in data:
        value = value >> 8 ^ table[(value ^ byte) & 0xFF]
    return value


def stuff(data: bytes | bytearray) -> bytes:
    """DATA (125 bytes at most) without 0 and 3, one byte longer."""
    out = bytearray()
    start = 0
    for at, byte in enumerate(data):
        if byte in (0, 3):
            out.append(_code((at - start) * 2 + (byte == 3)))
            out += data[start:at]
            start = at + 1
    out.append(_code((len(data) - start) * 2))
    out += data[start:]
    return bytes(out)


def _code(number: int) -> int:
    return number + 1 if number < 2 else number + 2


def unstuff(data: bytes | bytearray) -> bytes | None:
    """What stuff() was given; None when that cannot have been."""
    out = bytearray()
    at = 0
    number = 1
    while at < len(data):
        code = data[at]
        number = code - 1 if code < 3 else code - 2
        end = at + 1 + (number >> 1)
        if code in (0, 3) or end > len(data):
            return None
        out += data[at + 1 : end]
        out.append(3 if number & 1 else 0)
        at = end
    if number & 1 or not out:
        return None
    out.pop()
    return bytes(out)


def segments(kind: int, body: bytes, number: int) -> Iterator[bytes]:
    """The segments of a record, the first with the sequence NUMBER, each with its delimiters."""
    record = bytes([kind]) + body
    for start in range(0, len(record), DATA):
        piece = record[start : start + DATA]
        head = number & NUMBER
        head |= FIRST if start == 0 else 0
        head |= LAST if start + DATA >= len(record) else 0
        data = bytes([head]) + piece
        data += (fcs(data) ^ 0xFFFF).to_bytes(2, "little")
        yield b"\0" + stuff(data) + b"\0"
        number += 1


@dataclass
class Decoder:
    """Takes bytes as they come from the line apart: into records and text.

    on_record(kind, body) and on_text(bytes) are called in the order of the line. bad counts
    stretches between delimiters that were no segment, lost records of which some were missing.
    """

    on_record: Callable[[int, bytes], None]
    on_text: Callable[[bytes], None]
    bad: int = 0
    lost: int = 0
    data_bytes: int = 0  # of records, without their framing
    _inside: bool = False
    _rest: bytearray = field(default_factory=bytearray)
    _record: bytearray | None = None
    _expect: int = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the line."""
        *whole, rest = data.split(b"\0")
        for part in whole:
            if self._inside:
                self._rest += part
                self._close()
            else:
                self._text(part)
                self._inside = True
        if not self._inside:
            self._text(rest)
            return
        self._rest += rest
        if len(self._rest) > SEGMENT:
            # No segment is that long: the delimiter before it was the end of one.
            self.flush()

    def flush(self) -> None:
        """Nothing more comes for now: what waits for a delimiter is text after all."""
        if self._inside and self._rest:
            self.bad += 1
            self._text(bytes(self._rest))
            self._rest.clear()
            self._inside = False

    @property
    def waiting(self) -> bool:
        """Whether bytes wait for the delimiter behind them."""
        return self._inside and bool(self._rest)

    def _text(self, text: bytes) -> None:
        if text:
            self.on_text(bytes(text))

    def _close(self) -> None:
        if not self._rest:
            return  # two delimiters in a row: the second begins a segment
        stuffed = bytes(self._rest)
        self._rest.clear()
        data = unstuff(stuffed) if len(stuffed) <= SEGMENT else None
        if data is None or len(data) < 4 or fcs(data) != _GOOD_FCS:
            # Text between two segments, the first of which lost its end: this one begins one.
            self.bad += 1
            self._text(stuffed)
            return
        self._inside = False
        self._segment(data[0], data[1:-2])

    def _segment(self, head: int, piece: bytes) -> None:
        if head & FIRST:
            self._drop()
            self._record = bytearray()
        elif self._record is None or head & NUMBER != self._expect:
            self._drop()
            return
        assert self._record is not None
        self._record += piece
        self._expect = (head + 1) & NUMBER
        if len(self._record) > RECORD:
            self._drop()
        elif head & LAST:
            record, self._record = bytes(self._record), None
            self.data_bytes += len(record)
            if record:
                self.on_record(record[0], record[1:])

    def _drop(self) -> None:
        if self._record is not None:
            self.lost += 1
        self._record = None
