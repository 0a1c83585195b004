"""The boards' profiles: the schema, their sources, and `viperip boards`."""

import json
import subprocess
from typing import Any

import jsonschema
import pytest

from tests.host.command import refused, viperip
from viperip_host import boards, interpreter, resources

EXPECTED = (
    "esp32-ethernet-kit esp32-evb esp32-gateway esp32-poe esp32-poe-iso lan8720-module "
    "qemu-open-eth t-internet-poe unix w5500-esp32c3 w5500-esp32s3 wesp32 wt32-eth01"
).split()
HARDWARE = [name for name in EXPECTED if name != "unix"]
EMAC = [name for name in HARDWARE if boards.load(name)["ethernet"]["driver"] == "emac"]


def validator() -> jsonschema.Draft202012Validator:
    schema = boards.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def leaves(profile: dict[str, Any]) -> set[str]:
    """The values of a profile that need a source."""
    found = {f"ethernet.{key}" for key in profile["ethernet"] if key != "driver"}
    return found | {"firmware.board", "firmware.flash_offset"}


def test_the_boards_that_there_are() -> None:
    assert boards.names() == EXPECTED


@pytest.mark.parametrize("name", EXPECTED)
def test_a_profile_follows_the_schema(name: str) -> None:
    profile = boards.load(name)
    problems = [f"{e.json_path}: {e.message}" for e in validator().iter_errors(profile)]
    assert not problems
    assert profile["name"] == profile["id"] == name


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("name",), "WT32"),
        (("mtu",), 9000),
        (("port",), "stm32"),
        (("surprise",), 1),
        (("ethernet", "driver"), "enc28j60"),
        (("ethernet", "mdc"), -1),
        (("ethernet", "power"), "16"),
        (("ethernet", "clock"), "GPIO1_IN"),
        (("ethernet", "phy_addr"), 32),
        (("ethernet", "phy_type"), "LAN9999"),
        (("firmware", "flash_offset"), "0x2000"),
        (("firmware", "file"), "firmware.bin"),
        (("sources",), []),
    ],
)
def test_the_schema_refuses(path: tuple[str, ...], value: object) -> None:
    profile = boards.load("wt32-eth01")
    inner = profile
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    assert not validator().is_valid(profile)


def test_hardware_needs_wiring_and_firmware() -> None:
    for key in ("ethernet", "firmware", "serial"):
        profile = boards.load("wt32-eth01")
        del profile[key]
        assert not validator().is_valid(profile)


@pytest.mark.parametrize("name", HARDWARE)
def test_every_value_has_a_source(name: str) -> None:
    profile = boards.load(name)
    given = {key for source in profile["sources"] for key in source["for"]}
    assert leaves(profile) - given == set()
    # And no source is for something that is not there.
    for key in given | {one["about"] for one in profile["disagreements"]}:
        inner = profile
        for part in key.split("."):
            assert part in inner, key
            inner = inner[part]


@pytest.mark.parametrize("name", HARDWARE)
def test_what_was_chosen_is_among_what_sources_say(name: str) -> None:
    profile = boards.load(name)
    for one in profile["disagreements"]:
        section, key = one["about"].split(".")
        assert profile[section][key] in [value["value"] for value in one["values"]]


@pytest.mark.parametrize("name", HARDWARE)
def test_the_firmware(name: str) -> None:
    profile = boards.load(name)
    firmware = profile["firmware"]
    assert firmware["file"] == f"{firmware['board']}-DATE-VERSION.bin"
    assert firmware["page"] == f"https://micropython.org/download/{firmware['board']}/"
    assert firmware["flash_offset"] == ("0x1000" if profile["mcu"] == "esp32" else "0x0")
    if profile["ethernet"]["driver"] == "emac":
        # The DMA does not reach PSRAM.
        assert "SPIRAM" not in firmware["file"]
        assert any("SPIRAM" in one["file"] for one in firmware["avoid"])


@pytest.mark.parametrize("name", HARDWARE)
def test_nothing_claims_to_have_run_on_silicon(name: str) -> None:
    assert "not yet run" in boards.load(name)["status"]


