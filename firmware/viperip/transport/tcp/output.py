# Sending segments: what, how much and when (RFC 9293 3.8.6, RFC 5681, RFC 896).
from ... import native
from . import timers
from .segment import ACK, FIN, HEADER, PSH, RST, SYN, put_options
from .states import CLOSED, ESTABLISHED, FIN_WAIT_2, LISTEN, SYN_SENT, TIME_WAIT

_m = native.load("memory")
_sum = _m.sum16
_pseudo_sum = _m.pseudo_sum
_ring_copy = _m.ring_copy
_t = native.load("tcp")
_build = _t.segment_build
_seal = _t.segment_seal
_PROTO = const(6)
_TTL_PROTO = const(0x4006)


def growth(c):
    """By how much the right edge of the window may move, which is never back or by a silly bit.

    RFC 9293 3.8.6.2.2: it opens by a full segment or half the buffer, or not at all.
    """
    free = c.rcv_size - c.rcv_used
    limit = 0xFFFF << c.rcv_shift
    if limit > c.wnd_limit:
        limit = c.wnd_limit
    if free > limit:
        free = limit
    free -= c.rcv_adv
    if free >= c.rcv_mss or free >= min(c.rcv_size, limit) >> 1:
        return free
    return 0


def window(c):
    """The window to announce."""
    c.rcv_adv += growth(c)
    return c.rcv_adv >> c.rcv_shift


def flush(c):
    """Send what may be sent now, and an ACK if one is due."""
    state = c.state
    if state == CLOSED or state == LISTEN:
        return
    if state >= ESTABLISHED and state != TIME_WAIT or c.syn:
        while _next(c):
            pass
    if c.ack_now and state != SYN_SENT:
        if segment(c, c.snd_nxt, 0, ACK) >= 0:
            c.ack_now = False


def _next(c):
    # Send one segment of new (or, after a timeout, old) data; False if nothing may be sent.
    if c.syn and not c.snd_nxt:
        return segment(c, 0, 0, SYN if c.state == SYN_SENT else SYN | ACK) >= 0
    if c.state < ESTABLISHED:
        return False
    left = c.snd_len - c.snd_nxt + c.syn
    if left > 0:
        return _text(c, left)
    if c.fin and not left and c.state != FIN_WAIT_2:
        return segment(c, c.snd_nxt, 0, FIN | ACK) >= 0
    return False


def _text(c, left):
    # Send what the windows let through of the `left` bytes that wait.
    n = left
    if n > c.mss:
        n = c.mss
    room = (c.cwnd if c.snd_wnd > c.cwnd else c.snd_wnd) - c.snd_nxt
    if n > room:
        n = room
    if n <= 0:
        _persist(c)
        return False
    if n < c.mss and not _worth(c, n, left):
        return False
    if c.probing:
        # It was kept back, and more has come.
        c.probing = False
        c.t_rtx = -1
    flags = ACK
    if n == left:
        flags = ACK | PSH | FIN if c.fin else ACK | PSH
    return segment(c, c.snd_nxt, n, flags) >= 0


def _persist(c):
    # Nothing is on its way that would open the window: ask for it (RFC 9293 3.8.6.1).
    if not c.snd_nxt and not c.probing:
        c.probing = True
        timers.start(c, 0, c.rto)


def _worth(c, n, left):
    # Silly window avoidance and Nagle for less than a full segment (RFC 9293 3.8.6.2.1, 3.7.4).
    # What send() found no room behind is not pushed: its rest is about to come, and with it the
    # full segment. If it does not, the timer sends what there is.
    if n == left:
        if c.nodelay or c.fin or c.snd_nxt < c.snd_max:
            return True
        if not c.snd_nxt and (c.pushed or c.snd_len == c.snd_size):
            return True
    if 2 * n >= c.max_wnd:
        return True
    _persist(c)
    return False


def again(c):
    """Send the oldest unacknowledged segment once more and restart the timer (RFC 6298 5.4)."""
    n = min(c.snd_len, c.mss, c.snd_max)
    if c.syn:
        flags = SYN if c.state == SYN_SENT else SYN | ACK
        n = 0
    else:
        flags = ACK
        if n == c.snd_len:
            if c.fin and c.fin_sent:
                flags |= FIN
            flags |= PSH
    keep = c.snd_nxt
    c.tcp.stack.stats["tcp_retransmits"] += 1
    c.retransmits += 1
    segment(c, 0, n, flags)
    if c.snd_nxt < keep:
        c.snd_nxt = keep
    timers.start(c, 0, c.rto_now)


