# Files to a board over TCP, confirmed. The client says "NAME LENGTH SHA256", the board "GO" or why
# not; after the bytes it says "OK LENGTH SHA256", of what it has written. Only then the file has
# its name. Without an argument a client of its own tries it; with FOLDER it stays and serves.
#
#   viperip sim firmware/examples/file_upload.py
#   viperip sim --forward 9000:9000 firmware/examples/file_upload.py FOLDER
import asyncio
import binascii
import hashlib
import os
import sys

PORT = 9000
LARGEST = 256 * 1024
SILENCE = 5  # seconds: who says nothing for so long is refused
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
folder = sys.argv[1] if len(sys.argv) > 1 else "."


async def header(reader):
    line = byte = b""
    while byte != b"\n" and len(line) < 200:
        byte = await asyncio.wait_for(reader.read(1), SILENCE) or b"\n"
        line += byte
    try:
        name, length, digest = line.decode().split()
        digest, length = binascii.unhexlify(digest), int(length)
    except ValueError:
        raise ValueError("expected a line NAME LENGTH SHA256")
    if name[0] == "." or len(name) > 40 or [c for c in name if c not in LETTERS]:
        raise ValueError("not a name for a file here")
    if not 0 <= length <= LARGEST or len(digest) != 32:
        raise ValueError("at most %d bytes, and a SHA-256 of 64 digits" % LARGEST)
    return name, length, digest


async def receive(reader, file, left, digest):
    found = hashlib.sha256()
    while left:
        data = await asyncio.wait_for(reader.read(min(left, 1024)), SILENCE)
        if not data:
            raise ValueError("%d bytes are missing" % left)
        file.write(data)
        found.update(data)
        left -= len(data)
    if found.digest() != digest:
        raise ValueError("the SHA-256 is another")


async def serve(reader, writer):
    name, part = None, "%s/.%d.part" % (folder, id(writer))
    try:
        name, length, digest = await header(reader)
        with open(part, "wb") as file:
            writer.write(b"GO\n")
            await writer.drain()
            await receive(reader, file, length, digest)
        os.rename(part, folder + "/" + name)
        answer = "OK %d %s" % (length, binascii.hexlify(digest).decode())
    except (ValueError, OSError, asyncio.TimeoutError) as e:
        answer = "ERROR %s" % (str(e) or "nothing came for %d s" % SILENCE)
        if part[len(folder) + 1 :] in os.listdir(folder):
            os.remove(part)
    print("%s: %s" % (name, answer))
    try:
        writer.write(answer + "\n")
        await asyncio.wait_for(writer.drain(), SILENCE)
    except (OSError, asyncio.TimeoutError):
        pass  # the client is gone
    writer.close()
    await writer.wait_closed()


async def upload(name, data, digest):
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    writer.write("%s %d %s\n" % (name, len(data), binascii.hexlify(digest).decode()))
    if await reader.readline() == b"GO\n":
        writer.write(data)
        await writer.drain()
        await reader.readline()
    writer.close()
    await writer.wait_closed()


async def main():
    server = await asyncio.start_server(serve, "0.0.0.0", PORT)
    print("uploads to port %d, into %s" % (PORT, folder))
    if sys.argv[1:]:
        await server.wait_closed()
    data = b"x" * 10000
    digest = hashlib.sha256(data).digest()
    await upload("upload.bin", data, digest)
    await upload("broken.bin", data + b"x", digest)
    await upload("../main.py", data, digest)
    os.remove("upload.bin")


asyncio.run(main())
