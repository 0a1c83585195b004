# The board's end of its serial line: bytes in and out, while the stack runs.
import select
import sys

_IDLE_MS = 1000


class Console:
    """tell(**event) informs the launcher, which has the line."""

    def __init__(self, tell):
        self._tell = tell
        self._interrupt = 3  # the byte that interrupts a program; -1: none
        self._in = sys.stdin.buffer
        self.write = sys.stdout.buffer.write
        self._ready = select.poll()
        self._ready.register(0, select.POLLIN)
        self._sleeper = None
        self._poll = select.poll

    def kbd_intr(self, char):
        """micropython.kbd_intr()."""
        self._interrupt = char
        self._tell(kbd=char)

    def running(self, on):
        """A program starts or has ended: Ctrl-C is for it, or a byte as any other."""
        self._tell(kbd=self._interrupt if on else -1)

    def read(self):
        """The next byte, as a number. The stack is polled while none is there."""
        while True:
            try:
                if self._ready.poll(0):
                    c = self._in.read(1)
                    if not c:
                        sys.exit(0)
                    return c[0]
                self._wait()
            except KeyboardInterrupt:
                return 3  # meant for a program that has just ended

    def _wait(self):
        viperip = sys.modules.get("viperip")
        stack = getattr(viperip, "_stack", None) if viperip else None
        if stack is None:
            self._ready.poll(_IDLE_MS)
            return
        try:
            left = stack.poll()
        except KeyboardInterrupt:
            raise
        except Exception as e:
            sys.print_exception(e)
            left = _IDLE_MS
        if left > 0:
            self._sleep(stack, min(left, _IDLE_MS))

    def _sleep(self, stack, ms):
        if self._sleeper is None:
            poller = self._poll()
            poller.register(0, select.POLLIN)
            from viperip.pump import Sleeper

            self._sleeper = Sleeper(stack, poller)
        self._sleeper.sleep(ms)
