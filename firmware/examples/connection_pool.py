# Opening a connection costs a round trip, and with TLS several. A pool keeps connections open and
# lends them; one that has died meanwhile is replaced, and there are never more than the server can
# take.
#
#   viperip sim firmware/examples/connection_pool.py
import asyncio
import time

MOST = 3
PORT = 9000


class Pool:
    def __init__(self, host, port, most):
        self.address = (host, port)
        self.idle = []
        self.room = asyncio.Event()
        self.free = most
        self.opened = 0
        self.waited = 0

    async def borrow(self):
        while not self.idle and not self.free:
            self.waited += 1
            self.room.clear()
            await self.room.wait()
        if self.idle:
            return self.idle.pop()
        self.free -= 1
        try:
            pair = await asyncio.open_connection(*self.address)
        except OSError:
            self.discard()
            raise
        self.opened += 1
        return pair

    def give_back(self, pair):
        self.idle.append(pair)
        self.room.set()

    def discard(self):
        self.free += 1
        self.room.set()

    async def ask(self, question):
        """One question, one line of answer; asked again when a connection had died: each of
        those that lay idle may have."""
        for _ in range(MOST + 1):
            reader, writer = await self.borrow()
            try:
                writer.write(question)
                await writer.drain()
                answer = await reader.readline()
            except OSError:
                answer = b""
            if answer.endswith(b"\n"):
                self.give_back((reader, writer))
                return answer
            self.discard()
            await writer.wait_closed()
        raise OSError("the server does not answer")


async def serve(reader, writer):
    # A server that hangs up after five answers, as many do.
    for _ in range(5):
        line = await reader.readline()
        if not line:
            break
        await asyncio.sleep_ms(5)
        writer.write(b"you said " + line)
        await writer.drain()
    await writer.wait_closed()


async def main():
    await asyncio.start_server(serve, "127.0.0.1", PORT)
    pool = Pool("127.0.0.1", PORT, MOST)
    start = time.ticks_ms()
    answers = await asyncio.gather(*[pool.ask(b"%d\n" % i) for i in range(30)])
    right = [a == b"you said %d\n" % i for i, a in enumerate(answers)]
    print("%d of 30 answers, in %d ms" % (sum(right), time.ticks_diff(time.ticks_ms(), start)))
    print("%d connections opened, %d at a time at most" % (pool.opened, MOST))
    print("a connection was waited for %d times" % pool.waited)


asyncio.run(main())
