# Retransmission, persist, delayed ACK, keepalive and TIME-WAIT timers.
#
# A connection is one Timer of the stack; its own deadlines are t_rtx (retransmission, or persist
# while the peer's window is shut), t_ack, t_keep and t_wait.
from ...errors import ETIMEDOUT
from ...stack import diff, later
from . import congestion, output
from .states import CLOSE_WAIT, ESTABLISHED, FIN_WAIT_2, SYN_RCVD, SYN_SENT, TIME_WAIT

MAX_RTO = const(60000)
_SYN_TRIES = const(6)
_TRIES = const(15)


def rtt_sample(c, rtt):
    """RFC 6298 2: a round trip of `rtt` ms. srtt is kept times 8, rttvar times 4."""
    if rtt < 1:
        rtt = 1
    if not c.srtt:
        c.srtt = rtt << 3
        c.rttvar = rtt << 1
    else:
        err = rtt - (c.srtt >> 3)
        c.srtt += err
        if err < 0:
            err = -err
        c.rttvar += err - (c.rttvar >> 2)
    rto = (c.srtt >> 3) + max(1, c.rttvar)
    c.rto = min(max(rto, c.tcp.min_rto), MAX_RTO)


def start(c, name, ms):
    """Set one of the deadlines `ms` from now."""
    stack = c.tcp.stack
    due = later(stack.now, ms)
    if name == 0:
        c.t_rtx = due
    elif name == 1:
        c.t_ack = due
    elif name == 2:
        c.t_keep = due
    else:
        c.t_wait = due
    if c.due < 0 or diff(c.due, due) > 0:
        stack.arm(c, ms)


def _sooner(best, t, now):
    # The shorter of two waits, -1: none. `t`: a deadline or -1.
    if t < 0:
        return best
    left = max(0, diff(t, now))
    return left if best < 0 or left < best else best


def rearm(c):
    """Let the stack call again at the earliest deadline that is left."""
    now = c.tcp.stack.now
    best = _sooner(-1, c.t_rtx, now)
    best = _sooner(best, c.t_ack, now)
    best = _sooner(best, c.t_keep, now)
    best = _sooner(best, c.t_wait, now)
    if best >= 0:
        c.tcp.stack.arm(c, best)
    else:
        c.due = -1


def expire(c, now):
    if c.t_ack >= 0 and diff(c.t_ack, now) <= 0:
        c.t_ack = -1
        c.ack_now = True
        output.flush(c)
    if c.t_rtx >= 0 and diff(c.t_rtx, now) <= 0:
        c.t_rtx = -1
        _retransmit(c)
    if c.t_keep >= 0 and diff(c.t_keep, now) <= 0:
        c.t_keep = -1
        _keepalive(c, now)
    if c.t_wait >= 0 and diff(c.t_wait, now) <= 0:
        c.t_wait = -1
        if c.state == TIME_WAIT or c.state == FIN_WAIT_2:
            c.drop()
    rearm(c)


def _retransmit(c):
    limit = _SYN_TRIES if c.state == SYN_SENT or c.state == SYN_RCVD else _TRIES
    if c.snd_len and not c.snd_wnd and not c.syn:
        # RFC 9293 3.8.6: the peer may take its window back while text is on its way. What it then
        # does not take is not lost.
        c.probing = True
        c.timing = False
        c.snd_nxt = 0
    if c.probing and not c.pushed and c.snd_wnd >= c.snd_len:
        # RFC 9293 3.8.6.2.1 (4): no more has come; what there is leaves now.
        c.probing = False
        c.pushed = True
        output.flush(c)
        return
    if c.probing:
        if _unheeded(c, limit):
            c.fail(ETIMEDOUT)
            return
        if not c.backoff:
            c.stalled = c.tcp.stack.now
        c.backoff += 1
        output.probe(c)
        start(c, 0, min(c.rto << min(c.backoff, 9), MAX_RTO))
        return
    if not c.snd_max and not (c.syn or c.snd_len or c.fin):
        return
    c.tcp.stack.stats["tcp_timeouts"] += 1
    if c.backoff >= limit or (c.user_timeout and c.backoff and _too_long(c)):
        c.fail(ETIMEDOUT)
        return
    congestion.timeout(c)
    if not c.backoff:
        c.stalled = c.tcp.stack.now
    c.backoff += 1
    # RFC 6298 5.5; Karn: what is sent again is not timed.
    c.timing = False
    c.snd_nxt = 0
    c.rto_now = min(c.rto << min(c.backoff, 9), MAX_RTO)
    if c.snd_max:
        output.again(c)
    else:
        # Nothing could be sent so far.
        start(c, 0, c.rto_now)
        c.touch()


def _unheeded(c, limit):
    # RFC 9293 3.8.6.1: a shut window is probed for as long as the peer answers, and somebody here
    # cares: a user may set a limit (RFC 6429 4), one who has gone waits no longer than for an ACK.
    if c.user_timeout and c.backoff and _too_long(c):
        return True
    return c.backoff >= limit and (c.orphan or diff(c.tcp.stack.now, c.heard) >= 2 * MAX_RTO)


def _too_long(c):
    return diff(c.tcp.stack.now, c.stalled) >= c.user_timeout


def _keepalive(c, now):
    # RFC 9293 3.8.4: probe an idle peer.
    if not c.keepalive or c.state not in (ESTABLISHED, CLOSE_WAIT):
        return
    idle = diff(now, c.heard)
    if idle < c.keep_idle:
        c.keep_sent = 0
        start(c, 2, c.keep_idle - idle)
        return
    if c.keep_sent >= c.keep_count:
        c.fail(ETIMEDOUT)
        return
    c.keep_sent += 1
    output.keepalive(c)
    start(c, 2, c.keep_interval)
