# Where this very build of the firmware has its functions: the table that `viperip symbols` makes
# of its ELF file, and whether it is this firmware's.
#
# A firmware built with ESP-IDF describes itself at a fixed place (esp_app_desc.h): magic at +0,
# the SHA-256 of its ELF file at +0x90. A call to an address of another build would be a crash.
from ...errors import EINVAL, ENODEV, ENOENT

FILE = "viperip_symbols.json"

_FORMAT = const(1)
_SHA256 = const(0x90)
_MAGIC = b"\x32\x54\xcd\xab"


def load(path=FILE):
    """The table in a JSON file. OSError: ENOENT (no file), EINVAL (not such a table)."""
    import json

    try:
        with open(path) as f:
            table = json.load(f)
    except OSError:
        raise OSError(ENOENT, path + " is missing: make it with `viperip symbols`")
    except ValueError:
        raise OSError(EINVAL, path + " is not a table of symbols")
    return verified(table)


def verified(table):
    """`table` if it is complete. OSError(EINVAL)."""
    try:
        good = (
            table["viperip_symbols"] == _FORMAT
            and len(table["elf_sha256"]) == 64
            and table["appdesc"] & 3 == 0
            and table["appdesc"] > 0
        )
        bytes.fromhex(table["elf_sha256"])
        for name in (
            "esp_wifi_internal_reg_rxcb",
            "esp_wifi_internal_tx",
            "esp_wifi_internal_free_rx_buffer",
            "esp_netif_action_disconnected",
            "heap_caps_malloc",
            "memcpy",
        ):
            good = good and 0 < table["symbols"][name] < 1 << 32
    except (AttributeError, KeyError, TypeError, ValueError):
        good = False
    if not good:
        raise OSError(EINVAL, "not a table of symbols, or not one for this version")
    return table


def check(table, word):
    """OSError(ENODEV) unless the running firmware is the table's. word(address): 32 bits there."""
    at = table["appdesc"]
    if word(at).to_bytes(4, "little") != _MAGIC:
        raise OSError(ENODEV, "the running firmware has no description where the table says")
    running = b""
    for i in range(0, 32, 4):
        running += word(at + _SHA256 + i).to_bytes(4, "little")
    if running != bytes.fromhex(table["elf_sha256"]):
        raise OSError(
            ENODEV,
            "the table is of another firmware: ELF SHA-256 %s..., running %s..."
            % (table["elf_sha256"][:16], running[:8].hex()),
        )
