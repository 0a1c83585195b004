# The viper routines of viper/udp.py against their bytecode twins.
import array
import os

from harness import ME, PEER, SkipTest, udp
from viperip.bytecode import udp as twin

try:
    from viperip.viper import udp as fast
except SyntaxError:
    fast = None

TARGETS = ("unix", "unix32")
ROUNDS = 300


def rnd(n):
    r = os.urandom(2)
    return (r[0] << 8 | r[1]) % n


def routines():
    if fast is None:
        raise SkipTest("no viper emitter here")
    return fast


def built(f, buf, ip, *head):
    b = bytearray(buf)
    f.udp_build(b, ip, array.array("i", head))
    return b


def test_udp_build():
    f = routines()
    for _ in range(ROUNDS):
        buf = os.urandom(40)
        args = (buf, rnd(9), rnd(65536), rnd(65536), rnd(65536), rnd(65536))
        a, b = built(f, *args), built(twin, *args)
        assert a == b, (a, b, args)


def test_no_checksum_is_zero():
    # RFC 768: it is sent as all ones. The sum of the payload is what makes it come to zero.
    for f in (routines(), twin):
        head = bytes(12) + PEER + ME + bytes(8)
        b = built(f, head, 0, 9, 7, 8, 0)
        check = b[26] | b[27] << 8
        b = built(f, head, 0, 9, 7, 8, check)
        assert b[26:28] == b"\xff\xff", b


def test_udp_parse():
    f = routines()
    for _ in range(ROUNDS):
        ip = rnd(9)
        data = os.urandom(rnd(20))
        d = bytearray(os.urandom(ip) + bytes(12) + PEER + ME + udp(rnd(65536), rnd(65536), data))
        if not rnd(3):
            d[ip + 20 + rnd(8)] = 0
        n = len(d) - ip - 20 - rnd(3)
        outs = array.array("i", [0] * 4), array.array("i", [0] * 4)
        a, b = [g.udp_parse(d, ip, ip + 20, n, out) for g, out in zip((f, twin), outs)]
        assert a == b and (a or outs[0] == outs[1]), (a, b, outs, d)
