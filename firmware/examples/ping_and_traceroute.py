# Is a host there, and which way do packets take? Both print, and return what they found.
#
#   viperip sim firmware/examples/ping_and_traceroute.py
#   viperip sim firmware/examples/ping_and_traceroute.py HOST
#
# The private wire of `sim` has one host, its gateway; with --link tap:NAME there may be more.
import sys

import viperip

lan = viperip.LAN(viperip.board())
host = sys.argv[1] if len(sys.argv) > 1 else lan.ipconfig("gw4")

answers = viperip.ping(host, count=3, interval_ms=200)
times = [a["time_ms"] for a in answers if "time_ms" in a]
if times:
    print("best of %d: %.3f ms" % (len(times), min(times)))

hops = viperip.traceroute(host)
print("%s is hop %d" % (host, hops[-1]["hop"]))
