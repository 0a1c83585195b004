# SEGMENT ARRIVES (RFC 9293 3.10.7), for segments that belong to a connection.
from ... import native
from ...errors import ECONNREFUSED, ECONNRESET
from ...stack import diff
from . import congestion, output, timers
from .segment import ACK, DEFAULT_MSS, FIN, HEADER, MIN_MSS, RST, SYN, options
from .states import (
    CLOSE_WAIT,
    CLOSED,
    CLOSING,
    ESTABLISHED,
    FIN_WAIT_1,
    FIN_WAIT_2,
    LAST_ACK,
    SYN_RCVD,
    SYN_SENT,
    TIME_WAIT,
)

_m = native.load("memory")
_sum = _m.sum16
_ring_copy = _m.ring_copy
_word_load = _m.word_load
_word_add = _m.word_add
_word_copy = _m.word_copy
_parse = native.load("tcp").segment_parse
_HOLES = const(16)
_DELAY_MS = const(40)
_CHALLENGES = const(10)  # a second, for each connection
_UNA = const(0)
_NXT = const(1)
_WL1 = const(2)
_WL2 = const(3)
_IRS = const(5)


def arrive(c, p, seg):
    """Take a segment: seg is the array that segment_parse() fills."""
    if _parse(p.buf, p.ip, p.off, p.n, c.words, seg) < 0:
        c.tcp.stack.stats["tcp_offset"] += 1
        return
    p.data = p.off + seg[4]
    p.size = p.n - seg[4]
    p.placed = False
    if not _sound(c, p, seg):
        c.tcp.stack.stats["tcp_checksum"] += 1
        return
    c.tcp.stack.stats["tcp_in"] += 1
    if c.state == SYN_SENT:
        _syn_sent(c, p, seg)
    else:
        _synchronized(c, p, seg)


def _sound(c, p, seg):
    # The checksum; what is in order goes into free space on the way.
    s = seg[7]
    if p.size:
        if _fits(c, seg, p.size):
            # Copied while summed, kept only if the sum is right.
            p.placed = True
            s += _place(c, p, 0)
        else:
            s += _sum(p.buf, p.data, p.size)
    return (s & 0xFFFF) + (s >> 16) == 0xFFFF


def _fits(c, seg, n):
    return (
        seg[0] == 0
        and not c.holes
        and c.fin_at < 0
        and n <= c.rcv_adv
        and c.state >= ESTABLISHED
        and not c.rcv_fin
        and not c.orphan
        and seg[3] & (SYN | RST) == 0
        and n <= c.rcv_size - c.rcv_used
    )


def _place(c, p, at):
    # Copy the text to the ring at offset `at` beyond RCV.NXT; the sum of the bytes.
    if c.rcv_ring is None:
        c.rcv_ring = c.tcp.take_ring(c.rcv_size)
    at += c.rcv_head + c.rcv_used
    if at >= c.rcv_size:
        at -= c.rcv_size
    return _ring_copy(c.rcv_ring, at, p.buf, p.data, c.rcv_size, p.size)


def take_syn(c, p, seg):
    """Remember what a SYN says: IRS, window, options (RFC 9293 3.10.7.2, 3.10.7.3)."""
    _word_load(c.words, _NXT, p.buf, p.off + 4)
    _word_copy(c.words, _IRS, c.words, _NXT)
    _word_copy(c.words, _WL1, c.words, _NXT)
    _word_add(c.words, _NXT, 1)
    h = (p.buf[p.off + 12] >> 4) << 2
    mss, scale = options(p.buf, p.off + HEADER, p.off + h)
    c.mss = min(max(MIN_MSS, mss or DEFAULT_MSS), c.rcv_mss)
    c.snd_wnd = c.max_wnd = p.buf[p.off + 14] << 8 | p.buf[p.off + 15]
    if scale >= 0 and c.want_scale >= 0:
        c.snd_shift = scale
        c.rcv_shift = c.want_scale
    else:
        c.want_scale = -1
    c.rcv_adv = min(c.rcv_size, c.wnd_limit, 0xFFFF)


