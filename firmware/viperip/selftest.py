# What works on a board with the ESP32's Ethernet MAC, from the chip outwards: the first step that
# fails names the part to look at. Modelled; not yet run on silicon.
import viperip

from .errors import EIO, ENODEV, ETIMEDOUT

_LINK_MS = const(5000)  # negotiation takes up to 3 s
_ECHO_MS = const(200)
_KIND = b"\x88\xb5"  # for local experiments (IEEE 802, clause 9.2.4)


def selftest(device=None, quiet=False):
    """Test the board's Ethernet, its interface being down: a list of dicts test, ok, detail.

    device: an EMAC (default: the one of viperip.board()). The list ends with the first failure.
    """
    if device is None:
        from .link.driver import open_device

        device = open_device(viperip.board())
    device = getattr(device, "dev", device)
    if not hasattr(device, "mdio") or not hasattr(device, "prepare"):
        raise TypeError("selftest() is for the ESP32's EMAC; this device is another one")
    out = []
    for name, step, failure in _STEPS:
        try:
            detail = step(device)
            ok = True
        except OSError as e:
            detail = e.args[1] if len(e.args) > 1 else str(e)
            ok = False
        out.append({"test": name, "ok": ok, "detail": detail})
        if not quiet:
            print("%-14s %s  %s" % (name, "pass" if ok else "FAIL", detail))
            if not ok:
                print("%-14s       %s" % ("", failure))
        if not ok:
            break
    device.loopback = None
    device.down()
    return out


def _chip(dev):
    # The probe of EX_DATE is in prepare().
    dev.prepare()
    return "the EMAC answers"


def _clock(dev):
    dev.reset(100)
    return "the soft reset ends: 50 MHz are there"


def _scan(dev):
    from .link import phy

    found = []
    for address in range(32):
        p = phy.identify(dev.mdio, address)
        if p is not None:
            found.append("%d: %s (%s)" % (address, p.name, p.ident))
    if not found:
        raise OSError(ENODEV, "no PHY at any of the 32 addresses")
    return ", ".join(found)


def _inside(dev):
    return _echo(dev, "mac")


def _through(dev):
    return _echo(dev, "phy")


def _echo(dev, where):
    # Frames of several lengths, sent to this station, come back as they went.
    dev.down()
    dev.loopback = where
    dev.up()
    _wait(dev, "the MAC did not start")
    for n in (60, 61, 600, 1514):
        _one(dev, dev.mac + dev.mac + _KIND + bytes([i * 7 + n & 0xFF for i in range(n - 14)]))
    dev.down()
    return "4 frames of 60 to 1514 bytes came back"


def _one(dev, frame):
    n = len(frame)
    buf = dev.borrow()
    if buf is None:
        raise OSError(EIO, "there is no room to send")
    at = dev.tx_off
    buf[at : at + n] = frame
    dev.send(n)
    for _ in range(_ECHO_MS):
        got = dev.recv()
        if got:
            same = bytes(dev.rx[dev.rx_off : dev.rx_off + got]) == frame
            dev.release()
            if same:
                return
            raise OSError(EIO, "a frame of %d bytes came back spoilt" % n)
        dev.bus.delay_ms(1)
    raise OSError(EIO, "a frame of %d bytes did not come back" % n)


def _link(dev):
    dev.down()
    dev.loopback = None
    dev.up()
    _wait(dev, "no link within 5 s")
    return "%d Mbit/s, %s duplex" % (dev.speed, "full" if dev.full_duplex else "half")


def _wait(dev, complaint):
    # Until the device says that frames can pass.
    for _ in range(_LINK_MS):
        dev.recv()
        if dev.link():
            return
        dev.bus.delay_ms(1)
    raise OSError(ETIMEDOUT, complaint)


# Name, function, what a failure means.
_STEPS = (
    ("chip", _chip, "not an ESP32 (S2, S3, C3 and later have no EMAC), or wrong pins"),
    ("clock", _clock, "the 50 MHz: the oscillator's power pin, or the profile's clock"),
    ("MDIO scan", _scan, "mdc and mdio, the PHY's power or reset pin"),
    ("MAC loopback", _inside, "the DMA or its memory: a firmware with PSRAM?"),
    ("PHY loopback", _through, "the RMII wires between MAC and PHY, or the clock's phase"),
    ("link", _link, "the cable, or what is at its other end"),
)
