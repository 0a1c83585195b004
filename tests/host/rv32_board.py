"""MicroPython for RV32 in QEMU, on its raw REPL, with viperip in a ROM filesystem in its RAM."""

import socket
import subprocess
import time
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from viperip_host import package, process, resources, romfs

QEMU = "qemu-system-riscv32"
ROM = 0x84000000
DEVICE = Path(__file__).parents[1] / "device"
SCRIPTS = ("rv32_wifi.py",)


def addresses(elf: Path) -> dict[str, int]:
    """The global symbols of an ELF file."""
    with elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        return {
            symbol.name: symbol["st_value"]
            for symbol in table.iter_symbols()
            if symbol["st_info"]["bind"] == "STB_GLOBAL"
        }


def rom() -> bytes:
    """The package as a board has it, compiled for RV32, and the scripts of the tests."""
    files = {}
    for name in package.files():
        path = resources.firmware() / name
        data = package.compiled(path, name, "rv32imc")
        files["/" + name.removesuffix(".py") + ".mpy"] = data
    for name in SCRIPTS:
        files["/" + name] = (DEVICE / name).read_bytes()
    return romfs.build(files)


class RV32Board:
    """A board that runs. IMAGE: what is booted, an ELF file; FOLDER: for its files."""

    def __init__(self, image: bytes, folder: Path) -> None:
        contents = rom()
        (folder / "firmware.elf").write_bytes(image)
        (folder / "rom").write_bytes(contents)
        line = folder / "serial"
        self.popen = subprocess.Popen(
            [QEMU, "-machine", "virt", "-bios", "none", "-display", "none"]
            + ["-monitor", "none", "-nodefaults", "-kernel", str(folder / "firmware.elf")]
            + ["-device", f"loader,file={folder / 'rom'},addr={ROM:#x},force-raw=on"]
            + ["-serial", f"unix:{line},server=on,wait=on"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=process.die_with_parent(),
        )
        self.socket = self._connect(str(line))
        self._mount = (
            "import sys, uctypes, vfs\n"
            f"vfs.mount(vfs.VfsRom(uctypes.bytearray_at({ROM}, {len(contents)})), '/rom')\n"
            "sys.path.insert(0, '/rom')\n"
        )
        self._enter()

    def _connect(self, line: str) -> socket.socket:
        end = time.monotonic() + 20
        while self.popen.poll() is None and time.monotonic() < end:
            one = socket.socket(socket.AF_UNIX)
            try:
                one.connect(line)
            except OSError:  # not there, or not listening yet
                one.close()
                time.sleep(0.01)
            else:
                one.settimeout(60)
                return one
        self.popen.kill()
        raise AssertionError(f"QEMU does not start: {self.popen.communicate()[0]!r}")

    def _enter(self) -> None:
        self.socket.sendall(b"\r\x03\x01")
        self._until(b"raw REPL; CTRL-B to exit\r\n>")
        self.run(self._mount)

    def _until(self, end: bytes) -> bytes:
        got = bytearray()
        while not got.endswith(end):
            part = self.socket.recv(4096)
            assert part, f"QEMU has ended: {bytes(got)!r}"
            got += part
        return bytes(got)

    def run(self, script: str) -> str:
        """What a script prints. AssertionError with its traceback."""
        self.socket.sendall(script.encode() + b"\x04")
        got = self._until(b"\x04>")
        assert got.startswith(b"OK"), got
        out, _, error = got[2:-2].partition(b"\x04")
        assert not error, error.decode(errors="replace")
        return out.decode()

    def soft_reset(self) -> None:
        """Ctrl-D: the program is gone, the firmware is not."""
        self.socket.sendall(b"\x04")
        self._until(b"raw REPL; CTRL-B to exit\r\n>")
        self.run(self._mount)

    def close(self) -> None:
        self.socket.close()
        self.popen.kill()
        self.popen.communicate()
