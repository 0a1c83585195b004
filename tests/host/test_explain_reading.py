"""Captures of every kind: other programs' files, other link types, and what is broken."""

import io
import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from tests.host.command import viperip
from tests.host.explain_frames import ACK, PSH, A, B, Talk, arp, icmp, pcap, udp
from tests.net.netns import NetNS
from viperip_host.capture_file import CaptureFile, Interface
from viperip_host.explain import html_view, reading, talks, terminal_view
from viperip_host.explain.reading import Frame
from viperip_host.explain.track import Tracker


def some_frames() -> list[bytes]:
    t = Talk()
    t.put(arp(1, A, A, B))
    t.open()
    t.tcp(A, PSH | ACK, 1, 1, b"GET / HTTP/1.1\r\n\r\n")
    t.put(icmp(A, B, 8, 0, struct.pack("!HH", 1, 1) + bytes(56)))
    t.put(udp(A, B, 5000, 53, b"\0\x07\1\0\0\1\0\0\0\0\0\0\3foo\0\0\1\0\1"))
    return t.frames


def pcapng(frames: list[bytes]) -> bytes:
    """A pcapng file, in memory."""
    kept = io.BytesIO()
    file = CaptureFile(kept, "test", [Interface("eth0")])
    for data in frames:
        file.write(0, data, stamp=1_000_000, sent=True)
    return kept.getvalue()


def read(data: bytes) -> tuple[list[Frame], list[str]]:
    said: list[str] = []
    return list(reading.read_stream(io.BytesIO(data), "it", said.append)), said


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("nano", [False, True])
def test_classic_pcap(tmp_path: Path, order: str, nano: bool) -> None:
    frames = some_frames()
    found, said = read(pcap(tmp_path / "x.pcap", frames, order=order, nano=nano).read_bytes())
    assert [one.data for one in found] == frames and not said
    assert found[1].stamp == pytest.approx(1001.000000005 if nano else 1001.000005)


def test_pcapng_says_direction_and_interface() -> None:
    frames = some_frames()
    found, said = read(pcapng(frames))
    assert [one.data for one in found] == frames and not said
    assert {(one.sent, one.interface, one.stamp) for one in found} == {(True, "eth0", 1.0)}


def test_other_programs_files(tmp_path: Path) -> None:
    if not all(shutil.which(one) for one in ("editcap", "text2pcap", "tshark")):
        pytest.skip("needs editcap, text2pcap and tshark")
    source = pcap(tmp_path / "x.pcap", some_frames())
    texts = set()
    for kind in ("pcapng", "nsecpcap", "pcap", "modpcap"):
        target = tmp_path / f"{kind}.cap"
        subprocess.run(["editcap", "-F", kind, source, target], check=True)
        done = viperip("explain", str(target), "--talk")
        if kind == "modpcap":
            # A format of old kernels, with its own magic.
            assert done.returncode == 1 and "neither pcapng nor pcap" in done.stderr
            continue
        assert done.returncode == 0, done.stderr
        texts.add(done.stdout)
    assert len(texts) == 1, texts
    rewritten = tmp_path / "tshark.cap"
    subprocess.run(["tshark", "-r", source, "-w", rewritten], check=True, capture_output=True)
    assert viperip("explain", str(rewritten), "--talk").stdout in texts
    # text2pcap makes up the Ethernet and IP headers for bytes that are given as text.
    dump = tmp_path / "dump.txt"
    dump.write_text("0000 68 65 6c 6c 6f\n")
    made = tmp_path / "text.cap"
    command = ["text2pcap", "-u", "1234,9999", "-4", "10.1.1.1,10.1.1.2", str(dump), str(made)]
    subprocess.run(command, check=True, capture_output=True)
    done = viperip("explain", str(made))
    assert "UDP 10.1.1.1:1234 > 10.1.1.2:9999, 5 bytes" in done.stdout, done.stderr
    assert "hello" in done.stdout and "checksum" in done.stdout


@pytest.mark.root
@pytest.mark.parametrize("name", ["tcpdump", "dumpcap"])
def test_what_other_programs_write_of_the_loopback(tmp_path: Path, name: str) -> None:
    target = tmp_path / f"{name}.cap"
    command, ready = {
        "tcpdump": (["tcpdump", "-Z", "root", "-i", "lo", "-U", "-c", "2"], "listening on"),
        "dumpcap": (["dumpcap", "-i", "any", "-c", "2"], "File: "),
    }[name]
    with NetNS() as ns:
        ns.run("ip", "link", "set", "lo", "up")
        running = ns.start(*command, "-w", str(target), *([] if name == "dumpcap" else ["icmp"]))
        try:
            running.wait_for(ready)
            ns.run("ping", "-c", "2", "-i", "0.2", "127.0.0.1")
            running.wait()
        finally:
            running.stop()
    done = viperip("explain", str(target), "--brief")
    assert done.returncode == 0, done.stderr
    assert "ICMP echo request 127.0.0.1 > 127.0.0.1" in done.stdout
    assert "wrong" not in done.stdout


