# HTTP/1.1 server (RFC 9110, RFC 9112) for the files below a folder.
import os
import time

import viperip

from ..errors import ENOENT, ENOSPC
from ..stack import Timer, diff
from . import folder
from .http_content import REASONS, kind, listing, quoted
from .http_request import Bad, Request, byte_range, date, parse_date

PORT = 80
_ANY = bytes(4)
_CONNECTIONS = const(6)
_HEAD = const(2048)  # bytes of a request's head
_CHUNK = const(1024)
_SEND = const(2920)
_RECEIVE = const(2920)
_HEAD_MS = const(10000)  # for a head to come, from its first byte or the connection's beginning
_IDLE_MS = const(10000)  # between requests
_STUCK_MS = const(20000)  # without a byte of a body, either way
_LINGER_MS = const(2000)
_SLOW_HEAD_MS = const(2000)  # after which a head that still comes makes room for another client
_MS_A_BYTE = const(4)  # 250 bytes a second, on the whole, is the least
_CREDIT_MS = const(0x10000000)
_WORK = const(8)  # chunks in one go
_CLOCK_SET = const(2001)  # a board whose clock was never set says 2000 or 1970

# What a session does.
_READ_HEAD = const(0)
_READ_BODY = const(1)
_WRITE = const(2)
_LINGER = const(3)  # a FIN is out; what still comes is thrown away, for an RST might overtake it


