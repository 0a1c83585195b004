"""Frames of capture files, pcapng and classic pcap. What cannot be read is named and left out."""

import io
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pcapng.blocks
from dpkt import pcap
from pcapng import FileScanner

from viperip_host.errors import UsageError

# Link types (https://www.tcpdump.org/linktypes.html).
ETHERNET, RAW_IP, LINUX_SLL, LINUX_SLL2 = 1, 101, 113, 276
_RAW = {RAW_IP, 12, 14, 228}
NAMES = {
    0: "BSD loopback", 9: "PPP", 105: "IEEE 802.11", 127: "802.11 with radiotap",
    195: "IEEE 802.15.4", 189: "USB", 220: "USB", 187: "Bluetooth", 201: "Bluetooth",
    227: "SocketCAN", 229: "IPv6", 192: "per-packet information", 108: "OpenBSD loopback",
}  # fmt: skip
_LONGEST = 1 << 18  # of a frame: what tcpdump and Wireshark take at most
_PCAPNG = b"\x0a\x0d\x0d\x0a"
_BLOCK_LONGEST = 1 << 24


@dataclass
class Frame:
    """A frame as captured. stamp: seconds since 1970; length: before it was cut; sent: by the
    machine that captured, if it says."""

    number: int
    data: bytes
    length: int
    stamp: float | None = None
    link: int = ETHERNET
    sent: bool | None = None
    interface: str = ""
    # Live from a board: what its stack holds before and after this frame.
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


@dataclass
class Source:
    """Frames from somewhere; `say` gets one line about whatever cannot be read."""

    say: Callable[[str], None]
    frames: int = 0
    _said: set[str] = field(default_factory=set)

    def once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self.say(line)

    def number(self) -> int:
        self.frames += 1
        return self.frames


def read_file(name: str, say: Callable[[str], None]) -> Iterator[Frame]:
    """The frames of a capture file; `-` is standard input. UsageError when it cannot be opened."""
    if name == "-":
        yield from read_stream(sys.stdin.buffer, "standard input", say)
        return
    path = Path(name)
    if path.is_dir():
        raise UsageError(f"{name}: a folder, not a capture")
    try:
        file = open(path, "rb")  # noqa: SIM115
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror}") from None
    with file:
        yield from read_stream(file, name, say)


def read_stream(stream: BinaryIO, name: str, say: Callable[[str], None]) -> Iterator[Frame]:
    """The frames of a capture that is open; its format is told by its first bytes."""
    source = Source(lambda line: say(f"{name}: {line}"))
    head = _exactly(stream, 4)
    try:
        if not head:
            source.say("the file is empty: there are no frames in it")
        elif head == _PCAPNG:
            yield from _pcapng(_Ahead(head, stream), source)
        elif head in _MAGICS:
            yield from _pcap(head, stream, source)
        else:
            source.say(
                f"neither pcapng nor pcap (it begins with {head.hex(' ')}); "
                "editcap or tshark -w may convert it"
            )
    except OSError as error:
        source.say(f"cannot be read on: {error.strerror}")


def _exactly(stream: BinaryIO, n: int) -> bytes:
    data = b""
    while len(data) < n and (piece := stream.read(n - len(data))):
        data += piece
    return data


# Classic pcap (https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-06.html). dpkt has the
# layout of its two headers; its reader forgets how long a cut frame was.

_MAGICS = {
    struct.pack(order + "I", magic): (order, nano)
    for order in "<>"
    for magic, nano in ((pcap.TCPDUMP_MAGIC, False), (pcap.TCPDUMP_MAGIC_NANO, True))
}


