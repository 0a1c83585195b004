# The server: what `iperf3 -c BOARD` talks to. One test at a time, as iperf3's own.
import viperip

from ...errors import EAGAIN, ETIMEDOUT
from ...socket import SO_REUSEADDR, SOCK_DGRAM, SOL_SOCKET, socket
from . import control as c
from .run import Run, plan, stream

_IEUNIMP = const(13)  # iperf3's own numbers: an option that is not there
_MAX_STREAMS = const(16)
_GRACE_MS = const(10000)  # what a client may take beyond the time of its test
_HELLO = b"6789"  # the answer to a stream's first datagram


def serve(port=c.PORT, tests=0, quiet=False, stack=None, timeout_s=10):
    """Serve `tests` tests one after the other, 0: until Ctrl-C. The result of the last one, None
    if it failed. A test that fails is told of, and the next one served."""
    s = Server(port, quiet, stack, timeout_s)
    if not s.quiet:
        print("iperf3 server: listening on port %d" % port)
    done = 0
    result = None
    try:
        while not tests or done < tests:
            try:
                result = s.one()
            except c.IperfError as e:
                result = None
                print("iperf3 server: %s" % e)
            done += 1
    except KeyboardInterrupt:
        pass
    finally:
        s.close()
    return result


class Server:
    """Listens on a port. OSError(EADDRINUSE): somebody else does."""

    def __init__(self, port=c.PORT, quiet=False, stack=None, timeout_s=10):
        self.stack = stack or viperip.default()
        self.port = port
        self.quiet = quiet
        self.timeout_s = timeout_s
        self.listener = socket(_stack_=self.stack)
        self.listener.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        self.listener.bind(("0.0.0.0", port))
        self.listener.listen(5)

    def close(self):
        self.listener.close()

    def one(self):
        """Wait for a client and serve its test; the result, see Run.summary(). IperfError: the
        client broke the test off, or the rules."""
        self.listener.settimeout(None)
        sock, peer = self.listener.accept()
        control = c.Control(sock, self.timeout_s)
        streams = []
        try:
            return self._test(control, peer[0], streams)
        except KeyboardInterrupt:
            try:
                control.say(c.SERVER_TERMINATE)
            except c.IperfError:
                pass
            raise
        finally:
            for s in streams:
                s.close()
            control.close()

    def _test(self, control, host, streams):
        key = control.read(c.COOKIE)
        control.say(c.PARAM_EXCHANGE)
        p = control.receive_json()
        refused = _refused(p)
        if refused:
            control.write(bytes((c.SERVER_ERROR, 0, 0, 0, _IEUNIMP, 0, 0, 0, 0)))
            raise c.IperfError("refused: " + refused)
        if not self.quiet:
            print("test from %s, %s" % (host, "UDP" if p.get("udp") else "TCP"))
        opened = self._bind() if p.get("udp") else None
        try:
            control.say(c.CREATE_STREAMS)
            planned = plan(p)
            for number, client_sends in planned:
                if opened is not None:
                    sock = self._udp(opened, host, control)
                    opened = None
                else:
                    sock = self._tcp(key, control)
                streams.append(stream(self.stack, sock, number, not client_sends, p))
                if p.get("udp") and len(streams) < len(planned):
                    opened = self._bind()
        finally:
            if opened is not None:
                opened.close()
        return self._run(control, p, streams)

    def _run(self, control, p, streams):
        control.say(c.TEST_START)
        run = Run(self.stack, p, streams, self.quiet)
        control.say(c.TEST_RUNNING)
        limit = _limit_ms(p)
        while True:
            run.turn()
            state = control.heard()
            if state == c.TEST_END:
                break
            if state >= 0:
                raise c.refusal(state, control)
            if limit and run.clock.ms() > limit:
                raise c.IperfError("the client does not end its test")
            self._turn_away()
        run.finish()
        control.say(c.EXCHANGE_RESULTS)
        theirs = control.receive_json()
        control.send_json(run.results())
        control.say(c.DISPLAY_RESULTS)
        result = run.summary(theirs)
        control.expect(c.IPERF_DONE)
        return result

    # Data connections.

    def _tcp(self, key, control):
        # The next data connection of this test; others are told that the server is busy.
        clock = c.Clock(self.stack)
        while True:
            sock = self._accept(self.timeout_s * 1000 - clock.ms(), control)
            one = c.Control(sock, self.timeout_s)
            try:
                if one.read(c.COOKIE) == key:
                    return sock
                one.say(c.ACCESS_DENIED)
            except c.IperfError:
                pass
            sock.close()

    def _accept(self, ms, control):
        while ms > 0:
            clock = c.Clock(self.stack)
            self.listener.settimeout(0.2)
            try:
                return self.listener.accept()[0]
            except OSError as e:
                if e.errno not in (ETIMEDOUT, EAGAIN):
                    raise
            state = control.heard()  # raises when the client has gone
            if state >= 0:
                raise c.refusal(state, control)
            ms -= clock.ms()
        raise c.IperfError("the client opens no data connection")

    def _turn_away(self):
        # A client that comes during a test.
        if not self.listener._pcb.queue:
            return
        self.listener.settimeout(0)
        try:
            sock, _ = self.listener.accept()
            c.Control(sock, 0).say(c.ACCESS_DENIED)
            sock.close()
        except OSError:
            pass  # it has gone by itself

    def _bind(self):
        sock = socket(type=SOCK_DGRAM, _stack_=self.stack)
        sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        sock.bind(("0.0.0.0", self.port))
        return sock

    def _udp(self, sock, host, control):
        # The first datagram of a stream tells its port; it is answered.
        clock = c.Clock(self.stack)
        sock.settimeout(0.2)
        while clock.ms() < self.timeout_s * 1000:
            try:
                _, peer = sock.recvfrom(64)
            except OSError as e:
                if e.errno not in (ETIMEDOUT, EAGAIN):
                    raise
                state = control.heard()
                if state >= 0:
                    raise c.refusal(state, control)
                continue
            if peer[0] == host:
                sock.connect(peer)
                sock.send(_HELLO)
                return sock
        sock.close()
        raise c.IperfError("no first datagram of a stream came")


def _refused(p):
    # What of the parameters is not here, or "".
    if not p.get("tcp") and not p.get("udp"):
        return "neither TCP nor UDP"
    if p.get("authtoken"):
        return "authentication"
    if c.number(p.get("parallel"), 1, 0, 1000) > _MAX_STREAMS:
        return "more than %d streams" % _MAX_STREAMS
    return ""


def _limit_ms(p):
    # How long the test may last; 0: the client counts bytes or blocks, not seconds.
    seconds = c.number(p.get("time"), 0, 0, 86400)
    if not seconds:
        return 0
    return (seconds + c.number(p.get("omit"), 0, 0, 600)) * 1000 + _GRACE_MS
