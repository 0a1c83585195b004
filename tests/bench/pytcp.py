"""PyTCP with the services of board/*.py: pytcp.py TAP ADDRESS/PREFIX SIZE PAGE.

Port 7 is a one-byte echo, port 9 what serve.py has (SIZE bytes of a transfer), port 80 a plain
loop that sends the file PAGE, read when it is first asked for, to whoever sends a request.
The stack runs in this process's event loop, with its defaults and without IPv6.
"""

import asyncio
import hashlib
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from peers import stream
from pmd_net_addr import Ip4IfAddr, MacAddress
from pmd_pytcp import stack
from pmd_pytcp.socket import AddressFamily, SocketType, socket

MAC = "02:00:00:00:07:07"
CHUNK = 16384

Handler = Callable[[Any], Awaitable[None]]


async def send_all(s: Any, data: bytes) -> None:
    """Hand over all of DATA; PyTCP queues it without a limit."""
    done = 0
    while done < len(data):
        done += await s.send(data[done:])


async def echo(s: Any) -> None:
    while one := await s.recv(1):
        await s.send(one)


async def take(s: Any) -> None:
    parts = []
    while part := await s.recv(CHUNK):
        parts.append(part)
    await s.send(b".")
    await s.send(hashlib.sha256(b"".join(parts)).digest())


def giver(data: bytes) -> Handler:
    digest = hashlib.sha256(data).digest()

    async def give(s: Any) -> None:
        await s.recv(1)
        await send_all(s, data)
        await s.send(digest)

    return give


def server(data: bytes) -> Handler:
    kinds = {b"E": echo, b"I": take, b"O": giver(data)}

    async def serve(s: Any) -> None:
        if what := await s.recv(1):
            await kinds[what](s)

    return serve


def page_server(path: str) -> Handler:
    response = b""

    async def serve(s: Any) -> None:
        nonlocal response
        response = response or Path(path).read_bytes()
        request = b""
        while b"\r\n\r\n" not in request:
            part = await s.recv(CHUNK)
            if not part:
                return
            request += part
        await send_all(s, response)

    return serve


async def listen(port: int, handler: Handler, address: str) -> None:
    """One connection after the other."""
    listener: Any = socket(AddressFamily.INET4, SocketType.STREAM)
    listener.bind((address, port))
    listener.listen(backlog=4)
    while True:
        s, _ = await listener.accept()
        try:
            await handler(s)
        except OSError as error:
            print("connection failed:", error, flush=True)
        s.close()


async def main(tap: str, address: str, size: str, page: str) -> None:
    host = address.partition("/")[0]
    stack.init()
    stack.add_interface(
        **stack.initialize_interface__tap(interface_name=tap, mac_address=MacAddress(MAC)),
        ip4_host=Ip4IfAddr(address),
        ip6_support=False,
    )
    await stack.start()
    # It probes its address for 7 to 10 s (RFC 5227); until then nothing can be bound to it.
    while host not in [str(one) for one in stack.local_ip4_unicast()]:
        await asyncio.sleep(0.1)
    services = ((7, echo), (9, server(stream(int(size)))), (80, page_server(page)))
    print("ready", flush=True)
    await asyncio.gather(*(listen(port, one, host) for port, one in services))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
