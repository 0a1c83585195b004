# An echo server for many clients at once, with asyncio streams.
#
#   viperip sim --forward 7007:7 firmware/examples/tcp_echo_asyncio.py
#   nc 127.0.0.1 7007
import asyncio


async def echo(reader, writer):
    peer = writer.get_extra_info("peername")
    total = 0
    try:
        while True:
            data = await reader.read(512)
            if not data:
                break
            writer.write(data)
            await writer.drain()
            total += len(data)
    finally:
        writer.close()
        await writer.wait_closed()
    print("%d bytes for %s:%d" % (total, peer[0], peer[1]))


async def main():
    server = await asyncio.start_server(echo, "0.0.0.0", 7)
    print("echoing on TCP port 7")
    await server.wait_closed()


asyncio.run(main())
