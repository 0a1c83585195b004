"""A learning Ethernet switch over UDP wires on loopback: one datagram is one Ethernet frame."""

import contextlib
import heapq
import random
import selectors
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from viperip_host.errors import UsageError

LOOPBACK = "127.0.0.1"
HEADER = 14  # destination, source, EtherType
MAX_FRAME = 1518  # 1500 bytes of payload, header, one VLAN tag; no FCS on these wires
AGE_SECONDS = 300.0  # IEEE 802.1Q 8.8.3, the recommended default
TABLE_SIZE = 1024
# IEEE 802.1Q 8.6.3: these belong to the link and are never forwarded.
RESERVED = bytes.fromhex("0180c20000")
# Frames taken from one port before the others get their turn.
BATCH = 64


@dataclass
class Counters:
    """What happened on one port; "rx" is towards the switch, drop_* name the reason."""

    rx_frames: int = 0
    rx_bytes: int = 0
    tx_frames: int = 0
    tx_bytes: int = 0
    flooded: int = 0
    drop_short: int = 0
    drop_long: int = 0
    drop_source: int = 0  # the source address is a group address
    drop_reserved: int = 0
    drop_same_port: int = 0  # the destination lies where the frame came from
    drop_stranger: int = 0  # not from this port's peer
    drop_send: int = 0  # the wire did not take it
    table_full: int = 0  # forwarded, but its source could not be learned
    fault_loss: int = 0
    fault_dup: int = 0
    fault_reorder: int = 0
    fault_corrupt: int = 0


@dataclass(frozen=True)
class Faults:
    """Shares of the frames (0 to 1) and a delay in seconds, applied to what leaves the switch."""

    loss: float = 0.0
    dup: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    delay: float = 0.0
    seed: int = 1

    @property
    def any(self) -> bool:
        return bool(self.loss or self.dup or self.reorder or self.corrupt or self.delay)


# How long a reordered frame waits for others to overtake it, in seconds.
REORDER_SECONDS = 0.005


class MacTable:
    """MAC address to port number, with ageing and a limit."""

    def __init__(self, size: int = TABLE_SIZE, age: float = AGE_SECONDS) -> None:
        self.size = size
        self.age = age
        self._entries: dict[bytes, tuple[int, float]] = {}  # address: (port, last heard)

    def learn(self, address: bytes, port: int, now: float) -> bool:
        """Note that ADDRESS was heard on PORT. False when the table is full."""
        # Taken out and put back, so that the oldest entry is always the first.
        if self._entries.pop(address, None) is None and len(self._entries) >= self.size:
            self.expire(now)
            if len(self._entries) >= self.size:
                return False
        self._entries[address] = (port, now)
        return True

    def port_of(self, address: bytes, now: float) -> int | None:
        """The port ADDRESS was last heard on, if that is not too long ago."""
        entry = self._entries.get(address)
        if entry is None or now - entry[1] > self.age:
            return None
        return entry[0]

    def expire(self, now: float) -> None:
        """Forget what is too old."""
        while self._entries:
            address = next(iter(self._entries))
            if now - self._entries[address][1] <= self.age:
                return
            del self._entries[address]

    def rows(self, now: float) -> list[dict[str, Any]]:
        """The live entries: mac, port (from 1), age in seconds."""
        self.expire(now)
        return [
            {"mac": address.hex(":"), "port": port + 1, "age": round(now - heard, 3)}
            for address, (port, heard) in self._entries.items()
        ]


class Mirror(Protocol):
    """Where every accepted frame goes as well."""

    def write(self, interface: int, frame: bytes, /) -> None: ...


