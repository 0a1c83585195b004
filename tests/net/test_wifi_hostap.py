"""The Wi-Fi station against hostapd, on a TAP: handshake, rekeys, TCP with Linux, tshark's word.

hostapd is Debian's, with a driver of the project's whose air is UDP on loopback (viperip_host/
hostapd): it authenticates, associates, and negotiates keys as ever; frames are encrypted with its
AES. No radio, no kernel module.
"""

import json
import signal
import sys
from pathlib import Path

import pytest

from tests.net.board import ADDRESS, HOST, NAMES, PEER, PORT, micropython, swapped
from tests.net.captures import tshark
from tests.net.netns import NetNS, Running
from tests.net.scripts import SWAP
from viperip_host import hostap, resources
from viperip_host.errors import HostError
from viperip_host.testing.targets import everything_wanted

pytestmark = pytest.mark.root
SSID = "viperip"
PASSPHRASE = "correct horse battery"
AIR = (7101, 7102)
STATION = "02:00:00:00:00:51"

CONFIG = """\
interface=air
driver=none
driver_params={near}:{far}:tap0:{capture}
ssid={ssid}
channel=1
hw_mode=g
wpa=2
wpa_key_mgmt=WPA-PSK
rsn_pairwise=CCMP
wpa_passphrase={passphrase}
{more}
"""

# ARGS: library folders, radio, passphrase, address, what is to run; then the arguments of that.
BOARD = """
import json, sys
sys.path[:0] = sys.argv[1].split(":")
import viperip
from viperip.link.udpwire import UDPWire
from viperip.link.wifi.station import Station

MAC = b"\\x02\\0\\0\\0\\0\\x51"
wire = UDPWire({far}, {near}, MAC, 2304)
if sys.argv[2] == "wire":
    from viperip.link.wifi.radio import WireRadio

    radio = WireRadio(wire, MAC)
else:
    from viperip.link.wifi.mac import MACRadio
    from wifi_mac_model import WiFiModel

    wire.up()
    soc = WiFiModel(wire, MAC, real_time=True)
    radio = MACRadio(soc, hardware_keys=sys.argv[2] == "slots", rx_frames=16, experimental=True)
dev = Station(radio, "{ssid}", sys.argv[3])
lan = viperip.LAN(dev)
lan.active(True)
try:
    dev.wait(8000)
except OSError as e:
    print("failed", e.args[1])
    raise SystemExit(3)
print("joined")
lan.ipconfig(addr4=sys.argv[4])
viperip.install()
import time  # whose sleep() keeps the stack running now
with open(sys.argv[5]) as f:
    text = f.read()
sys.argv[1:] = sys.argv[6:]
try:
    exec(text)
    time.sleep(1)  # what was closed is still being delivered
finally:
    if hasattr(radio, "counters"):
        print("radio", json.dumps({{k: v for k, v in radio.counters.items() if v}}))
    print("trouble", json.dumps({{k: v for k, v in dev.counters.items() if v}}))
    lan.active(False)
"""

IDLE = """
print("ready")
time.sleep(60)
"""


class AP:
    """hostapd in a namespace; `capture` holds every MPDU."""

    def __init__(self, tap: NetNS, folder: Path, more: str = "") -> None:
        try:
            program = hostap.fetch() if everything_wanted() else hostap.find()
        except HostError as error:
            pytest.skip(str(error))
        self.capture = folder / "air.pcap"
        text = CONFIG.format(
            near=AIR[0],
            far=AIR[1],
            capture=self.capture,
            ssid=SSID,
            passphrase=PASSPHRASE,
            more=more,
        )
        (folder / "hostapd.conf").write_text(text)
        self.running: Running = tap.start(str(program), "-d", str(folder / "hostapd.conf"))
        self.running.wait_for("AP-ENABLED")

    def complaints(self) -> list[str]:
        """What the driver has against the station's frames."""
        words = ("BAD MIC", "PN USED AGAIN", "IN THE CLEAR", "invalid MIC", "replay")
        return [line for line in self.running.output.splitlines() if any(w in line for w in words)]

    def decrypted(self, *flags: str) -> list[str]:
        """The lines of tshark, which knows nothing but the passphrase."""
        key = f'uat:80211_keys:"wpa-pwd","{PASSPHRASE}:{SSID}"'
        return tshark(self.capture, "-o", "wlan.enable_decryption:TRUE", "-o", key, *flags)


