# netascii (RFC 764 by way of RFC 1350 1): a line ends with CR LF, and a CR by itself is CR NUL.
_CR = const(13)
_LF = const(10)


class Encoder:
    """Reads a file of this host as netascii."""

    def __init__(self):
        self.data = b""  # of the file, not taken yet
        self.at = 0
        self.second = -1  # of a pair that was cut in two

    def fill(self, file, buf, off):
        """Fill buf[off:] from a file; how many bytes: fewer than fit when it has ended."""
        start = off
        end = len(buf)
        while off < end:
            if self.second >= 0:
                buf[off] = self.second
                self.second = -1
                off += 1
                continue
            if self.at == len(self.data):
                self.data = file.read(256)
                self.at = 0
                if not self.data:
                    break
            c = self.data[self.at]
            self.at += 1
            if c == _LF:
                c = _CR
                self.second = _LF
            elif c == _CR:
                self.second = 0
            buf[off] = c
            off += 1
        return off - start


class Decoder:
    """Makes netascii into what this host writes to a file."""

    def __init__(self):
        self.cr = False  # the last byte was a CR whose second half has yet to come

    def feed(self, data, last):
        """The bytes to write for the next of netascii; last: nothing comes behind them."""
        out = bytearray()
        for c in data:
            if self.cr:
                self.cr = False
                if c == _LF:
                    out.append(_LF)
                    continue
                out.append(_CR)
                if not c:
                    continue
            if c == _CR:
                self.cr = True
            else:
                out.append(c)
        if last and self.cr:
            out.append(_CR)
        return out
