# install() and what it puts in place, with a stack on one end of an in-memory wire.
import sys

import viperip
from viperip import pump
from viperip.interface import Interface
from viperip.link.pair import Pair
from viperip.stack import Stack

MASK = b"\xff\xff\xff\0"


class Neighbour:
    # The other end of the wire; it also counts how often the stack under test was answered.
    def __init__(self):
        a, b = Pair.wire(b"\x02\0\0\0\0\x0a", b"\x02\0\0\0\0\x0b")
        self.lan = viperip.LAN(a)
        self.lan.ipconfig(addr4="10.0.0.1/24")
        self.lan.active(True)
        self.stack = Stack()
        ifc = Interface(self.stack, b, "e0")
        self.stack.add_interface(ifc)
        ifc.up()
        ifc.configure(b"\x0a\0\0\2", MASK)
        self.echo = None
        self.end = self.stack.udp.open(size=1000, port=7)
        # Both learn the other's MAC: the tests below give only one of them turns.
        self.ask()
        self.run(4)
        assert self.answered()

    def ask(self):
        # Send a ping to the board that only a polling board answers.
        from viperip.application.ping import Echo

        self.echo = Echo(self.stack, b"\x0a\0\0\1", 8)
        self.stack.ip.icmp.listeners.append(self.echo)
        assert self.echo.send(0) is None

    def answered(self):
        self.stack.poll()
        self.stack.ip.icmp.listeners.remove(self.echo)
        return self.echo.answer is not None

    def run(self, turns):
        for _ in range(turns):
            viperip.default().poll()
            self.stack.poll()


neighbour = Neighbour()


def installed(function):
    # Run it between install() and uninstall().
    viperip.install()
    try:
        return function()
    finally:
        viperip.uninstall()


def test_modules_come_and_go():
    import select
    import socket
    import time

    def check():
        assert sys.modules["socket"] is not socket
        assert sys.modules["select"] is not select
        assert sys.modules["time"] is not time
        import socket as ours

        assert ours is viperip.socket
        import time as pumping

        assert pumping.ticks_ms and pumping.time

    installed(check)
    import select as select2
    import socket as socket2
    import time as time2

    assert (select2, socket2, time2) == (select, socket, time)
    assert viperip.firmware_socket is socket
    assert viperip.firmware_select is select


def test_install_twice_is_once():
    viperip.install()
    installed(lambda: None)
    assert sys.modules.get("socket") is not viperip.socket


def test_sleep_answers_and_lasts_as_long_as_asked():
    def check():
        from time import sleep, sleep_ms, sleep_us, ticks_diff, ticks_us

        neighbour.ask()
        neighbour.run(4)
        for function, n, least in (
            (sleep_ms, 5, 5000),
            (sleep_us, 3000, 3000),
            (sleep, 0.02, 20000),
        ):
            start = ticks_us()
            function(n)
            took = ticks_diff(ticks_us(), start)
            assert least <= took < least + 1000000, (n, took)

    installed(check)
    assert neighbour.answered()


def test_sleep_alone_answers():
    def check():
        import time

        neighbour.ask()
        time.sleep_ms(3)

    installed(check)
    assert neighbour.answered()


def test_poll_waits_no_longer_than_asked_and_pumps():
    def check():
        import select
        import time

        p = select.poll()
        neighbour.ask()
        start = time.ticks_ms()
        assert p.poll(20) == []
        assert 19 <= time.ticks_diff(time.ticks_ms(), start) < 1000

    installed(check)
    assert neighbour.answered()


def test_poll_sees_a_datagram_and_its_sender_s_room():
    def check():
        import select
        import socket

        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("10.0.0.1", 9))
        p = select.poll()
        p.register(s, select.POLLIN)
        assert p.poll(0) == []
        neighbour.end.send(b"hello", b"\x0a\0\0\1", 9)
        neighbour.run(4)
        assert p.poll(100) == [(s, select.POLLIN)]
        p.modify(s, select.POLLIN | select.POLLOUT)
        assert p.poll(100) == [(s, select.POLLIN | select.POLLOUT)]
        assert list(p.ipoll(100, 1))[0][0] is s
        assert p.poll(0) == []
        p.unregister(s)
        assert select.select([s], [], [], 0) == ([s], [], [])
        s.close()

    installed(check)


def test_asyncio_that_was_there_before_pumps_too():
    import asyncio

    async def wait():
        neighbour.ask()
        await asyncio.sleep(0.02)

    installed(lambda: asyncio.run(wait()))
    assert neighbour.answered()
    assert sys.modules["asyncio.core"].select is pump.firmware_select
