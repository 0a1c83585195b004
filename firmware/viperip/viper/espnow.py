# Frames in the messages of ESP-NOW, in place (see link/espnow.py for their layout).
# Twin: bytecode/espnow.py, same names and arguments.
#
# s, the state of a link (32-bit words, none of them negative):
#   0 now, ms   1 longest data of a received frame   2 size of a slot   3 slots for pieces
#   4 where in buf the complete frame lies
#   5 number of the frame that is sent   6 bytes of its data   7 longest message sent
#   8 frames given up because their next piece was missing   9 because they were too old
#   10 senders whose row another one took
#   16 to 23: the row (index of its first word) that has slot 1 to 8; 0: it is free
#   24 and up: a row of 7 words for each of 20 senders:
#     0, 1 MAC address, three bytes each, bit 24 of the first word set; 0: the row is free
#     2 number of its last frame; 0x10000: none   3 its slot; 0: none   4 bytes of data that
#     have come   5 of how many   6 when it began
#
# buf: slots, in each of which a frame begins at 2. The message that has come is in slot 0.


@micropython.viper
def piece(buf: ptr8, s: ptr32, off: int) -> int:
    # Make a message of what follows byte `off` of a frame's data, over what stood before it. The
    # frame's header was at buf[2:], the message begins at buf[2+off:]; its length.
    p = ptr8(int(buf) + 2 + off)
    length = s[6]
    if off == 0:
        # The source is not sent: the destination takes its place.
        i = 0
        while i < 6:
            p[6 + i] = p[i]
            i += 1
    number = s[5]
    p[0] = 0x76
    p[1] = number >> 8
    p[2] = number
    p[3] = length >> 4
    p[4] = (length & 15) << 4 | off >> 8
    p[5] = off
    n = length - off + 6
    limit = s[7]
    if n >= limit:
        return limit
    end = (n + 15) & -16
    if end > limit:
        end = limit
    while n < end:
        # Not what an earlier frame has left here.
        p[n] = 0
        n += 1
    return end


@micropython.viper
def take(buf: ptr8, s: ptr32, mac: ptr8, n: int) -> int:
    # Place the message of n bytes at buf[2:], which came from mac. The length of the frame that
    # it completes, 0 if it does not, or why it is dropped: -1 it is not ours, -2 its header is
    # wrong, -3 it has come before, -4 a piece before it is missing, -5 no slot is free.
    m = ptr8(int(buf) + 2)
    if n < 7:
        return -1
    if m[0] != 0x76:
        return -1
    if mac[0] & 1:
        return -1
    number = m[1] << 8 | m[2]
    length = m[3] << 4 | m[4] >> 4
    off = (m[4] & 15) << 8 | m[5]
    left = length - off
    k = n - 6
    if length < 8:
        return -2
    if length > s[1]:
        return -2
    if left < 1:
        return -2
    if k - left > 15:
        return -2
    if k > left:
        k = left
    if off == 0:
        if k < 8:
            return -2
    now = s[0]
    hi = mac[0] << 16 | mac[1] << 8 | mac[2] | 0x1000000
    lo = mac[3] << 16 | mac[4] << 8 | mac[5]
    row = 24
    oldest = 24
    most = -1
    while row < 164:
        if s[row] == hi:
            if s[row + 1] == lo:
                break
        age = 0x3FFFFFFF
        if s[row]:
            age = (now - s[row + 6]) & 0x3FFFFFFF
        if age > most:
            most = age
            oldest = row
        row += 7
    if row == 164:
        row = oldest
        if s[row]:
            s[10] = s[10] + 1
            if s[row + 3]:
                s[8] = s[8] + 1
                s[15 + s[row + 3]] = 0
        s[row] = hi
        s[row + 1] = lo
        s[row + 2] = 0x10000
        s[row + 3] = 0
        s[row + 4] = 0
        s[row + 5] = 0
        s[row + 6] = now
    slot = s[row + 3]
    behind = (s[row + 2] - number) & 0xFFFF
    if s[row + 2] > 0xFFFF:
        behind = 0x8000
    if (now - s[row + 6]) & 0x3FFFFFFF > 1000:
        # A frame is given up, and what comes now is no copy of it.
        if slot:
            s[9] = s[9] + 1
            s[15 + slot] = 0
            s[row + 3] = 0
            s[row + 4] = 0
            slot = 0
        if off == 0:
            behind = 0x8000
    if off == 0:
        if behind < 32:
            return -3
        if slot:
            s[8] = s[8] + 1
            s[15 + slot] = 0
        s[row + 2] = number
        s[row + 3] = 0
        s[row + 4] = 0
        s[row + 5] = length
        s[row + 6] = now
        if k == length:
            s[row + 4] = k
            i = 0
            while i < 6:
                m[i] = m[6 + i]
                m[6 + i] = mac[i]
                i += 1
            s[4] = 2
            return length + 6
        slot = 0
        stale = 0
        i = s[3]
        while i > 0:
            o = s[15 + i]
            if o == 0:
                slot = i
            elif (now - s[o + 6]) & 0x3FFFFFFF > 1000:
                stale = i
            i -= 1
        if slot == 0:
            if stale == 0:
                return -5
            s[9] = s[9] + 1
            o = s[15 + stale]
            s[o + 3] = 0
            s[o + 4] = 0
            slot = stale
        s[15 + slot] = row
        s[row + 3] = slot
        d = ptr8(int(buf) + slot * s[2] + 2)
        i = 0
        while i < 6:
            d[i] = m[6 + i]
            d[6 + i] = mac[i]
            i += 1
        to = int(d) + 12
        at = int(m) + 12
        i = k - 6
    else:
        if behind:
            return -3 if behind < 32 else -4
        if slot == 0:
            return -3 if s[row + 4] == s[row + 5] else -4
        if off < s[row + 4]:
            return -3
        if off > s[row + 4] or length != s[row + 5]:
            s[8] = s[8] + 1
            s[15 + slot] = 0
            s[row + 3] = 0
            s[row + 4] = 0
            return -4
        to = int(buf) + slot * s[2] + off + 8
        at = int(m) + 6
        i = k
    p = ptr8(to)
    q = ptr8(at)
    j = 0
    if (to | at) & 1 == 0:
        w = ptr16(to)
        v = ptr16(at)
        words = i >> 1
        while j < words:
            w[j] = v[j]
            j += 1
        j = i & -2
    while j < i:
        p[j] = q[j]
        j += 1
    k += s[row + 4]
    s[row + 4] = k
    if k < length:
        return 0
    # It lies there until the next message comes, and that is after it was given back.
    s[15 + slot] = 0
    s[row + 3] = 0
    s[4] = slot * s[2] + 2
    return length + 6
