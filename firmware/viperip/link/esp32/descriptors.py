# The descriptor rings of a DesignWare DMA, in two layouts.
#
# A ring is a chain: word 2 of a descriptor is the bus address of its buffer, word 3 that of the
# next descriptor, the last one's that of the first. Word 0 holds OWN (bit 31: the DMA's) and the
# status that the DMA writes back; of a received frame the layouts share all of it that a driver
# needs:
#
#    31   30 29      16 15            9   8
#   |OWN|AFM|  length  |error| ...  |FS |LS | ...      length with the FCS, 4 bytes
#
# What the driver has to say goes into word 0 or 1, and there the layouts differ. Sources: TRM,
# "Linked List Descriptors"; ESP-IDF emac_hal.h (eth_dma_tx_descriptor_t, eth_dma_rx_descriptor_t);
# Linux descs.h for the normal layout.
from array import array

OWN_BYTE = const(3)  # of a descriptor: its OWN bit is bit 7 of this byte
ES_BYTE = const(1)  # error summary: bit 7 of this byte of word 0, of both directions


class Enhanced:
    """The ESP32's: eight words (BUSMODE.ATDS), what to send is said in word 0."""

    words = 8
    busmode = 0x80  # ATDS
    rx = (0x80000000, 0x4000)  # OWN; RCH
    tx = (0xB0100000, 0)  # OWN, LS, FS, TCH: one buffer is one frame, no interrupt


class Normal:
    """Of older GMACs: four words, what to send is said in word 1."""

    words = 4
    busmode = 0
    rx = (0x80000000, 0x01000000)  # OWN; RCH
    tx = (0x80000000, 0x61000000)  # OWN; LS, FS, TCH


class Ring:
    """`count` descriptors of a layout, and as many buffers of `size` bytes, for one direction.

    memory: the descriptors as the DMA sees them; want: as the driver writes them, to start afresh
    and to compare; address: of the first one on the bus.
    """

    def __init__(self, bus, layout, count, size, send):
        if count < 2 or size & 3 or not 64 <= size <= 2044:
            raise ValueError("a ring has 2 buffers or more, of 64 to 2044 bytes, a multiple of 4")
        self.count = count
        self.words = layout.words
        self.stride = layout.words * 4
        self.send = send
        self.memory, self.address = bus.dma_alloc(count * self.stride, 4)
        self.buffers = []
        # Not the DMA's, and not read in bytecode on the way of a frame: any memory will do.
        want = array("I", [0] * (count * layout.words))
        word0, word1 = layout.tx if send else layout.rx
        for i in range(count):
            buf, address = bus.dma_alloc(size, 4)
            self.buffers.append(buf)
            o = i * layout.words
            want[o] = word0
            want[o + 1] = word1 if send else word1 | size
            want[o + 2] = address
            want[o + 3] = self.address + (i + 1) % count * self.stride
        self.want = bytearray(want)

    def rewind(self):
        """Write every descriptor anew: to receive, all are the DMA's; to send, all ours.

        Only while the DMA is stopped.
        """
        memory = self.memory
        memory[:] = self.want
        if self.send:
            for o in range(OWN_BYTE, len(memory), self.stride):
                memory[o] = 0

    def owned(self, i):
        """Whether descriptor i belongs to the DMA."""
        return self.memory[i * self.stride + OWN_BYTE] & 0x80
