# What client and server do alike: move the data for the time of the test, report, sum up.

from .control import Clock, IperfError, number
from .streams import TcpReceiver, TcpSender, UdpReceiver, UdpSender

_IDLE_MS = const(20)
_QUIET_MS = const(100)
_DRAIN_MS = const(2000)
_SMALLEST = const(16)  # of a datagram: its header


class Run:
    """A test between its parameters and its results."""

    def __init__(self, stack, parameters, streams, quiet=False, interval_s=1):
        self.stack = stack
        self.streams = streams
        self.udp = bool(parameters.get("udp"))
        self.omit_ms = number(parameters.get("omit"), 0, 0, 600) * 1000
        self.quiet = quiet
        self.interval_ms = max(interval_s, 0) * 1000
        self.seconds = 0.0
        self.clock = Clock(stack)
        self._base = 0  # ms at which counting began
        self._shown = 0
        self._omitting = self.omit_ms > 0
        blocks = number(parameters.get("blockcount"), 0, 0, 1 << 40)
        length = max([s.length for s in streams] or [0])
        # Bytes after which a client that asked for so many wants no more.
        self.limit = number(parameters.get("num"), 0, 0, 1 << 50) or blocks * length

    def elapsed_ms(self):
        """How long it is being counted."""
        return self.clock.ms() - self._base

    def turn(self):
        """Move some data; sleep a little if there was none."""
        ms = self.clock.ms()
        moved = False
        over = self.limit and sum([s.bytes for s in self.streams if s.sender]) >= self.limit
        for s in self.streams:
            if not (s.ended or over and s.sender):
                try:
                    moved = s.turn(ms) or moved
                except OSError as e:
                    raise IperfError("data stream %d has failed: errno %s" % (s.id, e.errno))
        if self._omitting and ms >= self.omit_ms:
            self._omitting = False
            self._base = self._shown = ms
            for s in self.streams:
                s.reset()
        elif self.interval_ms and ms - self._shown >= self.interval_ms:
            self._report(ms)
        if not moved:
            self.stack.wait(1 if any([s.sender for s in self.streams]) else _IDLE_MS)

    def _report(self, ms):
        if not self.quiet:
            begin, end = self._shown - self._base, ms - self._base
            for s in self.streams:
                note = "  (omitted)" if self._omitting else ""
                print(line(s, begin, end, s.bytes - s.since) + note)
        for s in self.streams:
            s.since = s.bytes
        self._shown = ms

    def finish(self):
        """End what is on its way, then stop(). A client that counts bytes says that it has sent
        them all while they wait in its buffers; one that receives reads on to the end of a block,
        or of the connection, before it looks at its control connection again."""
        if not self.udp:
            begin = seen = self.clock.ms()
            while True:
                ms = self.clock.ms()
                if self._finish(ms):
                    seen = ms
                if ms - seen >= _QUIET_MS or ms - begin >= _DRAIN_MS:
                    break
                self.stack.wait(5)
            for s in self.streams:
                if s.sender and not s.ended:
                    s.end()
        self.stop()

    def _finish(self, ms):
        # Whether there is still something to do.
        busy = False
        for s in self.streams:
            if s.ended:
                continue
            try:
                if s.sender:
                    busy = not s.complete() or busy
                else:
                    busy = s.turn(ms) or busy
            except OSError:
                s.ended = True
        return busy

    def stop(self):
        """The time is over: the counters are final."""
        self.seconds = max(self.elapsed_ms(), 1) / 1000

    def results(self):
        """What is told to the peer."""
        senders = any([s.sender for s in self.streams])
        return {
            "cpu_util_total": 0,
            "cpu_util_user": 0,
            "cpu_util_system": 0,
            "sender_has_retransmits": 1 if senders and not self.udp else 0,
            "streams": [s.result(self.seconds) for s in self.streams],
        }

    def summary(self, theirs):
        """What both ends have counted, as a dict; printed unless quiet.

        seconds; streams: a list of dicts with id, sender (whether this end sent), bytes (ours) and
        bits_per_second, peer_bytes, retransmits, and for UDP packets, lost, jitter_ms as the
        receiver has seen them; bits_per_second of all received."""
        others = theirs.get("streams")
        others = others if isinstance(others, list) else []
        rows = []
        for s in self.streams:
            other = {}
            for o in others:
                if isinstance(o, dict) and o.get("id") == s.id:
                    other = o
            rows.append(self._row(s, other))
        # What arrived counts, whichever end has received it.
        total = sum([r["peer_bytes"] if r["sender"] else r["bytes"] for r in rows])
        out = {
            "seconds": self.seconds,
            "streams": rows,
            "bits_per_second": total * 8 / self.seconds,
        }
        if not self.quiet:
            self._print(rows)
        return out

    def _row(self, s, other):
        row = {
            "id": s.id,
            "sender": s.sender,
            "bytes": s.bytes,
            "bits_per_second": s.bytes * 8 / self.seconds,
            "peer_bytes": number(other.get("bytes"), 0, 0, 1 << 50),
            "retransmits": s.retransmits(),
        }
        if self.udp:
            seen = other if s.sender else s.result(self.seconds)
            missed = number(seen.get("omitted_errors"), 0, 0, 1 << 40)
            jitter = seen.get("jitter", 0)
            row["packets"] = (s.packets if s.sender else seen["packets"]) - s.omitted_packets
            row["lost"] = number(seen.get("errors"), 0, 0, 1 << 40) - missed
            row["jitter_ms"] = jitter * 1000 if isinstance(jitter, (int, float)) else 0
        return row

    def _print(self, rows):
        for s, r in zip(self.streams, rows):
            text = line(s, 0, int(self.seconds * 1000), s.bytes)
            if self.udp:
                n = max(r["packets"], 1)
                percent = 100 * r["lost"] / n
                text += "  %d/%d lost (%.2g%%)" % (r["lost"], r["packets"], percent)
                text += "  jitter %.3f ms" % r["jitter_ms"]
            elif s.sender:
                text += "  %d retransmitted" % r["retransmits"]
            if s.sender:
                text += "  %s received" % _bytes(r["peer_bytes"])
            print(text)


