# A sensor, made up, that publishes by MQTT with chumicro-mqtt as it comes from PyPI: readings wait
# until the broker has them (QoS 1), a last will says when the board is gone, and a topic sets how
# often. Without a broker's address a stand-in of a few lines takes three readings.
#
#   viperip sim firmware/examples/mqtt_sensor.py
#   mosquitto_sub -v -t 'board/#'; mosquitto_pub -t board/interval -m 500
#   viperip sim firmware/examples/mqtt_sensor.py 10.77.0.1:1883 [READINGS]
import json
import socket
import sys
import time

from chumicro_mqtt import MQTTClient, ProtocolState
from chumicro_timing import ticks_ms

READINGS, STATUS, INTERVAL = "board/readings", "board/status", "board/interval"
KEEP = 32  # readings, while no broker takes them; then the oldest go


def stand_in(port):
    # As much of a broker as one client needs: it acknowledges. Each next() is a step of it.
    answers = {1: b"\x20\x02\0\0", 3: b"\x40\x02%s", 8: b"\x90\x03%s\x01"}
    s, data = socket.socket(), b""
    s.bind(("127.0.0.1", port))
    s.listen(1)
    yield  # the client begins to connect; accept() waits for the rest
    yield
    s, _ = s.accept()
    s.setblocking(False)
    while True:
        yield
        data += s.read(1000) or b""
        while len(data) > 1 and len(data) >= 2 + data[1]:
            kind, body, data = data[0] >> 4, data[2 : 2 + data[1]], data[2 + data[1] :]
            at = 2 + (body[0] << 8 | body[1]) if kind == 3 else 0  # behind PUBLISH's topic
            if kind == 3:
                print("  broker: %s %s" % (body[2:at].decode(), body[at + 2 :].decode()))
            s.send(answers.get(kind, b"").replace(b"%s", body[at : at + 2]))


alone = not sys.argv[1:]
readings = int(sys.argv[2]) if len(sys.argv) > 2 else 3 if alone else 1 << 29
host, _, port = ("127.0.0.1:1883" if alone else sys.argv[1]).partition(":")
config = {"mqtt.broker.host": host, "mqtt.broker.port": int(port or 1883)}
will = {"will_topic": STATUS, "will_message": b"offline", "will_qos": 1, "will_retain": True}
client = MQTTClient.from_config(config, client_id="board", **will)
waiting, interval = [], 200 if alone else 1000  # readings that no broker has yet; ms


def acknowledged(topic, payload):
    if waiting and waiting[0] == payload:  # (not one that was sent twice)
        waiting.pop(0)
        publish()


def publish():
    if waiting and client.state == ProtocolState.CONNECTED:
        client.publish(READINGS, waiting[0], qos=1, on_publish=acknowledged)


def connected():
    print("connected to %s, %d readings wait" % (host, len(waiting)))
    client.publish(STATUS, b"online", qos=1, retain=True)
    publish()


def command(topic, payload):
    global interval
    try:
        interval = min(max(int(payload.decode()), 50), 3600_000)
        print("a reading every %d ms" % interval)
    except ValueError:
        print("not an interval in ms: %s" % payload)


client.on_connect, client.on_message = connected, command
client.subscribe(INTERVAL, 1)
client.connect()
broker = stand_in(int(port))
number, due, said = 0, ticks_ms(), None
while number < readings or waiting:
    now = ticks_ms()
    try:
        client.handle(now)
    except UnicodeError:
        client.io_error(now, 0)  # a topic that is no UTF-8: begin anew
    if alone:
        next(broker)
    if client.last_error not in (None, said):
        print("no broker: %s" % client.last_error)
    said = client.last_error
    if number < readings and time.ticks_diff(now, due) >= 0:
        due, number = time.ticks_add(now, interval), number + 1
        waiting.append(json.dumps({"n": number, "celsius": 20 + number % 10 / 10}).encode())
        del waiting[1 : len(waiting) - KEEP + 1]  # (the first may be on its way)
        if len(waiting) == 1:
            publish()
    time.sleep_ms(5)
client.disconnect()
