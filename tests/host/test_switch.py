"""The switch: the class on a clock of its own, then the command with real UDP wires."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pcapng import FileScanner
from pcapng.blocks import EnhancedPacket

from tests.host.command import VIPERIP
from tests.net.captures import check_capture
from viperip_host.switch import BATCH, HEADER, MAX_FRAME, Faults, MacTable, Switch

A, B, C = (bytes.fromhex(f"02000000000{n}") for n in "abc")
BROADCAST = b"\xff" * 6


def frame(to: bytes, source: bytes, payload: bytes = b"x" * 46) -> bytes:
    return to + source + b"\x88\xb5" + payload


class Wire:
    """A board's end of a port."""

    def __init__(self) -> None:
        self.sock = socket.socket(type=socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.settimeout(0.5)
        self.port: int = self.sock.getsockname()[1]
        # A port nobody has: taken and given back.
        with socket.socket(type=socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.switch_port: int = probe.getsockname()[1]

    def send(self, data: bytes) -> None:
        self.sock.sendto(data, ("127.0.0.1", self.switch_port))

    def receive(self) -> bytes:
        return self.sock.recv(65536)

    def drain(self) -> list[bytes]:
        """Everything that has come."""
        got = []
        self.sock.setblocking(False)
        try:
            while True:
                got.append(self.sock.recv(65536))
        except BlockingIOError:
            return got
        finally:
            self.sock.settimeout(0.5)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wires() -> Iterator[list[Wire]]:
    made = [Wire() for _ in range(3)]
    yield made
    for wire in made:
        wire.sock.close()


def joined(wires: list[Wire], **options: object) -> tuple[Switch, Clock]:
    clock = Clock()
    switch = Switch(
        [(wire.switch_port, wire.port) for wire in wires],
        clock=clock,
        **options,  # type: ignore[arg-type]
    )
    switch.open()
    return switch, clock


def pump(switch: Switch) -> None:
    for number in range(len(switch.ports)):
        switch.receive(number)
    switch.flush(switch.clock())


def test_unknown_and_group_addresses_are_flooded_but_not_back(wires: list[Wire]) -> None:
    switch, _ = joined(wires)
    for to in (B, BROADCAST, bytes.fromhex("01005e000001")):
        wires[0].send(frame(to, A))
        pump(switch)
        assert [wire.drain() for wire in wires] == [[], [frame(to, A)], [frame(to, A)]]
    assert switch.ports[0].counters.flooded == 3


def test_a_learned_address_gets_its_frames_alone(wires: list[Wire]) -> None:
    switch, _ = joined(wires)
    wires[1].send(frame(BROADCAST, B))
    pump(switch)
    for wire in wires:
        wire.drain()
    wires[0].send(frame(B, A))
    pump(switch)
    assert [wire.drain() for wire in wires] == [[], [frame(B, A)], []]


def test_a_station_that_moves_is_followed(wires: list[Wire]) -> None:
    switch, _ = joined(wires)
    for place in (1, 2):
        wires[place].send(frame(BROADCAST, B))
        pump(switch)
    for wire in wires:
        wire.drain()
    wires[0].send(frame(B, A))
    pump(switch)
    assert [wire.drain() for wire in wires] == [[], [], [frame(B, A)]]


def test_addresses_age(wires: list[Wire]) -> None:
    switch, clock = joined(wires, age=10)
    wires[1].send(frame(BROADCAST, B))
    pump(switch)
    clock.now += 10
    assert [row["port"] for row in switch.report()["macs"]] == [2]
    clock.now += 0.1
    wires[0].send(frame(B, A))
    pump(switch)
    assert frame(B, A) in wires[2].drain()
    assert [row["mac"] for row in switch.report()["macs"]] == [A.hex(":")]


def test_a_frame_for_its_own_port_stays_there(wires: list[Wire]) -> None:
    switch, _ = joined(wires)
    for source in (A, B):
        wires[0].send(frame(BROADCAST, source))
    wires[0].send(frame(B, A))
    pump(switch)
    assert switch.ports[0].counters.drop_same_port == 1
    assert frame(B, A) not in wires[1].drain() + wires[2].drain()


def test_the_table_is_limited_and_frames_pass_all_the_same() -> None:
    table = MacTable(size=2, age=10)
    assert table.learn(A, 0, 0.0)
    assert table.learn(B, 1, 5.0)
    assert not table.learn(C, 2, 6.0)
    assert table.learn(A, 1, 6.0)  # what is known stays known, and moves
    assert table.port_of(C, 6.0) is None
    assert table.learn(C, 2, 15.5)  # B is too old by now
    assert (table.port_of(A, 15.5), table.port_of(B, 15.5), table.port_of(C, 15.5)) == (1, None, 2)


def test_a_flood_of_addresses_is_counted_and_bounded(wires: list[Wire]) -> None:
    switch, _ = joined(wires, table_size=8)
    for number in range(100):
        switch.forward(0, frame(BROADCAST, b"\x02" + number.to_bytes(5, "big")))
    assert switch.ports[0].counters.table_full == 92
    assert len(switch.report()["macs"]) == 8
    assert len(wires[1].drain()) == 100


@pytest.mark.parametrize(
    ("data", "counter"),
    [
        (b"", "drop_short"),
        (b"\0" * (HEADER - 1), "drop_short"),
        (frame(B, A, b"x" * (MAX_FRAME - HEADER + 1)), "drop_long"),
        (frame(B, BROADCAST), "drop_source"),
        (frame(bytes.fromhex("0180c2000003"), A), "drop_reserved"),
    ],
)
def test_hostile_frames_are_counted_by_reason(
    wires: list[Wire], data: bytes, counter: str
) -> None:
    switch, _ = joined(wires)
    wires[0].send(data)
    pump(switch)
    assert getattr(switch.ports[0].counters, counter) == 1
    assert switch.ports[0].counters.rx_frames == 1
    assert wires[1].drain() + wires[2].drain() == []


@pytest.mark.parametrize("size", [HEADER, MAX_FRAME])
def test_the_smallest_and_the_largest_frame_pass(wires: list[Wire], size: int) -> None:
    switch, _ = joined(wires)
    data = frame(B, A, b"y" * (size - HEADER))
    wires[0].send(data)
    pump(switch)
    assert wires[1].drain() == [data]


def test_a_stranger_is_not_heard(wires: list[Wire]) -> None:
    switch, _ = joined(wires)
    with socket.socket(type=socket.SOCK_DGRAM) as stranger:
        stranger.sendto(frame(BROADCAST, C), ("127.0.0.1", wires[0].switch_port))
    pump(switch)
    assert switch.ports[0].counters.drop_stranger == 1
    assert switch.report()["macs"] == []


def test_random_bytes_never_raise(wires: list[Wire]) -> None:
    import random

    switch, _ = joined(wires, faults=Faults(loss=0.1, dup=0.1, corrupt=0.1))
    chance = random.Random(5)
    for _ in range(2000):
        switch.forward(chance.randrange(3), chance.randbytes(chance.randrange(80)))
    counted = sum(port.counters.rx_frames for port in switch.ports)
    assert counted == 2000


def test_faults_are_the_same_for_the_same_seed(wires: list[Wire]) -> None:
    def outcome(seed: int) -> list[bytes]:
        switch, clock = joined(
            wires, faults=Faults(loss=0.3, dup=0.2, reorder=0.2, corrupt=0.1, seed=seed)
        )
        for number in range(100):
            switch.forward(0, frame(B, A, number.to_bytes(46, "big")))
        clock.now += 1
        switch.flush(clock.now)
        switch.close()
        assert all(getattr(switch.ports[1].counters, f"fault_{name}") for name in
                   ("loss", "dup", "reorder", "corrupt"))  # fmt: skip
        return wires[1].drain()

    first = outcome(1)
    assert 60 < len(first) < 110
    assert outcome(1) == first
    assert outcome(2) != first


def test_delay_holds_frames_back_in_order(wires: list[Wire]) -> None:
    switch, clock = joined(wires, faults=Faults(delay=0.25))
    for number in range(5):
        switch.forward(0, frame(B, A, bytes([number]) * 46))
    assert wires[1].drain() == []
    assert switch.seconds_left() == pytest.approx(0.25)
    clock.now += 0.25
    switch.flush(clock.now)
    assert [got[HEADER] for got in wires[1].drain()] == list(range(5))
    assert switch.seconds_left() is None


def test_a_batch_is_bounded(wires: list[Wire]) -> None:
    switch, _ = joined(wires)
    for _ in range(BATCH + 10):
        wires[0].send(b"short")
    switch.receive(0)
    assert switch.ports[0].counters.rx_frames <= BATCH
    switch.receive(0)
    assert switch.ports[0].counters.rx_frames > BATCH


def start(wires: list[Wire], *options: str) -> "subprocess.Popen[str]":
    ports = [word for w in wires for word in ("--port", f"{w.switch_port}:{w.port}")]
    started = subprocess.Popen(
        [*VIPERIP, "switch", *ports, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    stream = started.stderr if "--json" in options else started.stdout
    assert stream
    for line in stream:
        if line.startswith("switching"):
            break
    return started


def test_the_command_switches_mirrors_and_reports(wires: list[Wire], tmp_path: Path) -> None:
    mirror = tmp_path / "lan.pcapng"
    started = start(wires, "--json", "--mirror", str(mirror))
    try:
        wires[1].send(frame(BROADCAST, B))
        assert wires[0].receive() == frame(BROADCAST, B)
        assert wires[2].receive() == frame(BROADCAST, B)
        wires[0].send(frame(B, A))
        assert wires[1].receive() == frame(B, A)

        started.send_signal(signal.SIGUSR1)
        assert started.stdout
        report = json.loads(started.stdout.readline())
        assert [port["rx_frames"] for port in report["ports"]] == [1, 1, 0]
        assert {row["mac"]: row["port"] for row in report["macs"]} == {
            A.hex(":"): 1,
            B.hex(":"): 2,
        }
        # Killed without warning: the file is complete up to the last frame.
        started.kill()
        started.wait(10)
        with mirror.open("rb") as file:
            packets = [block for block in FileScanner(file) if isinstance(block, EnhancedPacket)]
        assert [bytes(packet.packet_data) for packet in packets] == [
            frame(BROADCAST, B),
            frame(B, A),
        ]
        assert [packet.interface_id for packet in packets] == [1, 0]
        assert abs(packets[0].timestamp - time.time()) < 60
        check_capture(mirror, 2)
    finally:
        started.kill()
        started.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_switch_with_its_counters(wires: list[Wire], number: int) -> None:
    started = start(wires)
    wires[0].send(frame(B, A))
    wires[1].receive()
    os.kill(started.pid, number)
    output, complaint = started.communicate(timeout=10)
    assert (started.returncode, complaint) == (0, "")
    assert output.splitlines()[0].split()[:2] == ["port", "rx_frames"]
    assert output.splitlines()[1].split()[:2] == ["1", "1"]
    assert A.hex(":") in output
