# Bytecode twin of viper/serial.py.


def fcs(data):
    # RFC 1662 C.2, bit by bit.
    crc = 0xFFFF
    for b in data:
        crc ^= b
        for _ in range(8):
            crc = crc >> 1 ^ (0x8408 if crc & 1 else 0)
    return crc


def record(ring, s, head, buf):
    n = s[4] + s[6]
    data = bytes([n >> 8, n & 0xFF]) + bytes(head[: s[4]]) + bytes(buf[s[5] : s[5] + s[6]])
    for i in range(n + 2):
        ring[(s[0] + s[1] + i) % s[2]] = data[i]
    s[1] += n + 2


def segment(out, ring, s):
    n = s[6]
    data = bytearray([s[3]]) + bytes([ring[(s[0] + i) % s[2]] for i in range(n)])
    s[0] = (s[0] + n) % s[2]
    s[1] -= n
    crc = fcs(data) ^ 0xFFFF
    data += bytes([crc & 0xFF, crc >> 8, 0])
    w = 1
    run = bytearray()
    for b in data:
        if b in (0, 3):
            k = len(run) * 2 + (b == 3)
            run = bytes([k + 1 if k < 2 else k + 2]) + run
            out[w : w + len(run)] = run
            w += len(run)
            run = bytearray()
        else:
            run.append(b)
    out[0] = out[w] = 0
    return w + 1


def unsegment(buf, n):
    data = bytearray()
    r = 0
    k = 1
    while r < n:
        c = buf[r]
        if c == 0 or c == 3:
            return -1
        k = c - 1 if c < 3 else c - 2
        run = bytes(buf[r + 1 : r + 1 + (k >> 1)])
        if len(run) < k >> 1 or r + 1 + len(run) > n or 0 in run or 3 in run:
            return -1
        data += run
        data.append(3 if k & 1 else 0)
        r += 1 + len(run)
    if n < 4 or k & 1 or fcs(data[:-1]) != 0xF0B8:
        return -1
    buf[: len(data)] = data
    return len(data) - 3
