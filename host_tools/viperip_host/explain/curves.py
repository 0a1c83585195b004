"""Curves of a TCP connection as SVG: bytes in flight, round trip times, windows."""

from html import escape

from viperip_host.explain.tcp import Connection

_Points = list[tuple[float, str, float]]
_W, _H = 320, 190
_X0, _X1, _Y0, _Y1 = 52, 308, 160, 14
_MOST = 1500  # points of a curve


def figures(connection: Connection, left: str) -> str:
    """The three figures, and what their colours mean. left: the end with the first colour."""
    s = connection.samples
    everything = [*s.flight, *s.rtt, *s.window]
    if not everything:
        return ""
    begin = min(t for t, _, _ in everything)
    end = max(t for t, _, _ in everything)
    other = next((name for name in connection.ends if name != left), "")
    key = (
        f'<p class="key"><b class="ka">{escape(left)}</b> and '
        f'<b class="kb">{escape(other)}</b>; dashed: cwnd, estimated by RFC 5681 from the '
        "frames, as no header carries it</p>"
    )
    return (
        key
        + '<div class="curves">'
        + _figure("in flight, and cwnd (bytes)", s.flight, begin, end, left, s.cwnd)
        + _figure("round trip time where captured (ms)", s.rtt, begin, end, left)
        + _figure("window announced (bytes)", s.window, begin, end, left)
        + "</div>"
    )


def _figure(
    title: str, points: _Points, begin: float, end: float, left: str, dashed: _Points | None = None
) -> str:
    top = max((v for _, _, v in [*points, *(dashed or [])]), default=0)
    top = _round(top)
    span = max(end - begin, 1e-6)
    parts = []
    for i in range(5):
        y = _Y0 - (_Y0 - _Y1) * i / 4
        parts.append(f'<line class="grid" x1="{_X0}" x2="{_X1}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_label(_X0 - 5, y + 4, _short(top * i / 4), "end"))
    for i in range(3):
        x = _X0 + (_X1 - _X0) * i / 2
        anchor = ("start", "middle", "end")[i]
        parts.append(_label(x, _Y0 + 18, f"{span * i / 2:.3g} s", anchor))
    for series, style in ((dashed or [], " est"), (points, "")):
        names = sorted({name for _, name, _ in series}, key=lambda name: name != left)
        for name in names:
            own = [(t, v) for t, who, v in series if who == name]
            kind = "a" if name == left else "b"
            parts.append(_curve(own, begin, span, top, kind + style))
    if not points:
        parts.append(_label((_X0 + _X1) / 2, (_Y0 + _Y1) / 2, "nothing to measure", "middle"))
    return (
        f'<figure><figcaption>{title}</figcaption><svg viewBox="0 0 {_W} {_H}" role="img" '
        f'aria-label="{title}">{"".join(parts)}</svg></figure>'
    )


def _curve(
    own: list[tuple[float, float]], begin: float, span: float, top: float, kind: str
) -> str:
    if len(own) > _MOST:
        own = own[:: len(own) // _MOST + 1]
    places = [
        (_X0 + (t - begin) / span * (_X1 - _X0), _Y0 - v / top * (_Y0 - _Y1)) for t, v in own
    ]
    # A value holds until the next: steps.
    path = ""
    for i, (x, y) in enumerate(places):
        path += f"H{x:.1f}V{y:.1f}" if i else f"M{x:.1f} {y:.1f}"
    dots = ""
    if len(places) <= 40 and "est" not in kind:
        dots = "".join(
            f'<circle class="f{kind}" cx="{x:.1f}" cy="{y:.1f}" r="2"/>' for x, y in places
        )
    return f'<path class="{kind}" d="{path}" stroke-width="1.6"/>{dots}'


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text class="dim" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def _round(value: float) -> float:
    """The next of 1, 2, 4, 8 times a power of ten."""
    step = 1e-3
    while step < 1e12:
        for factor in (1, 2, 4, 8):
            if value <= factor * step:
                return factor * step
        step *= 10
    return value


def _short(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:.3g}M"
    if value >= 1e3:
        return f"{value / 1e3:.3g}k"
    return f"{value:.3g}"
