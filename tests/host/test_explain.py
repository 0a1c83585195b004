"""`viperip explain` as a command: on the demo board's capture, live, as a page in a browser."""

import html.parser
import json
import struct
import subprocess
from pathlib import Path

import pytest

from tests.host.command import VIPERIP, refused, viperip
from tests.host.explain_frames import ACK, A, B, Talk, pcap
from tests.host.test_browser import chromium
from tests.host.vboard import VBoard, deployed, deployed_image
from tests.net.captures import check_capture, tshark

__all__ = ["deployed", "deployed_image"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make run` captures: the demo board fetching its own page."""
    import os

    path = tmp_path_factory.mktemp("demo") / "run.pcapng"
    done = viperip(
        "sim", "--board", "wt32-eth01", "--capture", str(path),
        env={**os.environ, "RUN_SECONDS": "0.5"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    check_capture(path, 20)
    return path


def test_the_demo_board_layer_by_layer(demo: Path) -> None:
    done = viperip("explain", str(demo))
    assert done.returncode == 0 and done.stderr == ""
    out = done.stdout
    for text in (
        "DHCP DISCOVER", "DHCP state: REQUESTING -> BOUND", "ARP who has 10.77.0.1?",
        "ICMP echo reply 10.77.0.1 > 10.77.0.2", "state: SYN-SENT -> ESTABLISHED",
        "RFC 9293 3.10.7.4: ACK advances SND.UNA", "GET / HTTP/1.1", "FIN-WAIT-1",
        "│version│  IHL  │", "firmware/viperip/transport/tcp/segment.py",
    ):  # fmt: skip
        assert text in out, text
    assert "wrong" not in out and "\x1b" not in out and "! " not in out


def test_it_agrees_with_tshark(demo: Path) -> None:
    fields = tshark(demo, "-Y", "tcp", "-T", "fields", "-e", "frame.number", "-e", "tcp.seq",
                    "-e", "tcp.ack", "-e", "tcp.len", "-e", "tcp.window_size")  # fmt: skip
    theirs = [tuple(map(int, line.split("\t"))) for line in fields]
    done = viperip("explain", str(demo), "--only", "tcp", "--json")
    ours = []
    for line in done.stdout.splitlines():
        one = json.loads(line)
        (tcp,) = [layer for layer in one["layers"] if layer["kind"] == "tcp"]
        words = one["summary"].partition("] ")[2].replace(",", "").split()
        seq, _, end = words[1].partition(":")
        ack = int(words[3]) if words[2] == "ack" else 0
        window = int(words[words.index("win") + 1])
        ours.append((one["frame"], int(seq), ack, int(end or seq) - int(seq), window))
        assert tcp["problems"] == []
    assert ours == theirs and len(ours) > 8


def test_one_frame_and_one_protocol(demo: Path) -> None:
    one = viperip("explain", str(demo), "--frame", "1").stdout
    assert one.startswith("frame 1 ") and "frame 2 " not in one
    arp = viperip("explain", str(demo), "--only", "arp", "--brief").stdout
    heads = [line for line in arp.splitlines() if line.startswith("frame ")]
    assert heads and all("ARP" in line for line in heads)
    assert "│" not in arp


def test_sequence_diagrams(demo: Path) -> None:
    out = viperip("explain", str(demo), "--talk").stdout
    assert "│── SYN seq 0 win" in out and "◀─ SYN ACK seq 0 ack 1" in out
    assert "│ SELECTING" in out and "ESTABLISHED" in out


def test_a_reader_that_has_seen_enough(demo: Path) -> None:
    for flags in ([], ["--json"]):
        command = [*VIPERIP, "explain", str(demo), *flags]
        running = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert running.stdout and running.stderr
        running.stdout.readline()
        running.stdout.close()
        error = running.stderr.read()
        running.stderr.close()
        assert running.wait(20) == 0 and error == b"", error


class _Page(html.parser.HTMLParser):
    """What a page names that lies elsewhere, and its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.shapes = 0
        self.details = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.shapes += tag in ("path", "line", "polygon")
        self.details += tag == "details"
        for name, value in attrs:
            outer = name in ("src", "href", "xlink:href") and not (value or "").startswith("#")
            if outer or tag in ("script", "link", "iframe", "img") or name.startswith("on"):
                self.outside.append(f"{tag} {name}={value}")


def lossy(folder: Path) -> Path:
    """A capture with a lost segment, a closed window, and a payload that would like to be HTML."""
    t = Talk()
    t.open()
    for i in range(5):
        t.tcp(A, ACK, 1 + 100 * i, 1, b"<script>alert(1)</script>".ljust(100))
    for _ in range(3):
        t.tcp(B, ACK, 1, 1)
    t.tcp(A, ACK, 1, 1, b"GET /<img src=x> HTTP/1.1\r\n".ljust(100))
    t.tcp(B, ACK, 1, 501, window=0)
    t.tcp(B, ACK, 1, 501, window=3000)
    return pcap(folder / "<i>lossy.pcap", t.frames)


def test_the_page_needs_nothing_else(demo: Path, tmp_path: Path) -> None:
    for source in (demo, lossy(tmp_path)):
        target = tmp_path / "page.html"
        done = viperip("explain", str(source), "--html", str(target))
        assert done.returncode == 0 and done.stdout == ""
        text = target.read_text()
        page = _Page()
        page.feed(text)
        assert page.outside == []
        assert page.shapes > 20 and page.details > 8
        assert "default-src 'none'" in text and "url(" not in text and "@import" not in text
    assert "again: fast retransmit" in text and "window 0" in text and "&lt;i&gt;lossy" in text
    for title in ("in flight, and cwnd", "round trip time", "window announced"):
        assert title in text


def test_the_page_in_a_browser(demo: Path, tmp_path: Path) -> None:
    browser = chromium()
    target, picture = tmp_path / "page.html", tmp_path / "page.png"
    assert viperip("explain", str(demo), "--html", str(target)).returncode == 0
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--no-first-run"]
    command += ["--virtual-time-budget=2000", "--window-size=1200,1600"]
    done = subprocess.run(
        [*command, f"--screenshot={picture}", "--dump-dom", target.as_uri()],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    for text in ("SYN seq 0 win", "SELECTING", "ESTABLISHED", "ACK advances SND.UNA"):
        assert text in done.stdout
    assert "Refused to" not in done.stderr
    head = picture.read_bytes()
    assert struct.unpack(">II", head[16:24]) == (1200, 1600)
    assert len(head) > 50_000  # an empty page is a tenth of that


def test_live_from_a_simulation_with_the_board_s_own_state(tmp_path: Path) -> None:
    script = tmp_path / "s.py"
    script.write_text(
        "import socket, sys, viperip\n"
        "viperip.ping('10.77.0.1', count=1)\n"
        "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "u.bind(('0.0.0.0', 7777))\n"
        "s = socket.socket()\n"
        "try:\n    s.connect(('10.77.0.1', 9))\n"
        "except OSError as e:\n    print('refused', sys.argv[1])\n"
        "sys.exit(3)\n"
    )
    done = viperip("explain", "--sim", f"--mac 02:00:00:00:00:77 {script} word", "--json")
    assert done.returncode == 3, done.stderr
    assert "refused word" in done.stderr and "Traceback" not in done.stderr
    frames = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["frame"] for one in frames] == list(range(1, len(frames) + 1))
    assert frames[0]["sent"] is True and "02:00:00:00:00:77" in frames[0]["summary"]
    own = [line for one in frames for line in one["board"]]
    assert "arp 10.77.0.1 entry: incomplete -> reachable" in own
    assert any("SND.NXT: 0 -> 1" in line for line in own), own
    assert any(line.startswith("tcp ") and line.endswith("is gone") for line in own), own
    assert any(line.startswith("counts tcp_out") for line in own)


def test_what_is_said_to_be_dropped_is_what_the_board_drops(tmp_path: Path) -> None:
    """Two implementations of the same rules, on frames with flipped bits."""
    script = tmp_path / "s.py"
    script.write_text(
        "import socket, viperip\n"
        "viperip.ping('10.77.0.1', count=60, interval_ms=5, timeout_ms=20, quiet=True)\n"
        "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "for i in range(20):\n    u.sendto(b'?', ('10.77.0.1', 9))\n"
        "viperip.ping('10.77.0.1', count=1, timeout_ms=50, quiet=True)\n"
    )
    done = viperip("explain", "--sim", f"--corrupt 30% --ip 10.77.0.2/24 {script}", "--json")
    assert done.returncode == 0, done.stderr
    frames = [json.loads(line) for line in done.stdout.splitlines()]
    named = 0
    for one in frames:
        if one["sent"]:
            continue
        counts = {
            line.split()[1].rstrip(":") for line in one["board"] if line.startswith("counts ")
        }
        dropped = {name for name in counts if name.endswith(_DROPPED)}
        said = any("drops" in statement["text"] for statement in one["statements"])
        if dropped:
            named += 1
            assert said, one
        elif said:
            # Other rules came first: it was for another station, or from a group address.
            assert any(name.startswith(("eth_", "ip_")) for name in counts), one
    assert named > 3


_DROPPED = ("_checksum", "ip_version", "ip_header_length", "ip_total_length", "udp_length")


def test_live_from_a_board(deployed: VBoard, tmp_path: Path) -> None:
    script = tmp_path / "ping.py"
    script.write_text(
        "import viperip\nviperip.up()\nprint('hello')\n"
        "viperip.ping('10.77.0.1', count=3, interval_ms=20)\n"
    )
    done = viperip("explain", "--port", deployed.port, "--run", str(script), "--brief")
    assert done.returncode == 0, done.stderr
    assert "hello" in done.stderr
    assert done.stdout.count("ICMP echo reply 10.77.0.1 >") == 3
    assert "answers frame" in done.stdout


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "give one of FILE"),
        (["x.pcap", "--sim", "y.py"], "give one of FILE"),
        (["x.pcap", "--run", "y.py"], "--run goes with --port"),
        (["x.pcap", "--json", "--talk"], "exclude each other"),
        (["x.pcap", "--only", "quic"], "'quic' is not one of"),
        (["--sim", ""], "name a script"),
        (["--sim", "'"], "No closing quotation"),
        (["--sim", "no-such.py"], "no-such.py"),
        (["x.pcap", "--html", "/no/such/folder/x.html"], "--html"),
    ],
)
def test_wrong_command_lines(arguments: list[str], words: str) -> None:
    assert words in refused("explain", *arguments)
