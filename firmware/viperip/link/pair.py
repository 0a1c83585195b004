# Links that live in memory: a wire between two stacks of one interpreter, and a loopback.
from .. import native
from .device import QueueDevice

_copy = native.load("memory").copy


class Pair(QueueDevice):
    """One end of an in-memory wire. Pair.wire() makes both ends."""

    peer = None

    @classmethod
    def wire(cls, mac_a, mac_b, frames=16, mtu=1500):
        """Two connected ends, (a, b); each holds up to `frames` frames."""
        a = cls(mac_a, frames, mtu)
        b = cls(mac_b, frames, mtu)
        a.peer = b
        b.peer = a
        return a, b

    def send(self, n):
        # _copy() checks nothing, and the other end's buffers may be shorter than ours.
        if n > self.longest or n > self.peer.longest:
            self.oversize += 1
            return
        buf = self.peer.slot()
        if buf is not None:
            _copy(buf, 2, self._tx, 2, n)
            self.peer.push(n)


class Loopback(Pair):
    """A device that receives what it sends."""

    def __init__(self, frames=16, mtu=1500):
        super().__init__(b"\0\0\0\0\0\0", frames, mtu)
        self.peer = self
