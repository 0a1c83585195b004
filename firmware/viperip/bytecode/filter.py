# Bytecode twin of viper/filter.py.


def u16(b, i):
    return b[i] << 8 | b[i + 1]


def fields(f):
    # EtherType, protocol, and the pairs (source, destination) of addresses and ports it has.
    ip = 14
    kind = u16(f, 12)
    if kind == 0x8100:
        ip = 18
        kind = u16(f, 16) if len(f) >= 18 else 0
    proto, nets, ports = None, (), ()
    if kind == 0x0800 and len(f) >= ip + 20:
        proto = f[ip + 9]
        nets = (f[ip + 12 : ip + 16], f[ip + 16 : ip + 20])
        t = ip + (f[ip] & 15) * 4
        if proto in (6, 17) and not u16(f, ip + 6) & 0x1FFF and t + 4 <= len(f):
            ports = (f[t : t + 2], f[t + 2 : t + 4])
    elif kind == 0x0806 and len(f) >= ip + 28:
        nets = (f[ip + 14 : ip + 18], f[ip + 24 : ip + 28])
    return kind, proto, nets, ports


def either(which, pair, want, mask=None):
    for side in range(len(pair)):
        if which >> side & 1:
            have = pair[side]
            if mask:
                have = bytes([have[k] & mask[k] for k in range(4)])
            if have == want:
                return True
    return False


def match(program, buf, off, n, sent):
    f = bytes(memoryview(buf)[off : off + n])
    kind, proto, nets, ports = fields(f)
    stack = []
    i = 0
    while program[i]:
        op = program[i]
        rest = bytes(program[i + 1 : i + 10])
        if op == 1:
            stack.append(rest[0] == int(sent))
            i += 2
        elif op == 2:
            stack.append(u16(rest, 0) == kind)
            i += 3
        elif op == 3:
            stack.append(proto == rest[0])
            i += 2
        elif op == 4:
            stack.append(either(rest[0], nets, rest[5:9], rest[1:5]))
            i += 10
        elif op == 5:
            stack.append(either(rest[0], ports, rest[1:3]))
            i += 4
        elif op == 6:
            stack.append(either(rest[0], (f[6:12], f[:6]), rest[1:7]))
            i += 8
        else:
            a = stack.pop()
            if op == 9:
                a = not a
            else:
                b = stack.pop()
                a = a and b if op == 7 else a or b
            stack.append(a)
            i += 1
    return int(stack[-1])
