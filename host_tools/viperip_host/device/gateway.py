# Runs in MicroPython, started by `viperip sim`: the other end of the private wire.
#
# A second viperip stack that takes what is for any address as its own: it answers ARP and ping,
# leases the board its address, and relays DNS, UDP and TCP through this computer's sockets. Its
# own address stands for this computer's loopback.
# VIPERIP_GATEWAY holds what plan.gateway_config() says.
import errno
import json
import os
import sys
import time

MAC = b"\x02\x76\x69\x70\x00\x01"
_IDLE_MS = 1000
_DELIVER_MS = 5000


class Relays:
    """The host's sockets that the gateway waits on; each has an owner with ready(events)."""

    def __init__(self, poller, pollin):
        self.poller = poller
        self.pollin = pollin
        self.owners = {}
        self.pending = []  # those with something to do after the stack's poll

    def add(self, sock, owner, events=0):
        fd = sock.fileno()
        self.owners[fd] = owner
        self.poller.register(fd, events or self.pollin)
        return fd

    def change(self, fd, events):
        self.poller.modify(fd, events)

    def remove(self, fd):
        """Forget a descriptor; call it before the socket is closed."""
        if self.owners.pop(fd, None) is not None:
            self.poller.unregister(fd)


def start(told):
    """(stack, interface, relays, poller, TCP relay) with all services running."""
    import select

    from viperip.address import cidr, ip4
    from viperip.application.dhcp_server import Server
    from viperip.interface import Interface
    from viperip.link.wire import Wire
    from viperip.stack import Stack

    stack = Stack(hostname="gateway")
    stack.ip.any_destination = True
    ifc = Interface(stack, Wire(told["fd"], MAC), "wire")
    addr, mask = cidr(told["ip"])
    stack.add_interface(ifc)
    ifc.up()
    ifc.configure(addr, mask)
    poller = select.poll()
    relays = Relays(poller, select.POLLIN)
    import gateway_dns
    import gateway_tcp
    import gateway_udp

    gateway_dns.start(stack, relays, told, addr)
    gateway_udp.start(stack, relays, told, addr)
    tcp = gateway_tcp.start(stack, relays, told, addr)
    Server(ifc, ip4(told["lease"]), 1, addr, [addr]).start()
    return stack, ifc, relays, poller, tcp


def serve(stack, ifc, relays, poller, tcp):
    """Until the board has closed its end of the wire, and the host has what it sent."""
    from select import POLLIN

    wire = ifc.dev
    fd = wire.fileno()
    poller.register(fd, POLLIN)
    owners = relays.owners
    while wire.link():
        left = stack.poll()
        if relays.pending:
            stack.enter()
            try:
                while relays.pending:
                    relays.pending.pop().run()
            finally:
                stack.leave()
            left = stack.poll()
            if relays.pending:
                left = 0
        for ready, events in poller.poll(min(left, _IDLE_MS)):
            owner = owners.get(ready)
            if owner is not None:
                stack.enter()
                try:
                    owner.ready(events)
                finally:
                    stack.leave()
    deliver(stack, relays, poller, tcp)


def deliver(stack, relays, poller, tcp):
    """Give the host's sockets what the board has sent; 5 s at most."""
    end = time.ticks_add(time.ticks_ms(), _DELIVER_MS)
    while tcp.finish():
        left = time.ticks_diff(end, time.ticks_ms())
        if left <= 0:
            return
        # The stack is not polled: without a wire its timers could only give connections up.
        for ready, events in poller.poll(left):
            owner = relays.owners.get(ready)
            if owner is not None:
                stack.enter()
                try:
                    owner.ready(events)
                finally:
                    stack.leave()


def main():
    told = json.loads(os.getenv("VIPERIP_GATEWAY"))
    own = __file__.rpartition("/")[0]
    sys.path[:] = [own, told["firmware"]] + [p for p in sys.path if p not in (own, "")]
    try:
        services = start(told)
    except OSError as e:
        # Only the ports that --forward names are opened here; another program was faster.
        ports = ", ".join([str(one["host_port"]) for one in told["forwards"]])
        name = errno.errorcode.get(e.errno, e.errno)
        sys.stderr.write(
            "viperip sim: --forward: port %s cannot be used (%s); choose another HOSTPORT\n"
            % (ports, name)
        )
        sys.exit(2)
    try:
        serve(*services)
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