class _Session(Timer):
    # One connection and the request on it.

    def __init__(self, server, conn):
        self.server = server
        self.stack = server.stack
        self.conn = conn
        self.got = bytearray()  # of the head; what came behind it
        self.scanned = 0
        self.out = b""  # to be sent before anything else
        self.out_at = 0
        self.buf = server.take_buffer()
        self.file = None  # what is sent
        self.left = 0  # of it; of the body that is received
        self.pieces = None  # a page that is made on the way
        self.chunked = False
        self.arriving = None
        self.created = False
        self.request = None
        self.keep = True
        self.requests = 0
        self._state(_READ_HEAD, _HEAD_MS)
        conn.wake = self._wake
        self.stack.add_timer(self)
        self.stack.arm(self, 0)

    def _wake(self):
        # In the middle of a segment: the work waits for the timer.
        self.stack.arm(self, 0)

    def _state(self, state, ms):
        self.state = state
        self.began = self.stack.now
        self.credit = 0
        self._until(ms)

    def _until(self, ms):
        self.limit_ms = ms
        self.since = self.stack.now

    def _moved(self, n):
        # Bytes of a message have gone or come: they buy time, above what is slow on purpose.
        self.credit = min(self.credit + n * _MS_A_BYTE, _CREDIT_MS)
        self._until(_STUCK_MS)

    def _left(self, now):
        left = self.limit_ms - diff(now, self.since)
        if self.state == _READ_BODY or self.state == _WRITE:
            left = min(left, _STUCK_MS + self.credit - diff(now, self.began))
        return left

    def idle(self):
        """Whether it may be closed to make room for somebody else: nothing of a request has come,
        or it has been coming for a while."""
        if self.state == _READ_HEAD:
            return not self.got or diff(self.stack.now, self.since) >= _SLOW_HEAD_MS
        return self.state == _LINGER

    def expire(self, now):
        try:
            work = _WORK
            while work and self.conn is not None and self._step():
                work -= 1
        except Bad as e:
            self._refuse(e.args[0])
            work = 0
        except OSError as e:
            # The filesystem's. A head that is out already cannot be taken back.
            if self.state == _WRITE:
                self.close(True)
            else:
                self._refuse(507 if e.args[0] == ENOSPC else 500)
            work = 0
        if self.conn is None:
            return
        left = self._left(self.stack.now)
        if left <= 0:
            self._late()
        elif self.due < 0:
            self.stack.arm(self, left if work else 0)

    def _late(self):
        # RFC 9110 15.5.9: a head or a body that does not come. Between requests, nothing is said.
        if self.state in (_READ_HEAD, _READ_BODY) and (self.got or self.state == _READ_BODY):
            self.server.stats["httpd_timeout"] += 1
            self._refuse(408)
        else:
            if self.state == _WRITE:
                self.server.stats["httpd_timeout"] += 1
            self.close(self.state == _WRITE)

    # What is done next; True: there may be more to do at once.

    def _step(self):
        c = self.conn
        if c.error:
            self.close(False)
            return False
        if self.state == _WRITE:
            return self._write()
        if self.state == _LINGER:
            while c.recv(self.buf, 0, _CHUNK):
                pass
            if c.eof():
                self.close(False)
            return False
        if self.out_at < len(self.out) and not self._flush():
            return False  # 100 Continue
        if self.state == _READ_BODY:
            return self._body()
        return self._head()

    def _head(self):
        got = self.got
        end = got.find(b"\r\n\r\n", max(0, self.scanned - 3))
        self.scanned = len(got)
        if end < 0:
            if len(got) >= _HEAD:
                raise Bad(431)
            n = self.conn.recv(self.buf, 0, min(_CHUNK, _HEAD - len(got)))
            if n:
                if not got:
                    self._until(_HEAD_MS)
                got += self.buf[:n]
                # RFC 9112 2.2: an empty line before a request is passed over.
                while got[:2] == b"\r\n":
                    self.got = got = got[2:]
                    self.scanned = 0
                return True
            if self.conn.eof():
                self.close(False)
            return False
        head = got[:end]
        self.got = got[end + 4 :]
        self.scanned = 0
        self.requests += 1
        self.server.stats["httpd_requests"] += 1
        self.keep = False  # should the head be malformed
        self.request = None
        self.request = r = Request(head)
        self.keep = r.keep
        self._begin(r)
        return True

    def _begin(self, r):
        if r.method == "GET" or r.method == "HEAD":
            self._skip(r)
            self._get(r)
        elif r.method == "OPTIONS":
            self._skip(r)
            self._answer(204, "Allow: %s\r\n" % self.server.allowed())
        elif r.method in ("PUT", "DELETE"):
            if not self.server.write:
                self.keep = self.keep and r.length <= 0
                self._answer(405, "Allow: %s\r\n" % self.server.allowed())
            elif r.method == "PUT":
                self._put(r)
            else:
                self._skip(r)
                self._delete(r)
        else:
            # RFC 9110 15.6.2; a body that it may have is not looked for.
            self.keep = False
            self._answer(501)

    def _skip(self, r):
        # RFC 9110 9.3.1: content of a GET has no meaning. It is not worth being read.
        if r.length > 0:
            self.keep = False

    def _path(self, r):
        path = folder.below(self.server.root, r.path)
        if path is None:
            raise Bad(403)
        return path, folder.stat(path)

    # GET and HEAD.

    def _get(self, r):
        path, known = self._path(r)
        if known is not None and known[0]:
            if not r.path.endswith("/"):
                # A relative link in the page would lead elsewhere. Never to another host: "//".
                where = "/" + quoted(r.path.strip("/")) + "/"
                self._answer(301, "Location: %s\r\n" % where)
                return
            index = path.rstrip("/") + "/index.html"
            page = folder.stat(index)
            if page is None or page[0]:
                self._list(r, path)
                return
            path = index
            known = page
        elif known is not None and r.path.endswith("/"):
            known = None  # a file is no folder
        if known is None:
            raise Bad(404)
        self._file(r, path, known[1], known[2])

    def _file(self, r, path, size, modified):
        fields = "Content-Type: %s\r\nAccept-Ranges: bytes\r\n" % kind(path)
        t = time.gmtime(modified)
        stamp = ""
        if t[0] >= _CLOCK_SET:
            stamp = date(t)
            fields += "Last-Modified: %s\r\n" % stamp
            since = parse_date(r.fields.get("if-modified-since", ""))
            # RFC 9110 13.1.3
            if since is not None and tuple(t[:6]) <= since and "if-none-match" not in r.fields:
                self._answer(304, "Last-Modified: %s\r\n" % stamp)
                return
        first = 0
        last = size - 1
        status = 200
        wish = r.fields.get("range")
        # RFC 9110 14.2: for GET only; 13.1.5: If-Range, of the very same file.
        if wish is not None and r.method == "GET" and r.fields.get("if-range", stamp) == stamp:
            try:
                part = byte_range(wish, size)
            except OSError:
                self._answer(416, "Content-Range: bytes */%d\r\n" % size)
                return
            if part is not None:
                first, last = part
                status = 206
                fields += "Content-Range: bytes %d-%d/%d\r\n" % (first, last, size)
        n = last - first + 1
        if r.method == "GET":
            self.file = open(path, "rb")
            if first:
                self.file.seek(first)
        self._start(status, fields, n)
        self.left = n if r.method == "GET" else 0

    def _list(self, r, path):
        fields = "Content-Type: text/html; charset=utf-8\r\n"
        self.chunked = bool(r.version)
        if self.chunked:
            fields += "Transfer-Encoding: chunked\r\n"
        else:
            self.keep = False
        self._start(200, fields, -1)
        if r.method == "GET":
            shown = r.path if r.path.startswith("/") else "/" + r.path
            self.pieces = listing(path, shown)

    # PUT and DELETE.

    def _put(self, r):
        if r.length < 0:
            self.keep = False
            raise Bad(411)
        # Unless all goes well, the body will not be read.
        keep = self.keep
        self.keep = False
        path, known = self._path(r)
        if known is not None and known[0] or r.path.endswith("/"):
            raise Bad(409)
        if "content-range" in r.fields:
            raise Bad(400)  # RFC 9110 14.5
        if r.length > self.server.longest:
            raise Bad(413)
        if r.length > folder.room(self.server.root):
            raise Bad(507)
        if self.server.arrives(path):
            raise Bad(409)
        try:
            self.arriving = folder.Arriving(path)
        except OSError as e:
            raise Bad(409 if e.args[0] == ENOENT else 500)
        self.created = known is None
        self.keep = keep
        self.left = r.length
        self._state(_READ_BODY, _STUCK_MS)
        if r.fields.get("expect", "").lower() == "100-continue" and r.version and not self.got:
            self.out = b"HTTP/1.1 100 Continue\r\n\r\n"  # RFC 9110 10.1.1
            self.out_at = 0

    def _body(self):
        if self.left:
            if self.got:
                data = memoryview(self.got)[: self.left]
                self.got = self.got[len(data) :]
            else:
                n = self.conn.recv(self.buf, 0, min(_CHUNK, self.left))
                if not n:
                    if self.conn.eof():
                        self.close(False)  # cut off: what has come is not the file
                    return False
                data = self.buf[:n]
            self.arriving.write(data)
            self.left -= len(data)
            self._moved(len(data))
            return True
        self.arriving.keep()
        self.arriving = None
        self._answer(201 if self.created else 204)
        return True

    def _delete(self, r):
        path, known = self._path(r)
        if known is None or not known[0] and r.path.endswith("/"):
            raise Bad(404)
        if folder.below(self.server.root, "").rstrip("/") == path.rstrip("/"):
            raise Bad(403)
        try:
            if known[0]:
                os.rmdir(path)
            else:
                os.remove(path)
        except OSError:
            raise Bad(409)  # a folder with something in it
        self._answer(204)

    # Answers.

    def _start(self, status, fields, length):
        # The head of an answer; length: of its content, -1 unknown.
        out = "HTTP/1.1 %d %s\r\n" % (status, REASONS[status])
        t = time.gmtime()
        if t[0] >= _CLOCK_SET:
            out += "Date: %s\r\n" % date(t)  # RFC 9110 6.6.1: if there is a clock
        out += fields
        # RFC 9110 8.6: 204 has no length, and in 304 it would be that of the file.
        if length >= 0 and status not in (204, 304):
            out += "Content-Length: %d\r\n" % length
        if not self.keep:
            out += "Connection: close\r\n"
        elif self.request is not None and not self.request.version:
            out += "Connection: keep-alive\r\n"
        self.out = (out + "\r\n").encode()
        self.out_at = 0
        self._state(_WRITE, _STUCK_MS)

    def _answer(self, status, fields=""):
        # An answer with a line of text as its content.
        text = "" if status in (204, 304) else "%d %s\n" % (status, REASONS[status])
        if text:
            fields += "Content-Type: text/plain\r\n"
        self._start(status, fields, len(text))
        if text and (self.request is None or self.request.method != "HEAD"):
            self.out += text.encode()

    def _refuse(self, status):
        self._drop()
        if status in (400, 408, 413, 431, 500, 501, 505, 507):
            self.keep = False
        self.server.stats["httpd_refused"] += 1
        self._answer(status)
        self.stack.arm(self, 0)

    def _flush(self):
        # True when everything in `out` has been taken.
        c = self.conn
        n = c.send(self.out, self.out_at, len(self.out) - self.out_at)
        if n < 0:
            self.close(False)
            return False
        if n:
            self.out_at += n
            self._moved(n)
        return self.out_at == len(self.out)

    def _write(self):
        if self.out_at < len(self.out):
            return self._flush()
        if self.file is not None and self.left:
            n = self.file.readinto(self.buf[: min(_CHUNK, self.left)])
            if not n:
                self.close(True)  # it has shrunk: the length that was promised cannot be kept
                return False
            self.left -= n
            self.out = self.buf[:n]
            self.out_at = 0
            return True
        if self.pieces is not None:
            piece = next(self.pieces, None)
            if piece is None:
                self.pieces = None
                piece = ""
            raw = piece.encode()
            # RFC 9112 7.1: a chunk of no bytes is the last one.
            self.out = b"%x\r\n" % len(raw) + raw + b"\r\n" if self.chunked else raw
            self.out_at = 0
            return True
        self._done()
        return self.state == _READ_HEAD

    def _done(self):
        self._drop()
        self.out = b""
        self.out_at = 0
        self.request = None
        if self.keep:
            self._state(_READ_HEAD, _HEAD_MS if self.got else _IDLE_MS)
        else:
            # RFC 9112 9.6: half close, so that the answer is not lost to a reset.
            self.conn.shutdown()
            self._state(_LINGER, _LINGER_MS)
            self.stack.arm(self, 0)

    # The end.

    def _drop(self):
        if self.file is not None:
            self.file.close()
            self.file = None
        if self.arriving is not None:
            self.arriving.drop()
            self.arriving = None
        self.pieces = None
        self.left = 0

    def close(self, reset):
        """Close the connection; reset: in a way that tells the peer that something is missing."""
        c = self.conn
        if c is None:
            return
        self.conn = None
        self._drop()
        self.due = -1
        self.stack.remove_timer(self)
        c.wake = None
        if reset:
            c.orphan = True
            c.abort()
        else:
            c.close()
        self.server.gone(self)


