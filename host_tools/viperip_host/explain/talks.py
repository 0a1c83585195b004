"""Frames put together into conversations, for sequence diagrams and curves."""

from dataclasses import dataclass, field

from viperip_host.explain.dissect_transport import flag_text
from viperip_host.explain.model import Explained
from viperip_host.explain.tcp import Connection
from viperip_host.explain.track import Tracker


@dataclass
class Talk:
    """A conversation. left, right: its ends; "" for one between many (ARP, IGMP)."""

    key: str
    left: str = ""
    right: str = ""
    frames: list[Explained] = field(default_factory=list)
    connection: Connection | None = None

    def rightward(self, one: Explained) -> bool:
        """Whether a frame goes from left to right."""
        if self.key.startswith("DHCP"):
            return one.ends[0].endswith(":68")
        return one.ends[0] == self.left


def gather(frames: list[Explained], tracker: Tracker) -> list[Talk]:
    """The conversations, in the order of their first frames."""
    talks: dict[str, Talk] = {}
    for one in frames:
        key = one.conversation or "other frames"
        talk = talks.get(key)
        if talk is None:
            talk = talks[key] = Talk(key)
            if key.startswith("DHCP"):
                talk.left, talk.right = f"client {key[5:]}", "DHCP servers"
            elif key.startswith(("TCP", "UDP", "ICMP")):
                talk.left, talk.right = one.ends
            talk.connection = tracker.connections.get(key)
        talk.frames.append(one)
    return list(talks.values())


def label(one: Explained) -> str:
    """What to write on a frame's arrow."""
    tcp = one.layer("tcp")
    if tcp is not None and "rel" in tcp.data:
        text = one.summary.partition("] ")[2]
        return f"{flag_text(tcp['flags'])} {text}"
    return one.summary.replace(" {} > {}".format(*one.ends), "")


def remark(one: Explained) -> str:
    """What is out of the ordinary about a frame, in a few words; mostly ""."""
    if one.problems:
        return "something is wrong in it"
    for statement in one.statements:
        text = statement.text
        for word, short in _REMARKS:
            if word in text:
                return short or text.partition(":")[0]
    return ""


_REMARKS = (
    ("duplicate ACK ", ""), ("no ACK came in time", "again: no ACK came in time"),
    ("after 3 duplicate", "again: fast retransmit"), ("again, which is missing", "again: NewReno"),
    ("its SYN again", "its SYN again"), ("bytes before it are missing", "out of order"),
    ("buffer is full", "window 0"), ("open again", "window open again"),
    ("probes the closed", "zero-window probe"), ("still there", "keepalive"),
    ("has all of it already", "nothing new"), ("is refused", "refused"), ("is gone", "reset"),
    ("caused by frame", "error"),
)  # fmt: skip


def states(one: Explained, talk: Talk) -> tuple[str, str]:
    """The states that the two ends go to with this frame, "" for no change."""
    new = {talk.left: "", talk.right: ""}
    for line in one.changes:
        who, _, rest = line.partition(" state: ")
        if rest and who in new:
            new[who] = rest.partition(" -> ")[2]
        elif rest and who.endswith(" DHCP"):
            new[talk.left] = rest.partition(" -> ")[2]
    return new[talk.left], new[talk.right]


def since(one: Explained, first: float | None) -> str:
    """A frame's time after the first, in seconds; "" when it has none."""
    if one.frame.stamp is None or first is None:
        return ""
    return f"{one.frame.stamp - first:.6f}"
