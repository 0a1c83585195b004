"""Records on the serial line: the host's codec, by itself and against the board's."""

import random
import subprocess
from pathlib import Path

from viperip_host import framing, resources
from viperip_host.framing import CONTROL, PACKET, Decoder, segments, stuff, unstuff
from viperip_host.testing.targets import all_targets

# Reads lines of hexadecimal: each a record, which it sends to itself, printing the line's bytes.
BOARD = """
import sys
sys.path.insert(0, {firmware!r})
from viperip.link.serial.port import Port, BODY
class Line:
    def write(self, buf, n):
        self.out += bytes(buf[:n])
    def readinto(self, buf):
        n = min(len(buf), len(self.back))
        buf[:n] = self.back[:n]
        self.back = self.back[n:]
        return n
line = Line()
port = Port(line, room=8192, baudrate=0)
port.handlers[4] = lambda record, n: print("<", bytes(record[BODY:BODY+n]).hex())
for text in {records!r}:
    data = bytes.fromhex(text)
    line.out = b""
    port.put(b"\\4", 1, data, 0, len(data))
    port.flush()
    print(">", line.out.hex())
for text in {wires!r}:
    line.back = bytes.fromhex(text)
    port.receive()
"""


def spiteful(rng: random.Random, n: int) -> bytes:
    """Bytes of which many are those that must not occur on the line."""
    return bytes(rng.choice((0, 3, 0, 3, 1, 255, rng.randrange(256))) for _ in range(n))


def decoded(data: bytes, piece: int = 1 << 30) -> tuple[list[tuple[int, bytes]], bytes, Decoder]:
    records: list[tuple[int, bytes]] = []
    text = bytearray()
    decoder = Decoder(lambda kind, body: records.append((kind, body)), text.extend)
    for start in range(0, len(data), piece):
        decoder.feed(data[start : start + piece])
    decoder.flush()
    return records, bytes(text), decoder


def wire(kind: int, body: bytes, number: int = 0) -> bytes:
    return b"".join(segments(kind, body, number))


def test_the_fcs_is_that_of_rfc_1662() -> None:
    assert framing.fcs(b"123456789") ^ 0xFFFF == 0x906E
    data = b"123456789" + (0x906E).to_bytes(2, "little")
    assert framing.fcs(data) == 0xF0B8


def test_stuffing_removes_two_values_and_adds_one_byte() -> None:
    rng = random.Random(1)
    for n in range(124):
        data = spiteful(rng, n)
        stuffed = stuff(data)
        assert len(stuffed) == n + 1
        assert not {0, 3} & set(stuffed)
        assert n == 0 or unstuff(stuffed) == data


def test_records_and_text_come_apart_however_they_are_cut() -> None:
    rng = random.Random(2)
    want, line, number = [], b"", 0
    for i in range(20):
        body = spiteful(rng, rng.choice((0, 1, 119, 120, 121, 600)))
        line += b"text %d\r\n" % i + wire(CONTROL, body, number)
        number += -(-(len(body) + 1) // framing.DATA)
        want.append((CONTROL, body))
    for piece in (1, 2, 7, 64, 5000):
        records, text, decoder = decoded(line, piece)
        assert records == want
        assert text == b"".join(b"text %d\r\n" % i for i in range(20))
        assert (decoder.bad, decoder.lost) == (0, 0)


def test_a_lost_byte_costs_its_record_alone() -> None:
    bodies = [bytes([i]) * 50 for i in range(1, 7)]
    parts = [wire(CONTROL, body, i) for i, body in enumerate(bodies)]
    for at in range(len(parts[2])):
        cut = parts[2][:at] + parts[2][at + 1 :]
        records, _, _ = decoded(b"".join([*parts[:2], cut, *parts[3:]]))
        got = [body for _, body in records]
        # Without its last delimiter it ends at the first one of the next, which is lost instead.
        lost = 3 if at == len(parts[2]) - 1 else 2
        assert got == bodies[:lost] + bodies[lost + 1 :], at


def test_garbage_is_shown_and_what_follows_arrives() -> None:
    rng = random.Random(3)
    for _ in range(50):
        noise = bytes(rng.randrange(256) for _ in range(rng.randrange(400)))
        line = noise + wire(CONTROL, b"one") + wire(CONTROL, b"two", 1) + wire(CONTROL, b"3", 2)
        records, _, _ = decoded(line)
        assert [body for _, body in records][-2:] == [b"two", b"3"]
        assert all(body in (b"one", b"two", b"3") for _, body in records)


def test_text_whose_delimiter_never_comes_is_not_kept() -> None:
    _, text, decoder = decoded(b"\0" + b"x" * 5000 + b"end")
    assert text == b"x" * 5000 + b"end"
    assert decoder.bad == 1


def test_a_flood_of_segments_without_an_end_is_bounded() -> None:
    first = next(segments(PACKET, bytes(200), 0))
    decoder = Decoder(lambda kind, body: None, lambda text: None)
    decoder.feed(first)
    for number in range(1, 1000):
        head = bytes([number & framing.NUMBER]) + bytes(framing.DATA)
        data = head + (framing.fcs(head) ^ 0xFFFF).to_bytes(2, "little")
        decoder.feed(b"\0" + stuff(data) + b"\0")
    assert decoder.lost == 1


def test_the_board_writes_and_reads_the_same(tmp_path: Path) -> None:
    rng = random.Random(4)
    bodies = [spiteful(rng, n) for n in (0, 1, 118, 119, 120, 121, 250, 1514)]
    program = tmp_path / "board.py"
    number, expected = 0, []
    for body in bodies:
        expected.append(wire(PACKET, body, number))
        number += -(-(len(body) + 1) // framing.DATA)
    program.write_text(
        BOARD.format(
            firmware=str(resources.firmware()),
            records=[body.hex() for body in bodies],
            wires=[data.hex() for data in expected],
        )
    )
    for name in ("unix", "bytecode"):
        target = all_targets()[name]
        found = target.interpreter()
        assert found is not None
        done = subprocess.run(
            [found.path, str(program)],
            env=target.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        lines = done.stdout.splitlines()
        assert [line for line in lines if line[0] == ">"] == [f"> {w.hex()}" for w in expected]
        assert [line for line in lines if line[0] == "<"] == [
            f"< {b.hex()}".rstrip() if b else "< " for b in bodies
        ]
