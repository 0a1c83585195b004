"""What a frame is taken apart into: layers with fields; and what is said about it."""

from dataclasses import dataclass, field
from typing import Any

from viperip_host.explain import sources
from viperip_host.explain.reading import Frame


@dataclass
class Field:
    """A field of a header. at, bits: its place; text: its value; meaning: what it says here."""

    name: str
    at: int
    bits: int
    value: int | bytes
    text: str
    meaning: str = ""
    wrong: bool = False


@dataclass
class Layer:
    """A protocol's part of a frame. kind: "ethernet", "arp", "ipv4", ...; size: of its header."""

    kind: str
    title: str
    source: str = ""
    fields: list[Field] = field(default_factory=list)
    size: int = 0
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        """The value of a field."""
        for one in self.fields:
            if one.name == name:
                return one.value
        raise KeyError(name)

    def mean(self, name: str, meaning: str, text: str | None = None, wrong: bool = False) -> None:
        """Say what a field means in this frame."""
        for one in self.fields:
            if one.name == name:
                one.meaning, one.wrong = meaning, wrong
                if text is not None:
                    one.text = text
                if wrong:
                    self.problems.append(f"{name}: {meaning}")


def read_layer(kind: str, title: str, data: bytes, number: int = 0, size: int = 0) -> Layer | None:
    """The header at the start of DATA, by the diagram of its source; None when it is cut.

    size: of the header with its options, 0: what the diagram has.
    """
    diagram = sources.diagrams(kind)[number]
    fixed = max((cell.at + cell.bits for cell in diagram), default=0) // 8
    if len(data) < fixed:
        return None
    layer = Layer(kind, title, sources.path(kind), size=max(size, fixed))
    head = int.from_bytes(data[:fixed], "big")
    for cell in diagram:
        if not cell.bits:
            if layer.size > fixed and cell.name == "options":
                raw = data[fixed : layer.size]
                layer.fields.append(Field(cell.name, cell.at, len(raw) * 8, raw, raw.hex(" ")))
            continue
        value = head >> (fixed * 8 - cell.at - cell.bits) & ((1 << cell.bits) - 1)
        if cell.bits > 32:
            raw = value.to_bytes(cell.bits // 8, "big")
            layer.fields.append(Field(cell.name, cell.at, cell.bits, raw, raw.hex(":")))
        else:
            layer.fields.append(Field(cell.name, cell.at, cell.bits, value, str(value)))
    return layer


@dataclass
class Statement:
    """What WHO does with the frame, and by which rule."""

    who: str
    text: str
    rule: str = ""


@dataclass
class Explained:
    """A frame, its layers, and what the ends do with it."""

    frame: Frame
    layers: list[Layer] = field(default_factory=list)
    summary: str = ""
    statements: list[Statement] = field(default_factory=list)
    changes: list[str] = field(
        default_factory=list
    )  # "10.0.0.1 TCP state: SYN-SENT -> ESTABLISHED"
    board: list[str] = field(default_factory=list)  # what changed on the board, by its own word
    conversation: str = ""  # the key of what it belongs to
    ends: tuple[str, str] = ("", "")  # source and destination, for the sequence diagram
    payload: bytes = b""

    def layer(self, kind: str) -> Layer | None:
        """The first layer of a kind."""
        for one in self.layers:
            if one.kind == kind:
                return one
        return None

    @property
    def problems(self) -> list[str]:
        return [f"{one.title}: {text}" for one in self.layers for text in one.problems]


def ip_text(value: int | bytes) -> str:
    """An IPv4 address as text."""
    raw = value.to_bytes(4, "big") if isinstance(value, int) else value
    return ".".join(map(str, raw))


def sum16(*pieces: bytes) -> int:
    """The Internet checksum's sum (RFC 1071): 0xFFFF when a checksum among PIECES is right."""
    data = b"".join(pieces)
    if len(data) % 2:
        data += b"\0"
    # A sum with end-around carry is the remainder modulo 2**16 - 1, except that it is never +0.
    return int.from_bytes(data, "big") % 0xFFFF or (0xFFFF if any(data) else 0)
