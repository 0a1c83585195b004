# The control connection of iperf3: one byte says which state the test goes to, and parameters and
# results travel as JSON behind their length. There is no RFC: iperf3's own source defines it
# (esnet/iperf, src/iperf_api.h and iperf_api.c).
#
#    client                                     server
#      cookie, 37 bytes ------------------------->
#      <---------------------------- PARAM_EXCHANGE
#      length(4), JSON -------------------------->
#      <---------------------------- CREATE_STREAMS
#      a data connection, cookie again (TCP), or a datagram and its answer (UDP), for each stream
#      <------------------- TEST_START, TEST_RUNNING
#      ... data ...
#      TEST_END --------------------------------->
#      <-------------------------- EXCHANGE_RESULTS
#      length(4), JSON -------------------------->
#      <---------------------------length(4), JSON
#      <--------------------------- DISPLAY_RESULTS
#      IPERF_DONE ------------------------------->
import json

import viperip

from ...errors import EAGAIN, ETIMEDOUT
from ...stack import diff

TEST_START = const(1)
TEST_RUNNING = const(2)
TEST_END = const(4)
PARAM_EXCHANGE = const(9)
CREATE_STREAMS = const(10)
SERVER_TERMINATE = const(11)
CLIENT_TERMINATE = const(12)
EXCHANGE_RESULTS = const(13)
DISPLAY_RESULTS = const(14)
IPERF_DONE = const(16)
ACCESS_DENIED = const(0xFF)
SERVER_ERROR = const(0xFE)

PORT = const(5201)
COOKIE = const(37)
_MAX_JSON = const(16384)
_ALPHABET = b"abcdefghijklmnopqrstuvwxyz234567"


class IperfError(OSError):
    """The test failed; the message says why, in words."""

    def __init__(self, text):
        super().__init__(text)
        self.text = text

    def __str__(self):
        return self.text


def cookie(stack):
    """36 letters and a zero byte: what ties the connections of one test together."""
    return bytes([_ALPHABET[stack.random(5)] for _ in range(COOKIE - 1)]) + b"\0"


class Clock:
    """Time since it was made, in ms, for as long as a test may last."""

    def __init__(self, stack=None):
        self.stack = stack or viperip.default()
        self.start = self.stack.time()

    def ms(self):
        return diff(self.stack.time(), self.start)


class Control:
    """A control connection; every wait on it ends after timeout_s."""

    def __init__(self, sock, timeout_s=10):
        self.sock = sock
        self.timeout_s = timeout_s
        sock.settimeout(timeout_s)

    def read(self, n):
        """n bytes. IperfError: the peer has gone, or says nothing."""
        out = b""
        try:
            while len(out) < n:
                part = self.sock.recv(n - len(out))
                if not part:
                    raise IperfError("the peer has closed the control connection")
                out += part
        except OSError as e:
            raise self.fault(e)
        return out

    def write(self, data):
        try:
            self.sock.sendall(data)
        except OSError as e:
            raise self.fault(e)

    def fault(self, e):
        if isinstance(e, IperfError):
            return e
        if e.errno == ETIMEDOUT or e.errno == EAGAIN:
            return IperfError("the peer says nothing for %d s" % self.timeout_s)
        return IperfError("the control connection has failed: errno %s" % e.errno)

    def say(self, state):
        self.write(bytes((state,)))

    def heard(self):
        """The state the peer has sent in the meantime, or -1."""
        s = self.sock
        s.setblocking(False)
        try:
            b = s.read(1)
        except OSError as e:
            raise self.fault(e)
        finally:
            s.settimeout(self.timeout_s)
        if b is None:
            return -1
        if not b:
            raise IperfError("the peer has closed the control connection")
        return b[0]

    def expect(self, *states):
        """Wait for one of the states. IperfError on another one."""
        state = self.read(1)[0]
        if state in states:
            return state
        raise refusal(state, self)

    def send_json(self, value):
        data = json.dumps(value).encode()
        self.write(len(data).to_bytes(4, "big") + data)

    def receive_json(self):
        """A dict. IperfError: it is too long, or not JSON."""
        n = int.from_bytes(self.read(4), "big")
        if not 0 < n <= _MAX_JSON:
            raise IperfError("the peer announces %d bytes of JSON" % n)
        try:
            value = json.loads(self.read(n))
        except ValueError:
            raise IperfError("the peer sent what is no JSON")
        if not isinstance(value, dict):
            raise IperfError("the peer sent JSON that is no object")
        return value

    def close(self):
        self.sock.close()


def refusal(state, control):
    """The IperfError for a state that ends a test or does not belong here."""
    if state == ACCESS_DENIED:
        return IperfError("the server is busy with another test")
    if state == SERVER_TERMINATE:
        return IperfError("the server has ended the test")
    if state == CLIENT_TERMINATE:
        return IperfError("the client has ended the test")
    if state == SERVER_ERROR:
        try:
            code = int.from_bytes(control.read(8)[:4], "big")
        except IperfError:
            code = 0
        return IperfError("the server reports its error %d" % code)
    return IperfError("the peer sent state %d out of turn" % state)


def number(value, default, low, high):
    """What the peer calls a number, as an int within bounds."""
    if isinstance(value, float):
        value = int(value) if value == value and abs(value) < 1e15 else default
    if isinstance(value, bool) or not isinstance(value, int):
        value = default
    return min(max(value, low), high)
