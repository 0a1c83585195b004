# For MicroPython's own build: the package becomes part of the firmware image. A board's build
# takes one manifest, so write one that adds this to what the port freezes anyway:
#
#   include("$(PORT_DIR)/boards/manifest.py")
#   include("/path/to/viperip/firmware/manifest.py")
#
# and build with FROZEN_MANIFEST=/path/to/that.py. The files are those that package.json lists.
import json

with open("package.json") as f:
    _package = json.load(f)

metadata(description="A TCP/IP stack", version=_package["version"], license="MIT")
package("viperip", files=[target.partition("/")[2] for target, _ in _package["urls"]])
