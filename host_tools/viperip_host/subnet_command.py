"""`viperip subnet`: what a network in CIDR notation holds."""

import ipaddress
import json
from typing import Any

import click

EPILOG = """\b
Examples:
  viperip subnet 192.168.10.77/26
  viperip subnet 10.0.0.0/255.255.252.0
  viperip subnet 10.1.0.0/16 --split 18     the four networks it divides into
  viperip subnet 10.77.0.1/31 --json

\b
Exit status: 0; 2 for what is no IPv4 network."""

# RFC 6890's registries, as far as an address on a small network meets them.
_KINDS = (
    ("is_loopback", "loopback (RFC 1122)"),
    ("is_link_local", "link-local (RFC 3927)"),
    ("is_multicast", "multicast (RFC 5771)"),
    ("is_unspecified", "this host (RFC 1122)"),
    ("is_reserved", "reserved (RFC 1112)"),
)
_PRIVATE = [ipaddress.ip_network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
_SHARED = ipaddress.ip_network("100.64.0.0/10")
_DOCUMENTATION = [
    ipaddress.ip_network(n) for n in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
]
_MOST = 4096  # networks listed by --split


def describe(cidr: str) -> dict[str, Any]:
    """What there is to know about ADDRESS/PREFIX or ADDRESS/MASK; without either a /32.

    A /31 is a link of two hosts and has no broadcast address (RFC 3021); a /32 is one host.
    ValueError: it is no IPv4 network.
    """
    interface = ipaddress.IPv4Interface(cidr.strip())
    net = interface.network
    pair = net.prefixlen >= 31
    first = net.network_address if pair else net.network_address + 1
    last = net.broadcast_address if pair else net.broadcast_address - 1
    return {
        "address": str(interface.ip),
        "network": str(net.network_address),
        "prefix": net.prefixlen,
        "mask": str(net.netmask),
        "wildcard": str(net.hostmask),
        "broadcast": None if pair else str(net.broadcast_address),
        "first": str(first),
        "last": str(last),
        "hosts": int(last) - int(first) + 1,
        "addresses": net.num_addresses,
        "kind": _kind(interface.ip),
        "reverse": interface.ip.reverse_pointer,
    }


def _kind(address: ipaddress.IPv4Address) -> str:
    for name, kind in _KINDS:
        if getattr(address, name):
            return kind
    if any(address in n for n in _PRIVATE):
        return "private (RFC 1918)"
    if address in _SHARED:
        return "shared by carriers (RFC 6598)"
    if any(address in n for n in _DOCUMENTATION):
        return "documentation (RFC 5737)"
    return "public"


def _text(d: dict[str, Any]) -> str:
    rows = [
        ("address", d["address"]),
        ("network", f"{d['network']}/{d['prefix']}"),
        ("mask", f"{d['mask']}  (wildcard {d['wildcard']})"),
        ("broadcast", d["broadcast"] or "none: " + _without(d["prefix"])),
        (
            "hosts",
            f"{d['hosts']:,}: {d['first']} to {d['last']}" if d["hosts"] > 1 else d["first"],
        ),
        ("addresses", f"{d['addresses']:,}"),
        ("kind", d["kind"]),
        ("reverse", d["reverse"]),
    ]
    return "\n".join(f"{name:<10} {value}" for name, value in rows)


def _without(prefix: int) -> str:
    return "a link of two hosts (RFC 3021)" if prefix == 31 else "a single host"


@click.command(
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 99},
)
@click.argument("cidr", metavar="CIDR")
@click.option(
    "--split", type=click.IntRange(0, 32), help="List the networks of this prefix in it."
)
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
def subnet(cidr: str, split: int | None, as_json: bool) -> None:
    """Network, mask, broadcast address and usable hosts of CIDR (address/prefix or /mask)."""
    try:
        found = describe(cidr)
    except ValueError as error:
        raise click.UsageError(f"{cidr}: {error}. Write ADDRESS/PREFIX, as 10.0.0.2/24.") from None
    if split is not None:
        net = ipaddress.IPv4Network(f"{found['network']}/{found['prefix']}")
        if split < net.prefixlen:
            raise click.UsageError(f"--split {split} is larger than {net} itself.")
        if split - net.prefixlen > _MOST.bit_length() - 1:
            raise click.UsageError(f"--split {split}: more than {_MOST:,} networks.")
        found["networks"] = [str(n) for n in net.subnets(new_prefix=split)]
    if as_json:
        print(json.dumps(found, indent=2))
        return
    print(_text(found))
    for one in found.get("networks", []):
        print(one)
