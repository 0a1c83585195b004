# Ask a time server what time it is (SNTP, RFC 4330).
#
#   viperip sim firmware/examples/sntp.py [HOST[:PORT]]
#
# On a board, viperip.application.sntp.settime() sets its clock, machine.RTC.
import sys
import time

from viperip.address import ip4
from viperip.application import sntp

import viperip

name, _, port = (sys.argv[1] if len(sys.argv) > 1 else "pool.ntp.org").partition(":")
try:
    ip4(name)
except ValueError:
    try:
        viperip.default().resolver.lookup(name)
    except OSError:
        sys.exit("no address for %s: is the name right, and this computer online?" % name)
try:
    seconds = sntp.time(name, int(port or sntp.PORT))
except OSError as e:
    sys.exit("no time from %s" % e.args[1])
print("%04d-%02d-%02d %02d:%02d:%02d UTC" % time.gmtime(seconds)[:6])
