# Pin the gateway's MAC address: no ARP message, forged or not, changes a static entry.
#
#   viperip sim firmware/examples/static_arp.py
import viperip
from viperip.address import ip4, mac

lan = viperip.LAN(viperip.board())
gateway = lan.ipconfig("gw4")
cache = lan.interface.arp

viperip.ping(gateway, count=1)  # lets ARP find the address, unless you know it already
found = [entry["mac"] for entry in cache.entries() if entry["ip"] == gateway]
if found:
    cache.add(ip4(gateway), mac(found[0]))
viperip.arp()

print("forget it:", cache.delete(ip4(gateway)))
viperip.arp()
