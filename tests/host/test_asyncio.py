"""MicroPython's own asyncio, unmodified, on the stack: clients, servers, streams, the pump."""

import contextlib
import hashlib
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.host.board import GATEWAY, Board, board, free_port

__all__ = ["board"]

STEP = 65536


def _echo(one: socket.socket) -> None:
    with one, contextlib.suppress(OSError):
        while data := one.recv(STEP):
            one.sendall(data)


@pytest.fixture
def echo_port() -> Iterator[int]:
    """An echo server on this computer's loopback."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    one, _ = server.accept()
                    threading.Thread(target=_echo, args=(one,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


CLIENT = """
    import asyncio, sys
    {before}
    async def client(host, port, i):
        r, w = await asyncio.open_connection(host, port)
        line = bytes([65 + i]) * 3000 + b"\\n"
        w.write(line)
        await w.drain()
        assert await r.readline() == line
        w.write(line)
        await w.drain()
        assert await r.readexactly(3001) == line
        w.close()
        await w.wait_closed()
        return i

    async def main():
        port = int(sys.argv[2])
        print(await asyncio.gather(*[client(sys.argv[1], port, i) for i in range(20)]))

    asyncio.run(main())
"""


def test_many_clients_at_once(board: Board, echo_port: int) -> None:
    said = board.run(CLIENT.format(before=""), GATEWAY, echo_port)
    assert said.splitlines()[-1] == str(list(range(20)))


def test_asyncio_imported_before_install(board: Board, echo_port: int) -> None:
    # sim has installed the stack; taking it back first is as if asyncio had been there earlier.
    before = """
    import viperip
    viperip.uninstall()
    async def nap():
        await asyncio.sleep_ms(1)
    asyncio.run(nap())
    viperip.install()
    """
    said = board.run(CLIENT.format(before=before), GATEWAY, echo_port)
    assert said.splitlines()[-1] == str(list(range(20)))


def test_client_and_server_on_one_board(board: Board) -> None:
    said = board.run("""
        import asyncio

        async def echo(r, w):
            while True:
                d = await r.read(1000)
                if not d:
                    break
                w.write(d)
                await w.drain()
            w.close()
            await w.wait_closed()

        async def client(i):
            r, w = await asyncio.open_connection("127.0.0.1", 7000)
            msg = bytes([64 + i]) * 5000
            w.write(msg)
            await w.drain()
            assert await r.readexactly(5000) == msg
            w.close()
            await w.wait_closed()
            return i

        async def main():
            s = await asyncio.start_server(echo, "0.0.0.0", 7000, 16)
            print(await asyncio.gather(*[client(i) for i in range(16)]))
            s.close()
            await s.wait_closed()
            try:
                # MicroPython's open_connection() leaves the error to the first read.
                r, w = await asyncio.open_connection("127.0.0.1", 7000)
                await r.read(1)
            except OSError as e:
                import errno
                print(errno.errorcode[e.errno])

        asyncio.run(main())
    """)
    assert said.splitlines()[-2:] == [str(list(range(16))), "ECONNREFUSED"]


SERVER = """
    import asyncio, hashlib

    async def sink(r, w):
        h = hashlib.sha256()
        n = 0
        while True:
            d = await r.read(4096)
            if not d:
                break
            h.update(d)
            n += len(d)
        w.write(h.digest())
        for i in range(n // 1000):
            w.write(b"%1000d" % i)
            await w.drain()
        w.close()
        await w.wait_closed()

    async def main():
        s = await asyncio.start_server(sink, "0.0.0.0", 7000, 16)
        print("serving")
        await s.wait_closed()

    asyncio.run(main())
"""


def test_server_with_many_clients(board: Board) -> None:
    port = free_port()
    got: dict[int, bytes] = {}

    def one(i: int) -> None:
        with socket.create_connection(("127.0.0.1", port), 30) as s:
            s.sendall(bytes([i]) * 100_000)
            s.shutdown(socket.SHUT_WR)
            parts = []
            while part := s.recv(STEP):
                parts.append(part)
            got[i] = b"".join(parts)

    with board.running(SERVER, forward=f"{port}:7000") as sim:
        sim.wait_for("serving")
        threads = [threading.Thread(target=one, args=(i,)) for i in range(12)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60)
    tail = b"".join(b"%1000d" % i for i in range(100))
    assert sorted(got) == list(range(12))
    for i, reply in got.items():
        assert reply == hashlib.sha256(bytes([i]) * 100_000).digest() + tail


def test_end_of_stream_in_the_middle(board: Board) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for _ in range(3):
                one, _ = server.accept()
                one.sendall(b"no newline")
                one.close()

        threading.Thread(target=serve, daemon=True).start()
        said = board.run(
            """
            import asyncio, sys

            async def main():
                a = sys.argv[1], int(sys.argv[2])
                r, w = await asyncio.open_connection(*a)
                print(await r.readline(), await r.readline())
                r, w = await asyncio.open_connection(*a)
                try:
                    await r.readexactly(11)
                except EOFError:
                    print("EOFError")
                r, w = await asyncio.open_connection(*a)
                print(await r.read(-1))

            asyncio.run(main())
            """,
            GATEWAY,
            server.getsockname()[1],
        )
    assert said.splitlines()[-3:] == ["b'no newline' b''", "EOFError", "b'no newline'"]


def test_a_task_waiting_for_a_stream_can_be_cancelled(board: Board, echo_port: int) -> None:
    said = board.run(
        """
        import asyncio, sys

        async def main():
            r, w = await asyncio.open_connection(sys.argv[1], int(sys.argv[2]))
            try:
                await asyncio.wait_for_ms(r.read(1), 50)
            except asyncio.TimeoutError:
                print("timed out")
            w.write(b"x")
            await w.drain()
            print(await asyncio.wait_for(r.read(1), 5))

        asyncio.run(main())
        """,
        GATEWAY,
        echo_port,
    )
    assert said.splitlines()[-2:] == ["timed out", "b'x'"]


def test_the_board_answers_while_asyncio_waits_with_no_socket_open(board: Board) -> None:
    # Nothing of asyncio's is in the poller; the gateway's ARP and the refusal are the stack's own.
    port = free_port()
    text = """
        import asyncio

        async def main():
            print("waiting")
            await asyncio.sleep(20)

        asyncio.run(main())
    """
    with board.running(text, forward=f"{port}:7") as sim:
        sim.wait_for("waiting")
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port), 5) as s:
                s.settimeout(5)
                with contextlib.suppress(ConnectionResetError):
                    assert s.recv(1) == b""  # the board refused: not silence
