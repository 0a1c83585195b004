# A web server with one page, on plain sockets.
#
#   viperip sim --forward 8000:80 firmware/examples/hello_http.py
#   curl http://127.0.0.1:8000/
import socket

PAGE = "<!doctype html><title>viperip</title><h1>Hello from a board</h1>\n"
HEAD = "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n"


def answer(client, peer):
    request = client.readline()
    while client.readline() not in (b"\r\n", b""):
        pass  # the headers, which do not matter here
    print("%s: %s" % (peer[0], request.decode().strip()))
    client.write(HEAD % len(PAGE) + PAGE)


server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("", 80))
server.listen()
print("serving on port 80")
while True:
    client, peer = server.accept()
    client.settimeout(5)
    try:
        answer(client, peer)
    except OSError as e:
        print("%s: %s" % (peer[0], e))
    client.close()
