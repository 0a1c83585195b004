# One-byte echo on port 7 through asyncio.start_server().
import asyncio


async def echo(reader, writer):
    while True:
        one = await reader.read(1)
        if not one:
            break
        writer.write(one)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def main():
    server = await asyncio.start_server(echo, "0.0.0.0", 7)
    print("ready")
    await server.wait_closed()


asyncio.run(main())
