"""Every file in firmware/examples/ runs under `viperip sim` and does what its header says."""

import hashlib
import http.server
import json
import re
import shutil
import socket
import struct
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pcapng
import pytest

from tests.host.board import GATEWAY, free_port
from tests.host.command import VIPERIP, viperip
from tests.host.test_two_boards import free_udp_ports
from tests.net.captures import check_capture, tshark
from tests.net.netns import Running

FOLDER = Path(__file__).parents[2] / "firmware" / "examples"
EXAMPLES = sorted(path.stem for path in FOLDER.glob("*.py"))

Check = Callable[[str, Path], None]
CHECKS: dict[str, Check] = {}


def check(function: Check) -> Check:
    """Registers a function as the expectation of the example it is named after."""
    CHECKS[function.__name__] = function
    return function


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name: str, tmp_path: Path) -> None:
    assert name in CHECKS, f"{name}.py is new: say here what it is to print"
    CHECKS[name](str(FOLDER / f"{name}.py"), tmp_path)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_says_what_it_shows_and_how_to_run_it(name: str) -> None:
    lines = (FOLDER / f"{name}.py").read_text().splitlines()
    header = [line for line in lines[:10] if line.startswith("#")]
    assert re.match(r"# [A-Z].*", header[0])
    assert any(re.match(rf"#   viperip sim .*firmware/examples/{name}\.py", h) for h in header)
    assert len(lines) < 100


def test_the_readme_lists_the_examples() -> None:
    listed = re.findall(r"\| \[(\w+)\.py\]\(\1\.py\) \|", (FOLDER / "README.md").read_text())
    assert sorted(listed) == EXAMPLES


def run(script: str, *arguments: str) -> str:
    """What an example that ends by itself has printed."""
    done = viperip("sim", script, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name, url", [("http_get", "http://%s/"), ("sntp", "%s")])
def test_a_name_without_an_address_is_one_line(name: str, url: str) -> None:
    done = viperip("sim", str(FOLDER / f"{name}.py"), url % "no-such-name.invalid")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("no address for no-such-name.invalid: ")


def expect(output: str, *patterns: str) -> None:
    """Lines that match the patterns come in this order."""
    rest = iter(output.splitlines())
    for pattern in patterns:
        assert any(re.fullmatch(pattern, line) for line in rest), f"{pattern} in:\n{output}"


@contextmanager
def served(script: str, forward: str, ready: str) -> Iterator[Running]:
    """An example that serves, from the time it says so."""
    one = Running([*VIPERIP, "sim", "--forward", forward, script])
    try:
        one.wait_for(ready)
        yield one
    finally:
        one.stop()


@check
def hello_http(script: str, folder: Path) -> None:
    port = free_port()
    with served(script, f"{port}:80", "serving") as board:
        for _ in range(2):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as page:
                assert b"Hello from a board" in page.read()
        board.wait_for("GET / HTTP/1.1")


@check
def udp_echo(script: str, folder: Path) -> None:
    port = free_port()
    with served(script, f"udp:{port}:7", "echoing") as board:
        with socket.socket(type=socket.SOCK_DGRAM) as s:
            s.settimeout(10)
            s.connect(("127.0.0.1", port))
            s.send(b"hello")
            assert s.recv(100) == b"hello"
        board.wait_for("5 bytes from ")


@check
def tcp_echo_asyncio(script: str, folder: Path) -> None:
    port = free_port()
    with served(script, f"{port}:7", "echoing") as board:
        clients = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(3)]
        for number, client in enumerate(clients):
            client.sendall(b"%d" % number * 1000)
        for number, client in enumerate(clients):
            with client, client.makefile("rb") as stream:
                assert stream.read(1000) == b"%d" % number * 1000
        board.wait_for("1000 bytes for ")


@check
def http_get(script: str, folder: Path) -> None:
    (folder / "index.html").write_text("<p>a page</p>")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        output = run(script, f"http://{GATEWAY}:{server.server_port}/index.html")
        server.shutdown()
    expect(
        output, rf"{GATEWAY}:.* is .*", r"HTTP/1\.0 200 OK", r"13 bytes: b'<p>a page</p>' \.\.\."
    )


@check
def raw_frames(script: str, folder: Path) -> None:
    mac = "02:76:69:70:00:01"
    expect(
        run(script),
        rf"who has {GATEWAY}\?",
        rf"from {mac} type 0806, \d+ bytes",
        rf"{GATEWAY} is at {mac}",
        "nothing more within a second",
    )


@check
def iperf3_server(script: str, folder: Path) -> None:
    if shutil.which("iperf3") is None:
        pytest.skip("needs iperf3")
    port = free_port()
    with served(script, f"{port}:5201", "iperf3 server: listening"):
        for flags in ([], ["-R"]):
            told = ["iperf3", "-c", "127.0.0.1", "-p", str(port), "-t", "1", "-J", *flags]
            done = subprocess.run(told, capture_output=True, text=True, timeout=30, check=True)
            assert json.loads(done.stdout)["end"]["sum_received"]["bytes"] > 100_000


