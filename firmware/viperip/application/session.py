# The board's end of `viperip capture` and `viperip bridge`: started in the raw REPL, it shares the
# REPL's line with records (link/serial/), runs what is typed meanwhile, and ends when the host
# says so or is gone.
import json
import sys
import time

import viperip

from ..link.serial.port import BODY, CONTROL, CREDIT, Port
from ..link.serial.streams import Stdio
from ..stack import Timer, diff, later

_POLL_MS = const(5)
_SILENCE_MS = const(5000)  # a host that says nothing for so long is gone
_TRIAL_MS = const(1000)  # a new speed at which nothing is heard for so long does not work
_CREDIT = const(64)  # bytes taken from the line before the host is told
_SETTLE_MS = const(20)  # a UART's FIFO at the usual speed
_CTRL_A = const(1)
_DRAIN_MS = const(5000)
_ADDRESS_MS = const(30000)


class Session(Timer):
    """Serves one host. room: bytes of records that may wait; baudrate: of the line as it is."""

    def __init__(self, stack, room=8192, baudrate=115200, mtu=1500):
        self.stack = stack
        self.port = port = Port(Stdio(), room, mtu, baudrate)
        self.taps = []  # (interface, its device): what to undo
        self.ended = False
        self.ready = False  # the host has done what it does first: the script may start
        self.status = 0
        self._names = {"__name__": "__main__", "viperip": viperip}
        self._heard = self._trial = -1  # a time, -1: none
        self._told = 0  # of port.taken
        self._received = 0  # of port.received, when it was last looked at
        self._usual = None  # the UART's divider and speed before they were changed
        self._credit = bytearray((CREDIT, 0, 0))
        self._control = bytes((CONTROL,))
        port.handlers[CONTROL] = self._order

    def start(self, interfaces=()):
        """Serve the line whenever the stack is polled; wait until the host says go."""
        self._heard = self.stack.time()
        self.stack.add_timer(self)
        self.stack.arm(self, 0)
        self.tell(hello=viperip.__version__, interfaces=interfaces)
        # It may change the speed first, and expects answers while it does.
        while not (self.ready or self.ended):
            self._wait()

    def expire(self, now):
        port = self.port
        if not port.lent:
            port.receive()
        if port.received != self._received:
            self._received = port.received
            self._heard = now
        if (port.taken - self._told) & 0xFFFF >= _CREDIT:
            self._grant()
        port.flush()
        if self._trial >= 0 and diff(now, self._trial) > 0:
            self._usual_speed()
        if diff(now, later(self._heard, _SILENCE_MS)) > 0:
            self.end()
            return
        self.stack.arm(self, 1 if port.waiting else _POLL_MS)

    def _grant(self):
        self._told = taken = self.port.taken
        c = self._credit
        c[1] = taken >> 8
        c[2] = taken & 0xFF
        self.port.put(c, 3, c, 0, 0)

    def _wait(self):
        try:
            self.stack.wait(100)
        except KeyboardInterrupt:
            pass  # the host's way to end what runs: its order to stop comes next

    def wait_for_address(self, lan):
        """Until the interface has one; a script finds the network as `viperip sim` has it."""
        end = later(self.stack.time(), _ADDRESS_MS)
        while not (lan.isconnected() or self.ended):
            self._wait()
            if diff(self.stack.now, end) > 0:
                print("no address within %d s; the script runs without" % (_ADDRESS_MS // 1000))
                return

    # What the host says.

    def tell(self, **message):
        """Send a message to the host."""
        data = json.dumps(message).encode()
        self.port.put(self._control, 1, data, 0, len(data))

    def _order(self, record, n):
        try:
            order = json.loads(bytes(memoryview(record)[BODY : BODY + n]))
            do = order["do"]
        except (ValueError, KeyError, TypeError):
            return
        if self._trial >= 0:
            self._trial = -1
            self.port.held = False
        if do == "ping":
            # What was lost on the way shall not narrow the host's window for ever.
            self.port.taken = (order.get("sent", 0) + self.port.unread) & 0xFFFF
            self._grant()
            self.tell(pong=1, **self.counters())
        elif do == "speed":
            self._speed(int(order.get("baud", 0)))
        elif do == "stats":
            self.tell(stats=_stats(self.stack))
        elif do == "go":
            self.ready = True
        elif do == "stop":
            self.end()

    def counters(self):
        """What the host is told with every pong."""
        return {
            "captured": sum([dev.frames for ifc, dev, inner in self.taps]),
            "dropped": sum([dev.dropped for ifc, dev, inner in self.taps]),
            "bad": self.port.rx_bad,
            "lost": self.port.rx_lost,
        }

    # The speed of the line.

    def _speed(self, baud):
        from ..link.serial import uart0

        if not (300 <= baud <= 5000000 and uart0.known()):
            self.tell(speed=0)
            return
        self.tell(speed=baud)
        self.port.drain()
        time.sleep_ms(_SETTLE_MS)
        if self._usual is None:
            self._usual = (uart0.divider(), self.port.baudrate)
        uart0.set_divider(uart0.divider_of(baud))
        self.port.baudrate = baud
        # The host changes after this end has: until it is heard, it would hear noise.
        self.port.held = True
        self._trial = later(self.stack.time(), _TRIAL_MS)

    def _usual_speed(self):
        self._trial = -1
        self.port.held = False
        if self._usual is not None:
            from ..link.serial import uart0

            uart0.set_divider(self._usual[0])
            self.port.baudrate = self._usual[1]
            self._usual = None

    # Frames.

    def tap(self, program=b"", snaplen=65535):
        """Capture on every interface; their names and addresses."""
        from ..link.serial.capture import SerialCapture

        told = []
        for ifc in self.stack.interfaces:
            if ifc.arp is None:
                continue  # loopback has no Ethernet header
            inner = ifc.dev
            ifc.dev = dev = SerialCapture(inner, self.port, len(self.taps), program, snaplen)
            self.taps.append((ifc, dev, inner))
            told.append({"name": ifc.name, "mac": bytes(ifc.mac).hex(), "mtu": ifc.mtu})
        self.stack.changed()
        return told

    def end(self):
        """Take everything back; run() returns when what runs has ended."""
        if self.ended:
            return
        self.ended = True
        self.stack.remove_timer(self)
        for ifc, dev, inner in self.taps:
            ifc.dev = inner
        self.stack.changed()
        # What waits goes first: in a full ring there would be no room for the goodbye.
        self.port.drain()
        self.tell(bye=self.status, **self.counters())
        self.port.drain()
        if self._usual is not None:
            time.sleep_ms(_SETTLE_MS)
            self._usual_speed()

    # What the person types, or a script.

    def run(self, script=None):
        """Run a script (its source), or what comes as lines, until the host ends it."""
        try:
            if script:
                self.status = self.execute(script, "exec")
                self._drain()
            else:
                self._lines()
        finally:
            self._stop()

    def _drain(self):
        # What the script has sent and closed is on its way yet.
        end = later(self.stack.time(), _DRAIN_MS)
        tcp = self.stack._tcp
        while tcp is not None and tcp.draining() and not self.ended:
            if diff(self.stack.now, end) > 0:
                return
            self.stack.wait(100)

    def _lines(self):
        while not self.ended:
            try:
                self.stack.wait(100)
                line = self._line()
                if line:
                    self.execute(line, "single")
            except KeyboardInterrupt:
                pass  # meant for something that has just ended

    def _stop(self):
        self.stack.enter()
        try:
            self.end()
        finally:
            self.stack.leave()

    def _line(self):
        text = self.port.text
        for i in range(len(text)):
            if text[i] == _CTRL_A:
                self._stop()  # somebody wants the raw REPL: the host is another one
                return None
            if text[i] in (10, 13):
                line = str(bytes(text[:i]), "utf-8")
                self.port.text = bytearray(text[i + 1 :])
                return line
        return None

    def execute(self, text, how):
        """Run it as the prompt would; 0, or 1 when it raised."""
        try:
            if how == "exec":
                exec(text, self._names)
            else:
                self._single(text)
        except SystemExit as e:
            code = e.args[0] if e.args else 0
            return code if isinstance(code, int) else 1
        except BaseException as e:
            sys.print_exception(e)
            return 1
        return 0

    def _single(self, text):
        # As a prompt: an expression's value is shown. (Not every port has compile().)
        try:
            value = eval(text, self._names)
        except SyntaxError:
            exec(text, self._names)
            return
        if value is not None:
            print(repr(value))


def _stats(stack):
    # What `viperip monitor` shows; bounded, however many sockets there are.
    import gc

    from .netstat import interfaces, sockets

    states = {}
    for row in sockets(stack):
        name = row["state"] or row["proto"]
        states[name] = states.get(name, 0) + 1
    return {
        "ms": time.ticks_ms() & 0x3FFFFFFF,
        "uptime_s": int(time.time() - stack.boot),
        "heap": {"used": gc.mem_alloc(), "free": gc.mem_free()},
        "interfaces": [row for row in interfaces(stack) if row["if"] != "lo"],
        "sockets": states,
        "counters": {name: n for name, n in stack.stats.items() if n},
    }


def _begin(room, baudrate):
    # An idle REPL may have left the stack without anybody who polls it.
    from ..pump import start

    stack = viperip.default()
    start(stack)
    return Session(stack, room, baudrate)


def capture(program=b"", snaplen=65535, room=8192, baudrate=115200, script=None):
    """Capture on all interfaces that are up; with none, the board's own is brought up first."""
    session = _begin(room, baudrate)
    viperip.install()
    lan = None
    if not [ifc for ifc in session.stack.interfaces if ifc.arp is not None]:
        lan = viperip.LAN(viperip.board())
        session.stack.add_interface(lan.interface)
    session.start(session.tap(program, snaplen))
    if lan is not None:
        from ..configure import start

        start()
        if script:
            session.wait_for_address(lan)
    session.run(script)


def monitor(baudrate=115200, script=None):
    """Answer what `viperip monitor` asks, while a script runs."""
    session = _begin(4096, baudrate)
    viperip.install()
    session.start()
    session.run(script)


def bridge(
    mac, ip=None, gateway=None, dns=(), hostname=None, script=None, baudrate=115200, probe=True
):
    """Have the network through the host: its frames come over the serial line.

    probe: ask others about the address that DHCP gives (RFC 5227) before it is used.
    """
    from ..address import ip4
    from ..link.serial.link import SerialLink

    session = _begin(4096, baudrate)
    if hostname:
        session.stack.hostname = hostname
    link = SerialLink(session.port, mac)
    viperip._board = {"name": "bridge", "device": link}
    lan = viperip.LAN(viperip._board, name="serial")
    viperip.install()
    session.start()
    lan.active(True)
    if ip:
        lan.ipconfig(addr4=ip)
        if gateway:
            lan.ipconfig(gw4=gateway)
    else:
        from .dhcp import Client

        lan.interface.dhcp = Client(lan.interface, session.stack.hostname, probe)
        lan.interface.dhcp.start()
    if dns:
        lan.interface.dns = [ip4(a) for a in dns]
    try:
        if script:
            session.wait_for_address(lan)
        session.run(script)
    finally:
        lan.active(False)
        session.stack.remove_interface(lan.interface)
        viperip._board = None