@dataclass
class Port:
    """A UDP wire: frames come from 127.0.0.1:remote to 127.0.0.1:local."""

    local: int
    remote: int
    counters: Counters = field(default_factory=Counters)
    sock: socket.socket | None = None

    def open(self) -> None:
        """Bind. UsageError when the port is taken."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.bind((LOOPBACK, self.local))
        except OSError as error:
            sock.close()
            raise UsageError(
                f"--port {self.local}:{self.remote}: port {self.local}: {error.strerror}; "
                "choose another LOCALPORT"
            ) from None
        sock.setblocking(False)
        self.sock = sock

    def send(self, frame: bytes) -> None:
        assert self.sock is not None
        try:
            self.sock.sendto(frame, (LOOPBACK, self.remote))
        except OSError:  # nobody there yet, or its buffer is full: a wire does not wait
            self.counters.drop_send += 1
            return
        self.counters.tx_frames += 1
        self.counters.tx_bytes += len(frame)


class Switch:
    """Ports, table and faults. `clock` gives seconds; tests give one of their own."""

    def __init__(
        self,
        ports: Iterable[tuple[int, int]],
        faults: Faults | None = None,
        age: float = AGE_SECONDS,
        table_size: int = TABLE_SIZE,
        mirror: Mirror | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ports = [Port(local, remote) for local, remote in ports]
        self.table = MacTable(table_size, age)
        self.faults = faults or Faults()
        self.mirror = mirror
        self.clock = clock
        self._random = random.Random(self.faults.seed)
        self._late: list[tuple[float, int, int, bytes]] = []  # (due, order, port, frame)
        self._order = 0

    def open(self) -> None:
        """Bind every port. UsageError when one is taken; then none stays bound."""
        try:
            for port in self.ports:
                port.open()
        except UsageError:
            self.close()
            raise

    def close(self) -> None:
        for port in self.ports:
            if port.sock:
                port.sock.close()
                port.sock = None

    def receive(self, number: int) -> None:
        """Take in what waits on port NUMBER, at most BATCH frames."""
        port = self.ports[number]
        assert port.sock is not None
        for _ in range(BATCH):
            try:
                frame, sender = port.sock.recvfrom(65536)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error from an earlier send on some systems
                continue
            if sender != (LOOPBACK, port.remote):
                port.counters.drop_stranger += 1
                continue
            self.forward(number, frame)

    def forward(self, number: int, frame: bytes) -> None:
        """A frame came in on port NUMBER: check, learn, mirror, send on."""
        counters = self.ports[number].counters
        counters.rx_frames += 1
        counters.rx_bytes += len(frame)
        if len(frame) < HEADER:
            counters.drop_short += 1
            return
        if len(frame) > MAX_FRAME:
            counters.drop_long += 1
            return
        destination, source = frame[:6], frame[6:12]
        if source[0] & 1:
            counters.drop_source += 1
            return
        now = self.clock()
        if not self.table.learn(source, number, now):
            counters.table_full += 1
        if self.mirror:
            self.mirror.write(number, frame)
        if destination[:5] == RESERVED and destination[5] < 16:
            counters.drop_reserved += 1
            return
        known = None if destination[0] & 1 else self.table.port_of(destination, now)
        if known is None:
            counters.flooded += 1
            for other in range(len(self.ports)):
                if other != number:
                    self._deliver(other, frame, now)
        elif known == number:
            counters.drop_same_port += 1
        else:
            self._deliver(known, frame, now)

    def _deliver(self, number: int, frame: bytes, now: float) -> None:
        """Send FRAME out of port NUMBER, through the faults."""
        if not self.faults.any:
            self.ports[number].send(frame)
            return
        counters, chance = self.ports[number].counters, self._random.random
        if chance() < self.faults.loss:
            counters.fault_loss += 1
            return
        due = now + self.faults.delay
        if chance() < self.faults.corrupt:
            counters.fault_corrupt += 1
            frame = self._flip_a_bit(frame)
        if chance() < self.faults.dup:
            counters.fault_dup += 1
            self._queue(due, number, frame)
        if chance() < self.faults.reorder:
            counters.fault_reorder += 1
            due += REORDER_SECONDS
        self._queue(due, number, frame)
        self.flush(now)

    def _flip_a_bit(self, frame: bytes) -> bytes:
        damaged = bytearray(frame)
        bit = self._random.randrange(len(frame) * 8)
        damaged[bit // 8] ^= 1 << bit % 8
        return bytes(damaged)

    def _queue(self, due: float, number: int, frame: bytes) -> None:
        self._order += 1
        heapq.heappush(self._late, (due, self._order, number, frame))

    def flush(self, now: float) -> None:
        """Send the delayed frames that are due."""
        while self._late and self._late[0][0] <= now:
            _, _, number, frame = heapq.heappop(self._late)
            self.ports[number].send(frame)

    def seconds_left(self) -> float | None:
        """Until flush() has something to do; None: nothing waits."""
        return max(0.0, self._late[0][0] - self.clock()) if self._late else None

    def report(self) -> dict[str, Any]:
        """Counters per port and the MAC table, ready for JSON."""
        return {
            "ports": [
                {"port": number + 1, "local": port.local, "remote": port.remote,
                 **asdict(port.counters)}
                for number, port in enumerate(self.ports)
            ],
            "macs": self.table.rows(self.clock()),
        }  # fmt: skip

    def serve(self, wake_fd: int, on_wake: Callable[[], bool]) -> None:
        """Forward frames. When WAKE_FD is readable, on_wake() says whether to go on."""
        with contextlib.closing(selectors.DefaultSelector()) as selector:
            for number, port in enumerate(self.ports):
                assert port.sock is not None
                selector.register(port.sock, selectors.EVENT_READ, number)
            selector.register(wake_fd, selectors.EVENT_READ, None)
            while True:
                for key, _ in selector.select(self.seconds_left()):
                    if key.data is not None:
                        self.receive(key.data)
                    elif not on_wake():
                        return
                self.flush(self.clock())