@check
def health_check(script: str, folder: Path) -> None:
    expect(
        run(script),
        r"10\.77\.0\.1 is up",
        r"10\.77\.0\.99 is down",
        r"10\.77\.0\.99 +down +-",
    )
    expect(run(script, "10.77.0.1", "ROUNDS=1"), r"10\.77\.0\.1 +unknown +-")


@check
def performance_monitor(script: str, folder: Path) -> None:
    done = viperip("sim", script)
    assert done.returncode == 1 and "which service?" in done.stderr
    # Nothing listens there.
    expect(
        run(script, GATEWAY, str(free_port()), "3"),
        r"success  0 of 3 \(0 %\)",
        r"failed   3 times: .*ECONNREFUSED",
    )


@check
def connection_pool(script: str, folder: Path) -> None:
    output = run(script)
    expect(output, r"30 of 30 answers, in \d+ ms", r"\d+ connections opened, 3 at a time at most")
    # The server hangs up after five answers.
    opened = re.search(r"(\d+) connections opened", output)
    assert opened and 6 <= int(opened[1]) <= 12


@check
def retry_backoff(script: str, folder: Path) -> None:
    attempts = [rf"attempt {n}: .*ECONNREFUSED; again in \d+ ms" for n in range(1, 6)]
    expect(run(script), *attempts, r"given up: .*ECONNREFUSED")


@check
def socket_tuning(script: str, folder: Path) -> None:
    output = run(script)
    rates = [int(n) for n in re.findall(r"SO_RCVBUF .* (\d+) kbit/s", output)]
    # RFC 9293 3.8.6: the window bounds what is under way, 20 ms long.
    assert len(rates) == 4 and rates[0] < rates[1] < rates[2]
    assert rates[0] <= 2048 * 8 // 20
    assert len(re.findall(r"TCP_NODELAY [01]: ", output)) == 2


@check
def tcp_vs_udp(script: str, folder: Path) -> None:
    output = run(script)
    expect(output, r"TCP  100 of 100 arrived, +0 lost; .*", r"UDP +\d+ of 100 arrived, .*")
    lost = re.search(r"UDP .* (\d+) lost", output)
    assert lost and 0 < int(lost[1]) < 50


@check
def sensor_collector(script: str, folder: Path) -> None:
    expect(
        run(script),
        r"no collector \(.*ECONNREFUSED.*\); \d+ readings wait",
        r"30 readings taken, 0 given up, 0 unconfirmed",
        r"the collector has 30, in order: True",
    )


@check
def lldp(script: str, folder: Path) -> None:
    # tshark is the judge of what is sent; the two boards, of each other.
    a, b = free_udp_ports(2)
    capture = folder / "lldp.pcapng"
    boards = [
        Running([*VIPERIP, "sim", "--link", f"udp:{here}:{there}", "--ip", ip, "--mac", mac,
                 "--hostname", name, *more, script, "20"])
        for here, there, ip, mac, name, more in (
            (a, b, "10.0.0.1/24", "02:00:00:00:00:01", "left", ["--capture", str(capture)]),
            (b, a, "10.0.0.2/24", "02:00:00:00:00:02", "right", []),
        )
    ]  # fmt: skip
    try:
        boards[0].wait_for("neighbour b'right', chassis 02:00:00:00:00:02 port b'eth0'")
        boards[1].wait_for("neighbour b'left', chassis 02:00:00:00:00:01 port b'eth0'")
    finally:
        for one in boards:
            one.stop()
    check_capture(capture, 2)
    fields = ("lldp.chassis.id.mac", "lldp.port.id", "lldp.time_to_live", "lldp.tlv.system.name")
    flags = [word for one in fields for word in ("-e", one)]
    rows = set(tshark(capture, "-Y", "lldp", "-T", "fields", *flags))
    assert rows == {f"02:00:00:00:00:0{i}\teth0\t120\t{name}" for i, name in
                    ((1, "left"), (2, "right"))}  # fmt: skip


@check
def ping_and_traceroute(script: str, folder: Path) -> None:
    expect(
        run(script),
        r"3 packets transmitted, 3 received, 0% packet loss",
        r"best of 3: .* ms",
        rf" 1  {GATEWAY} .*",
        rf"{GATEWAY} is hop 1",
    )


@check
def two_stacks(script: str, folder: Path) -> None:
    expect(
        run(script),
        r"2 packets transmitted, 2 received, 0% packet loss",
        r"left:",
        r"10\.1\.0\.2  02:00:00:00:00:02  reachable .*",
        r"right:",
        r"10\.1\.0\.1  02:00:00:00:00:01  reachable .*",
        r"icmp_echo_in: 2",
    )


@check
def two_interfaces(script: str, folder: Path) -> None:
    expect(
        run(script),
        r"64 bytes from 10\.2\.0\.2: icmp_seq=0 ttl=63 .*",
        r"2 packets transmitted, 2 received, 0% packet loss",
        r" 1  10\.1\.0\.1 .*",
        r" 2  10\.2\.0\.2 .*",
        r"the router has passed on \d+ datagrams",
    )


