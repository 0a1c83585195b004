# Records over a serial line: link/serial/port.py, link.py and capture.py on a line of memory.
import gc

import heap_check
from harness import MAC, PEER_MAC, eth
from viperip import native
from viperip.link.pair import Pair
from viperip.link.serial.capture import SerialCapture
from viperip.link.serial.link import SerialLink
from viperip.link.serial.port import BODY, CONTROL, FRAME, PACKET, Port


HEAP = "96M"  # the twins allocate, and the heap is not collected while it is measured


class Line:
    # One end of a line: what is written here is read by `other`.
    def __init__(self):
        self.other = self
        self.data = bytearray(8192)
        self.n = 0  # bytes of data that wait to be read here
        self.written = 0

    def write(self, buf, n):
        o = self.other
        self.written += n
        i = 0
        while i < n:
            o.data[o.n] = buf[i]
            o.n += 1
            i += 1
        return n

    def readinto(self, buf):
        n = min(self.n, len(buf))
        i = 0
        while i < n:
            buf[i] = self.data[i]
            i += 1
        self.n -= n
        j = 0
        while j < self.n:
            self.data[j] = self.data[j + n]
            j += 1
        return n

    def fileno(self):
        return -1

    def take(self):
        data = bytes(self.data[: self.n])
        self.n = 0
        return data

    def give(self, data):
        self.data[self.n : self.n + len(data)] = data
        self.n += len(data)


def lines():
    a, b = Line(), Line()
    a.other, b.other = b, a
    return a, b


def ports(**more):
    a, b = lines()
    return Port(a, baudrate=0, **more), Port(b, baudrate=0, **more)


def listen(port, kind):
    got = []

    def handler(record, n):
        got.append(bytes(record[BODY : BODY + n]))

    port.handlers[kind] = handler
    return got


def put(port, kind, data):
    assert port.put(bytes((kind,)), 1, data, 0, len(data))
    port.flush()


def test_records_of_every_length_arrive():
    a, b = ports()
    got = listen(b, CONTROL)
    want = []
    for n in list(range(0, 260)) + [1500, 1517]:
        data = bytes([(i * 7 + n) & 3 for i in range(n)])
        put(a, CONTROL, data)
        want.append(data)
        b.receive()
    assert got == want
    assert (b.rx_bad, b.rx_lost, bytes(b.text)) == (0, 0, b"")


def test_text_goes_between_records():
    a, b = ports()
    got = listen(b, CONTROL)
    for i in range(3):
        a.stream.write(b"line %d\n" % i, 7)
        put(a, CONTROL, b"record %d" % i)
    b.receive()
    assert got == [b"record 0", b"record 1", b"record 2"]
    assert bytes(b.text) == b"line 0\nline 1\nline 2\n"


def test_text_that_nobody_reads_is_bounded():
    a, b = ports()
    for _ in range(40):
        a.stream.write(b"x" * 100, 100)
        b.receive()
    assert len(b.text) == 1024


def test_a_record_that_is_too_long_is_lost_and_the_next_arrives():
    a, b = ports(room=8192)
    got = listen(b, CONTROL)
    put(a, CONTROL, bytes(1519))
    put(a, CONTROL, b"next")
    b.receive()
    assert got == [b"next"] and b.rx_lost == 1


def test_it_finds_its_way_back_after_garbage():
    # After any stretch of noise at most one record more is lost, and none is made up.
    a, b = ports()
    got = listen(b, CONTROL)
    noise = b"\0\0\x05garbage\0\3\xff\0" + bytes(range(256)) + b"\0"
    for cut in range(0, len(noise), 5):
        a.stream.write(noise[cut:], len(noise) - cut)
        put(a, CONTROL, b"first after it")
        put(a, CONTROL, b"second")
        b.receive()
        assert got[-1] == b"second", cut
        for record in got:
            assert record in (b"first after it", b"second")
        del got[:]


def test_every_flipped_bit_is_noticed():
    a, b = lines()
    sender = Port(a, baudrate=0)
    put(sender, CONTROL, b"some bytes \0\3\0 to keep")
    wire = b.take()
    for i in range(len(wire)):
        for bit in (1, 8, 128):
            port = Port(b, baudrate=0)
            got = listen(port, CONTROL)
            broken = bytearray(wire)
            broken[i] ^= bit
            b.give(broken)
            port.receive()
            assert not got, (i, bit)


def test_a_missing_segment_loses_its_record_alone():
    a, b = lines()
    sender = Port(a, baudrate=0)
    put(sender, CONTROL, b"x" * 500)
    wire = b.take()
    parts = [p for p in wire.split(b"\0") if p]
    assert len(parts) == 5
    for missing in range(5):
        port = Port(b, baudrate=0)
        got = listen(port, CONTROL)
        kept = parts[:missing] + parts[missing + 1 :]
        b.give(b"".join([b"\0" + p + b"\0" for p in kept]))
        put(sender, CONTROL, b"next")
        port.receive()
        assert got == [b"next"], missing
        assert port.rx_lost == (1 if missing else 0)
        sender._number = 5


