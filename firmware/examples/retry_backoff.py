# A server may be gone for a while. Try again, but later each time, and not all boards at the same
# moment: exponential backoff with full jitter. What asking again cannot cure is not retried.
#
#   viperip sim firmware/examples/retry_backoff.py                  nobody there: it gives up
#   viperip sim firmware/examples/retry_backoff.py 10.77.0.1 9000   this computer's port 9000
import errno
import random
import socket
import sys
import time

BASE_MS = 100
CAP_MS = 5000
TRIES = 6
# 110 and 111 are Linux's, where this port does not name them.
TIMED_OUT = getattr(errno, "ETIMEDOUT", 110)
WORTH_IT = (TIMED_OUT, errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.ENOTCONN)


def pause_ms(attempt):
    """A random time up to a limit that doubles with each attempt."""
    return random.randint(0, min(CAP_MS, BASE_MS << attempt))


def ask(host, port, question):
    s = socket.socket()
    s.settimeout(2)
    try:
        s.connect((host, port))
        s.sendall(question)
        answer = s.readline()
        if not answer.endswith(b"\n"):
            raise OSError(errno.ECONNRESET)  # it went away in the middle
        return answer
    finally:
        s.close()


def persist(host, port, question):
    for attempt in range(TRIES):
        try:
            return ask(host, port, question)
        except OSError as e:
            if e.errno not in WORTH_IT or attempt == TRIES - 1:
                raise
            ms = pause_ms(attempt)
            print("attempt %d: %s; again in %d ms" % (attempt + 1, e, ms))
            time.sleep_ms(ms)


host, port = (sys.argv[1], int(sys.argv[2])) if len(sys.argv) > 2 else ("127.0.0.1", 9)
try:
    print("answer:", persist(host, port, b"hello\n"))
except OSError as e:
    print("given up: %s" % e)
