# A web server with TLS, and a client that makes sure it is the right one. The certificate below is
# for trying only: everybody has its key. One of your own for a board named NAME:
#
#   openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -outform DER \
#     -out cert.der -keyout key.pem -subj /CN=NAME -addext subjectAltName=DNS:NAME
#   openssl ec -in key.pem -outform DER -out key.der
#
#   viperip sim firmware/examples/https_server.py
#   viperip sim --forward 8443:443 firmware/examples/https_server.py cert.der key.der
#   curl -k https://127.0.0.1:8443/
import asyncio
import sys
from binascii import a2b_base64

import tls

NAME = "board.test"
CERTIFICATE = """
MIIBRDCB66ADAgECAgEBMAoGCCqGSM49BAMCMBUxEzARBgNVBAMMCmJvYXJkLnRlc3QwIBcNMDAwMTAxMDAwMDAwWhgP
MjA5OTEyMzEwMDAwMDBaMBUxEzARBgNVBAMMCmJvYXJkLnRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATR4SiI
evUXRQB75b8O+C7RWPNdpoX2YbzF40FbRab1ORMXPEmgNNvHo6WyEQMLbLE7AJe08BYAFJLeJPMlSEtdoyowKDAVBgNV
HREEDjAMggpib2FyZC50ZXN0MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAJCrTLSrmpM5KSwhyebT
/gTO6laYlLdtY/C8Vss50IKWAiAxSexNaa9KtgB9WtpDQn2TZZP6XdkhYObAan0Y3ncJJQ=="""
KEY = """
MHcCAQEEIIlQH5NHnJr39s6MILOadktKzpsl0PnJt3+GmFoFyizJoAoGCCqGSM49AwEHoUQDQgAE0eEoiHr1F0UAe+W/
Dvgu0VjzXaaF9mG8xeNBW0Wm9TkTFzxJoDTbx6OlshEDC2yxOwCXtPAWABSS3iTzJUhLXQ=="""
SILENCE = 5  # seconds: who says nothing for so long is left
PAGE = "<!doctype html><title>viperip</title><h1>Hello over TLS</h1>\n"
HEAD = "HTTP/1.0 %s\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n"


async def answer(reader, writer):
    head = b""
    while b"\r\n\r\n" not in head and len(head) < 2048:
        data = await asyncio.wait_for(reader.read(512), SILENCE)
        if not data:
            raise ValueError("the client has gone")
        head += data
    request = head.split(b"\r\n")[0]
    words = request.split(b" ")
    page, status = PAGE, "200 OK"
    if len(words) != 3 or b"\r\n\r\n" not in head:
        page, status = "", "400 Bad Request"
    elif words[0] != b"GET" or words[1] != b"/":
        page, status = "", "404 Not Found"
    writer.write((HEAD % (status, len(page)) + page).encode())
    await asyncio.wait_for(writer.drain(), SILENCE)
    return "%s: %s" % (request[:60], status)


async def serve(reader, writer):
    peer = writer.get_extra_info("peername")
    try:
        print("%s: %s" % (peer[0], await answer(reader, writer)))
    except (OSError, ValueError, asyncio.TimeoutError) as e:
        print("%s: %s" % (peer[0], str(e).strip() or "nothing came for %d s" % SILENCE))
    writer.close()
    await writer.wait_closed()


async def get(name, certificate):
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certificate)
    context.verify_mode = tls.CERT_REQUIRED
    try:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", 443, ssl=context, server_hostname=name
        )
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        await writer.drain()
        print("the client of %s reads: %s" % (name, await reader.readline()))
    except (OSError, ValueError) as e:
        return print("the client of %s: %s" % (name, str(e).strip()))
    writer.close()
    await writer.wait_closed()


async def main():
    certificate, key = a2b_base64(CERTIFICATE), a2b_base64(KEY)
    if sys.argv[1:]:
        with open(sys.argv[1], "rb") as one, open(sys.argv[2], "rb") as other:
            certificate, key = one.read(), other.read()
    context = tls.SSLContext(tls.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(serve, "0.0.0.0", 443, ssl=context)
    print("serving on port 443, with TLS")
    if sys.argv[1:]:
        await server.wait_closed()
    await get(NAME, certificate)
    await get("another.test", certificate)


asyncio.run(main())
