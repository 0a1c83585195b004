# Keeps the stack running while the program does something else.
#
# A board has a timer that schedules poll(). The unix port has none, and its threads have no lock:
# there, whatever waits is replaced by something that polls the stack while it waits.
import sys
import time as _time

import viperip

try:
    import socket as firmware_socket
except ImportError:
    firmware_socket = None
import select as firmware_select

try:
    _Timer = __import__("machine").Timer
except (ImportError, AttributeError):
    _Timer = None

_before: dict | None = None  # what sys.modules had before install()
_timer = None


class Sleeper:
    """The firmware's poller over the links of a stack: sleeps until a frame may have come."""

    def __init__(self, stack, poller=None):
        self.stack = stack
        self.poller = poller or firmware_select.poll()
        self._generation = -1
        self._fds = []
        self._devs = []  # their devices
        self._blind = []  # devices that have no descriptor
        self._cap = 1000

    def _refresh(self):
        self._generation = self.stack.generation
        for fd in self._fds:
            self.poller.unregister(fd)
        self._fds = []
        self._devs = []
        self._blind = []
        self._cap = 1000
        for ifc in self.stack.interfaces:
            if not ifc.active:
                continue
            fd = ifc.dev.fileno()
            if fd >= 0:
                if fd not in self._fds:
                    self._fds.append(fd)
                    self._devs.append(ifc.dev)
                    self.poller.register(fd, firmware_select.POLLIN)
            else:
                self._blind.append(ifc.dev)
                if ifc.arp is not None and ifc.dev.link():
                    # Somebody else puts frames there, and nothing tells when. Loopback is filled
                    # by this stack alone.
                    self._cap = 1

    def sleep(self, ms):
        """Sleep up to `ms` milliseconds."""
        if self._generation != self.stack.generation:
            self._refresh()
        i = len(self._blind)
        while i:
            i -= 1
            if self._blind[i].recv():
                return
        if self._woken(min(ms, self._cap)):
            # A stream that has ended is readable for ever; its device has no descriptor then.
            i = len(self._fds)
            while i:
                i -= 1
                if self._devs[i].fileno() != self._fds[i]:
                    self._generation = -1

    def _woken(self, ms):
        woken = False
        for _ in self.poller.ipoll(ms):
            woken = True
        return woken


class _Module:
    pass


def _sleep_us(us):
    # The last part of a millisecond is the firmware's: too short to poll, and exact.
    end = _time.ticks_add(_time.ticks_us(), us)
    while us >= 1000:
        viperip.default().wait(us // 1000)
        us = _time.ticks_diff(end, _time.ticks_us())
    if us > 0:
        _time.sleep_us(us)


def _sleep_ms(ms):
    viperip.default().poll()
    while ms > 60000:  # ticks_us() wraps after minutes
        _sleep_us(60000000)
        ms -= 60000
    _sleep_us(ms * 1000)


def _sleep(seconds):
    _sleep_ms(int(seconds * 1000))


def _pumping_time():
    # A stand-in for the module: modules cannot be made, an object with its names will do.
    m = _Module()
    for name in dir(_time):
        if not name.startswith("__"):
            setattr(m, name, getattr(_time, name))
    m.__name__ = "time"
    m.sleep = _sleep
    m.sleep_ms = _sleep_ms
    m.sleep_us = _sleep_us
    return m


def start(stack, pump_ms=5):
    """Poll the stack every `pump_ms` milliseconds from a soft timer (0: not), on a board."""
    global _timer
    if _Timer is None:
        if "idle" not in stack.__dict__:
            stack.idle = Sleeper(stack).sleep
    elif pump_ms and _timer is None:
        try:
            _timer = _Timer(-1)
        except ValueError:
            _timer = _Timer(0)  # this port has no virtual timers
        _timer.init(period=pump_ms, mode=_Timer.PERIODIC, callback=stack.poll)


def install(pump_ms=5):
    """Let `import socket` (on the unix port also select and time) give the stack's."""
    global _before
    if _before is not None:
        return
    from . import socket

    stack = viperip.default()
    start(stack, pump_ms)
    ours = {"socket": socket}
    if _Timer is None:
        from . import select

        ours["select"] = select
        ours["time"] = _pumping_time()
        _patch_asyncio(select)
    _before = {}
    for name in ours:
        _before[name] = sys.modules.get(name)
        sys.modules[name] = ours[name]


def uninstall():
    """Undo install(). The stack keeps its interfaces."""
    global _before
    if _before is None:
        return
    for name in _before:
        if _before[name] is None:
            sys.modules.pop(name, None)
        else:
            sys.modules[name] = _before[name]
    if "select" in _before:
        _patch_asyncio(firmware_select)
    _before = None


def _patch_asyncio(select):
    # asyncio that was imported earlier has a poller of the other module.
    core = sys.modules.get("asyncio.core")
    if core is None:
        return
    core.select = select
    queue = getattr(core, "_io_queue", None)
    if queue is not None:
        queue.poller = select.poll()
        for entry in queue.map.values():
            mask = (select.POLLIN if entry[0] else 0) | (select.POLLOUT if entry[1] else 0)
            queue.poller.register(entry[2], mask)
