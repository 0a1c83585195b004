# Capture, faults and trace around an in-memory wire.
import gc
import os
import struct

import micropython
from viperip import native
from viperip.link.capture import Capture
from viperip.link.faults import Faults
from viperip.link.pair import Pair
from viperip.link.trace import Trace
from viperip.link.wrapper import Wrapper

MAC_A = b"\2\0\0\0\0\1"
MAC_B = b"\2\0\0\0\0\2"


class Clock:
    def __init__(self, now=0x3FFFFF00):
        self.now = now

    def __call__(self):
        return self.now & 0x3FFFFFFF


class Sink:
    # A file that remembers each write.
    def __init__(self):
        self.writes = []

    def write(self, data):
        self.writes.append(bytes(data))
        return len(data)


def put(dev, frame):
    buf = dev.borrow()
    buf[dev.tx_off : dev.tx_off + len(frame)] = frame
    dev.send(len(frame))


def take(dev):
    n = dev.recv()
    if not n:
        return None
    assert dev.recv() == n
    frame = bytes(dev.rx[dev.rx_off : dev.rx_off + n])
    dev.release()
    return frame


def take_all(dev):
    out = []
    while True:
        frame = take(dev)
        if frame is None:
            return out
        out.append(frame)


def numbered(i, n=60):
    return bytes([i & 0xFF, i >> 8]) + bytes(n - 2)


def number(frame):
    return frame[0] | frame[1] << 8


def test_a_wrapper_changes_nothing():
    a, b = Pair.wire(MAC_A, MAC_B)
    w = Wrapper(b)
    w.up()
    assert w.mac == MAC_B and w.mtu == 1500 and w.link() and w.fileno() == -1
    assert (w.rx_off, w.tx_off, w.rx_frames) == (b.rx_off, b.tx_off, b.rx_frames)
    put(a, b"x" * 60)
    assert take(w) == b"x" * 60 and take(w) is None
    put(w, b"y" * 61)
    assert take(a) == b"y" * 61
    assert w.dropped == 0  # the device's own
    try:
        w.nothing_of_this_name
    except AttributeError:
        pass
    else:
        raise AssertionError("no AttributeError")


def test_wrappers_stack():
    a, b = Pair.wire(MAC_A, MAC_B)
    lines = []
    sink = Sink()
    w = Trace(Capture(Faults(b, delay=3, ticks=(clock := Clock())), sink), lines.append)
    put(a, numbered(1))
    assert take(w) is None and w.due() == 3
    clock.now += 3
    assert take(w) == numbered(1) and len(lines) == 1 and len(sink.writes) == 3


# Capture.


def blocks(data):
    out = []
    while data:
        kind, n = struct.unpack("<II", data[:8])
        assert n % 4 == 0 and n <= len(data)
        assert struct.unpack("<I", data[n - 4 : n])[0] == n
        out.append((kind, data[8 : n - 4]))
        data = data[n:]
    return out


def test_capture_is_pcapng():
    a, b = Pair.wire(MAC_A, MAC_B)
    sink = Sink()
    c = Capture(b, sink, "eth7")
    put(a, bytes(range(61)))
    assert c.recv() == 61 == c.recv()
    assert len(sink.writes) == 3  # headers, and each frame once
    c.release()
    put(c, b"z" * 1514)
    put(a, b"q" * 62)
    assert take(c) == b"q" * 62 and c.frames == 3
    assert len(sink.writes) == 5
    for w in sink.writes:
        assert len(blocks(w)) == 1  # whole blocks
    found = blocks(b"".join(sink.writes))
    assert [k for k, _ in found] == [0x0A0D0D0A, 1, 6, 6, 6]
    assert found[0][1][:8] == struct.pack("<IHH", 0x1A2B3C4D, 1, 0)
    assert found[1][1][:8] == struct.pack("<HHI", 1, 0, 0)
    assert b"\2\0\4\0eth7" in found[1][1] and b"\6\0\6\0" + MAC_B in found[1][1]
    frames = []
    last = 0
    for _, body in found[2:]:
        ifid, hi, lo, kept, n = struct.unpack("<IIIII", body[:20])
        assert ifid == 0 and kept == n
        assert hi << 32 | lo >= last > -1
        last = hi << 32 | lo
        padded = (kept + 3) & ~3
        code, size, flags, end = struct.unpack("<HHII", body[20 + padded :])
        assert (code, size, end) == (2, 4, 0)
        frames.append((flags, body[20 : 20 + kept]))
    assert frames == [(1, bytes(range(61))), (2, b"z" * 1514), (1, b"q" * 62)]
    assert last > 1600000000 * 1000000
    c.close()
    put(c, b"z" * 60)
    assert len(sink.writes) == 5


