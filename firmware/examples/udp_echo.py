# Send every datagram back to where it came from.
#
#   viperip sim --forward udp:7007:7 firmware/examples/udp_echo.py
#   echo hello | nc -u -w1 127.0.0.1 7007
import socket

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", "echo"))  # port 7, by its name
print("echoing on UDP port 7")
while True:
    data, peer = server.recvfrom(1500)
    server.sendto(data, peer)
    print("%d bytes from %s:%d" % (len(data), peer[0], peer[1]))