def test_raw_ip_and_cooked_captures(tmp_path: Path) -> None:
    frames = some_frames()[1:]
    bare = [data[14:] for data in frames]
    raw = viperip("explain", str(pcap(tmp_path / "raw.pcap", bare, link=101)), "--brief")
    cooked = [bytes([0, 4, 0, 1, 0, 6, *bytes(8), 8, 0]) + data for data in bare]
    sll = viperip("explain", str(pcap(tmp_path / "sll.pcap", cooked, link=113)), "--brief")
    newer = [bytes([8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 4, 6, *bytes(8)]) + data for data in bare]
    sll2 = viperip("explain", str(pcap(tmp_path / "sll2.pcap", newer, link=276)), "--brief")
    for done in (raw, sll, sll2):
        assert done.returncode == 0 and done.stderr == ""
        assert "TCP 10.0.0.1:1000 > 10.0.0.2:80 [SYN] seq 0" in done.stdout
        assert "wrong" not in done.stdout


def test_other_link_types_are_named_once_and_left_out(tmp_path: Path) -> None:
    done = viperip("explain", str(pcap(tmp_path / "wlan.pcap", some_frames(), link=105)))
    assert done.returncode == 1 and done.stdout == ""
    assert "link type 105 (IEEE 802.11) cannot be read" in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_one_interface_of_several_with_another_link_type() -> None:
    frames = some_frames()
    wlan = struct.pack("<IIHHII", 1, 20, 105, 0, 0, 20)
    section, rest = pcapng([])[:0], pcapng(frames)
    n = struct.unpack("<I", rest[4:8])[0]
    section = rest[:n]
    # The other interface comes first, so that the frames are its own.
    found, said = read(section + wlan + rest[n:])
    assert found == [] and len(said) == 1 and "105" in said[0]


def test_frames_that_the_capture_has_cut(tmp_path: Path) -> None:
    for snaplen in (10, 20, 40, 60):
        path = pcap(tmp_path / f"{snaplen}.pcap", some_frames(), snaplen=snaplen)
        done = viperip("explain", str(path))
        assert done.returncode == 0 and done.stderr == ""
        assert f"{snaplen} of " in done.stdout
        assert "wrong" not in done.stdout
    assert "cannot be checked: the capture has cut the frame" in done.stdout


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "the file is empty"),
        (b"\x1f\x8b\x08\x00 gzip", "neither pcapng nor pcap (it begins with 1f 8b 08 00)"),
        (b"\x0a", "neither pcapng nor pcap"),
        (b"\xd4\xc3\xb2\xa1\2\0", "the file header is cut"),
        (b"\x0a\x0d\x0d\x0a\x1c\0\0\0abcd", "no byte order mark"),
    ],
)
def test_files_that_are_no_captures(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "x.cap"
    path.write_bytes(content)
    done = viperip("explain", str(path))
    assert done.returncode == 1
    assert words in done.stderr and "Traceback" not in done.stderr


def test_a_broken_block_ends_nothing() -> None:
    frames = some_frames()
    data = bytearray(pcapng(frames))
    # The second frame's block: captured length far beyond it.
    at = bytes(data).index(frames[1])
    data[at - 8 : at - 4] = struct.pack("<I", 70000)
    found, said = read(bytes(data))
    assert [one.number for one in found] == [1, *range(3, len(frames) + 1)]
    assert len(said) == 1 and "frame 2" in said[0]


def test_lengths_that_lie_end_the_file_with_a_word() -> None:
    data = pcapng(some_frames())
    at = len(data) - struct.unpack("<I", data[-4:])[0]
    for n in (0, 13, 0xFFFFFFF0):
        found, said = read(data[: at + 4] + struct.pack("<I", n) + data[at + 8 :])
        assert len(found) == len(some_frames()) - 1 and "corrupt from there" in said[0]
    found, said = read(data[:-9])
    assert len(found) == len(some_frames()) - 1 and "is cut" in said[0]


def test_a_file_that_is_not_there_and_a_folder(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "no.pcap", "No such file"), (tmp_path, "a folder")):
        done = viperip("explain", str(path))
        assert done.returncode == 2 and words in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_standard_input(tmp_path: Path) -> None:
    path = pcap(tmp_path / "x.pcap", some_frames())
    with open(path, "rb") as file:
        done = viperip("explain", "-", "--brief", stdin=file)
    assert done.returncode == 0 and "frame 1" in done.stdout


def test_fuzz_of_frames_and_files() -> None:
    """Seeded: whatever is flipped, cut or doubled, there is an explanation and no exception."""
    random.seed(9293)
    frames = some_frames()
    out = io.StringIO()
    view = terminal_view.View(terminal_view.console(out))
    tracker = Tracker()
    kept = []
    for n in range(1, 600):
        data = bytearray(random.choice(frames))
        for _ in range(random.randrange(4)):
            data[random.randrange(len(data))] = random.randrange(256)
        if random.random() < 0.3:
            data = data[: random.randrange(len(data) + 1)]
        link = random.choice((1, 1, 1, 101, 113))
        length = len(data) + random.choice((0, 0, 9))
        seen = tracker.take(Frame(n, bytes(data), length, n / 10, link))
        view.frame(seen)
        kept.append(seen)
    found = talks.gather(kept, tracker)
    for one in found:
        view.talk(one)
    assert out.getvalue().count("frame ") >= 599
    assert html_view.page("fuzz", found, kept, 0.0).endswith("</html>\n")
    whole = (pcapng(frames), b"\xd4\xc3\xb2\xa1" + bytes(20) + bytes(16))
    for _ in range(1500):
        data = bytearray(random.choice(whole))
        for _ in range(random.randrange(1, 5)):
            data[random.randrange(len(data))] = random.randrange(256)
        read(bytes(data[: random.randrange(len(data) + 1)]))
