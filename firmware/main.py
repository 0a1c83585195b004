# The demo board: it comes up, looks around, and serves a page about itself on port 80.
# `viperip sim` runs it when it is given no script; on a board it is what starts after boot.
import asyncio
import gc
import json
import sys
import time

import viperip
from viperip.address import ip4_text, mac_text
from viperip.errors import ETIMEDOUT

PORT = 80
PINGS = 3
PACKETS = 20  # how many of the last frames the page shows
DHCP_SECONDS = 30


def board_up():
    """The wired interface, with an address. SystemExit when there is none to be had."""
    try:
        return viperip.up(DHCP_SECONDS * 1000)
    except OSError as e:
        if e.errno != ETIMEDOUT:
            raise
        print("no DHCP server answered within %d s" % DHCP_SECONDS)
        sys.exit(1)


def find_trace(dev):
    """The packet log around the device, or None: a board may have been started without."""
    while dev is not None:
        if hasattr(dev, "recent"):
            return dev
        # Not getattr(): a wrapper passes unknown names on to the device inside.
        dev = dev.__dict__.get("dev")
    return None


def say_who(lan):
    ifc = lan.interface
    address = "%s netmask %s" % lan.ipconfig("addr4")
    print("board: %s, MAC %s, IP %s" % (ifc.name, mac_text(ifc.mac), address))
    dns = ", ".join([ip4_text(a) for a in ifc.dns]) or "none"
    gateway = lan.ipconfig("gw4")
    lease = ifc.dhcp.lease if ifc.dhcp is not None else None
    if lease:
        print(
            "DHCP: lease of %d s from %s, gateway %s, DNS %s"
            % (lease["lease_s"], ip4_text(lease["server"]), gateway, dns)
        )
    else:
        print("static address: gateway %s, DNS %s" % (gateway, dns))


def is_arp(f):
    return f[12] == 8 and f[13] == 6


def mac_of(lan, ip):
    for entry in lan.interface.arp.entries():
        if entry["ip"] == ip and entry["mac"]:
            return entry["mac"]
    return None


def find_gateway(lan, trace):
    """Let ARP find the gateway's MAC, and print how that went."""
    gateway = lan.ipconfig("gw4")
    mac = mac_of(lan, gateway)
    asked = mac is None
    if asked:
        if trace is not None:
            trace.only = is_arp
            trace.on = True
        # Something to send is what makes ARP ask.
        viperip.ping(gateway, count=1, timeout_ms=3000, quiet=True)
        mac = mac_of(lan, gateway)
        if trace is not None:
            trace.on = False
    if mac is None:
        print("ARP: nobody answers for %s" % gateway)
    elif not asked or trace is None:
        print("ARP: %s is-at %s (from the cache)" % (gateway, mac))


class FirstConnection:
    """Picks the frames of the first TCP connection to a port, until it has closed."""

    def __init__(self, trace, port):
        self._trace = trace
        self._port = port
        self._ends = None  # (the client's address and port, ours), (ours, the client's)
        self._fins = [None, None]  # the number that acknowledges each end's FIN
        self._acked = [False, False]

    def __call__(self, f):
        if f[12] != 8 or f[13] or f[23] != 6:
            return False
        t = 14 + (f[14] & 15) * 4
        source = f[26:30] + f[t : t + 2]
        target = f[30:34] + f[t + 2 : t + 4]
        flags = f[t + 13]
        if self._ends is None:
            if flags & 0x12 != 2 or f[t + 2] << 8 | f[t + 3] != self._port:
                return False
            self._ends = ((source, target), (target, source))
        if (source, target) not in self._ends:
            return False
        who = self._ends.index((source, target))
        seq = int.from_bytes(f[t + 4 : t + 8], "big")
        if flags & 1:
            length = (f[16] << 8 | f[17]) - (t - 14) - (f[t + 12] >> 4) * 4
            self._fins[who] = (seq + length + 1) & 0xFFFFFFFF
        if flags & 16 and int.from_bytes(f[t + 8 : t + 12], "big") == self._fins[1 - who]:
            self._acked[1 - who] = True
        if flags & 4 or all(self._acked):
            self._trace.on = False  # this line is still printed
        return True


def status(lan, trace):
    """Everything the page shows."""
    from viperip.application.netstat import interfaces, sockets

    stack = viperip.default()
    ifc = lan.interface
    gc.collect()
    return {
        "board": {
            "version": viperip.__version__,
            "platform": sys.platform,
            "interpreter": "MicroPython " + ".".join([str(n) for n in sys.implementation[1][:3]]),
            "hostname": stack.hostname,
            "mac": mac_text(ifc.mac),
            "ip": ip4_text(ifc.net),
            "gateway": ip4_text(ifc.gateway),
            "dns": [ip4_text(a) for a in ifc.dns],
        },
        "dhcp": ifc.dhcp.info() if ifc.dhcp is not None else None,
        "uptime_s": int(time.time() - stack.boot),
        "heap": {"used": gc.mem_alloc(), "free": gc.mem_free()},
        "interfaces": interfaces(stack),
        "counters": {k: stack.stats[k] for k in stack.stats if stack.stats[k]},
        "arp": [e for i in stack.interfaces if i.arp is not None for e in i.arp.entries()],
        "sockets": sockets(stack),
        "packets": trace.recent() if trace is not None else [],
    }


def web(lan, trace):
    """The web server: microdot as it comes from PyPI."""
    from microdot import Microdot

    app = Microdot()
    folder = globals().get("__file__", "main.py").rpartition("/")[0]
    with open((folder + "/" if folder else "") + "demo/page.html", "rb") as f:
        page = f.read()

    @app.route("/")
    async def index(request):
        return page, 200, {"Content-Type": "text/html; charset=utf-8"}

    @app.route("/api/status")
    async def api(request):
        body = json.dumps(status(lan, trace))
        kind = "application/json; charset=utf-8"
        return body, 200, {"Content-Type": kind, "Cache-Control": "no-store"}

    return app


async def serve(app):
    server = asyncio.create_task(app.start_server("0.0.0.0", PORT))
    tcp = viperip.default().tcp
    while PORT not in [one.port for one in tcp.listeners]:
        if server.done():
            break  # it could not listen; awaiting it says why
        await asyncio.sleep_ms(1)
    else:
        viperip.event("listen", port=PORT)
    await server


def main():
    lan = board_up()
    trace = find_trace(lan.interface.dev)
    if trace is not None:
        trace.on = False
        trace.keep = PACKETS
    say_who(lan)
    if any(lan.interface.gateway):
        find_gateway(lan, trace)
        viperip.ping(lan.ipconfig("gw4"), count=PINGS, interval_ms=200)
    app = web(lan, trace)
    print("web server: http://%s/, microdot on the board's own TCP" % lan.ipconfig("addr4")[0])
    if trace is not None:
        trace.only = FirstConnection(trace, PORT)
        trace.on = True
    asyncio.run(serve(app))


main()
