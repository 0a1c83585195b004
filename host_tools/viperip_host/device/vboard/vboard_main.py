# Runs in MicroPython, started by `viperip vboard` at every reset: an ESP32 with MicroPython on it.
# VIPERIP_VBOARD holds what vboard/chip.py says.
import json
import os
import sys
import vfs

_BLOCK = 4096
_SOFT_RESET = 3  # the exit status: this was one, in friendly mode; 4: in raw mode


class FlashFile:
    """A block device in a file of the computer's."""

    def __init__(self, path, size):
        self._count = size // _BLOCK
        try:
            self._file = open(path, "r+b")
        except OSError:
            with open(path, "wb") as f:
                f.seek(self._count * _BLOCK - 1)
                f.write(b"\xff")
            self._file = open(path, "r+b")

    def readblocks(self, block, buf, off=0):
        self._file.seek(block * _BLOCK + off)
        self._file.readinto(buf)

    def writeblocks(self, block, buf, off=None):
        if off is None:
            off = 0
        self._file.seek(block * _BLOCK + off)
        self._file.write(buf)
        self._file.flush()

    def ioctl(self, op, arg):
        if op == 4:
            return self._count
        if op == 5:
            return _BLOCK
        if op == 6:
            return 0
        return None


def mount(told):
    flash = FlashFile(told["flash"], told["flash_size"])
    try:
        fs = vfs.VfsLfs2(flash)
    except OSError:
        vfs.VfsLfs2.mkfs(flash)
        fs = vfs.VfsLfs2(flash)
    host = vfs.VfsPosix("/")
    dev = vfs.VfsPosix("/dev")
    vfs.umount("/")
    vfs.mount(fs, "/")
    vfs.mount(host, "/.host")
    vfs.mount(dev, "/dev")
    os.chdir("/")


def teller(fd):
    pipe = open(fd, "wb")

    def tell(**event):
        pipe.write(json.dumps(event).encode() + b"\n")

    return tell


def modeller(told):
    def model(profile):
        # The chip's Ethernet, with the link in its socket.
        if told["link"] is None:
            return None
        for name in ("models", "device"):
            path = "/.host" + told[name]
            if path not in sys.path:
                sys.path.append(path)
        from board_model import model
        from wires import open_wire

        station = bytes(told["mac"])
        cable = open_wire(told["link"], station)
        cable.up()
        return model(profile, cable, station)

    return model


def run(name, names, repl_error):
    try:
        with open(name) as f:
            text = f.read()
    except OSError:
        return
    exec(compile(text, name, "exec"), names)


def main():
    told = json.loads(os.getenv("VIPERIP_VBOARD"))
    own = __file__.rpartition("/")[0]
    sys.path.insert(0, own.rpartition("/")[0])
    import stand_ins
    from console import Console
    from repl import REPL

    tell = teller(told["control_fd"])
    console = Console(tell)
    repl = REPL(console)
    mount(told)
    sys.path[:] = ["", ".frozen", "/lib"]
    modules = sys.modules
    modules["machine"] = stand_ins.machine(told, tell, modeller(told))
    modules["micropython"] = stand_ins.micropython(console)
    modules["esp32"] = stand_ins.esp32()
    modules["os"] = stand_ins.os()
    modules["sys"] = stand_ins.sys()
    raw = told["raw"]
    try:
        console.running(True)
        for name in ("boot.py",) if raw else ("boot.py", "main.py"):
            start(name, repl.names, stand_ins)
        console.running(False)
        raw = repl(raw)
    except stand_ins.SoftReset:
        raw = repl._was_raw if hasattr(repl, "_was_raw") else raw
    return _SOFT_RESET + (1 if raw else 0)


def start(name, names, stand_ins):
    # boot.py or main.py, as the port runs them: a traceback does not keep the prompt away.
    try:
        run(name, names, None)
    except (stand_ins.SoftReset, SystemExit):
        raise stand_ins.SoftReset
    except BaseException as e:
        sys.print_exception(e)


sys.exit(main())
