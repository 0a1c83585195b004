# ARP for IPv4 over Ethernet (RFC 826), with address conflict detection (RFC 5227).
#
#    0       2       4      5      6    8            14          18           24          28
#   | htype | ptype | hlen | plen | op | sender MAC | sender IP | target MAC | target IP |
#
# A cache is a set of parallel arrays, so that a look-up in the middle of a transmission is one
# viper call over packed addresses and allocates nothing.
from .. import native
from ..errors import ENOMEM
from ..address import ip4_text, mac_text
from ..stack import Timer, diff
from .ethernet import HEADER, TYPE_ARP

_m = native.load("memory")
_find = _m.find
_copy = _m.copy
_equal = _m.equal
_eth_build = native.load("ip").eth_build
_ip_class = native.load("ip").ip_class

ENTRIES = const(32)
PENDING = const(16)
_ASKED_MAX = const(8)  # entries without an answer that a full table keeps
REQUEST = const(1)
REPLY = const(2)

# Entry states.
FREE = const(0)
INCOMPLETE = const(1)  # asked, no answer yet
REACHABLE = const(2)
STALE = const(3)  # too old to trust, still used while it is asked for again
STATIC = const(4)

NAMES = ("free", "incomplete", "reachable", "stale", "static")

_REACHABLE_MS = const(60000)
_UNUSED_MS = const(600000)
_RETRY_MS = const(1000)
_TRIES = const(3)
_ANNOUNCE_MS = const(2000)  # RFC 5227 1.1 ANNOUNCE_INTERVAL
_DEFEND_MS = const(10000)  # DEFEND_INTERVAL
_MAX_CONFLICTS = const(10)
_RATE_LIMIT_MS = const(60000)  # RATE_LIMIT_INTERVAL

_BROADCAST = b"\xff\xff\xff\xff\xff\xff"
_ZERO = bytes(6)
_ANY = bytes(4)
_PAD = bytes(18)
_FIXED = b"\0\1\x08\0\6\4\0"


def protocol(stack):
    # Register the one ARP handler of a stack.
    if TYPE_ARP not in stack.ethernet.handlers:
        stack.ethernet.register(TYPE_ARP, _Input(stack.stats))


class _Input:
    def __init__(self, stats):
        self.stats = stats
        for name in ("arp_short", "arp_bad", "arp_conflict", "arp_pending_dropped", "arp_failed"):
            stats[name] = 0

    def input(self, p):
        if p.ifc.arp is None:
            return
        if p.n < 28:
            self.stats["arp_short"] += 1
        elif not _equal(p.buf, p.off, _FIXED, 0, 7) or p.buf[p.off + 8] & 1:
            self.stats["arp_bad"] += 1
        else:
            p.ifc.arp.receive(p.buf, p.off)


