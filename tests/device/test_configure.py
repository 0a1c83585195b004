# up(): the board's interface as viperip_network.json says.
import viperip
from viperip import configure
from viperip.errors import ETIMEDOUT
from viperip.link.pair import Pair


def begin(told):
    # A board that has just started, configured like this, on a wire where nobody answers.
    viperip._stack = None
    viperip._board = {"device": Pair.wire(b"\x02\0\0\0\0\x0a", b"\x02\0\0\0\0\x0b")[0]}
    configure.configuration = lambda: told


def up(timeout_ms=2000):
    try:
        return viperip.up(timeout_ms)
    finally:
        viperip.uninstall()


def test_a_static_address():
    begin({"hostname": "kitchen", "addr4": "10.0.0.2/24", "gw4": "10.0.0.1", "dns": ["10.0.0.9"]})
    lan = up()
    assert lan.ifconfig() == ("10.0.0.2", "255.255.255.0", "10.0.0.1", "10.0.0.9")
    assert lan.config("hostname") == "kitchen"
    assert not lan.ipconfig("dhcp4")


def test_a_second_time_changes_nothing():
    begin({"addr4": "10.0.0.2/24"})
    lan = up()
    lan.ipconfig(addr4="10.0.0.7/24")
    again = up()
    assert again.ifconfig()[0] == "10.0.0.7"
    assert len(viperip.default().interfaces) == 1


def test_without_a_configuration_it_asks_dhcp_and_says_that_nobody_answered():
    begin({})
    try:
        up(60)
    except OSError as e:
        assert e.errno == ETIMEDOUT
    else:
        raise AssertionError("an address from nowhere")
    ifc = viperip.default().interfaces[0]
    assert ifc.dhcp is not None and ifc.active


def test_the_module_reads_no_file_where_there_is_none():
    import sys

    del sys.modules["viperip.configure"]
    from viperip.configure import configuration

    assert configuration() == {}
