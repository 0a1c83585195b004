# The board writes its own frames to a file that Wireshark opens.
#
#   viperip sim firmware/examples/capture.py [FILE.pcapng]
#   wireshark ping.pcapng
import sys

import viperip
from viperip.link.capture import Capture

path = sys.argv[1] if len(sys.argv) > 1 else "ping.pcapng"
lan = viperip.LAN(viperip.board())

# A capture is a link device around another one, so it can be put in at any time.
capture = lan.interface.dev = Capture(lan.interface.dev, path)
viperip.ping(lan.ipconfig("gw4"), count=3, interval_ms=100, quiet=True)
lan.interface.dev = capture.dev
capture.close()
print("%d frames in %s" % (capture.frames, path))
