# The keys and ciphers of WPA2 against published vectors, and the routines against their twins.
import random
from binascii import hexlify, unhexlify

from heap_check import measured
from viperip import native
from viperip.link.wifi import crypto
from viperip.link.wifi.ccmp import Key


def x(text):
    return unhexlify(text.replace(" ", ""))


def test_pmk_of_passphrase():
    # IEEE 802.11-2016 J.4.2.
    for password, ssid, key in (
        ("password", b"IEEE", "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"),
        (
            "ThisIsAPassword",
            b"ThisIsASSID",
            "0dc0d6eb90555ed6419756b9a15ec3e3209b63df707dd508d14581f8982721af",
        ),
        ("a" * 32, b"Z" * 32, "becb93866bb8c3832cb777c2f559807c8c59afcb6eae734885001300a981cc62"),
    ):
        assert hexlify(crypto.pmk(password, ssid)).decode() == key


def test_pmk_refuses_what_is_no_passphrase():
    for bad in ("", "seven77", "x" * 65, "tab\tinside"):
        try:
            crypto.pmk(bad, b"ssid")
        except ValueError:
            continue
        raise AssertionError(bad)
    assert crypto.pmk("0f" * 32, b"any") == b"\x0f" * 32


def test_hmac():
    # RFC 2202 3, cases 1, 2 and 6.
    for key, data, digest in (
        (b"\x0b" * 20, b"Hi There", "b617318655057264e28bc0b6fb378c8ef146be00"),
        (b"Jefe", b"what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        (
            b"\xaa" * 80,
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "aa4ae5e15272d00e95705637ce8a3b55ed402112",
        ),
    ):
        assert crypto.HMAC(key).digest(data[:3], data[3:]) == unhexlify(digest)


def test_prf():
    # IEEE 802.11-2016 J.3.2, cases 1 and 2.
    assert crypto.prf(b"\x0b" * 20, b"prefix", b"Hi There", 64) == x(
        "bcd4c650b30b9684951829e0d75f9d54b862175ed9f00606e17d8da35402ffee"
        "75df78c3d31e0f889f012120c0862beb67753e7439ae242edb8373698356cf5a"
    )
    assert crypto.prf(b"Jefe", b"prefix", b"what do ya want for nothing?", 64) == x(
        "51f4de5b33f249adf81aeb713a3c20f4fe631446fabdfa58244759ae58ef9009"
        "a99abf4eac2ca5fa87e692c440eb40023e7babb206d61de7b92f41529092b8fc"
    )


def test_key_unwrap():
    # RFC 3394 4.1.
    kek = x("000102030405060708090a0b0c0d0e0f")
    wrapped = x("1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5")
    assert crypto.unwrap(kek, wrapped) == x("00112233445566778899aabbccddeeff")
    for i in range(len(wrapped)):
        bad = bytearray(wrapped)
        bad[i] ^= 1
        assert crypto.unwrap(kek, bad) is None
    for n in (0, 7, 8, 16, 23):
        assert crypto.unwrap(kek, wrapped[:n]) is None


TK = x("c97c1f67ce371185514a8a19f2bdd52f")
HEADER = x("0848c32c0fd2e128a57c5030f1844408abaea5b8fcba8033")
PLAIN = x("f8ba1a55d02f85ae967bb62fb6cda8eb7e78a050")
SEALED = x("f3d0a2fe9a3dbf2342a643e43246e80c3c04d0197845ce0b16f97623")
CCMP = x("0ce7002076 9703b5")


def test_ccmp_vector():
    # IEEE 802.11-2016 J.6.4.
    key = Key(TK)
    for off in (0, 2, 5):
        mpdu = bytearray(off) + bytearray(HEADER + CCMP + PLAIN) + bytearray(8)
        key.seal(mpdu, off, 24, 60)
        assert mpdu[off + 32 :] == SEALED, hexlify(mpdu)
        assert key.open(mpdu, off, 24, 60) and mpdu[off + 32 : off + 52] == PLAIN


