# ICMP (RFC 792, RFC 1122 3.2.2).
#
#    0      1      2          4                 8
#   | type | code | checksum | depends on type | data, or the datagram that caused the error
# Echo and echo reply:
#    0      1      2          4            6                 8
#   | type | code | checksum | identifier | sequence number | data
# Unreachable (RFC 1191 4):
#    0      1      2          4        6              8
#   | type | code | checksum | unused | next-hop MTU | the datagram that caused the error
from .. import native
from ..stack import diff

_m = native.load("memory")
_sum = _m.sum16
_copy = _m.copy
_class = native.load("ip").ip_class

ECHO_REPLY = const(0)
UNREACHABLE = const(3)
ECHO = const(8)
TIME_EXCEEDED = const(11)
PARAMETER_PROBLEM = const(12)

# Codes of UNREACHABLE.
NET, HOST, PROTOCOL, PORT, FRAGMENTATION = range(5)

_PROTO = const(1)
_TTL = const(64)
_HLEN = const(20)
_OTHER = const(5)
_OWN = const(1)
_LOOPBACK = const(4)

# Token buckets (RFC 1812 4.3.2.8): messages at once, and milliseconds per message after that.
_ERROR_BURST = const(20)
_ERROR_MS = const(20)

_COUNTS = (
    "icmp_short",
    "icmp_checksum",
    "icmp_unknown_type",
    "icmp_echo_in",
    "icmp_echo_broadcast",
    "icmp_errors_in",
    "icmp_errors_out",
    "icmp_errors_limited",
    "icmp_errors_suppressed",
    "icmp_bad_quote",
)


