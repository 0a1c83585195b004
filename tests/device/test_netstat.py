# netstat and ifstat: states counted, rates over an interval.
import viperip
from viperip.application import netstat
from viperip.socket import socket


def test_states_are_counted():
    rows = [{"state": s} for s in ("LISTEN", "ESTABLISHED", "LISTEN", "")]
    assert netstat.states(rows) == {"LISTEN": 2, "ESTABLISHED": 1}
    assert netstat.states([]) == {}


def test_netstat_of_a_connection_to_oneself():
    stack = viperip.default()
    server = socket()
    server.bind(("127.0.0.1", 8042))
    server.listen(1)
    client = socket()
    client.connect(("127.0.0.1", 8042))
    peer, _ = server.accept()
    try:
        rows = netstat.netstat(stack)
        assert netstat.states(rows) == {"LISTEN": 1, "ESTABLISHED": 2}
        for r in rows:
            assert r["state"] != "ESTABLISHED" or r["rtt"] >= 0
    finally:
        for s in (peer, client, server):
            s.close()


def test_ifstat_gives_rates():
    class Dev:
        def link(self):
            return True

    class Interface:
        name = "x0"
        mac = bytes(6)
        net = bytes((10, 0, 0, 1))
        mask = bytes((255, 255, 255, 0))
        mtu = 1500
        active = True
        arp = None
        dev = Dev()
        rx_frames = rx_bytes = tx_frames = tx_drops = 0
        tx_bytes = 0x3FFFFFF0

    class Stack:
        # In each wait of 100 ms a frame of 125 bytes comes and one of 250 goes.
        interfaces = [Interface()]
        stats = {}
        now = 0

        def time(self):
            return self.now

        def wait(self, ms):
            self.now += 100
            i = self.interfaces[0]
            i.rx_frames += 1
            i.rx_bytes += 125
            i.tx_frames += 1
            i.tx_bytes = (i.tx_bytes + 250) & 0x3FFFFFFF

    row = netstat.ifstat(Stack(), 1000)[0]
    assert row["rx_bit_s"] == 10000 and row["tx_bit_s"] == 20000, row
    assert row["rx_frame_s"] == row["tx_frame_s"] == 10
    assert "rx_bit_s" not in netstat.ifstat(Stack())[0]
