"""Both ends of every TCP connection, rebuilt from its segments (RFC 9293)."""

from dataclasses import dataclass, field
from typing import Any

from viperip_host.explain import sources
from viperip_host.explain.dissect_transport import ACK, FIN, PSH, RST, SYN
from viperip_host.explain.model import Explained, Layer, Statement
from viperip_host.explain.rules import RULES

_WORD = 1 << 32
_DEFAULT_MSS = sources.constants("tcp")["DEFAULT_MSS"]
_STATES = {name: sources.constants("states")["NAMES"][number]
           for name, number in sources.constants("states").items()
           if isinstance(number, int)}  # fmt: skip
(CLOSED, LISTEN, SYN_SENT, SYN_RCVD, ESTABLISHED, CLOSE_WAIT, FIN_WAIT_1, FIN_WAIT_2, CLOSING,
 LAST_ACK, TIME_WAIT) = (_STATES[name] for name in (
    "CLOSED", "LISTEN", "SYN_SENT", "SYN_RCVD", "ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT_1",
    "FIN_WAIT_2", "CLOSING", "LAST_ACK", "TIME_WAIT"))  # fmt: skip
_UNLIMITED = 1 << 30


def distance(a: int, b: int) -> int:
    """a - b of two sequence numbers, from -2**31 to 2**31 - 1."""
    return (a - b + (_WORD >> 1)) % _WORD - (_WORD >> 1)


@dataclass
class End:
    """One end. Sequence numbers are absolute; None: not known."""

    name: str
    state: str = CLOSED
    iss: int | None = None
    una: int = 0
    nxt: int = 0
    window: int = _UNLIMITED  # SND.WND: the peer's, scaled
    rcv_nxt: int | None = None
    announced: int = _UNLIMITED  # RCV.WND, scaled
    mss: int | None = None  # of its SYN's option
    scale: int | None = None
    fin: int | None = None  # the number after its FIN
    holes: list[tuple[int, int]] = field(default_factory=list)
    dupacks: int = 0
    recovering: bool = False
    recover: int = 0  # where NewReno's recovery ends
    cwnd: int = 0
    ssthresh: int = _UNLIMITED
    flying: list[tuple[int, float | None, bool]] = field(default_factory=list)
    rtt: float | None = None
    raw_window: int = -1
    bytes: int = 0
    retransmits: int = 0

    @property
    def flight(self) -> int:
        return max(distance(self.nxt, self.una), 0)

    def rel(self, seq: int) -> int:
        return distance(seq, self.iss) if self.iss is not None else seq

    def shown(self, peer: "End") -> dict[str, Any]:
        """The state for people and for JSON, numbers relative."""
        state: dict[str, Any] = {"state": self.state}
        if self.iss is not None:
            state["SND.UNA"], state["SND.NXT"] = self.rel(self.una), self.rel(self.nxt)
        if self.window != _UNLIMITED:
            state["SND.WND"] = self.window
        if self.rcv_nxt is not None:
            state["RCV.NXT"] = peer.rel(self.rcv_nxt)
        if self.announced != _UNLIMITED:
            state["RCV.WND"] = self.announced
        if self.holes:
            state["out of order"] = ", ".join(
                f"{peer.rel(a)}:{peer.rel(b)}" for a, b in self.holes
            )
        if self.dupacks:
            state["duplicate ACKs"] = self.dupacks
        return state


@dataclass
class Samples:
    """Curves of a conversation, in seconds and bytes (RTT: ms): (time, end's name, value)."""

    flight: list[tuple[float, str, float]] = field(default_factory=list)
    cwnd: list[tuple[float, str, float]] = field(default_factory=list)
    rtt: list[tuple[float, str, float]] = field(default_factory=list)
    window: list[tuple[float, str, float]] = field(default_factory=list)


