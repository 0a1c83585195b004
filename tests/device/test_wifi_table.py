# Whether the table of symbols is that of the running firmware.
import json

from harness import raises
from viperip.errors import EINVAL, ENODEV, ENOENT
from viperip.link.wlan import firmware_table

SHA = bytes(range(0xE0, 0x100))
AT = 0x3F400020


def table():
    names = ("reg_rxcb", "tx", "free_rx_buffer")
    symbols = {"esp_wifi_internal_" + n: 0x400E0000 + len(n) for n in names}
    symbols["esp_netif_action_disconnected"] = 0x400F0000
    symbols["heap_caps_malloc"] = 0x40082A00
    symbols["memcpy"] = 0x4000C2C8
    return {"viperip_symbols": 1, "elf_sha256": SHA.hex(), "appdesc": AT, "symbols": symbols}


def memory(sha=SHA, magic=0xABCD5432):
    image = magic.to_bytes(4, "little") + bytes(0x8C) + sha

    def word(address):
        return int.from_bytes(image[address - AT : address - AT + 4], "little")

    return word


def test_this_firmwares_table_is_taken():
    firmware_table.check(firmware_table.verified(table()), memory())


def test_another_firmwares_is_refused():
    for i in range(32):
        sha = bytearray(SHA)
        sha[i] ^= 0x80
        raises(ENODEV, firmware_table.check, table(), memory(bytes(sha)))
    raises(ENODEV, firmware_table.check, table(), memory(bytes(32)))
    raises(ENODEV, firmware_table.check, table(), memory(magic=0xABCD5433))
    try:
        firmware_table.check(table(), memory(bytes(32)))
    except OSError as e:
        assert "e0e1e2e3e4e5e6e7" in e.args[1] and "0000000000000000" in e.args[1]


def test_what_is_no_table_is_refused():
    for broken in (None, [], 7, "x", {}, {"viperip_symbols": 1}):
        raises(EINVAL, firmware_table.verified, broken)
    for name, value in (
        ("viperip_symbols", 2),
        ("elf_sha256", "00"),
        ("elf_sha256", "x" * 64),
        ("elf_sha256", 7),
        ("appdesc", 0),
        ("appdesc", 0x3F400021),
        ("appdesc", "0x3F400020"),
        ("symbols", {}),
        ("symbols", None),
    ):
        t = table()
        t[name] = value
        raises(EINVAL, firmware_table.verified, t)
    for value in (0, -1, 1 << 32, None, "0x400E0000"):
        t = table()
        t["symbols"]["memcpy"] = value
        raises(EINVAL, firmware_table.verified, t)


def test_a_file():
    import os

    raises(ENOENT, firmware_table.load, "/nowhere/viperip_symbols.json")
    path = "/tmp/viperip_symbols_test.json"
    try:
        for text, error in (("", EINVAL), ("{", EINVAL), ("[]", EINVAL)):
            with open(path, "w") as f:
                f.write(text)
            raises(error, firmware_table.load, path)
        with open(path, "w") as f:
            json.dump(table(), f)
        assert firmware_table.load(path) == table()
    finally:
        os.remove(path)
