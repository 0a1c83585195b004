"""One page that needs nothing else: sequence diagrams, curves and every frame. No scripts."""

from html import escape

from viperip_host.explain import curves, talks
from viperip_host.explain.model import Explained, Field, Layer

_ROWS = 400  # frames of a sequence diagram
_DETAILS = 1500  # frames drawn in full
_LEFT, _RIGHT, _WIDTH, _STEP, _TOP = 250, 750, 1000, 26, 50

_STYLE = """
:root { color-scheme: light dark; --ink: light-dark(#1b1f24, #e6e9ed);
  --dim: light-dark(#667, #99a);
  --paper: light-dark(#fff, #14171b); --card: light-dark(#f6f7f9, #1d2127);
  --line: light-dark(#d5d9de, #363c44); --a: light-dark(#0b62c4, #6cb2ff);
  --b: light-dark(#b4470a, #ff9d5c); --bad: light-dark(#c01830, #ff6b7d);
  --state: light-dark(#1a7f4b, #58d499); }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 2rem 1.5rem 6rem; max-width: 1080px; background: var(--paper);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.15rem; margin: 2.8rem 0 .4rem }
p.dim, .dim { color: var(--dim) } a { color: inherit }
table.list { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
table.list th { text-align: left; color: var(--dim); font-weight: normal }
table.list td, table.list th { padding: .25rem .8rem .25rem 0;
  border-bottom: 1px solid var(--line) }
svg { display: block; width: 100%; height: auto; font: 13px ui-monospace, monospace }
svg text { fill: var(--ink) } svg .dim { fill: var(--dim) } svg .end { font-weight: 700 }
svg .lane { stroke: var(--line); stroke-width: 2 }
svg .state { fill: var(--state); font-weight: 600 }
svg .remark { fill: var(--bad) }
svg .a { stroke: var(--a); fill: none } svg .b { stroke: var(--b); fill: none }
svg .again { stroke-dasharray: 6 4 } svg .bad { stroke: var(--bad); fill: none }
svg .fa { fill: var(--a); stroke: none } svg .fb { fill: var(--b); stroke: none }
svg .fbad { fill: var(--bad); stroke: none } svg .grid { stroke: var(--line) }
svg a { text-decoration: none } svg a:hover text { text-decoration: underline }
svg .est { stroke-dasharray: 4 4; opacity: .8 }
.curves { display: grid; grid-template-columns: repeat(3, 1fr); gap: 1rem; margin: .5rem 0 1rem }
.curves figure { margin: 0; background: var(--card); border-radius: 8px; padding: .6rem }
.curves figcaption { font-size: .85rem }
.curves svg { font-size: 11px }
.key { font-size: .85rem } .key b { font-weight: 600 } .key .ka { color: var(--a) }
.key .kb { color: var(--b) }
details { border-bottom: 1px solid var(--line) }
summary { padding: .35rem 0; cursor: pointer; font: 13px/1.6 ui-monospace, monospace }
summary .n { color: var(--dim); display: inline-block; min-width: 3.4rem }
summary .bad { color: var(--bad) }
details > div { padding: .2rem 0 1.2rem 1rem }
h3 { font-size: .95rem; margin: 1rem 0 .3rem } h3 code { font-weight: normal; color: var(--dim) }
table.bits { border-collapse: collapse; width: 100%; max-width: 820px; table-layout: fixed;
  font: 12px/1.35 ui-monospace, monospace; background: var(--card) }
table.bits td { border: 1px solid var(--line); text-align: center; padding: .25rem .1rem;
  overflow-wrap: anywhere }
table.bits small { display: block; color: var(--dim) }
table.bits td.bad { color: var(--bad); font-weight: 700 }
table.bits tr.rule td { border: 0; height: 0; padding: 0 }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 .9rem; margin: .5rem 0;
  font-size: .85rem } dt { color: var(--dim) } dd { margin: 0; overflow-wrap: anywhere }
ul { margin: .3rem 0; padding-left: 1.1rem } li { margin: .15rem 0 }
li .rule { color: var(--dim); font-size: .85rem; display: block }
.changes { font: 12px/1.5 ui-monospace, monospace; color: var(--dim); white-space: pre-wrap }
.changes b { color: var(--state); font-weight: normal }
@media (max-width: 760px) { .curves { grid-template-columns: 1fr } }
"""