def line(s, begin, end, n):
    """One line of a report: the stream, from ms to ms, what it moved and how fast."""
    rate = n * 8 / max(end - begin, 1) / 1000
    way = "sent" if s.sender else "received"
    span = "[%3d] %6.2f-%-6.2f s" % (s.id, begin / 1000, end / 1000)
    return "%s  %s %s  %.2f Mbit/s" % (span, way, _bytes(n), rate)


def _bytes(n):
    if n < 100000:
        return "%.1f KB" % (n / 1000)
    return "%.2f MB" % (n / 1e6)


def plan(parameters):
    """(number, whether the client sends) of each stream, in the order in which they are opened.

    iperf3 numbers its streams 1, then 3, 4, ..."""
    n = number(parameters.get("parallel"), 1, 1, 1000)
    ways = [not parameters.get("reverse")] * n
    if parameters.get("bidirectional"):
        ways = [True] * n + [False] * n
    return [(1 if i == 0 else i + 2, way) for i, way in enumerate(ways)]


def stream(stack, sock, number_, sender, parameters):
    """The end of a stream, over its connected socket."""
    rate = number(parameters.get("bandwidth"), 0, 0, 1 << 40)
    if not parameters.get("udp"):
        n = number(parameters.get("len"), 8192, 1, 1 << 20)
        return TcpSender(sock, number_, n, rate) if sender else TcpReceiver(sock, number_, n)
    n = number(parameters.get("len"), mtu(stack) - 28, _SMALLEST, 65507)
    wide = bool(parameters.get("udp_counters_64bit"))
    if sender:
        return UdpSender(sock, number_, n, rate, wide)
    return UdpReceiver(sock, number_, n, wide)


def mtu(stack):
    """The smallest MTU of the stack's interfaces."""
    return min([i.mtu for i in stack.interfaces] or [1500])
