# The prompt of `viperip sim -i`: a read-eval loop during which the stack runs.
import sys

import viperip
from statement import unfinished
from viperip.pump import Sleeper, firmware_select

_IDLE_MS = 1000


class Lines:
    """Standard input line by line; the stack is polled while none is there."""

    def __init__(self, stack):
        self.stack = stack
        self.input = sys.stdin.buffer
        self.ready = firmware_select.poll()
        self.ready.register(0, firmware_select.POLLIN)
        sleeping = firmware_select.poll()
        sleeping.register(0, firmware_select.POLLIN)
        self.sleeper = Sleeper(stack, sleeping)

    def read(self, prompt):
        """The next line without its end; None at the end of the input."""
        sys.stdout.write(prompt)
        line = bytearray()
        while True:
            left = self.stack.poll()
            if not self.ready.poll(0):
                if left > 0:
                    self.sleeper.sleep(min(left, _IDLE_MS))
                continue
            c = self.input.read(1)
            if not c:
                return str(line, "utf-8") if line else None
            if c == b"\n":
                return str(line, "utf-8")
            line.extend(c)


def _statement(lines):
    # The text of one statement; None at the end of the input.
    text = lines.read(">>> ")
    if text is None or not text.strip():
        return text
    while unfinished(text):
        more = lines.read("... ")
        if more is None:
            break
        text += "\n" + more
    return text


def loop(names, stack, status_of, report):
    """Run what is typed, in the namespace `names`; the exit status. report(e, stream) prints e."""
    print("viperip %s on MicroPython; Ctrl-D ends it" % viperip.__version__)
    names.setdefault("viperip", viperip)
    lines = Lines(stack)
    while True:
        text = ""
        try:
            text = _statement(lines)
            if text is None:
                print()
                return 0
            if text.strip():
                exec(compile(text + "\n", "<stdin>", "single"), names)
        except SystemExit as e:
            return status_of(e)
        except KeyboardInterrupt as e:
            print()
            if text:
                report(e, sys.stdout)
            else:
                print("KeyboardInterrupt")  # where the prompt waited says nothing
        except BaseException as e:
            report(e, sys.stdout)
