# Multicast DNS responder (RFC 6762): NAME.local is this host, for everybody on the link.
from ..address import network
from ..internet import igmp
from ..stack import Timer, diff
from . import dns
from . import mdns_message as wire

_MASK = const(0x3FFFFFFF)
_TTL_S = const(120)  # RFC 6762 10: of records with a host name
_LEGACY_S = const(10)  # 6.7
_WATCH_MS = const(1000)
_PROBES = const(3)  # 8.1
_PROBE_MS = const(250)
_ANNOUNCEMENTS = const(2)  # 8.3
_ANNOUNCE_MS = const(1000)
_LOST_MS = const(1000)  # 8.2, wait after a tie that was lost
_CONFLICTS = const(15)  # 8.1
_CONFLICTS_MS = const(10000)
_SLOW_MS = const(5000)
_AGAIN_MS = const(1000)  # 6: between two multicasts of one record
_DEFEND_MS = const(250)  # 6: unless somebody probes
_MORE_MS = const(400)  # 7.2, and up to 100 ms more

# States.
_DOWN = const(0)  # no address, or no wire
_PROBING = const(1)
_ANNOUNCING = const(2)
_DONE = const(3)

# Records, as bits.
_HAS_A = const(1)
_HAS_NSEC = const(2)  # says that there is nothing else of that name (6.1)
_HAS_PTR = const(4)
_ALL = const(7)


