"""pcapng files that are complete up to the last frame at any moment."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from pcapng import FileWriter
from pcapng.blocks import (
    EnhancedPacket,
    InterfaceDescription,
    InterfaceStatistics,
    SectionHeader,
)

LINKTYPE_ETHERNET = 1


class _Whole:
    """Hands each block to the file in one piece: the writer gives it field by field."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> None:
        self._pieces.append(piece)

    def flush(self) -> None:
        block = b"".join(self._pieces)
        self._pieces.clear()
        while block:  # a pipe may take less
            block = block[self._file.write(block) :]


@dataclass(frozen=True)
class Interface:
    """An interface of a capture. mac: as text, with colons; snaplen: bytes kept, 0: all."""

    name: str
    mac: str | None = None
    snaplen: int = 0


class CaptureFile:
    """Writes frames to an unbuffered binary FILE, which is closed with it. Times are in us.

    OSError when the file takes no more: a full disk, a pipe whose reader has gone.
    """

    def __init__(self, file: BinaryIO, application: str, interfaces: Sequence[Interface]) -> None:
        self._file = file
        self._stream = _Whole(file)
        self._section = SectionHeader(options={"shb_userappl": application})
        for one in interfaces:
            options: dict[str, Any] = {"if_name": one.name}
            if one.mac is not None:
                options["if_MACaddr"] = one.mac
            self._section.new_member(
                InterfaceDescription,
                link_type=LINKTYPE_ETHERNET,
                snaplen=one.snaplen,
                options=options,
            )
        self._writer = FileWriter(self._stream, self._section)
        self._stream.flush()

    @classmethod
    def create(cls, path: str, application: str, interfaces: Sequence[Interface]) -> "CaptureFile":
        """A new file at PATH. OSError when it cannot be made."""
        # Unbuffered: what is written is in the file, even if the process is killed.
        return cls(open(path, "wb", buffering=0), application, interfaces)

    def write(
        self,
        interface: int,
        frame: bytes,
        *,
        length: int | None = None,
        stamp: int | None = None,
        sent: bool | None = None,
        dropped: int = 0,
    ) -> None:
        """A frame of INTERFACE, a number from 0.

        length: of the whole frame, when this is only its beginning; stamp: us since 1970 (now);
        sent: its direction, if there is one; dropped: frames lost just before it.
        """
        options: dict[str, Any] = {}
        if sent is not None:
            options["epb_flags"] = 2 if sent else 1  # outbound, inbound
        if dropped:
            options["epb_dropcount"] = dropped
        self._put(
            EnhancedPacket,
            stamp,
            interface_id=interface,
            packet_len=len(frame) if length is None else length,
            packet_data=frame,
            options=options,
        )

    def statistics(self, interface: int, received: int, dropped: int) -> None:
        """What became of the frames of INTERFACE, at the end."""
        options = {"isb_ifrecv": received, "isb_ifdrop": dropped}
        self._put(InterfaceStatistics, None, interface_id=interface, options=options)

    def _put(self, kind: type[Any], stamp: int | None, **fields: Any) -> None:
        if stamp is None:
            stamp = time.time_ns() // 1000
        block = self._section.new_member(
            kind, timestamp_high=stamp >> 32, timestamp_low=stamp & 0xFFFFFFFF, **fields
        )
        self._writer.write_block(block)
        self._stream.flush()

    def close(self) -> None:
        self._file.close()
