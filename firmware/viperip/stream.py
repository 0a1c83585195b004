# Waiting for a socket, moving bytes through it, and MicroPython's stream protocol: what sockets
# of every kind do all day. How they come to be, are named and end is socket.py's.
import io

import viperip

from .errors import EAGAIN, EBADF, ENOTCONN, EPIPE, ETIMEDOUT
from .stack import diff, later

MSG_PEEK = 2
MSG_DONTWAIT = 64

_POLL = const(3)
_CLOSE = const(4)
_RD = const(1)
_WR = const(4)
_ERR = const(8)
_HUP = const(16)
_WAIT_MS = const(1000)
_LONGEST_MS = const(0x1FFFFFFF)
_BYTES = (bytes, bytearray, memoryview)


def octets(data):
    """What is to be sent, as something whose len() counts bytes: that of a str counts
    characters, that of an array its elements. TypeError if it is no buffer."""
    if isinstance(data, _BYTES):
        return data
    return data.encode() if isinstance(data, str) else bytes(memoryview(data))


class Stream(io.IOBase):
    """The base of `socket`. Behind it is a `_pcb`: a Connection or Listener of TCP, or the
    endpoint of a datagram socket; None for a TCP socket that is neither so far."""

    def __init__(self, stack, pcb, datagram):
        self.stack = stack or viperip.default()
        self._pcb = pcb
        self._datagram = datagram
        self._timeout = -1  # ms; -1: for ever, 0: not at all
        self._open = True
        self._listening = False

    # Waiting.

    def _check(self):
        if not self._open:
            raise OSError(EBADF)

    def _ready(self, mask):
        # The poll flags that hold now.
        p = self._pcb
        if p is None:
            return mask & _WR | _HUP
        flags = 0
        if self._datagram:
            flags = _WR
            if p.count:
                flags |= _RD
            if p.error:
                flags |= _ERR
        elif self._listening:
            if p.queue:
                flags |= _RD
        else:
            if p.rcv_used or p.eof():
                flags |= _RD
            if p.error:
                flags |= _ERR | _WR
            if p.state == 0:
                flags |= _HUP | _RD
            elif p.state in (4, 5):
                if p.snd_len < p.snd_size and not p.fin:
                    flags |= _WR
            elif p.state > 5 and p.rcv_fin:
                flags |= _HUP
            if p.fin:
                flags |= _WR  # send() fails at once
        return flags & (mask | _ERR | _HUP)

    def _wait(self, mask, timeout=None):
        # Wait for a flag; False if the time is over (at once for a non-blocking socket).
        if timeout is None:
            timeout = self._timeout
        stack = self.stack
        if self._ready(mask):
            return True
        stack.poll()
        if self._ready(mask):
            return True
        if timeout == 0:
            return False
        end = later(stack.time(), timeout) if timeout > 0 else -1
        while True:
            left = _WAIT_MS
            if end >= 0:
                left = diff(end, stack.time())
                if left <= 0:
                    return False
                if left > _WAIT_MS:
                    left = _WAIT_MS
            stack.wait(left)
            if self._ready(mask):
                return True
            if not self._open:
                raise OSError(EBADF)

    def _again(self, flags=0):
        raise OSError(EAGAIN if self._timeout == 0 or flags & MSG_DONTWAIT else ETIMEDOUT)

    def settimeout(self, seconds):
        """None: block for ever; 0: do not block; else seconds to wait."""
        self._check()
        self._timeout = -1 if seconds is None else min(int(seconds * 1000), _LONGEST_MS)
        if seconds and not self._timeout:
            self._timeout = 1

    def setblocking(self, flag):
        self._check()
        self._timeout = -1 if flag else 0

    # Bytes out.

    def _send(self, data, off, flags):
        # Send data[off:]: how many bytes were taken, None if none can be now.
        if self._datagram:
            return self._push(data, 0)
        p = self._pcb
        if p is None or self._listening:
            raise OSError(ENOTCONN if not self._listening else EPIPE)
        if off == len(data):
            return 0
        if self._timeout and not flags & MSG_DONTWAIT:
            if not self._wait(_WR):
                return None
        if p.state == 2 or p.state == 3:
            return None  # still opening
        return self._push(data, off) or None

    def _push(self, data, off):
        off = self._guarded_push(data, off)
        if off < 0:
            raise OSError(-off)
        return off

    def _guarded_push(self, data, off):
        # Not try/finally, and no class to except: this frame just fits where it takes no heap. The
        # end of a try is where Ctrl-C may come: the guard is left before, and once only.
        self.stack.enter()
        try:
            data = self._pcb.push(data, off)
            off = None
            self.stack.leave()
        except:  # noqa: E722
            if off is not None:
                self.stack.leave()
            raise
        return data

    # Bytes in.

    def _recv(self, n, flags, strict):
        # bytes, or None where the call would block (an exception if `strict`).
        if not self._arrived(flags):
            if strict:
                self._again(flags)
            return None
        p = self._pcb
        if self._datagram:
            size = min(n, max(0, p.next_length()))
        else:
            size = min(n, p.rcv_used)
        buf = bytearray(size)
        r = self._take(buf, size, flags)
        return bytes(buf) if r == size else bytes(memoryview(buf)[:r])

    def _arrived(self, flags):
        p = self._pcb
        if p is None or self._listening:
            raise OSError(ENOTCONN)
        return self._wait(_RD, 0 if flags & MSG_DONTWAIT else None)

    def _take(self, buf, n, flags):
        # Copy out what has arrived; an error that waited is raised once all data is read.
        n = self._peek(buf, n) if flags & MSG_PEEK else self._guarded_take(buf, n)
        if n < 0:
            raise OSError(-n)
        return n

    def _guarded_take(self, buf, n):
        # As _guarded_push().
        self.stack.enter()
        try:
            buf = self._pcb.take(buf, n)
            n = None
            self.stack.leave()
        except:  # noqa: E722
            if n is not None:
                self.stack.leave()
            raise
        return buf

    def _peek(self, buf, n):
        self.stack.enter()
        try:
            return self._pcb.take(buf, n, True)
        finally:
            self.stack.leave()

    # The stream protocol. None says "would block": an exception would escape through ssl.

    def read(self, n=-1):
        self._check()
        if n is not None and n >= 0:
            if self._timeout == 0:
                return self._recv(n, 0, False)
            out = b""
            while len(out) < n:
                part = self._recv(n - len(out), 0, True)
                if not part:
                    break
                out += part
            return out
        out = b""
        while True:
            part = self._recv(2048, 0, False)
            if part is None:
                return self._none(out)
            if not part:
                return out
            out += part

    def _none(self, out):
        # What read() and readline() give when no more is there: a time that is over is an error.
        if self._timeout > 0:
            raise OSError(ETIMEDOUT)
        return out or None

    def readinto(self, buf, n=0):
        self._check()
        if not self._arrived(0):
            if self._timeout > 0:
                raise OSError(ETIMEDOUT)
            return None
        return self._take(buf, n or len(buf), 0)

    def readline(self):
        self._check()
        out = b""
        while not out.endswith(b"\n"):
            part = self._recv(256, MSG_PEEK, False)
            if part is None:
                return self._none(out)
            if not part:
                break
            out += self._recv(part.find(b"\n") + 1 or len(part), 0, False)
        return out

    def makefile(self, mode="rb", buffering=0):
        return self

    def write(self, buf, off=None, n=None):
        # The stream protocol: None for "would block". `buf` may be gone after the call.
        self._check()
        if off is not None:
            buf = memoryview(buf)
            buf = buf[:off] if n is None else buf[off : off + n]
        buf = octets(buf)
        if self._timeout == 0 or self._datagram:
            return self._send(buf, 0, 0)
        done = 0
        while done < len(buf):
            r = self._send(buf, done, 0)
            if r is None:
                if done:
                    return done
                raise OSError(ETIMEDOUT)
            done += r
        return done

    def ioctl(self, request, arg):
        if request == _POLL:
            if not self._open:
                return 32  # POLLNVAL
            flags = self._ready(arg)
            if not flags:
                self.stack.poll()
                flags = self._ready(arg)
            return flags
        if request == _CLOSE:
            self.close()
            return 0
        return -1
