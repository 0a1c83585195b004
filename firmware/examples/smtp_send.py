# A mail by SMTP (RFC 5321), line by line: the session is printed, C: what the board says, S: what
# the server answers. Without a server's address a small one in this script takes the mail.
#
#   viperip sim firmware/examples/smtp_send.py
#   .venv/bin/aiosmtpd -n -c aiosmtpd.handlers.Debugging stdout -l 127.0.0.1:8025
#   viperip sim firmware/examples/smtp_send.py 10.77.0.1:8025 board@example.com you@example.com
import asyncio
import sys

SILENCE = 20  # seconds; RFC 5321 4.5.3.2 has minutes
LINE = 512  # bytes of a reply's line (4.5.3.1.5)
TEXT = """The kettle is on: 100 \u00b0C.
.This line begins with a dot, which is doubled on its way.
"""


class Refused(Exception):
    pass


async def reply(reader, wanted):
    # The server's reply, of one line or many (4.2.1). Refused unless it begins with `wanted`.
    lines, line = [], "-" * 4
    while line[3:4] == "-" and len(lines) < 100:
        line = b""
        while not line.endswith(b"\n") and len(line) < LINE:
            byte = await asyncio.wait_for(reader.read(1), SILENCE)
            if not byte:
                raise Refused("the server has gone")
            line += byte
        try:
            line = line.decode().rstrip()
            int(line[:3])
        except ValueError:
            raise Refused("this is no reply of SMTP: %s" % line)
        print("S:", line)
        lines.append(line[4:])
    if line[3:4] == "-" or not line.startswith(wanted):
        raise Refused(line)
    return lines


async def say(reader, writer, line, wanted="2"):
    print("C:", line)
    writer.write(line.encode() + b"\r\n")
    await writer.drain()
    return await reply(reader, wanted)


async def send(host, port, sender, to, subject, text):
    """Send a mail. Refused, with the server's own words; OSError, asyncio.TimeoutError."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        await reply(reader, "220")
        can = await say(reader, writer, "EHLO [127.0.0.1]")
        wide = max(text + subject) > "\x7f"
        if wide and "8BITMIME" not in [word.upper() for word in can]:
            raise Refused("the server takes ASCII only")
        await say(reader, writer, "MAIL FROM:<%s>%s" % (sender, " BODY=8BITMIME" if wide else ""))
        await say(reader, writer, "RCPT TO:<%s>" % to)
        await say(reader, writer, "DATA", "354")
        head = "From: <%s>\nTo: <%s>\nSubject: %s\nMIME-Version: 1.0\n" % (sender, to, subject)
        head += "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
        for line in (head + text).rstrip("\n").split("\n"):
            writer.write(("." if line.startswith(".") else "") + line + "\r\n")  # (4.5.2)
        await say(reader, writer, ".")
        await say(reader, writer, "QUIT")
    finally:
        writer.close()
        await writer.wait_closed()


async def take(reader, writer):
    answer = "220 board"
    while answer:
        writer.write(answer + "\r\n")
        await writer.drain()
        line = await reader.readline()
        if answer[0] == "3":
            while line not in (b".\r\n", b""):
                line = await reader.readline()
        answers = {b"EHLO": "250-board\r\n250 8BITMIME", b"DATA": "354 go on", b"QUIT": ""}
        answer = answers.get(line[:4], "250 OK")
    writer.write("221 bye\r\n")
    await writer.drain()
    writer.close()


async def main(where="127.0.0.1:8025", sender="board@example.com", to="you@example.com"):
    host, _, port = where.partition(":")
    if not sys.argv[1:]:
        await asyncio.start_server(take, "127.0.0.1", 8025)
    try:
        await send(host, int(port or 25), sender, to, "From a board", TEXT)
    except (Refused, OSError, asyncio.TimeoutError) as e:
        sys.exit("not sent: %s" % (str(e) or "no answer within %d s" % SILENCE))


asyncio.run(main(*sys.argv[1:]))
