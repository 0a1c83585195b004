# A chat with rooms over WebSocket (RFC 6455), on microdot: ws://HOST/chat/ROOM?name=NAME. What one
# says, the others in the room hear. Without an argument two clients of its own have a chat.
#
#   viperip sim firmware/examples/websocket_chat.py
#   viperip sim --forward 8000:80 firmware/examples/websocket_chat.py serve
#   .venv/bin/websockets "ws://127.0.0.1:8000/chat/tea?name=Ada"
import asyncio
import os
import socket
import sys

from microdot import Microdot, Request, abort
from microdot.websocket import WebSocketError, websocket_upgrade

Request.max_body_length = 1024  # the longest message; who sends more is put out
SLOW_MS, MOST = 2000, 8  # so is who does not take a message for so long; members of a room

app = Microdot()
rooms = {}  # name of a room: {name of a member: (its WebSocket, its task)}


def one_at_a_time(send):
    lock = asyncio.Lock()  # MicroPython's streams mix up what two tasks write

    async def locked(*arguments):
        async with lock:
            await send(*arguments)

    return locked


async def tell(members, text, but=None):
    for name, (ws, task) in list(members.items()):
        if ws and name != but:
            try:
                await asyncio.wait_for_ms(ws.send(text), SLOW_MS)
            except (OSError, asyncio.TimeoutError):
                task.cancel()


@app.get("/chat/<room>")
async def chat(request, room):
    name = request.args.get("name", "")
    if not 0 < len(name) <= 20 or len(room) > 20:
        abort(400, "expected /chat/ROOM?name=NAME, each of 20 characters at most")
    members = rooms.setdefault(room, {})
    if name in members or len(members) >= MOST:
        abort(409, "that name is taken, or the room is full")
    members[name] = None, None  # taken, before anything is waited for
    s = request.sock[0].s
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # each message at once
    s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # finds the dead
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
    try:
        ws = await websocket_upgrade(request)
        ws.send = one_at_a_time(ws.send)
        members[name] = ws, asyncio.current_task()
        print("%s enters %s" % (name, room))
        await tell(members, "* %s is here" % name, name)
        while True:
            await tell(members, "%s: %s" % (name, await ws.receive()), name)
    except (WebSocketError, OSError, EOFError, UnicodeError, asyncio.CancelledError) as e:
        print("%s leaves %s: %s" % (name, room, str(e) or type(e).__name__))
    finally:
        del members[name]
        if not members:
            rooms.pop(room)
    await tell(members, "* %s has left" % name)


async def enter(name):
    reader, writer = await asyncio.open_connection("127.0.0.1", 80)
    writer.write("GET /chat/tea?name=%s HTTP/1.1\r\nHost: board\r\nUpgrade: websocket\r\n" % name)
    writer.write("Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n")
    writer.write("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    await writer.drain()
    while await reader.readline() > b"\r\n":
        pass
    return reader, writer


async def main():
    server = asyncio.create_task(app.start_server("0.0.0.0", 80))
    await asyncio.sleep(0)  # lets it listen
    print("chat on port 80, /chat/ROOM?name=NAME")
    if sys.argv[1:] == ["serve"]:
        await server
    (reader, _), (_, writer) = await enter("Ada"), await enter("Ben")
    for opcode, text in ((1, b"Is the kettle on?"), (8, b"")):  # text, close
        mask = os.urandom(4)  # a client's frames are masked (RFC 6455 5.3)
        text = bytes([c ^ mask[i & 3] for i, c in enumerate(text)])
        writer.write(bytes([0x80 | opcode, 0x80 | len(text)]) + mask + text)
        await writer.drain()
    for _ in range(3):
        _, n = await reader.readexactly(2)
        print("  Ada reads:", (await reader.readexactly(n)).decode())


asyncio.run(main())
