# A filesystem in memory, so that tests leave nothing behind and can fill it up.
import os

import harness

_mounted: list = []
_mounts = 0
_BLOCK = 512


class _Ram:
    def __init__(self, blocks):
        self.data = bytearray(blocks * _BLOCK)

    def readblocks(self, block, buf, off=0):
        at = block * _BLOCK + off
        buf[:] = memoryview(self.data)[at : at + len(buf)]

    def writeblocks(self, block, buf, off=None):
        at = block * _BLOCK + (off or 0)
        self.data[at : at + len(buf)] = buf

    def ioctl(self, op, arg):
        if op == 4:
            return len(self.data) // _BLOCK
        if op == 5:
            return _BLOCK
        return 0


def folder(kilobytes=128):
    # The path of a new, empty folder on LittleFS, as on a board.
    global _mounts
    vfs = getattr(os, "VfsLfs2", None)
    if vfs is None:
        try:
            vfs = __import__("vfs").VfsLfs2
        except (ImportError, AttributeError):
            raise harness.SkipTest("this MicroPython has no LittleFS")
    mounts = os if hasattr(os, "mount") else __import__("vfs")
    # The one of the test before: its memory is wanted again.
    while _mounted:
        mounts.umount(_mounted.pop())
    device = _Ram(kilobytes * 1024 // _BLOCK)
    vfs.mkfs(device)
    _mounts += 1
    path = "/ram%d" % _mounts
    mounts.mount(vfs(device), path)
    _mounted.append(path)
    os.mkdir(path + "/root")
    return path + "/root"


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def read(path):
    with open(path, "rb") as f:
        return f.read()