def _syn_sent(c, p, seg):
    flags = seg[3]
    ack = seg[1]
    if flags & ACK and (ack <= 0 or ack > c.snd_max):
        if not flags & RST:
            output.reset(c.tcp, p, True, 0)
        return
    if flags & RST:
        if flags & ACK:
            c.fail(ECONNREFUSED)
        return
    if not flags & SYN:
        return
    take_syn(c, p, seg)
    if flags & ACK:
        _word_copy(c.words, _WL2, c.words, _UNA)
        _acknowledged(c, ack)
        c.heard = c.tcp.stack.now
        c.established()
        c.ack_now = True
        c.touch()
    else:
        # Simultaneous open (RFC 9293 3.5, figure 7).
        c.state = SYN_RCVD
        c.snd_nxt = 0
        c.touch()


def _acceptable(c, seq, flags, length):
    # First, the sequence number (RFC 9293 3.10.7.4). length: of the text.
    if flags & SYN:
        length += 1
    if flags & FIN:
        length += 1
    if length:
        return seq < c.rcv_adv and seq + length > 0
    return 0 <= seq <= c.rcv_adv


def _synchronized(c, p, seg):
    flags = seg[3]
    seq = seg[0]
    if c.state == SYN_RCVD and seq == -1 and flags & (SYN | ACK | RST) == SYN:
        c.snd_nxt = 0  # our SYN,ACK was lost
        c.touch()
        return
    good = _acceptable(c, seq, flags, p.size)
    if not good and not (c.rcv_adv == 0 and seq == 0):
        if not flags & RST:
            _refuse(c, p, flags)
        return
    if flags & RST:
        # RFC 5961 3.2: only the exact number resets.
        if seq == 0:
            _reset(c)
        else:
            _challenge(c)
        return
    if flags & SYN:
        _challenge(c)  # RFC 5961 4.2
        return
    if not flags & ACK:
        return
    if not _ack(c, p, seg):
        return
    c.heard = c.tcp.stack.now
    if not good:
        c.ack_now = True
        c.touch()
        return
    if p.size or flags & FIN:
        _text(c, p, seg)


def _refuse(c, p, flags):
    if c.state == TIME_WAIT and flags & FIN:
        timers.start(c, 3, 2 * c.tcp.msl_ms)
    if p.size:
        # Text sent again: our ACK was lost. An ACK has none, so this goes round no loop.
        c.ack_now = True
        c.touch()
    else:
        _challenge(c)


def _challenge(c):
    # RFC 5961 7: so many a second, which also ends a loop of two that refuse each other's ACKs. A
    # limit that connections share would tell somebody off the path, through a connection of his
    # own, which of his guesses about another one hit (CVE-2016-5696).
    now = c.tcp.stack.now
    ago = diff(now, c.challenged)
    if ago > 1000 or ago < 0:
        c.challenged = now
        c.challenges = 0
    if c.challenges < _CHALLENGES:
        c.challenges += 1
        c.ack_now = True
        c.touch()
    else:
        c.tcp.stack.stats["tcp_challenges_limited"] += 1


def _reset(c):
    if c.state == SYN_RCVD and c.listener is not None:
        c.orphan = True
        c.drop()
    elif c.state == TIME_WAIT or c.state == CLOSING or c.state == LAST_ACK:
        c.drop()
    else:
        c.fail(ECONNRESET)


def _ack_of_syn(c, p, seg, ack):
    # Fifth, while our SYN is not acknowledged. -1 to drop the segment, 1 if this was all.
    if ack <= 0 or ack > c.snd_max:
        output.reset(c.tcp, p, True, 0)
        return -1
    _word_copy(c.words, _WL2, c.words, _UNA)
    if c.state != SYN_RCVD:
        return 0
    _acknowledged(c, ack)
    c.snd_wnd = c.max_wnd = seg[2] << c.snd_shift
    c.established()
    return 1


