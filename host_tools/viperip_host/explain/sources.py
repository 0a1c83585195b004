"""Header diagrams and constants, read from the stack's own sources: there is no other table."""

import ast
import functools
import re
from dataclasses import dataclass
from typing import Any

from viperip_host import resources
from viperip_host.errors import HostError

FILES = {
    "ethernet": "link/ethernet.py",
    "arp": "link/arp.py",
    "ipv4": "internet/ipv4.py",
    "icmp": "internet/icmp.py",
    "igmp": "internet/igmp.py",
    "fragment": "internet/fragment.py",
    "udp": "transport/udp.py",
    "tcp": "transport/tcp/segment.py",
    "states": "transport/tcp/states.py",
    "dhcp": "application/dhcp.py",
    "dns": "application/dns.py",
    "trace": "link/trace.py",
}


@dataclass(frozen=True)
class Cell:
    """A field of a header: where it starts and how long it is, in bits. bits 0: to the end."""

    name: str
    at: int
    bits: int


Diagram = tuple[Cell, ...]


def path(protocol: str) -> str:
    """The file that a protocol's diagram comes from, for people."""
    return f"firmware/viperip/{FILES[protocol]}"


@functools.cache
def _text(protocol: str) -> str:
    file = resources.firmware() / "viperip" / FILES[protocol]
    try:
        return file.read_text()
    except OSError as error:
        raise HostError(f"{file}: {error.strerror}; install viperip again") from None


@functools.cache
def diagrams(protocol: str) -> tuple[Diagram, ...]:
    """The diagrams at the top of a protocol's file, in their order.

    A diagram is pairs of lines: byte offsets, and below each the bar that a field begins with. A
    cell of the form `a:4 b:4` is fields of so many bits. Offset 0 begins the next diagram.
    """
    found: list[Diagram] = []
    cells: list[Cell] = []
    lines = _text(protocol).splitlines()
    for above, below in zip(lines, lines[1:], strict=False):
        if not re.fullmatch(r"# +\d+( +\d+)*", above) or not re.match(r"# +\|", below):
            continue
        offsets = [int(word) for word in above[1:].split()]
        names = [name.strip() for name in below.partition("|")[2].split("|")]
        if offsets[0] == 0 and cells:
            found.append(tuple(cells))
            cells = []
        cells += _cells([name for name in names if name], offsets)
    if cells:
        found.append(tuple(cells))
    return tuple(_closed(diagram) for diagram in found)


def _cells(names: list[str], offsets: list[int]) -> list[Cell]:
    cells = []
    ends = [*offsets[1:], offsets[-1]]
    for name, start, end in zip(names, offsets, ends, strict=False):
        at = start * 8
        parts = re.findall(r"([^:\s][^:]*):(\d+)", name)
        for part, bits in parts:
            cells.append(Cell(part.strip(), at, int(bits)))
            at += int(bits)
        if not parts:
            cells.append(Cell(name, at, (end - start) * 8))
    return cells


def _closed(diagram: Diagram) -> Diagram:
    """The last cell of a line ends where the next line begins."""
    cells = []
    for cell, after in zip(diagram, [*diagram[1:], None], strict=True):
        bits = cell.bits or (after.at - cell.at if after else 0)
        cells.append(Cell(cell.name, cell.at, bits))
    return tuple(cells)


@functools.cache
def constants(protocol: str) -> dict[str, Any]:
    """The constants that a protocol's file defines at its top level."""
    names: dict[str, Any] = {}
    for statement in ast.parse(_text(protocol)).body:
        if isinstance(statement, ast.Assign):
            target = statement.targets[0]
            value = _value(statement.value, names)
            if isinstance(target, ast.Name) and value is not None:
                names[target.id] = value
            elif isinstance(target, ast.Tuple) and isinstance(value, range | tuple):
                for one, number in zip(target.elts, value, strict=True):
                    if isinstance(one, ast.Name):
                        names[one.id] = number
    return names


def _value(node: ast.expr, names: dict[str, Any]) -> Any:
    """What an expression stands for; None when it is not a constant."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        given = [_value(one, names) for one in node.args]
        if node.func.id == "const" and len(given) == 1:
            return given[0]
        if node.func.id == "range" and all(isinstance(one, int) for one in given):
            return range(*given)
        return None
    if isinstance(node, ast.Name):
        return names.get(node.id)
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def named(protocol: str, number: int, among: tuple[str, ...] = ()) -> str:
    """The name of a constant with this value, among the names given; "" if there is none."""
    known = constants(protocol)
    for name in among or tuple(known):
        if known.get(name) == number:
            return name.strip("_")
    return ""
