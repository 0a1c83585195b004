"""The switch's mirror port: a pcapng file that is complete up to the last frame at any moment."""

import time
from collections.abc import Sequence
from typing import BinaryIO

from pcapng import FileWriter
from pcapng.blocks import EnhancedPacket, InterfaceDescription, SectionHeader

LINKTYPE_ETHERNET = 1


class _Whole:
    """Hands each block to the file in one piece: the writer gives it field by field."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> None:
        self._pieces.append(piece)

    def flush(self) -> None:
        self._file.write(b"".join(self._pieces))
        self._pieces.clear()


class PcapngMirror:
    """One interface a switch port, named port1, port2 ... Times are the computer's, in us."""

    def __init__(self, path: str, names: Sequence[str]) -> None:
        """OSError when the file cannot be made."""
        # Unbuffered: what is written is in the file, even if the process is killed.
        self._file: BinaryIO = open(path, "wb", buffering=0)  # noqa: SIM115
        self._stream = _Whole(self._file)
        self._section = SectionHeader(options={"shb_userappl": "viperip switch"})
        for name in names:
            self._section.new_member(
                InterfaceDescription,
                link_type=LINKTYPE_ETHERNET,
                snaplen=0,
                options={"if_name": name},
            )
        self._writer = FileWriter(self._stream, self._section)
        self._stream.flush()

    def write(self, port: int, frame: bytes) -> None:
        """A frame that came in on port PORT (from 0)."""
        stamp = time.time_ns() // 1000
        block = self._section.new_member(
            EnhancedPacket,
            interface_id=port,
            timestamp_high=stamp >> 32,
            timestamp_low=stamp & 0xFFFFFFFF,
            packet_len=len(frame),
            packet_data=frame,
        )
        self._writer.write_block(block)
        self._stream.flush()

    def close(self) -> None:
        self._file.close()