def test_pins_are_not_used_twice() -> None:
    for name in HARDWARE:
        ethernet = boards.load(name)["ethernet"]
        keys = ("mdc", "mdio", "power", "reset", "sck", "mosi", "miso", "cs", "irq")
        pins = [ethernet[key] for key in keys if ethernet.get(key) is not None]
        assert len(pins) == len(set(pins)), name


@pytest.mark.parametrize("name", EMAC)
def test_the_driver_takes_the_pins(name: str) -> None:
    # In MicroPython, by the driver's own check of pins, clock and PHY.
    ethernet = boards.load(name)["ethernet"]
    program = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); e = json.loads(sys.argv[2])\n"
        "from viperip.link.esp32 import pins; from viperip.link.phy import TYPES\n"
        "p = {k: e[k] for k in ('mdc', 'mdio', 'power', 'reset')}\n"
        "pins.check(e['clock'], **p); assert e['phy_type'] in TYPES\n"
    )
    subprocess.run(
        [
            interpreter.find(None).path,
            "-c",
            program,
            str(resources.firmware()),
            json.dumps(ethernet),
        ],
        check=True,
    )


# The command.


def test_the_list() -> None:
    done = viperip("boards")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].split()[:2] == ["name", "product"]
    assert [line.split()[0] for line in lines[1:]] == EXPECTED


def test_the_list_as_json() -> None:
    listed = json.loads(viperip("boards", "--json").stdout)
    assert [profile["name"] for profile in listed] == EXPECTED
    assert listed[-1] == boards.load("wt32-eth01")


@pytest.mark.parametrize("name", EXPECTED)
def test_show(name: str) -> None:
    done = viperip("boards", "show", name)
    assert done.returncode == 0
    profile = boards.load(name)
    for line in done.stdout.splitlines():
        assert len(line) <= boards.WIDTH or "http" in line, line
    text = " ".join(done.stdout.split())
    assert profile["product"] in text and profile["status"] in text
    for quirk in profile["quirks"]:
        assert " ".join(quirk.split()) in text
    for source in profile["sources"]:
        assert source["url"] in text
    for one in profile["disagreements"]:
        assert one["resolution"] in text


def test_show_explains_wiring_and_clock() -> None:
    text = viperip("boards", "show", "esp32-poe").stdout
    rows = [line.split() for line in text.splitlines()]
    for row in (["MDC", "23"], ["MDIO", "18"], ["power", "12", "high:", "on"], ["reset", "none"]):
        assert row in rows
    assert ["REF_CLK", "17", "50", "MHz", "out"] in rows
    assert "audio PLL" in text and "write-flash 0x1000 OLIMEX_ESP32_POE" in text
    text = viperip("boards", "show", "w5500-esp32s3").stdout
    rows = [line.split() for line in text.splitlines()]
    assert ["MISO", "13", "from", "the", "W5500"] in rows
    assert "write-flash 0x0 ESP32_GENERIC_S3" in text


def test_show_as_json() -> None:
    assert json.loads(viperip("boards", "show", "unix", "--json").stdout) == boards.load("unix")


def test_the_profile_that_a_board_reads() -> None:
    told = json.loads(viperip("boards", "profile", "wesp32").stdout)
    profile = boards.load("wesp32")
    assert told["ethernet"] == profile["ethernet"] and told["mtu"] == 1500
    assert "sources" not in told and "quirks" not in told


@pytest.mark.parametrize("verb", ["show", "profile"])
@pytest.mark.parametrize("name", ["nope", "", "../unix", "WT32-ETH01"])
def test_an_unknown_board_is_one_line(verb: str, name: str) -> None:
    line = refused("boards", verb, name)
    assert "no board" in line and "wt32-eth01" in line


def test_a_wrong_command_line_is_one_line() -> None:
    assert "No such command" in refused("boards", "explain")
    assert "NAME" in refused("boards", "show")
    assert "--nope" in refused("boards", "--nope")


@pytest.mark.parametrize("verb", [[], ["show"], ["profile"]])
def test_help(verb: list[str]) -> None:
    done = viperip("boards", *verb, "--help")
    assert done.returncode == 0
    assert "Examples:" in done.stdout and "Exit status:" in done.stdout
