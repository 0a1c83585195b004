"""hostapd, the access point of the Wi-Fi tests: built from Debian's source package `wpa`.

`python -m viperip_host.hostap` fetches the source with a private apt (debian.py says from where),
puts hostapd/driver_air.c in the place of one of its drivers, builds it once into a cache folder
(half a minute) and prints its path. Nothing is installed, no radio and no kernel module is needed.
Exit status: 0 there, 1 not to be had (one line says why).
"""

import hashlib
import shutil
import sys
from pathlib import Path

from viperip_host import debian
from viperip_host.errors import FAILURE, OK, HostError

SUITE = "bookworm"
PACKAGE = "wpa"
DRIVER = Path(__file__).with_name("hostapd") / "driver_air.c"
# Its own AES and SHA, no libraries; frames of authentication and association are hostapd's job.
CONFIG = """\
CONFIG_DRIVER_NONE=y
NEED_AP_MLME=y
CONFIG_TLS=internal
CONFIG_INTERNAL_LIBTOMMATH=y
CONFIG_INTERNAL_LIBTOMMATH_FAST=y
CONFIG_NO_ACCOUNTING=y
CONFIG_NO_RADIUS=y
CONFIG_NO_VLAN=y
CONFIG_NO_DUMP_STATE=y
CONFIG_NO_RANDOM_POOL=y
CONFIG_GETRANDOM=y
"""


def program() -> Path:
    """Where the program is once it is built: another driver or configuration is another one."""
    digest = hashlib.sha256(DRIVER.read_bytes() + CONFIG.encode()).hexdigest()[:12]
    return debian.cache(f"hostapd-{SUITE}-{digest}") / "hostapd"


def find() -> Path:
    """The program. HostError when it has not been built."""
    path = program()
    if not path.is_file():
        raise HostError("hostapd is not built yet: python -m viperip_host.hostap")
    return path


def fetch() -> Path:
    """The same, built now if need be. HostError when that cannot be done here."""
    try:
        return find()
    except HostError:
        build(program())
    return find()


def build(target: Path) -> None:
    """Fetch the source, and build it into TARGET."""
    needs = "needs a Debian, or a system like it, with gcc"
    with debian.building(target, PACKAGE, SUITE, ("gcc",), needs) as (top, _):
        shutil.copy(DRIVER, top / "src" / "drivers" / "driver_none.c")
        (top / "hostapd" / ".config").write_text(CONFIG)
        debian.make(top / "hostapd", "hostapd")
        debian.keep(top / "hostapd" / "hostapd", target)


def main() -> int:
    try:
        print(f"hostapd ({fetch()})")
    except HostError as error:
        print(f"viperip: hostapd: {error}", file=sys.stderr)
        return FAILURE
    return OK


if __name__ == "__main__":
    sys.exit(main())
