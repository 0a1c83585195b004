# LAN: the interface object, shaped like MicroPython's network.LAN.
import viperip
from viperip.lan import LAN
from viperip.link.pair import Pair
from viperip.stack import Stack

MAC = b"\x02\0\0\0\0\x0a"


def raises(kind, function, *args, **kw):
    try:
        function(*args, **kw)
    except kind:
        return True
    return False


def make():
    stack = Stack()
    dev, _ = Pair.wire(MAC, b"\x02\0\0\0\0\x0b")
    return stack, dev, LAN({"device": dev}, stack=stack)


def test_version_and_missing_names():
    assert viperip.__version__.count(".") == 2
    assert raises(AttributeError, getattr, viperip, "no_such_thing")
    assert viperip.LAN is LAN


def test_a_new_lan_is_down_and_has_no_address():
    _, _, lan = make()
    assert lan.active() is False
    assert not lan.isconnected()
    assert lan.status() == LAN.ETH_INITIALIZED
    assert lan.ifconfig() == ("0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0")


def test_up_and_down():
    stack, _, lan = make()
    lan.active(True)
    assert lan.active() is True
    assert lan.status() == LAN.ETH_CONNECTED
    lan.ipconfig(addr4="10.1.2.3/24", gw4="10.1.2.1")
    assert lan.isconnected()
    assert lan.status() == LAN.ETH_GOT_IP
    assert stack.ip.routes.find(b"\x08\x08\x08\x08", 0).gateway == b"\x0a\1\2\1"
    lan.active(False)
    assert not lan.isconnected()
    assert lan.status() == LAN.ETH_STOPPED
    assert stack.ip.routes.find(b"\x08\x08\x08\x08", 0) is None
    lan.active(True)
    assert lan.isconnected()
    assert len(stack.interfaces) == 1


def test_ipconfig():
    _, _, lan = make()
    lan.ipconfig(addr4="192.168.7.9/20")
    assert lan.ipconfig("addr4") == ("192.168.7.9", "255.255.240.0")
    lan.ipconfig(gw4="192.168.0.1")
    assert lan.ipconfig("gw4") == "192.168.0.1"
    assert lan.ipconfig("addr4") == ("192.168.7.9", "255.255.240.0")
    lan.ipconfig(addr4=("10.0.0.9", "255.0.0.0"))
    assert lan.ipconfig("addr4") == ("10.0.0.9", "255.0.0.0")
    assert lan.ipconfig("dhcp4") is False
    assert raises(ValueError, lan.ipconfig, "addr5")
    assert raises(ValueError, lan.ipconfig, addr4="10.0.0.300/8")
    assert raises(ValueError, lan.ipconfig, addr4="10.0.0.3/33")
    assert raises(ValueError, lan.ipconfig, other=1)
    assert raises(TypeError, lan.ipconfig)
    assert raises(TypeError, lan.ipconfig, "addr4", gw4="10.0.0.1")
    # A mistake changes nothing.
    assert raises(ValueError, lan.ipconfig, addr4="10.0.0.1/8", gw4="nobody")
    assert lan.ipconfig("addr4") == ("10.0.0.9", "255.0.0.0")


def test_ifconfig():
    _, _, lan = make()
    four = ("10.0.0.2", "255.255.255.0", "10.0.0.1", "9.9.9.9")
    lan.ifconfig(four)
    assert lan.ifconfig() == four
    assert raises(ValueError, lan.ifconfig, ("10.0.0.2", "255.0.255.0", "10.0.0.1", "9.9.9.9"))
    assert raises(ValueError, lan.ifconfig, ("10.0.0.2",))


def test_config():
    stack, dev, lan = make()
    assert lan.config("mac") == MAC
    lan.config(hostname="board7")
    assert lan.config("hostname") == stack.hostname == "board7"
    lan.config(mac=b"\x02\1\2\3\4\5")
    assert lan.config("mac") == dev.mac == b"\x02\1\2\3\4\5"
    assert raises(ValueError, lan.config, "colour")
    assert raises(ValueError, lan.config, colour=1)
    assert raises(ValueError, lan.status, "rssi")


def test_two_objects_of_one_link_share_the_interface():
    stack, dev, lan = make()
    other = LAN({"device": dev}, stack=stack)
    lan.active(True)
    lan.ipconfig(addr4="10.0.0.2/24")
    assert other.interface is lan.interface
    assert other.isconnected()
    second, _ = Pair.wire(b"\x02\0\0\0\1\x0a", b"\x02\0\0\0\1\x0b")
    third = LAN({"device": second}, stack=stack)
    assert third.interface is not lan.interface
    assert (lan.interface.name, third.interface.name) == ("eth0", "eth1")


def test_a_board_without_a_link_is_an_oserror():
    assert raises(OSError, LAN, {"name": "bare"}, stack=Stack())