class ICMP:
    """Echo, errors sent, and errors received for one stack."""

    def __init__(self, stack):
        self.stack = stack
        self.listeners = []  # objects with icmp(packet, kind, code): echo replies and errors
        self.reply_to_echo = True
        self._tokens = _ERROR_BURST
        self._since = stack.now
        for name in _COUNTS:
            stack.stats[name] = 0

    def input(self, p):
        stats = self.stack.stats
        if p.n < 8:
            stats["icmp_short"] += 1
            return
        if _sum(p.buf, p.off, p.n) != 0xFFFF:
            stats["icmp_checksum"] += 1
            return
        kind = p.buf[p.off]
        if kind == ECHO:
            stats["icmp_echo_in"] += 1
            self._echo(p)
        elif kind == UNREACHABLE or kind == TIME_EXCEEDED or kind == PARAMETER_PROBLEM:
            stats["icmp_errors_in"] += 1
            self._error_in(p, kind, p.buf[p.off + 1])
        elif kind != ECHO_REPLY:
            stats["icmp_unknown_type"] += 1
        if self.listeners:
            self._tell(p, kind)

    def _tell(self, p, kind):
        for listener in self.listeners:
            listener.icmp(p, kind, p.buf[p.off + 1])

    def _echo(self, p):
        if p.to != _OWN or not self.reply_to_echo:
            # RFC 1122 3.2.2.6 lets a host stay silent to a broadcast echo; smurf attacks say why.
            self.stack.stats["icmp_echo_broadcast"] += 1
            return
        r = self.stack.ip.route(p.buf, p.ip + 12)
        if r is not None:
            self._reply(p, r, self.stack.ip.egress(r))

    def _reply(self, p, r, ifc):
        if p.n + _HLEN > ifc.mtu:
            self._reply_large(p, r)
        elif ifc.borrow() is not None:
            _copy(ifc.tx, ifc.tx_at + _HLEN, p.buf, p.off, p.n)
            _turn(ifc.tx, ifc.tx_at + _HLEN)
            # The answer's source is the address that was asked (RFC 1122 3.2.2.6).
            _copy(ifc.tx, ifc.tx_at + 12, p.buf, p.ip + 16, 4)
            _copy(ifc.tx, ifc.tx_at + 16, p.buf, p.ip + 12, 4)
            self.stack.ip.send(r, p.n, _TTL << 8 | _PROTO)

    def _reply_large(self, p, r):
        data = bytearray(p.buf[p.off : p.off + p.n])
        _turn(data, 0)
        self.stack.ip.send_data(r, p.destination(), p.source(), 0, data, _TTL << 8 | _PROTO)

    # Errors that we send.

    def send_error(self, p, kind, code, info=0):
        """Send an error about a datagram just received, where RFC 1122 3.2.2 allows it."""
        if p.group or p.to == 2 or p.to == 3:
            self.stack.stats["icmp_errors_suppressed"] += 1
        else:
            self._error_about(p, kind, code, info)

    def _error_about(self, p, kind, code, info):
        self.error_about(p.buf, p.ip, kind, code, p.ifc, info, p.off + p.n)

    def error_about(self, buf, off, kind, code, ifc, info=0, end=0):
        """Send an error that quotes the datagram at buf[off:end]."""
        stats = self.stack.stats
        hlen = (buf[off] & 15) << 2
        end = end or len(buf)
        frag = (buf[off + 6] << 8 | buf[off + 7]) & 0x1FFF
        src = _class(buf, off + 12, ifc.net)
        inner = off + hlen
        about_error = buf[off + 9] == _PROTO and (
            inner >= end or buf[inner] not in (ECHO, ECHO_REPLY, 13, 14)
        )
        # RFC 1122 3.2.2: never about an error, a broadcast, a later fragment, or to a source that
        # is not one host.
        if frag or about_error or (src != _OTHER and ifc.arp is not None):
            stats["icmp_errors_suppressed"] += 1
            return
        if not self._allowed():
            stats["icmp_errors_limited"] += 1
            return
        ip = self.stack.ip
        r = ip.route(buf, off + 12)
        if r is None:
            return
        # RFC 1812 4.3.2.3: as much of the datagram as fits in 576 bytes.
        n = min(end - off, 576 - _HLEN - 8)
        data = bytearray(8 + n)
        data[0] = kind
        data[1] = code
        data[6] = info >> 8
        data[7] = info & 0xFF
        _copy(data, 8, buf, off, n)
        c = _sum(data, 0, len(data)) ^ 0xFFFF
        data[2] = c & 0xFF
        data[3] = c >> 8
        dst = bytes(buf[off + 12 : off + 16])
        src = bytes(buf[off + 16 : off + 20])
        if not self._is_own(src):
            src = ip.source_for(r, dst)
        stats["icmp_errors_out"] += 1
        ip.send_data(r, src, dst, 0, data, _TTL << 8 | _PROTO)

    def _is_own(self, addr):
        for ifc in self.stack.interfaces:
            if ifc.active and ifc.addr == addr:
                return True
        return addr[0] == 127

    def _allowed(self):
        now = self.stack.now
        gained = diff(now, self._since) // _ERROR_MS
        if gained > 0 or gained < 0:
            self._tokens = min(_ERROR_BURST, self._tokens + gained) if gained > 0 else _ERROR_BURST
            self._since = now
        if self._tokens <= 0:
            return False
        self._tokens -= 1
        return True

    # Errors that we receive.

    def _error_in(self, p, kind, code):
        q = p.off + 8
        n = p.n - 8
        self._dispatch(p.buf, q, n, kind, code, p.buf[p.off + 6] << 8 | p.buf[p.off + 7])

    def local_error(self, frame, off):
        """A datagram of ours in `frame` could not be sent: its next hop does not answer ARP."""
        self._dispatch(frame, off, len(frame) - off, UNREACHABLE, HOST, 0)

    def _dispatch(self, buf, q, n, kind, code, info):
        # Hand the error to the protocol whose datagram is quoted (RFC 1122 3.2.2.1).
        hlen = (buf[q] & 15) << 2 if n >= _HLEN else 0
        if hlen < _HLEN or buf[q] >> 4 != 4 or n < hlen + 8:
            self.stack.stats["icmp_bad_quote"] += 1
            return
        handler = self.stack.ip.handlers.get(buf[q + 9])
        if handler is not None and hasattr(handler, "error"):
            handler.error(kind, code, buf, q, q + hlen, n - hlen, info)


def _turn(buf, o):
    # Make a reply of the request at buf[o:]; its checksum by RFC 1624, eqn. 3.
    c = ((buf[o + 2] << 8 | buf[o + 3]) ^ 0xFFFF) + ((ECHO << 8) ^ 0xFFFF)
    c = ((c & 0xFFFF) + (c >> 16)) ^ 0xFFFF
    buf[o] = ECHO_REPLY
    buf[o + 2] = c >> 8
    buf[o + 3] = c & 0xFF


def describe(kind, code):
    """The words of an ICMP error: "destination port unreachable"."""
    if kind == UNREACHABLE:
        names = ("network", "host", "protocol", "port", "fragmentation needed")
        if code == 4:
            return "fragmentation needed"
        return "%s unreachable" % (names[code] if code < 4 else "host (code %d)" % code)
    if kind == TIME_EXCEEDED:
        return "time to live exceeded" if code == 0 else "reassembly time exceeded"
    return "ICMP type %d code %d" % (kind, code)
