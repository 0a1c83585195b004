"""The table at the end: target / run / not run and why. Just above pytest's last line.

Under VIPERIP_TEST_ALL a skipped test is a failed one.
"""

from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import PurePath

import pytest

from viperip_host.switch_table import table
from viperip_host.testing.plugin import chosen_targets
from viperip_host.testing.targets import Target, all_targets, everything_wanted

# Rows that are not targets of device tests: the folder below tests/ and what it stands for.
FOLDERS = {
    "host": "host tools",
    "net": "against Linux, as root",
    "bench": "benchmark's own tests",
    "plugin": "the test plugin",
}


@dataclass
class Row:
    """What became of the tests of one target."""

    about: str
    run: int = 0
    failed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


def row_of(report: pytest.TestReport) -> str:
    """The row a report belongs to: a device target, or the folder below tests/."""
    for name, value in report.user_properties:
        if name == "target":
            return str(value)
    parts = PurePath(report.nodeid.partition("::")[0]).parts
    return parts[1] if len(parts) > 2 else "other"


def skip_reason(report: pytest.TestReport) -> str:
    """Why it was skipped, without the place it says so."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return str(text).removeprefix("Skipped: ")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and everything_wanted() and not hasattr(report, "wasxfail"):
        reason = skip_reason(report)
        report.outcome = "failed"
        report.longrepr = f"skipped, but everything must run: {reason}"
    return report


def rows(stats: dict[str, list[pytest.TestReport]]) -> dict[str, Row]:
    """Rows in a fixed order: the targets, then the folders."""
    found = {name: Row(target.about) for name, target in all_targets().items()}
    found.update({name: Row(about) for name, about in FOLDERS.items()})
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in stats.get(outcome, []):
            if not isinstance(report, pytest.TestReport):
                continue
            row = found.setdefault(row_of(report), Row(""))
            if outcome == "skipped":
                row.reasons[skip_reason(report)] += 1
            else:
                row.run += 1
                row.failed += outcome != "passed"
    return found


def why(name: str, row: Row, chosen: list[str]) -> str:
    """The last column."""
    if row.reasons:
        return "; ".join(f"{count}: {reason}" for reason, count in row.reasons.items())
    if row.run:
        return "-"
    if name in all_targets() and name not in chosen:
        return f"not asked for: --target {name}, or make test-all"
    return "nothing selected"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Iterator[None]:
    """After everything else that is written at the end, pytest's list of failures included."""
    yield
    write_table(terminalreporter, chosen_targets(config))


def write_table(terminal: pytest.TerminalReporter, targets: list[Target]) -> None:
    """The table; nothing when no test was selected."""
    chosen = [target.name for target in targets]
    found = rows(terminal.stats)
    if not any(row.run or row.reasons for row in found.values()):
        return
    body = []
    for name, row in found.items():
        if row.run or row.reasons or name in all_targets():
            count = f"{row.run} ({row.failed} failed)" if row.failed else str(row.run)
            left_out = sum(row.reasons.values())
            body.append([name, row.about, count, str(left_out), why(name, row, chosen)])
    terminal.section("targets")
    for line in table(["target", "what", "run", "not run", "why"], body):
        terminal.line(line)
