"""Where the files that are not host Python lie, in a checkout and in an installed wheel."""

import importlib.util
from pathlib import Path

from viperip_host.errors import HostError

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parent.parent


def _data(name: str) -> Path:
    """The folder NAME of the checkout, or the copy of it that a wheel carries."""
    # The wheel's copy first: an installed package must not pick up a folder that happens to
    # stand two levels above site-packages.
    for folder in (_PACKAGE / "_data" / name, _CHECKOUT / name):
        if folder.is_dir():
            return folder
    raise HostError(f"the {name} folder is missing from this installation: install viperip again")


def firmware() -> Path:
    """The folder that holds the viperip package and main.py."""
    return _data("firmware")


def boards() -> Path:
    """The folder with one folder per board."""
    return _data("boards")


def device() -> Path:
    """The folder of the MicroPython programs that the host starts."""
    return _PACKAGE / "device"


def models() -> Path:
    """The folder of the MicroPython models of hardware."""
    return _PACKAGE / "models"


def library() -> Path:
    """The folder that holds the MicroPython libraries of the demo board (microdot)."""
    spec = importlib.util.find_spec("microdot")
    if spec is None or not spec.submodule_search_locations:
        raise HostError("microdot is missing from this installation: pip install microdot")
    return Path(spec.submodule_search_locations[0]).parent
