"""MicroPython for RV32 on QEMU, with a firmware's Wi-Fi of ours: built from Debian's source.

`python -m viperip_host.rv32` fetches the source package `micropython` with a private apt
(debian.py says from where), adds rv32_wifi/ and firmware/usermod to it, builds it once into a
cache folder (ten seconds) and prints its path. Inline assembler is off, as in the firmware of an
ESP32. Exit status: 0 there, 1 not to be had (one line says why).
"""

import hashlib
import re
import shutil
import sys
from pathlib import Path

from viperip_host import debian, resources
from viperip_host.errors import FAILURE, OK, HostError

SUITE = "forky"
PACKAGE = "micropython"
OLDEST = (1, 26, 1)  # the first that builds with Debian 12's compiler
SOURCES = Path(__file__).with_name("rv32_wifi")
COMPILER = "riscv64-unknown-elf-gcc"
# What the port's configuration leaves out or in, and the firmware of an ESP32 has otherwise.
CONFIG = """
#undef MICROPY_EMIT_INLINE_RV32
#define MICROPY_EMIT_INLINE_RV32 (0)
#undef MICROPY_PY_TIME
#define MICROPY_PY_TIME (1)
"""
# By version 2.2 of the ISA the Zicsr instructions belong to the base: with later ones this
# compiler takes the 64-bit libraries.
FLAGS = (
    "BOARD=VIRT_RV32",
    "FROZEN_MANIFEST=",
    "RV32_ARCH=rv32imac -misa-spec=2.2",
    "MICROPY_HEAP_SIZE=1048576",
)


def usermod() -> Path:
    """The folder of the user C module."""
    return resources.firmware() / "usermod"


def program() -> Path:
    """Where the ELF file is once it is built: of other sources it is another one."""
    digest = hashlib.sha256((CONFIG + " ".join(FLAGS)).encode())
    for folder in (SOURCES, usermod()):
        for path in sorted(folder.rglob("*.*")):
            digest.update(path.read_bytes())
    return debian.cache(f"micropython-rv32-{digest.hexdigest()[:12]}") / "firmware.elf"


def find() -> Path:
    """The ELF file. HostError when it has not been built."""
    path = program()
    if not path.is_file():
        raise HostError("MicroPython for RV32 is not built yet: python -m viperip_host.rv32")
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
    needs = (
        "needs a Debian, or a system like it, with "
        "gcc-riscv64-unknown-elf and picolibc-riscv64-unknown-elf"
    )
    with debian.building(target, PACKAGE, SUITE, ("gcc", COMPILER), needs) as (top, archive):
        check_version(archive.name)
        # Debian's archive has no submodules; make asks for this one.
        readme = top / "lib" / "micropython-lib" / "README.md"
        readme.parent.mkdir(parents=True, exist_ok=True)
        readme.touch()
        port = top / "ports" / "qemu"
        with (port / "mpconfigport.h").open("a") as config:
            config.write(CONFIG)
        modules = top.parent / "modules"
        shutil.copytree(SOURCES, modules / "fake_wifi")
        shutil.copytree(usermod(), modules / "viperip_wlan")
        debian.make(port, *FLAGS, f"USER_C_MODULES={modules}")
        debian.keep(port / "build-VIRT_RV32" / "firmware.elf", target)


def check_version(name: str) -> None:
    """HostError unless an archive, micropython_1.26.1+ds.orig.tar.xz, is new enough."""
    found = re.match(r"micropython_([0-9]+)\.([0-9]+)\.([0-9]+)", name)
    if found is None or tuple(int(part) for part in found.groups()) < OLDEST:
        wanted = ".".join(str(part) for part in OLDEST)
        raise HostError(f"{name}: needs MicroPython {wanted} or newer")


def image(elf: Path) -> bytes:
    """What runs: the ELF file with its own SHA-256 in its description, as esptool does it."""
    from elftools.elf.elffile import ELFFile

    data = elf.read_bytes()
    with elf.open("rb") as file:
        section = ELFFile(file).get_section_by_name(".flash.appdesc")
        assert section is not None
        at = section["sh_offset"] + 0x90
    return data[:at] + hashlib.sha256(data).digest() + data[at + 32 :]


def main() -> int:
    try:
        print(f"MicroPython for RV32 ({fetch()})")
    except HostError as error:
        print(f"viperip: MicroPython for RV32: {error}", file=sys.stderr)
        return FAILURE
    return OK


if __name__ == "__main__":
    sys.exit(main())
