# Runs in MicroPython, started by `viperip sim`: a board on the link that it inherits.
# VIPERIP_SIM holds what plan.board_config() says.
import errno
import io
import json
import os
import sys
import time

from wires import open_wire

_DHCP_MS = 20000  # of which a probe of the address (RFC 5227) takes up to 7 s
_DRAIN_MS = 5000
_UNREAD = 141  # the status of a program that SIGPIPE has ended


def complain(text):
    sys.stderr.write("viperip sim: %s\n" % text)


def control(fd):
    # The function that tells `viperip sim` what has happened: one JSON object a line. (No flush:
    # it is an fsync, which a pipe refuses; nothing is buffered here.)
    pipe = open(fd, "wb")

    def tell(event):
        try:
            pipe.write(json.dumps(event).encode() + b"\n")
        except OSError:
            pass  # nobody listens any more

    return tell


def random_mac():
    m = bytearray(os.urandom(6))
    m[0] = m[0] & 0xFC | 2  # local, one station
    return bytes(m)


def open_device(told, profile, stack, tell):
    """The link device with its wrappers, the capture outermost: it shows what the board sees."""
    from viperip.address import mac

    station = mac(told["mac"]) if told["mac"] else random_mac()
    dev = open_wire(told["link"], station)
    if "ethernet" in profile:
        dev = open_model(told, profile, dev, station)
    dev = wrapped(told, dev)
    if told["watch"]:
        from watch import Watch

        dev = Watch(dev, stack, tell)
    return dev


def open_model(told, profile, cable, station):
    """The board's own driver, on a model of its hardware that has `cable` plugged in."""
    from viperip.link.driver import open_device

    sys.path.insert(0, told["models"])
    from board_model import model

    cable.up()
    return open_device(profile, model(profile, cable, station), station)


def wrapped(told, dev):
    if told["faults"]:
        from viperip.link.faults import Faults

        dev = Faults(dev, **told["faults"])
    if told["capture"]:
        from viperip.link.capture import Capture

        dev = Capture(dev, told["capture"])
    if told["demo"]:
        from viperip.link.trace import Trace

        dev = Trace(dev)
    return dev


def start_dhcp(lan, probe):
    from viperip.application.dhcp import Client

    # Nobody else is on the private wire: the 4 to 7 s in which others may object are saved.
    ifc = lan.interface
    ifc.dhcp = Client(ifc, ifc.stack.hostname, probe)
    ifc.dhcp.start()


def bring_up(told, viperip, tell):
    """Start the stack on its link; the LAN, or None when no address could be had."""
    from viperip.address import ip4

    with open(told["board"]) as f:
        profile = json.load(f)
    stack = viperip.default()
    if told["hostname"]:
        stack.hostname = told["hostname"]
    profile["device"] = open_device(told, profile, stack, tell)
    viperip._board = profile
    lan = viperip.LAN(profile)
    if told["ip"]:
        lan.ipconfig(addr4=told["ip"])
        if told["gateway"]:
            lan.ipconfig(gw4=told["gateway"])
    lan.active(True)
    viperip.install()
    if told["dhcp"]:
        start_dhcp(lan, told["link"]["type"] != "wire")
        end = time.ticks_add(time.ticks_ms(), _DHCP_MS)
        while not lan.isconnected():
            left = time.ticks_diff(end, time.ticks_ms())
            if left <= 0:
                return None
            stack.wait(left)
    if told["dns"]:
        lan.interface.dns = [ip4(a) for a in told["dns"]]
    return lan


def in_words(e):
    # What an OSError says, or the name of its number.
    if len(e.args) > 1:
        return e.args[1]
    return errno.errorcode.get(e.errno, str(e))


def source_of(path):
    with open(path) as f:
        return f.read()


def status_of(e):
    # The exit status that a SystemExit asks for.
    code = e.args[0] if e.args else None
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    sys.stderr.write("%s\n" % (code,))
    return 1


def report(e, stream):
    """Print a traceback without the lines of this program, which are not the script's."""
    text = io.StringIO()
    sys.print_exception(e, text)
    own = '  File "%s/' % __file__.rpartition("/")[0]
    stream.write("\n".join([t for t in text.getvalue().split("\n") if not t.startswith(own)]))


def unread(e):
    # Whether that was a print() after whoever read standard output had gone, as in `| head`.
    from viperip.errors import EPIPE
    from viperip.pump import firmware_select

    if not isinstance(e, OSError) or e.errno != EPIPE:
        return False
    poller = firmware_select.poll()
    poller.register(1, 0)
    return bool(poller.poll(0))


def guarded(function, *args):
    """Run it; the exit status as CPython has it: traceback and 1, or what sys.exit() said."""
    try:
        function(*args)
    except SystemExit as e:
        return status_of(e)
    except KeyboardInterrupt as e:
        report(e, sys.stderr)
        return 130
    except BaseException as e:
        if unread(e):
            return _UNREAD
        report(e, sys.stderr)
        return 1
    return 0


def run_file(path, names):
    exec(compile(source_of(path), path, "exec"), names)


def drain(stack):
    """Keep polling until closed sockets have delivered their data and FIN, 5 s at most."""
    if stack._tcp is None:
        stack.poll()
        return
    end = time.ticks_add(time.ticks_ms(), _DRAIN_MS)
    while stack.tcp.draining():
        left = time.ticks_diff(end, time.ticks_ms())
        if left <= 0:
            return
        stack.wait(left)


def main():
    told = json.loads(os.getenv("VIPERIP_SIM"))
    script = told["script"]
    own = __file__.rpartition("/")[0]
    rest = [p for p in sys.path if p not in (own, "")]
    # As CPython has it: the script's folder first. The libraries' folder is CPython's own, so
    # that everything MicroPython brings comes before it.
    sys.path[:] = [told["firmware"]] + rest + [told["lib"]]
    # Before the script's folder: a checkout that lies there is a folder of that name as well.
    import viperip

    if told["watch"]:
        sys.path.insert(0, own)
        import watch  # noqa: F401

        sys.path.pop(0)
    sys.path.insert(0, script.rpartition("/")[0] if script else "")
    viperip._on_event = tell = control(told["control_fd"])
    try:
        lan = bring_up(told, viperip, tell)
    except OSError as e:
        complain("the link cannot be used: %s" % in_words(e))
        return 2
    if lan is None:
        complain("no DHCP server answered within %d s; give --ip A.B.C.D/N" % (_DHCP_MS // 1000))
        return 1
    tell({"event": "up", "ip": lan.ipconfig("addr4")[0]})
    stack = viperip.default()
    names = {"__name__": "__main__"}
    status = 0
    sys.argv[:] = [script or ""] + told["args"]
    path = script
    if told["demo"]:
        path = told["firmware"] + "/main.py"
        sys.argv[:] = [path]
    if path:
        names["__file__"] = path
        status = guarded(run_file, path, names)
    if told["interactive"]:
        sys.path.append(own)
        import prompt

        status = prompt.loop(names, stack, status_of, report)
    try:
        drain(stack)
    except KeyboardInterrupt:
        status = status or 130
    return status


sys.exit(main())
