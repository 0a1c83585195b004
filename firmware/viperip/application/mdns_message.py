# Messages of multicast DNS (RFC 6762 18): DNS messages with two bits of their own. The diagram of
# the header is in dns.py.
from . import dns

PORT = 5353
GROUP = b"\xe0\0\0\xfb"
A = 1
PTR = 12
NSEC = 47
ANY = 255
IN = 1
FLUSH = 0x8000  # of a record's class (10.2); of a question's: a unicast answer will do (5.4)
LOCAL = b"\x05local\0"
RESPONSE = 0x8400
TRUNCATED = 0x0200
ANSWER = 0  # sections
AUTHORITY = 1
ADDITIONAL = 2
_HEADER = const(12)
_QUESTIONS = const(16)
_RECORDS = const(64)
_TTL_S = const(86400)


class Message:
    """A received message, buf[off:off+n]. ValueError: it is malformed.

    ident, flags; questions: (name, type, class); records: (section, name, type, class, TTL in s,
    data). Names are in wire format and lower case, also that which is the data of a PTR.
    """

    def __init__(self, buf, off, n):
        end = off + n
        if n < _HEADER:
            raise ValueError("cut header")
        self.ident = buf[off] << 8 | buf[off + 1]
        self.flags = buf[off + 2] << 8 | buf[off + 3]
        self.questions = []
        self.records = []
        at = off + _HEADER
        count = _two(buf, off + 4)
        if count > _QUESTIONS:
            raise ValueError("many questions")
        for _ in range(count):
            name, at = dns.read_name(buf, off, at, end)
            if at + 4 > end:
                raise ValueError("cut question")
            self.questions.append((name, _two(buf, at), _two(buf, at + 2)))
            at += 4
        for section in (ANSWER, AUTHORITY, ADDITIONAL):
            for _ in range(_two(buf, off + 6 + 2 * section)):
                if len(self.records) >= _RECORDS:
                    return  # far more than anybody says about one name
                at = self._record(buf, off, at, end, section)

    def _record(self, buf, off, at, end, section):
        name, at = dns.read_name(buf, off, at, end)
        if at + 10 > end:
            raise ValueError("cut record")
        kind = _two(buf, at)
        ttl = _TTL_S
        if buf[at + 4] & 0x80:
            ttl = 0
        elif not buf[at + 4]:
            ttl = min(_TTL_S, buf[at + 5] << 16 | _two(buf, at + 6))
        n = _two(buf, at + 8)
        data = at + 10
        if data + n > end:
            raise ValueError("cut record")
        if kind == PTR:
            value, last = dns.read_name(buf, off, data, end)
            if last != data + n:
                raise ValueError("bad PTR")
        else:
            if kind == A and n != 4:
                raise ValueError("bad address")
            value = bytes(buf[data : data + n])
        self.records.append((section, name, kind, _two(buf, at + 2), ttl, value))
        return data + n


def _two(b, off):
    return b[off] << 8 | b[off + 1]


def question(name, kind, cls=IN):
    """A question in wire format."""
    return name + bytes((kind >> 8, kind & 0xFF, cls >> 8, cls & 0xFF))


def record(name, kind, cls, ttl, data):
    """A resource record in wire format; its TTL is below 2**16."""
    n = len(data)
    return question(name, kind, cls) + bytes((0, 0, ttl >> 8, ttl & 0xFF, n >> 8, n & 0xFF)) + data


def message(ident, flags, questions=(), answers=(), authority=(), additional=()):
    """A message of questions and records that are in wire format."""
    out = bytearray((ident >> 8, ident & 0xFF, flags >> 8, flags & 0xFF))
    parts = (questions, answers, authority, additional)
    for part in parts:
        out += bytes((0, len(part)))
    for part in parts:
        for one in part:
            out += one
    return out
