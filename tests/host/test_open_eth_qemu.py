"""The driver of open_eth, and the model that it was made against, beside QEMU's own open_eth.

The tests run in MicroPython, from tests/device/open_eth_beside_qemu.py. The machine is an Xtensa
board of QEMU's with its processor off: registers and memory are reached from outside. So this is
the NIC of Espressif's QEMU, by the same source, but neither its ESP32 nor its firmware.
"""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugin.referee import free_ports
from viperip_host import process, qemu_xtensa
from viperip_host.errors import HostError
from viperip_host.testing.session import Session
from viperip_host.testing.targets import all_targets, everything_wanted

FILE = Path(__file__).parents[1] / "device" / "open_eth_beside_qemu.py"
TESTS = re.findall(r"^def (test_\w+)", FILE.read_text(), re.MULTILINE)
TARGETS = ("unix", "unix32")
MACHINE = (
    *("-M", "kc705", "-accel", "tcg", "-global", "xtensa-cpu.start-powered-off=on"),
    *("-display", "none", "-nodefaults", "-qtest-log", "/dev/null"),
)


@pytest.fixture(scope="module", params=TARGETS)
def session(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Session]:
    """MicroPython on a target, with a machine of its own."""
    target = all_targets()[request.param]
    if target.interpreter() is None:
        pytest.skip(f"target {target.name}: {target.missing}")
    try:
        program = qemu_xtensa.fetch() if everything_wanted() else qemu_xtensa.find()
    except HostError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("qemu")
    near, far = free_ports()
    told: dict[str, str | int] = {"near": near, "far": far}
    sockets = []
    for name in ("qtest", "monitor"):
        told[name] = str(folder / name)
        sockets += [f"-{name}", f"unix:{told[name]},server=on,wait=off"]
    nic = f"socket,udp=127.0.0.1:{far},localaddr=127.0.0.1:{near},id=wire,model=open_eth"
    popen = subprocess.Popen(
        [program, *MACHINE, *sockets, "-nic", nic],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=process.die_with_parent(),
    )
    one = Session(target, FILE, "16M", 120.0)
    one.environment["VIPERIP_OPEN_ETH"] = json.dumps(told)
    try:
        end = time.monotonic() + 20
        while popen.poll() is None and not all(
            (folder / n).exists() for n in ("qtest", "monitor")
        ):
            assert time.monotonic() < end, "QEMU does not start"
            time.sleep(0.01)
        assert popen.poll() is None, popen.communicate()[0]
        yield one
    finally:
        one.close()
        popen.kill()
        popen.communicate()


@pytest.mark.parametrize("name", TESTS)
def test_on_qemu(session: Session, name: str) -> None:
    session.run(name)


def test_without_a_fetch_the_reason_says_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="python -m viperip_host.qemu_xtensa"):
        qemu_xtensa.find()
