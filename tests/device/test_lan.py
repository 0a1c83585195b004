# LAN: the interface object, shaped like MicroPython's network.LAN.
import viperip
from harness import FakeClock
from viperip.errors import EADDRINUSE
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


def probed(stack, wire, clock, ms, answer=None):
    # Let time pass; the probes (sender 0.0.0.0) that the stack sent. `answer`: MAC of their owner.
    found = []
    while ms > 0:
        clock.advance(100)
        ms -= 100
        stack.poll()
        while wire.recv():
            f = bytes(wire.rx[2:44])
            wire.release()
            if f[12:14] == b"\x08\x06" and f[28:32] == bytes(4):
                found.append(f[38:42])
                if answer:
                    reply = f[6:12] + answer + f[12:20] + b"\0\2" + answer + f[38:42] + f[22:28]
                    wire.borrow()[2:44] = reply + bytes(42 - len(reply))
                    wire.send(42)
    return found


def fake():
    clock = FakeClock()
    stack = Stack(ticks=clock)
    dev, wire = Pair.wire(MAC, b"\x02\0\0\0\0\x0b")
    lan = LAN({"device": dev}, stack=stack, pump_ms=0)
    lan.active(True)
    return stack, wire, clock, lan


def test_a_static_address_is_used_at_once_and_probed_beside():
    # RFC 5227 2.1.1, but without the wait.
    stack, wire, clock, lan = fake()
    lan.ipconfig(addr4="10.0.0.2/24")
    assert lan.isconnected()
    assert probed(stack, wire, clock, 8000) == [b"\x0a\0\0\2"] * 3
    assert lan.interface.arp.conflict is None
    assert probed(stack, wire, clock, 8000) == []


def test_the_owner_of_a_static_address_is_noticed():
    stack, wire, clock, lan = fake()
    lan.ipconfig(addr4="10.0.0.2/24")
    other = b"\x02\0\0\0\0\x0c"
    assert probed(stack, wire, clock, 8000, other) == [b"\x0a\0\0\2"]
    assert lan.interface.arp.conflict == other
    assert lan.ipconfig("addr4")[0] == "10.0.0.2"
    assert [e["state"] for e in lan.interface.arp.entries()] == ["conflict"]


def test_an_address_that_is_asked_for_first():
    for answer in (None, b"\x02\0\0\0\0\x0c"):
        stack, wire, clock, lan = fake()
        stack.idle = lambda ms: probed(stack, wire, clock, 100, answer)
        try:
            lan.ipconfig(addr4="10.0.0.2/24", probe=True)
            assert not answer and lan.isconnected()
        except OSError as e:
            assert answer and e.errno == EADDRINUSE and not lan.isconnected()


def test_asking_first_needs_an_interface_that_is_up():
    _, _, lan = make()
    assert raises(OSError, lan.ipconfig, addr4="10.0.0.2/24", probe=True)
