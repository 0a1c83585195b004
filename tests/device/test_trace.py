# The packet log: what is printed, and what it remembers.
from viperip.link.pair import Loopback
from viperip.link.trace import Trace

ARP = b"\xff" * 6 + b"\x02\0\0\0\0\1" + b"\x08\x06" + bytes([0, 1, 8, 0, 6, 4, 0, 1])
ARP += b"\x02\0\0\0\0\1" + bytes([10, 0, 0, 1]) + bytes(6) + bytes([10, 0, 0, 2])
UDP = b"\x02\0\0\0\0\2" + b"\x02\0\0\0\0\1" + b"\x08\0"
UDP += bytes([0x45, 0, 1, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2])
UDP += bytes([0, 7, 0, 9, 1, 8, 0, 0]) + bytes(256)


def traced():
    lines = []
    return Trace(Loopback(), lines.append, True, lambda: 1234), lines


def test_only_chooses_what_is_printed():
    t, lines = traced()
    t.only = lambda f: f[13] == 6
    t.frame(ARP, 0, len(ARP), True)
    t.frame(UDP, 0, len(UDP), False)
    t.frame(b"short", 0, 5, False)
    assert lines == ["   0.000 > ARP, who-has 10.0.0.2 tell 10.0.0.1"]


def test_recent_frames_are_told_whole_though_only_their_heads_are_kept():
    t, lines = traced()
    t.on = False
    t.keep = 2
    t.frame(ARP, 0, len(ARP), True)
    t.frame(ARP, 0, len(ARP), True)
    t.frame(b"??" + UDP + b"?", 2, len(UDP), False)
    assert lines == []
    assert t.recent() == [
        "   0.000 > ARP, who-has 10.0.0.2 tell 10.0.0.1",
        "   0.000 < IP 10.0.0.1.7 > 10.0.0.2.9: UDP, length 256",
    ]


def test_a_truncated_frame_is_told_as_such():
    t, lines = traced()
    t.keep = 1
    t.frame(ARP, 0, 20, False)
    assert lines == ["   0.000 < truncated, length 20"]
    assert t.recent() == lines


def test_nothing_is_kept_unless_asked_for():
    t, lines = traced()
    t.frame(UDP, 0, len(UDP), True)
    assert len(lines) == 1
    assert t.recent() == []
