"""`viperip capture`, `bridge` and `monitor`, on virtual boards, with tshark as the judge."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.host.board import fetch, free_port
from tests.host.command import VIPERIP
from tests.host.vboard import VBoard, deployed, deployed_image
from tests.net import captures
from tests.net.netns import Running
from viperip_host.capture import Clock

__all__ = ["deployed", "deployed_image"]

PING = """
import viperip
viperip.up()
print("the board says hello")
viperip.ping("10.77.0.1", count=5, interval_ms=20)
"""


@pytest.fixture
def ping_script(tmp_path: Path) -> str:
    path = tmp_path / "ping.py"
    path.write_text(PING)
    return str(path)


def test_pings_are_captured_both_ways(deployed: VBoard, tmp_path: Path, ping_script: str) -> None:
    target = tmp_path / "ping.pcapng"
    done = deployed.viperip("capture", "-w", str(target), "--run", ping_script, "--json")
    assert done.returncode == 0, done.stderr
    assert "the board says hello" in done.stderr
    report = json.loads(done.stdout)
    assert (report["dropped"], report["damaged"], report["baud"]) == (0, 0, 921600)
    captures.check_capture(target)
    fields = captures.tshark(
        target, "-Y", "icmp", "-T", "fields", "-e", "icmp.type",
        "-e", "frame.packet_flags_direction", "-e", "frame.interface_name",
    )  # fmt: skip
    assert [line.split("\t")[0] for line in fields] == ["8", "0"] * 5
    assert {line.split("\t")[2] for line in fields} == {"eth0"}
    # Outbound is 2, inbound 1.
    assert [int(line.split("\t")[1], 0) for line in fields] == [2, 1] * 5
    stamps = captures.tshark(target, "-T", "fields", "-e", "frame.time_epoch")
    times = [float(stamp) for stamp in stamps]
    assert times == sorted(times) and abs(times[-1] - time.time()) < 60
    # The line is as it was.
    assert deployed.mpremote("exec", "print(6 * 7)") == "42\n"


def test_the_filter_runs_on_the_board(deployed: VBoard, tmp_path: Path, ping_script: str) -> None:
    target = tmp_path / "some.pcapng"
    done = deployed.viperip(
        "capture", "-w", str(target), "--run", ping_script, "--filter", "icmp and in",
        "--snaplen", "60",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = captures.tshark(
        target, "-T", "fields", "-e", "icmp.type", "-e", "frame.len", "-e", "frame.cap_len"
    )
    captures.check_capture(target, at_least=0)
    assert rows == ["0\t98\t60"] * 5


def test_a_pipe_and_a_count(deployed: VBoard, ping_script: str) -> None:
    capture = subprocess.Popen(
        [*VIPERIP, "capture", "--port", deployed.port, "--count", "4", "--run", ping_script, "-"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    read = subprocess.run(
        ["tshark", "-r", "-"], stdin=capture.stdout, capture_output=True, text=True, check=True
    )
    assert capture.wait(30) == 0
    assert len(read.stdout.splitlines()) == 4


def test_a_reader_that_leaves_ends_it(deployed: VBoard) -> None:
    capture = subprocess.Popen(
        [*VIPERIP, "capture", "--port", deployed.port, "-"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    assert capture.stdout
    capture.stdout.read(100)
    capture.stdout.close()
    # The next frame finds nobody; until one comes there is nothing to notice.
    capture.send_signal(signal.SIGINT)
    assert capture.wait(30) == 0


def test_lines_are_run_on_the_board_and_ctrl_c_ends_it(deployed: VBoard, tmp_path: Path) -> None:
    target = tmp_path / "typed.pcapng"
    command = [*VIPERIP, "capture", "--port", deployed.port, "-w", str(target)]
    running = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdin and running.stdout and running.stderr
    assert "capturing on eth0 at 921600 baud" in running.stderr.readline()
    running.stdin.write("print(6 * 7)\n1/0\nviperip.ping('10.77.0.1', count=1)\n")
    running.stdin.flush()
    seen = ""
    while "packet loss" not in seen:
        seen += running.stdout.readline()
    assert "42\n" in seen and "ZeroDivisionError" in seen
    running.send_signal(signal.SIGINT)
    _, error = running.communicate(timeout=30)
    assert running.returncode == 0
    assert "frames, 0 dropped" in error
    captures.check_capture(target)
    assert "echo (ping) reply" in "\n".join(captures.tshark(target)).lower()


def test_a_small_queue_drops_counts_and_does_not_stall(deployed: VBoard, tmp_path: Path) -> None:
    script = tmp_path / "flood.py"
    script.write_text(
        "import viperip, time\nviperip.up()\nviperip.ping('10.77.0.1', count=1)\n"
        "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "t = time.ticks_ms()\n"
        "for i in range(300):\n    try:\n        s.sendto(bytes(1400), ('10.77.0.1', 9))\n"
        "    except OSError:\n        time.sleep_ms(1)\n"
        "print('took', time.ticks_diff(time.ticks_ms(), t))\n"
        "time.sleep(1)\nviperip.ping('10.77.0.1', count=1, quiet=True)\n"
    )
    target = tmp_path / "flood.pcapng"
    done = deployed.viperip(
        "capture", "-w", str(target), "--run", str(script), "--speed", "115200", "--json"
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["dropped"] > 0 and report["damaged"] == 0
    # 300 frames of 1,442 bytes would take 37 s at this speed.
    took = int(done.stderr.partition("took ")[2].split()[0])
    assert took < 10_000
    counted = captures.tshark(target, "-T", "fields", "-e", "frame.drop_count")
    captures.check_capture(target, at_least=0)
    assert report["frames"] + report["dropped"] >= 300
    assert sum(int(one) for one in counted if one) > 0


def test_ctrl_c_in_a_flood_ends_it_with_all_that_waited(deployed: VBoard, tmp_path: Path) -> None:
    target = tmp_path / "flood.pcapng"
    script = tmp_path / "flood.py"
    script.write_text(
        "import viperip, socket\nviperip.up()\nviperip.ping('10.77.0.1', count=1)\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nprint('flooding')\n"
        "while True:\n    try:\n        s.sendto(bytes(1400), ('10.77.0.1', 9))\n"
        "    except OSError:\n        pass\n"
    )
    running = Running(
        [*VIPERIP, "capture", "--port", deployed.port, "-w", str(target), "--speed", "115200",
         "--run", str(script), "--json"]
    )  # fmt: skip
    try:
        running.wait_for("flooding")
        time.sleep(1)
        running.send(signal.SIGINT)
        assert running.wait(30) == 0
        report = json.loads(running.output.splitlines()[-1])
    finally:
        running.stop()
    assert report["dropped"] > 0 and report["damaged"] == 0
    captures.check_capture(target)
    assert deployed.mpremote("exec", "print(6 * 7)") == "42\n"


def test_a_pulled_cable_leaves_a_valid_file(deployed: VBoard, tmp_path: Path) -> None:
    target = tmp_path / "cut.pcapng"
    script = tmp_path / "forever.py"
    script.write_text(
        "import viperip\nviperip.up()\nviperip.ping('10.77.0.1', count=10000, interval_ms=10)\n"
    )
    running = subprocess.Popen(
        [*VIPERIP, "capture", "--port", deployed.port, "-w", str(target), "--run", str(script)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 30
    while not target.exists() or target.stat().st_size < 5000:
        assert time.monotonic() < end and running.poll() is None
        time.sleep(0.05)
    deployed.unplug()
    _, error = running.communicate(timeout=30)
    assert running.returncode == 1
    assert "the board has gone" in error
    captures.check_capture(target)
    assert len(captures.tshark(target)) > 20


def crashed_capture(board: VBoard, target: Path) -> None:
    """A capture whose host dies at the fast speed, without a word to the board."""
    running = subprocess.Popen(
        [*VIPERIP, "capture", "--port", board.port, "-w", str(target)],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr and "921600" in running.stderr.readline()
    running.kill()
    running.wait()
    captures.check_capture(target, at_least=0)


def test_after_a_crash_of_the_host_the_line_is_as_it_was(deployed: VBoard, tmp_path: Path) -> None:
    crashed_capture(deployed, tmp_path / "x.pcapng")
    # The board notices the silence, within seconds, and goes back to the usual speed.
    time.sleep(6)
    assert deployed.mpremote("exec", "print(6 * 7)") == "42\n"


def test_the_next_command_finds_a_board_that_was_left_at_the_fast_speed(
    deployed: VBoard, tmp_path: Path
) -> None:
    crashed_capture(deployed, tmp_path / "x.pcapng")
    done = deployed.viperip("undeploy")
    assert done.returncode == 0, done.stderr


def test_a_file_that_takes_nothing_ends_it_in_one_line(deployed: VBoard) -> None:
    done = deployed.viperip("capture", "-w", "/dev/full")
    assert done.returncode == 1
    assert "No space left" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stdout + done.stderr
    assert deployed.mpremote("exec", "print(6 * 7)") == "42\n"


def test_two_tools_on_one_port(deployed: VBoard, tmp_path: Path) -> None:
    running = Running([*VIPERIP, "bridge", "--port", deployed.port])
    try:
        running.wait_for("the board")
        done = deployed.viperip("capture", "-w", str(tmp_path / "no.pcapng"))
        assert done.returncode == 2
        assert "another program has this port open" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    finally:
        running.stop()


def test_a_board_without_viperip(deployed: VBoard, tmp_path: Path) -> None:
    assert deployed.viperip("undeploy").returncode == 0
    for verb, more in (
        ("capture", ["-w", str(tmp_path / "no.pcapng")]),
        ("bridge", []),
        ("monitor", ["--count", "1"]),
    ):
        done = deployed.viperip(verb, *more)
        assert done.returncode == 1
        assert "viperip deploy" in done.stderr.splitlines()[-1], done.stderr


def test_the_clock_of_a_board_wraps_and_may_be_silent() -> None:
    now = [1_000_000_000]
    clock = Clock(lambda: now[0])
    wrap = 1 << 30
    assert clock.stamp(wrap - 10) == 1_000_000_000
    assert clock.stamp(5) == 1_000_000_015
    assert clock.stamp(3) == 1_000_000_013
    now[0] += 3 * wrap + 100
    assert abs(clock.stamp(103) - now[0]) < wrap // 2


# The bridge.


def test_the_board_s_page_through_the_serial_line(deployed: VBoard, tmp_path: Path) -> None:
    port = free_port()
    target = tmp_path / "bridge.pcapng"
    running = Running(
        [*VIPERIP, "bridge", "--port", deployed.port, "--forward", f"{port}:80",
         "--run", ":demo.py", "--capture", str(target)]
    )  # fmt: skip
    try:
        running.wait_for("microdot on the board's own TCP")
        assert b"viperip" in fetch(f"http://127.0.0.1:{port}/")
        status = json.loads(fetch(f"http://127.0.0.1:{port}/api/status"))
        assert status["interfaces"][0]["if"] == "serial"
    finally:
        running.stop()
    captures.check_capture(target)
    assert deployed.mpremote("exec", "print(6 * 7)") == "42\n"


def test_every_byte_passes_and_none_is_lost(deployed: VBoard, tmp_path: Path) -> None:
    # 0x03 would interrupt the board; more than 260 bytes at once would be lost.
    script = tmp_path / "sum.py"
    script.write_text(
        "import viperip, socket, hashlib, binascii\n"
        "s = socket.socket()\ns.connect(('10.77.0.1', PORT))\n"
        "h = hashlib.sha256()\n"
        "while True:\n"
        "    d = s.recv(1000)\n"
        "    if not d:\n        break\n"
        "    h.update(d)\n"
        "print('sum', binascii.hexlify(h.digest()).decode())\n"
        "s.write(bytes([0, 3, 255] * 2000))\ns.close()\n"
    )
    import hashlib
    import socket
    import threading

    data = os.urandom(20_000) + bytes([0, 3]) * 5_000
    got = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            one, _ = server.accept()
            with one:
                one.sendall(data)
                one.shutdown(socket.SHUT_WR)
                while piece := one.recv(4096):
                    got.extend(piece)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = server.getsockname()[1]
        text = "import time\nlan = viperip.LAN(viperip.board())\n"
        script.write_text(
            "import viperip\n"
            + text
            + "while not lan.isconnected(): time.sleep_ms(10)\n"
            + script.read_text().replace("PORT", str(port))
        )
        done = deployed.viperip("bridge", "--run", str(script), "--json")
        thread.join(10)
    assert done.returncode == 0, done.stderr
    assert f"sum {hashlib.sha256(data).hexdigest()}" in done.stderr
    assert bytes(got) == bytes([0, 3, 255] * 2000)
    assert json.loads(done.stdout)["damaged"] == 0
    assert deployed.stop()["lost"] == 0


def test_a_pulled_cable_ends_the_bridge(deployed: VBoard) -> None:
    running = subprocess.Popen(
        [*VIPERIP, "bridge", "--port", deployed.port],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr and "the board" in running.stderr.readline()
    deployed.unplug()
    _, error = running.communicate(timeout=30)
    assert running.returncode == 1 and "the board has gone" in error


def test_a_board_that_is_reset_ends_the_bridge(deployed: VBoard) -> None:
    running = subprocess.Popen(
        [*VIPERIP, "bridge", "--port", deployed.port],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr and "the board" in running.stderr.readline()
    deployed.press(signal.SIGUSR1)
    _, error = running.communicate(timeout=60)
    assert running.returncode == 1
    assert "reset" in error.splitlines()[-1]


# The monitor.


def test_the_monitor_counts_what_a_script_does(deployed: VBoard, tmp_path: Path) -> None:
    script = tmp_path / "busy.py"
    script.write_text(
        "import viperip\nviperip.up()\n"
        "viperip.ping('10.77.0.1', count=150, interval_ms=10, quiet=True)\n"
    )
    done = deployed.viperip(
        "monitor", "--json", "--interval", "0.3", "--count", "5", "--run", str(script)
    )
    assert done.returncode == 0, done.stderr
    looks = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(looks) >= 4
    assert max(one["tx_fps"] for one in looks) > 20
    assert looks[-1]["interfaces"][0]["ip"] == "10.77.0.2/24"
    assert looks[-1]["heap"]["free"] > 0


def test_the_monitor_s_table(deployed: VBoard) -> None:
    done = deployed.viperip("monitor", "--count", "1", "--interval", "0.2")
    assert done.returncode == 0, done.stderr
    assert "heap" in done.stdout and "up" in done.stdout


# Wireshark's plugin.


def test_tshark_lists_and_captures_from_the_board(deployed: VBoard, tmp_path: Path) -> None:
    environment = {
        **os.environ, "VIPERIP_PORTS": deployed.port, "WIRESHARK_EXTCAP_DIR": str(tmp_path / "ec"),
        "HOME": str(tmp_path),
    }  # fmt: skip
    (tmp_path / "ec").mkdir()

    def run(*command: str) -> str:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    installed = Path(run(*VIPERIP, "extcap", "--install").splitlines()[0])
    try:
        name = "viperip-" + Path(deployed.port).name
        assert f"{name} (viperip board on {deployed.port})" in run("tshark", "-D")
        out = run("tshark", "-i", name, "-a", "duration:4", "-f", "arp", "-l")
        assert "ARP" in out
        assert "ICMP" not in out
        options = run(sys.executable, "-m", "viperip_host", "extcap", "--extcap-config",
                      "--extcap-interface", "viperip")  # fmt: skip
        assert "{call=--port}" in options and "{call=--snaplen}" in options
        assert "EN10MB" in run(*VIPERIP, "extcap", "--extcap-dlts", "--extcap-interface", name)
        wrong = run(*VIPERIP, "extcap", "--extcap-interface", name,
                    "--extcap-capture-filter", "port eighty")  # fmt: skip
        assert "'eighty' is no number" in wrong
    finally:
        run(*VIPERIP, "extcap", "--uninstall")
    assert not installed.exists()
