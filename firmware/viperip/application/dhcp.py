# DHCP client (RFC 2131, options RFC 2132).
#
#    0    1       2      3      4     8      10      12       16       20       24       28
#   | op | htype | hlen | hops | xid | secs | flags | ciaddr | yiaddr | siaddr | giaddr | chaddr |
#    44      108    236      240
#   | sname | file | cookie | options
from ..address import ip4_text, mask_prefix
from ..stack import Timer, diff

CLIENT_PORT = 68
SERVER_PORT = 67
COOKIE = b"\x63\x82\x53\x63"
FIXED = 240  # length up to and with the cookie
_LONGEST = const(1500)  # nobody is told that we take more (option 57)
_BROADCAST = b"\xff\xff\xff\xff"
_ZERO = bytes(4)
_MASK = const(0x3FFFFFFF)

# Message types (option 53).
DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)

# Options.
SUBNET = 1
ROUTER = 3
DNS = 6
HOST_NAME = 12
DOMAIN = 15
MTU = 26
NTP = 42
REQUESTED = 50
LEASE = 51
OVERLOAD = 52
TYPE = 53
SERVER_ID = 54
PARAMETERS = 55
MAX_SIZE = 57
T1 = 58
T2 = 59
CLIENT_ID = 61

_WANTED = bytes((SUBNET, ROUTER, DNS, DOMAIN, MTU, NTP, LEASE, SERVER_ID))
_FOUR = (SUBNET, REQUESTED, LEASE, SERVER_ID, T1, T2)
_LISTS = (ROUTER, DNS, NTP)
_FOREVER = const(0x3FFFFFFF)  # seconds; what a lease cannot reach while small ints hold it
_MAX_LIST = const(4)
_HOUR = const(3600)
_REQUESTS = const(4)  # REQUESTs sent for one offer before starting again
_REBOOTS = const(3)
_LINK_MS = const(250)  # how often the link is looked at until it is up
_DECLINE_MS = const(10000)  # RFC 2131 3.1.5: at least ten seconds after a DECLINE
_RENEW_S = const(60)  # RFC 2131 4.4.5: retransmit no faster than this


def _field(buf, off, end, out):
    # One options field. RFC 2131 4.1: the last option is always End, so without it it is cut.
    while off < end:
        code = buf[off]
        off += 1
        if code == 0:
            continue
        if code == 255:
            return True
        if off >= end or off + 1 + buf[off] > end:
            return False
        value = bytes(buf[off + 1 : off + 1 + buf[off]])
        off += 1 + len(value)
        # RFC 3396 5: an option that comes in parts is one.
        out[code] = out[code] + value if code in out else value
    return False


def parse(buf, off, n):
    """Options of the DHCP message at buf[off:off+n], {code: bytes}; None if it is malformed."""
    if not FIXED + 3 <= n <= _LONGEST or buf[off + 1] != 1 or buf[off + 2] != 6:
        return None
    if bytes(buf[off + 236 : off + 240]) != COOKIE:
        return None
    out = {}
    if not _field(buf, off + FIXED, off + n, out):
        return None
    if OVERLOAD in out:
        # RFC 2132 9.3; the order of the fields is RFC 3396 5.
        v = out[OVERLOAD]
        if len(v) != 1 or not 1 <= v[0] <= 3:
            return None
        if v[0] & 1 and not _field(buf, off + 108, off + 236, out):
            return None
        if v[0] & 2 and not _field(buf, off + 44, off + 108, out):
            return None
    if len(out.get(TYPE, b"")) != 1:
        return None
    for code in out:
        k = len(out[code])
        if (code in _FOUR and k != 4) or (code in _LISTS and (not k or k & 3)):
            return None
        if code == MTU and k != 2:
            return None
    return out


def message(op, xid, mac, kind, secs=0, ciaddr=_ZERO, yiaddr=_ZERO, flags=0):
    """A message up to its type option, as a bytearray to append options to; see finish()."""
    m = bytearray(FIXED)
    m[0] = op
    m[1] = 1
    m[2] = 6
    m[4:8] = xid
    m[8] = secs >> 8
    m[9] = secs & 0xFF
    m[10] = flags
    m[12:16] = ciaddr
    m[16:20] = yiaddr
    m[28:34] = mac
    m[236:240] = COOKIE
    option(m, TYPE, bytes((kind,)))
    return m


def option(m, code, value):
    """Append one option (up to 255 bytes) to a message."""
    m.extend(bytes((code, len(value))))
    m.extend(value)


def finish(m):
    """End a message; padded to the 300 bytes of BOOTP, which some relays insist on (RFC 1542)."""
    m.append(255)
    if len(m) < 300:
        m.extend(bytes(300 - len(m)))
    return m