def probe(c):
    """What a small window takes, or one byte beyond a shut one (RFC 9293 3.8.6.1, 3.8.6.2.1).

    Always the oldest; without data an old sequence number.
    """
    n = min(c.snd_len, c.mss, max(c.snd_wnd, 1))
    if n:
        segment(c, c.syn, n, ACK)
    else:
        segment(c, -1, 0, ACK)


def keepalive(c):
    """RFC 9293 3.8.4: SEG.SEQ = SND.NXT - 1."""
    segment(c, -1, 0, ACK)


def segment(c, nxt, n, flags):
    """Send one segment with the n bytes at SND.UNA + nxt; -1 if there is no route or buffer."""
    r = c.route()
    # A way that has changed may have room for less than n was chosen for.
    if r is None or n > c.mss or c.egress.borrow() is None:
        return _unsent(c, n, flags)
    o = c.tcp.out
    o[0] = nxt
    o[1] = flags
    o[2] = window(c)
    o[3] = HEADER
    o[4] = n
    _write(c, o, c.egress)
    _launch(c, r, o)
    _sent(c, nxt, n, flags)
    return n


def _write(c, o, ifc):
    # The segment that `o` describes (see segment_build) into the buffer borrowed from ifc.
    if o[1] & SYN:
        o[2] = min(c.rcv_adv, 0xFFFF)
        o[3] = _syn_header(c, ifc)
    s = _build(ifc.tx, ifc.tx_at, c.row, c.words, o)
    if o[4]:
        s += _fill(c, ifc, c.snd_head + o[0] - c.syn, o[4])
    _seal(ifc.tx, ifc.tx_at, s)


def _launch(c, r, o):
    c.tcp.stack.ip.send(r, o[3] + o[4], c.tos << 16 | c.ttl << 8 | _PROTO, c.df)


def _syn_header(c, ifc):
    return HEADER + put_options(ifc.tx, ifc.tx_at + 40, c.rcv_mss, c.want_scale)


def _fill(c, ifc, at, n):
    # Copy n bytes from offset `at` of the send ring behind the headers; their sum. A segment
    # with text has no options.
    if at >= c.snd_size:
        at -= c.snd_size
    return _ring_copy(ifc.tx, ifc.tx_at + 40, c.snd_ring, at, -c.snd_size, n)


def _unsent(c, n, flags):
    # What needs an answer is tried again when its retransmission would be due.
    if (n or flags & (SYN | FIN)) and c.t_rtx < 0:
        timers.start(c, 0, c.rto_now)
    return -1


def _sent(c, nxt, n, flags):
    # Account for a segment that is on its way.
    if flags & ACK:
        c.ack_now = False
        c.t_ack = -1
        c.unacked = 0
    c.tcp.stack.stats["tcp_out"] += 1
    if flags & FIN:
        c.fin_sent = True
        n += 1
    if flags & SYN:
        n += 1
    if not n:
        return
    end = nxt + n
    if end > c.snd_nxt:
        c.snd_nxt = end
    if end > c.snd_max:
        if not c.timing and not c.backoff:
            c.timing = True
            c.timed = end
            c.timed_at = c.tcp.stack.now
        c.snd_max = end
    if c.t_rtx < 0:
        timers.start(c, 0, c.rto_now)


def reset(tcp, p, seq_from_ack, n):
    """Answer a segment that belongs to no connection with RST (RFC 9293 3.10.7.1)."""
    b = p.buf
    off = p.off
    data = bytearray(HEADER)
    data[0:2] = b[off + 2 : off + 4]
    data[2:4] = b[off : off + 2]
    if seq_from_ack:
        data[4:8] = b[off + 8 : off + 12]
        data[13] = RST
    else:
        seq = b[off + 4] << 24 | b[off + 5] << 16 | b[off + 6] << 8 | b[off + 7]
        seq = (seq + n) & 0xFFFFFFFF
        for i in range(4):
            data[8 + i] = seq >> (24 - 8 * i) & 0xFF
        data[13] = RST | ACK
    data[12] = HEADER << 2
    send_header(tcp, p.destination(), p.source(), data)


def send_header(tcp, src, dst, data):
    """Send a bare header (20 bytes, its checksum still 0) outside of any connection."""
    ip = tcp.stack.ip
    r = ip.route(dst, 0)
    if r is None:
        return
    h = bytearray(20)
    h[12:16] = src
    h[16:20] = dst
    # The datagram that this header is the payload of would begin 20 bytes earlier.
    _seal(data, -20, _pseudo_sum(h, 0, _PROTO, HEADER) + _sum(data, 0, HEADER))
    tcp.stack.stats["tcp_resets_out"] += 1
    ip.send_data(r, src, dst, 0, data, _TTL_PROTO, True)
