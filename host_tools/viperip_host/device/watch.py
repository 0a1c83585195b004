# A wrapper that tells `viperip explain` of every frame, with what the stack holds before and after
# it: one JSON object each on the control pipe.
import time

from viperip.address import ip4_text
from viperip.link.wrapper import Watcher
from viperip.stack import Timer
from viperip.transport.tcp.states import NAMES


def _signed(a, b):
    # a - b of two sequence numbers.
    return ((a - b + 0x80000000) & 0xFFFFFFFF) - 0x80000000


def connection(c):
    una = _signed(c.words[0], c.words[4])
    nxt = _signed(c.words[1], c.words[5])
    state = {
        "state": NAMES[c.state],
        "SND.UNA": una,
        "SND.NXT": una + c.snd_nxt,
        "SND.WND": c.snd_wnd,
        "RCV.NXT": nxt,
        "RCV.WND": c.rcv_adv,
        "cwnd": c.cwnd,
        "ssthresh": c.ssthresh,
        "srtt": c.srtt >> 3,
        "rto": c.rto_now,
        "dupacks": c.dupacks,
        "retransmits": c.retransmits,
        "send queue": c.snd_len,
        "receive queue": c.rcv_used,
        "out of order": " ".join(["%d:%d" % (nxt + a, nxt + b) for a, b in c.holes]),
    }
    return state


def state(stack):
    tcp = {}
    udp = {}
    if stack._tcp is not None:
        for c in stack._tcp.connections:
            ends = (ip4_text(c.local), c.port, ip4_text(c.remote), c.remote_port)
            tcp["%s:%d - %s:%d" % ends] = connection(c)
    if stack._udp is not None:
        for e in stack._udp.endpoints:
            udp["port %d" % e.port] = {"queue": e.used, "dropped": e.dropped}
    arp = {}
    for ifc in stack.interfaces:
        if ifc.arp is not None:
            for one in ifc.arp.entries():
                arp[one["ip"]] = {"mac": one["mac"], "entry": one["state"]}
    return {"tcp": tcp, "udp": udp, "arp": arp, "stats": stack.stats}


class _After(Timer):
    # Runs at the end of the round in which a frame was sent.
    def __init__(self, watch):
        self.watch = watch

    def expire(self, now):
        self.watch.after()


class Watch(Watcher):
    def __init__(self, dev, stack, tell):
        super().__init__(dev)
        self._stack = stack
        self._tell = tell
        self._open = False
        self._timer = _After(self)
        stack.add_timer(self._timer)

    def frame(self, buf, off, n, sent):
        self._open = True
        self._tell(
            {
                "event": "frame",
                "sent": sent,
                "us": time.ticks_us() & 0x3FFFFFFF,
                "data": bytes(memoryview(buf)[off : off + n]).hex(),
                "state": state(self._stack),
            }
        )
        if sent:
            self._stack.arm(self._timer, 0)

    def after(self):
        if self._open:
            self._open = False
            self._tell({"event": "after", "state": state(self._stack)})

    def release(self):
        super().release()
        self.after()
