# Copying, comparing and summing bytes: the routines that touch every byte of every packet.
#
# Sums are Internet checksums (RFC 1071) in the byte order of the machine (all targets are little
# endian): 16-bit words are added as they lie in memory, and a checksum is stored the same way.
# Twin: bytecode/memory.py, same names and arguments.


@micropython.viper
def sum16(buf: ptr8, off: int, n: int) -> int:
    # RFC 1071 sum of buf[off:off+n], folded to 16 bits; n <= 65535.
    acc = 0
    a = int(buf) + off
    if a & 1:
        p = ptr8(a)
        end = n & -2
        i = 0
        while i < end:
            acc += p[i] | p[i + 1] << 8
            i += 2
    else:
        w = ptr16(a)
        words = n >> 1
        end = words & -8
        i = 0
        while i < end:
            acc += w[i] + w[i + 1] + w[i + 2] + w[i + 3]
            acc += w[i + 4] + w[i + 5] + w[i + 6] + w[i + 7]
            i += 8
        while i < words:
            acc += w[i]
            i += 1
    if n & 1:
        acc += ptr8(a)[n - 1]
    acc = (acc & 0xFFFF) + (acc >> 16 & 0xFFFF)
    return (acc & 0xFFFF) + (acc >> 16)


@micropython.viper
def pseudo_sum(buf: ptr8, ip: int, proto: int, length: int) -> int:
    # Sum of the pseudo-header (RFC 9293 3.1) of the IPv4 header at buf[ip:], folded to 16 bits.
    # length: of the transport header and its data.
    acc = (proto << 8) + (length >> 8) + ((length & 0xFF) << 8)
    p = ptr8(int(buf) + ip + 12)
    i = 0
    while i < 8:
        acc += p[i] | p[i + 1] << 8
        i += 2
    acc = (acc & 0xFFFF) + (acc >> 16)
    return (acc & 0xFFFF) + (acc >> 16)


@micropython.viper
def ring_copy(dst: ptr8, dpos: int, src: ptr8, spos: int, size: int, n: int) -> int:
    # Copy n bytes and return their sum, as sum16 of the copy would be. With a positive size dst
    # is a ring, which wraps there; with a negative one src is a ring of -size; 0: neither is.
    dsize = 0
    ssize = 0
    if size > 0:
        dsize = size
    else:
        ssize = 0 - size
    total = 0
    done = 0
    while n > 0:
        m = n
        if dsize:
            if dsize - dpos < m:
                m = dsize - dpos
        if ssize:
            if ssize - spos < m:
                m = ssize - spos
        acc = 0
        d = int(dst) + dpos
        s = int(src) + spos
        if (d | s) & 1:
            p = ptr8(d)
            q = ptr8(s)
            end = m & -2
            i = 0
            while i < end:
                b = q[i]
                p[i] = b
                c = q[i + 1]
                p[i + 1] = c
                acc += b | c << 8
                i += 2
        else:
            w = ptr16(d)
            v = ptr16(s)
            words = m >> 1
            end = words & -4
            i = 0
            while i < end:
                b = v[i]
                w[i] = b
                acc += b
                b = v[i + 1]
                w[i + 1] = b
                acc += b
                b = v[i + 2]
                w[i + 2] = b
                acc += b
                b = v[i + 3]
                w[i + 3] = b
                acc += b
                i += 4
            while i < words:
                b = v[i]
                w[i] = b
                acc += b
                i += 1
        if m & 1:
            b = ptr8(s)[m - 1]
            ptr8(d)[m - 1] = b
            acc += b
        acc = (acc & 0xFFFF) + (acc >> 16 & 0xFFFF)
        if done & 1:
            # A part that starts on an odd byte adds its bytes the other way round.
            acc = (acc & 0xFFFF) + (acc >> 16)
            acc = acc >> 8 | (acc & 0xFF) << 8
        total += acc
        done += m
        n -= m
        dpos += m
        spos += m
        if dsize:
            if dpos == dsize:
                dpos = 0
        if ssize:
            if spos == ssize:
                spos = 0
    total = (total & 0xFFFF) + (total >> 16 & 0xFFFF)
    return (total & 0xFFFF) + (total >> 16)


@micropython.viper
def copy(dst: ptr8, dpos: int, src: ptr8, spos: int, n: int):
    # dst[dpos:dpos+n] = src[spos:spos+n], without the slice objects.
    d = int(dst) + dpos
    s = int(src) + spos
    if (d | s) & 1:
        end = 0
    else:
        end = n & -2
        w = ptr16(d)
        v = ptr16(s)
        words = n >> 1
        i = 0
        while i < words:
            w[i] = v[i]
            i += 1
    p = ptr8(d)
    q = ptr8(s)
    while end < n:
        p[end] = q[end]
        end += 1


@micropython.viper
def equal(a: ptr8, ao: int, b: ptr8, bo: int, n: int) -> int:
    # 1 if the n bytes are the same, else 0.
    i = 0
    while i < n:
        if a[ao + i] != b[bo + i]:
            return 0
        i += 1
    return 1


@micropython.viper
def find(table: ptr8, rows: int, width: int, buf: ptr8, off: int) -> int:
    # Index of the first row of `width` bytes that equals buf[off:off+width], or -1.
    i = 0
    t = 0
    while i < rows:
        if table[t] == buf[off]:
            j = 1
            while j < width:
                if table[t + j] != buf[off + j]:
                    break
                j += 1
            if j == width:
                return i
        t += width
        i += 1
    return -1


@micropython.viper
def find16(table: ptr16, rows: int, value: int, start: int) -> int:
    # Index of the first 16-bit element from `start` on that equals value, or -1.
    i = start
    while i < rows:
        if table[i] == value:
            return i
        i += 1
    return -1


@micropython.viper
def word_load(words: ptr32, i: int, buf: ptr8, off: int):
    # words[i] = the big-endian 32-bit number at buf[off].
    words[i] = buf[off] << 24 | buf[off + 1] << 16 | buf[off + 2] << 8 | buf[off + 3]


@micropython.viper
def word_store(buf: ptr8, off: int, words: ptr32, i: int):
    # buf[off:off+4] = words[i], big endian.
    v = words[i]
    buf[off] = v >> 24
    buf[off + 1] = v >> 16
    buf[off + 2] = v >> 8
    buf[off + 3] = v


@micropython.viper
def word_add(words: ptr32, i: int, n: int):
    # words[i] += n, modulo 2**32.
    words[i] = words[i] + n


@micropython.viper
def word_copy(words: ptr32, i: int, other: ptr32, j: int):
    # words[i] = other[j].
    words[i] = other[j]


@micropython.viper
def word_diff(a: ptr32, i: int, b: ptr32, j: int) -> int:
    # a[i] - b[j] as sequence numbers (RFC 9293 3.4: modulo 2**32, signed), held within +-2**29
    # so that the result is a small int on every port.
    d = a[i] - b[j]
    lo = d & 0xFFFF
    hi = ((d >> 16 & 0xFFFF) ^ 0x8000) - 0x8000
    d = hi << 16 | lo
    if d > 0x1FFFFFFF:
        return 0x1FFFFFFF
    if d < -0x20000000:
        return -0x20000000
    return d