def page(name: str, found: list[talks.Talk], frames: list[Explained], first: float | None) -> str:
    """The page for the conversations FOUND and their FRAMES."""
    out = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width">',
        # Nothing is fetched, and nothing that a captured frame holds can change that.
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">",
        f"<title>{escape(name)}: viperip explain</title><style>{_STYLE}</style>",
        f"<h1>{escape(name)}</h1>",
        f'<p class="dim">{_overview(frames)} Numbers of a frame lead to its headers.</p>',
        _contents(found),
    ]
    for i, one in enumerate(found):
        out += [f'<h2 id="talk-{i}">{escape(one.key)}</h2>', _facts(one)]
        if one.connection is not None:
            out.append(curves.figures(one.connection, one.left))
        out.append(_sequence(one, first))
    out.append("<h2>Frames</h2>")
    out += [_frame(one, first) for one in frames[:_DETAILS]]
    if len(frames) > _DETAILS:
        out.append(f"<p>{len(frames) - _DETAILS} more frames are not drawn here.</p>")
    return "\n".join(out) + "</html>\n"


def _overview(frames: list[Explained]) -> str:
    total = sum(one.frame.length for one in frames)
    bad = sum(bool(one.problems) for one in frames)
    stamps = [one.frame.stamp for one in frames if one.frame.stamp is not None]
    text = f"{len(frames)} frames, {total} bytes"
    if stamps:
        text += f", {max(stamps) - min(stamps):.3f} s"
    return text + (f"; {bad} with something wrong in them." if bad else ".")


def _contents(found: list[talks.Talk]) -> str:
    rows = ["<tr><th>conversation<th>frames<th>bytes<th>sent again</tr>"]
    for i, one in enumerate(found):
        size = sum(seen.frame.length for seen in one.frames)
        again = ""
        if one.connection is not None:
            again = str(sum(end.retransmits for end in one.connection.ends.values()) or "")
        rows.append(
            f'<tr><td><a href="#talk-{i}">{escape(one.key)}</a><td>{len(one.frames)}<td>{size}'
            f"<td>{again}</tr>"
        )
    return f'<table class="list">{"".join(rows)}</table>'


def _facts(one: talks.Talk) -> str:
    if one.connection is None:
        return ""
    words = []
    for end in one.connection.ends.values():
        text = f"{end.name}: {end.bytes} bytes sent"
        if end.mss:
            text += f", MSS {end.mss}"
        if end.retransmits:
            text += f", {end.retransmits} segments again"
        words.append(f"{text}, at the end {end.state}")
    return f'<p class="dim">{escape("; ".join(words))}.</p>'


# The sequence diagram.


def _sequence(one: talks.Talk, first: float | None) -> str:
    shown = one.frames[:_ROWS]
    if not one.left:
        return _plain(shown, first)
    parts: list[str] = []
    y = _TOP
    for seen in shown:
        y += _STEP
        parts.append(_arrow(seen, one, y, first))
        left, right = talks.states(seen, one)
        if left:
            parts.append(_text(_LEFT - 10, y + 14, left, "state", "end"))
        if right:
            parts.append(_text(_RIGHT + 10, y + 14, right, "state", "start"))
        if not right:
            parts.append(_text(_RIGHT + 10, y + 4, talks.remark(seen)[:30], "remark"))
        if left or right:
            y += 8
    y += _STEP
    lanes = "".join(
        f'<line class="lane" x1="{x}" x2="{x}" y1="{_TOP - 12}" y2="{y}"/>'
        + _text(x, _TOP - 22, name, "end", "middle")
        for x, name in ((_LEFT, one.left), (_RIGHT, one.right))
    )
    more = len(one.frames) - len(shown)
    note = f'<p class="dim">{more} more frames are not drawn.</p>' if more else ""
    return (
        f'<svg viewBox="0 0 {_WIDTH} {y + 10}" role="img" aria-label="sequence diagram">'
        f"{lanes}{''.join(parts)}</svg>{note}"
    )


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'