def test_capture_file_is_complete_at_any_moment():
    path = "/tmp/viperip-test-%x.pcapng" % (id(path_owner := Sink()) & 0xFFFFFFF)
    a, b = Pair.wire(MAC_A, MAC_B)
    c = Capture(b, path)
    try:
        for i in range(3):
            put(a, numbered(i))
            take(c)
            with open(path, "rb") as f:
                assert len(blocks(f.read())) == 3 + i
        c.close()
    finally:
        os.remove(path)
    assert path_owner.writes == []


def test_a_full_disk_does_not_stop_the_traffic():
    class Full(Sink):
        def write(self, data):
            raise OSError(28)

    a, b = Pair.wire(MAC_A, MAC_B)
    c = Capture(b, Full())
    put(a, numbered(1))
    assert take(c) == numbered(1) and c.failed.errno == 28


# Faults.


def run(count=2000, drain=True, direction="in", step=0, **faults):
    # The numbers that arrive, in order, when `count` frames go through.
    a, b = Pair.wire(MAC_A, MAC_B, frames=32)
    clock = Clock()
    w = Faults(b, ticks=clock, **faults)
    out = []
    src, dst = (a, w) if direction == "in" else (w, a)
    for i in range(count):
        put(src, numbered(i))
        w.recv() if direction == "out" else None
        out += take_all(dst)
        clock.now += step
    clock.now += 10000
    w.recv() if direction == "out" else None
    out += take_all(dst)
    return out, w


def test_without_faults_nothing_is_copied_or_lost():
    for direction in ("in", "out"):
        out, _ = run(direction=direction, count=300)
        assert [number(f) for f in out] == list(range(300))


def test_loss_is_seeded():
    for direction in ("in", "out"):
        out, w = run(loss=0.1, seed=7, direction=direction)
        assert 1700 < len(out) < 1900
        assert 2000 - len(out) == w.counts()[direction]["lost"]
        assert out == run(loss=0.1, seed=7, direction=direction)[0]
        assert out != run(loss=0.1, seed=8, direction=direction)[0]
    assert run(loss=1, count=100)[0] == []


def test_other_faults_do_not_move_the_losses():
    alone = {number(f) for f in run(loss=0.1, count=500)[0]}
    both = {number(f) for f in run(loss=0.1, dup=0.3, count=500)[0]}
    assert alone == both


def test_duplicates():
    for direction in ("in", "out"):
        out, w = run(dup=0.1, direction=direction)
        assert len(out) == 2000 + w.counts()[direction]["dup"]
        assert 2100 < len(out) < 2300
        assert [number(f) for f in out] == sorted(number(f) for f in out)


def test_reorder_loses_nothing():
    for direction in ("in", "out"):
        out, w = run(reorder=0.1, direction=direction)
        got = [number(f) for f in out]
        assert got != list(range(2000)) and sorted(got) == list(range(2000))
        moved = max(abs(i - n) for i, n in enumerate(got))
        assert 1 <= moved < 16, moved


