"""Plugins of the project's own (tests/plugin/), the marker `root`, and every capture read."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.net.captures import unchecked
from tests.net.netns import why_not
from tests.plugin.referee import Referee

pytest_plugins = ["viperip_host.testing.plugin", "tests.plugin.summary"]


def pytest_configure() -> None:
    """What device tests may need beside them."""
    from viperip_host.testing.plugin import SERVICES

    SERVICES["referee"] = Referee


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test marked `root` runs where root can make namespaces, and is skipped elsewhere."""
    if item.get_closest_marker("root"):
        reason = why_not()
        if reason:
            pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """A test that wrote a capture must have had it read."""
    result = yield
    folder = pyfuncitem.funcargs.get("tmp_path")
    if isinstance(folder, Path):
        left = unchecked(folder)
        assert not left, f"captures that check_capture() has not seen: {left}"
    return result
