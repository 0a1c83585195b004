# netstat, ifstat, arp and route: the state of the stack as tables and as lists of dicts.
import viperip

from ..address import ip4_text, mac_text, mask_prefix
from ..stack import diff


def _table(rows, columns):
    # Print the named columns of a list of dicts.
    lines = [columns] + [[str(r.get(c, "")) for c in columns] for r in rows]
    widths = [max([len(line[i]) for line in lines]) for i in range(len(columns))]
    for line in lines:
        cells = [line[i] + " " * (widths[i] - len(line[i])) for i in range(len(columns))]
        print("  ".join(cells).rstrip())
    return rows


def _endpoint(addr, port):
    return "%s:%s" % (ip4_text(addr) if any(addr) else "*", port or "*")


def sockets(stack):
    """The TCP connections and listeners and the UDP ports of a stack."""
    rows = []
    if stack._tcp is not None:
        for c in stack._tcp.listeners + stack._tcp.connections:
            rows.append(c.as_dict())
    if stack._udp is not None:
        for e in stack._udp.endpoints:
            rows.append(
                {
                    "proto": "udp",
                    "local": _endpoint(e.local, e.port),
                    "remote": _endpoint(e.remote, e.remote_port),
                    "state": "",
                    "recv_q": e.used,
                    "send_q": 0,
                    "dropped": e.dropped,
                }
            )
    return rows


def interfaces(stack):
    """The interfaces of a stack with their counters."""
    rows = []
    for i in stack.interfaces:
        rows.append(
            {
                "if": i.name,
                "mac": mac_text(i.mac),
                "ip": "%s/%d" % (ip4_text(i.net), mask_prefix(i.mask)),
                "mtu": i.mtu,
                "up": i.active,
                "link": i.dev.link(),
                "rx_frames": i.rx_frames,
                "rx_bytes": i.rx_bytes,
                "tx_frames": i.tx_frames,
                "tx_bytes": i.tx_bytes,
                "tx_drops": i.tx_drops,
                "conflict": mac_text(i.arp.conflict) if i.arp and i.arp.conflict else "",
            }
        )
    return rows


def states(rows):
    """How many of the rows of sockets() are in each TCP state, as a dict."""
    out = {}
    for r in rows:
        if r["state"]:
            out[r["state"]] = out.get(r["state"], 0) + 1
    return out


def netstat(stack=None):
    """Print TCP connections with their round-trip time in ms, how many are in each state, and UDP
    ports; returns the rows."""
    rows = sockets(stack or viperip.default())
    _table(rows, ["proto", "recv_q", "send_q", "local", "remote", "state", "rtt"])
    count = states(rows)
    if count:
        print("tcp: " + ", ".join(["%d %s" % (count[s], s) for s in sorted(count)]))
    return rows


def ifstat(stack=None, interval_ms=0):
    """Print the interfaces, and the stack's counters that are not 0; returns the interfaces.

    With interval_ms it looks twice, so long apart, and adds rates: rx_bit_s, tx_bit_s, rx_frame_s,
    tx_frame_s."""
    stack = stack or viperip.default()
    columns = ["if", "ip", "mac", "mtu", "up", "rx_frames", "rx_bytes", "tx_frames", "tx_bytes"]
    rows = interfaces(stack)
    if interval_ms > 0:
        rows = _rates(stack, rows, interval_ms)
        columns += ["rx_bit_s", "tx_bit_s", "rx_frame_s", "tx_frame_s"]
    _table(rows, columns)
    for r in rows:
        if r["conflict"]:
            print("%s: address conflict with %s" % (r["if"], r["conflict"]))
    for name in sorted(stack.stats):
        if stack.stats[name]:
            print("%s: %d" % (name, stack.stats[name]))
    return rows


def _rates(stack, before, interval_ms):
    start = stack.time()
    passed = 0
    while passed < interval_ms:
        stack.wait(interval_ms - passed)
        passed = diff(stack.time(), start)
    rows = interfaces(stack)
    for r in rows:
        for b in before:
            if b["if"] == r["if"]:
                for way in ("rx", "tx"):
                    for what, unit, each in (("bytes", "bit", 8000), ("frames", "frame", 1000)):
                        key = "%s_%s" % (way, what)
                        more = (r[key] - b[key]) & 0x3FFFFFFF  # the counters go round
                        r["%s_%s_s" % (way, unit)] = more * each // passed
    return rows


def arp(stack=None):
    """Print the ARP caches; returns their entries."""
    rows = []
    for ifc in (stack or viperip.default()).interfaces:
        if ifc.arp is not None:
            rows.extend(ifc.arp.entries())
    return _table(rows, ["ip", "mac", "state", "age_s", "if"])


def route(stack=None):
    """Print the routing table; returns its routes."""
    rows = [r.as_dict() for r in (stack or viperip.default()).ip.routes.routes]
    return _table(rows, ["destination", "gateway", "if", "metric", "kind"])
