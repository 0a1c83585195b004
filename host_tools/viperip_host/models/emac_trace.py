# Prints what the EMAC driver does to its hardware from up() until frames may pass, as the modelled
# board sees it: register accesses by name, pins, waits. From the checkout:
#
#    .venv/bin/micropython host_tools/viperip_host/models/emac_trace.py [CLOCK]
#
# CLOCK: GPIO0_IN (the default), GPIO0_OUT, GPIO16_OUT, GPIO17_OUT; or "inherit".
import sys

_BLOCKS = (
    (0x3FF00000, 0x3FF01000, "DPORT"),
    (0x3FF44000, 0x3FF45000, "GPIO"),
    (0x3FF48000, 0x3FF49000, "RTC"),
    (0x3FF49000, 0x3FF4A000, "IO_MUX"),
    (0x3FF4E000, 0x3FF4F000, "ANALOG"),
    (0x3FF5A000, 0x3FF5B000, "EFUSE"),
    (0x3FF69000, 0x3FF69800, "DMA"),
    (0x3FF69800, 0x3FF6A000, "EXT"),
    (0x3FF6A000, 0x3FF6B000, "MAC"),
)
_NAMES = {
    0x3FF000CC: "WIFI_CLK_EN",
    0x3FF000D0: "CORE_RST_EN",
    0x3FF48000: "OPTIONS0",
    0x3FF48030: "ANA_CONF",
    0x3FF480B0: "STORE4",
    0x3FF49000: "PIN_CTRL",
    0x3FF4E00C: "I2C_APLL",
    0x3FF4E044: "CONFIG",
    0x3FF5A00C: "BLK0_RDATA3",
}


def traced(clock="GPIO0_IN", inherit=False, **driver):
    """(log, device, board) of a bring-up; the log is bus_trace's."""
    from bus_trace import Tracer
    from esp32_model import ESP32Model, Wiring
    from viperip.link.esp32.emac import EMAC

    soc = ESP32Model(None, Wiring(clock=clock))
    bus = Tracer(soc)
    if inherit:
        driver["inherit"] = {"mdc": 23, "mdio": 18, "phy_type": "LAN8720", "phy_addr": 1}
    dev = EMAC(bus, clock=clock, phy_addr=1, **driver)
    bus.log.clear()
    dev.up()
    return bus.log, dev, soc


def name(address, soc):
    """BLOCK.REGISTER of a bus address."""
    text = _NAMES.get(address)
    for start, end, block in _BLOCKS:
        if start <= address < end:
            if text is None:
                text = soc.emac.name(address) or "0x%03x" % (address - start)
            return block + "." + text
    return "0x%08x" % address


def line(entry, soc):
    """An entry of the log as text."""
    kind = entry[0]
    if kind in ("r", "w"):
        arrow = "->" if kind == "r" else "<-"
        return "%-22s %s 0x%08x" % (name(entry[1], soc), arrow, entry[2])
    if kind == "pin":
        return "%-22s %s" % ("GPIO%d" % entry[1], "input" if entry[2] is None else entry[2])
    return "%-22s %d %s" % ("wait", entry[1], kind)


def main(arguments):
    choice = arguments[0] if arguments else "GPIO0_IN"
    inherit = choice == "inherit"
    log, dev, soc = traced("GPIO0_IN" if inherit else choice, inherit)
    for i, entry in enumerate(log):
        print("%4d  %s" % (i + 1, line(entry, soc)))
    print("link", "up" if dev.link() else "down")


if __name__ == "__main__":
    here = __file__.rsplit("/", 1)[0] if "/" in __file__ else "."
    sys.path[:] = [here, here + "/../../../firmware"] + sys.path
    main(sys.argv[1:])
