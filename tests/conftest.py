"""Plugins of the project's own (tests/plugin/), and the marker `root`."""

import pytest

from tests.net.netns import why_not

pytest_plugins = ["tests.plugin.device", "tests.plugin.summary"]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test marked `root` runs where root can make namespaces, and is skipped elsewhere."""
    if item.get_closest_marker("root"):
        reason = why_not()
        if reason:
            pytest.skip(reason)
