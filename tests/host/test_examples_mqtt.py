"""The MQTT example against mosquitto and its clients, and against brokers that are none."""

import contextlib
import json
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.board import GATEWAY, free_port, wait_for_port
from tests.host.command import VIPERIP
from tests.host.test_examples_clients import FOLDER, talking
from tests.net.netns import Running
from tests.net.peers import needs

SENSOR = [*VIPERIP, "sim", str(FOLDER / "mqtt_sensor.py")]


@contextlib.contextmanager
def running(*command: str) -> Iterator[Running]:
    one = Running(command)
    try:
        yield one
    finally:
        one.stop()


@contextlib.contextmanager
def broker(folder: Path, port: int) -> Iterator[Running]:
    """mosquitto on a port of this computer's loopback."""
    path = folder / "mosquitto.conf"
    path.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    with running(needs("mosquitto", "mosquitto"), "-c", str(path)) as one:
        wait_for_port(port)
        yield one


def listening(port: int, topic: str) -> contextlib.AbstractContextManager[Running]:
    program = needs("mosquitto_sub", "mosquitto-clients")
    return running(program, "-p", str(port), "-v", "-q", "1", "-t", topic)


def say(port: int, topic: str, *message: str) -> None:
    program = needs("mosquitto_pub", "mosquitto-clients")
    with running(program, "-p", str(port), "-q", "1", "-t", topic, *message) as one:
        assert one.wait() == 0, one.output


def sensor(port: int, *more: str) -> contextlib.AbstractContextManager[Running]:
    return running(*SENSOR, f"{GATEWAY}:{port}", *more)


def numbers(ear: Running) -> list[int]:
    """Of the readings that were heard; each once, as QoS 1 may bring one twice."""
    lines = re.findall(r"^board/readings (.*)$", ear.output, re.M)
    return list(dict.fromkeys(json.loads(line)["n"] for line in lines))


def test_readings_arrive_in_order(tmp_path: Path) -> None:
    port = free_port()
    with broker(tmp_path, port), listening(port, "board/#") as ear, sensor(port, "4") as board:
        ear.wait_for("board/status online")
        ear.wait_for('"n": 4')
        assert board.wait() == 0
        assert numbers(ear) == [1, 2, 3, 4]
        assert '"celsius": 20.1' in ear.output
    assert "no broker" not in board.output


def test_a_board_that_dies_is_offline(tmp_path: Path) -> None:
    port = free_port()
    with broker(tmp_path, port), listening(port, "board/#") as ear:
        with sensor(port) as board:
            ear.wait_for('"n": 1')
            board.send(signal.SIGKILL)
        ear.wait_for("board/status offline")
        with listening(port, "board/status") as late:
            late.wait_for("board/status offline")  # it is retained


def test_the_interval_is_set_and_nonsense_is_not(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "nonsense").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "large").write_bytes(b"9" * 100_000)
    with broker(tmp_path, port), sensor(port) as board:
        board.wait_for("connected to")
        say(port, "board/interval", "-m", "100")
        board.wait_for("a reading every 100 ms")
        for message in ("fast", "1.5", ""):
            say(port, "board/interval", "-m", message)
            board.wait_for(f"not an interval in ms: {message.encode()!r}")
        say(port, "board/interval", "-f", str(tmp_path / "nonsense"))
        board.wait_for(r"not an interval in ms: b'\xff\xfe\x00'")
        say(port, "board/interval", "-f", str(tmp_path / "large"))  # the library drops it
        for message, interval in (("-5", 50), ("1", 50), ("1" + "0" * 60, 3600000)):
            say(port, "board/interval", "-m", message)
            board.wait_for(f"a reading every {interval} ms")
        assert board.popen.poll() is None and "no broker" not in board.output


def test_readings_wait_for_a_broker_that_comes_late_and_goes(tmp_path: Path) -> None:
    port = free_port()
    with sensor(port, "12") as board:
        board.wait_for("ECONNREFUSED")
        heard = []
        with broker(tmp_path, port), listening(port, "board/readings") as ear:
            board.wait_for("connected to")
            ear.wait_for('"n": 4')
            heard += numbers(ear)
        board.wait_for("closed connection")
        with broker(tmp_path, port), listening(port, "board/readings") as ear:
            board.wait_for("connected to", 60)
            ear.wait_for('"n": 12', 60)
            heard += [n for n in numbers(ear) if n not in heard]
            assert board.wait(30) == 0
    assert heard == list(range(1, 13))


CONNACK = b"\x20\x02\0\0"
BROKEN = {
    "closes at once": (b"", "broker closed connection"),
    "does not want it": (b"\x20\x02\0\5", "not authorized"),
    "is a web server": (b"HTTP/1.1 400 Bad Request\r\n\r\n", ""),
    "speaks another version": (b"\x20\x02\0\1", "unacceptable protocol version"),
    "acknowledges nothing": (CONNACK, "broker closed connection"),
    "has a length without end": (CONNACK + b"\x30\xff\xff\xff\xff\xff", ""),
    "refuses the topic": (CONNACK + b"\x90\x03\0\1\x80", "SUBACK rejection"),
    "has a topic that is no UTF-8": (CONNACK + b"\x30\x05\0\2\xff\xfex", ""),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broker_that(what: str) -> None:
    words, why = BROKEN[what]

    def talk(s: socket.socket) -> None:
        s.recv(4096)
        s.sendall(words)
        s.settimeout(1)
        with contextlib.suppress(TimeoutError):
            while s.recv(4096):
                pass

    with talking(talk) as port, sensor(port) as board:
        assert why in board.wait_for("no broker: ")
        assert board.popen.poll() is None and "Traceback" not in board.output
