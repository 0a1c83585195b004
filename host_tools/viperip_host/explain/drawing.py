"""Headers drawn as in the RFCs: 32 bits a row, each field with its name and value."""

import textwrap
from dataclasses import dataclass, field

from viperip_host.explain.model import Field, Layer

_ROW = 32
_LONG = 64  # bits of a field that is drawn in full


@dataclass
class _Cell:
    column: int
    width: int
    lines: list[str] = field(default_factory=list)


def draw(layer: Layer, ascii_only: bool = False) -> list[str]:
    """The lines of a header's picture; none when there are no fields."""
    rows: list[list[_Cell]] = []
    for one in layer.fields:
        _place(rows, one)
    if not rows:
        return []
    ruler = "".join(f"{i // 8 * 8:<16}" for i in range(0, _ROW, 8)).rstrip()
    lines = [" " + ruler]
    above: list[_Cell] = []
    for row in rows:
        lines.append(_border(above, row))
        for i in range(max(len(cell.lines) for cell in row)):
            text = ""
            for cell in row:
                inside = cell.width * 2 - 1
                word = cell.lines[i] if i < len(cell.lines) else ""
                text += "│" + f"{word[:inside]:^{inside}}"
            lines.append(text + "│")
        above = row
    lines.append(_border(above, []))
    if ascii_only:
        table = str.maketrans(
            {"│": "|", **dict.fromkeys("─", "-"), **dict.fromkeys("┌┐└┘├┤┬┴┼", "+")}
        )
        return [line.translate(table) for line in lines]
    return lines


def _place(rows: list[list[_Cell]], one: Field) -> None:
    """Add a field's cells; a field of several rows has its name in the widest part."""
    bits, column = one.bits, one.at % _ROW
    if bits > _LONG or (bits > _ROW and not column and not bits % _ROW):
        rows.append([_Cell(0, _ROW, [f"{one.name}, {bits // 8} bytes", one.text[:60]])])
        return
    parts = []
    while bits > 0:
        width = min(bits, _ROW - column)
        if column == 0 or not rows:
            rows.append([])
        cell = _Cell(column, width, [""])
        rows[-1].append(cell)
        parts.append(cell)
        bits -= width
        column = 0
    if not parts:
        return
    octets = one.text.split(":")
    if len(parts) > 1 and len(octets) * 8 == one.bits:
        # A MAC address: its bytes where they lie.
        for cell in parts:
            n = cell.width // 8
            cell.lines = [one.name, ":".join(octets[:n])]
            octets = octets[n:]
        return
    widest = max(parts, key=lambda cell: cell.width)
    inside = widest.width * 2 - 1
    names = textwrap.wrap(one.name, inside, break_long_words=True) or [""]
    values = [one.text] if len(one.text) <= inside else textwrap.wrap(one.text, inside)
    widest.lines = names[:2] + (values or [""])[:3]


def _edges(row: list[_Cell]) -> tuple[set[int], int]:
    """Where a row has bars, and how long it is, in characters."""
    bars = {cell.column * 2 for cell in row}
    end = max((cell.column + cell.width) * 2 for cell in row) if row else -1
    return bars | ({end} if row else set()), end


def _border(above: list[_Cell], below: list[_Cell]) -> str:
    up, up_end = _edges(above)
    down, down_end = _edges(below)
    end = max(up_end, down_end)
    text = ""
    for i in range(end + 1):
        key = (i in up, i in down)
        if i == 0:
            text += {(True, True): "├", (False, True): "┌", (True, False): "└"}[key]
        elif i == end:
            text += {(True, True): "┤", (False, True): "┐", (True, False): "┘"}[key]
        else:
            text += {(True, True): "┼", (False, True): "┬", (True, False): "┴"}.get(key, "─")
    return text
