"""The examples about unreliable peers, against servers of CPython's that fail in every way."""

import http.server
import json
import re
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.host.board import GATEWAY
from tests.host.command import viperip

FOLDER = Path(__file__).parents[2] / "firmware" / "examples"
Answer = Callable[[socketserver.StreamRequestHandler, int], None]


@contextmanager
def server(answer: Answer) -> Iterator[int]:
    """ANSWER is called for each connection, with its number; the port."""
    numbers = iter(range(1_000_000))

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            answer(self, next(numbers))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as one:
        one.daemon_threads = True
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield one.server_address[1]
        one.shutdown()


def run(name: str, *arguments: object) -> str:
    done = viperip("sim", str(FOLDER / f"{name}.py"), *map(str, arguments))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def reset(handler: socketserver.StreamRequestHandler) -> None:
    """End a connection with a reset."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def test_retry_until_the_server_has_recovered() -> None:
    def answer(handler: socketserver.StreamRequestHandler, number: int) -> None:
        handler.rfile.readline()
        if number == 0:
            reset(handler)
        elif number == 1:
            handler.wfile.write(b"half an ans")
        elif number > 2:
            handler.wfile.write(b"here I am\n")

    with server(answer) as port:
        output = run("retry_backoff", GATEWAY, port)
    assert len(re.findall(r"attempt \d: ", output)) == 3
    assert "answer: b'here I am\\n'" in output


@pytest.mark.parametrize("status", [200, 404])
def test_a_service_is_measured(status: int) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"x" * 5000)

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as one:
        threading.Thread(target=one.serve_forever, daemon=True).start()
        output = run("performance_monitor", GATEWAY, one.server_address[1], 10)
        one.shutdown()
    if status == 404:
        assert "success  0 of 10 (0 %)" in output and "status [b'404']" in output
        return
    found = re.search(r"average +([\d.]+) ms\np95 +([\d.]+) ms, worst +([\d.]+) ms", output)
    assert found and "success  10 of 10 (100 %)" in output
    assert float(found[1]) <= float(found[3]) and float(found[2]) <= float(found[3])


def test_a_service_that_fails_now_and_then_is_measured() -> None:
    def answer(handler: socketserver.StreamRequestHandler, number: int) -> None:
        handler.rfile.readline()
        if number % 4 == 1:
            reset(handler)
        elif number % 4 == 2:
            handler.wfile.write(b"\xff\xfe\n")
        else:
            while handler.rfile.readline() not in (b"\r\n", b""):
                pass
            handler.wfile.write(b"HTTP/1.0 200 OK\r\n\r\npage")

    with server(answer) as port:
        output = run("performance_monitor", GATEWAY, port, 8)
    assert "success  4 of 8 (50 %)" in output
    assert "status missing" in output


def test_readings_reach_a_collector_that_misbehaves() -> None:
    seen: list[int] = []

    def answer(handler: socketserver.StreamRequestHandler, number: int) -> None:
        for count in range(6):
            line = handler.rfile.readline()
            if not line:
                return
            reading = json.loads(line)
            seen.append(reading["n"])
            if count == 4:
                # It has the reading, and does not say so, or says it wrongly.
                if number % 2:
                    handler.wfile.write(b"\xff\xfe\n")
                else:
                    reset(handler)
                return
            handler.wfile.write(b"ok %d\n" % reading["n"])

    with server(answer) as port:
        output = run("sensor_collector", GATEWAY, port, 20)
    assert "20 readings taken, 0 given up, 0 unconfirmed" in output
    # Each came, in order; what was not confirmed came again.
    assert sorted(set(seen)) == list(range(1, 21)) and seen == sorted(seen)
    assert len(seen) > 20


def test_too_many_readings_give_up_the_oldest() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    done = viperip("sim", str(FOLDER / "sensor_collector.py"), GATEWAY, str(port), "60")
    assert "60 readings taken, 10 given up, 50 unconfirmed" in done.stdout
