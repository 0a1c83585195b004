"""`viperip deploy --romfs`: the package in a ROM filesystem, from which it runs in place."""

import contextlib
import hashlib
import io
import subprocess
import sys
import tempfile
from pathlib import Path

from viperip_host.connection import Connection
from viperip_host.errors import HostError

_ROM = "/rom/"
_OURS = ("viperip", "microdot")

# MicroPython, extmod/vfs.h: rom_ioctl(1) tells the number of partitions, (2, i) gives one.
_ASK = """
import json, os, hashlib, binascii
z = 0
d = ""
o = []
try:
    import vfs
    if vfs.rom_ioctl(1) > 0:
        r = memoryview(vfs.rom_ioctl(2, 0))
        z = len(r)
        d = binascii.hexlify(hashlib.sha256(r[:%d]).digest()).decode()
        for p in ("/rom/", "/rom/lib/"):
            try:
                o += [p + e[0] for e in os.ilistdir(p[:-1])]
            except OSError:
                pass
except (ImportError, AttributeError, OSError, TypeError):
    pass
print(json.dumps([z, d, o]))
"""


def deploy(board: Connection, files: dict[str, bytes], force: bool) -> None:
    """Have mpremote write FILES unless they are there.

    HostError where the firmware has no room, or somebody else's files unless FORCE.
    """
    image = build(files)
    size, there, names = board.ask(_ASK % len(image), seconds=30)
    if not size:
        raise HostError(
            f"{board.port}: this firmware has no ROM filesystem (vfs.rom_ioctl and a romfs "
            "partition): leave --romfs out, and files go to the flash filesystem"
        )
    if len(image) > size:
        raise HostError(
            f"{board.port}: the ROM filesystem holds {size // 1024} KB, viperip needs "
            f"{len(image) // 1024} KB: leave --romfs out"
        )
    if there == hashlib.sha256(image).hexdigest():
        return
    known = [_ROM + "lib", *(f"{_ROM}lib/{name}" for name in _OURS)]
    yours = [name for name in names if name not in known]
    if yours and not force:
        raise HostError(
            f"{board.port}: the ROM filesystem is written as a whole, and has {yours[0]} of "
            "yours: --force replaces it"
        )
    _write(board, image)


def _write(board: Connection, image: bytes) -> None:
    port = board.port
    board.close()  # one program at a time
    # Its progress is for people, and no part of the result.
    shown = sys.stderr if sys.stderr.isatty() else subprocess.DEVNULL
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "viperip.romfs"
        file.write_bytes(image)
        done = subprocess.run(
            [sys.executable, "-m", "mpremote", "connect", port, "romfs", "deploy", str(file)],
            stdin=subprocess.DEVNULL,
            stdout=shown,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it does not say why"])[-1]
        raise HostError(f"{port}: mpremote could not write the ROM filesystem ({said}); try again")
    board.open()
    board.interrupt()


def build(files: dict[str, bytes]) -> bytes:
    """The image of a ROM filesystem with FILES (absolute path -> contents)."""
    from mpremote.romfs import make_romfs

    with tempfile.TemporaryDirectory() as folder:
        for path, data in files.items():
            target = Path(folder) / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        with contextlib.redirect_stdout(io.StringIO()):
            return bytes(make_romfs(folder, mpy_cross=False))