def test_a_reordered_frame_does_not_wait_for_ever():
    a, b = Pair.wire(MAC_A, MAC_B)
    clock = Clock()
    w = Faults(b, reorder=1, ticks=clock)
    put(a, numbered(5))
    assert take(w) is None
    assert 0 < w.due() <= 20
    clock.now += w.due()
    assert take(w) == numbered(5) and w.due() == -1


def test_corruption_flips_one_bit():
    out, w = run(corrupt=1, count=200)
    assert w.counts()["in"]["corrupt"] == 200
    for i, f in enumerate(out):
        sent = numbered(i)
        assert sum(bin(x ^ y).count("1") for x, y in zip(f, sent)) == 1


def test_delay_both_ways():
    for direction in ("in", "out"):
        a, b = Pair.wire(MAC_A, MAC_B)
        clock = Clock()  # wraps on the way
        w = Faults(b, delay=300, ticks=clock)
        src, dst = (a, w) if direction == "in" else (w, a)
        put(src, numbered(1))
        w.recv()
        clock.now += 100
        put(src, numbered(2))
        w.recv()
        assert w.due() == 200
        clock.now += 199
        w.recv() if direction == "out" else None
        assert take(dst) is None
        clock.now += 1
        w.recv() if direction == "out" else None
        assert take_all(dst) == [numbered(1)]
        assert w.due() == 100
        clock.now += 100
        w.recv() if direction == "out" else None
        assert take_all(dst) == [numbered(2)] and w.due() == -1


def test_what_is_due_spares_a_frame_that_is_being_built():
    # TCP writes its segment, then IPv4 and Ethernet borrow the same buffer for their headers.
    for faults in ({"delay": 5}, {"delay": 5, "dup": 1.0}, {"reorder": 1.0}):
        a, b = Pair.wire(MAC_A, MAC_B)
        clock = Clock()
        w = Faults(b, ticks=clock, **faults)
        put(w, numbered(1))
        frame = bytes(range(100, 160))
        buf = w.borrow()
        buf[w.tx_off + 14 : w.tx_off + len(frame)] = frame[14:]
        clock.now += 30
        assert w.borrow() is buf
        buf[w.tx_off : w.tx_off + 14] = frame[:14]
        w.send(len(frame))
        clock.now += 30
        w.recv()
        got = take_all(a)
        assert numbered(1) in got and set(got) == {numbered(1), frame}, faults


def test_a_descriptor_is_only_offered_when_it_tells_all():
    class Wire(Pair):
        def fileno(self):
            return 7

    assert Faults(Wire(MAC_A), loss=0.5, dup=0.5, corrupt=0.5).fileno() == 7
    for late in ({"delay": 1}, {"rate": 9}, {"reorder": 0.1}):
        assert Faults(Wire(MAC_A), **late).fileno() == -1


def test_rate_limits():
    # 1000 bytes at 80 kbit/s: 100 ms each.
    a, b = Pair.wire(MAC_A, MAC_B)
    clock = Clock()
    w = Faults(b, rate=80, ticks=clock)
    for i in range(4):
        put(a, numbered(i, 1000))
    times = []
    for ms in range(500):
        times += [ms for _ in take_all(w)]
        clock.now += 1
    assert times == [100, 200, 300, 400]


def test_the_queue_is_bounded():
    a, b = Pair.wire(MAC_A, MAC_B)
    w = Faults(b, delay=1000, ticks=Clock())
    for i in range(200):
        put(w, numbered(i))
    assert w.counts()["out"]["overflow"] == 200 - 64
    w.down()
    assert w.due() == -1


def test_a_fast_link_allocates_nothing():
    if not native.VIPER:
        return  # the twins allocate
    a, b = Pair.wire(MAC_A, MAC_B)
    w = Faults(b, loss=0.1, ticks=lambda: 5)

    def round():
        w.borrow()
        w.send(1514)
        if a.recv():
            a.release()
        a.send(1514)
        if w.recv():
            w.release()

    for _ in range(20):
        round()
    gc.collect()
    gc.disable()
    try:
        before = gc.mem_alloc(), micropython.mem_total()
        for _ in range(500):
            round()
        after = gc.mem_alloc(), micropython.mem_total()
    finally:
        gc.enable()
    assert after[0] - before[0] < 300, (before, after)


