"""The command line: help, its speed, and one line with status 2 for what cannot be."""

import os
import resource
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.host.command import VIPERIP, refused, viperip

NOBODY = 65534


def fastest(*arguments: str, runs: int = 3) -> float:
    """The shortest of some runs, in seconds of the processor: what the program needs, whatever
    else the machine does."""
    times = []
    for _ in range(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*VIPERIP, *arguments], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times)


def test_help_is_quick() -> None:
    assert fastest("--help") < 0.3


def test_help_imports_no_verb() -> None:
    code = (
        "import sys; from viperip_host.cli import main; main(['--help']); "
        "print([m for m in sys.modules if m in ('viperip_host.sim', 'pcapng')], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("verb", [[], ["sim"], ["switch"], ["flash"], ["doctor"], ["boards"]])
def test_every_help_has_examples_and_exit_statuses(verb: list[str]) -> None:
    done = viperip(*verb, "--help")
    assert done.returncode == 0
    assert "Examples:" in done.stdout
    assert "Exit status:" in done.stdout


def test_the_help_of_sim_names_every_option() -> None:
    text = viperip("sim", "--help").stdout
    for option in (
        "--link --ip --dhcp --gateway --dns --mac --hostname --capture --loss --dup --reorder "
        "--corrupt --delay --rate --seed --forward --heap --micropython --board -i"
    ).split():
        assert f"  {option} " in text


def test_version_is_the_stack_s() -> None:
    text = Path(__file__).parents[2].joinpath("firmware/viperip/__init__.py").read_text()
    version = text.partition('__version__ = "')[2].partition('"')[0]
    assert version
    assert viperip("--version").stdout.split() == ["viperip", version]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bogus"], "No such command"),
        (["sim", "--bogus"], "No such option"),
        (["sim", "--ip"], "requires an argument"),
        (["sim", "--ip", "10.0.0.2"], "prefix"),
        (["sim", "--ip", "10.0.0.2/33"], "prefix"),
        (["sim", "--ip", "10.0.0/24"], "no IPv4 address"),
        (["sim", "--ip", "10.0.0.0/24"], "broadcast"),
        (["sim", "--ip", "10.0.0.255/24"], "broadcast"),
        (["sim", "--ip", "224.0.0.1/24"], "not an address of a single host"),
        (["sim", "--ip", "10.0.0.2/31"], "/30"),
        (["sim", "--ip", "10.0.0.2/24", "--dhcp"], "exclude each other"),
        (["sim", "--ip", "10.0.0.2/24", "--gateway", "10.0.1.1"], "not in 10.0.0.0/24"),
        (["sim", "--ip", "10.0.0.2/24", "--gateway", "10.0.0.2"], "own address"),
        (["sim", "--gateway", "10.0.0.1"], "together with --ip"),
        (["sim", "--dns", "dns.example"], "no IPv4 address"),
        (["sim", "--mac", "02:00:00:00:00"], "six bytes"),
        (["sim", "--mac", "03:00:00:00:00:01"], "even first byte"),
        (["sim", "--hostname", "two words"], "letters, digits"),
        (["sim", "--capture", "/no/such/folder/a.pcapng"], "no folder"),
        (["sim", "--capture", "/"], "this is a folder"),
        (["sim", "--loss", "2"], "2 percent is 2%"),
        (["sim", "--dup", "-1%"], "0% to 100%"),
        (["sim", "--reorder", "much"], "2% or 0.02"),
        (["sim", "--corrupt", "nan"], "0% to 100%"),
        (["sim", "--delay", "-1"], "--delay"),
        (["sim", "--rate", "0"], "--rate"),
        (["sim", "--heap", "lots"], "16M"),
        (["sim", "--heap", "10K"], "at least 512K"),
        (["sim", "--forward", "8080"], "HOSTPORT:PORT"),
        (["sim", "--forward", "0:80"], "1 to 65535"),
        (["sim", "--forward", "8080:65536"], "1 to 65535"),
        (["sim", "--forward", "18080:80", "--forward", "18080:81"], "twice"),
        (["sim", "--board", "toaster"], "unix, w5500-esp32c3"),
        (["sim", "--micropython", "/no/such/program"], "no program"),
        (["sim", "--micropython", sys.executable], "is not a MicroPython"),
        (["sim", "no_such_script.py"], "no such script"),
        (["sim", "/"], "not a script"),
        (["sim", "--link", ""], "tap:NAME"),
        (["sim", "--link", "serial:1"], "unknown link"),
        (["sim", "--link", "packet:nosuchif0"], "no such interface"),
        (["sim", "--link", "tap:a-name-that-is-too-long"], "1 to 15"),
        (["sim", "--link", "tap:"], "1 to 15"),
        (["sim", "--link", "udp:7001"], "LOCALPORT:REMOTEPORT"),
        (["sim", "--link", "udp:7001:7001"], "must differ"),
        (["sim", "--link", "udp:70010:7001"], "1 to 65535"),
        (["sim", "--link", "udp:27001:27101", "--forward", "18080:80"], "private wire"),
        (["switch"], "at least two"),
        (["switch", "--port", "7101:7001", "--port", "7101:7002"], "given twice"),
        (["switch", "--port", "7101", "--port", "7102:7002"], "LOCALPORT:REMOTEPORT"),
        (["switch", "--port", "27101:27001", "--port", "27102:27002", "--loss", "x"], "0.02"),
    ],
)
def test_a_wrong_command_line_is_one_line(arguments: list[str], said: str) -> None:
    assert said in refused(*arguments)