def seconds(v):
    # A 32-bit time as a small int; what does not fit is longer than any board runs.
    if v[0] >= 0x20:
        return _FOREVER
    return v[0] << 24 | v[1] << 16 | v[2] << 8 | v[3]


def addresses(v):
    # The first few of a list of addresses.
    return [bytes(v[i : i + 4]) for i in range(0, min(len(v), 4 * _MAX_LIST), 4)]


def _host(a):
    # Whether a host can have this address.
    return 0 < a[0] < 224 and a[0] != 127


def _fits(a, mask):
    # Whether it is neither the network's own address nor its broadcast (RFC 1122 3.2.1.3).
    if mask[3] >= 254:
        return True  # RFC 3021: a /31 has neither
    ones = zeros = True
    for i in range(4):
        free = ~mask[i] & 0xFF
        ones = ones and a[i] & free == free
        zeros = zeros and not a[i] & free
    return not ones and not zeros


def _natural_mask(a):
    # RFC 791: the class of the address, for a server that gives no mask.
    return b"\xff\0\0\0" if a[0] < 128 else b"\xff\xff\0\0" if a[0] < 192 else b"\xff\xff\xff\0"


class Client(Timer):
    """The DHCP client of one interface (RFC 2131).

    state: stopped, init, selecting, requesting, rebooting, probing, bound, renewing or rebinding.
    lease: dict with addr, mask, gateway, server (4 bytes each), dns, ntp (lists of them), domain,
    mtu, lease_s, t1_s, t2_s; None without one. on_bound: functions called with the client.
    """

    def __init__(self, ifc, hostname=None, probe=True):
        self.ifc = ifc
        self.stack = ifc.stack
        self.hostname = hostname
        self.probe = probe
        self.state = "stopped"
        self.lease = None
        self.on_bound = []
        self._ep = None
        self._xid = _ZERO
        self._tries = 0
        self._began = 0
        self._secs = 0
        self._offer = None  # (address, server) that is asked for
        self._new = None  # the lease being probed
        self._age = 0  # seconds since the request of the current lease was sent
        self._mark = 0
        self._new_mark = 0
        for name in ("dhcp_bad", "dhcp_nak", "dhcp_declined"):
            self.stack.stats.setdefault(name, 0)

    # Control.

    def start(self):
        """Get a lease; a lease still held is verified first. OSError(EADDRINUSE): port taken."""
        s = self.stack
        s.enter()
        try:
            if self._ep is None:
                self._ep = s.udp.open(handler=self, port=CLIENT_PORT, reuse=True)
                self._ep.ifc = self.ifc
                s.add_timer(self)
            self.ifc.dhcp = self
            old = self.lease
            if old and self._aged() >= old["lease_s"]:
                old = None
            self._lose()
            self._begin()
            if old:
                # RFC 2131 3.2: INIT-REBOOT.
                self.state = "rebooting"
                self._offer = (old["addr"], None)
                self._send_request()
            else:
                self._discover()
        finally:
            s.leave()

    def stop(self):
        """Give the lease back and leave the interface without an address."""
        s = self.stack
        s.enter()
        try:
            if self._ep is None:
                return
            held = self.lease
            if held:
                # RFC 2131 4.4.6
                self._new_xid()
                m = self._message(RELEASE, held["addr"])
                option(m, SERVER_ID, held["server"])
                self._send(m, held["server"], held["addr"])
            self._lose()
            self.state = "stopped"
            self._new = None
            self.due = -1
            s.remove_timer(self)
            self._ep.close()
            self._ep = None
            if self.ifc.dhcp is self:
                self.ifc.dhcp = None
        finally:
            s.leave()

    def remaining(self):
        """Seconds left of the lease; -1 without one."""
        if not self.lease:
            return -1
        self.stack.time()
        return max(0, self.lease["lease_s"] - self._aged())

    # Time. The clock wraps in days, a lease may last for years: whole seconds are counted up.

    def _aged(self):
        d = diff(self.stack.now, self._mark) // 1000
        if d > 0:
            self._age = min(self._age + d, _FOREVER)
            self._mark = (self._mark + 1000 * d) & _MASK
        return self._age

    def _until(self, s):
        # Run expire() when the lease is s seconds old, or in an hour.
        left = s - self._aged()
        self.stack.arm(self, 1000 * max(1, min(left, _HOUR)))

    def _backoff(self):
        # RFC 2131 4.1: 4, 8 ... 64 s, each plus or minus one; the first comes after 1 to 3 s,
        # since the frame that brings a switch port up is often lost.
        base = 2000 << min(self._tries, 5)
        self._tries += 1
        self.stack.arm(self, base - 1000 + self.stack.random(11) % 2001)

    def expire(self, now):
        state = self.state
        if state == "init" or state == "selecting":
            if state == "init":
                self._begin()
            self._discover()
        elif state == "requesting" or state == "rebooting":
            if self._tries < (_REQUESTS if state == "requesting" else _REBOOTS):
                self._send_request()
            else:
                self._begin()
                self._discover()
        elif state != "stopped" and state != "probing":
            self._keep(state)

    def _keep(self, state):
        # RFC 2131 4.4.5: renew from T1, rebind from T2, give up at the end.
        held = self.lease
        age = self._aged()
        if held["lease_s"] == _FOREVER:
            self._until(_FOREVER)
        elif age >= held["lease_s"]:
            self._lose()
            self._restart(0)
        elif age < held["t1_s"]:
            self._until(held["t1_s"])
        else:
            name, limit = "renewing", held["t2_s"]
            if age >= limit:
                name, limit = "rebinding", held["lease_s"]
            if state != name:
                self.state = name
                self._new_xid()
                self._secs = 0
            self._new_mark = self.stack.now
            m = self._message(REQUEST, held["addr"])
            self._options(m)
            self._send(m, held["server"] if name == "renewing" else _BROADCAST, held["addr"])
            # Half of what is left, and no faster than once a minute.
            self._until(min(limit, age + max(_RENEW_S, (limit - age) // 2)))

    # Sending.

    def _new_xid(self):
        self._xid = bytes(self.stack.urandom(4))

    def _begin(self):
        self._new_xid()
        self._tries = 0
        self._began = self.stack.now
        self._secs = 0
        self._new = None

    def _message(self, kind, ciaddr=_ZERO):
        ifc = self.ifc
        m = message(1, self._xid, ifc.mac, kind, self._secs, ciaddr)
        option(m, CLIENT_ID, b"\1" + bytes(ifc.mac))
        return m

    def _options(self, m):
        mtu = min(self.ifc.mtu, 1500)
        option(m, MAX_SIZE, bytes((mtu >> 8, mtu & 0xFF)))
        option(m, PARAMETERS, _WANTED)
        name = (self.hostname or self.stack.hostname or "").encode()[:63]
        if name:
            option(m, HOST_NAME, name)

    def _send(self, m, dst=_BROADCAST, src=_ZERO):
        self.stack.udp.send(self._ep, finish(m), dst, SERVER_PORT, src=src)

    def _discover(self):
        if not (self.ifc.active and self.ifc.dev.link()):
            # A wire that is not there yet must not use the backoff up.
            self._restart(_LINK_MS)
            return
        self.state = "selecting"
        self._secs = min(0xFFFF, max(0, diff(self.stack.now, self._began)) // 1000)
        m = self._message(DISCOVER)
        self._options(m)
        self._send(m)
        self._backoff()

    def _send_request(self):
        # RFC 2131 4.3.2: a server identifier after an offer, none when rebooting.
        addr, server = self._offer
        self._new_mark = self.stack.now
        m = self._message(REQUEST)
        option(m, REQUESTED, addr)
        if server:
            option(m, SERVER_ID, server)
        self._options(m)
        self._send(m)
        self._backoff()

    def _decline(self, held):
        # RFC 2131 4.4.4, table 5.
        self.stack.stats["dhcp_declined"] += 1
        self._secs = 0
        m = self._message(DECLINE)
        option(m, REQUESTED, held["addr"])
        option(m, SERVER_ID, held["server"])
        self._send(m)

    def _restart(self, ms):
        self.state = "init"
        self._new = None
        self.stack.arm(self, ms)

    # Receiving.

    def datagram(self, ep, p, off, n):
        b = p.buf
        o = parse(b, off, n)
        if o is None:
            self.stack.stats["dhcp_bad"] += 1
            return
        if b[off] != 2 or bytes(b[off + 4 : off + 8]) != self._xid:
            return
        if bytes(b[off + 28 : off + 34]) != bytes(self.ifc.mac):
            return
        kind = o[TYPE][0]
        state = self.state
        server = o.get(SERVER_ID)
        if server is None:
            # RFC 2131 table 3: MUST be in an OFFER, an ACK and a NAK.
            self.stack.stats["dhcp_bad"] += 1
        elif kind == OFFER and state == "selecting":
            addr = bytes(b[off + 16 : off + 20])
            if not _host(addr) or not _host(server):
                self.stack.stats["dhcp_bad"] += 1
                return
            self._offer = (addr, server)
            self.state = "requesting"
            self._tries = 0
            self._send_request()
        elif kind == NAK:
            self._nak(state, server)
        elif kind == ACK:
            self._ack(state, server, bytes(b[off + 16 : off + 20]), o)

    def _nak(self, state, server):
        if state == "requesting":
            if server != self._offer[1]:
                return
        elif state == "renewing":
            if server != self.lease["server"]:
                return
        elif state != "rebooting" and state != "rebinding":
            return
        self.stack.stats["dhcp_nak"] += 1
        self._lose()
        self._restart(1000)

    def _ack(self, state, server, addr, o):
        if state == "requesting":
            asked = self._offer[0]
            if server != self._offer[1]:
                return
        elif state == "rebooting":
            asked = self._offer[0]
        elif state == "renewing" or state == "rebinding":
            asked = self.lease["addr"]
        else:
            return
        new = _lease(server, addr, o) if addr == asked else None
        if new is None:
            self.stack.stats["dhcp_bad"] += 1
            return
        if state == "renewing" or state == "rebinding":
            self._bind(new)
        elif self.probe and self.ifc.arp is not None and self.ifc.active:
            # RFC 2131 4.4.1: the client should check that nobody uses the address.
            self.state = "probing"
            self._new = new
            self.due = -1  # the probe always ends, and says so
            self.ifc.arp.probe(addr, lambda mac: self._probed(new, mac))
        else:
            self._bind(new)

    def _probed(self, new, mac):
        if self.state != "probing" or self._new is not new:
            return
        over = diff(self.stack.now, self._new_mark) // 1000 >= new["lease_s"]
        if mac is None and not over:
            self._bind(new)
        elif not mac:
            self._restart(1000)  # the interface went down, or the lease has ended already
        else:
            self._decline(new)
            self._restart(_DECLINE_MS)

    def _conflict(self, mac):
        # RFC 5227 2.4 (b): somebody else insists on the address. The server must not give it to
        # us again (RFC 2131 3.1 step 5), so it is told as after a probe.
        held = self.lease
        self._lose()
        self._new_xid()
        self._decline(held)
        self._restart(_DECLINE_MS)

    def _bind(self, new):
        ifc = self.ifc
        old = self.lease
        self.lease = new
        self._new = None
        # RFC 2131 4.4.1: a lease runs from the time its request was sent.
        self._age = 0
        self._mark = self._new_mark
        self.state = "bound"
        if new["mtu"]:
            ifc.mtu = min(new["mtu"], ifc.dev.mtu)
        ifc.dns = list(new["dns"])
        if (
            not old
            or ifc.addr != new["addr"]
            or ifc.mask != new["mask"]
            or ifc.gateway != new["gateway"]
        ):
            ifc.configure(new["addr"], new["mask"], new["gateway"])
        if ifc.arp is not None:
            ifc.arp.on_lost = self._conflict
        self._until(new["t1_s"])
        for f in self.on_bound:
            f(self)

    def _lose(self):
        # Without a lease the address may not be used any longer (RFC 2131 4.4.5).
        ifc = self.ifc
        if self.lease:
            self.lease = None
            if ifc.arp is not None:
                ifc.arp.on_lost = None
            ifc.mtu = ifc.dev.mtu
            ifc.dns = []
        if any(ifc.net):
            ifc.configure(_ZERO, _ZERO, _ZERO)

    def info(self):
        """State and lease as text, for tables."""
        out = {"state": self.state}
        held = self.lease
        if held:
            for k in held:
                v = held[k]
                if isinstance(v, bytes):
                    v = ip4_text(v)
                elif isinstance(v, list):
                    v = [ip4_text(a) for a in v]
                out[k] = v
            out["left_s"] = self.remaining()
        return out


def _lease(server, addr, o):
    # The lease that the options of an ACK describe; None if it makes none.
    if LEASE not in o or not _host(addr) or not _host(server):
        return None
    mask = o.get(SUBNET) or _natural_mask(addr)
    try:
        if not mask_prefix(mask) or not _fits(addr, mask):
            return None
    except ValueError:
        return None
    life = seconds(o[LEASE])
    if not life:
        return None
    # RFC 2131 4.4.5: T1 is half of the lease, T2 seven eighths, unless the server says otherwise.
    t1 = seconds(o[T1]) if T1 in o else life // 2
    t2 = seconds(o[T2]) if T2 in o else life - life // 8
    # A T1 of a second would have us ask every second.
    if not min(_RENEW_S, life // 2) <= t1 <= t2 <= life:
        t1 = life // 2
        t2 = life - life // 8
    gateway = o.get(ROUTER, _ZERO)[:4]
    mtu = o.get(MTU)
    mtu = mtu[0] << 8 | mtu[1] if mtu else 0
    return {
        "addr": addr,
        "mask": mask,
        "gateway": gateway if _host(gateway) and gateway != addr else _ZERO,
        "server": server,
        "dns": [a for a in addresses(o.get(DNS, b"")) if _host(a)],
        "ntp": addresses(o.get(NTP, b"")),
        "domain": "".join([chr(c) for c in o.get(DOMAIN, b"")[:253] if 32 < c < 127]),
        # RFC 791: every host takes 576; less is somebody's mistake.
        "mtu": mtu if mtu >= 576 else 0,
        "lease_s": life,
        "t1_s": t1,
        "t2_s": t2,
    }
