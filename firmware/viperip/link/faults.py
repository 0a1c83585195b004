# A wrapper that spoils a link: loss, duplicates, disorder, flipped bits, delay, a rate limit.
#
# Each direction draws from a generator of its own, the same number of times for every frame, so
# that a seed repeats the same faults whatever the other direction does.
import time

from .. import native
from ..stack import diff
from .wrapper import Wrapper

_copy = native.load("memory").copy
_MASK = const(0x3FFFFFFF)
_QUEUE = const(64)  # frames a direction keeps back; more are lost, as in a router
_HELD_MS = const(20)  # a frame that is to be overtaken waits no longer than this


class _Lane:
    # One direction: decides about frames, and keeps those that come later.

    def __init__(self, faults, seed, pad):
        self.loss, self.dup, self.reorder, self.corrupt, self.delay, self.rate = faults
        self.pad = pad
        self.x = seed & 0xFFFF or 1
        self.y = (seed >> 16 & 0xFFFF) ^ 0xACE1 or 1
        for _ in range(16):
            self.draw()
        self.queue = []  # (due, frame), in the order of delivery
        self.held = []  # [frames that may still overtake it, due, frame]
        self.busy = -1  # when a limited line has finished what it was given
        self.rest = 0  # bits of the next millisecond that are used up already
        self.counts = {"lost": 0, "dup": 0, "reorder": 0, "corrupt": 0, "overflow": 0}

    def draw(self):
        # Marsaglia's xorshift on two 16-bit words: 0 to 65535.
        t = (self.x ^ self.x << 5) & 0xFFFF
        self.x = y = self.y
        self.y = y = (y ^ y >> 1) ^ (t ^ t >> 3)
        return y

    def put(self, now, buf, off, n):
        # True if the frame may go on at once, in place; otherwise it is kept here, or lost.
        lost = self.draw() < self.loss
        twice = self.draw() < self.dup
        late = self.draw() < self.reorder
        spoilt = self.draw() < self.corrupt
        where = self.draw() << 3 | self.draw() & 7
        counts = self.counts
        if lost:
            counts["lost"] += 1
            return False
        if spoilt:
            counts["corrupt"] += 1
            where %= 8 * n
            buf[off + (where >> 3)] ^= 1 << (where & 7)
        if late:
            counts["reorder"] += 1
            if len(self.held) < _QUEUE:
                due = (now + self.delay + _HELD_MS) & _MASK
                self.held.append([1 + (where & 3), due, self._keep(buf, off, n)])
            else:
                counts["overflow"] += 1
            return False
        direct = not (self.delay or self.rate or self.queue)
        if twice:
            counts["dup"] += 1
        if not direct or twice:
            frame = self._keep(buf, off, n)
            if not direct:
                self._line(now, frame)
            if twice:
                self._line(now, frame)
        i = 0
        while i < len(self.held):
            h = self.held[i]
            h[0] -= 1
            if h[0]:
                i += 1
            else:
                self.held.pop(i)
                self._line(now, h[2])
        return direct

    def _keep(self, buf, off, n):
        frame = bytearray(self.pad + n)
        _copy(frame, self.pad, buf, off, n)
        return frame

    def _line(self, now, frame):
        # Onto the line, which takes its time.
        if len(self.queue) >= _QUEUE:
            self.counts["overflow"] += 1
            return
        due = now
        if self.rate:
            if self.busy < 0 or diff(now, self.busy) > 0:
                self.busy = now
                self.rest = 0
            bits = 8 * (len(frame) - self.pad) + self.rest
            self.busy = due = (self.busy + bits // self.rate) & _MASK
            self.rest = bits % self.rate
        self.queue.append(((due + self.delay) & _MASK, frame))

    def take(self, now):
        # The frame that is due, or None.
        held = self.held
        if held:
            i = 0
            while i < len(held):
                if diff(now, held[i][1]) >= 0:
                    self._line((now - self.delay) & _MASK, held.pop(i)[2])
                else:
                    i += 1
        if self.queue and diff(now, self.queue[0][0]) >= 0:
            return self.queue.pop(0)[1]
        return None

    def due(self, now):
        # Milliseconds until something is due, or -1.
        best = -1
        for t in [q[0] for q in self.queue[:1]] + [h[1] for h in self.held]:
            left = max(0, diff(t, now))
            if best < 0 or left < best:
                best = left
        return best


class Faults(Wrapper):
    """Spoils the frames of `dev`, both ways.

    loss, dup, reorder, corrupt: shares of the frames, 0 to 1; delay in ms; rate in kbit/s.
    """

    def __init__(
        self, dev, loss=0, dup=0, reorder=0, corrupt=0, delay=0, rate=0, seed=1, ticks=None
    ):
        super().__init__(dev)
        self._ticks = ticks or time.ticks_ms
        faults = [int(65536 * p + 0.5) for p in (loss, dup, reorder, corrupt)]
        faults += [int(delay + 0.5), int(rate)]
        self._in = _Lane(faults, 2 * seed, dev.rx_off)
        self._out = _Lane(faults, 2 * seed + 1, 0)
        # Frames that are kept back come when no descriptor tells.
        self._timed = bool(self._in.delay or self._in.rate or self._in.reorder)
        self._lent = 0  # length of the frame lent to the caller
        self._kept = None  # that frame if it is one of ours, None if it is the device's
        self._buf = None

    def fileno(self):
        return -1 if self._timed else self.dev.fileno()

    def counts(self):
        """What was done so far: {"in": {...}, "out": {...}}."""
        return {"in": self._in.counts, "out": self._out.counts}

    def due(self):
        """Milliseconds until a frame that was kept back is due, or -1."""
        now = self._ticks() & _MASK
        a = self._in.due(now)
        b = self._out.due(now)
        return a if b < 0 or 0 <= a < b else b

    def down(self):
        for lane in (self._in, self._out):
            lane.queue.clear()
            lane.held.clear()
        self._lent = 0
        self._kept = None
        self.dev.down()

    def recv(self):
        if self._lent:
            return self._lent
        now = self._ticks() & _MASK
        self._pump(now)
        dev = self.dev
        lane = self._in
        # All that waits goes onto the line now: what is delayed must not be delayed by the queue.
        for _ in range(_QUEUE):
            frame = lane.take(now)
            if frame is not None:
                self.rx = self._kept = frame
                self.rx_off = lane.pad
                self._lent = len(frame) - lane.pad
                return self._lent
            n = dev.recv()
            if not n:
                break
            if lane.put(now, dev.rx, dev.rx_off, n):
                self.rx = dev.rx
                self.rx_off = dev.rx_off
                self._lent = n
                return n
            dev.release()
        return 0

    def release(self):
        self._lent = 0
        if self._kept is None:
            self.dev.release()
        self._kept = None

    def _pump(self, now):
        # Send what is due.
        lane = self._out
        while lane.queue or lane.held:
            buf = self.dev.borrow()
            if buf is None:
                return
            frame = lane.take(now)
            if frame is None:
                return
            _copy(buf, self.tx_off, frame, 0, len(frame))
            self.dev.send(len(frame))

    def borrow(self):
        # Nothing that is due may go out here: it would be put together in the same buffer, and
        # layers borrow again what the one above has begun to fill.
        self._buf = buf = self.dev.borrow()
        return buf

    def send(self, n):
        now = self._ticks() & _MASK
        if self._out.put(now, self._buf, self.tx_off, n):
            self.dev.send(n)
        if self._out.queue:
            self._pump(now)