def _arrow(seen: Explained, one: talks.Talk, y: int, first: float | None) -> str:
    right = one.rightward(seen)
    start, end = (_LEFT, _RIGHT) if right else (_RIGHT, _LEFT)
    kind = "bad" if seen.problems else "a" if right else "b"
    again = " again" if any("again" in s.text for s in seen.statements) else ""
    tip = end - 9 if right else end + 9
    number = seen.frame.number
    label = talks.label(seen)
    label = label if len(label) < 60 else label[:58] + "…"
    return (
        f'<a href="#frame-{number}">'
        f"{_text(8, y + 4, str(number), 'dim')}"
        f"{_text(145, y + 4, talks.since(seen, first), 'dim', 'end')}"
        f"{_text((_LEFT + _RIGHT) / 2, y - 5, label, '', 'middle')}"
        f'<line class="{kind}{again}" x1="{start}" y1="{y}" x2="{tip}" y2="{y}" '
        f'stroke-width="1.6"/>'
        f'<polygon class="f{kind}" points="{end},{y} {tip},{y - 4} {tip},{y + 4}"/></a>'
    )


def _plain(shown: list[Explained], first: float | None) -> str:
    rows = "".join(
        f'<tr><td class="dim"><a href="#frame-{one.frame.number}">{one.frame.number}</a>'
        f'<td class="dim">{talks.since(one, first)}<td>{escape(one.summary)}</tr>'
        for one in shown
    )
    return f'<table class="list">{rows}</table>'


# Frames.


def _frame(seen: Explained, first: float | None) -> str:
    bad = ' class="bad"' if seen.problems else ""
    number = seen.frame.number
    out = [
        f'<details id="frame-{number}"><summary><span class="n">{number}</span>'
        f"<span{bad}>{escape(seen.summary)}</span></summary><div>"
    ]
    if seen.frame.length > len(seen.frame.data):
        out.append(f"<p>{len(seen.frame.data)} of {seen.frame.length} bytes were captured.</p>")
    items = [
        f"<li><b>{escape(one.who)}</b>: {escape(one.text)}"
        f'<span class="rule">{escape(one.rule)}</span></li>'
        for one in seen.statements
    ]
    out.append(f"<ul>{''.join(items)}</ul>")
    lines = [escape(one) for one in seen.changes]
    lines += [f"<b>the board itself: {escape(one)}</b>" for one in seen.board]
    if lines:
        out.append(f'<div class="changes">{chr(10).join(lines)}</div>')
    out += [_layer(one) for one in seen.layers]
    return "".join(out) + "</div></details>"


def _layer(layer: Layer) -> str:
    out = [f"<h3>{escape(layer.title)} <code>{escape(layer.source)}</code></h3>"]
    if layer.fields:
        out.append(_bits(layer.fields))
    meant = [one for one in layer.fields if one.meaning]
    if meant:
        pairs = "".join(f"<dt>{escape(f.name)}</dt><dd>{escape(f.meaning)}</dd>" for f in meant)
        out.append(f"<dl>{pairs}</dl>")
    notes = [*layer.notes, *(f"! {text}" for text in layer.problems)]
    if notes:
        out.append(f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in notes)}</ul>")
    return "".join(out)


def _bits(fields: list[Field]) -> str:
    """A header as a table of 32 columns."""
    rows: list[list[str]] = [[]]
    column = 0
    for one in fields:
        bits = one.bits
        if bits > 64:
            cells, bits, column = [(32, one.text[:120])], 0, 0
            rows.append([])
        else:
            cells = []
        while bits > 0:
            width = min(bits, 32 - column % 32)
            octets = one.text.split(":")
            part = one.text
            if len(octets) * 8 == one.bits and one.bits > 32:
                done = (one.bits - bits) // 8
                part = ":".join(octets[done : done + width // 8])
            cells.append((width, part))
            bits -= width
            column += width
        for width, text in cells:
            if sum(int(cell.split('"')[1]) for cell in rows[-1]) + width > 32:
                rows.append([])
            bad = ' class="bad"' if one.wrong else ""
            rows[-1].append(
                f'<td colspan="{width}"{bad}><small>{escape(one.name)}</small>{escape(text)}</td>'
            )
    ruler = f'<tr class="rule">{"<td></td>" * 32}</tr>'
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows if row)
    return f'<table class="bits">{ruler}{body}</table>'
