# Congestion control: slow start, congestion avoidance (RFC 5681) and NewReno recovery (RFC 6582).


def start(c):
    """RFC 6928: the initial window is ten segments, at most 14,600 bytes."""
    c.cwnd = min(10 * c.mss, max(2 * c.mss, 14600))
    c.ssthresh = 0x3FFFFFFF


def acked(c, n):
    """New data was acknowledged outside recovery (RFC 5681 3.1)."""
    if c.cwnd < c.ssthresh:
        c.cwnd += min(n, c.mss)
    else:
        c.acked += n
        if c.acked >= c.cwnd:
            c.acked -= c.cwnd
            c.cwnd += c.mss
    _limit(c)


def _limit(c):
    # More than both buffers could ever hold is of no use, and would outgrow a small int.
    if c.cwnd > 0xFFFFFF:
        c.cwnd = 0xFFFFFF


def _halve(c):
    # RFC 5681 3.1 (4), by what is in flight.
    c.ssthresh = max(c.snd_max // 2, 2 * c.mss)


def enter_recovery(c):
    """Third duplicate ACK (RFC 6582 3.2 step 2)."""
    _halve(c)
    c.recover = c.snd_max
    c.recovering = True
    c.cwnd = c.ssthresh + 3 * c.mss


def inflate(c):
    """One more duplicate ACK in recovery: a segment has left the network (RFC 5681 3.2, 4)."""
    c.cwnd += c.mss
    _limit(c)


def partial(c, n):
    """An ACK in recovery that leaves a hole (RFC 6582 3.2 step 3)."""
    c.cwnd = max(c.cwnd - n, c.mss)
    if n >= c.mss:
        c.cwnd += c.mss


def leave_recovery(c):
    c.recovering = False
    c.dupacks = 0
    c.cwnd = min(c.ssthresh, max(c.snd_max, c.mss) + c.mss)


def timeout(c):
    """The retransmission timer ran out (RFC 5681 3.1, RFC 6582 3.2 step 4)."""
    if not c.backoff:
        _halve(c)
    c.cwnd = c.mss
    c.recovering = False
    c.dupacks = 0
    c.recover = c.snd_max
