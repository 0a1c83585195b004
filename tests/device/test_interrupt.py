# Ctrl-C, or memory that runs out, at an awkward moment: the stack goes on afterwards.
from harness import ICMP, host, icmp


class Wrong:
    # Raises when it is called; put in place of something that does not.
    def __init__(self, error):
        self.error = error

    def __call__(self, *_):
        raise self.error


def interrupted(function, *args):
    try:
        function(*args)
    except KeyboardInterrupt:
        return
    raise AssertionError("not interrupted")


def answers(h):
    # Whether the host answers a ping.
    h.sent()
    h.ip(ICMP, icmp(8, 0))
    return len(h.datagrams()) == 1


def test_ctrl_c_while_a_fault_is_noted():
    # It goes through the generators of the stack and of the interface, and ends both.
    h = host()
    recv = h.dev.recv
    h.dev.recv = Wrong(OSError(5))
    h.stack.failed = Wrong(KeyboardInterrupt())
    interrupted(h.stack.poll)
    h.dev.recv = recv
    del h.stack.failed
    assert answers(h) and h.stat("internal_error") == 0
