# What a Port reads from and writes to: the REPL's own line, or a UART.


class Stdio:
    """sys.stdin and sys.stdout, without waiting for input."""

    def __init__(self):
        import sys

        from ...pump import firmware_select

        self._poller = poller = firmware_select.poll()
        poller.register(sys.stdin, firmware_select.POLLIN)
        self._read = sys.stdin.buffer.readinto
        self.write = sys.stdout.buffer.write
        self._one = bytearray(1)
        self._open = True
        # A computer's loops wait on descriptors; a board has none, and is polled by a timer.
        self._fd = 0 if sys.platform in ("linux", "darwin") else -1

    def readinto(self, buf):
        # A board's stdin knows no "what is there": a read waits for all that it asks for.
        n = 0
        one = self._one
        while n < len(buf) and self._ready():
            if not self._read(one):
                self._open = False
                break
            buf[n] = one[0]
            n += 1
        return n

    def _ready(self):
        if self._open:
            for _ in self._poller.ipoll(0):
                return True
        return False

    def fileno(self):
        return self._fd if self._open else -1


class UART:
    """A machine.UART. Its rxbuf should hold what may come between two polls."""

    def __init__(self, uart):
        self._uart = uart
        self.write = uart.write

    def readinto(self, buf):
        n = self._uart.any()
        return self._uart.readinto(buf, min(n, len(buf))) or 0 if n else 0

    def fileno(self):
        return -1
