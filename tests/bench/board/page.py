# page.py FILE: a page of HTML on port 80, served by microdot as it comes from PyPI.
import asyncio
import sys

import viperip
from microdot import Microdot

with open(sys.argv[1], "rb") as f:
    page = f.read()
app = Microdot()


@app.route("/")
async def index(request):
    return page, 200, {"Content-Type": "text/html; charset=utf-8"}


async def main():
    server = asyncio.create_task(app.start_server("0.0.0.0", 80))
    while not viperip.default().tcp.listeners and not server.done():
        await asyncio.sleep_ms(1)
    print("ready")
    await server


asyncio.run(main())
