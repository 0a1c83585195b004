"""The switch's counters as a table for people."""

from collections.abc import Sequence
from typing import Any

_ALWAYS = ("rx_frames", "rx_bytes", "tx_frames", "tx_bytes", "flooded")
_PLACE = ("port", "local", "remote")


def render(report: dict[str, Any]) -> str:
    """Two tables: the ports (columns that are 0 everywhere left out) and the MAC addresses."""
    ports = report["ports"]
    extra = [
        name
        for name in ports[0]
        if name not in (*_PLACE, *_ALWAYS) and any(port[name] for port in ports)
    ]
    columns = ["port", *_ALWAYS, *extra]
    lines = table(columns, [[port[name] for name in columns] for port in ports])
    if report["macs"]:
        rows = [[row["mac"], row["port"], f"{row['age']:.1f} s"] for row in report["macs"]]
        lines += ["", *table(["mac", "port", "age"], rows)]
    return "\n".join(lines)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Lines of a plain table, every column as wide as it needs."""
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
