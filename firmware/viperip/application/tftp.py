# TFTP server (RFC 1350), with the options blksize (RFC 2348), timeout and tsize (RFC 2349).
#
#    0        2
#   | opcode | file name 0 mode 0 [option 0 value 0] ...   RRQ (1), WRQ (2)
#   | opcode | block | data ...                            DATA (3)
#   | opcode | block |                                     ACK (4)
#   | opcode | code | words 0                              ERROR (5)
#   | opcode | option 0 value 0 ...                        OACK (6)
import viperip

from ..errors import EACCES, ENOENT, ENOSPC, name as errno_name
from ..stack import Timer
from ..transport.udp import Endpoint
from . import folder

PORT = 69
_RRQ = const(1)
_WRQ = const(2)
_DATA = const(3)
_ACK = const(4)
_ERROR = const(5)
_BLOCK = const(512)
_LEAST = const(8)  # RFC 2348
_REQUEST = const(1024)  # longer ones are nobody's
_SESSIONS = const(4)
_FIRST_MS = const(1000)
_MOST_MS = const(8000)
_TRIES = const(6)
_DALLY_MS = const(15000)  # clients send again after five seconds, often

# Codes of RFC 1350's appendix; 8 is RFC 2347's.
_OTHER = const(0)
_NOT_FOUND = const(1)
_VIOLATION = const(2)
_FULL = const(3)
_ILLEGAL = const(4)
_UNKNOWN_TID = const(5)


class _Refused(Exception):
    pass  # args: code, words


def _fields(b, off, end):
    # The strings of a request, each ended by a zero byte.
    out = []
    start = off
    for i in range(off, end):
        if not b[i]:
            out.append(bytes(b[start:i]))
            start = i + 1
    if start != end or len(out) < 2 or len(out) & 1:
        raise _Refused(_ILLEGAL, "malformed request")
    try:
        return [f.decode() for f in out]
    except UnicodeError:
        raise _Refused(_ILLEGAL, "the name is not UTF-8")


def _number(text, least, most):
    # The value of an option, or None if it is out of bounds.
    if not text.isdigit() or len(text) > 12:
        return None
    v = int(text)
    return v if least <= v <= most else None


class _TID(Endpoint):
    # A transfer's port. It also takes what comes from others than its peer, which must be told so
    # (RFC 1350 4); connected, so that ICMP errors reach it.

    def matches(self, p):
        return self.local == p.destination()


