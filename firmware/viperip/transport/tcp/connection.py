# The transmission control block (RFC 9293 3.3.1) and the calls of its user (3.10.1 to 3.10.6).
#
# 32-bit sequence numbers live in `words` (see viper/tcp.py); everything else is kept relative to
# SND.UNA or RCV.NXT, as small ints.
import array

from ... import native
from ...errors import ECONNRESET, EPIPE
from ...stack import Timer
from . import congestion, output, timers
from .states import (
    CLOSE_WAIT,
    CLOSED,
    ESTABLISHED,
    FIN_WAIT_1,
    FIN_WAIT_2,
    LAST_ACK,
    NAMES,
    SYN_RCVD,
    SYN_SENT,
    TIME_WAIT,
)
from .segment import DEFAULT_MSS

_m = native.load("memory")
_ring_copy = _m.ring_copy
_find = _m.find
_NO_LIMIT = const(0x3FFFFFFF)


class Connection(Timer):
    """One TCP connection. Sizes in bytes, times in ms."""

    def __init__(self, tcp, local, port, remote, remote_port, snd_size, rcv_size):
        self.tcp = tcp
        self.state = CLOSED
        self.local = bytes(local)
        self.port = port
        self.remote = bytes(remote)
        self.remote_port = remote_port
        self.row = self.remote + self.local
        self.row += bytes((remote_port >> 8, remote_port & 0xFF, port >> 8, port & 0xFF))
        self.words = array.array("I", [0] * 6)
        # Send sequence space, relative to SND.UNA. syn: our SYN is not acknowledged yet and takes
        # the first number; fin: the user has closed, a FIN follows the data.
        self.snd_ring = None
        self.snd_size = snd_size
        self.snd_head = 0
        self.snd_len = 0
        self.snd_nxt = 0
        self.snd_max = 0
        self.snd_wnd = 0
        self.max_wnd = 0
        self.snd_shift = 0
        self.syn = 0
        self.pushed = True  # send() took all that it was given
        self.fin = False
        self.fin_sent = False
        self.mss = DEFAULT_MSS
        self.df = 0x4000  # Don't Fragment, for the discovery of the path MTU (RFC 1191)
        # Receive sequence space, relative to RCV.NXT.
        self.rcv_ring = None
        self.rcv_size = rcv_size
        self.rcv_head = 0
        self.rcv_used = 0
        self.rcv_adv = 0  # right edge announced
        self.wnd_limit = _NO_LIMIT  # bytes that the receive ring of the device holds
        self.rcv_shift = 0
        self.want_scale = -1
        self.rcv_mss = 1460
        self.rcv_fin = False  # the peer's FIN was reached
        self.holes = []  # [start, end] of data received out of order, ascending
        self.moved = 0  # how far the last segment moved RCV.NXT
        self.fin_at = -1  # offset of a FIN that came early
        self.unacked = 0  # segments not acknowledged yet
        self.challenges = 0  # challenge ACKs sent in the second since `challenged`
        self.challenged = tcp.stack.now
        self.ack_now = False
        # Congestion and retransmission.
        self.cwnd = DEFAULT_MSS
        self.ssthresh = 0
        self.acked = 0
        self.dupacks = 0
        self.recovering = False
        self.recover = 0
        self.srtt = 0
        self.rttvar = 0
        self.rto = self.rto_now = tcp.initial_rto
        self.backoff = 0
        self.stalled = 0
        self.timing = False
        self.timed = 0
        self.timed_at = 0
        self.probing = False
        self.retransmits = 0
        self.t_rtx = self.t_ack = self.t_keep = self.t_wait = -1
        # The user's side.
        self.nodelay = False
        self.keepalive = False
        self.keep_idle = 7200000
        self.keep_interval = 75000
        self.keep_count = 9
        self.keep_sent = 0
        self.user_timeout = 0
        self.heard = tcp.stack.now
        self.tos = 0
        self.ttl = 64
        self.error = 0
        self.soft_error = 0
        self.orphan = False  # no user will ever read from it again
        self.reading = True
        self.listener = None
        self.ifc = None
        self.wake = None
        self._route = None
        self.egress = None  # the interface by which the peer is reached
        self._generation = -1
        self.dirty = False
        self.next_dirty = None

    # The way out.

    def route(self):
        """The route to the peer, looked up again when the table has changed."""
        stack = self.tcp.stack
        if self._generation != stack.generation:
            self._route = r = stack.ip.route(self.remote, 0, self.ifc)
            self.egress = None
            if r is not None:
                self.egress = ifc = stack.ip.egress(r)
                # What is written into its buffer is not checked again.
                self.mss = min(self.mss, ifc.mtu - 40)
                self.rcv_mss = min(self.rcv_mss, ifc.mtu - 40)
                self._limit(ifc.dev.rx_frames)
            self._generation = stack.generation
        return self._route

    def _limit(self, frames):
        # No more is announced than the device holds while nobody polls: what is lost there is
        # lost in bursts. Two are left for what comes between, ARP and acknowledgments.
        self.wnd_limit = max(2, frames - 2) * self.rcv_mss if frames else _NO_LIMIT

    def touch(self):
        """Something may have to be sent: flush() at the end of this poll."""
        if not self.dirty:
            self.dirty = True
            self.next_dirty = self.tcp.dirty
            self.tcp.dirty = self

    def expire(self, now):
        timers.expire(self, now)

    # Opening.

    def open(self, state):
        """Send a SYN (SYN_SENT) or answer one (SYN_RCVD)."""
        self.tcp.choose_iss(self)
        self.state = state
        self.syn = 1
        r = self.route()
        if r is not None:
            self.rcv_mss = self.egress.mtu - 40
            self._limit(self.egress.dev.rx_frames)
        self.mss = min(DEFAULT_MSS, self.rcv_mss)
        congestion.start(self)
        self.rcv_adv = min(self.rcv_size, self.wnd_limit, 0xFFFF)
        self.touch()

    def established(self):
        self.state = ESTABLISHED
        congestion.start(self)
        if self.retransmits:
            # The SYN was lost: RFC 5681 3.1, RFC 6298 5.7.
            self.cwnd = self.mss
            self.rto = self.rto_now = 3000
        if self.keepalive:
            timers.start(self, 2, self.keep_idle)
        if self.listener is not None:
            self.listener.ready(self)
        if self.wake is not None:
            self.wake()

    # Data.

    def space(self):
        """Bytes that send() would take now."""
        if self.fin or self.state not in (SYN_SENT, SYN_RCVD, ESTABLISHED, CLOSE_WAIT):
            return 0
        return self.snd_size - self.snd_len

    def send(self, buf, off, n):
        """Queue up to n bytes of buf[off:]; how many fit (0: none now), or -errno."""
        if self.error:
            return -self.error
        if self.fin or self.state > CLOSE_WAIT or self.state == CLOSED:
            return -EPIPE
        room = self.snd_size - self.snd_len
        self.pushed = n <= room
        if n > room:
            n = room
        if n <= 0:
            return 0
        if self.snd_ring is None:
            self.snd_ring = self.tcp.take_ring(self.snd_size)
        self._put(buf, off, n)
        self.snd_len += n
        output.flush(self)
        return n

    def push(self, buf, off):
        """send() of buf[off:] for a socket: an error is told once."""
        n = self.send(buf, off, len(buf) - off)
        if n < 0:
            self.error = 0
        return n

    def take(self, buf, n, peek=False):
        """recv() for a socket: an error that waited is told, once, when all data is read."""
        if self.error and not self.rcv_used:
            n = -self.error
            self.error = 0
            return n
        return self.recv(buf, 0, n, peek)

    def _put(self, buf, off, n):
        _ring_copy(self.snd_ring, self._tail(), buf, off, self.snd_size, n)

    def _tail(self):
        tail = self.snd_head + self.snd_len
        return tail - self.snd_size if tail >= self.snd_size else tail

    def available(self):
        """Bytes that can be read."""
        return self.rcv_used

    def eof(self):
        """True if nothing more will come."""
        return self.rcv_used == 0 and (self.rcv_fin or self.state == CLOSED or not self.reading)

    def recv(self, buf, off, n, peek=False):
        """Copy up to n received bytes to buf[off:]; how many."""
        if n > self.rcv_used:
            n = self.rcv_used
        if n > len(buf) - off:
            n = len(buf) - off
        if n <= 0:
            return 0
        self._get(buf, off, n)
        if not peek:
            self._taken(n)
        return n

    def _get(self, buf, off, n):
        _ring_copy(buf, off, self.rcv_ring, self.rcv_head, -self.rcv_size, n)

    def _taken(self, n):
        self.rcv_head += n
        if self.rcv_head >= self.rcv_size:
            self.rcv_head -= self.rcv_size
        self.rcv_used -= n
        self._opened()

    def _opened(self):
        # The window may grow; say so if the peer is short of it, or it grows by half the buffer.
        s = self.state
        if s == ESTABLISHED or s == FIN_WAIT_1 or s == FIN_WAIT_2:
            grown = output.growth(self)
            half = min(self.rcv_size, self.wnd_limit) >> 1
            if grown and (self.rcv_adv < 2 * self.rcv_mss or grown >= half):
                self.ack_now = True
                self.touch()

    def resize(self, snd_size, rcv_size):
        """Change the size of a buffer (0: leave it). None gets smaller than what it holds, nor
        than the window that was announced (RFC 9293 3.8.6)."""
        if snd_size:
            size = max(snd_size, self.snd_len)
            self.snd_ring = self._moved(self.snd_ring, self.snd_head, self.snd_size, size)
            self.snd_head = 0
            self.snd_size = size
        if rcv_size:
            size = max(rcv_size, self.rcv_used + self.rcv_adv)
            self.rcv_ring = self._moved(self.rcv_ring, self.rcv_head, self.rcv_size, size)
            self.rcv_head = 0
            self.rcv_size = size
            self._opened()

    def _moved(self, ring, head, size, new_size):
        # What a ring holds in one of another size, from its beginning.
        if ring is None:
            return None
        new = self.tcp.take_ring(new_size)
        _ring_copy(new, 0, ring, head, -size, min(size, new_size))
        self.tcp.give_ring(ring)
        return new

    # Closing.

    def shutdown(self):
        """No more data from us: send a FIN behind what is queued."""
        if self.fin:
            return
        if self.state == SYN_SENT or self.state == CLOSED:
            self.drop()
            return
        self.fin = True
        if self.state == CLOSE_WAIT:
            self.state = LAST_ACK
        elif self.state in (ESTABLISHED, SYN_RCVD):
            self.state = FIN_WAIT_1
        self.touch()

    def close(self):
        """The user has gone. Unread data is answered with RST (RFC 9293 3.6.1)."""
        self.orphan = True
        self.wake = None
        if self.state == CLOSED:
            self.drop()
        elif self.rcv_used and self.state != TIME_WAIT:
            self.abort()
        else:
            self._free_receive_ring()
            self.shutdown()
            if self.state == FIN_WAIT_2:
                timers.start(self, 3, self.tcp.fin_wait_2_ms)

    def abort(self, error=ECONNRESET):
        """Send RST and forget the connection (RFC 9293 3.10.5)."""
        if self.state not in (CLOSED, SYN_SENT, TIME_WAIT):
            self.tcp.stack.stats["tcp_resets_out"] += 1
            output.segment(self, self.snd_max, 0, 0x14)
        self.fail(error)

    def fail(self, error):
        """The connection is over; the user learns why."""
        self.error = error
        self.rcv_fin = True
        self.drop()

    def drop(self):
        """Take the connection out of the table. What was received stays readable."""
        self.state = CLOSED
        self.t_rtx = self.t_ack = self.t_keep = self.t_wait = -1
        self.due = -1
        self.tcp.remove(self)
        self.tcp.give_ring(self.snd_ring)
        self.snd_ring = None
        self.snd_len = 0
        self.holes = []
        if self.orphan:
            self._free_receive_ring()
        if self.listener is not None:
            self.listener.gone(self)
        if self.wake is not None:
            self.wake()

    def _free_receive_ring(self):
        # Nobody will read from it, and nothing more is kept.
        self.tcp.give_ring(self.rcv_ring)
        self.rcv_ring = None
        self.rcv_used = 0
        self.holes = []

    def time_wait(self):
        """RFC 9293 3.6: stay for 2 MSL, without buffers."""
        self.state = TIME_WAIT
        self.t_rtx = self.t_keep = -1
        self.tcp.give_ring(self.snd_ring)
        self.snd_ring = None
        self.snd_len = 0
        if not self.rcv_used:
            self._free_receive_ring()
        timers.start(self, 3, 2 * self.tcp.msl_ms)
        self.tcp.limit_time_wait()
        if self.wake is not None:
            self.wake()

    def as_dict(self):
        """The connection as netstat() and TCP_INFO show it; times in ms."""
        from ...address import ip4_text

        return {
            "proto": "tcp",
            "local": "%s:%d" % (ip4_text(self.local), self.port),
            "remote": "%s:%d" % (ip4_text(self.remote), self.remote_port),
            "state": NAMES[self.state],
            "recv_q": self.rcv_used,
            "send_q": self.snd_len,
            "mss": self.mss,
            "cwnd": self.cwnd,
            "ssthresh": self.ssthresh,
            "snd_wnd": self.snd_wnd,
            "rcv_wnd": self.rcv_adv,
            "rtt": self.srtt >> 3,
            "rttvar": self.rttvar >> 2,
            "rto": self.rto,
            "retransmits": self.retransmits,
            "unacked": self.snd_max,
            "backoff": self.backoff,
        }
