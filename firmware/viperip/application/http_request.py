# The head of an HTTP/1.1 request (RFC 9112 3, 5), and what a server has to know of it.
from ..errors import EINVAL

_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
_DAYS = "MonTueWedThuFriSatSun"
_TOKEN = "!#$%&'*+-.^_`|~"
_LENGTH = const(12)  # digits of a length
# Fields that may not come twice: which of the two would count (RFC 9110 5.3, RFC 9112 3.2, 6.3)?
_SINGLE = ("host", "content-length", "range", "if-modified-since", "if-range")


class Bad(Exception):
    pass  # args: status


def token(text):
    """Whether text is a token (RFC 9110 5.6.2)."""
    for c in text:
        if not ("a" <= c <= "z" or "A" <= c <= "Z" or "0" <= c <= "9" or c in _TOKEN):
            return False
    return bool(text)


def _text(raw):
    # Nothing but ASCII has a meaning in a head; other bytes (RFC 9110 5.5: obs-text) become "?".
    return "".join([chr(c) if c < 128 else "?" for c in raw])


def decoded(text):
    """Percent-decoded (RFC 3986 2.1). Bad(400): malformed, or not UTF-8."""
    raw = bytearray()
    i = 0
    while i < len(text):
        c = text[i]
        if c == "%":
            try:
                if i + 3 > len(text) or text[i + 1] in "+- _" or text[i + 2] in " _":
                    raise ValueError
                raw.append(int(text[i + 1 : i + 3], 16))
            except ValueError:
                raise Bad(400)
            i += 3
        else:
            raw += c.encode()
            i += 1
    try:
        return raw.decode()
    except UnicodeError:
        raise Bad(400)


class Request:
    """method, target (as it came), path (decoded), version (0 or 1: HTTP/1.0 or 1.1), fields
    {name in lower case: value}, length (Content-Length, or -1), keep (whether the connection is to
    be kept). head: all lines, without the empty one. Bad: with the status of the answer."""

    def __init__(self, head):
        lines = bytes(head).split(b"\r\n")
        parts = _text(lines[0]).split(" ")
        if len(parts) != 3 or not token(parts[0]) or not parts[1]:
            raise Bad(400)
        self.method = parts[0]
        version = parts[2]
        if len(version) != 8 or not version.startswith("HTTP/") or version[6] != ".":
            raise Bad(400)
        if version[5] != "1":
            raise Bad(505)
        self.version = 0 if version[7] == "0" else 1
        self.fields = {}
        for line in lines[1:]:
            self._field(_text(line))
        # RFC 9112 3.2: exactly one Host in HTTP/1.1.
        if self.version and "host" not in self.fields:
            raise Bad(400)
        self.target = parts[1]
        self.path = decoded(self._origin(parts[1]).partition("?")[0])
        self.length = self._length()
        options = self.fields.get("connection", "").lower()
        options = [o.strip() for o in options.split(",")]
        self.keep = "close" not in options and (self.version == 1 or "keep-alive" in options)

    def _field(self, line):
        name, colon, value = line.partition(":")
        # RFC 9112 5.1, 5.2: no space before the colon, no folded line.
        if not colon or not token(name):
            raise Bad(400)
        name = name.lower()
        value = value.strip(" \t")
        for c in value:
            if ord(c) < 32 and c != "\t" or ord(c) == 127:
                raise Bad(400)
        if name in self.fields:
            if name in _SINGLE:
                raise Bad(400)
            value = self.fields[name] + ", " + value
        self.fields[name] = value

    def _origin(self, target):
        if target == "*" and self.method == "OPTIONS":
            return "/"
        for c in target:
            if not 32 < ord(c) < 127:
                raise Bad(400)
        if target[:7].lower() == "http://":
            # RFC 9112 3.2.2: a server takes this form, too.
            return "/" + target[7:].partition("?")[0].partition("/")[2]
        if target[0] != "/":
            raise Bad(400)
        return target

    def _length(self):
        # RFC 9112 6.1, 6.3: a body in a coding that is not known cannot be found the end of.
        if "transfer-encoding" in self.fields:
            raise Bad(501)
        text = self.fields.get("content-length")
        if text is None:
            return -1
        if not text.isdigit():
            raise Bad(400)
        if len(text) > _LENGTH:
            raise Bad(413)
        return int(text)


def byte_range(text, size):
    """(first, last) of a Range field for `size` bytes (RFC 9110 14.1.2); None: it is to be
    ignored. OSError(EINVAL): there is no such range."""
    unit, _, spec = text.partition("=")
    first, dash, last = spec.strip().partition("-")
    if unit.strip().lower() != "bytes" or not dash or len(text) > 40:
        return None
    first = first.strip()
    last = last.strip()
    if not first:
        if not last.isdigit():
            return None
        n = min(int(last), size)
        if not n:
            raise OSError(EINVAL)
        return size - n, size - 1
    # Several ranges at once are none that we know.
    if not first.isdigit() or last and not last.isdigit():
        return None
    a = int(first)
    b = int(last) if last else size - 1
    if last and b < a:
        return None
    if a >= size:
        raise OSError(EINVAL)
    return a, min(b, size - 1)


def date(t):
    """IMF-fixdate (RFC 9110 5.6.7) of a time tuple as time.gmtime() gives it."""
    day = _DAYS[3 * t[6] : 3 * t[6] + 3]
    month = _MONTHS[3 * t[1] - 3 : 3 * t[1]]
    return "%s, %02d %s %04d %02d:%02d:%02d GMT" % (day, t[2], month, t[0], t[3], t[4], t[5])


def parse_date(text):
    """(year, month, day, hours, minutes, seconds) of an IMF-fixdate; None: it is none."""
    p = text.split(" ")
    if len(p) != 6 or p[5] != "GMT" or len(p[2]) != 3 or len(p[4]) != 8:
        return None
    at = _MONTHS.find(p[2])
    hms = p[4].split(":")
    if at < 0 or at % 3 or len(hms) != 3:
        return None
    for part in hms + [p[1], p[3]]:
        if not part.isdigit() or len(part) > 4:
            return None
    return (int(p[3]), at // 3 + 1, int(p[1]), int(hms[0]), int(hms[1]), int(hms[2]))
