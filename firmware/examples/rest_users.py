# A REST API on microdot: users that are made, read, changed and deleted, with the status codes of
# RFC 9110. Without an argument it calls itself, prints both sides' words, and ends.
#
#   viperip sim firmware/examples/rest_users.py
#   viperip sim --forward 8000:80 firmware/examples/rest_users.py serve
#   curl -i http://127.0.0.1:8000/users --json '{"name": "Ada"}'
import asyncio
import json
import sys

from microdot import Microdot, Request, abort

Request.max_content_length = Request.max_body_length = 1024  # more is 413
MOST = 100  # users; a board has an end

app = Microdot()
users = {}
last = 0  # the id given last: ids of deleted users do not come again


def wanted(request):
    """The name in the request's JSON, or 400."""
    try:
        name = request.json["name"].strip()
    except (ValueError, TypeError, KeyError, AttributeError):
        name = ""  # no JSON, no object, no name, no text
    if not 0 < len(name) <= 40:
        abort(400, 'expected JSON like {"name": "Ada"}')
    return name


def find(number):
    return users.get(number) or abort(404, "no user %d" % number)


@app.get("/users")
async def every(request):
    return [users[number] for number in sorted(users)]


@app.post("/users")
async def create(request):
    global last
    name = wanted(request)
    if len(users) >= MOST:
        abort(507, "no room for more users")
    last += 1
    users[last] = {"id": last, "name": name}
    return users[last], 201, {"Location": "/users/%d" % last}


@app.get("/users/<int:number>")
async def read(request, number):
    return find(number)


@app.put("/users/<int:number>")
async def change(request, number):
    find(number)["name"] = wanted(request)
    return users[number]


@app.delete("/users/<int:number>")
async def delete(request, number):
    find(number)
    del users[number]
    return "", 204


async def call(method, path, body=""):
    reader, writer = await asyncio.open_connection("127.0.0.1", 80)
    head = "%s %s HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    writer.write((head % (method, path, len(body)) + body).encode())
    await writer.drain()
    answer = (await reader.read(-1)).decode()
    writer.close()
    await writer.wait_closed()
    status, text = answer.split("\r\n", 1)[0], answer.split("\r\n\r\n", 1)[1]
    print("%-6s %-9s %-17s -> %s  %s" % (method, path, body, status.split(" ", 1)[1], text))


async def main():
    server = asyncio.create_task(app.start_server("0.0.0.0", 80))
    await asyncio.sleep(0)  # lets it listen
    print("users on port 80, /users")
    if sys.argv[1:] != ["serve"]:
        await call("POST", "/users", json.dumps({"name": "Ada"}))
        await call("PUT", "/users/1", json.dumps({"name": "Grace"}))
        await call("GET", "/users")
        await call("DELETE", "/users/1")
        await call("GET", "/users/1")
        await call("POST", "/users", "not JSON")
        app.shutdown()
    await server


asyncio.run(main())
