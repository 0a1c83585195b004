"""`python -m tests.mutation [-k WORD]`: every mistake of emac.txt, and the test that goes red.

Each runs against a copy of the firmware in which it is made; the copy is links, but for one file.
Exit status 0 if none stays green.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.mutation.patches import Mutation, read
from viperip_host import interpreter, resources

SECONDS = 15.0
_TESTS = Path(__file__).resolve().parent.parent / "device"
# The driver's own tests. The comparison with the table of accesses comes last: it notices nearly
# everything, and says less of what would happen.
FILES = (
    "test_emac_frames",
    "test_emac_bringup",
    "test_emac_rings",
    "test_emac_link",
    "test_phy",
    "test_emac_routines",
    "test_emac_heap",
    "test_emac_stack",
    "test_emac_fuzz",
    "test_emac_sequence",
)


def copy(mutation: Mutation | None, folder: Path) -> None:
    """Make firmware/ anew in FOLDER, of links, with the one file that is different."""
    source = resources.firmware() / "viperip"
    target = folder / "viperip"
    target.mkdir()
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        if path.is_dir():
            if path.name != "__pycache__":
                (target / name).mkdir()
        elif path.suffix == ".py":
            (target / name).symlink_to(path)
    if mutation is not None:
        changed = target / mutation.file
        changed.unlink()
        changed.write_text(mutation.applied())


def first_red(program: str, mutation: Mutation | None) -> str:
    """The first test that fails and its exception; "hung ..." or the like; "" if all pass."""
    with tempfile.TemporaryDirectory() as name:
        copy(mutation, Path(name))
        folders = [name, str(resources.models()), str(resources.device())]
        command = [program, "-X", "heapsize=16M", str(_TESTS / "first_red.py"), ":".join(folders)]
        command += [str(_TESTS / f"{file}.py") for file in FILES]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
                env={"VIPERIP_BYTECODE": "1"} if mutation and mutation.twin else {},
            )
        except subprocess.TimeoutExpired:
            return f"hung for {SECONDS:.0f} s"
    last = (done.stdout.splitlines() or [""])[-1]
    if last == "GREEN":
        return ""
    return last.removeprefix("RED ") if last.startswith("RED ") else f"ended: {done.returncode}"


def main(arguments: list[str]) -> int:
    """Run, print a table, say what stayed green."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("-k", metavar="WORD", default="", help="only those with this in the name")
    word = parser.parse_args(arguments).k
    program = interpreter.find(None).path
    started = time.monotonic()
    before = first_red(program, None)
    if before:
        print(f"the tests are red without any mistake: {before}")
        return 1
    green = []
    chosen = [mutation for mutation in read() if word in mutation.name]
    for mutation in chosen:
        said = first_red(program, mutation)
        if not said:
            green.append(mutation.name)
        print(f"{mutation.name:46} {said or 'GREEN'}", flush=True)
    seconds = time.monotonic() - started
    print(f"{len(chosen)} mistakes in {seconds:.0f} s, {len(green)} not noticed")
    for name in green:
        print(f"  {name}")
    return 1 if green else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
