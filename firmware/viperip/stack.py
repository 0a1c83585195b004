# The stack: interfaces, protocols, one clock, one poll loop.
#
# Time is a count of milliseconds masked to 30 bits, so that it is a small int on a 32-bit port;
# deadlines are compared by after(), never by < and >.
import sys
import time

_MASK = const(0x3FFFFFFF)
_HALF = const(0x20000000)
_IDLE_MS = const(1000)
_UNSENT_MS = const(1)
_FRAMES_PER_POLL = const(16)


def diff(a, b):
    """a - b in milliseconds, for two times at most 2**29 ms (six days) apart."""
    d = (a - b) & _MASK
    if d >= _HALF:
        d = d - _MASK - 1
    return d


def later(t, ms):
    """The time `ms` milliseconds (at most 2**29) after t."""
    # t + ms might be too much for a small int, and would take heap to be masked again.
    t += ms - _MASK - 1
    return t if t >= 0 else t + _MASK + 1


class Timer:
    """A deadline with a method to run. Subclasses define expire(now)."""

    due = -1  # time at which expire() runs, -1: not armed

    def expire(self, now):
        pass


class Stack:
    """All state of one TCP/IP host. Several may live in one interpreter.

    ticks: a function that returns milliseconds (default time.ticks_ms); random: a function
    that returns n random bytes (default os.urandom).
    """

    def __init__(self, ticks=None, random=None, hostname="viperip"):
        self._ticks = ticks or time.ticks_ms
        self.urandom = random or _urandom()
        self.hostname = hostname
        self.local_name = b""  # what multicast DNS has won, in wire format
        # Where memory is short: two segments each way, connections of 1 KB besides, fragments.
        roomy = sys.platform in ("linux", "darwin")
        self.tcp_buffer = 65535 if roomy else 2920
        self.tcp_connections = 256 if roomy else 32
        self.fragment_bytes = 73728 if roomy else 16384
        self.now = self._ticks() & _MASK
        self.boot = time.time()
        self.stats = {"internal_error": 0, "no_memory": 0, "tx_no_buffer": 0}
        self.interfaces = []
        self.generation = 0  # changes whenever an address or a route does
        self.timers = []
        self.strict = False  # tests: let an internal error out of poll()
        self.last_error = None
        self._raised = None  # what poll() has yet to raise
        self._rounds = self._run()
        self._next = later(self.now, _IDLE_MS)
        self._held = 0
        self._pending = False
        self._busy = False  # poll() took a frame or ran timers
        self._running = None  # the timer whose expire() runs
        from .link.ethernet import Ethernet
        from .internet.ipv4 import IPv4

        self.ethernet = Ethernet(self.stats)
        self.ip = IPv4(self)
        self._udp = self._tcp = self._loopback = self._resolver = None

    # Protocols that cost nothing until they are used.

    @property
    def udp(self):
        if self._udp is None:
            from .transport.udp import UDP

            self._udp = UDP(self)
        return self._udp

    @property
    def tcp(self):
        if self._tcp is None:
            from .transport.tcp import TCP

            self._tcp = TCP(self)
        return self._tcp

    @property
    def resolver(self):
        if self._resolver is None:
            from .application.dns import Resolver

            self._resolver = Resolver(self)
        return self._resolver

    # Time.

    def time(self):
        """Read the clock: milliseconds modulo 2**30, also left in `now`."""
        self.now = now = self._ticks() & _MASK
        return now

    def arm(self, timer, ms):
        """Run timer.expire() in `ms` milliseconds, instead of any earlier arrangement."""
        timer.due = due = later(self.now, ms)
        if diff(due, self._next) < 0:
            self._next = due

    def add_timer(self, timer):
        self.timers.append(timer)

    def remove_timer(self, timer):
        if timer in self.timers:
            self.timers.remove(timer)

    def _run_timers(self, now):
        # One pass over all timers, which also finds when the next pass is due.
        wait = _IDLE_MS
        self._next = later(now, _IDLE_MS)
        i = len(self.timers)
        while i:
            i -= 1
            if i < len(self.timers):
                t = self.timers[i]
                if t.due >= 0:
                    if diff(t.due, now) <= 0:
                        t.due = -1
                        self._running = t
                        t.expire(now)
                        self._running = None
                    if t.due >= 0:
                        left = diff(t.due, now)
                        if left < wait:
                            wait = left
        wait = later(now, wait)
        if diff(wait, self._next) < 0:
            self._next = wait

    # The guard. Whoever changes protocol state holds it; a poll() that finds it held runs at
    # release. (A soft timer's poll can interrupt a socket call between any two bytecodes.)

    def enter(self):
        # Held as the very last: whoever gets here will leave(), even if Ctrl-C comes at once.
        if not self._held:
            self.now = self._ticks() & _MASK
        self._held += 1

    def leave(self):
        self._held -= 1
        if self._pending and not self._held:
            self._pending = False
            self.poll()

    def poll(self, _=None):
        """Do a bounded amount of work; milliseconds until the next is due (0: more waits now)."""
        if self._held:
            self._pending = True
            return 0
        self._held = 1
        left = -1
        try:
            left = next(self._rounds)
        finally:
            self._held = 0
            if left < 0:
                # A generator that raised is over: Ctrl-C came where nothing takes exceptions.
                self._rounds = self._run()
        if self._raised is not None:
            self._raise()
        return left

    def _run(self):
        # One round for each next(). A generator, because its frame is made once: a function with
        # handlers as these would take heap on every call.
        left = 0
        while True:
            try:
                left = self._round()
            except BaseException as e:
                self.failed(e)
            yield left

    def _round(self):
        self.time()
        more = False
        i = 0
        while i < len(self.interfaces):
            ifc = self.interfaces[i]
            if ifc.active and self._service(ifc, ifc.rx_frames):
                more = True
            i += 1
        if diff(self._next, self.now) <= 0:
            self._busy = True
            self._run_timers(self.now)
        if self._tcp is not None:
            self._tcp.flush()
        if more:
            return 0
        left = diff(self._next, self.now)
        if left > _UNSENT_MS and self._unsent():
            return _UNSENT_MS
        return left if left > 0 else 0

    def _unsent(self):
        # A link without room for the end of a frame tries again when it is polled, and nothing
        # tells when there is room.
        i = len(self.interfaces)
        while i:
            i -= 1
            if self.interfaces[i].active and self.interfaces[i].dev.unsent:
                return True
        return False

    def _service(self, ifc, n):
        more = ifc.service(_FRAMES_PER_POLL)
        if ifc.rx_frames != n:
            self._busy = True
        return more

    def failed(self, e):
        # A packet must never end poll(): memory that ran out and faults are counted instead.
        t = self._running
        if t is not None:
            # What it was to do, it has to do yet; and it may be the only one to arm itself.
            self._running = None
            if t.due < 0:
                self.arm(t, _IDLE_MS)
        if isinstance(e, MemoryError):
            self.stats["no_memory"] += 1
        elif isinstance(e, Exception):
            self.stats["internal_error"] += 1
            self.last_error = e
            if self.strict:
                self._raised = e
        else:
            self._raised = e  # Ctrl-C, the end of the program

    def _raise(self):
        e = self._raised
        self._raised = None
        raise e

    # Waiting.

    def wait(self, ms):
        """poll(); if nothing happened, sleep until a frame, the next deadline, or `ms` passed."""
        self._busy = False
        left = self.poll()
        if self._busy:
            return  # what has come may be what the caller waits for
        if left > ms:
            left = ms
        if left > 0:
            self.idle(left)

    def idle(self, ms):
        """Sleep up to `ms` milliseconds or until a link is readable; replaced by install()."""
        time.sleep_ms(1)

    # Interfaces.

    def add_interface(self, ifc):
        self.interfaces.append(ifc)
        self.changed()

    def remove_interface(self, ifc):
        if ifc in self.interfaces:
            self.interfaces.remove(ifc)
        self.changed()

    def changed(self):
        """Addresses, routes or interfaces are not what they were: forget what was derived."""
        self.generation = (self.generation + 1) & 0xFFFF
        self.ip.routes.rebuild()

    @property
    def loopback(self):
        if self._loopback is None:
            from .interface import Interface
            from .link.pair import Loopback

            self._loopback = lo = Interface(self, Loopback(), "lo", arp=False)
            self.interfaces.append(lo)
            lo.active = True
            lo.configure(b"\x7f\0\0\x01", b"\xff\0\0\0")
        return self._loopback

    def random(self, bits):
        """A random number of up to 30 bits."""
        r = self.urandom(4)
        return (r[0] << 24 | r[1] << 16 | r[2] << 8 | r[3]) & ((1 << bits) - 1)


def _urandom():
    try:
        from os import urandom

        return urandom
    except ImportError:
        from random import getrandbits

        return lambda n: bytes([getrandbits(8) for _ in range(n)])
