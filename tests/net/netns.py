"""Private network namespaces, and `viperip sim` inside them. Root and Linux only.

All traffic stays in the namespace: it has no way out, and it goes when the block ends.
"""

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

VIPERIP = (sys.executable, "-m", "viperip_host")
_numbers = itertools.count()


def why_not() -> str | None:
    """Why there can be no namespace with a TAP here; None when there can."""
    if not sys.platform.startswith("linux"):
        return "needs Linux"
    if os.geteuid() != 0:
        return "needs root (network namespace, TAP)"
    if shutil.which("ip") is None:
        return "needs the ip command (iproute2)"
    if not Path("/dev/net/tun").exists():
        return "needs /dev/net/tun"
    return None


class Running:
    """A started program whose output lines can be waited for."""

    def __init__(self, command: Sequence[str], **popen: Any) -> None:
        popen.setdefault("stdin", subprocess.DEVNULL)
        self.command = list(command)
        self.popen = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **popen,
        )
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stdout
        for raw in self.popen.stdout:
            with self._news:
                self._lines.append(raw.decode(errors="replace").rstrip("\r\n"))
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    @property
    def output(self) -> str:
        """Everything it has written, stderr included."""
        with self._news:
            return "\n".join(self._lines)

    def wait_for(self, text: str, seconds: float = 20.0) -> str:
        """The first line that contains TEXT. AssertionError with the output when none comes."""
        end = time.monotonic() + seconds
        seen = 0
        with self._news:
            while True:
                for line in self._lines[seen:]:
                    if text in line:
                        return line
                seen = len(self._lines)
                left = end - time.monotonic()
                if self._ended or left <= 0:
                    break
                self._news.wait(left)
        what = "ended" if self._ended else f"did not say so within {seconds:g} s"
        raise AssertionError(f"no {text!r}: {self.command} {what}; it wrote:\n{self.output}")

    def wait(self, seconds: float = 20.0) -> int:
        """Its exit status. AssertionError when it does not end."""
        try:
            status = self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self.command} did not end within {seconds:g} s; it wrote:\n{self.output}"
            ) from None
        self._reader.join(5)
        return status

    def send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.popen.send_signal(number)

    def type(self, text: str) -> None:
        """Write TEXT to its stdin (started with stdin=subprocess.PIPE)."""
        assert self.popen.stdin
        self.popen.stdin.write(text.encode())
        self.popen.stdin.flush()

    def stop(self) -> None:
        """End it and what it started."""
        if self.popen.poll() is None:
            self.send(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(5)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait(5)
        self._reader.join(5)
        for stream in (self.popen.stdin, self.popen.stdout):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()


class NetNS:
    """A network namespace of its own, with loopback up. Use it as a context manager."""

    def __init__(self) -> None:
        self.name = f"viperip-{os.getpid()}-{next(_numbers)}"
        self._running: list[Running] = []

    def __enter__(self) -> "NetNS":
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.run("ip", "link", "set", "lo", "up")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for one in reversed(self._running):
            one.stop()
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        subprocess.run(["ip", "netns", "del", self.name], check=False)

    def command(self, *command: str) -> list[str]:
        """The command line that runs COMMAND in the namespace."""
        return ["ip", "netns", "exec", self.name, *command]

    def pids(self) -> list[int]:
        """The processes in the namespace."""
        listed = subprocess.run(
            ["ip", "netns", "pids", self.name], capture_output=True, text=True, check=False
        )
        return [int(word) for word in listed.stdout.split()]

    def run(
        self, *command: str, seconds: float = 60.0, check: bool = True, stdin: bytes = b""
    ) -> "subprocess.CompletedProcess[str]":
        """Run COMMAND to its end. AssertionError with its output when CHECK and it fails."""
        done = subprocess.run(
            self.command(*command),
            input=stdin.decode(),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(
                f"{' '.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done

    def start(self, *command: str, **popen: Any) -> Running:
        """Start COMMAND; it is ended with the namespace."""
        running = Running(self.command(*command), **popen)
        self._running.append(running)
        return running

    def add_tap(self, name: str = "tap0", address: str | None = "10.9.0.1/24") -> str:
        """Make a TAP, up, with the host's ADDRESS; its name."""
        self.run("ip", "tuntap", "add", name, "mode", "tap")
        # The host must not add frames of its own to what a test counts.
        self.run("sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1", check=False)
        if address:
            self.run("ip", "addr", "add", address, "dev", name)
        self.run("ip", "link", "set", name, "up")
        return name

    def mac_of(self, name: str) -> str:
        """The MAC address of an interface."""
        listed = json.loads(self.run("ip", "-j", "link", "show", name).stdout)
        return str(listed[0]["address"])

    def sim(self, *arguments: str, **popen: Any) -> Running:
        """Start `viperip sim ARGUMENTS` in the namespace."""
        return self.start(*VIPERIP, "sim", *arguments, **popen)

    def ping(self, address: str, seconds: float = 10.0) -> None:
        """Ping until one answer comes. AssertionError when none does."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.run("ping", "-n", "-c1", "-W1", address, check=False).returncode == 0:
                return
        raise AssertionError(f"{address} answers no ping within {seconds:g} s")
