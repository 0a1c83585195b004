# How fast is it? The server that iperf3 talks to:
#   viperip sim --forward 5201:5201 firmware/examples/iperf3_server.py
#   iperf3 -c 127.0.0.1         and with -R, --bidir, -P 4
# UDP and the board as the client need a network of their own, `--link tap:tap0` or a real board:
#   from viperip.application import iperf3
#   iperf3.client("10.9.0.1", udp=True, rate=3000000, reverse=True)
from viperip.application import iperf3

iperf3.server()
