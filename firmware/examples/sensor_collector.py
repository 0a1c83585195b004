# A sensor that reports to a collector, a JSON object a line over TCP. Readings are taken whether
# the collector is there or not: they wait, the oldest are given up when there are too many, and
# each is sent again until the collector has confirmed its number.
#
#   viperip sim firmware/examples/sensor_collector.py
#   viperip sim firmware/examples/sensor_collector.py 10.77.0.1 9000 100
#
# The first has a collector of its own; the second sends 100 readings to yours.
import asyncio
import json
import math
import sys
import time

MOST = 50
EVERY_MS = 20
waiting = []  # readings that nobody has confirmed
lost = 0


async def measure(count):
    global lost
    for number in range(1, count + 1):
        celsius = 21 + 3 * math.sin(number / 5)
        waiting.append({"n": number, "ms": time.ticks_ms(), "celsius": round(celsius, 2)})
        if len(waiting) > MOST:
            waiting.pop(0)
            lost += 1
        await asyncio.sleep_ms(EVERY_MS)


async def deliver(host, port):
    """Send what waits, for ever; connect again, later each time, when the collector goes."""
    pause = 50
    while True:
        writer = None
        try:
            reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 2)
            while True:
                while waiting:
                    reading = waiting[0]
                    writer.write(json.dumps(reading).encode() + b"\n")
                    await writer.drain()
                    answer = await asyncio.wait_for(reader.readline(), 2)
                    if answer.strip() != b"ok %d" % reading["n"]:
                        raise OSError("the collector says %s" % answer[:40])
                    pause = 50
                    if waiting and waiting[0] is reading:
                        waiting.pop(0)
                await asyncio.sleep_ms(5)
        except (OSError, asyncio.TimeoutError) as e:
            print("no collector (%s); %d readings wait" % (e or "it says nothing", len(waiting)))
        finally:
            if writer is not None:
                await writer.wait_closed()
        await asyncio.sleep_ms(pause)
        pause = min(pause * 2, 1000)


seen = []


async def collect(reader, writer):
    # The collector of the demonstration: it hangs up after every seventh reading.
    for _ in range(7):
        line = await reader.readline()
        if not line:
            break
        reading = json.loads(line)
        if reading["n"] not in seen:  # what was sent again counts once
            seen.append(reading["n"])
        writer.write(b"ok %d\n" % reading["n"])
        await writer.drain()
    await writer.wait_closed()


async def main():
    host, port = (sys.argv[1], int(sys.argv[2])) if len(sys.argv) > 2 else ("127.0.0.1", 9000)
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 30
    task = asyncio.create_task(deliver(host, port))
    if len(sys.argv) <= 2:
        await asyncio.sleep_ms(100)  # it comes late
        await asyncio.start_server(collect, host, port)
    await measure(count)
    for _ in range(500):
        if not waiting:
            break
        await asyncio.sleep_ms(20)
    task.cancel()
    print("%d readings taken, %d given up, %d unconfirmed" % (count, lost, len(waiting)))
    if seen:
        print("the collector has %d, in order: %s" % (len(seen), seen == sorted(seen)))


asyncio.run(main())
