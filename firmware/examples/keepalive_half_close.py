# Two things of TCP that MicroPython's own socket module leaves out. Keepalive finds out that a
# silent peer is gone. Half close says "that was all" and still reads the answer.
#
#   viperip sim firmware/examples/keepalive_half_close.py
import socket

server = socket.socket()
server.bind(("127.0.0.1", 7000))
server.listen()

client = socket.socket()
client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10)  # probe after 10 s of silence,
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2)  # then one every 2 s,
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)  # and ETIMEDOUT after 3 of them
client.connect(("127.0.0.1", 7000))
peer, _ = server.accept()


def show(who, s):
    print("%s: %s" % (who, s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO)["state"]))


client.sendall(b"3 1 2")
client.shutdown(socket.SHUT_WR)
numbers = peer.read()  # to the end of the stream, which the half close has sent
show("client", client)
show("server", peer)

peer.sendall(b" ".join(sorted(numbers.split())))
peer.close()
print("sorted:", client.read().decode())
client.close()