# Trace.


def ip(proto, payload, src=b"\x0a\0\0\1", dst=b"\x0a\0\0\2", part=0):
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 1, part, 64, proto, 0)
    return MAC_B + MAC_A + b"\x08\0" + head + src + dst + payload


def tcp(seq, ack, flags, data=b"", sport=5000, dport=80, **addresses):
    head = struct.pack(">HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, 8192, 0, 0)
    return ip(6, head + data, **addresses)


def describe(*frames):
    a, b = Pair.wire(MAC_A, MAC_B)
    lines = []
    t = Trace(b, lines.append, ticks=Clock())
    for f in frames:
        put(a, f)
        assert take(t) == f
    return [line.split("< ", 1)[1] for line in lines]


def test_trace_arp():
    head = MAC_B + MAC_A + b"\x08\x06\0\1\x08\0\6\4\0"
    ask = head + b"\1" + MAC_A + b"\x0a\0\0\1" + bytes(6) + b"\x0a\0\0\2"
    tell = head + b"\2" + MAC_A + b"\x0a\0\0\1" + MAC_B + b"\x0a\0\0\2"
    assert describe(ask, tell) == [
        "ARP, who-has 10.0.0.2 tell 10.0.0.1",
        "ARP, 10.0.0.1 is-at 02:00:00:00:00:01",
    ]


def test_trace_icmp_and_udp():
    echo = ip(1, struct.pack(">BBHHH", 8, 0, 0, 77, 3) + bytes(56))
    udp = ip(17, struct.pack(">HHHH", 68, 67, 18, 0) + bytes(10))
    other = ip(89, bytes(30))
    rest = ip(17, bytes(24), part=0x2000 | 185)
    assert describe(echo, udp, other, rest) == [
        "IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 77, seq 3, length 64",
        "IP 10.0.0.1.68 > 10.0.0.2.67: UDP, length 10",
        "IP 10.0.0.1 > 10.0.0.2: proto 89, length 30",
        "IP 10.0.0.1 > 10.0.0.2: proto 17, fragment at 1480, length 24+",
    ]


def test_trace_tcp_is_relative():
    back = {"src": b"\x0a\0\0\2", "dst": b"\x0a\0\0\1", "sport": 80, "dport": 5000}
    isn = 0xFFFFFFFF
    assert describe(
        tcp(isn, 0, 2),
        tcp(1000, 0, 0x12, **back),
        tcp(0, 1001, 0x18, b"hello"),
        tcp(1001, 5, 0x10, **back),
    ) == [
        "IP 10.0.0.1.5000 > 10.0.0.2.80: Flags [S], seq 0, win 8192, length 0",
        "IP 10.0.0.2.80 > 10.0.0.1.5000: Flags [S.], seq 0, ack 1, win 8192, length 0",
        "IP 10.0.0.1.5000 > 10.0.0.2.80: Flags [P.], seq 1:6, ack 1, win 8192, length 5",
        "IP 10.0.0.2.80 > 10.0.0.1.5000: Flags [.], seq 1, ack 6, win 8192, length 0",
    ]


def test_trace_survives_every_cut():
    for f in (tcp(1, 2, 16, b"data"), ip(1, b"\3\3" + bytes(40)), ip(17, bytes(8))):
        for n in range(1, len(f)):
            assert len(describe(f[:n])) == 1


def test_trace_can_be_switched():
    a, b = Pair.wire(MAC_A, MAC_B)
    lines = []
    t = Trace(b, lines.append, ticks=Clock())
    put(t, ip(17, bytes(8)))
    assert len(lines) == 1 and " > IP" in lines[0]
    t.on = False
    put(t, ip(17, bytes(8)))
    assert len(lines) == 1
