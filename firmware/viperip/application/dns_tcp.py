# DNS over TCP (RFC 1035 4.2.2, RFC 7766): a question whose answer UDP has cut short.
#
#    0        2
#   | length | message ...
from ..stack import Timer
from ..transport.tcp.states import ESTABLISHED

_PORT = const(53)
_SEND = const(512)
_RECEIVE = const(2048)
_LONGEST = const(4096)  # of a reply: far more than the records that are read of one


class Stream(Timer):
    """Asks `server` (4 bytes); then done(reply or None), unless close() comes first.

    OSError if a connection cannot be begun. It ends by itself with the connection only: whoever
    asks sets a time limit.
    """

    def __init__(self, stack, server, message, done):
        self.stack = stack
        self.done = done
        n = len(message)
        self.out = bytes((n >> 8, n & 0xFF)) + message
        self.got = bytearray()
        self.conn = c = stack.tcp.connect(server, _PORT, None, 0, None, _SEND, _RECEIVE)
        c.wake = self._wake
        stack.add_timer(self)

    def _wake(self):
        # In the middle of a segment, when nothing may be closed: the work waits for the timer.
        self.stack.arm(self, 0)

    def expire(self, now):
        c = self.conn
        if self.out and c.state == ESTABLISHED:
            self.out = self.out[max(0, c.send(self.out, 0, len(self.out))) :]
        got = self.got
        while c.rcv_used:
            part = bytearray(c.rcv_used)
            c.recv(part, 0, len(part))
            got.extend(part)
        n = got[0] << 8 | got[1] if len(got) > 1 else _LONGEST
        if not n or n > _LONGEST:
            self._finish(None)
        elif len(got) >= 2 + n:
            self._finish(got[2 : 2 + n])
        elif c.error or c.eof():
            self._finish(None)

    def _finish(self, reply):
        done = self.done
        self.close()
        done(reply)

    def close(self):
        """Give up. It may be called more than once."""
        if self.conn is not None:
            self.conn.close()
            self.conn = None
            self.due = -1
            self.stack.remove_timer(self)
