# The descriptors of a DesignWare DMA: a batch of received frames, one frame to send.
# Twin: bytecode/emac.py, same names and arguments.


@micropython.viper
def rx_scan(ring: ptr32, want: ptr32, out: ptr16, at: int, count: int, words: int) -> int:
    # Look at the receive descriptors from number `at` on until one belongs to the DMA; how many
    # do not. out[k] (16 bits, signed) becomes the length of the frame in the k-th of them, without
    # its FCS, or -1: received with an error, -2: a piece of a frame, -3: no longer what the driver
    # wrote, -4: a length that cannot be. want: the ring as the driver wrote it, `words` a
    # descriptor. The buffer size is in the low 11 bits of word 1 (both layouts).
    found = 0
    while found < count:
        o = at * words
        w = ring[o]
        if (w >> 31) & 1:
            break
        n = ((w >> 16) & 0x3FFF) - 4
        limit = want[o + 1] & 0x7FF
        if ring[o + 1] != want[o + 1]:
            n = -3
        elif ring[o + 2] != want[o + 2]:
            n = -3
        elif ring[o + 3] != want[o + 3]:
            n = -3
        elif w & 0x300 != 0x300:
            n = -2
        elif w & 0x8000:
            n = -1
        elif n < 14:
            n = -4
        elif n + 4 > limit:
            n = -4
        out[found] = n
        found += 1
        at += 1
        if at == count:
            at = 0
    return found


@micropython.viper
def tx_give(ring: ptr32, want: ptr32, o: int, n: int):
    # Hand the n bytes in the buffer of the descriptor at word `o` to the DMA. Word 0 comes last:
    # with its OWN bit the descriptor is no longer ours.
    ring[o + 3] = want[o + 3]
    ring[o + 2] = want[o + 2]
    ring[o + 1] = want[o + 1] | n
    ring[o] = want[o]
