"""`viperip subnet`: networks, their hosts, and what is none."""

import ipaddress
import json
import random

import pytest

from tests.host.command import viperip
from viperip_host.subnet_command import describe


def ask(*arguments: str) -> dict[str, object]:
    done = viperip("subnet", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    "cidr, network, mask, broadcast, first, last, hosts",
    [
        ("192.168.10.77/26", "192.168.10.64", "255.255.255.192", "192.168.10.127")
        + ("192.168.10.65", "192.168.10.126", 62),
        ("10.1.2.3/255.255.252.0", "10.1.0.0", "255.255.252.0", "10.1.3.255")
        + ("10.1.0.1", "10.1.3.254", 1022),
        ("10.0.0.1/30", "10.0.0.0", "255.255.255.252", "10.0.0.3", "10.0.0.1", "10.0.0.2", 2),
        # RFC 3021: both addresses of a /31 are hosts, none is a broadcast.
        ("10.0.0.5/31", "10.0.0.4", "255.255.255.254", None, "10.0.0.4", "10.0.0.5", 2),
        ("10.0.0.5/32", "10.0.0.5", "255.255.255.255", None, "10.0.0.5", "10.0.0.5", 1),
        ("10.0.0.5", "10.0.0.5", "255.255.255.255", None, "10.0.0.5", "10.0.0.5", 1),
        ("1.2.3.4/0", "0.0.0.0", "0.0.0.0", "255.255.255.255", "0.0.0.1", "255.255.255.254")
        + (2**32 - 2,),
    ],
)
def test_networks(
    cidr: str, network: str, mask: str, broadcast: str | None, first: str, last: str, hosts: int
) -> None:
    found = ask(cidr)
    assert found["network"] == network and found["mask"] == mask
    assert found["broadcast"] == broadcast
    assert (found["first"], found["last"], found["hosts"]) == (first, last, hosts)


def test_every_prefix_counts_what_it_holds() -> None:
    pick = random.Random(1)
    for prefix in range(33):
        address = ipaddress.IPv4Address(pick.getrandbits(32))
        found = describe(f"{address}/{prefix}")
        net = ipaddress.ip_network(f"{address}/{prefix}", strict=False)
        if prefix > 15:
            hosts = list(net.hosts())
            assert (found["first"], found["last"]) == (str(hosts[0]), str(hosts[-1]))
            assert found["hosts"] == len(hosts)
        assert found["addresses"] == 2 ** (32 - prefix)


@pytest.mark.parametrize(
    "address, kind",
    [
        ("127.0.0.1", "loopback (RFC 1122)"),
        ("169.254.7.7", "link-local (RFC 3927)"),
        ("224.0.0.251", "multicast (RFC 5771)"),
        ("172.31.0.1", "private (RFC 1918)"),
        ("172.32.0.1", "public"),
        ("100.64.0.1", "shared by carriers (RFC 6598)"),
        ("192.0.2.1", "documentation (RFC 5737)"),
    ],
)
def test_what_an_address_is_for(address: str, kind: str) -> None:
    assert describe(address)["kind"] == kind


def test_split_and_text() -> None:
    assert ask("10.1.0.0/16", "--split", "18")["networks"] == [
        *("10.1.0.0/18", "10.1.64.0/18", "10.1.128.0/18", "10.1.192.0/18"),
    ]
    text = viperip("subnet", "10.77.0.1/31").stdout
    assert "none: a link of two hosts (RFC 3021)" in text


@pytest.mark.parametrize(
    "bad", ["10.0.0.256/24", "10.0.0.0/33", "10.0.0.0/255.0.255.0", "fe80::1/64", "x", "", "1/2/3"]
)
def test_what_is_no_network_is_said_in_a_line(bad: str) -> None:
    done = viperip("subnet", bad)
    assert done.returncode == 2 and not done.stdout
    (line,) = done.stderr.splitlines()
    assert "ADDRESS/PREFIX" in line


def test_splits_that_cannot_be() -> None:
    assert "larger than" in viperip("subnet", "10.0.0.0/24", "--split", "8").stderr
    assert "more than" in viperip("subnet", "10.0.0.0/8", "--split", "30").stderr
