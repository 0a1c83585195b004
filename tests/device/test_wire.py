# The stream wire, against the other end of a socket of the firmware's own.
import gc
import socket

import micropython
from viperip.link.wire import Wire

MAC = b"\2\0\0\0\0\1"
_count = 0


def pair():
    # Two connected AF_UNIX stream sockets, by way of an abstract name of this process's own.
    global _count
    _count += 1
    s = socket.socket(1, socket.SOCK_STREAM)
    name = b"\1\0\0viperip-wire-%x-%d" % (id(s) & 0xFFFFFF, _count)
    s.bind(name)
    s.listen(1)
    a = socket.socket(1, socket.SOCK_STREAM)
    a.connect(name)
    b = s.accept()[0]
    s.close()
    a.setblocking(False)
    b.setblocking(False)
    return a, b


def wire():
    a, b = pair()
    dev = Wire(a.fileno(), MAC)
    dev.up()
    dev.keep = a
    return dev, b


def framed(frame):
    return len(frame).to_bytes(4, "big") + frame


def take(dev):
    n = dev.recv()
    frame = bytes(dev.rx[dev.rx_off : dev.rx_off + n])
    if n:
        dev.release()
    return frame


def put(dev, frame):
    buf = dev.borrow()
    buf[dev.tx_off : dev.tx_off + len(frame)] = frame
    dev.send(len(frame))


def frame(i, n=60):
    return bytes((i * 7 + j) & 0xFF for j in range(n))


def test_offsets_put_the_ip_header_on_a_word():
    dev, _ = wire()
    assert dev.rx_off & 3 == 2 and dev.tx_off & 3 == 2
    assert dev.fileno() >= 0 and dev.link() and dev.rx_frames == 64
    assert len(dev.borrow()) >= dev.tx_off + dev.mtu + 14


def test_frames_arrive_one_by_one():
    dev, far = wire()
    assert dev.recv() == 0
    frames = [frame(i, 14 + 300 * i) for i in range(5)] + [frame(9, 1518)]
    far.write(b"".join(framed(f) for f in frames))
    for f in frames:
        assert dev.recv() == len(f) == dev.recv()
        assert take(dev) == f
    assert dev.recv() == 0


def test_any_split_of_the_stream():
    dev, far = wire()
    f = frame(3, 61)
    data = framed(f) + framed(frame(4, 20))
    for cut in range(1, len(data)):
        far.write(data[:cut])
        got = [x for x in (take(dev), take(dev), take(dev)) if x]
        far.write(data[cut:])
        got += [x for x in (take(dev), take(dev), take(dev)) if x]
        assert got == [f, frame(4, 20)], cut


def test_byte_by_byte():
    dev, far = wire()
    for byte in framed(frame(1)):
        assert dev.recv() == 0
        far.write(bytes([byte]))
    assert take(dev) == frame(1)


def test_send_is_framed():
    dev, far = wire()
    put(dev, frame(1, 60))
    put(dev, frame(2, 1514))
    assert far.recv(4000) == framed(frame(1, 60)) + framed(frame(2, 1514))


def test_a_full_wire_keeps_the_rest_and_loses_no_byte():
    dev, far = wire()
    sent = []
    while True:
        buf = dev.borrow()
        if buf is None:
            break
        f = frame(len(sent), 1000 + len(sent) % 400)
        put(dev, f)
        sent.append(framed(f))
        assert len(sent) < 5000
    assert dev.borrow() is None and dev.link()
    got = []
    for _ in range(5000):
        try:
            got.append(far.recv(777))
        except OSError:
            break
        dev.recv()  # which writes what was left over
    assert b"".join(got) == b"".join(sent)
    assert dev.borrow() is not None


def fill(dev):
    # Frames until the wire has no room for one; how many.
    n = 0
    while not dev.unsent:
        put(dev, frame(n, 1400))
        n += 1
        assert n < 5000
    return n


def test_what_is_unsent_is_told():
    from viperip.link.wrapper import Wrapper

    dev, far = wire()
    over = Wrapper(Wrapper(dev))
    put(dev, frame(1))
    assert dev.unsent == over.unsent == 0
    n = fill(dev)
    assert 0 < dev.unsent == over.unsent <= 1404
    dev.recv()
    assert dev.unsent
    left = 64 + n * 1404
    while left:
        left -= len(far.recv(min(left, 4000)))
        dev.recv()
    assert dev.unsent == over.unsent == 0
    # Nobody asks for ever about a wire that has ended.
    fill(dev)
    far.close()
    dev.recv()
    assert dev.unsent == 0


def test_the_end_of_the_stream_takes_the_link_down():
    dev, far = wire()
    far.write(framed(frame(1)))
    far.close()
    assert take(dev) == frame(1)
    assert dev.link() and dev.recv() == 0
    assert not dev.link() and dev.fileno() == -1 and dev.borrow() is None and dev.recv() == 0


def test_sending_into_a_closed_wire():
    dev, far = wire()
    buf = dev.borrow()
    far.close()
    assert buf is not None
    dev.send(60)
    assert dev.tx_lost == 1 and dev.borrow() is None
    assert dev.recv() == 0 and not dev.link()


def test_what_came_before_the_end_is_read_after_a_failed_write():
    dev, far = wire()
    far.write(framed(frame(1)) + framed(frame(2)))
    far.close()
    put(dev, frame(3))
    assert dev.tx_lost == 1 and dev.link()
    assert take(dev) == frame(1) and take(dev) == frame(2)
    assert dev.recv() == 0 and not dev.link()


def test_a_lying_length_ends_the_link():
    for head in (b"\0\0\0\0", b"\0\0\5\xef", b"\0\1\0\x40", b"\x80\0\0\x40", b"GET "):
        dev, far = wire()
        far.write(framed(frame(1)) + head + bytes(60))
        assert take(dev) == frame(1)
        assert dev.recv() == 0 and not dev.link() and dev.bad_lengths == 1


def test_down_delivers_nothing():
    dev, far = wire()
    dev.down()
    far.write(framed(frame(1)))
    assert dev.recv() == 0


def test_no_heap_per_frame():
    dev, far = wire()
    data = framed(frame(1, 1514))
    back = bytearray(len(data))

    def round():
        far.write(data)
        assert dev.recv() == 1514
        dev.release()
        dev.borrow()
        dev.send(1514)
        far.readinto(back)

    for _ in range(20):
        round()
    gc.collect()
    gc.disable()
    try:
        before = gc.mem_alloc(), micropython.mem_total()
        for _ in range(1000):
            round()
        after = gc.mem_alloc(), micropython.mem_total()
    finally:
        gc.enable()
    # The two tuples and what they hold are all.
    assert after[0] - before[0] < 300 and after[1] - before[1] < 600, (before, after)


def test_unsent_bytes_are_polled_for_soon():
    # The last frame must not wait for the stack's next deadline.
    from viperip.interface import Interface
    from viperip.stack import Stack

    dev, far = wire()
    stack = Stack()
    ifc = Interface(stack, dev, "e0")
    stack.add_interface(ifc)
    ifc.up()
    assert stack.poll() > 100
    fill(dev)
    assert stack.poll() == 1
    ifc.down()
    assert stack.poll() > 100