class _Session(Timer):
    # One transfer: `packet` is what was sent last, and is sent again when nothing comes.

    def __init__(self, server, p, opcode):
        self.server = server
        self.stack = server.stack
        self.opcode = opcode
        self.peer = p.source()
        self.peer_port = p.sport
        self.block = 0
        self.size = _BLOCK
        self.wait_ms = 0  # of the option `timeout`; 0: begin with a second, and double it
        self.tries = 0
        self.confirmed = False  # the peer has answered: it is no half-open one
        self.last = False
        self.over = False  # a file has come whole; its last ACK may have been lost
        self.packet = b""
        self.file = None
        self.text = None  # netascii
        self.path = ""
        self.ep = e = _TID(self.stack.udp, 0, self)
        e.remote = self.peer
        e.remote_port = self.peer_port
        e.wake = self._icmp
        self.stack.udp.bind(e, p.destination(), 0)
        e.ifc = p.ifc
        self.stack.add_timer(self)

    def open(self, fields):
        # The request's file and options. _Refused, OSError.
        mode = fields[1].lower()
        if mode not in ("octet", "netascii"):
            raise _Refused(_ILLEGAL, "no such mode")
        if mode == "netascii":
            from .netascii import Decoder, Encoder

            self.text = Encoder() if self.opcode == _RRQ else Decoder()
        path = folder.below(self.server.root, fields[0])
        if path is None:
            raise _Refused(_VIOLATION, "no such place")
        self.path = path
        known = folder.stat(path)
        if known is not None and known[0]:
            raise _Refused(_VIOLATION, "a directory")
        if self.opcode == _RRQ:
            if known is None:
                raise _Refused(_NOT_FOUND, "no such file")
            self.file = open(path, "rb")
            size = known[1]
        else:
            self.server.may_write(self, path)
            size = 0
        said = self._options(fields, size)
        if self.opcode == _WRQ:
            self.file = folder.Arriving(path)
        # Two buffers of a block: what is sent, and what netascii makes of the next.
        self.buf = memoryview(bytearray(4 + self.size))
        self.buf[1] = _DATA
        if said:
            self._send(b"\0\6" + said)
        elif self.opcode == _WRQ:
            self._send(b"\0\4\0\0")
        else:
            self._next()

    def _options(self, fields, size):
        # RFC 2347: what is acknowledged; what is unknown or out of bounds is left out.
        out = b""
        seen = []
        for i in range(2, len(fields), 2):
            key = fields[i].lower()
            value = fields[i + 1]
            n = None
            if key in seen:
                continue
            seen.append(key)
            if key == "blksize":
                n = _number(value, _LEAST, 65464)
                if n is not None:
                    self.size = n = min(n, self.ep.ifc.mtu - 32)
            elif key == "timeout":
                n = _number(value, 1, 255)
                if n is not None:
                    self.wait_ms = n * 1000
            elif key == "tsize":
                n = _number(value, 0, 1 << 36)
                if n is not None and self.opcode == _WRQ and n > folder.room(self.server.root):
                    raise _Refused(_FULL, "no room")
                if self.opcode == _RRQ:
                    # Unknown beforehand in netascii, where line ends grow.
                    n = size if self.text is None and n is not None else None
            if n is not None:
                out += key.encode() + b"\0" + str(n).encode() + b"\0"
        return out

    # Output.

    def _send(self, packet):
        self.packet = packet
        self.tries = 0
        self._again()

    def _again(self):
        ms = self.wait_ms or min(_MOST_MS, _FIRST_MS << self.tries)
        self.tries += 1
        self.stack.udp.send(self.ep, self.packet, self.peer, self.peer_port)
        self.stack.arm(self, ms)

    def _next(self):
        # The next block of a file that is read.
        self.block = (self.block + 1) & 0xFFFF  # it wraps: RFC 1350 knows no file as long
        b = self.buf
        b[2] = self.block >> 8
        b[3] = self.block & 0xFF
        if self.text is None:
            n = self.file.readinto(b[4:]) or 0
        else:
            n = self.text.fill(self.file, b, 4)
        self.last = n < self.size
        self._send(b[: 4 + n] if self.last else b)

    def expire(self, now):
        if self.over or self.tries >= _TRIES:
            self.close(self.over)
        else:
            self._again()

    # Input.

    def _icmp(self):
        # In the middle of somebody's transmission, it may be.
        if self.ep is not None and self.ep.error:
            self.tries = _TRIES
            self.stack.arm(self, 0)

    def datagram(self, ep, p, off, n):
        if p.sport != self.peer_port or p.source() != self.peer:
            # RFC 1350 4: the transfer goes on undisturbed.
            if n < 2 or p.buf[off + 1] != _ERROR:
                self.server.error(ep, p.source(), p.sport, _UNKNOWN_TID, "unknown transfer ID")
            return
        b = p.buf
        kind = b[off + 1] if n >= 4 and not b[off] else 0
        if kind == _ERROR:
            self.close(self.over)
            return
        block = b[off + 2] << 8 | b[off + 3] if kind else 0
        try:
            if kind == _ACK and self.opcode == _RRQ:
                self._ack(block)
            elif kind == _DATA and self.opcode == _WRQ:
                self._data(block, b, off + 4, n - 4)
            elif kind in (_RRQ, _WRQ):
                pass  # its request once more, late
            else:
                raise _Refused(_ILLEGAL, "illegal operation")
        except _Refused as e:
            self.fail(e.args[0], e.args[1])
        except OSError as e:
            self.fail(*_words(e))

    def _ack(self, block):
        # RFC 1123 4.2.3.1: an ACK that has come before never brings a block back; or each delayed
        # one would double all that follow (the Sorcerer's Apprentice).
        if block != self.block:
            return
        self.confirmed = True
        if self.last:
            self.server.stats["tftpd_read"] += 1
            self.close(True)
        else:
            self._next()

    def _data(self, block, b, off, n):
        if n > self.size:
            raise _Refused(_ILLEGAL, "more than a block")
        if block == self.block:
            if self.confirmed:
                # Our ACK was lost: once more, and time goes on as it did.
                self.stack.udp.send(self.ep, self.packet, self.peer, self.peer_port)
            return
        if self.over or block != (self.block + 1) & 0xFFFF:
            return
        self.confirmed = True
        data = memoryview(b)[off : off + n]
        if self.text is not None:
            data = self.text.feed(data, n < self.size)
        self.file.write(data)
        self.block = block
        if n < self.size:
            self.file.keep()
            self.over = True
            self.server.stats["tftpd_written"] += 1
        self._send(bytes((0, _ACK, block >> 8, block & 0xFF)))
        if self.over:
            # RFC 1350 6: stay for a while, in case that ACK is lost.
            self.stack.arm(self, max(_DALLY_MS, 2 * self.wait_ms))

    # The end.

    def fail(self, code, words):
        self.server.error(self.ep, self.peer, self.peer_port, code, words)
        self.close(False)

    def close(self, good):
        """Forget the transfer; good: it has come to its end."""
        if self.ep is None:
            return
        if not good:
            self.server.stats["tftpd_failed"] += 1
        self.due = -1
        self.stack.remove_timer(self)
        self.ep.close()
        self.ep = None
        if self.file is not None:
            if self.opcode == _WRQ:
                self.file.drop()
            else:
                self.file.close()
            self.file = None
        if self in self.server.sessions:
            self.server.sessions.remove(self)


