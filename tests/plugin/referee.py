"""QEMU's machine with the Ethernet MAC that judges the driver, started for tests."""

import json
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from viperip_host import process, qemu
from viperip_host.errors import HostError
from viperip_host.testing.targets import everything_wanted

# The processor stays off: registers and memory are reached from outside. A stopped machine (-S)
# would not move frames.
MACHINE = (
    *("-M", "npcm750-evb", "-m", "128M", "-accel", "tcg"),
    *("-global", "cortex-a9-arm-cpu.start-powered-off=on"),
    *("-display", "none", "-nodefaults", "-qtest-log", "/dev/null"),
)
VARIABLE = "VIPERIP_REFEREE"


def path() -> str:
    """The QEMU to use, fetched under test-all. HostError when there is none."""
    return qemu.fetch() if everything_wanted() else qemu.find()


class Referee:
    """A running machine. NIC: QEMU's backend of its network card, else a UDP wire on loopback.

    MicroPython learns of it by `environment`: JSON with the paths `qtest` and `monitor` (sockets)
    and `log` (what QEMU has to complain about), and with the ports `near` (QEMU's) and `far`.
    """

    def __init__(self, nic: str = "", command: tuple[str, ...] = ()) -> None:
        """COMMAND goes before QEMU's, for a namespace. HostError when it does not start."""
        program = path()
        self.folder = Path(tempfile.mkdtemp(prefix="viperip-"))
        told: dict[str, str | int] = {
            name: str(self.folder / name) for name in ("qtest", "monitor", "log")
        }
        told["near"], told["far"] = free_ports()
        if not nic:
            nic = f"socket,udp=127.0.0.1:{told['far']},localaddr=127.0.0.1:{told['near']}"
        self.environment = {VARIABLE: json.dumps(told)}
        self.popen = subprocess.Popen(
            [
                *(*command, program, *MACHINE),
                *("-qtest", f"unix:{told['qtest']},server=on,wait=off"),
                *("-monitor", f"unix:{told['monitor']},server=on,wait=off"),
                *("-d", "guest_errors,unimp", "-D", str(told["log"])),
                *("-nic", f"{nic},id=wire,model=npcm-gmac"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=process.die_with_parent(),
        )
        self._wait()

    def _wait(self) -> None:
        end = time.monotonic() + 20
        while time.monotonic() < end and self.popen.poll() is None:
            if all((self.folder / name).exists() for name in ("qtest", "monitor")):
                return
            time.sleep(0.01)
        said = self.close().strip().splitlines() or ["no reason"]
        raise HostError(f"QEMU does not start: {said[-1]}")

    def close(self) -> str:
        """End it; what it has written."""
        self.popen.kill()
        output, _ = self.popen.communicate()
        shutil.rmtree(self.folder, ignore_errors=True)
        return str(output, errors="replace")


def free_ports() -> tuple[int, int]:
    """Two UDP ports of loopback that nobody uses now."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two,
    ):
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]