def _pcap(magic: bytes, stream: BinaryIO, source: Source) -> Iterator[Frame]:
    order, nano = _MAGICS[magic]
    head = magic + _exactly(stream, 20)
    if len(head) < 24:
        source.say("the file header is cut: 24 bytes are needed")
        return
    file = (pcap.LEFileHdr if order == "<" else pcap.FileHdr)(head)
    record = pcap.LEPktHdr if order == "<" else pcap.PktHdr
    link = file.linktype & 0xFFFF
    known = _known(link, source)
    while head := _exactly(stream, 16):
        n = source.number()
        if len(head) < 16:
            source.say(f"frame {n}: its header is cut; the file ends there")
            return
        one = record(head)
        if one.caplen > _LONGEST:
            source.say(
                f"frame {n}: it is to have {one.caplen} bytes, which no frame has: "
                "the file is corrupt from there on"
            )
            return
        data = _exactly(stream, one.caplen)
        if len(data) < one.caplen:
            source.say(
                f"frame {n}: {one.caplen} bytes announced, {len(data)} there; the file ends"
            )
        if known:
            stamp = one.tv_sec + one.tv_usec / (1e9 if nano else 1e6)
            yield Frame(n, data, max(one.len, len(data)), stamp, link)


def _known(link: int, source: Source) -> bool:
    if link in (ETHERNET, LINUX_SLL, LINUX_SLL2) or link in _RAW:
        return True
    name = NAMES.get(link, "unknown here")
    source.once(f"link type {link} ({name}) cannot be read: its frames are left out")
    return False


# pcapng (https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html).


class _Ahead:
    """A stream with some bytes put back before it."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head = head
        self._stream = stream

    def read(self, n: int) -> bytes:
        data, self._head = self._head[:n], self._head[n:]
        return data + _exactly(self._stream, n - len(data))


def _pcapng(stream: _Ahead, source: Source) -> Iterator[Frame]:
    """Each block is taken from the file whole, and then read: one that is broken ends nothing."""
    scanner = FileScanner(io.BytesIO())
    order = "<"
    at = 0
    while head := stream.read(12):
        if len(head) < 12:
            source.say(f"the block at byte {at} is cut; the file ends there")
            return
        if head[:4] == _PCAPNG:
            order = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}.get(head[8:12], "")
            if not order:
                source.say(f"the section at byte {at} has no byte order mark: corrupt from there")
                return
        n = struct.unpack(order + "I", head[4:8])[0]
        if n < 12 or n % 4 or n > _BLOCK_LONGEST:
            source.say(
                f"the block at byte {at} has the length {n}: the file is corrupt from there"
            )
            return
        body = stream.read(n - 12)
        if len(body) < n - 12:
            source.say(
                f"the block at byte {at} is cut: {n} bytes announced, {12 + len(body)} there"
            )
            return
        yield from _block(scanner, head + body, at, order, source)
        at += n


def _block(scanner: Any, data: bytes, at: int, order: str, source: Source) -> Iterator[Frame]:
    kind, n = struct.unpack(order + "II", data[:8])
    packet = kind in (2, 3, 6)
    number = source.number() if packet else 0
    what = f"frame {number}" if packet else f"the block at byte {at}"
    if struct.unpack(order + "I", data[-4:])[0] != n:
        source.say(f"{what}: its length stands at its end as another; read all the same")
        data = data[:-4] + data[4:8]
    scanner.stream = io.BytesIO(data)
    try:
        block = scanner._read_next_block()
        frame = _frame(block, number, source) if packet else None
        if isinstance(block, pcapng.blocks.InterfaceDescription):
            _known(block.link_type, source)
    except Exception as error:  # whatever the library stumbles over in a corrupt block
        text = " ".join(str(error).split()) or type(error).__name__
        source.say(f"{what} cannot be read ({text[:80]})")
        return
    if frame is not None:
        yield frame


def _frame(block: Any, number: int, source: Source) -> Frame | None:
    interface = block.interface
    link = interface.link_type
    if not _known(link, source):
        return None
    data = bytes(block.packet_data)
    length = getattr(block, "packet_len", 0) or len(data)
    sent = None
    name = ""
    stamp = None
    if not isinstance(block, pcapng.blocks.SimplePacket):
        stamp = float(block.timestamp)
        flags = block.options.get("epb_flags") if hasattr(block, "options") else None
        direction = getattr(flags, "inout", None)
        sent = {"outbound": True, "inbound": False}.get(str(direction))
    name = str(interface.options.get("if_name") or "")
    return Frame(number, data, max(length, len(data)), stamp, link, sent, name)
