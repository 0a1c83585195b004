# Runs in MicroPython, started by `python -m viperip_host.size`: the heap that the usual parts take
# (link, ARP, IPv4, ICMP, UDP, TCP, socket, DHCP client), the folder with the package being given.
import gc
import sys

# What the firmware brings is not counted.
import array, errno, io, json, select, socket, struct, time  # noqa: E401, F401

PARTS = (
    "lan pump link.ethernet link.arp internet.ipv4 internet.icmp transport.udp transport.tcp "
    "socket application.dhcp"
)


def used():
    gc.collect()
    gc.collect()
    return gc.mem_alloc()


def load():
    for part in PARTS.split():
        __import__("viperip." + part)


def host():
    from viperip.interface import Interface
    from viperip.link.device import LinkDevice
    from viperip.stack import Stack

    stack = Stack()
    stack.add_interface(Interface(stack, LinkDevice(), "eth0"))
    return stack, stack.udp, stack.tcp


sys.path[:] = [sys.argv[1]] + sys.path
before = used()
load()
loaded = used()
print("code", loaded - before)
kept = host()
print("state", used() - loaded)