class ARP(Timer):
    """The ARP cache and address guard of one interface."""

    def __init__(self, ifc):
        self.ifc = ifc
        self.stack = ifc.stack
        self.addrs = bytearray(4 * ENTRIES)
        self.macs = bytearray(6 * ENTRIES + 6)
        _copy(self.macs, 6 * ENTRIES, _BROADCAST, 0, 6)
        self.state = bytearray(ENTRIES)
        self.tries = bytearray(ENTRIES)
        self.time = [0] * ENTRIES  # when the state was entered, or the last request sent
        self.used = [0] * ENTRIES
        self._lost = []  # frames whose address did not answer, to be reported
        self.pending = []  # (entry, frame) waiting for an answer
        self.conflict = None  # MAC of a station that claims our address
        self._conflict_at = 0
        self._conflict_addr = _ANY
        self.on_conflict = None  # called with that MAC (bytes)
        # Called with it when the address has to go; None: it is kept whatever happens.
        self.on_lost = None
        self._announce = 0
        self._announce_at = 0
        self._defended = -1
        self._probe = None
        self._probe_at = None  # when the last one began to ask
        self._conflicts = 0  # addresses that turned out to be another's
        self._unicast = bytearray(6)
        self.stack.add_timer(self)

    # Look-up, on the way out.

    def resolve(self, buf, off):
        """Index of the usable entry for the address at buf[off:off+4], or -1.

        macs[6 * index:] is its MAC. On -1 a request is on its way; see queue().
        """
        i = _find(self.addrs, ENTRIES, 4, buf, off)
        if i >= 0:
            s = self.state[i]
            if s >= REACHABLE:
                self.used[i] = self.stack.now
                if s == REACHABLE and diff(self.stack.now, self.time[i]) > _REACHABLE_MS:
                    self._enter(i, STALE)
                    s = STALE
                if s == STALE and not self.tries[i]:
                    # Not now: the borrowed transmit buffer holds the caller's datagram.
                    self._schedule(0)
                return i
            if s == INCOMPLETE:
                return -1
        self._create(buf, off, INCOMPLETE)
        return -1

    def queue(self, buf, off, frame):
        """Keep a frame (bytes, its MAC still missing) until the address at buf[off:] answers.

        Call it after resolve() gave -1 and the borrowed transmit buffer is free again.
        """
        i = _find(self.addrs, ENTRIES, 4, buf, off)
        if i < 0 or self.state[i] != INCOMPLETE:
            return
        if len(self.pending) >= PENDING:
            self.pending.pop(0)
            self.stack.stats["arp_pending_dropped"] += 1
        self.pending.append((i, frame))
        if not self.tries[i]:
            self._ask(i)

    def _create(self, buf, off, state):
        i = self._slot()
        if i >= 0:
            _copy(self.addrs, 4 * i, buf, off, 4)
            self.used[i] = self.stack.now
            self._enter(i, state)
        return i

    def _slot(self):
        # A free entry, else the one that was used longest ago: of those still asked for while they
        # are many, so that addresses nobody has do not push out those that answer.
        asked = 0
        for s in self.state:
            if s == FREE:
                return self._oldest(FREE, FREE)
            if s == INCOMPLETE:
                asked += 1
        if asked > _ASKED_MAX:
            i = self._oldest(INCOMPLETE, INCOMPLETE)
            self._fail(i)
            return i
        i = self._oldest(REACHABLE, STALE)
        if i < 0 and asked:
            i = self._oldest(INCOMPLETE, INCOMPLETE)
            self._fail(i)
        return i

    def _oldest(self, first, last):
        # The entry in one of these states that was used longest ago, or -1.
        best = -1
        for i in range(ENTRIES):
            if first <= self.state[i] <= last:
                if best < 0 or diff(self.used[i], self.used[best]) < 0:
                    best = i
        return best

    def _free(self, i):
        # The address goes too: find() must not see a dead row before a live one.
        self.state[i] = FREE
        _copy(self.addrs, 4 * i, _ZERO, 0, 4)

    def _enter(self, i, state):
        self.state[i] = state
        self.tries[i] = 0
        self.time[i] = self.stack.now
        self._schedule(_RETRY_MS if state != REACHABLE else _REACHABLE_MS)

    def _schedule(self, ms):
        if self.due < 0 or diff(self.due, self.stack.now) > ms:
            self.stack.arm(self, ms)

    def _ask(self, i):
        self.tries[i] += 1
        self.time[i] = self.stack.now
        self._schedule(_RETRY_MS)
        # RFC 1122 2.3.2.1: an old entry is verified by a unicast poll.
        to = 6 * i if self.state[i] == STALE else 6 * ENTRIES
        self._send(REQUEST, self.macs, to, self.ifc.net, 0, _ZERO, 0, self.addrs, 4 * i)

    def _send(self, op, macs, to, spa, so, tha, to2, tpa, tpo):
        # One ARP packet; the sender MAC is ours.
        ifc = self.ifc
        buf = ifc.borrow()
        if buf is None:
            return
        off = ifc.dev.tx_off
        _eth_build(buf, off, macs, to, ifc.mac, TYPE_ARP)
        off += HEADER
        _copy(buf, off, _FIXED, 0, 7)
        buf[off + 7] = op
        _copy(buf, off + 8, ifc.mac, 0, 6)
        _copy(buf, off + 14, spa, so, 4)
        _copy(buf, off + 18, tha, to2, 6)
        _copy(buf, off + 24, tpa, tpo, 4)
        _copy(buf, off + 28, _PAD, 0, 18)
        ifc.send(HEADER + 46)

    # Input.

    def receive(self, buf, off):
        op = buf[off + 7]
        if op != REQUEST and op != REPLY:
            self.stack.stats["arp_bad"] += 1
            return
        if _equal(buf, off + 8, self.ifc.mac, 0, 6):
            return
        if self._probe is not None:
            self._probe.heard(buf, off)
        sender = _ip_class(buf, off + 14, self.ifc.net)
        if sender == 1:
            self._conflict(buf, off)
            return
        if sender == 5:
            self._heard(buf, off)
        elif sender:
            self.stack.stats["arp_bad"] += 1
            return
        if op == REQUEST and self._asked(buf, off):
            self._answer(buf, off, sender)

    def _heard(self, buf, off):
        # Another host has said something.
        i = _find(self.addrs, ENTRIES, 4, buf, off + 14)
        if i >= 0 and FREE < self.state[i] < STATIC:
            self._learn(i, buf, off)

    def _asked(self, buf, off):
        net = self.ifc.net
        return net[0] and _equal(buf, off + 24, net, 0, 4)

    def _answer(self, buf, off, sender):
        ifc = self.ifc
        spa = off + 14
        if sender == 5 and _find(self.addrs, ENTRIES, 4, buf, spa) < 0:
            # RFC 826: who asks for us will be answered to; its mapping is worth keeping.
            i = self._create(buf, spa, REACHABLE)
            if i >= 0:
                _copy(self.macs, 6 * i, buf, off + 8, 6)
        _copy(self._unicast, 0, buf, off + 8, 6)
        self._send(REPLY, self._unicast, 0, ifc.net, 0, buf, off + 8, buf, spa)

    def _learn(self, i, buf, off):
        waiting = self.state[i] == INCOMPLETE
        _copy(self.macs, 6 * i, buf, off + 8, 6)
        self._enter(i, REACHABLE)
        if waiting and self.pending:
            self._flush(i)

    def _flush(self, i):
        ready = [frame for j, frame in self.pending if j == i]
        self.pending = [p for p in self.pending if p[0] != i]
        for frame in ready:
            _copy(frame, 0, self.macs, 6 * i, 6)
            self.ifc.send_copy(frame)

    def _fail(self, i):
        self._free(i)
        lost = [frame for j, frame in self.pending if j == i]
        self.pending = [p for p in self.pending if p[0] != i]
        self.stack.stats["arp_failed"] += 1
        if lost:
            # Not now: who hears of it may send, and a borrowed transmit buffer may be in use.
            self._lost.extend(lost)
            self._schedule(0)

    def _report(self):
        # Tell the senders of datagrams that will never leave.
        lost = self._lost
        self._lost = []
        for frame in lost:
            self.stack.ip.unreachable(frame, HEADER)

    # Our own address: probe, announce, defend (RFC 5227).

    def announce(self):
        """Announce the interface's address, twice (RFC 5227 2.3)."""
        self.conflict = None
        self._defended = -1
        self._announce = 2
        self._announcement()

    def _announcement(self):
        ifc = self.ifc
        self._announce -= 1
        self._send(REQUEST, _BROADCAST, 0, ifc.net, 0, _ZERO, 0, ifc.net, 0)
        if self._announce:
            self._schedule(_ANNOUNCE_MS)
            self._announce_at = self.stack.now

    def probe(self, addr, done):
        """Ask whether `addr` is in use, for 4 to 7 s (RFC 5227 2.1.1); then done(), once.

        done is given the MAC of a station that uses it, None if there is none, or b"" if the
        interface went down, or another probe began, before that was known.
        """
        from .probe import Probe

        self._end_probe()
        wait = 0
        if self._conflicts >= _MAX_CONFLICTS and self._probe_at is not None:
            # RFC 5227 2.1.1: no more than one address per RATE_LIMIT_INTERVAL from now on.
            ago = diff(self.stack.now, self._probe_at)
            if 0 <= ago < _RATE_LIMIT_MS:
                wait = _RATE_LIMIT_MS - ago
        self._probe = Probe(self, addr, done, wait)

    def send_probe(self, addr):
        self._probe_at = self.stack.now
        self._send(REQUEST, _BROADCAST, 0, _ZERO, 0, _ZERO, 0, addr, 0)

    def probed(self, probe, mac):
        # A probe has ended: the MAC of the address's user, None, or b"".
        if self._probe is probe:
            self._probe = None
        if mac:
            self._conflicts += 1
        probe.done(mac)

    def _end_probe(self):
        if self._probe is not None:
            self._probe.finish(b"")

    def _conflict(self, buf, off):
        self.stack.stats["arp_conflict"] += 1
        self.conflict = mac = bytes(buf[off + 8 : off + 14])
        self._conflict_addr = self.ifc.addr
        self._conflict_at = now = self.stack.now
        if self._defended < 0:
            # RFC 5227 2.4 (b) and (c): defend, but not again within DEFEND_INTERVAL.
            self._defended = now
            self._schedule(_DEFEND_MS)
            self._send(REQUEST, _BROADCAST, 0, self.ifc.net, 0, _ZERO, 0, self.ifc.net, 0)
        elif self.on_lost is not None:
            # (b): a second conflict within it; the address is not ours any more.
            self._conflicts += 1
            self.on_lost(mac)
        if self.on_conflict is not None:
            self.on_conflict(mac)

    # Ageing and retries.

    def expire(self, now):
        if self._announce and diff(now, self._announce_at) >= _ANNOUNCE_MS:
            self._announcement()
        elif self._announce:
            self._schedule(_ANNOUNCE_MS - diff(now, self._announce_at))
        if self._defended >= 0:
            left = _DEFEND_MS - diff(now, self._defended)
            if left > 0:
                self._schedule(left)
            else:
                self._defended = -1
        for i in range(ENTRIES):
            s = self.state[i]
            if s == INCOMPLETE or (s == STALE and self.tries[i]):
                self._retry(i, now)
            elif s == STALE and diff(self.used[i], self.time[i]) >= 0:
                self._ask(i)  # used since it grew old
            elif s == REACHABLE or s == STALE:
                if diff(now, self.used[i]) > _UNUSED_MS:
                    self._free(i)
                else:
                    if s == REACHABLE and diff(now, self.time[i]) > _REACHABLE_MS:
                        self._enter(i, STALE)
                    self._schedule(_REACHABLE_MS)
        if self._lost:
            self._report()

    def _retry(self, i, now):
        left = _RETRY_MS - diff(now, self.time[i])
        if left > 0:
            self._schedule(left)
        elif self.tries[i] < _TRIES:
            self._ask(i)
        else:
            self._fail(i)

    # Management.

    def add(self, addr, mac):
        """A static entry (4 and 6 bytes) that nothing received overwrites. OSError: table full."""
        i = _find(self.addrs, ENTRIES, 4, addr, 0)
        if i < 0:
            i = self._slot()
            if i < 0:
                raise OSError(ENOMEM)
        _copy(self.addrs, 4 * i, addr, 0, 4)
        _copy(self.macs, 6 * i, mac, 0, 6)
        self._enter(i, STATIC)
        self._flush(i)

    def delete(self, addr):
        """Forget an address; False if it was not there."""
        i = _find(self.addrs, ENTRIES, 4, addr, 0)
        if i < 0 or not self.state[i]:
            return False
        self._free(i)
        # The row will be another address's, and these frames are not for that one.
        self.pending = [p for p in self.pending if p[0] != i]
        return True

    def clear(self):
        """Forget all but the static entries."""
        for i in range(ENTRIES):
            if self.state[i] != STATIC:
                self._free(i)
        self.pending.clear()
        self._announce = 0
        self._defended = -1
        self._conflicts = 0
        self._end_probe()

    def entries(self):
        """The cache as a list of dicts: ip, mac, state, age_s, if.

        A station that claims our own address is among them, its state "conflict".
        """
        out = []
        if self.conflict is not None:
            out.append(
                {
                    "ip": ip4_text(self._conflict_addr),
                    "mac": mac_text(self.conflict),
                    "state": "conflict",
                    "age_s": diff(self.stack.time(), self._conflict_at) // 1000,
                    "if": self.ifc.name,
                }
            )
        for i in range(ENTRIES):
            s = self.state[i]
            if s:
                out.append(
                    {
                        "ip": ip4_text(self.addrs, 4 * i),
                        "mac": mac_text(self.macs, 6 * i) if s != INCOMPLETE else "",
                        "state": NAMES[s],
                        "age_s": diff(self.stack.time(), self.time[i]) // 1000,
                        "if": self.ifc.name,
                    }
                )
        return out
