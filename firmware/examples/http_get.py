# Fetch a page: a name is looked up, a connection opened, the answer read to its end.
#
#   viperip sim firmware/examples/http_get.py
#   viperip sim firmware/examples/http_get.py http://10.77.0.1:8000/
#
# (10.77.0.1 is the private wire's gateway, and for the board this computer's own 127.0.0.1.)
import socket
import sys

url = sys.argv[1] if len(sys.argv) > 1 else "http://example.com/"
scheme, _, host, *rest = url.split("/", 3)
if scheme != "http:":
    sys.exit("only http:// here; for https:// see MicroPython's requests")
name, _, port = host.partition(":")

try:
    address = socket.getaddrinfo(name, port or "http", 0, socket.SOCK_STREAM)[0][-1]
except OSError:
    sys.exit("no address for %s: is the name right, and this computer online?" % name)
print("%s is %s" % (host, address))

s = socket.socket()
s.settimeout(10)
s.connect(address)
s.write("GET /%s HTTP/1.0\r\nHost: %s\r\n\r\n" % (rest[0] if rest else "", host))
print(s.readline().decode().strip())
while s.readline() not in (b"\r\n", b""):
    pass  # headers
body = s.read()
s.close()
print("%d bytes: %s ..." % (len(body), body[:40]))
