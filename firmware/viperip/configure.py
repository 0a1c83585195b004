# The network as it is configured: the board's profile and viperip_network.json.
import json
import time

import viperip

from .errors import ETIMEDOUT


def configuration():
    """What `viperip deploy --config` has left: a dict, empty without it."""
    try:
        with open("viperip_network.json") as f:
            return json.load(f)
    except OSError:
        return {}


def start():
    """Bring the board's interface up as it is configured, by DHCP without a configuration, and
    install(); the LAN, which may have no address yet."""
    told = configuration()
    stack = viperip.default()
    if "hostname" in told:
        stack.hostname = told["hostname"]
    lan = viperip.LAN(viperip.board())
    if not lan.active():
        if "addr4" in told:
            lan.ipconfig(addr4=told["addr4"])
            if "gw4" in told:
                lan.ipconfig(gw4=told["gw4"])
        lan.active(True)
    viperip.install()
    if not lan.isconnected() and "addr4" not in told and not lan.ipconfig("dhcp4"):
        lan.ipconfig(dhcp4=True)
    return lan


def up(timeout_ms=30000):
    """start(), and wait for an address: the LAN. OSError(ETIMEDOUT) when there is none in time."""
    lan = start()
    end = time.ticks_add(time.ticks_ms(), timeout_ms)
    while not lan.isconnected():
        left = time.ticks_diff(end, time.ticks_ms())
        if left <= 0:
            raise OSError(ETIMEDOUT, "no address within %d s" % (timeout_ms // 1000))
        viperip.default().wait(min(left, 50))
    dns = configuration().get("dns")
    if dns:
        from .address import ip4

        lan.interface.dns = [ip4(a) for a in dns]
    return lan
