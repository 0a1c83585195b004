"""`make run` as an ordinary user, in a network namespace that has a loopback and no more."""

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.net.captures import check_capture
from tests.net.netns import NetNS, Running

pytestmark = pytest.mark.root
ROOT = Path(__file__).resolve().parents[2]
USER = "nobody"
SETPRIV = (
    *("setpriv", f"--reuid={USER}", "--regid=nogroup", "--clear-groups", "--no-new-privs"),
    *("--inh-caps=-all", "--bounding-set=-all"),
)
# Hides /dev/net/tun: the mounts of `ip netns exec` are private to it.
WITHOUT_TAP = ("sh", "-c", 'mount -t tmpfs none /dev/net && exec "$@"', "sh")


def python() -> str:
    """A Python that USER can run; this one may lie in a folder of root's."""
    own = getattr(sys, "_base_executable", sys.executable)
    for path in (own, "/usr/bin/python3"):
        code = (
            "import sys, venv; sys.exit(sys.version_info < (3, 11) or not sys.stdlib_module_names)"
        )
        tried = subprocess.run([*SETPRIV, "env", path, "-c", code], capture_output=True)
        if tried.returncode == 0:
            return str(path)
    pytest.skip(f"no Python that the user {USER} can run")


@pytest.fixture(scope="module")
def clone() -> Iterator[Path]:
    """A copy of the checkout that belongs to USER, with the run-only set installed."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("needs root")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        copy = Path(folder) / "viperip"
        left_out = shutil.ignore_patterns(".venv", ".git", "build", "__pycache__", ".*_cache")
        shutil.copytree(ROOT, copy, ignore=left_out)
        # By root: its cache of packages, and its rights to the network.
        done = subprocess.run(
            ["make", "bootstrap-run", f"PYTHON={python()}"],
            cwd=copy, capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        if done.returncode:
            pytest.skip(f"the packages cannot be installed: {done.stderr.strip()[-300:]}")
        user = pwd.getpwnam(USER)
        for path in (copy, *copy.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
        yield copy


def make_run(netns: NetNS, clone: Path, **environment: str) -> Running:
    inherited = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    popen: dict[str, Any] = {"cwd": clone, "env": {**inherited, "HOME": "/", **environment}}
    return netns.start(*WITHOUT_TAP, *SETPRIV, "make", "run", **popen)


def capabilities(pid: int) -> str:
    found = re.search(r"CapEff:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    assert found
    return found[1]


def test_run_seconds_ends_it_with_0(netns: NetNS, clone: Path) -> None:
    begun = time.monotonic()
    run = make_run(netns, clone, RUN_SECONDS="3")
    run.wait_for("the page came whole")
    served = time.monotonic()
    print(f"served after {served - begun:.2f} s")
    for pid in netns.pids():
        status = os.stat(f"/proc/{pid}")
        assert pwd.getpwuid(status.st_uid).pw_name == USER
        assert int(capabilities(pid), 16) == 0
    assert run.wait(20) == 0, run.output
    assert 2 < time.monotonic() - served < 10
    assert "DHCP: lease of" in run.output
    assert "3 packets transmitted, 3 received, 0% packet loss" in run.output
    assert netns.pids() == []
    check_capture(clone / "build" / "run.pcapng", 25)


def test_it_serves_until_ctrl_c(netns: NetNS, clone: Path) -> None:
    run = make_run(netns, clone)
    url = run.wait_for("the board serves its page on").rpartition(" ")[2]
    run.wait_for("Ctrl-C to stop")
    for _ in range(3):
        page = netns.run(*SETPRIV, "curl", "-sSf", "-m10", url).stdout
        assert page.startswith("<!doctype html>") and page.endswith("</html>\n")
    os.killpg(run.popen.pid, signal.SIGINT)  # as a terminal does it
    run.wait(10)
    assert netns.pids() == []
    assert "Traceback" not in run.output
    check_capture(clone / "build" / "run.pcapng", 25)
