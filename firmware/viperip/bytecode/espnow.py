# Bytecode twin of viper/espnow.py.
_MASK = 0x3FFFFFFF
_ROWS = range(24, 164, 7)


def piece(buf, s, off):
    number, length, limit = s[5], s[6], s[7]
    at = 2 + off
    if off == 0:
        buf[8:14] = bytes(buf[2:8])
    head = bytes((0x76, number >> 8, number & 0xFF, length >> 4))
    buf[at : at + 6] = head + bytes(((length & 15) << 4 | off >> 8, off & 0xFF))
    n = length - off + 6
    end = min(limit, -(-n // 16) * 16)
    if n < end:
        buf[at + n : at + end] = bytes(end - n)
    return end


def _age(s, row):
    return (s[0] - s[row + 6]) & _MASK


def _row(s, mac):
    # The row of a sender, perhaps taken from the one that has been silent longest.
    hi = int.from_bytes(mac[:3], "big") | 1 << 24
    lo = int.from_bytes(mac[3:6], "big")
    for row in _ROWS:
        if s[row] == hi and s[row + 1] == lo:
            return row
    row = max(_ROWS, key=lambda r: (_age(s, r) if s[r] else _MASK, -r))
    if s[row]:
        s[10] += 1
        if s[row + 3]:
            _give_up(s, row, 8)
    for i, word in enumerate((hi, lo, 0x10000, 0, 0, 0, s[0])):
        s[row + i] = word
    return row


def _give_up(s, row, counter):
    s[counter] += 1
    s[15 + s[row + 3]] = 0
    s[row + 3] = s[row + 4] = 0


def _slot(s):
    # A slot for the pieces of a new frame, or 0.
    slots = range(1, s[3] + 1)
    for slot in slots:
        if not s[15 + slot]:
            return slot
    for slot in slots:
        row = s[15 + slot]
        if _age(s, row) > 1000:
            _give_up(s, row, 9)
            return slot
    return 0


def take(buf, s, mac, n):
    if n < 7 or buf[2] != 0x76 or mac[0] & 1:
        return -1
    number = buf[3] << 8 | buf[4]
    length = buf[5] << 4 | buf[6] >> 4
    off = (buf[6] & 15) << 8 | buf[7]
    left = length - off
    k = n - 6
    if length < 8 or length > s[1] or left < 1 or k - left > 15:
        return -2
    k = min(k, left)
    if off == 0 and k < 8:
        return -2
    data = bytes(buf[8 : 8 + k])
    row = _row(s, mac)
    behind = (s[row + 2] - number) & 0xFFFF if s[row + 2] < 0x10000 else 0x8000
    if _age(s, row) > 1000:
        if s[row + 3]:
            _give_up(s, row, 9)
        if off == 0:
            behind = 0x8000
    if off == 0:
        if behind < 32:
            return -3
        if s[row + 3]:
            _give_up(s, row, 8)
        for i, word in enumerate((number, 0, 0, length, s[0])):
            s[row + 2 + i] = word
        slot = 0
        if k < length:
            slot = _slot(s)
            if not slot:
                return -5
            s[15 + slot] = row
            s[row + 3] = slot
        at = slot * s[2] + 2
        buf[at : at + 6 + k] = data[:6] + bytes(mac[:6]) + data[6:]
    else:
        if behind:
            return -3 if behind < 32 else -4
        slot = s[row + 3]
        if not slot:
            return -3 if s[row + 4] == s[row + 5] else -4
        if off < s[row + 4]:
            return -3
        if off > s[row + 4] or length != s[row + 5]:
            _give_up(s, row, 8)
            return -4
        at = slot * s[2] + 2
        buf[at + 6 + off : at + 6 + off + k] = data
    s[row + 4] += k
    if s[row + 4] < length:
        return 0
    if slot:
        s[15 + slot] = 0
        s[row + 3] = 0
    s[4] = at
    return length + 6
