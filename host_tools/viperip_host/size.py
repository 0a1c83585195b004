"""How large the stack is: python -m viperip_host.size

Prints the size of every compiled module for each architecture, and the heap that the usual parts
take on the 32-bit unix port when they are loaded from .mpy files (machine code lies outside the
heap there).
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from viperip_host import package, resources, unix32
from viperip_host.errors import HostError

_LOADED_ON = "x86"  # the 32-bit unix port


def compile_all(folder: Path, architecture: str) -> dict[str, int]:
    """Compile the package into FOLDER; the size of every .mpy in bytes by its module's file."""
    sizes = {}
    for name in package.files():
        target = (folder / name).with_suffix(".mpy")
        target.parent.mkdir(parents=True, exist_ok=True)
        package.compile_module(name, target, architecture)
        sizes[name] = target.stat().st_size
    return sizes


def heap(interpreter: str) -> dict[str, int]:
    """Bytes of heap on a 32-bit INTERPRETER: "code" when loaded, "state" of a host with nothing
    open. HostError when it fails."""
    with tempfile.TemporaryDirectory() as folder:
        compile_all(Path(folder), _LOADED_ON)
        program = resources.device() / "heap.py"
        done = subprocess.run(
            [interpreter, program, folder], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise HostError(f"{program.name}: {(done.stderr or done.stdout).strip()}")
    return {name: int(value) for name, value in map(str.split, done.stdout.splitlines())}


def main() -> int:
    """Print the sizes; 1 when something cannot be compiled or there is no 32-bit port."""
    tables = []
    try:
        for architecture in package.ARCHITECTURES:
            with tempfile.TemporaryDirectory() as folder:
                tables.append(compile_all(Path(folder), architecture))
        print("".join(f"{name:>11}" for name in package.ARCHITECTURES) + "  bytes of .mpy")
        for name in tables[0]:
            print("".join(f"{table[name]:11}" for table in tables) + f"  {name}")
        print("".join(f"{sum(table.values()):11}" for table in tables) + "  all")
        for what, size in heap(unix32.find().path).items():
            print(f"{size:11}  heap, {what}")
    except HostError as error:
        print(f"size: {error}", file=sys.stderr)
        return error.status
    return 0


if __name__ == "__main__":
    sys.exit(main())