def _ack(c, p, seg):
    # Fifth, the ACK field. False if the segment is to be dropped.
    ack = seg[1]
    if c.state == SYN_RCVD or (c.syn and c.state == FIN_WAIT_1):
        wnd = _ack_of_syn(c, p, seg, ack)
        if wnd:
            return wnd > 0
    if ack > c.snd_max:
        _challenge(c)
        return False
    if ack < 0:
        # RFC 5961 5.2: an ACK from before anything in flight is an attack or very late.
        if ack < -c.max_wnd:
            _challenge(c)
            return False
        return True
    wnd = seg[2] << c.snd_shift
    if ack > 0:
        _acknowledged(c, ack)
        if c.state == CLOSED:
            return False
    elif c.snd_max and not p.size and wnd == c.snd_wnd and not seg[3] & FIN and not c.probing:
        _duplicate(c)
    # The window update rule: SND.WL1 < SEG.SEQ or (equal and SND.WL2 =< SEG.ACK).
    if seg[5] > 0 or (seg[5] == 0 and seg[6] >= 0):
        _update_window(c, p, wnd)
    return True


def _update_window(c, p, wnd):
    c.snd_wnd = wnd
    if wnd > c.max_wnd:
        c.max_wnd = wnd
    _word_load(c.words, _WL1, p.buf, p.off + 4)
    _word_load(c.words, _WL2, p.buf, p.off + 8)
    if wnd and c.probing:
        c.probing = False
        c.backoff = 0
        c.rto_now = c.rto
        c.t_rtx = -1
        c.snd_nxt = 0  # no probe needs to have been taken
        if c.snd_max:
            timers.start(c, 0, c.rto_now)
    c.touch()


def _acknowledged(c, ack):
    # SND.UNA moves forward by `ack`.
    if c.timing and ack >= c.timed:
        c.timing = False
        timers.rtt_sample(c, diff(c.tcp.stack.now, c.timed_at))
    elif c.timing:
        c.timed -= ack
    data = ack
    if c.syn:
        c.syn = 0
        data -= 1
    fin = False
    if data > c.snd_len:
        data = c.snd_len
        fin = True
    _word_add(c.words, _UNA, ack)
    c.snd_len -= data
    c.snd_head += data
    if c.snd_head >= c.snd_size:
        c.snd_head -= c.snd_size
    c.snd_nxt = max(0, c.snd_nxt - ack)
    c.snd_max -= ack
    _progress(c, ack)
    if fin:
        c.fin_sent = False
        _fin_acknowledged(c)
    elif data and c.wake is not None:
        c.wake()
    c.touch()


def _progress(c, ack):
    # What an ACK of new data means to congestion control and the timer.
    c.backoff = 0
    c.keep_sent = 0
    c.rto_now = c.rto
    c.recover = max(0, c.recover - ack)  # no more is asked, and it stays a small int
    if c.recovering:
        if c.recover <= 0:
            congestion.leave_recovery(c)
        else:
            congestion.partial(c, ack)
            output.again(c)
    else:
        c.dupacks = 0
        congestion.acked(c, ack)
    # RFC 6298 5.2, 5.3.
    c.t_rtx = -1
    if c.snd_max or c.probing:
        timers.start(c, 0, c.rto_now)


def _duplicate(c):
    # RFC 5681 3.2, RFC 6582 3.2.
    c.dupacks += 1
    c.tcp.stack.stats["tcp_dupacks"] += 1
    if c.recovering:
        congestion.inflate(c)
        c.touch()
    elif c.dupacks == 3 and c.recover <= 0:
        c.tcp.stack.stats["tcp_fast_retransmits"] += 1
        congestion.enter_recovery(c)
        c.timing = False
        output.again(c)


def _fin_acknowledged(c):
    if c.state == FIN_WAIT_1:
        c.state = FIN_WAIT_2
        if c.orphan:
            timers.start(c, 3, c.tcp.fin_wait_2_ms)
    elif c.state == CLOSING:
        c.time_wait()
    elif c.state == LAST_ACK:
        c.drop()


