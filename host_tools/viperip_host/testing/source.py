"""What the source of a device test file says; the file itself is never imported here."""

import ast
import re
from dataclasses import dataclass
from typing import Any

HEAP = "16M"
SECONDS = 120.0


@dataclass(frozen=True)
class Source:
    """What the source of a device test file says."""

    functions: list[tuple[str, int]]  # name, line number from 1
    heap: str
    seconds: float
    targets: tuple[str, ...] | None  # None: all
    needs: tuple[str, ...]


def read_source(text: str, name: str) -> Source:
    """Find the tests and hints in the text of a file. ValueError for a test with arguments."""
    hints: dict[str, Any] = {}
    for node in ast.parse(text, name).body:
        if isinstance(node, ast.Assign):
            hint = getattr(node.targets[0], "id", None)
            if hint in ("HEAP", "TARGETS", "NEEDS"):
                hints[hint] = ast.literal_eval(node.value)
    timeout = re.search(r"^#\s*timeout:\s*([0-9]+)\s*$", text, re.MULTILINE)
    targets = hints.get("TARGETS")
    return Source(
        functions_of(text, name, "test_"),
        str(hints.get("HEAP", HEAP)),
        float(timeout[1]) if timeout else SECONDS,
        tuple(targets) if targets is not None else None,
        tuple(hints.get("NEEDS", ())),
    )


def functions_of(text: str, name: str, prefix: str) -> list[tuple[str, int]]:
    """(name, line number) of the functions whose names begin with PREFIX. ValueError for one with
    arguments."""
    functions = []
    for node in ast.parse(text, name).body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith(prefix):
            _check_arguments(node, name)
            functions.append((node.name, node.lineno))
    return functions


def _check_arguments(node: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> None:
    arguments = node.args
    needed = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    if needed > 0:
        raise ValueError(f"{name}:{node.lineno}: {node.name}: a device test has no arguments")
