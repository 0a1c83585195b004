"""`viperip bridge`: the command line."""

import contextlib
import hashlib
import json
import sys
from typing import Any

import click

from viperip_host import connection, interpreter, options, plan
from viperip_host.bridge import Bridge, Gateway, Network, Tap
from viperip_host.capture import board_script, check_board
from viperip_host.connection import BAUDRATE, port_option
from viperip_host.errors import UsageError
from viperip_host.session import Session
from viperip_host.terminal import Stop, forward_lines

EPILOG = """\b
The board's network interface becomes the serial line, and this command its cable: to the built-in
gateway of `viperip sim` (DHCP, DNS, this computer's connections; no privilege needed), or to a TAP
interface, whose host side is yours to set up. At 921,600 baud it carries about 0.7 Mbit/s.

\b
While it runs, what the board prints is shown, and lines that are typed are run on the board.

\b
Examples:
  viperip bridge --forward 8080:80 --run :main.py       the board's page: http://127.0.0.1:8080/
  viperip bridge --tap tap0 --ip 10.0.0.2/24
  echo 'viperip.ping("10.77.0.1")' | viperip bridge

\b
Exit status: 0 after Ctrl-C or the end of the script; 1 when the board failed or has gone; 2 for a
wrong command line, or a port that cannot be used."""


@click.command(
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 99},
)
@port_option
@click.option("--tap", metavar="NAME", help="A TAP interface, created if absent.  [gateway]")
@click.option("--ip", metavar="A.B.C.D/N", help="The board's static address.  [DHCP]")
@click.option("--gateway", metavar="IP", help="Its default gateway, with --ip.")
@click.option("--dns", metavar="IP", multiple=True, help="A DNS server; may be repeated.")
@click.option("--mac", metavar="MAC", help="The board's MAC address.  [made from the port's name]")
@click.option("--hostname", metavar="NAME", help="The name the board gives to DHCP.")
@click.option("--forward", metavar="[udp:]HOSTPORT:PORT", multiple=True,
              help="127.0.0.1:HOSTPORT leads to the board's PORT (without --tap).")  # fmt: skip
@click.option("--capture", metavar="FILE.pcapng", help="Write every frame to a file, live.")
@click.option("--run", "script", metavar="SCRIPT", help="Run a script; :NAME is one on the board.")
@click.option("--speed", metavar="BAUD", type=click.IntRange(9600, 3_000_000), default=921600,
              help="Speed of the line meanwhile, if the board can.  [921600]")  # fmt: skip
@click.option("--micropython", metavar="PATH", help="The interpreter for the gateway.")
@click.option("--json", "as_json", is_flag=True, help="Counters as one line of JSON at the end.")
def bridge(port: str | None, **given: Any) -> int:
    """Give a board without a cable a network: Ethernet over its serial line."""
    request = plan.Request(
        ip=options.interface(given["ip"]) if given["ip"] is not None else None,
        gateway=options.address(given["gateway"], "--gateway") if given["gateway"] else None,
        dns=[options.address(text, "--dns") for text in given["dns"]],
        hostname=options.hostname(given["hostname"]) if given["hostname"] is not None else None,
        forwards=options.forwards(given["forward"]),
    )
    plan.check(request, given["tap"] is None)
    capture = options.output_file(given["capture"], "--capture") if given["capture"] else None
    script = board_script(given["script"]) if given["script"] else None
    found = connection.find_port(port)
    mac = options.mac(given["mac"]) if given["mac"] is not None else default_mac(found)
    network = _network(given, request)
    try:
        with connection.connect(found) as board:
            # An interface that an earlier program left up would take the frames.
            board.soft_reset()
            return _run(board, network, request, given, mac, script, capture)
    finally:
        network.close()


def default_mac(port: str) -> str:
    """A local address that is the same whenever the same port is used."""
    digest = bytearray(hashlib.sha256(port.encode()).digest()[:6])
    digest[0] = digest[0] & 0xFC | 2
    return digest.hex(":")


def _network(given: dict[str, Any], request: plan.Request) -> Network:
    if given["tap"] is not None:
        tap = Tap(given["tap"])
        if tap.link.note:
            print(f"viperip bridge: {tap.link.note}", file=sys.stderr, flush=True)
        return tap
    return Gateway(interpreter.find(given["micropython"]), request)


def _start(
    session: Session, request: plan.Request, private: bool, mac: str, script: str | None
) -> None:
    gateway, dns = request.gateway, request.dns
    if private and request.ip:
        gateway = plan.wire_network(request)[0].partition("/")[0]
        dns = dns or [gateway]
    arguments = {
        "mac": bytes.fromhex(mac.replace(":", "")),
        "ip": str(request.ip) if request.ip else None,
        "gateway": gateway,
        "dns": dns,
        "hostname": request.hostname,
        "script": script,
        "baudrate": BAUDRATE,
        "probe": not private,  # on the private wire there is nobody else
    }
    session.start(f"from viperip.application.session import bridge\nbridge(**{arguments!r})")


def _run(
    board: connection.Connection,
    network: Network,
    request: plan.Request,
    given: dict[str, Any],
    mac: str,
    script: str | None,
    capture: str | None,
) -> int:
    stop = Stop()
    file = None
    check_board(board)
    if capture is not None:
        from viperip_host.capture_file import CaptureFile, Interface

        try:
            file = CaptureFile.create(capture, "viperip bridge", [Interface("serial", mac)])
        except OSError as error:
            raise UsageError(f"--capture {capture}: {error.strerror}") from None

    def watch(frame: bytes, sent: bool) -> None:
        if file is not None:
            file.write(0, frame, sent=sent)

    text = sys.stderr.buffer if given["as_json"] else sys.stdout.buffer

    def show(printed: bytes) -> None:
        with contextlib.suppress(OSError):
            text.write(printed)
            text.flush()

    session = Session(board, show)
    carrying = Bridge(session, network, watch)
    report = {"baud": session.baudrate}
    try:
        # From the first frame on: the board asks for an address at once.
        _start(session, request, given["tap"] is None, mac, script)
        session.use_speed(given["speed"], "bridge")
        report["baud"] = session.baudrate
        carrying.start()
        session.tell(do="go")
        where = given["tap"] or "the built-in gateway"
        print(
            f"the board {mac} is on {where}, at {session.baudrate} baud; Ctrl-C ends it",
            file=sys.stderr,
            flush=True,
        )
        forward_lines(session)
        while not stop.wanted and session.bye is None and carrying.failed is None:
            session.read()
        if carrying.failed:
            raise carrying.failed
    finally:
        carrying.stop()
        session.close()
        if file is not None:
            file.close()
        report["to_board"] = carrying.to_board
        report["from_board"] = carrying.from_board
        report["dropped"] = carrying.dropped
        report["damaged"] = session.decoder.bad + session.decoder.lost
        if given["as_json"]:
            print(json.dumps(report), flush=True)
    return 0 if stop.wanted or session.bye is None else int(session.bye.get("bye", 0))
