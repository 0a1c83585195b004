"""Frames for the tests of `viperip explain`, and what is said about them."""

import struct
from collections.abc import Iterable
from pathlib import Path

from viperip_host.explain.model import Explained, sum16
from viperip_host.explain.reading import Frame
from viperip_host.explain.track import Tracker

A, B = "10.0.0.1", "10.0.0.2"
MAC = {A: "020000000001", B: "020000000002", "10.0.0.3": "020000000003", "0.0.0.0": "020000000009"}
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def raw(address: str) -> bytes:
    return bytes(map(int, address.split(".")))


def ethernet(src: str, dst: str, kind: int, data: bytes) -> bytes:
    to = bytes.fromhex(MAC.get(dst, "ffffffffffff"))
    return to + bytes.fromhex(MAC[src]) + struct.pack("!H", kind) + data


def ipv4(
    src: str, dst: str, protocol: int, data: bytes, ident: int = 7, fragment: int = 0x4000
) -> bytes:
    """A frame with an IPv4 datagram; fragment: the flags and the offset in units of 8."""
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), ident, fragment, 64, protocol, 0)
    head += raw(src) + raw(dst)
    total = (~sum16(head)) & 0xFFFF
    return ethernet(src, dst, 0x0800, head[:10] + struct.pack("!H", total) + head[12:] + data)


def _summed(src: str, dst: str, protocol: int, data: bytes, at: int) -> bytes:
    pseudo = raw(src) + raw(dst) + struct.pack("!HH", protocol, len(data))
    total = (~sum16(pseudo, data)) & 0xFFFF
    return data[:at] + struct.pack("!H", total) + data[at + 2 :]


def udp_datagram(src: str, dst: str, sport: int, dport: int, data: bytes) -> bytes:
    return _summed(src, dst, 17, struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data, 6)


def udp(src: str, dst: str, sport: int, dport: int, data: bytes) -> bytes:
    return ipv4(src, dst, 17, udp_datagram(src, dst, sport, dport, data))


def icmp(src: str, dst: str, kind: int, code: int, rest: bytes) -> bytes:
    data = struct.pack("!BBH", kind, code, 0) + rest
    return ipv4(src, dst, 1, data[:2] + struct.pack("!H", ~sum16(data) & 0xFFFF) + data[4:])


def arp(op: int, src: str, src_ip: str, dst_ip: str, dst: str = "") -> bytes:
    head = struct.pack("!HHBBH", 1, 0x800, 6, 4, op) + bytes.fromhex(MAC[src]) + raw(src_ip)
    return ethernet(src, dst, 0x0806, head + bytes(6) + raw(dst_ip))


class Wire:
    """A tracker that is given frames, ten milliseconds apart."""

    def __init__(self) -> None:
        self.tracker = Tracker()
        self.frames: list[bytes] = []

    def put(self, data: bytes, length: int | None = None) -> Explained:
        self.frames.append(data)
        n = len(self.frames)
        return self.tracker.take(Frame(n, data, length or len(data), n / 100))


class Talk(Wire):
    """A TCP connection between A:1000 and B:80. Numbers are relative to ISS."""

    ISS = {A: 0xFFFFFFF0, B: 5000}  # A's wrap

    def segment(
        self, src: str, flags: int, seq: int, ack: int = 0, data: bytes = b"", window: int = 4000,
        options: bytes = b"",
    ) -> bytes:  # fmt: skip
        dst = B if src == A else A
        ports = (1000, 80) if src == A else (80, 1000)
        seq = (self.ISS[src] + seq) & 0xFFFFFFFF
        ack = (self.ISS[dst] + ack) & 0xFFFFFFFF if flags & ACK else 0
        head = struct.pack("!HHIIBBHHH", *ports, seq, ack, (5 + len(options) // 4) << 4, flags,
                           window, 0, 0)  # fmt: skip
        return ipv4(src, dst, 6, _summed(src, dst, 6, head + options + data, 16))

    def tcp(self, src: str, flags: int, seq: int, ack: int = 0, data: bytes = b"",
            window: int = 4000, options: bytes = b"") -> Explained:  # fmt: skip
        return self.put(self.segment(src, flags, seq, ack, data, window, options))

    def open(self) -> None:
        self.tcp(A, SYN, 0, options=b"\x02\x04\x05\xb4")
        self.tcp(B, SYN | ACK, 0, 1, options=b"\x02\x04\x05\xb4")
        self.tcp(A, ACK, 1, 1)


def said(seen: Explained) -> str:
    """Everything that is said about a frame, a line each."""
    lines = [f"{one.who}: {one.text} [{one.rule}]" for one in seen.statements]
    return "\n".join([seen.summary, *lines, *seen.changes, *seen.problems])


def pcap(path: Path, frames: Iterable[bytes], link: int = 1, order: str = "<",
         nano: bool = False, snaplen: int = 0) -> Path:  # fmt: skip
    """A classic pcap file."""
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    out = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snaplen or 65535, link)
    for i, data in enumerate(frames):
        kept = data[:snaplen] if snaplen else data
        out += struct.pack(order + "IIII", 1000 + i, 5, len(kept), len(data)) + kept
    path.write_bytes(out)
    return path
