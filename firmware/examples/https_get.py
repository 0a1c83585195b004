# Fetch a page over TLS. With the certificate of whoever vouches for the server (a CA's, or the
# server's own; in DER) it is made sure that nobody else answers; without, it says so.
#
#   viperip sim firmware/examples/https_get.py
#   viperip sim firmware/examples/https_get.py https://10.77.0.1:8443/ CERTIFICATE.der [NAME]
#
# NAME: the one in the certificate, if the URL has another or an address.
import socket
import sys

import tls

LONGEST = 4096  # bytes of the headers
LARGEST = 100_000  # bytes of the page
url = sys.argv[1] if len(sys.argv) > 1 else "https://example.com/"
scheme, _, host, *rest = url.split("/", 3)
if scheme != "https:":
    sys.exit("only https:// here; http_get.py is for http://")
name, _, port = host.partition(":")

context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
if len(sys.argv) > 2:
    try:
        with open(sys.argv[2], "rb") as file:
            context.load_verify_locations(file.read())
    except (OSError, ValueError) as e:
        sys.exit("%s: %s" % (sys.argv[2], e))
    context.verify_mode = tls.CERT_REQUIRED
else:
    context.verify_mode = tls.CERT_NONE
    print("the server is not verified: anybody may answer")


def fetch(s):
    """The status line, the length that is said or -1, and the body."""
    s.write("GET /%s HTTP/1.0\r\nHost: %s\r\n\r\n" % (rest[0] if rest else "", host))
    status, total, length = s.readline(), 0, -1
    if not status.startswith(b"HTTP/1."):
        raise ValueError("this is no answer of HTTP: %s" % status[:40])
    while True:
        line = s.readline()
        if line in (b"\r\n", b"\n"):
            break
        total += len(line)
        if not line or total > LONGEST:
            raise ValueError("the headers have no end")
        if line.lower().startswith(b"content-length:"):
            length = int(line[15:])
    return status.decode().strip(), length, s.read(LARGEST)


try:
    address = socket.getaddrinfo(name, port or "https", 0, socket.SOCK_STREAM)[0][-1]
except OSError:
    sys.exit("no address for %s: is the name right, and this computer online?" % name)
raw = socket.socket()
raw.settimeout(10)
try:
    raw.connect(address)
    s = context.wrap_socket(raw, server_hostname=sys.argv[3] if len(sys.argv) > 3 else name)
    print("%s speaks %s" % (host, " ".join(s.cipher())))
    status, length, body = fetch(s)
except (OSError, ValueError) as e:
    sys.exit("%s: %s" % (host, str(e).strip()))
finally:
    raw.close()
print(status)
if length > len(body):
    sys.exit("only %d bytes came of %d" % (len(body), length))
print("%d bytes: %s ..." % (len(body), body[:40]))
