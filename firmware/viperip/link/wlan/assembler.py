# What both encoders need: bytes, labels, jumps to labels that come later.


class Assembler:
    """Instructions, one after the other, in `code`. Jumps are filled in by finish()."""

    def __init__(self):
        self.code = bytearray()
        self._labels = {}
        self._jumps = []

    def emit(self, value, n):
        """Append an instruction of n bytes, little-endian."""
        for _ in range(n):
            self.code.append(value & 0xFF)
            value >>= 8

    def label(self, name):
        """What comes next is called `name`."""
        self._labels[name] = len(self.code)

    def jump(self, name, n, fill, value):
        """Append a jump to a label: its n bytes are fill(value, distance in bytes)."""
        self._jumps.append((len(self.code), name, n, fill, value))
        self.emit(0, n)

    def finish(self):
        """The machine code, filled up to whole words."""
        for at, name, n, fill, value in self._jumps:
            value = fill(value, self._labels[name] - at)
            for i in range(n):
                self.code[at + i] = value >> 8 * i & 0xFF
        while len(self.code) & 3:
            self.code.append(0)
        return self.code


def within(value, low, high):
    """`value`, or ValueError: an instruction has no room for it."""
    if not low <= value <= high:
        raise ValueError("%d does not fit into the instruction" % value)
    return value