def _words(e):
    # The TFTP error of an OSError.
    code = e.args[0]
    if code == ENOENT:
        return _NOT_FOUND, "no such place"
    if code == EACCES:
        return _VIOLATION, "not allowed"
    if code == ENOSPC:
        return _FULL, "no room"
    return _OTHER, errno_name(code)


class Server:
    """Serves the files below the folder `root`; write: clients may also put files there.

    At most four transfers at a time: when more are asked for, one whose client has never answered
    makes room, else the newcomer is told that the server is busy. A file that arrives replaces
    another when it is whole.
    """

    def __init__(self, root, write=False, port=PORT, stack=None):
        self.stack = stack or viperip.default()
        self.root = root
        self.write = write
        self.port = port
        self.sessions = []
        self._ep = None
        self.stats = self.stack.stats
        for name in ("tftpd_bad", "tftpd_busy", "tftpd_failed", "tftpd_read", "tftpd_written"):
            self.stats.setdefault(name, 0)

    def start(self):
        """Serve from now on. OSError(EADDRINUSE): the port is taken."""
        s = self.stack
        s.enter()
        try:
            if self._ep is None:
                self._ep = s.udp.open(handler=self, port=self.port)
        finally:
            s.leave()

    def stop(self):
        """Serve no more; transfers end unfinished."""
        s = self.stack
        s.enter()
        try:
            for one in list(self.sessions):
                if one.over:
                    one.close(True)
                else:
                    one.fail(_OTHER, "the server ends")
            if self._ep is not None:
                self._ep.close()
                self._ep = None
        finally:
            s.leave()

    def may_write(self, session, path):
        if not self.write:
            raise _Refused(_VIOLATION, "read only")
        if path == folder.below(self.root, ""):
            raise _Refused(_VIOLATION, "no name")
        for one in self.sessions:
            if one is not session and one.opcode == _WRQ and one.path == path and not one.over:
                raise _Refused(_VIOLATION, "somebody else writes it")

    def error(self, ep, to, port, code, words):
        """Send an ERROR packet."""
        self.stack.udp.send(ep, bytes((0, _ERROR, 0, code)) + words.encode() + b"\0", to, port)

    def datagram(self, ep, p, off, n):
        b = p.buf
        opcode = b[off + 1] if n >= 4 and not b[off] else 0
        # RFC 1123 4.2.3.4: a request to everybody is nobody's. An ERROR is never answered.
        if p.to == 2 or p.to == 3 or not p.sport or opcode == _ERROR:
            return
        try:
            if opcode not in (_RRQ, _WRQ) or n > _REQUEST:
                raise _Refused(_ILLEGAL, "illegal operation")
            fields = _fields(b, off + 2, off + n)
        except _Refused as e:
            self.stats["tftpd_bad"] += 1
            self.error(ep, p.source(), p.sport, *e.args)
            return
        source = p.source()
        for one in self.sessions:
            if one.peer_port == p.sport and one.peer == source and not one.over:
                return  # its request once more: what is lost is sent again anyway
        if not self._make_room():
            self.stats["tftpd_busy"] += 1
            self.error(ep, source, p.sport, _OTHER, "busy")
            return
        session = _Session(self, p, opcode)
        self.sessions.append(session)
        try:
            session.open(fields)
        except _Refused as e:
            session.fail(*e.args)
        except OSError as e:
            session.fail(*_words(e))
        except MemoryError:
            session.fail(_OTHER, "no memory")

    def _make_room(self):
        if len(self.sessions) < _SESSIONS:
            return True
        for one in self.sessions:
            if one.over or not one.confirmed:
                one.close(one.over)
                return True
        return False
