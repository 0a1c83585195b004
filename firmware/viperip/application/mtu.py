# The path MTU to a host, by probes: echo requests that may not be fragmented (RFC 1191), and where
# routers say nothing, by trying (as RFC 8899 does for transports).
import viperip

from ..address import ip4_text
from .ping import Echo, resolve, wait

_LEAST = const(68)  # RFC 791: every link carries so much
_HEADERS = const(28)  # IPv4 and ICMP


class _Probes:
    def __init__(self, stack, dst, timeout_ms, tries, report):
        self.stack = stack
        self.dst = dst
        self.timeout_ms = timeout_ms
        self.tries = tries
        self.report = report
        self.sent = 0
        self.seq = 0

    def __call__(self, size):
        """Whether a datagram of `size` bytes arrives: True, False, or the MTU a router named."""
        echo = Echo(self.stack, self.dst, size - _HEADERS)
        listeners = self.stack.ip.icmp.listeners
        listeners.append(echo)
        try:
            for _ in range(self.tries):
                answer = self._one(echo)
                if answer:
                    break
        finally:
            listeners.remove(echo)
        found = self._judge(answer, size)
        if self.report:
            said = (answer or {}).get("error", "" if answer else "no answer")
            ip = (answer or {}).get("ip", "")
            self.report({"size": size, "fits": found is True, "from": ip, "said": said})
        return found

    def _one(self, echo):
        self.sent += 1
        self.seq += 1
        error = echo.send(self.seq, True)
        if error:
            raise OSError(error)
        wait(self.stack, self.timeout_ms, echo)
        return echo.answer

    def _judge(self, answer, size):
        if answer is None:
            return False
        if "mtu" not in answer:
            if "error" in answer:
                raise OSError("%s: %s" % (answer["ip"], answer["error"]))
            return True
        # RFC 1191 5: an old router names none; a liar names one that is too small or too large.
        return answer["mtu"] if _LEAST <= answer["mtu"] < size else False


def path_mtu(host, timeout_ms=1000, tries=2, quiet=False, report=None, stack=None):
    """The largest datagram that reaches a host whole. A dict: ip, mtu, mss (what TCP can carry),
    probes (how many were sent), black_hole (too large ones vanish, and nobody says so).

    report: called with a dict for each size: size, fits, from, said. OSError: the host does not
    answer echo requests, or there is no way to it."""
    stack = stack or viperip.default()
    dst = resolve(host)
    if not quiet and report is None:
        report = _say
    probe = _Probes(stack, dst, timeout_ms, tries, report)
    if probe(_LEAST) is not True:
        raise OSError("%s does not answer echo requests" % ip4_text(dst))
    low = _LEAST
    high = _interface_mtu(stack, dst)
    size = high
    silent = False
    while low < high:
        found = probe(size)
        if found is True:
            low = size
        elif found is False:
            silent = True
            high = size - 1
        else:
            high = found
        size = high if found is not True and found is not False else (low + high + 1) // 2
    out = {"ip": ip4_text(dst), "mtu": low, "mss": low - 40, "probes": probe.sent}
    out["black_hole"] = silent
    if not quiet:
        print("path MTU to %s: %d bytes (TCP segments of %d)" % (out["ip"], low, low - 40))
        if silent:
            print("a black hole: what is larger vanishes, and no router says so")
    return out


def _interface_mtu(stack, dst):
    r = stack.ip.route(dst, 0)
    if r is None:
        raise OSError("network unreachable")
    return stack.ip.egress(r).mtu


def _say(p):
    said = "fits" if p["fits"] else p["said"] + (" (%s)" % p["from"] if p["from"] else "")
    print("%5d bytes: %s" % (p["size"], said))
