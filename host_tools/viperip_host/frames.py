"""Functions of the firmware that take heap at every call: `python -m viperip_host.frames`.

MicroPython keeps the frame of a bytecode function on the C stack only while it has no more than
eleven words: variables, arguments and the deepest expression, and three more for each handler
around it (py/objfun.c, VM_MAX_STATE_ON_STACK). Functions that run for every packet stay below.
"""

import re
import subprocess
import sys
from pathlib import Path

from viperip_host import interpreter, resources

WORDS = 11
_WORDS_PER_HANDLER = 3
_BLOCK = re.compile(r"^File .*, code block '(.*?)'")
_NUMBER = re.compile(r"^\((N_STATE|N_EXC_STACK) (\d+)\)")


def frames(program: str, file: Path) -> list[tuple[str, int]]:
    """(function, words of its frame) of each function in a file, as the compiler prints them."""
    command = [program, "-v", "-v", "-v", "-X", "compile-only", str(file)]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: list[tuple[str, int]] = []
    name, state = "", 0
    for line in listing.splitlines():
        if block := _BLOCK.match(line):
            name = block[1]
        elif number := _NUMBER.match(line):
            if number[1] == "N_STATE":
                state = int(number[2])
            else:
                found.append((name, state + _WORDS_PER_HANDLER * int(number[2])))
    return found


def main(arguments: list[str]) -> int:
    package = resources.firmware() / "viperip"
    files = [Path(a) for a in arguments] or sorted(package.rglob("*.py"))
    program = interpreter.find(None).path
    for file in files:
        for name, words in frames(program, file):
            if words > WORDS and not name.startswith("<"):
                print(f"{words:3} {file}: {name}()")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
