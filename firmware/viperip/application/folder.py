# A folder of the board's filesystem, as servers show it: nothing outside of it can be named.
#
# A filesystem with symbolic links (the unix port's) follows those that somebody has put there.
import os

_DIRECTORY = const(0x4000)
PART = ".part~"  # behind the name of a file that is still arriving


def below(root, name):
    """The path of a name that came from outside ("a/b", "/a//b"), below root. None: it is none
    that could lie there."""
    out = root if root.endswith("/") else root + "/"
    first = True
    for part in name.split("/"):
        if part == "" or part == ".":
            continue
        if part == ".." or part.endswith(PART):
            return None
        for c in part:
            # A backslash or a colon is a separator on some filesystem or other.
            if c in "\\:" or ord(c) < 32 or ord(c) == 127:
                return None
        out += part if first else "/" + part
        first = False
    return out


def stat(path):
    """(is a directory, size, time it was modified), or None."""
    try:
        s = os.stat(path if path == "/" else path.rstrip("/"))
    except OSError:
        return None
    return bool(s[0] & _DIRECTORY), s[6], s[8]


def room(root):
    """Bytes that are free on root's filesystem; a large number if it does not say."""
    try:
        s = os.statvfs(root)
        return s[0] * s[4]
    except (AttributeError, OSError):
        return 1 << 40


class Arriving:
    """A file that is written. Under its own name it appears when it is whole: keep().

    OSError as open() raises it. Whoever gives up calls drop().
    """

    def __init__(self, path):
        self.path = path
        self.size = 0
        self._file = open(path + PART, "wb")

    def write(self, data):
        """OSError: no room, above all."""
        n = self._file.write(data)
        if n is not None and n < len(data):
            from ..errors import ENOSPC

            raise OSError(ENOSPC)
        self.size += len(data)

    def keep(self):
        """The file has come whole. OSError: it could not be kept."""
        self._file.close()
        os.rename(self.path + PART, self.path)
        self._file = None

    def drop(self):
        """Forget what has come. It may be called more than once, and after keep()."""
        if self._file is not None:
            try:
                self._file.close()
                os.remove(self.path + PART)
            except OSError:
                pass
            self._file = None