class Server(Timer):
    """Serves the folder `root`; write: PUT and DELETE, too, of files up to `longest` bytes.

    At most six connections: a newcomer takes the place of one that is idle or slow to say what it
    wants, or else is told 503.
    """

    def __init__(self, root, write=False, port=PORT, longest=1 << 24, stack=None):
        self.stack = stack or viperip.default()
        self.root = root
        self.write = write
        self.port = port
        self.longest = longest
        self.sessions = []
        self._buffers = []
        self._listener = None
        self.stats = self.stack.stats
        for name in ("httpd_busy", "httpd_refused", "httpd_requests", "httpd_timeout"):
            self.stats.setdefault(name, 0)

    def start(self):
        """Serve from now on. OSError(EADDRINUSE): the port is taken."""
        s = self.stack
        s.enter()
        try:
            if self._listener is None:
                self._listener = s.tcp.listen(_ANY, self.port, _CONNECTIONS, _SEND, _RECEIVE)
                self._listener.wake = self._wake
                s.add_timer(self)
        finally:
            s.leave()

    def stop(self):
        """Serve no more; transfers end unfinished."""
        s = self.stack
        s.enter()
        try:
            if self._listener is not None:
                self._listener.close()
                self._listener = None
                self.due = -1
                s.remove_timer(self)
            for one in list(self.sessions):
                one.close(not one.idle())
        finally:
            s.leave()

    def allowed(self):
        """The value of an Allow field."""
        return "GET, HEAD, OPTIONS" + (", PUT, DELETE" if self.write else "")

    def arrives(self, path):
        """Whether somebody is writing that file."""
        return any([s.arriving is not None and s.arriving.path == path for s in self.sessions])

    def take_buffer(self):
        return self._buffers.pop() if self._buffers else memoryview(bytearray(_CHUNK))

    def gone(self, session):
        if session in self.sessions:
            self.sessions.remove(session)
        self._buffers.append(session.buf)

    def _wake(self):
        self.stack.arm(self, 0)

    def expire(self, now):
        while self._listener is not None:
            conn = self._listener.accept()
            if conn is None:
                return
            if len(self.sessions) >= _CONNECTIONS and not self._make_room():
                self.stats["httpd_busy"] += 1
                _turn_away(conn)
            else:
                self.sessions.append(_Session(self, conn))

    def _make_room(self):
        for one in self.sessions:
            if one.idle():
                one.close(False)
                return True
        return False


def _turn_away(conn):
    m = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 5\r\n"
    m += b"Connection: close\r\n\r\n"
    conn.send(m, 0, len(m))
    conn.close()
