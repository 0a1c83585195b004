# The client: what talks to `iperf3 -s`.
import viperip

from ...errors import EAGAIN, ETIMEDOUT
from ...socket import SOCK_DGRAM, SOCK_STREAM, socket
from . import control as c
from .run import Run, mtu, plan, stream

_HELLO = b"9876"  # a stream's first datagram, and what may be the answer
_ANSWERS = (b"6789", (987654321).to_bytes(4, "little"))
_TRIES = const(5)
_UDP_RATE = const(1048576)  # bit/s, iperf3's own default


def run(
    host,
    port=c.PORT,
    time_s=10,
    udp=False,
    reverse=False,
    bidirectional=False,
    parallel=1,
    rate=None,
    length=0,
    omit_s=0,
    quiet=False,
    stack=None,
    timeout_s=10,
):
    """Send to an iperf3 server for `time_s` seconds, with reverse=True receive from it; the
    result, see Run.summary().

    rate: bits per second of each stream; 0: no limit (default: 0 for TCP, 1 Mbit/s for UDP).
    length: bytes written at once, or of a datagram. IperfError: the server refused, broke off or
    vanished; OSError: there is none."""
    stack = stack or viperip.default()
    if rate is None:
        rate = _UDP_RATE if udp else 0
    p = {"udp" if udp else "tcp": True, "omit": omit_s, "time": time_s, "num": 0}
    p.update({"blockcount": 0, "parallel": parallel, "pacing_timer": 1000})
    p["len"] = length or (mtu(stack) - 28 if udp else 8192)
    if rate:
        p["bandwidth"] = rate
    if reverse:
        p["reverse"] = True
    if bidirectional:
        p["bidirectional"] = True
    if udp:
        p["udp_counters_64bit"] = 1
    p["client_version"] = "viperip " + viperip.__version__
    sock = socket(_stack_=stack)
    sock.settimeout(timeout_s)
    streams = []
    try:
        sock.connect((host, port))
        return _test(c.Control(sock, timeout_s), (host, port), p, streams, quiet, stack)
    except KeyboardInterrupt:
        try:
            c.Control(sock, 1).say(c.CLIENT_TERMINATE)
        except c.IperfError:
            pass
        raise
    finally:
        for s in streams:
            s.close()
        sock.close()


def _test(control, address, p, streams, quiet, stack):
    key = c.cookie(stack)
    control.write(key)
    control.expect(c.PARAM_EXCHANGE)
    control.send_json(p)
    control.expect(c.CREATE_STREAMS)
    for number, sender in plan(p):
        sock = _open(address, p, key, stack, control.timeout_s)
        streams.append(stream(stack, sock, number, sender, p))
    control.expect(c.TEST_START)
    control.expect(c.TEST_RUNNING)
    test = Run(stack, p, streams, quiet)
    end = (p["time"] + p["omit"]) * 1000
    while test.clock.ms() < end:
        test.turn()
        state = control.heard()
        if state >= 0:
            raise c.refusal(state, control)
    test.stop()
    control.say(c.TEST_END)
    _drain(control, streams, stack)
    control.send_json(test.results())
    theirs = control.receive_json()
    control.expect(c.DISPLAY_RESULTS)
    control.say(c.IPERF_DONE)
    return test.summary(theirs)


def _drain(control, streams, stack):
    # A server that sends must not be stopped by a full window before it has read the end. What
    # comes now is not counted.
    clock = c.Clock(stack)
    counted = [(s.bytes, s.packets, s.errors) for s in streams]
    while clock.ms() < control.timeout_s * 1000:
        for s in streams:
            if not s.sender and not s.ended:
                s.turn(0)
        state = control.heard()
        if state == c.EXCHANGE_RESULTS:
            for s, (n, packets, errors) in zip(streams, counted):
                s.bytes, s.packets, s.errors = n, packets, errors
            return
        if state >= 0:
            raise c.refusal(state, control)
        stack.wait(5)
    raise c.IperfError("the server does not end the test")


def _open(address, p, key, stack, timeout_s):
    # The socket of a stream that the server knows.
    sock = socket(type=SOCK_DGRAM if p.get("udp") else SOCK_STREAM, _stack_=stack)
    try:
        sock.settimeout(timeout_s)
        sock.connect(address)
        if p.get("udp"):
            _greet(sock)
        else:
            sock.sendall(key)
    except OSError:
        sock.close()
        raise
    return sock


def _greet(sock):
    sock.settimeout(1)
    for _ in range(_TRIES):
        sock.send(_HELLO)
        try:
            if sock.recv(64) in _ANSWERS:
                return
        except OSError as e:
            if e.errno not in (ETIMEDOUT, EAGAIN):
                raise
    raise c.IperfError("the server does not answer the first datagram of a stream")
