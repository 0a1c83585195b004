# One-byte echo on port 7 in a loop that never sleeps: poll the stack, look, answer.
import socket

import viperip

stack = viperip.default()
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("0.0.0.0", 7))
listener.listen(2)
print("ready")
while True:
    s, _ = listener.accept()
    s.setblocking(False)
    one = bytearray(1)
    try:
        while True:
            stack.poll()
            n = s.readinto(one)
            if n:
                s.write(one)
            elif n is not None:
                break
    except OSError as e:
        print("connection failed:", e)
    s.close()
