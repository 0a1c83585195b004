"""QEMU's Xtensa boards, for the NIC that Espressif's QEMU shares with them: `open_eth`.

`python -m viperip_host.qemu_xtensa` fetches Debian's packages once into a cache folder, as
qemu.py does, and prints the version. Exit status: 0 there, 1 not to be had (one line says why). A
qemu-system-xtensa on PATH does as well. Espressif's own QEMU is not among Debian's packages.
"""

import dataclasses
import shutil
import sys
from pathlib import Path

from viperip_host import debian, qemu
from viperip_host.errors import HostError

PROGRAM = "qemu-system-xtensa"
_ARM = f"qemu-system-arm/{qemu.SUITE}"
_MISC = f"qemu-system-misc/{qemu.SUITE}"
PACKAGES = dataclasses.replace(
    qemu.PACKAGES,
    needs="needs Linux on x86-64, or a qemu-system-xtensa on PATH",
    # The libraries are the same.
    names={
        **{name: file for name, file in qemu.PACKAGES.names.items() if name != _ARM},
        _MISC: (
            "pool/main/q/qemu/qemu-system-misc_10.0.2+ds-2+deb13u1~bpo12+1_amd64.deb",
            "c8369f876a11ca0c6ee060509490d4ff644dc94b57300d8da7fcca6a5280390c",
        ),
    },
)


def launcher() -> Path:
    """The program to start: it runs QEMU through its own loader and libraries."""
    return debian.cache(f"qemu-misc-{qemu.SUITE}") / PROGRAM


def find() -> str:
    """The path of a QEMU with Xtensa boards. HostError when there is none, or it cannot run."""
    path = launcher()
    found = str(path) if path.is_file() else shutil.which(PROGRAM)
    if found is None:
        raise HostError("no qemu-system-xtensa: python -m viperip_host.qemu_xtensa")
    qemu.version(found)
    return found


def fetch() -> str:
    """The same, fetched now if need be. HostError when it is not to be had."""
    try:
        return find()
    except HostError:
        target = launcher().parent
        debian.fetch(PACKAGES, target, lambda root: qemu.write_launcher(root, target, PROGRAM))
    return find()


def main() -> int:
    return qemu.told(fetch)


if __name__ == "__main__":
    sys.exit(main())
