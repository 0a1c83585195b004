"""Explained frames in a terminal, or as plain text in a pipe."""

from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from viperip_host.explain import drawing, talks
from viperip_host.explain.model import Explained, Field, Layer

_LANE = 58  # characters between the two ends of a sequence diagram
_SHOWN = 64  # bytes of payload

_STYLES = {
    "ethernet": "blue", "arp": "magenta", "ipv4": "cyan", "icmp": "yellow", "igmp": "yellow",
    "udp": "green", "tcp": "green", "dhcp": "bright_blue", "dns": "bright_blue",
}  # fmt: skip


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Whoever read has had enough, as `| head` does."""
        self.quiet = True
        raise BrokenPipeError


def console(file: TextIO) -> Console:
    """A console on FILE: colours and the terminal's width, or neither in a pipe."""
    return _Console(file=file, highlight=False, soft_wrap=True, emoji=False, markup=False)


class View:
    """Prints frames. only: the kind of layer to draw, "" for all; brief: without drawings."""

    def __init__(self, out: Console, only: str = "", brief: bool = False) -> None:
        self.out = out
        self.only = only
        self.brief = brief
        self.first: float | None = None
        self._ascii = "utf" not in out.encoding.lower()

    def line(self, text: str, style: str = "") -> None:
        if self._ascii:
            text = text.encode("ascii", "replace").decode()
        self.out.print(Text(text, style=style), soft_wrap=True)

    def frame(self, seen: Explained) -> None:
        """One frame, layer by layer, and what is done with it."""
        frame = seen.frame
        if self.first is None:
            self.first = frame.stamp
        when = talks.since(seen, self.first)
        way = {True: " >", False: " <", None: ""}[frame.sent]
        style = "bold" + (" red" if seen.problems else "")
        self.line(
            f"frame {frame.number}{f'  {when} s' if when else ''}{way}  {seen.summary}", style
        )
        if frame.length > len(frame.data):
            self.line(f"  {len(frame.data)} of {frame.length} bytes were captured", "yellow")
        if self.brief:
            for problem in seen.problems:
                self.line(f"  ! {problem}", "red")
        else:
            for layer in seen.layers:
                if not self.only or self.only in (layer.kind, "ip"):
                    self._layer(layer)
            if not self.only:
                self._payload(seen)
        self._done(seen)
        self.line("")

    def _layer(self, layer: Layer) -> None:
        source = f"  {layer.source}" if layer.source else ""
        self.line(f"  {layer.title}{source}", _STYLES.get(layer.kind, "bold"))
        for row in drawing.draw(layer, self._ascii):
            self.line(f"    {row}")
        wide = max((len(one.name) for one in layer.fields), default=0)
        for one in layer.fields:
            self._field(one, wide)
        for note in layer.notes:
            self.line(f"    {note}")
        for problem in layer.problems:
            self.line(f"    ! {problem}", "red")

    def _field(self, one: Field, wide: int) -> None:
        if one.meaning and not one.wrong:
            text = one.text if len(one.text) <= 40 else one.text[:37] + "..."
            self.line(f"    {one.name:{wide}}  {text}: {one.meaning}")

    def _payload(self, seen: Explained) -> None:
        data = seen.payload
        if not data:
            return
        self.line(f"  payload, {len(data)} bytes")
        for at in range(0, min(len(data), _SHOWN), 16):
            row = data[at : at + 16]
            text = "".join(chr(c) if 32 <= c < 127 else "." for c in row)
            self.line(f"    {at:04x}  {row.hex(' '):47}  {text}", "dim")
        if len(data) > _SHOWN:
            self.line(f"    ... {len(data) - _SHOWN} more", "dim")

    def _done(self, seen: Explained) -> None:
        for one in seen.statements:
            self.line(f"  {one.who}: {one.text}", "bold" if not self.brief else "")
            if one.rule:
                self.line(f"      by {one.rule}", "dim")
        for change in seen.changes:
            self.line(f"    {change}", "dim")
        for change in seen.board:
            self.line(f"    the board itself: {change}", "cyan")

    # Sequence diagrams.

    def talk(self, one: talks.Talk) -> None:
        """A conversation as a sequence diagram."""
        first = one.frames[0].frame.stamp if self.first is None else self.first
        self.line(one.key, "bold")
        if not one.left:
            for seen in one.frames:
                self.line(
                    f"  {seen.frame.number:5} {talks.since(seen, first):>11}  {seen.summary}"
                )
            self.line("")
            return
        pad = " " * 19
        self.line(f"{pad}{one.left:<{_LANE // 2}}{one.right:>{_LANE // 2}}", "bold")
        for seen in one.frames:
            self._arrow(seen, one, first)
        self.line("")

    def _arrow(self, seen: Explained, one: talks.Talk, first: float | None) -> None:
        text = f" {talks.label(seen)} "[: _LANE - 6]
        right = one.rightward(seen)
        line = f"──{text}{'─' * (_LANE - 5 - len(text))}▶" if right else (
            f"◀─{text}{'─' * (_LANE - 4 - len(text))}")  # fmt: skip
        again = any("again" in s.text for s in seen.statements)
        style = "red" if seen.problems else "yellow" if again else ""
        head = f"{seen.frame.number:5} {talks.since(seen, first):>11}  "
        if self._ascii:
            line = line.translate(str.maketrans("─▶◀│", "-><|"))
        bar = "|" if self._ascii else "│"
        self.line(f"{head}{bar}{line}{bar}", style)
        left, to = talks.states(seen, one)
        if left or to:
            space = _LANE - 2 - len(left) - len(to) - 2
            self.line(f"{' ' * 19}{bar} {left}{' ' * max(space, 1)}{to} {bar}", "cyan")


def as_dict(seen: Explained) -> dict[str, Any]:
    """A frame for --json."""
    frame = seen.frame
    return {
        "frame": frame.number,
        "time": frame.stamp,
        "length": frame.length,
        "captured": len(frame.data),
        "sent": frame.sent,
        "summary": seen.summary,
        "conversation": seen.conversation,
        "layers": [
            {
                "kind": layer.kind,
                "fields": {
                    one.name: one.value if isinstance(one.value, int) else one.value.hex()
                    for one in layer.fields
                },
                "meanings": {one.name: one.meaning for one in layer.fields if one.meaning},
                "notes": layer.notes,
                "problems": layer.problems,
            }
            for layer in seen.layers
        ],
        "statements": [
            {"who": one.who, "text": one.text, "rule": one.rule} for one in seen.statements
        ],
        "changes": seen.changes,
        "board": seen.board,
    }
