# The host's UDP sockets, as the gateway's relays use them: never blocking, numeric addresses.
import errno
import socket

EAGAIN = errno.EAGAIN
EINPROGRESS = errno.EINPROGRESS


def address(ip, port):
    """What the host's socket calls want for an address (4 bytes) and port."""
    return socket.getaddrinfo("%d.%d.%d.%d" % (ip[0], ip[1], ip[2], ip[3]), port)[0][-1]


def udp(ip=None, port=0):
    """A UDP socket connected to an address, or not connected."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setblocking(False)
    if ip is not None:
        s.connect(address(ip, port))
    return s


def receive(s):
    """A datagram, None when none is waiting. OSError of the host's network as it comes."""
    try:
        return s.recv(65535)
    except OSError as e:
        if e.errno == EAGAIN:
            return None
        raise
