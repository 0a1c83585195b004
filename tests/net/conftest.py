"""Fixtures of the tests against Linux: a namespace, a TAP in it."""

from collections.abc import Iterator

import pytest

from tests.net.netns import NetNS, why_not


@pytest.fixture
def netns() -> Iterator[NetNS]:
    """A private network namespace; skips (a failure under test-all) where there can be none."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with NetNS() as made:
        yield made


@pytest.fixture
def tap(netns: NetNS) -> NetNS:
    """A namespace with tap0 up, the host being 10.9.0.1/24 on it."""
    netns.add_tap()
    return netns
