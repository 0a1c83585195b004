"""The network configuration of a board: TOML for people, viperip_network.json for the board."""

import ipaddress
import tomllib
from pathlib import Path
from typing import Any

from viperip_host import options
from viperip_host.errors import UsageError

_NETWORK = ("address", "gateway", "dns", "dhcp")


def load(path: str) -> dict[str, Any]:
    """Read and check a TOML file; UsageError names what is wrong with it."""
    try:
        with Path(path).open("rb") as file:
            told = tomllib.load(file)
    except OSError as error:
        raise UsageError(f"--config {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {path}: {error}") from None
    return check(told, f"--config {path}")


def check(told: dict[str, Any], where: str) -> dict[str, Any]:
    """What the board is told; UsageError begins with WHERE."""
    for key in told:
        if key not in ("hostname", "network"):
            raise UsageError(f"{where}: {key} is unknown; there are hostname and [network]")
    network = told.get("network", {})
    if not isinstance(network, dict):
        raise UsageError(f"{where}: network is a table: [network]")
    for key in network:
        if key not in _NETWORK:
            raise UsageError(f"{where}: network.{key} is unknown; there are {', '.join(_NETWORK)}")
    config: dict[str, Any] = {}
    if "hostname" in told:
        config["hostname"] = _called(where, options.hostname, _text(told, "hostname", where))
    if "address" in network:
        if network.get("dhcp"):
            raise UsageError(f"{where}: network.address and dhcp exclude each other")
        address = _called(where, options.interface, _text(network, "address", where))
        config["addr4"] = str(address)
        _gateway(network, address, config, where)
    elif "gateway" in network or network.get("dhcp") is False:
        raise UsageError(f"{where}: network.address is missing, as in 10.0.0.2/24")
    dns = network.get("dns", [])
    if not isinstance(dns, list) or not all(isinstance(one, str) for one in dns):
        raise UsageError(f'{where}: network.dns is a list: ["10.0.0.1"]')
    if dns:
        config["dns"] = [
            _called(where, lambda text: options.address(text, "dns"), one) for one in dns
        ]
    return config


def _gateway(
    network: dict[str, Any],
    address: ipaddress.IPv4Interface,
    config: dict[str, Any],
    where: str,
) -> None:
    if "gateway" not in network:
        return
    text = _text(network, "gateway", where)
    gateway = _called(where, lambda one: options.address(one, "gateway"), text)
    if ipaddress.IPv4Address(gateway) not in address.network:
        raise UsageError(f"{where}: gateway {gateway} is not in {address.network}")
    config["gw4"] = gateway


def _text(table: dict[str, Any], key: str, where: str) -> str:
    value = table[key]
    if not isinstance(value, str):
        raise UsageError(f"{where}: {key} is text, in quotes")
    return value


def _called(where: str, read: Any, text: str) -> Any:
    try:
        return read(text)
    except UsageError as error:
        raise UsageError(f"{where}: {str(error).removeprefix('--')}") from None
