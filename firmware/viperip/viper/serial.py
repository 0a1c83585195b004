# The serial line: records wait in a ring; they leave in segments, which are stuffed so that two
# bytes never occur in them, and summed (see link/serial/README.md).
# Twin: bytecode/serial.py, same names and arguments.
#
# s, the state of a ring (32-bit words):
#   0 where its oldest byte lies   1 bytes in it   2 its size
#   3 header byte of the segment   4, 5, 6 lengths and offset of what a call is about


@micropython.viper
def record(ring: ptr8, s: ptr32, head: ptr8, buf: ptr8):
    # Append the record of head[:s[4]] and buf[s[5]:s[5]+s[6]], its length (16 bits) before it.
    size = s[2]
    n = s[4] + s[6]
    at = s[0] + s[1]
    s[1] = s[1] + n + 2
    i = -2
    while i < n:
        if at >= size:
            at -= size
        if i < 0:
            b = n >> 8 if i == -2 else n
        elif i < s[4]:
            b = head[i]
        else:
            b = buf[s[5] + i - s[4]]
        ring[at] = b
        at += 1
        i += 1


@micropython.viper
def segment(out: ptr8, ring: ptr8, s: ptr32) -> int:
    # Move s[6] bytes (122 at most) from the ring into a segment in out, between two delimiters;
    # its length.
    out[0] = 0
    pos = s[0]
    n = s[6]
    code = 1  # where the code of the group goes
    w = 2
    crc = 0xFFFF
    i = -1
    end = n + 2
    while i < end:
        if i < 0:
            b = s[3]
        elif i < n:
            b = ring[pos]
            pos += 1
            if pos == s[2]:
                pos = 0
        elif i == n:
            crc ^= 0xFFFF  # RFC 1662 C.1: its complement, low byte first
            b = crc & 0xFF
        else:
            b = crc >> 8
        i += 1
        if i <= n:
            # RFC 1662 C.2, a byte at a time without a table.
            x = (crc ^ b) & 0xFF
            x = (x ^ x << 4) & 0xFF
            crc = crc >> 8 ^ x << 8 ^ x << 3 ^ x >> 4
        if b == 0 or b == 3:
            k = (w - code - 1) << 1
            if b:
                k += 1
            out[code] = k + 1 + int(k > 1)
            code = w
        else:
            out[w] = b
        w += 1
    k = (w - code - 1) << 1
    out[code] = k + 1 + int(k > 1)
    out[w] = 0
    s[0] = pos
    s[1] = s[1] - n
    return w + 1


@micropython.viper
def unsegment(buf: ptr8, n: int) -> int:
    # Take the stuffing out of the n bytes that stood between two delimiters, in place; how many
    # bytes remain: header byte and data. -1: it is no segment, or its FCS is wrong.
    if n < 4:
        return -1
    r = 0
    w = 0
    crc = 0xFFFF
    while r < n:
        k = buf[r]
        r += 1
        if k == 0 or k == 3:
            return -1
        if k > 3:
            k -= 1
        k -= 1
        end = r + (k >> 1)
        if end > n:
            return -1
        while r <= end:
            if r < end:
                b = buf[r]
                if b == 0 or b == 3:
                    return -1
            else:
                # What the code stands for, or the end of the data.
                if end == n:
                    break
                b = 3 if k & 1 else 0
            buf[w] = b
            w += 1
            x = (crc ^ b) & 0xFF
            x = (x ^ x << 4) & 0xFF
            crc = crc >> 8 ^ x << 8 ^ x << 3 ^ x >> 4
            r += 1
        r = end
    if k & 1 or crc != 0xF0B8:  # RFC 1662 C.1: the sum over data and FCS
        return -1
    return w - 2