def board(
    tap: NetNS,
    folder: Path,
    target: str,
    radio: str,
    text: str,
    *arguments: str,
    passphrase: str = PASSPHRASE,
) -> Running:
    """A station that joins, then runs TEXT."""
    source = BOARD.format(near=AIR[0], far=AIR[1], ssid=SSID)
    (folder / "board.py").write_text(source)
    (folder / "script.py").write_text(text)
    path = f"{resources.firmware()}:{resources.models()}"
    return tap.start(
        *(micropython(target), "-X", "heapsize=8M", str(folder / "board.py"), path, radio),
        *(passphrase, f"{ADDRESS}/24", str(folder / "script.py"), *arguments),
    )


def calm(running: Running, *but: str) -> None:
    """The station had nothing to count but its joining, and what is named."""
    counted = json.loads(running.wait_for("trouble {").removeprefix("trouble "))
    fine = {"scans", "joins", "rx_stray", *but}
    assert {name: n for name, n in counted.items() if name not in fine} == {}, counted
    assert counted["joins"] == 1
    for line in running.output.splitlines():
        if line.startswith("radio "):
            # Of the MAC's, only a list that ran dry, and what came before the first beacon.
            assert set(json.loads(line.removeprefix("radio "))) <= {"rx_dry", "rx_unsure"}, line


@pytest.mark.parametrize(
    ("target", "radio"),
    [*((name, "wire") for name in NAMES), ("unix", "registers"), ("unix32", "slots")],
)
def test_tcp_both_ways_at_once_and_tshark_reads_it(
    tap: NetNS, tmp_path: Path, target: str, radio: str
) -> None:
    """On a wire of MPDUs, and through the registers: keys in software, and in the MAC's slots."""
    size = 200_000
    ap = AP(tap, tmp_path)
    told = ("accept", HOST, str(PORT), "2", str(size))
    running = board(tap, tmp_path, target, radio, SWAP, *told)
    running.wait_for("ready")
    tap.ping(ADDRESS)
    told = ("swap", ADDRESS, str(PORT), "2", str(size))
    peer = json.loads(tap.run(sys.executable, PEER, *told).stdout)
    calm(running)
    swapped(peer, running, size, size)
    assert ap.complaints() == []
    assert len(ap.decrypted("-Y", "eapol.keydes.type == 2")) == 4
    # Everything but management and EAPOL is protected, and decrypts to what was sent.
    clear = "wlan.fc.type_subtype == 0x20 && !wlan.fc.protected && !eapol"
    assert ap.decrypted("-Y", clear) == []
    assert len(ap.decrypted("-Y", f"tcp.port == {PORT}")) > 200
    assert len(ap.decrypted("-Y", "icmp.type == 0")) >= 1
    assert len(ap.decrypted("-Y", "arp && wlan.fc.protected == 1")) >= 1
    # (hostapd, which this driver tells no rates, has none to list in its association response.)
    assert ap.decrypted("-Y", f"_ws.malformed && wlan.ta == {STATION}") == []


@pytest.mark.parametrize("radio", ["wire", "slots"])
def test_group_and_pairwise_keys_are_changed(tap: NetNS, tmp_path: Path, radio: str) -> None:
    ap = AP(tap, tmp_path, "wpa_group_rekey=2\nwpa_ptk_rekey=5\nwpa_strict_rekey=0")
    running = board(tap, tmp_path, "unix", radio, IDLE)
    running.wait_for("ready")
    for _ in range(8):
        tap.ping(ADDRESS)
        # The group key, too: Linux asks for the address by broadcast.
        tap.run("ip", "neigh", "flush", "dev", "tap0")
        tap.run("sleep", "1")
    running.send(signal.SIGINT)
    calm(running)
    assert ap.complaints() == []
    output = ap.running.output
    assert output.count("group key handshake completed") >= 3, output[-4000:]
    assert output.count("pairwise key handshake completed") >= 2
    # A station that leaves says so.
    ap.running.wait_for(f"deauthentication: STA={STATION} reason_code=3")


def test_a_wrong_passphrase(tap: NetNS, tmp_path: Path) -> None:
    ap = AP(tap, tmp_path)
    running = board(tap, tmp_path, "unix", "wire", IDLE, passphrase="wrong horse battery")
    assert "is the passphrase wrong?" in running.wait_for("failed")
    assert running.wait() == 3
    assert "invalid MIC in msg 2/4" in ap.running.output
    assert "pairwise key handshake completed" not in ap.running.output