class Responder(Timer):
    """Defends and answers for `name`.local (default: the stack's hostname) on an interface.

    When somebody else has the name it becomes name-2, name-3 ... (RFC 6762 9). on_name: called
    with "NAME.local" each time it has been won. ValueError: not one label of a host name.
    """

    def __init__(self, ifc, name=None, on_name=None):
        self.ifc = ifc
        self.stack = ifc.stack
        base = name or self.stack.hostname
        if base.endswith(".local"):
            base = base[:-6]
        if "." in base:
            raise ValueError("not a host name")
        dns.encode(base)
        self.base = base.encode()
        self.on_name = on_name
        self.number = 1
        self.state = _DOWN
        self.wire = b""  # the name in wire format
        self.addr = b""
        self.reverse = b""
        self._ep = None
        self._name()
        self.stack.stats.setdefault("mdns_bad", 0)
        self.stack.stats.setdefault("mdns_conflicts", 0)

    @property
    def name(self):
        """The name that is probed for or held, with ".local"."""
        return self.wire[1 : 1 + self.wire[0]].decode() + ".local"

    def isready(self):
        """True when the name is held."""
        return self.state >= _ANNOUNCING

    def start(self):
        """Probe for the name, then answer for it. OSError(EADDRINUSE): port 5353 is taken."""
        s = self.stack
        s.enter()
        try:
            if self._ep is None:
                self._ep = e = s.udp.open(handler=self, port=wire.PORT, reuse=True)
                e.ifc = e.multicast_ifc = self.ifc
                e.ttl = e.multicast_ttl = 255  # RFC 6762 11
                igmp.of(s).join(self.ifc, wire.GROUP)
                self._conflicts = 0
                self._conflict_at = 0
                self._up = False
                s.add_timer(self)
                self._reset()
                self.expire(s.now)
        finally:
            s.leave()

    def stop(self):
        """Say goodbye (RFC 6762 10.1), and answer no more."""
        s = self.stack
        s.enter()
        try:
            if self._ep is not None:
                self._goodbye()
                igmp.of(s).leave(self.ifc, wire.GROUP)
                self._ep.close()
                self._ep = None
                self.due = -1
                s.remove_timer(self)
                self._lose()
                self.state = _DOWN
        finally:
            s.leave()

    # The name.

    def _name(self):
        label = self.base
        if self.number > 1:
            tail = b"-%d" % self.number
            label = label[: 63 - len(tail)] + tail
        self.wire = dns.encode(label.decode())[:-1] + wire.LOCAL

    def _lose(self):
        if self.stack.local_name == self.wire:
            self.stack.local_name = b""

    def _reset(self):
        # Nothing is held, said or owed.
        self._lose()
        self.state = _DOWN
        self.count = 0
        self.step_at = -1
        self.answer_at = -1
        self.pending = 0
        self.known_by = b""
        self.last = [-1, -1, -1]  # when each record was multicast

    def _probe(self, ms):
        self._reset()
        self.state = _PROBING
        self.addr = a = self.ifc.addr
        digits = [b"%d" % a[i] for i in (3, 2, 1, 0)]
        self.reverse = b"".join([bytes((len(d),)) + d for d in digits]) + b"\x07in-addr\x04arpa\0"
        self.step_at = (self.stack.now + ms) & _MASK

    def _conflict(self):
        # RFC 6762 9: what is held is probed for again; what is probed for has been lost.
        s = self.stack
        s.stats["mdns_conflicts"] += 1
        if diff(s.now, self._conflict_at) > _CONFLICTS_MS:
            self._conflicts = 0
        self._conflict_at = s.now
        self._conflicts += 1
        if self.state == _PROBING:
            self.number += 1
            self._name()
        # 8.1: after fifteen in ten seconds, five seconds between attempts.
        self._probe(_SLOW_MS if self._conflicts >= _CONFLICTS else s.random(8) % _PROBE_MS)
        self._arm()

    # Time.

    def _watch(self):
        # RFC 6762 8.4, 13: another address, or a wire that was away, begins anew.
        ifc = self.ifc
        up = ifc.active and ifc.dev.link() and any(ifc.net[:4])
        if up and (not self._up or ifc.addr != self.addr):
            self._up = True
            if self.isready():
                self._goodbye()
            # 8.1: a random delay, so that a power cut does not have all hosts speak at once.
            self._probe(self.stack.random(8) % _PROBE_MS)
        elif not up and self._up:
            self._up = False
            self._reset()

    def expire(self, now):
        self._watch()
        if self.step_at >= 0 and diff(self.step_at, now) <= 0:
            self._step(now)
        if self.answer_at >= 0 and diff(self.answer_at, now) <= 0:
            self.answer_at = -1
            self.known_by = b""
            pending = self.pending
            self.pending = 0
            self._multicast(pending)
        self._arm()

    def _arm(self):
        now = self.stack.now
        ms = _WATCH_MS
        for t in (self.step_at, self.answer_at):
            if t >= 0:
                ms = min(ms, max(0, diff(t, now)))
        self.stack.arm(self, ms)

    def _step(self, now):
        wait = -1
        if self.state == _PROBING and self.count < _PROBES:
            # RFC 6762 8.1, 8.2: ANY, a unicast answer will do, and what we would say.
            ask = wire.question(self.wire, wire.ANY, wire.FLUSH | wire.IN)
            mine = wire.record(self.wire, wire.A, wire.IN, _TTL_S, self.addr)
            self._send(wire.message(0, 0, [ask], (), [mine]))
            wait = _PROBE_MS
        else:
            if self.state == _PROBING:
                self.state = _ANNOUNCING
                self.count = 0
                self.stack.local_name = self.wire
                if self.on_name is not None:
                    self.on_name(self.name)
            self._multicast(_HAS_A | _HAS_PTR)
            if self.count + 1 < _ANNOUNCEMENTS:
                wait = _ANNOUNCE_MS
            else:
                self.state = _DONE
        self.count += 1
        self.step_at = -1 if wait < 0 else (now + wait) & _MASK

    # Output.

    def _send(self, m, to=wire.GROUP, port=wire.PORT):
        self.stack.udp.send(self._ep, m, to, port, src=self.addr)

    def _records(self, which, flush, ttl):
        out = []
        cls = flush | wire.IN
        if which & _HAS_A:
            out.append(wire.record(self.wire, wire.A, cls, ttl, self.addr))
        if which & _HAS_PTR:
            out.append(wire.record(self.reverse, wire.PTR, cls, ttl, self.wire))
        if which & _HAS_NSEC:
            # RFC 6762 6.1: the owner itself as the next name, and a bit map of window 0: A.
            out.append(wire.record(self.wire, wire.NSEC, cls, ttl, self.wire + b"\0\1\x40"))
        return out

    def _multicast(self, which, ttl=_TTL_S):
        if not which:
            return
        for i in range(3):
            if which >> i & 1:
                self.last[i] = self.stack.now
        answers = self._records(which, wire.FLUSH, ttl)
        # RFC 6762 6.1: whoever wants the address may ask for another kind next.
        more = self._records(_HAS_NSEC, wire.FLUSH, ttl) if which == _HAS_A else ()
        self._send(wire.message(0, wire.RESPONSE, (), answers, (), more))

    def _goodbye(self):
        if self.isready():
            self._multicast(_HAS_A | _HAS_PTR, 0)

    # Input.

    def datagram(self, ep, p, off, n):
        if self.state == _DOWN:
            return
        try:
            m = wire.Message(p.buf, off, n)
        except ValueError:
            self.stack.stats["mdns_bad"] += 1
            return
        if m.flags & 0x780F:
            return  # RFC 6762 18.3, 18.11: neither opcodes nor errors
        ifc = self.ifc
        near = network(p.source(), ifc.mask) == network(self.addr, ifc.mask)
        if p.to != 3 and not near:
            return  # 11: by unicast, it may have come from anywhere
        if not m.flags & 0x8000:
            self._query(m, p, near)
        elif p.sport == wire.PORT:  # 6: what comes from another port is no response
            self._response(m)

    def _response(self, m):
        for _, name, kind, cls, ttl, data in m.records:
            if name != self.wire or cls & 0x7FFF != wire.IN:
                continue
            if kind == wire.A and self._own(data):
                # 6.6: somebody else speaks for us (a proxy, or our own goodbye, late): if caches
                # would forget us too early, it is set right.
                if ttl < _TTL_S // 2 and self.isready():
                    self._owe(_HAS_A, _AGAIN_MS)
                    self._arm()
            elif ttl and (kind == wire.A or self.state == _PROBING):
                # 8.1: while we probe, a record of any type is somebody's who has the name.
                self._conflict()
                return

    def _own(self, addr):
        for ifc in self.stack.interfaces:
            if ifc.addr == addr:
                return True
        return False

    def _query(self, m, p, near):
        probe = False
        for section, name, kind, cls, _, data in m.records:
            if section == wire.AUTHORITY and name == self.wire:
                probe = True
        if probe and self.state == _PROBING:
            self._tie(m)
            return
        if not self.isready():
            return
        which, unicast = self._wanted(m)
        which &= ~self._known(m)
        source = p.source()
        if p.sport != wire.PORT:
            if near and m.questions and self._asked(m):
                self._legacy(m, source, p.sport)
            return
        if source == self.known_by and not m.questions:
            # 7.2: the rest of what the querier knows.
            self.pending &= ~self._known(m)
        if not which:
            return
        now = self.stack.now
        if m.flags & wire.TRUNCATED:
            self.known_by = source
            self.pending |= which
            at = (now + _MORE_MS + self.stack.random(10) % 100) & _MASK
            if self.answer_at < 0 or diff(at, self.answer_at) > 0:
                self.answer_at = at
            self._arm()
        elif unicast and near and self._fresh(which):
            # 18.1: the query's id.
            more = self._records(_HAS_NSEC, wire.FLUSH, _TTL_S) if which == _HAS_A else ()
            answers = self._records(which, wire.FLUSH, _TTL_S)
            self._send(wire.message(m.ident, wire.RESPONSE, (), answers, (), more), source)
        else:
            self._owe(which, _DEFEND_MS if probe else _AGAIN_MS)
            if self.answer_at == now and not self.known_by:
                self.expire(now)
            else:
                self._arm()

    def _asked(self, m):
        # Whether a question is about us; _wanted() knows what is to be said.
        for name, _, cls in m.questions:
            if (name == self.wire or name == self.reverse) and cls & 0x7FFF in (wire.IN, wire.ANY):
                return True
        return False

    def _wanted(self, m):
        # (which records, whether all who ask are content with unicast)
        which = 0
        unicast = True
        for name, kind, cls in m.questions:
            if cls & 0x7FFF not in (wire.IN, wire.ANY):
                continue
            want = 0
            if name == self.wire:
                want = _HAS_A if kind == wire.A or kind == wire.ANY else _HAS_NSEC
            elif name == self.reverse and (kind == wire.PTR or kind == wire.ANY):
                want = _HAS_PTR
            if want:
                which |= want
                unicast = unicast and bool(cls & wire.FLUSH)
        return which, unicast

    def _known(self, m):
        # RFC 6762 7.1: what the querier has with at least half of its time left.
        which = 0
        for section, name, kind, cls, ttl, data in m.records:
            if section == wire.ANSWER and ttl >= _TTL_S // 2:
                if name == self.wire and kind == wire.A and data == self.addr:
                    which |= _HAS_A
                elif name == self.reverse and kind == wire.PTR and data == self.wire:
                    which |= _HAS_PTR
        return which

    def _fresh(self, which):
        # RFC 6762 5.4: whether all caches have heard it within a quarter of its time.
        for i in range(3):
            t = self.last[i]
            if which >> i & 1 and (t < 0 or diff(self.stack.now, t) >= _TTL_S * 250):
                return False
        return True

    def _owe(self, which, between):
        # To be multicast as soon as each record may be again (RFC 6762 6).
        now = at = self.stack.now
        for i in range(3):
            t = self.last[i]
            if which >> i & 1 and t >= 0 and 0 <= diff(now, t) < between:
                t = (t + between) & _MASK
                if diff(t, at) > 0:
                    at = t
        self.pending |= which
        if self.answer_at < 0 or diff(at, self.answer_at) > 0 and not self.known_by:
            self.answer_at = at

    def _legacy(self, m, source, port):
        # RFC 6762 6.7: as an ordinary DNS server answers. Nothing is not there: NODATA.
        asked = []
        which = 0
        for name, kind, cls in m.questions:
            if name == self.wire or name == self.reverse:
                asked.append(wire.question(name, kind, cls & 0x7FFF))
                if kind == wire.A or kind == wire.ANY:
                    which |= _HAS_A if name == self.wire else 0
                if kind == wire.PTR or kind == wire.ANY:
                    which |= _HAS_PTR if name == self.reverse else 0
        answers = self._records(which, 0, _LEGACY_S)
        flags = wire.RESPONSE | m.flags & 0x0100
        self._send(wire.message(m.ident, flags, asked, answers), source, port)

    def _tie(self, m):
        # RFC 6762 8.2: both probe. The records are compared, class, type, data, in order; who has
        # the lexicographically earlier ones waits, and then probes again.
        mine = [(wire.IN, wire.A, self.addr)]
        theirs = []
        for section, name, kind, cls, _, data in m.records:
            if section == wire.AUTHORITY and name == self.wire:
                theirs.append((cls & 0x7FFF, kind, data))
        theirs.sort()
        if mine < theirs:
            self._probe(_LOST_MS)
            self._arm()
