# read(2) and write(2) in place of viper code, and the links that are built on them.
import gc
import os
import socket
import time

import micropython
from viperip import native
from viperip.link.udpwire import UDPWire, shim

MAC_A = b"\2\0\0\0\0\1"
MAC_B = b"\2\0\0\0\0\2"


class SkipTest(Exception):
    pass


def calls():
    # The shim, or None on the target that goes without the emitter.
    found = shim()
    assert (found is None) == (os.getenv("VIPERIP_BYTECODE") == "1")
    return found


def free_ports():
    base = 20000 + (time.time_ns() // 1000 + id(calls) // 64) % 20000
    for port in range(base, base + 1000, 2):
        try:
            for p in (port, port + 1):
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                s.bind(socket.getaddrinfo("127.0.0.1", p)[0][-1])
                s.close()
            return port, port + 1
        except OSError:
            pass
    raise SkipTest("no free ports")


def udp_pair():
    a, b = free_ports()
    left, right = UDPWire(a, b, MAC_A), UDPWire(b, a, MAC_B)
    left.up()
    right.up()
    return left, right


def test_a_read_is_one_datagram_at_an_offset():
    call = calls()
    if call is None:
        return
    left, right = udp_pair()
    buf = bytearray(b"................")
    assert call.read(left.fileno(), buf, 0, 16) == -11
    assert call.write(right.fileno(), bytearray(b"-abc-"), 1, 3) == 3
    assert call.write(right.fileno(), bytearray(b"-defgh"), 1, 5) == 5
    assert call.read(left.fileno(), buf, 2, 10) == 3
    assert buf == b"..abc..........."
    assert call.read(left.fileno(), buf, 0, 2) == 2 and buf[:4] == b"deab"


def test_errors_are_negative_errno():
    call = calls()
    if call is None:
        return
    assert call.read(-1, bytearray(4), 0, 4) == -9
    assert call.write(-1, bytearray(4), 0, 4) == -9


def test_it_can_be_refused():
    assert native.VIPER == (shim() is not None)
    if hasattr(os, "putenv"):
        os.putenv("VIPERIP_NO_SHIM", "1")
        try:
            assert shim() is None
        finally:
            os.unsetenv("VIPERIP_NO_SHIM")


def exchange(left, right):
    frames = [bytes((i + j) & 0xFF for j in range(n)) for i, n in enumerate((14, 60, 999, 1514))]
    for f in frames:
        buf = left.borrow()
        buf[left.tx_off : left.tx_off + len(f)] = f
        left.send(len(f))
    for f in frames:
        assert right.recv() == len(f) == right.recv()
        assert right.rx[right.rx_off : right.rx_off + len(f)] == f
        right.release()
    assert right.recv() == 0


def test_udp_wire():
    left, right = udp_pair()
    assert left.rx_off & 3 == 2 and left.tx_off & 3 == 2 and left.link()
    exchange(left, right)
    exchange(right, left)


def test_udp_wire_without_the_shim():
    left, right = udp_pair()
    for dev in (left, right):
        dev._read = dev._recv
        dev._write = dev._send
    exchange(left, right)
    exchange(right, left)


def test_udp_wire_drops_what_is_too_long_and_what_came_while_down():
    left, right = udp_pair()
    s = left._sock
    s.write(bytes(1519))
    s.write(bytes(1518))
    assert right.recv() == 1518 and right.dropped == 1
    right.release()
    right.down()
    s.write(bytes(60))
    assert right.recv() == 0
    right.up()
    assert right.recv() == 0
    s.write(bytes(61))
    assert right.recv() == 61


def test_nobody_at_the_other_end():
    a, b = free_ports()
    left = UDPWire(a, b, MAC_A)
    left.up()
    for _ in range(3):
        left.borrow()
        left.send(60)
        assert left.recv() == 0
    assert left.dropped + left.errors >= 1


def test_a_tap_needs_the_shim():
    from viperip.link import linux

    there = linux.shim
    linux.shim = lambda: None
    try:
        linux.Tap(0, "tap7", MAC_A)
    except OSError as e:
        assert "tap7" in str(e) and "shim" in str(e)
    else:
        raise AssertionError("no error")
    finally:
        linux.shim = there


def test_packet_on_loopback():
    # lo gives every frame back, so what the link sends it must not take for somebody else's.
    from viperip.link.linux import Packet

    class Slow(Packet):
        use_shim = False

    for kind in (Packet, Slow):
        try:
            a = kind("lo", MAC_A)
            b = kind("lo", MAC_B)
        except OSError as e:
            raise SkipTest("AF_PACKET: %s" % e)
        a.up()
        b.up()
        f = MAC_B + MAC_A + b"\x88\xb5" + bytes(range(46))
        buf = a.borrow()
        buf[2:62] = f
        a.send(60)
        for _ in range(50):
            n = b.recv()
            if n and b.rx[2:62] == f:
                break
            if n:
                b.release()
            time.sleep_ms(1)
        else:
            raise AssertionError("the frame did not arrive")
        while a.recv():
            assert a.rx[8:14] != MAC_A
            a.release()
        a._sock.close()
        b._sock.close()


def test_no_heap_per_frame():
    if calls() is None:
        return  # recv() makes an object per frame
    left, right = udp_pair()

    def round():
        left.borrow()
        left.send(1514)
        assert right.recv() == 1514
        right.release()
        assert right.recv() == 0

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
    assert after[0] - before[0] < 300 and after[1] - before[1] < 600, (before, after)