def _text(c, p, seg):
    # Seventh and eighth: the data and the FIN.
    s = c.state
    if c.rcv_fin or (s != ESTABLISHED and s != FIN_WAIT_1 and s != FIN_WAIT_2):
        c.ack_now = True
        c.touch()
        return
    if seg[0] + p.size > 0 and p.size and c.orphan:
        # RFC 9293 3.6.1: new data for a user who has gone.
        c.abort()
        return
    c.unacked += 1
    if p.placed:
        _advance(c, p.size)
        if seg[3] & FIN:
            c.fin_at = 0
    else:
        _trimmed(c, p, seg[0], seg[3] & FIN)
    if c.fin_at == 0:
        _fin(c)
    # RFC 5681 4.2: every second segment at once. But when little window is left, an ACK would only
    # say so: it waits for the user, who takes data and opens it (RFC 9293 3.8.6.3).
    if c.ack_now or (c.unacked >= 2 and c.rcv_adv >= 2 * c.rcv_mss):
        c.ack_now = True
        c.touch()
    elif c.t_ack < 0:
        timers.start(c, 1, _DELAY_MS)


def _trimmed(c, p, seq, fin):
    # What of the segment lies in the window.
    if seq < 0:
        p.data -= seq
        p.size += seq
        seq = 0
    if seq + p.size > c.rcv_adv:
        p.size = c.rcv_adv - seq
        fin = 0
    if p.size < 0:
        p.size = 0
    if p.size or fin:
        _out_of_order(c, p, seq)
    if fin:
        # RCV.NXT may have advanced past the data in front of the FIN.
        c.fin_at = max(0, seq + p.size - c.moved)


def _advance(c, n):
    # RCV.NXT moves forward over n bytes that lie in the ring.
    _word_add(c.words, _NXT, n)
    c.rcv_used += n
    c.rcv_adv -= n
    if c.wake is not None:
        c.wake()


def _out_of_order(c, p, seq):
    # Put the text at offset seq, then advance over whatever is now in order.
    c.moved = 0
    if p.size and seq + p.size <= c.rcv_size - c.rcv_used:
        # Noted once it is there: memory for the ring may run out.
        _place(c, p, seq)
        if not _note(c, seq, seq + p.size):
            c.tcp.stack.stats["tcp_holes_full"] += 1
    if seq:
        # RFC 5681 4.2: one for each, at once, for the peer's fast retransmit.
        output.segment(c, c.snd_nxt, 0, ACK)
        c.unacked = 0
    holes = c.holes
    if holes and holes[0][0] == 0:
        n = holes[0][1]
        if len(holes) > 1 or seq == 0:
            c.ack_now = True  # a hole was closed: RFC 5681 4.2 again
        del holes[0]
        for h in holes:
            h[0] -= n
            h[1] -= n
        c.moved = n
        if c.fin_at > 0:
            c.fin_at -= n
        _advance(c, n)


def _note(c, start, end):
    # Merge [start, end) into the ranges held; False if there would be too many. What is in order
    # always finds room.
    out = []
    for h in c.holes:
        if h[1] < start or h[0] > end:
            out.append(h)
        else:
            start = min(start, h[0])
            end = max(end, h[1])
    if start and len(out) >= _HOLES:
        return False
    i = 0
    while i < len(out) and out[i][0] < start:
        i += 1
    out.insert(i, [start, end])
    c.holes = out
    return True


def _fin(c):
    # Eighth: the FIN, once everything before it is here.
    c.fin_at = -1
    c.rcv_fin = True
    _word_add(c.words, _NXT, 1)
    if c.rcv_adv:
        c.rcv_adv -= 1
    c.ack_now = True
    if c.state == ESTABLISHED:
        c.state = CLOSE_WAIT
    elif c.state == FIN_WAIT_1:
        c.state = CLOSING
    elif c.state == FIN_WAIT_2:
        c.time_wait()
    c.touch()
    if c.wake is not None:
        c.wake()
