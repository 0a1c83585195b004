# The link that a board inherits, as viperip_host/links.py describes it.


def open_wire(link, station):
    kind = link["type"]
    if kind == "wire":
        from viperip.link.wire import Wire

        dev = Wire(link["fd"], station)
    elif kind == "udp":
        from viperip.link.udpwire import UDPWire

        dev = UDPWire(link["local"], link["remote"], station)
    elif kind == "tap":
        from viperip.link.linux import Tap

        dev = Tap(link["fd"], link["name"], station)
    else:
        from viperip.link.linux import Packet

        dev = Packet(link["ifname"], station)
    return dev
