# syslog sender: messages of RFC 5424, one in each UDP datagram (RFC 5426).
#
#   <PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG
import time

import viperip

from ..address import ip4, ip4_text

PORT = 514

# RFC 5424 6.2.1.
EMERGENCY = 0
ALERT = 1
CRITICAL = 2
ERROR = 3
WARNING = 4
NOTICE = 5
INFO = 6
DEBUG = 7
KERN = 0
USER = 1
DAEMON = 3
SYSLOG = 5
LOCAL0 = 16

_SET = const(2024)  # a clock that says less has never been set
# Of logging's levels, from CRITICAL down: (at least, severity).
_LEVELS = ((50, CRITICAL), (40, ERROR), (30, WARNING), (20, INFO))


def _word(text, longest):
    # RFC 5424 6: a header field is printable ASCII without spaces, "-" if there is nothing.
    out = "".join([c if 32 < ord(c) < 127 else "_" for c in str(text)[:longest]])
    return out or "-"


def _name(text):
    # RFC 5424 6.3.2: SD-NAME.
    if not 0 < len(text) <= 32:
        raise ValueError("not a name of structured data: " + text)
    for c in text:
        if not 32 < ord(c) < 127 or c in '=]"':
            raise ValueError("not a name of structured data: " + text)
    return text


def structured(data):
    """STRUCTURED-DATA (RFC 5424 6.3) of {SD-ID: {name: value}}. ValueError for a bad name."""
    out = ""
    for ident in data or ():
        out += "[" + _name(ident)
        for name in data[ident]:
            value = _printable(str(data[ident][name]))
            # RFC 5424 6.3.3: these three are escaped, and nothing else.
            for c in ("\\", '"', "]"):
                value = value.replace(c, "\\" + c)
            out += ' %s="%s"' % (_name(name), value)
        out += "]"
    return out or "-"


def _printable(text):
    # RFC 5424 8.2: no control characters. A line break must not look like another message.
    for c in text:
        if ord(c) < 32 or ord(c) == 127:
            return "".join([" " if ord(c) < 32 or ord(c) == 127 else c for c in text])
    return text


def timestamp():
    """The time in UTC (RFC 5424 6.2.3), "-" as long as nobody has set the clock."""
    t = time.gmtime()
    if t[0] < _SET:
        return "-"
    return "%04d-%02d-%02dT%02d:%02d:%02dZ" % t[:6]


class Syslog:
    """Sends log messages to a syslog server at `host` (name or address).

    facility, app, hostname (default: the stack's own): RFC 5424 6.2. Messages are cut to `limit`
    bytes (RFC 5426 3.2: every receiver takes 480, a good one 2048). It is a handler for `logging`,
    too: logger.addHandler(Syslog("10.0.0.1")). OSError if there is no address for the name.
    """

    def __init__(
        self, host, facility=USER, app="viperip", hostname=None, port=PORT, limit=1024, stack=None
    ):
        if not 0 <= facility < 24:
            raise ValueError("facility")
        if limit < 128:
            raise ValueError("limit")
        self.stack = stack = stack or viperip.default()
        try:
            self.server = ip4(host)
        except ValueError:
            self.server = stack.resolver.lookup(host)[0]
        self.port = port
        self.facility = facility
        self.app = app
        self.hostname = hostname
        self.limit = limit
        self.lost = 0  # messages that did not leave this host
        self.level = 0
        self.formatter = None
        stack.enter()
        try:
            self._ep = stack.udp.open()
        finally:
            stack.leave()

    def _host(self):
        # RFC 5424 6.2.4: a name, or else an address.
        for ifc in self.stack.interfaces:
            if not self.hostname and ifc.active and ifc.net[0] not in (0, 127):
                return self.stack.hostname or ip4_text(ifc.net)
        return self.hostname or self.stack.hostname

    def format_message(self, severity, text, msgid="-", data=None):
        """The message as bytes, cut to `limit`. ValueError: severity, or a name in `data`."""
        if not 0 <= severity <= 7:
            raise ValueError("severity")
        head = "<%d>1 %s %s %s - %s " % (
            self.facility << 3 | severity,
            timestamp(),
            _word(self._host(), 255),
            _word(self.app, 48),
            _word(msgid, 32),
        )
        out = bytearray(head.encode())
        sd = structured(data).encode()
        # RFC 5424 6.1: what is too long is cut at its end, and no element in its middle.
        out += sd if len(out) + len(sd) <= self.limit else b"-"
        raw = _printable(text).encode()
        if raw:
            out += b" "
            if len(raw) != len(text):
                out += b"\xef\xbb\xbf"  # RFC 5424 6.4: what follows is UTF-8
            out += raw
        end = self.limit
        if len(out) > end:
            while out[end] & 0xC0 == 0x80:
                end -= 1
            out = out[:end]
        return bytes(out)

    def send(self, severity, text, msgid="-", data=None):
        """Send one message; False if it could not leave (counted in `lost`). Never raises for the
        network's sake: a log must not stop what it tells about."""
        message = self.format_message(severity, text, msgid, data)
        s = self.stack
        if self._ep is None:
            self.lost += 1
            return False
        s.enter()
        try:
            sent = s.udp.send(self._ep, message, self.server, self.port)
        finally:
            s.leave()
        if sent < 0:
            self.lost += 1
            return False
        return True

    def close(self):
        """Send no more. It may be called more than once."""
        if self._ep is not None:
            self.stack.enter()
            try:
                self._ep.close()
                self._ep = None
            finally:
                self.stack.leave()

    # A Handler of micropython-lib's `logging`.

    def setLevel(self, level):
        self.level = level

    def setFormatter(self, formatter):
        self.formatter = formatter

    def flush(self):
        pass

    def format(self, record):
        return self.formatter.format(record) if self.formatter else str(record.message)

    def emit(self, record):
        """Send a record of logging's: its level, its message, its logger's name as MSGID."""
        if record.levelno < self.level:
            return
        severity = DEBUG
        for least, s in _LEVELS:
            if record.levelno >= least:
                severity = s
                break
        self.send(severity, self.format(record), record.name or "-")
