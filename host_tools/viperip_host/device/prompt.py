# The prompt of `viperip sim -i`: a read-eval loop during which the stack runs.
import sys

import viperip
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


def unfinished(text):
    """Whether more lines must follow: an open bracket or string, a block, a backslash."""
    depth = 0
    quote = ""
    i = 0
    n = len(text)
    last = ""
    while i < n:
        c = text[i]
        if quote:
            if c == "\\":
                i += 1
            elif text[i : i + len(quote)] == quote:
                i += len(quote) - 1
                quote = ""
            elif c == "\n" and len(quote) == 1:
                quote = ""  # a mistake that the compiler will name
        elif c == "#":
            while i < n and text[i] != "\n":
                i += 1
            continue
        elif c in "'\"":
            quote = c * 3 if text[i : i + 3] == c * 3 else c
            i += len(quote) - 1
            last = c
        else:
            if c in "([{":
                depth += 1
            elif c in ")]}":
                depth -= 1
            if c not in " \t\r\n":
                last = c
        i += 1
    if len(quote) == 3 or depth > 0 or text.endswith("\\"):
        return True
    if last == ":" or text.startswith("@"):
        return not text.endswith("\n")
    # A block goes on until an empty line.
    return "\n" in text and _is_block(text) and not text.endswith("\n")


def _is_block(text):
    for line in text.split("\n"):
        if line[:1] in (" ", "\t"):
            return True
    return False


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
