"""A run of `viperip explain`: frames in, text, JSON or a page out."""

import json
import sys
from dataclasses import dataclass, field
from typing import TextIO

from viperip_host.errors import UsageError
from viperip_host.explain import talks, terminal_view
from viperip_host.explain.model import Explained
from viperip_host.explain.reading import Frame
from viperip_host.explain.tcp import changes
from viperip_host.explain.track import Tracker

_KEPT = 20_000  # frames that a page or diagrams are made of


@dataclass
class Explainer:
    """take() every frame, then end(). name: what the frames are of, for the page's title."""

    only: str = ""
    number: int | None = None
    brief: bool = False
    talk: bool = False
    html: str | None = None
    as_json: bool = False
    name: str = ""
    frames: int = 0
    left_out: int = 0
    out: TextIO = field(default_factory=lambda: sys.stdout)
    _kept: list[Explained] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tracker = Tracker()
        self.write_to(self.out)

    def write_to(self, out: TextIO) -> None:
        """Where text and JSON go from now on."""
        self.out = out
        self.view = terminal_view.View(terminal_view.console(out), self.only, self.brief)

    @property
    def done(self) -> bool:
        """Whether the one frame asked for has been shown."""
        return self.number is not None and self.frames >= self.number and not self._keeps

    @property
    def _keeps(self) -> bool:
        return self.talk or self.html is not None

    def take(self, frame: Frame) -> None:
        self.frames = frame.number
        seen = self.tracker.take(frame)
        if frame.before is not None and frame.after is not None:
            seen.board = _board(frame)
        if self.view.first is None:
            self.view.first = frame.stamp
        if not self._wanted(seen):
            return
        if self._keeps:
            if len(self._kept) < _KEPT:
                self._kept.append(seen)
            else:
                self.left_out += 1
        if self.as_json:
            print(json.dumps(terminal_view.as_dict(seen)), file=self.out, flush=True)
        elif not self._keeps:
            self.view.frame(seen)

    def _wanted(self, seen: Explained) -> bool:
        if self.number is not None and seen.frame.number != self.number:
            return False
        kind = "ipv4" if self.only == "ip" else self.only
        return not kind or seen.layer(kind) is not None

    def end(self) -> None:
        """Diagrams and page, when all frames are there."""
        if not self._keeps:
            return
        found = talks.gather(self._kept, self.tracker)
        if self.talk:
            for one in found:
                self.view.talk(one)
        if self.html is not None:
            from viperip_host.explain import html_view

            page = html_view.page(self.name, found, self._kept, self.view.first)
            try:
                with open(self.html, "w", encoding="utf-8") as file:
                    file.write(page)
            except OSError as error:
                raise UsageError(f"--html {self.html}: {error.strerror}") from None
        if self.left_out:
            print(
                f"viperip explain: diagrams are of the first {_KEPT} frames; {self.left_out} more "
                "came (--only selects)",
                file=sys.stderr,
            )


def _board(frame: Frame) -> list[str]:
    """What a frame changed on the board, by the board's own word."""
    assert frame.before is not None and frame.after is not None
    lines = []
    for section in ("tcp", "arp", "udp"):
        before, after = frame.before.get(section, {}), frame.after.get(section, {})
        for key in [*after, *(one for one in before if one not in after)]:
            if key in after:
                lines += changes(f"{section} {key}", before.get(key, {}), after[key])
            else:
                lines.append(f"{section} {key} is gone")
    before, after = frame.before.get("stats", {}), frame.after.get("stats", {})
    for name, count in after.items():
        if count != before.get(name, 0):
            lines.append(f"counts {name}: {before.get(name, 0)} -> {count}")
    return lines