def test_a_taken_port_is_an_error_when_it_was_asked_for() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port} is taken" in refused("sim", "--forward", f"{port}:80")


def test_a_taken_udp_port_is_an_error() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert "is taken" in refused("sim", "--forward", f"udp:{port}:53")
        assert "is taken" in refused("sim", "--link", f"udp:{port}:1")
        assert "choose another" in refused("switch", "--port", f"{port}:1", "--port", "27102:2")


def test_run_seconds_must_be_a_number() -> None:
    environment = {**os.environ, "RUN_SECONDS": "soon"}
    assert "RUN_SECONDS=soon" in refused("sim", env=environment)


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_a_link_that_is_no_tap() -> None:
    if not os.access("/dev/net/tun", os.W_OK):
        line = refused("sim", "--link", "tap:lo")
        assert "/dev/net/tun" in line
        return
    line = refused("sim", "--link", "tap:lo")
    assert "no TAP" in line or "no permission" in line


@pytest.mark.root
def test_a_folder_that_may_not_be_entered() -> None:
    code = (
        "import os, sys; from viperip_host import options, errors\n"
        f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        "for call in (lambda: options.output_file(sys.argv[1], '--capture'),\n"
        "             lambda: options.script_file(sys.argv[1])):\n"
        "    try:\n"
        "        call()\n"
        "    except errors.UsageError as error:\n"
        "        print(error)\n"
    )
    with tempfile.TemporaryDirectory() as closed:
        command = [sys.executable, "-c", code, f"{closed}/file"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    capture, script = done.stdout.splitlines()
    assert "no permission to write there" in capture
    assert "is not a script that can be read" in script


@pytest.mark.root
@pytest.mark.parametrize("link", ["tap:viperiptest0", "packet:lo"])
def test_a_link_without_permission(link: str) -> None:
    # The venv may lie where nobody else may go; so drop the rights after the imports.
    code = (
        "import getpass, os, sys; from viperip_host import cli, sim, run, interpreter\n"
        f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        "from viperip_host import links, errors\n"
        "try:\n"
        f"    links.open_link({link!r})\n"
        "except errors.UsageError as error:\n"
        "    sys.exit(str(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "no permission" in done.stderr or "Permission denied" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.root
def test_a_tap_without_the_system_call_shim_says_so() -> None:
    environment = {**os.environ, "VIPERIP_NO_SHIM": "1"}
    done = viperip(
        "sim", "--link", "tap:vipernoshim", "--ip", "10.9.9.2/24", "-i", env=environment
    )
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("viperip sim: the link cannot be used: ")
    assert "system-call shim" in last
    assert "Traceback" not in done.stderr
