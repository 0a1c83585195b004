# MicroPython's REPL, with the stack running while it waits: the prompt for people, and the raw
# mode for programs (MicroPython, docs/reference/repl.rst).
import io
import sys

from stand_ins import MACHINE, SoftReset
from statement import unfinished

_CTRL_A, _CTRL_B, _CTRL_C, _CTRL_D, _CTRL_E = 1, 2, 3, 4, 5
# Raw paste: half of the input buffer of the ESP32's port.
_WINDOW = 128


def _text(data):
    # What is no UTF-8, a line at the wrong speed for instance, becomes something the compiler
    # complains of.
    try:
        return str(bytes(data), "utf-8")
    except UnicodeError:
        return "".join([chr(c) if c < 128 else "?" for c in data])


class REPL:
    """repl(raw) runs until a soft reset; returns whether it was in raw mode then."""

    def __init__(self, console):
        self.console = console
        self.write = console.write
        self.read = console.read
        self.names = {"__name__": "__main__"}

    def __call__(self, raw):
        while True:
            raw = self._raw() if raw else self._friendly()
            if raw is None:
                return self._was_raw

    # Running code.

    def _execute(self, text, how):
        # The traceback, or b"".
        self.console.running(True)
        try:
            exec(compile(text, "<stdin>", how), self.names)
        except (SystemExit, SoftReset):
            raise SoftReset
        except BaseException as e:
            out = io.BytesIO()
            text = io.StringIO()
            sys.print_exception(e, text)
            own = '  File "%s/' % __file__.rpartition("/")[0]
            for line in text.getvalue().split("\n")[:-1]:
                if not line.startswith(own):
                    out.write(line.encode() + b"\r\n")
            return out.getvalue()
        finally:
            self.console.running(False)
        return b""

    # The prompt.

    def _banner(self):
        version = ".".join([str(n) for n in sys.implementation.version[:3]])
        self.write(
            b"MicroPython v%s; %s\r\n" % (version.encode(), MACHINE.encode())
            + b'Type "help()" for more information.\r\n'
        )

    def _friendly(self):
        self._was_raw = False
        self._banner()
        while True:
            self.write(b">>> ")
            text = self._line(True)
            if isinstance(text, int):
                if text == _CTRL_A:
                    return True
                if text == _CTRL_B:
                    self.write(b"\r\n")
                    self._banner()
                elif text == _CTRL_D:
                    return None
                elif text == _CTRL_E:
                    self._paste()
                continue
            while unfinished(text):
                self.write(b"... ")
                more = self._line(False)
                if isinstance(more, int):
                    text = ""
                    break
                text += "\n" + more
            if text.strip():
                self._show(text, "single")

    def _show(self, text, how):
        self.write(self._execute(text + "\n", how))

    def _line(self, first):
        # A line without its end; a control character that ends it, as a number.
        line = bytearray()
        while True:
            c = self.read()
            if c in (13, 10):
                self.write(b"\r\n")
                return _text(line)
            if c == _CTRL_C:
                self.write(b"\r\n")
                return c
            if c in (_CTRL_A, _CTRL_B, _CTRL_D, _CTRL_E) and not line:
                if first:
                    if c == _CTRL_A:
                        self.write(b"\r\n")
                    return c
                continue
            if c in (8, 127):
                if line:
                    line = line[:-1]
                    self.write(b"\b \b")
            elif c >= 32 or c == 9:
                line.append(c)
                self.write(bytes((c,)))

    def _paste(self):
        self.write(b"\r\npaste mode; Ctrl-C to cancel, Ctrl-D to finish\r\n=== ")
        text = bytearray()
        while True:
            c = self.read()
            if c == _CTRL_C:
                self.write(b"\r\n")
                return
            if c == _CTRL_D:
                self.write(b"\r\n")
                self._show(_text(text), "exec")
                return
            if c == 13:
                text.append(10)
                self.write(b"\r\n=== ")
            else:
                text.append(c)
                self.write(bytes((c,)))

    # Raw mode.

    def _raw(self):
        self._was_raw = True
        self.write(b"raw REPL; CTRL-B to exit\r\n>")
        line = bytearray()
        while True:
            c = self.read()
            if c == _CTRL_A:
                if bytes(line) == b"\x05A":
                    line = bytearray()
                    text = self._raw_paste()
                    if text is None:
                        self.write(b"\x04\r\nKeyboardInterrupt: \r\n\x04>")
                    else:
                        self._answer(text)
                    continue
                line = bytearray()
                self.write(b"raw REPL; CTRL-B to exit\r\n>")
            elif c == _CTRL_B:
                self.write(b"\r\n")
                return False
            elif c == _CTRL_C:
                line = bytearray()
            elif c == _CTRL_D:
                if not line:
                    self.write(b"OK\r\n")
                    return None
                self.write(b"OK")
                text, line = bytes(line), bytearray()
                self._answer(text)
            else:
                line.append(10 if c == 13 else c)

    def _answer(self, text):
        error = self._execute(_text(text), "exec")
        self.write(b"\x04" + error + b"\x04>")

    def _raw_paste(self):
        # The text; None after Ctrl-C.
        self.write(b"R\x01" + bytes((_WINDOW, 0)) + b"\x01")
        text = bytearray()
        left = _WINDOW
        while True:
            c = self.read()
            if c in (_CTRL_C, _CTRL_D):
                self.write(b"\x04")
                return bytes(text) if c == _CTRL_D else None
            text.append(c)
            left -= 1
            if not left:
                left = _WINDOW
                self.write(b"\x01")
