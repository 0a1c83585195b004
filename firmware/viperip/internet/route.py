# The routing table: longest prefix first, then lowest metric.
#
# Look-up is one viper call over packed rows (network, mask), sorted so that the first match is the
# best. The rows are rebuilt when a route, an address or an interface changes.
from .. import native
from ..errors import EEXIST
from ..address import ip4_text, mask_prefix, network

_find = native.load("ip").route_find


class Route:
    """net, mask: 4 bytes each; gateway: 4 bytes, or None for a network on the wire itself."""

    def __init__(self, net, mask, gateway, ifc, metric=0, kind="static"):
        self.net = net
        self.mask = mask
        self.gateway = gateway
        self.ifc = ifc
        self.metric = metric
        self.kind = kind  # "local", "connected", "default" (of an interface), "static"

    def as_dict(self):
        return {
            "destination": "%s/%d" % (ip4_text(self.net), mask_prefix(self.mask)),
            "gateway": ip4_text(self.gateway) if self.gateway else "",
            "if": self.ifc.name,
            "metric": self.metric,
            "kind": self.kind,
        }


class Routes:
    """The table of one stack. Routes of interface addresses come and go by themselves."""

    def __init__(self, stack):
        self.stack = stack
        self.static = []
        self.routes = []
        self._table = b""

    def add(self, net, mask, gateway, ifc, metric=0):
        """Add a static route. OSError(EEXIST) if the same one is there."""
        net = network(net, mask)
        for r in self.static:
            if r.net == net and r.mask == mask and r.metric == metric and r.ifc is ifc:
                raise OSError(EEXIST)
        self.static.append(Route(net, mask, gateway, ifc, metric))
        self.stack.changed()

    def delete(self, net, mask):
        """Delete the static routes to a network; False if there was none."""
        net = network(net, mask)
        keep = [r for r in self.static if r.net != net or r.mask != mask]
        found = len(keep) != len(self.static)
        self.static = keep
        self.stack.changed()
        return found

    def rebuild(self):
        s = self.stack
        routes = [r for r in self.static if r.ifc.active and r.ifc in s.interfaces]
        one = b"\xff\xff\xff\xff"
        nothing = bytes(4)
        metric = 0
        for ifc in s.interfaces:
            if not ifc.active or not any(ifc.net[:4]):
                continue
            addr = ifc.addr
            mask = ifc.mask
            if ifc.arp is None and addr[0] == 127:
                routes.append(Route(network(addr, mask), mask, None, ifc, 0, "local"))
                continue
            routes.append(Route(addr, one, None, ifc, 0, "local"))
            if mask != one:
                routes.append(Route(network(addr, mask), mask, None, ifc, metric, "connected"))
            if ifc.gateway != nothing:
                routes.append(Route(nothing, nothing, ifc.gateway, ifc, metric, "default"))
            metric += 1
        # MicroPython's sort is not stable: the place decides among equals, the first added wins.
        order = [(-mask_prefix(r.mask), r.metric, i) for i, r in enumerate(routes)]
        order.sort()
        routes = [routes[key[2]] for key in order]
        # Rows and routes stay in step when memory runs out: find() checks nothing.
        self._table = b"".join([r.net + r.mask for r in routes])
        self.routes = routes

    def find(self, buf, off, ifc=None):
        """Best route to the address at buf[off:off+4], through `ifc` if given; None: no route."""
        i = _find(self._table, len(self.routes), buf, off, 0)
        if i < 0:
            return None
        if ifc is None:
            return self.routes[i]
        return self._through(buf, off, ifc, i)

    def _through(self, buf, off, ifc, i):
        while i >= 0:
            r = self.routes[i]
            if r.ifc is ifc or r.kind == "local":
                return r
            i = _find(self._table, len(self.routes), buf, off, i + 1)
        return None
