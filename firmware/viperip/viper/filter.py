# Which frames a capture wants: a program for a machine with a stack of bits, which the host makes
# of `viperip capture --filter` (host_tools/viperip_host/capture_filter.py).
# Twin: bytecode/filter.py, same names and arguments.
#
# Each instruction pushes whether the frame ...
#   1 sent              was sent (1) or received (0)
#   2 hi lo             has this EtherType
#   3 number            is IPv4 with this protocol
#   4 which mask net    has an IPv4 or ARP address of this network (4 bytes each)
#   5 which hi lo       is TCP or UDP with this port
#   6 which mac         has this MAC address
# ... or combines what was pushed: 7 and, 8 or, 9 not. 0 ends it. which: 1 source, 2 destination,
# 3 either. A frame does not have what lies behind its end, nor ports behind its first fragment.


@micropython.viper
def match(program: ptr8, buf: ptr8, off: int, n: int, sent: int) -> int:
    # Whether the frame buf[off:off+n] is wanted, 0 or 1.
    end = off + n
    ip = off + 14
    kind = buf[ip - 2] << 8 | buf[ip - 1]
    if kind == 0x8100:  # IEEE 802.1Q: a tag of four bytes
        ip += 4
        kind = 0
        if ip <= end:
            kind = buf[ip - 2] << 8 | buf[ip - 1]
    source = 0  # where the IPv4 address of the sender lies, and how far behind it the other
    step = 4
    port = 0  # where the ports are
    if kind == 0x0800:
        if ip + 20 <= end:
            source = ip + 12
            p = buf[ip + 9]
            if p == 6 or p == 17:
                if (buf[ip + 6] & 0x1F) | buf[ip + 7] == 0:
                    port = ip + ((buf[ip] & 15) << 2)
                    if port + 4 > end:
                        port = 0
    elif kind == 0x0806:
        if ip + 28 <= end:
            source = ip + 14
            step = 10
    stack = 0
    i = 0
    while True:
        op = program[i]
        i += 1
        if op == 0:
            return stack & 1
        if op == 7:
            stack = stack >> 1 & (stack | -2)
        elif op == 8:
            stack = stack >> 1 | stack & 1
        elif op == 9:
            stack ^= 1
        else:
            hit = 0
            at = 0
            width = 0
            if op == 1:
                if program[i] == sent:
                    hit = 1
                i += 1
            elif op == 2:
                if program[i] << 8 | program[i + 1] == kind:
                    hit = 1
                i += 2
            elif op == 3:
                if kind == 0x0800:
                    if source:
                        if buf[ip + 9] == program[i]:
                            hit = 1
                i += 1
            elif op == 4:
                if source:
                    which = 1
                    at = source
                    while which < 3:
                        if program[i] & which:
                            k = 0
                            while k < 4:
                                if buf[at + k] & program[i + 1 + k] != program[i + 5 + k]:
                                    break
                                k += 1
                            if k == 4:
                                hit = 1
                        at += step
                        which += 1
                i += 9
            else:
                if op == 5:
                    width = 2
                    at = port
                    step_at = 2
                else:
                    width = 6
                    at = off + 6
                    step_at = -6
                if at:
                    which = 1
                    while which < 3:
                        if program[i] & which:
                            k = 0
                            while k < width:
                                if buf[at + k] != program[i + 1 + k]:
                                    break
                                k += 1
                            if k == width:
                                hit = 1
                        at += step_at
                        which += 1
                i += 1 + width
            stack = stack << 1 | hit
