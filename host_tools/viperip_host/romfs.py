"""`viperip deploy --romfs`: the package in a ROM filesystem, from which it runs in place."""

import contextlib
import io
import subprocess
import sys
import tempfile
from pathlib import Path

from viperip_host import deploy as _deploy
from viperip_host import device_info
from viperip_host.connection import Connection
from viperip_host.errors import HostError

# MicroPython, extmod/vfs_rom_ioctl: 1 asks for the number of partitions, 2 for one of them.
_ASK = """
import json
try:
    import vfs
    o = [vfs.rom_ioctl(2, i) for i in range(max(vfs.rom_ioctl(1), 0))]
    print(json.dumps([len(r) for r in o if not isinstance(r, int)]))
except (ImportError, AttributeError, OSError):
    print("[]")
"""


def deploy(board: Connection) -> int:
    """Build the image and have mpremote write it. HostError where the firmware has no room."""
    sizes = board.ask(_ASK)
    if not sizes:
        raise HostError(
            f"{board.port}: this firmware has no ROM filesystem (vfs.rom_ioctl and a romfs "
            "partition): leave --romfs out, and files go to the flash filesystem"
        )
    image = build(device_info.ask(board))
    if len(image) > sizes[0]:
        raise HostError(
            f"{board.port}: the ROM filesystem holds {sizes[0] // 1024} KB, viperip needs "
            f"{len(image) // 1024} KB: leave --romfs out"
        )
    port = board.port
    board.close()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "viperip.romfs"
        file.write_bytes(image)
        command = [sys.executable, "-m", "mpremote", "connect", port, "romfs", "deploy", str(file)]
        done = subprocess.run(command, check=False)
    if done.returncode:
        raise HostError(f"{port}: mpremote could not write the ROM filesystem; try again")
    return 0


def build(info: device_info.DeviceInfo) -> bytes:
    """The image of a ROM filesystem with the compiled package in lib/."""
    from mpremote.romfs import make_romfs

    with tempfile.TemporaryDirectory() as folder:
        for path, data in _deploy.compiled(info, False, False):
            if path.startswith(_deploy.LIB):
                target = Path(folder) / path.lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
        with contextlib.redirect_stdout(io.StringIO()):
            return bytes(make_romfs(folder, mpy_cross=False))
