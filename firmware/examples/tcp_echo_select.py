# An echo server for several clients at once without asyncio: one loop, and select.poll() says who
# has something to read or room to write. Three clients of its own try it; with `serve` it stays.
#
#   viperip sim firmware/examples/tcp_echo_select.py
#   viperip sim --forward 7007:7 firmware/examples/tcp_echo_select.py serve
import errno
import select
import socket
import sys

PORT = 7
MOST = 8  # clients; others wait in the backlog
HOLD = 4096  # bytes kept for a client that does not read; then nothing is read from it either

poller = select.poll()
waiting = {}  # id of a client: [its socket, its address, bytes that are to go back, no more come]


def welcome(server):
    s, peer = server.accept()
    s.setblocking(False)
    waiting[id(s)] = [s, peer, b"", False]
    poller.register(s, select.POLLIN)
    if len(waiting) == MOST:
        poller.unregister(server)


def goodbye(server, client, why):
    s, peer = client[:2]
    print("%s:%d %s" % (peer[0], peer[1], why))
    poller.unregister(s)
    s.close()
    if len(waiting) == MOST:
        poller.register(server, select.POLLIN)
    del waiting[id(s)]


def serve(server, client, events):
    s, _, rest, ended = client
    try:
        if events & (select.POLLERR | select.POLLHUP):
            raise OSError(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        if events & select.POLLIN:
            data = s.recv(HOLD - len(rest))
            ended = client[3] = not data
            rest += data
        if rest:
            rest = rest[s.send(rest) :]
    except OSError as e:
        if e.errno != errno.EAGAIN:  # (no room now: later)
            return goodbye(server, client, "is gone: %s" % e)
    client[2] = rest
    if ended and not rest:
        return goodbye(server, client, "is done")
    wanted = select.POLLIN if len(rest) < HOLD and not ended else 0
    poller.modify(s, wanted | (select.POLLOUT if rest else 0))


def turn(server, ms=-1):
    for s, events in poller.poll(ms):
        if s is server:
            welcome(server)
        elif id(s) in waiting:
            serve(server, waiting[id(s)], events)


server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("", PORT))
server.listen(MOST)
poller.register(server, select.POLLIN)
print("echoing on TCP port %d" % PORT)
while sys.argv[1:] == ["serve"]:
    turn(server)

clients = []
for text in (b"one", b"two", b"three"):
    s = socket.socket()
    s.connect(("127.0.0.1", PORT))
    s.send(text)
    s.shutdown(socket.SHUT_WR)  # that was all; the answer still comes
    clients.append(s)
turn(server)  # lets them in
while waiting:
    turn(server, 1000)
for s in clients:
    print("a client reads:", s.read())
