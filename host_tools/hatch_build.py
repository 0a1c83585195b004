"""Build hook: a wheel carries firmware/ and boards/ as package data of viperip_host."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CarryData(BuildHookInterface[Any]):
    """Adds the data folders to a standard wheel.

    An editable install must not get a copy: it would go stale beside the checkout.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "standard":
            for folder in ("firmware", "boards"):
                build_data["force_include"][folder] = f"viperip_host/_data/{folder}"
