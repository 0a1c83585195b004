# A station and a modelled access point, with an in-memory wire of MPDUs for air.
from harness import FakeClock
from viperip.link.pair import Pair
from viperip.link.wifi.crypto import pmk
from viperip.link.wifi.radio import WireRadio
from viperip.link.wifi.station import Station
from wifi_ap import AccessPointModel

MAC = b"\x02\0\0\0\0\x51"
BSSID = b"\x02\0\0\0\0\xa9"
INSIDE = b"\x02\0\0\0\0\x77"  # a host behind the access point
ALL = b"\xff\xff\xff\xff\xff\xff"
SSID = b"viperip"
PASSPHRASE = "a passphrase"
MASTER = pmk(PASSPHRASE, SSID)
FILLER = bytes([i * 11 & 0xFF for i in range(1600)])

_nonces = 0


def fake_random(n):
    # Different at every call, the same in every run.
    global _nonces
    _nonces += 1
    return bytes([(_nonces * 31 + i) & 0xFF for i in range(n)])


def frame(n=60, to=MAC, source=INSIDE, tag=0):
    return (to + source + b"\x88\xb5" + bytes((tag & 0xFF, tag >> 8)) + FILLER)[:n]


class World:
    # secured: WPA2 with the same key on both sides, unless `key` (the station's) says otherwise.
    def __init__(self, secured=True, key=MASTER, start=True, radio=None, **ap):
        self.clock = FakeClock()
        self.near, self.far = Pair.wire(MAC, BSSID, 64, 2304)
        self.ap = AccessPointModel(self.far, BSSID, SSID, MASTER if secured else None, **ap)
        self.radio = radio(self.near) if radio else WireRadio(self.near, MAC)
        self.dev = Station(self.radio, SSID, key if secured else None, self.clock, fake_random)
        if start:
            self.dev.up()
            self.run(600)

    def settle(self):
        for _ in range(8):
            self.ap.poll()
            self.got += self.read()

    def run(self, ms, step=20, beacons=True):
        # Let time pass; what the station received.
        self.got = []
        beat = 0
        while ms > 0:
            if beacons and beat % 100 == 0:
                self.ap.beacon()
            self.settle()
            self.clock.advance(step)
            ms -= step
            beat += step
        self.settle()
        return self.got

    def read(self):
        out = []
        while True:
            n = self.dev.recv()
            if not n:
                return out
            off = self.dev.rx_off
            out.append(bytes(self.dev.rx[off : off + n]))
            self.dev.release()

    def send(self, data):
        buf = self.dev.borrow()
        if buf is None:
            return False
        off = self.dev.tx_off
        buf[off : off + len(data)] = data
        self.dev.send(len(data))
        self.ap.poll()
        return True

    def give(self, mpdu):
        # An MPDU on the air as it is; what the station makes of it.
        self.ap.put(mpdu)
        return self.read()

    def trouble(self):
        fine = ("scans", "joins")
        return {k: v for k, v in self.dev.counters.items() if v and k not in fine}

    def moved(self, before):
        # The counters that differ from an earlier copy of them.
        now = self.dev.counters
        return {k: now[k] - before[k] for k in now if now[k] != before[k]}

    def counts(self):
        return dict(self.dev.counters)