def test_a_full_ring_refuses_and_keeps_what_it_has():
    a, b = lines()
    sender, receiver = Port(a, room=1000, baudrate=115200), Port(b, baudrate=0)
    got = listen(receiver, CONTROL)
    put_in = 0
    while sender.put(bytes((CONTROL,)), 1, b"%3d" % put_in + b"." * 100, 0, 103):
        put_in += 1
    assert put_in == 9
    sender.drain()
    receiver.receive()
    assert [int(r[:3]) for r in got] == list(range(9))


def test_what_goes_out_is_held_to_the_speed():
    # At 9,600 baud a millisecond is one byte: the first burst is bounded by a segment and 10 ms.
    a, b = lines()
    port = Port(a, room=4096, baudrate=9600)
    port.put(bytes((CONTROL,)), 1, bytes(3000), 0, 3000)
    port.flush()
    assert a.written <= 2 * 126
    assert port.waiting > 2500


def test_frames_both_ways():
    a, b = ports()
    left, right = SerialLink(a, MAC), SerialLink(b, PEER_MAC)
    left.up()
    right.up()
    for n in (60, 61, 590, 1513, 1514):
        for one, other in ((left, right), (right, left)):
            frame = bytes([i & 0xFF for i in range(n)])
            buf = one.borrow()
            buf[one.tx_off : one.tx_off + n] = frame
            one.send(n)
            assert other.recv() == n
            assert other.rx[other.rx_off : other.rx_off + n] == frame
            assert other.recv() == n  # lent until it is given back
            other.release()
            assert other.recv() == 0


def test_a_link_that_is_down_takes_no_frame():
    a, b = ports()
    link = SerialLink(b, MAC)
    put(a, FRAME, bytes(60))
    assert link.recv() == 0
    link.up()
    put(a, FRAME, bytes(13))  # no Ethernet header
    assert link.recv() == 0
    put(a, FRAME, bytes(60))
    assert link.recv() == 60


def test_a_line_without_room_lends_no_buffer():
    a, b = lines()
    link = SerialLink(Port(a, room=2048, baudrate=9600), MAC)
    link.up()
    assert link.borrow() is not None
    link.send(1514)
    assert link.borrow() is None and link.unsent > 0


def test_a_capture_copies_both_directions():
    a, b = ports(room=8192)
    got = listen(b, PACKET)
    dev, peer = Pair.wire(MAC, PEER_MAC)
    tap = SerialCapture(dev, a, 2, snaplen=40)
    tap.up()
    peer.up()
    frame = eth(PEER_MAC, MAC, 0x0800, bytes(range(100)))
    tap.borrow()[tap.tx_off : tap.tx_off + len(frame)] = frame
    tap.send(len(frame))
    peer.borrow()[peer.tx_off : peer.tx_off + 60] = frame[:60]
    peer.send(60)
    assert tap.recv() == 60
    assert tap.recv() == 60  # seen once
    tap.release()
    a.flush()
    b.receive()
    sent, received = got
    assert (sent[0], received[0]) == (5, 4)
    assert sent[5:9] == b"\0\x72\0\0" and sent[9:] == frame[:40]
    assert received[5:9] == b"\0\x3c\0\0" and received[9:] == frame[:40]
    assert (tap.frames, tap.dropped) == (2, 0)


def test_a_capture_drops_what_finds_no_room_and_counts_it():
    a, b = lines()
    port = Port(a, room=300, baudrate=9600)
    dev, peer = Pair.wire(MAC, PEER_MAC)
    tap = SerialCapture(dev, port)
    tap.up()
    for _ in range(8):
        tap.borrow()
        tap.send(60)
        while peer.recv():
            peer.release()
    assert tap.frames + tap.dropped == 8 and tap.dropped > 2
    receiver = Port(b, baudrate=0)
    got = listen(receiver, PACKET)
    port.drain()
    dropped = tap.dropped
    tap.borrow()
    tap.send(60)
    port.drain()
    receiver.receive()
    assert int.from_bytes(got[-1][7:9], "big") == dropped


def test_frames_take_no_heap():
    a, b = ports()
    left, right = SerialLink(a, MAC), SerialLink(b, PEER_MAC)
    left.up()
    right.up()
    gc.collect()

    def step(i):
        left.borrow()
        left.send(200)
        assert right.recv() == 200
        right.release()

    heap_check.measured(step, native.VIPER)


def test_a_capture_takes_no_heap():
    a, b = ports()
    dev, peer = Pair.wire(MAC, PEER_MAC)
    tap = SerialCapture(dev, a, program=b"\1\1\2\x08\0\7\0")
    tap.up()
    peer.up()

    def step(i):
        tap.borrow()
        tap.send(100)
        peer.recv()
        peer.release()
        a.flush()
        b.receive()

    heap_check.measured(step, native.VIPER)
