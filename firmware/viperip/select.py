# select for the unix port: the firmware's poll, with the stack running while it waits.
#
# The firmware's poll sleeps about 1 ms a pass as soon as one object has no descriptor, unless a
# descriptor is ready. So there are two of its pollers: one holds everything and an always-ready
# descriptor, and is only ever asked what is ready now; the other holds descriptors only, those of
# the links among them, and sleeps.
from time import ticks_add, ticks_diff, ticks_ms

import viperip

from .pump import Sleeper
from .pump import firmware_select as _firmware
from .socket import socket as _socket

POLLIN = _firmware.POLLIN
POLLOUT = _firmware.POLLOUT
POLLERR = _firmware.POLLERR
POLLHUP = _firmware.POLLHUP

_FOREVER = const(1000)

_always = None


def _ready():
    # Shared by all pollers; opened once.
    global _always
    if _always is None:
        _always = open("/dev/null", "rb")
    return _always


class poll:
    """The firmware's poll object, for the stack's sockets and everything it knows itself."""

    def __init__(self):
        self._stack = viperip.default()
        self._all = _firmware.poll()
        self._ready = _ready()
        self._all.register(self._ready, POLLIN)
        self._sleeper = Sleeper(self._stack)

    def register(self, obj, eventmask=POLLIN | POLLOUT):
        """Watch an object; returns True if it was not watched before."""
        new = self._all.register(obj, eventmask)
        if not isinstance(obj, _socket):
            # Something with a descriptor, or what only the firmware knows how to ask (an SSL
            # object): the latter makes the sleeping poller look every millisecond.
            self._sleeper.poller.register(obj, eventmask)
        return new

    def unregister(self, obj):
        self._all.unregister(obj)
        if not isinstance(obj, _socket):
            self._sleeper.poller.unregister(obj)

    def modify(self, obj, eventmask):
        self._all.modify(obj, eventmask)
        if not isinstance(obj, _socket):
            self._sleeper.poller.modify(obj, eventmask)

    def poll(self, timeout=-1):
        """List of (object, events) that are ready; waits up to `timeout` ms (negative: ever)."""
        return list(self.ipoll(timeout))

    def ipoll(self, timeout=-1, flags=0):
        """poll() as an iterator. flags=1: an object that was ready is not watched further."""
        if timeout is None:
            timeout = -1
        stack = self._stack
        end = ticks_add(ticks_ms(), timeout) if timeout > 0 else 0
        found = False
        while True:
            left = stack.poll()
            for obj, events in self._all.ipoll(0):
                if obj is not self._ready:
                    found = True
                    if flags & 1:
                        self.modify(obj, 0)
                    yield obj, events
            if found or not timeout:
                return
            wait = _FOREVER
            if timeout > 0:
                wait = ticks_diff(end, ticks_ms())
                if wait <= 0:
                    return
            if left < wait:
                wait = left
            if wait > 0:
                self._sleeper.sleep(wait)


def select(rlist, wlist, xlist, timeout=None):
    """The objects of each list that are ready (to read, to write, in error); timeout in s."""
    p = poll()
    masks = []
    for objs, mask in ((rlist, POLLIN), (wlist, POLLOUT), (xlist, POLLERR | POLLHUP)):
        for o in objs:
            for m in masks:
                if m[0] is o:
                    m[1] |= mask
                    break
            else:
                masks.append([o, mask])
    for o, mask in masks:
        p.register(o, mask)
    got = p.poll(-1 if timeout is None else int(timeout * 1000))
    readable = [o for o, e in got if e & (POLLIN | POLLHUP | POLLERR) and o in rlist]
    writable = [o for o, e in got if e & (POLLOUT | POLLERR) and o in wlist]
    return readable, writable, [o for o, e in got if e & (POLLERR | POLLHUP) and o in xlist]