class Connection:
    """A connection between the ends A and B of its first segment."""

    def __init__(self, a: str, b: str) -> None:
        self.ends = {a: End(a), b: End(b)}
        self.samples = Samples()
        self.begun = False
        self._says: list[Statement] = []

    def take(self, seen: Explained, layer: Layer) -> None:
        """A segment: its statements and the changes of both ends go into SEEN."""
        a, b = self.ends[layer.data["a"]], self.ends[layer.data["b"]]
        self._says = seen.statements
        flags = layer["flags"]
        if flags & SYN and not flags & ACK and self._over(a, b, layer):
            names = list(self.ends)
            self.ends = {name: End(name) for name in names}
            a, b = self.ends[a.name], self.ends[b.name]
        before = {one.name: one.shown(other) for one, other in ((a, b), (b, a))}
        self._name_numbers(a, b, layer)
        if layer.data.get("dropped"):
            self._say(b, "drops the segment: its checksum or header is wrong", "checksum")
        else:
            again = self._sends(a, b, layer, seen.frame.stamp)
            self._receives(a, b, layer, seen.frame.stamp, again)
        self._meanings(a, b, layer, seen)
        for one, other in ((a, b), (b, a)):
            seen.changes += changes(one.name, before[one.name], one.shown(other))
        if seen.frame.stamp is not None:
            self._sample(a, b, seen.frame.stamp)

    def _say(self, who: End, text: str, rule: str) -> None:
        self._says.append(Statement(who.name, text, RULES[rule]))

    def _over(self, a: End, b: End, layer: Layer) -> bool:
        """Whether this SYN begins a new connection between the same ports."""
        done = (CLOSED, TIME_WAIT)
        if a.iss is None or layer["sequence number"] == a.iss:
            return False
        return a.state in done or b.state in done

    def _name_numbers(self, a: End, b: End, layer: Layer) -> None:
        """Before anything: where relative numbers begin."""
        flags, seq = layer["flags"], layer["sequence number"]
        if flags & SYN:
            if a.iss is None:
                a.iss = seq
                a.una = a.nxt = seq
        elif a.iss is None and not flags & RST:
            a.iss = (seq - 1) % _WORD
            a.una = a.nxt = seq
            if b.iss is None and flags & ACK:
                b.iss = (layer["acknowledgment number"] - 1) % _WORD
                b.una = b.nxt = layer["acknowledgment number"]
            if a.state == CLOSED:
                a.state = b.state = ESTABLISHED
                a.rcv_nxt, b.rcv_nxt = b.nxt, a.nxt
                self._say(a, "is taken to be connected", "tcp.mid")
        if b.iss is None and flags & ACK and not flags & RST:
            b.iss = (layer["acknowledgment number"] - 1) % _WORD
            b.una = b.nxt = layer["acknowledgment number"]

    # The end that sends.

    def _sends(self, a: End, b: End, layer: Layer, now: float | None) -> bool:
        """Whether it is a retransmission."""
        flags, seq, n = layer["flags"], layer["sequence number"], layer.data["n"]
        if flags & RST:
            if a.state == SYN_RCVD and a.iss is None:
                self._say(a, "answers with a reset: nobody listens on this port", "tcp.nobody")
            elif a.state in (CLOSED, TIME_WAIT):
                self._say(a, "has no such connection, and says so with a reset", "tcp.closed")
            else:
                self._say(a, "aborts the connection", "tcp.closed")
            a.state = CLOSED
            return False
        options = layer.data["options"]
        if flags & SYN:
            a.mss = options.get("MSS", a.mss)
            a.scale = options.get("window scale")
        shift = a.scale if a.scale is not None and b.scale is not None and not flags & SYN else 0
        a.announced = layer["window"] << shift
        end = (seq + n + bool(flags & SYN) + bool(flags & FIN)) % _WORD
        length = distance(end, seq)
        again = bool(length) and distance(end, a.nxt) <= 0 and a.nxt != a.iss
        if again:
            self._again(a, b, layer, seq, n)
        elif length:
            if distance(seq, a.nxt) > 0 and a.nxt != a.iss:
                self._say(a, f"sent {distance(seq, a.nxt)} bytes that this capture does not have",
                          "tcp.mid")  # fmt: skip
            a.nxt = end
            a.flying.append((end, now, False))
            a.bytes += n
        if flags & SYN and not again:
            self._syn_leaves(a, flags)
        if flags & FIN and not again:
            a.fin = end
            ack = layer["acknowledgment number"]
            if a.state == CLOSE_WAIT and a.rcv_nxt is not None and distance(ack, a.rcv_nxt) < 0:
                a.state = CLOSING
                self._say(a, "closes, and has not seen the other end's FIN yet: both at once",
                          "tcp.both")  # fmt: skip
                return again
            a.state = {ESTABLISHED: FIN_WAIT_1, SYN_RCVD: FIN_WAIT_1, CLOSE_WAIT: LAST_ACK}.get(
                a.state, a.state)  # fmt: skip
            self._say(a, f"has nothing more to send, and closes: {a.state}", "tcp.fin")
        return again

    def _syn_leaves(self, a: End, flags: int) -> None:
        if not flags & ACK:
            a.state = SYN_SENT if a.state in (CLOSED, LISTEN) else a.state
            self._say(a, "opens the connection", "tcp.syn")
        elif a.state in (CLOSED, LISTEN):
            a.state = SYN_RCVD

    def _again(self, a: End, b: End, layer: Layer, seq: int, n: int) -> None:
        flags = layer["flags"]
        a.flying = [(end, at, True) for end, at, _ in a.flying]
        if flags & SYN:
            self._say(a, "sends its SYN again", "tcp.resyn")
            a.retransmits += 1
        elif n <= 1 and a.una == a.nxt and distance(seq, a.nxt) == -1:
            self._say(a, "asks whether the other end is still there", "tcp.keepalive")
        elif a.window == 0 and distance(seq, a.una) <= 0 and n <= 1:
            self._say(a, "probes the closed window", "tcp.probe")
        else:
            a.retransmits += 1
            what = f"{a.rel(seq)}:{a.rel(seq) + n}" if n else "its FIN"
            if a.dupacks >= 3:
                self._say(a, f"sends {what} again, after {a.dupacks} duplicate ACKs", "tcp.fast")
            elif a.recovering:
                self._say(a, f"sends {what} again, which is missing too", "tcp.partial")
            if a.dupacks >= 3 or a.recovering:
                self._rewind(b, seq, (seq + n) % _WORD)
            else:
                self._say(a, f"sends {what} again: no ACK came in time", "tcp.rto")
                mss = self._mss(a, b)
                a.ssthresh = max(a.flight // 2, 2 * mss)
                a.cwnd = mss

    def _rewind(self, b: End, seq: int, end: int) -> None:
        """A segment that was captured, and asked for all the same, was lost after that."""
        if b.rcv_nxt is None or distance(seq, b.rcv_nxt) >= 0:
            return
        if distance(b.rcv_nxt, end) > 0:
            b.holes = _joined([(end, b.rcv_nxt), *b.holes], seq)
        b.rcv_nxt = seq
        self._say(b, "asked for it: it was lost after it was captured", "tcp.dupack")

    # The end that receives (RFC 9293 3.10.7).

    def _receives(self, a: End, b: End, layer: Layer, now: float | None, again: bool) -> None:
        flags = layer["flags"]
        if flags & RST:
            self._reset(b, layer)
        elif b.state in (CLOSED, LISTEN):
            if flags & SYN and not flags & ACK:
                b.state = SYN_RCVD
                b.rcv_nxt = (layer["sequence number"] + 1) % _WORD
                b.window = layer["window"]
                self._say(b, "if a program listens there: remembers the sender's number, and "
                          "answers with a SYN of its own", "tcp.listen")  # fmt: skip
            elif not flags & RST:
                self._say(b, "has no such connection: a reset is due", "tcp.closed")
        elif flags & SYN:
            self._syn_arrives(a, b, layer)
        elif not flags & ACK:
            self._say(b, "drops it: every segment after the SYN has ACK", "tcp.noack")
        else:
            self._acknowledged(a, b, layer, now)
            self._data(a, b, layer)

    def _reset(self, b: End, layer: Layer) -> None:
        flags, seq = layer["flags"], layer["sequence number"]
        if b.state == SYN_SENT:
            if flags & ACK and layer["acknowledgment number"] == b.nxt:
                b.state = CLOSED
                self._say(b, "the connection is refused (ECONNREFUSED)", "tcp.refused")
            return
        if b.state == CLOSED:
            self._say(b, "had no connection any more: ignored", "tcp.closed")
        elif b.rcv_nxt is None or seq == b.rcv_nxt or b.state == TIME_WAIT:
            b.state = CLOSED
            self._say(b, "the connection is gone (ECONNRESET)", "tcp.rst")
        elif 0 <= distance(seq, b.rcv_nxt) < b.announced:
            self._say(b, "does not believe the reset, and asks with an ACK", "tcp.blind")

    def _syn_arrives(self, a: End, b: End, layer: Layer) -> None:
        flags, seq = layer["flags"], layer["sequence number"]
        if b.state == SYN_SENT:
            b.rcv_nxt = (seq + 1) % _WORD
            b.window = layer["window"]
            if flags & ACK:
                b.una = layer["acknowledgment number"]
                b.flying.clear()
                b.state = ESTABLISHED
                self._say(b, "the SYN is answered: connected", "tcp.synack")
            else:
                b.state = a.state = SYN_RCVD
                self._say(b, "both ends opened at once", "tcp.cross")
        elif b.state == SYN_RCVD and not flags & ACK:
            if b.rcv_nxt is not None and (seq + 1) % _WORD == b.rcv_nxt:
                self._say(b, "has this SYN already, and answers again", "tcp.listen")
        elif b.rcv_nxt is not None and (seq + 1) % _WORD == b.rcv_nxt:
            self._say(b, "has this SYN already: an ACK answers", "tcp.old")
        else:
            self._say(b, "does not believe the SYN, and asks with an ACK", "tcp.synin")

    def _acknowledged(self, a: End, b: End, layer: Layer, now: float | None) -> None:
        ack, n = layer["acknowledgment number"], layer.data["n"]
        shift = a.scale if a.scale is not None and b.scale is not None else 0
        window = layer["window"] << shift
        new = distance(ack, b.una)
        if distance(ack, b.nxt) > 0:
            if b.flight or b.state != ESTABLISHED:
                self._say(b, "did not send what is acknowledged, or the capture lacks it",
                          "tcp.future")  # fmt: skip
            b.nxt = ack  # the capture lacks frames: the ends know better
            new = distance(ack, b.una)
        if new > 0:
            self._advance(a, b, ack, new, now)
        elif new < 0:
            self._say(b, f"ACK {b.rel(ack)} is older than SND.UNA", "tcp.oldack")
            return
        elif not n and not layer["flags"] & FIN and window == b.window and b.flight:
            b.dupacks += 1
            if b.dupacks == 3:
                b.ssthresh = max(b.flight // 2, 2 * self._mss(b, a))
                b.cwnd = b.ssthresh
                b.recovering, b.recover = True, b.nxt
            self._say(b, f"duplicate ACK {b.dupacks} of {b.rel(ack)}: the other end still waits "
                      "for it", "tcp.third" if b.dupacks == 3 else "tcp.dupack")  # fmt: skip
        if window != b.window:
            if window == 0:
                self._say(b, "the other end's buffer is full", "tcp.zero")
            elif b.window == 0:
                self._say(b, f"the window is open again: {window} bytes", "tcp.reopen")
            elif not new and not n:
                self._say(b, f"the window is {window} bytes now", "tcp.window")
            b.window = window

    def _advance(self, a: End, b: End, ack: int, new: int, now: float | None) -> None:
        b.una = ack
        b.dupacks = 0
        b.recovering = b.recovering and distance(ack, b.recover) < 0
        mss = self._mss(b, a)
        if not b.cwnd:
            b.cwnd = min(4 * mss, max(2 * mss, 4380))
        b.cwnd += min(new, mss) if b.cwnd < b.ssthresh else max(mss * mss // b.cwnd, 1)
        b.cwnd = min(b.cwnd, _UNLIMITED)
        for end, at, again in b.flying:
            if distance(ack, end) >= 0 and not again and at is not None and now is not None:
                b.rtt = max(now - at, 0)
                self.samples.rtt.append((now, b.name, b.rtt * 1000))
        b.flying = [one for one in b.flying if distance(ack, one[0]) < 0]
        if b.state == SYN_RCVD:
            b.state = ESTABLISHED
            self._say(b, "its SYN is acknowledged: connected", "tcp.open")
            new -= 1
        if b.fin is not None and distance(ack, b.fin) >= 0:
            after = {FIN_WAIT_1: FIN_WAIT_2, CLOSING: TIME_WAIT, LAST_ACK: CLOSED}.get(b.state)
            if after:
                b.state = after
                self._say(b, f"its FIN is acknowledged: {after}", "tcp.finack")
            new -= 1
        if new > 0:
            una = b.rel(ack)
            self._say(b, f"{new} bytes have arrived: SND.UNA is {una}, {b.flight} in flight",
                      "tcp.ack")  # fmt: skip

    def _data(self, a: End, b: End, layer: Layer) -> None:
        seq, n, flags = layer["sequence number"], layer.data["n"], layer["flags"]
        fin = bool(flags & FIN)
        if b.rcv_nxt is None:
            b.rcv_nxt = seq
        if not n and not fin:
            return
        end = (seq + n) % _WORD
        at = distance(seq, b.rcv_nxt)
        last = distance(end, b.rcv_nxt)
        if last < 0 or (last == 0 and not fin) or (fin and last < 0):
            self._say(b, "has all of it already", "tcp.old")
            return
        if b.announced != _UNLIMITED and at >= b.announced and n and at > 0:
            self._say(b, "it lies outside the window", "tcp.beyond")
            return
        if b.state not in (ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2, SYN_RCVD):
            return
        if at > 0:
            b.holes = _joined([*b.holes, (seq, end)], b.rcv_nxt)
            self._say(b, f"keeps {a.rel(seq)}:{a.rel(end)}; {at} bytes before it are missing",
                      "tcp.hole")  # fmt: skip
            return
        if n:
            filled = bool(b.holes)
            b.rcv_nxt = end
            while b.holes and distance(b.holes[0][0], b.rcv_nxt) <= 0:
                if distance(b.holes[0][1], b.rcv_nxt) > 0:
                    b.rcv_nxt = b.holes[0][1]
                b.holes.pop(0)
            text = f"takes {last} bytes: RCV.NXT is {a.rel(b.rcv_nxt)}"
            self._say(b, text, "tcp.filled" if filled else "tcp.data")
            if flags & PSH:
                self._say(b, "the program gets it at once", "tcp.push")
        if fin and b.rcv_nxt == end:
            self._fin_arrives(b)

    def _fin_arrives(self, b: End) -> None:
        assert b.rcv_nxt is not None
        b.rcv_nxt = (b.rcv_nxt + 1) % _WORD
        acked = b.fin is not None and distance(b.una, b.fin) >= 0
        b.state = {
            SYN_RCVD: CLOSE_WAIT,
            ESTABLISHED: CLOSE_WAIT,
            FIN_WAIT_1: TIME_WAIT if acked else CLOSING,
            FIN_WAIT_2: TIME_WAIT,
        }.get(b.state, b.state)
        rule = "tcp.timewait" if b.state == TIME_WAIT else "tcp.finin"
        self._say(b, f"the other end has closed: {b.state}", rule)

    # What is shown.

    def _mss(self, sender: End, receiver: End) -> int:
        return max(receiver.mss or sender.mss or _DEFAULT_MSS, 64)

    def _meanings(self, a: End, b: End, layer: Layer, seen: Explained) -> None:
        flags, n = layer["flags"], layer.data["n"]
        rel = a.rel(layer["sequence number"])
        layer.mean("sequence number", f"{rel} relative to ISS"
                   + (f"; the bytes {rel} to {rel + n - 1}" if n else ""))  # fmt: skip
        words = f"seq {rel}:{rel + n}" if n else f"seq {rel}"
        if flags & ACK:
            ack = b.rel(layer["acknowledgment number"])
            layer.mean("acknowledgment number", f"{ack} relative: everything before it has come")
            words += f" ack {ack}"
        both = a.scale is not None and b.scale is not None and not flags & SYN
        shift = a.scale if both and a.scale else 0
        window = layer["window"] << shift
        layer.mean(
            "window", f"{window} bytes may come" + (f", scaled by {shift}" if shift else "")
        )
        layer.data["rel"] = {"seq": rel, "n": n, "window": window}
        for first, last in layer.data["options"].get("SACK", []):
            layer.notes.append(f"SACK: {b.rel(first)}:{b.rel(last)} has come (RFC 2018)")
        if "MSS" in layer.data["options"]:
            layer.notes.append(RULES["tcp.mss"])
        if "window scale" in layer.data["options"]:
            layer.notes.append(RULES["tcp.scale"])
        seen.summary += f" {words} win {window}" + (f", {n} bytes" if n else "")

    def _sample(self, a: End, b: End, now: float) -> None:
        mss = self._mss(a, b)
        if a.flight > a.cwnd and a.bytes:
            a.cwnd = a.flight  # it has more outstanding than estimated: its window is larger
        for one in (a, b):
            if one.bytes:
                self.samples.flight.append((now, one.name, one.flight))
                self.samples.cwnd.append((now, one.name, one.cwnd or mss))
        if a.announced != _UNLIMITED:
            self.samples.window.append((now, a.name, a.announced))


def _joined(ranges: list[tuple[int, int]], base: int) -> list[tuple[int, int]]:
    """Ranges in order, joined where they touch."""
    out: list[tuple[int, int]] = []
    for start, end in sorted(ranges, key=lambda one: distance(one[0], base)):
        if out and distance(start, out[-1][1]) <= 0:
            if distance(end, out[-1][1]) > 0:
                out[-1] = (out[-1][0], end)
        else:
            out.append((start, end))
    return out


def changes(who: str, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """`who name: old -> new` for everything that differs."""
    lines = []
    for name in [*after, *(one for one in before if one not in after)]:
        old, new = before.get(name), after.get(name)
        if old != new:
            lines.append(f"{who} {name}: {_word(old)} -> {_word(new)}")
    return lines


def _word(value: Any) -> str:
    return "none" if value is None else str(value)
