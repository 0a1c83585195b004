"""Two boards and `viperip switch` between them, as the README has it. No privilege needed."""

import contextlib
import socket
from pathlib import Path

from tests.host.command import VIPERIP
from tests.net.captures import check_capture
from tests.net.netns import Running

SERVER = """
import socket
listener = socket.socket()
listener.bind(("0.0.0.0", 7))
listener.listen(1)
print("ready")
s, _ = listener.accept()
while True:
    data = s.recv(4096)
    if not data:
        break
    s.sendall(data)
s.close()
"""
CLIENT = """
import socket, viperip
pings = viperip.ping("10.0.0.1", count=20, interval_ms=10, quiet=True)
print("pings", sum("time_ms" in one for one in pings))
s = socket.socket()
s.connect(("10.0.0.1", 7))
right = 0
for i in range(50):
    block = bytes([i]) * 3000
    s.sendall(block)
    back = b""
    while len(back) < len(block):
        back += s.recv(len(block) - len(back))
    right += back == block
s.close()
print("right", right)
"""


def free_udp_ports(count: int) -> list[int]:
    """UDP ports of the loopback that nobody has at the moment."""
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(count):
            one = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            one.bind(("127.0.0.1", 0))
            found.append(int(one.getsockname()[1]))
        return found


def test_two_boards_on_a_switch(tmp_path: Path) -> None:
    ports = free_udp_ports(4)
    pairs = (ports[:2], ports[2:])  # of the switch and of the board
    mirror = tmp_path / "lan.pcapng"
    with contextlib.ExitStack() as stack:

        def start(*command: str) -> Running:
            one = Running([*VIPERIP, *command])
            stack.callback(one.stop)
            return one

        wires = [word for own, far in pairs for word in ("--port", f"{own}:{far}")]
        start("switch", *wires, "--mirror", str(mirror)).wait_for("switching")
        boards = []
        for number, text in enumerate((SERVER, CLIENT)):
            own, far = pairs[number]
            script = tmp_path / f"script{number}.py"
            script.write_text(text)
            boards.append(
                start(
                    *("sim", "--link", f"udp:{far}:{own}", "--ip", f"10.0.0.{number + 1}/24"),
                    *("--capture", str(tmp_path / f"board{number}.pcapng"), str(script)),
                )
            )
            if text is SERVER:
                boards[0].wait_for("ready")
        server, client = boards
        assert client.wait(30) == 0, client.output
        assert client.output.splitlines()[-2:] == ["pings 20", "right 50"]
        assert server.wait(10) == 0, server.output
    for name in ("lan", "board0", "board1"):
        check_capture(tmp_path / f"{name}.pcapng", 200)
