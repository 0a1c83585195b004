"""The boards' profiles, boards/NAME/board.json, and what they mean in words."""

import json
import textwrap
from typing import Any

from viperip_host import resources
from viperip_host.errors import UsageError
from viperip_host.switch_table import table

Profile = dict[str, Any]
Rows = list[list[str]]

WIDTH = 99

# What a board needs of its profile: the rest is for people, and would cost it heap.
DEVICE_KEYS = ("name", "product", "port", "mcu", "mtu", "ethernet")

# What a board with an ESP32 and a PHY gets when nothing more is known of it.
GENERIC = "lan8720-module"

# RMII is wired to these pins inside the ESP32 (Technical Reference Manual, "IO_MUX Pad List").
RMII = (
    ("TXD0", 19),
    ("TXD1", 22),
    ("TX_EN", 21),
    ("RXD0", 25),
    ("RXD1", 26),
    ("CRS_DV", 27),
)

CLOCKS = {
    "GPIO0_IN": "an oscillator, or the PHY, makes 50 MHz; they enter on GPIO0. GPIO0 is also the "
    "strap that chooses the boot loader: the clock must be off while the ESP32 starts.",
    "GPIO0_OUT": "the ESP32's audio PLL makes 50 MHz; they leave on GPIO0.",
    "GPIO16_OUT": "the ESP32's audio PLL makes 50 MHz; they leave on GPIO16.",
    "GPIO17_OUT": "the ESP32's audio PLL makes 50 MHz; they leave on GPIO17, inverted.",
}

_SPI = (
    ("sck", "SCLK", "clock"),
    ("mosi", "MOSI", "to the W5500"),
    ("miso", "MISO", "from the W5500"),
    ("cs", "SCSn, CS", "chip select, low"),
    ("reset", "RSTn, RST", "reset, low"),
    ("irq", "INTn, INT", "interrupt, low"),
)


def names() -> list[str]:
    """The boards that there are."""
    return sorted(path.parent.name for path in resources.boards().glob("*/board.json"))


def load(name: str) -> Profile:
    """The profile of the board NAME. UsageError, which names the others, when there is none."""
    known = names()
    if name not in known:
        raise UsageError(f"boards: no board {name}; there are {', '.join(known)}")
    path = resources.boards() / name / "board.json"
    profile: Profile = json.loads(path.read_text())
    return profile


def device_profile(profile: Profile) -> Profile:
    """The part of a profile that goes to the board, as viperip_board.json."""
    return {key: profile[key] for key in DEVICE_KEYS if key in profile}


def schema() -> Profile:
    """The JSON schema of the profiles."""
    loaded: Profile = json.loads((resources.boards() / "schema.json").read_text())
    return loaded


def listing(profiles: list[Profile]) -> str:
    """A table of boards."""
    rows = [[p["name"], p["product"], p["mcu"], hardware(p), p["status"]] for p in profiles]
    return "\n".join(table(["name", "product", "chip", "Ethernet", "state"], rows))


def hardware(profile: Profile) -> str:
    """What carries the frames, in a word or two."""
    ethernet = profile.get("ethernet")
    if ethernet is None:
        return "the host's"
    driver = str(ethernet["driver"])
    return f"{driver}, {ethernet['phy_type']}" if driver == "emac" else driver


def explain(profile: Profile) -> str:
    """All of a profile in readable text."""
    lines = [
        f"{profile['product']} ({profile['vendor']})",
        profile["description"][0].upper() + profile["description"][1:] + ".",
        profile["url"],
        f"State: {profile['status']}.",
    ]
    lines += _section("To buy", [profile["buy"]])
    if "firmware" in profile:
        lines += ["", "Firmware", *_firmware(profile)]
    if "ethernet" in profile:
        lines += ["", "Wiring", *_wiring(profile["ethernet"])]
    if "clock" in profile.get("ethernet", ()):
        clock = profile["ethernet"]["clock"]
        lines += _section("Clock", [f"{clock}: {CLOCKS[clock]}"])
    lines += _section("Quirks", profile["quirks"])
    if profile["disagreements"]:
        lines += ["", "Where sources disagree"]
        for one in profile["disagreements"]:
            lines += _disagreement(one)
    lines += ["", "Sources"]
    for source in profile["sources"]:
        lines += _item(f"{source['title']} ({', '.join(source['for'])})")
        lines.append("    " + source["url"])
    return "\n".join(lines)


def _section(title: str, texts: list[str]) -> list[str]:
    lines = ["", title] if texts else []
    for text in texts:
        lines += _item(text)
    return lines


def _item(text: str, indent: str = "  ") -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent + "- ",
        subsequent_indent=indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _firmware(profile: Profile) -> list[str]:
    firmware = profile["firmware"]
    lines = [
        f"  {firmware['file']} from {firmware['page']}",
        f"  esptool --chip {profile['mcu']} erase-flash",
        f"  esptool --chip {profile['mcu']} write-flash "
        f"{firmware['flash_offset']} {firmware['file']}",
    ]
    for one in firmware["avoid"]:
        lines += _item(f"Not {one['file']}: {one['why']}.")
    return [*lines, *_item(profile["serial"])]


def _wiring(ethernet: Profile) -> list[str]:
    rows = {"emac": _rmii_rows, "w5500": _spi_rows}.get(ethernet["driver"])
    if rows is None:
        return ["  nothing"]
    head, cells = rows(ethernet)
    lines = ["  " + line for line in table(head, cells)]
    if ethernet["driver"] == "emac":
        lines += _item(
            f"The PHY is {ethernet['phy_type']} at MDIO address {ethernet['phy_addr']}. Both are "
            "hints: the driver asks that address, then all others, and goes by the id."
        )
    else:
        lines += _item(
            f"SPI({ethernet['spi']}) at {ethernet['baudrate'] / 1e6:g} MHz, mode 0; besides 3.3 V "
            "and GND."
        )
    return lines


def _rmii_rows(ethernet: Profile) -> tuple[list[str], Rows]:
    rows = [[name, str(gpio), "fixed"] for name, gpio in RMII]
    clock = ethernet["clock"]
    pin = clock.removeprefix("GPIO").partition("_")[0]
    rows.append(["REF_CLK", pin, "50 MHz " + ("in" if clock.endswith("_IN") else "out")])
    rows.append(["MDC", str(ethernet["mdc"]), ""])
    rows.append(["MDIO", str(ethernet["mdio"]), ""])
    for name, note in (("power", "high: on"), ("reset", "low: reset")):
        gpio = ethernet[name]
        rows.append([name, "none" if gpio is None else str(gpio), "" if gpio is None else note])
    return ["signal", "GPIO", ""], rows


def _spi_rows(ethernet: Profile) -> tuple[list[str], Rows]:
    rows = []
    for key, pin, note in _SPI:
        gpio = ethernet.get(key)
        rows.append([pin, "none" if gpio is None else str(gpio), note])
    return ["W5500", "GPIO", ""], rows


def _disagreement(one: Profile) -> list[str]:
    lines = [f"  {one['about']}"]
    for value in one["values"]:
        shown = "none" if value["value"] is None else value["value"]
        lines += _item(f"{shown}: {value['source']}", "    ")
    return [*lines, *_item(f"So: {one['resolution']}", "    ")]