@check
def capture(script: str, folder: Path) -> None:
    path = folder / "ping.pcapng"
    expect(run(script, str(path)), rf"\d+ frames in {path}")
    with path.open("rb") as file:
        blocks = [b for b in pcapng.FileScanner(file) if type(b).__name__ == "EnhancedPacket"]
    types = [block.packet_data[12:14] for block in blocks]
    assert types.count(b"\x08\x00") == 6  # three requests, three replies
    assert types.count(b"\x08\x06") >= 2
    check_capture(path, 8)


@check
def static_arp(script: str, folder: Path) -> None:
    expect(
        run(script),
        r"1 packets transmitted, 1 received, 0% packet loss",
        rf"{GATEWAY}  02:76:69:70:00:01  static .*",
        r"forget it: True",
    )


@check
def keepalive_half_close(script: str, folder: Path) -> None:
    expect(run(script), r"client: FIN-WAIT-[12]", r"server: CLOSE-WAIT", r"sorted: 1 2 3")


@check
def own_protocol(script: str, folder: Path) -> None:
    expect(run(script), r"02:00:00:00:00:02: 21\.5 degrees")


@check
def rest_users(script: str, folder: Path) -> None:
    expect(
        run(script),
        r'POST +/users +\{"name": "Ada"\} +-> 201 .*',
        r'PUT +/users/1 .* -> 200 OK  \{"id": 1, "name": "Grace"\}',
        r'GET +/users +-> 200 OK  \[\{"id": 1, "name": "Grace"\}\]',
        r"DELETE +/users/1 +-> 204 .*",
        r"GET +/users/1 +-> 404 .* no user 1",
        r"POST +/users +not JSON +-> 400 .*",
    )


@check
def websocket_chat(script: str, folder: Path) -> None:
    expect(
        run(script),
        r"Ada enters tea",
        r"Ben enters tea",
        r"  Ada reads: Ben: Is the kettle on\?",
        r"  Ada reads: \* Ben has left",
    )


@check
def tcp_echo_select(script: str, folder: Path) -> None:
    reads = [rf"a client reads: b'{word}'" for word in ("one", "two", "three")]
    expect(run(script), r"127\.0\.0\.1:\d+ is done", *reads)


@check
def file_upload(script: str, folder: Path) -> None:
    done = viperip("sim", script, cwd=folder)
    assert done.returncode == 0, done.stderr
    digest = hashlib.sha256(b"x" * 10000).hexdigest()
    expect(
        done.stdout,
        rf"upload\.bin: OK 10000 {digest}",
        r"broken\.bin: ERROR the SHA-256 is another",
        r"None: ERROR not a name for a file here",
    )
    assert not list(folder.iterdir())


@check
def position_updates(script: str, folder: Path) -> None:
    output = run(script)
    expect(output, r"sent 100, .*", r"last position: 990, -495 mm", r"never backwards: True")
    counted = re.findall(r"'(taken|lost|old)': (\d+)", output)
    assert all(int(number) > 0 for _, number in counted) and len(counted) == 3


@check
def smtp_send(script: str, folder: Path) -> None:
    expect(
        run(script),
        r"S: 220 board",
        r"C: EHLO .*",
        r"C: MAIL FROM:<board@example\.com> BODY=8BITMIME",
        r"C: RCPT TO:<you@example\.com>",
        r"C: DATA",
        r"S: 354 .*",
        r"S: 250 .*",
        r"S: 221 bye",
    )


@check
def https_server(script: str, folder: Path) -> None:
    expect(
        run(script),
        r"the client of board\.test reads: b'HTTP/1\.0 200 OK\\r\\n'",
        r"127\.0\.0\.1: b'GET / HTTP/1\.0': 200 OK",
        r"the client of another\.test: .*does not match.*",
    )


@check
def https_get(script: str, folder: Path) -> None:
    # Against real servers, good and broken: test_examples_tls.py.
    done = viperip("sim", script, "https://no-such-name.invalid/")
    assert done.returncode == 1
    assert done.stderr.startswith("no address for no-such-name.invalid: ")


@check
def mqtt_sensor(script: str, folder: Path) -> None:
    taken = [rf'  broker: board/readings .*"n": {n}.*' for n in (1, 2, 3)]
    expect(run(script), r"connected to .*", r"  broker: board/status online", *taken)


@check
def sntp(script: str, folder: Path) -> None:
    now = 1_700_000_000  # 2023-11-14 22:13:20 UTC
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(20)

        def answer() -> None:
            request, peer = server.recvfrom(100)
            mode, stratum = 4 << 3 | 4, 2
            reply = bytes([mode, stratum]) + bytes(22) + request[40:48] + bytes(8)
            server.sendto(reply + struct.pack("!II", now + 2208988800, 0), peer)

        thread = threading.Thread(target=answer)
        thread.start()
        output = run(script, f"{GATEWAY}:{server.getsockname()[1]}")
        thread.join()
    said = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    expect(output, re.escape(said))
