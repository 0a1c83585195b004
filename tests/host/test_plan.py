"""What the device side is told, without starting anything."""

import ipaddress
import socket
from pathlib import Path

import pytest

from viperip_host import links, options, plan, sim
from viperip_host.errors import UsageError

EMPTY = dict.fromkeys(
    "ip gateway mac hostname capture loss dup reorder corrupt delay rate seed script".split()
)


def request(**given: object) -> plan.Request:
    base = {**EMPTY, "dhcp": False, "link": None, "dns": (), "forward": (), "board": "unix"}
    return sim._request({**base, "args": (), "interactive": False, **given})


def config(asked: plan.Request, **link: object) -> plan.Json:
    described = link or {"type": "udp", "local": 1, "remote": 2}
    return plan.board_config(asked, plan.load_board("unix"), links.Link(described), 9)


def test_without_an_address_it_is_dhcp() -> None:
    told = config(request())
    assert (told["dhcp"], told["ip"], told["gateway"], told["dns"]) == (True, None, None, [])


def test_every_path_is_absolute_and_there() -> None:
    told = config(request())
    for key in ("firmware", "lib", "board"):
        assert Path(told[key]).is_absolute() and Path(told[key]).exists()
    assert (Path(told["firmware"]) / "viperip").is_dir()
    assert (Path(told["lib"]) / "microdot").is_dir()


def test_the_demo_runs_without_script_and_prompt(tmp_path: Path) -> None:
    script = tmp_path / "a.py"
    script.touch()
    assert config(request())["demo"]
    assert not config(request(interactive=True))["demo"]
    told = config(request(script=str(script), args=("-x", "1")))
    assert not told["demo"]
    assert (told["script"], told["args"]) == (str(script), ["-x", "1"])


def test_a_static_address_on_the_wire_goes_through_the_gateway() -> None:
    asked = request(ip="192.168.7.1/24")
    assert plan.wire_network(asked) == ("192.168.7.2/24", "192.168.7.1")
    told = config(asked, type="wire", fd=3)
    assert (told["gateway"], told["dns"]) == ("192.168.7.2", ["192.168.7.2"])
    asked = request(ip="10.77.0.9/24", dns=("10.77.0.5",))
    assert plan.wire_network(asked)[0] == "10.77.0.1/24"
    assert config(asked, type="wire", fd=3)["dns"] == ["10.77.0.5"]


def test_a_static_address_elsewhere_gets_no_gateway_by_itself() -> None:
    told = config(request(ip="10.0.0.2/24"))
    assert (told["ip"], told["gateway"], told["dns"]) == ("10.0.0.2/24", None, [])


def test_faults_are_fractions_and_seeded() -> None:
    told = config(request(loss="2%", dup="0.5", rate=100, seed=7))
    assert told["faults"] == {"loss": 0.02, "dup": 0.5, "rate": 100, "seed": 7}
    assert config(request(delay=5.0))["faults"] == {"delay": 5.0, "seed": 1}
    assert config(request(loss="0", seed=7))["faults"] is None


@pytest.mark.parametrize("text", ["02:00:00:00:00:0A", "02-00-00-00-00-0a", "02000000000A"])
def test_mac_addresses_are_made_alike(text: str) -> None:
    assert options.mac(text) == "02:00:00:00:00:0a"


def test_forwards() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    asked = request(forward=(f"udp:{port}:53",))
    told = plan.gateway_config(asked, 3, 4)
    assert told["forwards"] == [{"proto": "udp", "host_port": port, "port": 53}]


def test_the_demo_takes_the_next_free_port() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        if port > 65000:
            pytest.skip("no room above the port the system gave")
        chosen = options.free_forward(port, 80)
    assert chosen.host_port > port
    assert chosen.port == 80


def test_resolv_conf_and_hosts(tmp_path: Path) -> None:
    resolv = tmp_path / "resolv.conf"
    resolv.write_text(
        "# c\nnameserver 10.1.1.1\nnameserver ::1\nsearch x\nnameserver 9.9.9.9 # q\n"
    )
    assert plan.nameservers(resolv) == ["10.1.1.1", "9.9.9.9"]
    table = tmp_path / "hosts"
    table.write_text(
        "127.0.0.1 localhost Desk\n::1 localhost six\n10.1.1.7 srv srv.lan # c\nbad\n"
    )
    assert plan.hosts(table, "10.77.0.1") == {
        "desk": "10.77.0.1",
        "srv": "10.1.1.7",
        "srv.lan": "10.1.1.7",
    }
    assert plan.nameservers(tmp_path / "none") == []


def test_a_wire_carries_bytes_both_ways_without_blocking() -> None:
    link, gateway_fd = links.open_wire()
    with (
        socket.socket(fileno=link.described["fd"]) as board,
        socket.socket(fileno=gateway_fd) as gateway,
    ):
        board.send(b"\0\0\0\1x")
        assert gateway.recv(16) == b"\0\0\0\1x"
        with pytest.raises(BlockingIOError):
            board.recv(1)


def test_a_slash_31_has_no_room_for_the_gateway() -> None:
    with pytest.raises(UsageError, match="/30"):
        plan.check(plan.Request(ip=ipaddress.IPv4Interface("10.0.0.2/31")), private_wire=True)
    plan.check(plan.Request(ip=ipaddress.IPv4Interface("10.0.0.2/31")), private_wire=False)