def test_ccmp_of_every_length_and_every_flipped_byte():
    random.seed(1)
    one = Key(b"0123456789abcdef")
    other = Key(b"0123456789abcdef")
    for hdr in (24, 26):
        for n in list(range(40)) + [255, 256, 257, 511, 512, 513, 1508, 2296]:
            text = bytes([random.getrandbits(8) for _ in range(n)])
            head = bytes([random.getrandbits(8) for _ in range(hdr + 8)])
            mpdu = bytearray(head + text) + bytearray(8)
            one.seal(mpdu, 0, hdr, n + hdr + 16)
            assert mpdu[: hdr + 8] == head and (n < 4 or mpdu[hdr + 8 : -8] != text)
            # What may change on the way: retry, power management, more data, sequence number.
            mpdu[1] ^= 0x38
            mpdu[23] ^= 0x55
            assert other.open(mpdu, 0, hdr, n + hdr + 16) and mpdu[hdr + 8 : -8] == text
    mpdu = bytearray(HEADER + CCMP + PLAIN) + bytearray(8)
    one.seal(mpdu, 0, 24, 60)
    for i in range(len(mpdu)):
        # Not authenticated: duration, reserved bytes, key id.
        if i in (2, 3, 23, 26, 27):
            continue
        bad = bytearray(mpdu)
        bad[i] ^= 0x80 if i == 0 else 1
        assert not other.open(bad, 0, 24, 60), i


def test_packet_numbers():
    key = Key(TK, 2, b"\xff\xff\0\0\0\0")
    b = bytearray(8)
    key.number(b, 0)
    assert b == b"\x01\0\0\xa0\0\0\0\0" and not key.fresh(b, 0, 0)
    key.pn[:] = b"\xff\xff\xff\xff\xff\0"
    key.number(b, 0)
    assert b == b"\0\0\0\xa0\0\0\0\x01" and key.fresh(b, 0, 3)
    key.accept(b, 0, 3)
    # IEEE 802.11-2016 12.5.3.4.4: an equal one is a replay; other TIDs have their own.
    assert not key.fresh(b, 0, 3) and key.fresh(b, 0, 16)
    b[0] = 1
    assert key.fresh(b, 0, 3)
    b[7] = 0
    assert not key.fresh(b, 0, 3)
    b[:] = b"\0\0\0\xa0\x01\0\0\0"
    assert key.fresh(b, 0, 0)


def test_no_heap_for_a_frame():
    key = Key(TK)
    mpdu = bytearray(1600)
    mpdu[:24] = HEADER

    def step(i):
        n = i % 1500
        key.number(mpdu, 24)
        key.seal(mpdu, 0, 24, n + 40)
        assert key.fresh(mpdu, 24, 16)
        key.open(mpdu, 0, 24, n + 40)
        key.accept(mpdu, 24, 16)

    measured(step)


def test_the_twins_agree():
    if not native.VIPER:
        return
    from viperip.bytecode import ccmp as slow
    from viperip.viper import ccmp as fast

    random.seed(3)
    for _ in range(60):
        buf = bytearray([random.getrandbits(8) for _ in range(400)])
        out = []
        for side in (fast, slow):
            a = bytearray(buf)
            b, m, pn = bytearray(a[:336]), bytearray(256), bytearray(a[9:15])
            side.ccm_start(b, a, 3, 24 + buf[1] % 2 * 2, buf[2])
            ctr = memoryview(b)[64:]
            side.ccm_count(ctr, buf[3] * 7)
            side.ccm_xor(a, 100, ctr, buf[4] % 256)
            side.ccm_load(m, a, 11, buf[5])
            r = [side.ccm_mic(a, 300, m, ctr, 1), side.ccm_mic(a, 299, m, ctr, 0)]
            side.pn_next(pn)
            side.pn_put(a, 50, pn, buf[6] & 3)
            r.append(side.pn_newer(a, 20, a, 40))
            side.pn_keep(a, 20, m, 40)
            out.append((a, b, m, pn, r[0] * 0, bool(r[1]), r[2]))
        assert out[0] == out[1]
