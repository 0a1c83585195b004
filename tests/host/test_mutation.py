"""The deliberate mistakes still find their places. `python -m tests.mutation` runs them all."""

from pathlib import Path

import pytest

from tests.mutation.__main__ import FILES, first_red
from tests.mutation.patches import LIST, read
from viperip_host import interpreter, resources


def test_every_mistake_finds_its_place() -> None:
    mutations = read()
    assert len(mutations) >= 25
    for mutation in mutations:
        original = (resources.firmware() / "viperip" / mutation.file).read_text()
        assert mutation.applied() != original, mutation.name


def test_nonsense_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    for text, words in (
        ("\n== a\nlink/bus.py\n", "a file, and lines"),
        ("\n== a\nlink/bus.py\n*x\n", "a file, and lines"),
        ("\n== a\nlink/bus.py\n-x\n\n== a\nlink/bus.py\n-x\n", "twice"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=words):
            read(path)
    path.write_text("\n== a\nlink/bus.py\n-no such line\n")
    with pytest.raises(ValueError, match="any more"):
        read(path)[0].applied()


def test_a_mistake_goes_red_and_none_stays_green() -> None:
    # One of them, and the unchanged driver.
    program = interpreter.find(None).path
    assert first_red(program, None) == ""
    (mutation,) = [m for m in read() if m.name == "ST before TE"]
    assert first_red(program, mutation) == "test_emac_frames test_a_frame_is_received ModelError"


def test_all_of_the_drivers_tests_are_in_it() -> None:
    # Those of the model do not run the driver, boot.py stands alone.
    folder = LIST.parent.parent / "device"
    there = {path.stem for path in folder.glob("test_emac_*.py")} | {"test_phy"}
    assert there == {*FILES, "test_emac_model", "test_emac_boot"}
