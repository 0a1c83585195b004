"""What the board runs, in MicroPython, as text."""

# ARGS: accept|connect HOST PORT COUNT SIZE. Sends SIZE bytes on each of COUNT connections and
# reads each to its end at the same time; then prints a line of JSON for each.
SWAP = """
import hashlib, json, os, select, socket, sys
how, host = sys.argv[1:3]
port, count, size = [int(a) for a in sys.argv[3:]]
BLOCK = 8192
base = bytearray(os.urandom(BLOCK))
poll = select.poll()
swaps = {}


class Swap:
    def __init__(self, s, ports):
        s.setblocking(False)
        self.s = s
        self.ports = ports
        self.at = 0  # bytes handed over
        self.block = None
        self.pos = 0
        self.sent = hashlib.sha256()
        self.got = hashlib.sha256()
        self.n = 0
        self.mask = select.POLLIN | select.POLLOUT
        swaps[id(s)] = self
        poll.register(s, self.mask)

    def drop(self, flag):
        self.mask &= ~flag
        if self.mask:
            poll.modify(self.s, self.mask)
            return
        poll.unregister(self.s)
        self.s.close()
        del swaps[id(self.s)]
        print(json.dumps({
            "ports": self.ports, "count": self.n,
            "sent": self.sent.digest().hex(), "got": self.got.digest().hex(),
        }))

    def write(self):
        if self.block is None:
            if self.at == size:
                self.s.shutdown(1)
                self.drop(select.POLLOUT)
                return
            base[:4] = self.at.to_bytes(4, "big")
            self.block = memoryview(bytes(base[: min(BLOCK, size - self.at)]))
            self.sent.update(self.block)
            self.at += len(self.block)
            self.pos = 0
        self.pos += self.s.send(self.block[self.pos :])
        if self.pos == len(self.block):
            self.block = None

    def read(self):
        data = self.s.recv(16384)
        if not data:
            self.drop(select.POLLIN)
            return
        self.n += len(data)
        self.got.update(data)


if how == "connect":
    for _ in range(count):
        s = socket.socket()
        s.connect((host, port))
        Swap(s, [s.getsockname()[1], port])
else:
    listener = socket.socket()
    listener.bind(("0.0.0.0", port))
    listener.listen(count)
    print("ready")
    for _ in range(count):
        s, (_, peer) = listener.accept()
        Swap(s, [port, peer])
while swaps:
    for found in poll.poll():
        s, flags = found[0], found[1]
        swap = swaps[id(s)]
        if flags & select.POLLOUT and swap.mask & select.POLLOUT:
            swap.write()
        if flags & ~select.POLLOUT and swap.mask & select.POLLIN:
            swap.read()
print("done")
"""

# ARGS: PORT COUNT. Echoes on COUNT connections at once until each has ended.
ECHO = """
import select, socket, sys
port, count = [int(a) for a in sys.argv[1:]]
listener = socket.socket()
listener.bind(("0.0.0.0", port))
listener.listen(count)
poll = select.poll()
poll.register(listener, select.POLLIN)
ended = most = open = 0
print("ready")
while ended < count:
    for found in poll.poll():
        s = found[0]
        if s is listener:
            s, _ = listener.accept()
            poll.register(s, select.POLLIN)
            open += 1
            most = max(most, open)
            continue
        data = s.recv(4096)
        if data:
            s.sendall(data)
        else:
            poll.unregister(s)
            s.close()
            ended += 1
            open -= 1
print("done", most)
"""

# ARGS: PORT MSL_MS. Echoes, by asyncio, whatever comes on any number of connections. Every time
# none of them is open any more, and TIME-WAIT is over as well, a line: how many there were so
# far, and as JSON the heap in use, the connections the stack knows, its internal errors.
ECHO_FOR_EVER = """
import asyncio, gc, json, sys
import viperip
from viperip.application.netstat import sockets
port, msl = [int(a) for a in sys.argv[1:]]
stack = viperip.default()
stack.tcp.msl_ms = msl
total = open = 0

def known():
    return len([s for s in sockets(stack) if s["proto"] == "tcp" and s["state"] != "LISTEN"])

async def serve(reader, writer):
    global total, open
    open += 1
    total += 1
    try:
        while True:
            data = await reader.read(4096)
            if not data:
                break
            writer.write(data)
            await writer.drain()
    except OSError as e:
        print("failed", e)
    open -= 1
    writer.close()
    await writer.wait_closed()

async def main():
    await asyncio.start_server(serve, "0.0.0.0", port, 64)
    print("ready")
    told = 0
    while True:
        await asyncio.sleep_ms(50)
        if total != told and not open and not known():
            told = total
            gc.collect()
            gc.collect()
            line = {"heap": gc.mem_alloc(), "known": known()}
            line["errors"] = stack.stats["internal_error"] + stack.stats["no_memory"]
            print("after", total, json.dumps(line))

asyncio.run(main())
"""
