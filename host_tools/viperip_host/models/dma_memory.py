# Memory that a modelled DMA engine reaches: blocks with 32-bit bus addresses, whatever addresses
# the interpreter has.


class ModelError(BaseException):
    """The driver did what the real chip would not forgive.

    Not an Exception, so that nothing between driver and test counts it and goes on.
    """


class Memory:
    """Blocks from `base` on, with a gap after each: what runs over its end hits nothing."""

    GAP = 64

    def __init__(self, base, end):
        self.base = self._next = base
        self.end = end
        self._blocks = []
        self._known = {}

    def alloc(self, n, align=4):
        """(buffer, bus address) of n zeroed bytes. MemoryError when the range is used up."""
        address = (self._next + align - 1) // align * align
        if address + n > self.end:
            raise MemoryError("the modelled DMA memory is used up")
        self._next = (address + n + self.GAP + 15) & ~15
        buf = bytearray(n)
        self._blocks.append((address, n, buf))
        return buf, address

    def reaches(self, address):
        """Whether the bus address lies in the DMA's range at all."""
        return self.base <= address < self.end

    def find(self, address, n, what):
        """(buffer, offset) of n bytes at a bus address inside the range.

        ModelError for memory that nobody gave to the DMA: a chip would spoil the heap there.
        """
        known = self._known.get(address)
        if known is None:
            for start, size, buf in self._blocks:
                if start <= address < start + size:
                    known = self._known[address] = (buf, address - start)
                    break
            else:
                raise ModelError("%s at 0x%08x: memory that is not the driver's" % (what, address))
        if known[1] + n > len(known[0]):
            raise ModelError("%s at 0x%08x: %d bytes, past its end" % (what, address, n))
        return known
